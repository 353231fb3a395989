{#- A ratio that is null, never 0, when it is undefined. -#}
{% macro ratio(numerator, denominator) -%}
    (({{ numerator }})::numeric / nullif({{ denominator }}, 0))::numeric(20, 10)
{%- endmacro %}


{#- (this - last) / last; null when either is missing or last is 0. -#}
{% macro change_rate(this_month, last_month) -%}
    {{ ratio(this_month ~ ' - ' ~ last_month, last_month) }}
{%- endmacro %}


{#- 缺工率. -#}
{% macro shortage_rate(shortage_now, headcount) -%}
    {{ ratio(shortage_now, headcount ~ ' + ' ~ shortage_now) }}
{%- endmacro %}


{#- Sum over columns of one row of what was reported; null, not 0, when none was. -#}
{% macro sum_of(columns) -%}
    case
        when num_nonnulls({{ columns | join(', ') }}) > 0
            then {% for column in columns %}coalesce({{ column }}, 0){{ ' + ' if not loop.last }}{% endfor %}
    end
{%- endmacro %}
