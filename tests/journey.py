"""Taps on the path of sound through the server: what was pulled, fed, said and played, each with its time.

The taps stand where the contracts are (`RoomPeer`, `IncomingAudio`, `OutgoingAudio`, `Engine`, `Session`), so the real
objects between them are untouched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from duplex_model.contract import Engine, Prompt, Session, StepOutput
from duplex_model.passing_on import PassingEngine, PassingSession
from webrtc.hosted.room import PeerFactory, RoomPeer
from webrtc.room import SAMPLE_RATE_HZ, IncomingAudio, IncomingFrame, OutgoingAudio, Pcm


def wall_s(monotonic_s: float) -> float:
    """Unix time of a monotonic time, to compare with what browsers recorded."""
    return monotonic_s + (time.time() - time.monotonic())


@dataclass
class Sound:
    """Frames with the monotonic time at which each was at this place."""

    at_s: list[float] = field(default_factory=list)
    frames: list[Pcm] = field(default_factory=list)

    def add(self, at_s: float, pcm: Pcm) -> None:
        """Notes one frame."""
        self.at_s.append(at_s)
        self.frames.append(pcm.copy())

    def last(self, seconds: float) -> Pcm:
        """The newest `seconds`, 24 kHz."""
        joined = np.concatenate(self.frames)
        return joined[-round(seconds * SAMPLE_RATE_HZ) :]


@dataclass
class PeerTap:
    """One participant's sound in the server."""

    pulled: Sound = field(default_factory=Sound)
    """What we took from them, at the ticks."""

    incoming: list[IncomingFrame] = field(default_factory=list)
    """The same with its remarks."""

    ready: Sound = field(default_factory=Sound)
    """Their mix, at the moment it was handed over for playing."""

    play_at_s: list[float] = field(default_factory=list)
    """When the mix's first packet was due."""

    play_ticks: list[int] = field(default_factory=list)
    """Of which tick it was."""

    peer: RoomPeer | None = None


class Taps:
    """Makes tapped peers; `peers` is in the order in which people joined."""

    def __init__(self, make_peer: PeerFactory) -> None:
        self._make_peer = make_peer
        self.peers: list[PeerTap] = []

    def __call__(
        self, *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
    ) -> RoomPeer:
        tap = PeerTap()
        self.peers.append(tap)
        tap.peer = self._make_peer(
            on_audio=lambda audio: on_audio(_TappedIncoming(audio, tap)), on_closed=on_closed
        )
        return _TappedPeer(tap.peer, tap)


class _TappedPeer:
    def __init__(self, peer: RoomPeer, tap: PeerTap) -> None:
        self._peer = peer
        self.outgoing = _TappedOutgoing(peer.outgoing, tap)

    async def answer(self, offer_sdp: str) -> str:
        return await self._peer.answer(offer_sdp)

    def attest(self, line: str) -> None:
        self._peer.attest(line)

    async def close(self) -> None:
        await self._peer.close()


class _TappedIncoming:
    def __init__(self, audio: IncomingAudio, tap: PeerTap) -> None:
        self._audio, self._tap = audio, tap

    def pull(self, now_s: float) -> IncomingFrame:
        frame = self._audio.pull(now_s)
        self._tap.pulled.add(now_s, frame.pcm)
        self._tap.incoming.append(frame)
        return frame


class _TappedOutgoing:
    def __init__(self, audio: OutgoingAudio, tap: PeerTap) -> None:
        self._audio, self._tap = audio, tap

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        self._tap.ready.add(time.monotonic(), pcm)
        self._tap.play_at_s.append(at_s)
        self._tap.play_ticks.append(tick)
        self._audio.play(tick, pcm, at_s)

    def replace(self, tick: int, pcm: Pcm) -> None:
        self._audio.replace(tick, pcm)


@dataclass
class SessionTap:
    """One session's two sides."""

    prompt: Prompt
    heard: Sound = field(default_factory=Sound)
    said: Sound = field(default_factory=Sound)


class TappedEngine(PassingEngine):
    """An engine whose sessions are noted in `sessions`, in the order in which they were opened."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.sessions: list[SessionTap] = []

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        tap = SessionTap(prompt)
        self.sessions.append(tap)
        return self._wrapped(
            self._engine.open(prompt, seed=seed), lambda session: _TappedSession(session, tap)
        )


class _TappedSession(PassingSession):
    def __init__(self, session: Session, tap: SessionTap) -> None:
        super().__init__(session)
        self._tap = tap

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        self._tap.heard.add(time.monotonic(), frame)
        future = super().feed(frame, concealed=concealed)
        future.add_done_callback(self._note)
        return future

    def _note(self, done: Future[StepOutput]) -> None:
        if done.exception() is None:
            self._tap.said.add(time.monotonic(), done.result().pcm)
