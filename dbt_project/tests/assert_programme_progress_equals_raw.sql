-- Reconciliation of form 4: per county and unit as written, the fact holds what the accepted rows in raw hold, row by
-- row counted, matched to a target or not; and the mart's county rows add up to the fact's comparable lines.
with

accepted as (
    select
        this.submission_id,
        this.county_code
    from {{ source('intake', 'submission') }} as this
    where
        this.period = '{{ run_period() }}'
        and this.form = 'programme_progress'
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
        coalesce(sent.unit, '') as unit_as_sent,
        count(*) as lines,
        sum(sent.done_this_month) as done_this_month,
        sum(sent.done_to_date) as done_to_date
    from {{ source('raw', 'programme_progress') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code, coalesce(sent.unit, '')
),

fact_totals as (
    select
        county_code,
        coalesce(unit_as_sent, '') as unit_as_sent,
        count(*) as lines,
        sum(done_this_month) as done_this_month,
        sum(done_to_date) as done_to_date
    from {{ ref('fct_indicator_progress') }}
    where period = '{{ run_period() }}'
    group by county_code, coalesce(unit_as_sent, '')
),

targets as (
    select * from {{ ref('dim_policy_target') }}
    where basis in ('stock', 'cumulative', 'period')
),

comparable as (
    select
        lines.county_code,
        lines.target_id,
        sum(lines.done_to_date) as done_to_date
    from {{ ref('fct_indicator_progress') }} as lines
    inner join targets on lines.target_id = targets.target_id
    where
        lines.period = '{{ run_period() }}'
        and lines.is_comparable
        and lines.done_to_date is not null
        and targets.is_additive
    group by lines.county_code, lines.target_id
),

county_rows as (
    select
        progress.region_code as county_code,
        progress.target_id,
        progress.reported_value as done_to_date
    from {{ ref('mart_programme_progress') }} as progress
    inner join targets on progress.target_id = targets.target_id
    where
        progress.period = '{{ run_period() }}'
        and progress.level = 'county'
        and progress.reported_value is not null
        and targets.is_additive
)

select
    coalesce(raw_totals.county_code, fact_totals.county_code) as county_code,
    coalesce(raw_totals.unit_as_sent, fact_totals.unit_as_sent) as what,
    raw_totals.done_to_date as expected,
    fact_totals.done_to_date as found
from raw_totals
full outer join fact_totals
    on
        raw_totals.county_code = fact_totals.county_code
        and raw_totals.unit_as_sent = fact_totals.unit_as_sent
where
    raw_totals.lines is distinct from fact_totals.lines
    or raw_totals.done_this_month is distinct from fact_totals.done_this_month
    or raw_totals.done_to_date is distinct from fact_totals.done_to_date

union all

select
    coalesce(comparable.county_code, county_rows.county_code) as county_code,
    coalesce(comparable.target_id, county_rows.target_id) as what,
    comparable.done_to_date as expected,
    county_rows.done_to_date as found
from comparable
full outer join county_rows
    on
        comparable.county_code = county_rows.county_code
        and comparable.target_id = county_rows.target_id
-- A reporter of a whole city has no county row.
where
    (comparable.county_code is null or comparable.county_code not like '____00')
    and comparable.done_to_date is distinct from county_rows.done_to_date
