"""Every score of a run, or of many together, in a fixed order; the same runs give the same list. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.run_log import Rendering, RunLog
from scenarios.scores import bench_v1, bench_v15
from scenarios.scores.alignment import aligned_run
from scenarios.scores.bench_v1 import Interruption, TimedText, Turn
from scenarios.scores.bench_v15 import SYSTEM_GAP_S, Overlap, Timing, merged
from scenarios.scores.errors import AnnotatedError, error_scores, units_of
from scenarios.scores.facts import check, fact_scores
from scenarios.scores.floor_keeping import floor_scores
from scenarios.scores.lag import lag_scores
from scenarios.scores.mix import mix_scores
from scenarios.scores.quality import Recogniser, quality_scores
from scenarios.scores.score import Score
from scenarios.scores.stability import stability_scores
from scenarios.scores.turn_taking import Sides, joined, stretches_of, turn_scores
from scenarios.scores.voice import voice_scores
from scenarios.timeline import Kind

SPURTS = "the run's spurts"


def score_run(
    run: RunLog,
    *,
    recogniser: Recogniser | None = None,
    recogniser_name: str = "",
    annotations: Sequence[AnnotatedError] | None = None,
) -> list[Score]:
    """All scores of one run; see `score_runs`."""
    return score_runs([run], recogniser=recogniser, recogniser_name=recogniser_name, annotations=annotations)


def score_runs(
    runs: Sequence[RunLog],
    *,
    recogniser: Recogniser | None = None,
    recogniser_name: str = "",
    annotations: Sequence[AnnotatedError] | None = None,
) -> list[Score]:
    """All scores of some runs, their cases together; what cannot be had is there too, and says why.

    One dialogue has few cases of anything, so that rates are those of a whole suite.

    Args:
        runs: of one system. Sounds may be missing; then what needs them is not scored.
        recogniser: hears renderings for the scores that rest on sound.
        recogniser_name: as in notes.
        annotations: errors that a person found in these runs; None where nobody looked.
    """
    aligned = [aligned_run(run) for run in runs]
    alignments = [alignment for one in aligned for alignment in one.alignments]
    checked = [utterance for one in aligned for utterance in check(one.run, one.alignments)]
    units = [unit for one in aligned for unit in units_of(one.run, one.alignments)]
    sides = [(run.duration_s, side) for run in runs for side in conversations(run)]
    return [
        *turn_scores("turns", [stretches_of(side) for _, side in sides], sum(time for time, _ in sides)),
        *floor_scores(runs),
        *bench_scores(runs),
        *lag_scores(aligned),
        *quality_scores(aligned, recogniser=recogniser, recogniser_name=recogniser_name),
        *fact_scores(checked, f"words: {word_sources(runs)}"),
        *error_scores(units, checked, alignments, annotations),
        *voice_scores(runs),
        *mix_scores(runs),
        *stability_scores(aligned),
    ]


def word_sources(runs: Sequence[RunLog]) -> str:
    """Where the words of the runs' renderings are from."""
    return ", ".join(sorted({one.word_source for run in runs for one in run.renderings})) or "none"


def conversations(run: RunLog) -> list[Sides]:
    """For every listener of a rendering: their own voice, and the renderings that they hear."""
    return [
        Sides(
            one=person.spurts,
            other=joined(
                [spurt for one in run.renderings if person.id in one.listener_ids for spurt in one.spurts]
            ),
        )
        for person in run.people
        if any(person.id in one.listener_ids for one in run.renderings)
    ]


def bench_scores(runs: Sequence[RunLog]) -> list[Score]:
    """Full-Duplex-Bench of the runs' interruptions, both modes; a listener is its user, what they hear its system."""
    official: list[Turn] = []
    fixed: list[Interruption] = []
    timings: list[Timing] = []
    overlaps: list[Overlap] = []
    renderings = [(run, one) for run in runs for one in run.renderings]
    for run, rendering in renderings:
        words = _timed(rendering)
        for utterance in run.utterances:
            if utterance.kind is Kind.INTERRUPTION and utterance.speaker_id in rendering.listener_ids:
                rest = bench_v1.after(words, utterance.span.end_s)
                official.append(bench_v1.official_interruption(rest, utterance.span.end_s))
                segments = merged(rendering.spurts, SYSTEM_GAP_S)
                fixed.append(bench_v1.fixed_interruption(segments, words, utterance.span))
        for person in run.people:
            if person.id in rendering.listener_ids:
                timings.append(bench_v15.official_timing(person.spurts, rendering.spurts))
                overlaps += bench_v15.fixed_timing(person.spurts, rendering.spurts)
    source = word_sources(runs)
    return [
        *bench_v1.turn_scores("bench_v1.official.interruption", official, source),
        *bench_v1.interruption_scores("bench_v1.fixed.interruption", fixed, source),
        *bench_v15.official_scores("bench_v15.official", timings, SPURTS),
        *bench_v15.fixed_scores("bench_v15.fixed", overlaps, SPURTS),
    ]


def _timed(rendering: Rendering) -> tuple[TimedText, ...]:
    return tuple(
        TimedText(text=word.text, start_s=word.start_s, end_s=word.end_s) for word in rendering.words
    )
