"""Faults that a scenario does not come to: the runs with them are the run without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from interpreter.floor.floor import FloorEventKind
from scenarios.faults import Fault
from scenarios.inert import is_inert
from scenarios.replay import role_of
from scenarios.run_log import FloorMoment, RunLog, to_json
from scenarios.scenario_file import Scenario
from scenarios.schema import PACKAGED, load_scenarios
from scenarios.trial import Trials
from tests.scenarios.runs import run

SCENARIOS = {one.id: one for one in load_scenarios([PACKAGED])}
OF_BEHAVIOUR = [fault for fault in Fault if not fault.is_of_words]
OF_THE_RUN = {Fault.NEVER_YIELDS, Fault.RESUMES_NEVER, Fault.LOSES_OVERLAP, Fault.DRIFTS, Fault.NO_REMINDER}
"""Those that the run tells, and not the scenario."""


def inert(scenario: Scenario, log: RunLog, faults: Sequence[Fault] = OF_BEHAVIOUR) -> set[Fault]:
    role = role_of(scenario)
    return {fault for fault in faults if is_inert(fault, scenario, role, log)}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda one: one.id)
def test_no_scenario_is_spared_the_fault_that_it_is_there_to_catch(scenario: Scenario) -> None:
    assert scenario.catches is not None
    if scenario.catches not in OF_THE_RUN:
        assert not inert(scenario, run().log, [scenario.catches])


def test_what_the_floor_did_not_do_it_would_not_do_wrong() -> None:
    log, scenario = run().log, SCENARIOS["negation-es-en"]
    yielding = {Fault.NEVER_YIELDS, Fault.RESUMES_NEVER}
    assert inert(scenario, replace(log, floor=())) & yielding == yielding
    assert not inert(scenario, replace(log, floor=None)) & yielding, "nobody knows"
    ducked = FloorMoment(kind=FloorEventKind.DUCKED, at_s=5.0, speaker_id="doctor", language_out="es")
    assert inert(scenario, replace(log, floor=(ducked,))) & yielding == {Fault.RESUMES_NEVER}
    cut = replace(ducked, kind=FloorEventKind.CUT)
    assert not inert(scenario, replace(log, floor=(ducked, cut))) & yielding


def test_what_shows_anywhere_is_never_spared() -> None:
    always = {
        Fault.SILENT,
        Fault.LATE,
        Fault.CLIPS,
        Fault.ECHO_BACK,
        Fault.NO_DISCLOSURE,
        Fault.ONE_SIDE_TOLD,
    }
    for scenario in SCENARIOS.values():
        assert not inert(scenario, run().log) & always


def test_who_asks_by_voice_is_heard_or_not() -> None:
    asks = {Fault.IGNORES_HUMAN, Fault.IGNORES_STOP}
    assert inert(SCENARIOS["negation-es-en"], run().log) & asks == asks
    assert not inert(SCENARIOS["request-human-es"], run().log) & asks


@pytest.mark.speech
@pytest.mark.slow
def test_a_run_with_a_fault_that_it_does_not_come_to_is_the_run_without(
    request: pytest.FixtureRequest,
) -> None:
    trials = Trials(cache=request.config.cache.mkdir("speech"))
    scenario = SCENARIOS["self-repair-side-en-es"]
    perfect = trials.run(scenario, scored=False).log
    assert perfect is not None
    spared = inert(scenario, perfect)
    assert len(spared) >= 12
    for fault in sorted(spared, key=lambda one: one.value):
        log = trials.run(scenario, fault, scored=False).log
        assert log is not None
        assert to_json(log) == to_json(perfect), fault
