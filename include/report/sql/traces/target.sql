-- Lines of 目标进度 that a target's reported value is made of, for every place that has the target; values x 10000.
-- `condition` and `contribution` are those of seed trace_measures, over `figure` (the mart), `line` and `cell`.
select
    %(period)s as period,
    line.submission_id,
    line.sheet,
    count(*) as line_count,
    string_agg(
        line.source_row || ':' || cell.column_name,
        ',' order by line.source_row, figure.region_code, figure.target_id, cell.column_name
    ) as rows,
    string_agg(
        figure.region_code,
        chr(10) order by line.source_row, figure.region_code, figure.target_id, cell.column_name
    ) as key_region,
    string_agg(
        figure.target_id,
        chr(10) order by line.source_row, figure.region_code, figure.target_id, cell.column_name
    ) as key_target,
    string_agg(
        (({contribution}) * 10000)::bigint::text,
        ',' order by line.source_row, figure.region_code, figure.target_id, cell.column_name
    ) as cell_done
from marts.mart_programme_progress as figure
inner join marts.fct_indicator_progress as line
    on
        figure.target_id = line.target_id
        -- What lies in the place: a condition may name it by the rows of places in it.
        and (figure.level = 'province' or figure.region_code in (line.city_code, line.county_code))
        and line.period between to_char((%(period)s || '-01')::date - interval '11 months', 'YYYY-MM') and %(period)s
cross join lateral (
    values ('done_this_month', line.done_this_month), ('done_to_date', line.done_to_date)
) as cell (column_name, value)
where
    figure.period = %(period)s
    and figure.is_target_place
    and ({condition})
    and ({contribution}) is not null
group by line.submission_id, line.sheet
order by line.submission_id, line.sheet
