"""Scenarios through the whole meeting, on the virtual clock: a perfect interpreter passes, its one fault is found.

The runs are spread over processes, in the order in which their tests come.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import pytest

from interpreter.floor.floor import FloorEventKind
from scenarios.outcome import Outcome, Result, to_json
from scenarios.run_log import to_json as log_json
from scenarios.schema import PACKAGED, load_scenario
from scenarios.trial import Trials

pytestmark = [pytest.mark.speech, pytest.mark.slow]

PATHS = sorted(PACKAGED.glob("*.yaml"))
QUICK = ("negation-es-en", "clinician-interrupts-es-en")
"""Of words, and of the floor: what `make test-fast` replays."""

Run = tuple[Path, bool]
"""Scenario, whether the interpreter has the fault that it is there to catch."""

EACH = pytest.mark.parametrize(
    "path",
    [pytest.param(one, id=one.stem, marks=() if one.stem in QUICK else (pytest.mark.slow,)) for one in PATHS],
)


@cache
def trials(folder: Path) -> Trials:
    """Of a process."""
    return Trials(cache=folder)


def outcome(run: Run, folder: Path) -> Outcome:
    path, faulty = run
    scenario = load_scenario(path)
    fault = scenario.catches if faulty else None
    return trials(folder).run(scenario, fault, scored=bool(scenario.thresholds)).outcome


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Mapping[Run, Future[Outcome]]]:
    """Of all runs that tests were chosen for."""
    folder = request.config.cache.mkdir("speech")
    chosen = [
        (item.callspec.params["path"], item.function is test_the_fault_it_is_there_to_catch_is_caught)
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield {run: pool.submit(outcome, run, folder) for run in chosen}
        pool.shutdown(cancel_futures=True)


@EACH
def test_a_perfect_interpreter_passes(path: Path, outcomes: Mapping[Run, Future[Outcome]]) -> None:
    come = outcomes[path, False].result()
    assert (come.invalid, come.wrong) == ("", [])


@EACH
def test_the_fault_it_is_there_to_catch_is_caught(
    path: Path, outcomes: Mapping[Run, Future[Outcome]]
) -> None:
    come = outcomes[path, True].result()
    assert come.result is Result.FAILED, load_scenario(path).catches


def test_the_same_run_is_the_same_bytes(request: pytest.FixtureRequest) -> None:
    scenario = load_scenario(PACKAGED / f"{QUICK[1]}.yaml")
    texts = set()
    for _ in range(2):
        trial = trials(request.config.cache.mkdir("speech")).run(scenario)
        assert trial.log is not None
        texts.add(to_json(trial.outcome) + log_json(trial.log))
    assert len(texts) == 1


def test_a_run_tells_how_long_what_is_heard_was_held(request: pytest.FixtureRequest) -> None:
    trial = trials(request.config.cache.mkdir("speech")).run(load_scenario(PACKAGED / f"{QUICK[1]}.yaml"))
    assert trial.log is not None
    (cut,) = [one for one in trial.log.floor or () if one.kind is FloorEventKind.CUT]
    (goes_on,) = [one for one in trial.log.floor or () if one.kind is FloorEventKind.GOES_ON]
    rendering = trial.log.rendering(cut.speaker_id, cut.language_out)
    assert rendering is not None
    first, *_, last = [word.held_s for word in rendering.words if word.held_s is not None]
    begun_s = rendering.words[0].start_s
    assert last - first == pytest.approx(goes_on.at_s - begun_s, abs=0.25), "said again from its start"
