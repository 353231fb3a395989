{#-
    Every value in `column` is a key of `to` (of a monthly table: the run's month): one query for all references of a
    model, so that a build stays quick. A null refers to nothing. The diagram (`make docs`) draws its lines from these tests.
-#}
{% test references_hold(model, references) %}
{%- for reference in references %}
select distinct
    '{{ reference.column }}' as column_name,
    child.{{ reference.column }}::text as missing_key
from (select * from {{ model }}) as child
left join {{ reference.to }} as parent on child.{{ reference.column }} = parent.{{ reference.field }}
where
    child.{{ reference.column }} is not null
    and parent.{{ reference.field }} is null
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}
