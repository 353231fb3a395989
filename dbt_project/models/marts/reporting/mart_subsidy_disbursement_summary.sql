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

regions as (
    select * from {{ ref('dim_region') }}
    where level in ('province', 'city')
),

items as (
    select * from {{ ref('dim_subsidy_item') }}
),

rules as (
    select * from {{ ref('subsidy_rules') }}
),

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where
        period = '{{ run_period() }}'
        and form = 'subsidy_payment'
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

-- A median of a city is not made of the medians of its counties: the claims are counted anew for each level.
this_month as (
    select
        place.region_code,
        claims.fund,
        claims.item_code,
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
    cross join
        lateral (
            values (claims.city_code), (left(claims.county_code, 2) || '0000')
        ) as place (region_code)
    group by place.region_code, claims.fund, claims.item_code
),

-- A county that has not reported still holds what was advanced to it.
carried as (
    select
        place.region_code,
        balances.fund,
        balances.item_code,
        sum(balances.outstanding_advance_yuan) as outstanding_advance_yuan,
        sum(balances.paid_year_yuan) as paid_year_yuan
    from balances
    cross join
        lateral (
            values (balances.city_code), (left(balances.county_code, 2) || '0000')
        ) as place (region_code)
    group by place.region_code, balances.fund, balances.item_code
),

reported as (
    select
        place.region_code,
        count(distinct accepted.reporter_code) as reported_reporters
    from accepted
    cross join
        lateral (
            values (accepted.city_code), (left(accepted.county_code, 2) || '0000')
        ) as place (region_code)
    group by place.region_code
),

lines as (
    select
        region_code,
        fund,
        item_code
    from this_month

    union

    select
        region_code,
        fund,
        item_code
    from carried

    union

    select
        region_code,
        fund,
        item_code
    from budgets
),

final as (
    select
        periods.period,
        lines.region_code,
        regions.level,
        regions.city_code,
        lines.fund,
        lines.item_code,
        items.item_name as item,
        coalesce(reported.reported_reporters, 0) as reported_reporters,
        case when reported.region_code is not null then coalesce(this_month.claims, 0) end as claims,
        case when this_month.region_code is null and reported.region_code is not null then 0 else this_month.persons end
            as persons,
        {%- for amount in amounts %}
        (
            case
                when this_month.region_code is null and reported.region_code is not null then 0
                else this_month.{{ amount }}_yuan
            end
        )::numeric(18, 2) as {{ amount }}_yuan,
        {%- endfor %}
        coalesce(carried.outstanding_advance_yuan, 0)::numeric(18, 2) as outstanding_advance_yuan,
        carried.paid_year_yuan::numeric(18, 2) as paid_year_yuan,
        budgets.budget_yuan,
        {{ ratio('carried.paid_year_yuan', 'budgets.budget_yuan') }} as execution_rate,
        {%- for step in steps %}
        this_month.{{ step }}_working_days_median,
        this_month.{{ step }}_working_days_max,
        {%- endfor %}
        this_month.over_limit_claims,
        this_month.short_notice_claims,
        this_month.outside_calendar_claims,
        periods.data_maturity
    from lines
    inner join regions on lines.region_code = regions.region_code
    inner join items on lines.item_code = items.item_code
    cross join periods
    left join reported on lines.region_code = reported.region_code
    {%- for part in ('this_month', 'carried', 'budgets') %}
    left join {{ part }}
        on
            lines.region_code = {{ part }}.region_code
            and lines.fund = {{ part }}.fund
            and lines.item_code = {{ part }}.item_code
    {%- endfor %}
)

select * from final
