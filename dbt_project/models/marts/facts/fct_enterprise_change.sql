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

-- The last change before this month, looked up by key enterprise by enterprise: months without a report lie in between
-- and end nothing. A lateral join is one look-up a row whatever the planner knows of rows written a moment ago.
compared as (
    select
        enterprises.*,
        {% if is_incremental() -%}
        known.period as previous_version_period,
        known.attributes_md5 as known_md5
        {%- else -%}
        null::text as previous_version_period,
        null::text as known_md5
        {%- endif %}
    from enterprises
    {% if is_incremental() -%}
    left join lateral (
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
    ) as known on true
    {%- endif %}
),

final as (
    select
        compared.period,
        compared.reporter_code,
        compared.uscc,
        md5(compared.reporter_code || '|' || compared.uscc) as enterprise_key,
        compared.county_code,
        compared.city_code,
        compared.enterprise_name,
        compared.industry_code,
        compared.ownership,
        compared.size_class,
        compared.operating_state,
        compared.is_above_scale,
        compared.is_key,
        compared.attributes_md5,
        compared.previous_version_period,
        compared.previous_version_period is null as is_first_report,
        compared.submission_id,
        compared.sheet,
        compared.source_row,
        compared.data_maturity
    from compared
    where compared.attributes_md5 is distinct from compared.known_md5
)

select * from final
