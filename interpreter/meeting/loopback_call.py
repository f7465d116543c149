"""A call to ourselves: two people on real connections in a room of their own, and what one hears of the other.

The speaker sends one chirp. The listener hears it twice: the original, and `ECHO_MS` later the loopback engine's
rendering of it; where the two are found in what the listener hears says how long each was on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Engine, Pcm, TickGrid
from interpreter.clock import FrameClock, MonotonicClock
from interpreter.meeting.meeting import Meeting
from webrtc.caller import Caller
from webrtc.peer import IceSettings, Peer
from webrtc.room import (
    IncomingAudio,
    Listening,
    OutgoingAudio,
    Participant,
    ParticipantJoined,
    RoomEvent,
    RoomMessage,
    TrackStarted,
)
from webrtc.tracks import Fill

ECHO_MS = 1_000.0
"""Delay that the loopback engine must be set to, so that original and rendering do not overlap."""

CHIRP_S = 0.24
SETTLE_TICKS = 12  # a second for jitter buffers and the cushion to settle
LISTEN_TICKS = 40  # 3.2 s: the chirp, its echo, and delay to spare
SEND_AHEAD_S = FRAME_S / 2  # the far end's own cushion; not part of the delay, which counts from the sending
_FOUND = 0.3  # normalised correlation; noise of the same length stays below 0.1


@dataclass(frozen=True, kw_only=True)
class CallReport:
    """What the listener heard; None where it was not found."""

    original_ms: float | None
    """From the sending of the speaker's sample to its being due at the listener's ear, jitter buffers included.

    Our far end takes sound in frames of 80 ms, so a browser, which needs no frames, hears it sooner."""

    rendering_ms: float | None
    """The same through the engine, without the engine's own `ECHO_MS`."""


async def loopback_call(engine: Engine) -> CallReport:
    """Holds the call. Needs a network interface besides the loopback one; nothing leaves this machine.

    Args:
        engine: a loopback engine with a delay of `ECHO_MS` and two free lanes.
    """
    clock = MonotonicClock()
    async with AsyncExitStack() as stack:
        room = await stack.enter_async_context(_CallRoom())
        speaker = await room.call("speaker", "es", stack)
        listener = await room.call("listener", "en", stack)
        await stack.enter_async_context(Meeting(room, engine, clock))
        sent_s, heard, heard_s = await _talk(engine.grid, clock, speaker, listener)
    return find_chirps(heard, sent_s - heard_s)


@dataclass(frozen=True)
class _Line:
    """The far end of one participant's connection."""

    outgoing: OutgoingAudio
    incoming: IncomingAudio


class _CallRoom:
    """A room of two who are called by this program; implements `Room`."""

    name = "loopback call"
    listening = Listening.PER_LISTENER

    def __init__(self) -> None:
        self._events: asyncio.Queue[RoomEvent] = asyncio.Queue()
        self._peers: dict[str, Peer] = {}

    async def call(self, who: str, language: str, stack: AsyncExitStack) -> _Line:
        """Seats somebody and gives the other end of their line, connected; `stack` ends it."""
        caller = await stack.enter_async_context(Caller())
        peer = Peer(
            ice=IceSettings(),
            fill=Fill.COMFORT_NOISE,
            on_audio=lambda audio: self._events.put_nowait(TrackStarted(participant_id=who, audio=audio)),
            on_closed=lambda reason: None,
        )
        self._peers[who] = peer
        stack.push_async_callback(peer.close)
        participant = Participant(id=who, name=who, attributes={"language": language})
        self._events.put_nowait(ParticipantJoined(participant=participant))
        incoming = await caller.accept(await peer.answer(await caller.offer()))
        return _Line(caller.outgoing, incoming)

    async def events(self) -> AsyncIterator[RoomEvent]:
        while True:
            yield await self._events.get()

    def outgoing(self, key: str) -> OutgoingAudio | None:
        return self._peers[key].outgoing

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """Nobody reads here."""

    async def remove(self, participant_id: str, reason: str) -> None:
        await self._peers[participant_id].close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The lines end with the stack they were made on."""


async def _talk(
    grid: TickGrid, clock: MonotonicClock, speaker: _Line, listener: _Line
) -> tuple[float, Pcm, float]:
    """When the chirp was sent, what the listener heard, and when its first sample was heard."""
    # Half a tick off the meeting's grid: the far ends are other machines with frames of their own.
    far_grid = TickGrid(origin_s=grid.origin_s + FRAME_S / 2)
    first = far_grid.next_tick(clock.now_s())
    chirp_tick = first + SETTLE_TICKS
    sounding = dict(enumerate(chirp().reshape(-1, FRAME_SAMPLES), start=chirp_tick))
    silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
    heard: list[Pcm] = []
    async for tick in FrameClock(far_grid, clock):
        while first + len(heard) <= tick.index:
            heard.append(listener.incoming.pull(far_grid.time_of(first + len(heard))).pcm)
        speaker.outgoing.play(tick.index, sounding.get(tick.index, silence), tick.time_s + SEND_AHEAD_S)
        listener.outgoing.play(tick.index, silence, tick.time_s + SEND_AHEAD_S)
        if tick.index >= chirp_tick + LISTEN_TICKS:
            break
    return far_grid.time_of(chirp_tick) + SEND_AHEAD_S, np.concatenate(heard), far_grid.time_of(first)


def chirp() -> Pcm:
    """A sweep from 300 to 3000 Hz at -12 dBFS with soft ends, three frames long: pcm [5760]."""
    samples = round(CHIRP_S * SAMPLE_RATE_HZ)
    t = np.arange(samples) / SAMPLE_RATE_HZ
    sweep = np.sin(2.0 * np.pi * (300.0 * t + 0.5 * (2_700.0 / CHIRP_S) * t**2))
    ends = np.minimum(1.0, np.minimum(t, CHIRP_S - t) / 0.01)
    return np.asarray(0.25 * sweep * ends, dtype=np.float32)


def find_chirps(heard: Pcm, sent_s: float) -> CallReport:
    """Where the chirp and its echo lie in `heard`.

    Args:
        heard: pcm [N].
        sent_s: when the chirp was sent, counted from the first sample of `heard`.
    """
    likeness = _normalised_correlation(heard, chirp())
    start = max(0, round(sent_s * SAMPLE_RATE_HZ))
    echo = start + round(ECHO_MS / 1000.0 * SAMPLE_RATE_HZ)
    return CallReport(
        original_ms=_delay_ms(likeness[start:echo]),
        rendering_ms=_delay_ms(likeness[echo:]),
    )


def _delay_ms(likeness: Pcm) -> float | None:
    if likeness.size == 0 or float(likeness.max()) < _FOUND:
        return None
    return float(np.argmax(likeness)) * 1000.0 / SAMPLE_RATE_HZ


def _normalised_correlation(signal: Pcm, pattern: Pcm) -> Pcm:
    """How alike `pattern` and each stretch of `signal` are, 1 for equal up to a gain: [N - len(pattern) + 1]."""
    size = 1 << (signal.size + pattern.size - 1).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.conj(np.fft.rfft(pattern, size))
    valid = signal.size - pattern.size + 1
    products = np.fft.irfft(spectrum, size)[:valid]
    sums = np.concatenate([[0.0], np.cumsum(signal.astype(np.float64) ** 2)])
    energies = np.maximum(sums[pattern.size :] - sums[: -pattern.size], 1e-6)
    return np.asarray(products / np.sqrt(energies * float(np.dot(pattern, pattern))), dtype=np.float32)
