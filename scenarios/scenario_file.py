"""What a scenario file says: frozen dataclasses, one per part of `interp-scenario/1`, shown in docs/scenarios.md.

    schema: interp-scenario/1
    id: dose-en-es
    title: A dose
    catches: number_changed
    participants:
      doctor: {role: clinician, language: en, voice: f2}
      patient: {role: patient, language: es, voice: m3}
    interpreter: {role: medical-consecutive}
    timeline:
      - id: d1
        by: doctor
        after: {announced: opening, delay: 500ms}
        say: {en: Take fifteen milligrams., es: Tome quince miligramos.}
        faulty: {es: Tome cincuenta miligramos.}
    expect:
      - {of: d1, begin_within: 2.5s, facts: [{kind: quantity, value: 15 mg}]}

`schema` reads such files; what a single value may be is said here, what must fit together in `scenario_checks`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from interpreter.facts_guard.facts import FactKind
from interpreter.roles.role import RoleMode, ScriptId
from interpreter.yaml_file import Check, ranged
from scenarios.faults import Fault
from scenarios.sounds import Background, Noise
from scenarios.speech import VOICES
from scenarios.units import Duration, Gain, Level, Share

SCHEMA = "interp-scenario/1"

MAX_TEXT_CHARACTERS = 2000
"""Two minutes of speech: more is several utterances."""

OPERATOR = "operator"
"""Who gives a command without being in the room; no participant may be named so."""


@dataclass(frozen=True)
class Shaped(Check):
    """A check of text that a regular expression makes, so that editors can make it too."""

    pattern: str
    """Of the whole text."""


def _shaped(pattern: str, words: str) -> Shaped:
    compiled = re.compile(pattern)
    return Shaped(wrong=lambda text: None if compiled.fullmatch(text) else words, pattern=f"^(?:{pattern})$")


@dataclass(frozen=True)
class Filled(Check):
    """A check that a list or a mapping holds something."""


def _at_least_one(words: str) -> Filled:
    return Filled(wrong=lambda values: None if values else words)


def _positive(limit_s: float) -> Check:
    words = f"more than 0s and at most {limit_s:g}s"
    return Check(wrong=lambda duration: None if 0.0 < duration.s <= limit_s else words)


def _not_negative() -> Check:
    return Check(wrong=lambda duration: None if duration.s >= 0.0 else "0s or more")


ScenarioName = Annotated[
    str, _shaped(r"[a-z][a-z0-9]*(-[a-z0-9]+){0,12}", "lower-case words joined by hyphens")
]
Tag = ScenarioName
PersonName = Annotated[
    str, _shaped(r"[a-z][a-z0-9_]{0,30}", "a lower-case word, such as doctor or patient_2")
]
ItemName = Annotated[str, _shaped(r"[a-z][a-z0-9_]{0,30}", "a lower-case word, such as d1 or red_flag")]
Language = Annotated[str, _shaped("en|es", "en or es, in which scenarios can be spoken")]
LanguageTag = Annotated[
    str, _shaped(r"(en|es)(-[A-Z]{2}|-419)?", "en or es, with a region or without, such as es-MX")
]
Line = Annotated[
    str,
    _shaped(
        rf"[^\s\x00-\x1f](?:[^\x00-\x1f]{{0,{MAX_TEXT_CHARACTERS - 2}}}[^\s\x00-\x1f])?",
        f"one line of 1 to {MAX_TEXT_CHARACTERS} characters, without blanks at its ends",
    ),
]
MetricName = Annotated[
    str,
    _shaped(
        r"[a-z][a-z0-9_]{0,60}(\.[a-z0-9_]{1,60}){0,6}", "the name of a figure, such as lag.start_offset.p50"
    ),
]
RoleName = Annotated[str, _shaped(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", "the name of a role")]
VariantName = Annotated[
    str,
    _shaped(
        "|".join(sorted({voice.variant for voices in VOICES.values() for voice in voices})),
        f"one of the voices {', '.join(voice.variant for voice in VOICES['en'])}",
    ),
]
Wait = Annotated[Duration, _positive(600.0)]
LongWait = Annotated[Duration, _positive(7200.0)]
Moment = Annotated[Duration, _not_negative()]


class SayKind(enum.Enum):
    """What an utterance is to whoever is speaking or listening just then."""

    TURN = "turn"
    BACKCHANNEL = "backchannel"  # "mm-hm": go on, I am listening
    INTERRUPTION = "interruption"  # wants the floor
    SELF_REPAIR = "self_repair"  # a turn in which the speaker takes something back


class Event(enum.Enum):
    """Which moment of an item."""

    START = "start"  # its first sound, or when it happens
    END = "end"  # its last sound, or when it is over
    RENDERING_START = "rendering_start"  # the first sound of what the interpreter says for it
    RENDERING_END = "rendering_end"


OF_RENDERINGS = frozenset({Event.RENDERING_START, Event.RENDERING_END})

RENDERING_OR_AFTER = Duration(10.0)
ANNOUNCED_OR_AFTER = Duration(45.0)


@dataclass(frozen=True, kw_only=True)
class After:
    """So long after something: `{of: d1}`, `{of: d1, event: rendering_end, delay: 600ms}`, `{announced: opening}`."""

    one_of: ClassVar = (("of", "announced"),)

    of: ItemName | None = None
    """Id of another item of the timeline."""

    announced: ScriptId | None = None
    """A script of the role instead: after the last sound of the first time that it is said."""

    event: Literal["end", "rendering_end"] = "end"
    """The last sound of the item, or of what the interpreter says for it."""

    language: Language | None = None
    """In which language it is said, where it is said in several."""

    delay: Duration = Duration(0.0)
    """From there; before the end of an utterance where negative: an overlap."""

    or_after: LongWait | None = None
    """Where no rendering or announcement comes: so long after the last sound of the item, or the beginning of the
    run. 10s after an utterance, 45s for an announcement, unless another time is given."""

    def __post_init__(self) -> None:
        """Refuses what is anchored to nothing, or to two things."""
        _check_one_of(self, self.one_of)
        if self.announced is not None and self.event != "end":
            raise ValueError(f"expected `event` end for `announced`, got {self.event}")
        if self.delay.s < 0.0 and (self.announced is not None or self.event == "rendering_end"):
            raise ValueError(
                "expected a `delay` of 0s or more after what the interpreter says, whose end nobody knows before, "
                f"got {self.delay.s:g}s"
            )
        if self.or_after is not None and self.of is not None and self.event == "end":
            raise ValueError(
                "expected `or_after` only where the interpreter is waited for, got it after an item"
            )

    @property
    def deadline(self) -> Duration:
        """`or_after`, or its default."""
        return self.or_after or (RENDERING_OR_AFTER if self.announced is None else ANNOUNCED_OR_AFTER)


@dataclass(frozen=True, kw_only=True)
class During:
    """While something sounds: `{of: d1, delay: 900ms}`, `{of: d1, event: rendering_start, delay: 1s}`."""

    of: ItemName
    """Id of an utterance."""

    event: Literal["start", "rendering_start"] = "start"
    """The first sound of the utterance, or of what the interpreter says for it."""

    language: Language | None = None
    """In which language it is said, where it is said in several."""

    delay: Wait
    """From there; the utterance must last longer."""

    or_after: Wait | None = None
    """Where no rendering comes: so long after the last sound of the utterance; 10s unless another time is given."""

    def __post_init__(self) -> None:
        """Refuses a time limit for what always comes."""
        if self.or_after is not None and self.event == "start":
            raise ValueError(
                "expected `or_after` only where the interpreter is waited for, got it for `start`"
            )

    @property
    def deadline(self) -> Duration:
        """`or_after`, or its default."""
        return self.or_after or RENDERING_OR_AFTER


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Somebody's whole microphone, recorded; their utterances are cut out of it."""

    file: Path
    """A sound file of any rate that libsndfile reads, relative to the scenario file."""

    textgrid: Path | None = None
    """When each word is said: a TextGrid with a tier of words."""

    tier: Line = "words"
    """The name of that tier."""

    words: Path | None = None
    """When each word is said, as JSON: {"chunks": [{"text": "Hello", "timestamp": [0.1, 0.4]}]}, in seconds."""

    def __post_init__(self) -> None:
        """Refuses two sources of the same."""
        if self.textgrid is not None and self.words is not None:
            raise ValueError("expected `textgrid` or `words`, got both")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A stretch of a recording."""

    start: Moment
    end: Moment

    def __post_init__(self) -> None:
        """Refuses an empty one."""
        if self.end.s <= self.start.s:
            raise ValueError(f"expected `end` after `start`, got {self.end.s:g}s after {self.start.s:g}s")


@dataclass(frozen=True, kw_only=True)
class Room:
    """What sounds in somebody's microphone all the time."""

    sound: Background
    level: Level
    """At which it sounds; voices are at -26dBFS."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in the meeting."""

    one_of: ClassVar = (("voice", "recording"),)

    role: Literal["clinician", "patient", "relative", "staff"]
    """Who they are to the others."""

    language: LanguageTag
    """What they speak, and want to hear."""

    name: Line | None = None
    """As shown; their key without one."""

    host: bool = False
    """Whether they lead the meeting, and may give a host's commands."""

    voice: VariantName | None = None
    """Of espeak-ng; each person their own. Without one, `recording` holds their voice."""

    rate_wpm: int = ranged(160, 80, 450)
    """Words a minute of that voice."""

    recording: Recording | None = None
    room: Room | None = None
    joins: Moment | None = None
    """When they come; at the beginning without one, unless a `join` of the timeline lets them in."""

    leaves: Moment | None = None
    """When they go; at the end without one."""

    def __post_init__(self) -> None:
        """Refuses somebody with two voices, with none, or gone before they came."""
        _check_one_of(self, self.one_of)
        if self.leaves is not None and self.leaves.s <= (self.joins.s if self.joins else 0.0):
            raise ValueError(f"expected `leaves` after `joins`, got {self.leaves.s:g}s")

    @property
    def primary_language(self) -> str:
        """Such as `es` of `es-MX`."""
        return self.language.split("-")[0]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The interpreter of the meeting."""

    role: RoleName = "medical-consecutive"
    """One of `interpreter roles`."""

    role_file: Path | None = None
    """The file of a role instead, relative to the scenario file."""

    mode: RoleMode | None = None
    """How it interprets; the role's without one."""

    keep: tuple[Literal["text", "audio"], ...] = ()
    """What of the meeting is kept, which the opening tells; nothing by default."""

    reminder: LongWait | None = None
    """From one reminder that an AI interprets to the next; the role's without one."""


