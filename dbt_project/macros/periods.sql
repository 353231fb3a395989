{#- The run's reporting period, 'YYYY-MM'. The only time a model knows: nothing reads the clock. -#}
{% macro run_period() -%}
    {%- set period = var('period') | string -%}
    {%- if not modules.re.match('^[0-9]{4}-(0[1-9]|1[0-2])$', period) -%}
        {{ exceptions.raise_compiler_error("var period is '" ~ period ~ "'; give a month, e.g. --vars '{period: \"2026-03\"}'") }}
    {%- endif -%}
    {{ return(period) }}
{%- endmacro %}


{#- The period `months` calendar months before the run's period. -#}
{% macro period_before(months=1) -%}
    {%- set parts = run_period().split('-') -%}
    {%- set index = (parts[0] | int) * 12 + (parts[1] | int) - 1 - months -%}
    {{ return('%04d-%02d' | format(index // 12, index % 12 + 1)) }}
{%- endmacro %}
