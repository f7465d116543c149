"""What a meeting imposes on the interpreter, and what people may: mutes, removals, encryption, the chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from duplex_model.contract import Pcm, Prompt
from tests.jitsi.client import Person
from tests.jitsi.conference import FocusOptions
from tests.jitsi.guest import ENGLISH, HZ, SPANISH, Guest, guest, outcome
from tests.jitsi.server import JitsiServer, jitsi_server

pytestmark = [pytest.mark.media, pytest.mark.slow]


@asynccontextmanager
async def talk(server: JitsiServer, **changes: Any) -> AsyncIterator[tuple[Guest, Person, Person]]:
    """A moderator and somebody else talk, and are interpreted."""
    ana = await server.join("room", "Ana", tone_hz=440, moderator=True)
    ben = await server.join("room", "Ben", tone_hz=550)
    async with guest(server, **changes) as g:
        await g.until_in()
        await g.until_each_is_heard_alone({ana: 440, ben: 550})
        yield g, ana, ben


async def hears_now(g: Guest, person: Person, name: str, hz: float) -> None:
    person.heard(name).packets.clear()
    await g.until(lambda: person.heard(name).has_tone(hz))


async def hears_nothing(g: Guest, person: Person, name: str) -> None:
    """Not a packet in half a second."""
    count = -1
    while count != person.heard(name).count:
        count = person.heard(name).count
        await asyncio.sleep(0.5)


# Mutes ---------------------------------------------------------------------------------------------------------------


async def test_a_muted_seat_is_silent_says_so_and_speaks_again_when_a_moderator_tells_it_to() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        await hears_now(g, ben, SPANISH, HZ["es"])
        await server.conference("room").mute(g.nicks["es"])
        await hears_nothing(g, ben, SPANISH)
        await hears_now(g, ben, ENGLISH, HZ["en"])
        assert server.leg("room", g.nicks["es"]).packets_while_muted == 0, (
            "held back by us, not by the bridge"
        )
        await g.until(lambda: any("Han silenciado" in text for text in g.chat_of(ana)))
        await ben.say("!interp resume")
        await g.until(lambda: any("expected a host" in text for text in g.chat_of(ben)))
        await hears_nothing(g, ben, SPANISH)
        await server.conference("room").mute(g.nicks["es"], muted=False)
        await ana.say("!interp reanudar")
        await hears_now(g, ben, SPANISH, HZ["es"])
    assert server.violations == []


async def test_a_moderated_meeting_is_not_spoken_in_before_a_moderator_allows_it() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, moderator=True)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until_in()
            await server.focus.moderate("room")
            await g.until(lambda: all(seat.muted for seat in g.room.seats))
            await hears_nothing(g, ana, ENGLISH)
            await ana.say("!interp resume")
            await asyncio.sleep(0.5)
            await hears_nothing(g, ana, ENGLISH)
            await server.focus.approve("room", g.nicks["en"])
            await hears_now(g, ana, ENGLISH, HZ["en"])
            await hears_nothing(g, ana, SPANISH)
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
    assert server.violations == []


async def test_who_starts_muted_stays_so_until_a_moderator_lets_them_speak() -> None:
    async with jitsi_server(options=FocusOptions(start_muted=True)) as server:
        ana = await server.join("room", "Ana", tone_hz=440, moderator=True)
        ben = await server.join("room", "Ben", tone_hz=550)
        conference = server.conference("room")
        for person in (ana, ben):  # there is something to interpret: they are let speak before us
            await conference.session_of(person.name)
            await conference.mute(person.nick, muted=False)
        async with guest(server) as g:
            await g.until_in()
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            await g.until(lambda: all(seat.muted for seat in g.room.seats))
            await hears_nothing(g, ana, ENGLISH)
            ours = list(g.nicks.values())
            for nick in ours:
                assert all(conference.participant(nick).announced.values())
                assert server.leg("room", nick).packets_while_muted == 0
                await conference.mute(nick, muted=False)
            await ana.say("!interp resume")
            await hears_now(g, ana, ENGLISH, HZ["en"])
            assert not any(seat.muted for seat in g.room.seats)
    assert [
        one for one in server.violations if any(nick in one for nick in ours)
    ] == []  # people may do as they like


# Removals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "words"), [("kick", "removed from the meeting"), ("ban", "banned")])
async def test_whoever_is_put_out_leaves_with_all_seats_and_does_not_come_back(how: str, words: str) -> None:
    async with jitsi_server() as server, talk(server) as (g, _, _):
        conference = server.conference("room")
        await getattr(conference, how)(g.nicks["en"])
        assert words in await outcome(g)
        await asyncio.sleep(1.0)
        assert g.nicks.keys() <= {"es"}
    assert server.strangers("room") == set()
    assert server.violations == []


async def test_without_one_language_the_other_goes_on() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        await server.conference("room").kick(g.nicks["es"])
        await g.until(lambda: g.nicks.keys() == {"en"})
        await g.until(lambda: any(SPANISH in line and "not heard any more" in line for line in g.news))
        await hears_now(g, ana, ENGLISH, HZ["en"])
        assert g.room.outgoing("es") is None
        await g.until_each_is_heard_alone({ana: 440, ben: 550})
    assert server.violations == []


async def test_a_meeting_that_is_ended_for_everybody_is_no_failure() -> None:
    async with jitsi_server() as server, talk(server) as (g, _, _):
        await server.conference("room").destroy("the host ended it")
        assert await outcome(g) == ""
        assert any("was ended for everybody" in line for line in g.news)
    assert [one for one in server.violations if "destroy" not in one] == []


# Encryption ----------------------------------------------------------------------------------------------------------


async def test_encryption_is_refused_in_words_and_nobody_is_heard_until_it_is_off() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        await ben.set_e2ee(True)
        await g.until(lambda: any("cifrado de extremo a extremo" in text for text in g.chat_of(ana)))
        await g.until(lambda: any("end-to-end encrypted" in text for text in g.chat_of(ben)))
        await g.until(lambda: dict(g.meeting._sessions.plans) == {})
        english = server.leg("room", g.nicks["en"])
        await g.until(lambda: english.subscription is not None and not english.subscription.all)
        await ben.set_e2ee(False)
        await g.until_each_is_heard_alone({ana: 440, ben: 550})
        await hears_now(g, ben, ENGLISH, HZ["en"])
    assert server.violations == []


# Interpreters --------------------------------------------------------------------------------------------------------


async def test_interpreters_never_interpret_one_another_and_the_second_is_silent() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        names = {"en": "Second · English", "es": "Second · Español"}
        async with guest(server, marker="0" * 17 + "2", seats=names) as second:
            await second.until(lambda: len(second.nicks) == 2)
            await second.until(lambda: any("otro intérprete" in text for text in second.chat_of(ana)))
            await second.until(lambda: any("Another interpreter" in text for text in second.chat_of(ben)))
            await ana.say("!interp who")
            await g.until(lambda: any("meeting-simultaneous" in text for text in g.chat_of(ana)))
            await hears_now(g, ben, ENGLISH, HZ["en"])
            assert dict(second.meeting._sessions.plans) == {}
            assert ana.heard(names["en"]).count == ana.heard(names["es"]).count == 0
            assert {d.speaker_id for d in g.meeting._sessions.plans} == {ana.nick, ben.nick}
            assert g.meeting.people == second.meeting.people == 2
            replies = [text for text in second.chat_of(ana) if "meeting-simultaneous" in text]
            assert replies == [], "one of them answers"
            for seat in list(g.room.seats):
                seat.leave()
            await second.until_each_is_heard_alone({ana: 440, ben: 550})
            await second.until(lambda: ana.heard(names["en"]).has_tone(HZ["en"]))
    assert server.violations == []


# Chat ----------------------------------------------------------------------------------------------------------------


async def test_commands_are_answered_privately_and_hosts_are_moderators() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        refusal = "expected a host for `pause`, got a participant"
        await ben.say("!interp pause")
        await g.until(lambda: refusal in g.chat_of(ben))
        assert (g.nicks["en"], refusal, True) in ben.chat
        assert refusal not in g.chat_of(ana)
        await ana.say("!interp pausa")
        await g.until(lambda: "El intérprete hace una pausa." in g.chat_of(ana))
        await hears_nothing(g, ben, ENGLISH)
        await ana.say("!interp continuar", to=g.nicks["es"])
        await hears_now(g, ben, ENGLISH, HZ["en"])
        await ben.say("!interp optout")
        await g.until(lambda: ben.nick not in {d.speaker_id for d in g.meeting._sessions.plans})
        await ben.say("!interp optin")
        await g.until_each_is_heard_alone({ana: 440, ben: 550})
        for _ in range(30):
            await ben.say("!interp who")
        await g.until(lambda: sum("meeting-simultaneous" in text for text in g.chat_of(ben)) >= 5)
        await asyncio.sleep(0.5)
        assert sum("meeting-simultaneous" in text for text in g.chat_of(ben)) <= 8, "no chat is flooded"
    assert server.violations == []


@pytest.mark.parametrize("captions", [True, False])
async def test_what_is_rendered_stands_in_the_chat_once_by_the_seat_of_its_language(captions: bool) -> None:
    async with jitsi_server() as server, talk(server, captions=captions) as (g, ana, ben):
        hum = g.engine.say
        words = iter(["", " I", " have", " a", " headache.", *[""] * 3])

        def say(prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
            pcm, _ = hum(prompt, frame)
            if prompt.language_out != "en":
                return pcm, ""
            word = next(words, None)
            return (pcm, word) if word is not None else (0.0 * pcm, "")

        g.engine.say = say
        if captions:
            await g.until(lambda: any("headache" in text for text in g.chat_of(ben)))
        else:
            await g.until(lambda: next(words, None) is None)
            await asyncio.sleep(2.0)
        written = [(nick, text) for nick, text, _ in ana.chat if "headache" in text]
        assert written == ([(g.nicks["en"], "Ana: I have a headache.")] if captions else [])
    assert server.violations == []


async def test_nobody_is_a_host_where_the_configuration_says_so() -> None:
    async with jitsi_server() as server, talk(server, moderators_are_hosts=False) as (g, ana, _):
        await ana.say("!interp pausa")
        await g.until(lambda: any("dirige la reunión" in text for text in g.chat_of(ana)))
        assert not g.meeting._interpretation.paused
    assert server.violations == []
