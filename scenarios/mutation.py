"""Every scenario with every fault: which of them are caught. Each has to catch its own, and to pass without any.

Usage:
    make mutation                                         # all: eight minutes of processor time
    make mutation ONLY='dose-en-es opt-out-es'            # these scenarios
    python -m scenarios.mutation --only dose-en-es --fault silent --jobs 1

A fault of words is tried where a file spells what it says, which is its own. A fault that a scenario never comes to is
not replayed: the run would be that without a fault (`inert`). Exits with 1 when a scenario passes with
its own fault, or fails without one, and with 3 when a run says nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from scenarios.faults import Fault
from scenarios.inert import is_inert
from scenarios.outcome import Result
from scenarios.replay import role_of
from scenarios.scenario_file import Scenario
from scenarios.schema import PACKAGED, load_scenarios
from scenarios.trial import Trials

SAME = None
"""The run would be that without a fault."""

Row = Mapping[Fault | None, Result | None]
Results = Mapping[str, Row]
"""Scenario's id -> fault -> what the run came to, or `SAME`; what is not there was not tried."""

NOT_TRIED, UNCHANGED, PASSES, CAUGHT, OWN_CAUGHT, WRONG, INVALID = " ", "-", ".", "x", "X", "!", "?"
LEGEND = (
    f"{OWN_CAUGHT} catches its own fault   {CAUGHT} catches another   {PASSES} passes   "
    f"{UNCHANGED} does not come to it   {WRONG} misses its own, or fails without any   {INVALID} says nothing   "
    "blank: no words for it"
)


def mark(scenario: Scenario, fault: Fault | None, results: Results) -> str:
    """What stands in the matrix."""
    row = results.get(scenario.id, {})
    if fault not in row:
        return NOT_TRIED
    result = row[fault]
    if result is Result.INVALID:
        return INVALID
    failed = result is Result.FAILED
    if fault is None:
        return WRONG if failed else PASSES
    if fault is scenario.catches:
        return OWN_CAUGHT if failed else WRONG
    return UNCHANGED if result is SAME else CAUGHT if failed else PASSES


def matrix(scenarios: Sequence[Scenario], faults: Sequence[Fault | None], results: Results) -> str:
    """The table: a row for each scenario, a column for each fault, which are numbered and named below it."""
    width = max(len(one.id) for one in scenarios)
    names = ["no fault" if fault is None else fault.value for fault in faults]
    head = " ".join(f"{number:>2}" for number in range(len(names)))
    rows = [
        f"{one.id:<{width}}  {' '.join(f'{mark(one, fault, results):>2}' for fault in faults)}".rstrip()
        for one in scenarios
    ]
    caught = [sum(mark(one, fault, results) in (CAUGHT, OWN_CAUGHT) for one in scenarios) for fault in faults]
    columns = [
        f"{number:>2}  {name}: caught by {count}"
        for number, (name, count) in enumerate(zip(names, caught, strict=True))
    ]
    return "\n".join([f"{'':<{width}}  {head}", *rows, "", LEGEND, *columns, ""])


def exit_code(scenarios: Sequence[Scenario], faults: Sequence[Fault | None], results: Results) -> int:
    """See the beginning of this file."""
    marks = {mark(one, fault, results) for one in scenarios for fault in faults}
    return 3 if INVALID in marks else 1 if WRONG in marks else 0


_trials: Trials | None = None  # of a worker process: its models are loaded once


def run_row(scenario: Scenario, faults: Sequence[Fault]) -> Row:
    """One scenario without a fault, and with each of some."""
    global _trials
    if _trials is None:
        _trials = Trials()
    perfect = _trials.run(scenario, scored=False)
    row: dict[Fault | None, Result | None] = {None: perfect.outcome.result}
    role = role_of(scenario)
    for fault in faults:
        if fault.is_of_words and fault is not scenario.catches:
            continue
        if perfect.log is not None and is_inert(fault, scenario, role, perfect.log):
            row[fault] = SAME
        else:
            row[fault] = _trials.run(scenario, fault, scored=False).outcome.result
    return row


def run_all(scenarios: Sequence[Scenario], faults: Sequence[Fault], jobs: int) -> Iterator[Row]:
    """Every scenario's row, in order, from as many processes as `jobs` says."""
    run = partial(run_row, faults=faults)
    if jobs == 1:
        yield from map(run, scenarios)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, scenarios)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.mutation", description=__doc__.split("\n")[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="FILE|DIR", help="scenarios; those of the package without"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="these scenarios")
    parser.add_argument("--fault", nargs="+", choices=[one.value for one in Fault], help="these, and none")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    arguments = parser.parse_args(argv)
    scenarios = [
        one
        for one in load_scenarios(arguments.paths or [PACKAGED])
        if not one.draft and (not arguments.only or one.id in arguments.only)
    ]
    if missing := set(arguments.only) - {one.id for one in scenarios}:
        parser.error(f"expected ids of scenarios, got {', '.join(sorted(missing))}")
    faults = list(map(Fault, arguments.fault)) if arguments.fault else list(Fault)
    results: dict[str, Row] = {}
    for scenario, row in zip(scenarios, run_all(scenarios, faults, arguments.jobs), strict=True):
        results[scenario.id] = row
        end = "\r" if sys.stderr.isatty() else "\n"
        sys.stderr.write(f"\x1b[K{len(results)}/{len(scenarios)} {scenario.id}{end}")
        sys.stderr.flush()
    columns = [None, *faults]
    sys.stdout.write(matrix(scenarios, columns, results))
    return exit_code(scenarios, columns, results)


if __name__ == "__main__":
    sys.exit(main())
