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

periods as (
    select * from {{ ref('int_period_maturity') }}
),

final as (
    select
        breaches.period,
        md5(breaches.rule || ':' || breaches.breach_key) as alert_id,
        breaches.rule,
        breaches.aspect,
        breaches.breach_key,
        breaches.is_verified,
        breaches.form,
        breaches.line_period,
        breaches.county_code,
        breaches.city_code,
        breaches.item_code,
        breaches.payee_uscc,
        breaches.person_key,
        breaches.is_breaking,
        breaches.expected_value,
        breaches.actual_value,
        breaches.at_stake_yuan::numeric(18, 2) as at_stake_yuan,
        breaches.submission_id,
        breaches.sheet,
        breaches.source_row,
        breaches.source_column,
        periods.data_maturity
    from breaches
    inner join periods on breaches.period = periods.period
)

select * from final
