{#-
    The run's reporting period, 'YYYY-MM': the only time a model knows, nothing reads the clock. It comes from the
    environment and not as a variable of dbt's, which parses the whole project anew whenever a variable changes. While
    parsing, any month will do. A unit test overrides the variable.
-#}
{% macro run_period() -%}
    {%- if not execute -%}
        {{ return('2000-01') }}
    {%- endif -%}
    {%- set period = var('period', env_var('DBT_PERIOD', '')) | string -%}
    {%- if not modules.re.match('^[0-9]{4}-(0[1-9]|1[0-2])$', period) -%}
        {{ exceptions.raise_compiler_error("the period is '" ~ period ~ "'; give a month, e.g. DBT_PERIOD=2026-03 dbt build") }}
    {%- endif -%}
    {{ return(period) }}
{%- endmacro %}


{#- The period `months` calendar months before the run's period. -#}
{% macro period_before(months=1) -%}
    {%- set parts = run_period().split('-') -%}
    {%- set index = (parts[0] | int) * 12 + (parts[1] | int) - 1 - months -%}
    {{ return('%04d-%02d' | format(index // 12, index % 12 + 1)) }}
{%- endmacro %}
