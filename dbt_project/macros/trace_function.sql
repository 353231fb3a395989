{#-
    marts.trace: the source cells behind a figure of a mart. For an additive measure sum(contribution) is the figure;
    for the others that stand on lines (distinct counts, medians) it gives the lines, without contribution.

    It joins the mart's own rows to the lines of the fact that they were summed from, on the mart's key, and the lines
    to file and column. What differs from measure to measure stands in seed trace_measures; conditions and contributions
    there are SQL over `figure` (row of the mart), `line` (row of the fact), `file` and `cell`.

    Runs with the rights of who calls it, so that row-level security of the marts holds for what it finds. Only numbers
    and dates come out as values: a cell of any other type is named and its content left out.

    Set up as a post-hook of the seed: the function and its metadata change together, and no table's rebuild drops it.
-#}
{% macro trace_function() -%}
create or replace function marts.trace(
    mart text,
    measure text,
    period text,
    region_code text default null,
    filters jsonb default '{}'
)
returns table (
    file_name text,
    sha256 text,
    submission_id text,
    reporter_code text,
    county_code text,
    line_period text,
    sheet text,
    cell text,
    source_row integer,
    column_letter text,
    header text,
    column_name text,
    value numeric,
    value_on date,
    contribution numeric,
    received_at timestamptz,
    version integer
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $trace$
declare
    rule record;
    region_level text;
    first_period text;
    last_period text;
    report_month text;
    is_file boolean;
    is_wide boolean;
    conditions text[];
    cells text;
    places text;
    address text;
    signed text;
    asked record;
    asked_type text;
begin
    select known.* into rule
    from reference.trace_measures as known
    where known.mart = trace.mart and known.measure = trace.measure;
    if not found then
        raise exception 'there is no measure % of %', trace.measure, trace.mart
            using hint = 'select mart, measure, kind from reference.trace_measures';
    end if;
    if rule.fact is null then
        raise exception '%.% leads to no cells by itself (%): %', trace.mart, trace.measure, rule.kind, rule.note_zh
            using hint = coalesce('trace its parts: ' || replace(rule.made_of, '|', ', '), 'no form carries it');
    end if;
    if trace.period !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' then
        raise exception 'period % is no month', trace.period using hint = 'write it like 2026-04';
    end if;

    is_file := rule.fact = 'fct_source_file';
    -- A line may stand in a month because of a report of an earlier one: the file is that report's.
    select coalesce(min(attname) filter (where attname in ('line_period', 'reported_period')), 'period')
    into report_month
    from pg_attribute
    where attrelid = format('marts.%I', rule.fact)::regclass and not attisdropped;
    first_period := to_char((trace.period || '-01')::date + make_interval(months => rule.first_month), 'YYYY-MM');
    last_period := to_char((trace.period || '-01')::date + make_interval(months => rule.last_month), 'YYYY-MM');
    conditions := array[
        format('figure.period = %L', trace.period),
        case
            when first_period = last_period then format('line.period = %L', last_period)
            else format('line.period between %L and %L', coalesce(first_period, ''), last_period)
        end
    ];

    -- Which lines belong to which row of the mart: its key, under the fact's names where they differ.
    conditions := conditions || array(
        select format(
            case when own.attnotnull then 'line.%I = figure.%I' else 'line.%I is not distinct from figure.%I' end,
            coalesce(substring('|' || rule.keys || '|' from '\|' || own.attname || '=([a-z_]+)\|'), own.attname),
            own.attname
        )
        from (
            select conkey, conrelid
            from pg_constraint
            where conrelid = format('marts.%I', trace.mart)::regclass and contype in ('p', 'u')
            order by contype
            limit 1
        ) as unique_key
        cross join unnest(unique_key.conkey) as part (number)
        inner join pg_attribute as own on own.attrelid = unique_key.conrelid and own.attnum = part.number
        where own.attname not in ('period', 'region_code')
    );

    -- A mart of regions has a row for each level, any other one rows of counties.
    select known.level into region_level from marts.dim_region as known where known.region_code = trace.region_code;
    if exists (
        select from pg_attribute where attrelid = format('marts.%I', trace.mart)::regclass and attname = 'region_code'
    ) then
        region_level := coalesce(region_level, case when trace.region_code is null then 'province' else 'county' end);
        conditions := conditions || case
            when trace.region_code is null then 'figure.level = ''province'''
            else format('figure.region_code = %L', trace.region_code)
        end;
        conditions := conditions || case region_level
            when 'city' then format('line.city_code = %L', trace.region_code)
            when 'county' then format('line.county_code = %L', trace.region_code)
        end;
    elsif trace.region_code is not null and region_level is distinct from 'province' then
        conditions := conditions || format(
            'figure.%I = %L', case region_level when 'city' then 'city_code' else 'county_code' end, trace.region_code
        );
    end if;

    for asked in select given.key, given.value from jsonb_each_text(trace.filters) as given loop
        select format_type(own.atttypid, own.atttypmod) into asked_type
        from pg_attribute as own
        where own.attrelid = format('marts.%I', trace.mart)::regclass and own.attname = asked.key and own.attnum > 0;
        if asked_type is null then
            raise exception '% has no column %', trace.mart, asked.key using hint = 'filter by a column of the mart';
        end if;
        conditions := conditions || case
            when asked.value is null then format('figure.%I is null', asked.key)
            else format('figure.%I = %L::%s', asked.key, asked.value, asked_type)
        end;
    end loop;

    if rule.like_for_like is not null then
        -- Whose report of the figure's month has one of the month before, or of the year before, beside it.
        conditions := conditions || format(
            'exists (select from marts.fct_source_file as twin where twin.period = %L and twin.form = file.form'
            || ' and twin.reporter_code = file.reporter_code and twin.%I)',
            trace.period,
            case rule.like_for_like when 'last_month' then 'is_comparable' else 'is_yoy_comparable' end
        );
    end if;
    conditions := conditions || format('(%s)', rule.condition);

    if is_file then
        cells := '(values (null::text, null::numeric, null::date, true)) as cell (column_name, value, value_on, is_named)';
        places := '';
        address := 'null::text, null::text, null::integer, null::text, null::text';
    else
        select
            format(
                '(values %s) as cell (column_name, value, value_on, is_named)',
                string_agg(
                    format(
                        case
                            when own.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
                                then '(%L, line.%I::numeric, null::date, false)'
                            when own.atttypid = 'date'::regtype then '(%L, null::numeric, line.%I, false)'
                            else '(%L, null::numeric, null::date, line.%I is not null)'
                        end,
                        pair.form_column,
                        pair.fact_column
                    ),
                    ', '
                )
            )
        into cells
        from unnest(string_to_array(rule.form_columns, '|'), string_to_array(rule.fact_columns, '|'))
            as pair (form_column, fact_column)
        inner join pg_attribute as own
            on own.attrelid = format('marts.%I', rule.fact)::regclass and own.attname = pair.fact_column;
        is_wide := exists (
            select from pg_attribute
            where attrelid = format('marts.%I', rule.fact)::regclass and attname = 'source_column'
        );
        places := ' left join marts.fct_source_column as place on place.period = line.' || quote_ident(report_month)
            || ' and place.submission_id = line.submission_id and place.sheet = line.sheet'
            || ' and place.column_name = cell.column_name';
        address := 'line.sheet, place.column_letter || line.source_row, line.source_row, place.column_letter,'
            || ' place.header_text';
        if is_wide then
            -- In a ledger with an amount column an item, the cell stands in the line's own column, if it has one.
            places := places || ' left join marts.fct_source_column as own on own.period = line.' || quote_ident(report_month)
                || ' and own.submission_id = line.submission_id and own.sheet = line.sheet'
                || ' and own.column_name = cell.column_name || '':'' || line.source_column';
            address := replace(replace(address, 'place.column_letter', 'coalesce(own.column_letter, place.column_letter)'),
                'place.header_text', 'coalesce(own.header_text, place.header_text)');
        end if;
    end if;

    signed := case when rule.kind = 'additive' then format('(%s)::numeric', rule.contribution) else 'null::numeric' end;
    conditions := conditions || case
        when rule.kind = 'additive' then signed || ' is not null'
        else '(cell.is_named or num_nonnulls(cell.value, cell.value_on) > 0)'
    end;

    return query execute format(
        'select file.file_name, file.sha256, file.submission_id, file.reporter_code, file.county_code, file.period, %s,'
        ' cell.column_name, cell.value, cell.value_on, %s, file.received_at, file.version'
        ' from marts.%I as figure cross join marts.%I as line'
        ' inner join marts.fct_source_file as file on file.period = line.%I and %s'
        ' cross join lateral %s%s where %s',
        address,
        signed,
        trace.mart,
        rule.fact,
        report_month,
        case
            when is_file then 'file.receipt_id = line.receipt_id and file.form = line.form'
            else 'file.submission_id = line.submission_id'
        end,
        cells,
        places,
        array_to_string(array_remove(conditions, null), ' and ')
    );
end
$trace$;

comment on function marts.trace(text, text, text, text, jsonb) is
    '数字溯源：给出一个数字出自的文件、工作表和单元格；可加的指标 sum(contribution) 即该数字（口径见 reference.trace_measures）'
{%- endmacro %}
