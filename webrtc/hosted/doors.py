"""WHIP and WHEP over HTTP: the doors of hosted rooms for people without a page.

    POST   /whip/ROOM          an offer that sends, answered with 201 and where the session is
    POST   /whep/ROOM          an offer that receives
    DELETE /whip/ROOM/SESSION  ends it

ROOM is the room's name. Who comes is told by their bearer token alone.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from webrtc.errors import LocalError, RoomFull, SdpError, SignallingError
from webrtc.hosted.guest import Guest
from webrtc.hosted.whip import MEDIA_TYPE, Door, Invitee, allowed_origin, ice_links, invited, read_offer
from webrtc.sdp import MAX_OFFER_BYTES

if TYPE_CHECKING:
    from webrtc.hosted.room import HostedRoom
    from webrtc.peer import IceServer

logger = logging.getLogger(__name__)

BODY_S = 10.0
"""How long an offer may take to arrive."""

RETRY_S = 10
"""After which somebody may try again to come into a full room."""

ENDPOINT_METHODS = "GET, POST, OPTIONS"
SESSION_METHODS = "GET, DELETE, OPTIONS"
"""Neither PATCH: candidates are not trickled and ICE is not restarted (RFC 9725 section 4.3)."""

PREFLIGHT_S = 600
"""How long browsers may remember what a page of another site may do."""


class _Refusal(Exception):
    """What an HTTP response says instead of success."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


class Doors:
    """The doors of all rooms of a server.

    Args:
        ice_servers: that those who come may use.
        origins: of pages of other sites that may call, such as `https://studio.example.org`; `*` for all.
    """

    def __init__(self, ice_servers: Sequence[IceServer], origins: Collection[str]) -> None:
        self._links = ice_links(ice_servers)
        self._origins = origins
        self._rooms: dict[str, HostedRoom] = {}
        self._guests: dict[str, dict[Invitee, Guest]] = {}

    def open(self, room: HostedRoom, people: Sequence[Invitee]) -> None:
        """Gives a room its doors.

        Raises:
            LocalError: its name cannot stand in a path or is another's, or two people have the same name or token.
        """
        if not room.name or room.name in self._rooms:
            raise LocalError(f"expected a room with a name of its own for WHIP and WHEP, got {room.name!a}")
        for what in ("name", "token"):
            if len({getattr(one, what) for one in people}) < len(people):
                raise LocalError(f"expected each invited person with a {what} of their own, got one twice")
        self._rooms[room.name] = room
        self._guests[room.name] = {one: Guest(room, one) for one in people}

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [
            web.route("*", f"/{door.value}/{{room}}{rest}", partial(handler, door))
            for door in Door
            for rest, handler in (("", self._endpoint), ("/{session}", self._session))
        ]

    async def _endpoint(self, door: Door, request: web.Request) -> web.Response:
        try:
            match request.method:
                case "POST":
                    response = await self._create(door, request)
                case "OPTIONS":
                    response = web.Response(headers={"Allow": ENDPOINT_METHODS, "Accept-Post": MEDIA_TYPE})
                case "GET" | "HEAD":  # nothing to show, and no error (RFC 9725 section 4.1)
                    response = web.Response(status=HTTPStatus.NO_CONTENT)
                case method:
                    raise _not_allowed(method, ENDPOINT_METHODS)
        except _Refusal as refusal:
            response = _problem(door, refusal)
        return self._for_pages(request, response)

    async def _session(self, door: Door, request: web.Request) -> web.Response:
        try:
            match request.method:
                case "OPTIONS":
                    response = web.Response(headers={"Allow": SESSION_METHODS})
                case "GET" | "HEAD" | "DELETE" as method:
                    guest, session_id = self._guest(request), request.match_info["session"]
                    ends = method == "DELETE"
                    if not (guest.end(door, session_id) if ends else guest.has(door, session_id)):
                        raise _Refusal(HTTPStatus.NOT_FOUND, "There is no such session of yours.")
                    response = web.Response(status=HTTPStatus.OK if ends else HTTPStatus.NO_CONTENT)
                case method:
                    raise _not_allowed(method, SESSION_METHODS)
        except _Refusal as refusal:
            response = _problem(door, refusal)
        return self._for_pages(request, response)

    async def _create(self, door: Door, request: web.Request) -> web.Response:
        guest = self._guest(request)
        if request.content_type != MEDIA_TYPE:
            kind = request.content_type[:60]
            raise _Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"expected an offer of type {MEDIA_TYPE}, got {kind!a}",
                {"Accept-Post": MEDIA_TYPE},
            )
        try:
            session_id, answer = await guest.call(door, read_offer(door, await _body(request)))
        except SdpError as error:
            raise _Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        except SignallingError as error:
            raise _Refusal(HTTPStatus.NOT_FOUND, str(error)) from None
        except RoomFull as error:
            retry = {"Retry-After": str(RETRY_S)}
            raise _Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), retry) from None
        response = web.Response(text=answer, status=HTTPStatus.CREATED, content_type=MEDIA_TYPE)
        response.headers["Location"] = (
            f"/{door.value}/{quote(request.match_info['room'], safe='')}/{session_id}"
        )
        response.headers["ETag"] = f'"{secrets.token_urlsafe(8)}"'  # of its one ICE session
        for link in self._links:
            response.headers.add("Link", link)
        return response

    def _guest(self, request: web.Request) -> Guest:
        """Who asks, in the room they ask for."""
        name = request.match_info["room"]
        room = self._rooms.get(name)
        if room is None or not room.is_open:
            raise _Refusal(HTTPStatus.NOT_FOUND, "There is no such room.")
        authorization = request.headers.get("Authorization")
        invitee = invited(self._guests[name].keys(), authorization)
        if invitee is None:
            error = "" if authorization is None else ' error="invalid_token"'  # RFC 6750 section 3
            raise _Refusal(
                HTTPStatus.UNAUTHORIZED,
                "expected the bearer token of somebody invited to this room, got "
                + ("none" if authorization is None else "another"),
                {"WWW-Authenticate": f"Bearer{error}"},
            )
        return self._guests[name][invitee]

    def _for_pages(self, request: web.Request, response: web.Response) -> web.Response:
        """Lets pages of the allowed sites ask, and read the answer (Fetch standard, CORS protocol)."""
        response.headers["Vary"] = "Origin"
        allowed = allowed_origin(request.headers.get("Origin"), self._origins)
        if allowed is None:
            return response
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Expose-Headers"] = "Location, ETag, Link, Retry-After, Accept-Post"
        if request.method == "OPTIONS":
            # PATCH too, so that a page that tries it can read that it is not served.
            response.headers["Access-Control-Allow-Methods"] = "POST, DELETE, PATCH"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
        return response


