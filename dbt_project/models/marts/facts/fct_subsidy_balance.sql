with

claims as (
    select * from {{ ref('fct_subsidy_claim') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

moved as (
    select
        county_code,
        city_code,
        fund,
        item_code,
        item,
        case
            when payment_type = '预支' and status in ('已拨付', '已追回') then advanced_yuan
            when payment_type in ('核拨', '结算', '追回') and status in ('已拨付', '已追回') then -abs(advanced_yuan)
        end as outstanding_advance_yuan,
        case when not is_recovery then paid_yuan end as paid_year_yuan,
        case when is_recovery then abs(paid_yuan) end as recovered_year_yuan
    from claims

    {% if is_incremental() %}
    union all

    -- The latest earlier month of this small table holds all that came before: no ledger is read again.
    select
        county_code,
        city_code,
        fund,
        item_code,
        item,
        outstanding_advance_yuan,
        case when left(period, 4) = left('{{ run_period() }}', 4) then paid_year_yuan end as paid_year_yuan,
        case when left(period, 4) = left('{{ run_period() }}', 4) then recovered_year_yuan end as recovered_year_yuan
    from {{ this }}
    where
        period = (
            select max(earlier.period) from {{ this }} as earlier
            where earlier.period < '{{ run_period() }}'
        )
    {% endif %}
),

summed as (
    select
        county_code,
        fund,
        item_code,
        max(city_code) as city_code,
        max(item) as item,
        coalesce(sum(outstanding_advance_yuan), 0) as outstanding_advance_yuan,
        coalesce(bool_or(outstanding_advance_yuan <> 0), false) as has_moved_or_stood,
        sum(paid_year_yuan) as paid_year_yuan,
        sum(recovered_year_yuan) as recovered_year_yuan
    from moved
    group by county_code, fund, item_code
),

final as (
    select
        periods.period,
        summed.county_code,
        summed.city_code,
        summed.fund,
        summed.item_code,
        summed.item,
        summed.outstanding_advance_yuan::numeric(18, 2) as outstanding_advance_yuan,
        summed.paid_year_yuan::numeric(18, 2) as paid_year_yuan,
        summed.recovered_year_yuan::numeric(18, 2) as recovered_year_yuan,
        periods.data_maturity
    from summed
    cross join periods
    -- A balance that came to 0 stands once more, as 0: were nothing left of the month, the next would take over an older one.
    where
        summed.has_moved_or_stood
        or num_nonnulls(summed.paid_year_yuan, summed.recovered_year_yuan) > 0
)

select * from final
