{%- set steps = ['accept', 'review', 'notice', 'payment'] -%}
{%- set amounts = ['applied', 'approved', 'advanced', 'paid', 'recovered'] -%}
with

claims as (
    select * from {{ ref('fct_subsidy_claim') }}
    where period = '{{ run_period() }}'
),

-- Advances are settled months later; this month's balance looks back over the accepted rows of earlier ledgers.
advances as (
    select * from {{ ref('int_subsidy_claim') }}
    where
        period between '{{ period_before((var("advance_lookback_months") | int) - 1) }}' and '{{ run_period() }}'
        and advanced_yuan is not null
        and status in ('已拨付', '已追回')
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

review_limit as (
    select max(value::numeric) as working_days
    from rules
    where rule = 'review_working_days'
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
        count(*) filter (where claims.review_working_days > review_limit.working_days) as over_limit_claims
    from claims
    cross join review_limit
    group by claims.county_code, claims.city_code, claims.fund, claims.item_code, claims.item
),

balances as (
    select
        county_code,
        fund,
        item_code,
        item,
        sum(case when payment_type = '预支' then advanced_yuan else -abs(advanced_yuan) end) as outstanding_advance_yuan
    from advances
    where payment_type in ('预支', '核拨', '结算', '追回')
    group by county_code, fund, item_code, item
),

counties as (
    select distinct
        county_code,
        city_code
    from accepted
),

-- A balance left from earlier months keeps its row in a county that reported, with 0 claims this month.
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
        {%- for step in steps %}
        this_month.{{ step }}_working_days_median,
        this_month.{{ step }}_working_days_max,
        {%- endfor %}
        coalesce(this_month.over_limit_claims, 0) as over_limit_claims
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
        {%- for step in steps %}
        measured.{{ step }}_working_days_median,
        measured.{{ step }}_working_days_max,
        {%- endfor %}
        measured.over_limit_claims,
        periods.data_maturity
    from measured
    cross join periods
)

select * from final
