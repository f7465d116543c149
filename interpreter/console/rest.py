"""The console's HTTP interface: the same states and commands as over the WebSocket, by calls with a token."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from interpreter.commands.table import COMMANDS, Standing
from interpreter.console.access import TICKET_S, Access, Pass
from interpreter.console.deltas import Json, to_json
from interpreter.console.desk import Desk
from interpreter.console.errands import carry_out
from interpreter.console.openapi import STATUS, describe_api
from interpreter.console.protocol import (
    Asked,
    Reply,
    asked_from,
    body_from,
    commands_from,
    expect_from,
    reply_to_json,
)
from interpreter.console.telemetry import exposition
from interpreter.console.topics import Topics
from interpreter.errors import BadArgument, ConsoleMessageError

logger = logging.getLogger(__name__)

WRONG_TOKEN_S = 0.5
"""How long whoever shows a wrong token waits for the answer."""

_TAG = re.compile(r"\s*([A-Za-z]{2,8})(?:[-;,\s]|$)")

Handler = Callable[[web.Request, Pass], Awaitable[web.StreamResponse]]
Guarded = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest:
    """The calls.

    Args:
        desk: what is seen and done.
        access: whose tokens there are.
        topics: told of what has changed.
        system: gives what the System page shows; runs on another thread.
        open_metrics: whether metrics need no token.
    """

    def __init__(
        self,
        desk: Desk,
        access: Access,
        topics: Topics,
        system: Callable[[], Mapping[str, Any]],
        *,
        open_metrics: bool,
    ) -> None:
        self._desk = desk
        self._access = access
        self._topics = topics
        self._system_of = system
        self._open_metrics = open_metrics

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds the calls to a server's routes."""
        viewer, operator = Standing.VIEWER, Standing.OPERATOR
        router.add_get("/healthz", self._health)
        router.add_get("/readyz", self._ready)
        router.add_get("/metrics", self._metrics)
        for path, standing, handler in (
            ("/api/me", viewer, self._me),
            ("/api/openapi.json", viewer, self._openapi),
            ("/api/house", viewer, self._house),
            ("/api/system", operator, self._system),
            ("/api/rooms/{room}", viewer, self._room),
            ("/api/rooms/{room}/notes", operator, self._notes),
            ("/api/pages/{page}", viewer, self._page_state),
            ("/api/pages/{page}/files/{path:.+}", viewer, self._page_file),
        ):
            router.add_get(path, self._for(standing, handler))
        for path, handler in (
            ("/api/tickets", self._ticket),
            ("/api/rooms/{room}/commands/{command}", self._command),
            ("/api/rooms/{room}/apply", self._apply),
            ("/api/commands/{command}", self._command),
            ("/api/pages/{page}/{action}", self._page_action),
        ):
            router.add_post(path, self._for(viewer, handler))

    def _for(self, standing: Standing, handler: Handler) -> Guarded:
        """`handler`, for whoever shows a token of at least this standing."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            holder = await self._holder(request)
            if holder is None:
                return reply_of("unauthorized", "expected a token that holds, got another or none")
            if holder.standing < standing:
                return reply_of("not-allowed", f"expected an {standing.words}, got a {holder.standing.words}")
            try:
                return await handler(request, holder)
            except ConsoleMessageError as error:
                logger.warning("a call of %a is refused: %s", holder.name, error)
                return reply_of("malformed", str(error))

        return guarded

    async def _holder(self, request: web.Request) -> Pass | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        holder = self._access.holder(token.strip())
        if holder is None:
            logger.warning("a call with a wrong token is refused")
            await asyncio.sleep(WRONG_TOKEN_S)
        return holder

    # What anybody may ask -------------------------------------------------------------------------------------------

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _ready(self, request: web.Request) -> web.StreamResponse:
        missing = self._desk.not_ready()
        if missing:
            return web.json_response({"status": "not ready", "reason": "; ".join(missing)}, status=503)
        return web.json_response({"status": "ready"})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        if not self._open_metrics and await self._holder(request) is None:
            return reply_of("unauthorized", "expected a token that holds, got another or none")
        text = exposition(self._desk.telemetry, self._desk.gauges())
        return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

    # What is seen ---------------------------------------------------------------------------------------------------

    async def _ticket(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        ticket = self._access.issue(holder, time.monotonic())
        return web.json_response({"ticket": ticket, "expires_in_s": TICKET_S}, status=201)

    async def _me(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        commands = self._desk.commands_for(holder.actor)
        return web.json_response(
            {"name": holder.name, "standing": holder.standing.words, "commands": commands}
        )

    async def _openapi(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        return web.json_response(describe_api(self._desk.settings.version))

    async def _house(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        return web.json_response(to_json(self._desk.house()))

    async def _room(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        return _found(self._desk.room(request.match_info["room"]))

    async def _notes(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        return _found(self._desk.notes(request.match_info["room"]))

    async def _system(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        machine = await asyncio.to_thread(self._system_of)
        return web.json_response({**machine, **self._desk.accounts()})

    # What is done ---------------------------------------------------------------------------------------------------

    async def _command(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        name = request.match_info["command"]
        body = await _body(request, "arguments expect")
        if name not in COMMANDS:
            return reply_of("unknown-command", "expected a command there is, got another")
        asked = asked_from({"name": name, "arguments": body.get("arguments", {})})
        return await self._carry_out(request, holder, (asked,), expect_from(body))

    async def _apply(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        body = await _body(request, "commands expect")
        return await self._carry_out(request, holder, commands_from(body), expect_from(body))

    async def _carry_out(
        self, request: web.Request, holder: Pass, asked: tuple[Asked, ...], expect: int | None
    ) -> web.StreamResponse:
        room = request.match_info.get("room")
        made = await carry_out(
            self._desk, room, asked, holder.actor, expect=expect, language=_language(request)
        )
        self._topics.refresh(["house", *([] if room is None else [f"room/{room}", f"notes/{room}"])])
        return _response(made)

    # Further pages --------------------------------------------------------------------------------------------------

    async def _page_state(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        page = self._desk.pages.get(request.match_info["page"])
        if page is None:
            return reply_of("no-page", "expected a page there is, got another")
        if holder.standing < page.sees:
            return reply_of("not-allowed", f"expected an {page.sees.words}")
        return web.json_response(to_json(page.state()))

    async def _page_file(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        page = self._desk.pages.get(request.match_info["page"])
        if page is not None and holder.standing < page.sees:
            return reply_of("not-allowed", f"expected an {page.sees.words}")
        path = None if page is None else page.file(request.match_info["path"])
        if path is None or not path.is_file():
            return reply_of("no-page", "expected a file there is, got another")
        return web.FileResponse(path)

    async def _page_action(self, request: web.Request, holder: Pass) -> web.StreamResponse:
        page, action = self._desk.pages.get(request.match_info["page"]), request.match_info["action"]
        if page is None or action not in page.actions:
            return reply_of("no-page", "expected an action of a page there is, got another")
        if holder.standing < page.actions[action]:
            return reply_of("not-allowed", f"expected an {page.actions[action].words}")
        body = await _body(request, "arguments")
        arguments = body.get("arguments", {})
        if not isinstance(arguments, dict):
            raise ConsoleMessageError("expected an object of arguments")
        logger.info("%s of page %s by %a", action, request.match_info["page"], holder.name)
        try:
            answer = await page.act(action, arguments, holder.actor)
        except BadArgument as error:
            return reply_of("bad-argument", str(error))
        self._topics.refresh([f"page/{request.match_info['page']}"])
        return _response(
            Reply(
                id="",
                accepted=answer.accepted,
                code="done" if answer.accepted else "refused",
                text=answer.text,
                language=answer.language,
                result=answer.result,
            )
        )


def reply_of(code: str, text: str, *, status: int | None = None) -> web.Response:
    """A refusal.

    Args:
        code: as in `openapi.STATUS`.
        text: for people.
        status: where it is another than the code's.
    """
    response = _response(Reply(id="", accepted=False, code=code, text=text))
    if status is not None:
        response.set_status(status)
    if code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _response(made: Reply) -> web.Response:
    return web.json_response(reply_to_json(replace(made, id="")), status=STATUS[made.code])


def _found(state: object | None) -> web.Response:
    if state is None:
        return reply_of("no-room", "expected one of the rooms there are, got another")
    return web.json_response(to_json(state))


async def _body(request: web.Request, names: str) -> dict[str, Json]:
    """The JSON object that a call brings; an empty one where it brings nothing."""
    try:
        text = (await request.read()).decode()
    except UnicodeDecodeError:
        raise ConsoleMessageError("expected JSON in UTF-8") from None
    return body_from(text, names) if text.strip() else {}


def _language(request: web.Request) -> str | None:
    """The first language that a caller prefers (RFC 9110 section 12.5.4), without its weight."""
    match = _TAG.match(request.headers.get("Accept-Language", ""))
    return None if match is None else match[1].lower()
