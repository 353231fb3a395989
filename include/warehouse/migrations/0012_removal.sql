-- What was removed because its time was over: the rule, what, of whom, how much, by which run, when. A row is written
-- before files go and completed after, so that a run killed between the two is taken up by the next.
create table intake.removal (
    removal_id    bigint generated always as identity primary key,
    rule          text not null,
    subject       text not null,
    period        text,
    reporter_code text,
    sha256        text,
    item_count    bigint not null,
    byte_count    bigint not null,
    kept_for      text not null,
    run_key       text not null,
    planned_at    timestamptz not null default now(),
    removed_at    timestamptz
);
comment on table intake.removal is '按保存期限清除的记录：依据哪条规定、清除了什么、多少、由哪次运行、何时';
comment on column intake.removal.removal_id is '清除记录编号';
comment on column intake.removal.rule is '规则名，见 include/config/retention.yaml';
comment on column intake.removal.subject is '清除的对象：landing/原件校验和、表名、文件夹';
comment on column intake.removal.period is '所属报告期；不属于某一期的为空';
comment on column intake.removal.reporter_code is '所属应报单位；不属于某一单位的为空';
comment on column intake.removal.sha256 is '原件的 SHA-256，供溯源时说明原件已清除';
comment on column intake.removal.item_count is '清除的文件数或行数';
comment on column intake.removal.byte_count is '清除的字节数';
comment on column intake.removal.kept_for is '当时的保存期限，例如 60 月';
comment on column intake.removal.run_key is '由哪一次运行清除';
comment on column intake.removal.planned_at is '开始清除的时间';
comment on column intake.removal.removed_at is '清除完毕的时间；为空为中断，下次运行接着做';
create unique index removal_under_way on intake.removal (rule, subject) where removed_at is null;
create index removal_of_original on intake.removal (sha256) where sha256 is not null;
create index on intake.removal (period, reporter_code);

grant select on intake.removal to auditor;
-- A record of removals that could be removed would prove nothing; the owner of the tables writes it.
revoke insert, update, delete on intake.removal from etl;
