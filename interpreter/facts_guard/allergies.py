"""What somebody is, or is not, allergic to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.facts_guard.facts import FactKind
from interpreter.facts_guard.found import Found
from interpreter.facts_guard.lexicon import AllergyWords, Lexicon
from interpreter.facts_guard.negation import OTHER, Negator, reaches
from interpreter.facts_guard.tokens import Token

ANY = "any"
_BEFORE_TO_TOKENS = 1


def find_allergies(
    tokens: Sequence[Token], negators: Sequence[Negator], lexicon: Lexicon
) -> tuple[list[Found], list[Negator]]:
    """The allergies, and those of `negators` that deny one."""
    words = lexicon.allergies
    found: list[Found] = []
    used: list[Negator] = []
    for cue, token in enumerate(tokens):
        if token.text not in words.cues or any(fact.first <= cue < fact.after for fact in found):
            continue
        denials = [negator for negator in negators if reaches(tokens, negator, cue, lexicon.negation)]
        used += denials
        polarity = "no " if denials else ""
        substances, first, after = _substances(tokens, cue, words)
        used += [negator for negator in negators if first <= negator.first < after]
        found += [Found(FactKind.ALLERGY, polarity + one, first, after) for one in substances]
    return found, used


def _substances(tokens: Sequence[Token], cue: int, words: AllergyWords) -> tuple[tuple[str, ...], int, int]:
    """The substances that belong to the word at `cue`, and the tokens they and it stand in."""
    to = _to(tokens, cue, words)
    if to is not None:
        named, after = _list_at(tokens, to, words)
        specific = tuple(name for name in named if name != ANY)
        return specific or named or (OTHER,), cue, after
    before = words.substances.before(tokens, cue)
    if before is not None:
        return (before[0],), before[1], cue + 1
    return (ANY,), cue, cue + 1


def _to(tokens: Sequence[Token], cue: int, words: AllergyWords) -> int | None:
    """The index after "to" of "allergic reaction to"; None where nothing is named."""
    for index in range(cue + 1, min(len(tokens), cue + 2 + _BEFORE_TO_TOKENS)):
        if tokens[index].text in words.to:
            return index + 1 if index + 1 < len(tokens) and tokens[index + 1].is_word else None
        if tokens[index].is_sign:
            return None
    return None


def _list_at(tokens: Sequence[Token], index: int, words: AllergyWords) -> tuple[tuple[str, ...], int]:
    """The substances from `index` on, one after another, and the index after the last."""
    named: list[str] = []
    after = index
    while index < len(tokens):
        substance = words.substances.at(tokens, index)
        if substance is not None:
            named.append(substance[0])
            index = after = substance[1]
        elif tokens[index].text in words.any and tokens[index].text not in words.skip:
            named.append(ANY)
            index = after = index + 1
        elif tokens[index].text in words.skip | words.to | words.joiners:
            index += 1
        else:
            break
    return tuple(dict.fromkeys(named)), after
