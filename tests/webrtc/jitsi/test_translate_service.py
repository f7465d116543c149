"""The server that bridges connect to: who may come in, what becomes of meetings, and how everything ends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.fakes import tone
from tests.jitsi_bridge import Bridge
from webrtc.errors import LocalError, Refused
from webrtc.jitsi import Host, TranslateRoom, TranslateService, TranslateSettings, translate_service
from webrtc.jitsi.translate_service import MAX_BAD_MESSAGES
from webrtc.room import ParticipantJoined, ParticipantLeft, RoomEvent

pytestmark = pytest.mark.media


class Desk:
    """Holds meetings by writing down what happens in them."""

    def __init__(self) -> None:
        self.rooms: dict[str, list[TranslateRoom]] = {}
        self.events: dict[str, list[RoomEvent]] = {}
        self.failing = asyncio.Event()

    def admit(self, meeting_id: str, headers: Mapping[str, str]) -> Host:
        if role := headers.get("x-role"):
            raise Refused(f"expected another role, got {role}")
        return self.hold

    async def hold(self, room: TranslateRoom) -> None:
        self.rooms.setdefault(room.name, []).append(room)
        async with room:
            reading = asyncio.create_task(self._follow(room))
            failing = asyncio.create_task(self.failing.wait())
            await asyncio.wait([reading, failing], return_when=asyncio.FIRST_COMPLETED)
            for task in (reading, failing):
                task.cancel()
            if self.failing.is_set():
                raise RuntimeError("this meeting fails")

    async def _follow(self, room: TranslateRoom) -> None:
        async for event in room.events():
            self.events.setdefault(room.name, []).append(event)

    def joined(self, name: str) -> list[str]:
        return [e.participant.id for e in self.events.get(name, []) if isinstance(e, ParticipantJoined)]

    def left(self, name: str) -> list[str]:
        return [e.participant_id for e in self.events.get(name, []) if isinstance(e, ParticipantLeft)]


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[TranslateService, Desk]]:
    desk = Desk()
    async with TranslateService(TranslateSettings(**options), desk.admit, "0.0-test") as service:
        yield service, desk


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - bounded by the time-out
            await asyncio.sleep(0.01)


async def status(service: TranslateService, **headers: str) -> tuple[int, str]:
    """What a client without a WebSocket is answered."""
    url = service.url.replace("{{MEETING_ID}}", "m1").replace("ws", "http", 1)
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.text()


async def test_both_sides_say_who_they_are_and_pings_are_answered() -> None:
    async with serving() as (service, desk), Bridge(service.url, "m1") as bridge:
        for number in (1, 2, 2**31 - 1):
            await bridge.ping(number)
        assert max(bridge.pongs_s) < 3.0
        assert bridge.infos == [
            {"event": "info", "application": "meeting-interpreter", "version": "0.0-test"}
        ]
        assert list(desk.rooms) == ["m1"]


async def test_bridges_of_one_meeting_share_it_and_other_meetings_have_their_own() -> None:
    async with (
        serving() as (service, desk),
        Bridge(service.url, "m1") as one,
        Bridge(service.url, "m1") as two,
        Bridge(service.url, "m2") as three,
    ):
        for bridge, who in ((one, "a-a0"), (two, "b-a0"), (three, "c-a0")):
            await bridge.sources([who], [f"{who}.en"])
        await until(lambda: len(desk.joined("m1")) == 2 and desk.joined("m2"))
        assert {name: len(rooms) for name, rooms in desk.rooms.items()} == {"m1": 1, "m2": 1}
        assert sorted(desk.joined("m1")) == ["a-a0", "b-a0"]
        await one.end()
        await until(lambda: desk.left("m1") == ["a-a0"])
        assert service.meetings == 2


@pytest.mark.slow
async def test_a_meeting_outlives_its_connections_for_a_while_and_then_ends() -> None:
    async with serving(grace_s=0.2, linger_s=0.4) as (service, desk):
        async with Bridge(service.url, "m1") as bridge:
            await bridge.sources(["a-a0"], ["a-a0.en"])
            await until(lambda: desk.joined("m1"))
            await bridge.lose()
        async with Bridge(service.url, "m1") as bridge:
            await bridge.sources(["a-a0"], ["a-a0.en"])
            await bridge.ping(1)
            assert desk.joined("m1") == ["a-a0"], "nothing was begun anew"
            assert desk.left("m1") == []
            await bridge.lose()
        await until(lambda: service.meetings == 0)
        assert desk.left("m1") == ["a-a0"]
        assert not desk.rooms["m1"][0].is_open
        async with Bridge(service.url, "m1") as bridge:
            await bridge.ping(1)
        assert len(desk.rooms["m1"]) == 2


async def test_bridges_without_the_token_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(token="geheim-ñ", header="X-Token") as (service, desk):
        for headers in ({}, {"X-Token": "falsch"}, {"Authorization": "geheim-ñ"}):
            assert await status(service, **headers) == (
                401,
                "expected the service's token in the header X-Token",
            )
        for shown in ("geheim-ñ", "Bearer geheim-ñ"):
            async with Bridge(service.url, "m1", {"X-Token": shown}) as bridge:
                await bridge.ping(1)
        assert len(desk.rooms) == 1
    assert "falsch" not in caplog.text
    assert "geheim" not in caplog.text


async def test_what_is_refused_is_said_in_words() -> None:
    async with serving(max_meetings=1, max_connections=2) as (service, _):
        assert await status(service, **{"X-Role": "pirate"}) == (400, "expected another role, got pirate")
        async with Bridge(service.url, "m2"):
            assert await status(service) == (503, "expected at most 1 meetings, got another")
            async with Bridge(service.url, "m2"):
                code, words = await status(service)
                assert (code, words) == (503, "expected at most 2 connections, got another")
        long = service.url.replace("{{MEETING_ID}}", 200 * "m")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
            async with Bridge(long, ""):
                pass
        service.drain()
        assert await status(service) == (503, "this service is closing")
        health = service.url.replace("ws", "http", 1).partition("/translate")[0] + "/healthz"
        async with aiohttp.ClientSession() as client, client.get(health) as response:
            assert (await response.json())["status"] == "draining"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "0.0.0.0"}, "expected a token"),
        ({"host": "10.1.2.3", "token": "t"}, "expected TLS"),
        ({"host": "jitsi.example.org", "insecure": True}, "expected a token"),
    ],
)
def test_strangers_are_kept_out_by_default(options: dict[str, Any], words: str) -> None:
    with pytest.raises(LocalError, match=words):
        TranslateService(TranslateSettings(**options), Desk().admit)


async def test_an_address_in_use_is_said_in_words() -> None:
    async with serving() as (service, _):
        port = int(service.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(LocalError, match=f"expected to listen on 127.0.0.1 port {port}"):
            async with serving(port=port):
                pass


async def test_nonsense_is_ignored_until_there_is_too_much_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (service, desk), Bridge(service.url, "m1") as bridge:
        await bridge.send({"event": "of-next-year", "x": [1]})
        for text in ("{", "[]", '{"event":"media"}', 10_000 * "["):
            await bridge._socket.send_str(text)
        await bridge._socket.send_bytes(b"\x00\x01")
        await bridge.sources(["a-a0"], ["a-a0.en", "nonsense"])
        await bridge.ping(1)
        assert desk.joined("m1") == ["a-a0"], "it goes on"
        assert len([record for record in caplog.records if "expected JSON" in record.getMessage()]) == 1
        for _ in range(MAX_BAD_MESSAGES):
            await bridge._socket.send_str("{")
        assert await bridge.closed_by_service() == 1008


async def test_a_message_beyond_all_limits_ends_the_connection() -> None:
    async with serving() as (service, _), Bridge(service.url, "m1") as bridge:
        await bridge._socket.send_str(json.dumps({"event": "info", "x": 2_000_000 * "x"}))
        assert await bridge.closed_by_service() == 1009


async def test_a_bridge_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_service, "CLOSE_TIMEOUT_S", 0.2)
    async with serving() as (service, desk), Bridge(service.url, "m1") as bridge:
        await bridge.sources(["a-a0"], ["a-a0.en"])
        await until(lambda: desk.joined("m1"))
        [room] = desk.rooms["m1"]
        [link] = room._links.values()
        assert link.connection is not None
        bridge._socket._reader._protocol.pause_reading()  # type: ignore[attr-defined]
        for number in range(40):
            for _ in range(100):
                if link.connection is not None:
                    link.connection.send(4_000 * "x")
            await bridge.send({"event": "ping", "id": number})
        await until(lambda: room.connected == 0)
        bridge._reading.cancel()
        await asyncio.gather(bridge._reading, return_exceptions=True)
        bridge._reading = asyncio.create_task(asyncio.sleep(0))
        await bridge._socket.close()


async def test_a_meeting_that_fails_takes_nobody_else_along(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as (service, desk), Bridge(service.url, "m1") as bridge:
        await bridge.ping(1)
        desk.failing.set()
        assert await bridge.closed_by_service() == 1001
        desk.failing.clear()
        assert service.meetings == 0
        async with Bridge(service.url, "m1") as again:
            await again.ping(1)
            assert len(desk.rooms["m1"]) == 2
    assert "this meeting fails" in caplog.text


async def test_closing_ends_talks_and_disconnects_everybody() -> None:
    async with serving() as (service, desk):
        bridge = Bridge(service.url, "m1")
        await bridge.__aenter__()
        await bridge.sources(["a-a0"], ["a-a0.en"])
        await until(lambda: desk.joined("m1"))
        outgoing = desk.rooms["m1"][0].outgoing("a-a0.en")
        assert outgoing is not None
        outgoing.play(0, tone(500.0), asyncio.get_running_loop().time())
        await bridge.until(lambda: bridge.synthetic["a-a0.en"].talking)
        assert not service.silent
    assert await bridge.closed_by_service() == 1001
    assert not bridge.synthetic["a-a0.en"].talking, "the talk was stopped before"
    await bridge._session.close()
