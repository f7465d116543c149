"""One tick's mixes: routes, originals and renderings in, a limited mix per listener out. Pure.

    originals [P, 1920] ──┬───────────────┐
                          └─ × duck gain ─┤ sources [S, 1920] ── × gains [L, S] ── × duck gain ── + ── limit ── mixes
    renderings [D, 1920] ─────────────────┤                                          announcements ┘         [L, 1920]
    asides     [D, 1920] ─────────────────┘

Gains follow the routes by ramps, so a source the routes no longer know fades out before it is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.directions import Direction
from interpreter.mixing.mixing import Duck, Ducking, Limit, approach, duck, limit, mix
from interpreter.mixing.routing import Aside, Ducked, Gains, Original, Routes, Source

_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
_SILENCE.setflags(write=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class MixState:
    """What the mixes of the next tick start from."""

    listeners: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    gains: Gains = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    """[listener, source] at the last sample of the last tick."""

    ducks: Mapping[Direction, Duck] = field(default_factory=dict)
    under_announcements: Mapping[str, Duck] = field(default_factory=dict)
    """Where everything else stands for listeners who are, or were a moment ago, read something."""

    limits: Mapping[str, Limit] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sounds:
    """Everything there is to hear in a tick, each pcm [1920]; what is missing is silent."""

    originals: Mapping[str, Pcm] = field(default_factory=dict)
    """Participant id -> their own voice."""

    renderings: Mapping[Direction, Pcm] = field(default_factory=dict)
    """What the interpreter says for each direction."""

    asides: Mapping[Direction, Pcm] = field(default_factory=dict)
    """What it says to the speaker of each."""

    announcements: Mapping[str, Pcm] = field(default_factory=dict)
    """Listener -> what they are being read. Everything else is ducked under it."""


def mix_tick(
    state: MixState, routes: Routes, sounds: Sounds, ducking: Ducking
) -> tuple[MixState, Mapping[str, Pcm]]:
    """The mixes of one tick.

    Args:
        state: of the tick before.
        routes: who hears what from now on.
        sounds: what there is to hear.
        ducking: how originals, and everything under an announcement, give way.

    Returns:
        The next state, and listener -> pcm [1920], at most `mixing.LIMIT_CEILING`.
    """
    sources = routes.sources + _fading(state, routes)
    before = _gains_for(state.listeners, state.sources, state.gains, routes.listeners, sources)
    target = _gains_for(routes.listeners, routes.sources, routes.gains, routes.listeners, sources)
    after = approach(before, target)
    ducks, rows = _rows(state.ducks, sources, sounds, ducking)
    mixed = mix(rows, before, after)
    limits: dict[str, Limit] = {}
    mixes: dict[str, Pcm] = {}
    under: dict[str, Duck] = {}
    for listener_id, row in zip(routes.listeners, mixed, strict=True):
        duck_before = state.under_announcements.get(listener_id, Duck())
        if listener_id in sounds.announcements or duck_before != Duck():
            announcement = sounds.announcements.get(listener_id, _SILENCE)
            under[listener_id], gain = duck(duck_before, announcement, ducking)
            row *= gain
            row += announcement
        limits[listener_id], mixes[listener_id] = limit(state.limits.get(listener_id, Limit()), row)
    new = MixState(
        listeners=routes.listeners,
        sources=sources,
        gains=after,
        ducks=ducks,
        under_announcements=under,
        limits=limits,
    )
    return new, mixes


def _fading(state: MixState, routes: Routes) -> tuple[Source, ...]:
    """Sources the routes dropped while somebody still hears them."""
    if state.sources == routes.sources:
        return ()
    known = frozenset(routes.sources)
    heard = (state.sources[column] for column in np.flatnonzero(state.gains.any(axis=0)))
    return tuple(source for source in heard if source not in known)


def _gains_for(
    listeners: tuple[str, ...],
    sources: tuple[Source, ...],
    gains: Gains,
    new_listeners: tuple[str, ...],
    new_sources: tuple[Source, ...],
) -> Gains:
    """`gains` with rows and columns in the new order, 0 for who and what is new."""
    if listeners == new_listeners and sources == new_sources:
        return gains
    rows = {listener: row for row, listener in enumerate(listeners)}
    columns = {source: column for column, source in enumerate(sources)}
    kept_rows = [(i, rows[name]) for i, name in enumerate(new_listeners) if name in rows]
    kept_columns = [(i, columns[source]) for i, source in enumerate(new_sources) if source in columns]
    arranged = np.zeros((len(new_listeners), len(new_sources)), dtype=np.float32)
    if kept_rows and kept_columns:
        to_row, from_row = np.array(kept_rows).T
        to_column, from_column = np.array(kept_columns).T
        arranged[np.ix_(to_row, to_column)] = gains[np.ix_(from_row, from_column)]
    return arranged


def _rows(
    ducks: Mapping[Direction, Duck], sources: tuple[Source, ...], sounds: Sounds, ducking: Ducking
) -> tuple[dict[Direction, Duck], Pcm]:
    """The new duck states, and pcm [S, 1920]."""
    new_ducks: dict[Direction, Duck] = {}
    rows = np.empty((len(sources), FRAME_SAMPLES), dtype=np.float32)
    for row, source in zip(rows, sources, strict=True):
        if isinstance(source, Original):
            row[:] = sounds.originals.get(source.speaker_id, _SILENCE)
            continue
        if isinstance(source, Aside):
            row[:] = sounds.asides.get(source.direction, _SILENCE)
            continue
        rendering = sounds.renderings.get(source.direction, _SILENCE)
        if isinstance(source, Ducked):
            before = ducks.get(source.direction, Duck())
            new_ducks[source.direction], gain = duck(before, rendering, ducking)
            np.multiply(sounds.originals.get(source.direction.speaker_id, _SILENCE), gain, out=row)
        else:
            row[:] = rendering
    return new_ducks, rows
