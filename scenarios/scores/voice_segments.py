"""Where a file has a voice, as Silero's own package tells it (`get_speech_timestamps`, 6.2, at its defaults).

Voice begins at a hop of probability 0.5 and ends where it has been below 0.35 for 100 ms; what is not longer than
250 ms is left out; either end is padded by 30 ms. Full-Duplex-Bench takes its segments from there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import Pcm
from interpreter.ears.voice_model import HOP_SAMPLES, MODEL_RATE_HZ, VoiceModel, VoiceState
from scenarios.voicing import Span

ON, OFF = 0.5, 0.35
MIN_SILENCE_SAMPLES = MODEL_RATE_HZ // 10
MIN_SPEECH_SAMPLES = MODEL_RATE_HZ // 4
PAD_SAMPLES = MODEL_RATE_HZ * 30 // 1000


def voice_segments(pcm: Pcm, rate_hz: int, model: VoiceModel, *, resample: bool = True) -> tuple[Span, ...]:
    """Where pcm [T] has a voice.

    Args:
        pcm: in [-1, 1].
        rate_hz: of pcm.
        model: which judges 16 kHz.
        resample: False takes every rate for 16 kHz and rounds to 0.1 s, as the backchannel script of Full-Duplex-Bench
            does: times of a 24 kHz file are then 1.5 times too late.
    """
    heard = pcm
    if resample and rate_hz != MODEL_RATE_HZ:
        heard = np.asarray(soxr.resample(pcm, rate_hz, MODEL_RATE_HZ), dtype=np.float32)
    state, probabilities = VoiceState(), []
    for start in range(0, len(heard), HOP_SAMPLES):
        hop = np.zeros(HOP_SAMPLES, dtype=np.float32)
        part = heard[start : start + HOP_SAMPLES]
        hop[: len(part)] = part
        probability, state = model.listen(hop, state)
        probabilities.append(probability)
    spans = segments_of(probabilities, len(heard))
    if resample:
        return spans
    return tuple(Span(start_s=round(one.start_s, 1), end_s=round(one.end_s, 1)) for one in spans)


def segments_of(probabilities: Sequence[float], samples: int) -> tuple[Span, ...]:
    """Voice segments of the probabilities of hops of 512 samples, of `samples` samples at 16 kHz in all."""
    found = [
        (start, end) for start, end in _voiced(probabilities, samples) if end - start > MIN_SPEECH_SAMPLES
    ]
    padded = []
    for n, (start, end) in enumerate(found):
        before = start - found[n - 1][1] if n else None
        behind = found[n + 1][0] - end if n + 1 < len(found) else None
        first = max(0, start - _pad(before))
        last = min(samples, end + _pad(behind))
        padded.append(Span(start_s=first / MODEL_RATE_HZ, end_s=last / MODEL_RATE_HZ))
    return tuple(padded)


def _pad(silence: int | None) -> int:
    """What a segment gets of the silence beside it: at most half of it, which the other one gets too."""
    return PAD_SAMPLES if silence is None else min(PAD_SAMPLES, silence // 2)


def _voiced(probabilities: Sequence[float], samples: int) -> list[tuple[int, int]]:
    """Beginnings and ends, in samples, before short ones are left out."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    quiet_since: int | None = None
    for hop, probability in enumerate(probabilities):
        now = hop * HOP_SAMPLES
        if probability >= ON:
            quiet_since = None
            start = now if start is None else start
        elif probability < OFF and start is not None:
            quiet_since = now if quiet_since is None else quiet_since
            if now - quiet_since >= MIN_SILENCE_SAMPLES:
                found.append((start, quiet_since))
                start = quiet_since = None
    return found if start is None else [*found, (start, samples)]
