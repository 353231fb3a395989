-- What Citus asks of a distributed table, done on plain PostgreSQL first: county_code is there and never null, and every
-- primary key and unique constraint contains it. Safe to run again: what stands already is left alone.
--
--     psql "$WAREHOUSE_URL" -v ON_ERROR_STOP=1 --single-transaction -f deploy/citus/prepare.sql
--
-- Run it with nothing building (it locks the tables), and again after a migration or a `--full-refresh`, which make
-- tables anew. The keys get wider, never narrower in what they say together with dbt's own tests of uniqueness.

-- Personal columns lie apart from the rows they belong to and have no county of their own yet. The loader fills every
-- column of a table that its rows have, so from now on it fills this one.
do $restricted$
declare
    form text;
begin
    foreach form in array array['enterprise_status', 'labour_demand', 'subsidy_payment'] loop
        execute format('alter table restricted.%I add column if not exists county_code text', form);
        execute format(
            'update restricted.%1$I as personal set county_code = sent.county_code from intake.submission as sent '
            'where personal.submission_id = sent.submission_id and personal.county_code is null', form
        );
        execute format('alter table restricted.%I alter column county_code set not null', form);
        execute format('comment on column restricted.%I.county_code is %L', form, '县（市、区）代码，同 raw 中的同一行');
    end loop;
end
$restricted$;

-- A claim's county is known whenever the claim is; the model only does not say so.
alter table intermediate.int_subsidy_ledger alter column county_code set not null;

-- Every key of a distributed table that lacks county_code, with it. Keys of a partitioned table are changed at the parent
-- and with it at every partition.
do $keys$
declare
    key record;
begin
    for key in
        select
            held.oid as constraint_oid, held.conname, held.conrelid::regclass as relation,
            case held.contype when 'p' then 'primary key' else 'unique' end as kind,
            (
                select string_agg(quote_ident(attribute.attname), ', ' order by place.ordinality)
                from unnest(held.conkey) with ordinality as place (attnum, ordinality)
                inner join pg_attribute as attribute
                    on attribute.attrelid = held.conrelid and place.attnum = attribute.attnum
            ) as columns
        from pg_constraint as held
        inner join pg_class as relation on held.conrelid = relation.oid
        inner join pg_attribute as county
            on relation.oid = county.attrelid and county.attname = 'county_code' and not county.attisdropped
        where
            held.contype in ('p', 'u')
            and not relation.relispartition
            and relation.relnamespace in ('raw'::regnamespace, 'restricted'::regnamespace, 'marts'::regnamespace)
            and county.attnum <> all (held.conkey)
    loop
        execute format('alter table %s drop constraint %I', key.relation, key.conname);
        execute format(
            'alter table %s add constraint %I %s (%s, county_code)', key.relation, key.conname, key.kind, key.columns
        );
    end loop;
end
$keys$;

-- The same for unique indexes that are no constraint (dbt's `indexes`).
do $indexes$
declare
    held record;
begin
    for held in
        select
            index.indexrelid::regclass as name, named.relname, index.indrelid::regclass as relation,
            (
                select string_agg(quote_ident(attribute.attname), ', ' order by place.ordinality)
                from unnest(index.indkey) with ordinality as place (attnum, ordinality)
                inner join pg_attribute as attribute
                    on attribute.attrelid = index.indrelid and place.attnum = attribute.attnum
            ) as columns
        from pg_index as index
        inner join pg_class as named on index.indexrelid = named.oid
        inner join pg_class as relation on index.indrelid = relation.oid
        inner join pg_attribute as county
            on relation.oid = county.attrelid and county.attname = 'county_code' and not county.attisdropped
        where
            index.indisunique
            and not relation.relispartition
            and county.attnum <> all (index.indkey)
            and not exists (select from pg_constraint as of where of.conindid = index.indexrelid)
            and (
                relation.relnamespace in ('raw'::regnamespace, 'restricted'::regnamespace, 'marts'::regnamespace)
                or relation.oid = 'intermediate.int_subsidy_ledger'::regclass
            )
    loop
        execute format('drop index %s', held.name);
        execute format('create unique index %I on %s (%s, county_code)', held.relname, held.relation, held.columns);
    end loop;
end
$indexes$;
