{#-
    A name as compared: comparable_text without quotation marks, brackets and other punctuation, lower case; '' for
    none. include/quality/rules.py compares the same way when a report is checked.
-#}
{% macro name_text(column) -%}
    coalesce(
        lower(
            regexp_replace(
                {{ comparable_text(column) }}, '[][“”"''‘’《》〈〉「」()（）【】〔〕、,，.。·—_/-]+', '', 'g'
            )
        ),
        ''
    )
{%- endmacro %}
