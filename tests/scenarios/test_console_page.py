"""The console's page of scenarios: what it shows, starts, stops and gives out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.console.pages import PAGES_GROUP
from interpreter.errors import BadArgument
from scenarios.console_page.page import KEPT_RUNS, RunShown, ScenariosPage, open_page
from scenarios.replay_command import SCRIPTED
from scenarios.schema import PACKAGED, load_scenario

ADA = Actor(name="Ada", standing=Standing.ADMIN, token_hash="0" * 16)
ONE = "negation-es-en"
SLEEPS = [sys.executable, "-c", "import time; print('half way', flush=True); time.sleep(60)"]
ENDS = [sys.executable, "-c", "import pathlib, sys; pathlib.Path(sys.argv[-1], 'index.html').touch()"]
FAILS = [sys.executable, "-c", "import sys; sys.exit('no such engine')"]


@asynccontextmanager
async def page(folder: Path, command: Sequence[str] = ENDS) -> AsyncIterator[ScenariosPage]:
    async with ScenariosPage(folder / "runs", command, wall_s=lambda: 1_000.0) as made:
        yield made


async def until_it_is(page: ScenariosPage, status: str, number: str = "1", words: str = "") -> RunShown:
    for _ in range(6_000):
        run = page.state().runs[number]
        if run.status == status and words in run.words:
            return run
        await asyncio.sleep(0.02)
    raise AssertionError(f"{run}")


async def test_it_is_registered_and_shows_what_the_package_has(tmp_path: Path) -> None:
    [entry] = entry_points(group=PAGES_GROUP, name="scenarios")
    assert entry.load() is open_page
    async with page(tmp_path) as shown:
        state = shown.state()
        assert len(state.scenarios) >= 40
        caught = load_scenario(PACKAGED / f"{ONE}.yaml").catches
        assert caught is not None
        assert state.scenarios[ONE].catches == caught.value
        assert state.engines[0] == SCRIPTED
        assert (shown.static / "page.js").is_file()
        assert {standing for standing in shown.actions.values()} == {Standing.ADMIN}


async def test_a_replay_runs_alone_and_is_stopped(tmp_path: Path) -> None:
    async with page(tmp_path, SLEEPS) as shown:
        assert (await shown.act("run", {"scenarios": [ONE]}, ADA)).accepted
        assert (await until_it_is(shown, "running", words="half way")).words == "half way"
        second = await shown.act("run", {"scenarios": [ONE]}, ADA)
        assert (second.accepted, "is running" in second.text) == (False, True)
        assert (await shown.act("stop", {}, ADA)).accepted
        run = await until_it_is(shown, "stopped")
        assert (run.by, run.began_at, run.asked, run.results) == ("Ada", 1_000.0, 1, {})
        assert not (await shown.act("stop", {}, ADA)).accepted


@pytest.mark.slow
async def test_the_end_of_the_console_ends_the_replay(tmp_path: Path) -> None:
    async with page(tmp_path, SLEEPS) as shown:
        await shown.act("run", {"scenarios": [ONE]}, ADA)
    assert (await until_it_is(shown, "stopped")).status == "stopped"


async def test_a_replay_that_cannot_be_done_says_why(tmp_path: Path) -> None:
    async with page(tmp_path, FAILS) as shown:
        await shown.act("run", {"scenarios": [ONE]}, ADA)
        assert (await until_it_is(shown, "failed")).words == "no such engine"


async def test_only_the_last_runs_are_kept(tmp_path: Path) -> None:
    async with page(tmp_path) as shown:
        for number in range(1, KEPT_RUNS + 3):
            await shown.act("run", {"scenarios": [ONE]}, ADA)
            await until_it_is(shown, "ended", str(number))
        assert len(shown.state().runs) == KEPT_RUNS
        kept = await asyncio.to_thread(lambda: sorted(path.name for path in (tmp_path / "runs").iterdir()))
        assert kept == sorted(shown.state().runs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "expected a list of scenarios"),
        ({"scenarios": []}, "expected a list of scenarios"),
        ({"scenarios": "negation-es-en"}, "expected a list of scenarios"),
        ({"scenarios": [ONE, ONE]}, "and once"),
        ({"scenarios": ["../../etc/passwd"]}, "one of the package's"),
        ({"scenarios": [7]}, "one of the package's"),
        ({"scenarios": [ONE], "engine": "/tmp/model"}, "expected an engine of scripted"),
        ({"scenarios": [ONE], "out": "/tmp"}, "got 'out'"),
    ],
)
async def test_what_is_wrong_is_said_and_starts_nothing(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    async with page(tmp_path) as shown:
        with pytest.raises(BadArgument, match=words):
            await shown.act("run", arguments, ADA)
        assert shown.state().runs == {}


@pytest.mark.parametrize(
    "path",
    [
        "1/../../secret",
        "1/secret",
        f"1/{ONE}/../../../secret/report.html",
        f"1/{ONE}/scored.json",
        "2/index.html",
        "index.html",
        "",
        "\u0661/index.html",
    ],
)
async def test_no_other_file_is_given_out(tmp_path: Path, path: str) -> None:
    async with page(tmp_path) as shown:
        await shown.act("run", {"scenarios": [ONE]}, ADA)
        await until_it_is(shown, "ended")
        assert shown.file(path) is None
        assert shown.file("1/index.html") == tmp_path / "runs/1/index.html"


@pytest.mark.slow
@pytest.mark.speech
async def test_a_real_replay_has_its_result_and_report(tmp_path: Path) -> None:
    async with page(tmp_path, [sys.executable, "-P", "-m", "interpreter", "replay"]) as shown:
        await shown.act("run", {"scenarios": [ONE], "engine": SCRIPTED}, ADA)
        run = await until_it_is(shown, "ended")
        assert run.results == {ONE: "passed"}
        assert run.has_index
        report = shown.file(f"1/{ONE}/report.html")
        assert report is not None
        assert report.is_file()
