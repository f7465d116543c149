"""Every command there is: who may give it, about whom, with which arguments. Pure.

One table, for chat, console, REST, the hosted page and scenarios.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from interpreter.commands.arguments import (
    ArgumentKind,
    Choice,
    Language,
    Languages,
    Name,
    Number,
    Switch,
    Text,
)
from interpreter.roles.role import ROLE_MODES, ScriptId


class Standing(enum.IntEnum):
    """What somebody may do, each all that the ones before it may."""

    VIEWER = 0
    """Looks on, at the console."""

    PARTICIPANT = 1
    """Is in the meeting."""

    HOST = 2
    """Leads the meeting."""

    OPERATOR = 3
    """Runs the interpreter during meetings."""

    ADMIN = 4
    """Runs the installation."""

    @property
    def words(self) -> str:
        """Such as `operator`."""
        return self.name.lower()


class Whom(enum.Enum):
    """Whom a command is about when it names nobody."""

    GIVER = "giver"
    EVERYBODY = "everybody"
    NAMED = "named"
    """There is no such case: somebody has to be named."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """About whom a command may be."""

    unnamed: Whom = Whom.GIVER
    others: Standing | None = None
    """Least standing to name another person; None: everybody for themselves only."""

    everybody: Standing | None = None
    """Least standing to be about everybody; None: one person at a time."""


@dataclass(frozen=True, kw_only=True)
class ArgumentSpec:
    """One argument."""

    name: str
    summary: str
    kind: ArgumentKind
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """One command."""

    name: str
    summary: str
    """What happens, in one sentence."""

    who: Standing
    """Least standing to give it."""

    audit_event: str
    """Its name in the audit log."""

    arguments: tuple[ArgumentSpec, ...] = ()
    subject: Subject | None = None
    """None: it is about the meeting."""

    at_silence: bool = False
    """Takes effect at the next silence of those concerned, never in the middle of an utterance."""

    confirm: bool = False
    """A page asks once more before it sends it."""

    changes: str = ""
    """What it changes that others may have changed meanwhile, such as `role`; empty for what happens once."""

    guarded: bool = False
    """At a console it is refused to whoever has not seen the last change of that. What silences never is."""

    about_room: bool = True
    """It is about one of the rooms; otherwise about all this machine does."""


ME = Subject()
"""Everybody for themselves, nobody for another."""

ME_OR_BY_HOST = Subject(others=Standing.HOST, everybody=Standing.HOST)
"""Everybody for themselves; hosts for anybody and all."""

ALL_OR_ONE = Subject(unnamed=Whom.EVERYBODY, others=Standing.HOST, everybody=Standing.HOST)
ONE = Subject(unnamed=Whom.NAMED, others=Standing.HOST)

SPOKEN_NOTICES: tuple[ScriptId, ...] = (
    "opening",
    "opening_emergency",
    "late_joiner",
    "announcement",
    "reminder",
    "closing",
    "ask_pause",
    "please_wait",
)
"""Scripts that somebody may ask for; the others answer to something that happened."""

EXPORTS = ("vtt", "srt", "jsonl", "notes", "audit", "attest")
"""What may be given out: the transcript in three forms, the operators' notes, the audit log, the identity chain."""

_DIRECTION = ArgumentSpec(name="direction", summary="from which language into which", kind=Languages())
_TERM = Text(100)

