"""What the engines of a meeting serve, in words for whoever starts it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

from duplex_model.catalogue import text_for
from duplex_model.contract import Capabilities
from interpreter.directions import Direction
from interpreter.languages import LANGUAGE_WORDS
from interpreter.roles.casting import serving_engine

_ANY = "*"
_WORDS = LANGUAGE_WORDS["en"]


def about(can: Capabilities) -> list[str]:
    """What whoever starts a meeting must know of an engine: licence, languages, purpose, whether it interprets."""
    lines = [f"Engine {can.checkpoint}, licence {can.licence}."]
    if can.translates:
        lines.append(f"It interprets {_served(can)}.")
    else:
        lines.append("It translates nothing.")
    if can.domain:
        lines.append(f"Made for: {can.domain}.")
    if can.demonstration:
        lines.append(f"NOTE: {text_for('en', can.demonstration)}.")
    return lines


def refused(languages: Sequence[str], engines: Mapping[str, Capabilities]) -> list[tuple[str, str]]:
    """Pairs of languages, spoken and wanted, that no engine takes.

    Args:
        languages: primary ones that people may speak.
        engines: all of them by name.
    """
    return [
        pair for pair in permutations(languages, 2) if serving_engine(Direction("", *pair), engines) is None
    ]


def refusals(languages: Sequence[str], engines: Mapping[str, Capabilities]) -> list[str]:
    """What will be refused to people of these languages, so that whoever starts the meeting knows before they do."""
    pairs = [f"{_named(spoken)} into {_named(wanted)}" for spoken, wanted in refused(languages, engines)]
    if not pairs:
        return []
    return [
        f"NOTE: nobody here interprets {'; '.join(pairs)}. Whom it concerns is told so, and hears the original."
    ]


def _served(can: Capabilities) -> str:
    """Languages heard by the language they are rendered in, such as `French and German into English`."""
    if _ANY in can.languages.get(_ANY, ()):
        return "any language into any other"
    heard_for = {
        out: sorted(heard for heard, outs in can.languages.items() if out in outs and heard != out)
        for out in sorted(set().union(*can.languages.values()))
    }
    return "; ".join(
        f"{_WORDS.list(map(_named, heard))} into {_named(out)}" for out, heard in heard_for.items() if heard
    )


def _named(language: str) -> str:
    return "any language" if language == _ANY else _WORDS.names.get(language, language)
