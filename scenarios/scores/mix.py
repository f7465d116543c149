"""What listeners hear: loudness, peaks, how the original gives way, and their own voice, which must not be there. Pure.

The **gain** of an original in somebody's mix is found from the sounds alone. In every 60 ms the mix is taken for a sum

    mix[t] = g * original[t - d] + h * rendering[t - e]

whose delays d and e are those of the greatest correlation over the whole run, and whose gains are those of least
squares. Where the original is too soft, or too like the rendering, there is no gain.

    duck depth     gain while the rendering has sounded for 0.4 s, minus gain while it has been silent for 2 s; medians
    attack         from the rendering's first sound to the first gain within 1.5 dB of the depth
    release        from its last sound to the first gain within 1.5 dB of the full level

Loudness is that of ITU-R BS.1770 (`duplex_model.loudness`), true peak that of four times the rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.loudness import BLOCK_S, integrated_loudness
from scenarios.run_log import Rendering, RunLog, mix_sound, original_sound, rendering_sound
from scenarios.scores.score import Score, count, median, not_scored
from scenarios.voicing import Span

Array = NDArray[np.float64]

BLOCK_SAMPLES = SAMPLE_RATE_HZ * 20 // 1000
FULL_SCALE = 0.9999
"""A sample of a 16-bit file that is cut off is at least this."""

SETTLED_S = 0.4
QUIET_S = 2.0
NEAR_DB = 1.5

_MAX_DELAY_S = 1.0
_PART_SAMPLES = 1_000_000  # 42 s: a run is correlated in parts, which keeps it in memory
_SOFT_DB = 40.0  # an original this far below its own loudest block says nothing of its gain
_LEAST_INDEPENDENT = 0.05  # of the energy of the softer one of two sounds, left when the other is taken out
_LEAST_PEAK = 6.0  # of a correlation, over the RMS of all delays: of noise, a second of them reaches 4.5
_LEAST_OF_HALF = 2.0  # the same of either half of a sound, at the delay found in both
_LEAST_LEAD = 1.35  # of the peak over the highest beside it
_PEAK_SAMPLES = SAMPLE_RATE_HZ // 1000  # a peak's own flanks
_SILENT_DB = -120.0


@dataclass(frozen=True, kw_only=True)
class Ducking:
    """How one original gives way to its rendering in one mix."""

    depth_db: float | None
    """Not above 0 where it works; None where the original is never heard alone, or never under the rendering."""

    attacks_s: tuple[float, ...]
    releases_s: tuple[float, ...]


def mix_scores(runs: Sequence[RunLog]) -> list[Score]:
    """All figures of what listeners hear; mixes and tracks whose sounds a run lacks are left out."""
    mixes = [_Mix.of(pcm) for pcm in _sounds(runs, "mix/")]
    if not mixes:
        return [not_scored("mix.loudness", "LUFS", "no sound of a mix")]
    heard = [one.loudness_lufs for one in mixes if one.loudness_lufs is not None]
    spoken = [one for pcm in _sounds(runs, "rendering/") if (one := loudness_lufs(pcm)) is not None]
    own = [one for pcm in _sounds(runs, "original/") if (one := loudness_lufs(pcm)) is not None]
    match = float(np.mean(spoken) - np.mean(own)) if spoken and own else None
    peak = max(one.peak_db for one in mixes)
    return [
        median("mix.loudness", heard, "LUFS"),
        median("mix.rendering_loudness", spoken, "LUFS"),
        Score(name="mix.rendering_over_original", value=match, unit="LU", n=len(spoken)),
        Score(name="mix.true_peak", value=peak, unit="dBTP", n=len(mixes), note="of the loudest mix"),
        count("mix.clipped_samples", sum(one.clipped for one in mixes)),
        *_ducking_scores(runs),
        *_own_voice_scores(runs),
    ]


@dataclass(frozen=True)
class _Mix:
    """What is told of a mix, so that no sound has to be kept: those of a suite do not fit into memory."""

    loudness_lufs: float | None
    peak_db: float
    clipped: int

    @classmethod
    def of(cls, pcm: Pcm) -> _Mix:
        return cls(loudness_lufs(pcm), true_peak_db(pcm), clipped_samples(pcm))


def loudness_lufs(pcm: Pcm) -> float | None:
    """Integrated loudness; None of what is silent or shorter than a block."""
    if len(pcm) < BLOCK_S * SAMPLE_RATE_HZ:
        return None
    loudness = integrated_loudness(pcm, SAMPLE_RATE_HZ)
    return loudness if math.isfinite(loudness) else None


def true_peak_db(pcm: Pcm) -> float:
    """Peak between the samples, in dB of full scale; -120 of silence (BS.1770-4, annex 2)."""
    if not pcm.any():
        return _SILENT_DB
    between = soxr.resample(pcm, SAMPLE_RATE_HZ, 4 * SAMPLE_RATE_HZ)
    peak = max(float(np.abs(between).max()), float(np.abs(pcm).max()))
    return 20 * math.log10(peak)


def clipped_samples(pcm: Pcm) -> int:
    """Samples in rows of two or more at full scale: a single one may be a peak that just fits."""
    full = np.abs(pcm) >= FULL_SCALE
    beside = np.zeros_like(full)
    beside[1:] |= full[:-1]
    beside[:-1] |= full[1:]
    return int(np.count_nonzero(full & beside))


def ducking_of(mix: Pcm, original: Pcm, rendering: Pcm, spurts: Sequence[Span]) -> Ducking | None:
    """How an original gives way in a mix; None where it is not found there.

    Args:
        mix: [T].
        original: [T], as it left the microphone.
        rendering: [T], as it is heard.
        spurts: where the rendering sounds.
    """
    delay = delay_samples(mix, original)
    if delay is None:
        return None
    other = delay_samples(mix, rendering) or 0
    gains = _gains_db(mix, _delayed(original, delay), _delayed(rendering, other))
    times = (np.arange(len(gains)) + 0.5) * BLOCK_SAMPLES / SAMPLE_RATE_HZ - other / SAMPLE_RATE_HZ
    under = _during(times, spurts, SETTLED_S)
    alone = ~_during(times, [Span(start_s=one.start_s, end_s=one.end_s + QUIET_S) for one in spurts], 0.0)
    down, up = gains[under & np.isfinite(gains)], gains[alone & np.isfinite(gains)]
    if not len(down) or not len(up):
        return Ducking(depth_db=None, attacks_s=(), releases_s=())
    low, full = float(np.median(down)), float(np.median(up))
    return Ducking(
        depth_db=low - full,
        attacks_s=tuple(
            _times_to(times, gains <= low + NEAR_DB, [one.start_s for one in spurts], _starts_alone(spurts))
        ),
        releases_s=tuple(
            _times_to(times, gains >= full - NEAR_DB, [one.end_s for one in spurts], _ends_alone(spurts))
        ),
    )


def own_voice_db(mix: Pcm, own: Pcm) -> float | None:
    """Level of a sound in a mix over its own level; None where it is not found in it."""
    delay = delay_samples(mix, own)
    if delay is None:
        return None
    shifted = _delayed(own, delay).astype(np.float64)
    gain = abs(float(shifted @ mix[: len(shifted)])) / float(shifted @ shifted)
    return 20 * math.log10(gain) if gain > 0 else None


def delay_samples(mix: Pcm, sound: Pcm) -> int | None:
    """How much later a sound is in a mix, up to 1 s; None where it is not found in it.

    It is found where the correlation at one delay stands out from those at all others, in either half of the sound:
    a single vowel may be like one of another voice, and what a codec leaves is like itself at many delays.
    """
    samples = min(len(mix), len(sound))
    energy = np.cumsum(np.square(sound[:samples], dtype=np.float64))
    if not samples or not energy[-1]:
        return None
    middle = int(np.searchsorted(energy, energy[-1] / 2))
    whole = _correlation(mix, sound, 0, samples)
    delay = int(np.argmax(np.abs(whole)))
    others = np.delete(whole, slice(max(0, delay - _PEAK_SAMPLES), delay + _PEAK_SAMPLES + 1))
    found = (
        _height(whole, delay) > _LEAST_PEAK
        and abs(float(whole[delay])) > _LEAST_LEAD * float(np.abs(others).max())
        and _height(_correlation(mix, sound, 0, middle), delay) > _LEAST_OF_HALF
        and _height(_correlation(mix, sound, middle, samples), delay) > _LEAST_OF_HALF
    )
    return delay if found else None


def _correlation(mix: Pcm, sound: Pcm, start: int, end: int) -> Array:
    """[delays]: of a stretch of a sound with what is in the mix then, and up to 1 s later."""
    delays = round(_MAX_DELAY_S * SAMPLE_RATE_HZ) + 1
    early = np.zeros(delays)
    for first in range(start, end, _PART_SAMPLES):
        said = sound[first : min(end, first + _PART_SAMPLES)]
        heard = mix[first : first + len(said) + delays]
        if heard.any() and said.any():
            # Whitened: only the phase counts, so that a voice's pitch makes no peaks beside the true one (GCC-PHAT).
            length = 1 << (len(heard) + delays - 1).bit_length()
            cross = np.fft.rfft(heard, length) * np.conj(np.fft.rfft(said, length))
            size = np.abs(cross)
            early += np.fft.irfft(cross / np.maximum(size, 1e-6 * size.max()), length)[:delays]
    return early


def _height(correlation: Array, delay: int) -> float:
    """At one delay, over the RMS of all; 0 where there is none."""
    spread = float(np.sqrt(np.mean(np.square(correlation))))
    return abs(float(correlation[delay])) / spread if spread else 0.0


def _delayed(pcm: Pcm, samples: int) -> Pcm:
    """[T], `samples` later."""
    return np.concatenate((np.zeros(samples, dtype=np.float32), pcm[: len(pcm) - samples]))


def _gains_db(mix: Pcm, original: Pcm, rendering: Pcm) -> Array:
    """[blocks]: gain of the original by least squares over three blocks, not a number where it cannot be told."""
    oo, rr = _energy(original, original), _energy(rendering, rendering)
    om, rm, both = _energy(original, mix), _energy(rendering, mix), _energy(original, rendering)
    independent = oo * rr - both * both
    alone = rr <= 1e-9 * np.maximum(oo, 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(alone, om / oo, (om * rr - rm * both) / independent)
        told = (oo > oo.max() * 10 ** (-_SOFT_DB / 10)) & (
            alone | (independent > _LEAST_INDEPENDENT * oo * rr)
        )
        return np.where(told, 20 * np.log10(np.maximum(np.abs(gain), 1e-6)), np.nan)


def _energy(a: Pcm, b: Pcm) -> Array:
    """[blocks]: sum of products over each block and its two neighbours."""
    blocks = min(len(a), len(b)) // BLOCK_SAMPLES
    x = a[: blocks * BLOCK_SAMPLES].reshape(blocks, -1).astype(np.float64)
    y = b[: blocks * BLOCK_SAMPLES].reshape(blocks, -1).astype(np.float64)
    return np.convolve(np.einsum("bn,bn->b", x, y), np.ones(3), "same")


def _during(times: Array, spans: Sequence[Span], settled_s: float) -> NDArray[np.bool_]:
    """Which times lie in a span, `settled_s` after its beginning or later."""
    within = np.zeros(len(times), dtype=bool)
    for span in spans:
        within |= (times >= span.start_s + settled_s) & (times < span.end_s)
    return within


def _starts_alone(spurts: Sequence[Span]) -> list[bool]:
    """Whether each spurt begins when the original has long been at its full level."""
    ends = [-math.inf, *(one.end_s for one in spurts[:-1])]
    return [one.start_s - end_s >= QUIET_S for one, end_s in zip(spurts, ends, strict=True)]


def _ends_alone(spurts: Sequence[Span]) -> list[bool]:
    starts = [*(one.start_s for one in spurts[1:]), math.inf]
    return [start_s - one.end_s >= QUIET_S for one, start_s in zip(spurts, starts, strict=True)]


def _times_to(
    times: Array, reached: NDArray[np.bool_], moments: Sequence[float], counted: Sequence[bool]
) -> list[float]:
    """From each counted moment to the first time, within `QUIET_S`, at which the gain has got there."""
    found = []
    for moment_s, counts in zip(moments, counted, strict=True):
        there = np.flatnonzero(reached & (times >= moment_s) & (times < moment_s + QUIET_S))
        if counts and len(there):
            found.append(float(times[there[0]] - moment_s))
    return found


def _ducking_scores(runs: Sequence[RunLog]) -> list[Score]:
    found = [
        one
        for run in runs
        for rendering in run.renderings
        for listener_id in rendering.listener_ids
        if (one := _ducking(run, rendering, listener_id)) is not None
    ]
    depths = [one.depth_db for one in found if one.depth_db is not None]
    attacks = [time for one in found for time in one.attacks_s]
    releases = [time for one in found for time in one.releases_s]
    return [
        median("mix.duck_depth", depths, "dB"),
        median("mix.duck_attack", attacks, "s"),
        median("mix.duck_release", releases, "s"),
    ]


def _ducking(run: RunLog, rendering: Rendering, listener_id: str) -> Ducking | None:
    mix = run.sounds.get(mix_sound(listener_id))
    original = run.sounds.get(original_sound(rendering.speaker_id))
    spoken = run.sounds.get(rendering_sound(rendering.speaker_id, rendering.language_out))
    if mix is None or original is None or spoken is None:
        return None
    return ducking_of(mix, original, spoken, rendering.spurts)


def _own_voice_scores(runs: Sequence[RunLog]) -> list[Score]:
    """How many people hear themselves, or what is rendered for them, and how loud the worst."""
    own = [(run, original_sound(person.id), person.id) for run in runs for person in run.people]
    rendered = [
        (run, rendering_sound(one.speaker_id, one.language_out), one.speaker_id)
        for run in runs
        for one in run.renderings
    ]
    return [*_heard_scores("mix.own_voice", own), *_heard_scores("mix.own_rendering", rendered)]


def _heard_scores(name: str, sounds: Sequence[tuple[RunLog, str, str]]) -> list[Score]:
    """How many of these sounds are in the mixes of the people beside them."""
    found = [
        own_voice_db(mix, sound)
        for run, of, listener_id in sounds
        if (mix := run.sounds.get(mix_sound(listener_id))) is not None
        and (sound := run.sounds.get(of)) is not None
    ]
    levels = [level for level in found if level is not None]
    note = f"of {len(found)} mixes"
    loudest = max(levels, default=None)
    return [
        count(f"{name}.heard", len(levels), note=note),
        Score(name=f"{name}.level", value=loudest, unit="dB", n=len(levels), note=note),
    ]


def _sounds(runs: Sequence[RunLog], kind: str) -> Iterator[Pcm]:
    return (run.sounds[name] for run in runs for name in run.sounds if name.startswith(kind))
