"""The server with real sockets on the loopback interface, fake peers and fake pages."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession, TCPConnector, WSMsgType, WSServerHandshakeError

from tests.netns import MEDIA_ADDRESS
from tests.webrtc.hosted.fakes import GOOD_SDP, FakePage, FakePeers
from webrtc.errors import LocalError
from webrtc.hosted import Document, HostedRoom, HostedServer, HostedSettings, SelfSigned
from webrtc.hosted.server import certificate_names
from webrtc.peer import IceServer, IceSettings
from webrtc.room import (
    STANDING,
    Attestation,
    CommandGiven,
    Levels,
    Notice,
    NoticeLevel,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Replied,
    Room,
    RoomEvent,
    Stored,
    TrackMuted,
    TrackStarted,
)

E = TypeVar("E")


class House:
    """One server with one room, and what a test needs around it."""

    def __init__(self, server: HostedServer, room: HostedRoom, peers: FakePeers, client: ClientSession):
        self.server = server
        self.room = room
        self.peers = peers
        self.client = client
        self.events = room.events()

    @property
    def link(self) -> str:
        return self.server.link(self.room)

    async def open_page(self) -> FakePage:
        return await FakePage.open(self.client, self.link)

    async def joined_page(self, name: str, language: str = "en") -> FakePage:
        page = await self.open_page()
        await page.join(name, language)
        return page

    async def event(self) -> RoomEvent:
        async with asyncio.timeout(10):
            return await anext(self.events)

    async def event_of(self, kind: type[E]) -> E:
        while not isinstance(event := await self.event(), kind):
            pass
        return event


MakeHouse = Callable[..., Awaitable[House]]


@pytest.fixture
async def make_house() -> AsyncIterator[MakeHouse]:
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> House:
            peers = FakePeers()
            server = await stack.enter_async_context(HostedServer(HostedSettings(**settings), peers))
            room = await stack.enter_async_context(server.add_room("clinic"))
            client = await stack.enter_async_context(ClientSession())
            return House(server, room, peers, client)

        yield make


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    return await make_house()


def test_a_hosted_room_is_a_room() -> None:
    server = HostedServer(HostedSettings(), FakePeers())
    room: Room = server.add_room("clinic")
    assert room.name == "clinic"


async def test_a_person_who_joins_is_reported_with_their_audio(house: House) -> None:
    page = await house.joined_page("Ana", "es")
    joined = await house.event()
    assert isinstance(joined, ParticipantJoined)
    assert joined.participant.id == page.id
    assert (joined.participant.name, joined.participant.attributes) == ("Ana", {"language": "es"})
    assert joined.participant.token == house.room.token
    assert house.room.token not in repr(joined)
    started = await house.event()
    assert isinstance(started, TrackStarted)
    assert started.participant_id == page.id
    assert house.room.outgoing(page.id) is house.peers.made[0].kept


async def test_who_joins_with_the_host_key_is_a_host_for_the_room_and_nothing_else_to_others(
    house: House,
) -> None:
    bob = await house.joined_page("Bob")
    page = await house.open_page()
    await page.send("join", name="Eva", language="es", host_key=house.room.host_token)
    welcome = await page.read()
    assert welcome["standing"] == "host"
    await page.send("offer", sdp=GOOD_SDP)
    assert (await bob.read_until("joined"))["participant"].keys() == {"id", "name", "language", "muted"}
    assert (await house.event_of(ParticipantJoined)).participant.attributes == {"language": "en"}
    joined = (await house.event_of(ParticipantJoined)).participant
    assert joined.attributes == {"language": "es", STANDING: "host"}
    assert joined.token == house.room.host_token
    assert house.room.host_token not in f"{joined!r} {house.room!r}"
    await page.send("language", language="en")
    changed = await house.event_of(ParticipantChanged)
    assert changed.participant.attributes == {"language": "en", STANDING: "host"}


@pytest.mark.parametrize(
    "guess", ["{room}", "{other}", "{key}x", "{short}", "{upper}", "ключ", "\x00", "x" * 128]
)
async def test_a_wrong_host_key_is_refused_in_words_and_said_nowhere(
    house: House, caplog: pytest.LogCaptureFixture, guess: str
) -> None:
    caplog.set_level(logging.DEBUG)
    key = house.room.host_token
    guess = guess.format(
        room=house.room.token,
        other=house.server.add_room("other").host_token,
        key=key,
        short=key[:-1],
        upper=key.swapcase(),
    )
    page = await house.open_page()
    await page.send("join", name="Mallory", language="en", host_key=guess)
    assert await page.read() == {
        "type": "error",
        "code": "wrong-host-key",
        "message": "expected the key of this room's host link, got another",
    }
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "refused a message" in warnings[0].getMessage()
    assert not any(secret in caplog.text for secret in (guess, key))
    await page.join("Mallory")
    assert (await house.event_of(ParticipantJoined)).participant.attributes == {"language": "en"}


async def test_guesses_at_the_host_key_are_counted_and_take_no_seat(make_house: MakeHouse) -> None:
    house = await make_house(max_participants=1)
    page = await house.open_page()
    for number in range(10):
        await page.send("join", name="Mallory", language="en", host_key=f"guess-{number}")
    refusals = [await page.read() for _ in range(10)]
    assert {refusal["code"] for refusal in refusals} == {"wrong-host-key"}
    assert (await page.until_closed())["code"] == "too-many-errors"
    await house.joined_page("In time")
    late = await house.open_page()
    await late.send("join", name="Mallory", language="en", host_key="guess")
    assert (await late.read())["code"] == "wrong-host-key", "also where no seat is free"


async def test_nobody_becomes_a_host_after_they_have_joined(house: House) -> None:
    page = await house.joined_page("Ana")
    await page.send("join", name="Ana", language="en", host_key=house.room.host_token)
    assert (await page.read())["message"] == "expected one join, got a second"
    await page.send("language", language="es")
    assert (await house.event_of(ParticipantChanged)).participant.attributes == {"language": "es"}


async def test_nobody_is_in_the_room_before_their_answer(house: House) -> None:
    first = await house.joined_page("Ana")
    second = await house.open_page()
    await second.send("join", name="Bob", language="en")
    welcome = await second.read()
    assert [entry["name"] for entry in welcome["participants"]] == ["Ana"]
    assert house.room.outgoing(welcome["id"]) is None
    await second.send("offer", sdp=GOOD_SDP)
    assert (await first.read())["participant"]["name"] == "Bob"


async def test_what_changes_is_told_to_everybody_and_reported(house: House) -> None:
    ana, bob = await house.joined_page("Ana"), await house.joined_page("Bob")
    await ana.send("mute", muted=True)
    assert await bob.read() == {"type": "muted", "id": ana.id, "muted": True}
    assert await house.event_of(TrackMuted) == TrackMuted(participant_id=ana.id, muted=True)
    await ana.send("language", language="es")
    assert (await bob.read())["participant"]["language"] == "es"
    changed = await house.event_of(ParticipantChanged)
    assert changed.participant.attributes == {"language": "es"}
    await ana.send("leave")
    assert await bob.read() == {"type": "left", "id": ana.id}
    assert await house.event_of(ParticipantLeft) == ParticipantLeft(participant_id=ana.id, reason="left")
    assert house.room.outgoing(ana.id) is None
    await asyncio.sleep(0)
    assert [peer.closed for peer in house.peers.made] == [1, 0]


async def test_a_person_who_joins_muted_is_reported_muted(house: House) -> None:
    page = await house.open_page()
    await page.send("join", name="Ana", language="en")
    await page.send("mute", muted=True)
    await page.send("offer", sdp=GOOD_SDP)
    assert (await page.read_until("joined"))["participant"]["muted"] is True
    assert isinstance(await house.event(), ParticipantJoined)
    assert isinstance(await house.event(), TrackStarted)
    assert (await house.event_of(TrackMuted)).muted


async def test_what_the_interpreter_says_reaches_one_page_only(house: House) -> None:
    ana, bob = await house.joined_page("Ana"), await house.joined_page("Bob")
    house.room.tell(ana.id, Notice(id="n", level=NoticeLevel.INFO, text="Hello"))
    house.room.tell("nobody", Notice(id="n", level=NoticeLevel.INFO, text="Hello"))
    house.room.tell(bob.id, Levels(dbfs={ana.id: -20.0}, speaking=frozenset()))
    await ana.read_until("notice")
    assert (await bob.read())["type"] == "levels"


async def test_a_command_is_reported_and_its_answer_reaches_who_gave_it(house: House) -> None:
    ana, bob = await house.joined_page("Ana"), await house.joined_page("Bob")
    await ana.send("command", id="q1", name="balance", arguments={"level": 0.25, "why": "más", "on": True})
    assert await house.event_of(CommandGiven) == CommandGiven(
        participant_id=ana.id,
        request_id="q1",
        name="balance",
        arguments={"level": 0.25, "why": "más", "on": True},
    )
    house.room.tell(ana.id, Replied(request_id="q1", accepted=True, text="Done.", language="en"))
    assert (await ana.read_until("replied"))["id"] == "q1"
    house.room.tell(bob.id, Notice(id="n", level=NoticeLevel.INFO, text="Hello"))
    assert (await bob.read())["type"] == "notice", "the answer is nobody else's"


async def test_what_is_asked_on_joining_is_reported_before_any_sound(house: House) -> None:
    page = await house.open_page()
    await page.send("command", id="0", name="stop", arguments={})
    assert (await page.read())["message"] == "expected join first, got command"
    await page.send("join", name="Ana", language="en")
    await page.read()
    for number in range(9):
        await page.send("command", id=str(number), name="optout", arguments={})
    await page.send("offer", sdp=GOOD_SDP)
    refusal = await page.read()
    assert refusal["message"] == "expected at most 8 commands before the offer, got another"
    assert isinstance(await house.event(), ParticipantJoined)
    asked = [await house.event() for _ in range(8)]
    assert [event.request_id for event in asked if isinstance(event, CommandGiven)] == list("01234567")
    assert isinstance(await house.event(), TrackStarted)


async def test_a_flood_of_commands_ends_the_connection(house: House) -> None:
    page, bob = await house.joined_page("Ana"), await house.joined_page("Bob")
    for number in range(200):
        await page.send("command", id=str(number), name="repeat", arguments={})
    assert (await page.until_closed())["code"] == "too-many-messages"
    assert await bob.read() == {"type": "left", "id": page.id}
    given = 0
    while not isinstance(event := await house.event(), ParticipantLeft):
        given += isinstance(event, CommandGiven)
    assert 0 < given <= 60, "the burst, and what time earned meanwhile"


async def test_attestations_take_the_peers_channel_and_no_other_way(house: House) -> None:
    ana = await house.joined_page("Ana")
    house.room.tell(ana.id, Attestation(line="{}"))
    house.room.tell("nobody", Attestation(line="{}"))
    assert house.peers.made[0].attested == ["{}"]
    page = await house.open_page()
    await page.send("join", name="Bob", language="en")
    house.room.tell((await page.read())["id"], Attestation(line="{}"))
    house.room.tell(ana.id, Notice(id="n", level=NoticeLevel.INFO, text="Hello"))
    assert (await ana.read())["type"] == "notice", "nothing of it came by WebSocket"


async def test_a_removed_person_is_told_why_and_may_come_back(house: House) -> None:
    ana = await house.joined_page("Ana")
    await house.room.remove(ana.id, "The visit is over.")
    assert await ana.until_closed() == {
        "type": "closed",
        "code": "removed",
        "message": "The visit is over.",
    }
    assert (await house.event_of(ParticipantLeft)).reason == "removed: The visit is over."
    again = await house.joined_page("Ana")
    assert again.id != ana.id


async def test_the_participant_after_the_last_seat_is_refused(make_house: MakeHouse) -> None:
    house = await make_house(max_participants=64)
    pages = [await house.open_page() for _ in range(64)]
    for number, page in enumerate(pages):
        await page.send("join", name=f"Guest {number}", language="en")
        await page.read_until("welcome")
    late = await house.open_page()
    await late.send("join", name="Late", language="en")
    assert (await late.until_closed())["code"] == "room-full"
    await pages[0].send("leave")
    await pages[0].socket.receive()
    await house.joined_page("In time")


async def test_an_unknown_room_is_said_in_words(house: House) -> None:
    wrong = f"{house.server.url}/r/wrong"
    async with house.client.get(wrong) as response:
        assert response.status == 404
        assert "link" in await response.text()
    async with house.client.get(f"{wrong}/room.json") as response:
        assert (response.status, await response.json()) == (404, {"code": "unknown-room"})
    page = await FakePage.open(house.client, wrong)
    assert (await page.until_closed())["code"] == "unknown-room"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "expected a JSON object"),
        ('{"type":"offer","sdp":"v=0"}', "expected join first, got offer"),
        ('{"type":"join","name":"Ana","language":"tlh"}', "expected a language of en, es, got 'tlh'"),
        ('{"type":"command","id":"1","name":"x y","arguments":{}}', "expected a command's name"),
        ("x" * 65_537, "expected at most 65536 bytes, got 65537"),
        (b"\x00", "expected a text message, got a binary one"),
    ],
)
async def test_a_bad_message_is_refused_to_its_sender_only(
    house: House, caplog: pytest.LogCaptureFixture, text: str | bytes, expected: str
) -> None:
    caplog.set_level(logging.WARNING)
    other = await house.joined_page("Bob")
    page = await house.open_page()
    if isinstance(text, str):
        await page.socket.send_str(text)
    else:
        await page.socket.send_bytes(text)
    refusal = await page.read()
    assert (refusal["type"], refusal["code"]) == ("error", "bad-message")
    assert expected in refusal["message"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await page.join("Ana")
    assert (await other.read())["type"] == "joined"


async def test_a_message_beyond_the_hard_limit_ends_the_connection(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    page = await house.open_page()
    await page.socket.send_str("x" * (4 * 65_536 + 1))
    message = await page.socket.receive()
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)
    await page.socket.close()
    for _ in range(1_000):
        if caplog.records:
            break
        await asyncio.sleep(0.01)
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "hung up on a page that has not joined" in line
    assert "exceeds limit" in line


async def test_ten_bad_messages_end_the_connection(house: House) -> None:
    page = await house.joined_page("Ana")
    for _ in range(10):
        await page.send("dance")
    refusals = [await page.read() for _ in range(10)]
    assert {refusal["code"] for refusal in refusals} == {"bad-message"}
    assert (await page.until_closed())["code"] == "too-many-errors"
    assert (await house.event_of(ParticipantLeft)).reason == "hung up: too-many-errors"


async def test_a_flood_of_good_messages_ends_the_connection(house: House) -> None:
    page = await house.joined_page("Ana")
    for number in range(200):
        await page.send("mute", muted=number % 2 == 0)
    assert (await page.until_closed())["code"] == "too-many-messages"


async def test_a_bad_offer_may_be_mended_and_a_second_is_refused(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    page = await house.open_page()
    await page.send("join", name="Ana", language="en")
    await page.send("offer", sdp="a=ice-pwd:secret")
    assert (await page.read_until("error"))["code"] == "bad-sdp"
    await page.send("offer", sdp=GOOD_SDP)
    await page.read_until("joined")
    await page.send("offer", sdp=GOOD_SDP)
    assert (await page.read())["message"] == "expected one offer for each join, got a second"
    assert [peer.closed for peer in house.peers.made] == [1, 0]
    assert "secret" not in caplog.text


async def test_a_page_that_vanishes_frees_its_seat(house: House) -> None:
    ana, bob = await house.joined_page("Ana"), await house.joined_page("Bob")
    transport = ana.socket._response.connection.transport  # type: ignore[union-attr] # no other way to break it
    assert transport is not None
    transport.abort()
    assert await bob.read() == {"type": "left", "id": ana.id}
    assert (await house.event_of(ParticipantLeft)).reason == "connection lost"


async def test_a_page_that_answers_no_ping_is_gone(make_house: MakeHouse) -> None:
    house = await make_house(heartbeat_s=0.2)
    async with house.client.ws_connect(
        f"{house.link}/signalling", headers={"Origin": house.server.url}, autoping=False
    ) as websocket:
        page = FakePage(websocket)
        await page.send("join", name="Ana", language="en")
        await page.read()
        await page.send("offer", sdp=GOOD_SDP)
        assert (await house.event_of(ParticipantLeft)).reason == "connection lost"


async def test_a_peer_that_loses_its_connection_is_gone(house: House) -> None:
    ana = await house.joined_page("Ana")
    house.peers.made[0].on_closed("ICE failed")
    assert (await ana.until_closed())["code"] == "connection-lost"
    assert (await house.event_of(ParticipantLeft)).reason == "connection lost"
    await asyncio.sleep(0)
    assert house.peers.made[0].closed == 1


async def test_a_page_that_goes_while_it_is_answered_leaves_nothing(house: House) -> None:
    house.peers.slow = True
    page = await house.open_page()
    await page.send("join", name="Ana", language="en")
    seat = (await page.read())["id"]
    await page.send("offer", sdp=GOOD_SDP)
    await house.peers.another.wait()
    await house.room.remove(seat, "no")
    assert (await page.until_closed())["code"] == "removed"
    assert house.peers.made[0].closed == 1
    house.peers.slow = False
    bob = await house.joined_page("Bob")
    joined = await house.event()
    assert isinstance(joined, ParticipantJoined)
    assert joined.participant.id == bob.id, "who never was in the room is never reported"


async def test_a_page_that_does_not_join_is_let_go(make_house: MakeHouse) -> None:
    house = await make_house(join_timeout_s=0.05)
    page = await house.open_page()
    assert (await page.until_closed())["code"] == "join-timeout"
    page = await house.open_page()
    await page.send("join", name="Ana", language="en")
    assert (await page.until_closed())["code"] == "join-timeout"


async def test_a_page_that_does_not_read_is_cut_off_and_blocks_nobody(house: House) -> None:
    """A raw socket with a tiny receive window, so that the server's writes really stall."""
    bob = await house.joined_page("Bob")
    host, port = house.server.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (host, int(port)))
    with raw:
        await loop.sock_sendall(
            raw, handshake(house) + client_frame({"type": "join", "name": "Ana", "language": "en"})
        )
        await loop.sock_sendall(raw, client_frame({"type": "offer", "sdp": GOOD_SDP}))
        slow = (await bob.read())["participant"]["id"]
        number = 0
        while house.room.outgoing(slow) is not None:
            number += 1
            house.room.tell(slow, Notice(id="n", level=NoticeLevel.INFO, text="x" * 20_000))
            house.room.tell(bob.id, Notice(id=str(number), level=NoticeLevel.INFO, text=""))
            assert (await bob.read_until("notice"))["id"] == str(number)
        assert await bob.read_until("left") == {"type": "left", "id": slow}


