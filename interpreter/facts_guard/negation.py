"""What is denied or forbidden. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interpreter.facts_guard.facts import FactKind
from interpreter.facts_guard.found import Found
from interpreter.facts_guard.lexicon import NegationWords
from interpreter.facts_guard.tokens import BREAKS, Token

REACH_TOKENS = 8
"""A negation is about something no farther away."""

_JOINED_TOKENS = 3
_BEFORE_CEASE_TOKENS = 2

ANSWER = "answer"
OTHER = "other"


@dataclass(frozen=True)
class Negator:
    """A word that denies, at the tokens [first, after)."""

    first: int
    after: int
    is_answer: bool = False


def negators_of(
    tokens: Sequence[Token], words: NegationWords, ignored: frozenset[int] = frozenset()
) -> list[Negator]:
    """The words of `tokens` that deny something, in their order.

    Args:
        tokens: of a text.
        words: of its language.
        ignored: indices of tokens that only correct a slip of the tongue.
    """
    negators: list[Negator] = []
    index = 0
    while index < len(tokens):
        phrase = words.negators.at(tokens, index)
        end = phrase[1] if phrase else _cease_end(tokens, index, words)
        if end is None:
            index += 1
            continue
        if index not in ignored and not (phrase and _is_tag(tokens, index, end, words)):
            is_answer = _is_answer(tokens, index, end, words)
            if not _goes_along(tokens, index, is_answer, negators, words):
                negators.append(Negator(index, end, is_answer))
        index = end
    return negators


def find_negations(tokens: Sequence[Token], negators: Sequence[Negator], words: NegationWords) -> list[Found]:
    """What each of `negators` denies."""
    found = []
    starts = {negator.first for negator in negators}
    for negator in negators:
        if negator.is_answer:
            found.append(Found(FactKind.NEGATION, ANSWER, negator.first, negator.after))
            continue
        targets = _targets(tokens, negator, starts, words)
        found += [Found(FactKind.NEGATION, concept, negator.first, after) for concept, after in targets]
    return found


def reaches(tokens: Sequence[Token], negator: Negator, index: int, words: NegationWords) -> bool:
    """Whether `negator` is about what stands at `index`, which is after it."""
    between = tokens[negator.after : index]
    near = 0 <= index - negator.after <= REACH_TOKENS and not negator.is_answer
    return near and not any(_breaks(token, words) for token in between)


def _breaks(token: Token, words: NegationWords) -> bool:
    return token.text in BREAKS or token.text == "," or token.text in words.breaks


def _cease_end(tokens: Sequence[Token], index: int, words: NegationWords) -> int | None:
    """The index after "stop" of "stop taking"; None where nothing is to cease, or where that is itself denied."""
    cease = words.cease.at(tokens, index)
    if cease is None or cease[1] >= len(tokens) or not tokens[cease[1]].is_word:
        return None
    before = range(max(0, index - _BEFORE_CEASE_TOKENS), index)
    denied = any(words.negators.at(tokens, at) for at in before)
    return None if denied or not tokens[cease[1]].text.endswith(cease[0]) else cease[1]


def _is_tag(tokens: Sequence[Token], index: int, end: int, words: NegationWords) -> bool:
    """Whether it only asks for agreement: ", isn't it?", ", ¿no?"."""
    if index == 0:
        return False
    asked = end + 1 if end < len(tokens) and tokens[end].text in words.tag_then else end
    parted = tokens[index - 1].is_sign and (index > 1 or tokens[index - 1].text == ",")
    return parted and asked < len(tokens) and tokens[asked].text == "?"


def _is_answer(tokens: Sequence[Token], index: int, end: int, words: NegationWords) -> bool:
    if tokens[index].text not in words.answers:
        return False
    following = tokens[end].text if end < len(tokens) else "."
    if following in words.answer_then:
        return True
    begins = index == 0 or tokens[index - 1].is_sign
    return begins and (not following[0].isalnum() or following in words.answered)


def _goes_along(
    tokens: Sequence[Token],
    index: int,
    is_answer: bool,
    negators: Sequence[Negator],
    words: NegationWords,
) -> bool:
    """Whether it adds nothing to the negator before it: "no me duele nada", "no, no"."""
    if not negators:
        return False
    before = negators[-1]
    if is_answer:
        return before.is_answer and all(token.is_sign for token in tokens[before.after : index])
    concord = tokens[index].text in words.concord and not before.is_answer
    return concord and not any(_breaks(token, words) for token in tokens[before.after : index])


def _targets(
    tokens: Sequence[Token], negator: Negator, starts: set[int], words: NegationWords
) -> list[tuple[str, int]]:
    """What is denied and the index after it: the first thing that has a name, and what "or" joins to it."""
    for index in range(negator.after, min(len(tokens), negator.after + REACH_TOKENS)):
        if index in starts or _breaks(tokens[index], words):
            break
        concept = words.concepts.at(tokens, index)
        if concept is not None:
            following = words.concepts.at(tokens, concept[1]) if concept[0] in words.weak else None
            concept = following or concept
            return [concept, *_joined(tokens, concept[1], words)]
    return [(OTHER, negator.after)]


def _joined(tokens: Sequence[Token], index: int, words: NegationWords) -> list[tuple[str, int]]:
    if index >= len(tokens) or tokens[index].text not in words.joins:
        return []
    for at in range(index + 1, min(len(tokens), index + 1 + _JOINED_TOKENS)):
        concept = words.concepts.at(tokens, at)
        if concept is not None:
            return [concept, *_joined(tokens, concept[1], words)]
    return []
