from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from scenarios.errors import ScenarioError, SpeechError
from scenarios.plan import plan_of
from scenarios.recordings import recorded_speech, scenario_say
from scenarios.scenario_file import Cut, Recording
from scenarios.schema import load_scenario
from scenarios.speech import LEVEL_DBFS
from scenarios.textgrid import Interval, Tier, decode_textgrid, read_textgrid
from scenarios.timeline import render
from scenarios.units import Duration
from scenarios.voicing import active_level_dbfs
from tests.scenarios.test_timeline import say

LONG = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.2
            text = ""
        intervals [2]:
            xmin = 1.2
            xmax = 1.5
            text = "me ""duele"" mucho"
        intervals [3]:
            xmin = 1.5
            xmax = 3.5
            text = "aquí 2 [3]"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 2.0
            mark = "x"
    item [3]:
        class = "IntervalTier"
        name = "empty"
        xmin = 0
        xmax = 3.5
        intervals: size = 0
"""
SHORT = (
    '"ooTextFile"\n"TextGrid"\n0\n3.5\n<exists>\n1\n"IntervalTier"\n"words"\n0\n3.5\n1\n0.25\n3.5\n"hola"\n'
)


def test_long_and_short_textgrids() -> None:
    assert read_textgrid(LONG) == (
        Tier(
            name="words",
            intervals=(
                Interval(start_s=0.0, end_s=1.2, text=""),
                Interval(start_s=1.2, end_s=1.5, text='me "duele" mucho'),
                Interval(start_s=1.5, end_s=3.5, text="aquí 2 [3]"),
            ),
        ),
        Tier(name="empty", intervals=()),
    )
    assert read_textgrid(SHORT)[0].intervals == (Interval(start_s=0.25, end_s=3.5, text="hola"),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrids_in_the_encodings_of_praat(encoding: str) -> None:
    assert read_textgrid(decode_textgrid(LONG.encode(encoding)))[0].intervals[2].text == "aquí 2 [3]"


@pytest.mark.parametrize("cut", range(0, len(LONG) - 12, 31))
def test_half_a_textgrid_is_refused(cut: int) -> None:
    with pytest.raises(ScenarioError, match="expected"):
        read_textgrid(LONG[:cut])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ooTextFile", "ooTextfile"),
        ("IntervalTier", "Tier"),
        ("xmax = 1.2", "xmax = -1"),
        ("size = 3", "size = 2.5"),
    ],
)
def test_what_is_no_textgrid(old: str, new: str) -> None:
    with pytest.raises(ScenarioError, match="expected"):
        read_textgrid(LONG.replace(old, new, 1))
    with pytest.raises(ScenarioError, match="UTF-8 or UTF-16"):
        decode_textgrid(b"\xc3\x28")


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """4 s at 16 kHz in stereo: silence, a tone of 440 Hz from 1 s on, one of 880 Hz from 2 s on."""
    t = np.arange(4 * 16_000) / 16_000
    tone = 0.02 * np.sin(2 * np.pi * np.where(t < 2, 440.0, 880.0) * t) * (t >= 1)
    sf.write(tmp_path / "patient.wav", np.stack([tone, tone], axis=1), 16_000)
    (tmp_path / "patient.TextGrid").write_text(LONG, encoding="utf-8")
    return Recording(file=tmp_path / "patient.wav", textgrid=tmp_path / "patient.TextGrid")


def test_an_utterance_is_cut_out_at_the_common_level(recording: Recording) -> None:
    speech = recorded_speech(recording, Cut(start=Duration(1.1), end=Duration(1.9)))
    assert len(speech.pcm) == round(0.8 * 24_000)
    assert active_level_dbfs(speech.pcm) == pytest.approx(LEVEL_DBFS, abs=0.1)
    peak_hz = np.argmax(np.abs(np.fft.rfft(speech.pcm))) / 0.8
    assert peak_hz == pytest.approx(440, abs=2), "the file's rate does not shift what is heard"
    assert [(word.text, round(word.start_s, 6), round(word.end_s, 6)) for word in speech.words] == [
        ('me "duele" mucho', 0.1, 0.4)
    ]
    assert speech.duration_s == pytest.approx(0.8)


def test_words_as_json(recording: Recording, tmp_path: Path) -> None:
    words = tmp_path / "words.json"
    chunks = [{"text": "hola", "timestamp": [1.2, 1.4]}, {"text": "y", "timestamp": [1.5, None]}]
    words.write_text(json.dumps({"text": "hola y", "chunks": chunks}))
    of_json = Recording(file=recording.file, words=words)
    cut = Cut(start=Duration(1.0), end=Duration(2.0))
    assert [word.text for word in recorded_speech(of_json, cut).words] == ["hola"]
    assert recorded_speech(Recording(file=recording.file), cut).words == ()
    words.write_text("[]")
    with pytest.raises(SpeechError, match=r"words\.json: expected the times of words"):
        recorded_speech(of_json, cut)


def test_what_cannot_be_cut(recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="expected 5 s in .*, got 4.000 s"):
        recorded_speech(recording, Cut(start=Duration(1.0), end=Duration(5.0)))
    with pytest.raises(SpeechError, match="got silence"):
        recorded_speech(recording, Cut(start=Duration(0.0), end=Duration(0.5)))
    with pytest.raises(SpeechError, match="expected a sound file"):
        recorded_speech(Recording(file=tmp_path / "none.wav"), Cut(start=Duration(0.0), end=Duration(0.5)))
    with pytest.raises(SpeechError, match="expected the tier 'phones', got words, empty"):
        recorded_speech(
            Recording(file=recording.file, textgrid=recording.textgrid, tier="phones"),
            Cut(start=Duration(1.0), end=Duration(2.0)),
        )


def test_recorded_and_synthetic_people_talk_together(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "talk.yaml").write_text(
        """\
schema: interp-scenario/1
id: talk
title: A talk
draft: true
participants:
  doctor: {role: clinician, language: en, voice: f2}
  patient: {role: patient, language: es, recording: {file: patient.wav, textgrid: patient.TextGrid}}
timeline:
  - {id: d1, by: doctor, at: 1s, say: {en: Where}}
  - {id: p1, by: patient, after: {of: d1, delay: 500ms}, cut: {start: 1.2s, end: 1.5s}, say: {es: me duele}}
  - {id: p2, by: patient, after: {of: p1, delay: 500ms}, cut: {start: 2s, end: 3s}, say: {es: aquí}}
"""
    )
    scenario = load_scenario(tmp_path / "talk.yaml")
    tracks = render(plan_of(scenario).timeline, scenario_say(scenario, say))
    first, second = tracks["patient"].placed
    assert first.span.duration_s == pytest.approx(0.3)
    assert second.span.duration_s == pytest.approx(1.0)
    assert first.span.start_s == pytest.approx(tracks["doctor"].placed[0].span.end_s + 0.5, abs=1e-4)
    assert [word.text for word in tracks["patient"].words] == ['me "duele" mucho']
