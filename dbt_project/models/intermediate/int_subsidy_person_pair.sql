-- A table, since five rules read it.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_period',
        on_schema_change='append_new_columns',
        tags=['monthly'],
        indexes=[{'columns': ['period']}],
    )
}}

with

ledger as not materialized (
    select * from {{ ref('int_subsidy_ledger') }}
),

later as (
    select * from ledger
    where
        period = '{{ run_period() }}'
        and is_granted
        and person_key is not null
),

-- `not materialized` and `offset 0` keep the lookup a lookup: one index scan for each line of the month, however long the ledger has become.
pairs as (
    select
        later.person_key,
        {{ subsidy_pair_columns('later', 'later') }},
        {{ subsidy_pair_columns('earlier', 'earlier') }}
    from later
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.person_key = later.person_key
                and ledger.period <= later.period
                and ledger.is_granted
            order by ledger.period
            offset 0
        ) as earlier
    where
        {{ subsidy_line_order('earlier') }} < {{ subsidy_line_order('later') }}
        -- One claim seen again in its next state, or paid in parts that stay within what was approved, is no second one.
        and (
            earlier.claim_key <> later.claim_key
            or (
                earlier.status = '已拨付'
                and later.status = '已拨付'
                and coalesce(
                    earlier.paid_yuan + later.paid_yuan > greatest(earlier.approved_yuan, later.approved_yuan), true
                )
            )
        )
),

-- What has been taken back by the end of the month was not enjoyed; what is only about to be taken back was.
recovered as (
    select distinct
        lines.submission_id,
        lines.sheet,
        lines.source_row,
        lines.source_column
    from (
        select
            person_key,
            later_period as period,
            {%- for column in subsidy_recovery_columns() %}
            later_{{ column }} as {{ column }},
            {%- endfor %}
            later_submission_id as submission_id,
            later_sheet as sheet,
            later_source_row as source_row,
            later_source_column as source_column
        from pairs

        union

        select
            person_key,
            earlier_period as period,
            {%- for column in subsidy_recovery_columns() %}
            earlier_{{ column }} as {{ column }},
            {%- endfor %}
            earlier_submission_id as submission_id,
            earlier_sheet as sheet,
            earlier_source_row as source_row,
            earlier_source_column as source_column
        from pairs
    ) as lines
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.person_key = lines.person_key
                and ledger.is_recovery
                and ledger.status in ('已拨付', '已追回')
                and ledger.period between lines.period and '{{ run_period() }}'
            order by ledger.period
            offset 0
        ) as recovery
    where
    {%- for column in subsidy_recovery_columns() %}
        recovery.{{ column }} is not distinct from lines.{{ column }}{{ ' and' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        '{{ run_period() }}' as period,
        pairs.*
    from pairs
    where
        not exists (
            select 1 from recovered
            where
                recovered.submission_id = pairs.later_submission_id
                and recovered.sheet = pairs.later_sheet
                and recovered.source_row = pairs.later_source_row
                and recovered.source_column = pairs.later_source_column
        )
        and not exists (
            select 1 from recovered
            where
                recovered.submission_id = pairs.earlier_submission_id
                and recovered.sheet = pairs.earlier_sheet
                and recovered.source_row = pairs.earlier_source_row
                and recovered.source_column = pairs.earlier_source_column
        )
)

select * from final
