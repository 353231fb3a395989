-- Form 6: classes of 企业新型学徒制 (enterprise apprenticeship), from filing to completion. Amounts stay in the subsidy ledger.

create table raw.apprenticeship (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    period text not null,
    county_code text not null,
    filing_no text,
    enterprise_name text,
    uscc text,
    training_institution text,
    occupation text,
    level text,
    materials_on date,
    filed_on date,
    filed_persons integer,
    started_on date,
    completed_on date,
    training_persons integer,
    passed_persons integer,
    left_persons integer,
    left_on date,
    left_reported_on date,
    remark text,
    primary key (period, submission_id, sheet, source_row)
) partition by list (period);
comment on table raw.apprenticeship is '企业新型学徒制培训台账：每个备案班次一行，月末状态；补贴金额在补贴资金发放台账';
comment on column raw.apprenticeship.filing_no is '备案编号；备案材料尚在审核的班次为空';
comment on column raw.apprenticeship.materials_on is '备案材料齐备并受理的日期，备案审核期限由此起算';
comment on column raw.apprenticeship.left_persons is '开班以来中途离职人数的累计';
comment on column raw.apprenticeship.left_on is '最近一次办理离职手续的日期';
