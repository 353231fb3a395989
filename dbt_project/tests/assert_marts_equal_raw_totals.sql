-- noqa: disable=layout.indent
{#
    Reconciliation: per county, every additive measure of the labour marts equals what the accepted rows in raw hold. The
    accepted version is found here on its own (no later accepted one exists), straight from the sources. Marts of other
    subjects have a test of their own, assert_<subject>_equals_raw. The measures are looped over, which the linter's
    indentation rule cannot follow.
-#}
{%- set status = {
    'enterprises': 'count(*)',
    'short_enterprises': 'count(*) filter (where sent.shortage_now > 0)',
    'headcount_persons': 'sum(sent.headcount)',
    'managers_persons': 'sum(sent.managers)',
    'professionals_persons': 'sum(sent.professionals)',
    'workers_persons': 'sum(sent.workers)',
    'women_persons': 'sum(sent.women)',
    'local_county_persons': 'sum(sent.local_county)',
    'other_county_persons': 'sum(sent.other_county)',
    'other_province_persons': 'sum(sent.other_province)',
    'lifted_poverty_persons': 'sum(sent.lifted_poverty)',
    'dispatched_persons': 'sum(sent.dispatched)',
    'skill_junior_persons': 'sum(sent.skill_junior)',
    'skill_intermediate_persons': 'sum(sent.skill_intermediate)',
    'skill_senior_persons': 'sum(sent.skill_senior)',
    'skill_technician_persons': 'sum(sent.skill_technician)',
    'skill_senior_technician_persons': 'sum(sent.skill_senior_technician)',
    'skill_master_persons': 'sum(sent.skill_master)',
    'skill_chief_persons': 'sum(sent.skill_chief)',
    'skilled_persons': 'sum(sent.skilled_total)',
    'high_skilled_persons': 'sum(coalesce(sent.skill_senior, 0) + coalesce(sent.skill_technician, 0)'
        ~ ' + coalesce(sent.skill_senior_technician, 0) + coalesce(sent.skill_master, 0) + coalesce(sent.skill_chief, 0))',
    'insured_persons': 'sum(sent.insured)',
    'hired_persons': 'sum(sent.hired)',
    'leavers_persons': 'sum(sent.leavers)',
    'shortage_now_persons': 'sum(sent.shortage_now)',
    'shortage_expansion_persons': 'sum(sent.shortage_expansion)',
    'training_needed_persons': 'sum(sent.training_needed)',
} -%}
{%- set by_industry = [
    'enterprises', 'short_enterprises', 'headcount_persons', 'workers_persons', 'shortage_now_persons',
    'shortage_expansion_persons',
] -%}
{%- set posts = {
    'posts': 'count(*)',
    'employed_persons': 'sum(sent.employed)',
    'shortage_now_persons': 'sum(sent.shortage_now)',
    'planned_hires_persons': 'sum(sent.planned_hires)',
    'shortage_expansion_persons': 'sum(sent.shortage_expansion)',
} -%}
{%- set needs = {
    'needed_persons': 'sum(sent.training_persons)',
    'needed_subsidised_persons': 'sum(sent.training_persons) filter (where sent.training_subsidised)',
} -%}
{%- set claims = {
    'applied_yuan': "sum(sent.applied) filter (where sent.payment_type is distinct from '追回')",
    'paid_yuan': "sum(sent.paid) filter (where sent.payment_type is distinct from '追回')",
} -%}
{%- set reports = {
    'received_forms': 'count(*)',
    'accepted_forms': 'count(*) filter (where counted.is_accepted)',
    'rows_read': 'sum(counted.rows_read)',
    'rows_accepted': 'sum(counted.rows_accepted)',
    'rows_held': 'sum(counted.rows_held)',
    'findings_e': 'sum(counted.findings_e)',
    'findings_r': 'sum(counted.findings_r)',
    'findings_w': 'sum(counted.findings_w)',
    'cells_read': 'sum(counted.cells_read)',
    'cells_filled': 'sum(counted.cells_filled)',
} -%}
{%- set compared = [
    ('fct_industry_month', 'status', status.keys() | list),
    ('mart_labour_shortage', 'status', by_industry),
    ('mart_labour_shortage_summary', 'status', status.keys() | list),
    ('mart_labour_shortage_by_post', 'posts', posts.keys() | list),
    ('mart_training_demand', 'needs', needs.keys() | list),
    ('mart_subsidy_disbursement', 'claims', claims.keys() | list),
    ('mart_reporting_performance', 'reports', reports.keys() | list),
] -%}
with

submissions as (
    select
        *,
        outcome <> 'refused' as is_accepted
    from {{ source('intake', 'submission') }}
    where period = '{{ run_period() }}'
),

accepted as (
    select this.*
    from submissions as this
    where
        this.is_accepted
        and not exists (
            select 1
            from submissions as later
            where
                later.form = this.form
                and later.reporter_code = this.reporter_code
                and later.version > this.version
                and later.is_accepted
        )
),

-- What is counted of a report: its accepted version in use, else the last that came.
counted as (
    select this.*
    from submissions as this
    inner join {{ source('intake', 'expected_report') }} as expected
        on
            this.period = expected.period
            and this.reporter_code = expected.reporter_code
            and this.form = expected.form
    where
        not exists (
            select 1
            from submissions as other
            where
                other.form = this.form
                and other.reporter_code = this.reporter_code
                and (other.is_accepted, other.version) > (this.is_accepted, this.version)
        )
),

status_raw as (
    select
        accepted.county_code
        {%- for measure, total in status.items() %},
        {{ total }} as {{ measure }}
        {%- endfor %}
    from {{ source('raw', 'enterprise_status') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code
),

posts_raw as (
    select
        accepted.county_code
        {%- for measure, total in posts.items() %},
        {{ total }} as {{ measure }}
        {%- endfor %}
    from {{ source('raw', 'labour_demand') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code
),

needs_raw as (
    select
        accepted.county_code
        {%- for measure, total in needs.items() %},
        {{ total }} as {{ measure }}
        {%- endfor %}
    from {{ source('raw', 'labour_demand') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code
),

claims_raw as (
    select
        accepted.county_code
        {%- for measure, total in claims.items() %},
        {{ total }} as {{ measure }}
        {%- endfor %}
    from {{ source('raw', 'subsidy_payment') }} as sent
    inner join accepted on sent.submission_id = accepted.submission_id
    where sent.period = '{{ run_period() }}'
    group by accepted.county_code
),

reports_raw as (
    select
        counted.county_code
        {%- for measure, total in reports.items() %},
        {{ total }} as {{ measure }}
        {%- endfor %}
    from counted
    group by counted.county_code
),

raw_totals as (
    {%- for mart, source_name, measures in compared %}
    select
        '{{ mart }}' as mart,
        totals.county_code,
        lines.measure,
        lines.total
    from {{ source_name }}_raw as totals
    cross join lateral (
        values
        {%- for measure in measures %}
        ('{{ measure }}', totals.{{ measure }}::numeric){{ ',' if not loop.last }}
        {%- endfor %}
    ) as lines (measure, total)
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

mart_totals as (
    {%- for mart, source_name, measures in compared %}
    select
        '{{ mart }}' as mart,
        totals.county_code,
        lines.measure,
        lines.total
    from (
        select
            {{ 'region_code' if mart == 'mart_labour_shortage_summary' else 'county_code' }} as county_code
            {%- for measure in measures %},
            sum({{ measure }}) as {{ measure }}
            {%- endfor %}
        from {{ ref(mart) }}
        where
            period = '{{ run_period() }}'
            {{ "and level = 'county'" if mart == 'mart_labour_shortage_summary' }}
        group by {{ 'region_code' if mart == 'mart_labour_shortage_summary' else 'county_code' }}
    ) as totals
    cross join lateral (
        values
        {%- for measure in measures %}
        ('{{ measure }}', totals.{{ measure }}::numeric){{ ',' if not loop.last }}
        {%- endfor %}
    ) as lines (measure, total)
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- A reporter without a county of its own stands in the summary's line of its city: assert_summary_levels_agree.
counties as (
    select region_code from {{ ref('dim_region') }}
    where level = 'county'
)

select
    coalesce(raw_totals.mart, mart_totals.mart) as mart,
    coalesce(raw_totals.county_code, mart_totals.county_code) as county_code,
    coalesce(raw_totals.measure, mart_totals.measure) as measure,
    raw_totals.total as raw_total,
    mart_totals.total as mart_total
from raw_totals
full outer join mart_totals
    on
        raw_totals.mart = mart_totals.mart
        and raw_totals.county_code = mart_totals.county_code
        and raw_totals.measure = mart_totals.measure
left join counties on coalesce(raw_totals.county_code, mart_totals.county_code) = counties.region_code
where
    coalesce(raw_totals.total, 0) <> coalesce(mart_totals.total, 0)
    and (
        coalesce(raw_totals.mart, mart_totals.mart) <> 'mart_labour_shortage_summary'
        or counties.region_code is not null
    )
