"""The protocol every room fulfils, and the events it reports.

A room is a place on the network where people talk: one we host, a Jitsi conference, a Janus room. It knows people
and their tracks, not what is done with the sound. Everything here runs on one event loop.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from webrtc.errors import LocalError

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

    def replace(self, tick: int, pcm: Pcm) -> None:
        """Has what is still to be sent of a tick that was played be this instead; from the very next packet on.

        What was sent stays sent, and the next packet fades from the one sound into the other. Never blocks.

        Args:
            tick: given to `play` before; one of which nothing waits any more is let be.
            pcm: [1920], all of the tick, of which the packets that still wait are taken.
        """
        ...


class Listening(enum.Enum):
    """How a room's listeners are reached."""

    PER_LISTENER = "per-listener"  # one outgoing mix per participant (hosted room)
    FLOOR = "floor"  # one outgoing participant per channel, heard by everybody (Jitsi bot, Janus)
    REQUESTED = "requested"  # one per speaker and language asked for (Jitsi's own translation)


STANDING = "standing"
"""Attribute of those who proved to the room that they are more than participants, such as `host`.

The room alone sets it: what people say of themselves never becomes this attribute.
"""


EMAIL = "email"
"""Attribute with the e-mail address that somebody gives; it proves nothing."""


@dataclass(frozen=True, kw_only=True)
class Participant:
    """Somebody in the room."""

    id: str
    """Unique in the room, never reused."""

    name: str
    """What the person calls themselves; untrusted text."""

    attributes: Mapping[str, str]
    """What else the room was told, such as `language`; opaque to this package, untrusted text but for `STANDING`."""

    token: str = field(default="", repr=False)
    """The secret by which they came in; empty where the room asks for none. Never to be shown or written down."""

    requests: tuple[str, ...] = ()
    """BCP 47 tags into which somebody wants them interpreted, where a room tells that instead of who listens."""

    speaks: bool = True
    """They send sound, or may do so without being asked again; nobody interprets those who cannot."""

    listens: bool = True
    """They hear what the room plays to them; nothing is interpreted for those who cannot."""


def requested_key(participant_id: str, language: str) -> str:
    """By what a room is asked for the outgoing audio of somebody's rendering into a language.

    Args:
        participant_id: who speaks.
        language: primary language subtag, in lower case.
    """
    return f"{participant_id}.{language}"


CommandArgument = str | float | bool
"""What a command's argument may be."""


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


@dataclass(frozen=True, kw_only=True)
class CommandGiven:
    """A participant asks something of whoever runs the room, who answers with `Replied`.

    What a command means, and whether this participant may give it, this package does not know.
    """

    participant_id: str
    request_id: str
    """The page's own, to find the reply by; 1 to 32 characters, unique for its connection at best, untrusted."""

    name: str
    """Such as `repeat`; 1 to 32 of a-z, 0-9, - and _, as are the arguments' names."""

    arguments: Mapping[str, CommandArgument]
    """At most 8; their numbers are finite, their texts untrusted and at most 200 characters."""


@dataclass(frozen=True, kw_only=True)
class ChatWritten:
    """A participant wrote in the room's chat; who answers them in it does so with `Replied`."""

    participant_id: str
    text: str
    """Untrusted, at most 2,000 characters."""


class Hindrance(enum.Enum):
    """What keeps an interpreter from its work in a room."""

    ANOTHER_INTERPRETER = "another interpreter"  # it was there before this one, and both would talk at once
    ENCRYPTED = "encrypted"  # end to end: there is nothing to be heard
    MUTED = "muted"  # by whoever leads the meeting: it is not heard


@dataclass(frozen=True, kw_only=True)
class Hindered:
    """A hindrance holds from now on, or no longer."""

    by: Hindrance
    holds: bool


RoomEvent = (
    ParticipantJoined
    | ParticipantChanged
    | ParticipantLeft
    | TrackStarted
    | TrackStopped
    | TrackMuted
    | CommandGiven
    | ChatWritten
    | Hindered
)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Who is heard how loud; sent some ten times a second."""

    dbfs: Mapping[str, float]
    """Participant id -> level of the last frame, dBFS RMS."""

    speaking: frozenset[str]
    """Participants whose voice is active."""


class CaptionKind(enum.Enum):
    """Whose words a caption has."""

    RENDERING = "rendering"  # the interpreter's, for what the speaker said
    HEARD = "heard"  # the speaker's own
    AS_SELF = "as-self"  # the interpreter's own; `speaker_id` is who they are about, or empty


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

    kind: CaptionKind = CaptionKind.RENDERING
    cut: bool = False
    """The listener did not hear the end of it."""


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


@dataclass(frozen=True, kw_only=True)
class Replied:
    """The answer to one participant's `CommandGiven` or `ChatWritten`, shown and read out by screen readers.

    Told after the `MeetingState` in which the command has taken effect: a page then shows what holds.
    """

    request_id: str
    """As in the command; empty for a line of chat."""

    accepted: bool
    text: str
    """What happens now, or why not, in words for that person."""

    language: str = ""
    """BCP 47 tag of the text; empty for the reader's own."""


