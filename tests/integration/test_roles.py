"""Who may read what, tried by real logins on a real server: a warehouse owned by a login that is no superuser, as in
docker-compose, filled with the small province and built by dbt."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from include.settings import get_settings
from include.warehouse import embedded, readers
from include.warehouse.connection import connect
from include.warehouse.dbt import connection_environment, dbt_build
from include.warehouse.migrate import MIGRATIONS, migrate
from include.warehouse.person_key import person_hash_key, person_key
from include.warehouse.provision import Owner, provision
from include.warehouse.readers import READERS, ReaderRefused, add_reader, new_password, remove_reader
from tests.dbt.province import fill

OWN, OTHER, EMPTY = "450700", "450800", "451400"
PERIOD = "2026-01"
# Written into every place that no reader may reach: a name in `restricted`, a payee and remarks in `raw`.
NAME, PAYEE, REMARK = "张三丰", "收款人李四", "备注王五"
PERSON_ID = "450721199001011234"
# Published documents, open as a whole though they name places.
PUBLIC = {"dim_programme", "dim_policy_target", "dim_subsidy_standard"}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Warehouse:
    """The warehouse of these tests and its logins: name -> password."""

    url: str = field(repr=False)
    database: str
    suffix: str
    passwords: dict[str, str] = field(repr=False)

    def open(self, who: str, **options: Any) -> psycopg.Connection[Any]:
        state = embedded.status()
        return psycopg.connect(
            host=state.host, port=state.port, dbname=self.database, user=self.login(who), password=self.passwords[who],
            autocommit=True, **options,
        )  # fmt: skip

    def login(self, who: str) -> str:
        return f"{who}_{self.suffix}"


@pytest.fixture(scope="module")
def warehouse_of_readers(var_dir: Any) -> Iterator[Warehouse]:
    embedded.start()
    suffix = uuid4().hex[:8]
    owner = Owner(f"owner_{suffix}", f"roles_{suffix}", uuid4().hex, is_warehouse=True)
    state = embedded.status()
    url = f"postgresql://{owner.role}:{owner.password}@{state.host}:{state.port}/{owner.database}"
    provision(embedded.url("postgres"), [owner])
    os.environ["WAREHOUSE_URL"] = url
    get_settings.cache_clear()
    warehouse = Warehouse(url, owner.database, suffix, {})
    try:
        with connect() as conn:
            migrate(conn)
            fill(conn)
            _plant_personal(conn)
            # One month is enough for rights, and a full refresh builds them all.
            conn.execute("delete from intake.expected_report where period <> %s", (PERIOD,))
            conn.execute("delete from intake.reporting_period where period <> %s", (PERIOD,))
            conn.commit()
            dbt_build(PERIOD)
            _plant_places(conn)
            for who, role, city in (
                ("office", "command_office", None),
                ("qinzhou", "city_reader", OWN),
                ("guigang", "city_reader", OTHER),
                ("chongzuo", "city_reader", EMPTY),
                ("audit", "auditor", None),
            ):
                warehouse.passwords[who] = add_reader(conn, warehouse.login(who), role, city)
            conn.commit()
        yield warehouse
        with connect() as conn:
            for who in list(warehouse.passwords):
                remove_reader(conn, warehouse.login(who))
            conn.commit()
    finally:
        del os.environ["WAREHOUSE_URL"]
        get_settings.cache_clear()
        with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
            admin.execute(f"drop database if exists {owner.database} with (force)")
            for who in warehouse.passwords:
                admin.execute(f"drop role if exists {warehouse.login(who)}")
            admin.execute(f"drop role {owner.role}")


@pytest.fixture
def house(warehouse_of_readers: Warehouse) -> Warehouse:
    return warehouse_of_readers


@pytest.fixture
def owner(house: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with connect() as conn:
        yield conn
        conn.rollback()


def _plant_personal(conn: psycopg.Connection[Any]) -> None:
    """Personal data where the loader puts it."""
    conn.execute("update raw.subsidy_payment set payee_name = %s, remark = %s", (PAYEE, REMARK))
    conn.execute("update raw.enterprise_status set remark = %s", (REMARK,))
    conn.execute("update raw.labour_demand set remark = %s", (REMARK,))
    key = person_key(PERSON_ID, person_hash_key())
    conn.execute("update raw.subsidy_payment set person_key = %s where person_key = 'p1'", (key,))
    conn.execute(
        "insert into restricted.subsidy_payment (submission_id, sheet, source_row, source_column, person_name,"
        " person_id, account) select submission_id, sheet, source_row, source_column, %s, %s, '6222021001112223334'"
        " from raw.subsidy_payment",
        (NAME, PERSON_ID),
    )
    conn.execute(
        "insert into intake.held_row (submission_id, sheet, source_row, row_values)"
        " select submission_id, '表', 99, jsonb_build_object('payee_name', %s::text) from intake.submission limit 1",
        (PAYEE,),
    )


def _columns(conn: psycopg.Connection[Any], table: str) -> dict[str, tuple[str, bool]]:
    """Columns of a table of marts: type and whether it may be null."""
    rows = conn.execute(
        "select column_name, data_type, is_nullable = 'YES' from information_schema.columns"
        " where table_schema = 'marts' and table_name = %s order by ordinal_position",
        (table,),
    )
    return {name: (data_type, nullable) for name, data_type, nullable in rows}


def _tables(conn: psycopg.Connection[Any], kind: str = "rp") -> list[str]:
    rows = conn.execute(
        "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind = any(%s) order by 1",
        (list(kind),),
    )
    return [row[0] for row in rows]


def _of_cities(conn: psycopg.Connection[Any]) -> list[str]:
    return [table for table in _tables(conn) if "city_code" in _columns(conn, table) and table not in PUBLIC]


def _open_to_cities(conn: psycopg.Connection[Any], table: str) -> bool:
    columns = _columns(conn, table)
    places = [name for name in columns if name.endswith(("county_code", "region_code", "city_code", "reporter_code"))]
    return "city_code" in columns or not places or table in PUBLIC


def _plant_places(conn: psycopg.Connection[Any]) -> None:
    """A row of either city and one of the province into every table of places: none is empty, so none is safe by it."""
    values = {"text": "'planted-{n}'", "date": "date '2026-01-01' + {n}", "boolean": "true", "jsonb": "'{{}}'",
              "timestamp with time zone": "timestamptz '2026-01-01 00:00+08'", "ARRAY": "'{{}}'"}  # fmt: skip
    for table in _of_cities(conn):
        columns = _columns(conn, table)
        for number, city in enumerate((OWN, OTHER, None), 1):
            if city is None and not columns["city_code"][1]:
                continue
            given = {name: values.get(kind, "{n}").format(n=number) for name, (kind, _) in columns.items()}
            given["city_code"] = "null" if city is None else f"'{city}'"
            conn.execute(f"insert into marts.{table} ({', '.join(given)}) values ({', '.join(given.values())})")
    conn.commit()


def _count(conn: psycopg.Connection[Any], table: str, where: str = "true") -> int:
    row = conn.execute(f"select count(*) from marts.{table} where {where}").fetchone()
    assert row is not None
    return int(row[0])


def _refused(conn: psycopg.Connection[Any], statement: str) -> None:
    """The statement fails for lack of privilege, and for nothing else."""
    try:
        with conn.transaction():
            conn.execute(statement)
    except errors.InsufficientPrivilege:
        return
    except psycopg.Error as error:
        raise AssertionError(f"{statement}: {error}") from error
    raise AssertionError(f"allowed: {statement}")


# ------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("who", ["office", "qinzhou", "guigang", "audit"])
def test_every_reader_reads_marts_and_reference(house: Warehouse, owner: psycopg.Connection[Any], who: str) -> None:
    seeds = owner.execute(
        "select tablename from pg_tables where schemaname = 'reference' and tablename <> 'project_state'"
    ).fetchall()
    with house.open(who) as conn:
        for table in _tables(owner):
            if _open_to_cities(owner, table) or who in ("office", "audit"):
                _count(conn, table)
        for (seed,) in seeds:
            query = f"select count(*) from reference.{seed}"
            assert conn.execute(query).fetchone() == owner.execute(query).fetchone()
    assert len(seeds) > 10


def test_office_and_auditor_see_every_row(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    for who in ("office", "audit"):
        with house.open(who) as conn:
            assert {table: _count(conn, table) for table in _tables(owner)} == {
                table: _count(owner, table) for table in _tables(owner)
            }


def check_cities(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    """In every table of places a city reader sees its city's rows, and not another's nor the province's."""
    tables = _of_cities(owner)
    assert len(tables) >= 13
    for who, city in (("qinzhou", OWN), ("guigang", OTHER), ("chongzuo", EMPTY)):
        with house.open(who) as conn:
            for table in tables:
                seen = conn.execute(
                    f"select coalesce(city_code, 'province'), count(*) from marts.{table} group by 1"
                ).fetchall()
                own = _count(owner, table, f"city_code = '{city}'")
                assert seen == ([(city, own)] if own else []), (who, table)


