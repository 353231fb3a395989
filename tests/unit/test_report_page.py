"""The page in a real browser: what a reader does with it, with a mouse, a keyboard, a phone, a printer, no script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

from include.report.figures import edition_figures, editions_of
from include.report.html import html_text
from include.report.model import Correction, ReportFigures
from include.report.tracing import traces
from tests.browser import chromium
from tests.report_rows import mart_rows, reporters
from tests.trace_rows import trace_sources

COUNTIES = [one["region_code"] for one in reporters()]
MONTH: dict[str, Any] = {"absent": {"2026-04": {COUNTIES[19]}}, "refused": {COUNTIES[8]}}
CITY = next(one for one in reporters() if one["region_code"] == COUNTIES[0])


@dataclass
class Pages:
    """One page of each level: its figures and its file."""

    figures: dict[str, ReportFigures] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    rows = mart_rows(**MONTH)
    sources = trace_sources(rows, **MONTH)
    folder = tmp_path_factory.mktemp("pages")
    found = Pages()
    for figures in edition_figures(rows, "2026-04", editions_of(rows.submissions, "2026-04")):
        edition = figures.edition
        if edition.region_code not in ("450000", CITY["city_code"], CITY["region_code"]):
            continue
        figures = replace(figures, maturity="final", maturity_reason="报告期已封账")
        if edition.level == "city":
            corrected = (Correction("region.shortage_now", "当期生产缺工（人）", "1,000", None),)
            figures = replace(figures, issue_no=2, corrections=corrected)
        found.figures[edition.level] = figures
        found.files[edition.level] = folder / f"{edition.level}.html"
        found.files[edition.level].write_text(html_text(figures, traces(sources, figures)), encoding="utf-8")
    assert sorted(found.files) == ["city", "county", "province"]
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@dataclass
class Heard:
    """What a page said and asked for while a test drove it."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Opener = Callable[..., Page]


