-- noqa: disable=layout.indent
{# Twice the widest window a rule may have: so many months are looked back, whatever the length of the history. -#}
{%- set lookback = 12 -%}
with

brands as (
    select * from {{ ref('fct_brand_month') }}
    where period = '{{ run_period() }}'
),

rules as (
    select * from {{ ref('brand_rules') }}
),

-- month_offset 0 is the run's month
driven as (
    select
        brand_key,
        employment_driven_persons,
        {{ month_index("'" ~ run_period() ~ "'") }} - {{ month_index('period') }} as month_offset
    from {{ ref('fct_brand_month') }}
    where
        period in (
            {%- for months in range(lookback) %}
            '{{ period_before(months) }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
        and employment_driven_persons is not null
),

-- Builds run oldest first: how long a rule has held stands in the row of the month before.
previous as (
    {% if is_incremental() -%}
    select
        brand_key,
        rule,
        met_months
    from {{ this }}
    where period = '{{ period_before(1) }}'
    {%- else -%}
    select
        null::text as brand_key,
        null::text as rule,
        null::integer as met_months
    where false
    {%- endif %}
),

-- A standard holds for the places it was made for: the county, its city, its province or the nation.
award as (
    select
        brands.brand_key,
        max(standards.amount) as cap_yuan
    from brands
    inner join {{ ref('subsidy_standards') }} as standards
        on
            standards.region_code in (
                brands.county_code, brands.city_code, left(brands.county_code, 2) || '0000', '000000'
            )
            and standards.item = 'brand_creation_award'
            and standards.amount_kind = 'cap'
            and to_char(standards.valid_from, 'YYYY-MM') <= '{{ run_period() }}'
            and (standards.valid_to is null or to_char(standards.valid_to, 'YYYY-MM') >= '{{ run_period() }}')
    group by brands.brand_key
),

applicable as (
    select
        brands.brand_key,
        rules.rule,
        rules.stage,
        rules.measure,
        rules.threshold,
        rules.window_months
    from brands
    inner join rules on brands.last_known_status = any(string_to_array(rules.applies_to, '|'))
),

-- A window counts only when each of its months was filled in: missing is not 0.
windows as (
    select
        applicable.brand_key,
        applicable.rule,
        sum(driven.employment_driven_persons)
            filter (where driven.month_offset < applicable.window_months) as recent_persons,
        count(*) filter (where driven.month_offset < applicable.window_months)
        = applicable.window_months as is_recent_whole,
        sum(driven.employment_driven_persons)
            filter (where driven.month_offset >= applicable.window_months) as earlier_persons,
        count(*) filter (where driven.month_offset >= applicable.window_months)
        = applicable.window_months as is_earlier_whole
    from applicable
    inner join driven
        on
            applicable.brand_key = driven.brand_key
            and driven.month_offset < 2 * applicable.window_months
    group by applicable.brand_key, applicable.rule, applicable.window_months
),

own_measures as (
    select
        applicable.brand_key,
        applicable.rule,
        applicable.stage,
        applicable.threshold,
        case applicable.measure
            when 'employment_driven_persons'
                then case when windows.is_recent_whole then windows.recent_persons end
            when 'employed_drop_share' then -brands.employed_change_rate
            when 'employed_falling_months' then brands.employed_falling_months
            when 'employment_driven_drop_share'
                then
                    case
                        when windows.is_recent_whole and windows.is_earlier_whole
                            then -{{ change_rate('windows.recent_persons', 'windows.earlier_persons') }}
                    end
            when 'untrained_months' then brands.untrained_months
            when 'training_without_jobs_months' then brands.training_without_jobs_months
            when 'months_without_report' then brands.months_without_report
            when 'agreement_persons' then brands.agreement_persons
        end::numeric(20, 10) as actual_value
    from applicable
    inner join brands on applicable.brand_key = brands.brand_key
    left join windows
        on
            applicable.brand_key = windows.brand_key
            and applicable.rule = windows.rule
    where applicable.measure not in ('warning_months', 'warnings_met')
),

own_judged as (
    select
        own_measures.brand_key,
        own_measures.rule,
        own_measures.stage,
        own_measures.actual_value,
        own_measures.actual_value >= own_measures.threshold as is_met,
        case
            when own_measures.actual_value >= own_measures.threshold then coalesce(previous.met_months, 0) + 1
            when own_measures.actual_value < own_measures.threshold then 0
        end as met_months
    from own_measures
    left join previous
        on
            own_measures.brand_key = previous.brand_key
            and own_measures.rule = previous.rule
),

warnings as (
    select
        brand_key,
        max(met_months) as warning_months,
        case when count(is_met) > 0 then count(*) filter (where is_met) end as warnings_met,
        bool_and(is_met is not null) as is_fully_judged
    from own_judged
    where stage = 'warning'
    group by brand_key
),

derived_measures as (
    select
        applicable.brand_key,
        applicable.rule,
        applicable.stage,
        applicable.threshold,
        case applicable.measure
            when 'warning_months' then warnings.warning_months
            when 'warnings_met' then warnings.warnings_met
        end::numeric(20, 10) as actual_value
    from applicable
    left join warnings on applicable.brand_key = warnings.brand_key
    where applicable.measure in ('warning_months', 'warnings_met')
),

judged as (
    select
        brand_key,
        rule,
        stage,
        actual_value,
        is_met,
        met_months
    from own_judged

    union all

    select
        derived_measures.brand_key,
        derived_measures.rule,
        derived_measures.stage,
        derived_measures.actual_value,
        derived_measures.actual_value >= derived_measures.threshold as is_met,
        case
            when derived_measures.actual_value >= derived_measures.threshold then coalesce(previous.met_months, 0) + 1
            when derived_measures.actual_value < derived_measures.threshold then 0
        end as met_months
    from derived_measures
    left join previous
        on
            derived_measures.brand_key = previous.brand_key
            and derived_measures.rule = previous.rule
),

-- A warning given by people is lifted only by a month in which every rule could be judged and none is met.
suggested as (
    select
        brands.brand_key,
        case
            when bool_or(judged.is_met) filter (where judged.stage = 'exit') then '建议评估退出'
            when bool_or(judged.is_met) filter (where judged.stage = 'warning') then '预警'
            when
                brands.last_known_status = '培育'
                and bool_or(judged.is_met) filter (where judged.stage = 'entry')
                then '建议推荐入库'
            when brands.last_known_status = '预警' and bool_and(warnings.is_fully_judged) then '在库'
            else brands.last_known_status
        end as suggested_status
    from brands
    inner join judged on brands.brand_key = judged.brand_key
    left join warnings on brands.brand_key = warnings.brand_key
    group by brands.brand_key, brands.last_known_status
),

worded as (
    select
        judged.brand_key,
        judged.rule,
        replace(
            replace(
                replace(
                    case when judged.is_met is null then rules.unknown_zh else rules.message_zh end,
                    '{window}', coalesce(rules.window_months::text, '')
                ),
                '{threshold}', {{ rule_quantity('rules.threshold', 'rules.threshold_unit') }}
            ),
            '{actual}', coalesce({{ rule_quantity('judged.actual_value', 'rules.threshold_unit') }}, '')
        ) as detail_zh
    from judged
    inner join rules on judged.rule = rules.rule
),

final as (
    select
        brands.period,
        brands.brand_key,
        rules.rule,
        rules.stage,
        brands.county_code,
        brands.city_code,
        brands.brand_name,
        brands.is_reported,
        brands.status,
        brands.last_known_status,
        brands.last_reported_in,
        suggested.suggested_status,
        judged.actual_value,
        rules.threshold,
        rules.threshold_unit,
        rules.window_months,
        judged.is_met,
        judged.met_months,
        case when judged.is_met then rules.suggests end as suggestion,
        case when rules.stage = 'award' then judged.is_met and brands.award_claimed_in is null end as is_award_eligible,
        case when rules.stage = 'award' then brands.award_claimed_in end as award_claimed_in,
        case
            when rules.stage = 'award' and judged.is_met and brands.award_claimed_in is null then award.cap_yuan
        end::numeric(18, 2) as award_cap_yuan,
        worded.detail_zh,
        rules.clause,
        brands.data_maturity
    from judged
    inner join brands on judged.brand_key = brands.brand_key
    inner join rules on judged.rule = rules.rule
    inner join suggested on judged.brand_key = suggested.brand_key
    inner join worded
        on
            judged.brand_key = worded.brand_key
            and judged.rule = worded.rule
    left join award on judged.brand_key = award.brand_key
)

select * from final
