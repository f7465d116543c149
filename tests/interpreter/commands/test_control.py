"""Commands carried out on a meeting that only notes what it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from interpreter.commands.arguments import LanguagePair
from interpreter.commands.commands import Actor, invoke
from interpreter.commands.control import Answer, Control, carried_out, refused
from interpreter.commands.orders import Held, Human, Orders
from interpreter.commands.replies import _REFUSALS, _REPLIES
from interpreter.commands.table import COMMANDS, Standing
from interpreter.directions import Direction
from interpreter.errors import BadArgument, CommandError, NotAllowed, UnknownCommand
from interpreter.notices.protocol import Announcement
from interpreter.roles.casting import Cast
from interpreter.roles.library import load_library
from webrtc.room import Stored

LIBRARY = load_library()
PEOPLE = {"ana": "Ana", "ben": "Ben", "cat": "Cat"}
EVERYBODY = frozenset(PEOPLE)


@dataclass
class NotedMeeting:
    """A meeting that notes what it is asked for."""

    people: Mapping[str, str] = field(default_factory=lambda: dict(PEOPLE))
    languages: Mapping[str, str | None] = field(
        default_factory=lambda: {"ana": "es", "ben": "en", "cat": None}
    )
    directions: tuple[Direction, ...] = ()
    voices: tuple[str, ...] = ("clara", "david")
    channels: bool = False
    checksum: str = "0123456789abcdef"
    stored: tuple[Stored, ...] = ()
    announced: list[Announcement] = field(default_factory=list)
    repeated: list[str | None] = field(default_factory=list)
    terms: list[tuple[LanguagePair, str, str]] = field(default_factory=list)
    ended: bool = False
    silenced: int = 0

    def announce(self, announcement: Announcement) -> None:
        self.announced.append(announcement)

    def repeat(self, listener_id: str | None) -> bool:
        self.repeated.append(listener_id)
        return listener_id != "ben"

    def watch_for(self, pair: LanguagePair, term: str, translation: str) -> None:
        self.terms.append((pair, term, translation))

    def silence(self) -> None:
        self.silenced += 1

    def close_interpretation(self) -> None:
        self.ended = True


class Desk:
    """Where commands are given."""

    def __init__(self, **meeting: Any) -> None:
        self.meeting = NotedMeeting(**meeting)
        self.orders = Orders(cast=Cast(role=LIBRARY.find("meeting-simultaneous")))
        self.control = Control(self.orders, LIBRARY, self.meeting)

    def give(self, name: str, /, by: str = "ana", **arguments: Any) -> Answer:
        actor = Actor(name=by, standing=Standing.ADMIN, participant_id=by if by in PEOPLE else None)
        return self.control.carry_out(invoke(name, arguments, actor, self.meeting.people))

    @property
    def scripts(self) -> list[str]:
        return [announcement.script for announcement in self.meeting.announced]


def test_the_table_and_what_is_carried_out_are_the_same() -> None:
    assert set(carried_out()) == set(COMMANDS)


def test_every_reply_is_in_every_language_with_the_same_words_filled_in() -> None:
    english, spanish = _REPLIES["en"], _REPLIES["es"]
    assert english.keys() == spanish.keys()
    for key in english:
        assert sorted(re.findall(r"{\w+}", english[key])) == sorted(re.findall(r"{\w+}", spanish[key])), key
    for texts in _REFUSALS.values():
        assert set(texts) == set(CommandError.__subclasses__())


@pytest.mark.parametrize(("by", "language"), [("ana", "es"), ("ben", "en"), ("cat", "en"), ("console", "en")])
def test_an_answer_is_in_the_language_of_who_asked_and_english_where_there_is_none(
    by: str, language: str
) -> None:
    assert Desk().give("stored", by).language == language


@pytest.mark.parametrize("language", ["fr", None, "en"])
def test_refusals_in_other_languages_are_the_errors_own(language: str | None) -> None:
    answer = refused(NotAllowed("expected a host"), "pause", language)
    assert answer == Answer(accepted=False, text="expected a host", language="en")


@pytest.mark.parametrize("error", [UnknownCommand("x"), NotAllowed("x"), BadArgument("x")])
@pytest.mark.parametrize("name", ["PAUSE ", "glossary_add", "no such {thing}"])
def test_refusals_in_spanish_never_show_what_was_typed(error: CommandError, name: str) -> None:
    answer = refused(error, name, "es")
    assert answer.language == "es"
    assert "no such" not in answer.text


def test_an_answer_speaks_of_another_as_of_another() -> None:
    desk = Desk()
    assert desk.give("stop").text == "Ya no se le interpreta, y oye a todos directamente."
    assert (
        desk.give("stop", participant="ben").text == "Ya no se interpreta a Ben, y oye a todos directamente."
    )
    assert desk.give("stop", participant="all").text == "Ya no se interpreta a nadie."
    assert desk.orders.stopped == EVERYBODY
    assert desk.give("start", "ben", participant="ana").text == "Ana is interpreted again."
    assert desk.give("start", "ben", participant="all").text == "Everybody is interpreted again."
    assert desk.orders.stopped == set()
    assert desk.give("language", tag="fr").text == "A partir del próximo silencio habla y oye en francés."
    other = desk.give("language", "ben", tag="fr-CA", participant="ana")
    assert other.text == "From the next silence on Ana speaks and hears French."
    assert desk.orders.languages == {"ana": "fr"}


def test_a_direction_with_regions_is_the_direction_between_its_languages() -> None:
    desk = Desk()
    assert desk.give("hold", direction="es-MX>en-GB", participant="ben").text == "es > en queda retenido."
    assert desk.orders.held == {Held("es", "en", "ben")}
    desk.give("glossary-add", direction="es-MX>en", term="soroche", translation="altitude sickness")
    assert desk.meeting.terms == [(LanguagePair("es", "en"), "soroche", "altitude sickness")]


def test_releasing_a_direction_releases_everybody_in_it_and_releasing_one_only_them() -> None:
    desk = Desk()
    for whom in ("ana", "ben"):
        desk.give("hold", direction="es>en", participant=whom)
    desk.give("hold", direction="es>en")
    desk.give("hold", direction="en>es")
    assert desk.give("release", direction="es>en", participant="ben").accepted
    assert desk.orders.held == {Held("es", "en", "ana"), Held("es", "en"), Held("en", "es")}
    assert desk.give("release", direction="es>en").accepted
    assert desk.orders.held == {Held("en", "es")}
    assert not desk.give("release", direction="es>en").accepted


def test_what_holds_already_is_not_announced_again() -> None:
    desk = Desk()
    for name in ("resume", "pause", "pause", "resume", "human", "human", "handover", "handover", "handback"):
        assert desk.give(name).accepted
    desk.give("handback")
    assert desk.scripts == ["paused", "resumed", "human_requested", "captions_only", "resumed"]
    assert {announcement.listeners for announcement in desk.meeting.announced} == {EVERYBODY}


def test_a_human_who_took_over_is_not_asked_for() -> None:
    desk = Desk()
    desk.give("handover")
    desk.give("human")
    assert desk.orders.human is Human.TAKEN_OVER
    assert "human_requested" not in desk.scripts


def test_asking_to_repeat_is_told_to_the_others() -> None:
    desk = Desk()
    desk.give("ask-repeat", participant="ana")
    asked, told = desk.meeting.announced
    assert (asked.script, asked.listeners) == ("ask_repeat", {"ana"})
    assert (told.script, told.listeners, told.polite) == ("listener_told", {"ben", "cat"}, True)


def test_a_role_for_everybody_takes_back_the_mode_and_the_roles_of_people() -> None:
    desk = Desk()
    desk.give("mode", mode="captions")
    desk.give("role", name="medical-consecutive", participant="ana")
    assert desk.orders.cast.role_for("ana").name == "medical-consecutive"
    assert desk.orders.cast.mode == "captions"
    answer = desk.give("role", name="medical-simultaneous")
    assert (
        answer.text == f"A partir del próximo silencio: {LIBRARY.find('medical-simultaneous').title['es']}."
    )
    assert (desk.orders.cast.mode, dict(desk.orders.cast.roles)) == (None, {})


def test_what_there_is_not_is_named_with_what_there_is() -> None:
    desk = Desk()
    before = desk.orders.cast
    unknown = desk.give("role", name="poet")
    assert not unknown.accepted
    assert unknown.text.startswith("No existe el papel poet; existen: captions-only, ")
    assert desk.give("voice", "ben", name="eva").text == "There is no voice eva; there are: clara, david."
    assert desk.orders.cast is before
    assert Desk(voices=()).give("voice", "ben", name="eva").text == "There is no voice eva; there are: -."


def test_languages_are_exchanged_for_all_or_one_and_only_between_two() -> None:
    desk = Desk()
    desk.give("swap")
    assert desk.orders.languages == {"ana": "en", "ben": "es"}, (
        "and cat, whose language nobody knows, keeps it"
    )
    desk = Desk()
    desk.give("swap", participant="ana")
    assert desk.orders.languages == {"ana": "en"}
    alone = Desk(languages={"ana": "es", "ben": "es", "cat": None})
    assert alone.give("swap").text == "Hacen falta dos idiomas para intercambiarlos; hay 1."


def test_a_priority_is_for_rooms_where_languages_sound_together() -> None:
    assert not Desk().give("priority", tag="es").accepted
    desk = Desk(channels=True)
    assert desk.give("priority", tag="es-MX").accepted
    assert desk.orders.priority == ("es",)
    assert desk.give("priority").accepted
    assert desk.orders.priority == ()


def test_what_is_kept_is_told_in_words() -> None:
    kept = Desk(stored=(Stored.AUDIT, Stored.TRANSCRIPT))
    assert kept.give("stored").text == "De esta reunión se guarda: el texto, quién dio qué orden."
    assert kept.give("stored", "ben").text == "Kept of this meeting: its text, who gave which command."
    assert Desk().give("stored", "ben").text == "Nothing of this meeting is kept."


def test_who_is_here_is_told_with_languages_directions_and_interpreter() -> None:
    desk = Desk(directions=(Direction("ana", "es", "en"), Direction("ben", "en", "es")))
    assert desk.give("who", "ben").text == (
        "Ana (Spanish), Ben (English), Cat (?). Interpreter: meeting-simultaneous, 01234567. "
        "Interpreted: en > es, es > en."
    )
    assert Desk().give("who").text.endswith("Se interpreta: nada.")


@pytest.mark.parametrize("name", ["preview-voice", "export", "invite", "verify", "join", "leave", "scenario"])
def test_what_a_meeting_cannot_do_is_said_and_not_done(name: str) -> None:
    examples = {
        "name": "x",
        "tag": "es",
        "format": "vtt",
        "url": "https://example.org",
    }
    arguments = {one.name: examples[one.name] for one in COMMANDS[name].arguments}
    answer = Desk().give(name, **arguments)
    assert (answer.accepted, answer.text) == (False, "Esta orden se da en la consola.")


def test_closing_is_the_meeting_s() -> None:
    desk = Desk()
    desk.give("close")
    assert desk.meeting.ended


def test_halting_silences_at_once_and_says_nothing_and_resuming_says_so() -> None:
    desk = Desk()
    assert desk.give("halt", "ben").text == "The interpreter is silent."
    assert (desk.orders.halted, desk.meeting.silenced, desk.scripts) == (True, 1, [])
    desk.give("halt")
    assert desk.meeting.silenced == 2, "whoever presses STOP again means it"
    desk.give("resume")
    assert not desk.orders.silenced
    assert desk.scripts == ["resumed"]


def test_resuming_ends_a_pause_and_a_halt_with_one_notice() -> None:
    desk = Desk()
    desk.give("pause")
    desk.give("halt")
    desk.give("resume")
    desk.give("resume")
    assert desk.scripts == ["paused", "resumed"]
    assert (desk.orders.paused, desk.orders.halted) == (False, False)


def test_a_muted_direction_can_only_be_read_until_it_is_unmuted() -> None:
    desk = Desk()
    ana, eva = Direction("ana", "es", "en"), Direction("eva", "es", "en")
    assert desk.give("mute-direction", "ben", direction="es-MX>en", participant="ana").text == (
        "es > en can only be read."
    )
    assert (desk.orders.voices(ana), desk.orders.voices(eva)) == (False, True)
    desk.give("mute-direction", direction="es>en")
    assert not desk.orders.voices(eva)
    assert desk.give("unmute-direction", "ben", direction="es>en").text == "es > en can be heard again."
    assert desk.orders.voices(ana), "without a person, of whomever"
    again = desk.give("unmute-direction", "ben", direction="es>en")
    assert (again.accepted, again.text) == (False, "es > en was not muted.")
    assert desk.orders.unvoiced == set()
    assert desk.scripts == []


def test_what_was_muted_of_somebody_is_forgotten_when_they_leave() -> None:
    desk = Desk()
    desk.give("mute-direction", direction="es>en", participant="ana")
    desk.give("mute-direction", direction="en>es")
    desk.orders.forget({"ben", "cat"})
    assert desk.orders.unvoiced == {Held("en", "es")}
