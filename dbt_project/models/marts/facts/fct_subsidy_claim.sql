with

claims as (
    select * from {{ ref('int_subsidy_ledger') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

final as (
    select
        claims.period,
        claims.reporter_code,
        claims.county_code,
        claims.city_code,
        claims.item_code,
        claims.item,
        claims.item_as_sent,
        claims.is_training,
        claims.training_type,
        claims.fund,
        claims.batch_no,
        claims.payee_uscc,
        claims.person_key,
        claims.person_group,
        claims.claim_key,
        claims.occupation,
        claims.occupation_code,
        claims.level,
        claims.covered_from,
        claims.covered_to,
        claims.quantity,
        claims.standard_yuan,
        claims.applied_yuan,
        claims.approved_yuan,
        claims.advanced_yuan,
        claims.paid_yuan,
        claims.applied_on,
        claims.accepted_on,
        claims.reviewed_on,
        claims.notice_from,
        claims.notice_to,
        claims.decided_on,
        claims.paid_on,
        claims.payment_type,
        claims.status,
        claims.is_recovery,
        claims.is_granted,
        claims.accept_working_days,
        claims.review_working_days,
        claims.notice_working_days,
        claims.decide_working_days,
        claims.payment_working_days,
        claims.is_outside_calendar,
        claims.submission_id,
        claims.sheet,
        claims.source_row,
        claims.source_column,
        periods.data_maturity
    from claims
    inner join periods on claims.period = periods.period
)

select * from final
