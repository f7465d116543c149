"""Carries out commands: changes the standing orders, and asks the meeting for what happens once. Pure.

A command was checked before (`commands.invoke`); here it always has an answer, in the language of who gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol as TypingProtocol
from typing import cast

from interpreter.commands.arguments import LanguagePair, Value
from interpreter.commands.commands import Invocation, permitted
from interpreter.commands.orders import Held, Human, Orders
from interpreter.commands.replies import refusal, reply, reply_language
from interpreter.commands.table import COMMANDS
from interpreter.directions import Direction, primary_language
from interpreter.errors import CommandError
from interpreter.languages import LANGUAGE_WORDS
from interpreter.notices.protocol import Announcement
from interpreter.roles.library import RoleLibrary
from interpreter.roles.role import Role, RoleMode, ScriptId
from interpreter.roles.scripts import script
from webrtc.room import Stored


class Stage(TypingProtocol):
    """What commands ask of the meeting beyond its orders."""

    @property
    def people(self) -> Mapping[str, str]:
        """Participant id -> name."""
        ...

    @property
    def languages(self) -> Mapping[str, str | None]:
        """Participant id -> primary language."""
        ...

    @property
    def directions(self) -> Collection[Direction]:
        """Those being interpreted."""
        ...

    @property
    def voices(self) -> Collection[str]:
        """Names of the voices that engines know."""
        ...

    @property
    def channels(self) -> bool:
        """Whether everybody hears everything, on one channel for each language."""
        ...

    @property
    def checksum(self) -> str:
        """Of the interpreter that speaks."""
        ...

    @property
    def stored(self) -> Collection[Stored]:
        """What is kept of the meeting."""
        ...

    def announce(self, announcement: Announcement) -> None:
        """Has something said."""
        ...

    def repeat(self, listener_id: str | None) -> bool:
        """Has what a listener, or everybody, heard last said again; False when there was nothing."""
        ...

    def watch_for(self, pair: LanguagePair, term: str, translation: str) -> None:
        """Adds a term to the glossary."""
        ...

    def silence(self) -> None:
        """Drops everything that is being said or still to be said, at once."""
        ...

    def close_interpretation(self) -> None:
        """Ends the interpretation, after its closing notice."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody is told who gave a command."""

    accepted: bool
    text: str
    language: str


