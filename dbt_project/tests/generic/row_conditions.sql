{#- Every row (of a monthly table: of the run's month) fulfils every condition; a condition that is null counts as fulfilled. -#}
{% test row_conditions(model, conditions) %}
select *
from {{ model }}
where
    not (
        {%- for condition in conditions %}
        coalesce({{ condition }}, true){{ ' and' if not loop.last }}
        {%- endfor %}
    )
{% endtest %}