@dataclass(frozen=True, kw_only=True)
class NoiseMade:
    """A cough, a knock: heard, and said by nobody."""

    sound: Noise
    level: Level = Level(-26.0)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Packets of somebody that never come."""

    share: Share
    """Of their packets."""

    lasts: Wait


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Somebody's connection breaks, and comes back."""

    lasts: Wait


@dataclass(frozen=True, kw_only=True)
class Said:
    """An utterance."""

    texts: Mapping[str, str]
    """Primary language -> text: as it is said in the speaker's, and as a perfect interpreter says it in the others."""

    faulty: Mapping[str, str]
    """Primary language -> what an interpreter says that has the fault the scenario catches."""

    kind: SayKind
    gain_db: float
    cut: Cut | None


@dataclass(frozen=True, kw_only=True)
class CommandGiven:
    """A command of the one table, as typed in chat without its prefix."""

    line: str


@dataclass(frozen=True)
class Joins:
    """Somebody comes."""


@dataclass(frozen=True)
class Leaves:
    """Somebody goes."""


Action = Said | NoiseMade | CommandGiven | Loss | Drop | Joins | Leaves
"""What happens."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that happens: by whom, when (`at`, `after` or `during`), and what (`say`, `noise`, `command`, …)."""

    one_of: ClassVar = (
        ("at", "after", "during"),
        ("say", "noise", "command", "loss", "drop", "join", "leave"),
    )

    id: ItemName
    """Unique in the file."""

    by: PersonName | None = None
    """A participant. Commands may also be given by `operator`, at the console: who is meant without anybody named."""

    at: Moment | None = None
    """From the beginning of the run."""

    after: After | None = None
    during: During | None = None

    say: Mapping[Language, Line] | None = None
    """Language -> text: as the speaker says it in theirs, and as a perfect interpreter says it in each other one."""

    kind: SayKind = SayKind.TURN
    """What the utterance is to the others."""

    gain: Gain = Gain(0.0)
    """How much louder than everybody it is said."""

    cut: Cut | None = None
    """Where in the speaker's recording it is said."""

    faulty: Mapping[Language, Line] | None = None
    """Language -> what an interpreter says here that has the fault `catches`."""

    noise: NoiseMade | None = None
    command: Line | None = None
    """As typed in chat after the prefix, such as `language es` or `mode simultaneous`."""

    loss: Loss | None = None
    drop: Drop | None = None
    join: bool = False
    """They come; before that they are not in the meeting."""

    leave: bool = False
    """They go, and do not come back."""

    def __post_init__(self) -> None:
        """Refuses what happens never or at two times, and what is nothing or two things."""
        _check_one_of(self, self.one_of)
        if self.by is None and self.command is None:
            raise ValueError(f"expected `by` in {self.id}, got none")
        if self.say is None:
            given = [name for name in ("cut", "faulty") if getattr(self, name) is not None]
            given += ["kind"] if self.kind is not SayKind.TURN else []
            given += ["gain"] if self.gain.db else []
            if given:
                raise ValueError(f"expected `{given[0]}` only beside `say`, got it in {self.id}")

    @property
    def action(self) -> Action:
        """What happens."""
        if self.say is not None:
            return Said(
                texts=self.say,
                faulty=self.faulty or {},
                kind=self.kind,
                gain_db=self.gain.db,
                cut=self.cut,
            )
        if self.command is not None:
            return CommandGiven(line=self.command)
        other = self.noise or self.loss or self.drop
        return other if other is not None else Joins() if self.join else Leaves()

    @property
    def anchor(self) -> After | During | None:
        """What it hangs on; None where it has a time of its own."""
        return self.after or self.during

    @property
    def awaits_interpreter(self) -> bool:
        """Whether its time depends on when the interpreter says something."""
        event = self.after.event if self.after else self.during.event if self.during else "start"
        announced = self.after is not None and self.after.announced is not None
        return announced or Event(event) in OF_RENDERINGS


