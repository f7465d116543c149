"""From what a TTS engine tells of its phones to the times of the words of a text; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from duplex_model.errors import DuplexModelError
from duplex_model.training.speech.phones import SILENCE


class TtsError(DuplexModelError):
    """An engine is missing, or cannot speak a text so that every word has its time; the message says which."""


@dataclass(frozen=True)
class Timed:
    """A word or a phone, and when it is said."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Phone:
    """A phone, when it is said, and in which word."""

    symbol: str
    """From `PHONES`."""

    start_s: float
    end_s: float

    word: int | None
    """Index in `text.split()`; None in a pause."""


def word_times(words: Sequence[str], phones: Sequence[Phone]) -> tuple[Timed, ...]:
    """When each word is said: one entry per word, in order.

    An engine may say several words as one ("of the"): then the later ones have no phones of their own, and the phones
    of the group are divided in proportion to the letters.

    Args:
        words: `text.split()`.
        phones: in order of time; their words never go back.

    Raises:
        TtsError: a word was not said.
    """
    said: list[list[Phone]] = [[] for _ in words]
    for phone in phones:
        if phone.word is not None and phone.symbol != SILENCE:
            said[phone.word].append(phone)
    _share_groups(words, said)
    return tuple(Timed(word, own[0].start_s, own[-1].end_s) for word, own in zip(words, said, strict=True))


def _share_groups(words: Sequence[str], said: list[list[Phone]]) -> None:
    """Gives words without phones theirs, from the word before."""
    first = 0
    while first < len(words):
        last = first + 1
        while last < len(words) and not said[last]:
            last += 1
        if last - first > 1:
            said[first:last] = _divided(words[first:last], said[first])
        elif not said[first]:
            raise TtsError(
                f"expected every word of {' '.join(words)!r} to be said, got nothing for {words[first]!r}"
            )
        first = last


def _divided(words: Sequence[str], phones: list[Phone]) -> list[list[Phone]]:
    """`phones` cut into one part per word, in proportion to its letters, each at least one phone."""
    if len(phones) < len(words):
        raise TtsError(f"expected each of {list(words)} to be said, got {len(phones)} phones for all of them")
    letters = [sum(map(str.isalnum, word)) for word in words]
    parts, begin, passed = [], 0, 0
    for number, count in enumerate(letters[:-1], start=1):
        passed += count
        ideal = int(len(phones) * passed / sum(letters) + 0.5)
        end = min(max(ideal, begin + 1), len(phones) - (len(words) - number))
        parts.append(phones[begin:end])
        begin = end
    return [*parts, phones[begin:]]


def shifted(phone: Phone, by_s: float) -> Phone:
    """`phone` that much later."""
    return replace(phone, start_s=phone.start_s + by_s, end_s=phone.end_s + by_s)
