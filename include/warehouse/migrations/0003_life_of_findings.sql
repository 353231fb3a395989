-- What happens after a file was read: findings live and end, versions differ, months close, reopen and are corrected,
-- counties are reminded.

alter table intake.reporting_period drop constraint reporting_period_state_check;
alter table intake.reporting_period
    add constraint reporting_period_state_check check (state in ('open', 'closed', 'reopened')),
    add column reopened_until date,
    add column is_calendar_known boolean not null default true;
comment on column intake.reporting_period.state is '报告期状态：open 报送中，closed 已封账，reopened 重新开放';
comment on column intake.reporting_period.reopened_until is '重新开放的截止日，过后自动封账';
comment on column intake.reporting_period.is_calendar_known is '截止日是否按国务院办公厅公布的放假安排推算；否则按周一至周五推算';

create table intake.period_event (
    event_id    bigint generated always as identity primary key,
    period      text not null references intake.reporting_period,
    event       text not null check (event in ('closed', 'reopened', 'correction_approved', 'correction_rejected')),
    reporter_code text references intake.reporter,
    receipt_id  bigint references intake.received_file,
    actor       text not null,
    reason_zh   text not null,
    happened_at timestamptz not null
);
comment on table intake.period_event is '封账、重新开放、更正审批的记录';
create index on intake.period_event (period);

alter table intake.received_file drop constraint received_file_outcome_check;
alter table intake.received_file
    add constraint received_file_outcome_check
        check (outcome in ('pending', 'processed', 'refused', 'duplicate', 'awaiting_approval', 'rejected')),
    add column is_correction boolean not null default false;
comment on column intake.received_file.is_correction is '是否为封账后的更正';

alter table intake.submission
    add column is_correction boolean not null default false,
    add column revision_no integer not null default 0;
comment on column intake.submission.revision_no is '所属报告期封账后的第几次更正；0 为封账前报送';

alter table intake.finding
    add column finding_key text,
    add column params jsonb not null default '{}',
    add column state_at timestamptz,
    add column state_reason_zh text,
    add column followed_by bigint references intake.finding;
comment on column intake.finding.finding_key is '问题编号：同一单位同一月份同一处的同一问题，各版本编号相同';
comment on column intake.finding.params is '提示文字中用到的数值（已脱敏）';
comment on column intake.finding.state is
    '处理状态：open 待处理，explained 已说明，accepted 说明已采纳，mended 已改正，expired 已失效（由新版本的同一问题接续，或封账后不再追问）';
comment on column intake.finding.followed_by is '后一版本中的同一问题';
create index on intake.finding (submission_id);
create index on intake.finding (finding_key);

create table intake.finding_tally (
    tally_id      bigint generated always as identity primary key,
    receipt_id    bigint not null references intake.received_file,
    submission_id text references intake.submission,
    code          text not null,
    severity      char(1) not null check (severity in ('E', 'R', 'W')),
    found         integer not null,
    stored        integer not null check (stored <= found),
    unique nulls not distinct (receipt_id, submission_id, code)
);
comment on table intake.finding_tally is '每份报表每种问题的准确个数；逐条明细有上限，个数没有';

create table intake.explanation (
    explanation_id bigint generated always as identity primary key,
    finding_id     bigint not null references intake.finding,
    receipt_id     bigint not null references intake.received_file,
    text_zh        text not null,
    received_at    timestamptz not null,
    decision       text check (decision in ('accepted', 'rejected')),
    decided_by     text,
    decided_at     timestamptz,
    decision_reason_zh text,
    unique (finding_id, receipt_id)
);
comment on table intake.explanation is '填报单位在退回表“情况说明”栏写的说明及审核意见';

create table intake.rule_result (
    submission_id text not null references intake.submission,
    suite         text not null,
    code          text not null,
    column_name   text not null,
    state         text not null check (state in ('pass', 'fail', 'did_not_run', 'no_data')),
    checked       integer not null,
    failed        integer not null,
    detail        text not null default '',
    primary key (submission_id, suite, code, column_name)
);
comment on table intake.rule_result is '每份报表每条规则的结果：通过、不通过、未运行、无数据可判';

create table intake.version_comparison (
    submission_id          text primary key references intake.submission,
    previous_submission_id text not null references intake.submission,
    rows_added             integer not null,
    rows_removed           integer not null,
    cells_changed          integer not null,
    stored                 integer not null
);
comment on table intake.version_comparison is '新版本与上一采用版本相比：增加、减少的行数和改动的单元格数';

create table intake.version_difference (
    difference_id  bigint generated always as identity primary key,
    submission_id  text not null references intake.version_comparison,
    change         text not null check (change in ('added', 'removed', 'changed')),
    row_label      text not null,
    column_name    text,
    sheet_before   text,
    cell_before    text,
    value_before   text,
    sheet_after    text,
    cell_after     text,
    value_after    text
);
comment on table intake.version_difference is '新旧版本逐单元格的差异（个人信息不列）';
create index on intake.version_difference (submission_id);

create table intake.reminder (
    period        text not null references intake.reporting_period,
    reporter_code text not null references intake.reporter,
    stage         text not null check (stage in ('before_due', 'due', 'overdue')),
    channel       text not null,
    recipient     text not null,
    subject_zh    text not null,
    body_sha256   text not null,
    result_zh     text not null,
    is_sent       boolean not null,
    sent_at       timestamptz not null,
    primary key (period, reporter_code, stage, channel)
);
comment on column intake.reminder.is_sent is '是否已送达；未送达的下次运行时重试';
comment on table intake.reminder is '催报提醒：每个单位、报告期、阶段、渠道一次';
