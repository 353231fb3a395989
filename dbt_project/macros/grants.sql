{#-
    Who may read a relation, set where dbt applies grants: for every table, view and seed, in the transaction that makes
    it. `+grants` in dbt_project.yml names the readers; nobody else keeps a privilege. In the schema marts this also
    means, by column and not by model:

    * a table with `city_code` gets row-level security: city_reader sees the rows of the city of its login, and not the
      rows without a city (those of the province); all other readers see every row;
    * a table that names a place in another column only (`…county_code`, `…region_code`, `…city_code`,
      `…reporter_code`) stays closed to city_reader, for no policy can be made for it;
    * `person_key` is granted by column: to etl and auditor only;
    * a dimension of published documents, made of seeds alone, says `meta: {is_public_code_set: true}` and is open as a
      whole, its places being those a document speaks of;
    * a view reads with the rights of whoever asks (security_invoker), so that the policies below it hold.

    One statement a relation, and it changes nothing when everything stands already: a policy waits for those who read.
-#}
{% macro postgres__apply_grants(relation, grant_config, should_revoke=True) %}
    {%- if execute and grant_config -%}
        {%- if grant_config.keys() | list != ['select'] -%}
            {{ exceptions.raise_compiler_error("grants of " ~ relation ~ ": only select is given to readers; mend +grants") }}
        {%- endif -%}
        {%- set is_public = model.config.get('meta', {}).get('is_public_code_set', false) -%}
        {%- if is_public and not relation.identifier.startswith('dim_') -%}
            {{ exceptions.raise_compiler_error(relation ~ " is no dimension: it cannot be a public code set; mend its meta") }}
        {%- endif -%}
        {%- call statement('grants') -%}
            {{ set_readers_sql(relation, grant_config['select'], is_public) }}
        {%- endcall -%}
    {%- endif -%}
{% endmacro %}


{% macro set_readers_sql(relation, readers, is_public=false) -%}
do $readers$
declare
    relation constant regclass := {{ dbt.string_literal(relation.include(database=false) | string) }}::regclass;
    is_mart constant boolean := {{ 'true' if relation.schema == 'marts' else 'false' }};
    is_public constant boolean := {{ 'true' if is_public else 'false' }};
    is_view constant boolean := (select relkind = 'v' from pg_class where oid = relation);
    columns constant text[] := (
        select array_agg(attname::text order by attnum) from pg_attribute
        where attrelid = relation and attnum > 0 and not attisdropped
    );
    has_city constant boolean := is_mart and not is_public and 'city_code' = any(columns);
    has_place constant boolean := is_mart and not is_public and exists (
        select from unnest(columns) as name where name ~ '(county|region|city|reporter)_code$'
    );
    -- A view has no rows of its own: those it reads are judged where they lie.
    readers constant text[] := (
        select coalesce(array_agg(name order by name), '{}')
        from unnest(array[{% for reader in readers %}{{ dbt.string_literal(reader) }}{{ ', ' if not loop.last }}{% endfor %}]::text[]) as name
        where is_view or name <> 'city_reader' or has_city or not has_place
    );
    secured constant boolean := has_city and not is_view;
    open_columns constant text[] := array_remove(columns, case when is_mart then 'person_key' end);
    wanted text[];
    standing text[];
    grantee text;
begin
    if is_mart and is_view then
        if not exists (select from pg_class where oid = relation and reloptions @> array['security_invoker=true']) then
            execute format('alter view %s set (security_invoker = true)', relation);
        end if;
    end if;

    if secured <> (select relrowsecurity from pg_class where oid = relation) then
        execute format(
            'alter table %s %s row level security', relation, case when secured then 'enable' else 'disable' end
        );
    end if;
    -- A policy says in its name what it lets through: another condition needs another name.
    wanted := case when secured then array['all_rows', 'rows_of_own_city'] else '{}' end;
    standing := (
        select coalesce(array_agg(polname::text order by polname), '{}') from pg_policy where polrelid = relation
    );
    if wanted <> standing then
        for grantee in select unnest(standing) loop
            execute format('drop policy %I on %s', grantee, relation);
        end loop;
        if secured then
            execute format(
                'create policy all_rows on %s for select to etl, command_office, auditor using (true)', relation
            );
            -- A subquery: looked up once a statement, not once a row.
            execute format(
                'create policy rows_of_own_city on %s for select to city_reader '
                'using (city_code = (select intake.own_city()))', relation
            );
        end if;
    end if;

    -- reader, privilege, column ('' is the whole table)
    wanted := (
        select coalesce(array_agg(line order by line), '{}')
        from (
            select concat_ws(' ', reader, 'SELECT', case when by_column.withheld then name else '' end) as line
            from unnest(readers) as reader
            cross join lateral (
                select reader in ('command_office', 'city_reader') and open_columns <> columns as withheld
            ) as by_column
            cross join lateral unnest(case when by_column.withheld then open_columns else array[''] end) as name
        ) as lines
    );
    standing := (
        select coalesce(array_agg(line order by line), '{}')
        from (
            select concat_ws(' ', coalesce(role.rolname, 'public'), acl.privilege_type, acl.name) as line
            from (
                select '' as name, (aclexplode(relacl)).* from pg_class where oid = relation
                union all
                select attname::text, (aclexplode(attacl)).* from pg_attribute
                where attrelid = relation and attnum > 0 and not attisdropped
            ) as acl
            left join pg_roles as role on acl.grantee = role.oid
            where acl.grantee <> (select relowner from pg_class where oid = relation)
        ) as lines
    );
    if wanted <> standing then
        for grantee in select distinct split_part(line, ' ', 1) from unnest(standing) as line loop
            execute format(
                'revoke all on %s from %s', relation, case when grantee = 'public' then grantee else quote_ident(grantee) end
            );
        end loop;
        foreach grantee in array readers loop
            if grantee in ('command_office', 'city_reader') and open_columns <> columns then
                execute format(
                    'grant select (%s) on %s to %I',
                    (select string_agg(quote_ident(name), ', ') from unnest(open_columns) as name), relation, grantee
                );
            else
                execute format('grant select on %s to %I', relation, grantee);
            end if;
        end loop;
    end if;
end
$readers$
{%- endmacro %}
