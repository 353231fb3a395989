{#- Every value the run's period uses in `column_name` is a member of `to`.`field` (relationships, one period only). -#}
{% test members_of(model, column_name, to, field) %}
select distinct child.{{ column_name }}
from {{ model }} as child
left join {{ to }} as parent on child.{{ column_name }} = parent.{{ field }}
where
    child.period = '{{ run_period() }}'
    and child.{{ column_name }} is not null
    and parent.{{ field }} is null
{% endtest %}
