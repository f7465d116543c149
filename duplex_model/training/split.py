"""Which sentences, structures and voices are never trained on: by rule, so that anybody can check it."""

import re
import unicodedata
from functools import cache
from hashlib import sha256
from importlib import resources

import yaml

from duplex_model.training.grammar.numerals import spelled
from duplex_model.training.grammar.pair import Language, Pair

_HELD_OUT_SHARE = 10  # one text in ten
CLOSED_PREFIX = "closed."  # productions of the closed list: exempt, and never scored


def normal_form(text: str, language: Language) -> str:
    """The text by which sentences are compared: NFC, lower case, numbers in words, one space between words.

    >>> normal_form("¿Toma 2 pastillas?", "es")
    'toma dos pastillas'
    """
    text = unicodedata.normalize("NFC", text).lower()
    text = re.sub(r"\d+", lambda digits: f" {spelled(int(digits[0]), language)} ", text)
    return " ".join(re.findall(r"[^\W_]+", text))


def text_held_out(text: str, language: Language) -> bool:
    """Whether the text's own hash holds it out."""
    digest = sha256(normal_form(text, language).encode("utf-8")).hexdigest()
    return int(digest, 16) % _HELD_OUT_SHARE == 0


def held_out(pair: Pair) -> bool:
    """Whether a pair is held out by its words: either side's hash decides for both directions."""
    if pair.production.startswith(CLOSED_PREFIX):
        return False
    return text_held_out(pair.en, "en") or text_held_out(pair.es, "es")


def held_out_productions() -> frozenset[str]:
    """The structures that are held out whole."""
    return _named("productions")


def held_out_voices() -> frozenset[str]:
    """The source voices that are held out whole: espeak-ng variants and flite voices by their own names."""
    return _named("voices")


def is_training(pair: Pair) -> bool:
    """Whether a pair may be trained on, for the language model, the codec and voice prompts alike.

    A held-out pair's prefixes and self-repairs are made from the pair, so they are held out with it.
    """
    return not held_out(pair) and pair.production not in held_out_productions()


@cache
def _named(key: str) -> frozenset[str]:
    text = resources.files(__package__).joinpath("split.yaml").read_text(encoding="utf-8")
    return frozenset(yaml.safe_load(text)[key])