@pytest.fixture
def show(browser: Browser, pages: Pages) -> Iterator[Opener]:
    """Opens a page; afterwards nothing may have complained, and nothing may have been asked for but the file."""
    heard = Heard()
    contexts = []

    def opened(level: str = "province", width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.complaints.append(str(error)))
        page.on("request", lambda request: heard.requests.append(request.url))
        page.goto(pages.files[level].as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert heard.complaints == []
    assert {url.split(":")[0] for url in heard.requests} <= {"file"}
    assert len([url for url in heard.requests if url.startswith("file:")]) == len(contexts)


def labels(page: Page, table: str) -> list[str]:
    """Names of the rows that are seen, the total left out."""
    return page.locator(f'table[data-table="{table}"] tbody tr:not(.total):visible th').all_inner_texts()


def draws(figure: Locator) -> list[str]:
    """Texts of a live chart."""
    return figure.locator(".live svg text").all_text_contents()


def trace(page: Page, key: str) -> str:
    """Open a figure's trace and hand back the line with the sum."""
    page.locator(f'button[data-figure="{key}"]').first.click()
    line = page.locator("#trace-body .sum").first
    line.wait_for()
    return line.inner_text()


def test_the_filter_finds_by_word_and_by_city_and_takes_totals_away(show: Opener, pages: Pages) -> None:
    page = show()
    everyone = labels(page, "shortage_county")
    assert len(everyone) == 20
    page.get_by_label("关键词").fill(CITY["reporter_name"])
    page.locator("#found:not(:empty)").wait_for()
    assert labels(page, "shortage_county") == [CITY["reporter_name"]]
    assert labels(page, "shortage_industry") == []
    assert not page.locator('table[data-table="shortage_county"] tr.total').is_visible()
    note = page.locator('.box:has(table[data-table="shortage_county"]) + .filtered')
    assert note.inner_text() == "已筛选：显示1行，共20行；合计行不随筛选变化，暂不显示。"
    page.get_by_role("button", name="清除").click()
    assert labels(page, "shortage_county") == everyone
    assert page.locator('table[data-table="shortage_county"] tr.total').is_visible()
    page.get_by_label("设区市").select_option(CITY["city_name"])
    own = [one["reporter_name"] for one in reporters() if one["city_code"] == CITY["city_code"]]
    assert sorted(labels(page, "shortage_county")) == sorted(own)
    assert labels(page, "shortage_city") == [CITY["city_name"]]
    # An industry lies in no city: its table is left as it is, total and all.
    assert len(labels(page, "shortage_industry")) == len(pages.figures["province"].tables["shortage_industry"].rows)


def test_a_column_is_sorted_both_ways_and_back_and_gaps_stay_last(show: Opener, pages: Pages) -> None:
    page = show()
    table = pages.figures["province"].tables["shortage_county"]
    at, name_at = table.columns.index("shortage_now"), table.columns.index("name")
    known = [row for row in table.rows if not row.is_total and row.cells[at].value is not None]  # type: ignore[union-attr]
    largest = [str(row.cells[name_at]) for row in sorted(known, key=lambda row: -row.cells[at].value)]  # type: ignore[union-attr, operator]
    printed = labels(page, "shortage_county")
    header = page.locator('table[data-table="shortage_county"] th[data-column="shortage_now"]')
    assert header.get_attribute("aria-sort") == "none"
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert labels(page, "shortage_county")[: len(largest)] == largest
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert labels(page, "shortage_county")[: len(largest)] == largest[::-1]
    # Two sent nothing or were refused: without a figure they are neither the least nor the most.
    assert len(labels(page, "shortage_county")) == len(largest) + 2
    assert page.locator('table[data-table="shortage_county"] tbody tr').last.get_attribute("class") == "total"
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "none"
    assert labels(page, "shortage_county") == printed


def test_a_figure_opens_to_its_cells_which_the_page_adds_up(show: Opener, pages: Pages) -> None:
    page = show()
    value = pages.figures["province"].figures["region.shortage_now"].value
    line = trace(page, "region.shortage_now")
    assert f"合计 {value:,}" in line and "✓ 与报告数一致" in line
    assert page.locator("#trace-body details.source").count() == 18
    first = page.locator("#trace-body details.source").first
    first.locator("summary").click()
    assert re.fullmatch(r"SHA-256 [0-9a-f]{64}", first.locator(".hash").inner_text())
    assert "工作表「企业情况表」 · 列 N「表头/shortage_now」" in first.inner_text()
    cells = first.locator("table.cells tbody tr")
    assert cells.first.locator("th").inner_text() == "N5"
    counted = [int(text.replace(",", "")) for text in cells.locator("td:last-child").all_inner_texts()]
    subtotal = first.locator("summary .digits").inner_text()
    assert subtotal == f"{len(counted)}行 · 小计 {sum(counted):,}"
    code = page.locator("#trace-body code").text_content()
    expected = "--period 2026-04 --mart mart_labour_shortage_summary --measure shortage_now_persons"
    assert code == f'make trace ARGS="{expected}"'


def test_a_rate_names_its_parts_and_each_part_its_cells(show: Opener, pages: Pages) -> None:
    page = show()
    figures = pages.figures["province"].figures
    assert "：" in trace(page, "region.shortage_rate")
    body = page.locator("#trace-body")
    assert "当期生产缺工 ÷ （职工总数 + 当期生产缺工）" in body.inner_text()
    printed = page.locator('button[data-figure="region.shortage_rate"]').first.inner_text().replace("\n", "")
    assert body.locator(".sum").inner_text() == f"本页逐格相加：{printed}"
    body.get_by_role("button", name="职工总数").click()
    assert f"合计 {figures['region.headcount'].value:,}" in body.locator(".sum").inner_text()
    page.get_by_role("button", name="返回").click()
    assert "÷" in body.inner_text()


@pytest.mark.parametrize("level", ["province", "city", "county"])
def test_every_figure_of_a_page_opens_and_none_differs_from_its_cells(show: Opener, level: str) -> None:
    page = show(level)
    keys = page.evaluate(
        "() => [...new Set([...document.querySelectorAll('.opens')].map((one) => one.dataset.figure))]"
    )
    assert len(keys) > {"province": 800, "city": 200, "county": 150}[level]
    # A stride through all of them: each kind of figure stands in dozens of rows.
    texts = page.evaluate(
        """async (keys) => {
            const pause = () => new Promise((done) => setTimeout(done, 0));
            const body = document.getElementById("trace-body");
            const found = [];
            for (const key of keys) {
                document.querySelector(`.opens[data-figure="${key}"]`).click();
                for (let tries = 0; tries < 200 && body.textContent.startsWith("正在读取"); tries += 1) await pause();
                found.push([key, body.textContent, body.querySelector(".sum")?.dataset.equal ?? ""]);
                document.getElementById("trace-close").click();
            }
            return found;
        }""",
        keys[:: max(1, len(keys) // 60)],
    )
    assert len(texts) >= 60
    for key, text, equal in texts:
        assert "与报告数不一致" not in text and "本页未附带" not in text, key
        assert "undefined" not in text and "NaN" not in text, key
        assert equal in ("true", ""), key
    assert len([key for key, _, equal in texts if equal == "true"]) > len(texts) // 3


def test_months_are_compared_and_the_page_says_what_is_like_for_like(show: Opener, pages: Pages) -> None:
    page = show()
    shown = page.locator(".against:visible")
    assert shown.count() == 1
    assert "与2026年3月相比（可比口径）" in shown.inner_text() and "两月可以直接比较" in shown.inner_text()
    page.get_by_label("选择对比的月份").select_option("2026-02")
    assert "与2026年2月相比（全部数据）" in shown.inner_text() and "不作环比" in shown.inner_text()
    trend = pages.figures["province"].tables["trend"]
    at = trend.columns.index("shortage_now")
    then, now = (trend.rows[row].cells[at].value for row in (1, 3))  # type: ignore[union-attr]
    word = "多" if now > then else "少"  # type: ignore[operator]
    assert f"{word}{abs(now - then):,}人" in shown.inner_text()  # type: ignore[operator]
    page.get_by_label("选择对比的月份").select_option("")
    assert shown.count() == 4


def test_live_charts_follow_measure_and_filter(show: Opener, pages: Pages) -> None:
    page = show()
    figure = page.locator('figure[data-of="shortage_city"]')
    figure.scroll_into_view_if_needed()
    figure.locator(".live svg").wait_for()
    table = pages.figures["province"].tables["shortage_city"]
    assert f"{table.rows[0].cells[table.columns.index('shortage_now')].value:,}" in draws(figure)  # type: ignore[union-attr]
    figure.get_by_label("图中指标").select_option("headcount")
    page.wait_for_timeout(200)
    headcount = table.rows[0].cells[table.columns.index("headcount")].value  # type: ignore[union-attr]
    assert f"{headcount:,}" in draws(figure)
    page.get_by_label("设区市").select_option(CITY["city_name"])
    page.wait_for_timeout(200)
    assert CITY["city_name"] in draws(figure) and len(draws(figure)) == 2
    figure.locator(".live .mark-rect path").first.hover()
    assert page.locator("#tip").inner_text().startswith(CITY["city_name"])
    figure.locator(".live .mark-rect path").first.click()
    assert "✓ 与报告数一致" in page.locator("#trace-body .sum").inner_text()


def test_a_keyboard_is_enough(show: Opener) -> None:
    page = show()

    def focused(script: str) -> Any:
        return page.evaluate(f"() => {{ const at = document.activeElement; return {script}; }}")

    page.keyboard.press("Tab")
    assert focused("at.textContent") == "跳到正文"
    page.keyboard.press("Enter")
    # One tab stop a paragraph, arrows within it; then the cards.
    page.keyboard.press("Tab")
    assert focused("at.dataset.figure") == "reporting.expected_reporters"
    page.keyboard.press("ArrowRight")
    assert focused("at.dataset.figure") == "reporting.covered_reporters"
    for _ in range(4):
        if focused("at.dataset.figure") != "region.shortage_now":
            page.keyboard.press("Tab")
    assert focused("at.dataset.figure") == "region.shortage_now"
    assert focused("getComputedStyle(at).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.locator("#trace-body .sum").first.wait_for()
    assert focused("at.id") == "trace-title"
    inside = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        inside.add(focused("at === document.body || document.getElementById('trace').contains(at)"))
    assert inside == {True}
    page.keyboard.press("Escape")
    assert not page.locator("#trace").is_visible()
    assert focused("at.dataset.figure") == "region.shortage_now"
    # Within a table one figure is a tab stop, arrows lead to the others.
    table = page.locator('table[data-table="shortage_city"]')
    assert table.locator('.opens[tabindex="0"]').count() == 1
    table.locator('.opens[tabindex="0"]').focus()
    first = focused("at.dataset.figure")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert focused("at.dataset.figure") != first
    assert focused("at.closest('tr').rowIndex") == 2
    header = page.locator('table[data-table="shortage_city"] th[data-column="name"] button')
    header.focus()
    page.keyboard.press("Enter")
    assert (
        page.locator('table[data-table="shortage_city"] th[data-column="name"]').get_attribute("aria-sort")
        == "ascending"
    )


@pytest.mark.parametrize("level", ["province", "city", "county"])
@pytest.mark.parametrize("scripted", [True, False])
def test_a_phone_of_320_pixels_needs_no_sideways_scroll(show: Opener, level: str, scripted: bool) -> None:
    page = show(level, width=320, java_script_enabled=scripted)
    if scripted:
        page.locator("figure[data-chart]").first.scroll_into_view_if_needed()
        page.locator("figure.lives").first.wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    else:
        # The engine answers what is laid out, the page's own script being off.
        box = page.locator("html").evaluate("(element) => element.scrollWidth")
        assert box <= 320


def test_without_script_it_is_a_complete_document(show: Opener, pages: Pages) -> None:
    page = show(java_script_enabled=False)
    for table in pages.figures["province"].tables:
        if page.locator(f'table[data-table="{table}"]').count():
            assert page.locator(f'table[data-table="{table}"]').is_visible()
    assert page.locator("figure .drawn svg").first.is_visible()
    for gone in (".filter", "#print", ".choice", "#trace"):
        assert not page.locator(gone).first.is_visible()
    assert page.locator(".against:visible").count() == 4
    assert page.locator(".opens").count() == 0


@pytest.mark.parametrize(("level", "width"), [("province", 1280), ("city", 320), ("county", 1280)])
def test_no_serious_barrier_is_found(show: Opener, level: str, width: int) -> None:
    page = show(level, width=width)
    page.locator("figure[data-chart]").first.scroll_into_view_if_needed()
    page.locator("figure.lives").first.wait_for(state="attached")
    closed = Axe().run(page)
    trace(page, "region.shortage_now")
    page.locator("#trace-body summary").last.click()
    opened = Axe().run(page)
    for found in (closed, opened):
        grave = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in grave] == []
        assert len(found.response["passes"]) > 15


def test_it_prints_as_a_document(show: Opener) -> None:
    page = show()
    page.locator('figure[data-of="shortage_city"]').scroll_into_view_if_needed()
    page.locator("figure.lives").first.wait_for(state="attached")
    page.emulate_media(media="print")
    for gone in ("nav", ".filter", ".live", "#print", ".choice"):
        assert not page.locator(gone).first.is_visible()
    assert page.locator("figure .drawn svg").first.is_visible()
    data = page.pdf(prefer_css_page_size=True)
    assert data.startswith(b"%PDF-")
    assert 5 < len(re.findall(rb"/Type\s*/Page\b", data)) < 40


def test_the_policy_lets_nothing_else_run_and_nothing_out(browser: Browser, pages: Pages) -> None:
    page = browser.new_page()
    page.goto(pages.files["county"].as_uri())
    ran = page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.planted = true";
            document.head.append(script);
            return window.planted === true;
        }"""
    )
    assert not ran
    assert page.evaluate("() => fetch('https://example.org/').then(() => 'out', () => 'held')") == "held"
    page.close()


def test_a_correction_stands_at_the_top(show: Opener) -> None:
    page = show("city")
    assert page.locator(".state.again").inner_text() == "第2次更正"
    assert page.locator("main section").first.get_attribute("class") == "corrections"
    assert page.locator(".corrections tbody tr").inner_text().split("\t") == ["当期生产缺工（人）", "1,000", "未列"]


def test_a_page_is_small_enough_for_a_phone(pages: Pages) -> None:
    sizes = {level: path.stat().st_size for level, path in pages.files.items()}
    assert max(sizes.values()) < 1_500_000
    assert sizes["county"] < 800_000
