"""The interpreter's sessions with the focus: moved, repeated, broken, restarted, and what is no session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.jitsi import stanzas
from tests.jitsi.bridge import BridgeOptions
from tests.jitsi.client import Person
from tests.jitsi.conference import FocusOptions
from tests.jitsi.guest import ENGLISH, HZ, SPANISH, Guest, guest
from tests.jitsi.jingle import terminate
from tests.jitsi.server import JitsiServer, jitsi_server
from webrtc.jitsi import jingle_session

pytestmark = [pytest.mark.media, pytest.mark.slow]


@asynccontextmanager
async def talk(server: JitsiServer) -> AsyncIterator[tuple[Guest, Person, Person]]:
    """Two people talk, and are interpreted."""
    ana = await server.join("room", "Ana", tone_hz=440)
    ben = await server.join("room", "Ben", tone_hz=550, listening=False)
    async with guest(server) as g:
        await g.until_in()
        await works(g, ana, ben)
        yield g, ana, ben


async def works(g: Guest, ana: Person, ben: Person) -> None:
    """Each is heard by their own session, and both renderings are heard: now, not some time before."""
    for person in (ana, ben):
        session = g.session_of(person)
        session.heard.clear()
    await g.until_each_is_heard_alone({ana: 440, ben: 550})
    for name, hz in ((ENGLISH, HZ["en"]), (SPANISH, HZ["es"])):
        ana.heard(name).packets.clear()
        await g.until(partial(_has_tone, ana, name, hz))


def _has_tone(person: Person, name: str, hz: float) -> bool:
    return person.heard(name).has_tone(hz)


@pytest.mark.parametrize("crash", [False, True])
async def test_a_meeting_that_moves_to_another_bridge_goes_on_in_the_same_sessions(crash: bool) -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        session = g.session_of(ana)
        nicks = g.nicks
        await server.conference("room").move(crash=crash)
        await g.until_in()
        await works(g, ana, ben)
        assert g.session_of(ana) is session
        assert g.nicks == nicks
    assert server.violations == []


@pytest.mark.slow
async def test_a_bridge_that_dies_under_a_seat_is_told_to_the_focus_which_offers_another() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        session = g.session_of(ana)
        before = server.conference("room").participant(g.nicks["en"]).sid
        await server.conference("room").break_connection(g.nicks["en"])
        conference = server.conference("room")
        await conference.until(lambda: conference.participant(g.nicks["en"]).sid not in (None, before), 120.0)
        await works(g, ana, ben)
        assert g.session_of(ana) is session
    assert server.violations == []


async def test_a_direct_connection_is_declined_and_the_bridge_goes_on() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        for nick in g.nicks.values():
            outcome = await ana.offer_p2p(nick)
            assert outcome.accepted_iq
            assert outcome.reason == "decline"
        await works(g, ana, ben)
    assert server.violations == []


async def test_an_unknown_session_is_an_error_and_a_repeated_offer_is_not() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        conference = server.conference("room")
        nick = g.nicks["en"]
        answer = await conference.send_jingle(nick, terminate("0badc0ffee", "success", "nobody knows it"))
        assert stanzas.condition_of(answer) == "item-not-found"
        assert answer.find(f".//{{{stanzas.JINGLE_ERRORS}}}unknown-session") is not None
        peer = next(seat for seat in g.room.seats if seat.nick == nick)._peer
        assert (await conference.repeat_initiate(nick)).get("type") == "result"
        await works(g, ana, ben)
        assert next(seat for seat in g.room.seats if seat.nick == nick)._peer is peer, "the session went on"
    assert server.violations == []


async def test_the_focus_goes_away_and_comes_back() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        session, nicks = g.session_of(ana), g.nicks
        await server.focus.restart(down_s=1.0)
        await g.until(lambda: "room@" in "".join(server.focus.conferences))
        await g.until_in()
        await works(g, ana, ben)
        assert g.session_of(ana) is session
        assert g.nicks == nicks
    assert server.violations == []


async def test_signalling_that_breaks_off_is_resumed_and_media_goes_on_meanwhile() -> None:
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        session, nicks = g.session_of(ana), g.nicks
        for nick in nicks.values():
            server.cut(nick)
        await works(g, ana, ben)
        await g.until(lambda: sum("is back" in line for line in g.news) == 2)
        eva = await server.join("room", "Eva", tone_hz=660, listening=False)
        await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
        assert g.session_of(ana) is session
        assert g.nicks == nicks
    assert server.violations == []


async def test_signalling_that_cannot_be_resumed_is_begun_anew_and_people_stay_who_they_are() -> None:
    async with jitsi_server(stream_management=False) as server, talk(server) as (g, ana, ben):
        session, nicks = g.session_of(ana), g.nicks
        for nick in nicks.values():
            server.cut(nick)
        await g.until(lambda: set(g.nicks.values()).isdisjoint(nicks.values()) and len(g.nicks) == 2)
        await g.until_in()
        await works(g, ana, ben)
        assert g.session_of(ana) is session, "the same participant, the same session"
    assert server.violations == []


@pytest.mark.parametrize("forms", [{"old"}, {"old", "new"}])
async def test_a_bridge_that_sends_the_loudest_alone_still_sends_us_everybody(forms: set[str]) -> None:
    options = BridgeOptions(subscription_forms=frozenset(forms), loudest_only=True, num_loudest=1)
    async with jitsi_server(bridge_options=options) as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            eva = await server.join("room", "Eva", tone_hz=660, listening=False)
            await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
            english = server.leg("room", g.nicks["en"])
            assert english.subscription is not None
            assert english.subscription.include == {f"{one.nick}-a0" for one in (ana, ben, eva)}
    # Which form a bridge knows, nobody tells: it gets both, and one that knows the old one complains of the other.
    broken = [one for one in server.violations if "a subscription that the bridge cannot read" not in one]
    assert broken == []


async def test_where_the_bridge_speaks_over_a_websocket_it_is_told_there() -> None:
    options = FocusOptions(channels=frozenset({"websocket"}))
    async with jitsi_server(tls=True, options=options) as server, talk(server) as (g, ana, ben):
        for seat in g.room.seats:
            stats = seat.stats()
            assert stats is not None
            assert stats.channel == "websocket"
        spanish = server.leg("room", g.nicks["es"])
        await g.until(lambda: spanish.subscription is not None)
        await works(g, ana, ben)
    assert server.violations == []


async def test_nothing_of_it_stays_behind_when_it_leaves_in_the_middle_of_anything() -> None:
    async with jitsi_server() as server:
        await server.join("room", "Ana", tone_hz=440, listening=False)
        await server.join("room", "Ben", tone_hz=550, listening=False)
        for after_s in (0.0, 0.1, 0.3, 0.6):
            async with guest(server):
                await asyncio.sleep(after_s)
            conference = server.conference("room")
            await conference.until(lambda: server.strangers("room") == set())
    assert server.violations == []


async def test_a_seat_that_is_offered_nothing_any_more_leaves_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jingle_session, "OFFER_TIMEOUT_S", 1.0)
    async with jitsi_server() as server, talk(server) as (g, ana, ben):
        session, nicks = g.session_of(ana), g.nicks
        server.bridge_options.available = False
        conference = server.conference("room")
        await conference.end_session(conference.participant(nicks["en"]), "success", "moving")
        await g.until(lambda: g.nicks.get("en") not in (None, nicks["en"]))
        server.bridge_options.available = True
        eva = await server.join("room", "Eva", tone_hz=660, listening=False)  # has the focus look again
        await g.until_each_is_heard_alone({ana: 440, ben: 550, eva: 660})
        assert g.session_of(ana) is session
        assert g.nicks["es"] == nicks["es"], "the other seat stayed"
        assert g.meeting.people == 3
    assert server.violations == []
