-- Who may read and write the warehouse. Roles belong to the whole server, everything else here to this database; all of
-- it may run again. Logins are made by `python -m include.warehouse.readers`. What each role may do with the tables of
-- `marts` and `reference` is said in dbt_project.yml (`+grants`) and set by dbt_project/macros/grants.sql, because dbt
-- makes these tables.

do $roles$
declare
    groups constant text[] := array['etl', 'command_office', 'city_reader', 'auditor'];
    texts constant text[] := array[
        '写入角色：写入台账、原始表和个人信息列，不能改动表结构',
        '指挥部：读取数据集市和参考表',
        '设区市：读取数据集市和参考表，集市中只见本市的行',
        '审计：读取数据集市、参考表、报送台账和问题清单'
    ];
    may_create constant boolean := (select rolcreaterole or rolsuper from pg_roles where rolname = current_user);
    missing text[];
    wrong text[];
begin
    select array_agg(name) into missing from unnest(groups) as name
    where not exists (select from pg_roles where rolname = name);
    if missing is not null and not may_create then
        raise exception 'the login % may not create the roles %', current_user, array_to_string(missing, ', ')
            using hint = format(
                'let an administrator of the server run: %s grant %s to %I with admin option;',
                (select string_agg(format('create role %I nologin;', name), ' ') from unnest(missing) as name),
                (select string_agg(quote_ident(name), ', ') from unnest(groups) as name),
                current_user
            );
    end if;
    for i in 1 .. cardinality(groups) loop
        begin
            if groups[i] = any(missing) then
                execute format('create role %I nologin', groups[i]);
                execute format('comment on role %I is %L', groups[i], texts[i]);
            end if;
        exception when duplicate_object or unique_violation then
            null;  -- another database of the server was migrated at the same moment
        end;
    end loop;
    select array_agg(rolname::text) into wrong from pg_roles
    where
        rolname = any(groups)
        and (rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls);
    if wrong is not null then
        raise exception 'the server has roles % that may do more than read or write tables', array_to_string(wrong, ', ')
            using hint = 'they belong to something else: let an administrator rename them, or take the attributes away '
                'with alter role ... nologin nosuperuser nocreaterole nocreatedb noreplication nobypassrls';
    end if;
    -- The owner of the tables writes as `etl` does, and needs what is taken from everybody else below. Where it may not
    -- grant itself the role, it still owns the tables.
    if not pg_has_role(current_user, 'etl', 'usage') then
        begin
            execute format('grant etl to %I', current_user);
        exception when insufficient_privilege then
            null;
        end;
    end if;
end
$roles$;

-- The database: nobody enters, and nobody makes temporary tables, without one of the roles.
do $database$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format(
        'grant connect on database %I to etl, command_office, city_reader, auditor', current_database()
    );
    execute format('grant temporary on database %I to etl, %I', current_database(), current_user);
exception when insufficient_privilege then
    null;  -- judged by what stands, below
end
$database$;

do $database$
begin
    if has_database_privilege('city_reader', current_database(), 'temporary')
        or not has_database_privilege('city_reader', current_database(), 'connect')
        or not has_database_privilege(current_user, current_database(), 'temporary')
    then
        raise exception 'the login % does not own the database %', current_user, current_database()
            using hint = format(
                'let its owner run: revoke all on database %1$I from public; grant connect on database %1$I to '
                'etl, command_office, city_reader, auditor, %2$I; grant temporary on database %1$I to etl, %2$I;',
                current_database(), current_user
            );
    end if;
end
$database$;

revoke create on schema public from public;

create schema if not exists staging;
comment on schema staging is '各表整理层（视图）：仅改名、定类型；读者角色无权访问';
create schema if not exists intermediate;
comment on schema intermediate is '中间层（视图）：读者角色无权访问';
create schema if not exists marts;
comment on schema marts is '数据集市：供查询的维度表、事实表和汇总表；设区市只见本市的行';
create schema if not exists reference;
comment on schema reference is '参考表：区划、行业、职业、补贴项目、政策目标、指标口径等';

grant usage on schema marts, reference to etl, command_office, city_reader, auditor;
grant usage on schema intake to etl, auditor;

-- etl: rows of everything that is loaded, now and later; not the tables themselves, so no truncate.
do $etl$
declare
    loaded text;
begin
    foreach loaded in array array['intake', 'raw', 'restricted', 'analysis'] loop
        continue when to_regnamespace(loaded) is null;
        execute format('grant usage on schema %I to etl', loaded);
        execute format('grant select, insert, update, delete on all tables in schema %I to etl', loaded);
        execute format(
            'alter default privileges in schema %I grant select, insert, update, delete on tables to etl', loaded
        );
    end loop;
    foreach loaded in array array['staging', 'intermediate'] loop
        execute format('grant usage on schema %I to etl', loaded);
        execute format('grant select on all tables in schema %I to etl', loaded);
        execute format('alter default privileges in schema %I grant select on tables to etl', loaded);
    end loop;
end
$etl$;

-- auditor: the ledger table by table, so that a new one is closed until somebody has thought about it. Left out is
-- intake.held_row: whole rows as sent, with payees and remarks, like raw.
grant select on
    intake.schema_migration, intake.reporter, intake.reporting_period, intake.expected_report, intake.received_file,
    intake.submission, intake.sheet_layout, intake.finding, intake.finding_tally, intake.explanation,
    intake.rule_result, intake.version_comparison, intake.version_difference, intake.period_event, intake.build,
    intake.model_result, intake.publication, intake.delivery, intake.reminder, intake.period_input
to auditor;

-- Which city a login of city_reader sees. No row: nothing.
create table if not exists intake.reader_city (
    login_name text primary key,
    city_code  text not null check (city_code ~ '^\d{4}00$'),
    added_by   text not null default session_user,
    added_at   timestamptz not null default now()
);
comment on table intake.reader_city is '设区市读者登录名对应的设区市；未登记的登录名看不到任何行';
comment on column intake.reader_city.login_name is '数据库登录名';
comment on column intake.reader_city.city_code is '设区市代码';
comment on column intake.reader_city.added_by is '登记人（数据库登录名）';
comment on column intake.reader_city.added_at is '登记时间';
grant select on intake.reader_city to auditor;
-- Who may see what, and which migrations ran, is the owner's to write.
revoke insert, update, delete on intake.reader_city, intake.schema_migration from etl;

-- The one function that runs with its owner's rights. It tells a login its own city and nothing else. The login is
-- `session_user`: `set role` does not change it, and within such a function `current_user` is the owner.
create or replace function intake.own_city() returns text
language sql stable security definer parallel safe
set search_path = pg_catalog, pg_temp
return (select city.city_code from intake.reader_city as city where city.login_name = session_user);
comment on function intake.own_city() is '当前登录名所属的设区市代码；未登记为空';
revoke execute on function intake.own_city() from public;
grant execute on function intake.own_city() to city_reader;
