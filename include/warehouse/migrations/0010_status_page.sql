-- What the status page inside Airflow's UI asks by month: every version of the month, and how many findings are open.
create index on intake.submission (period, reporter_code);
create index finding_open_by_month on intake.finding (period, reporter_code, form, severity, code) where state = 'open';
create index finding_tally_beyond on intake.finding_tally (receipt_id) where found > stored;
