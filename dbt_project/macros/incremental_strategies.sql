{#-
    delete+insert by the run's period. dbt's own delete+insert deletes only the periods found among the new rows, so a
    period whose last accepted submission was withdrawn would keep its old rows; this one always replaces the period.
-#}
{% macro get_incremental_replace_period_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }} where period = '{{ run_period() }}';

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}


{#- Whole content replaced in one transaction, the table itself kept. -#}
{% macro get_incremental_replace_all_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}


{#-
    For a dimension of versions: every version of the enterprises among the new rows is replaced, and those that began in
    the run's period go even where nothing of their enterprise is left. The rest of the table is not touched.
-#}
{% macro get_incremental_replace_versions_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }}
    where
        valid_from_period = '{{ run_period() }}'
        or enterprise_key in (select enterprise_key from {{ arg_dict['temp_relation'] }});

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}