_OWN = (
    CommandSpec(
        name="optout",
        summary="My microphone is no longer processed: nobody interprets, writes down or keeps what I say.",
        who=Standing.PARTICIPANT,
        subject=ME,
        audit_event="participant.opted_out",
        changes="opted_out",
    ),
    CommandSpec(
        name="optin",
        summary="My microphone is processed again; only the person themselves can say so.",
        who=Standing.PARTICIPANT,
        subject=ME,
        audit_event="participant.opted_in",
        changes="opted_out",
    ),
    CommandSpec(
        name="language",
        summary="I speak this language, and want to hear the others in it.",
        who=Standing.PARTICIPANT,
        arguments=(ArgumentSpec(name="tag", summary="the language", kind=Language()),),
        subject=Subject(others=Standing.HOST),
        at_silence=True,
        audit_event="participant.language",
        changes="language",
        guarded=True,
    ),
    CommandSpec(
        name="repeat",
        summary="Say again what I heard last.",
        who=Standing.PARTICIPANT,
        subject=ME_OR_BY_HOST,
        audit_event="rendering.repeated",
    ),
    CommandSpec(
        name="human",
        summary="I ask for a human interpreter.",
        who=Standing.PARTICIPANT,
        audit_event="human.requested",
    ),
    CommandSpec(
        name="stop",
        summary="Stop interpreting me and to me, at once; with `all`, everybody.",
        who=Standing.PARTICIPANT,
        subject=ME_OR_BY_HOST,
        audit_event="interpreting.stopped",
        changes="stopped",
    ),
    CommandSpec(
        name="start",
        summary="Interpret me and to me again after `stop`; with `all`, everybody.",
        who=Standing.PARTICIPANT,
        subject=ME_OR_BY_HOST,
        audit_event="interpreting.started",
        changes="stopped",
        guarded=True,
    ),
    CommandSpec(
        name="balance",
        summary="How much I hear of the interpreter: 0 is the original voices alone, 1 the interpreter in front.",
        who=Standing.PARTICIPANT,
        arguments=(ArgumentSpec(name="level", summary="share of the interpreter", kind=Number(0.0, 1.0)),),
        subject=ME,
        audit_event="participant.balance",
    ),
    CommandSpec(
        name="original-only",
        summary="I hear the original voices alone, and others still hear me interpreted.",
        who=Standing.PARTICIPANT,
        arguments=(ArgumentSpec(name="state", summary="on or off", kind=Switch()),),
        subject=ME,
        audit_event="participant.original_only",
    ),
    CommandSpec(
        name="captions",
        summary="I read what the interpreter says.",
        who=Standing.PARTICIPANT,
        arguments=(ArgumentSpec(name="state", summary="on or off", kind=Switch()),),
        subject=ME,
        audit_event="participant.captions",
    ),
    CommandSpec(
        name="who",
        summary="Tells who is here with which language, which directions run, and which interpreter speaks.",
        who=Standing.PARTICIPANT,
        audit_event="told.who",
    ),
    CommandSpec(
        name="stored",
        summary="Tells what is kept of this meeting.",
        who=Standing.PARTICIPANT,
        audit_event="told.stored",
    ),
    CommandSpec(
        name="help",
        summary="Tells which commands there are for me.",
        who=Standing.PARTICIPANT,
        audit_event="told.help",
    ),
)
"""What everybody may do for themselves."""

