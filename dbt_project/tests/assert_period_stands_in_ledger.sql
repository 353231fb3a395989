-- The run's period must stand in the ledger: without its state every fact of the period would come out empty.
select '{{ run_period() }}' as missing_period
where not exists (
    select 1 from {{ ref('dim_period') }}
    where period = '{{ run_period() }}'
)
