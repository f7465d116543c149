"""The WebSocket of a Janus server: opened, or a sentence that says why not; and what a server says of itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from ssl import SSLContext
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorSSLError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    WSMsgType,
    WSServerHandshakeError,
)

from webrtc.errors import Refused
from webrtc.janus.address import JanusAddress
from webrtc.janus.messages import MAX_MESSAGE_BYTES, SUBPROTOCOL, VIDEOROOM, encode
from webrtc.janus.refusals import no_videoroom, not_janus

CONNECT_S = 15.0
HEARTBEAT_S = 10.0


def http_client() -> ClientSession:
    """A client for one WebSocket, that may stay open for ever."""
    return ClientSession(timeout=ClientTimeout(total=None, sock_connect=CONNECT_S))


async def open_socket(
    http: ClientSession, address: JanusAddress, tls: SSLContext | None
) -> ClientWebSocketResponse:
    """The server's WebSocket.

    Args:
        http: made by `http_client`.
        address: of a room.
        tls: knows an authority of the server's own; None trusts those the system does.

    Raises:
        Refused: it cannot be opened.
    """
    host = urlsplit(address.url).netloc
    try:
        async with asyncio.timeout(CONNECT_S):
            socket = await http.ws_connect(
                address.url,
                protocols=(SUBPROTOCOL,),
                heartbeat=HEARTBEAT_S,
                max_msg_size=MAX_MESSAGE_BYTES,
                ssl=tls or True,
            )
    except WSServerHandshakeError as error:
        raise Refused(f"{not_janus(host)} (HTTP status {error.status})") from None
    except (ClientConnectorCertificateError, ClientConnectorSSLError):
        words = f"the certificate of {host} is not trusted; name its authority in `join.certificates`"
        raise Refused(words) from None
    except TimeoutError:
        raise Refused(f"the Janus server at {host} does not answer") from None
    except (ClientError, OSError) as error:
        words = f"the Janus server at {host} cannot be reached ({type(error).__name__}); correct the address"
        raise Refused(words) from None
    if socket.protocol != SUBPROTOCOL:
        await socket.close()
        raise Refused(not_janus(host))
    return socket


@dataclass(frozen=True, kw_only=True)
class JanusInfo:
    """What a server says of itself."""

    version: str
    """Such as `1.1.2`, untrusted; `?` where it tells none."""


async def ask_info(address: JanusAddress, tls: SSLContext | None = None) -> JanusInfo:
    """What the server says of itself, before any room is joined.

    Raises:
        Refused: it cannot be reached, or has no rooms.
    """
    host = urlsplit(address.url).netloc
    async with http_client() as http, await open_socket(http, address, tls) as socket:
        try:
            async with asyncio.timeout(CONNECT_S):
                await socket.send_str(encode({"janus": "info", "transaction": "info"}))
                message = await socket.receive()
        except (TimeoutError, ConnectionError):
            raise Refused(f"the Janus server at {host} does not answer") from None
    try:
        said = json.loads(message.data) if message.type is WSMsgType.TEXT else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.get("janus") != "server_info":
        raise Refused(not_janus(host))
    plugins = said.get("plugins")
    if not isinstance(plugins, dict) or VIDEOROOM not in plugins:
        raise Refused(no_videoroom())
    version = said.get("version_string")
    return JanusInfo(version=ascii(version)[1:-1][:20] if isinstance(version, str) else "?")
