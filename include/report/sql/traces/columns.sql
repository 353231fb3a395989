-- Letters and headers of the columns that figures are read from: of the period and the month before, and of those that
-- look further back.
select
    place.submission_id,
    place.sheet,
    place.column_name,
    place.column_letter,
    place.header_text
from marts.fct_source_column as place
where
    (place.period in (%(period)s, %(previous)s) and split_part(place.column_name, ':', 1) = any(%(columns)s))
    or (
        place.period between %(trend_from)s and %(period)s
        and split_part(place.column_name, ':', 1) in ('item', 'done_this_month', 'done_to_date')
    )
order by place.submission_id, place.sheet, place.column_name
