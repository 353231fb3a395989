-- What a month's marts and report are made from, kept as a digest while the ledger is written. Reading the whole ledger
-- each time one asks what is out of date costs more with every month of history; a sum can be kept line by line.

create table intake.ledger_digest (
    period text not null,
    kind   text not null,
    -- Sum of the 128-bit digests of the lines: whatever order they came in, equal lines give an equal sum.
    weight numeric not null,
    primary key (period, kind)
) with (fillfactor = 50);
comment on table intake.ledger_digest is '各报告期台账内容的摘要，随台账逐行更新，供判断数据集市与月报是否过期';
comment on column intake.ledger_digest.period is '报告期，YYYY-MM';
comment on column intake.ledger_digest.kind is '台账表名';
comment on column intake.ledger_digest.weight is '该报告期各行 128 位摘要之和';

-- The text of a line that decides about marts and report; null where the line does not.
create function intake.ledger_line(line intake.reporting_period) returns text language sql stable
return concat_ws('|', 'period', line.period, line.due_on, line.closes_on, line.state);

create function intake.ledger_line(line intake.expected_report) returns text language sql stable
return concat_ws('|', 'expected', line.period, line.reporter_code, line.form);

create function intake.ledger_line(line intake.submission) returns text language sql stable
return concat_ws(
    '|', 'submission', line.submission_id, line.period, line.version, line.outcome, line.rows_accepted,
    extract(epoch from line.received_at)
);

create function intake.ledger_line(line intake.received_file) returns text language sql stable
return case
    when line.outcome = 'refused' and line.period is not null
        then concat_ws('|', 'refused file', line.sha256, line.period, line.reporter_code)
end;

create function intake.line_weight(line text) returns numeric language sql immutable
return ('x' || left(md5(line), 16))::bit(64)::bigint::numeric * 18446744073709551616
    + ('x' || right(md5(line), 16))::bit(64)::bigint::numeric;

create function intake.add_to_digest(of_period text, of_kind text, added numeric) returns void language sql
begin atomic
    insert into intake.ledger_digest (period, kind, weight) values (of_period, of_kind, added)
    on conflict (period, kind) do update set weight = ledger_digest.weight + excluded.weight;
end;

create function intake.keep_digest() returns trigger language plpgsql as $keep$
declare
    gone text;
    come text;
begin
    if tg_op <> 'INSERT' then
        gone := intake.ledger_line(old);
    end if;
    if tg_op <> 'DELETE' then
        come := intake.ledger_line(new);
    end if;
    if gone is distinct from come then
        if gone is not null then
            perform intake.add_to_digest(old.period, tg_table_name, -intake.line_weight(gone));
        end if;
        if come is not null then
            perform intake.add_to_digest(new.period, tg_table_name, intake.line_weight(come));
        end if;
    end if;
    return null;
end
$keep$;

create function intake.clear_digest() returns trigger language plpgsql as $clear$
begin
    delete from intake.ledger_digest where kind = tg_table_name;
    return null;
end
$clear$;

do $triggers$
declare
    kept text;
begin
    foreach kept in array array['reporting_period', 'expected_report', 'submission', 'received_file'] loop
        execute format(
            'create trigger keep_digest after insert or update or delete on intake.%I '
            'for each row execute function intake.keep_digest()', kept
        );
        execute format(
            'create trigger clear_digest after truncate on intake.%I execute function intake.clear_digest()', kept
        );
        execute format(
            'insert into intake.ledger_digest (period, kind, weight) '
            'select line.period, %L, sum(intake.line_weight(intake.ledger_line(line))) from intake.%I as line '
            'where intake.ledger_line(line) is not null group by line.period', kept, kept
        );
    end loop;
end
$triggers$;

-- What was up to date by the digest of before is so by that of now.
create temporary table up_to_date on commit drop as
select period, input_hash from intake.period_input;

create or replace view intake.period_input as
with month as (
    select
        period,
        string_agg(concat_ws('|', period, kind, weight), E'\n' order by kind) as lines
    from intake.ledger_digest
    where weight <> 0
    group by period
),

running as (
    select
        period,
        md5(string_agg(lines, E'\n') over (order by period)) as input_hash
    from month
)

select
    this.period,
    running.input_hash
from intake.reporting_period as this
inner join running on this.period = running.period;
comment on view intake.period_input is '各报告期的数据摘要（含此前各期）：摘要不变则数据集市与月报不变';

update intake.build as stored set input_hash = this.input_hash
from up_to_date
inner join intake.period_input as this on up_to_date.period = this.period
where stored.period = this.period and stored.input_hash = up_to_date.input_hash;

update intake.publication as stored set input_hash = this.input_hash
from up_to_date
inner join intake.period_input as this on up_to_date.period = this.period
where stored.period = this.period and stored.input_hash = up_to_date.input_hash;
