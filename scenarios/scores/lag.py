"""How far a rendering is behind its speaker, and whether that grows. Pure.

    ear-voice span   a target word's beginning at the listener - the end of the last source word it needs, at the
                     speaker's microphone. Of every aligned word
    drift            slope of the ear-voice span over the time of the source word, by least squares: seconds of lag that
                     a minute adds
    start offset     first target word's beginning - source's beginning, of every utterance
    tail lag         last target word's end - source's end (SimulEval's EndOffset on the clock of the call)
    AL ... ATD       `latency`, in ms from the utterance's beginning, by wall clock: what listeners waited, computation
                     included. Mean over utterances; YAAL in long form
    occupancy        seconds of target speech per second of source speech

Only utterances of which something was rendered count; `errors` counts the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from scenarios.run_log import RunLog
from scenarios.scores import latency
from scenarios.scores.alignment import AlignedRun, AlignedWord, Alignment, to_render
from scenarios.scores.score import Score, mean, median, not_scored, quantile, slope

_MS = 1000.0
_MINUTE_S = 60.0


def spans_s(alignment: Alignment) -> list[float]:
    """The ear-voice span of every aligned word of a rendering."""
    return [one.word.start_s - one.source_end_s for one in alignment.aligned]


def lag_scores(runs: Sequence[AlignedRun]) -> list[Score]:
    """All figures of lag, over all renderings of all runs together; drift is that within runs."""
    alignments = [alignment for one in runs for alignment in one.alignments]
    note = _note(alignments)
    aligned = [one for alignment in alignments for one in alignment.aligned]
    if not aligned:
        return [not_scored("lag.ear_voice_span.p50", "s", note or "nothing was rendered"), _occupancy(runs)]
    spans = [span_s for alignment in alignments for span_s in spans_s(alignment)]
    segments = [
        _Segment(one.run, words, alignment.rendering.language_out)
        for one in runs
        for alignment in one.alignments
        for words in alignment.by_utterance.values()
    ]
    rendered = [segment.words for segment in segments]
    starts = [words[0].word.start_s - words[0].utterance.span.start_s for words in rendered]
    tails = [max(one.word.end_s for one in words) - words[0].utterance.span.end_s for words in rendered]
    minutes = [one.source_end_s / _MINUTE_S for one in aligned]
    about_mean = [span_s for one in runs for span_s in _about_their_mean(one)]
    return [
        median("lag.ear_voice_span.p50", spans, "s", note=note),
        quantile("lag.ear_voice_span.p95", spans, 0.95, "s", note=note),
        mean("lag.ear_voice_span.mean", spans, "s", note=note),
        slope("lag.drift", minutes, about_mean, "s/min", note=note),
        median("lag.start_offset.p50", starts, "s", note=note),
        quantile("lag.start_offset.p95", starts, 0.95, "s", note=note),
        median("lag.tail.p50", tails, "s", note=note),
        quantile("lag.tail.p95", tails, 0.95, "s", note=note),
        *_segment_scores(segments, note),
        _occupancy(runs),
    ]


def _segment_scores(segments: Sequence[_Segment], note: str) -> list[Score]:
    """AL, LAAL, YAAL, DAL, AP and ATD, a value per utterance."""
    figures: dict[str, tuple[str, Callable[[_Segment], float | None]]] = {
        "lag.al": ("ms", lambda s: latency.average_lagging(s.delays, s.source, s.reference_units)),
        "lag.laal": ("ms", lambda s: latency.laal(s.delays, s.source, s.reference_units)),
        "lag.yaal": ("ms", lambda s: latency.yaal(s.delays, s.source, s.reference_units, ends=s.ends)),
        "lag.dal": ("ms", lambda s: latency.dal(s.delays, s.source)),
        "lag.ap": ("share", lambda s: latency.average_proportion(s.delays, s.source, s.reference_units)),
        "lag.atd": ("ms", lambda s: latency.atd(s.delays, s.durations)),
    }
    scores = []
    for name, (unit, of) in figures.items():
        values = [value for one in segments if one.source > 0 and (value := of(one)) is not None]
        scores.append(mean(name, values, unit, note=note))
    return scores


class _Segment:
    """One utterance and its rendering as `latency` wants them."""

    def __init__(self, run: RunLog, words: Sequence[AlignedWord], language: str) -> None:
        self.words = words
        utterance = words[0].utterance
        begin_s = utterance.span.start_s
        self.source = utterance.span.duration_s * _MS
        self.ends = (run.duration_s - begin_s) * _MS
        # What is heard before its utterance began renders something else; the alignment says it does not.
        starts = np.maximum.accumulate([max(0.0, one.word.start_s - begin_s) for one in words])
        self.delays = [float(start) * _MS for start in starts]
        self.durations = [(one.word.end_s - one.word.start_s) * _MS for one in words]
        reference = utterance.references.get(language, "").split()
        self.reference_units = len(reference) or len(words)


def _about_their_mean(one: AlignedRun) -> list[float]:
    """The ear-voice spans of a run, minus its mean: one run may lag more than another without drifting."""
    spans = [span_s for alignment in one.alignments for span_s in spans_s(alignment)]
    return [span_s - fmean(spans) for span_s in spans]


def _occupancy(runs: Sequence[AlignedRun]) -> Score:
    renderings = [(one.run, rendering) for one in runs for rendering in one.run.renderings]
    target = sum(spurt.duration_s for _, one in renderings for spurt in one.spurts)
    utterances = [said for run, one in renderings for said in to_render(run, one)]
    source = sum(said.span.duration_s for said in utterances)
    value = target / source if source else None
    return Score(name="lag.occupancy", value=value, unit="s/s", n=len(utterances))


def _note(alignments: Sequence[Alignment]) -> str:
    """Where words are from, and how they were aligned."""
    sources = sorted({one.rendering.word_source for one in alignments})
    ways = sorted({one.how for one in alignments})
    return f"words: {', '.join(sources)}; alignment: {', '.join(ways)}" if alignments else ""
