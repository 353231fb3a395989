with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where form = 'brand_registry'
),

brand_rows as (
    select * from {{ ref('stg_raw__brand_registry') }}
),

counties as (
    select * from {{ ref('int_brand_county') }}
),

placed as (
    select
        brand_rows.period,
        accepted.reporter_code,
        accepted.county_code as reporter_county_code,
        coalesce(counties.county_code, accepted.county_code) as county_code,
        coalesce(counties.city_code, accepted.city_code) as city_code,
        counties.county_code is not null as is_county_resolved,
        {{ brand_name_key('brand_rows.brand_name') }} as brand_name_key,
        brand_rows.brand_name,
        brand_rows.category,
        brand_rows.county_as_sent,
        brand_rows.recognised_level,
        brand_rows.cultivator_name,
        brand_rows.cultivator_uscc,
        brand_rows.employed_persons,
        brand_rows.agreement_persons,
        brand_rows.trained_person_times,
        brand_rows.employment_driven_persons,
        brand_rows.trademark_no,
        brand_rows.entered_on,
        brand_rows.status,
        brand_rows.exit_reason,
        brand_rows.submission_id,
        brand_rows.sheet,
        brand_rows.source_row
    from brand_rows
    inner join accepted
        on
            brand_rows.period = accepted.period
            and brand_rows.submission_id = accepted.submission_id
    left join counties
        on {{ comparable_text('brand_rows.county_as_sent') }} = counties.written_as
),

-- One row a brand: the county's own report stands before that of another reporter, the upper row before the lower.
ordered as (
    select
        *,
        row_number() over (
            partition by period, county_code, brand_name_key
            order by (reporter_county_code = county_code) desc, reporter_code asc, sheet asc, source_row asc
        ) as place,
        count(*) over (partition by period, county_code, brand_name_key)::integer as reported_rows
    from placed
),

final as (
    select
        period,
        county_code || '-' || brand_name_key as brand_key,
        reporter_code,
        county_code,
        city_code,
        is_county_resolved,
        brand_name,
        category,
        county_as_sent,
        recognised_level,
        cultivator_name,
        cultivator_uscc,
        employed_persons,
        agreement_persons,
        trained_person_times,
        employment_driven_persons,
        trademark_no,
        entered_on,
        status,
        exit_reason,
        reported_rows,
        submission_id,
        sheet,
        source_row
    from ordered
    where place = 1
)

select * from final
