"""The languages that are spoken in a room where everybody hears everything: a channel for each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from interpreter.directions import Direction


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One language that the room can be spoken to in."""

    language: str
    """Primary language."""

    voice: str = ""
    """In which everybody is rendered there; empty for the role's, or one of the checkpoint's that is this channel's."""

    always: bool = False
    """Also while nobody is known to speak the language: for listeners whom the room does not tell of."""


def always_needed(languages: Sequence[str], speakers: Mapping[str, str]) -> list[Direction]:
    """Directions into languages that are spoken whoever is there.

    Args:
        languages: primary ones.
        speakers: participant id -> primary language of those who may be interpreted.
    """
    return [
        Direction(who, spoken, language)
        for who, spoken in speakers.items()
        for language in languages
        if language != spoken
    ]


def carried(directions: Iterable[Direction], channels: Sequence[Channel]) -> list[Direction]:
    """The directions there is a channel for; all of them where no channels were chosen."""
    languages = {channel.language for channel in channels}
    return [direction for direction in directions if not channels or direction.language_out in languages]


def unseen_listener(language: str) -> str:
    """Stands for whoever listens to a channel and is not known; no participant's id."""
    return f"channel {language}"
