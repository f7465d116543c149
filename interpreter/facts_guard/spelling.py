"""Names spelt letter by letter. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.facts_guard.facts import FactKind
from interpreter.facts_guard.found import Found
from interpreter.facts_guard.lexicon import SpellingWords
from interpreter.facts_guard.tokens import Token

_LEAST_LETTERS = 3
_SURE_LETTERS = 4
"""In a run so long one letter that is no word as well is enough, as it is among single letters; else it takes two."""


def find_spellings(tokens: Sequence[Token], words: SpellingWords) -> list[Found]:
    """Every run of three letters or more: `G-O-N-Z`, `ge, o, ene, zeta`, `K as in kilo, …`."""
    found, index = [], 0
    while index < len(tokens):
        letters, plain, end = _run(tokens, index, words)
        single = all(len(token.text) == 1 for token in tokens[index:end])
        sure = single or len(letters) >= _SURE_LETTERS
        spelt = len(letters) >= _LEAST_LETTERS and plain >= (1 if sure else 2)
        if spelt and letters not in words.initialisms:
            found.append(Found(FactKind.SPELLING, letters, index, end))
        index = max(end, index + 1)
    return found


def _run(tokens: Sequence[Token], index: int, words: SpellingWords) -> tuple[str, int, int]:
    """The letters that begin at `index`, how many of them are no words as well, and the index after the last."""
    letters, plain, end = "", 0, index
    while True:
        start = end + 1 if letters and end < len(tokens) and tokens[end].text == "," else end
        doubled = start < len(tokens) and tokens[start].text in words.double
        read = _letter(tokens, start + 1 if doubled else start, words)
        if read is None:
            return letters, plain, end
        letter, after = read
        name = tokens[after - 1].text
        end = _after_example(letter, tokens, after, words)
        letters += letter * 2 if doubled else letter
        plain += name not in words.ambiguous or end > after


def _letter(tokens: Sequence[Token], index: int, words: SpellingWords) -> tuple[str, int] | None:
    named = words.letters.at(tokens, index)
    if named is not None:
        return named
    single = index < len(tokens) and tokens[index].is_word and len(tokens[index].text) == 1
    return (tokens[index].text, index + 1) if single else None


def _after_example(letter: str, tokens: Sequence[Token], index: int, words: SpellingWords) -> int:
    """The index after "as in Mary", when Mary begins with `letter`; else `index`."""
    lead = words.as_in.at(tokens, index)
    if lead is None or lead[1] >= len(tokens):
        return index
    example = tokens[lead[1]].text
    return lead[1] + 1 if len(example) > 1 and example.startswith(letter) else index
