{#- What an occupation is matched by: its code, and where it has none the wording itself. -#}
{% macro occupation_as_matched() -%}
    case
        when occupation_code <> {{ unclassified_occupation() }} then occupation_code
        else {{ comparable_text('occupation') }}
    end
{%- endmacro %}


{#- Last calendar day of a reporting period column. -#}
{% macro period_last_day(period) -%}
    (to_date({{ period }}, 'YYYY-MM') + interval '1 month - 1 day')::date
{%- endmacro %}


{#- First period of the half-year of the run's period, 'YYYY-01' or 'YYYY-07'. -#}
{% macro half_year_begin() -%}
    {%- set parts = run_period().split('-') -%}
    {{ return(parts[0] ~ ('-01' if parts[1] | int <= 6 else '-07')) }}
{%- endmacro %}


{#- Days from a deadline to what should have been done by it: 0 in time, null where no deadline runs. -#}
{% macro days_over(done, deadline) -%}
    case when {{ deadline }} is not null then greatest({{ done }} - {{ deadline }}, 0) end
{%- endmacro %}
