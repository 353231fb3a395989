{%- set steps = ['accept', 'review', 'notice', 'decide', 'payment'] -%}
{%- set amounts = ['applied', 'approved', 'advanced', 'paid', 'recovered'] -%}
with

claims as (
    select * from {{ ref('fct_subsidy_claim') }}
    where period = '{{ run_period() }}'
),

balances as (
    select * from {{ ref('fct_subsidy_balance') }}
    where period = '{{ run_period() }}'
),

budgets as (
    select * from {{ ref('subsidy_budgets') }}
    where budget_year = left('{{ run_period() }}', 4)
),

items as (
    select * from {{ ref('dim_subsidy_item') }}
),

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where
        period = '{{ run_period() }}'
        and form = 'subsidy_payment'
),

rules as (
    select * from {{ ref('subsidy_rules') }}
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

limits as (
    select
        max(value::numeric) filter (where rule = 'review_working_days') as review_working_days,
        max(value::numeric) filter (where rule = 'notice_working_days') as notice_working_days
    from rules
),

this_month as (
    select
        claims.county_code,
        claims.city_code,
        claims.fund,
        claims.item_code,
        claims.item,
        count(*) as claims,
        nullif(count(distinct claims.person_key), 0) as persons,
        sum(claims.applied_yuan) filter (where not claims.is_recovery) as applied_yuan,
        sum(claims.approved_yuan) filter (where not claims.is_recovery) as approved_yuan,
        sum(claims.advanced_yuan) filter (where claims.payment_type = '预支') as advanced_yuan,
        sum(claims.paid_yuan) filter (where not claims.is_recovery) as paid_yuan,
        sum(abs(claims.paid_yuan)) filter (where claims.is_recovery) as recovered_yuan,
        {%- for step in steps %}
        (percentile_cont(0.5) within group (
            order by claims.{{ step }}_working_days
        ))::numeric(10, 1) as {{ step }}_working_days_median,
        max(claims.{{ step }}_working_days) as {{ step }}_working_days_max,
        {%- endfor %}
        count(*) filter (where claims.review_working_days > limits.review_working_days) as over_limit_claims,
        count(*) filter (where claims.notice_working_days < limits.notice_working_days) as short_notice_claims,
        count(*) filter (where claims.is_outside_calendar) as outside_calendar_claims
    from claims
    cross join limits
    group by claims.county_code, claims.city_code, claims.fund, claims.item_code, claims.item
),

counties as (
    select distinct
        county_code,
        city_code
    from accepted
),

-- A balance left from earlier months, or a budget, keeps its row in a county that reported, with 0 claims this month.
lines as (
    select
        county_code,
        fund,
        item_code,
        item
    from this_month

    union

    select
        county_code,
        fund,
        item_code,
        item
    from balances
    where outstanding_advance_yuan <> 0

    union

    select
        budgets.region_code as county_code,
        budgets.fund,
        budgets.item_code,
        items.item_name as item
    from budgets
    inner join items on budgets.item_code = items.item_code
),

measured as (
    select
        lines.county_code,
        counties.city_code,
        lines.fund,
        lines.item_code,
        lines.item,
        this_month.county_code is null as is_idle,
        coalesce(this_month.claims, 0) as claims,
        this_month.persons,
        this_month.applied_yuan,
        this_month.approved_yuan,
        this_month.advanced_yuan,
        this_month.paid_yuan,
        this_month.recovered_yuan,
        balances.outstanding_advance_yuan,
        balances.paid_year_yuan,
        budgets.budget_yuan,
        {%- for step in steps %}
        this_month.{{ step }}_working_days_median,
        this_month.{{ step }}_working_days_max,
        {%- endfor %}
        coalesce(this_month.over_limit_claims, 0) as over_limit_claims,
        coalesce(this_month.short_notice_claims, 0) as short_notice_claims,
        coalesce(this_month.outside_calendar_claims, 0) as outside_calendar_claims
    from lines
    inner join counties on lines.county_code = counties.county_code
    left join this_month
        on
            lines.county_code = this_month.county_code
            and lines.fund = this_month.fund
            and lines.item_code = this_month.item_code
    left join balances
        on
            lines.county_code = balances.county_code
            and lines.fund = balances.fund
            and lines.item_code = balances.item_code
    left join budgets
        on
            lines.county_code = budgets.region_code
            and lines.fund = budgets.fund
            and lines.item_code = budgets.item_code
),

final as (
    select
        periods.period,
        measured.county_code,
        measured.city_code,
        measured.fund,
        measured.item_code,
        measured.item,
        measured.claims,
        case when measured.is_idle then 0 else measured.persons end as persons,
        {%- for amount in amounts %}
        (case when measured.is_idle then 0 else measured.{{ amount }}_yuan end)::numeric(18, 2) as {{ amount }}_yuan,
        {%- endfor %}
        coalesce(measured.outstanding_advance_yuan, 0)::numeric(18, 2) as outstanding_advance_yuan,
        measured.paid_year_yuan,
        measured.budget_yuan,
        {{ ratio('measured.paid_year_yuan', 'measured.budget_yuan') }} as execution_rate,
        {%- for step in steps %}
        measured.{{ step }}_working_days_median,
        measured.{{ step }}_working_days_max,
        {%- endfor %}
        measured.over_limit_claims,
        measured.short_notice_claims,
        measured.outside_calendar_claims,
        periods.data_maturity
    from measured
    cross join periods
)

select * from final
