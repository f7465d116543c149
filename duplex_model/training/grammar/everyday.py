"""Everyday sentences from outside the domain, for the model to abstain on."""

import random
import re
from functools import cache
from importlib import resources

import yaml

from duplex_model.training.grammar.pair import Language


def everyday_sentence(rng: random.Random, language: Language, *, held_out: bool = False) -> str:
    """One sentence that the grammar cannot say.

    Args:
        rng: chooses the sentence.
        language: of the sentence.
        held_out: from the structures and words kept for evaluation, else from those for training.
    """
    sentences, words = _tables(language, held_out)

    def fill(slot: re.Match[str]) -> str:
        return rng.choice(words[slot[1]])

    return re.sub(r"\{(\w+)\}", fill, rng.choice(sentences))


@cache
def _tables(language: Language, held_out: bool) -> tuple[list[str], dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("everyday.yaml").read_text(encoding="utf-8")
    section = yaml.safe_load(text)[language]["held_out" if held_out else "training"]
    return section["sentences"], section["words"]
