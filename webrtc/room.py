"""The protocol every room fulfils, and the events it reports.

A room is a place on the network where people talk: one we host, a Jitsi conference, a Janus room. It knows people
and their tracks, not what is done with the sound. Everything here runs on one event loop.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.float32]
"""Mono pcm at 24 kHz, float32, nominally in [-1, 1]."""

SAMPLE_RATE_HZ = 24_000  # libopus decodes and encodes at this rate: the live path has no resampler
FRAME_SAMPLES = 1_920  # 80 ms, one tick
PACKET_SAMPLES = 480  # 20 ms, a quarter of a frame


@dataclass(frozen=True, kw_only=True)
class IncomingFrame:
    """80 ms of one participant, pulled at a tick."""

    pcm: Pcm
    """[1920]. Zeros where nothing was sent (muted, discontinuous transmission, not yet started)."""

    captured_at_s: float
    """Monotonic time at which the frame's first sample is estimated to have been captured.

    The shortest way through the network counts as no time, since one side alone cannot measure it; the codec's own
    delay and everything the network added are accounted for.
    """

    concealed_samples: int = 0
    """Samples invented for packets that were lost or late."""

    recovered_samples: int = 0
    """Samples of lost packets recovered from forward error correction."""

    silent: bool = False
    """No media at all in this frame: the sender sent nothing."""


class IncomingAudio(Protocol):
    """One participant's audio."""

    def pull(self, now_s: float) -> IncomingFrame:
        """The next 80 ms.

        Called once per tick, at the tick: this is where media time meets our clock, and where the sender's clock
        drift is absorbed. Never blocks, always gives a whole frame.

        Args:
            now_s: monotonic time of the tick.
        """
        ...


class OutgoingAudio(Protocol):
    """What one listener, or one channel, hears from us."""

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        """Gives the 80 ms of one tick; its first packet is sent at `at_s`, the next ones every 20 ms.

        Packets whose frame has not come when they are due are filled with comfort noise (or silence) and counted
        as underrun; a frame that comes after that is cut to the packets not yet due. Never blocks.

        Args:
            tick: index on the tick grid, increasing by one from call to call; it fixes the RTP timestamp.
            pcm: [1920], in [-1, 1].
            at_s: monotonic time of the first packet: the tick's time plus the cushion.
        """
        ...


class Listening(enum.Enum):
    """How a room's listeners are reached."""

    PER_LISTENER = "per-listener"  # one outgoing mix per participant (hosted room)
    FLOOR = "floor"  # one outgoing participant per channel, heard by everybody (Jitsi bot, Janus)


@dataclass(frozen=True, kw_only=True)
class Participant:
    """Somebody in the room."""

    id: str
    """Unique in the room, never reused."""

    name: str
    """What the person calls themselves; untrusted text."""

    attributes: Mapping[str, str]
    """What else the room was told, such as `language`; opaque to this package, untrusted text."""


@dataclass(frozen=True, kw_only=True)
class ParticipantJoined:
    """Somebody is in; they can be played to from now on."""

    participant: Participant


@dataclass(frozen=True, kw_only=True)
class ParticipantChanged:
    """Name or attributes changed."""

    participant: Participant


@dataclass(frozen=True, kw_only=True)
class ParticipantLeft:
    """Somebody is gone, their track with them."""

    participant_id: str
    reason: str
    """For logs and operators: `left`, `connection lost`, `removed: …`."""


@dataclass(frozen=True, kw_only=True)
class TrackStarted:
    """A participant's audio can be pulled."""

    participant_id: str
    audio: IncomingAudio


@dataclass(frozen=True, kw_only=True)
class TrackStopped:
    """A participant's audio has ended; the participant is still there."""

    participant_id: str


@dataclass(frozen=True, kw_only=True)
class TrackMuted:
    """A participant switched their microphone off or on."""

    participant_id: str
    muted: bool


RoomEvent = (
    ParticipantJoined | ParticipantChanged | ParticipantLeft | TrackStarted | TrackStopped | TrackMuted
)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Who is heard how loud; sent some ten times a second."""

    dbfs: Mapping[str, float]
    """Participant id -> level of the last frame, dBFS RMS."""

    speaking: frozenset[str]
    """Participants whose voice is active."""


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A piece of text to show to a participant."""

    id: str
    """Captions with the same id replace one another while a sentence grows."""

    speaker_id: str
    language: str
    """BCP 47 tag, for the page's `lang` and `dir`."""

    text: str
    final: bool
    """No further caption with this id follows."""


class NoticeLevel(enum.Enum):
    """How urgently a notice is shown."""

    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A sentence from the interpreter itself, shown and read out by screen readers."""

    id: str
    """A notice with the same id replaces the earlier one; an empty text clears it."""

    level: NoticeLevel
    text: str
    language: str = ""
    """BCP 47 tag of the text, for the page's `lang` and `dir`; empty for the reader's own."""


RoomMessage = Levels | Caption | Notice


class Room(Protocol):
    """A place on the network; use as `async with room:`."""

    @property
    def name(self) -> str:
        """For people and logs."""
        ...

    @property
    def listening(self) -> Listening:
        """Whether `outgoing` takes participant ids or channel names."""
        ...

    def events(self) -> AsyncIterator[RoomEvent]:
        """Every event since the room was entered, in order, to one reader; ends when the room is left."""
        ...

    def outgoing(self, key: str) -> OutgoingAudio | None:
        """Where to play what `key` hears: a participant id (per-listener) or a channel name (floor).

        None when they have left or are not connected yet.
        """
        ...

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """Shows `message` to one participant, where the room can; never blocks, never raises for who has left."""
        ...

    async def remove(self, participant_id: str, reason: str) -> None:
        """Puts somebody out, telling them why; `ParticipantLeft` follows."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
