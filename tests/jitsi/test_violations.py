"""Whoever breaks a rule on the running test server is answered as the focus answers, and reported."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.jitsi import stanzas
from tests.jitsi.client import Person
from tests.jitsi.conference import FocusOptions
from tests.jitsi.jingle import Source, Transport, sources_jingle, terminate
from tests.jitsi.rtp import Rtp
from tests.jitsi.server import JitsiServer, jitsi_server
from tests.jitsi.stanzas import CLIENT, element
from tests.jitsi.tones import tone_packets
from tests.jitsi.xmpp import IqError

pytestmark = [pytest.mark.media, pytest.mark.slow]


@asynccontextmanager
async def two(options: FocusOptions | None = None) -> AsyncIterator[tuple[JitsiServer, Person, Person]]:
    """Two people who hear each other."""
    async with jitsi_server(options=options) as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        await ana.until_hears("Ben", 550)
        await ben.until_hears("Ana", 440)
        yield server, ana, ben


async def refused(person: Person, jingle: ET.Element) -> str:
    """The condition a Jingle request is refused with."""
    with pytest.raises(IqError) as error:
        await person.send_jingle(jingle)
    return error.value.condition


def sid_of(server: JitsiServer, person: Person) -> str:
    sid = server.conference("room").participant(person.nick).sid
    assert sid is not None
    return sid


async def test_packets_that_must_not_be() -> None:
    async with two() as (server, ana, ben):
        voice = ana.voices[0]
        good = Rtp(
            payload_type=111, sequence=0, timestamp=1, ssrc=voice.source.ssrc, payload=tone_packets(440)[0],
            extensions={1: b"\x0d"},
        )  # fmt: skip
        for packet, said in (
            (replace(good, ssrc=4_000_000_000), "has not signalled"),
            (replace(good, ssrc=ben.voices[0].source.ssrc), "has not signalled"),
            (replace(good, payload_type=96), "payload type 96"),
            (replace(good, extensions={}), "audio level"),
        ):
            packet = replace(packet, sequence=(voice.sequence + voice.packets) & 0xFFFF)
            server.violations.clear()
            await ana.send_raw(packet)
            await ana.until(lambda: server.violations)
            assert said in server.violations[0]
        assert 4_000_000_000 not in ben.heard_ssrcs()


async def test_a_bridge_channel_that_is_misused() -> None:
    async with two() as (server, ana, _):
        leg = server.leg("room", ana.nick)
        await ana.until(lambda: bool(leg.messages))
        for message, said in (
            ({"colibriClass": "GiveMeEverything"}, "no bridge knows"),
            ({"colibriClass": "ReceiverAudioSubscription"}, "cannot read"),
            ({"class": "ClientHello"}, "no JSON object with a colibriClass"),
        ):
            server.violations.clear()
            await ana.tell_bridge(message)
            await ana.until(lambda: server.violations)
            assert said in server.violations[0]
        assert ana._transport is not None
        ana._transport.open_channel("another", "x")
        await ana.until(lambda: server.violations.about("more than one data channel"))


class Impatient(Person):
    """Says something else before its ClientHello, on a channel of another name."""

    def _on_channel_open(self) -> None:
        assert self._channel is not None
        self._channel.send('{"colibriClass": "EndpointStats"}')


async def test_a_channel_that_begins_without_a_hello() -> None:
    async with jitsi_server() as server:
        await server.join("room", "Ana")
        await join(server, Impatient(websocket(server), "room", "Ben"))
        await server.people[0].until(lambda: server.violations.about("before ClientHello"))


def websocket(server: JitsiServer) -> str:
    return f"{server.gateway.websocket_base_url}/xmpp-websocket"


async def join(server: JitsiServer, person: Person) -> Person:
    await person.join()
    server.people.append(person)
    return person


class Passive(Person):
    """Accepts with what a focus refuses: a source of somebody else's, and the wrong DTLS role."""

    taken: Source

    def _acceptance(
        self, sid: str, contents: dict[str | None, ET.Element], offered: ET.Element, own: Transport
    ) -> ET.Element:
        self.voices[0].source = replace(self.voices[0].source, msid=self.taken.msid)
        return super()._acceptance(sid, contents, offered, replace(own, setup="passive"))


async def test_a_session_accept_that_is_refused() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana")
        await server.join("room", "Ben")
        await server.until_connected()
        eva = Passive(websocket(server), "room", "Eva")
        eva.taken = ana.voices[0].source
        await join(server, eva)
        await eva.until(lambda: server.violations.about("is one of"))
        assert server.violations.about("'passive'")
        participant = server.conference("room").participant(eva.nick)
        assert not participant.accepted
        assert server.conference("room").sources.of(eva.nick) == []