def test_a_city_sees_its_own_rows_of_every_table(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    check_cities(house, owner)
    for table in _of_cities(owner):
        assert _count(owner, table, f"city_code = '{OWN}'"), table
        assert _count(owner, table, f"city_code = '{OTHER}'"), table
    provincial = [table for table in _of_cities(owner) if _count(owner, table, "city_code is null")]
    assert {"dim_region", "mart_labour_shortage_summary"} <= set(provincial)


def test_a_table_of_places_has_a_city_or_is_closed_to_cities(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    closed = [table for table in _tables(owner) if not _open_to_cities(owner, table)]
    assert not closed, "these name places but have no city_code, so no city can read them: add it"


def test_public_are_dimensions_made_of_seeds_alone(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    manifest = json.loads((get_settings().var / f"dbt/target/{PERIOD}/manifest.json").read_text("utf-8"))
    marked = {
        node["name"]: node
        for node in manifest["nodes"].values()
        if (node["config"].get("meta") or {}).get("is_public_code_set")
    }
    assert set(marked) == PUBLIC, "a table was opened to every city: does it hold published documents only?"
    for name, node in marked.items():
        waiting, seen = list(node["depends_on"]["nodes"]), set()
        while waiting:
            one = waiting.pop()
            seen.add(one)
            waiting += manifest["nodes"].get(one, {}).get("depends_on", {}).get("nodes", [])
        assert seen and not [one for one in seen if one.startswith("source.")], f"{name} holds reported rows"
        with house.open("chongzuo") as conn:
            assert _count(conn, name) == _count(owner, name) > 0


def test_sums_are_those_of_the_own_city(house: Warehouse) -> None:
    # January of the small province: 灵山 5 + 0, 钦南 10, 桂平 8.
    query = "select sum(shortage_now_persons) from fct_enterprise_month where period = '2026-01'"
    expected = {"office": 23, "audit": 23, "qinzhou": 15, "guigang": 8, "chongzuo": None}
    found = {}
    for who in expected:
        with house.open(who) as conn:
            found[who] = (conn.execute(query).fetchone() or ("no row",))[0]
    assert found == expected


def test_a_function_in_the_condition_sees_no_hidden_row(house: Warehouse) -> None:
    with house.open("guigang") as conn:
        # Would divide by zero at a row of 灵山县 if it were called before the policy.
        query = "select count(*) from fct_enterprise_month where 1 / (county_code <> '450721')::integer > 0"
        assert conn.execute(query).fetchone() is not None
        assert conn.execute(
            "select count(*) from pg_stats where schemaname = 'marts' and tablename = 'fct_enterprise_month'"
        ).fetchone() == (0,)


def test_a_figure_is_traced_by_those_who_may_read_it(house: Warehouse) -> None:
    query = "select count(*) from trace('mart_labour_shortage_summary', 'shortage_now_persons', '2026-01', '450881')"
    found = {}
    for who in ("office", "guigang", "qinzhou"):
        with house.open(who) as conn:
            try:
                found[who] = (conn.execute(query).fetchone() or ("no row",))[0]
            except errors.RaiseException:
                found[who] = "no such figure"
    # 桂平市: one enterprise, one cell.
    assert (found["office"], found["guigang"]) == (1, 1)
    assert found["qinzhou"] in (0, "no such figure")


def test_a_city_reader_without_a_city_sees_nothing(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    with house.open("qinzhou") as conn:
        owner.execute("delete from intake.reader_city where login_name = %s", [house.login("qinzhou")])
        owner.commit()
        try:
            assert {table: _count(conn, table) for table in _of_cities(owner)} == dict.fromkeys(_of_cities(owner), 0)
        finally:
            owner.execute(
                "insert into intake.reader_city (login_name, city_code) values (%s, %s)", [house.login("qinzhou"), OWN]
            )
            owner.commit()
        assert _count(conn, "fct_enterprise_month")


# -------------------------------------------------------------------------------------------------------- personal data


def test_the_hash_of_a_person_is_for_the_auditor_alone(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    holders = [table for table in _tables(owner) if "person_key" in _columns(owner, table)]
    assert "fct_subsidy_claim" in holders
    for who in ("office", "qinzhou"):
        with house.open(who) as conn:
            for table in holders:
                _refused(conn, f"select person_key from marts.{table}")
                _refused(conn, f"select * from marts.{table}")
                _refused(conn, f"select t from marts.{table} as t")
                _refused(conn, f"select 1 from marts.{table} where person_key = 'p2'")
    with house.open("audit") as conn:
        for table in holders:
            conn.execute(f"select person_key from marts.{table}")


def test_nothing_personal_stands_in_what_anybody_reads(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    """All that a reader may select, searched for what was planted in `restricted` and `raw`."""
    forbidden = (NAME, PAYEE, REMARK, PERSON_ID, "6222021001112223334")
    for who in ("office", "qinzhou", "audit"):
        with house.open(who) as conn:
            columns = conn.execute(
                "select table_schema, table_name, string_agg(quote_ident(column_name), ', ')"
                " from information_schema.columns where table_schema !~ '^(pg_|information_schema)' group by 1, 2"
            ).fetchall()
            assert {schema for schema, _, _ in columns} == {"marts", "reference"} | (
                {"intake"} if who == "audit" else set()
            )
            for schema, table, listed in columns:
                found = conn.execute(
                    f"select count(*) from (select {listed} from {schema}.{table}) as t where t::text like any(%s)",
                    [[f"%{text}%" for text in forbidden]],
                ).fetchone()
                assert found == (0,), (who, schema, table)
    assert owner.execute("select count(*) from restricted.subsidy_payment where person_name = %s", [NAME]).fetchone()


def test_the_key_of_the_hashes_is_not_in_the_database(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    key = person_hash_key().decode()
    parameters = connection_environment(house.url)
    dump = subprocess.run(
        [embedded.binary("pg_dump"), "--host", parameters["DBT_HOST"], "--port", parameters["DBT_PORT"],
         "--username", parameters["DBT_USER"], parameters["DBT_DBNAME"]],
        env={**os.environ, "PGPASSWORD": parameters["DBT_PASSWORD"]}, capture_output=True, check=True,
    ).stdout  # fmt: skip
    hashed = person_key(PERSON_ID, person_hash_key())
    assert hashed.encode() in dump  # the search finds what is there
    assert key.encode() not in dump
    settings = owner.execute("select coalesce(string_agg(setting, ' '), '') from pg_settings").fetchone()
    lasting = owner.execute("select coalesce(string_agg(setconfig::text, ' '), '') from pg_db_role_setting").fetchone()
    assert key not in str(settings) + str(lasting)


# ------------------------------------------------------------------------------------------------------ what is refused

CLOSED = (
    "select * from restricted.subsidy_payment",
    "select * from restricted.enterprise_status",
    "select * from raw.subsidy_payment",
    "select remark from raw.enterprise_status_2026_01",
    "select * from staging.stg_raw__subsidy_payment",
    "select * from intermediate.int_subsidy_claim",
    "select * from intake.held_row",
    "select * from reference.project_state",
    "select intake.own_city()",
    "select * from pg_authid",
    "select * from pg_statistic",
)
LEDGER = ("select * from intake.finding", "select * from intake.submission", "select * from intake.reader_city")
WRITES = (
    "insert into marts.dim_period (period) values ('2099-01')",
    "insert into reference.regions (region_code) values ('1')",
    "update marts.fct_enterprise_month set shortage_now_persons = 0",
    "delete from marts.mart_labour_shortage",
    "delete from intake.finding",
    "update intake.reader_city set city_code = '450800'",
    "insert into intake.reader_city (login_name, city_code) values (session_user, '450800')",
    "truncate marts.mart_labour_shortage",
    "drop table marts.mart_labour_shortage",
    "alter table marts.mart_labour_shortage disable row level security",
    "drop policy rows_of_own_city on marts.mart_labour_shortage",
    "create policy mine on marts.mart_labour_shortage for select using (true)",
    "create table marts.mine (n integer)",
    "create view marts.mine as select 1",
    "create table public.mine (n integer)",
    "create temporary table mine (n integer)",
    "select 1 as n into temporary mine",
    "create schema mine",
    "create function public.mine() returns integer language sql return 1",
    "create materialized view reference.mine as select 1",
    "create role mine",
    "copy (select 1) to program 'true'",
    "copy (select 1) to '/tmp/mine'",
    "copy marts.dim_period from '/etc/hostname'",
    "select pg_read_file('/etc/hostname')",
    "select pg_ls_dir('.')",
    "select lo_from_bytea(0, 'x')",
    "select lo_create(0)",
    "select lo_import('/etc/hostname')",
    "select pg_advisory_lock(20260217)",
    "select pg_try_advisory_xact_lock(1)",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename <> current_user and datname is not null",
    "lock table marts.mart_labour_shortage in access exclusive mode",
    "comment on table marts.dim_period is 'mine'",
    "set role etl",
    "set role pg_read_all_data",
    "set session_replication_role = replica",
)
# Refused with a warning only: judged by what stands afterwards.
IGNORED = (
    "grant select on marts.dim_period to public",
    "revoke select on marts.dim_period from auditor",
    "analyze marts.dim_period",
)


def _tries(house: Warehouse, who: str) -> list[str]:
    others = [house.login(name) for name in house.passwords if name != who] + [f"owner_{house.suffix}"]
    roles = {"office": "command_office", "qinzhou": "city_reader", "audit": "auditor"}
    return [
        *CLOSED,
        *WRITES,
        *(f"set role {role}" for role in [*others, *(one for one in READERS if one != roles[who])]),
        *(f"set session authorization {role}" for role in others),
        f"grant {next(one for one in READERS if one != roles[who])} to {house.login(who)}",
        f"alter role {house.login(who)} bypassrls",
        f"alter role {house.login(who)} connection limit -1",
    ]


@pytest.mark.parametrize("who", ["office", "qinzhou", "audit"])
def test_what_no_reader_may_do(house: Warehouse, owner: psycopg.Connection[Any], who: str) -> None:
    before = _standing(owner)  # and a session of the owner, for the reader to fail to end
    for statement in _tries(house, who):
        with house.open(who) as conn:
            # A session may lift its own default; the write must fail all the same.
            conn.execute("set default_transaction_read_only = off")
            _refused(conn, statement)
    with house.open(who) as conn:
        conn.execute("set default_transaction_read_only = off")
        for statement in IGNORED:
            conn.execute(statement)
    assert _standing(owner) == before


@pytest.mark.parametrize("who", ["office", "qinzhou"])
def test_the_ledger_is_for_the_auditor(house: Warehouse, who: str) -> None:
    with house.open(who) as conn:
        for statement in LEDGER:
            _refused(conn, statement)
    with house.open("audit") as conn:
        for statement in LEDGER:
            conn.execute(statement)


def test_a_city_reader_cannot_widen_its_view(house: Warehouse) -> None:
    with house.open("qinzhou") as conn:
        before = _count(conn, "fct_enterprise_month")
        # The role itself is no login and has no city; the session keeps its own.
        conn.execute("set role city_reader")
        assert _count(conn, "fct_enterprise_month") == before
        conn.execute("reset role")
        conn.execute("set row_security = off")
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security policy"):
            _count(conn, "fct_enterprise_month")
        conn.execute("reset row_security")
        conn.execute("prepare q as select count(*) from marts.fct_enterprise_month")
        assert conn.execute("execute q").fetchone() == (before,)
        with conn.cursor().copy("copy marts.dim_reporter (city_code) to stdout") as copied:
            assert {row[0] for row in copied.rows()} == {OWN}


def test_no_function_or_view_of_ours_lends_its_owners_rights(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    definers = owner.execute(
        "select p.oid::regprocedure::text from pg_proc as p inner join pg_namespace as n on p.pronamespace = n.oid"
        " where p.prosecdef and n.nspname !~ '^(pg_|information_schema)'"
    ).fetchall()
    assert definers == [("intake.own_city()",)]
    for view in _tables(owner, "v"):
        options = owner.execute(
            "select reloptions from pg_class where oid = %s::regclass", [f"marts.{view}"]
        ).fetchone()
        assert options is not None and "security_invoker=true" in (options[0] or []), view
    assert not _tables(owner, "m")


def test_sessions_of_readers_are_limited(house: Warehouse) -> None:
    for who in ("office", "qinzhou", "audit"):
        with house.open(who) as conn:
            shown = {
                name: (conn.execute(f"show {name}").fetchone() or [""])[0]
                for name in ("statement_timeout", "default_transaction_read_only", "search_path", "TimeZone")
            }
            assert shown == {
                "statement_timeout": "30s", "default_transaction_read_only": "on", "search_path": "marts, reference",
                "TimeZone": "Asia/Shanghai",
            }  # fmt: skip
            with pytest.raises(errors.ReadOnlySqlTransaction):
                conn.execute("create table public.mine (n integer)")
    with house.open("office", options="-c statement_timeout=50") as conn, pytest.raises(errors.QueryCanceled):
        conn.execute("select count(*) from generate_series(1, 1000000000)")
    opened = []
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            for _ in range(readers.CONNECTION_LIMIT + 1):
                opened.append(house.open("office"))
        assert len(opened) == readers.CONNECTION_LIMIT
    finally:
        for conn in opened:
            conn.close()


# ---------------------------------------------------------------------------------------------- tables that come and go


def _standing(owner: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Privileges, row-level security and policies of all tables of marts and reference, as the catalogue has them."""
    return owner.execute(
        "select c.relname, c.relacl::text, c.relrowsecurity,"
        " (select string_agg(a.attname || a.attacl::text, ',' order by a.attnum) from pg_attribute as a"
        "  where a.attrelid = c.oid and a.attacl is not null),"
        " (select string_agg(p.oid || ' ' || p.polname, ',' order by p.polname) from pg_policy as p"
        "  where p.polrelid = c.oid)"
        " from pg_class as c where c.relnamespace in ('marts'::regnamespace, 'reference'::regnamespace)"
        " and c.relkind in ('r', 'v') order by 1"
    ).fetchall()


def test_a_second_build_leaves_policies_as_they_stand(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    before = _standing(owner)
    _rebuild(owner, select="fct_enterprise_month dim_reporter fct_subsidy_claim")
    assert _standing(owner) == before


def test_what_was_changed_by_hand_is_set_right(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    owner.execute("alter table marts.fct_enterprise_month disable row level security")
    owner.execute("drop policy rows_of_own_city on marts.dim_reporter")
    owner.execute("create policy too_much on marts.dim_reporter for select to city_reader using (true)")
    owner.execute("grant select on marts.fct_subsidy_claim to city_reader, public")
    owner.execute("grant delete on marts.fct_subsidy_claim to command_office")
    owner.commit()
    _rebuild(owner, select="fct_enterprise_month dim_reporter fct_subsidy_claim")
    check_cities(house, owner)
    with house.open("qinzhou") as conn:
        _refused(conn, "select person_key from fct_subsidy_claim")
    with house.open("office") as conn:
        conn.execute("set default_transaction_read_only = off")
        _refused(conn, "delete from marts.fct_subsidy_claim")


def _rebuild(conn: psycopg.Connection[Any], **options: Any) -> None:
    """Build without the planted rows, which are no province's, and plant them again."""
    for table in _of_cities(conn):
        columns = _columns(conn, table)
        text = next(name for name, (kind, _) in columns.items() if kind == "text" and name != "city_code")
        conn.execute(
            sql.SQL("delete from marts.{} where {} like 'planted-%'").format(
                sql.Identifier(table), sql.Identifier(text)
            )
        )
    conn.commit()
    dbt_build(PERIOD, **options)
    _plant_places(conn)


def test_a_new_table_is_closed_until_dbt_opens_it(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    owner.execute("create table marts.mart_new as select '450800'::text as city_code")
    owner.execute("create table raw.new as select 1 as n")
    owner.execute("create view marts.mart_new_view as select * from restricted.subsidy_payment")
    owner.commit()
    try:
        for who in ("office", "qinzhou", "audit"):
            with house.open(who) as conn:
                for relation in ("marts.mart_new", "raw.new", "marts.mart_new_view"):
                    _refused(conn, f"select * from {relation}")
    finally:
        owner.execute("drop table marts.mart_new, raw.new")
        owner.execute("drop view marts.mart_new_view")
        owner.commit()


# Of every kind: of all months and of each, with rows of the province, with persons.
REFRESHED = ("dim_reporter", "fct_enterprise_month", "fct_subsidy_claim", "mart_labour_shortage_summary")


def test_after_a_full_refresh_everything_is_as_before(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    before = {row[0]: row[3] for row in _standing(owner)}
    tables = owner.execute("select relname, oid from pg_class where relname = any(%s)", [list(REFRESHED)]).fetchall()
    assert len(tables) == len(REFRESHED)
    _rebuild(owner, full_refresh=True)
    for table, oid in tables:
        anew = owner.execute("select oid <> %s from pg_class where relname = %s", [oid, table]).fetchone()
        assert anew == (True,), f"{table} was not made anew"
    check_cities(house, owner)
    assert {row[0]: row[3] for row in _standing(owner)} == before
    for who in ("office", "qinzhou"):
        with house.open(who) as conn:
            _refused(conn, "select person_key from marts.fct_subsidy_claim")
            for table in _tables(owner):
                if _open_to_cities(owner, table) or who == "office":
                    _count(conn, table)


# ------------------------------------------------------------------------------------------------------------- writers


def test_etl_writes_rows_and_no_tables(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    owner.execute("create role writer_" + house.suffix + " login password 'w' in role etl")
    owner.commit()
    state = embedded.status()
    try:
        with psycopg.connect(
            host=state.host, port=state.port, dbname=house.database, user=f"writer_{house.suffix}", password="w",
            autocommit=True,
        ) as conn:  # fmt: skip
            conn.execute(
                "insert into raw.enterprise_status (submission_id, sheet, source_row, period, county_code)"
                " values ('w', 'w', 1, '2026-01', '450721')"
            )
            conn.execute("delete from raw.enterprise_status where submission_id = 'w'")
            conn.execute("select person_name from restricted.subsidy_payment")
            conn.execute("select person_key from marts.fct_subsidy_claim")
            conn.execute("create temporary table kept (n integer)")
            conn.execute("drop table kept")
            conn.execute("select pg_try_advisory_lock(1)")
            for statement in (
                "drop table raw.enterprise_status",
                "truncate raw.enterprise_status",
                "create table raw.mine (n integer)",
                "delete from marts.fct_enterprise_month",
                "delete from intake.schema_migration",
                "insert into intake.reader_city (login_name, city_code) values ('x', '450700')",
                "create role mine",
            ):
                _refused(conn, statement)
    finally:
        owner.execute(f"drop role writer_{house.suffix}")
        owner.commit()


# ---------------------------------------------------------------------------------------------------------- the command


def test_names_roles_and_cities_are_checked(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    for name, role, city, complaint in (
        ("Qinzhou", "city_reader", OWN, "is no login name"),
        ("钦州", "city_reader", OWN, "is no login name"),
        ('a"; drop role x', "city_reader", OWN, "is no login name"),
        ("pg_mine", "auditor", None, "is no login name"),
        ("fresh", "etl", None, "there is no readers' role 'etl'"),
        ("fresh", "city_reader", None, "no city was given"),
        ("fresh", "city_reader", "450721", "'450721' is no city"),
        ("fresh", "city_reader", "450000", "'450000' is no city"),
        ("fresh", "command_office", OWN, "command_office sees every city"),
        ("command_office", "auditor", None, "the server has a role 'command_office' already"),
        (house.login("qinzhou"), "city_reader", OTHER, "already"),
    ):
        with pytest.raises(ReaderRefused, match=complaint):
            add_reader(owner, name, role, city)
    for name in ("nobody_here", f"owner_{house.suffix}", "etl", "labour"):
        with pytest.raises(ReaderRefused, match="there is no reader"):
            remove_reader(owner, name)
        with pytest.raises(ReaderRefused, match="there is no reader"):
            new_password(owner, name)


def test_the_life_of_a_login(house: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"fresh_{house.suffix}"
    assert readers.main(["add", name, "--role", "city_reader", "--city", OTHER]) == 0
    first = capsys.readouterr().out.split()[3]
    state = embedded.status()

    def open_with(password: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=state.host, port=state.port, dbname=house.database, user=name, password=password, autocommit=True
        )

    with open_with(first) as conn:
        assert conn.execute("select distinct city_code from dim_reporter").fetchall() == [(OTHER,)]
    assert readers.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert f"{name:<24}city_reader" in listed and "贵港市" in listed
    assert first not in listed and f"owner_{house.suffix}" not in listed
    assert readers.main(["password", name]) == 0
    second = capsys.readouterr().out.split()[3]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        open_with(first)
    with open_with(second) as conn:
        assert readers.main(["remove", name]) == 0
        assert "1 open sessions ended" in capsys.readouterr().out
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        open_with(second)
    assert readers.main(["remove", name]) == 1
    assert "there is no reader" in capsys.readouterr().err
    logs = b"".join(path.read_bytes() for path in (state.data / "log").glob("*.log"))
    assert logs and first.encode() not in logs and second.encode() not in logs


def test_a_login_that_may_not_make_others_is_told_what_to_run(house: Warehouse) -> None:
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(f"alter role owner_{house.suffix} nocreaterole")
        try:
            with connect() as conn, pytest.raises(ReaderRefused, match=f"alter role owner_{house.suffix} createrole"):
                add_reader(conn, f"fresh_{house.suffix}", "auditor")
        finally:
            admin.execute(f"alter role owner_{house.suffix} createrole")


def test_without_the_right_to_make_roles_the_migration_names_the_statements(house: Warehouse) -> None:
    text = (MIGRATIONS / "0007_roles.sql").read_text(encoding="utf-8")
    block = text[text.index("do $roles$") : text.index("-- The database:")]
    absent = block.replace("'auditor'", f"'auditor_{house.suffix}'")
    assert absent != block
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(f"alter role owner_{house.suffix} nocreaterole")
        try:
            with connect() as conn, pytest.raises(errors.RaiseException) as raised:
                conn.execute(absent.encode())
        finally:
            admin.execute(f"alter role owner_{house.suffix} createrole")
    assert f"may not create the roles auditor_{house.suffix}" in str(raised.value)
    assert f"create role auditor_{house.suffix} nologin; grant " in str(raised.value)


def test_the_migration_may_run_again(house: Warehouse, owner: psycopg.Connection[Any]) -> None:
    owner.execute((MIGRATIONS / "0007_roles.sql").read_bytes())


def test_a_role_of_that_name_that_may_do_more_is_refused(house: Warehouse) -> None:
    text = (MIGRATIONS / "0007_roles.sql").read_text(encoding="utf-8")
    block = text[text.index("do $roles$") : text.index("-- The database:")]
    taken = block.replace("'auditor'", f"'{house.login('office')}'")
    with connect() as conn, pytest.raises(errors.RaiseException, match="may do more than read or write tables"):
        conn.execute(taken.encode())


def test_the_embedded_server_makes_readers_too(
    house: Warehouse, scratch_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its login is a superuser: no provisioning comes before the migration."""
    name = f"fresh_{house.suffix}"
    with psycopg.connect(scratch_database) as conn:
        migrate(conn)
        password = add_reader(conn, name, "auditor")
        conn.commit()
        state = embedded.status()
        with psycopg.connect(
            host=state.host, port=state.port, dbname=conn.info.dbname, user=name, password=password, autocommit=True
        ) as reader:
            reader.execute("select * from intake.finding")
            reader.execute("set default_transaction_read_only = off")
            _refused(reader, "select lo_create(0)")
            _refused(reader, "create temporary table mine (n integer)")
            _refused(reader, "select * from raw.subsidy_payment")
        remove_reader(conn, name)
        conn.commit()
