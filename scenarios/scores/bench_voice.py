"""How a system's voice changes over a user's event (Full-Duplex-Bench v1.5, "adaptation"): pitch and level. Pure.

    output      |~~~ before ~~~~~~~~~~~~|~~~ after ~~~~~~~
    event            |##########|       parts at the first word that begins after its end

The bench takes F0 from 50 to 600 Hz every 10 ms and intensity, trims 5 % on either side, and does not say here by which
tracker and over which reference: official figures of both are not scored. Fixed mode has this package's own: the mean
over samples of each side's median F0 (`voice.pitch_hz`, 60 to 400 Hz) and of its level while it sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.scores.bench_v1 import TimedText
from scenarios.scores.bench_v15 import parting_of
from scenarios.scores.score import Score, mean, not_scored
from scenarios.scores.voice import pitch_hz
from scenarios.voicing import active_level_dbfs

SIDES = ("before", "after")
FIGURES = {"f0": "Hz", "level": "dBFS"}
_WHY = "the bench's pitch tracker and reference of intensity are not known"


@dataclass(frozen=True, kw_only=True)
class Side:
    """The voice on one side of an event."""

    f0: float | None
    """Median, in Hz; None where nothing is voiced."""

    level: float | None
    """While it sounds, in dBFS; None where it does not."""


def voice_around(pcm: Pcm, words: Sequence[TimedText], event_end_s: float) -> tuple[Side, Side]:
    """The voice before and after an event.

    Args:
        pcm: [T] of the system, 24 kHz.
        words: of the system.
        event_end_s: of the user's event.
    """
    parting = parting_of(words, event_end_s)
    start_s = words[parting].start_s if parting < len(words) else None
    at = len(pcm) if start_s is None else round(start_s * SAMPLE_RATE_HZ)
    return _side(pcm[:at]), _side(pcm[at:])


def official_voice_scores(name: str) -> list[Score]:
    """What the bench has and we have not."""
    return [
        not_scored(f"{name}.{figure}.{side}", unit, _WHY)
        for figure, unit in FIGURES.items()
        for side in SIDES
    ]


def fixed_voice_scores(name: str, samples: Sequence[tuple[Side, Side]]) -> list[Score]:
    """Pitch and level before and after, of the samples that have both."""
    scores = []
    for figure, unit in FIGURES.items():
        pairs = [(getattr(before, figure), getattr(after, figure)) for before, after in samples]
        both = [pair for pair in pairs if None not in pair]
        for n, side in enumerate(SIDES):
            scores.append(mean(f"{name}.{figure}.{side}", [pair[n] for pair in both], unit))
    return scores


def _side(pcm: Pcm) -> Side:
    pitch = pitch_hz(pcm) if pcm.any() else np.zeros(0)
    return Side(f0=float(np.median(pitch)) if len(pitch) else None, level=active_level_dbfs(pcm))
