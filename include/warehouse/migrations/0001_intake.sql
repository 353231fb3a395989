-- The ledger: who must report, what arrived, what became of it, and every problem found on the way.
create schema if not exists intake;
comment on schema intake is '报送台账：应报单位、收到的文件、报送版本、问题清单';

create table intake.reporter (
    reporter_code text primary key,
    reporter_name text not null,
    region_code   text not null,
    city_code     text not null,
    pilot_level   text not null check (pilot_level in ('自治区级试点', '市级试点')),
    valid_from    date not null,
    valid_to      date,
    is_sample     boolean not null default false
);
comment on table intake.reporter is '应报单位名单（来自 include/config/reporters.csv，可配置）';

create table intake.reporting_period (
    period    text primary key check (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    due_on    date not null,
    closes_on date not null,
    state     text not null default 'open' check (state in ('open', 'closed'))
);
comment on table intake.reporting_period is '报告期：报送截止日、封账日、状态';

create table intake.expected_report (
    period        text not null references intake.reporting_period,
    reporter_code text not null references intake.reporter,
    form          text not null,
    due_on        date not null,
    primary key (period, reporter_code, form)
);
comment on table intake.expected_report is '应报清单：报告期 × 应报单位 × 表种';

create table intake.received_file (
    receipt_id    bigint generated always as identity primary key,
    sha256        text not null,
    file_name     text not null,
    channel       text not null,
    channel_path  text not null,
    size_bytes    bigint not null,
    received_at   timestamptz not null,
    collected_at  timestamptz not null default now(),
    file_kind     text,
    period        text,
    reporter_code text references intake.reporter,
    is_sample     boolean not null default false,
    outcome       text not null check (outcome in ('pending', 'processed', 'refused', 'duplicate')),
    outcome_zh    text not null,
    unique (channel, channel_path, sha256, received_at)
);
comment on table intake.received_file is '收到的每一个文件及其处理结果（一份不漏）';
create index on intake.received_file (sha256);
create index on intake.received_file (period, outcome);

create table intake.submission (
    submission_id    text primary key,
    receipt_id       bigint not null references intake.received_file,
    form             text not null,
    period           text not null,
    reporter_code    text not null references intake.reporter,
    county_code      text not null,
    version          integer not null,
    template_version text,
    sheets           text[] not null,
    received_at      timestamptz not null,
    is_sample        boolean not null default false,
    outcome          text not null check (outcome in ('accepted', 'accepted_with_findings', 'refused')),
    rows_read        integer not null,
    rows_accepted    integer not null,
    rows_held        integer not null,
    cells_read       integer not null,
    cells_filled     integer not null,
    findings_e       integer not null,
    findings_r       integer not null,
    findings_w       integer not null,
    unique (form, period, reporter_code, version)
);
comment on table intake.submission is '报送版本：一份文件中的一种表，每次重报为一个新版本';

create table intake.sheet_layout (
    submission_id text not null references intake.submission,
    sheet         text not null,
    column_name   text not null,
    column_letter text not null,
    header_text   text not null,
    primary key (submission_id, sheet, column_name)
);
comment on table intake.sheet_layout is '各表列所在的列号与原表头文字，用于数字溯源到单元格';

create table intake.held_row (
    submission_id text not null references intake.submission,
    sheet         text not null,
    source_row    integer not null,
    row_values    jsonb not null,
    primary key (submission_id, sheet, source_row)
);
comment on table intake.held_row is '因问题暂扣、未入库的行（个人信息已剔除）';

create table intake.finding (
    finding_id    bigint generated always as identity primary key,
    receipt_id    bigint not null references intake.received_file,
    submission_id text references intake.submission,
    period        text,
    reporter_code text,
    code          text not null,
    severity      char(1) not null check (severity in ('E', 'R', 'W')),
    form          text,
    sheet         text,
    source_row    integer,
    column_name   text,
    cell          text,
    value         text,
    message_zh    text not null,
    rule          text not null,
    first_seen    timestamptz not null,
    state         text not null default 'open' check (state in ('open', 'explained', 'accepted', 'mended', 'expired'))
);
comment on table intake.finding is '问题清单：精确到文件、工作表、单元格；个人信息已脱敏';
create index on intake.finding (period, reporter_code);
create index on intake.finding (receipt_id);

create table intake.model_result (
    period          text not null,
    node_id         text not null,
    resource_type   text not null,
    status          text not null,
    execution_s     double precision not null,
    rows_affected   bigint,
    failures        bigint,
    message         text,
    recorded_at     timestamptz not null default now(),
    primary key (period, node_id)
);
comment on table intake.model_result is '最近一次 dbt build 各节点的结果';

create table intake.build (
    period     text primary key,
    run_key    text not null,
    input_hash text not null,
    seconds    jsonb not null,
    built_at   timestamptz not null default now()
);
comment on table intake.build is '各报告期最近一次建库：输入摘要与各步耗时';

create table intake.publication (
    period         text not null,
    issue_no       integer not null default 0,
    maturity       text not null check (maturity in ('provisional', 'final')),
    reason_zh      text not null,
    coverage       numeric not null,
    data_cutoff    timestamptz,
    input_hash     text not null,
    figures_sha256 text not null,
    figures_checked integer not null,
    seconds        double precision not null,
    published_at   timestamptz not null default now(),
    primary key (period, issue_no)
);
comment on table intake.publication is '月报发布记录：覆盖率、定稿或初步、核对的数字个数';

create table intake.delivery (
    period       text not null,
    issue_no     integer not null,
    channel      text not null,
    recipient    text not null,
    file_name    text not null,
    sha256       text not null,
    result       text not null,
    delivered_at timestamptz not null default now(),
    primary key (period, issue_no, channel, recipient, file_name)
);
comment on table intake.delivery is '报告送达记录';

-- What a month's marts and report are made from: this month's and all earlier months' ledger. Two equal hashes mean
-- equal marts, so a build or an issue whose hash differs is out of date.
create view intake.period_input as
select
    this.period,
    md5(string_agg(line.text, E'\n' order by line.text)) as input_hash
from intake.reporting_period as this
cross join lateral (
    select concat_ws('|', 'period', p.period, p.due_on, p.closes_on, p.state) as text
    from intake.reporting_period as p
    where p.period <= this.period
    union all
    select concat_ws('|', 'expected', e.period, e.reporter_code, e.form)
    from intake.expected_report as e
    where e.period <= this.period
    union all
    select concat_ws('|', 'submission', s.submission_id, s.period, s.version, s.outcome, s.rows_accepted, s.received_at at time zone 'UTC')
    from intake.submission as s
    where s.period <= this.period
    union all
    select concat_ws('|', 'refused file', f.sha256, f.period, f.reporter_code)
    from intake.received_file as f
    where f.period <= this.period and f.outcome = 'refused'
) as line
group by this.period;
comment on view intake.period_input is '各报告期的数据摘要：摘要不变则数据集市与月报不变';
