from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cache
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.voice_activity import FORGET_HOPS, Voice, VoiceActivity
from interpreter.ears.voice_model import HOP_S, VoiceModel, VoiceState
from interpreter.errors import IncompleteInstallation
from tests.browser import stimuli

speaks = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")

# Each begins with a voiced sound, so that its onset can be read off the samples.
SENTENCES = {
    "en": ("My left knee hurts when I walk upstairs.", "Okay", "No, wait.", "Mm-hm"),
    "es": (
        "Me duele la rodilla izquierda cuando subo las escaleras.",
        "Ajá",
        "No, espere.",
        "Hace tres días.",
    ),
}
VOICES = ("", "+m3", "+m7", "+f2", "+f4")


@pytest.fixture(scope="module")
def model() -> VoiceModel:
    return VoiceModel()


def frames(pcm: NDArray[np.floating]) -> NDArray[np.float32]:
    """[N, 1920]: `pcm`, filled up with silence."""
    padded = np.pad(pcm.astype(np.float32), (0, -len(pcm) % FRAME_SAMPLES))
    return padded.reshape(-1, FRAME_SAMPLES)


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)


def noise(seconds: float, dbfs: float, seed: int = 0) -> Pcm:
    samples = np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), round(seconds * SAMPLE_RATE_HZ))
    return samples.astype(np.float32)


@cache
def spoken(text: str, voice: str) -> Pcm:
    pcm = stimuli.speak(text, voice, SAMPLE_RATE_HZ)
    loud = np.flatnonzero(np.abs(pcm) > 0.01 * np.abs(pcm).max())
    return 0.3 * pcm[: loud[-1]] / np.abs(pcm).max()


def heard(activity: VoiceActivity, pcm: Pcm, start_s: float = 0.0) -> list[Voice]:
    return [activity.advance(frame, start_s + n * FRAME_S) for n, frame in enumerate(frames(pcm))]


class ScriptedModel:
    """Gives the next probability for each hop; keeps no state."""

    def __init__(self, probabilities: Sequence[float] = ()) -> None:
        self._probabilities = list(probabilities)
        self.asked = 0

    def listen(self, hop: Pcm, state: VoiceState) -> tuple[float, VoiceState]:
        self.asked += 1
        return (self._probabilities.pop(0) if self._probabilities else 0.0), state


def scripted(*runs: tuple[float, int]) -> list[Voice]:
    """What is told of hops whose probabilities are `runs` of (probability, hops), with a second of quiet after them."""
    probabilities = [probability for probability, hops in runs for _ in range(hops)]
    activity = VoiceActivity(ScriptedModel(probabilities))  # type: ignore[arg-type]
    return heard(activity, noise(len(probabilities) * HOP_S + 1.0, -40))


@speaks
@pytest.mark.parametrize("language", SENTENCES)
def test_a_voice_is_found_where_it_starts(
    language: str, model: VoiceModel, measured: Callable[[str], None]
) -> None:
    errors_s, delays_s = [], []
    for number, text in enumerate(SENTENCES[language]):
        for voice in VOICES:
            speech = spoken(text, language + voice)
            lead = silence(0.8 + 0.0137 * number)
            pcm = np.concatenate((lead, speech, silence(0.5)))
            onset_s = (len(lead) + int(np.argmax(np.abs(speech) > 0.05 * 0.3))) / SAMPLE_RATE_HZ
            told = heard(VoiceActivity(model), pcm + noise(len(pcm) / SAMPLE_RATE_HZ, -60))
            first = next(n for n, voice_then in enumerate(told) if voice_then.active)
            assert told[first].onset_s is not None
            errors_s.append(told[first].onset_s - onset_s)
            delays_s.append((first + 1) * FRAME_S - onset_s)
    measured(
        f"onset off by {1e3 * np.mean(errors_s):.0f} ms on average, {1e3 * np.max(np.abs(errors_s)):.0f} ms at "
        f"most; told {1e3 * np.mean(delays_s):.0f} ms after it on average, {1e3 * np.max(delays_s):.0f} ms at most"
    )
    assert np.max(np.abs(errors_s)) < 0.1
    assert max(delays_s) < 0.1 + FRAME_S  # the frame it was found in had to end


