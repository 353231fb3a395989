{%- set amounts = ['applied', 'approved', 'advanced', 'paid', 'recovered', 'outstanding_advance', 'advanced_in_half', 'paid_in_half'] -%}
{%- set class_columns = [
    'class_key', 'reporter_code', 'county_code', 'city_code', 'filing_no', 'enterprise_name', 'uscc',
    'training_institution', 'occupation', 'occupation_code', 'level', 'materials_on', 'filed_on', 'started_on',
    'completed_on', 'left_on', 'left_reported_on', 'filed_persons', 'training_persons', 'passed_persons',
    'left_persons', 'submission_id', 'sheet', 'source_row',
] -%}
with

reports as (
    select * from {{ ref('int_apprenticeship_class') }}
    where period = '{{ run_period() }}'
),

claims as (
    select * from {{ ref('fct_subsidy_claim') }}
    where
        item_code = 'apprenticeship'
        and period between '{{ period_before((var("advance_lookback_months") | int) - 1) }}' and '{{ run_period() }}'
),

rules as (
    select * from {{ ref('subsidy_rules') }}
),

workdays as (
    select * from {{ ref('workdays') }}
),

periods as (
    select
        period,
        data_maturity,
        {{ period_last_day('period') }} as as_of
    from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

limits as (
    select
        max(value::numeric) filter (where rule = 'start_days')::integer as start_days,
        max(value::numeric) filter (where rule = 'claim_days')::integer as claim_days,
        max(value::numeric) filter (where rule = 'leaver_report_days')::integer as leaver_report_days,
        max(value::numeric) filter (where rule = 'review_working_days')::integer as review_working_days,
        max(value::numeric) filter (where rule = 'advance_share') as advance_share
    from rules
    where rule in ('start_days', 'claim_days', 'leaver_report_days', 'review_working_days', 'advance_share')
),

{% if is_incremental() %}
-- Months are built oldest first: the latest earlier month, usually the last one, holds what was known of every class.
last_month as (
    select
        *,
        {{ month_index("'" ~ run_period() ~ "'") }} - {{ month_index('period') }} as months_since
    from {{ this }}
    where
        period = (
            select max(earlier.period) from {{ this }} as earlier
            where earlier.period < '{{ run_period() }}'
        )
),

-- A class that got its number this month was known by its papers before.
recognised as (
    select distinct on (reports.class_key)
        reports.class_key,
        last_month.class_key as class_key_before,
        last_month.state as previous_state,
        last_month.months_in_state + last_month.months_since - 1 as previous_months_in_state
    from reports
    inner join last_month
        on last_month.class_key in (reports.class_key, reports.application_key)
    order by reports.class_key asc, (last_month.class_key = reports.class_key) desc
),

-- A class that is missing from this month's report stays as it was last known until it is settled; a settled one some
-- months longer, for the half-yearly return and the yearly lists.
carried as (
    select last_month.*
    from last_month
    left join recognised on last_month.class_key = recognised.class_key_before
    where
        recognised.class_key is null
        and (
            last_month.state <> 'settled'
            or last_month.months_without_report + last_month.months_since <= {{ var('settled_class_months') | int }}
        )
),

classes as (
    select
        {%- for column in class_columns %}
        reports.{{ column }},
        {%- endfor %}
        reports.period as reported_period,
        0 as months_without_report,
        recognised.previous_state,
        recognised.previous_months_in_state
    from reports
    left join recognised on reports.class_key = recognised.class_key

    union all

    select
        {%- for column in class_columns %}
        {{ column }},
        {%- endfor %}
        reported_period,
        months_without_report + months_since as months_without_report,
        state as previous_state,
        months_in_state + months_since - 1 as previous_months_in_state
    from carried
),
{% else %}
-- The first month ever built has none before it.
classes as (
    select
        {%- for column in class_columns %}
        {{ column }},
        {%- endfor %}
        period as reported_period,
        0 as months_without_report,
        null::text as previous_state,
        null::integer as previous_months_in_state
    from reports
),
{% endif %}

known_classes as (
    select
        *,
        {{ comparable_text('filing_no') }} as number_as_compared,
        {{ occupation_as_matched() }} as occupation_as_matched
    from classes
),

-- Money still on its way has no payment type yet; an advance shows by its amount then.
sorted_claims as (
    select
        *,
        {{ comparable_text('batch_no') }} as batch_as_compared,
        {{ occupation_as_matched() }} as occupation_as_matched,
        coalesce(applied_on, accepted_on, paid_on) as begun_on,
        status in ('已拨付', '已追回') as is_moved,
        not is_recovery
        and (
            coalesce(payment_type, '') = '预支'
            or (payment_type is null and advanced_yuan is not null)
        ) as is_advance,
        row_number() over (
            order by period, submission_id, sheet, source_row, source_column
        ) as line_no
    from claims
),

-- A claim that stands in several ledgers while it is decided counts once, as it stood last. Money that moved counts
-- wherever it stands.
claim_lines as (
    select
        *,
        not is_advance and not is_recovery as is_claim,
        rank() over (
            partition by
                county_code,
                payee_uscc,
                batch_no,
                occupation,
                level,
                person_key,
                applied_on,
                is_recovery
            order by period desc
        ) = 1 as is_newest
    from sorted_claims
),

-- By the filing number where the batch is one, else by enterprise, occupation and level; never before the class was
-- filed, and never by guess: a line that two classes could claim belongs to neither.
by_number as (
    select
        claim_lines.line_no,
        known_classes.class_key
    from claim_lines
    inner join known_classes
        on
            claim_lines.county_code = known_classes.county_code
            and claim_lines.batch_as_compared = known_classes.number_as_compared
            and coalesce(claim_lines.payee_uscc, known_classes.uscc) = known_classes.uscc
),

by_kind as (
    select
        claim_lines.line_no,
        known_classes.class_key
    from claim_lines
    inner join known_classes
        on
            claim_lines.county_code = known_classes.county_code
            and claim_lines.payee_uscc = known_classes.uscc
            and claim_lines.occupation_as_matched = known_classes.occupation_as_matched
            and claim_lines.level = known_classes.level
            and claim_lines.begun_on >= known_classes.filed_on
),

candidates as (
    select
        line_no,
        class_key,
        true as is_by_number
    from by_number

    union all

    select
        line_no,
        class_key,
        false as is_by_number
    from by_kind
),

attributed as (
    select
        line_no,
        case
            when bool_or(is_by_number) then min(class_key) filter (where is_by_number)
            else min(class_key)
        end as class_key
    from candidates
    group by line_no
    having
        count(*) filter (where is_by_number) = 1
        or (count(*) = 1 and not bool_or(is_by_number))
),

claim_times as (
    select
        attributed.class_key,
        claim_lines.*,
        case
            when claim_lines.reviewed_on is not null then claim_lines.review_working_days
            when claim_lines.status <> '退回补正'
                then today.working_day_number - received.working_day_number
        end as working_days_in_review,
        case when claim_lines.reviewed_on is null and claim_lines.status <> '退回补正' then due.day end as review_by
    from claim_lines
    inner join attributed on claim_lines.line_no = attributed.line_no
    cross join periods
    cross join limits
    left join workdays as today on periods.as_of = today.day
    left join workdays as received on claim_lines.accepted_on = received.day
    left join workdays as due
        on
            received.working_day_number + limits.review_working_days = due.working_day_number
            and due.is_working_day
),

totals as (
    select
        class_key,
        count(*) filter (where is_claim and is_newest) as claims,
        count(*) filter (
            where is_claim and is_newest and status in ('申请', '受理', '审核中', '退回补正')
        ) as undecided_claims,
        count(*) filter (
            where is_claim and is_newest and status in ('审核通过', '公示中', '公示通过')
        ) as approved_unpaid_claims,
        count(*) filter (where is_claim and is_moved) as paid_claims,
        min(coalesce(applied_on, accepted_on)) filter (where is_claim and is_newest) as claimed_on,
        min(accepted_on) filter (where is_claim and is_newest) as claim_accepted_on,
        max(reviewed_on) filter (where is_claim and is_newest) as claim_reviewed_on,
        min(review_by) filter (where is_claim and is_newest) as claim_review_by,
        max(working_days_in_review) filter (where is_claim and is_newest) as claim_review_working_days,
        min(paid_on) filter (where is_advance and is_moved) as advanced_on,
        max(paid_on) filter (where is_claim and is_moved) as paid_on,
        max(standard_yuan) as standard_yuan,
        sum(applied_yuan) filter (where is_claim and is_newest) as applied_yuan,
        sum(approved_yuan) filter (where is_claim and is_newest) as approved_yuan,
        sum(advanced_yuan) filter (where is_advance and is_moved) as advanced_yuan,
        sum(paid_yuan) filter (where is_claim and is_moved) as paid_yuan,
        sum(abs(paid_yuan)) filter (where is_recovery and is_moved) as recovered_yuan,
        coalesce(sum(case when is_advance then advanced_yuan else -abs(advanced_yuan) end) filter (
            where is_moved
        ), 0) as outstanding_advance_yuan,
        sum(advanced_yuan) filter (
            where is_advance and is_moved and period >= '{{ half_year_begin() }}'
        ) as advanced_in_half_yuan,
        sum(paid_yuan) filter (
            where is_claim and is_moved and period >= '{{ half_year_begin() }}'
        ) as paid_in_half_yuan
    from claim_times
    group by class_key
),

-- Calendar days run on over holidays: the document speaks of working days where it means them.
deadlines as (
    select
        classes.*,
        totals.claims,
        totals.undecided_claims,
        totals.approved_unpaid_claims,
        totals.paid_claims,
        totals.claimed_on,
        totals.claim_accepted_on,
        totals.claim_reviewed_on,
        totals.claim_review_by,
        totals.claim_review_working_days,
        totals.advanced_on,
        totals.paid_on,
        totals.standard_yuan,
        {%- for amount in amounts %}
        totals.{{ amount }}_yuan,
        {%- endfor %}
        limits.review_working_days as review_limit,
        limits.advance_share,
        periods.period,
        periods.as_of,
        periods.data_maturity,
        review_due.day as filing_review_by,
        coalesce(filed.working_day_number, case when classes.filed_on is null then today.working_day_number end)
        - received.working_day_number as working_days_to_filing,
        classes.filed_on + limits.start_days as start_by,
        classes.completed_on + limits.claim_days as claim_by,
        classes.left_on + limits.leaver_report_days as leaver_report_by
    from classes
    cross join periods
    cross join limits
    left join totals on classes.class_key = totals.class_key
    left join workdays as today on periods.as_of = today.day
    left join workdays as received on classes.materials_on = received.day
    left join workdays as filed on classes.filed_on = filed.day
    left join workdays as review_due
        on
            received.working_day_number + limits.review_working_days = review_due.working_day_number
            and review_due.is_working_day
),

-- Over: days beyond the deadline when the thing was done, or at the end of the month while it is not; null where
-- nothing runs or a date is missing, 0 in time.
judged as (
    select
        *,
        case when working_days_to_filing >= 0 then working_days_to_filing end as filing_review_working_days,
        case
            when working_days_to_filing >= 0 then greatest(working_days_to_filing - review_limit, 0)
        end as filing_review_over_working_days,
        {{ days_over('coalesce(started_on, as_of)', 'start_by') }} as start_over_days,
        case
            when coalesce(claims, 0) = 0 or claimed_on is not null
                then {{ days_over('coalesce(claimed_on, as_of)', 'claim_by') }}
        end as claim_over_days,
        -- a report older than the latest leaving speaks of somebody else
        {{ days_over(
            'coalesce(case when left_reported_on >= left_on then left_reported_on end, as_of)', 'leaver_report_by'
        ) }} as leaver_report_over_days,
        case
            when claim_review_working_days is not null then greatest(claim_review_working_days - review_limit, 0)
        end as claim_review_over_working_days,
        advance_share * standard_yuan * filed_persons as advance_limit_yuan
    from deadlines
),

stated as (
    select
        *,
        case
            when paid_claims > 0 and undecided_claims = 0 and approved_unpaid_claims = 0 and outstanding_advance_yuan <= 0
                then 'settled'
            when paid_claims > 0 then 'paid'
            when approved_unpaid_claims > 0 then 'reviewed'
            when undecided_claims > 0 then 'claimed'
            when claims > 0 then 'rejected'
            when completed_on is not null and claim_over_days > 0 then 'claim_lapsed'
            when completed_on is not null then 'completed'
            when started_on is not null then 'training'
            when filed_on is not null and start_over_days > 0 then 'start_lapsed'
            when filed_on is not null then 'filed'
            when materials_on is not null then 'under_review'
            else 'undated'
        end as state
    from judged
),

final as (
    select
        period,
        class_key,
        reporter_code,
        county_code,
        city_code,
        filing_no,
        enterprise_name,
        uscc,
        training_institution,
        occupation,
        occupation_code,
        level,
        months_without_report = 0 as is_reported,
        months_without_report,
        state,
        previous_state,
        case when state = previous_state then previous_months_in_state + 1 else 1 end as months_in_state,
        materials_on,
        filed_on,
        started_on,
        completed_on,
        left_on,
        left_reported_on,
        filed_persons,
        training_persons,
        passed_persons,
        left_persons,
        filing_review_by,
        filing_review_working_days,
        filing_review_over_working_days,
        start_by,
        start_over_days,
        claim_by,
        claim_over_days,
        leaver_report_by,
        leaver_report_over_days,
        coalesce(claims, 0) as claims,
        claimed_on,
        claim_accepted_on,
        claim_reviewed_on,
        claim_review_by,
        claim_review_working_days,
        claim_review_over_working_days,
        advanced_on,
        paid_on,
        standard_yuan,
        advance_limit_yuan::numeric(18, 2) as advance_limit_yuan,
        {{ ratio('advanced_yuan', 'standard_yuan * filed_persons') }} as advance_share,
        {%- for amount in amounts %}
        {{ amount }}_yuan::numeric(18, 2) as {{ amount }}_yuan,
        {%- endfor %}
        reported_period,
        submission_id,
        sheet,
        source_row,
        data_maturity
    from stated
)

select * from final
