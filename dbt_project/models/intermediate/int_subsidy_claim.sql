with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where form = 'subsidy_payment'
),

claim_rows as (
    select * from {{ ref('stg_raw__subsidy_payment') }}
),

item_names as (
    select * from {{ ref('int_subsidy_item_name') }}
),

items as (
    select * from {{ ref('subsidy_items') }}
),

occupation_names as (
    select * from {{ ref('int_occupation_name') }}
),

workdays as (
    select * from {{ ref('workdays') }}
),

mapped as (
    select
        claim_rows.*,
        accepted.reporter_code,
        accepted.city_code,
        item_names.item_code,
        coalesce(occupation_names.occupation_code, {{ unclassified_occupation() }}) as occupation_code
    from claim_rows
    inner join accepted
        on
            claim_rows.period = accepted.period
            and claim_rows.submission_id = accepted.submission_id
    left join item_names
        on {{ comparable_text('claim_rows.item_as_sent') }} = item_names.written_as
    left join occupation_names
        on {{ comparable_text('claim_rows.occupation') }} = occupation_names.written_as
),

final as (
    select
        mapped.period,
        mapped.reporter_code,
        mapped.county_code,
        mapped.city_code,
        coalesce(items.item_code, {{ unclassified_item() }}) as item_code,
        coalesce(items.item_name, '未归类') as item,
        mapped.item_as_sent,
        coalesce(items.is_training, false) as is_training,
        items.training_type,
        mapped.fund,
        mapped.batch_no,
        mapped.payee_uscc,
        mapped.person_key,
        mapped.person_group,
        {{ subsidy_claim_key('mapped') }} as claim_key,
        mapped.occupation,
        mapped.occupation_code,
        coalesce(
            nullif(mapped.occupation_code, {{ unclassified_occupation() }}), {{ comparable_text('mapped.occupation') }}
        ) as occupation_key,
        mapped.level,
        md5({{ comparable_text('mapped.certificate_no') }}) as certificate_mark,
        mapped.covered_from,
        mapped.covered_to,
        mapped.quantity,
        mapped.standard_yuan,
        mapped.applied_yuan,
        mapped.approved_yuan,
        mapped.advanced_yuan,
        mapped.paid_yuan,
        mapped.applied_on,
        mapped.accepted_on,
        mapped.reviewed_on,
        mapped.notice_from,
        mapped.notice_to,
        mapped.decided_on,
        mapped.paid_on,
        mapped.payment_type,
        mapped.status,
        coalesce(mapped.payment_type, '') = '追回' as is_recovery,
        coalesce(mapped.status, '') in ('审核通过', '公示中', '公示通过', '已拨付')
        and coalesce(mapped.payment_type, '') not in ('预支', '追回') as is_granted,
        {{ working_days_between('applied', 'received') }} as accept_working_days,
        {{ working_days_between('received', 'reviewed') }} as review_working_days,
        {{ working_days_inclusive('notice_began', 'notice_ended') }} as notice_working_days,
        {{ working_days_between('notice_ended', 'decided') }} as decide_working_days,
        {{ working_days_between('decided', 'paid') }} as payment_working_days,
        num_nonnulls(
            mapped.applied_on,
            mapped.accepted_on,
            mapped.reviewed_on,
            mapped.notice_from,
            mapped.notice_to,
            mapped.decided_on,
            mapped.paid_on
        ) > num_nonnulls(
            applied.day, received.day, reviewed.day, notice_began.day, notice_ended.day, decided.day, paid.day
        ) as is_outside_calendar,
        mapped.submission_id,
        mapped.sheet,
        mapped.source_row,
        mapped.source_column
    from mapped
    left join items on mapped.item_code = items.item_code
    left join workdays as applied on mapped.applied_on = applied.day
    left join workdays as received on mapped.accepted_on = received.day
    left join workdays as reviewed on mapped.reviewed_on = reviewed.day
    left join workdays as notice_began on mapped.notice_from = notice_began.day
    left join workdays as notice_ended on mapped.notice_to = notice_ended.day
    left join workdays as decided on mapped.decided_on = decided.day
    left join workdays as paid on mapped.paid_on = paid.day
)

select * from final