def handshake(house: House) -> bytes:
    host = house.server.url.removeprefix("http://")
    path = house.link.removeprefix(house.server.url)
    lines = [
        f"GET {path}/signalling HTTP/1.1",
        f"Host: {host}",
        f"Origin: {house.server.url}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def client_frame(fields: dict[str, str]) -> bytes:
    """A short text frame with an all-zero mask (RFC 6455 section 5.2)."""
    payload = json.dumps(fields).encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


async def test_the_end_of_a_room_is_told_and_ends_its_events(house: House) -> None:
    ana = await house.joined_page("Ana")
    await house.room.close()
    assert (await ana.until_closed())["code"] == "server-closing"
    events = [event async for event in house.events]
    assert isinstance(events[-1], ParticipantLeft)
    assert house.peers.made[0].closed == 1
    page = await FakePage.open(house.client, house.link)
    assert (await page.until_closed())["code"] == "unknown-room"


@pytest.mark.slow
async def test_the_end_of_the_server_is_told_to_every_page() -> None:
    peers = FakePeers()
    async with ClientSession() as client:
        async with HostedServer(HostedSettings(), peers) as server:
            room = server.add_room("clinic")
            await room.__aenter__()
            joined = await FakePage.open(client, server.link(room))
            await joined.join("Ana")
            waiting = await FakePage.open(client, server.link(room))
            await waiting.socket.ping()
        assert (await joined.until_closed())["code"] == "server-closing"
        assert (await waiting.until_closed())["code"] == "server-closing"
    assert peers.made[0].closed == 1


async def test_only_our_own_page_may_open_a_websocket(make_house: MakeHouse) -> None:
    house = await make_house(public_url="https://meet.example.org")
    link = f"http://127.0.0.1:{house.server._runner.addresses[0][1]}/r/{house.room.token}"  # type: ignore[union-attr]
    for origin in (
        "https://evil.example",
        "https://meet.example.org.evil.example",
        "null",
        "http://[",
        "http://a:b",
    ):
        with pytest.raises(WSServerHandshakeError) as refusal:
            await FakePage.open(house.client, link, origin)
        assert refusal.value.status == 403
    with pytest.raises(WSServerHandshakeError):
        await house.client.ws_connect(f"{link}/signalling")
    for origin in ("https://meet.example.org", link.split("/r/")[0]):
        page = await FakePage.open(house.client, link, origin)
        await page.socket.close()
    assert house.server.link(house.room) == f"https://meet.example.org/r/{house.room.token}"


async def test_every_answer_carries_the_security_headers(house: House) -> None:
    page = house.link.removeprefix(house.server.url)
    for path, status in (("/", 404), (page, 200), (f"{page}/", 200), ("/static/main.js", 200)):
        async with house.client.get(house.server.url + path) as response:
            assert response.status == status
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "microphone=(self)" in response.headers["Permissions-Policy"]
            assert response.headers["Cache-Control"] == ("no-cache" if "static" in path else "no-store")
            assert "Set-Cookie" not in response.headers
            assert "<script>" not in await response.text()


@pytest.mark.parametrize(
    "path", ["/static/", "/static/../server.py", "/static/%2e%2e/server.py", "/r/", "/r/a/b"]
)
async def test_nothing_else_is_served(house: House, path: str) -> None:
    async with house.client.get(house.server.url + path) as response:
        assert response.status in (403, 404)


async def test_a_page_learns_what_it_may_choose_and_how_to_connect(make_house: MakeHouse) -> None:
    turn = IceServer(urls=("turn:turn.example",), username="u", credential="hush")
    house = await make_house(ice=IceSettings(servers=(turn,)))
    async with house.client.get(f"{house.link}/room.json") as response:
        facts = await response.json()
    assert facts["room"] == "clinic"
    assert facts["languages"][1] == {"tag": "es", "label": "español"}
    assert facts["stored"] is None
    keeping = house.server.add_room("keeping", stored=(Stored.AUDIO,))
    async with keeping, house.client.get(f"{house.server.link(keeping)}/room.json") as response:
        assert (await response.json())["stored"] == ["audio"]
    assert "hush" not in json.dumps(facts), "only who has joined may use the relay"
    page = await house.open_page()
    await page.send("join", name="Ana", language="en")
    welcome = await page.read()
    assert welcome["ice_servers"] == [{"urls": ["turn:turn.example"], "username": "u", "credential": "hush"}]


async def test_health_is_told(house: House) -> None:
    async with house.client.get(f"{house.server.url}/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_documents_are_served_as_they_are_to_any_page(make_house: MakeHouse) -> None:
    keys = Document(
        path="/.well-known/jwks.json", text='{"keys": [] }', content_type="application/jwk-set+json"
    )
    house = await make_house(documents=(keys, Document(path="/.well-known/b", text="1")))
    async with house.client.get(f"{house.server.url}/.well-known/jwks.json") as response:
        assert (response.status, await response.text()) == (200, '{"keys": [] }')
        assert response.content_type == "application/jwk-set+json"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with house.client.get(f"{house.server.url}/.well-known/b") as response:
        assert (response.content_type, await response.text()) == ("application/json", "1")
    async with house.client.get(house.link) as response:
        assert "Access-Control-Allow-Origin" not in response.headers, "a room's page is nobody else's"


async def test_without_documents_there_are_none(house: House) -> None:
    async with house.client.get(f"{house.server.url}/.well-known/jwks.json") as response:
        assert response.status == 404


async def test_secrets_stay_out_of_the_logs(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    page = await house.joined_page("Ana")
    await page.send("dance")
    await page.read()
    await page.send("leave")
    await house.event_of(ParticipantLeft)
    assert house.room.token not in caplog.text
    assert house.room.token not in repr(house.room)


async def test_a_self_signed_server_speaks_tls(tmp_path: Path) -> None:
    settings = HostedSettings(tls=SelfSigned(state_dir=tmp_path / "state"))
    async with (
        HostedServer(settings, FakePeers()) as server,
        server.add_room("clinic") as room,
        ClientSession(connector=TCPConnector(ssl=False)) as client,
    ):
        assert server.url.startswith("https://127.0.0.1:")
        page = await FakePage.open(client, server.link(room))
        await page.join("Ana")
        await page.send("leave")
        await page.socket.receive()
    kept = tmp_path / "state" / "self-signed.pem"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": "0.0.0.0"}, "expected TLS to serve beyond this machine"),
        ({"host": "meet.example.org"}, "expected TLS to serve beyond this machine"),
        ({"public_url": "meet.example.org"}, "expected a public URL like"),
        (
            {"documents": (Document(path="/r/keys", text=""),)},
            "expected a path of its own below /.well-known/",
        ),
        ({"documents": (Document(path="/.well-known/{any}", text=""),)}, "expected a path of its own"),
        ({"documents": (Document(path="/.well-known/a", text=""),) * 2}, "expected a path of its own"),
        ({"languages": ()}, "expected at least one language"),
        ({"max_participants": 0}, "expected room for at least one participant, got 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(LocalError, match=said):
        HostedServer(replace(HostedSettings(), **changes), FakePeers())


def test_plain_http_beyond_this_machine_can_be_asked_for() -> None:
    HostedServer(HostedSettings(host="0.0.0.0", insecure=True), FakePeers())


async def test_an_address_in_use_is_said(house: House) -> None:
    port = int(house.server.url.rsplit(":", 1)[1])
    with pytest.raises(LocalError, match=f"expected to listen on 127.0.0.1 port {port}"):
        async with HostedServer(HostedSettings(port=port), FakePeers()):
            pass


def test_rooms_have_tokens_of_their_own() -> None:
    server = HostedServer(HostedSettings(), FakePeers())
    assert len(server.add_room("a").token) >= 22
    assert server.add_room("b", "known-token").token == "known-token"
    with pytest.raises(LocalError, match="got one twice"):
        server.add_room("c", "known-token")
    with pytest.raises(LocalError, match="expected a room token of letters"):
        server.add_room("d", "a/b")


@pytest.mark.parametrize(
    ("host_token", "said"),
    [
        ("", "expected a host token of 16 to 128 characters, got 0"),
        ("short-enough-no", "expected a host token of 16 to 128 characters, got 15"),
        ("x" * 129, "expected a host token of 16 to 128 characters, got 129"),
        ("0123456789 abcdef", "expected a host token of letters, digits, - and _"),
        ("ключ-к-комнате-номер-три", "expected a host token of letters, digits, - and _"),
        ("the-room-s-own-token", "expected a host token other than the room's, got the same"),
    ],
)
def test_a_host_token_that_is_easily_had_is_refused(host_token: str, said: str) -> None:
    server = HostedServer(HostedSettings(), FakePeers())
    with pytest.raises(LocalError, match=said) as refusal:
        server.add_room("a", "the-room-s-own-token", host_token=host_token)
    assert not host_token or host_token not in str(refusal.value)


async def test_the_host_link_is_the_rooms_with_the_key_in_the_fragment(house: House) -> None:
    assert house.server.host_link(house.room) == f"{house.link}#host={house.room.host_token}"
    assert len(house.room.host_token) >= 32
    known = house.server.add_room("known", host_token="known-to-the-operator")
    assert house.server.host_link(known).endswith("#host=known-to-the-operator")


async def test_events_have_one_reader_and_rooms_one_life(house: House) -> None:
    await house.joined_page("Ana")
    await house.event()
    with pytest.raises(LocalError, match="one reader"):
        await anext(house.room.events())
    with pytest.raises(LocalError, match="entered once"):
        await house.room.__aenter__()


@pytest.mark.media
async def test_a_server_on_every_address_is_linked_and_certified_by_one_that_people_can_open(
    tmp_path: Path,
) -> None:
    settings = HostedSettings(host="0.0.0.0", tls=SelfSigned(state_dir=tmp_path))
    assert MEDIA_ADDRESS in certificate_names(settings)
    async with HostedServer(settings) as server:
        assert server.url.startswith(f"https://{MEDIA_ADDRESS}:")
