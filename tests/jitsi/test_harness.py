"""The test side alone, without the bot: people meet on the simulated server, and broken rules are found."""

from __future__ import annotations

import asyncio
import functools
import ssl
import xml.etree.ElementTree as ET

import aiohttp
import pytest

from tests.jitsi import stanzas
from tests.jitsi.client import JoinFailed, Person
from tests.jitsi.conference import FocusOptions
from tests.jitsi.gateway import JoinRefusal
from tests.jitsi.jingle import AudioOffer
from tests.jitsi.prosody import DOMAIN, LOBBY_DOMAIN, MUC_DOMAIN
from tests.jitsi.rtp import Rtp
from tests.jitsi.server import JitsiServer, jitsi_server
from tests.jitsi.stanzas import CLIENT, child, element, named, parse, serialise
from tests.jitsi.xmpp import XmppClient

pytestmark = [pytest.mark.media, pytest.mark.slow]

ROOM = f"room@{MUC_DOMAIN}"


async def test_two_people_hear_each_other_through_the_bridge() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        assert (await ben.until_hears("Ana", 440)).missing == 0
        assert (await ana.until_hears("Ben", 550)).tone_hz() == 550
        assert server.leg("room", ana.nick).heard_audio() == [f"{ben.nick}-a0"]
        assert ana.channel_messages[0]["colibriClass"] == "ServerHello"
    assert server.violations == []
    assert server.strangers("room") == set()


async def test_somebody_alone_has_no_session() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana")
        conference = server.conference("room")
        await conference.until(lambda: conference.participant(ana.nick).features is not None)
        assert conference.participant(ana.nick).sid is None
    assert server.violations == []


async def test_without_a_bridge_there_is_no_session_until_there_is_one() -> None:
    async with jitsi_server() as server:
        await server.focus.bridges(available=False)
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        missing = f"{{{stanzas.FOCUS}}}bridgeNotAvailable"
        assert ana.occupants["focus"].find(missing) is not None
        conference = server.conference("room")
        await conference.until(
            lambda: all(one.features is not None for one in conference.participants.values())
        )
        assert not any(one.sid for one in conference.participants.values())
        await server.focus.bridges(available=True)
        await ana.until_hears("Ben", 550)
        await ben.until(lambda: ben.occupants["focus"].find(missing) is None)
    assert server.violations == []


@pytest.mark.parametrize("form", ["xml", "json"])
async def test_a_third_person_is_signalled_to_those_who_are_there(form: str) -> None:
    async with jitsi_server(options=FocusOptions(sources=form)) as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        await ana.until_hears("Ben", 550)
        eva = await server.join("room", "Eva", tone_hz=660, listening=False)
        await ana.until_hears("Eva", 660)
        assert {source.owner for source in ana.sources.values()} == {"jvb", ben.nick, eva.nick}
        first = next(source for source in ana.sources.values() if source.owner == eva.nick)
        await eva.rejoin()
        await ana.until(functools.partial(_is_another, ana, "Eva", first.ssrc))
        await ana.until_hears("Eva", 660)
        assert first.owner in ana.gone
        assert ana.ssrc_of(eva.nick) == ana.ssrc_of("Eva")
        assert ana.ssrc_of("Eva") not in ben.heard_ssrcs(), "who subscribed to nothing is sent nothing"
    assert server.violations == []


async def test_sources_come_and_go_within_a_session() -> None:
    async with jitsi_server(options=FocusOptions(signal_delay_s=0.2)) as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        await server.until_connected()
        second = await ben.add_source(tone_hz=880)
        await ana.until_hears(second.name, 880)
        await ben.remove_source(second)
        await ana.until(lambda: second.ssrc not in ana.sources)
    assert server.violations == []


async def test_other_numbers_than_usual() -> None:
    offer = AudioOffer(opus=96, telephone_event=97, audio_level_id=5, mid_id=None)
    async with jitsi_server(options=FocusOptions(offer=offer)) as server:
        await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        heard = await ben.until_hears("Ana", 440)
        assert {packet.payload_type for packet in heard.packets} == {96}
        assert all(packet.level(5) is not None for packet in heard.packets)
    assert server.violations == []


