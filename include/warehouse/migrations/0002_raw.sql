-- Rows as sent, one table a form, partitioned by reporting period (the loader creates the partitions).
-- Personal columns lie apart in `restricted`, keyed by the same row.
create schema if not exists raw;
comment on schema raw is '各表原始数据：按报送版本保存，不改不删';
create schema if not exists restricted;
comment on schema restricted is '个人信息列，读者角色无权访问';

create table raw.enterprise_status (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    period text not null,
    county_code text not null,
    seq integer,
    enterprise_name text,
    uscc text,
    county text,
    locality text,
    industry text,
    ownership text,
    size_class text,
    is_above_scale boolean,
    is_key boolean,
    operating_state text,
    revenue_wan_yuan numeric,
    headcount integer,
    managers integer,
    professionals integer,
    workers integer,
    women integer,
    local_county integer,
    other_county integer,
    other_province integer,
    lifted_poverty integer,
    dispatched integer,
    skill_junior integer,
    skill_intermediate integer,
    skill_senior integer,
    skill_technician integer,
    skill_senior_technician integer,
    skill_master integer,
    skill_chief integer,
    skilled_total integer,
    insured integer,
    hired integer,
    leavers integer,
    wage_general numeric,
    wage_skilled numeric,
    shortage_now integer,
    shortage_expansion integer,
    training_needed integer,
    remark text,
    primary key (period, submission_id, sheet, source_row)
) partition by list (period);
comment on table raw.enterprise_status is '企业情况表：每企业一行，月末状态';

create table restricted.enterprise_status (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    contact text,
    phone text,
    primary key (submission_id, sheet, source_row)
);
comment on table restricted.enterprise_status is '企业情况表：每企业一行，月末状态（个人信息列）';

create table raw.labour_demand (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    period text not null,
    county_code text not null,
    seq integer,
    enterprise_name text,
    uscc text,
    county text,
    post text,
    post_category text,
    employed integer,
    shortage_now integer,
    planned_hires integer,
    shortage_expansion integer,
    expansion_month text,
    expansion_reason text,
    gender text,
    age_min integer,
    age_max integer,
    education text,
    skill_level text,
    wage_min numeric,
    wage_max numeric,
    benefits text,
    workplace text,
    training_post text,
    training_type text,
    training_level text,
    training_persons integer,
    training_month text,
    training_mode text,
    training_subsidised boolean,
    remark text,
    primary key (period, submission_id, sheet, source_row)
) partition by list (period);
comment on table raw.labour_demand is '企业用工需求表：每企业每岗位一行';

create table restricted.labour_demand (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    contact text,
    phone text,
    primary key (submission_id, sheet, source_row)
);
comment on table restricted.labour_demand is '企业用工需求表：每企业每岗位一行（个人信息列）';

create table raw.subsidy_payment (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    period text not null,
    county_code text not null,
    seq integer,
    item text,
    fund text,
    batch_no text,
    payee_name text,
    payee_uscc text,
    person_group text,
    occupation text,
    level text,
    certificate_no text,
    covered_from date,
    covered_to date,
    standard numeric(18,2),
    quantity numeric,
    applied numeric(18,2),
    approved numeric(18,2),
    advanced numeric(18,2),
    paid numeric(18,2),
    applied_on date,
    accepted_on date,
    reviewed_on date,
    notice_from date,
    notice_to date,
    decided_on date,
    paid_on date,
    payment_type text,
    status text,
    remark text,
    person_key text,
    primary key (period, submission_id, sheet, source_row)
) partition by list (period);
comment on table raw.subsidy_payment is '补贴资金发放台账：每申领行一行';
comment on column raw.subsidy_payment.person_key is '身份证号的加密摘要（HMAC-SHA256，密钥不在库内），用于识别同一人';

create table restricted.subsidy_payment (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    person_name text,
    person_id text,
    account text,
    primary key (submission_id, sheet, source_row)
);
comment on table restricted.subsidy_payment is '补贴资金发放台账：每申领行一行（个人信息列）';