async def test_jingle_that_the_focus_refuses() -> None:
    async with two() as (server, ana, ben):
        sid = sid_of(server, ana)
        taken = replace(ben.voices[0].source, owner=ana.nick, name=f"{ana.nick}-a1", msid="a b")
        assert await refused(ana, sources_jingle("source-add", sid, [taken], compact=False)) == "bad-request"
        foreign = ben.voices[0].source
        remove = sources_jingle("source-remove", sid, [foreign], compact=False)
        assert await refused(ana, remove) == "bad-request"
        unknown = element("jingle", stanzas.JINGLE, action="dance", sid=sid)
        assert await refused(ana, unknown) == "bad-request"
        assert await refused(ana, terminate("never-was", "success")) == "item-not-found"
        await ana.send_jingle(element("jingle", stanzas.JINGLE, action="transport-info", sid=sid))
        dotted = replace(ana._new_voice(700).source, name=f"{ana.nick}-a0.es")
        await ana.send_jingle(sources_jingle("source-add", sid, [dotted], compact=True))
        for said in ("in use", "to remove", "'dance'", "never was", "trickles", "a0.es"):
            assert server.violations.about(said), said


async def test_restarts_are_given_and_limited() -> None:
    async with two() as (server, ana, ben):
        conference = server.conference("room")
        before = ana.ssrc_of("Ben")
        await conference.break_connection(ben.nick)
        await restart(server, ben)
        await ana.until(lambda: ana.ssrc_of("Ben") not in (None, before))
        await ana.until_hears("Ben", 550)
        assert server.violations == []
        await ana.until(lambda: conference.participant(ben.nick).accepted)
        with pytest.raises(IqError) as error:
            await restart(server, ben, session_id="somebody else's")
        assert error.value.condition == "resource-constraint"
        assert len(server.violations) == 2


async def restart(server: JitsiServer, person: Person, session_id: str | None = None) -> None:
    """Asks for a new session as after a lost connection."""
    session_id = session_id or server.leg("room", person.nick).session_id
    bridge_session = element("bridge-session", stanzas.FOCUS, id=session_id, restart="true")
    await person.send_jingle(
        terminate(sid_of(server, person), "connectivity-error", "lost it", bridge_session)
    )


async def test_wrong_sids_and_unknown_actions_from_the_focus_are_answered() -> None:
    async with two() as (server, ana, _):
        conference = server.conference("room")
        wrong = sources_jingle("source-add", "never-was", [], compact=False)
        answer = await conference.send_jingle(ana.nick, wrong)
        assert stanzas.condition_of(answer) == "item-not-found"
        assert answer.find(f"{{{CLIENT}}}error/{{{stanzas.JINGLE_ERRORS}}}unknown-session") is not None
        assert (await conference.repeat_initiate(ana.nick)).get("type") == "result"
        assert server.violations == []


class Stubborn(Person):
    """Says that it is mute when a moderator mutes it, and goes on."""

    async def mute(self, muted: bool = True) -> None:
        await super().mute(muted)
        for voice in self.voices:
            voice.muted = False


async def test_who_is_muted_and_goes_on_is_not_heard() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await join(server, Stubborn(websocket(server), "room", "Ben", tone_hz=550))
        await ana.until_hears("Ben", 550)
        await server.conference("room").mute(ben.nick)
        await asyncio.sleep(0.1)  # what was on its way
        heard = ana.heard("Ben").count
        await ana.until(lambda: server.violations.about("goes on sending"))
        assert ana.heard("Ben").count == heard


class Uninvited(Person):
    """Joins without asking the focus, under a nick of its own kind, and is gone without leaving."""

    async def _request_conference(self) -> None:
        return

    async def _enter(self) -> None:
        self.nick = "Uninvited"
        await super()._enter()

    async def leave(self) -> None:
        self.ended = "left"  # so that no presence says it
        await super().leave()


async def test_who_joins_and_leaves_as_they_please() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana")
        await (await join(server, Uninvited(websocket(server), "room", "Ben"))).leave()
        await ana.until(lambda: "Uninvited" in ana.gone)
        for said in ("without a conference request", "eight hexadecimal digits", "without having left"):
            assert server.violations.about(said), said


async def test_a_room_that_nobody_joins_is_left_by_the_focus() -> None:
    async with jitsi_server(options=FocusOptions(initial_timeout_s=0.2)) as server:
        ana = await server.join("other", "Ana")
        await ana._xmpp.ask(
            element("iq", CLIENT, element("conference", stanzas.FOCUS, room="room@muc.meet.test", machine_uid="m"),
                    type="set", to="focus.meet.test")
        )  # fmt: skip
        await ana.until(lambda: "room@muc.meet.test" not in server.focus.conferences)
        assert "other@muc.meet.test" in server.focus.conferences
