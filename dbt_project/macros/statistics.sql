{#-
    For what later models of the same build read: without statistics a fresh month counts as no rows, and joins on it are
    planned as loops. A small sample says how many months there are, and costs the same however many; autovacuum takes
    the full one between the builds. The setting ends with the transaction in which dbt runs the hook.
-#}
{% macro refresh_statistics(relation) -%}
    set local default_statistics_target = 10;
    analyze {{ relation }}
{%- endmacro %}