class Lamp(enum.Enum):
    """What the interpreter is doing, in one word."""

    INTERPRETING = "interpreting"
    IDLE = "idle"  # nobody here needs it: one person, or one language
    CAPTIONS = "captions"  # text only, by role or because it fell behind
    PAUSED = "paused"
    HUMAN = "human"  # a human was asked for, or has taken over
    DOWN = "down"  # it stopped by itself; the originals go on


class Stored(enum.Enum):
    """What is kept of a meeting."""

    TRANSCRIPT = "transcript"
    AUDIO = "audio"
    IDENTITY = "identity"  # signed fingerprints of what the interpreter said; no content
    AUDIT = "audit"  # who gave which command when; no content


class DirectionStatus(enum.Enum):
    """What one listener gets of one speaker."""

    LIVE = "live"  # interpreted, by voice
    HELD = "held"  # the interpreter has something to say and waits for its turn
    CAPTIONS = "captions"  # interpreted, as text only
    PAUSED = "paused"
    STOPPED = "stopped"  # speaker or listener asked not to be interpreted
    UNSERVED = "unserved"  # nobody can, or none is free; the notices say why
    DOWN = "down"  # it failed and is being replaced


@dataclass(frozen=True, kw_only=True)
class DirectionState:
    """One speaker's way into one language."""

    speaker_id: str
    language: str
    """BCP 47 tag of what the speaker is interpreted into."""

    status: DirectionStatus


@dataclass(frozen=True, kw_only=True)
class OwnState:
    """What one participant has chosen, as it holds now."""

    opted_out: bool = False
    """Their microphone is not processed: no session hears it."""

    stopped: bool = False
    """They asked not to be interpreted: they and the others hear each other directly."""

    original_only: bool = False
    """They hear the others' own voices, and no interpreter."""

    balance: float = 1.0
    """0: the originals alone, 1: the interpreter with the original as far down as the meeting ducks it."""

    captions: bool = True

    language: str = ""
    """BCP 47 tag of the language they are interpreted into; empty where it is the one they told the room."""

    def __post_init__(self) -> None:
        if not 0 <= self.balance <= 1:
            raise LocalError(f"expected a balance from 0 to 1, got {self.balance}")


@dataclass(frozen=True, kw_only=True)
class RoleChoice:
    """A role in which hosts may have people interpreted."""

    name: str
    """As a command takes it."""

    titles: Mapping[str, str]
    """BCP 47 tag -> name for people; English at least."""

    voice: str = ""
    """Name of the voice it speaks with; empty for the interpreter's own choice."""


@dataclass(frozen=True, kw_only=True)
class MeetingState:
    """How one participant is interpreted; each replaces the one before, and is told when anything in it changes."""

    lamp: Lamp
    mode: str
    """How it interprets; a page has words for `simultaneous`, `consecutive` and `captions`, others it shows as is."""

    role: str
    """Name of the role that speaks, such as `medical-consecutive`."""

    role_checksum: str
    """Names exactly which interpreter that is: hexadecimal, of which a page shows the beginning."""

    stored: tuple[Stored, ...]
    """Empty: nothing is kept."""

    own: OwnState
    directions: tuple[DirectionState, ...] = ()
    """Every one whose speaker or listener this participant is."""

    opted_out: frozenset[str] = frozenset()
    """Ids of all whose microphones are not processed."""

    human_asked: bool = False
    """Somebody asked for a human interpreter, and the request stands."""

    human_present: bool = False
    """A human has taken over."""

    paused: bool = False
    """A host paused the interpreter, whether or not it had anything to do."""

    closed: bool = False
    """The interpretation has ended, and does not begin again."""

    choices: tuple[RoleChoice, ...] = ()
    """What this participant may have the interpreter be; empty for whoever may not choose."""


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """A signed line of the interpreter's identity chain, opaque here.

    Sent where the other side offered a data channel for it, and nowhere else. What such a channel cannot take in time
    is dropped: the reader sees the gap in the lines' own sequence. Whoever joins is told the chain's first line, and
    then every one that follows.
    """

    line: str


RoomMessage = Levels | Caption | Notice | Replied | MeetingState | Attestation


class Room(Protocol):
    """A place on the network; use as `async with room:`."""

    @property
    def name(self) -> str:
        """For people and logs."""
        ...

    @property
    def listening(self) -> Listening:
        """Whether `outgoing` takes participant ids, channel names or `requested_key`s."""
        ...

    def events(self) -> AsyncIterator[RoomEvent]:
        """Every event since the room was entered, in order, to one reader; ends when the room is left."""
        ...

    def outgoing(self, key: str) -> OutgoingAudio | None:
        """Where to play what `key` hears: a participant id (per-listener) or a channel name (floor).

        Where renderings are requested one by one, it is the `requested_key` of one of them.

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
