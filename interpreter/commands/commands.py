"""Commands: what somebody asks of the interpreter, checked and typed, wherever it was typed or clicked. Pure.

    !interp language español            a line of chat      -> chat_commands.parse_chat
    {"name": "language", "tag": "es"}   a page, REST        -> invoke
                                                               Invocation -> the meeting, and the audit log

What is not to be carried out is a `CommandError` in words for whoever asked. The table itself is in `command_table`,
the types of arguments in `command_arguments`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from interpreter.commands.arguments import Choice, LanguagePair, Switch, Text, Value
from interpreter.commands.table import COMMANDS, ArgumentSpec, CommandSpec, Standing, Subject, Whom
from interpreter.errors import BadArgument, NotAllowed, UnknownCommand
from interpreter.languages import folded

CHAT_PREFIX = "!interp"
PARTICIPANT = "participant"
"""Name of the argument that says whom a command is about: an id, a name, `me` or `all`."""

ME_WORD = "me"
ALL_WORD = "all"

MAX_CHAT_CHARACTERS = 700
MAX_NAMES_SHOWN = 8
MAX_CHOICES_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who gives a command."""

    name: str
    """For people and the audit log; untrusted text where it is a participant's."""

    standing: Standing
    participant_id: str | None = None
    """Their id in the room; None for somebody at a console, who is not in it."""

    token_hash: str = ""
    """Hash of the token they came with; empty where the room vouches for them."""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A command that may be carried out."""

    spec: CommandSpec
    actor: Actor
    subject: str | None = None
    """Id of the participant it is about; None for everybody, or where it is about the meeting."""

    arguments: Mapping[str, Value] = field(default_factory=dict)
    """By name; optional ones that were not given are absent."""

    language: str | None = None
    """In which it was typed, where its words tell: for the answer to somebody whose language nobody knows."""

    def auditable(self) -> Mapping[str, str | float | bool]:
        """The arguments without private ones: nothing that was said, no secret."""
        return {
            argument.name: str(value) if isinstance(value, LanguagePair) else value
            for argument in self.spec.arguments
            if not argument.kind.private and (value := self.arguments.get(argument.name)) is not None
        }


def invoke(
    name: str, raw_arguments: Mapping[str, object], actor: Actor, people: Mapping[str, str]
) -> Invocation:
    """The command `name` as `actor` gives it.

    Args:
        name: of the command.
        raw_arguments: by name, as text or JSON values; `participant` says whom it is about.
        actor: who gives it.
        people: id -> name of everybody in the meeting.

    Raises:
        UnknownCommand: there is none of that name.
        NotAllowed: `actor` may not give it, or not about this person.
        BadArgument: an argument is missing, unknown or of the wrong kind.
    """
    spec = find_command(name, actor)
    given = {key: value for key, value in raw_arguments.items() if value is not None}
    subject = _subject(spec, given.pop(PARTICIPANT, None), actor, people)
    return Invocation(spec=spec, actor=actor, subject=subject, arguments=_values(spec, given))


def permitted(actor: Actor) -> Sequence[CommandSpec]:
    """The commands that `actor` may give, in the table's order."""
    return [spec for spec in COMMANDS.values() if actor.standing >= spec.who]


def usage(spec: CommandSpec) -> str:
    """How to type a command in chat, such as `!interp duck GAIN`; what may be left out stands in brackets."""
    words = [CHAT_PREFIX, spec.name]
    for argument in spec.arguments:
        word = _placeholder(argument)
        words.append(word if argument.required else f"[{word}]")
    if any(isinstance(argument.kind, Text) for argument in spec.arguments[:-1]):
        words.insert(-1, "=")
    if spec.subject is not None and spec.subject.others is not None:
        everybody = f"|{ALL_WORD}" if spec.subject.everybody is not None else ""
        whom = f"{PARTICIPANT.upper()}{everybody}"
        words.append(whom if spec.subject.unnamed is Whom.NAMED else f"[{whom}]")
    return " ".join(words)


def describe() -> Mapping[str, object]:
    """The table for pages and OpenAPI: every command with a JSON Schema (draft 2020-12) of its arguments."""
    return {
        "commands": [
            {
                "name": spec.name,
                "usage": usage(spec),
                "summary": spec.summary,
                "who": spec.who.words,
                "at_silence": spec.at_silence,
                "confirm": spec.confirm,
                "guarded": spec.guarded,
                "about_room": spec.about_room,
                "audit_event": spec.audit_event,
                "arguments": argument_schema(spec),
            }
            for spec in COMMANDS.values()
        ]
    }


def argument_schema(spec: CommandSpec) -> Mapping[str, object]:
    """JSON Schema (draft 2020-12) of the arguments of `spec`, as one object."""
    properties: dict[str, object] = {
        argument.name: {"description": argument.summary, **argument.kind.schema()}
        for argument in spec.arguments
    }
    required = [argument.name for argument in spec.arguments if argument.required]
    if spec.subject is not None:
        properties[PARTICIPANT] = {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CHAT_CHARACTERS,
            "description": f"whom it is about: an id, a name or {ME_WORD}"
            + (f", or {ALL_WORD}" if spec.subject.everybody is not None else ""),
        }
        required += [PARTICIPANT] if spec.subject.unnamed is Whom.NAMED else []
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _placeholder(argument: ArgumentSpec) -> str:
    if isinstance(argument.kind, Choice) and len(argument.kind.choices) <= MAX_CHOICES_SHOWN:
        return "|".join(argument.kind.choices)
    return "on|off" if isinstance(argument.kind, Switch) else argument.name.upper()


