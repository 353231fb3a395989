with

series as (
    select * from {{ ref('stg_analysis__shortage_series') }}
    where period = '{{ run_period() }}'
),

forecasts as (
    select * from {{ ref('stg_analysis__shortage_forecast') }}
    where period = '{{ run_period() }}'
),

-- A year of comparisons: every season counts once.
accuracy as (
    select * from {{ ref('mart_forecast_accuracy') }}
    where period between '{{ period_before(11) }}' and '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

track_record as (
    select
        horizon_months,
        sum(compared_series) filter (where method = 'forecast')::bigint as compared_series,
        sum(absolute_error_persons) filter (where method = 'forecast') as forecast_error_persons,
        sum(absolute_error_persons) filter (where method = 'seasonal_naive') as naive_error_persons
    from accuracy
    group by horizon_months
),

horizons as (
    select
        series.*,
        ahead.horizon_months as months_ahead,
        to_char((series.period || '-01')::date + make_interval(months => ahead.horizon_months), 'YYYY-MM')
            as target_period
    from series
    cross join lateral generate_series(1, series.horizon_months) as ahead (horizon_months)
),

final as (
    select
        horizons.period,
        horizons.city_code,
        horizons.industry_code,
        horizons.months_ahead as horizon_months,
        horizons.target_period,
        horizons.status,
        horizons.months_available,
        horizons.months_needed,
        horizons.panel_counties,
        horizons.expected_counties,
        horizons.panel_shortage_now_persons,
        forecasts.forecast_persons,
        forecasts.lower_persons,
        forecasts.upper_persons,
        horizons.interval_level,
        forecasts.seasonal_naive_persons,
        coalesce(track_record.compared_series, 0) as compared_series,
        {{ ratio('track_record.forecast_error_persons', 'track_record.naive_error_persons') }} as mae_ratio_to_naive,
        track_record.forecast_error_persons < track_record.naive_error_persons as is_better_than_naive,
        periods.data_maturity
    from horizons
    inner join periods on horizons.period = periods.period
    left join forecasts
        on
            horizons.city_code = forecasts.city_code
            and horizons.industry_code = forecasts.industry_code
            and horizons.months_ahead = forecasts.horizon_months
    left join track_record on horizons.months_ahead = track_record.horizon_months
)

select * from final
