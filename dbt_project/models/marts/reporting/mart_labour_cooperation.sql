with

suggestions as (
    select * from {{ ref('stg_analysis__labour_cooperation') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

final as (
    select
        suggestions.period,
        suggestions.occupation_code,
        suggestions.city_code,
        suggestions.offering_city_code,
        suggestions.short_persons,
        suggestions.available_stopped_persons,
        suggestions.available_half_stopped_persons,
        suggestions.available_leavers_persons,
        suggestions.available_persons,
        suggestions.suggested_persons,
        suggestions.unmatched_persons,
        suggestions.distance_km,
        suggestions.distance_rank,
        suggestions.city_code = suggestions.offering_city_code as is_same_city,
        true as is_suggestion,
        '建议' as label_zh,
        periods.data_maturity
    from suggestions
    inner join periods on suggestions.period = periods.period
)

select * from final
