"""A province small enough to work out by hand: three counties, three months.

灵山县 450721
    January: E1 short 5 of 100, E2 short 0 of 50. February: a first version with 99 short, then E1 6 of 100 and E2 4 of
    50. March: refused, then E1 7 of 110, E2 0 of 50 and E3, which is new, 3 of 20.
钦南区 450702
    January: E4 short 10 of 200. February: nothing sent. March: E4 short 20 of 180.
桂平市 450881
    January: E5 short 8 of 300. February: E5 short 9 of 300. March: sent and refused.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
from psycopg import sql

LINGSHAN, QINNAN, GUIPING = "450721", "450702", "450881"
REPORTERS = ((LINGSHAN, "灵山县", "450700"), (QINNAN, "钦南区", "450700"), (GUIPING, "桂平市", "450800"))
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
PERIODS = {  # due on, closes on, state
    "2026-01": (date(2026, 2, 6), date(2026, 2, 13), "closed"),
    "2026-02": (date(2026, 3, 6), date(2026, 3, 13), "closed"),
    "2026-03": (date(2026, 4, 8), date(2026, 4, 15), "open"),
}
# (form, period, reporter, version, received at, outcome)
SUBMISSIONS = (
    ("enterprise_status", "2026-01", LINGSHAN, 1, "2026-02-04 10:00+08", "accepted"),
    ("enterprise_status", "2026-01", QINNAN, 1, "2026-02-04 10:00+08", "accepted"),
    ("enterprise_status", "2026-01", GUIPING, 1, "2026-02-04 10:00+08", "accepted"),
    ("enterprise_status", "2026-02", LINGSHAN, 1, "2026-03-04 10:00+08", "accepted"),
    ("enterprise_status", "2026-02", LINGSHAN, 2, "2026-03-05 10:00+08", "accepted_with_findings"),
    ("enterprise_status", "2026-02", GUIPING, 1, "2026-03-09 10:00+08", "accepted"),
    ("enterprise_status", "2026-03", LINGSHAN, 1, "2026-04-08 23:30+08", "refused"),
    ("enterprise_status", "2026-03", LINGSHAN, 2, "2026-04-09 09:00+08", "accepted"),
    ("enterprise_status", "2026-03", QINNAN, 1, "2026-04-09 00:30+08", "accepted"),
    ("enterprise_status", "2026-03", GUIPING, 1, "2026-04-07 10:00+08", "refused"),
    ("labour_demand", "2026-03", LINGSHAN, 1, "2026-04-07 10:00+08", "accepted"),
    ("subsidy_payment", "2026-01", LINGSHAN, 1, "2026-02-04 10:00+08", "accepted"),
    ("subsidy_payment", "2026-03", LINGSHAN, 1, "2026-04-07 10:00+08", "accepted"),
)
# (period, reporter, version, enterprise, industry as written, headcount, short now, short after expansion)
ENTERPRISES = (
    ("2026-01", LINGSHAN, 1, "E1", "铝", 100, 5, 30),
    ("2026-01", LINGSHAN, 1, "E2", "糖", 50, 0, 0),
    ("2026-01", QINNAN, 1, "E4", "13", 200, 10, 0),
    ("2026-01", GUIPING, 1, "E5", "C32", 300, 8, 0),
    ("2026-02", LINGSHAN, 1, "E1", "铝", 100, 99, 0),
    ("2026-02", LINGSHAN, 2, "E1", "铝", 100, 6, 30),
    ("2026-02", LINGSHAN, 2, "E2", "糖", 50, 4, 0),
    ("2026-02", GUIPING, 1, "E5", "C32", 300, 9, 0),
    ("2026-03", LINGSHAN, 2, "E1", " 铝 ", 110, 7, 30),
    ("2026-03", LINGSHAN, 2, "E2", "糖", 50, 0, 0),
    ("2026-03", LINGSHAN, 2, "E3", "机械制造", 20, 3, 5),
    ("2026-03", QINNAN, 1, "E4", "农副食品加工业", 180, 20, 0),
)
# (enterprise, post, category, short now, wage from, wage to, training post, level, type, persons, subsidised)
POSTS = (
    ("E1", "焊 工", "技工", 4, 4000, 6000, "焊工", "中级工", "企业新型学徒制", 10, True),
    ("E1", "焊工", "技工", 3, 5000, 7000, None, None, None, None, None),
    ("E3", "流水线普工", "普工", 3, None, None, "焊工", "中级工", "企业新型学徒制", 5, None),
)
# (period, item, level, person, applied, advanced, paid, accepted on, reviewed on, payment type, status)
CLAIMS = (
    ("2026-01", "学徒制补贴", None, None, 5000, 1000, 1000, None, None, "预支", "已拨付"),
    ("2026-03", "企业新型学徒制补贴", "中级工", "p1", 5000, None, 5000, "2026-03-02", "2026-03-06", "核拨", "已拨付"),
    ("2026-03", "新型学徒制补贴", "中级工", "p2", 5000, None, None, "2026-01-05", "2026-03-06", None, "审核通过"),
    ("2026-03", "企业新型学徒制补贴", "中级工", None, 5000, 400, 4600, None, None, "结算", "已拨付"),
    ("2026-03", "企业新型学徒制补贴", "中级工", "p9", 5000, None, 5000, None, None, "追回", "已追回"),
)  # fmt: skip


def fill(conn: psycopg.Connection[Any]) -> None:
    """Write ledger and raw rows; the warehouse must be migrated and empty. The caller commits."""
    for code, name, city in REPORTERS:
        _insert(conn, "intake.reporter", reporter_code=code, reporter_name=name, region_code=code, city_code=city,
                pilot_level="市级试点", valid_from=date(2022, 2, 25), is_sample=True)  # fmt: skip
    for period, (due_on, closes_on, state) in PERIODS.items():
        _insert(conn, "intake.reporting_period", period=period, due_on=due_on, closes_on=closes_on, state=state)
        for code, _, _ in REPORTERS:
            for form in FORMS:
                _insert(conn, "intake.expected_report", period=period, reporter_code=code, form=form, due_on=due_on)
        for form in FORMS:
            conn.execute(
                sql.SQL("create table raw.{} partition of raw.{} for values in ({})").format(
                    sql.Identifier(f"{form}_{period.replace('-', '_')}"), sql.Identifier(form), sql.Literal(period)
                )
            )
    for form, period, code, version, received_at, outcome in SUBMISSIONS:
        key = _key(form, period, code, version)
        receipt = conn.execute(
            "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
            " period, reporter_code, outcome, outcome_zh)"
            " values (%s, 'f.xlsx', 'folder', %s, 1, %s, %s, %s, 'processed', '已处理') returning receipt_id",
            (key, key, received_at, period, code),
        ).fetchone()
        assert receipt is not None
        _insert(conn, "intake.submission", submission_id=key, receipt_id=receipt[0], form=form, period=period,
                reporter_code=code, county_code=code, version=version, sheets=["表"], received_at=received_at,
                is_sample=True, outcome=outcome, rows_read=4, rows_accepted=3, rows_held=1, cells_read=200,
                cells_filled=150, findings_e=int(outcome == "refused"), findings_r=1, findings_w=0)  # fmt: skip
        _insert(conn, "intake.sheet_layout", submission_id=key, sheet="表", column_name="county", column_letter="D",
                header_text="县（市、区）")  # fmt: skip
    for line, (period, code, version, name, industry, headcount, short, expansion) in enumerate(ENTERPRISES, 1):
        _insert(conn, "raw.enterprise_status", submission_id=_key("enterprise_status", period, code, version),
                sheet="表", source_row=line, period=period, county_code=code, enterprise_name=name, uscc=name,
                industry=industry, operating_state="正常", headcount=headcount, managers=1, professionals=1,
                workers=headcount - 2, skill_senior=4, skill_technician=1, skilled_total=20, shortage_now=short,
                shortage_expansion=expansion, training_needed=0)  # fmt: skip
    for line, row in enumerate(POSTS, 1):
        name, post, category, short, low, high, training, level, kind, persons, subsidised = row
        _insert(conn, "raw.labour_demand", submission_id=_key("labour_demand", "2026-03", LINGSHAN, 1), sheet="表",
                source_row=line, period="2026-03", county_code=LINGSHAN, enterprise_name=name, uscc=name, post=post,
                post_category=category, shortage_now=short, shortage_expansion=0, wage_min=low, wage_max=high,
                training_post=training, training_level=level, training_type=kind, training_persons=persons,
                training_subsidised=subsidised)  # fmt: skip
    for line, claim in enumerate(CLAIMS, 1):
        period, item, level, person, applied, advanced, paid, accepted_on, reviewed_on, kind, status = claim
        _insert(conn, "raw.subsidy_payment", submission_id=_key("subsidy_payment", period, LINGSHAN, 1), sheet="表",
                source_row=line, period=period, county_code=LINGSHAN, item=item, fund="就业补助资金", occupation="焊工",
                level=level, person_key=person, applied=applied, advanced=advanced, paid=paid,
                accepted_on=accepted_on, reviewed_on=reviewed_on, payment_type=kind, status=status)  # fmt: skip


def _key(form: str, period: str, code: str, version: int) -> str:
    return f"{form}-{period}-{code}-{version}"


def _insert(conn: psycopg.Connection[Any], table: str, **values: Any) -> None:
    conn.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        ),
        list(values.values()),
    )
