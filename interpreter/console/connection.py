"""The WebSocket of one console: reads what its page sends, writes what waits for it, and ends in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from aiohttp import WSMsgType, web

from interpreter.commands.table import Standing
from interpreter.console.access import Pass
from interpreter.console.desk import Desk
from interpreter.console.errands import carry_out
from interpreter.console.outbox import Outbox
from interpreter.console.protocol import (
    MAX_MESSAGE_BYTES,
    Apply,
    Asked,
    ClientMessage,
    Closed,
    Command,
    Editing,
    Encoder,
    Gone,
    Refusal,
    Reply,
    ServerMessage,
    SetLanguage,
    Sync,
    Watch,
    Welcome,
    parse,
)
from interpreter.console.snapshot import AtConsole
from interpreter.console.topics import Build, Topics
from interpreter.errors import ConsoleMessageError
from webrtc.hosted.connection import MessageBudget

logger = logging.getLogger(__name__)

MAX_BAD_MESSAGES = 10
MAX_ERRANDS = 8
"""At the same time, of one console: a file or a sample takes its time."""

FAREWELL_S = 2.0
HOUSE = "house"


class Connection:
    """One console, from the opening of its WebSocket to its end; a `topics.Reader`.

    Args:
        id: of the console, among the others.
        socket: prepared.
        holder: whose ticket opened it.
        desk: what they see and act on.
        topics: what pages follow.
        encoder: shared by all consoles.
    """

    def __init__(
        self,
        id: str,
        socket: web.WebSocketResponse,
        holder: Pass,
        desk: Desk,
        topics: Topics,
        encoder: Encoder,
    ) -> None:
        self.id = id
        self.holder = holder
        self.room: str | None = None
        """The one they look at."""

        self._socket = socket
        self._desk = desk
        self._topics = topics
        self._encoder = encoder
        self._outbox = Outbox()
        self._waiting = asyncio.Event()
        self._hung_up = False
        self._reader: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._language: str | None = None
        self._bad_messages = 0

    def deliver(self, message: ServerMessage) -> None:
        """Queues a message for the page; a page too far behind is hung up on."""
        if self._hung_up:
            return
        if not self._outbox.put(message):
            self.hang_up(Closed(code="too-slow", message="This page does not keep up."))
        self._waiting.set()

    def hang_up(self, closed: Closed) -> None:
        """Tells the page why, then disconnects it."""
        if self._hung_up:
            return
        self._hung_up = True
        self._outbox.put_last(closed)
        self._waiting.set()
        logger.info("hanging up on console %s of %a: %s", self.id, self.holder.name, closed.code)
        if self._reader is not None:
            self._reader.cancel()

    async def run(self) -> None:
        """Serves the page until it goes, is hung up on, or breaks the rules too often."""
        self._be_there()
        actor = self.holder.actor
        self.deliver(
            Welcome(
                id=self.id,
                name=actor.name,
                standing=actor.standing.words,
                commands=self._desk.commands_for(actor),
            )
        )
        self._topics.follow(self, HOUSE, self._desk.house)
        writer = asyncio.create_task(self._write())
        reader = self._reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait({reader})
            if not reader.cancelled():
                reader.result()
        finally:
            reader.cancel()
            for errand in self._errands:
                errand.cancel()
            self._topics.leave(self)
            del self._desk.operators[self.id]
            self._topics.refresh([HOUSE])
            await self._say_farewell(writer)

    def _be_there(self) -> None:
        """Shows the others that somebody is at a console."""
        self._desk.operators[self.id] = AtConsole(
            name=self.holder.name,
            standing=self.holder.standing.words,
            since_at=round(self._desk.wall_s(), 1),
        )
        self._topics.refresh([HOUSE])

    # What comes in --------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        budget = MessageBudget(clock())
        async for message in self._socket:
            if not budget.spend(clock()):
                self.hang_up(Closed(code="too-many", message="This page sends too many messages."))
                return
            if message.type is WSMsgType.ERROR:  # far too large, most likely; the protocol below has said so
                logger.warning("console %s of %a: %s", self.id, self.holder.name, type(message.data).__name__)
                return
            if message.type is not WSMsgType.TEXT:
                self._refuse("malformed", "expected text, got something else")
            elif len(message.data.encode(errors="replace")) > MAX_MESSAGE_BYTES:
                self._refuse("too-large", f"expected at most {MAX_MESSAGE_BYTES} bytes, got more")
            else:
                self._take(message.data)

    def _take(self, text: str) -> None:
        try:
            self._act_on(parse(text))
        except ConsoleMessageError as error:
            self._refuse("malformed", str(error))

    def _refuse(self, code: str, words: str) -> None:
        self._bad_messages += 1
        logger.warning("console %s of %a sent what is refused: %s", self.id, self.holder.name, words)
        self.deliver(Refusal(code=code, message=words))
        if self._bad_messages >= MAX_BAD_MESSAGES:
            self.hang_up(Closed(code="too-many", message="This page makes too many mistakes."))

    def _act_on(self, message: ClientMessage) -> None:
        match message:
            case Watch(room=room):
                self._watch(room)
            case Sync(topic=topic):
                self._follow(topic)
            case Command(id=id, room=room, asked=asked, expect=expect):
                self._run(self._do(id, room, (asked,), expect), id)
            case Apply(id=id, room=room, commands=commands, expect=expect):
                self._run(self._do(id, room, commands, expect), id)
            case Editing() if self.holder.standing < Standing.OPERATOR:
                self._refuse("not-allowed", f"expected an operator, got a {self.holder.standing.words}")
            case Editing(room=room, slot=slot):
                self._show(editing=slot if room == self.room else "")
            case SetLanguage(tag=tag):
                self._language = tag

    def _watch(self, room: str | None) -> None:
        if self.room is not None:
            self._topics.leave(self, [f"room/{self.room}", f"notes/{self.room}"])
        self.room = room
        self._show(editing="")
        if room is not None:
            self._follow(f"room/{room}")
            if self.holder.standing >= Standing.OPERATOR:
                self._follow(f"notes/{room}")

    def _follow(self, topic: str) -> None:
        kind, _, name = topic.partition("/")
        build: Build | None = None
        match kind:
            case "house":
                build = self._desk.house
            case "room":
                build = lambda: self._desk.room(name)  # noqa: E731
            case "notes" if self.holder.standing >= Standing.OPERATOR:
                build = lambda: self._desk.notes(name)  # noqa: E731
            case "page":
                page = self._desk.pages.get(name)
                build = page.state if page is not None and self.holder.standing >= page.sees else None
        if build is None:
            self.deliver(Gone(topic=topic))
        else:
            self._topics.follow(self, topic, build)

    def _show(self, *, editing: str) -> None:
        """Shows the others where this operator looks, and what they are about to change."""
        now = self._desk.operators[self.id]
        self._desk.operators[self.id] = replace(now, room=self.room or "", editing=editing)
        self._topics.refresh([HOUSE])

    def _run(self, errand: Coroutine[Any, Any, None], id: str) -> None:
        if len(self._errands) >= MAX_ERRANDS:
            errand.close()
            text = f"expected at most {MAX_ERRANDS} commands at the same time, got another"
            self.deliver(Reply(id=id, accepted=False, code="too-many", text=text))
            return
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _do(self, id: str, room: str | None, asked: tuple[Asked, ...], expect: int | None) -> None:
        made = await carry_out(
            self._desk, room, asked, self.holder.actor, expect=expect, language=self._language
        )
        # Everybody sees what has changed before whoever asked is answered.
        self._topics.refresh([HOUSE, *([] if room is None else [f"room/{room}", f"notes/{room}"])])
        self.deliver(replace(made, id=id))

    # What goes out --------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            message = self._outbox.take()
            if message is None:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            try:
                await self._socket.send_str(self._encoder.text(message))
            except ConnectionError:
                return
            if isinstance(message, Closed):
                return

    async def _say_farewell(self, writer: asyncio.Task[None]) -> None:
        """Gives the page a moment to take what waits, then closes."""
        if self._hung_up:
            await asyncio.wait({writer}, timeout=FAREWELL_S)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._socket.close()
        except TimeoutError:
            logger.info("console %s did not say goodbye", self.id)