@dataclass(frozen=True, kw_only=True)
class FactSaid:
    """A critical fact, as the facts guard reads it."""

    kind: FactKind
    value: Line
    """Canonical, the same in every language: `15 mg`, `every 8 hour`, `left knee`, `no penicillin`."""


@dataclass(frozen=True, kw_only=True)
class Silence:
    """The interpreter says nothing."""

    within: Moment = Duration(0.0)
    """So long after the last sound, or the happening, at the latest."""

    hold: Wait
    """At least so long from then on."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """The interpreter says a script of its role."""

    script: ScriptId
    within: Wait
    """So long after the item's end at the latest, to its last sound."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What is expected of an item of the timeline, for those who hear or read its rendering."""

    of: ItemName
    """Id of the item."""

    to: PersonName | None = None
    """For whom; everybody of another language than the speaker's without one."""

    begin_within: Duration | None = None
    """The rendering begins so long after `counted_from` at the latest."""

    counted_from: Literal["start", "end"] = "end"
    """The first or the last sound of the utterance."""

    not_before: Literal["start", "end"] = "start"
    """`end`: the rendering begins after the whole turn, as in consecutive mode."""

    end_within: Duration | None = None
    """The rendering ends so long after the utterance's last sound at the latest."""

    facts: tuple[FactSaid, ...] = ()
    """The rendering says them."""

    forbid: tuple[FactSaid, ...] = ()
    """The rendering says none of them."""

    says: tuple[Line, ...] = ()
    """The rendering has each of them, in words; `|` stands between words that are as good."""

    never_says: tuple[Line, ...] = ()
    """The rendering has none of them."""

    person: Literal["first"] | None = None
    """Nobody is spoken of who speaks: no "he says that"."""

    yields: Wait | None = None
    """The rendering that sounds to the person who interrupts stops so long after their first sound at the latest."""

    resumes_within: Wait | None = None
    """What was cut is said to its end, again or from there on, so long after the utterance's last sound at the
    latest."""

    ignored_backchannel: Wait | None = None
    """The rendering goes on through it: it does not stop within so long after the first sound."""

    silence: Silence | None = None
    captions_only: bool = False
    """The rendering comes as text, and makes no sound."""

    announcement: Announcement | None = None
    human_asked: bool = False
    """A human interpreter is called for."""

    refused: bool = False
    """The command is not carried out, and who gave it is told why."""

    def __post_init__(self) -> None:
        """Refuses an expectation of nothing."""
        if not self.checks_rendering and not self.checks_behaviour:
            raise ValueError(f"expected something of {self.of}, got nothing")

    @property
    def checks_rendering(self) -> bool:
        """Whether it is about what is said for an utterance."""
        timed = self.begin_within is not None or self.end_within is not None or self.not_before == "end"
        return timed or self.checks_words or self.captions_only

    @property
    def checks_words(self) -> bool:
        """Whether it is about the words of a rendering."""
        return bool(self.facts or self.forbid or self.says or self.never_says or self.person)

    @property
    def checks_behaviour(self) -> bool:
        """Whether it is about anything but the rendering itself."""
        awaited = (
            self.yields,
            self.resumes_within,
            self.ignored_backchannel,
            self.silence,
            self.announcement,
        )
        return any(one is not None for one in awaited) or self.human_asked or self.refused


