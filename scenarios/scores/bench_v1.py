"""Full-Duplex-Bench v1 (arXiv:2503.04721): one system that talks with one user. Pure.

**Official** mode is the arithmetic of the bench's own scripts, on a given words file and given voice segments, with
everything that is odd about it, so that figures can be set beside published ones. **Fixed** mode asks the same
questions without the faults:

| official                                                  | fixed                                                |
|-----------------------------------------------------------|------------------------------------------------------|
| a greeting at 0 s takes over every turn                   | what begins before the user's own speech is left out |
| pause: any word in the whole file                         | a word that begins within the pause                  |
| latencies below 0 count as 0                              | they are kept: an overlap is an overlap              |
| interruption: words after it, the stop is never looked at | it must stop within 2.0 s; only then may it answer   |
| backchannels: the last segment decides                    | any segment decides                                  |
| backchannels: what takes the turn counts as one too       | only what does not                                   |
| no backchannel is a divergence of 1, averaged with others | silent samples are counted apart                     |
| voice activity at the file's own rate, read as 16 kHz     | at 16 kHz (`voice_segments`)                         |

Both are for a persona that answers, or a consecutive session. Of a simultaneous interpreter nothing here is wanted:
it takes over at every pause, and should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import RunLogError
from scenarios.scores.score import Score, mean, share
from scenarios.voicing import Span

TURN_S, TURN_WORDS = 1.0, 3
"""An output that is shorter than the one, and has no more words than the other, takes no turn."""

FORMAL_S = 3.0
"""A longer voice segment is no backchannel whatever its words."""

BACKCHANNEL_WORDS = 2
YIELD_S = 2.0
"""Time to stop for an interruption; tau-voice's window."""

BIN_S = 0.2
_FLOOR = 1e-10
Histogram = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TimedText:
    """A word of `output.json`; a recogniser may leave out a time."""

    text: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Whether a turn was taken, and how soon."""

    taken: bool
    latency_s: float | None
    """None where no turn was taken."""


@dataclass(frozen=True, kw_only=True)
class Backchannels:
    """One sample of the backchannel task."""

    taken: bool
    """The system took the turn."""

    count: int
    per_s: float
    divergence: float | None
    """Square root of the Jensen-Shannon divergence, in nats, from people's timing: 0 to 0.8326. In official mode 1
    where there is no backchannel; in fixed mode None."""


# Official -----------------------------------------------------------------------------------------------------------


def official_pause(words: Sequence[TimedText]) -> bool:
    """Whether the whole output takes a turn; less is better (`eval_pause_handling.py`)."""
    return bool(words) and _takes_turn(words, _end_or_start(words[-1]))


def official_smooth_turn(words: Sequence[TimedText], user_end_s: float) -> Turn:
    """Whether the output takes the turn, and how long after the user's (`eval_smooth_turn_taking.py`).

    Args:
        words: of the whole file.
        user_end_s: `timestamp[0]` of `turn_taking.json`.

    Raises:
        RunLogError: a first or last word without its time, where their script fails too.
    """
    if not words:
        return Turn(taken=False, latency_s=None)
    if not _takes_turn(words, _known(words[-1].end_s)):
        return Turn(taken=False, latency_s=None)
    return Turn(taken=True, latency_s=max(0.0, _known(words[0].start_s) - user_end_s))


def official_interruption(words: Sequence[TimedText], interruption_end_s: float) -> Turn:
    """As `official_smooth_turn` (`eval_user_interruption.py`).

    Args:
        words: recognised from the interruption's end on, on the file's own clock. `after` crops those of a whole file.
        interruption_end_s: `timestamp[1]` of `interrupt.json`.
    """
    return official_smooth_turn(words, interruption_end_s)


def after(words: Sequence[TimedText], at_s: float) -> tuple[TimedText, ...]:
    """The words that a recogniser would find in the file from `at_s` on; of the one being said then, the rest.

    The bench cuts the sound and recognises the rest. A word of which more than half is cut off is left out.
    """
    rest = []
    for word in words:
        start_s, end_s = _known(word.start_s), _end_or_start(word)
        if start_s >= at_s:
            rest.append(word)
        elif (start_s + end_s) / 2 > at_s:
            rest.append(TimedText(text=word.text, start_s=at_s, end_s=word.end_s))
    return tuple(rest)


def official_backchannels(
    segments: Sequence[Span], words: Sequence[TimedText], duration_s: float, people: Histogram
) -> Backchannels:
    """Backchannels of one sample (`eval_backchannel.py`).

    Args:
        segments: where the output has a voice; the bench's own are Silero's of `voice_segments(..., resample=False)`.
        words: of the output.
        duration_s: of the file.
        people: histogram of people's backchannels in bins of 200 ms, from the bench's `icc_gt_distribution.json`.
    """
    taken, found = False, []
    for segment in segments:
        if segment.duration_s > FORMAL_S:
            taken = True
            break
        taken = _takes_over(segment, words)
        found.append(segment)
    divergence = timing_divergence(found, duration_s, people) if found else 1.0
    return Backchannels(taken=taken, count=len(found), per_s=len(found) / duration_s, divergence=divergence)


# Fixed --------------------------------------------------------------------------------------------------------------


def fixed_pause(words: Sequence[TimedText], pause: Span) -> bool:
    """Whether the output takes a turn in the user's pause: with words from its beginning on, the first within it."""
    rest = [word for word in words if _known(word.start_s) >= pause.start_s]
    begins = bool(rest) and _known(rest[0].start_s) < pause.end_s
    return begins and _takes_turn(rest, _end_or_start(rest[-1]))


