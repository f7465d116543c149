"""The interpreter in a meeting of the test server: who comes, goes and comes again, and whose sound is heard where."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from interpreter.directions import Direction
from tests.jitsi.conference import FocusOptions
from tests.jitsi.guest import ENGLISH, HZ, SPANISH, guest
from tests.jitsi.server import jitsi_server

pytestmark = [pytest.mark.media, pytest.mark.slow]


async def test_everybody_s_voice_reaches_their_own_session_and_the_interpreter_s_everybody() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        async with guest(server) as g:
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            for person in (ana, ben):
                await person.until_hears(ENGLISH, HZ["en"])
                await person.until_hears(SPANISH, HZ["es"])
            english, spanish = (server.leg("room", g.nicks[language]) for language in ("en", "es"))
            assert set(english.heard_audio()) == {f"{ana.nick}-a0", f"{ben.nick}-a0"}
            forwarded = sum(spanish.forwarded.values())
            await asyncio.sleep(0.5)
            assert sum(spanish.forwarded.values()) == forwarded, "one seat listens, for all"
            for leg in (english, spanish):
                packets = [packet for heard in leg.received.values() for packet in heard.packets]
                assert all(packet.level(1) is not None for packet in packets)
    assert server.violations == []
    assert server.strangers("room") == set(), "and nothing of it stays behind"


@pytest.mark.parametrize("form", ["xml", "json"])
async def test_people_who_come_leave_and_come_again_are_heard_as_who_they_are(form: str) -> None:
    async with jitsi_server(options=FocusOptions(sources=form)) as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            session = g.session_of(ana)
            eva = await server.join("room", "Eva", tone_hz=660, listening=False)
            await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
            left = eva.nick
            await eva.leave()  # the focus sends no source-remove
            await g.until(lambda: g.meeting.people == 2)
            assert left not in {d.speaker_id for d in g.meeting._sessions.plans}
            await eva.join()  # under another nick, with another SSRC
            await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
            assert g.session_of(ana) is session, "nobody else's coming and going touches a session"
            await ben.rejoin()  # the only one who listens in English
            await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
    assert server.violations == []


async def test_a_second_source_of_somebody_is_theirs_too() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            shared = await ana.add_source(tone_hz=880)
            await g.until(lambda: g.hears(ana, 440, 550) and g.hears(ana, 880))
            await ana.remove_source(shared)
            await g.until(lambda: g.hears(ana, 440, 550, 880))
    assert server.violations == []


async def test_who_mutes_is_not_heard_and_heard_again() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            await ana.mute()
            await g.until(lambda: not g.session_of(ana).heard[-1].any())
            await g.until(lambda: g.hears(ben, 550, 440))
            await ana.unmute()
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
    assert server.violations == []


async def test_alone_there_is_no_session_and_with_the_second_person_there_is_one() -> None:
    async with (
        jitsi_server(options=FocusOptions(alone_s=1.0, min_participants=3)) as server,
        guest(server) as g,
    ):
        await g.until(lambda: len(g.nicks) == 2)
        ana = await server.join("room", "Ana", tone_hz=440)
        await g.until_each_is_heard_alone({})
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        await g.until_each_is_heard_alone({ana: 440, ben: 550})
        await ana.leave()
        await ben.leave()
        conference = server.conference("room")
        await g.until(lambda: g.meeting.people == 0)
        for nick in g.nicks.values():
            await conference.end_session(conference.participant(nick), "expired", "nobody else is here")
        await ana.join()
        await ben.join()
        await g.until_each_is_heard_alone({ana: 440, ben: 550})
        await ana.until_hears(ENGLISH, HZ["en"])
    assert server.violations == []


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_fifteen_people_each_alone_in_their_session() -> None:
    async with jitsi_server() as server:
        people = [
            await server.join(
                "room", f"{'Ben' if n % 2 else 'Ana'} {n}", tone_hz=300 + 60 * n, listening=n == 0
            )
            for n in range(15)
        ]
        tones = {person: 300.0 + 60 * n for n, person in enumerate(people)}
        async with guest(server) as g:
            await g.until(lambda: len({d.speaker_id for d in g.meeting._sessions.plans}) == 15)
            for (
                person,
                hz,
            ) in tones.items():  # each in turn: a busy machine need not hear all in the same half second
                others = [other for other in tones.values() if other != hz]
                await g.until(partial(g.hears, person, hz, *others))
            assert set(g.meeting._sessions.plans) == {
                Direction(person.nick, *(("en", "es") if n % 2 else ("es", "en")))
                for n, person in enumerate(people)
            }
            await people[0].until_hears(ENGLISH, HZ["en"])
            await people[0].until_hears(SPANISH, HZ["es"])
    assert server.violations == []


async def test_who_opted_out_or_chose_a_language_and_comes_back_is_treated_so() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        eva = await server.join("room", "Eva", tone_hz=660, listening=False)
        async with guest(server) as g:
            await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
            await ana.say("!interp optout")
            await eva.mute()  # a language changes between utterances
            await eva.say("!interp idioma inglés")
            await g.until(lambda: {d.speaker_id for d in g.meeting._sessions.plans} == {ben.nick, eva.nick})
            await g.until(lambda: g.meeting._interpretation.languages[eva.nick] == "en")
            for person in (ana, eva):
                await person.rejoin()
            await server.until_connected(ana, eva)
            await g.until(lambda: g.meeting.people == 3)
            assert g.meeting._interpretation.languages[eva.nick] == "en"
            assert not g.meeting._interpretation.listens_to(ana.nick)
    assert server.violations == []


async def test_a_rename_and_a_role_reach_the_meeting() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        eva = await server.join("room", "Fellow Jitster", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until(lambda: g.meeting.people == 2)
            await asyncio.sleep(0.3)
            assert dict(g.meeting._sessions.plans) == {}, "both are taken to speak Spanish"
            await eva.rename("Ben Eva")
            await g.until_each_is_heard_alone({ana: 440, eva: 550})
            await ana.say("!interp pause")
            await g.until(lambda: any("dirige la reunión" in text for text in g.chat_of(ana)))
            assert not g.meeting._interpretation.paused
            await server.conference("room").make_moderator(ana.nick)
            await g.until(lambda: g.meeting.overview().people[ana.nick].leads)
            await ana.say("!interp pausa")
            await g.until(lambda: g.meeting._interpretation.paused)
    assert server.violations == []
