"""Shows the package's scenarios at the console, replays them in a child process, and gives out the reports.

A replay takes the machine's processors from the meetings that it may be in the middle of: only an admin starts one, one
at a time, at a low priority. Results are read from its folder, where the replay writes each when it is done.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from duplex_model.shipped import DEFAULT, shipped_folder
from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.config.settings import cache_dir
from interpreter.console.deltas import Json
from interpreter.console.pages import PageAnswer
from interpreter.errors import BadArgument
from scenarios.errors import RunLogError
from scenarios.outcome import from_json
from scenarios.replay_command import SCRIPTED
from scenarios.results import SCORED
from scenarios.schema import PACKAGED, SUFFIX, load_scenarios

KEPT_RUNS = 5
ENDS_WITHIN_S = 10.0
"""From asking a replay to end until it is killed."""

_WORDS_BYTES = 65_536  # of what a replay says; the last line of it is shown


@dataclass(frozen=True, kw_only=True)
class ScenarioShown:
    """A scenario of the package."""

    title: str
    tags: tuple[str, ...]
    catches: str
    """The fault that it is there to catch."""


@dataclass(frozen=True, kw_only=True)
class RunShown:
    """One replay."""

    began_at: float
    """Unix seconds."""

    by: str
    """Name of who started it."""

    engine: str
    status: str
    """running, ended, stopped or failed."""

    asked: int
    """How many scenarios."""

    results: Mapping[str, str] = field(default_factory=dict)
    """Scenario -> passed, failed or invalid, as they come."""

    words: str = ""
    """What it said last."""

    has_index: bool = False
    """The report of all of it is there."""


@dataclass(frozen=True, kw_only=True)
class ScenariosState:
    """Everything that the page shows."""

    scenarios: Mapping[str, ScenarioShown]
    engines: tuple[str, ...]
    """That can be replayed with."""

    runs: Mapping[str, RunShown] = field(default_factory=dict)
    """By number, of this process."""


@dataclass
class _Run:
    """A replay and its process."""

    folder: Path
    shown: RunShown
    process: asyncio.subprocess.Process | None = None
    task: asyncio.Task[None] | None = None
    stopped: bool = False


class ScenariosPage:
    """The page; see `interpreter.console.pages.Page`.

    Args:
        folder: where replays write; what is in it from before is deleted.
        command: of a replay, without its arguments.
        wall_s: Unix time.
    """

    titles: Mapping[str, str] = {"en": "Scenarios", "es": "Escenarios"}
    static = Path(__file__).parent / "static"
    actions: Mapping[str, Standing] = {"run": Standing.ADMIN, "stop": Standing.ADMIN}
    sees = Standing.VIEWER

    def __init__(self, folder: Path, command: Sequence[str], wall_s: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._command = tuple(command)
        self._wall_s = wall_s
        self._runs: dict[int, _Run] = {}
        self._next = 1
        self._shown: Mapping[str, ScenarioShown] = {}
        self._engines = (SCRIPTED, *([DEFAULT] if shipped_folder(DEFAULT) is not None else []))

    async def __aenter__(self) -> Self:
        """Makes room for replays, and reads what can be replayed."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._shown = await asyncio.to_thread(_packaged)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the replay that runs."""
        for run in self._runs.values():
            await self._end(run)

    def state(self) -> ScenariosState:
        """What is shown now; reads the results that came since."""
        for run in self._runs.values():
            self._read(run)
        runs = {str(number): run.shown for number, run in self._runs.items()}
        return ScenariosState(scenarios=self._shown, engines=self._engines, runs=runs)

    async def act(self, action: str, arguments: Mapping[str, Json], actor: Actor) -> PageAnswer:
        """Starts a replay (`scenarios`: ids, `engine`), or stops the one that runs."""
        running = next((run for run in self._runs.values() if run.shown.status == "running"), None)
        if action == "stop":
            if running is None:
                return PageAnswer(accepted=False, text="No replay is running.")
            await self._end(running)
            return PageAnswer(accepted=True, text="The replay was stopped; what it had finished is there.")
        if running is not None:
            return PageAnswer(accepted=False, text="A replay is running; stop it, or wait for its end.")
        ids, engine = self._asked(arguments)
        await self._begin(ids, engine, actor.name)
        return PageAnswer(accepted=True, text=f"Replaying {len(ids)} scenarios with {engine}.")

    def file(self, path: str) -> Path | None:
        """A report of a replay: `NUMBER/index.html` or `NUMBER/SCENARIO/report.html`, and nothing else."""
        number, _, rest = path.partition("/")
        run = self._runs.get(int(number)) if number.isascii() and number.isdecimal() else None
        scenario = rest.removesuffix("/report.html")
        if run is None or not (rest == "index.html" or (scenario != rest and scenario in self._shown)):
            return None
        return run.folder / rest

    def _asked(self, arguments: Mapping[str, Json]) -> tuple[list[str], str]:
        extra = arguments.keys() - {"scenarios", "engine"}
        if extra:
            raise BadArgument(f"expected scenarios and engine, got {min(extra)[:32]!a}")
        engine = arguments.get("engine", SCRIPTED)
        if not isinstance(engine, str) or engine not in self._engines:
            raise BadArgument(f"expected an engine of {', '.join(self._engines)}")
        ids = arguments.get("scenarios")
        if not isinstance(ids, list) or not ids:
            raise BadArgument("expected a list of scenarios, at least one")
        chosen = [one for one in ids if isinstance(one, str) and one in self._shown]
        if len(chosen) < len(ids) or len(set(chosen)) < len(chosen):
            raise BadArgument("expected every scenario to be one of the package's, and once")
        return chosen, engine

    async def _begin(self, ids: Sequence[str], engine: str, by: str) -> None:
        number, self._next = self._next, self._next + 1
        while len(self._runs) >= KEPT_RUNS:
            oldest = self._runs.pop(min(self._runs))
            await asyncio.to_thread(shutil.rmtree, oldest.folder, ignore_errors=True)
        folder = self._folder / str(number)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        shown = RunShown(began_at=self._wall_s(), by=by, engine=engine, status="running", asked=len(ids))
        run = self._runs[number] = _Run(folder, shown)
        files = [str(PACKAGED / f"{one}{SUFFIX}") for one in ids]
        command = [*_NICE, *self._command, *files, "--engine", engine, "--out", str(folder)]
        run.process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_WORDS_BYTES,
            start_new_session=True,  # Ctrl-C is for the meetings; this is ended apart
        )
        run.task = asyncio.create_task(self._follow(run, run.process))

    async def _follow(self, run: _Run, process: asyncio.subprocess.Process) -> None:
        """Takes what a replay says until it ends."""
        assert process.stdout is not None
        said = b""
        while piece := await process.stdout.read(4_096):
            said = (said + piece)[-_WORDS_BYTES:]
            lines = said.decode(errors="replace").replace("\r", "\n").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "")
            run.shown = replace(run.shown, words=last.strip()[:200])
        await process.wait()
        self._read(run)
        # The report of all is written last: where it is there, all were replayed, whatever came of them.
        status = "stopped" if run.stopped else "ended" if run.shown.has_index else "failed"
        run.shown = replace(run.shown, status=status)

    async def _end(self, run: _Run) -> None:
        process = run.process
        if process is None or run.task is None:
            return
        if process.returncode is None:
            run.stopped = True
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
        await run.task

    def _read(self, run: _Run) -> None:
        """Adds the results that are there now."""
        results = dict(run.shown.results)
        for path in run.folder.glob(f"*/{SCORED}"):
            if path.parent.name in results:
                continue
            with suppress(OSError, ValueError, RunLogError):  # being written: it is whole the next time
                results[path.parent.name] = from_json(path.read_text(encoding="utf-8")).result.value
        has_index = (run.folder / "index.html").is_file()
        if len(results) > len(run.shown.results) or has_index != run.shown.has_index:
            run.shown = replace(run.shown, results=results, has_index=has_index)


_NICE = ["nice", "-n", "10"] if shutil.which("nice") else []


@cache
def _packaged() -> Mapping[str, ScenarioShown]:
    """The package's scenarios by id; they do not change while a process runs."""
    return {
        one.id: ScenarioShown(
            title=one.title, tags=tuple(one.tags), catches=one.catches.value if one.catches else ""
        )
        for one in load_scenarios([PACKAGED])
    }


def open_page() -> ScenariosPage:
    """The page of this installation; see `interpreter.console.pages`."""
    folder = cache_dir(os.environ) / f"scenario-runs-{os.getpid()}"
    return ScenariosPage(folder, [sys.executable, "-P", "-m", "interpreter", "replay"])
