{#- Text as compared: NFKC (full-width to half-width), every blank removed; '' becomes null. -#}
{% macro comparable_text(column) -%}
    nullif(regexp_replace(normalize({{ column }}, nfkc), '[\s\u200b\ufeff]+', '', 'g'), '')
{%- endmacro %}


{#- Code of 未归类 in each classification. -#}
{% macro unclassified_industry() -%}'00'{%- endmacro %}
{% macro unclassified_occupation() -%}'0-00-00-00'{%- endmacro %}
{% macro unclassified_item() -%}'unclassified'{%- endmacro %}
