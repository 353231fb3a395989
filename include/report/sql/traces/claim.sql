-- Sheet of the subsidy ledger: its lines as lists, amounts in 分. No person, payee, name or batch is read.
with lines as (
    select
        claim.*,
        claim.source_row || case when claim.source_column = '' then '' else ':' || claim.source_column end as place,
        claim.is_training
        and claim.status in ('审核通过', '公示中', '公示通过', '已拨付')
        and coalesce(claim.payment_type, '') not in ('预支', '追回') as is_delivered,
        coalesce(claim.payment_type = '预支', false) as is_advance,
        coalesce(
            claim.review_working_days
            > (
                select max(rule.value::numeric)
                from reference.subsidy_rules as rule
                where rule.rule = 'review_working_days'
            ),
            false
        ) as is_over_limit
    from marts.fct_subsidy_claim as claim
    where claim.period = %(period)s
)

select
    period,
    submission_id,
    sheet,
    count(*) as line_count,
    string_agg(place, ',' order by source_row, source_column collate "C") as rows,
    string_agg(coalesce(fund, ''), chr(10) order by source_row, source_column collate "C") as key_fund,
    string_agg(coalesce(item_code, ''), chr(10) order by source_row, source_column collate "C") as key_item,
    string_agg(coalesce(occupation_code, ''), chr(10) order by source_row, source_column collate "C") as key_occupation,
    string_agg(coalesce(level, ''), chr(10) order by source_row, source_column collate "C") as key_level,
    string_agg(coalesce(training_type, ''), chr(10) order by source_row, source_column collate "C") as key_type,
    string_agg(is_recovery::int::text, chr(10) order by source_row, source_column collate "C") as key_recovery,
    string_agg(is_advance::int::text, chr(10) order by source_row, source_column collate "C") as key_advance,
    string_agg(is_over_limit::int::text, chr(10) order by source_row, source_column collate "C") as key_over_limit,
    string_agg(is_delivered::int::text, chr(10) order by source_row, source_column collate "C") as key_delivered,
    string_agg(
        coalesce((applied_yuan * 100)::bigint::text, ''), ',' order by source_row, source_column collate "C"
    ) as cell_applied,
    string_agg(
        coalesce((approved_yuan * 100)::bigint::text, ''), ',' order by source_row, source_column collate "C"
    ) as cell_approved,
    string_agg(
        coalesce((advanced_yuan * 100)::bigint::text, ''), ',' order by source_row, source_column collate "C"
    ) as cell_advanced,
    string_agg(
        coalesce((paid_yuan * 100)::bigint::text, ''), ',' order by source_row, source_column collate "C"
    ) as cell_paid
from lines
group by period, submission_id, sheet
order by period, submission_id, sheet
