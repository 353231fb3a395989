-- Reconciliation of the brand library: every accepted row of the list stands behind exactly one brand, the row a brand
-- stands on says the same figures, and the coverage of the counties counts the same brands. The accepted version is
-- found here on its own, straight from the sources.
with

accepted as (
    select
        this.submission_id,
        this.period
    from {{ source('intake', 'submission') }} as this
    where
        this.period = '{{ run_period() }}'
        and this.form = 'brand_registry'
        and this.outcome <> 'refused'
        and not exists (
            select 1
            from {{ source('intake', 'submission') }} as later
            where
                later.form = this.form
                and later.period = this.period
                and later.reporter_code = this.reporter_code
                and later.version > this.version
                and later.outcome <> 'refused'
        )
),

sent as (
    select brand_rows.*
    from {{ source('raw', 'brand_registry') }} as brand_rows
    inner join accepted on brand_rows.submission_id = accepted.submission_id
    where brand_rows.period = '{{ run_period() }}'
),

brands as (
    select * from {{ ref('fct_brand_month') }}
    where period = '{{ run_period() }}'
),

rows_differ as (
    select
        'rows' as what,
        (select count(*) from sent) as in_raw,
        (select coalesce(sum(reported_rows), 0) from brands) as in_marts
),

figures_differ as (
    select
        'figures of ' || brands.brand_key as what,
        sent.employed::bigint as in_raw,
        brands.employed_persons::numeric as in_marts
    from brands
    left join sent
        on
            brands.submission_id = sent.submission_id
            and brands.sheet = sent.sheet
            and brands.source_row = sent.source_row
    where
        brands.is_reported
        and (
            sent.submission_id is null
            or sent.status <> brands.status
            or sent.employed is distinct from brands.employed_persons
            or sent.agreement_persons is distinct from brands.agreement_persons
            or sent.trained_person_times is distinct from brands.trained_person_times
            or sent.employment_driven is distinct from brands.employment_driven_persons
        )
),

-- A brand of a reporter without a county of its own is in no county's count.
counties_differ as (
    select
        'in library, ' || coalesce(counted.region_code, coverage.region_code) as what,
        coalesce(counted.brands, 0) as in_raw,
        coalesce(coverage.brands_in_library, 0)::numeric as in_marts
    from (
        select
            counties.region_code,
            count(*) as brands
        from brands
        inner join {{ ref('dim_region') }} as counties
            on
                brands.county_code = counties.region_code
                and counties.level = 'county'
        where brands.last_known_status in ('在库', '预警')
        group by counties.region_code
        union all
        select
            counties.province_code as region_code,
            count(*) as brands
        from brands
        inner join {{ ref('dim_region') }} as counties
            on
                brands.county_code = counties.region_code
                and counties.level = 'county'
        where brands.last_known_status in ('在库', '预警')
        group by counties.province_code
    ) as counted
    full outer join (
        select
            region_code,
            brands_in_library
        from {{ ref('mart_brand_coverage') }}
        where
            period = '{{ run_period() }}'
            and level in ('county', 'province')
    ) as coverage
        on counted.region_code = coverage.region_code
    where coalesce(counted.brands, 0) <> coalesce(coverage.brands_in_library, 0)
)

select * from rows_differ
where in_raw <> in_marts
union all
select * from figures_differ
union all
select * from counties_differ