_HOSTS = (
    CommandSpec(
        name="halt",
        summary="The interpreter is silent at once, in the middle of a word, and drops what was to be said.",
        who=Standing.HOST,
        audit_event="meeting.halted",
        changes="status",
    ),
    CommandSpec(
        name="pause",
        summary="The interpreter finishes its sentence, says that it pauses, and is silent for everybody.",
        who=Standing.HOST,
        audit_event="meeting.paused",
        changes="status",
    ),
    CommandSpec(
        name="resume",
        summary="After `pause` or `halt` the interpreter says that it goes on, and goes on.",
        who=Standing.HOST,
        audit_event="meeting.resumed",
        changes="status",
        guarded=True,
    ),
    CommandSpec(
        name="mode",
        summary="Interpret while people speak, after each turn, or in captions alone.",
        who=Standing.HOST,
        arguments=(ArgumentSpec(name="mode", summary="how to interpret", kind=Choice(ROLE_MODES)),),
        at_silence=True,
        audit_event="meeting.mode",
        changes="mode",
        guarded=True,
    ),
    CommandSpec(
        name="role",
        summary="Interpret everybody, or what one person says, in this role.",
        who=Standing.HOST,
        arguments=(ArgumentSpec(name="name", summary="one of `interpreter roles`", kind=Name("role")),),
        subject=ALL_OR_ONE,
        at_silence=True,
        audit_event="meeting.role",
        changes="role",
        guarded=True,
    ),
    CommandSpec(
        name="voice",
        summary="Interpret everybody, or what one person says, with this voice.",
        who=Standing.HOST,
        arguments=(ArgumentSpec(name="name", summary="one of `interpreter voices`", kind=Name("voice")),),
        subject=ALL_OR_ONE,
        at_silence=True,
        audit_event="meeting.voice",
        changes="voice",
        guarded=True,
    ),
    CommandSpec(
        name="hold",
        summary="Hold back what is said in this direction, of everybody or of one speaker.",
        who=Standing.HOST,
        arguments=(_DIRECTION,),
        subject=ALL_OR_ONE,
        audit_event="direction.held",
        changes="held",
    ),
    CommandSpec(
        name="release",
        summary="Say what was held back, and hold no longer.",
        who=Standing.HOST,
        arguments=(_DIRECTION,),
        subject=ALL_OR_ONE,
        audit_event="direction.released",
        changes="held",
        guarded=True,
    ),
    CommandSpec(
        name="mute-direction",
        summary="What is said in this direction, of everybody or of one speaker, can at once only be read.",
        who=Standing.HOST,
        arguments=(_DIRECTION,),
        subject=ALL_OR_ONE,
        audit_event="direction.muted",
        changes="unvoiced",
    ),
    CommandSpec(
        name="unmute-direction",
        summary="What is said in this direction can be heard again.",
        who=Standing.HOST,
        arguments=(_DIRECTION,),
        subject=ALL_OR_ONE,
        audit_event="direction.unmuted",
        changes="unvoiced",
        guarded=True,
    ),
    CommandSpec(
        name="mute",
        summary="The interpreter no longer listens to this person; the others hear them as they are.",
        who=Standing.HOST,
        subject=ONE,
        audit_event="participant.muted",
        changes="muted",
    ),
    CommandSpec(
        name="unmute",
        summary="The interpreter listens to this person again, unless they opted out.",
        who=Standing.HOST,
        subject=ONE,
        audit_event="participant.unmuted",
        changes="muted",
        guarded=True,
    ),
    CommandSpec(
        name="ask-repeat",
        summary="The interpreter asks this person, in their language, to repeat what they said.",
        who=Standing.HOST,
        subject=ONE,
        audit_event="asked.repeat",
    ),
    CommandSpec(
        name="slower",
        summary="The interpreter asks everybody, or this person, for short sentences and pauses.",
        who=Standing.HOST,
        subject=ALL_OR_ONE,
        audit_event="asked.slower",
    ),
    CommandSpec(
        name="swap",
        summary="Exchange the two languages of the meeting: who was taken for a speaker of one speaks the other.",
        who=Standing.HOST,
        subject=ALL_OR_ONE,
        at_silence=True,
        audit_event="meeting.swapped",
        changes="language",
        guarded=True,
    ),
    CommandSpec(
        name="handover",
        summary="A human takes over: the interpreter is silent for everybody, and captions go on.",
        who=Standing.HOST,
        confirm=True,
        audit_event="human.took_over",
        changes="status",
    ),
    CommandSpec(
        name="handback",
        summary="The human is done: the interpreter says that it goes on, and goes on.",
        who=Standing.HOST,
        audit_event="human.handed_back",
        changes="status",
        guarded=True,
    ),
    CommandSpec(
        name="duck",
        summary="How far an original goes down under the interpreter.",
        who=Standing.HOST,
        arguments=(ArgumentSpec(name="gain", summary="its gain", kind=Number(-60.0, 0.0, "dB")),),
        audit_event="meeting.ducking",
        changes="duck",
        guarded=True,
    ),
    CommandSpec(
        name="priority",
        summary="Where languages sound together, this one stays in front; without a language, none does.",
        who=Standing.HOST,
        arguments=(ArgumentSpec(name="tag", summary="the language", kind=Language(), required=False),),
        audit_event="meeting.priority",
        changes="priority",
        guarded=True,
    ),
    CommandSpec(
        name="notice",
        summary="The interpreter says one of its notices, to everybody or to one person.",
        who=Standing.HOST,
        arguments=(ArgumentSpec(name="name", summary="which one", kind=Choice(SPOKEN_NOTICES)),),
        subject=ALL_OR_ONE,
        audit_event="notice.asked",
    ),
    CommandSpec(
        name="glossary-add",
        summary="Watch for this term and its translation from now on; in chat with `=` between the two.",
        who=Standing.HOST,
        arguments=(
            _DIRECTION,
            ArgumentSpec(name="term", summary="as it is said", kind=_TERM),
            ArgumentSpec(name="translation", summary="as it is to be said", kind=_TERM),
        ),
        audit_event="glossary.added",
    ),
    CommandSpec(
        name="close",
        summary="End the interpretation: closing notice, last record of the identity chain, no more sound.",
        who=Standing.HOST,
        confirm=True,
        audit_event="meeting.closed",
        changes="status",
    ),
)
"""What hosts may do."""

