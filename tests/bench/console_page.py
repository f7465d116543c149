"""The operator console's page: its share of a core in Chromium, with 16 people in 32 directions.

    python -m tests.bench.console_page

The meeting is that of `tests.bench.console`: everybody hums every other second, and every session says a word in every
frame, which is several times as fast as people talk. A screen as tall as all cards shows everything at once, so that
nothing is spared for being out of sight.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import CDPSession, Page, async_playwright

from tests.bench import console as server_side
from tests.browser.chromium import EXECUTABLE
from tests.interpreter.console.console_stage import OPERATOR, TOKENS, console
from tests.interpreter.meeting_stage import Stage

SIZES = {"a screen": (1360, 900), "a screen that shows everything": (1360, 20_000)}
LIMIT = 1.0


@dataclass(frozen=True)
class Used:
    """Seconds of CPU so far."""

    main_thread: float
    """Of the page: scripts, layout, painting."""

    browser: float
    """All processes of the browser, its software renderer included."""

    heap_mb: float


def main() -> None:
    print("| shown on | page's main thread, of a core | whole browser, of a core | script heap |")
    print("|---|--:|--:|--:|")
    worst = 0.0
    for name, size in SIZES.items():
        share, heap_mb = asyncio.run(_measured(size))
        worst = max(worst, share.browser)
        print(f"| {name} | {share.main_thread:.0%} | {share.browser:.0%} | {heap_mb:.0f} MB |", flush=True)
    print(f"\n{'Within' if worst <= LIMIT else 'ABOVE'} the limit of one core.")


async def _measured(size: tuple[int, int]) -> tuple[Used, float]:
    """Shares of a core over `SECONDS`, and the heap at the end."""
    async with console() as at, async_playwright() as playwright:
        await server_side.crowd(at.stage)
        browser = await playwright.chromium.launch(
            executable_path=EXECUTABLE, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        page = await browser.new_page(viewport={"width": size[0], "height": size[1]})
        meeting = asyncio.create_task(_go_on(at.stage))
        await page.goto(f"{at.url}/#token={TOKENS[OPERATOR]}")
        await page.get_by_role("heading", name="Rooms").first.wait_for()
        await page.goto(f"{at.url}/#/room/{at.room.id}")
        await page.locator("direction-card").nth(31).wait_for()
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        await asyncio.sleep(server_side.WARM_UP_S)
        before = await _used(session)
        began_s = time.monotonic()
        await asyncio.sleep(server_side.SECONDS)
        after = await _used(session)
        seconds = time.monotonic() - began_s
        await _check(page)
        meeting.cancel()
        with suppress(asyncio.CancelledError):
            await meeting
        await browser.close()
    share = Used(
        (after.main_thread - before.main_thread) / seconds, (after.browser - before.browser) / seconds, 0.0
    )
    return share, after.heap_mb


async def _go_on(h: Stage) -> None:
    while True:
        await server_side.load(h)


async def _check(page: Page) -> None:
    """What was measured was a page at work."""
    assert await page.locator("direction-card").count() == 32
    assert await page.locator("direction-card .words td", has_text="word").count() >= 32
    assert await page.locator("#stale").text_content() == ""


async def _used(session: CDPSession) -> Used:
    told = await session.send("Performance.getMetrics")
    metrics = {one["name"]: one["value"] for one in told["metrics"]}
    return Used(
        metrics["TaskDuration"], sum(_seconds(pid) for pid in _browsers()), metrics["JSHeapUsedSize"] / 1e6
    )


def _browsers() -> Iterator[int]:
    """Processes of Chromium that descend from this one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = path.read_text().rsplit(")", 1)
        except OSError:
            continue  # it ended meanwhile
        parents[int(path.parent.name)] = (int(fields.split()[1]), name.partition("(")[2])
    for pid, (_, name) in parents.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above][0]
        if above == os.getpid() and name.startswith("chrom"):
            yield pid


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
