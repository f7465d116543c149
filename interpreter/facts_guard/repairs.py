"""Speakers who correct themselves: "fifteen, no, fifty milligrams". The last counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.facts_guard.facts import FactKind
from interpreter.facts_guard.found import Found
from interpreter.facts_guard.lexicon import Lexicon
from interpreter.facts_guard.tokens import Token

_MOST_FILLERS = 4
_COUNTED = (FactKind.QUANTITY, FactKind.DURATION, FactKind.FREQUENCY, FactKind.TIME, FactKind.DATE)
"""What a number that was broken off may have been the beginning of."""


def repaired(
    tokens: Sequence[Token], found: Sequence[Found], lexicon: Lexicon
) -> tuple[list[Found], frozenset[int]]:
    """What is left of `found`, and the indices of the tokens by which somebody corrected themselves."""
    left = sorted(found, key=lambda fact: (fact.first, fact.after))
    words: set[int] = set()
    for cue, end in _cues(tokens, lexicon):
        before = _before(tokens, cue, left, lexicon)
        after = _after(tokens, end, left, lexicon)
        if before is None or after is None or not _replaces(before, after):
            continue
        left.remove(before)
        words.update(range(cue, end))
        if before.kind is FactKind.QUANTITY and after.kind is FactKind.NUMBER:
            unit = before.value.split(" ", 1)[1]
            left[left.index(after)] = Found(before.kind, f"{after.value} {unit}", after.first, after.after)
    return left, frozenset(words)


def _cues(tokens: Sequence[Token], lexicon: Lexicon) -> list[tuple[int, int]]:
    """First token of each phrase of repair and the index after its last."""
    cues, index = [], 0
    while index < len(tokens):
        phrase = lexicon.repairs.at(tokens, index)
        if phrase is None:
            index += 1
            continue
        if not _contrasts(tokens, index, phrase[1], lexicon):
            cues.append((index, phrase[1]))
        index = phrase[1]
    return cues


def _contrasts(tokens: Sequence[Token], cue: int, end: int, lexicon: Lexicon) -> bool:
    """Whether what follows is set against what came, and not in its place: "cincuenta, no quince"."""
    parted_before = cue > 0 and tokens[cue - 1].text == ","
    parted_after = end < len(tokens) and tokens[end].is_sign
    denial = end == cue + 1 and tokens[cue].text in lexicon.negation.answers
    return denial and parted_before and not parted_after


def _before(tokens: Sequence[Token], cue: int, found: Sequence[Found], lexicon: Lexicon) -> Found | None:
    """The last fact before `cue` with nothing but signs and fillers between."""
    for end in range(cue, max(0, cue - _MOST_FILLERS) - 1, -1):
        facts = [fact for fact in found if fact.after == end]
        if facts:
            return facts[-1]
        if not end or not _is_filler(tokens[end - 1], lexicon):
            return None
    return None


def _after(tokens: Sequence[Token], end: int, found: Sequence[Found], lexicon: Lexicon) -> Found | None:
    """The first fact after `end`, likewise."""
    for start in range(end, min(len(tokens), end + _MOST_FILLERS + 1)):
        facts = [fact for fact in found if fact.first == start]
        if facts:
            return facts[-1]
        if not _is_filler(tokens[start], lexicon):
            return None
    return None


def _is_filler(token: Token, lexicon: Lexicon) -> bool:
    return token.is_sign or token.text in lexicon.repair_fillers


def _replaces(before: Found, after: Found) -> bool:
    if before.kind is after.kind:
        return True
    broken_off = before.kind is FactKind.NUMBER and after.kind in _COUNTED
    return broken_off or (before.kind is FactKind.QUANTITY and after.kind is FactKind.NUMBER)
