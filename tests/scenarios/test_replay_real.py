"""Scenarios through WebRTC in the hosted room, and with an engine in a process of its own, waited for or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios import replay
from scenarios.faults import Fault
from scenarios.outcome import Result
from scenarios.replay import Way
from scenarios.run_log import mix_sound
from scenarios.schema import PACKAGED, load_scenario, parse_scenario
from scenarios.scores.alignment import GIVEN, align
from scenarios.trial import Trials, running
from scenarios.voicing import active_level_dbfs
from tests.duplex_model.tiny_checkpoint import tiny_config, write_tiny_checkpoint

GREETING = """
schema: interp-scenario/1
id: greeting
title: Good morning
catches: silent
participants:
  doctor: {role: clinician, language: en, voice: f2}
  patient: {role: patient, language: es, voice: m3}
timeline: [{id: d1, by: doctor, at: 1s, say: {en: Good morning., es: Buenos días.}}]
expect: [{of: d1, begin_within: 2s, says: [buenos]}]
"""

pytestmark = [pytest.mark.speech, pytest.mark.slow]


@pytest.mark.media
@pytest.mark.parametrize("name", ["negation-es-en", "reconnect-patient"])
def test_the_hosted_room(name: str, request: pytest.FixtureRequest) -> None:
    trials = Trials(Way(real_time=True, hosted=True), cache=request.config.cache.mkdir("speech"))
    trial = trials.run(load_scenario(PACKAGED / f"{name}.yaml"))
    assert (trial.outcome.invalid, trial.outcome.wrong) == ("", [])
    assert trial.log is not None
    for person in trial.log.people:  # they heard it through the network
        level = active_level_dbfs(trial.log.sounds[mix_sound(person.id)])
        assert level is not None
        assert -36.0 < level < -16.0


def test_what_the_hosted_room_cannot_do_makes_a_run_invalid(request: pytest.FixtureRequest) -> None:
    trials = Trials(Way(real_time=True, hosted=True), cache=request.config.cache.mkdir("speech"))
    lossy = trials.run(load_scenario(PACKAGED / "packet-loss-es-en.yaml")).outcome
    assert lossy.invalid == (
        "expected no loss of packets in the hosted room, got bad; replay it with --room memory"
    )
    loud = trials.run(load_scenario(PACKAGED / "negation-es-en.yaml"), Fault.CLIPS).outcome
    assert loud.invalid == (
        "expected a fault of the interpreter in the hosted room, got clips, which is one of what people are played; "
        "replay it with --room memory"
    )


@pytest.mark.parametrize("real_time", [True, False])
def test_a_checkpoint_that_never_ends(
    real_time: bool, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "ENDLESS_S", 3.0)
    write_tiny_checkpoint(tmp_path, tiny_config())
    with running(str(tmp_path), Way(real_time=real_time)) as way:
        trials = Trials(way, cache=request.config.cache.mkdir("speech"))
        trial = trials.run(parse_scenario(GREETING, name="greeting.yaml", folder=tmp_path))
    assert trial.outcome.invalid == ""
    assert trial.outcome.result is Result.FAILED  # its weights are random
    assert trial.log is not None
    babble = [one for one in trial.log.renderings if one.words]
    assert babble
    assert all(align(trial.log, one).how != GIVEN for one in babble)
    if not real_time:  # time has waited for it
        assert "mixes_without_answer" not in trial.log.counts
        assert "skipped_ticks" not in trial.log.counts
