with

forecasts as (
    select * from {{ ref('stg_analysis__shortage_forecast') }}
    where target_period = '{{ run_period() }}'
),

outcomes as (
    select * from {{ ref('stg_analysis__forecast_outcome') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

compared as (
    select
        forecasts.horizon_months,
        abs(forecasts.forecast_persons - outcomes.shortage_now_persons) as forecast_error_persons,
        abs(forecasts.seasonal_naive_persons - outcomes.shortage_now_persons) as naive_error_persons,
        outcomes.shortage_now_persons between forecasts.lower_persons and forecasts.upper_persons as is_covered
    from forecasts
    inner join outcomes
        on
            forecasts.period = outcomes.origin_period
            and forecasts.city_code = outcomes.city_code
            and forecasts.industry_code = outcomes.industry_code
),

summed as (
    select
        horizon_months,
        count(*) as compared_series,
        sum(forecast_error_persons) as forecast_error_persons,
        sum(naive_error_persons) as naive_error_persons,
        count(*) filter (where is_covered) as covered_series
    from compared
    group by horizon_months
),

methods as (
    select
        horizon_months,
        'forecast' as method,
        compared_series,
        forecast_error_persons as absolute_error_persons,
        {{ ratio('forecast_error_persons', 'naive_error_persons') }} as mae_ratio_to_naive,
        covered_series,
        {{ ratio('covered_series', 'compared_series') }} as interval_coverage_rate,
        forecast_error_persons < naive_error_persons as is_better_than_naive
    from summed

    union all

    select
        horizon_months,
        'seasonal_naive' as method,
        compared_series,
        naive_error_persons as absolute_error_persons,
        null as mae_ratio_to_naive,
        null as covered_series,
        null as interval_coverage_rate,
        null as is_better_than_naive
    from summed
),

final as (
    select
        periods.period,
        methods.horizon_months,
        methods.method,
        methods.compared_series,
        methods.absolute_error_persons::numeric(20, 0) as absolute_error_persons,
        {{ ratio('methods.absolute_error_persons', 'methods.compared_series') }} as mean_absolute_error_persons,
        methods.mae_ratio_to_naive::numeric(20, 10) as mae_ratio_to_naive,
        methods.covered_series,
        methods.interval_coverage_rate::numeric(20, 10) as interval_coverage_rate,
        methods.is_better_than_naive,
        periods.data_maturity
    from methods
    cross join periods
)

select * from final
