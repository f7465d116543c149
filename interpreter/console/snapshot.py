"""Everything an operator's page is shown, as frozen values. Pure.

    House            all rooms in short, engines, cost, who is at a console, what may be chosen
    RoomState        one room in full: people, directions with their words, facts, log, timeline
    Notes            one room's notes, for operators and admins only
    RoomLevels       how loud everybody is, ten times a second and apart from the rest

`deltas` compares two of a kind, `protocol` sends them. Mappings are keyed by ids and read in any order; a tuple of
`Numbered` items only ever grows at its end and is forgotten from its start. Times `_s` are media time, seconds since
the meeting's first tick, which is also the position in its recordings; times `_at` are Unix seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

KEPT_S = 120.0
"""How far back words and the timeline go."""

KEPT_PIECES = 400
KEPT_EVENTS = 200
KEPT_FACTS = 50
KEPT_MARKS = 2_000
KEPT_NOTES = 200


class Lamp(enum.Enum):
    """What the interpreter does in a room, in a word of interpreters' consoles."""

    OFF = "off"  # stopped, closed, or no engine serves it: nothing can be said
    STANDBY = "standby"  # ready; nobody needs it now
    ON_AIR = "on_air"  # what is said is interpreted
    HELD = "held"  # paused by a host or operator
    HUMAN = "human"  # a human has taken over