def fixed_smooth_turn(words: Sequence[TimedText], user: Span) -> Turn:
    """Whether the output takes the turn after the user's, and how long after its end; negative in an overlap.

    Args:
        words: of the whole file; those that begin before the user's turn are a greeting and left out.
        user: their turn.
    """
    rest = [word for word in words if _known(word.start_s) >= user.start_s]
    if not rest or not _takes_turn(rest, _end_or_start(rest[-1])):
        return Turn(taken=False, latency_s=None)
    return Turn(taken=True, latency_s=_known(rest[0].start_s) - user.end_s)


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """What became of one interruption."""

    talking: bool
    """The system was talking when it began. Otherwise there is nothing to stop, and the sample says nothing."""

    stop_s: float | None
    """From the interruption's beginning to the system's last sound; None where that is more than `YIELD_S`."""

    answer: Turn
    """After the interruption's end; only of a system that had stopped."""

    @property
    def passed(self) -> bool:
        """It stopped in time and took the turn that it was given."""
        return self.stop_s is not None and self.answer.taken


def fixed_interruption(
    segments: Sequence[Span], words: Sequence[TimedText], interruption: Span
) -> Interruption:
    """Whether the system stops for an interruption, and answers it.

    Args:
        segments: where the output has a voice, gaps of up to 0.5 s closed (`bench_v15.merged`).
        words: of the whole file.
        interruption: from its first sound to its last.
    """
    running = next((one for one in segments if one.start_s <= interruption.start_s < one.end_s), None)
    stop_s = None if running is None else running.end_s - interruption.start_s
    stopped = stop_s is not None and stop_s <= YIELD_S
    stopped_s = interruption.start_s if running is None else running.end_s
    answer = Turn(taken=False, latency_s=None)
    if stopped or running is None:
        rest = [word for word in words if _known(word.start_s) >= stopped_s]
        answer = fixed_smooth_turn(rest, interruption)
    return Interruption(talking=running is not None, stop_s=stop_s if stopped else None, answer=answer)


def fixed_backchannels(
    segments: Sequence[Span], words: Sequence[TimedText], duration_s: float, people: Histogram | None = None
) -> Backchannels:
    """Backchannels of one sample: only segments that take no turn are any, and one that does is enough.

    Args:
        segments: where the output has a voice, from `voice_segments(..., resample=True)`.
        words: of the output.
        duration_s: of the file.
        people: as in official mode; None where there is no such corpus.
    """
    taking = [one.duration_s > FORMAL_S or _takes_over(one, words) for one in segments]
    found = [one for one, takes in zip(segments, taking, strict=True) if not takes]
    divergence = timing_divergence(found, duration_s, people) if found and people is not None else None
    return Backchannels(
        taken=any(taking), count=len(found), per_s=len(found) / duration_s, divergence=divergence
    )


