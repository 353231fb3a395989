with

source as (
    select * from {{ source('analysis', 'labour_cooperation') }}
),

renamed as (
    select
        period,
        occupation_code,
        city_code,
        offering_city_code,
        short_persons,
        available_stopped_persons,
        available_half_stopped_persons,
        available_leavers_persons,
        available_persons,
        suggested_persons,
        unmatched_persons,
        distance_km,
        distance_rank
    from source
)

select * from renamed
