"""Recorded people: utterances cut out of the recording of somebody's whole microphone, with words from a TextGrid.

Usage:
say = scenario_say(scenario, Speaker(default_cache()).say)
tracks = render(plan_of(scenario).timeline, say)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.errors import ScenarioError, SpeechError
from scenarios.scenario_file import Cut, Recording, Scenario
from scenarios.speech import LEVEL_DBFS, Speech, Voice, Word
from scenarios.textgrid import Interval, decode_textgrid, read_textgrid
from scenarios.timeline import Say
from scenarios.voicing import Span, active_level_dbfs
from scenarios.word_times import read_word_times

_RECORDED = "recorded"


def voice_of_cut(item_id: str) -> Voice:
    """Stands for the voice of an utterance that is cut out of a recording."""
    return Voice(accent=_RECORDED, variant=item_id)


def scenario_say(scenario: Scenario, say: Say) -> Say:
    """Gives the speech of everything said in a scenario: of recordings what is recorded, of others what `say` says.

    Raises:
        SpeechError: a recording or its words cannot be used.
    """
    recorded: dict[str, Speech] = {}
    for item in scenario.timeline:
        person = scenario.participants.get(item.by or "")
        if person is not None and person.recording is not None and item.cut is not None:
            recorded[item.id] = recorded_speech(person.recording, item.cut)

    def of_scenario(text: str, voice: Voice) -> Speech:
        return recorded[voice.variant] if voice.accent == _RECORDED else say(text, voice)

    return of_scenario


def recorded_speech(recording: Recording, cut: Cut) -> Speech:
    """The stretch of the recording, at the level at which everybody speaks.

    Where it sounds is what `cut` says: a recording has a background, in which silence cannot be told from a soft
    voice.

    Raises:
        SpeechError: the file cannot be read, ends before the stretch does, or is silent there.
    """
    pcm = _read(recording.file)
    begin, end = round(cut.start.s * SAMPLE_RATE_HZ), round(cut.end.s * SAMPLE_RATE_HZ)
    if end > len(pcm):
        raise SpeechError(
            f"expected {cut.end.s:g} s in {recording.file}, got {len(pcm) / SAMPLE_RATE_HZ:.3f} s"
        )
    level = active_level_dbfs(pcm[begin:end])
    if level is None:
        raise SpeechError(
            f"expected speech in {recording.file} from {cut.start.s:g} s to {cut.end.s:g} s, got silence"
        )
    levelled: Pcm = pcm[begin:end] * np.float32(10 ** ((LEVEL_DBFS - level) / 20))
    whole = Span(start_s=0.0, end_s=(end - begin) / SAMPLE_RATE_HZ)
    return Speech(pcm=levelled, words=_words(recording, cut), voiced=(whole,))


def _words(recording: Recording, cut: Cut) -> tuple[Word, ...]:
    """The words within the stretch; none where nobody knows them."""
    file = recording.textgrid or recording.words
    if file is None:
        return ()
    try:
        content = file.read_bytes()
        words = _tier(content, recording.tier) if recording.textgrid else read_word_times(content)
    except (OSError, ScenarioError) as error:
        raise SpeechError(f"{file}: {error}") from error
    return tuple(
        Word(text=one.text, start_s=one.start_s - cut.start.s, end_s=one.end_s - cut.start.s)
        for one in words
        if one.text and cut.start.s <= one.start_s and one.end_s <= cut.end.s
    )


def _tier(content: bytes, name: str) -> tuple[Interval, ...]:
    tiers = read_textgrid(decode_textgrid(content))
    for tier in tiers:
        if tier.name == name:
            return tier.intervals
    names = ", ".join(tier.name for tier in tiers) or "none"
    raise ScenarioError(f"expected the tier {name!r}, got {names}")


def _read(path: Path) -> Pcm:
    """[T] at 24 kHz, all channels as one."""
    try:
        samples, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    except (OSError, sf.SoundFileError) as error:
        raise SpeechError(f"expected a sound file, got {path}: {error}") from error
    pcm: Pcm = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ, quality="VHQ")
    return pcm
