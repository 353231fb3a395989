{%- set measures = ['claims', 'applied_yuan', 'approved_yuan', 'advanced_yuan', 'paid_yuan', 'recovered_yuan'] -%}
-- Reconciliation: every line behind an alert of the period is a line of an accepted report in raw, with its amounts, and
-- every alert has as many lines as it says; per county and fund the disbursement adds up to raw.
with

accepted as (
    select
        this.submission_id,
        this.period,
        this.county_code
    from {{ source('intake', 'submission') }} as this
    where
        this.form = 'subsidy_payment'
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

lines as (
    select * from {{ ref('mart_subsidy_alert_lines') }}
    where period = '{{ run_period() }}'
),

alerts as (
    select * from {{ ref('mart_subsidy_alerts') }}
    where period = '{{ run_period() }}'
),

unknown_lines as (
    select
        lines.alert_id as thing,
        'line ' || lines.line_no as measure,
        null::numeric as raw_total,
        lines.paid_yuan as mart_total
    from lines
    left join accepted
        on
            lines.submission_id = accepted.submission_id
            and lines.line_period = accepted.period
            and lines.county_code = accepted.county_code
    left join
        lateral (
            select raw_lines.* from {{ source('raw', 'subsidy_payment') }} as raw_lines
            where
                raw_lines.period = lines.line_period
                and raw_lines.submission_id = lines.submission_id
                and raw_lines.sheet = lines.sheet
                and raw_lines.source_row = lines.source_row
                and raw_lines.source_column = lines.source_column
            order by raw_lines.period
            offset 0
        ) as sent
        on true
    where
        lines.form = 'subsidy_payment'
        and (
            accepted.submission_id is null
            or sent.submission_id is null
            or (lines.applied_yuan, lines.approved_yuan, lines.advanced_yuan, lines.paid_yuan)
            is distinct from (sent.applied, sent.approved, sent.advanced, sent.paid)
        )
),

miscounted as (
    select
        coalesce(alerts.alert_id, counted.alert_id) as thing,
        'claims' as measure,
        counted.claims::numeric as raw_total,
        alerts.claims::numeric as mart_total
    from alerts
    full outer join (
        select
            alert_id,
            count(*) as claims
        from lines
        group by alert_id
    ) as counted on alerts.alert_id = counted.alert_id
    where alerts.claims is distinct from counted.claims
),

raw_totals as (
    select
        sent.county_code || ' ' || sent.fund as thing,
        count(*)::numeric as claims,
        sum(sent.applied) filter (where sent.payment_type is distinct from '追回') as applied_yuan,
        sum(sent.approved) filter (where sent.payment_type is distinct from '追回') as approved_yuan,
        sum(sent.advanced) filter (where sent.payment_type = '预支') as advanced_yuan,
        sum(sent.paid) filter (where sent.payment_type is distinct from '追回') as paid_yuan,
        sum(abs(sent.paid)) filter (where sent.payment_type = '追回') as recovered_yuan
    from {{ source('raw', 'subsidy_payment') }} as sent
    inner join accepted
        on
            sent.submission_id = accepted.submission_id
            and sent.period = accepted.period
    where sent.period = '{{ run_period() }}'
    group by sent.county_code, sent.fund
),

mart_totals as (
    select
        county_code || ' ' || fund as thing,
    {%- for measure in measures %}
    sum({{ measure }})::numeric as {{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('mart_subsidy_disbursement') }}
    where period = '{{ run_period() }}'
    group by county_code, fund
),

unequal as (
    {%- for measure in measures %}
    select
        coalesce(raw_totals.thing, mart_totals.thing) as thing,
        '{{ measure }}' as measure,
        raw_totals.{{ measure }} as raw_total,
        mart_totals.{{ measure }} as mart_total
    from raw_totals
    full outer join mart_totals on raw_totals.thing = mart_totals.thing
    where coalesce(raw_totals.{{ measure }}, 0) <> coalesce(mart_totals.{{ measure }}, 0)
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from unknown_lines

union all

select * from miscounted

union all

select * from unequal
