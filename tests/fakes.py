"""A room without a network: people whose tracks are formulas, and whose ears are lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np

from webrtc.room import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    ChatWritten,
    CommandArgument,
    CommandGiven,
    Hindered,
    Hindrance,
    IncomingAudio,
    IncomingFrame,
    Levels,
    Listening,
    MeetingState,
    Notice,
    OutgoingAudio,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Pcm,
    Replied,
    RoomEvent,
    RoomMessage,
    TrackMuted,
    TrackStarted,
    TrackStopped,
)

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
NETWORK_S = 0.03  # age of a frame's last sample when it is pulled


def tone(hz: float, frame: int = 0, frames: int = 1, peak: float = 0.1) -> Pcm:
    """`frames` frames of a sine that runs on from frame 0: pcm [1920 * frames]."""
    n = np.arange(frame * FRAME_SAMPLES, (frame + frames) * FRAME_SAMPLES)
    return (peak * np.sin(2.0 * np.pi * hz * n / SAMPLE_RATE_HZ)).astype(np.float32)


def amplitude(pcm: Pcm, hz: float) -> float:
    """Peak of the `hz` sine in `pcm`; exact for whole periods."""
    n = np.arange(pcm.size)
    turn = np.exp(-2j * np.pi * hz * n / SAMPLE_RATE_HZ)
    return float(2.0 * abs(np.dot(pcm, turn)) / pcm.size)


class ToneTrack:
    """Somebody who hums at `hz` in the frames that `sounds` says, counted from the first pull."""

    def __init__(
        self, hz: float, *, peak: float = 0.1, sounds: Callable[[int], bool] = lambda n: True
    ) -> None:
        self.hz = hz
        self.peak = peak
        self.sounds = sounds
        self.pulls: list[float] = []
        self.fails = False

    def pull(self, now_s: float) -> IncomingFrame:
        if self.fails:
            raise RuntimeError("this track is broken")
        n = len(self.pulls)
        self.pulls.append(now_s)
        silent = not self.sounds(n)
        pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32) if silent else tone(self.hz, n, peak=self.peak)
        return IncomingFrame(pcm=pcm, captured_at_s=now_s - FRAME_S - NETWORK_S, silent=silent)


@dataclass
class Ear:
    """What one listener was played."""

    ticks: list[int] = field(default_factory=list)
    frames: list[Pcm] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    replaced: dict[int, Pcm] = field(default_factory=dict)
    """What was to be heard instead, of ticks that were not sent yet."""

    fails: bool = False

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        if self.fails:
            raise RuntimeError("this ear is broken")
        assert pcm.shape == (FRAME_SAMPLES,)
        assert pcm.dtype == np.float32
        self.ticks.append(tick)
        self.frames.append(pcm)
        self.at_s.append(at_s)

    def replace(self, tick: int, pcm: Pcm) -> None:
        assert pcm.shape == (FRAME_SAMPLES,)
        self.replaced[tick] = pcm

    def last(self, frames: int) -> Pcm:
        """The last `frames` frames in one piece."""
        return np.concatenate(self.frames[-frames:])


class FakeRoom:
    """A room for tests: `join`, `change`, `leave` and the rest are what people do in it."""

    def __init__(self, listening: Listening = Listening.PER_LISTENER) -> None:
        self._listening = listening
        self._events: asyncio.Queue[RoomEvent | None] = asyncio.Queue()
        self.ears: dict[str, Ear] = {}
        self.told: dict[str, list[RoomMessage]] = {}
        self.entered = False

    @property
    def name(self) -> str:
        return "test room"

    @property
    def listening(self) -> Listening:
        return self._listening

    def join(
        self,
        who: str,
        language: str,
        audio: IncomingAudio | None = None,
        *,
        name: str = "",
        **attributes: str,
    ) -> Ear:
        self.ears[who] = Ear()
        self.told[who] = []
        participant = _participant(who, language, name, **attributes)
        self._events.put_nowait(ParticipantJoined(participant=participant))
        if audio is not None:
            self._events.put_nowait(TrackStarted(participant_id=who, audio=audio))
        return self.ears[who]

    def open_channel(self, language: str) -> Ear:
        """What everybody hears of one language, in a room that is a floor."""
        self.ears[language] = Ear()
        return self.ears[language]

    def change(self, who: str, language: str, *, name: str = "", **attributes: str) -> None:
        participant = _participant(who, language, name, **attributes)
        self._events.put_nowait(ParticipantChanged(participant=participant))

    def become(self, who: str, language: str, *, speaks: bool = True, listens: bool = True) -> None:
        """Somebody has a mouth and an ear, or either alone, from now on."""
        participant = replace(_participant(who, language, ""), speaks=speaks, listens=listens)
        self._events.put_nowait(ParticipantChanged(participant=participant))

    def write(self, who: str, text: str) -> None:
        self._events.put_nowait(ChatWritten(participant_id=who, text=text))

    def hinder(self, hindrance: Hindrance, holds: bool = True) -> None:
        self._events.put_nowait(Hindered(by=hindrance, holds=holds))

    def mute(self, who: str, muted: bool) -> None:
        self._events.put_nowait(TrackMuted(participant_id=who, muted=muted))

    def start_track(self, who: str, audio: IncomingAudio) -> None:
        self._events.put_nowait(TrackStarted(participant_id=who, audio=audio))

    def stop_track(self, who: str) -> None:
        self._events.put_nowait(TrackStopped(participant_id=who))

    def command(self, who: str, request_id: str, name: str, **arguments: CommandArgument) -> None:
        self._events.put_nowait(
            CommandGiven(participant_id=who, request_id=request_id, name=name, arguments=arguments)
        )

    def leave(self, who: str, reason: str = "left") -> None:
        del self.ears[who]
        self._events.put_nowait(ParticipantLeft(participant_id=who, reason=reason))

    def end(self) -> None:
        self._events.put_nowait(None)

    def notices(self, who: str) -> dict[str, str]:
        """Notices `who` sees now: id -> text."""
        shown: dict[str, str] = {}
        for message in self.told[who]:
            if isinstance(message, Notice):
                shown[message.id] = message.text
        return {key: text for key, text in shown.items() if text}

    def levels(self, who: str) -> Levels:
        """The last levels `who` was shown."""
        return [message for message in self.told[who] if isinstance(message, Levels)][-1]

    def replies(self, who: str) -> dict[str, Replied]:
        """What `who` was answered: request id -> reply."""
        return {message.request_id: message for message in self.told[who] if isinstance(message, Replied)}

    def state(self, who: str) -> MeetingState:
        """The last state `who` was told."""
        return [message for message in self.told[who] if isinstance(message, MeetingState)][-1]

    async def events(self) -> AsyncIterator[RoomEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    def outgoing(self, key: str) -> OutgoingAudio | None:
        return self.ears.get(key)

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        self.told[participant_id].append(message)

    async def remove(self, participant_id: str, reason: str) -> None:
        self.leave(participant_id)

    async def __aenter__(self) -> Self:
        self.entered = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.entered = False


def _participant(who: str, language: str, name: str = "", **attributes: str) -> Participant:
    return Participant(id=who, name=name or who.title(), attributes={"language": language, **attributes})
