-- What stands behind the figures: reporters whose ledger of the month was accepted, whether a sample is among them, and
-- the advances and payments of the half-year in the subsidy ledgers, with a class or without.
select
    (
        select count(*) from marts.dim_period where period = %(period)s
    ) as periods,
    (
        select count(distinct reporter_code) from marts.fct_submission
        where period = %(period)s and form = 'apprenticeship' and is_accepted
    ) as received,
    (
        select coalesce(bool_or(is_sample), false) from marts.fct_submission
        where period = %(period)s
    ) as is_sample,
    (
        select sum(advanced_yuan) from marts.fct_subsidy_claim
        where
            period between %(half_year_from)s and %(period)s
            and item_code = 'apprenticeship'
            and not is_recovery
            and (
                coalesce(payment_type, '') = '预支'
                or (payment_type is null and advanced_yuan is not null)
            )
            and status in ('已拨付', '已追回')
    ) as ledger_advanced_yuan,
    (
        select sum(paid_yuan) from marts.fct_subsidy_claim
        where
            period between %(half_year_from)s and %(period)s
            and item_code = 'apprenticeship'
            and not is_recovery
            and not (
                coalesce(payment_type, '') = '预支'
                or (payment_type is null and advanced_yuan is not null)
            )
            and status in ('已拨付', '已追回')
    ) as ledger_paid_yuan