async def test_silence_is_not_forwarded_and_looks_like_no_loss() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        await ben.until_hears("Ana", 440)
        await ana.mute()
        leg = server.leg("room", ana.nick)
        ssrc = ana.voices[0].source.ssrc
        sent = leg.received[ssrc].count
        await ben.until(lambda: leg.received[ssrc].count > sent + 50)
        level_id = server.options.offer.audio_level_id
        silent = [packet for packet in ben.heard("Ana").packets if packet.level(level_id) == 127]
        assert len(silent) == 3
        await ana.unmute()
        before = ben.heard("Ana").count
        await ben.until(lambda: ben.heard("Ana").count > before + 10)
        assert ben.heard("Ana").missing == 0
        jumps = [b.timestamp - a.timestamp for a, b in _pairs(list(ben.heard("Ana").packets))]
        assert max(jumps) > 40 * 960, "the media time goes on while nothing is sent"
    assert server.violations == []


async def test_subscriptions_new_and_old_are_honoured() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        eva = await server.join("room", "Eva", tone_hz=660, listening=False)
        await ana.until_hears("Ben", 550)
        await ana.until_hears("Eva", 660)
        leg = server.leg("room", ana.nick)
        asked = (
            {"all": False, "include": [f"{ben.nick}-a0"], "exclude": []},
            {"all": True, "include": [f"{eva.nick}-a0"], "exclude": [f"{eva.nick}-a0"]},
            {"mode": "Include", "list": [f"{ben.nick}-a0"]},
            {"mode": "Exclude", "list": [f"{eva.nick}-a0"]},
        )
        for content in asked:
            await ana.subscribe(all=False, include=[], exclude=[])
            await ana.until(lambda: not leg.subscription.all and not leg.subscription.include)
            await ana.subscribe(**content)
            await ana.until(lambda: leg.subscription.wants(f"{ben.nick}-a0"))
            leg.forwarded.clear()
            await ana.until(lambda: sum(leg.forwarded.values()) > 20)
            assert leg.heard_audio() == [f"{ben.nick}-a0"], content
        server.bridge_options.subscription_forms = frozenset({"old"})
        await ana.subscribe(all=True, include=[], exclude=[])
        await ana.until(lambda: server.violations.about("cannot read"))
    assert len(server.violations) == 1


async def test_only_the_loudest_unless_somebody_names_a_source() -> None:
    async with jitsi_server() as server:
        server.bridge_options.loudest_only = True
        server.bridge_options.num_loudest = 1
        ana = await server.join("room", "Ana", tone_hz=None)
        for number in range(3):
            await server.join("room", f"P{number}", tone_hz=500 + 100 * number, listening=False)
        await server.until_connected()
        leg = server.leg("room", ana.nick)
        await ana.until(lambda: sum(leg.forwarded.values()) > 20)
        assert len(leg.heard_audio()) < 3
        names = [f"{ana.nick_of(f'P{number}')}-a0" for number in range(3)]
        await ana.subscribe(all=True, include=names, exclude=[])
        await ana.until(lambda: sorted(leg.heard_audio()) == sorted(names))
    assert server.violations == []


async def test_a_bridge_channel_by_websocket() -> None:
    async with jitsi_server(options=FocusOptions(channels=frozenset({"sctp", "websocket"}))) as server:
        ana = await server.join("room", "Ana")
        await server.join("room", "Ben")
        await server.until_connected()
        leg = server.leg("room", ana.nick)
        (url,) = leg.offered.channel_urls
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as channel:
            assert (await channel.receive_json())["colibriClass"] == "ServerHello"
            await channel.send_json({"colibriClass": "ReceiverAudioSubscription", "all": False})
            await ana.until(lambda: not leg.subscription.all)
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url + "wrong")
    assert server.violations == []


