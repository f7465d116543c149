"""`interpreter replay`: replays scenarios, says what came of each, and writes it down.

Usage:
    interpreter replay doctor_patient/ --out out
    interpreter replay visit.yaml --tag gate --room hosted --out out
    interpreter replay visit.yaml --engine visit-es-en --out out
    interpreter replay --engine visit-es-en --out out --resume

Exits with 0 when all passed, 1 when something was not as expected, 2 when it was wrongly called, and 3 when a run says
nothing because something was not delivered as it is written, whatever the others came to.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from interpreter.errors import ConfigError
from scenarios.faults import Fault
from scenarios.outcome import Outcome, Result
from scenarios.replay import Way
from scenarios.results import Circumstances, Results, about, earlier_scores, earlier_summary
from scenarios.scenario_file import Scenario
from scenarios.schema import PACKAGED, load_scenarios
from scenarios.trial import Trials, running

EXIT_CODES = {Result.PASSED: 0, Result.FAILED: 1, Result.INVALID: 3}
WRONGLY_CALLED = 2
OWN = "own"
SCRIPTED = "scripted"
_BAR_CELLS = 24


def add_replay(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand; see `interpreter.__main__.Command`."""
    parser = subparsers.add_parser(
        "replay",
        help="replay interpreted dialogues as tests, and score them",
        description="Replays scenarios through the whole meeting, in memory and faster than real time with an "
        "interpreter that knows the dialogue, or as `--clock`, `--room` and `--engine` say; says of each whether it "
        "was as expected. Exits with 0 when all passed, 1 when something was not as expected, 3 when a run says "
        "nothing.",
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="FILE|DIR", help="scenarios; those of the package without"
    )
    parser.add_argument("--tag", action="append", default=[], help="only those that have it; may be repeated")
    parser.add_argument(
        "--fault",
        choices=(OWN, *(fault.value for fault in Fault)),
        metavar="FAULT",
        help=f"give the scripted interpreter a fault: `{OWN}` is the one that each scenario is there to catch; the "
        "others are those that scenarios name under `catches`, such as `omission` or `late`",
    )
    parser.add_argument(
        "--clock",
        choices=("virtual", "real"),
        help="as fast as the machine can, or in real time; virtual wherever it can be",
    )
    parser.add_argument(
        "--room",
        choices=("memory", "hosted"),
        default="memory",
        help="without a network, or through WebRTC on this machine, in real time (default: memory)",
    )
    parser.add_argument(
        "--engine",
        default=SCRIPTED,
        metavar="ENGINE",
        help=f"{SCRIPTED}, which knows the dialogue, or a checkpoint's name or folder (default: {SCRIPTED})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for results, reports, logs and sounds"
    )
    parser.add_argument(
        "--before", type=Path, metavar="DIR", help="results of an earlier run, shown beside the new ones"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on in --out: scenarios whose results are there, of the same file, commit, engine and way, are not "
        "replayed again",
    )
    parser.set_defaults(execute=_replay)


def _replay(arguments: argparse.Namespace) -> int:
    began_s = time.time()
    try:
        chosen = _chosen(arguments.paths or [PACKAGED], arguments.tag)
        way = _way(arguments)
        _check_results(arguments, chosen)
    except ConfigError as error:
        sys.stderr.write(f"interpreter: {error}\n")
        return WRONGLY_CALLED
    results = None if arguments.out is None else Results(arguments.out, arguments.before)
    engine = nullcontext(way) if arguments.engine == SCRIPTED else running(arguments.engine, way)
    with engine as way:
        how = Circumstances(
            clock="real" if way.real_time else "virtual",
            room=arguments.room,
            engine=arguments.engine,
            fingerprint="" if way.engine is None else way.engine.capabilities.fingerprint,
        )
        runs = _Runs(Trials(way), results, how, goes_on=arguments.resume)
        outcomes = runs.all(chosen, arguments.fault)
    if results is not None:
        took_s = time.time() - began_s
        fault = arguments.fault or "none"
        results.write_all(outcomes, about(how, fault=fault, began_s=began_s, took_s=took_s, kept=runs.kept))
    _tell(outcomes)
    return max(EXIT_CODES[one.result] for one in outcomes)


