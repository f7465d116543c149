"""WHIP and WHEP over real sockets on the loopback interface, with fake peers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from tests.webrtc.hosted.fakes import FakePage, FakePeer
from webrtc.errors import LocalError, SdpError
from webrtc.hosted import Door, HostedServer, HostedSettings, Invitee
from webrtc.peer import IceServer, IceSettings
from webrtc.room import (
    Attestation,
    IncomingAudio,
    Levels,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    TrackStarted,
    TrackStopped,
)
from webrtc.sdp import MAX_OFFER_BYTES

ANA = Invitee(name="Ana", language="es", token="ana-0123456789-abc")
BEN = Invitee(name="Ben", language="en", token="ben-0123456789-abc")
OFFER = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
PASSWORD = "a=ice-pwd:nobody-may-read-this"


class OneWayPeer(FakePeer):
    """Answers what `read_offer` lets through; has audio at once where that sends."""

    async def answer(self, offer_sdp: str) -> str:
        await self.answers.wait()
        if "refuse" in offer_sdp:
            raise SdpError(f"expected an offer that can be answered, got: {PASSWORD}")
        if "a=sendonly" in offer_sdp:
            await super().answer("v=0 good")
        return "v=0\r\nm=audio 9 X 111\r\n"


class House:
    """A server with one room that Ana and Ben are invited to."""

    def __init__(self, **settings: Any) -> None:
        self.peers: list[OneWayPeer] = []
        self.server = HostedServer(HostedSettings(**settings), self._make_peer)
        self.room = self.server.add_room("sala 1/b", people=(ANA, BEN))
        self.seen: list[RoomEvent] = []

    def _make_peer(
        self, *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
    ) -> OneWayPeer:
        self.peers.append(OneWayPeer(on_audio=on_audio, on_closed=on_closed))
        return self.peers[-1]

    async def enter(self, stack: AsyncExitStack) -> House:
        await stack.enter_async_context(self.server)
        await stack.enter_async_context(self.room)
        self.client = await stack.enter_async_context(ClientSession())
        self.events = self.room.events()
        return self

    def url(self, door: Door) -> str:
        return self.server.call_url(self.room, door)

    async def ask(self, method: str, url: str, who: Invitee | None = ANA, **more: Any) -> ClientResponse:
        token = {} if who is None else {"Authorization": f"Bearer {who.token}"}
        headers = {**token, **more.pop("headers", {})}
        if url.startswith("/"):
            url = self.server.url + url
        async with self.client.request(method, url, headers=headers, **more) as response:
            await response.read()
            return response

    async def call(
        self, door: Door, who: Invitee | None = ANA, offer: str = OFFER, **headers: str
    ) -> ClientResponse:
        headers = {"Content-Type": "application/sdp", **headers}
        return await self.ask("POST", self.url(door), who, data=offer.encode(), headers=headers)

    async def session(self, door: Door, who: Invitee = ANA) -> str:
        response = await self.call(door, who)
        assert response.status == 201, await response.text()
        return response.headers["Location"]

    async def event(self) -> RoomEvent:
        async with asyncio.timeout(10):
            return await anext(self.events)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def house(stack: AsyncExitStack) -> House:
    return await House(max_participants=2).enter(stack)


async def test_who_publishes_and_listens_is_one_person(house: House) -> None:
    whip = await house.call(Door.WHIP)
    assert whip.status == 201
    assert whip.content_type == "application/sdp"
    assert (await whip.text()).startswith("v=0\r\nm=audio")
    assert whip.headers["ETag"].startswith('"')
    assert whip.headers["Location"].startswith("/whip/sala%201%2Fb/")
    joined, started = await house.event(), await house.event()
    assert isinstance(joined, ParticipantJoined)
    assert (joined.participant.name, joined.participant.attributes) == ("Ana", {"language": "es"})
    assert joined.participant.token == ANA.token
    assert isinstance(started, TrackStarted)
    who = started.participant_id
    assert house.room.outgoing(who) is None, "she does not listen yet"
    assert (joined.participant.speaks, joined.participant.listens) == (True, False)

    whep = await house.session(Door.WHEP)
    changed = await house.event()
    assert isinstance(changed, ParticipantChanged)
    assert (changed.participant.id, changed.participant.speaks, changed.participant.listens) == (
        who,
        True,
        True,
    )
    assert house.room.outgoing(who) is house.peers[1].kept
    house.room.tell(who, Levels(dbfs={}, speaking=frozenset()))  # which nobody can see
    house.room.tell(who, Attestation(line="signed"))
    assert house.peers[1].attested == ["signed"]

    assert (await house.ask("DELETE", whip.headers["Location"])).status == 200
    assert isinstance(await house.event(), TrackStopped)
    changed = await house.event()
    assert isinstance(changed, ParticipantChanged)
    assert (changed.participant.speaks, changed.participant.listens) == (False, True)
    assert house.room.outgoing(who) is house.peers[1].kept, "she goes on listening"
    assert (await house.ask("DELETE", whep)).status == 200
    left = await house.event()
    assert left == ParticipantLeft(participant_id=who, reason="left")
    await asyncio.sleep(0)
    assert [peer.closed for peer in house.peers] == [1, 1]
    assert (await house.ask("DELETE", whep)).status == 404


async def test_a_second_call_takes_the_place_of_the_first(house: House) -> None:
    first = await house.session(Door.WHIP)
    assert (await house.call(Door.WHIP, offer=OFFER + "a=refuse\r\n")).status == 400
    assert [peer.closed for peer in house.peers] == [0, 1], "an offer that fails changes nothing"
    second = await house.session(Door.WHIP)
    kinds = [type(await house.event()) for _ in range(4)]
    assert kinds == [ParticipantJoined, TrackStarted, TrackStopped, TrackStarted]
    await asyncio.sleep(0)
    assert [peer.closed for peer in house.peers] == [1, 1, 0]
    house.peers[0].on_closed("too late to matter")
    assert (await house.ask("DELETE", first)).status == 404
    assert (await house.ask("GET", second)).status == 204


async def test_a_peer_that_vanishes_is_removed(house: House) -> None:
    await house.session(Door.WHIP)
    await house.session(Door.WHEP)
    house.peers[0].on_closed("no consent")
    house.peers[1].on_closed("no consent")
    events = [await house.event() for _ in range(6)]
    assert isinstance(events[3], TrackStopped)
    assert isinstance(events[5], ParticipantLeft)
    assert events[5].reason == "connection lost: no consent"
    assert (await house.call(Door.WHIP, BEN)).status == 201, "her seat is free"


async def test_two_calls_at_once_are_one_person(house: House) -> None:
    answers = await asyncio.gather(*(house.call(door) for door in (Door.WHIP, Door.WHEP, Door.WHIP)))
    assert [answer.status for answer in answers] == [201] * 3
    await house.session(Door.WHEP, BEN)
    joined = [
        event for event in [await house.event() for _ in range(6)] if isinstance(event, ParticipantJoined)
    ]
    assert [one.participant.name for one in joined] == ["Ana", "Ben"]


async def test_a_full_room_says_when_to_come_back(house: House) -> None:
    page = await FakePage.open(house.client, house.server.link(house.room))
    await page.send("join", name="Eva", language="en")
    await page.read_until("welcome")
    await house.session(Door.WHIP)
    full = await house.call(Door.WHIP, BEN)
    assert (full.status, full.headers["Retry-After"]) == (503, "10")
    assert full.content_type == "application/problem+json"
    assert (await full.json())["detail"] == "expected at most 2 participants, got one more"


async def test_pages_see_guests_come_and_go(house: House) -> None:
    page = await FakePage.open(house.client, house.server.link(house.room))
    await page.send("join", name="Eva", language="en")
    await page.read_until("welcome")
    whep = await house.session(Door.WHEP)
    joined = (await page.read_until("joined"))["participant"]
    assert (joined["name"], joined["language"], joined["muted"]) == ("Ana", "es", True)
    await house.session(Door.WHIP)
    assert (await page.read_until("changed"))["participant"]["muted"] is False
    await house.room.remove(joined["id"], "she asked for it")
    await page.read_until("left")
    assert (await house.ask("DELETE", whep)).status == 404
    await asyncio.sleep(0)
    assert [peer.closed for peer in house.peers] == [1, 1]
    await house.session(Door.WHEP)
    assert (await page.read_until("joined"))["participant"]["id"] != joined["id"]


async def test_who_is_put_out_while_calling_is_told(house: House) -> None:
    await house.session(Door.WHEP)
    joined = await house.event()
    assert isinstance(joined, ParticipantJoined)
    make_peer, called, slow = house.room.make_peer, asyncio.Event(), asyncio.Event()

    def make_slow_peer(**callbacks: Any) -> Any:
        peer = make_peer(**callbacks)
        peer.answers = slow  # type: ignore[attr-defined]
        called.set()
        return peer

    house.room.make_peer = make_slow_peer
    calling = asyncio.create_task(house.call(Door.WHIP))
    await called.wait()
    await house.room.remove(joined.participant.id, "no longer wanted")
    slow.set()
    assert (await calling).status == 404
    await asyncio.sleep(0)
    assert [peer.closed for peer in house.peers] == [1, 1]


async def test_only_whoever_was_invited_comes_in(house: House, caplog: pytest.LogCaptureFixture) -> None:
    session = await house.session(Door.WHIP)
    stranger = Invitee(name="?", language="es", token="wrong-0123456789-abc")
    for method, url in (("POST", house.url(Door.WHIP)), ("DELETE", session), ("GET", session)):
        nobody = await house.ask(method, url, None)
        assert (nobody.status, nobody.headers["WWW-Authenticate"]) == (401, "Bearer")
        wrong = await house.ask(method, url, stranger)
        assert (wrong.status, wrong.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert stranger.token not in await wrong.text()
    assert (await house.ask("DELETE", session, BEN)).status == 404, "it is not his"
    assert (await house.ask("DELETE", session.replace("/whip/", "/whep/"))).status == 404
    assert (await house.ask("POST", "/whip/another")).status == 404
    assert len(house.peers) == 1
    assert stranger.token not in caplog.text
    assert ANA.token not in caplog.text
    await house.room.close()
    assert (await house.call(Door.WHIP)).status == 404


async def test_methods_and_types(house: House) -> None:
    endpoint, session = house.url(Door.WHIP), await house.session(Door.WHIP)
    for method in ("PATCH", "PUT", "DELETE"):
        refused = await house.ask(method, endpoint)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, POST, OPTIONS")
    for method in ("PATCH", "POST", "PUT"):
        refused = await house.ask(method, session)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, DELETE, OPTIONS")
    assert (await house.ask("GET", endpoint, None)).status == 204
    options = await house.ask("OPTIONS", endpoint, None)
    assert (options.status, options.headers["Accept-Post"]) == (200, "application/sdp")
    unknown = await house.call(Door.WHIP, **{"Content-Type": "text/plain"})
    assert (unknown.status, unknown.headers["Accept-Post"]) == (415, "application/sdp")


async def test_bad_offers_are_refused_in_words_and_change_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bad = await house.call(Door.WHIP, offer="hello")
    assert bad.status == 400
    assert "expected a session description" in (await bad.json())["detail"]
    assert (await house.call(Door.WHEP, offer=OFFER + "a=sendonly\r\n")).status == 400
    refused = await house.call(Door.WHIP, offer=f"{OFFER}{PASSWORD}\r\na=refuse\r\n")
    assert refused.status == 400
    assert PASSWORD not in caplog.text
    assert (await house.call(Door.WHIP, offer=OFFER + "a=" + MAX_OFFER_BYTES * "x")).status == 413
    response = await house.ask(
        "POST", house.url(Door.WHIP), data=b"\xff\xfe", headers={"Content-Type": "application/sdp"}
    )
    assert response.status == 400
    assert [peer.closed for peer in house.peers] == [1]
    await house.session(Door.WHIP)
    assert isinstance(await house.event(), ParticipantJoined)


async def test_pages_of_named_sites_may_call(stack: AsyncExitStack) -> None:
    site = "https://studio.example.org"
    servers = (IceServer(urls=("stun:a.example", "stun:b.example")),)
    house = await House(call_origins=(site,), ice=IceSettings(servers=servers)).enter(stack)
    asked = {"Origin": site, "Access-Control-Request-Method": "POST"}
    preflight = await house.ask("OPTIONS", house.url(Door.WHIP), None, headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == site
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert "DELETE" in preflight.headers["Access-Control-Allow-Methods"]
    created = await house.call(Door.WHIP, Origin=site)
    assert created.headers["Access-Control-Allow-Origin"] == site
    assert "Location" in created.headers["Access-Control-Expose-Headers"]
    assert created.headers.getall("Link") == [f'<stun:{name}.example>; rel="ice-server"' for name in "ab"]
    refused = await house.call(Door.WHIP, None, Origin=site)
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, site)
    elsewhere = await house.ask(
        "OPTIONS", house.url(Door.WHIP), None, headers={**asked, "Origin": "https://x.example"}
    )
    assert "Access-Control-Allow-Origin" not in elsewhere.headers
    assert elsewhere.headers["Vary"] == "Origin"


def test_people_who_cannot_be_told_apart_are_refused() -> None:
    server = HostedServer(HostedSettings())
    twin = Invitee(name="Ana", language="en", token="another-0123456789")
    with pytest.raises(LocalError, match="a name of their own"):
        server.add_room("clinic", people=(ANA, twin))
    with pytest.raises(LocalError, match="a token of their own"):
        server.add_room("clinic", people=(ANA, Invitee(name="Eva", language="en", token=ANA.token)))
    server.add_room("clinic", people=(ANA,))
    with pytest.raises(LocalError, match="a name of its own for WHIP and WHEP, got 'clinic'"):
        server.add_room("clinic", people=(BEN,))
