"""Who hears what: a gain matrix from listeners to sources. Pure.

For a listener, a speaker of another language is two sources: the original, ducked while the rendering sounds, and
the rendering. While no session renders that speaker, the original stands alone at full level. A listener's balance
says how much of each they want. Nobody's row ever has a gain for their own voice or for a rendering of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from interpreter.directions import Direction
from webrtc.room import requested_key

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


@dataclass(frozen=True)
class Aside:
    """What the interpreter says to the speaker of `direction` alone, such as its own backchannels."""

    direction: Direction


Source = Original | Ducked | Rendering | Aside


@dataclass(frozen=True, kw_only=True, eq=False)
class Routes:
    """Who hears what, until somebody comes, goes, changes language, or a session opens or fails."""

    listeners: tuple[str, ...]
    sources: tuple[Source, ...]
    gains: Gains
    """[listener, source], each in [0, 1]."""


def hears(listener_id: str, listener_language: str | None, direction: Direction) -> bool:
    """Whether the rendering of `direction` is meant for this listener."""
    return direction.speaker_id != listener_id and direction.language_out == listener_language


def route(
    languages: Mapping[str, str | None],
    rendered: Collection[Direction],
    balances: Mapping[str, float] = MappingProxyType({}),
) -> Routes:
    """The routes of a room where each listener has their own mix.

    Args:
        languages: participant id -> primary language, None where unknown.
        rendered: directions whose session is open. Those of speakers who are not in `languages` are ignored.
        balances: participant id -> what they want to hear, from 0, originals alone, to 1, which is what everybody gets
            who is not named: the rendering, with the original ducked.
    """
    listeners = tuple(languages)
    directions = sorted(d for d in rendered if languages.get(d.speaker_id) == d.language_in)
    sources: tuple[Source, ...] = (
        *(Original(speaker_id) for speaker_id in languages),
        *(Ducked(d) for d in directions),
        *(Rendering(d) for d in directions),
        *(Aside(d) for d in directions),
    )
    gains = np.zeros((len(listeners), len(sources)), dtype=np.float32)
    for row, (listener_id, language) in enumerate(languages.items()):
        heard = {d for d in directions if hears(listener_id, language, d)}
        balance = balances.get(listener_id, 1.0)
        for column, source in enumerate(sources):
            gains[row, column] = _gain(source, listener_id, heard, balance)
    return Routes(listeners=listeners, sources=sources, gains=gains)


def _gain(source: Source, listener_id: str, heard: Collection[Direction], balance: float) -> float:
    match source:
        case Original(speaker_id=speaker_id) if speaker_id == listener_id:
            return 0.0
        case Original(speaker_id=speaker_id):
            return 1.0 - balance if any(d.speaker_id == speaker_id for d in heard) else 1.0
        case Ducked(direction=direction):
            return balance if direction in heard else 0.0
        case Rendering(direction=direction):
            return min(1.0, 2.0 * balance) if direction in heard else 0.0
        case Aside(direction=direction):
            return float(direction.speaker_id == listener_id)


def route_channels(
    languages: Mapping[str, str | None], rendered: Collection[Direction], channels: Sequence[str] = ()
) -> Routes:
    """The routes of a room where everybody hears everything: one channel for each language spoken into.

    Args:
        languages: participant id -> primary language, None where unknown.
        rendered: directions whose session is open.
        channels: the languages there are channels for; by default those of everybody present.

    Returns:
        Routes whose listeners are the languages. Originals are not in them: the room itself carries those.
    """
    directions = sorted(d for d in rendered if languages.get(d.speaker_id) == d.language_in)
    channels = tuple(
        channels or sorted({language for language in languages.values() if language is not None})
    )
    gains = np.array(
        [[float(d.language_out == channel) for d in directions] for channel in channels], dtype=np.float32
    ).reshape(len(channels), len(directions))
    return Routes(listeners=channels, sources=tuple(Rendering(d) for d in directions), gains=gains)


def route_requested(rendered: Collection[Direction]) -> Routes:
    """The routes of a room where renderings are requested one by one: each stands alone, for whoever asked for it.

    Args:
        rendered: directions whose session is open.

    Returns:
        Routes whose listeners are the renderings' keys.
    """
    directions = sorted(rendered)
    return Routes(
        listeners=tuple(requested_key(d.speaker_id, d.language_out) for d in directions),
        sources=tuple(Rendering(d) for d in directions),
        gains=np.eye(len(directions), dtype=np.float32),
    )


def priority_gains(
    sounding: Collection[str], priority: Sequence[str], lowered_db: float
) -> Mapping[str, float]:
    """Linear gains of languages that sound together for everybody in a room.

    Without a priority all of them are heard alike; with one, all but the first of those that sound are lowered. None
    waits.

    Args:
        sounding: languages in which something is being said now.
        priority: languages, the most important first; any other comes after them.
        lowered_db: gain of those that give way, at most 0.
    """
    ranks = {language: rank for rank, language in enumerate(priority)}
    best = min((ranks.get(language, len(ranks)) for language in sounding), default=0)
    lowered = 10.0 ** (lowered_db / 20.0)
    return {
        language: 1.0 if not priority or ranks.get(language, len(ranks)) == best else lowered
        for language in sounding
    }
