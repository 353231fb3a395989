-- From rendered reports to reports in people's hands: drafts wait for approval, an issue keeps what it printed, and
-- every delivery is a row that is written before anything is sent.

create table intake.report_draft (
    period             text not null,
    draft_no           integer not null,
    issue_no           integer not null,
    maturity           text not null check (maturity in ('provisional', 'final')),
    reason_zh          text not null,
    coverage           numeric not null,
    missing            text[] not null default '{}',
    data_cutoff        timestamptz,
    input_hash         text not null,
    figures_sha256     text not null,
    printed_sha256     text not null,
    files_sha256       text not null,
    figures_checked    integer not null,
    seconds            double precision not null,
    state              text not null
        check (state in ('waiting', 'approved', 'releasing', 'issued', 'refused', 'superseded')),
    rendered_at        timestamptz not null,
    asked_in           text,
    decided_by         text,
    decided_at         timestamptz,
    decision_reason_zh text,
    primary key (period, draft_no)
);
comment on table intake.report_draft is '月报稿：生成后待批准，批准后发布；每个报告期同时只有一份在办';
comment on column intake.report_draft.draft_no is '该报告期的第几份稿';
comment on column intake.report_draft.issue_no is '拟发布的期次：0 为首次发布，n 为第 n 次更正';
comment on column intake.report_draft.missing is '报表未全部采用的应报单位';
comment on column intake.report_draft.printed_sha256 is '全部版本所印数字的摘要；相同则视为同一组数字';
comment on column intake.report_draft.files_sha256 is '全部文件的摘要；批准针对这一摘要';
comment on column intake.report_draft.state is
    '状态：waiting 待批准，approved 已批准，releasing 发布中，issued 已发布，refused 未批准，superseded 已被新稿代替';
comment on column intake.report_draft.asked_in is '在哪一次 Airflow 运行中请示';
comment on column intake.report_draft.decided_by is '批准或不批准的人；空为未设审批';
create unique index on intake.report_draft (period) where state in ('waiting', 'approved', 'releasing');

create table intake.report_event (
    event_id     bigint generated always as identity primary key,
    period       text not null,
    draft_no     integer not null,
    event        text not null
        check (event in ('rendered', 'asked', 'approved', 'refused', 'resubmitted', 'superseded', 'issued')),
    files_sha256 text not null,
    actor        text not null,
    reason_zh    text not null default '',
    happened_at  timestamptz not null,
    foreign key (period, draft_no) references intake.report_draft
);
comment on table intake.report_event is '月报稿的经过：生成、请示、批准、不批准（理由）、重新请示、被代替、发布';
create index on intake.report_event (period);

alter table intake.publication
    add column draft_no integer,
    add column files_sha256 text,
    add column approved_by text,
    add column approved_at timestamptz;
comment on column intake.publication.issue_no is '期次：0 为首次发布，n 为第 n 次更正';
comment on column intake.publication.draft_no is '由哪一份稿发布';
comment on column intake.publication.approved_by is '批准人；空为未设审批';

create table intake.publication_file (
    period    text not null,
    issue_no  integer not null,
    edition   text not null,
    file_name text not null,
    sha256    text not null,
    primary key (period, issue_no, file_name)
);
comment on table intake.publication_file is '每期月报的文件：版本（province 全区、city.代码、county.代码）、在发件箱中的路径、SHA-256';

create table intake.publication_figure (
    period   text not null,
    issue_no integer not null,
    edition  text not null,
    key      text not null,
    position integer not null,
    label    text not null,
    printed  text not null,
    primary key (period, issue_no, edition, key)
);
comment on table intake.publication_figure is '每期月报各版本所印的每个数字；更正时与上一期逐个比较';
comment on column intake.publication_figure.position is '在该版本中的先后';

-- One row a message instead of one a file; what had been delivered before lies in the outbox.
insert into intake.publication_file (period, issue_no, edition, file_name, sha256)
select period, issue_no, 'province', file_name, sha256 from intake.delivery where channel = 'outbox';

alter table intake.delivery rename to delivery_by_file;
alter table intake.delivery_by_file rename constraint delivery_pkey to delivery_by_file_pkey;
create table intake.delivery (
    period         text not null,
    draft_no       integer not null,
    issue_no       integer not null,
    edition        text not null,
    channel        text not null,
    recipient      text not null,
    message_id     text not null unique,
    sha256         text not null,
    state          text not null check (state in ('pending', 'sending', 'sent', 'refused', 'superseded')),
    attempts       integer not null default 0,
    result_zh      text not null,
    entered_at     timestamptz not null,
    tried_at       timestamptz,
    sent_at        timestamptz,
    primary key (period, draft_no, edition, channel),
    foreign key (period, draft_no) references intake.report_draft
);
comment on table intake.delivery is '月报送达：每份稿、每个版本、每个渠道一行，先记录后发送';
comment on column intake.delivery.message_id is '邮件的 Message-ID（@ 之前）和推送的幂等键；重发不变，收件方据此去重';
comment on column intake.delivery.sha256 is '该版本全部文件的摘要';
comment on column intake.delivery.state is
    '状态：pending 待发送，sending 发送中（中断后以同一编号重发），sent 已送达，refused 被拒收，superseded 已被新稿代替、不再发送';
comment on column intake.delivery.tried_at is '最近一次发送的时间';

insert into intake.report_draft
    (period, draft_no, issue_no, maturity, reason_zh, coverage, data_cutoff, input_hash, figures_sha256, printed_sha256,
     files_sha256, figures_checked, seconds, state, rendered_at)
select
    period, issue_no + 1, issue_no, maturity, reason_zh, coverage, data_cutoff, input_hash, figures_sha256, '', '',
    figures_checked, seconds, 'issued', published_at
from intake.publication;
update intake.publication set draft_no = issue_no + 1;
insert into intake.delivery
    (period, draft_no, issue_no, edition, channel, recipient, message_id, sha256, state, attempts, result_zh,
     entered_at, tried_at, sent_at)
select
    old.period, old.issue_no + 1, old.issue_no, 'province', old.channel, min(old.recipient),
    concat_ws('.', 'report', old.period, old.issue_no + 1, 'province', old.channel),
    encode(sha256(convert_to(string_agg(old.file_name || ' ' || old.sha256, E'\n' order by old.file_name), 'UTF8')), 'hex'),
    'sent', 1, min(old.result), min(old.delivered_at), min(old.delivered_at), min(old.delivered_at)
from intake.delivery_by_file as old
inner join intake.report_draft as draft on old.period = draft.period and old.issue_no + 1 = draft.draft_no
group by old.period, old.issue_no, old.channel;
drop table intake.delivery_by_file;

grant select on
    intake.report_draft, intake.report_event, intake.publication_file, intake.publication_figure, intake.delivery
to auditor;
