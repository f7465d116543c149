from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.errors import TimelineError
from scenarios.plan import Moments, check_during, due_s, length_s, plan_of, voice_of
from scenarios.scenario_file import Scenario
from scenarios.schema import parse_scenario
from scenarios.speech import VOICES
from scenarios.timeline import Anchor, Edge, Kind, render
from scenarios.voicing import Span
from tests.scenarios.test_timeline import say

VISIT = """\
schema: interp-scenario/1
id: visit
title: A visit
draft: true
seed: 7
participants:
  doctor: {role: clinician, language: en, voice: f2, rate_wpm: 140}
  patient: {role: patient, language: es, voice: m3, room: {sound: hiss, level: -60dBFS}}
timeline:
  - {id: d1, by: doctor, at: 1s, say: {en: How are you today}}
  - {id: p1, by: patient, after: {of: d1, delay: -200ms}, say: {es: Me duele mucho}}
  - {id: d2, by: doctor, during: {of: p1, delay: 300ms}, kind: backchannel, gain: -6dB, say: {en: Mm-hm}}
  - {id: c1, by: patient, after: {of: p1, delay: 1s}, noise: {sound: cough}}
  - {id: op, after: {of: c1, delay: 500ms}, command: pause}
  - {id: gone, by: doctor, after: {of: op}, drop: {lasts: 3s}}
  - {id: d3, by: doctor, after: {of: gone, delay: 250ms}, say: {en: Hello again}}
  - {id: p2, by: patient, after: {of: d3, event: rendering_end, delay: 600ms}, say: {es: Hola}}
  - {id: d4, by: doctor, during: {of: p2, event: rendering_start, delay: 1s, or_after: 4s}, say: {en: Stop}}
  - {id: d5, by: doctor, after: {of: d4}, say: {en: Goodbye then}}
  - {id: p3, by: patient, after: {announced: closing, delay: 1s, or_after: 90s}, say: {es: Adiós}}
lasts: 40s
"""


def visit(text: str = VISIT) -> Scenario:
    return parse_scenario(text, name="visit.yaml", folder=Path())


def test_what_hangs_on_no_rendering_is_fixed() -> None:
    scenario = visit()
    plan = plan_of(scenario)
    cough_s = length_s(scenario.item("c1"), 7)
    assert [item.id for item in plan.waiting] == ["p2", "d4", "d5", "p3"]
    assert cough_s > 0.1
    assert plan.fixed == {
        "d1": Anchor(delay_s=1.0),
        "p1": Anchor(of="d1", edge=Edge.END, delay_s=-0.2),
        "d2": Anchor(of="p1", edge=Edge.START, delay_s=0.3),
        "c1": Anchor(of="p1", edge=Edge.END, delay_s=1.0),
        "op": Anchor(of="p1", edge=Edge.END, delay_s=pytest.approx(1.5 + cough_s)),
        "gone": Anchor(of="p1", edge=Edge.END, delay_s=pytest.approx(1.5 + cough_s)),
        "d3": Anchor(of="p1", edge=Edge.END, delay_s=pytest.approx(4.75 + cough_s)),
    }


def test_the_fixed_part_sounds_as_the_file_says() -> None:
    plan = plan_of(visit())
    assert plan.timeline.min_duration_s == 40.0
    assert [one.id for one in plan.timeline.utterances] == ["d1", "p1", "d2", "d3"]
    assert plan.timeline.utterances[2].kind is Kind.BACKCHANNEL
    assert plan.timeline.utterances[2].gain_db == -6.0
    tracks = render(plan.timeline, say)
    spans = {one.utterance.id: one.span for track in tracks.values() for one in track.placed}
    assert spans["p1"].start_s == pytest.approx(spans["d1"].end_s - 0.2, abs=1e-4)
    assert spans["d2"].start_s == pytest.approx(spans["p1"].start_s + 0.3, abs=1e-4)
    assert tracks["patient"].noises[0].start_s == pytest.approx(spans["p1"].end_s + 1.0, abs=1e-4)
    assert spans["d3"].start_s == pytest.approx(tracks["patient"].noises[0].end_s + 3.75, abs=1e-3)
    assert tracks["patient"].pcm[:1000].any(), "the patient's microphone hisses from the beginning"
    assert not tracks["doctor"].pcm[:1000].any()


def test_what_waits_is_due_after_the_rendering_or_at_its_time_limit() -> None:
    scenario = visit()
    p2, d4, d5, p3 = (scenario.item(name) for name in ("p2", "d4", "d5", "p3"))
    moments = Moments()
    assert due_s(scenario, p2, moments) is None, "nobody knows before d3 is said"
    moments.starts["d3"], moments.ends["d3"] = 11.0, 12.0
    assert due_s(scenario, p2, moments) == pytest.approx(22.0), "10 s after d3, should nothing be rendered"
    moments.rendering_starts["d3", "es"] = 13.0
    assert due_s(scenario, p2, moments) == pytest.approx(22.0), "it is not over yet"
    moments.rendering_ends["d3", "es"] = 14.0
    assert due_s(scenario, p2, moments) == pytest.approx(14.6)

    moments.ends["p2"] = 16.0
    assert due_s(scenario, d4, moments) == pytest.approx(20.0)
    moments.rendering_starts["p2", "en"] = 17.0
    assert due_s(scenario, d4, moments) == pytest.approx(18.0)
    assert due_s(scenario, d5, moments) is None
    moments.starts["d4"], moments.ends["d4"] = 18.0, 18.5
    assert due_s(scenario, d5, moments) == pytest.approx(18.5)

    assert due_s(scenario, p3, moments) == pytest.approx(90.0)
    moments.announced["closing"] = 30.0
    assert due_s(scenario, p3, moments) == pytest.approx(31.0)
    assert due_s(scenario, scenario.item("d1"), moments) == pytest.approx(1.0)


def test_what_is_to_come_during_an_utterance_must_come_during_it() -> None:
    scenario = visit()
    check_during(scenario, {"p1": Span(start_s=2.0, end_s=2.4)})
    with pytest.raises(TimelineError, match="expected 'd2' during 'p1', which lasts 0.25 s"):
        check_during(scenario, {"p1": Span(start_s=2.0, end_s=2.25)})


def test_everybody_speaks_with_the_voice_of_the_file() -> None:
    scenario = visit()
    voice = voice_of(scenario, scenario.item("d1"))
    assert (voice.variant, voice.accent[:2], voice.rate_wpm) == ("f2", "en", 140)
    assert voice_of(scenario, scenario.item("p1")) in VOICES["es"]
