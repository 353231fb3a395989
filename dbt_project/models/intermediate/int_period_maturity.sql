with

periods as (
    select * from {{ ref('stg_intake__reporting_period') }}
),

final as (
    select
        period,
        due_on,
        closes_on,
        case state when 'closed' then 'final' else 'provisional' end as data_maturity
    from periods
)

select * from final
