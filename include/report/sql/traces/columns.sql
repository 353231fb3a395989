-- Letters and headers of the columns that figures of the period and the month before are read from.
select
    place.submission_id,
    place.sheet,
    place.column_name,
    place.column_letter,
    place.header_text
from marts.fct_source_column as place
where
    place.period in (%(period)s, %(previous)s)
    and split_part(place.column_name, ':', 1) = any(%(columns)s)
order by place.submission_id, place.sheet, place.column_name
