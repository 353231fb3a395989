-- Kept as a table so that a rule finds the earlier lines of a person, claim or payee through an index: over the view of
-- raw rows every month would read the whole history. Only the rules and the fact read it.
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_period',
        on_schema_change='append_new_columns',
        tags=['monthly'],
        post_hook='{{ refresh_statistics(this) }}',
        indexes=[
            {'columns': ['period', 'submission_id', 'sheet', 'source_row', 'source_column'], 'unique': true},
            {'columns': ['person_key']},
            {'columns': ['claim_key']},
            {'columns': ['payee_uscc', 'item_code', 'payment_type']},
        ],
    )
}}

with

claims as (
    select * from {{ ref('int_subsidy_claim') }}
    where period = '{{ run_period() }}'
)

select * from claims
