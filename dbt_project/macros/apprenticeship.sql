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


{#-
    First period of the half-year that the run's period belongs to. The return is due on 5 June and 5 December, so its
    half-years run from December to May and from June to November: what happens after one stands in the next.
-#}
{% macro half_year_begin() -%}
    {%- set year, month = run_period().split('-') | map('int') -%}
    {%- if month < 6 -%}
        {{ return('%04d-12' | format(year - 1)) }}
    {%- endif -%}
    {{ return('%04d-06' | format(year) if month < 12 else run_period()) }}
{%- endmacro %}


{#- Days from a deadline to what should have been done by it: 0 in time, null where no deadline runs. -#}
{% macro days_over(done, deadline) -%}
    case when {{ deadline }} is not null then greatest({{ done }} - {{ deadline }}, 0) end
{%- endmacro %}
