with

enterprises as (
    select
        *,
        -- A row as text tells null from '' and one column from the next.
        md5(row(
            county_code,
            city_code,
            enterprise_name,
            industry_code,
            ownership,
            size_class,
            operating_state,
            is_above_scale,
            is_key
        )::text) as attributes_md5
    from {{ ref('fct_enterprise_month') }}
    where period = '{{ run_period() }}'
),

-- The last change before this month, looked up by key: months without a report lie in between and end nothing.
{% if is_incremental() %}
known as (
    select
        enterprises.reporter_code,
        enterprises.uscc,
        earlier.period as previous_version_period,
        earlier.attributes_md5
    from enterprises
    cross join lateral (
        select
            changes.period,
            changes.attributes_md5
        from {{ this }} as changes
        where
            changes.uscc = enterprises.uscc
            and changes.reporter_code = enterprises.reporter_code
            and changes.period < '{{ run_period() }}'
        order by changes.period desc
        limit 1
    ) as earlier
),
{% else %}
known as (
    select
        reporter_code,
        uscc,
        null::text as previous_version_period,
        null::text as attributes_md5
    from enterprises
    where false
),
{% endif %}

final as (
    select
        enterprises.period,
        enterprises.reporter_code,
        enterprises.uscc,
        md5(enterprises.reporter_code || '|' || enterprises.uscc) as enterprise_key,
        enterprises.county_code,
        enterprises.city_code,
        enterprises.enterprise_name,
        enterprises.industry_code,
        enterprises.ownership,
        enterprises.size_class,
        enterprises.operating_state,
        enterprises.is_above_scale,
        enterprises.is_key,
        enterprises.attributes_md5,
        known.previous_version_period,
        known.previous_version_period is null as is_first_report,
        enterprises.submission_id,
        enterprises.sheet,
        enterprises.source_row,
        enterprises.data_maturity
    from enterprises
    left join known
        on
            enterprises.reporter_code = known.reporter_code
            and enterprises.uscc = known.uscc
    where enterprises.attributes_md5 is distinct from known.attributes_md5
)

select * from final