class Numbered(Protocol):
    """An item of a tuple that grows at its end."""

    @property
    def n(self) -> int:
        """Counts up by one from item to item."""
        ...


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, and what is in effect: they differ until the next silence."""

    applied: str
    """Empty where nothing is in effect yet."""

    wanted: str


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of text; a leading space starts a word."""

    n: int
    at_s: float
    text: str
    utterance: int
    """Pieces of one utterance have one number."""

    kind: str = "said"
    """`said`; `as_self`, the interpreter's own; `unspoken`, only to be read; `lost`, cut off and never heard."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a room."""

    name: str
    """Untrusted text, as all that people typed or said."""

    language: str
    """Primary language in effect; empty where unknown."""

    language_wanted: str
    role: Choice
    """Names of the role in which they are interpreted."""

    voice: Choice
    """Names of the voice that renders them; empty where the checkpoint chooses."""

    leads: bool = False
    speaking: bool = False
    microphone_off: bool = False
    """They switched it off themselves."""

    opted_out: bool = False
    muted: bool = False
    """To the interpreter, by a host or operator."""

    stopped: bool = False
    """They want no interpreting, or a host does not."""

    isolated: bool = False
    """Their sound was taken out of the meeting after a fault."""

    original_only: bool = False
    captions: bool = True
    transcribed: bool = False
    """What they say is written down; where not, "heard text not available" is to be shown."""

    heard: tuple[Piece, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Span:
    """Ear-voice span of a direction: from the beginning of what is said to the beginning of its rendering."""

    now_s: float | None = None
    """The last one."""

    p50_s: float | None = None
    p95_s: float | None = None
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class DirectionState:
    """One speaker, rendered into one language."""

    speaker: str
    """Id of a person."""

    language_in: str
    language_out: str
    status: str
    """`webrtc.room.DirectionStatus`: live, held, captions, paused, stopped, unserved or down."""

    session: str
    """`sessions.SessionState`: opening, open, full, down, failed or refused."""

    engine: str = ""
    mode: str = ""
    """In effect: simultaneous, consecutive or captions."""

    role: str = ""
    voice: str = ""
    """In effect, as the session was told it."""

    checksum: str = ""
    pending: bool = False
    """Another role, voice or mode waits for a silence."""

    held: bool = False
    """By a host or operator."""

    muted: bool = False
    """By an operator: it can only be read."""

    waiting_s: float = 0.0
    """Sound that waits for its turn."""

    span: Span = Span()
    interpreted_s: float = 0.0
    spoken: tuple[Piece, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FactDifference:
    """How heard and spoken disagree in one fact."""

    kind: str
    """changed, missing or added."""

    fact: str
    """What the fact is about: quantity, side, negation, ..."""

    heard: str
    """Its value; empty when added."""

    spoken: str
    """Its value; empty when missing."""


@dataclass(frozen=True, kw_only=True)
class FactMark:
    """A critical fact within a text, by characters."""

    fact: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class FactCheck:
    """A stretch of an interpretation that held critical facts."""

    n: int
    at_s: float
    direction: str
    verdict: str
    """match, mismatch or one_sided: nothing was heard to compare with; `term` where the glossary was not followed."""

    heard: str | None
    """None where nothing was heard."""

    spoken: str
    heard_facts: tuple[FactMark, ...] = ()
    spoken_facts: tuple[FactMark, ...] = ()
    differences: tuple[FactDifference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the event log; holds nothing that was said."""

    n: int
    at: float
    """Unix seconds."""

    event: str
    """As in the audit log, such as `meeting.paused`."""

    actor: str = ""
    """Name of whoever did it; empty for the interpreter."""

    standing: str = ""
    about: str = ""
    """Id of a person."""

    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something on the timeline."""

    n: int
    at_s: float
    lane: str
    """Id of a person or key of a direction."""

    event: str
    """`begin` and `end` of sound; `ducked`, `restored`, `cut`, `goes_on`, `lost`, `pause_wanted`, `full` of a floor."""

    by: str = ""
    """Id of the person whose voice it was."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something an operator should look at, for as long as it lasts."""

    level: str
    """info, warning or alert."""

    code: str
    """Stands for the words: see docs/console-protocol.md."""

    about: str = ""
    """Id of a person, key of a direction, or name of an engine."""

    since_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """What people were told of the interpreter."""

    opened: bool
    """The opening notice was given."""

    label: Mapping[str, str] = field(default_factory=dict)
    """Language -> what stands where a name would."""

    reading: tuple[str, ...] = ()
    """Ids of people who are being read something now."""

    given: int = 0
    """Notices of what the interpreter is, so far."""

    last: str = ""
    """Script of the last one."""

    last_at_s: float | None = None
    stored: tuple[str, ...] = ()
    """What is kept: transcript, audio, identity, audit."""


@dataclass(frozen=True, kw_only=True)
class RoleInEffect:
    """The role that interprets everybody for whom no other was chosen."""

    name: str
    titles: Mapping[str, str]
    version: int
    checksum: str
    """Of the interpreter that speaks; 64 hexadecimal digits, or empty before anybody is interpreted."""


@dataclass(frozen=True, kw_only=True)
class TermState:
    """A term that was added during the meeting."""

    n: int
    language_in: str
    language_out: str
    term: str
    translation: str


@dataclass(frozen=True, kw_only=True)
class RoomState:
    """One room in full."""

    name: str
    transport: str
    """hosted, jitsi-service, jitsi or janus."""

    listening: str
    """per-listener, floor or requested: see `webrtc.room.Listening`."""

    revision: int
    """Counts what operators, hosts and people changed; given as `expect` with what an operator changes."""

    lamp: Lamp
    reason: str
    """Why the lamp shows that, as a code: see docs/console-protocol.md; empty where the lamp says it all."""

    opened_at: float
    """When the meeting's media time was 0."""

    role: RoleInEffect
    mode: Choice
    """Its mode; `applied` is empty while directions differ."""

    disclosure: Disclosure
    paused: bool = False
    halted: bool = False
    """STOP was pressed, and nothing is said until `resume`."""

    closed: bool = False
    human: str = "not_asked"
    """not_asked, asked or taken_over."""

    duck_db: float = 0.0
    priority: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    """That are spoken now."""

    people: Mapping[str, Person] = field(default_factory=dict)
    directions: Mapping[str, DirectionState] = field(default_factory=dict)
    """By key, such as `3f2a:es>en`."""

    alerts: Mapping[str, Alert] = field(default_factory=dict)
    facts: tuple[FactCheck, ...] = ()
    glossary: tuple[TermState, ...] = ()
    log: tuple[Event, ...] = ()
    timeline: tuple[Mark, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoomSummary:
    """One room among all."""

    name: str
    transport: str
    lamp: Lamp
    reason: str
    opened_at: float
    people: int
    speaking: int
    role: str
    mode: str
    human: str
    directions: Mapping[str, str] = field(default_factory=dict)
    """Pair of languages, such as `es>en` -> the status of its worst direction."""

    alerts: int = 0
    worst: str = ""
    """Level of the worst alert; empty without any."""


@dataclass(frozen=True, kw_only=True)
class EngineLoad:
    """What an engine is, and how much room it has left."""

    checkpoint: str
    licence: str
    domain: str
    translates: bool
    lanes: int
    used: int
    free: int
    tick_p50_ms: float
    tick_p95_ms: float
    """Of the steps of the last minute; 0 where nothing was stepped."""

    tick_budget_ms: float = 80.0
    busy: float = 0.0
    """Share of the last minute's ticks that it was stepping."""

    demonstration: Mapping[str, str] = field(default_factory=dict)
    """Language -> what is to be told of a checkpoint that only demonstrates."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What all meetings took since the start of the process."""

    interpreted_s: float = 0.0
    engine_s: float = 0.0
    elapsed_s: float = 0.0
    """Sum over meetings."""

    currency: str = ""
    money: str = ""
    """Decimal number; of `engine_s`. Empty without a price."""

    money_held: str = ""
    """Of `elapsed_s`: what it cost where a meeting had the device to itself."""


@dataclass(frozen=True, kw_only=True)
class AtConsole:
    """Somebody at a console."""

    name: str
    standing: str
    since_at: float
    room: str = ""
    """The one they look at."""

    editing: str = ""
    """What they are about to change, such as `role/3f2a`; empty for nothing."""


@dataclass(frozen=True, kw_only=True)
class RoleOffered:
    """A role that may be chosen."""

    titles: Mapping[str, str]
    summaries: Mapping[str, str]
    mode: str
    voice: str
    version: int


@dataclass(frozen=True, kw_only=True)
class VoiceOffered:
    """A voice that may be chosen."""

    engines: tuple[str, ...]
    preview: bool
    """A sample can be made."""


@dataclass(frozen=True, kw_only=True)
class PageOffered:
    """A further page of the console."""

    titles: Mapping[str, str]
    module: str
    """Path of its ES module, which defines the custom element `<NAME-page>`."""


@dataclass(frozen=True, kw_only=True)
class House:
    """Everything beside the rooms themselves."""

    version: str
    started_at: float
    rooms: Mapping[str, RoomSummary] = field(default_factory=dict)
    operators: Mapping[str, AtConsole] = field(default_factory=dict)
    engines: Mapping[str, EngineLoad] = field(default_factory=dict)
    cost: Cost = Cost()
    roles: Mapping[str, RoleOffered] = field(default_factory=dict)
    voices: Mapping[str, VoiceOffered] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    """Primary tags that people of the rooms may speak."""

    pages: Mapping[str, PageOffered] = field(default_factory=dict)
    can_join: bool = False
    """Whether `join` has rooms to go to."""

    alerts: Mapping[str, Alert] = field(default_factory=dict)
    """About engines; those about people and directions are their room's."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """What an operator noted."""

    n: int
    at: float
    by: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Notes:
    """The notes of one room; kept in memory, and in the meeting's folder where the text of the meeting is kept."""

    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoomLevels:
    """How loud everybody is now."""

    at_s: float
    """The meeting's media time, by which pages place what they draw."""

    people: Mapping[str, float] = field(default_factory=dict)
    """Id -> dBFS RMS of the last frame; who is silent or opted out is missing."""

    speaking: tuple[str, ...] = ()
    directions: Mapping[str, float] = field(default_factory=dict)
    """Key -> dBFS RMS of what is said."""
