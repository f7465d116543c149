"""A room on a real Janus server; the people in it are guests of our own making, who hum."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

import pytest
from aiohttp import web

from tests.fakes import FRAME_S, amplitude, tone
from tests.janus import ROOM, JanusServer, janus_server
from webrtc.errors import Refused
from webrtc.janus import JanusRoom, JanusSettings, ask_info, parse_janus_url
from webrtc.janus.settings import IDS
from webrtc.room import (
    Hindered,
    Hindrance,
    IncomingAudio,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Pcm,
    RoomEvent,
    TrackStarted,
    TrackStopped,
)

pytestmark = [pytest.mark.media, pytest.mark.janus, pytest.mark.slow]

SEATS = {"en": "Interpreter · English", "es": "Interpreter · Español"}
ANA_HZ, BEN_HZ, EN_HZ, ES_HZ = 400.0, 550.0, 700.0, 900.0
HUM_FRAMES = 38
FIRST_IDS = itertools.count(1_000_000, IDS)

E = TypeVar("E")


class Guest:
    """Somebody in the room, with what they were told so far."""

    def __init__(self, settings: JanusSettings) -> None:
        self.room = JanusRoom(settings, self._note)
        self.news: list[str] = []
        self.seen: list[RoomEvent] = []
        self.error: Refused | None = None
        self.over = False
        self._more = asyncio.Event()

    def _note(self, line: str) -> None:
        self.news.append(line)
        self._more.set()

    def said(self, words: str) -> bool:
        return any(words in line for line in self.news)

    async def __aenter__(self) -> Self:
        await self.room.__aenter__()
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.room.__aexit__(None, None, None)
        await self.done()

    async def _read(self) -> None:
        try:
            async for event in self.room.events():
                self.seen.append(event)
                self._more.set()
        except Refused as error:
            self.error = error
        self.over = True
        self._more.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                self._more.clear()
                await self._more.wait()

    async def take(self, kind: type[E], count: int = 1) -> list[E]:
        """The next events of a kind; those before them are forgotten, but for others of other kinds."""
        await self.until(lambda: len([e for e in self.seen if isinstance(e, kind)]) >= count)
        found = [event for event in self.seen if isinstance(event, kind)][:count]
        for event in found:
            self.seen.remove(event)
        return found

    async def audio_of(self, *names: str) -> Mapping[str, IncomingAudio]:
        """What comes from these people."""

        def tracks() -> dict[str, IncomingAudio]:
            joined = {
                e.participant.id: e.participant.name for e in self.seen if isinstance(e, ParticipantJoined)
            }
            started = [e for e in self.seen if isinstance(e, TrackStarted)]
            return {joined[e.participant_id]: e.audio for e in started if e.participant_id in joined}

        await self.until(lambda: set(names) <= tracks().keys())
        return tracks()

    async def done(self) -> None:
        await self.until(lambda: self.over)
        await self._reader


def guest(server: JanusServer, seats: Mapping[str, str], *, token: str = "", **query: object) -> Guest:
    address = parse_janus_url(server.url(**(query or {"room": ROOM})))
    return Guest(JanusSettings(address=address, seats=seats, token=token, first_id=next(FIRST_IDS)))


async def hum(
    voices: Mapping[float, tuple[JanusRoom, str]], ears: Mapping[str, IncomingAudio]
) -> Mapping[str, set[float]]:
    """Plays a tone of each pitch for 3 s; which of them each ear heard, in more than a few frames."""
    heard: dict[str, Counter[float]] = {name: Counter() for name in ears}
    start_s = time.monotonic()
    first = round(start_s / FRAME_S)  # ticks of the grid go on from one call to the next
    for n in range(HUM_FRAMES):
        for hz, (room, channel) in voices.items():
            outgoing = room.outgoing(channel)
            if outgoing is not None:
                outgoing.play(first + n, tone(hz, n), start_s + n * FRAME_S)
        await asyncio.sleep(max(0.0, start_s + (n + 1) * FRAME_S - time.monotonic()))
        for name, audio in ears.items():
            heard[name] += tones(audio.pull(start_s + (n + 1) * FRAME_S).pcm)
    return {name: {hz for hz, frames in counted.items() if frames > 3} for name, counted in heard.items()}


def tones(frame: Pcm) -> Counter[float]:
    """Those that stand out in a frame; their periods are whole in it."""
    return Counter(hz for hz in (ANA_HZ, BEN_HZ, EN_HZ, ES_HZ) if amplitude(frame, hz) > 0.03)


async def speaking(*rooms: tuple[JanusRoom, str]) -> None:
    """Until what these say on their channels reaches the room, of which a room tells nothing."""
    async with asyncio.timeout(30):
        while any(room.outgoing(channel) is None for room, channel in rooms):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_every_voice_comes_alone_and_every_language_goes_to_everybody(tmp_path: Path) -> None:
    async with (
        janus_server(tmp_path) as server,
        guest(server, SEATS) as bot,
        guest(server, {"mouth": "Ana"}) as ana,
        guest(server, {"mouth": "Ben"}) as ben,
    ):
        here = await bot.audio_of("Ana", "Ben")
        at_ana = await ana.audio_of(*SEATS.values())
        await speaking((bot.room, "en"), (bot.room, "es"), (ana.room, "mouth"), (ben.room, "mouth"))
        heard = await hum(
            {
                ANA_HZ: (ana.room, "mouth"),
                BEN_HZ: (ben.room, "mouth"),
                EN_HZ: (bot.room, "en"),
                ES_HZ: (bot.room, "es"),
            },
            {"ana": here["Ana"], "ben": here["Ben"], "en": at_ana[SEATS["en"]], "es": at_ana[SEATS["es"]]},
        )
        assert heard == {"ana": {ANA_HZ}, "ben": {BEN_HZ}, "en": {EN_HZ}, "es": {ES_HZ}}
        names = {event.participant.name for event in bot.seen if isinstance(event, ParticipantJoined)}
        assert names == {"Ana", "Ben"}, "never ourselves"
        assert bot.room.outgoing("fr") is None
    assert bot.news[0] == "The interpreter is in the room."
    assert bot.error is None


async def test_people_fall_silent_come_back_and_go(tmp_path: Path) -> None:
    async with janus_server(tmp_path) as server, guest(server, SEATS) as bot:
        async with guest(server, {"mouth": "Ana"}) as ana:
            (joined,) = await bot.take(ParticipantJoined)
            (started,) = await bot.take(TrackStarted)
            assert started.participant_id == joined.participant.id
            assert ana.room.name == f"room {ROOM} of {server.host}"
        await bot.take(TrackStopped)
        (left,) = await bot.take(ParticipantLeft)
        assert (left.participant_id, left.reason) == (joined.participant.id, "left")
        changes = [event.participant.speaks for event in bot.seen if isinstance(event, ParticipantChanged)]
        assert changes == [True, False], "she came without a voice, and left without one"


async def test_of_two_interpreters_the_first_is_at_work(tmp_path: Path) -> None:
    async with janus_server(tmp_path) as server, guest(server, {"mouth": "Ana"}):
        first, second = guest(server, SEATS), guest(server, SEATS)
        async with second:
            await second.take(TrackStarted)
            async with first:
                assert await second.take(Hindered) == [Hindered(by=Hindrance.ANOTHER_INTERPRETER, holds=True)]
                await second.take(TrackStopped)
                await first.take(TrackStarted)
                assert not any(isinstance(event, Hindered) for event in first.seen)
            assert await second.take(Hindered) == [Hindered(by=Hindrance.ANOTHER_INTERPRETER, holds=False)]
            await second.take(TrackStarted)


async def test_a_server_that_crashes_is_found_again(tmp_path: Path) -> None:
    async with (
        janus_server(tmp_path) as server,
        guest(server, SEATS) as bot,
        guest(server, {"mouth": "Ana"}) as ana,
    ):
        (before,) = await bot.take(ParticipantJoined)
        await bot.take(TrackStarted)
        await server.kill()
        await bot.take(TrackStopped)
        assert bot.room.outgoing("en") is None
        await server.start()
        (started,) = await bot.take(TrackStarted)
        # Her id is as before; she is somebody new if the interpreter was back before her.
        joined = [event for event in bot.seen if isinstance(event, ParticipantJoined)]
        again = joined[0].participant if joined else before.participant
        assert (started.participant_id, again.name) == (again.id, "Ana")
        await speaking((bot.room, "en"), (bot.room, "es"), (ana.room, "mouth"))
        heard = await hum({ANA_HZ: (ana.room, "mouth"), EN_HZ: (bot.room, "en")}, {"ana": started.audio})
        assert heard == {"ana": {ANA_HZ}}
        assert bot.said("tries to come back")


async def test_who_is_not_let_in_is_told_why_and_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    news = []
    async with janus_server(tmp_path, {"5": {"pin": "right-pin"}, "6": {"publishers": 1}}) as server:
        for query, words in (
            ({"room": 5, "pin": "wrong-pin"}, "refuses the PIN"),
            ({"room": 5}, "wants a PIN"),
            ({"room": 7}, "there is no room 7 of"),
            ({"room": "seven"}, "cannot be named so there"),
        ):
            async with guest(server, SEATS, **query) as bot:
                await bot.done()
            assert words in str(bot.error)
            news += bot.news
        async with guest(server, SEATS, room=5, pin="right-pin") as bot:
            await speaking((bot.room, "en"), (bot.room, "es"))
        assert bot.error is None
        async with guest(server, {"mouth": "Ana"}, room=6) as ana:
            await speaking((ana.room, "mouth"))
            async with guest(server, SEATS, room=6) as bot:
                await bot.take(TrackStarted)
                await bot.until(lambda: bot.said("as many publishers as it takes"))
                assert [bot.room.outgoing(channel) for channel in SEATS] == [None, None]
        assert (await ask_info(parse_janus_url(server.url(room=5)))).version[0].isdigit()
    for secret in ("right-pin", "wrong-pin"):
        assert secret not in caplog.text
        assert secret not in " ".join([*news, *bot.news])


async def test_a_server_with_tokens_wants_one(tmp_path: Path) -> None:
    async with janus_server(tmp_path, token="secret of the server") as server:
        async with guest(server, SEATS) as bot:
            await bot.done()
        assert "wants a token" in str(bot.error)
        data = f"{int(time.time()) + 600},janus,janus.plugin.videoroom"
        signature = hmac.new(b"secret of the server", data.encode(), hashlib.sha1).digest()
        async with guest(server, SEATS, token=f"{data}:{base64.b64encode(signature).decode()}") as bot:
            await speaking((bot.room, "en"), (bot.room, "es"))


async def test_what_is_no_janus_is_said_to_be_none(tmp_path: Path) -> None:
    app = web.Application()

    async def anything(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        await socket.close()
        return socket

    app.router.add_get("/chat", anything)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    for url, words in (
        (f"janus+ws://{host}/chat?room=1", "is no Janus WebSocket"),
        (f"janus+ws://{host}/nothing?room=1", r"is no Janus WebSocket.*HTTP status 404"),
        ("janus+ws://127.0.0.1:9/?room=1", "cannot be reached"),
    ):
        address = parse_janus_url(url)
        with pytest.raises(Refused, match=words):
            await ask_info(address)
        async with JanusRoom(JanusSettings(address=address, seats=SEATS, first_id=1)) as room:
            with pytest.raises(Refused, match=words):
                async for _ in room.events():
                    pass
    await runner.cleanup()