async def _body(request: web.Request) -> str:
    """The request's text, of which no more is read than an offer may have."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_chunked(8_192):
                body += piece
                if len(body) > MAX_OFFER_BYTES:
                    raise _Refusal(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                        f"expected an offer of at most {MAX_OFFER_BYTES} bytes, got more",
                    )
        return body.decode()
    except TimeoutError:
        raise _Refusal(
            HTTPStatus.REQUEST_TIMEOUT, f"expected an offer within {BODY_S:g} s, got none"
        ) from None
    except UnicodeDecodeError:
        raise _Refusal(HTTPStatus.BAD_REQUEST, "expected an offer in UTF-8, got other bytes") from None


def _not_allowed(method: str, allowed: str) -> _Refusal:
    return _Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED, f"expected one of {allowed}, got {method[:20]!a}", {"Allow": allowed}
    )


def _problem(door: Door, refusal: _Refusal) -> web.Response:
    """A refusal in the body too (RFC 9457); the log gets no words of it, which may quote a password of the offer."""
    status = refusal.status
    logger.log(
        logging.DEBUG if status is HTTPStatus.METHOD_NOT_ALLOWED else logging.WARNING,
        "refused a request at /%s: %d %s",
        door.value,
        status,
        status.phrase,
    )
    return web.json_response(
        {"status": status.value, "title": status.phrase, "detail": str(refusal)},
        status=status,
        headers=refusal.headers,
        content_type="application/problem+json",
    )