def find_command(name: str, actor: Actor) -> CommandSpec:
    """The command of that name in the table, if `actor` may give it.

    Raises:
        UnknownCommand: there is none.
        NotAllowed: it is for others.
    """
    spec = COMMANDS.get(name.strip().lower().replace("_", "-"))
    if spec is None:
        close = difflib.get_close_matches(name, [spec.name for spec in permitted(actor)], n=2)
        hint = f" (did you mean {' or '.join(f'`{one}`' for one in close)}?)" if close else ""
        raise UnknownCommand(f"expected a command, got {shown(name)}{hint}; `help` tells which there are")
    if actor.standing < spec.who:
        raise NotAllowed(f"expected {_a(spec.who)} for `{spec.name}`, got {_a(actor.standing)}")
    return spec


def _subject(spec: CommandSpec, raw: object, actor: Actor, people: Mapping[str, str]) -> str | None:
    """Id of whom the command is about; None for everybody or the meeting."""
    if spec.subject is None:
        if raw is not None:
            raise BadArgument(f"expected nobody named for `{spec.name}`, which is about the meeting")
        return None
    whom = _keyword(spec.subject, raw)
    if whom is Whom.EVERYBODY:
        _check_everybody(spec, spec.subject, actor)
        return None
    if whom is Whom.GIVER:
        if actor.participant_id is None:
            raise BadArgument(
                f"expected a participant for `{spec.name}`, as you are not in the meeting, got none"
            )
        return actor.participant_id
    if raw is None:
        raise BadArgument(f"expected a participant for `{spec.name}` ({_names(people)}), got none")
    person = _find_person(raw, people)
    if person != actor.participant_id:
        _check_others(spec, spec.subject, actor)
    return person


def _a(standing: Standing) -> str:
    return f"{'an' if standing.words[0] in 'ao' else 'a'} {standing.words}"


def _keyword(subject: Subject, raw: object) -> Whom:
    """Whom `raw` means by not being there or being a keyword; `NAMED` where it names somebody."""
    if raw is None:
        return subject.unnamed
    word = raw.strip().lower() if isinstance(raw, str) else ""
    return {ME_WORD: Whom.GIVER, ALL_WORD: Whom.EVERYBODY}.get(word, Whom.NAMED)


def _check_everybody(spec: CommandSpec, subject: Subject, actor: Actor) -> None:
    if subject.everybody is None:
        raise BadArgument(f"expected one person for `{spec.name}`, got {ALL_WORD}")
    if actor.standing < subject.everybody:
        raise NotAllowed(
            f"expected {_a(subject.everybody)} for `{spec.name}` about everybody, got {_a(actor.standing)}"
        )


def _check_others(spec: CommandSpec, subject: Subject, actor: Actor) -> None:
    if subject.others is None:
        raise NotAllowed(f"expected everybody to say `{spec.name}` for themselves, got another person named")
    if actor.standing < subject.others:
        raise NotAllowed(
            f"expected {_a(subject.others)} for `{spec.name}` about another, got {_a(actor.standing)}"
        )


def _find_person(raw: object, people: Mapping[str, str]) -> str:
    """The id of the one person that `raw` names, by id, whole name or the first words of it."""
    wanted = raw.strip().removeprefix("@") if isinstance(raw, str) else ""
    if wanted in people:
        return wanted
    names = {person: " ".join(folded(name).split()) for person, name in people.items()}
    sought = " ".join(folded(wanted).split())
    found = [person for person, name in names.items() if name == sought]
    found = found or [person for person, name in names.items() if sought and name.startswith(f"{sought} ")]
    if not found:
        raise BadArgument(f"expected somebody in the meeting ({_names(people)}), got {shown(raw)}")
    if len(found) > 1:
        ids = ", ".join(sorted(found))
        raise BadArgument(
            f"expected one person, got {shown(raw)}, which may be any of {ids}: give one of these"
        )
    return found[0]


def _values(spec: CommandSpec, given: Mapping[str, object]) -> Mapping[str, Value]:
    """The arguments, read."""
    known = {argument.name for argument in spec.arguments}
    for name in given:
        if name not in known:
            expected = f"only {', '.join(sorted(known))}" if known else "no arguments"
            raise BadArgument(f"expected {expected} for `{spec.name}`, got {shown(name)}")
    for argument in spec.arguments:
        if argument.required and argument.name not in given:
            raise BadArgument(f"expected {argument.kind.words()} for `{spec.name}`, got nothing")
    return {
        argument.name: _value(spec, argument, given[argument.name])
        for argument in spec.arguments
        if argument.name in given
    }


def _value(spec: CommandSpec, argument: ArgumentSpec, value: object) -> Value:
    try:
        return argument.kind.read(value)
    except ValueError as error:
        got = "something else" if argument.kind.private else shown(value)
        raise BadArgument(f"{error} for `{spec.name}`, got {got}") from error


def _names(people: Mapping[str, str]) -> str:
    names = sorted(people.values())
    more = ["…"] if len(names) > MAX_NAMES_SHOWN else []
    return ", ".join([*(_short(name) for name in names[:MAX_NAMES_SHOWN]), *more]) or "nobody is in it"


def shown(value: object) -> str:
    """A value for a message: short, without anything that cannot be shown."""
    if isinstance(value, str):
        return f"`{_short(value)}`"
    if isinstance(value, bool | float):
        return f"`{value}`"
    if isinstance(value, int):
        return f"`{value}`" if abs(value) < 10**12 else "a huge number"
    return "a list" if isinstance(value, list | tuple) else "something else"


def _short(text: str) -> str:
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= 40 else f"{text[:40]}…"
