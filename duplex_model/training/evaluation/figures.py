"""Rollouts -> the figures of a row, by the question their cell asks. Pure but for the judges handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from duplex_model.training.evaluation.cells import Case, Cell, Kind
from duplex_model.training.evaluation.measures import (
    continued,
    interruption,
    is_silent,
    said_after_stop,
    stop_after_cue_s,
    timing,
    voice_only,
)
from duplex_model.training.evaluation.report import Row
from duplex_model.training.evaluation.rollout import Rollout
from duplex_model.training.evaluation.scores import (
    CorpusScore,
    Estimate,
    bleu,
    chrf,
    error_rate,
    facts_by_kind,
    is_exact,
    macro_share,
    median_of,
    quantile_of,
    same_polarity,
    share,
    word_errors,
)

STOP_S = 0.5
"""Within which an interrupted voice must be silent."""

_EXAMPLES = 6

Figures = dict[str, Estimate]


def row_of(cell: Cell, rollouts: Sequence[Rollout], audio: Mapping[str, Estimate]) -> Row:
    """The row of a cell.

    Args:
        cell: what was asked.
        rollouts: one for each of its cases.
        audio: figures of judges who listened.
    """
    figures = _FIGURES[cell.kind](cell, rollouts)
    translated = cell.kind is Kind.TRANSLATION
    return Row(
        name=cell.name,
        kind=cell.kind,
        trials=len(cell.cases),
        figures={**figures, **audio},
        scores=_corpus_scores(cell, rollouts) if translated else {},
        examples=[_example(case, rollout) for case, rollout in zip(cell.cases, rollouts, strict=True)][
            :_EXAMPLES
        ],
    )


def _translation(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    language, pairs = cell.language_out, list(zip(cell.cases, rollouts, strict=True))
    exact = [is_exact(case.expected, rollout.text, language) for case, rollout in pairs]
    by_production: dict[str, list[bool]] = {}
    for case, right in zip(cell.cases, exact, strict=True):
        by_production.setdefault(case.production, []).append(right)
    said = [
        (turn.pair, rollout.text) for case, rollout in pairs for turn in case.turns if turn.pair is not None
    ]
    return {
        "exact": macro_share(by_production),
        "exact_micro": share(exact),
        "word_error": error_rate(
            [word_errors(case.expected, rollout.text, language) for case, rollout in pairs]
        ),
        **facts_by_kind(said if _one_turn(cell) else [], language),
        "polarity": share([same_polarity(case.expected, rollout.text, language) for case, rollout in pairs]),
        **(_times(pairs) if _one_turn(cell) else {}),
    }


def _one_turn(cell: Cell) -> bool:
    """Whether what is said can be laid beside one sentence."""
    return all(len(case.turns) == 1 for case in cell.cases)


def _times(pairs: Sequence[tuple[Case, Rollout]]) -> Figures:
    times = [taken for case, rollout in pairs if (taken := timing(case, rollout)) is not None]
    ends = [taken.end_offset_s for taken in times if taken.end_offset_s is not None]
    return {
        "ear_voice_span_first_word_p50": median_of([taken.spans_s[0] for taken in times]),
        "ear_voice_span_all_words_p50": median_of([span for taken in times for span in taken.spans_s]),
        "audio_onset_p50": median_of([taken.onset_s for taken in times if taken.onset_s is not None]),
        "start_offset_p50": median_of(
            [taken.start_offset_s for taken in times if taken.start_offset_s is not None]
        ),
        "end_offset_p50": median_of(ends),
        "end_offset_p95": quantile_of(ends, 0.95),
    }


def _corpus_scores(cell: Cell, rollouts: Sequence[Rollout]) -> dict[str, CorpusScore | None]:
    references = [case.expected for case in cell.cases]
    hypotheses = [rollout.text for rollout in rollouts]
    return {"chrF": chrf(references, hypotheses), "BLEU": bleu(references, hypotheses)}


def _quiet(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    return {"silent": share([is_silent(rollout) for rollout in rollouts])}


def _interruption(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    outcomes = [
        outcome
        for case, rollout in zip(cell.cases, rollouts, strict=True)
        if (outcome := interruption(case, rollout, cell.language_out)) is not None
    ]
    return {
        "stopped_in_half_a_second": share([outcome.stop_s <= STOP_S for outcome in outcomes]),
        "stop_p50": median_of([outcome.stop_s for outcome in outcomes]),
        "stop_p95": quantile_of([outcome.stop_s for outcome in outcomes], 0.95),
        "not_resumed": share([not outcome.resumed for outcome in outcomes]),
        "next_turn_exact": share([outcome.next_exact for outcome in outcomes]),
    }


def _backchannel(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    pairs = list(zip(cell.cases, rollouts, strict=True))
    outcomes = [continued(case, rollout, cell.language_out) for case, rollout in pairs]
    return {
        "continued": share([outcome for outcome in outcomes if outcome is not None]),
        "exact": share([is_exact(case.expected, rollout.text, cell.language_out) for case, rollout in pairs]),
    }


def _resumption(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    stops = [stop for rollout in rollouts if (stop := stop_after_cue_s(rollout)) is not None]
    after = [
        is_exact(case.expected, said_after_stop(rollout), cell.language_out)
        for case, rollout in zip(cell.cases, rollouts, strict=True)
        if rollout.cue_frame is not None
    ]
    return {
        "stopped_in_half_a_second": share([stop <= STOP_S for stop in stops]),
        "stop_p50": median_of(stops),
        "next_turn_exact": share(after),
    }


def _out_of_domain(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    return {
        "abstained": share([bool(rollout.unsure_frames) for rollout in rollouts]),
        "said_nothing": share([is_silent(rollout) for rollout in rollouts]),
    }


def _notice(cell: Cell, rollouts: Sequence[Rollout]) -> Figures:
    done = [rollout.notice_done_frame is not None for rollout in rollouts]
    return {
        "completed": share(done),
        "answered": share([bool(len(voice_only(rollout))) for rollout in rollouts]),
    }


_FIGURES: Mapping[Kind, Callable[[Cell, Sequence[Rollout]], Figures]] = {
    Kind.TRANSLATION: _translation,
    Kind.QUIET: _quiet,
    Kind.INTERRUPTION: _interruption,
    Kind.BACKCHANNEL: _backchannel,
    Kind.RESUMPTION: _resumption,
    Kind.OUT_OF_DOMAIN: _out_of_domain,
    Kind.NOTICE: _notice,
    Kind.VOICE: _notice,
}


def _example(case: Case, rollout: Rollout) -> dict[str, str]:
    heard = " / ".join(turn.text for turn in case.turns)
    unsure = " <unsure>" if rollout.unsure_frames else ""
    return {"heard": heard, "expected": case.expected, "said": rollout.text + unsure}