@dataclass(frozen=True, kw_only=True)
class Disclosed:
    """People are told that no human interprets."""

    languages: Annotated[tuple[Language, ...], _at_least_one("a language at least")]
    within: Wait
    """From the beginning, to the last sound of the sentence that says so, in all of the languages."""


@dataclass(frozen=True, kw_only=True)
class Invariants:
    """What holds over the whole run."""

    disclosure: Disclosed | None = None
    reminded_every: LongWait | None = None
    """In every stretch of so long from the end of the opening on, everybody is reminded that an AI interprets."""

    nobody_hears_own_language: bool = True
    """Nobody hears an interpreter say again, in their own language, what was said in it."""

    both_sides_told: bool = True
    """Whatever the interpreter says of itself to everybody is said in every language that somebody speaks."""

    no_clipping: bool = True
    """No mix reaches full scale."""

    max_drift: Wait | None = None
    """Renderings of the last third of the run lag by at most so much more than those of the first."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between which a figure has to lie."""

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        """Refuses bounds that bound nothing, or that nothing fulfils."""
        if self.min is None and self.max is None:
            raise ValueError("expected `min` or `max`, got none")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError(f"expected `max` of at least {self.min:g}, got {self.max:g}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the dialogue comes from."""

    origin: Line = "original"
    """`original`, or the corpus and the item of it."""

    licence: Line = "Apache-2.0"
    """SPDX identifier where there is one."""

    attribution: Line | None = None
    """Whom the licence wants named."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One dialogue, what is expected of whoever interprets it, and the one fault it is there to catch."""

    schema: Literal["interp-scenario/1"]
    """The format of the file."""

    id: ScenarioName
    """Unique among those that are replayed together."""

    title: Line
    about: Line | None = None
    """Why the scenario is there, in a sentence."""

    tags: tuple[Tag, ...] = ()
    """By which it is chosen."""

    draft: bool = False
    """Not finished: texts may be without their renderings, and nothing need be expected. It can be loaded and edited,
    and is never replayed."""

    catches: Fault | None = None
    """The fault that an interpreter must not have."""

    source: Source = field(default_factory=Source)
    seed: int = ranged(0, 0, 2**31 - 1)
    """Of noises, losses and sessions."""

    participants: Annotated[Mapping[PersonName, Person], _at_least_one("a participant at least")]
    """In the order in which they come in."""

    interpreter: Setup = field(default_factory=Setup)
    timeline: Annotated[tuple[Item, ...], _at_least_one("an item at least")]
    expect: tuple[Expectation, ...] = ()
    invariants: Invariants = field(default_factory=Invariants)
    thresholds: Mapping[MetricName, Bounds] = field(default_factory=dict)
    """Figure of the scores -> its bounds."""

    lasts: LongWait | None = None
    """The run is at least so long."""

    tail: Annotated[Duration, _positive(120.0)] = Duration(6.0)
    """How long it goes on after the last event."""

    def item(self, item_id: str) -> Item:
        """The item of that id; KeyError for none."""
        return {one.id: one for one in self.items}[item_id]

    @property
    def items(self) -> tuple[Item, ...]:
        """The timeline, and the comings and goings that stand with the participants."""
        return (
            *(
                Item(id=f"{name}_joins", by=name, at=person.joins, join=True)
                for name, person in self.participants.items()
                if person.joins is not None
            ),
            *self.timeline,
            *(
                Item(id=f"{name}_leaves", by=name, at=person.leaves, leave=True)
                for name, person in self.participants.items()
                if person.leaves is not None
            ),
        )

    @property
    def languages(self) -> tuple[str, ...]:
        """Primary languages of the participants, in their order."""
        return tuple(dict.fromkeys(person.primary_language for person in self.participants.values()))

    def listeners(self, item: Item) -> tuple[str, ...]:
        """Names of those whom an utterance is rendered for: of another language than its speaker's."""
        spoken = self.participants[item.by or ""].primary_language
        return tuple(name for name, person in self.participants.items() if person.primary_language != spoken)


def _check_one_of(section: object, groups: tuple[tuple[str, ...], ...]) -> None:
    """Refuses a section that has none of a group's keys, or several."""
    for names in groups:
        given = [f"`{name}`" for name in names if getattr(section, name) not in (None, False)]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise ValueError(f"expected one of {', '.join(f'`{name}`' for name in names)}, got {got}")
