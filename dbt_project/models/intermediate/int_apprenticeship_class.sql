{%- set happenings = ['materials', 'filed', 'started', 'completed', 'left', 'left_reported'] -%}
with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where form = 'apprenticeship'
),

class_rows as (
    select * from {{ ref('stg_raw__apprenticeship') }}
),

occupation_names as (
    select * from {{ ref('int_occupation_name') }}
),

-- A class under review has no number yet: enterprise, occupation, level and the day of its papers stand for it.
identified as (
    select
        class_rows.*,
        accepted.reporter_code,
        accepted.city_code,
        coalesce(occupation_names.occupation_code, {{ unclassified_occupation() }}) as occupation_code,
        {{ comparable_text('class_rows.filing_no') }} as number_as_compared,
        concat_ws(
            '|',
            accepted.reporter_code,
            class_rows.uscc,
            {{ comparable_text('class_rows.occupation') }},
            class_rows.level,
            coalesce(class_rows.materials_on::text, '')
        ) as application,
        {{ period_last_day('class_rows.period') }} as as_of
    from class_rows
    inner join accepted
        on
            class_rows.period = accepted.period
            and class_rows.submission_id = accepted.submission_id
    left join occupation_names
        on {{ comparable_text('class_rows.occupation') }} = occupation_names.written_as
),

-- What is dated after the month has not happened in it.
final as (
    select
        period,
        reporter_code,
        county_code,
        city_code,
        md5(coalesce(reporter_code || '|' || number_as_compared, application)) as class_key,
        md5(application) as application_key,
        filing_no,
        enterprise_name,
        uscc,
        training_institution,
        occupation,
        occupation_code,
        level,
        {%- for happening in happenings %}
        case when {{ happening }}_on <= as_of then {{ happening }}_on end as {{ happening }}_on,
        {%- endfor %}
        filed_persons,
        training_persons,
        passed_persons,
        left_persons,
        submission_id,
        sheet,
        source_row
    from identified
)

select * from final
