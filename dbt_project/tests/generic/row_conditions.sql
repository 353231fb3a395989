{#- Every row of the run's period fulfils every condition; a condition that is null counts as fulfilled. -#}
{% test row_conditions(model, conditions) %}
select *
from {{ model }}
where
    period = '{{ run_period() }}'
    and not (
        {%- for condition in conditions %}
        coalesce({{ condition }}, true){{ ' and' if not loop.last }}
        {%- endfor %}
    )
{% endtest %}
