"""Those who take part in a run, as pages of the hosted room: real signalling, real WebRTC, on this machine.

Times of what they hear are those at which it left the server: as elsewhere, the shortest way through a network
counts as no time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self

import aiohttp

from duplex_model.contract import FRAME_S
from scenarios.errors import Undelivered
from scenarios.live_track import LiveTrack
from scenarios.players import Ear, ReadOut, Witness
from scenarios.run_time import RunTime
from webrtc.caller import Caller
from webrtc.hosted import HostedServer
from webrtc.hosted.room import HostedRoom, Language
from webrtc.hosted.server import HostedSettings
from webrtc.room import CaptionKind, IncomingAudio
from webrtc.schedule import ScheduleStats

SENT_AHEAD_S = FRAME_S
"""A frame is pulled for the time when its first sample is due."""

LATEST_S = 0.85
"""From when it is handed over to the engine: its time, packets, network, jitter buffer, the tick, the canceller."""

MOST_FILLED = 0.02
"""Share of the packets that may be sent without what should have been in them."""

_OVER = "server-closing"  # sent to whoever is still there when the meeting ends, as everybody is
_AWAKE_S = 0.24  # before a frame is due it is handed over: a script is known, and machines are held up


class HostedPlayers:
    """Fulfils `players.Players` while entered: `async with HostedPlayers(time, languages) as players:`.

    Args:
        time: the run's, on the machine's clock.
        languages: tags that people may choose.
    """

    def __init__(self, time: RunTime, languages: Collection[str]) -> None:
        offered = tuple(Language(tag=tag, label=tag) for tag in sorted(languages))
        self._server = HostedServer(HostedSettings(languages=offered))
        self._room = self._server.add_room("scenario")
        self._time = time
        self._witness = Witness()
        self._ids: dict[str, str] = {}  # who -> participant id
        self._pages: dict[str, _Page] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: list[ScheduleStats] = []

    @property
    def room(self) -> HostedRoom:
        """See `Players.room`."""
        return self._room

    @property
    def witness(self) -> Witness:
        """See `Players.witness`."""
        return self._witness

    async def __aenter__(self) -> Self:
        """Serves."""
        await self._server.__aenter__()
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Everybody goes; then nothing is served."""
        for page in self._pages.values():
            page.going.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._server.__aexit__(exc_type, exc, traceback)

    def join(self, who: str, name: str, language: str, track: LiveTrack, *, host: bool = False) -> None:
        """See `Players.join`; they are in a moment later."""
        hello: dict[str, str] = {"type": "join", "name": name, "language": language}
        if host:
            hello["host_key"] = self._room.host_token
        page = self._pages[who] = _Page(who, track)
        self._witness.ears[who] = page.ear
        task = asyncio.create_task(self._live(page, hello), name=f"page of {who}")
        self._tasks.add(task)

    def leave(self, who: str, *, lost: bool = False) -> None:
        """See `Players.leave`."""
        self._pages[who].lost = lost
        self._pages[who].going.set()

    def who_is(self, participant_id: str) -> str:
        """See `Players.who_is`."""
        known = {one: who for who, one in self._ids.items()}
        return known.get(participant_id, participant_id)

    def id_of(self, who: str) -> str | None:
        """See `Players.id_of`."""
        return self._ids.get(who) if who in self._pages and not self._pages[who].going.is_set() else None

    async def all_in(self) -> None:
        """See `Players.all_in`; raises what keeps somebody out."""
        everybody = asyncio.create_task(self._wait_for_all())
        await asyncio.wait({everybody, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        everybody.cancel()
        for task in self._tasks:
            if task.done():
                task.result()

    async def _wait_for_all(self) -> None:
        for page in self._pages.values():
            await page.is_in.wait()

    def undelivered(self) -> str | None:
        """See `Players.undelivered`."""
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                return str(error)
        packets = sum(one.packets for one in self._sent)
        lost = sum(one.underruns + one.skipped for one in self._sent)
        if lost > MOST_FILLED * packets:
            return f"expected people to be heard as they speak, got {lost} of {packets} packets without their sound"
        return None

    async def _live(self, page: _Page, hello: dict[str, str]) -> None:
        """One page, from its coming to its going.

        Raises:
            Undelivered: it was not let in, or sent away before the meeting was over.
        """
        link, origin = f"{self._server.link(self._room)}/signalling", self._server.url
        async with Caller() as caller, self._session.ws_connect(link, origin=origin) as socket:
            await socket.send_json(hello)
            await socket.send_json({"type": "offer", "sdp": await caller.offer()})
            incoming = await caller.accept(await self._answer(page, socket))
            reading = asyncio.create_task(self._read(page, socket))
            page.is_in.set()
            try:
                await self._talk(page, caller, incoming)
                await self._go(page, socket)
            finally:
                self._sent.append(caller.outgoing.stats())
                reading.cancel()

    async def _answer(self, page: _Page, socket: aiohttp.ClientWebSocketResponse) -> str:
        """The answer to the page's offer."""
        async for message in socket:
            told = json.loads(message.data)
            if told["type"] == "answer":
                return str(told["sdp"])
            if told["type"] == "error":
                raise Undelivered(f"expected {page.who} in the room, got: {told['message']}")
            self._follow(page, told)
        raise Undelivered(f"expected {page.who} in the room, got: {page.closed or 'a lost connection'}")

    async def _go(self, page: _Page, socket: aiohttp.ClientWebSocketResponse) -> None:
        """The page leaves or is lost, unless it was sent away."""
        if socket.closed or page.closed:
            if page.closed_code != _OVER:
                raise Undelivered(f"expected {page.who} to stay, got: {page.closed or 'a lost connection'}")
        elif page.lost:
            await socket.close(code=aiohttp.WSCloseCode.INTERNAL_ERROR)  # which to the server is no farewell
        else:
            await socket.send_json({"type": "leave"})

    async def _talk(self, page: _Page, caller: Caller, incoming: IncomingAudio) -> None:
        """Speaks and listens, frame by frame."""
        clock = self._time.clock
        start_s = clock.now_s() + _AWAKE_S + FRAME_S
        tick = 0
        while not page.going.is_set():
            due_s = start_s + tick * FRAME_S
            await clock.sleep_until(due_s - _AWAKE_S)
            caller.outgoing.play(tick, page.track.pull(due_s).pcm, due_s)
            heard = incoming.pull(clock.now_s())
            page.ear.frames.append((self._time.of(heard.captured_at_s), heard.pcm))
            tick += 1

    async def _read(self, page: _Page, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Follows what the page is told until the server hangs up."""
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            self._follow(page, json.loads(message.data))
        page.going.set()

    def _follow(self, page: _Page, told: dict[str, Any]) -> None:
        """Notes what a page is told."""
        now_s = self._time.now_s()
        match told["type"]:
            case "welcome":
                self._ids[page.who] = told["id"]
            case "closed":
                page.closed_code, page.closed = told["code"], told["message"]
            case "caption" if told["kind"] == CaptionKind.AS_SELF.value:
                self._witness.read.append(
                    ReadOut(at_s=now_s, who=page.who, language=told["language"], text=told["text"])
                )
            case "state" if told["human_asked"] and self._witness.human_asked_s is None:
                self._witness.human_asked_s = now_s


class _Page:
    """What is known of one page."""

    def __init__(self, who: str, track: LiveTrack) -> None:
        self.who = who
        self.track = track
        self.ear = Ear()
        self.is_in = asyncio.Event()
        self.going = asyncio.Event()
        self.lost = False
        """Whether it goes without a farewell."""

        self.closed_code = ""
        self.closed = ""
        """Why the server hung up, in words."""
