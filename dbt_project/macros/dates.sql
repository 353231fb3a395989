{#- Number of a month on one continuous scale, so that consecutive months differ by 1. -#}
{% macro month_index(period) -%}
    (left({{ period }}, 4)::integer * 12 + right({{ period }}, 2)::integer)
{%- endmacro %}


{#- Calendar day in Beijing time of an instant. -#}
{% macro beijing_day(instant) -%}
    ({{ instant }} at time zone 'Asia/Shanghai')::date
{%- endmacro %}
