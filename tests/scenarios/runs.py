"""Small runs made by hand: a doctor who speaks English, a patient who speaks Spanish, and what was heard between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from interpreter.record.transcript import Mark
from interpreter.roles.library import load_library
from interpreter.yaml_file import parse_yaml
from scenarios.plan import Moments
from scenarios.replay import Replayed
from scenarios.run_log import (
    Announcement,
    FloorMoment,
    GivenCommand,
    HeardWord,
    Person,
    Rendering,
    RunLog,
    SaidUtterance,
    SpokenWord,
)
from scenarios.scenario_file import Scenario
from scenarios.timeline import Kind
from scenarios.voicing import Span
from webrtc.room import Pcm

ROLE = load_library().find("medical-consecutive")

SCENARIO = """
schema: interp-scenario/1
id: small
title: A small scenario
draft: true
participants:
  doctor: {role: clinician, language: en, voice: f2}
  patient: {role: patient, language: es, voice: m3}
timeline:
  - {id: d1, by: doctor, at: 1s, say: {en: Take fifteen milligrams., es: Tome quince miligramos.}}
  - {id: p1, by: patient, at: 6s, kind: interruption, say: {es: Espere., en: Wait.}}
  - {id: op, by: operator, at: 12s, command: pause}
"""


def small(expect: str = "", more: str = "") -> Scenario:
    """The scenario with one expectation, in flow style, and further sections; whether they fit is not checked."""
    text = SCENARIO + (f"expect: [{expect}]\n" if expect else "") + more
    return parse_yaml(text, Scenario, name="small.yaml", folder=Path())


def words(
    text: str, start_s: float, *, each_s: float = 0.5, of: str = "d1", marks: Mark = Mark.NONE
) -> tuple[HeardWord, ...]:
    """Words one after another."""
    return tuple(
        HeardWord(
            text=word,
            start_s=start_s + n * each_s,
            end_s=start_s + (n + 1) * each_s,
            utterance_id=of,
            source_word=n,
            marks=marks,
        )
        for n, word in enumerate(text.split())
    )


def said(name: str, speaker: str, language: str, text: str, start_s: float, end_s: float) -> SaidUtterance:
    each_s = (end_s - start_s) / len(text.split())
    return SaidUtterance(
        id=name,
        speaker_id=speaker,
        kind=Kind.INTERRUPTION if name == "p1" else Kind.TURN,
        language=language,
        text=text,
        span=Span(start_s=start_s, end_s=end_s),
        words=tuple(
            SpokenWord(text=word, start_s=start_s + n * each_s, end_s=start_s + (n + 1) * each_s)
            for n, word in enumerate(text.split())
        ),
        references={"es": "Tome quince miligramos."} if language == "en" else {"en": "Wait."},
    )


def told(script: str, at_s: float, *, listeners: Sequence[str] = ("doctor", "patient")) -> list[Announcement]:
    """A script read to people, in their languages: a second for each sentence."""
    language = {"doctor": "en", "patient": "es"}
    return [
        Announcement(
            listener_id=listener,
            language=language[listener],
            text=text,
            span=Span(start_s=at_s + n, end_s=at_s + n + 1.0),
        )
        for listener in listeners
        for n, text in enumerate(ROLE.scripts[language[listener]][script])
    ]


def run(
    heard: Sequence[HeardWord] = (),
    *,
    spurts: Sequence[tuple[float, float]] = (),
    announcements: Sequence[Announcement] = (),
    floor: Sequence[FloorMoment] = (),
    commands: Sequence[GivenCommand] = (),
    rendered_s: float | None = None,
    human_asked_s: float | None = None,
    sounds: dict[str, Pcm] | None = None,
    utterances: Sequence[SaidUtterance] = (),
    duration_s: float = 30.0,
) -> Replayed:
    """A run in which the doctor's d1 sounds from 1 s to 3 s, and the patient's p1 from 6 s to 7 s.

    Args:
        heard: words of the doctor's rendering in Spanish.
        spurts: when it sounds; while its words do without any.
        rendered_s: when d1 had been said to its end in Spanish.
    """
    if not spurts and heard:
        spurts = [(heard[0].start_s, heard[-1].end_s)]
    moments = Moments(
        starts={"d1": 1.0, "p1": 6.0, "op": 12.0},
        ends={"d1": 3.0, "p1": 7.0, "op": 12.0},
        rendering_ends={} if rendered_s is None else {("d1", "es"): rendered_s},
    )
    log = RunLog(
        scenario_id="small",
        duration_s=duration_s,
        people=(
            Person(id="doctor", language="en", spurts=()),
            Person(id="patient", language="es", spurts=()),
        ),
        utterances=tuple(utterances)
        or (
            said("d1", "doctor", "en", "Take fifteen milligrams.", 1.0, 3.0),
            said("p1", "patient", "es", "Espere.", 6.0, 7.0),
        ),
        renderings=(
            Rendering(
                speaker_id="doctor",
                language_in="en",
                language_out="es",
                listener_ids=("patient",),
                words=tuple(heard),
                spurts=tuple(Span(start_s=a, end_s=b) for a, b in spurts),
            ),
        ),
        floor=tuple(floor),
        announcements=tuple(announcements),
        commands=tuple(commands),
        sounds=sounds or {},
    )
    return Replayed(log=log, moments=moments, role=ROLE, human_asked_s=human_asked_s)


def tone(seconds: float, level: float, hz: float = 440.0) -> Pcm:
    """A sine of the peak `level`."""
    at_s = np.arange(round(seconds * 24_000)) / 24_000
    return np.asarray(level * np.sin(2 * np.pi * hz * at_s), dtype=np.float32)