_OPERATORS = (
    CommandSpec(
        name="note",
        summary="Keep a note in the meeting's record, for operators only.",
        who=Standing.OPERATOR,
        arguments=(ArgumentSpec(name="text", summary="the note", kind=Text(500)),),
        audit_event="operator.note",
    ),
    CommandSpec(
        name="preview-voice",
        summary="Play a sample of a voice, in English or in this language, to me alone.",
        who=Standing.OPERATOR,
        arguments=(
            ArgumentSpec(name="name", summary="one of `interpreter voices`", kind=Name("voice")),
            ArgumentSpec(name="tag", summary="the language", kind=Language(), required=False),
        ),
        audit_event="operator.previewed",
    ),
    CommandSpec(
        name="export",
        summary="Give out the transcript, where the meeting keeps one, the notes, or a signed record.",
        who=Standing.OPERATOR,
        arguments=(
            ArgumentSpec(name="format", summary="of the file", kind=Choice(EXPORTS)),
            ArgumentSpec(name="tag", summary="language of a transcript", kind=Language(), required=False),
        ),
        audit_event="transcript.exported",
    ),
    CommandSpec(
        name="invite",
        summary="Give out the room's link, such as for a human who is to take over.",
        who=Standing.OPERATOR,
        audit_event="room.invited",
    ),
    CommandSpec(
        name="verify",
        summary="Check the signed records of the meeting so far.",
        who=Standing.OPERATOR,
        audit_event="record.verified",
    ),
    CommandSpec(
        name="join",
        summary="Interpret in the room at this address.",
        who=Standing.OPERATOR,
        arguments=(ArgumentSpec(name="url", summary="of the room; may hold a secret", kind=Text(500)),),
        audit_event="room.joined",
        about_room=False,
    ),
    CommandSpec(
        name="leave",
        summary="Leave the room at once, with no notice.",
        who=Standing.OPERATOR,
        confirm=True,
        audit_event="room.left",
    ),
    CommandSpec(
        name="scenario",
        summary="Run a scenario on this machine, apart from all meetings.",
        who=Standing.ADMIN,
        arguments=(ArgumentSpec(name="name", summary="one of `scenarios list`", kind=Name("scenario")),),
        audit_event="scenario.run",
        about_room=False,
    ),
)
"""What those may do who run the interpreter."""

COMMANDS: Mapping[str, CommandSpec] = {spec.name: spec for spec in (*_OWN, *_HOSTS, *_OPERATORS)}
"""By name."""