async def test_messages_between_endpoints() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana")
        ben = await server.join("room", "Ben")
        await server.until_connected()
        await ana.until(lambda: bool(ana.channel_messages) and bool(ben.channel_messages))
        await ana.tell_bridge({"colibriClass": "EndpointMessage", "to": "", "msgPayload": {"text": "hola"}})
        await ben.until(lambda: ben.channel_messages[-1]["colibriClass"] == "EndpointMessage")
        assert ben.channel_messages[-1]["from"] == ana.nick
    assert server.violations == []


async def test_the_password_of_a_room() -> None:
    async with jitsi_server() as server:
        conference = await server.focus.create("room")
        await conference.configure(roomsecret="swordfish")
        for wrong in ("", "sardine"):
            with pytest.raises(JoinFailed) as refused:
                await server.join("room", "Ana", password=wrong)
            assert refused.value.condition == "not-authorized"
        await server.join("room", "Ana", password="swordfish")
    assert server.violations == []


async def test_a_focus_that_is_not_ready_is_asked_again() -> None:
    async with jitsi_server(options=FocusOptions(not_ready=2)) as server:
        await server.join("room", "Ana")
        assert len(server.focus.requests) == 3
        assert server.violations == []
        server.options.not_ready = 1
        hasty = await _guest(server)
        for _ in range(2):
            await hasty.ask(_conference_request())
        await hasty.close()
    assert len(server.violations.about("asks again after")) == 1


async def test_conference_requests_by_http() -> None:
    async with jitsi_server(
        http_requests=True, options=FocusOptions(not_ready=1), config_style="debian"
    ) as server:
        async with aiohttp.ClientSession() as session:
            config = await (await session.get(f"{server.url}/config.js")).text()
            url = f"{server.url}/conference-request/v1"
            assert f"conferenceRequestUrl: '{url}'" in config
            body = {"room": ROOM, "machineUid": "m", "properties": {}}
            ready = []
            for _ in range(2):
                ready.append((await (await session.post(url, json=body)).json())["ready"])
                await asyncio.sleep(1)
            assert ready == [False, True]
            server.options.refuse_requests = "not-authorized"
            assert (await session.post(url, json=body)).status == 403
        assert "room" in {room.partition("@")[0] for room in server.focus.conferences}
    assert server.violations == []


@pytest.mark.parametrize("refusal", list(JoinRefusal))
async def test_joins_are_refused_as_jitsi_says_it(refusal: JoinRefusal) -> None:
    async with jitsi_server() as server:
        server.refuse_joins(refusal, times=1)
        guest = await _guest(server)
        await guest.ask(_conference_request())
        presence = await guest.enter(f"{ROOM}/0123abcd")
        assert presence.get("type") == "error"
        assert presence.get("from") == f"{ROOM}/0123abcd"
        found = child(presence, "error", CLIENT)
        assert found is not None
        assert ET.tostring(found) == ET.tostring(refusal.stanza_error(f"room@{LOBBY_DOMAIN}"))
        assert (await guest.enter(f"{ROOM}/0123abcd")).get("type") is None
        await guest.close()


async def test_only_the_focus_makes_rooms() -> None:
    async with jitsi_server() as server:
        guest = await _guest(server)
        presence = await guest.enter(f"{ROOM}/0123abcd")
        assert stanzas.condition_of(presence) == "not-allowed"
        await guest.close()


async def test_the_lobby_admits_and_denies() -> None:
    async with jitsi_server() as server:
        await server.focus.create("room")
        await server.focus.open_lobby("room")
        guest = await _guest(server)
        await guest.ask(_conference_request())
        for admitted in (False, True):
            presence = await guest.enter(f"{ROOM}/0123abcd")
            assert stanzas.condition_of(presence) == "registration-required"
            lobby = presence.find(f"{{{CLIENT}}}error/{{{stanzas.JITMEET}}}lobbyroom")
            assert lobby is not None
            assert lobby.text == f"room@{LOBBY_DOMAIN}"
            assert (await guest.enter(f"{lobby.text}/0123abcd")).get("type") is None
            nick = await server.focus.knocking("room")
            if not admitted:
                await server.focus.deny("room", nick)
                assert "307" in await guest.thrown_out()
        await server.focus.admit("room", nick)
        invite = await guest.next(lambda stanza: stanza.find(f".//{{{stanzas.MUC_USER}}}invite") is not None)
        assert invite.get("from") == ROOM
        assert (await guest.enter(f"{ROOM}/0123abcd")).get("type") is None
        await server.focus.close_lobby("room")
        destroyed = await guest.next(
            lambda stanza: stanza.find(f".//{{{stanzas.MUC_USER}}}destroy") is not None
        )
        node = destroyed.find(f".//{{{stanzas.MUC_USER}}}destroy")
        assert node is not None
        assert node.get("jid") == ROOM
        await guest.close()