# Figures ------------------------------------------------------------------------------------------------------------


def turn_scores(name: str, turns: Sequence[Turn], word_source: str) -> list[Score]:
    """Take-over rate, and mean latency of the turns taken.

    Args:
        name: such as `bench_v1.official.interruption`.
        turns: of all samples.
        word_source: where words are from.
    """
    note = f"words: {word_source}"
    latencies = [turn.latency_s for turn in turns if turn.latency_s is not None]
    return [
        share(f"{name}.take_over", [turn.taken for turn in turns], note=note),
        mean(f"{name}.latency", latencies, "s", note=note),
    ]


def backchannel_scores(name: str, samples: Sequence[Backchannels], word_source: str) -> list[Score]:
    """Take-over rate, frequency and divergence, and how many samples had no backchannel at all."""
    note = f"words: {word_source}"
    divergences = [one.divergence for one in samples if one.divergence is not None]
    return [
        share(f"{name}.take_over", [one.taken for one in samples], note=note),
        mean(f"{name}.frequency", [one.per_s for one in samples], "1/s", note=note),
        mean(f"{name}.divergence", divergences, "sqrt nat", note=note),
        share(f"{name}.silent", [one.count == 0 for one in samples], note=note),
    ]


def interruption_scores(name: str, samples: Sequence[Interruption], word_source: str) -> list[Score]:
    """Of the samples in which there was something to stop: how many passed, and how soon it stopped and answered."""
    talking = [one for one in samples if one.talking]
    note = f"words: {word_source}; {len(samples) - len(talking)} samples without anything to stop left out"
    stops = [one.stop_s for one in talking if one.stop_s is not None]
    answers = [one.answer.latency_s for one in talking if one.answer.latency_s is not None]
    return [
        share(f"{name}.passed", [one.passed for one in talking], note=note),
        share(f"{name}.stopped", [one.stop_s is not None for one in talking], note=note),
        mean(f"{name}.stop_latency", stops, "s", note=note),
        mean(f"{name}.latency", answers, "s", note=note),
    ]


def timing_divergence(found: Sequence[Span], duration_s: float, people: Histogram) -> float:
    """Square root of the Jensen-Shannon divergence of two timings, in nats.

    Each bin that a backchannel covers counts one; people's histogram is interpolated to as many bins.
    """
    bins = np.zeros(int(duration_s / BIN_S) + 1)
    for one in found:
        bins[int(one.start_s / BIN_S) : int(one.end_s / BIN_S) + 1] += 1.0
    ours = bins + _FLOOR
    theirs = np.interp(np.linspace(0, 1, len(bins)), np.linspace(0, 1, len(people)), people)
    p, q = ours / ours.sum(), theirs / theirs.sum()
    middle = (p + q) / 2
    return float(np.sqrt(max(0.0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2)))


def _relative_entropy(p: Histogram, q: Histogram) -> float:
    held = p > 0
    return float(np.sum(p[held] * np.log(p[held] / q[held])))


def _takes_turn(words: Sequence[TimedText], end_s: float) -> bool:
    return end_s - _known(words[0].start_s) >= TURN_S or len(words) > TURN_WORDS


def _takes_over(segment: Span, words: Sequence[TimedText]) -> bool:
    """Whether a segment of at most `FORMAL_S` is more than a backchannel."""
    count = sum(_overlaps(word, segment) for word in words)
    return segment.duration_s >= TURN_S or count > BACKCHANNEL_WORDS


def _overlaps(word: TimedText, segment: Span) -> bool:
    if word.start_s is None or (word.end_s is None and word.start_s < segment.end_s):
        return False
    start_s, end_s = word.start_s, word.start_s if word.end_s is None else word.end_s
    inside = start_s >= segment.start_s and end_s <= segment.end_s
    over_end = start_s <= segment.end_s < end_s
    over_start = start_s <= segment.start_s < end_s
    return inside or over_end or over_start


def _end_or_start(word: TimedText) -> float:
    return _known(word.start_s if word.end_s is None else word.end_s)


def _known(time_s: float | None) -> float:
    if time_s is None:
        raise RunLogError("expected a time of the first and last word, got none")
    return time_s
