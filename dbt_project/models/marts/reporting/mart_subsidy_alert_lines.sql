with

breach_lines as (
    select * from {{ ref('fct_subsidy_breach_line') }}
    where period = '{{ run_period() }}'
),

-- Each line by its key: earlier months are not read through.
claims as (
    select
        breach_lines.alert_id,
        claim.*
    from breach_lines
    cross join lateral (
        select lines.* from {{ ref('fct_subsidy_claim') }} as lines
        where
            lines.period = breach_lines.line_period
            and lines.submission_id = breach_lines.submission_id
            and lines.sheet = breach_lines.sheet
            and lines.source_row = breach_lines.source_row
            and lines.source_column = breach_lines.source_column
            and breach_lines.form = 'subsidy_payment'
        order by lines.period
        offset 0
    ) as claim
),

final as (
    select
        breach_lines.period,
        breach_lines.alert_id,
        row_number() over (
            partition by breach_lines.alert_id
            order by
                breach_lines.line_period,
                claims.applied_on nulls last,
                breach_lines.county_code,
                breach_lines.submission_id,
                breach_lines.sheet,
                breach_lines.source_row,
                breach_lines.source_column
        )::integer as line_no,
        breach_lines.rule,
        breach_lines.form,
        breach_lines.submission_id,
        breach_lines.sheet,
        breach_lines.source_row,
        breach_lines.source_column,
        breach_lines.line_period,
        breach_lines.county_code,
        breach_lines.city_code,
        breach_lines.item_code,
        left(breach_lines.person_key, 8) as person_mark,
        breach_lines.is_breaking,
        breach_lines.at_stake_yuan,
        claims.occupation,
        claims.level,
        claims.payment_type,
        claims.status,
        claims.standard_yuan,
        claims.quantity,
        claims.applied_yuan,
        claims.approved_yuan,
        claims.advanced_yuan,
        claims.paid_yuan,
        claims.covered_from,
        claims.covered_to,
        claims.applied_on,
        claims.accepted_on,
        claims.reviewed_on,
        claims.notice_from,
        claims.notice_to,
        claims.decided_on,
        claims.paid_on,
        breach_lines.data_maturity
    from breach_lines
    left join claims
        on
            breach_lines.alert_id = claims.alert_id
            and breach_lines.line_period = claims.period
            and breach_lines.submission_id = claims.submission_id
            and breach_lines.sheet = claims.sheet
            and breach_lines.source_row = claims.source_row
            and breach_lines.source_column = claims.source_column
)

select * from final
