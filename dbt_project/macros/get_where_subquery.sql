{#-
    dbt's own, with one addition: a generic test of a table that is replaced month by month looks at the run's month
    alone, that of a table of versions at those that begin in it. A month was tested when it was built; to test all of
    them again with every build costs more each month.
    Where it is a subquery it has a name already (PostgreSQL 15 wants one): a test that needs another wraps it once more.
-#}
{% macro get_where_subquery(relation) -%}
    {%- set conditions = [] -%}
    {%- if config.get('where') -%}
        {%- do conditions.append(config.get('where')) -%}
    {%- endif -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute and model.attached_node else none -%}
    {%- if tested and tested.name == relation.identifier -%}
        {%- set column = {'replace_period': 'period', 'replace_versions': 'valid_from_period'}.get(
            tested.config.get('incremental_strategy')
        ) -%}
        {%- if column -%}
            {%- do conditions.append(column ~ " = '" ~ run_period() ~ "'") -%}
        {%- endif -%}
    {%- endif -%}
    {%- if conditions -%}
        (select * from {{ relation }} where {{ conditions | join(' and ') }}) as tested
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
