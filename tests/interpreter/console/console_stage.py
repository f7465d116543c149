"""A console before a meeting on a manual clock: its server on a real port, pages that are programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from interpreter.clock import ManualClock
from interpreter.commands.table import Standing
from interpreter.console.access import Pass
from interpreter.console.desk import Desk, DeskSettings, Join, OpenRoom
from interpreter.console.ledger import Ledger
from interpreter.console.pages import Page
from interpreter.console.server import SUBPROTOCOL, ConsoleServer, ConsoleSettings
from interpreter.console.telemetry import Telemetry
from tests.interpreter.meeting_stage import LIBRARY, WALL_S, Stage, stage

VIEWER, OPERATOR, ADMIN = (
    standing.words for standing in (Standing.VIEWER, Standing.OPERATOR, Standing.ADMIN)
)
TOKENS = {name: f"{name}-token-0123456789" for name in (VIEWER, OPERATOR, "second", ADMIN)}
PASSES = (
    Pass(name="Vera", standing=Standing.VIEWER, token=TOKENS[VIEWER]),
    Pass(name="Eva", standing=Standing.OPERATOR, token=TOKENS[OPERATOR]),
    Pass(name="Max", standing=Standing.OPERATOR, token=TOKENS["second"]),
    Pass(name="Ada", standing=Standing.ADMIN, token=TOKENS[ADMIN]),
)
WAIT_S = 10.0


def apply_ops(state: Any, ops: list[dict[str, Any]]) -> Any:
    """What a page makes of a delta."""
    for op in ops:
        *outer, last = op["path"] or [None]
        if last is None:
            state = op["value"]
            continue
        target = state
        for key in outer:
            target = target[key]
        match op["op"]:
            case "set":
                target[last] = op["value"]
            case "remove":
                del target[last]
            case "append":
                target[last] = target[last][op["drop"] :] + op["values"]
    return state


@dataclass
class FakeConsole:
    """A page: follows its topics as docs/console-protocol.md says."""

    socket: ClientWebSocketResponse
    you: dict[str, Any]
    commands: dict[str, dict[str, Any]]
    states: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            received = await self.socket.receive()
        assert received.type is WSMsgType.TEXT, received
        message: dict[str, Any] = json.loads(received.data)
        self.messages.append(message)
        match message["type"]:
            case "snapshot":
                self.states[message["topic"]] = message["state"]
                self.numbers[message["topic"]] = message["seq"]
            case "delta":
                topic = message["topic"]
                assert message["seq"] == self.numbers[topic] + 1, "nothing was missed"
                self.states[topic] = apply_ops(self.states[topic], message["ops"])
                self.numbers[topic] = message["seq"]
            case "gone":
                self.states.pop(message["topic"], None)
        return message

    async def until(self, *kinds: str) -> dict[str, Any]:
        while (message := await self.read())["type"] not in kinds:
            pass
        return message

    async def send(self, kind: str, **members: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **members}))

    async def watch(self, room: str) -> dict[str, Any]:
        await self.send("watch", room=room)
        while (message := await self.until("snapshot", "gone"))["topic"] != f"room/{room}":
            pass
        return message.get("state", {})

    async def give(
        self, room: str | None, name: str, /, expect: int | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Gives a command; its reply."""
        self.asked += 1
        members: dict[str, Any] = {"id": f"q{self.asked}", "name": name, "arguments": arguments}
        members |= {} if room is None else {"room": room}
        members |= {} if expect is None else {"expect": expect}
        await self.send("command", **members)
        while (reply := await self.until("reply"))["id"] != f"q{self.asked}":
            pass
        return reply

    async def is_ended(self) -> int | None:
        """The close code once the server has hung up."""
        async with asyncio.timeout(WAIT_S):
            while (received := await self.socket.receive()).type is WSMsgType.TEXT:
                self.messages.append(json.loads(received.data))
        return received.data if received.type is WSMsgType.CLOSE else self.socket.close_code


@dataclass
class Consoles:
    """Everything of one test."""

    stage: Stage
    desk: Desk
    room: OpenRoom
    server: ConsoleServer
    client: ClientSession
    url: str
    left: list[str] = field(default_factory=list)

    async def call(
        self, method: str, path: str, who: str | None = OPERATOR, body: Any = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON (or text), and headers of a call."""
        if who is not None:
            headers = {"Authorization": f"Bearer {TOKENS.get(who, who)}", **headers}
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        async with self.client.request(method, f"{self.url}{path}", headers=headers, data=data) as response:
            text = await response.text()
            as_json = response.content_type == "application/json"
            return response.status, json.loads(text) if as_json else text, response.headers

    async def command(
        self, name: str, /, who: str = OPERATOR, expect: int | None = None, **arguments: Any
    ) -> tuple[int, dict[str, Any]]:
        """Gives a command by HTTP; status and reply."""
        body: dict[str, Any] = {"arguments": arguments} | ({} if expect is None else {"expect": expect})
        path = f"/api/rooms/{self.room.id}/commands/{name}"
        status, reply, _ = await self.call("POST", path, who, body)
        return status, reply

    async def ticket(self, who: str = OPERATOR) -> str:
        status, made, _ = await self.call("POST", "/api/tickets", who)
        assert status == 201
        ticket: str = made["ticket"]
        return ticket

    async def open(
        self, who: str = OPERATOR, *, ticket: str | None = None, origin: str | None = None
    ) -> FakeConsole:
        """A page, once it was welcomed and has seen the house."""
        socket = await self.client.ws_connect(
            f"{self.url}/api/socket",
            protocols=[SUBPROTOCOL, f"ticket.{await self.ticket(who) if ticket is None else ticket}"],
            headers={"Origin": origin or self.url},
            max_msg_size=0,
        )
        assert socket.protocol == SUBPROTOCOL
        first = json.loads((await socket.receive()).data)
        assert (first["type"], first["protocol"]) == ("welcome", 1)
        page = FakeConsole(socket, first["you"], {one["name"]: one for one in first["commands"]})
        await page.until("snapshot")
        return page


@asynccontextmanager
async def console(
    *,
    pages: Mapping[str, Page] | None = None,
    join: Join | None = None,
    passes: tuple[Pass, ...] = PASSES,
    port: int = 0,
    settings: Mapping[str, Any] | None = None,
    invite: bool = True,
    **meeting: Any,
) -> AsyncIterator[Consoles]:
    """A console before a meeting; see `meeting_stage.stage`."""
    left: list[str] = []
    telemetry, clocks = Telemetry(), list[ManualClock]()

    def wall_s() -> float:
        return WALL_S + (clocks[0].now_s() if clocks else 100.0)

    ledger = Ledger(telemetry, wall_s)
    async with stage(follower=ledger, **meeting) as h:
        clocks.append(h.clock)
        desk = Desk(
            DeskSettings(version="1.2.3", library=LIBRARY, languages=("en", "es")),
            h.engines,
            now_s=h.clock.now_s,
            wall_s=wall_s,
            pages=pages,
            join=join,
            telemetry=telemetry,
        )
        served = ConsoleSettings(passes=passes, port=port, **(settings or {}))
        async with ConsoleServer(served, desk, lambda: {"machine": {}}) as server, ClientSession() as client:
            with desk.opened(
                h.meeting,
                ledger,
                name="Clinic",
                transport="hosted",
                listening=h.room.listening,
                invite=(lambda: "https://meet.example.org/r/secret") if invite else None,
                leave=lambda: left.append("Clinic"),
            ) as room:
                yield Consoles(h, desk, room, server, client, server.url, left)