async def test_a_move_to_another_bridge_is_a_new_session() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        await ana.until_hears("Ben", 550)
        conference = server.conference("room")
        for crash in (False, True):
            first = server.leg("room", ben.nick).session_id
            before = ana.ssrc_of("Ben")
            await conference.move(crash=crash)
            await ana.until(functools.partial(_is_another, ana, "Ben", before))
            await ana.until_hears("Ben", 550)
            await ben.until_hears("Ana", 440)
            assert server.leg("room", ben.nick).session_id != first
    assert server.violations == []


async def test_alone_the_session_expires_and_comes_back_with_the_next() -> None:
    async with jitsi_server(options=FocusOptions(alone_s=0.2)) as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        await ana.until_hears("Ben", 550)
        await ben.leave()
        await ana.until(lambda: not ana.connected.is_set())
        await ben.join()
        await ana.until_hears("Ben", 550)
    assert server.violations == []


async def test_a_focus_that_restarts_offers_new_sessions_when_asked() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550)
        await ana.until_hears("Ben", 550)
        before = ana.ssrc_of("Ben")
        await server.focus.restart(down_s=0.5)
        await ana.until(functools.partial(_is_another, ana, "Ben", before))
        await ana.until_hears("Ben", 550)
        await ben.until_hears("Ana", 440)
    assert server.violations == []


async def test_a_direct_connection_is_offered_and_declined() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana")
        ben = await server.join("room", "Ben")
        await server.until_connected()
        outcome = await ana.offer_p2p(ben.nick)
        assert outcome.accepted_iq
        assert outcome.reason == "decline"
        assert ben.connected.is_set()
    assert server.violations == []


async def test_muted_by_a_moderator_kicked_and_told() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, moderator=True)
        ben = await server.join("room", "Ben", tone_hz=550)
        await ana.until_hears("Ben", 550)
        conference = server.conference("room")
        await conference.mute(ben.nick)
        assert all(conference.participant(ben.nick).announced.values())
        item = ben.occupants[ana.nick].find(f"{{{stanzas.MUC_USER}}}x/{{{stanzas.MUC_USER}}}item")
        assert item is not None
        assert (item.get("role"), item.get("affiliation")) == ("moderator", "owner")
        await ana.say("hola")
        await ana.say("only you", to=ben.nick)
        await ben.until(lambda: len(ben.chat) == 2)
        assert ben.chat == [(ana.nick, "hola", False), (ana.nick, "only you", True)]
        await conference.kick(ben.nick)
        await ben.until(lambda: ben.ended == "kicked")
        await ana.until(lambda: ben.nick in ana.gone)
    assert server.violations == []


async def test_guests_of_a_server_with_tokens() -> None:
    async with jitsi_server(
        tokens=frozenset({"good"}), tenant="clinic", uuid_nodes=True, strict_nicks=True
    ) as server:
        with pytest.raises(Exception, match="token required"):
            await server.join("room", "Ana", token="bad")
        ana = await server.join("room", "Ana", token="good")
        assert ana.jid.startswith(ana.nick)
        assert server.meeting_url("room").endswith("/clinic/room")
    assert server.violations == []


async def test_over_tls_by_an_authority_of_its_own() -> None:
    async with jitsi_server(tls=True) as server:
        await server.join("room", "Ana")
        async with aiohttp.ClientSession() as session:
            trusted = await session.get(f"{server.url}/config.js", ssl=server.tls_context())
            assert f"config.hosts.domain = '{DOMAIN}';" in await trusted.text()
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"{server.url}/config.js", ssl=ssl.create_default_context())
    assert server.violations == []


