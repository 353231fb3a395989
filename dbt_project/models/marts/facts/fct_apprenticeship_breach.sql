with

classes as (
    select
        *,
        {{ period_last_day('period') }} as as_of
    from {{ ref('fct_apprenticeship_month') }}
    where period = '{{ run_period() }}'
),

rules as (
    select
        rule,
        value
    from {{ ref('subsidy_rules') }}
),

-- What each rule counts: from its deadline, how far it was missed, and the day it was mended on, if at all.
counted as (
    select
        'review_working_days' as rule,
        'filing' as aspect,
        class_key || ':filing' as breach_key,
        class_key,
        filing_review_by as due_on,
        filing_review_working_days::text as actual_value,
        filing_review_over_working_days > 0 as is_broken,
        filed_on as done_on,
        null::numeric as amount_yuan
    from classes

    union all

    select
        'start_days' as rule,
        'start' as aspect,
        class_key || ':start' as breach_key,
        class_key,
        start_by as due_on,
        (coalesce(started_on, as_of) - filed_on)::text as actual_value,
        start_over_days > 0 as is_broken,
        started_on as done_on,
        null::numeric as amount_yuan
    from classes

    union all

    select
        'claim_days' as rule,
        'claim' as aspect,
        class_key || ':claim' as breach_key,
        class_key,
        claim_by as due_on,
        (coalesce(claimed_on, as_of) - completed_on)::text as actual_value,
        claim_over_days > 0 as is_broken,
        claimed_on as done_on,
        applied_yuan as amount_yuan
    from classes

    union all

    -- every leaving has a deadline of its own
    select
        'leaver_report_days' as rule,
        'leaver' as aspect,
        class_key || ':leaver:' || left_on as breach_key,
        class_key,
        leaver_report_by as due_on,
        (coalesce(case when left_reported_on >= left_on then left_reported_on end, as_of) - left_on)::text
            as actual_value,
        leaver_report_over_days > 0 as is_broken,
        case when left_reported_on >= left_on then left_reported_on end as done_on,
        null::numeric as amount_yuan
    from classes

    union all

    -- an advance is mended when it has been deducted: the class is settled then
    select
        'advance_share' as rule,
        'advance' as aspect,
        class_key || ':advance' as breach_key,
        class_key,
        null::date as due_on,
        trim_scale(round(advance_share, 4))::text as actual_value,
        advanced_yuan > advance_limit_yuan and state <> 'settled' as is_broken,
        null::date as done_on,
        advanced_yuan - advance_limit_yuan as amount_yuan
    from classes
),

-- A breach stands while it lasts, and in the month in which it was mended too late.
final as (
    select
        classes.period,
        counted.rule,
        counted.breach_key,
        counted.aspect,
        classes.class_key,
        classes.county_code,
        classes.city_code,
        'apprenticeship' as item_code,
        classes.uscc as payee_uscc,
        counted.due_on,
        counted.done_on is null as is_open,
        rules.value as expected_value,
        counted.actual_value,
        counted.amount_yuan::numeric(18, 2) as amount_yuan,
        classes.reported_period as line_period,
        classes.submission_id,
        classes.sheet,
        classes.source_row,
        '' as source_column,
        classes.data_maturity
    from counted
    inner join classes on counted.class_key = classes.class_key
    inner join rules on counted.rule = rules.rule
    where
        counted.is_broken
        and (counted.done_on is null or to_char(counted.done_on, 'YYYY-MM') = classes.period)
)

select * from final
