"""When reminders are due, by hand-counted working days, and what the letters say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path, PurePosixPath

import pytest
import yaml

from include.intake.calendar import SHANGHAI, ReportingConfigError, nth_working_day
from include.ledger.standing import FormStanding, OpenFindings, Place, Standing
from include.pipeline.reminders import (
    Occasion,
    ReminderRules,
    has_news_for_office,
    load_reminder_rules,
    office_message,
    place_text,
    reporter_message,
    stage_on,
    working_days,
)
from include.quality.findings import catalogue
from include.settings import get_settings

RULES = ReminderRules(before_due_working_days=2, on_due=True, overdue_after_working_days=1)


# --- stages


@pytest.mark.parametrize(
    ("today", "stage"),
    [
        # October 2026 is due on Friday 6 November.
        ("2026-11-03", None),
        ("2026-11-04", "before_due"),
        ("2026-11-05", "before_due"),
        ("2026-11-06", "due"),
        # Saturday and Sunday after it: no working day has passed.
        ("2026-11-07", None),
        ("2026-11-08", None),
        ("2026-11-09", "overdue"),
        ("2026-11-13", "overdue"),
    ],
)
def test_stages_of_an_ordinary_month(today: str, stage: str | None) -> None:
    assert stage_on(date.fromisoformat(today), date(2026, 11, 6), RULES) == stage


@pytest.mark.parametrize(
    ("today", "stage", "left"),
    [
        # September 2026 is due on Tuesday 13 October. Saturday 10 October is worked for National Day, so two working
        # days are left on it: Monday 12 and Tuesday 13.
        ("2026-10-09", None, 3),
        ("2026-10-10", "before_due", 2),
        ("2026-10-12", "before_due", 1),
        ("2026-10-13", "due", 0),
    ],
)
def test_a_saturday_worked_for_a_holiday_counts(today: str, stage: str | None, left: int) -> None:
    due_on = nth_working_day("2026-09", 5)
    assert due_on == date(2026, 10, 13)
    assert stage_on(date.fromisoformat(today), due_on, RULES) == stage
    assert working_days(date.fromisoformat(today), due_on) == left


def test_a_worked_saturday_may_be_the_due_day_itself() -> None:
    # The third working day of October 2026: Thursday 8, Friday 9, Saturday 10.
    due_on = nth_working_day("2026-09", 3)
    assert due_on == date(2026, 10, 10)
    assert stage_on(date(2026, 10, 8), due_on, RULES) == "before_due"
    assert stage_on(date(2026, 10, 10), due_on, RULES) == "due"
    assert stage_on(date(2026, 10, 12), due_on, RULES) == "overdue"


def test_a_long_holiday_lies_between_the_due_day_and_the_first_working_day_after_it() -> None:
    # 30 September 2026 is the last working day before 1 to 7 October.
    assert stage_on(date(2026, 10, 7), date(2026, 9, 30), RULES) is None
    assert stage_on(date(2026, 10, 8), date(2026, 9, 30), RULES) == "overdue"


def test_a_year_without_announced_holidays_counts_monday_to_friday() -> None:
    # 1 January 2099 is a Thursday: 1, 2, 5, 6, 7.
    due_on = nth_working_day("2098-12", 5)
    assert due_on == date(2099, 1, 7)
    assert stage_on(date(2099, 1, 2), due_on, RULES) is None
    assert stage_on(date(2099, 1, 5), due_on, RULES) == "before_due"
    occasion = occasion_on("2099-01-05", period="2098-12", deadline=due_on, closes_on=date(2099, 1, 14))
    assert occasion.unknown_years == (2099,)
    text = reporter_message(standing(), occasion, address=None, returned=()).body_text
    assert "注：2099年的放假调休安排尚未收录，工作日暂按周一至周五推算；安排公布后，截止日相应调整。" in text


def test_stages_can_be_left_out() -> None:
    none = ReminderRules(before_due_working_days=0, on_due=False, overdue_after_working_days=0)
    assert {stage_on(date(2026, 11, day), date(2026, 11, 6), none) for day in range(1, 14)} == {None}
    # A deadline that is no working day: on Friday no working day is left, and no reminder was asked for.
    assert stage_on(date(2026, 11, 6), date(2026, 11, 7), none) is None


def test_the_shipped_rules() -> None:
    assert load_reminder_rules(get_settings().reporting_file) == RULES


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "setting reminders"),
        ({"reminders": {"before_due_working_days": 2, "on_due": True}}, "overdue_after_working_days"),
        (
            {"reminders": {"before_due_working_days": -1, "on_due": True, "overdue_after_working_days": 1}},
            "from 0",
        ),
    ],
)
def test_wrong_rules_are_named(tmp_path: Path, given: dict[str, object], words: str) -> None:
    file = tmp_path / "reporting.yaml"
    file.write_text(yaml.safe_dump(given))
    with pytest.raises(ReportingConfigError, match=words):
        load_reminder_rules(file)


# --- letters


def occasion_on(
    day: str,
    *,
    stage: str = "before_due",
    period: str = "2026-10",
    deadline: date = date(2026, 11, 6),
    closes_on: date = date(2026, 11, 13),
    round: int = 0,
) -> Occasion:
    now = datetime.fromisoformat(f"{day}T08:30:00").replace(tzinfo=SHANGHAI)
    return Occasion(period, stage, deadline, closes_on, round, now)  # type: ignore[arg-type]


def form(name: str, outcome: str = "accepted", **changes: object) -> FormStanding:
    is_read, is_used = outcome != "missing", outcome == "accepted"
    given = FormStanding(name, outcome, int(is_read), int(is_used), 0, False)  # type: ignore[arg-type]
    return replace(given, **changes)  # type: ignore[arg-type]


def finding(code: str, number: int, *places: Place, form: str | None = "enterprise_status") -> OpenFindings:
    return OpenFindings(
        form=form,
        file_name="附件1.xls",
        code=code,
        severity=code[0],  # type: ignore[arg-type]
        rule_zh=catalogue()[code].title_zh,
        message_zh="缺少必填列“企业名称”。请补上该列后重报。",
        number=number,
        places=places,
    )


def standing(
    *forms: FormStanding,
    findings: tuple[OpenFindings, ...] = (),
    waiting: int = 0,
    awaiting: int = 0,
    is_sample: bool = False,
    name: str = "灵山县",
) -> Standing:
    owed = forms or (form("enterprise_status"), form("labour_demand", "missing"))
    return Standing("450721", name, is_sample, owed, findings, waiting, awaiting)


BUSY = standing(
    form("enterprise_status", rows_held=2),
    form("labour_demand", "missing"),
    form("subsidy_payment", "refused", version=2, version_in_use=1, rows_held=7),
    findings=(
        finding("E-HDR-001", 3, Place("台账", None, None), form="subsidy_payment"),
        finding("E-IDN-001", 1, Place(None, None, None), form=None),
        finding("R-USC-001", 3, Place("Sheet1", "C5", 5), Place("Sheet1", "C8", 8), Place("Sheet1", "M8", 8)),
        finding("W-WAG-001", 12, Place("Sheet1", "AG5", 5), Place("Sheet1", "AG6", 6)),
        # Of a refused form only what refused it is told.
        finding("W-DAT-003", 5, Place("台账", "F3", 3), form="subsidy_payment"),
    ),
    waiting=1,
    awaiting=2,
    is_sample=True,
)
RETURNED = PurePosixPath("2026-10/退回表/灵山县/灵山县2026年10月-退回表.xlsx")


def test_a_digest_says_everything_once() -> None:
    message = reporter_message(BUSY, occasion_on("2026-11-04"), address="a@example.cn", returned=[RETURNED])
    assert message.subject == "【演示数据】灵山县：2026年10月用工专项行动月报报送提醒（11月6日截止）"
    assert message.message_id == "reminder.2026-10.450721.before_due.0"
    assert message.place == PurePosixPath("2026-10/提醒/灵山县/1-截止前提醒")
    assert message.body_text == (
        "演示数据：本件由演示数据生成，仅用于展示系统功能，不反映实际情况。\n"
        "\n"
        "灵山县：\n"
        "\n"
        "2026年10月用工专项行动月报的报送截止日临近。截至2026年11月4日8时30分，贵单位尚有下列事项待办，请于截止日前办理。\n"
        "\n"
        "报送截止日：2026年11月6日（星期五）\n"
        "时限：距截止还有2个工作日\n"
        "封账日：2026年11月13日（星期五）\n"
        "待办事项：未报送1张表、退回1张表、退回1个文件、暂扣2行、待说明12处\n"
        "\n"
        "一、尚未报送的报表\n"
        "  · 企业用工需求表\n"
        "  请按表样填报后报送。\n"
        "\n"
        "二、已退回、需改正后重新报送的报表\n"
        "  · 补贴资金发放台账（第2版；目前仍采用第1版）｜退回原因和改法：缺少必填列“企业名称”。请补上该列后重报。"
        "（另有2条，见退回表）\n"
        "  · 文件“附件1.xls”｜退回原因和改法：缺少必填列“企业名称”。请补上该列后重报。\n"
        "  退回的报表没有入库，请改正后重新报送整张报表。\n"
        "\n"
        "三、暂扣未入库的行\n"
        "  · 企业情况表｜问题：统一社会信用代码校验码不符（3处）｜位置：“Sheet1”第5、8行\n"
        "  同一张表的其他行已入库。请改正后重新报送整张报表。\n"
        "\n"
        "四、等待情况说明的提示\n"
        "  · 企业情况表｜提示：工资超出合理范围（12处）｜位置：“Sheet1”AG5、AG6等12处\n"
        "  填报有误的，请改正后重新报送；核对无误的，请在退回表的“情况说明”栏写明情况，寄回退回表即可。\n"
        "\n"
        "五、退回表\n"
        "  · 2026-10/退回表/灵山县/灵山县2026年10月-退回表.xlsx\n"
        "  问题已在退回表中逐处标注，并附改法。以上为其在发件箱中的位置。\n"
        "\n"
        "本提醒由系统自动生成，每个阶段发送一次。如已办理，请忽略。\n"
        "注：另收到贵单位文件1个，正在处理，处理结果以回执或退回表为准；其中已包含上列报表的，无需重复报送。\n"
        "注：另收到贵单位封账后报送的文件2个，正等待批准。\n"
        "\n"
        "专项行动指挥部办公室\n"
        "2026年11月4日\n"
    )


def test_the_same_facts_give_the_same_bytes() -> None:
    occasion = occasion_on("2026-11-04")
    first, second = (reporter_message(BUSY, occasion, address=None, returned=[]) for _ in range(2))
    assert first == second
    assert first.body_html is not None and "四、等待情况说明的提示" in first.body_html


@pytest.mark.parametrize(
    ("day", "stage", "subject", "time_left", "file"),
    [
        ("2026-11-05", "before_due", "报送提醒（11月6日截止）", "距截止还有1个工作日", "1-截止前提醒"),
        ("2026-11-06", "due", "今日截止", "今日截止", "2-截止日提醒"),
        ("2026-11-10", "overdue", "已过截止日，请尽快办理", "已逾期2个工作日", "3-逾期催办"),
    ],
)
def test_each_stage_has_its_words(day: str, stage: str, subject: str, time_left: str, file: str) -> None:
    message = reporter_message(standing(), occasion_on(day, stage=stage), address=None, returned=[])
    assert message.subject == f"灵山县：2026年10月用工专项行动月报{subject}"
    assert f"时限：{time_left}\n" in message.body_text
    assert message.place.name == file


def test_a_reopened_month_has_its_own_deadline_and_round() -> None:
    occasion = occasion_on("2026-11-20", stage="due", deadline=date(2026, 11, 20), round=2)
    message = reporter_message(standing(), occasion, address=None, returned=[])
    assert message.message_id == "reminder.2026-10.450721.due.2"
    assert message.place.name == "重新开放第2次-2-截止日提醒"
    assert "重新开放至：2026年11月20日（星期五）\n" in message.body_text
    assert "封账日" not in message.body_text


def test_a_hostile_file_name_stays_text() -> None:
    hostile = replace(finding("E-IDN-001", 1, form=None), file_name="<script>alert(1)</script>.xls")
    message = reporter_message(standing(findings=(hostile,)), occasion_on("2026-11-04"), address=None, returned=[])
    assert message.body_html is not None
    assert "<script>" not in message.body_html and "&lt;script&gt;" in message.body_html


@pytest.mark.parametrize(
    ("places", "number", "by_row", "text"),
    [
        ([Place("Sheet1", "C5", 5), Place("Sheet1", "D5", 5)], 2, True, "“Sheet1”第5行"),
        ([Place("一", "C5", 5), Place("二", "C6", 6)], 2, False, "“一”C5；“二”C6"),
        ([Place("一", None, 7)], 1, False, "“一”第7行"),
        ([Place("一", None, None)], 1, False, "“一”整张表"),
        ([Place(None, None, None)], 1, True, "整张表"),
        ([Place("一", "C5", 5)], 4, False, "“一”C5等4处"),
    ],
)
def test_places(places: list[Place], number: int, by_row: bool, text: str) -> None:
    assert place_text(finding("W-WAG-001", number, *places), by_row=by_row) == text


def test_who_has_nothing_to_do_is_settled() -> None:
    clean = standing(form("enterprise_status"), form("labour_demand"))
    assert clean.is_settled
    assert not standing(form("enterprise_status"), findings=(finding("W-WAG-001", 1),)).is_settled
    assert not standing(form("enterprise_status", "refused")).is_settled
    assert not standing(form("enterprise_status", "missing")).is_settled
    assert not has_news_for_office([clean])
    assert has_news_for_office([standing(form("enterprise_status", is_late=True))])


def test_the_office_reads_who_is_missing_refused_asked_and_late() -> None:
    clean = standing(form("enterprise_status"), form("labour_demand"), name="宾阳县")
    late = standing(form("enterprise_status", is_late=True), form("labour_demand"), name="容县")
    message = office_message([clean, late, BUSY], occasion_on("2026-11-09", stage="overdue"))
    assert message.recipient == "专项行动指挥部"
    assert message.address is None
    assert message.place == PurePosixPath("2026-10/提醒/专项行动指挥部/3-逾期情况")
    assert message.subject == "【演示数据】2026年10月用工专项行动月报报送情况（逾期）"
    assert (
        "截至2026年11月9日8时30分，2026年10月用工专项行动月报应报单位3个，其中2个全部采用且无待办事项，1个尚有待办事项。"
        in message.body_text
    )
    assert (
        message.body_text.split("\n\n")[-7:-1]
        == [
            "报送截止日：2026年11月6日（星期五）\n时限：已逾期1个工作日\n封账日：2026年11月13日（星期五）\n"
            "应报单位：未报齐1个、有退回1个、有问题待答1个、逾期报送1个、已办结2个",
            "一、未报齐的单位\n  · 灵山县｜未报送的报表：企业用工需求表｜已收到、处理中的文件：1个",
            "二、有报表或文件退回的单位\n  · 灵山县｜退回的报表：补贴资金发放台账、文件“附件1.xls”",
            "三、有问题待答的单位\n  · 灵山县｜暂扣：2行｜等待情况说明：12处",
            "四、逾期报送的单位\n  · 容县｜逾期报送的报表：企业情况表",
            "五、全部采用、无待办事项的单位\n  · 宾阳县、容县",
        ]
        or message.body_text
    )
