{{ config(tags=['monthly'], incremental_strategy='replace_versions') }}

with

changes as (
    select * from {{ ref('fct_enterprise_change') }}
),

-- Only enterprises that change in this month, or did before it was rebuilt: all their versions are numbered anew.
touched as (
    {% if is_incremental() -%}
    select enterprise_key from {{ ref('fct_enterprise_change') }}
    where period = '{{ run_period() }}'

    union

    select enterprise_key from {{ this }}
    where valid_from_period = '{{ run_period() }}'
    {%- else -%}
    select distinct enterprise_key from {{ ref('fct_enterprise_change') }}
    {%- endif %}
),

versions as (
    select
        changes.*,
        row_number() over enterprise as version_no,
        min(changes.period) over (partition by changes.enterprise_key) as first_reported_period,
        lead(changes.period) over enterprise as next_version_period
    from changes
    inner join touched on changes.enterprise_key = touched.enterprise_key
    window enterprise as (partition by changes.enterprise_key order by changes.period)
),

final as (
    select
        md5(enterprise_key || '|' || period) as enterprise_version_key,
        enterprise_key,
        reporter_code,
        uscc,
        county_code,
        city_code,
        enterprise_name,
        industry_code,
        ownership,
        size_class,
        operating_state,
        is_above_scale,
        is_key,
        first_reported_period,
        period as valid_from_period,
        -- The last month the version holds: the month before the next one begins.
        to_char((next_version_period || '-01')::date - interval '1 month', 'YYYY-MM') as valid_to_period,
        next_version_period is null as is_current,
        version_no::integer as version_no,
        submission_id,
        sheet,
        source_row
    from versions
)

select * from final
