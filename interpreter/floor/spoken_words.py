"""Text to words, the way a speech model writes it: with or without capitals, accents and punctuation. Pure."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_KEPT = "\N{LATIN SMALL LETTER N WITH TILDE}"
_TILDE = "\N{COMBINING TILDE}"


def fold(text: str) -> str:
    """`text` in lower case without accents, as long as it was; ñ is a letter of its own and stays.

    A sign that has no such form of one sign stays what it is.
    """
    return "".join(_fold_sign(sign) for sign in text)


def words_of(text: str) -> tuple[str, ...]:
    """The folded words of `text`. Hyphens separate, apostrophes do not: `mm-hm` is two words, `don't` one."""
    return tuple(_WORD.findall(fold(unicodedata.normalize("NFC", text).replace("\u2019", "'"))))


def _fold_sign(sign: str) -> str:
    lowered = sign.lower()
    if len(lowered) != 1:
        return sign
    if lowered == _KEPT:
        return lowered
    bare = unicodedata.normalize("NFD", lowered)[0]
    return bare if bare.isalnum() else lowered
