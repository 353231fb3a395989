-- Two more forms, and ledgers of which one row of the sheet gives several lines.

create table raw.programme_progress (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    period text not null,
    county_code text not null,
    programme text,
    indicator text,
    indicator_group text,
    unit text,
    done_this_month numeric,
    done_to_date numeric,
    problems text,
    next_steps text,
    primary key (period, submission_id, sheet, source_row)
) partition by list (period);
comment on table raw.programme_progress is '工作进展情况表：每个项目每个指标（分项）一行，数字按所填计量单位，不换算';

create table raw.brand_registry (
    submission_id text not null,
    sheet text not null,
    source_row integer not null,
    period text not null,
    county_code text not null,
    brand_name text,
    category text,
    county text,
    recognised_level text,
    cultivator_name text,
    cultivator_uscc text,
    employed integer,
    agreement_persons integer,
    trained_person_times integer,
    employment_driven integer,
    trademark_no text,
    entered_on date,
    status text,
    exit_reason text,
    remark text,
    primary key (period, submission_id, sheet, source_row)
) partition by list (period);
comment on table raw.brand_registry is '劳务品牌资源库表：每个劳务品牌一行，月末状态';

-- In the wide layout of the subsidy ledger every amount of a row is a line: its column completes the key. Dropping and
-- adding the key at the parent does the same at every partition.
alter table raw.subsidy_payment add column source_column text not null default '';
alter table raw.subsidy_payment drop constraint subsidy_payment_pkey;
alter table raw.subsidy_payment add primary key (period, submission_id, sheet, source_row, source_column);
comment on column raw.subsidy_payment.source_column is '金额所在的列（列标字母）：按补贴项目分列的台账，一行有多笔；每行一笔的台账为空字符串';

alter table restricted.subsidy_payment add column source_column text not null default '';
alter table restricted.subsidy_payment drop constraint subsidy_payment_pkey;
alter table restricted.subsidy_payment add primary key (submission_id, sheet, source_row, source_column);
comment on column restricted.subsidy_payment.source_column is '金额所在的列（列标字母），同 raw.subsidy_payment';

alter table intake.held_row add column source_column text not null default '';
alter table intake.held_row drop constraint held_row_pkey;
alter table intake.held_row add primary key (submission_id, sheet, source_row, source_column);
comment on column intake.held_row.source_column is '金额所在的列（列标字母），同 raw.subsidy_payment';

comment on column intake.sheet_layout.column_name is '列名；按补贴项目分列的台账，“paid:K” 是 source_column 为 K 的各笔的拨付金额所在的列';