async def test_a_connection_that_is_cut_can_be_resumed() -> None:
    async with jitsi_server() as server:
        conference = await server.focus.create("room")
        guest = await _guest(server)
        await guest.ask(_conference_request())
        await guest.enable_resumption()
        await guest.enter(f"{ROOM}/0123abcd")
        await conference.until(lambda: "0123abcd" in conference.participants)
        server.cut("0123abcd")
        await guest.lost.wait()
        await guest.vanish()
        resumed = _Guest(server, previous=guest)
        await resumed.resume()
        assert conference.left == []
        await server.focus.moderate("room")
        message = await resumed.next(lambda stanza: named(stanza, "message", CLIENT))
        assert "av_moderation" in serialise(message)
        assert server.gateway.connections_of("0123abcd")
        await resumed.vanish()


async def test_fifteen_people_and_one_who_listens() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=None)
        for number in range(14):
            await server.join("room", f"P{number}", tone_hz=400 + 50 * number, listening=False)
        await server.until_connected()
        for number in range(14):
            heard = await ana.until_hears(f"P{number}", 400 + 50 * number)
            assert heard.tone_hz() == 400 + 50 * number
    assert server.violations == []


class _Guest(XmppClient):
    """A login that does by hand what a test says, keeps what comes, and can resume."""

    def __init__(self, server: JitsiServer, previous: _Guest | None = None) -> None:
        self.came: asyncio.Queue[ET.Element] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.previous = previous
        self.stream_id: str = previous.stream_id if previous is not None else ""
        self.handled: int = previous.handled if previous is not None else 0
        url = f"{server.gateway.websocket_base_url}/xmpp-websocket?room=room"
        super().__init__(url, DOMAIN, on_stanza=self._keep, on_lost=lambda reason: self.lost.set())

    def _keep(self, stanza: ET.Element) -> None:
        self.handled += stanzas.split_tag(stanza.tag)[0] == CLIENT
        self.came.put_nowait(stanza)

    async def next(self, wanted: object) -> ET.Element:
        assert callable(wanted)
        async with asyncio.timeout(60):
            while not wanted(stanza := await self.came.get()):
                pass
        return stanza

    async def enter(self, occupant: str) -> ET.Element:
        join = element("presence", CLIENT, element("x", stanzas.MUC), to=occupant)
        await self.send(join)
        return await self.next(
            lambda stanza: named(stanza, "presence", CLIENT) and stanza.get("from") == occupant
        )

    async def thrown_out(self) -> set[str | None]:
        presence = await self.next(lambda stanza: stanza.get("type") == "unavailable")
        return {one.get("code") for one in presence.iter(f"{{{stanzas.MUC_USER}}}status")}

    async def enable_resumption(self) -> None:
        await self.send(element("enable", stanzas.SM, resume="true"))
        enabled = await self.next(lambda stanza: named(stanza, "enabled", stanzas.SM))
        self.stream_id = enabled.get("id", "")
        self.handled = 0

    async def resume(self) -> None:
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(
            f"{self._url}&previd={self.stream_id}", protocols=("xmpp",)
        )
        await self._open_stream()
        await self._log_in()
        await self._open_stream()
        await self.send(element("resume", stanzas.SM, previd=self.stream_id, h=self.handled))
        while not named(parse(await self._socket.receive_str()), "resumed", stanzas.SM):
            pass
        self._reading = asyncio.create_task(self._read())


async def _guest(server: JitsiServer) -> _Guest:
    guest = _Guest(server)
    await guest.open()
    return guest


def _conference_request() -> ET.Element:
    conference = element("conference", stanzas.FOCUS, room=ROOM, machine_uid="m")
    return element("iq", CLIENT, conference, type="set", to="focus.meet.test")


def _is_another(person: Person, who: str, before: int | None) -> bool:
    return person.ssrc_of(who) not in (None, before)


def _pairs(packets: list[Rtp]) -> list[tuple[Rtp, Rtp]]:
    return list(zip(packets, packets[1:], strict=False))
