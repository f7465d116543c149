"""Which directions a meeting needs, and which of them an engine serves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from duplex_model.contract import Capabilities


@dataclass(frozen=True, order=True)
class Direction:
    """A speaker, rendered for those who listen in another language; served by one session.

    The speaker's own language is part of it, so that changing one's language means other directions.
    """

    speaker_id: str
    language_in: str
    """Primary language subtag the speaker speaks."""

    language_out: str
    """Primary language subtag the rendering is in."""


def primary_language(tag: str) -> str | None:
    """The language of a BCP 47 tag without script and region (RFC 5646 section 2.2.1), or None for no language.

    People who chose `es-MX` and `es-ES` understand one another: interpreting is between languages.
    """
    subtag = tag.strip().lower().replace("_", "-").split("-", 1)[0]
    return subtag if subtag.isalpha() else None


def needed_directions(languages: Mapping[str, str | None]) -> frozenset[Direction]:
    """Every direction that somebody in the room needs.

    Args:
        languages: participant id -> primary language; None where it is not known, who is then heard, and hears,
            without interpretation.
    """
    spoken = {language for language in languages.values() if language is not None}
    return frozenset(
        Direction(speaker_id, language_in, language_out)
        for speaker_id, language_in in languages.items()
        if language_in is not None
        for language_out in spoken - {language_in}
    )


def served_directions(directions: Iterable[Direction], capabilities: Capabilities) -> frozenset[Direction]:
    """Those of `directions` the engine, which names languages by primary subtag, can interpret.

    The others must be refused in words.
    """
    return frozenset(d for d in directions if capabilities.serves(d.language_in, d.language_out))
