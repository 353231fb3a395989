{%- set rules = [
    'apprentice_no_repeat',
    'apprentice_or_upgrade',
    'expansion_or_driving',
    'upgrade_or_training',
    'duplicate_payment',
    'advance_share',
    'advance_deducted',
    'review_working_days',
    'notice_working_days',
    'amount_equals_standard',
    'paid_not_over_approved',
] -%}
with

breaches as (
    {%- for rule in rules %}
    select
        *,
        'subsidy_payment' as form
    from {{ ref('int_subsidy_breach_' ~ rule) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- The deadlines of apprenticeship classes are measured where the classes are followed.
class_breaches as (
    select * from {{ ref('fct_apprenticeship_breach') }}
    where period = '{{ run_period() }}'
),

united as (
    select * from breaches

    union all

    select
        period,
        rule,
        case when is_open and aspect <> 'advance' then aspect || '_open' else aspect end as aspect,
        breach_key,
        county_code,
        city_code,
        item_code,
        payee_uscc,
        null as person_key,
        line_period,
        submission_id,
        sheet,
        source_row,
        source_column,
        true as is_breaking,
        expected_value,
        actual_value,
        amount_yuan as at_stake_yuan,
        true as is_verified,
        'apprenticeship' as form
    from class_breaches
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

final as (
    select
        united.period,
        md5(united.rule || ':' || united.breach_key) as alert_id,
        united.rule,
        united.aspect,
        -- Readers who are not given person_key are not given it inside another column either.
        coalesce(
            replace(united.breach_key, united.person_key, md5(united.person_key)), united.breach_key
        ) as breach_key,
        united.is_verified,
        united.form,
        united.line_period,
        united.county_code,
        united.city_code,
        united.item_code,
        united.payee_uscc,
        united.person_key,
        united.is_breaking,
        united.expected_value,
        united.actual_value,
        united.at_stake_yuan::numeric(18, 2) as at_stake_yuan,
        united.submission_id,
        united.sheet,
        united.source_row,
        united.source_column,
        periods.data_maturity
    from united
    inner join periods on united.period = periods.period
)

select * from final
