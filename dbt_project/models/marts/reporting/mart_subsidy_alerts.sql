{%- set latest = ['aspect', 'county_code', 'city_code', 'item_code', 'payee_uscc', 'expected_value', 'actual_value'] -%}
with

breach_lines as (
    select
        lines.*,
        lines.is_breaking::integer as breaking_order
    from {{ ref('fct_subsidy_breach_line') }} as lines
    where lines.period = '{{ run_period() }}'
),

rules as (
    select * from {{ ref('subsidy_rules') }}
),

texts as (
    select * from {{ ref('subsidy_rule_texts') }}
),

-- The alert stands where its latest breaking line stands: that one can still be stopped or taken back.
alerts as (
    select
        period,
        alert_id,
        rule,
        data_maturity,
        bool_and(is_verified) as is_verified,
        max(person_key) as person_key,
        count(*) as claims,
        count(distinct county_code) as counties,
        min(line_period) as first_period,
        sum(at_stake_yuan)::numeric(18, 2) as amount_yuan,
    {%- for column in latest %}
    (array_agg(
        {{ column }} order by
            breaking_order desc, line_period desc, county_code desc, submission_id desc, sheet desc,
            source_row desc, source_column desc
        ))[1] as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
    from breach_lines
    group by period, alert_id, rule, data_maturity
),

worded as (
    select
        alerts.*,
        -- A rule nobody has checked against its text only hints, and so does a standard or an item of that kind.
        case when rules.verified and alerts.is_verified then rules.effect else 'hint' end as severity,
        rules.rule_zh,
        rules.source,
        texts.mend_zh,
    {%- for text in ('expected', 'actual', 'detail') %}
    format(
        texts.{{ text }}_zh,
        coalesce(alerts.expected_value, '—'), coalesce(alerts.actual_value, '—'), alerts.claims, alerts.counties,
        alerts.first_period
    ) as {{ text }}_words{{ ',' if not loop.last }}
    {%- endfor %}
    from alerts
    inner join rules on alerts.rule = rules.rule
    left join texts
        on
            alerts.rule = texts.rule
            and alerts.aspect = texts.aspect
),

final as (
    select
        period,
        alert_id,
        rule,
        rule_zh,
        severity,
        county_code,
        city_code,
        item_code,
        payee_uscc,
        person_key,
        claims,
        amount_yuan,
        expected_words as expected_value,
        actual_words as actual_value,
        detail_words as detail_zh,
        mend_zh,
        source,
        data_maturity
    from worded
)

select * from final