@speaks
def test_the_whole_of_a_sentence_is_one_spurt_and_its_length_is_counted(model: VoiceModel) -> None:
    speech = spoken(SENTENCES["es"][0], "es")
    told = heard(VoiceActivity(model), np.concatenate((silence(0.5), speech, silence(1.0))))
    onsets = {voice.onset_s for voice in told} - {None}
    assert len({round(onset, 6) for onset in onsets if onset is not None}) == 1
    assert max(voice.speech_s for voice in told) == pytest.approx(len(speech) / SAMPLE_RATE_HZ, abs=0.25)
    assert not told[-1].active
    assert told[-1].pause_s == pytest.approx(1.0, abs=0.25)


def tone(frequency_hz: float, seconds: float = 4.0) -> Pcm:
    return stimuli.tone(frequency_hz, seconds, 0.2, SAMPLE_RATE_HZ)


def bursts(every_s: float, decay_s: float, amplitude: float, seconds: float = 4.0) -> Pcm:
    """Noise that dies away, again and again: from a key's click to something like a cough."""
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ % every_s
    return amplitude * noise(seconds, 0) * np.exp(-times / decay_s).astype(np.float32)


@pytest.mark.parametrize(
    "pcm",
    [
        noise(4, -20), noise(4, -50), tone(100), tone(440), tone(3000), tone(220) + tone(330) + tone(440),
        np.sign(tone(150)) * np.float32(0.1), bursts(0.3, 0.002, 0.5), bursts(0.5, 0.02, 0.3), bursts(1.5, 0.1, 0.3),
    ],
    ids=["loud-hiss", "quiet-hiss", "hum", "tone", "whistle", "chord", "buzzer", "clicks", "keys", "coughs"],
)  # fmt: skip
def test_what_is_no_voice_is_none(pcm: Pcm, model: VoiceModel) -> None:
    assert not any(voice.active or voice.onset_s is not None for voice in heard(VoiceActivity(model), pcm))


@speaks
def test_quiet_and_loud_speech_are_found_beside_noise(model: VoiceModel) -> None:
    speech = spoken(SENTENCES["en"][0], "en")
    for level_db in (6, -10, -20):
        pcm = speech * np.float32(10 ** (level_db / 20)) + noise(len(speech) / SAMPLE_RATE_HZ, -60)
        told = heard(VoiceActivity(model), pcm)
        assert sum(voice.active for voice in told) > 0.8 * len(told), level_db


@speaks
def test_tracks_share_a_model_and_nothing_else(model: VoiceModel) -> None:
    pcms = [
        frames(np.concatenate((silence(0.3), spoken(SENTENCES[language][0], language))))[:30]
        for language in SENTENCES
    ]
    together = [VoiceActivity(model) for _ in pcms]
    for n in range(30):
        for activity, pcm in zip(together, pcms, strict=True):
            told = activity.advance(pcm[n], n * FRAME_S)
            if n == 29:
                assert told == heard(VoiceActivity(model), pcm.reshape(-1))[-1]


@speaks
def test_after_a_long_silence_a_track_is_like_new(model: VoiceModel) -> None:
    sentence = np.concatenate((spoken(SENTENCES["en"][0], "en+f2"), silence(0.16)))
    activity = VoiceActivity(model)
    heard(activity, np.concatenate((spoken(SENTENCES["es"][0], "es"), noise(1.0, -20))))
    quiet = 200 + activity._frames % 2  # hops and frames meet every second frame
    for n in range(quiet):
        activity.advance(silence(FRAME_S), n * FRAME_S)
    new = VoiceActivity(model)
    heard(new, silence(4 * FRAME_S))  # which is forgotten as well
    for voice, voice_anew in zip(heard(activity, sentence), heard(new, sentence), strict=True):
        assert voice.active == voice_anew.active
        assert voice.onset_s == (
            None if voice_anew.onset_s is None else pytest.approx(voice_anew.onset_s, abs=1e-9)
        )


@speaks
def test_a_lost_frame_inside_speech_loses_nothing_but_itself(model: VoiceModel) -> None:
    pcm = frames(np.concatenate([spoken(text, "es+m3") for text in SENTENCES["es"]]))
    whole = heard(VoiceActivity(model), pcm.reshape(-1))
    pcm[5::10] = 0.0
    torn = heard(VoiceActivity(model), pcm.reshape(-1))
    assert sum(voice.active for voice in torn) >= 0.9 * sum(voice.active for voice in whole)


