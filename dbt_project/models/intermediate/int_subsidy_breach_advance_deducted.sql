{{ config(materialized='ephemeral') }}

with

-- `not materialized` here and `offset 0` below keep every look at earlier months an index scan by key.
ledger as not materialized (
    select * from {{ ref('int_subsidy_ledger') }}
),

settled as (
    select * from ledger
    where
        period = '{{ run_period() }}'
        and is_granted
        and payment_type in ('核拨', '结算')
        and payee_uscc is not null
),

-- An advance belongs to the batch it names, or to the training of the same period and level.
matched as (
    select
        settled.period,
        {%- for column in ('submission_id', 'sheet', 'source_row', 'source_column') %}
        settled.{{ column }},
        {%- endfor %}
        min(advance.claim_key) as anchor_key
    from settled
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.payee_uscc = settled.payee_uscc
                and ledger.item_code = settled.item_code
                and ledger.payment_type = '预支'
                and ledger.status = '已拨付'
                and ledger.period <= settled.period
            order by ledger.period
            offset 0
        ) as advance
    where {{ subsidy_same_training('advance', 'settled') }}
    group by settled.period, settled.submission_id, settled.sheet, settled.source_row, settled.source_column
),

settlements as (
    select
        matched.anchor_key,
        settled.*
    from matched
    inner join settled
        on
            matched.submission_id = settled.submission_id
            and matched.sheet = settled.sheet
            and matched.source_row = settled.source_row
            and matched.source_column = settled.source_column
),

-- Everything of the payee and item up to this month that belongs to the same training.
history as (
    select distinct
        settlements.anchor_key,
        lines.*
    from (
        select distinct
            anchor_key,
            county_code,
            fund,
            payee_uscc,
            item_code,
            batch_no,
            covered_from,
            covered_to,
            level
        from settlements
    ) as settlements
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.payee_uscc = settlements.payee_uscc
                and ledger.item_code = settlements.item_code
                and ledger.payment_type in ('预支', '核拨', '结算', '追回')
                and ledger.status in ('审核通过', '公示中', '公示通过', '已拨付', '已追回')
                and ledger.period <= '{{ run_period() }}'
                and (ledger.payment_type <> '预支' or ledger.status = '已拨付')
            order by ledger.period
            offset 0
        ) as lines
    where {{ subsidy_same_training('lines', 'settlements') }}
),

-- Where the deduction is not stated, what was approved and not paid out is what was kept back.
balances as (
    select
        anchor_key,
        sum(advanced_yuan) filter (where payment_type = '预支') as advanced_yuan,
        coalesce(
            sum(abs(advanced_yuan)) filter (where payment_type = '追回' or (period < '{{ run_period() }}' and is_granted)),
            0
        ) as deducted_before_yuan,
        sum(approved_yuan) filter (where period = '{{ run_period() }}' and is_granted) as approved_yuan,
        sum(coalesce(advanced_yuan, approved_yuan - paid_yuan)) filter (
            where period = '{{ run_period() }}' and is_granted
        ) as deducted_yuan,
        bool_or(payment_type = '结算' and period = '{{ run_period() }}') as is_settled
    from history
    group by anchor_key
),

due as (
    select
        *,
        least(advanced_yuan - deducted_before_yuan, approved_yuan) as due_yuan
    from balances
),

-- A settlement ends the matter; of a payment before it, only one that keeps nothing back is surely wrong.
broken as (
    select
        history.*,
        due.due_yuan,
        due.deducted_yuan,
        row_number() over (
            partition by history.anchor_key
            order by (history.payment_type <> '预支')::integer desc, {{ subsidy_line_order('history') }} desc
        ) as line_no
    from due
    inner join history on due.anchor_key = history.anchor_key
    where
        due.due_yuan > 0
        and due.deducted_yuan < due.due_yuan
        and (due.is_settled or due.deducted_yuan = 0)
),

final as (
    select
        '{{ run_period() }}' as period,
        'advance_deducted' as rule,
        'claim' as aspect,
        broken.anchor_key as breach_key,
        {{ subsidy_breach_line('broken') }},
        broken.period = '{{ run_period() }}' and broken.is_granted as is_breaking,
        broken.due_yuan::text as expected_value,
        broken.deducted_yuan::text as actual_value,
        (case when broken.line_no = 1 then broken.due_yuan - broken.deducted_yuan end)::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from broken
    where
        true
)

select * from final
