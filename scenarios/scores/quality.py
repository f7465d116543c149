"""How well texts agree with their references: chrF and BLEU with sacrebleu's signature, and texts with sounds.

Scores are of what the interpreter's model wrote, or whatever the word source of the run is. Where a recogniser is
given, it hears each rendered utterance, and chrF of what it heard and the word error rate between text and sound are
scored too. A recogniser's own errors are in these figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from interpreter.floor.spoken_words import words_of
from scenarios.run_log import RunLog, rendering_sound
from scenarios.scores.alignment import AlignedRun, Alignment, to_render
from scenarios.scores.score import Score, Values, not_scored, ratio, statistic

Recogniser = Callable[[Pcm, str], str]
"""Gives the text of pcm [T], 24 kHz, in a language."""

_MARGIN_S = 0.2  # a word's times are estimates


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One utterance that has a reference, and what was said for it."""

    language: str
    reference: str
    hypothesis: str
    """Empty where it was not rendered."""


def rendered_texts(run: RunLog, alignments: Sequence[Alignment]) -> list[Rendered]:
    """Every utterance with a reference, once for every language it was to be rendered in."""
    texts = []
    for alignment in alignments:
        language, said = alignment.rendering.language_out, alignment.by_utterance
        for utterance in to_render(run, alignment.rendering):
            if language in utterance.references:
                words = said.get(utterance.id, ())
                texts.append(
                    Rendered(
                        language=language,
                        reference=utterance.references[language],
                        hypothesis=" ".join(one.word.text for one in words),
                    )
                )
    return texts


def quality_scores(
    runs: Sequence[AlignedRun],
    *,
    recogniser: Recogniser | None = None,
    recogniser_name: str = "",
) -> list[Score]:
    """ChrF and BLEU of every target language, and of what a recogniser hears.

    Args:
        runs: with the sounds of their renderings where there is a recogniser.
        recogniser: hears what was said.
        recogniser_name: as in the notes.
    """
    sources = {rendering.word_source for one in runs for rendering in one.run.renderings}
    source = ", ".join(sorted(sources)) or "none"
    texts = [text for one in runs for text in rendered_texts(one.run, one.alignments)]
    scores = _text_scores("quality", texts, f"words: {source}")
    if recogniser is None:
        return [*scores, not_scored("quality.heard.word_error_rate", "share", "no recogniser was given")]
    heard = [pair for one in runs for pair in _heard(one.run, one.alignments, recogniser)]
    note = f"words: {recogniser_name}"
    return [
        *scores,
        *_text_scores("quality.heard", [one for one, _ in heard], note),
        word_error_rate(
            "quality.heard.word_error_rate", [(text, one.hypothesis) for one, text in heard], note=note
        ),
    ]


def corpus_score(name: str, metric: str, texts: Sequence[tuple[str, str]], *, note: str = "") -> Score:
    """chrF2 or BLEU of references and hypotheses together, with sacrebleu's bootstrap and signature.

    Args:
        name: of the score.
        metric: `CHRF` (Popovic 2015) or `BLEU` (Papineni et al. 2002; tokenizer 13a), as sacrebleu names them.
        texts: references and hypotheses.
        note: put before the signature.
    """
    if not texts:
        return not_scored(name, "points", "no references")
    try:
        from sacrebleu import metrics
    except ImportError:
        return not_scored(name, "points", "sacrebleu is not installed (the extra `scenarios`)")
    scorer = getattr(metrics, metric)()
    references, hypotheses = [a for a, _ in texts], [b for _, b in texts]
    scorer.corpus_score(hypotheses, [references])
    # What sacrebleu counts in each pair, so that resamples need not count it again. Its own bootstrap mixes numbers of
    # Python and of numpy, and fails where a resample has no match at all.
    counts = np.array(scorer._extract_corpus_statistics(hypotheses, [references]), dtype=np.float64)

    def points(rows: Values) -> Values:
        sums = counts[rows.astype(np.intp)].sum(axis=1).tolist()
        return np.array([scorer._compute_score_from_stats(row).score for row in sums], dtype=np.float64)

    signed = f"{note}; {scorer.get_signature()}".removeprefix("; ")
    return statistic(name, range(len(texts)), "points", points, note=signed)


def word_error_rate(name: str, texts: Sequence[tuple[str, str]], *, note: str = "") -> Score:
    """Edits between the words of pairs of texts over the length of the first ones; bootstrap over pairs."""
    pairs = [(words_of(a), words_of(b)) for a, b in texts]
    cases = [(edits(a, b), len(a)) for a, b in pairs if a]
    if not cases:
        return not_scored(name, "share", "no text")
    wrong, lengths = [one for one, _ in cases], [length for _, length in cases]
    return ratio(name, wrong, lengths, "share", note=note)


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Substitutions, omissions and additions at their fewest (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, expected in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(b, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != got))
            diagonal, row[j] = row[j], best
    return row[-1]


def _text_scores(name: str, texts: Sequence[Rendered], note: str) -> list[Score]:
    by_language: dict[str, list[tuple[str, str]]] = {}
    for one in texts:
        by_language.setdefault(one.language, []).append((one.reference, one.hypothesis))
    if not by_language:
        return [not_scored(f"{name}.chrf", "points", "no references")]
    return [
        corpus_score(f"{name}.{metric.lower()}.{language}", metric, pairs, note=note)
        for language, pairs in sorted(by_language.items())
        for metric in ("CHRF", "BLEU")
    ]


def _heard(
    run: RunLog, alignments: Sequence[Alignment], recogniser: Recogniser
) -> list[tuple[Rendered, str]]:
    """What the recogniser hears of each rendered utterance with a reference, and what the model wrote there."""
    found = []
    for alignment in alignments:
        rendering = alignment.rendering
        pcm = run.sounds.get(rendering_sound(rendering.speaker_id, rendering.language_out))
        if pcm is None:
            continue
        references: Mapping[str, str] = {
            one.id: one.references[rendering.language_out]
            for one in to_render(run, rendering)
            if rendering.language_out in one.references
        }
        for name, words in alignment.by_utterance.items():
            if name not in references:
                continue
            first_s = max(0.0, words[0].word.start_s - _MARGIN_S)
            last_s = max(one.word.end_s for one in words) + _MARGIN_S
            part = pcm[round(first_s * SAMPLE_RATE_HZ) : round(last_s * SAMPLE_RATE_HZ)]
            heard = Rendered(
                language=rendering.language_out,
                reference=references[name],
                hypothesis=recogniser(part, rendering.language_out),
            )
            found.append((heard, " ".join(one.word.text for one in words)))
    return found
