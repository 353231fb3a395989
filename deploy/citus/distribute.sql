-- Spreads the large tables over the nodes of a Citus cluster by county (Citus 12 or newer, on the coordinator, after
-- prepare.sql). Safe to run again: what is distributed already is left alone. Which table goes where, and why: tables.csv.
--
--     psql "$WAREHOUSE_URL" -v ON_ERROR_STOP=1 -f deploy/citus/distribute.sql
--
-- Not tried on a Citus cluster; the names, columns, keys and foreign keys it relies on are checked by
-- tests/dbt/test_citus.py on plain PostgreSQL.
create extension if not exists citus;

-- Code sets and small dimensions: a copy on every node, so that joins with them stay where the rows are.
select create_reference_table(wanted.relation::regclass)
from (
    values
    ('marts.dim_industry'),
    ('marts.dim_occupation'),
    ('marts.dim_period'),
    ('marts.dim_policy_target'),
    ('marts.dim_programme'),
    ('marts.dim_region'),
    ('marts.dim_reporter'),
    ('marts.dim_subsidy_item'),
    ('marts.dim_subsidy_standard'),
    ('intermediate.int_brand_county'),
    ('intermediate.int_calendar_day'),
    ('intermediate.int_industry_name'),
    ('intermediate.int_occupation_name'),
    ('intermediate.int_programme_name'),
    ('intermediate.int_subsidy_item_name'),
    ('intermediate.int_target_name'),
    ('intermediate.int_target_window')
) as wanted (relation)
where not exists (select from pg_dist_partition as known where known.logicalrelid = wanted.relation::regclass);

-- Every seed likewise; the state of the project is written by the coordinator alone.
select create_reference_table(seed.oid::regclass)
from pg_class as seed
where
    seed.relnamespace = 'reference'::regnamespace
    and seed.relkind = 'r'
    and seed.relname <> 'project_state'
    and not exists (select from pg_dist_partition as known where known.logicalrelid = seed.oid);

-- The first large table makes the group that all others join: rows of one county lie on one node, whatever the table.
-- Partitions by period are distributed with their parent, and those of months to come as the loader makes them.
select create_distributed_table('raw.enterprise_status', 'county_code', shard_count => 32)
where not exists (
    select from pg_dist_partition as known where known.logicalrelid = 'raw.enterprise_status'::regclass
);

select create_distributed_table(wanted.relation::regclass, 'county_code', colocate_with => 'raw.enterprise_status')
from (
    values
    ('raw.labour_demand'),
    ('raw.subsidy_payment'),
    ('raw.programme_progress'),
    ('raw.brand_registry'),
    ('raw.apprenticeship'),
    ('restricted.enterprise_status'),
    ('restricted.labour_demand'),
    ('restricted.subsidy_payment'),
    ('marts.dim_enterprise'),
    ('marts.fct_apprenticeship_breach'),
    ('marts.fct_apprenticeship_month'),
    ('marts.fct_brand_month'),
    ('marts.fct_enterprise_change'),
    ('marts.fct_enterprise_month'),
    ('marts.fct_indicator_progress'),
    ('marts.fct_industry_month'),
    ('marts.fct_post_demand'),
    ('marts.fct_source_column'),
    ('marts.fct_source_file'),
    ('marts.fct_submission'),
    ('marts.fct_subsidy_balance'),
    ('marts.fct_subsidy_breach_line'),
    ('marts.fct_subsidy_claim'),
    ('marts.fct_training_need'),
    ('marts.mart_brand_supervision'),
    ('marts.mart_labour_shortage'),
    ('marts.mart_labour_shortage_by_post'),
    ('marts.mart_reporting_performance'),
    ('marts.mart_subsidy_alert_lines'),
    ('marts.mart_subsidy_alerts'),
    ('marts.mart_subsidy_disbursement'),
    ('marts.mart_training_demand'),
    ('intermediate.int_subsidy_ledger')
) as wanted (relation)
where not exists (select from pg_dist_partition as known where known.logicalrelid = wanted.relation::regclass);
