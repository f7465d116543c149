"""The closed list: greetings, yes and no, single words, backchannels, the interpreter's own notices.

It is exempt from the split and is never scored.
"""

from collections.abc import Iterator
from importlib import resources

import yaml

from duplex_model.training.grammar.derivation import Node, to_pair
from duplex_model.training.grammar.pair import Pair, Register, Speaker
from duplex_model.training.grammar.template import parse_rule

_SPEAKERS: tuple[Speaker, ...] = ("doctor", "patient")


def closed_list() -> tuple[Pair, ...]:
    """Every pair of the list, once for each speaker and, where Spanish addresses somebody, each register."""
    text = resources.files(__package__).joinpath("closed.yaml").read_text(encoding="utf-8")
    tables: dict[str, list[str]] = yaml.safe_load(text)
    return tuple(
        pair
        for name, lines in tables.items()
        for line in lines
        for speaker in _SPEAKERS
        for pair in _registers(line, f"closed.{name}", speaker)
    )


def _registers(line: str, production: str, speaker: Speaker) -> Iterator[Pair]:
    tree = Node(parse_rule(line), {})
    formal = to_pair(tree, production, speaker, Register.FORMAL)
    yield formal
    if formal.register is not None:
        yield to_pair(tree, production, speaker, Register.INFORMAL)


CLOSED: tuple[Pair, ...] = closed_list()
