-- Reconciliation: per county, what the marts hold equals what the accepted rows in raw hold. The accepted version is
-- found here on its own (no later accepted one exists), straight from the sources.
with

accepted as (
    select
        this.submission_id,
        this.county_code,
        this.form
    from {{ source('intake', 'submission') }} as this
    where
        this.period = '{{ run_period() }}'
        and this.outcome <> 'refused'
        and not exists (
            select 1
            from {{ source('intake', 'submission') }} as later
            where
                later.form = this.form
                and later.period = this.period
                and later.reporter_code = this.reporter_code
                and later.version > this.version
                and later.outcome <> 'refused'
        )
),

raw_totals as (
    select
        accepted.county_code,
        'headcount' as measure,
        sum(sent.headcount)::numeric as total
    from {{ source('raw', 'enterprise_status') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code

    union all

    select
        accepted.county_code,
        'shortage_now' as measure,
        sum(sent.shortage_now)::numeric as total
    from {{ source('raw', 'enterprise_status') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code

    union all

    select
        accepted.county_code,
        'shortage_expansion' as measure,
        sum(sent.shortage_expansion)::numeric as total
    from {{ source('raw', 'enterprise_status') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code

    union all

    select
        accepted.county_code,
        'post_shortage_now' as measure,
        sum(sent.shortage_now)::numeric as total
    from {{ source('raw', 'labour_demand') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code

    union all

    select
        accepted.county_code,
        'training_needed' as measure,
        sum(sent.training_persons)::numeric as total
    from {{ source('raw', 'labour_demand') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where
        sent.period = '{{ run_period() }}'
        and sent.training_persons is not null
    group by accepted.county_code

    union all

    select
        accepted.county_code,
        'applied_yuan' as measure,
        sum(sent.applied) filter (where sent.payment_type is distinct from '追回') as total
    from {{ source('raw', 'subsidy_payment') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code

    union all

    select
        accepted.county_code,
        'paid_yuan' as measure,
        sum(sent.paid) filter (where sent.payment_type is distinct from '追回') as total
    from {{ source('raw', 'subsidy_payment') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code
),

mart_totals as (
    select
        county_code,
        'headcount' as measure,
        sum(headcount_persons)::numeric as total
    from {{ ref('mart_labour_shortage') }}
    where period = '{{ run_period() }}'
    group by county_code

    union all

    select
        county_code,
        'shortage_now' as measure,
        sum(shortage_now_persons)::numeric as total
    from {{ ref('mart_labour_shortage') }}
    where period = '{{ run_period() }}'
    group by county_code

    union all

    select
        county_code,
        'shortage_expansion' as measure,
        sum(shortage_expansion_persons)::numeric as total
    from {{ ref('mart_labour_shortage') }}
    where period = '{{ run_period() }}'
    group by county_code

    union all

    select
        county_code,
        'post_shortage_now' as measure,
        sum(shortage_now_persons)::numeric as total
    from {{ ref('mart_labour_shortage_by_post') }}
    where period = '{{ run_period() }}'
    group by county_code

    union all

    select
        county_code,
        'training_needed' as measure,
        sum(needed_persons)::numeric as total
    from {{ ref('mart_training_demand') }}
    where period = '{{ run_period() }}'
    group by county_code

    union all

    select
        county_code,
        'applied_yuan' as measure,
        sum(applied_yuan) as total
    from {{ ref('mart_subsidy_disbursement') }}
    where period = '{{ run_period() }}'
    group by county_code

    union all

    select
        county_code,
        'paid_yuan' as measure,
        sum(paid_yuan) as total
    from {{ ref('mart_subsidy_disbursement') }}
    where period = '{{ run_period() }}'
    group by county_code
)

select
    coalesce(raw_totals.county_code, mart_totals.county_code) as county_code,
    coalesce(raw_totals.measure, mart_totals.measure) as measure,
    raw_totals.total as raw_total,
    mart_totals.total as mart_total
from raw_totals
full outer join mart_totals
    on
        raw_totals.county_code = mart_totals.county_code
        and raw_totals.measure = mart_totals.measure
where coalesce(raw_totals.total, 0) <> coalesce(mart_totals.total, 0)