def test_digital_silence_is_answered_without_the_model() -> None:
    model = ScriptedModel()
    activity = VoiceActivity(model)  # type: ignore[arg-type]
    told = heard(activity, silence(60.0))
    assert model.asked < FORGET_HOPS
    assert told[-1] == Voice(active=False, onset_s=None, speech_s=0.0, pause_s=inf, level_dbfs=-100.0)


def test_a_voice_begins_at_half_and_goes_on_above_a_third() -> None:
    assert not any(voice.active for voice in scripted((0.49, 40)))
    told = scripted((0.1, 10), (0.5, 1), (0.36, 30))
    assert [voice.active for voice in told].count(True) >= 31 * HOP_S / FRAME_S - 1
    assert max(voice.speech_s for voice in told) == pytest.approx(31 * HOP_S)


def test_a_voice_hangs_on_for_a_tenth_of_a_second() -> None:
    assert all(voice.active for voice in scripted((0.9, 10), (0.1, 2), (0.9, 10))[1:8])
    told = scripted((0.9, 10), (0.1, 6), (0.9, 10))
    assert not all(voice.active for voice in told[1:9])
    assert all(voice.onset_s is not None for voice in told[1:9])  # one spurt all the same


def test_a_short_gap_is_bridged_and_not_counted_as_speech() -> None:
    bridged = scripted((0.9, 10), (0.0, 6), (0.9, 10))  # 192 ms
    assert [voice.onset_s for voice in bridged[1:9]] == [pytest.approx(0.0, abs=1e-9)] * 8
    assert max(voice.speech_s for voice in bridged) == pytest.approx(20 * HOP_S)
    apart = scripted((0.9, 10), (0.0, 7), (0.9, 10))  # 224 ms
    assert max(voice.speech_s for voice in apart) == pytest.approx(10 * HOP_S)
    last = next(voice for voice in reversed(apart) if voice.active)
    assert last.onset_s == pytest.approx(17 * HOP_S)


def test_the_onset_is_on_the_clock_of_the_frames() -> None:
    activity = VoiceActivity(ScriptedModel([0.0] * 5 + [0.9] * 50))  # type: ignore[arg-type]
    told = heard(activity, noise(1.6, -40), start_s=1000.0)
    assert told[-1].onset_s == pytest.approx(1000.0 + 5 * HOP_S)
    moved = activity.advance(
        noise(FRAME_S, -40), 1000.0 + 1.6 + 0.05
    )  # the sender's clock was found to be 50 ms off
    assert moved.onset_s == pytest.approx(1000.05 + 5 * HOP_S)


@given(st.lists(st.floats(0, 1), max_size=120))
def test_whatever_the_model_says_the_answers_fit_together(probabilities: list[float]) -> None:
    before: Voice | None = None
    for n, voice in enumerate(scripted(*((probability, 1) for probability in probabilities))):
        now_s = (n + 1) * FRAME_S
        assert (voice.onset_s is None) == (voice.speech_s == 0.0)
        assert not voice.active or voice.onset_s is not None
        assert voice.pause_s >= 0.0
        if voice.onset_s is not None:
            assert 0.0 < voice.speech_s <= now_s - voice.onset_s + 1e-9
            assert voice.pause_s < 0.2
        if before is not None and before.onset_s is not None and voice.onset_s == before.onset_s:
            assert voice.speech_s >= before.speech_s
        before = voice
    assert before is not None
    assert not before.active
    assert before.onset_s is None


@pytest.mark.parametrize("pcm", [np.zeros(960, np.float32), np.full(FRAME_SAMPLES, np.nan, np.float32)])
def test_a_frame_that_would_spoil_the_memory_is_refused(pcm: Pcm, model: VoiceModel) -> None:
    with pytest.raises(ValueError, match="expected 1920 finite samples"):
        VoiceActivity(model).advance(pcm, 0.0)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(IncompleteInstallation, match=r"nowhere\.onnx"):
        VoiceModel(tmp_path / "nowhere.onnx")
