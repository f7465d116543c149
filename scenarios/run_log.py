"""What a finished run of a scenario was: everything a score may ask for, and nothing else. Pure.

There is one clock: seconds from the beginning of the timeline. What a person says is timed where they say it, at
their microphone; what the interpreter says is timed where its listeners hear it. The difference is the whole way:
network, framing, model, floor and cushion.

As JSON a run is the same bytes whenever it is the same run: keys sorted, times to the microsecond, and neither wall
clock nor machine in it. Sounds are named in it and kept beside it (`run_files`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from duplex_model.contract import Pcm
from interpreter.facts_guard.facts import FactKind
from interpreter.floor.floor import FloorEventKind
from interpreter.record.transcript import Mark
from scenarios.plain_data import decoded, encoded
from scenarios.timeline import Kind
from scenarios.voicing import Span

SCHEMA = "interp-run/1"

MODEL_TEXT = "model text"
"""The word source of what a model wrote while it spoke. Other sources name a recogniser."""


@dataclass(frozen=True, kw_only=True)
class SpokenWord:
    """A word that a person says."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class HeardWord:
    """A word that the interpreter says, as its listeners hear it."""

    text: str
    start_s: float
    end_s: float
    utterance_id: str | None = None
    """What it renders; None where nobody knows, and the scores align the texts."""

    source_word: int | None = None
    """Index, in that utterance's words, of the last one it needs; None where nobody knows."""

    as_self: bool = False
    """The interpreter speaks as itself and renders nothing."""

    marks: Mark = Mark.NONE
    """As in the transcript."""

    held_s: float | None = None
    """How much later it is heard than had no floor held it back; None where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class ExpectedFact:
    """A fact that must arrive, in the canonical form of the facts guard."""

    kind: FactKind
    value: str


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A proposition of an utterance, and how it can be said in another language."""

    id: str
    """Unique in the utterance."""

    phrases: Mapping[str, tuple[str, ...]]
    """Language -> phrases of which any shows that the unit was rendered; compared without case and punctuation."""

    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Language -> phrases of which any shows that something else was said in its place."""


@dataclass(frozen=True, kw_only=True)
class SaidUtterance:
    """Something a person said, as it was delivered."""

    id: str
    """Unique in the run."""

    speaker_id: str
    kind: Kind
    language: str
    """Primary tag."""

    text: str
    span: Span
    """From its first sound to its last."""

    words: tuple[SpokenWord, ...]
    references: Mapping[str, str] = field(default_factory=dict)
    """Language -> how a good interpreter says it."""

    facts: tuple[ExpectedFact, ...] | None = None
    """What must arrive; None for what the facts guard finds in the text."""

    units: tuple[Unit, ...] = ()
    """Empty where the scenario names none: the utterance is then one."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in the meeting."""

    id: str
    language: str
    """Primary tag."""

    spurts: tuple[Span, ...]
    """When they are heard talking: stretches with less than 200 ms of silence in them, in order."""


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What the interpreter said for one person in one language."""

    speaker_id: str
    language_in: str
    language_out: str
    listener_ids: tuple[str, ...]
    words: tuple[HeardWord, ...]
    """In order of `start_s`."""

    spurts: tuple[Span, ...]
    """When it is heard, as of a person."""

    word_source: str = MODEL_TEXT
    """Where words and times are from."""


@dataclass(frozen=True, kw_only=True)
class FloorMoment:
    """One thing that happened on the floor of a rendering."""

    kind: FloorEventKind
    at_s: float
    speaker_id: str
    language_out: str
    by: str = ""
    """Whose voice it was; empty for the speaker's own, or where there is none."""

    onset_s: float | None = None
    """When that voice began."""

    text: str = ""
    """What is lost."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """Something the interpreter read to somebody."""

    listener_id: str
    language: str
    text: str
    span: Span


@dataclass(frozen=True, kw_only=True)
class GivenCommand:
    """A command that somebody gave."""

    name: str
    by: str
    at_s: float
    refused: str = ""
    """Why it was not carried out; empty where it was."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunLog:
    """A finished run."""

    scenario_id: str
    duration_s: float
    people: tuple[Person, ...]
    utterances: tuple[SaidUtterance, ...]
    """In order of their first sounds."""

    renderings: tuple[Rendering, ...]
    floor: tuple[FloorMoment, ...] | None = None
    """In order of time; None where the interpreter has no floor that tells."""

    announcements: tuple[Announcement, ...] = ()
    commands: tuple[GivenCommand, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the meeting counted, by the names of `interpreter.metrics.Count`."""

    sounds: Mapping[str, Pcm] = field(default_factory=dict)
    """`original_sound(person)`, `rendering_sound(person, language)`, `mix_sound(listener)` -> pcm [T] from time 0."""

    def rendering(self, speaker_id: str, language_out: str) -> Rendering | None:
        """What was said for somebody in a language."""
        wanted = (speaker_id, language_out)
        return next((one for one in self.renderings if (one.speaker_id, one.language_out) == wanted), None)

    def said_by(self, speaker_id: str) -> tuple[SaidUtterance, ...]:
        """What one person said, in order."""
        return tuple(one for one in self.utterances if one.speaker_id == speaker_id)


def original_sound(person_id: str) -> str:
    """Name of a person's own voice, as it left their microphone."""
    return f"original/{person_id}"


def rendering_sound(speaker_id: str, language_out: str) -> str:
    """Name of a rendering before it is mixed, when it is heard and after the floor's gain."""
    return f"rendering/{speaker_id}/{language_out}"


def mix_sound(listener_id: str) -> str:
    """Name of what somebody hears."""
    return f"mix/{listener_id}"


def to_json(run: RunLog) -> str:
    """The run as text, a final newline included; of its sounds only their names and lengths in samples."""
    lengths = {name: len(pcm) for name, pcm in run.sounds.items()}
    fields = encoded(replace(run, sounds={}))
    assert isinstance(fields, dict)
    whole = {**fields, "schema": SCHEMA, "sounds": lengths}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"


def from_json(text: str, sounds: Mapping[str, Pcm] | None = None) -> RunLog:
    """The run of a text, with the sounds given.

    Raises:
        RunLogError: another schema, or anything missing, unknown or of the wrong kind; the message says where.
    """
    return replace(decoded(RunLog, text, schema=SCHEMA, beside=("sounds",)), sounds=sounds or {})
