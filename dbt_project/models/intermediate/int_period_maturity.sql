with

periods as (
    select * from {{ ref('stg_intake__reporting_period') }}
),

-- A correction that was refused changed nothing.
revisions as (
    select
        period,
        max(revision_no) as revision_no
    from {{ ref('stg_intake__submission') }}
    where outcome in ('accepted', 'accepted_with_findings')
    group by period
),

final as (
    select
        periods.period,
        periods.due_on,
        periods.closes_on,
        coalesce(revisions.revision_no, 0) as revision_no,
        case
            when periods.state = 'open' then 'provisional'
            when revisions.revision_no > 0 then 'revised'
            else 'final'
        end as data_maturity
    from periods
    left join revisions
        on periods.period = revisions.period
)

select * from final
