"""Who hears what: a gain matrix from listeners to sources. Pure.

For a listener, a speaker of another language is two sources: the original, ducked while the rendering sounds, and
the rendering. While no session renders that speaker, the original stands alone at full level. Nobody's row ever
has a gain for their own voice or for a rendering of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interpreter.directions import Direction

Gains = NDArray[np.float32]
"""Linear gains [listener, source]."""


@dataclass(frozen=True)
class Original:
    """A speaker's own voice at its own level."""

    speaker_id: str


@dataclass(frozen=True)
class Ducked:
    """A speaker's own voice, lowered while the rendering of `direction` sounds."""

    direction: Direction


@dataclass(frozen=True)
class Rendering:
    """What the interpreter says for `direction`."""

    direction: Direction


Source = Original | Ducked | Rendering


@dataclass(frozen=True, kw_only=True, eq=False)
class Routes:
    """Who hears what, until somebody comes, goes, changes language, or a session opens or fails."""

    listeners: tuple[str, ...]
    sources: tuple[Source, ...]
    gains: Gains
    """[listener, source], each 0 or 1."""


def hears(listener_id: str, listener_language: str | None, direction: Direction) -> bool:
    """Whether the rendering of `direction` is meant for this listener."""
    return direction.speaker_id != listener_id and direction.language_out == listener_language


def route(languages: Mapping[str, str | None], rendered: Collection[Direction]) -> Routes:
    """The routes of a room where each listener has their own mix.

    Args:
        languages: participant id -> primary language, None where unknown.
        rendered: directions whose session is open. Those of speakers who are not in `languages` are ignored.
    """
    listeners = tuple(languages)
    directions = sorted(d for d in rendered if languages.get(d.speaker_id) == d.language_in)
    sources: tuple[Source, ...] = (
        *(Original(speaker_id) for speaker_id in languages),
        *(Ducked(d) for d in directions),
        *(Rendering(d) for d in directions),
    )
    gains = np.zeros((len(listeners), len(sources)), dtype=np.float32)
    for row, (listener_id, language) in enumerate(languages.items()):
        heard = {d for d in directions if hears(listener_id, language, d)}
        rendered_speakers = {d.speaker_id for d in heard}
        for column, source in enumerate(sources):
            if isinstance(source, Original):
                audible = source.speaker_id != listener_id and source.speaker_id not in rendered_speakers
            else:
                audible = source.direction in heard
            gains[row, column] = audible
    return Routes(listeners=listeners, sources=sources, gains=gains)
