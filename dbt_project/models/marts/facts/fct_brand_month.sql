-- noqa: disable=layout.indent
{# What a month takes over from the month before, with the types it has in this table. -#}
{%- set taken_over = {
    'period': 'text', 'brand_key': 'text', 'reporter_code': 'text', 'county_code': 'text', 'city_code': 'text', 'brand_name': 'text',
    'category': 'text', 'recognised_level': 'text', 'cultivator_name': 'text', 'cultivator_uscc': 'text',
    'trademark_no': 'text', 'county_as_sent': 'text', 'is_county_resolved': 'boolean', 'last_known_status': 'text',
    'first_reported_in': 'text', 'last_reported_in': 'text', 'months_without_report': 'integer', 'entered_on': 'date',
    'employed_persons': 'integer', 'employed_falling_months': 'integer', 'untrained_months': 'integer',
    'training_without_jobs_months': 'integer', 'award_claimed_in': 'text',
} -%}
with

reported as (
    select * from {{ ref('int_brand_month') }}
    where period = '{{ run_period() }}'
),

-- Builds run oldest first: the latest earlier month carries what has run on until then.
previous as (
    select
        {%- for column, type in taken_over.items() %}
        {{ column if is_incremental() else 'null::' ~ type ~ ' as ' ~ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {%- if is_incremental() %}
    from {{ this }}
    where period = (
        select max(earlier.period) from {{ this }} as earlier
        where earlier.period < '{{ run_period() }}'
    )
    {%- else %}
    where false
    {%- endif %}
),

award_claims as (
    select distinct payee_uscc
    from {{ ref('fct_subsidy_claim') }}
    where
        period = '{{ run_period() }}'
        and item_code = 'brand_creation_award'
        and status in ('审核通过', '公示中', '公示通过', '已拨付')
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

-- A brand that was in the list last month and is in nobody's list now stands here all the same, without figures. Only
-- one whose exit was reported is left out.
brands as (
    select
        coalesce(reported.brand_key, previous.brand_key) as brand_key,
        reported.brand_key is not null as is_reported,
        previous.brand_key is not null as was_listed
    from reported
    full outer join previous on reported.brand_key = previous.brand_key
    where
        reported.brand_key is not null
        or previous.last_known_status <> '退出'
),

described as (
    select
        brands.brand_key,
        brands.is_reported,
        {%- for column in [
            'reporter_code', 'county_code', 'city_code', 'brand_name', 'category', 'recognised_level',
            'cultivator_name', 'trademark_no', 'county_as_sent', 'is_county_resolved',
        ] %}
        case when brands.is_reported then reported.{{ column }} else previous.{{ column }} end as {{ column }},
        {%- endfor %}
        coalesce(reported.cultivator_uscc, previous.cultivator_uscc) as cultivator_uscc,
        coalesce(reported.entered_on, previous.entered_on) as entered_on,
        reported.status,
        coalesce(reported.status, previous.last_known_status) as last_known_status,
        reported.exit_reason,
        case
            when brands.was_listed then previous.first_reported_in
            else '{{ run_period() }}'
        end as first_reported_in,
        case
            when brands.is_reported then '{{ run_period() }}'
            else previous.last_reported_in
        end as last_reported_in,
        case
            when brands.is_reported then 0
            else
                previous.months_without_report
                + {{ month_index("'" ~ run_period() ~ "'") }} - {{ month_index('previous.period') }}
        end as months_without_report,
        reported.employed_persons,
        reported.agreement_persons,
        reported.trained_person_times,
        reported.employment_driven_persons,
        -- Only two months that follow each other are compared, and only such months make a streak.
        case when previous.period = '{{ period_before(1) }}' then previous.employed_persons end as previous_employed_persons,
        case when previous.period = '{{ period_before(1) }}' then previous.employed_falling_months end as previous_falling_months,
        case when previous.period = '{{ period_before(1) }}' then previous.untrained_months end as previous_untrained_months,
        case when previous.period = '{{ period_before(1) }}' then previous.training_without_jobs_months end
            as previous_without_jobs_months,
        previous.award_claimed_in as earlier_award_claimed_in,
        reported.reported_rows,
        reported.submission_id,
        reported.sheet,
        reported.source_row
    from brands
    left join reported on brands.brand_key = reported.brand_key
    left join previous on brands.brand_key = previous.brand_key
),

final as (
    select
        periods.period,
        described.brand_key,
        described.reporter_code,
        described.county_code,
        described.city_code,
        described.brand_name,
        described.category,
        described.recognised_level,
        described.cultivator_name,
        described.cultivator_uscc,
        described.trademark_no,
        described.county_as_sent,
        described.is_county_resolved,
        described.is_reported,
        described.status,
        described.last_known_status,
        described.exit_reason,
        described.first_reported_in,
        described.last_reported_in,
        described.months_without_report,
        described.entered_on,
        -- An entry after the month's end is a mistake of the list; no months are counted for it.
        case
            when to_char(described.entered_on, 'YYYY-MM') <= periods.period
                then
                    {{ month_index('periods.period') }}
                    - {{ month_index("to_char(described.entered_on, 'YYYY-MM')") }}
        end as months_since_entry,
        described.employed_persons,
        described.agreement_persons,
        described.trained_person_times,
        described.employment_driven_persons,
        described.previous_employed_persons,
        described.employed_persons - described.previous_employed_persons as employed_change_persons,
        {{ change_rate('described.employed_persons', 'described.previous_employed_persons') }} as employed_change_rate,
        case
            when described.employed_persons < described.previous_employed_persons
                then coalesce(described.previous_falling_months, 0) + 1
            when described.employed_persons >= described.previous_employed_persons then 0
        end as employed_falling_months,
        case
            when described.trained_person_times = 0 then coalesce(described.previous_untrained_months, 0) + 1
            when described.trained_person_times > 0 then 0
        end as untrained_months,
        case
            when described.trained_person_times > 0 and described.employment_driven_persons = 0
                then coalesce(described.previous_without_jobs_months, 0) + 1
            when described.trained_person_times = 0 or described.employment_driven_persons > 0 then 0
        end as training_without_jobs_months,
        coalesce(
            described.earlier_award_claimed_in,
            case when award_claims.payee_uscc is not null then periods.period end
        ) as award_claimed_in,
        described.reported_rows,
        described.submission_id,
        described.sheet,
        described.source_row,
        periods.data_maturity
    from described
    cross join periods
    left join award_claims on described.cultivator_uscc = award_claims.payee_uscc
)

select * from final
