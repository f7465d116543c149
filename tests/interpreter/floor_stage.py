"""A floor on a stage: voices and renderings given as intervals of seconds, on a clock of ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.ears.voice_activity import Voice
from interpreter.floor.floor import (
    DirectionFloor,
    FloorEvent,
    FloorEventKind,
    FloorMode,
    FloorSettings,
    Played,
    Situation,
    Talk,
)
from interpreter.sessions.hold import NOTHING, Said

Spans = Sequence[tuple[float, float]]
"""Seconds from, seconds to."""

BRIDGE_S = 0.2
QUIET = Voice(active=False, onset_s=None, speech_s=0.0, pause_s=inf, level_dbfs=-100.0)


def voice_at(spans: Spans, now_s: float) -> Voice:
    """What a perfect detector knows of speech at `spans` at the end of a frame that ends at `now_s`."""
    begun = [(a, min(b, now_s)) for a, b in spans if a < now_s]
    if not begun:
        return QUIET
    pause_s = now_s - begun[-1][1]
    spurt = [begun[-1]]
    for a, b in reversed(begun[:-1]):
        if spurt[0][0] - b > BRIDGE_S:
            break
        spurt.insert(0, (a, b))
    running = pause_s <= BRIDGE_S
    return Voice(
        active=pause_s <= 0.1,
        onset_s=spurt[0][0] if running else None,
        speech_s=sum(b - a for a, b in spurt) if running else 0.0,
        pause_s=pause_s,
        level_dbfs=-30.0,
    )


def speech(n: int) -> Pcm:
    """A frame of a voice at -20 dBFS."""
    return (0.1 * np.sqrt(2.0) * np.sin(2.0 * np.pi * 200.0 * np.arange(FRAME_SAMPLES) / 24_000)).astype(
        np.float32
    )


@dataclass
class Stage:
    """One direction's floor with its people.

    `said` are the spans in which the session speaks; each gets a word per frame, `w` and the frame's number.
    """

    said: Spans = ()
    speaker: Spans = ()
    listeners: Mapping[str, Spans] = field(default_factory=lambda: {"ben": ()})
    words: Mapping[str, str] = field(default_factory=dict)
    assents: Spans = ()
    """When everybody's voice sounds like a backchannel, in English."""

    language: str = "en"
    """Of the listeners."""

    mode: FloorMode = FloorMode.SIMULTANEOUS
    settings: FloorSettings = field(default_factory=FloorSettings)
    closed: Spans = ()
    obeys: bool = True
    """The session falls silent when it is interrupted, until its next span."""

    def __post_init__(self) -> None:
        self.floor = DirectionFloor(self.settings, self.mode)
        self.played: list[Played] = []
        self.n = 0
        self.wanted = self.mode
        self.hushed_until_s = -inf
        self.interrupts: list[float] = []

    def run(self, until_s: float) -> Stage:
        """Advances to `until_s`; the frame of tick n is heard in [n, n+1) and leaves at n + 1."""
        while self.n * FRAME_S < until_s:
            self._tick()
        return self

    def _tick(self) -> None:
        start_s = self.n * FRAME_S
        now_s = start_s + FRAME_S
        self.n += 1
        talk = {
            who: Talk(voice=self._voice_at(spans, now_s), language=self.language, words=self.words.get(who))
            for who, spans in self.listeners.items()
        }
        situation = Situation(
            mode=self.wanted,
            speaker=Talk(voice=voice_at(self.speaker, now_s), language="es"),
            listeners=talk,
            closed=any(a <= start_s < b for a, b in self.closed),
        )
        played = self.floor.advance(self._said(start_s), situation, now_s)
        if played.interrupt:
            self.interrupts.append(now_s)
            if self.obeys:
                ends = [b for a, b in self.said if a <= start_s < b]
                self.hushed_until_s = max(ends, default=-inf)
        self.played.append(played)

    def _voice_at(self, spans: Spans, now_s: float) -> Voice:
        assents = any(a <= now_s < b for a, b in self.assents)
        return replace(voice_at(spans, now_s), backchannel_in=frozenset({"en"}) if assents else frozenset())

    def _said(self, start_s: float) -> Said:
        if start_s < self.hushed_until_s or not any(a <= start_s + 1e-9 < b - 1e-9 for a, b in self.said):
            return NOTHING
        return Said(pcm=speech(self.n), text=f" w{self.n}")

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([played.pcm for played in self.played])

    @property
    def text(self) -> str:
        return "".join(played.text for played in self.played)

    @property
    def unspoken(self) -> str:
        return "".join(played.unspoken for played in self.played)

    def events(self, kind: FloorEventKind) -> list[FloorEvent]:
        return [event for played in self.played for event in played.events if event.kind is kind]

    def level_db(self, at_s: float) -> float:
        """Level around a moment at the sender, relative to the voice's own."""
        # The frame of tick n leaves at n + 1.
        first = round((at_s - FRAME_S) * 24_000)
        piece = self.pcm[max(0, first - 120) : first + 120]
        return float(20.0 * np.log10(max(1e-6, float(np.sqrt(np.mean(piece**2))) / 0.1)))

    def last_sound_s(self, below_db: float = -30.0) -> float:
        """When the last sample above `below_db` of the voice's level leaves."""
        loud = np.flatnonzero(np.abs(self.pcm) > 0.1 * np.sqrt(2.0) * 10.0 ** (below_db / 20.0))
        return float(loud[-1]) / 24_000 + FRAME_S if loud.size else -inf