class _Runs:
    """Scenarios one after another.

    Args:
        trials: replays them.
        results: are written after each; None for none.
        how: they are replayed.
        goes_on: whether results that are there already are taken.
    """

    def __init__(self, trials: Trials, results: Results | None, how: Circumstances, *, goes_on: bool) -> None:
        self._trials = trials
        self._results = results
        self._how = how
        self._goes_on = goes_on
        self.kept = 0
        """How many results were there already."""

    def all(self, scenarios: Sequence[Scenario], fault: str | None) -> list[Outcome]:
        """What came of each."""
        bar = _Bar(len(scenarios))
        outcomes: list[Outcome] = []
        for scenario in scenarios:
            bar.begin(scenario.id)
            outcomes.append(self._one(scenario, _fault(fault, scenario), bar))
        bar.end()
        return outcomes

    def _one(self, scenario: Scenario, fault: Fault | None, bar: _Bar) -> Outcome:
        if self._results is None:
            return self._trials.run(scenario, fault, progress=bar.show).outcome
        made_of = self._how.made_of(scenario, fault)
        kept = self._results.kept(scenario, made_of) if self._goes_on else None
        if kept is not None:
            self.kept += 1
            return kept
        trial = self._trials.run(scenario, fault, progress=bar.show)
        self._results.write(scenario, trial, made_of)
        return trial.outcome


def _check_results(arguments: argparse.Namespace, chosen: Sequence[Scenario]) -> None:
    """Reads what an earlier replay left, before hours are spent.

    Raises:
        ConfigError: it cannot be read, or there is nowhere to go on.
    """
    if arguments.resume and arguments.out is None:
        raise ConfigError("expected --out with --resume: the folder to go on in")
    for scenario in chosen:
        earlier_scores(arguments.before, scenario.id)
    earlier_summary(arguments.before)


def _way(arguments: argparse.Namespace) -> Way:
    """How to replay.

    Raises:
        ConfigError: it cannot be done in that way.
    """
    hosted, scripted = arguments.room == "hosted", arguments.engine == SCRIPTED
    if arguments.clock == "virtual" and hosted:
        raise ConfigError("expected the virtual clock with the room in memory alone, got the hosted one")
    if arguments.fault is not None and not scripted:
        raise ConfigError("expected a fault of the scripted engine alone, got one of a checkpoint")
    return Way(real_time=arguments.clock == "real" or hosted, hosted=hosted)


def _chosen(paths: Sequence[Path], tags: Sequence[str]) -> list[Scenario]:
    """Those to replay.

    Raises:
        ConfigError: a file cannot be used, or none is left.
    """
    chosen = [one for one in load_scenarios(paths) if not one.draft and set(tags) <= set(one.tags)]
    if not chosen:
        wanted = f" with the tags {', '.join(tags)}" if tags else ""
        raise ConfigError(f"expected at least one scenario{wanted} that is no draft, got none")
    return chosen


def _fault(name: str | None, scenario: Scenario) -> Fault | None:
    if name is None:
        return None
    return scenario.catches if name == OWN else Fault(name)


def _tell(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        for words in [outcome.invalid] if outcome.invalid else outcome.wrong:
            sys.stdout.write(f"{outcome.id}: {words}\n")
    counts = {result: sum(one.result is result for one in outcomes) for result in Result}
    words = ", ".join(f"{n} {result.value}" for result, n in counts.items() if n)
    sys.stdout.write(f"{len(outcomes)} scenarios: {words}\n")


class _Bar:
    """How far the runs are: a bar on a terminal, nothing elsewhere."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = -1
        self._name = ""
        self._is_seen = sys.stderr.isatty()

    def begin(self, name: str) -> None:
        """The next run begins."""
        self._done += 1
        self._name = name
        self.show(0.0)

    def show(self, at_s: float) -> None:
        """It has come to `at_s`."""
        if self._is_seen:
            full = _BAR_CELLS * self._done // self._count
            cells = "#" * full + "-" * (_BAR_CELLS - full)
            sys.stderr.write(f"\r\x1b[K[{cells}] {self._done}/{self._count} {self._name} {at_s:.0f} s")
            sys.stderr.flush()

    def end(self) -> None:
        """All are done."""
        if self._is_seen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