class Control:
    """Commands of one meeting.

    Args:
        orders: that they change.
        roles: that may be chosen.
        meeting: that they act on.
    """

    def __init__(self, orders: Orders, roles: RoleLibrary, meeting: Stage) -> None:
        self._orders = orders
        self._roles = roles
        self._meeting = meeting

    def carry_out(self, invocation: Invocation) -> Answer:
        """Does what is asked; the meeting brings itself up to the changed orders afterwards."""
        giver = invocation.actor.participant_id
        language = self._meeting.languages.get(giver) if giver is not None else None
        language = language or invocation.language
        accepted, key, words = _DO[invocation.spec.name](self, invocation, language)
        return Answer(
            accepted=accepted, text=reply(language, key, **words), language=reply_language(language)
        )

    # For oneself ----------------------------------------------------------------------------------------------------

    def _optout(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.opted_out.add(_subject(asked))
        return _done("optout")

    def _optin(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.opted_out.discard(_subject(asked))
        return _done("optin")

    def _language(self, asked: Invocation, language: str | None) -> _Outcome:
        chosen = _primary(str(asked.arguments["tag"]))
        self._orders.languages[_subject(asked)] = chosen
        return self._told("language", asked, language=_named(chosen, language))

    def _repeat(self, asked: Invocation, language: str | None) -> _Outcome:
        return _done("repeat") if self._meeting.repeat(asked.subject) else _refused("nothing-to-repeat")

    def _human(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._orders.human is Human.NOT_ASKED:
            self._orders.human = Human.ASKED
            self._announce("human_requested", None)
        return _done("human")

    def _stop(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.stopped |= self._concerned(asked)
        if self._meeting.channels and asked.subject == asked.actor.participant_id:
            return _done("stop-channel")
        return self._told("stop", asked)

    def _start(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.stopped -= self._concerned(asked)
        return self._told("start", asked)

    def _balance(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._meeting.channels:
            return _refused("no-own-mix")
        self._orders.balances[_subject(asked)] = float(asked.arguments["level"])  # type: ignore[arg-type]
        return _done("balance")

    def _original_only(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._meeting.channels:
            return _refused("no-own-mix")
        on = bool(asked.arguments["state"])
        _set(self._orders.original_only, _subject(asked), on)
        return _done("original-on" if on else "original-off")

    def _captions(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._meeting.channels:
            return _refused("no-own-captions")
        on = bool(asked.arguments["state"])
        _set(self._orders.captions_off, _subject(asked), not on)
        return _done("captions-on" if on else "captions-off")

    def _who(self, asked: Invocation, language: str | None) -> _Outcome:
        meeting = self._meeting
        people = ", ".join(
            f"{name} ({_named(meeting.languages.get(who) or '?', language)})"
            for who, name in meeting.people.items()
        )
        pairs = sorted({(d.language_in, d.language_out) for d in meeting.directions})
        directions = ", ".join(f"{heard} > {said}" for heard, said in pairs)
        return _done(
            "who",
            people=people or "-",
            role=self._orders.cast.role.name,
            checksum=meeting.checksum[:8],
            directions=directions or reply(language, "nothing-interpreted"),
        )

    def _stored(self, asked: Invocation, language: str | None) -> _Outcome:
        stored = [reply(language, f"stored-{one.value}") for one in Stored if one in self._meeting.stored]
        return _done("stored", stored=", ".join(stored)) if stored else _done("stored-nothing")

    def _help(self, asked: Invocation, language: str | None) -> _Outcome:
        return _done("help", commands=", ".join(spec.name for spec in permitted(asked.actor)))

    # For hosts ------------------------------------------------------------------------------------------------------

    def _pause(self, asked: Invocation, language: str | None) -> _Outcome:
        if not self._orders.paused:
            self._orders.paused = True
            self._announce("paused", None)
        return _done("pause")

    def _halt(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.halted = True
        self._meeting.silence()
        return _done("halt")

    def _resume(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._orders.silenced:
            self._orders.paused = self._orders.halted = False
            self._announce("resumed", None)
        return _done("resume")

    def _mode(self, asked: Invocation, language: str | None) -> _Outcome:
        mode = cast(RoleMode, asked.arguments["mode"])
        self._orders.cast = replace(self._orders.cast, mode=mode)
        if mode == "captions":
            self._announce("captions_only", None)
        return _done("mode", mode=reply(language, mode))

    def _role(self, asked: Invocation, language: str | None) -> _Outcome:
        name = str(asked.arguments["name"])
        role = self._roles.roles.get(name)
        if role is None:
            return _refused("unknown-role", role=name, roles=", ".join(self._roles.roles))
        now = self._orders.cast
        if asked.subject is None:
            self._orders.cast = replace(now, role=role, roles={}, mode=None)
        else:
            self._orders.cast = replace(now, roles={**now.roles, asked.subject: role})
        return _done("role", role=_title(role, language))

    def _voice(self, asked: Invocation, language: str | None) -> _Outcome:
        name = str(asked.arguments["name"])
        if name not in self._meeting.voices:
            return _refused(
                "unknown-voice", voice=name, voices=", ".join(sorted(self._meeting.voices)) or "-"
            )
        now = self._orders.cast
        if asked.subject is None:
            self._orders.cast = replace(now, voice=name, voices={})
        else:
            self._orders.cast = replace(now, voices={**now.voices, asked.subject: name})
        return _done("voice", voice=name)

    def _hold(self, asked: Invocation, language: str | None) -> _Outcome:
        held = _held(asked)
        self._orders.held.add(held)
        return _done("hold", direction=_pair(held))

    def _release(self, asked: Invocation, language: str | None) -> _Outcome:
        done = _discard(self._orders.held, _held(asked))
        return (_done if done else _refused)("release" if done else "not-held", direction=_pair(_held(asked)))

    def _mute_direction(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.unvoiced.add(_held(asked))
        return _done("mute-direction", direction=_pair(_held(asked)))

    def _unmute_direction(self, asked: Invocation, language: str | None) -> _Outcome:
        done = _discard(self._orders.unvoiced, _held(asked))
        key = "unmute-direction" if done else "not-muted-direction"
        return (_done if done else _refused)(key, direction=_pair(_held(asked)))

    def _mute(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.muted.add(_subject(asked))
        return _done("mute", person=self._name(asked))

    def _unmute(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.muted.discard(_subject(asked))
        key = "unmute-opted-out" if _subject(asked) in self._orders.opted_out else "unmute"
        return _done(key, person=self._name(asked))

    def _ask_repeat(self, asked: Invocation, language: str | None) -> _Outcome:
        self._announce("ask_repeat", asked.subject)
        self._announce_others("listener_told", asked.subject)
        return _done("asked")

    def _slower(self, asked: Invocation, language: str | None) -> _Outcome:
        self._announce("ask_pause", asked.subject)
        return _done("asked")

    def _swap(self, asked: Invocation, language: str | None) -> _Outcome:
        languages = self._meeting.languages
        spoken = sorted({one for one in languages.values() if one is not None})
        if len(spoken) != 2:
            return _refused("cannot-swap", count=len(spoken))
        first, second = spoken
        other = {first: second, second: first}
        for who in self._concerned(asked):
            now = languages.get(who)
            if now in other:
                self._orders.languages[who] = other[now]
        return _done("swap")

    def _handover(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._orders.human is not Human.TAKEN_OVER:
            self._orders.human = Human.TAKEN_OVER
            self._announce("captions_only", None)
        return _done("handover")

    def _handback(self, asked: Invocation, language: str | None) -> _Outcome:
        if self._orders.human is not Human.NOT_ASKED:
            self._orders.human = Human.NOT_ASKED
            self._announce("resumed", None)
        return _done("handback")

    def _duck(self, asked: Invocation, language: str | None) -> _Outcome:
        self._orders.duck_db = float(asked.arguments["gain"])  # type: ignore[arg-type]
        return _done("duck")

    def _priority(self, asked: Invocation, language: str | None) -> _Outcome:
        if not self._meeting.channels:
            return _refused(
                "no-priority"
            )  # everybody has a mix of their own, and a listener has one language
        tag = asked.arguments.get("tag")
        chosen = None if tag is None else primary_language(str(tag))
        self._orders.priority = () if chosen is None else (chosen,)
        return _done("priority")

    def _notice(self, asked: Invocation, language: str | None) -> _Outcome:
        notice = cast(ScriptId, asked.arguments["name"])
        role = self._orders.cast.role
        if not script(role, notice, language or "").sentences:
            return _refused("no-such-notice", role=_title(role, language))
        self._announce(notice, asked.subject)
        return _done("notice")

    def _glossary_add(self, asked: Invocation, language: str | None) -> _Outcome:
        pair = _direction(asked)
        self._meeting.watch_for(pair, str(asked.arguments["term"]), str(asked.arguments["translation"]))
        return _done("glossary-add")

    def _close(self, asked: Invocation, language: str | None) -> _Outcome:
        self._meeting.close_interpretation()
        return _done("close")

    # For the console ------------------------------------------------------------------------------------------------

    def _note(self, asked: Invocation, language: str | None) -> _Outcome:
        return _done("note")  # it is kept by whoever gave it; the audit log has that one was made

    def _elsewhere(self, asked: Invocation, language: str | None) -> _Outcome:
        return _refused("at-console")

    # Words ----------------------------------------------------------------------------------------------------------

    def _announce(self, script: ScriptId, whom: str | None) -> None:
        people = frozenset(self._meeting.people) if whom is None else frozenset({whom})
        self._meeting.announce(Announcement(script, people))

    def _announce_others(self, script: ScriptId, whom: str | None) -> None:
        self._meeting.announce(
            Announcement(script, frozenset(self._meeting.people) - {whom or ""}, polite=True)
        )

    def _told(self, key: str, asked: Invocation, **words: object) -> _Outcome:
        """Done; said otherwise of everybody and of another person than of whoever gave the command."""
        if asked.subject is None:
            return _done(f"{key}-all", **words)
        if asked.subject != asked.actor.participant_id:
            return _done(f"{key}-other", person=self._name(asked), **words)
        return _done(key, **words)

    def _concerned(self, asked: Invocation) -> set[str]:
        return set(self._meeting.people) if asked.subject is None else {asked.subject}

    def _name(self, asked: Invocation) -> str:
        return self._meeting.people.get(_subject(asked), _subject(asked))


_Outcome = tuple[bool, str, Mapping[str, object]]
"""Whether it was done, the reply, and its words."""

_DO: Mapping[str, Callable[[Control, Invocation, str | None], _Outcome]] = {
    "optout": Control._optout,
    "optin": Control._optin,
    "language": Control._language,
    "repeat": Control._repeat,
    "human": Control._human,
    "stop": Control._stop,
    "start": Control._start,
    "balance": Control._balance,
    "original-only": Control._original_only,
    "captions": Control._captions,
    "who": Control._who,
    "stored": Control._stored,
    "help": Control._help,
    "halt": Control._halt,
    "pause": Control._pause,
    "resume": Control._resume,
    "mode": Control._mode,
    "role": Control._role,
    "voice": Control._voice,
    "hold": Control._hold,
    "release": Control._release,
    "mute-direction": Control._mute_direction,
    "unmute-direction": Control._unmute_direction,
    "mute": Control._mute,
    "unmute": Control._unmute,
    "ask-repeat": Control._ask_repeat,
    "slower": Control._slower,
    "swap": Control._swap,
    "handover": Control._handover,
    "handback": Control._handback,
    "duck": Control._duck,
    "priority": Control._priority,
    "notice": Control._notice,
    "glossary-add": Control._glossary_add,
    "close": Control._close,
    "note": Control._note,
    "preview-voice": Control._elsewhere,
    "export": Control._elsewhere,
    "invite": Control._elsewhere,
    "verify": Control._elsewhere,
    "join": Control._elsewhere,
    "leave": Control._elsewhere,
    "scenario": Control._elsewhere,
}


def refused(error: CommandError, name: str, language: str | None) -> Answer:
    """What somebody is told whose command is not one, or not theirs to give.

    Args:
        error: of `commands.invoke`.
        name: of the command as it was given, untrusted.
        language: of who gave it, None where unknown.
    """
    spec = COMMANDS.get(name.strip().lower().replace("_", "-"))
    return Answer(accepted=False, text=refusal(language, error, spec), language=reply_language(language))


def carried_out() -> Iterable[str]:
    """Names of all commands that a meeting answers."""
    return _DO


def _done(key: str, **words: object) -> _Outcome:
    return True, key, words


def _refused(key: str, **words: object) -> _Outcome:
    return False, key, words


def _subject(asked: Invocation) -> str:
    assert asked.subject is not None, "the table names somebody for this command"
    return asked.subject


def _held(asked: Invocation) -> Held:
    pair = _direction(asked)
    return Held(pair.language_in, pair.language_out, asked.subject)


def _discard(directions: set[Held], meant: Held) -> bool:
    """Takes a direction out; without a person, that of whomever. Whether there was one."""
    found = {
        one
        for one in directions
        if (one.language_in, one.language_out) == (meant.language_in, meant.language_out)
        and meant.speaker_id in (None, one.speaker_id)
    }
    directions -= found
    return bool(found)


def _direction(asked: Invocation) -> LanguagePair:
    """From which language into which: interpreting is between languages, whatever regions were named."""
    pair: Value = asked.arguments["direction"]
    assert isinstance(pair, LanguagePair)
    return LanguagePair(_primary(pair.language_in), _primary(pair.language_out))


def _pair(held: Held) -> str:
    return f"{held.language_in} > {held.language_out}"


def _primary(tag: str) -> str:
    return primary_language(tag) or tag


def _title(role: Role, language: str | None) -> str:
    return role.title.get(reply_language(language), role.title["en"])


def _set(people: set[str], who: str, on: bool) -> None:
    people.add(who) if on else people.discard(who)


def _named(tag: str, language: str | None) -> str:
    words = LANGUAGE_WORDS.get(language or "", LANGUAGE_WORDS["en"])
    return words.list([tag])
