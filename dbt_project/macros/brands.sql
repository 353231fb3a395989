{#-
    A brand's name as compared from month to month: NFKC, without blanks and punctuation, letters in lower case, a closing
    劳务品牌 left out. A name that is nothing but such marks stays as sent.
-#}
{% macro brand_name_key(column) -%}
    coalesce(
        nullif(
            regexp_replace(
                regexp_replace(lower({{ comparable_text(column) }}), '["''“”‘’《》〈〉「」『』()\[\]【】〔〕、,.。·—_/-]+', '', 'g'), '劳务品牌$', ''
            ),
            ''
        ),
        {{ comparable_text(column) }}
    )
{%- endmacro %}


{#- A rule's quantity as people read it: 3个月, 500人; a share as a percentage. Null stays null. -#}
{% macro rule_quantity(value, unit) -%}
    case
        when {{ unit }} = '比例' then trim_scale(round({{ value }} * 100, 1)) || '%'
        else trim_scale({{ value }}) || {{ unit }}
    end
{%- endmacro %}
