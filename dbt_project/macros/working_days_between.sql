{#-
    Working days after the day of calendar row `first` up to and including the day of `last` (State Council holiday
    calendar, make-up working days count). Both are aliases of joined `workdays` rows; null when a date is missing,
    outside the calendar, or out of order.
-#}
{% macro working_days_between(first, last) -%}
    case
        when {{ last }}.day >= {{ first }}.day
            then {{ last }}.working_day_number - {{ first }}.working_day_number
    end
{%- endmacro %}


{#- The same with the first day counted: a notice from Monday to Friday stands five working days. -#}
{% macro working_days_inclusive(first, last) -%}
    case
        when {{ last }}.day >= {{ first }}.day
            then {{ last }}.working_day_number - {{ first }}.working_day_number + {{ first }}.is_working_day::integer
    end
{%- endmacro %}
