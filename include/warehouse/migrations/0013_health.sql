-- What the health check finds, and what was said about it: a problem is told when it appears, changes or ends and once a
-- day meanwhile, so each telling is a row before anything is sent.

create table intake.health_problem (
    problem_id    bigint generated always as identity primary key,
    code          text not null,
    subject       text not null,
    severity      text not null check (severity in ('critical', 'warning')),
    message_zh    text not null,
    message_en    text not null,
    since         timestamptz,
    first_seen    timestamptz not null,
    last_seen     timestamptz not null,
    told_at       timestamptz,
    told_severity text,
    ended_at      timestamptz,
    end_told_at   timestamptz
);
comment on table intake.health_problem is '运行状况：发现的问题，从出现到恢复一行';
comment on column intake.health_problem.code is '问题种类；怎么办见 docs/monitoring.md';
comment on column intake.health_problem.subject is '对象：报告期、文件夹、渠道、运行等';
comment on column intake.health_problem.severity is 'critical 严重：数据或月报已停或将停；warning 注意';
comment on column intake.health_problem.since is '从何时起；空为不知道，看 first_seen';
comment on column intake.health_problem.told_severity is '上次通知时的程度；变化时再通知';
comment on column intake.health_problem.ended_at is '恢复时间；空为仍然存在';
create unique index health_problem_open on intake.health_problem (code, subject) where ended_at is null;

create table intake.health_check (
    only_row   boolean primary key default true check (only_row),
    checked_at timestamptz not null,
    seconds    double precision not null,
    figures    jsonb not null,
    unchecked  text[] not null default '{}'
);
comment on table intake.health_check is '最近一次运行状况检查：时间、数字、没能检查的项目';

create table intake.health_digest (
    digest_no   bigint generated always as identity primary key,
    message_id  text not null unique,
    composed_at timestamptz not null,
    subject_zh  text not null,
    place       text not null,
    body_text   text not null,
    body_html   text not null
);
comment on table intake.health_digest is '运行状况通知：先成文、后发送，重发同一份';

create table intake.health_delivery (
    digest_no bigint not null references intake.health_digest,
    channel   text not null,
    state     text not null check (state in ('pending', 'sent', 'refused', 'expired')),
    attempts  integer not null default 0,
    result_zh text not null default '',
    tried_at  timestamptz,
    primary key (digest_no, channel)
);
comment on table intake.health_delivery is '运行状况通知的送达：每份、每个渠道一行';
comment on column intake.health_delivery.state is
    '状态：pending 待发送（渠道不通则下次再发），sent 已送达，refused 被拒收，expired 一天没有送出，以后来的为准';
create index health_delivery_pending on intake.health_delivery (channel) where state = 'pending';

grant select on intake.health_problem, intake.health_check, intake.health_digest, intake.health_delivery to auditor;
