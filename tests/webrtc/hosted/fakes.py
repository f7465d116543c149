"""Peers without media, and a page without a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from webrtc.errors import SdpError
from webrtc.hosted.room import RoomPeer
from webrtc.room import FRAME_SAMPLES, IncomingAudio, IncomingFrame, OutgoingAudio, Pcm

GOOD_SDP = "v=0 good"


class SilentAudio:
    """Fulfils `IncomingAudio`."""

    def pull(self, now_s: float) -> IncomingFrame:
        return IncomingFrame(pcm=np.zeros(FRAME_SAMPLES, np.float32), captured_at_s=now_s, silent=True)


class KeptAudio:
    """Fulfils `OutgoingAudio`; keeps what it was to play."""

    def __init__(self) -> None:
        self.ticks: list[int] = []

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        self.ticks.append(tick)

    def replace(self, tick: int, pcm: Pcm) -> None:
        pass


class FakePeer:
    """Answers `GOOD_SDP`, has audio at once, refuses any other offer."""

    def __init__(
        self, *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
    ) -> None:
        self.on_audio = on_audio
        self.on_closed = on_closed
        self.kept = KeptAudio()
        self.attested: list[str] = []
        self.closed = 0
        self.answers = asyncio.Event()
        self.answers.set()

    @property
    def outgoing(self) -> OutgoingAudio:
        return self.kept

    async def answer(self, offer_sdp: str) -> str:
        await self.answers.wait()
        if offer_sdp != GOOD_SDP:
            raise SdpError("expected a good offer, got another")
        self.on_audio(SilentAudio())
        return "v=0 answer"

    def attest(self, line: str) -> None:
        self.attested.append(line)

    async def close(self) -> None:
        self.closed += 1


class FakePeers:
    """The factory; keeps every peer it made, in order."""

    def __init__(self) -> None:
        self.made: list[FakePeer] = []
        self.slow = False
        """Peers made from now on never answer."""
        self.another = asyncio.Event()

    def __call__(
        self, *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
    ) -> RoomPeer:
        peer = FakePeer(on_audio=on_audio, on_closed=on_closed)
        if self.slow:
            peer.answers.clear()
        self.made.append(peer)
        self.another.set()
        return peer


class FakePage:
    """A page's half of the signalling, one message at a time."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.id = ""

    @classmethod
    async def open(cls, client: ClientSession, link: str, origin: str | None = None) -> FakePage:
        origin = origin or link.split("/r/")[0]
        return cls(await client.ws_connect(f"{link}/signalling", headers={"Origin": origin}))

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def read(self) -> dict[str, Any]:
        message = await self.socket.receive()
        assert message.type is WSMsgType.TEXT, message
        fields: dict[str, Any] = json.loads(message.data)
        return fields

    async def read_until(self, kind: str) -> dict[str, Any]:
        while (message := await self.read())["type"] != kind:
            pass
        return message

    async def join(self, name: str, language: str = "en", **more: Any) -> None:
        """Joins and waits until the room knows it."""
        await self.send("join", name=name, language=language, **more)
        self.id = (await self.read_until("welcome"))["id"]
        await self.send("offer", sdp=GOOD_SDP)
        await self.read_until("answer")
        assert (await self.read_until("joined"))["participant"]["id"] == self.id

    async def until_closed(self) -> dict[str, Any]:
        """The last message, after which the server must hang up."""
        last = await self.read_until("closed")
        message = await self.socket.receive()
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING), message
        return last
