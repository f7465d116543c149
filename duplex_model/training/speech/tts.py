"""Speech with the time of every word and phone, from the TTS engines of the system: the checkpoint's only teacher.

Espeak-ng speaks both languages in many voices; flite adds English ones that were built from recordings of people. Both
run in this process, one instance each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.training.speech.espeak import espeak
from duplex_model.training.speech.flite import flite
from duplex_model.training.speech.phones import PHONES, SILENCE
from duplex_model.training.speech.speaking_voices import OWN_VOICES, SpeakingVoice, source_voices
from duplex_model.training.speech.timing import Phone, Timed, TtsError, shifted, word_times

__all__ = [
    "OWN_VOICES",
    "PHONES",
    "SpeakingVoice",
    "Timed",
    "TtsError",
    "Utterance",
    "source_voices",
    "synthesise",
]

LEVEL_DB = -24.0
"""Root mean square of the words, in dB of full scale; a peak above `PEAK_DB` lowers it."""

PEAK_DB = -3.0

_FADE_OUT_S = 0.02
"""At most what is kept after the last phone, faded out."""


@dataclass(frozen=True)
class Utterance:
    """A text that was said. It begins with its first word and ends with its last; nothing is silent around it."""

    pcm: Pcm
    """float32 [T], 24 kHz."""

    words: tuple[Timed, ...]
    """One per word of `text.split()`, in order, as it stands there."""

    phones: tuple[Timed, ...]
    """From the start to the end without a gap, named as in `PHONES`; pauses are silence."""

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.pcm) / SAMPLE_RATE_HZ


def synthesise(text: str, voice: SpeakingVoice) -> Utterance:
    """`text`, said by `voice`, at a level that is the same for all.

    Raises:
        TtsError: the voice's engine is not installed, or did not say each word.
        ValueError: a word has neither letter nor digit, so that nothing can be said of it; or there is no word.
    """
    words = text.split()
    mute = [word for word in words if not any(map(str.isalnum, word))]
    if mute or not words:
        raise ValueError(f"expected words with a letter or a digit, got {mute} in {text!r}")
    pcm, rate_hz, phones = _speak(text, voice)
    said = [phone for phone in phones if phone.symbol != SILENCE]
    if not said:
        raise TtsError(f"expected speech of {text!r} by {voice.name}, got silence")
    start_s, end_s = said[0].start_s, said[-1].end_s
    phones = [
        shifted(phone, -start_s) for phone in phones if start_s <= phone.start_s and phone.end_s <= end_s
    ]
    times = word_times(words, phones)
    pcm = _cut(soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ, quality="HQ"), start_s, end_s)
    return Utterance(_levelled(pcm, times), times, _labels(phones))


def _speak(text: str, voice: SpeakingVoice) -> tuple[Pcm, int, list[Phone]]:
    if voice.engine == "espeak":
        engine = espeak()
        pcm, phones = engine.speak(text, voice.accent, voice.variant, voice.pitch, voice.rate_wpm)
        return pcm, engine.rate_hz, phones
    return flite().speak(text, voice.variant, voice.pitch / 50, 175 / voice.rate_wpm)


def _cut(pcm: Pcm, start_s: float, end_s: float) -> Pcm:
    """`pcm` from start to end, and what there is of the fade after it."""
    start, end = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
    cut: Pcm = pcm[start : end + round(_FADE_OUT_S * SAMPLE_RATE_HZ)].astype(np.float32)
    tail = cut[end - start :]
    tail *= np.linspace(1, 0, len(tail), dtype=np.float32)
    return cut


def _levelled(pcm: Pcm, words: tuple[Timed, ...]) -> Pcm:
    """`pcm` with the root mean square of its words at `LEVEL_DB`, or less if its peak demands it."""
    energy = np.concatenate(([0.0], np.cumsum(pcm.astype(np.float64) ** 2)))
    spans = np.array([(word.start_s, word.end_s) for word in words]) * SAMPLE_RATE_HZ
    edges = np.clip(np.rint(spans).astype(int), 0, len(pcm))
    samples = (edges[:, 1] - edges[:, 0]).sum()
    mean_square = float((energy[edges[:, 1]] - energy[edges[:, 0]]).sum() / max(1, samples))
    if mean_square == 0:
        raise TtsError("expected speech, got digital silence")
    gain = min(
        10 ** (LEVEL_DB / 20) / math.sqrt(mean_square), 10 ** (PEAK_DB / 20) / float(np.abs(pcm).max())
    )
    return pcm * np.float32(gain)


def _labels(phones: list[Phone]) -> tuple[Timed, ...]:
    """`phones` as the utterance has them: adjacent silences made one, and nothing of no duration."""
    labels: list[Timed] = []
    for phone in phones:
        if phone.end_s <= phone.start_s:
            continue
        if labels and phone.symbol == labels[-1].text == SILENCE:
            labels[-1] = Timed(SILENCE, labels[-1].start_s, phone.end_s)
        else:
            labels.append(Timed(phone.symbol, phone.start_s, phone.end_s))
    return tuple(labels)
