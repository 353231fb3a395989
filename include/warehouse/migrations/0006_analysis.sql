-- What include/analysis/ works out with libraries outside the database, one period at a time. dbt reads it through
-- staging and serves it in marts; nobody else writes here.

create schema analysis;
comment on schema analysis is '由 include/analysis/ 按报告期计算的结果：劳务协作建议、缺工预测及其回测';

create table analysis.labour_cooperation (
    period text not null,
    occupation_code text not null,
    city_code text not null,
    offering_city_code text not null,
    short_persons bigint not null,
    available_stopped_persons bigint not null,
    available_half_stopped_persons bigint not null,
    available_leavers_persons bigint not null,
    available_persons bigint not null,
    suggested_persons bigint not null,
    unmatched_persons bigint not null,
    distance_km numeric(8, 1) not null,
    distance_rank integer not null,
    primary key (period, occupation_code, city_code, offering_city_code)
);
comment on table analysis.labour_cooperation is '区内劳务协作建议：职业 × 缺工市 × 供给市';

-- One row a series: whether it could be forecast, and on which counties. Kept even without a forecast.
create table analysis.shortage_series (
    period text not null,
    city_code text not null,
    industry_code text not null,
    status text not null check (status in ('forecast', 'history_insufficient', 'method_failed')),
    months_available integer not null,
    months_needed integer not null,
    panel_counties integer not null,
    expected_counties integer not null,
    panel_shortage_now_persons bigint,
    horizon_months integer not null check (horizon_months between 1 and 12),
    interval_level numeric(20, 10) not null check (interval_level between 0 and 1),
    primary key (period, city_code, industry_code)
);
comment on table analysis.shortage_series is '缺工序列：每期每市每行业是否可预测、可用月数、同口径县数';

create table analysis.forecast_panel (
    period text not null,
    city_code text not null,
    county_code text not null,
    primary key (period, city_code, county_code)
);
comment on table analysis.forecast_panel is '预测所用的同口径县：预测和事后比较都只用这些县';

create table analysis.shortage_forecast (
    period text not null,
    city_code text not null,
    industry_code text not null,
    horizon_months integer not null check (horizon_months between 1 and 12),
    target_period text not null check (target_period > period),
    forecast_persons numeric(12, 0) not null check (forecast_persons >= 0),
    lower_persons numeric(12, 0) not null check (lower_persons between 0 and forecast_persons),
    upper_persons numeric(12, 0) not null check (upper_persons >= forecast_persons),
    seasonal_naive_persons numeric(12, 0) not null check (seasonal_naive_persons >= 0),
    primary key (period, city_code, industry_code, horizon_months)
);
comment on table analysis.shortage_forecast is '缺工预测：在 period 月作出、对 target_period 月的预测和季节性朴素基线';
create index shortage_forecast_by_target on analysis.shortage_forecast (target_period);

-- What came, for the counties the forecast was made for; no row where one of them did not report.
create table analysis.forecast_outcome (
    period text not null,
    origin_period text not null check (origin_period < period),
    city_code text not null,
    industry_code text not null,
    shortage_now_persons bigint not null,
    primary key (period, origin_period, city_code, industry_code)
);
comment on table analysis.forecast_outcome is '预测的实际结果：period 月同口径县的缺工人数，对应 origin_period 月作出的预测';
