-- How each channel answered when it was last asked: what a glance at the health of the intake needs. The files
-- themselves are in intake.received_file, under the channel's name.
create table intake.channel_state (
    channel         text primary key,
    kind            text not null,
    last_tried_at   timestamptz not null,
    last_success_at timestamptz,
    down_since      timestamptz,
    failures        integer not null default 0 check (failures >= 0),
    error_zh        text,
    waiting         integer not null default 0 check (waiting >= 0),
    check ((down_since is null) = (failures = 0)),
    check ((error_zh is null) = (failures = 0))
);
comment on table intake.channel_state is '各接收渠道最近一次收取的情况';
comment on column intake.channel_state.channel is '渠道名称（同 received_file.channel）';
comment on column intake.channel_state.kind is '渠道种类：local、sftp、s3、imap';
comment on column intake.channel_state.last_tried_at is '最近一次尝试收取的时间';
comment on column intake.channel_state.last_success_at is '最近一次收取成功的时间；从未成功为空';
comment on column intake.channel_state.down_since is '从何时起收取不了；正常为空';
comment on column intake.channel_state.failures is '连续失败的次数；正常为0';
comment on column intake.channel_state.error_zh is '最近一次失败的原因；正常为空';
comment on column intake.channel_state.waiting is '看见了但还没有收取的文件数（还在上传，或读取时变动）';
grant select on intake.channel_state to auditor;

-- A file that is uploaded with its old time of change did not arrive before the last look that did not see it. So the
-- time that the channel shows, by which a file is known again, and the time of arrival may differ.
alter table intake.received_file add column modified_at timestamptz;
comment on column intake.received_file.modified_at is '渠道显示的文件修改时间，用于识别已登记的文件；与收到时间相同的为空';
