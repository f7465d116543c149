"""Which word of a rendering renders what. Pure.

Where the run knows (a scripted interpreter does), that counts. Otherwise the words are aligned with the references of
what the speaker said, in order, as OmniSTEval's resegmentation does (arXiv:2509.17349): the sequence of pairs with the
greatest sum of similarities, skips free, no word before its utterance has begun. Two words are as similar as the
sets of their letters (Jaccard), a little less when the utterance is long over. Words without a partner belong to the
utterance of the partner before them, or else after them, when that is near in time; the rest has no source.

Within an utterance a word needs the source as far as it stands in the rendering: the third of six words needs half of
the source's. For one pair of languages and many words that is right on average, and for a single word a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from interpreter.floor.spoken_words import words_of
from scenarios.run_log import HeardWord, Rendering, RunLog, SaidUtterance
from scenarios.timeline import Kind

GIVEN, BY_TEXT, IMPOSSIBLE = "given by the run", "by text", "no references to align with"

_LEAST_SIMILARITY = 0.5
_NEAR_S = 3.0
_STALE_S = 100.0  # a pair is worth half so long after the utterance: of two as alike, the later one is meant


@dataclass(frozen=True, kw_only=True)
class AlignedWord:
    """A word of a rendering, and the source it needs."""

    word: HeardWord
    utterance: SaidUtterance
    source_end_s: float
    """When the last source word it needs has been said."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The words of one rendering, those that the interpreter says as itself left out."""

    rendering: Rendering
    aligned: tuple[AlignedWord, ...]
    without_source: tuple[HeardWord, ...]
    how: str
    """`GIVEN`, `BY_TEXT` or `IMPOSSIBLE`."""

    @property
    def by_utterance(self) -> Mapping[str, tuple[AlignedWord, ...]]:
        """Utterance id -> its words, in order."""
        found: dict[str, list[AlignedWord]] = {}
        for one in self.aligned:
            found.setdefault(one.utterance.id, []).append(one)
        return {name: tuple(words) for name, words in found.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignedRun:
    """A run with the alignments of its renderings."""

    run: RunLog
    alignments: tuple[Alignment, ...]


def aligned_run(run: RunLog) -> AlignedRun:
    """The run, every rendering aligned."""
    return AlignedRun(run=run, alignments=tuple(align(run, one) for one in run.renderings))


def to_render(run: RunLog, rendering: Rendering) -> tuple[SaidUtterance, ...]:
    """What a rendering should render: everything its speaker says but backchannels."""
    return tuple(one for one in run.said_by(rendering.speaker_id) if one.kind is not Kind.BACKCHANNEL)


def align(run: RunLog, rendering: Rendering) -> Alignment:
    """The alignment of one rendering."""
    words = [word for word in rendering.words if not word.as_self]
    said = {one.id: one for one in run.said_by(rendering.speaker_id)}
    how = GIVEN
    if words and not any(word.utterance_id for word in words):
        wanted = [one for one in to_render(run, rendering) if rendering.language_out in one.references]
        how = BY_TEXT if wanted else IMPOSSIBLE
        words = _by_text(words, wanted, rendering.language_out)
    with_source = [word for word in words if word.utterance_id in said]
    aligned: list[AlignedWord] = []
    for name in dict.fromkeys(word.utterance_id for word in with_source):
        own = [word for word in with_source if word.utterance_id == name]
        utterance = said[str(name)]
        aligned += [_aligned(word, n, len(own), utterance) for n, word in enumerate(own)]
    return Alignment(
        rendering=rendering,
        aligned=tuple(sorted(aligned, key=lambda one: one.word.start_s)),
        without_source=tuple(word for word in words if word.utterance_id not in said),
        how=how,
    )


def _aligned(word: HeardWord, place: int, count: int, utterance: SaidUtterance) -> AlignedWord:
    """The word with its source; `place` of `count` words of the utterance's rendering."""
    if not utterance.words:
        return AlignedWord(word=word, utterance=utterance, source_end_s=utterance.span.end_s)
    last = len(utterance.words) - 1
    index = word.source_word
    if index is None:
        index = -(-(place + 1) * len(utterance.words) // count) - 1
    return AlignedWord(
        word=word, utterance=utterance, source_end_s=utterance.words[min(max(index, 0), last)].end_s
    )


def _by_text(words: Sequence[HeardWord], wanted: Sequence[SaidUtterance], language: str) -> list[HeardWord]:
    """`words` with their utterances, where they have any."""
    targets = [(text, one) for one in wanted for text in words_of(one.references[language])]
    if not words or not targets:
        return list(words)
    similarity = _similarities([_plain(word.text) for word in words], [text for text, _ in targets])
    at_s = np.array([[word.start_s] for word in words])
    begun = at_s >= np.array([one.span.start_s for _, one in targets])
    age_s = np.maximum(at_s - np.array([one.span.end_s for _, one in targets]), 0.0)
    worth = similarity / (1.0 + age_s / _STALE_S)
    pairs = _best_pairs(np.where(begun & (similarity >= _LEAST_SIMILARITY), worth, 0.0))
    partners = {row: targets[column][1] for row, column in pairs}
    return [
        word
        if (one := _utterance_of(n, word, words, partners)) is None
        else replace(word, utterance_id=one.id)
        for n, word in enumerate(words)
    ]


def _utterance_of(
    row: int, word: HeardWord, words: Sequence[HeardWord], partners: Mapping[int, SaidUtterance]
) -> SaidUtterance | None:
    before = max((other for other in partners if other <= row), default=None)
    behind = min((other for other in partners if other > row), default=None)
    for other in (before, behind):
        if other is None or partners[other].span.start_s > word.start_s:
            continue
        if abs(words[other].start_s - word.start_s) <= _NEAR_S:
            return partners[other]
    return None


def _plain(text: str) -> str:
    return "".join(words_of(text))


def _similarities(rows: Sequence[str], columns: Sequence[str]) -> NDArray[np.float64]:
    """[rows, columns]: Jaccard similarity of the sets of letters."""
    known = {(a, b): _jaccard(frozenset(a), frozenset(b)) for a in set(rows) for b in set(columns)}
    return np.array([[known[a, b] for b in columns] for a in rows])


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a and b else 0.0


def _best_pairs(similarity: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs of rows and columns, both increasing, with the greatest sum; pairs worth nothing left out."""
    rows, columns = similarity.shape
    best = np.zeros((rows + 1, columns + 1))
    for row in range(rows):
        with_pair = np.maximum(best[row, 1:], best[row, :-1] + similarity[row])
        best[row + 1, 1:] = np.maximum.accumulate(with_pair)
    pairs: list[tuple[int, int]] = []
    row, column = rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((row, column))
    return pairs[::-1]
