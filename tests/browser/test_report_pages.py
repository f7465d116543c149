"""Pages of a replay in a browser: nothing runs off them, names stay in view, rows are filtered, paper has strips."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from scenarios.outcome import Outcome
from scenarios.report.pages import index_page, scenario_page
from scenarios.run_log import original_sound
from scenarios.scores.score import Score
from tests.browser.chromium import EXECUTABLE
from tests.scenarios.runs import run, small, told, tone, words

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCORE = Score(name="", value=0.4, unit="share", n=12, low=0.0, high=0.9, note=40 * "word ")
SCORES = tuple(replace(SCORE, name=f"bench_v1.fixed.interruption.figure_{n}") for n in range(8))
PASSED = Outcome(id="small", title="Fifteen milligrams", tags=("gate",), duration_s=30.0, scores=SCORES)
INVALID = replace(PASSED, id="ugly", title="Ugly", tags=("domain",), invalid="expected an end, got none")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox"])
        yield await browser.new_page(viewport={"width": 390, "height": 800})
        await browser.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    log = run(words("Tome quince miligramos.", 4.0), announcements=told("paused", 8.0)).log
    log = replace(log, sounds={original_sound("doctor"): tone(6.0, 0.1)})
    (tmp_path / "report.html").write_text(scenario_page(small(), PASSED, log, {}))
    (tmp_path / "index.html").write_text(index_page([PASSED, INVALID], {"host": "here"}, SCORES))
    return tmp_path


async def width_over(page: Page) -> float:
    """By how much the page is wider than the window."""
    over: float = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return over


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "report.html"])
async def test_nothing_runs_off_a_narrow_page(page: Page, files: Path, name: str, scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.goto((files / name).as_uri())
    assert await width_over(page) <= 0
    colours = await page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert colours == (
        ["rgb(232, 234, 237)", "rgb(21, 24, 28)"] if scheme == "dark" else ["rgb(28, 31, 35)", "rgb(255, 255, 255)"]
    )  # fmt: skip


async def test_the_names_of_lanes_stay_in_view(page: Page, files: Path) -> None:
    await page.goto((files / "report.html").as_uri())
    name = page.locator("#names text").first
    before = await name.bounding_box()
    await page.evaluate("document.querySelector('.lanes').scrollLeft = 900")
    after = await name.bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] == pytest.approx(before["x"], abs=1.0)


async def test_rows_are_filtered_and_figures_are_not(page: Page, files: Path) -> None:
    await page.goto((files / "index.html").as_uri())
    assert await page.text_content("#count") == "2 of 2"
    await page.select_option("select[name=result]", "invalid")
    assert await page.text_content("#count") == "1 of 2"
    assert not await page.get_by_text("Fifteen milligrams").is_visible()
    assert await page.get_by_text("Ugly").is_visible()
    assert await page.get_by_text("figure_7").is_visible()


async def test_paper_has_the_whole_timeline_in_strips(page: Page, files: Path) -> None:
    await page.set_viewport_size({"width": 720, "height": 1020})  # A4 with the margins that browsers take
    await page.goto((files / "report.html").as_uri())
    assert not await page.locator(".strips").is_visible()
    await page.emulate_media(media="print")
    strips = page.locator(".strips svg")
    assert await strips.count() == 3  # of 30 s, 11 s each
    assert await strips.first.is_visible()
    assert not await page.locator(".lanes").is_visible()
    assert await width_over(page) <= 0
