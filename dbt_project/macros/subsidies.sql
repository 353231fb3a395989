{#-
    What makes two ledger lines the same claim, in whatever month and state they stand: all that is known of it but its
    amounts approved and paid, its steps and its batch, which come later. A line that names neither payee nor person is
    only itself. `lines` holds int_subsidy_claim's columns.
-#}
{% macro subsidy_claim_key(lines) -%}
    md5(
        case
            when {{ lines }}.payee_uscc is null and {{ lines }}.person_key is null
                then
                    jsonb_build_array(
                        {{ lines }}.submission_id, {{ lines }}.sheet, {{ lines }}.source_row, {{ lines }}.source_column
                    )
            else
                jsonb_build_array(
                    {{ lines }}.county_code, coalesce({{ lines }}.item_code, {{ comparable_text(lines ~ '.item_as_sent') }}),
                    {{ lines }}.fund, {{ lines }}.payee_uscc, {{ lines }}.person_key,
                    {{ comparable_text(lines ~ '.occupation') }}, {{ lines }}.level, {{ lines }}.covered_from,
                    {{ lines }}.covered_to, {{ lines }}.standard_yuan, {{ lines }}.quantity, {{ lines }}.applied_yuan,
                    {{ lines }}.applied_on
                )
        end::text
    )
{%- endmacro %}


{#- Order of ledger lines: month, day of application (unknown last), then their place in the files. -#}
{% macro subsidy_line_order(lines) -%}
    ({{ lines }}.period, coalesce({{ lines }}.applied_on, 'infinity'::date), {{ lines }}.county_code, {{ lines }}.submission_id, {{ lines }}.sheet, {{ lines }}.source_row, {{ lines }}.source_column)
{%- endmacro %}


{#- The amount a line stands for: paid, else approved, else applied for. -#}
{% macro subsidy_amount(lines) -%}
    coalesce({{ lines }}.paid_yuan, {{ lines }}.approved_yuan, {{ lines }}.applied_yuan)
{%- endmacro %}


{#- One breach line of a rule that one ledger line breaks by itself; `final` columns of every int_subsidy_breach_* model. -#}
{% macro subsidy_breach_line(lines) -%}
    {{ lines }}.county_code,
        {{ lines }}.city_code,
        {{ lines }}.item_code,
        {{ lines }}.payee_uscc,
        {{ lines }}.person_key,
        {{ lines }}.period as line_period,
        {{ lines }}.submission_id,
        {{ lines }}.sheet,
        {{ lines }}.source_row,
        {{ lines }}.source_column
{%- endmacro %}


{#-
    Both lines of pairs of int_subsidy_person_pair that a rule forbids: the later one breaks the rule and puts its amount
    at stake, the earlier one is why. `pairs` is a CTE with breach_key and is_verified added.
-#}
{% macro subsidy_breach_pair(rule, pairs) %}
    select
        {{ pairs }}.period,
        '{{ rule }}' as rule,
        'claim' as aspect,
        {{ pairs }}.breach_key,
        line.county_code,
        line.city_code,
        line.item_code,
        line.payee_uscc,
        {{ pairs }}.person_key,
        line.line_period,
        line.submission_id,
        line.sheet,
        line.source_row,
        line.source_column,
        bool_or(line.is_breaking) as is_breaking,
        null::text as expected_value,
        null::text as actual_value,
        (max(line.amount_yuan) filter (where line.is_breaking))::numeric(18, 2) as at_stake_yuan,
        bool_or({{ pairs }}.is_verified) as is_verified
    from {{ pairs }}
    cross join lateral (
        values
        (
            {{ pairs }}.later_county_code, {{ pairs }}.later_city_code, {{ pairs }}.later_item_code,
            {{ pairs }}.later_payee_uscc, {{ pairs }}.period, {{ pairs }}.later_submission_id,
            {{ pairs }}.later_sheet, {{ pairs }}.later_source_row, {{ pairs }}.later_source_column, true,
            {{ pairs }}.later_amount_yuan
        ),
        (
            {{ pairs }}.earlier_county_code, {{ pairs }}.earlier_city_code, {{ pairs }}.earlier_item_code,
            {{ pairs }}.earlier_payee_uscc, {{ pairs }}.earlier_period, {{ pairs }}.earlier_submission_id,
            {{ pairs }}.earlier_sheet, {{ pairs }}.earlier_source_row, {{ pairs }}.earlier_source_column, false,
            null::numeric
        )
    ) as line (
        county_code, city_code, item_code, payee_uscc, line_period, submission_id, sheet, source_row, source_column,
        is_breaking, amount_yuan
    )
    group by
        {{ pairs }}.period, {{ pairs }}.breach_key, {{ pairs }}.person_key, line.county_code, line.city_code,
        line.item_code, line.payee_uscc, line.line_period, line.submission_id, line.sheet, line.source_row,
        line.source_column
{%- endmacro %}


{#- Columns of one line of a pair, each under the prefix `side`. -#}
{% macro subsidy_pair_columns(lines, side) -%}
    {%- for column in [
        'period', 'county_code', 'city_code', 'item_code', 'payee_uscc', 'occupation_key', 'level', 'certificate_mark',
        'covered_from', 'covered_to', 'submission_id', 'sheet', 'source_row', 'source_column',
    ] %}
        {{ lines }}.{{ column }} as {{ side }}_{{ column }},
    {%- endfor %}
        case
            when {{ lines }}.item_code = {{ unclassified_item() }} then {{ comparable_text(lines ~ '.item_as_sent') }}
            else {{ lines }}.item_code
        end as {{ side }}_item_key,
        {{ subsidy_amount(lines) }} as {{ side }}_amount_yuan
{%- endmacro %}


{#- By these, the person apart, money taken back is known to belong to an earlier line. -#}
{% macro subsidy_recovery_columns() -%}
    {{ return(['county_code', 'item_code', 'level', 'covered_from', 'covered_to']) }}
{%- endmacro %}


{#- Two lines of one payee and item belong to one training: the same batch, or the same period and level. -#}
{% macro subsidy_same_training(one, other) -%}
    {{ one }}.county_code = {{ other }}.county_code
        and {{ one }}.fund = {{ other }}.fund
        and (
            {{ one }}.batch_no = {{ other }}.batch_no
            or (
                {{ one }}.covered_from = {{ other }}.covered_from
                and {{ one }}.covered_to = {{ other }}.covered_to
                and {{ one }}.level is not distinct from {{ other }}.level
            )
        )
{%- endmacro %}
