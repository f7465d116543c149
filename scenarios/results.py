"""The folder of a replay: what came of each scenario and of all together, so that another call can go on with it.

    index.html junit.xml summary.json run.json         of all
    dose-en-es/report.html scored.json run.json        of one, with its sounds in sounds/
    dose-en-es/made.json                               of what: of another file, commit or engine it would be another

`made.json` is written last. Where it is not what would be made now, or not there at all, the scenario is replayed.
Neither `scored.json` nor `summary.json` knows of the machine or the time of day: those are in `run.json` of all.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from interpreter.errors import ConfigError
from scenarios.errors import RunLogError
from scenarios.faults import Fault
from scenarios.outcome import Outcome, Result, from_json, junit, to_json
from scenarios.plain_data import encoded
from scenarios.report.pages import index_page, scenario_page
from scenarios.run_files import read_run, write_run
from scenarios.scenario_file import Scenario
from scenarios.scores.run import score_runs
from scenarios.scores.score import Score
from scenarios.summary import summary_json, summary_scores
from scenarios.trial import Trial

SCORED, SUMMARY, MADE, RUN = "scored.json", "summary.json", "made.json", "run.json"

Facts = Mapping[str, object]
"""What a replay depends on, in words and figures for JSON."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """How scenarios are replayed, as far as what comes of it depends on it."""

    clock: str
    room: str
    engine: str
    fingerprint: str = ""
    """Of the engine's checkpoint; empty for the scripted interpreter."""

    def made_of(self, scenario: Scenario, fault: Fault | None) -> Facts:
        """What one scenario's results would be made of now."""
        text = json.dumps(encoded(scenario), default=str, sort_keys=True)
        return {
            **self.facts(),
            "commit": commit(),
            "fault": "none" if fault is None else fault.value,
            "scenario": hashlib.sha256(text.encode()).hexdigest(),
            "version": version("meeting-interpreter"),
        }

    def facts(self) -> Facts:
        """For JSON."""
        checkpoint = {"checkpoint": self.fingerprint} if self.fingerprint else {}
        return {"clock": self.clock, "room": self.room, "engine": self.engine, **checkpoint}


class Results:
    """The folder, and that of an earlier replay to compare with.

    Args:
        folder: made where it is not there.
        before: of an earlier replay; None for none.
    """

    def __init__(self, folder: Path, before: Path | None) -> None:
        self._folder = folder
        self._before = before

    def kept(self, scenario: Scenario, made_of: Facts) -> Outcome | None:
        """What came of a scenario in an earlier call, made of the same; None where it has to be replayed."""
        folder = self._folder / scenario.id
        try:
            if json.loads((folder / MADE).read_text(encoding="utf-8")) != made_of:
                return None
            outcome = from_json((folder / SCORED).read_text(encoding="utf-8"))
        except (OSError, ValueError, RunLogError):
            return None
        return None if outcome.result is Result.INVALID else outcome

    def write(self, scenario: Scenario, trial: Trial, made_of: Facts) -> None:
        """Everything of one run, into a folder of its own."""
        folder = self._folder / scenario.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MADE).unlink(missing_ok=True)
        (folder / SCORED).write_text(to_json(trial.outcome), encoding="utf-8")
        if trial.log is not None:
            write_run(folder, trial.log)
            page = scenario_page(
                scenario, trial.outcome, trial.log, earlier_scores(self._before, scenario.id)
            )
            (folder / "report.html").write_text(page, encoding="utf-8")
        _write_whole(folder / MADE, _json(made_of))

    def write_all(self, outcomes: Sequence[Outcome], about: Facts) -> None:
        """What is of all runs together; their cases are scored together."""
        runs = [read_run(self._folder / one.id) for one in outcomes if not one.invalid]
        scores = score_runs(runs) if runs else []
        before = earlier_summary(self._before)
        (self._folder / "junit.xml").write_text(junit(outcomes), encoding="utf-8")
        (self._folder / "index.html").write_text(
            index_page(outcomes, about, scores, before), encoding="utf-8"
        )
        (self._folder / SUMMARY).write_text(summary_json(outcomes, scores), encoding="utf-8")
        (self._folder / RUN).write_text(_json(about), encoding="utf-8")


def earlier_scores(folder: Path | None, scenario_id: str) -> Mapping[str, Score]:
    """The figures of a scenario in an earlier replay, by name; none where there was none.

    Raises:
        ConfigError: there is something else in the file.
    """
    path = None if folder is None else folder / scenario_id / SCORED
    if path is None or not path.is_file():
        return {}
    try:
        return {one.name: one for one in from_json(path.read_text(encoding="utf-8")).scores}
    except (UnicodeDecodeError, RunLogError) as error:
        raise ConfigError(f"expected the results of a run in {path}, got: {error}") from error


def earlier_summary(folder: Path | None) -> Mapping[str, Score]:
    """As `earlier_scores`, of all scenarios together."""
    path = None if folder is None else folder / SUMMARY
    if path is None or not path.is_file():
        return {}
    try:
        return {one.name: one for one in summary_scores(path.read_text(encoding="utf-8"))}
    except (UnicodeDecodeError, RunLogError) as error:
        raise ConfigError(f"expected the summary of a replay in {path}, got: {error}") from error


def about(circumstances: Circumstances, *, fault: str, began_s: float, took_s: float, kept: int) -> Facts:
    """What is to be known of a replay beside what came of it.

    Args:
        circumstances: how it was done.
        fault: as it was asked for.
        began_s: Unix time.
        took_s: of this call.
        kept: how many scenarios were replayed by earlier calls.
    """
    began = datetime.fromtimestamp(began_s, UTC)
    return {
        **circumstances.facts(),
        "began": began.isoformat(timespec="seconds"),
        "commit": commit(),
        "fault": fault,
        "host": platform.node(),
        "kept": kept,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "took_s": round(took_s, 1),
        "version": version("meeting-interpreter"),
    }


@cache
def commit() -> str:
    """Of this checkout, with `-dirty` where something is not committed; empty where there is none."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--dirty", "--exclude", "*"]
    where = Path(__file__).parent
    return subprocess.run(command, capture_output=True, text=True, cwd=where, check=False).stdout.strip()


def _json(facts: Facts) -> str:
    return json.dumps(facts, indent=1, sort_keys=True) + "\n"


def _write_whole(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
