"""A bridge for tests: behaves towards a translation service as Jitsi's does, and keeps all that it is told.

It sends the protocol's messages as the bridge writes them (media with its numbers as strings), forwards nothing of
what it did not ask for, and drops what it no longer wants. It checks whatever must always hold as it comes in.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
import numpy as np

from webrtc.opus import OpusDecoder, OpusEncoder, parse_packet
from webrtc.room import PACKET_SAMPLES, Pcm

PACKET_S = 0.02
TIMESTAMPS_PER_PACKET = 960
PONG_WITHIN_S = 3.0


@dataclass
class Synthetic:
    """What came for one synthetic source."""

    talks: list[dict[str, Any]] = field(default_factory=list)
    """`start`, and `stop` once it came, of each."""

    chunks: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    """Of every packet, also of those that were dropped."""

    pcm: list[Pcm] = field(default_factory=list)
    decoder: OpusDecoder = field(default_factory=OpusDecoder)

    @property
    def talking(self) -> bool:
        return bool(self.talks) and "stop" not in self.talks[-1]

    def heard(self) -> Pcm:
        return np.concatenate([np.zeros(0, dtype=np.float32), *self.pcm])


class Bridge:
    """One connection of a bridge; use as `async with Bridge(url, meeting):`.

    Args:
        url: of the service, with `{{MEETING_ID}}` in it.
        meeting_id: takes its place.
        headers: static ones, and those of the room.
    """

    def __init__(self, url: str, meeting_id: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.replace("{{MEETING_ID}}", meeting_id)
        self._headers = headers or {}
        self._sequence = 0
        self._chunks: dict[str, int] = {}
        self._timestamps: dict[str, int] = {}
        self._encoders: dict[str, OpusEncoder] = {}
        self._pings: dict[int, float] = {}
        self._more = asyncio.Event()
        self.requests: set[str] = set()
        self.synthetic: dict[str, Synthetic] = defaultdict(Synthetic)
        self.dropped: dict[str, int] = defaultdict(int)
        """Media for names that were not wanted (any more)."""

        self.results: list[dict[str, Any]] = []
        self.infos: list[dict[str, Any]] = []
        self.pongs_s: list[float] = []
        self.close_code: int | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(self._url, headers=self._headers)
        except aiohttp.ClientError:
            await self._session.close()
            raise
        self._reading = asyncio.create_task(self._read())
        await self.send({"event": "info", "application": "JVB", "version": "2.3-test", "region": "lab"})
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.end()

    async def end(self) -> None:
        """Says that the session ends, and closes."""
        if not self._socket.closed:
            await self.send({"event": "session-end"})
            await self._socket.close()
        await self._finish()

    async def lose(self) -> None:
        """The connection breaks, with no word."""
        response = self._socket._response
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.abort()
        await self._finish()

    async def closed_by_service(self) -> int | None:
        """The code with which the service closes."""
        async with asyncio.timeout(30):
            await self._reading
        return self.close_code

    async def send(self, message: Mapping[str, Any]) -> None:
        await self._socket.send_str(json.dumps(message))

    async def sources(self, exports: list[str], requests: list[str]) -> None:
        """Says what is sent and wanted from now on."""
        self.requests = set(requests)
        await self.send({"event": "sources", "exports": exports, "requests": requests})

    async def start(self, tag: str) -> None:
        await self.send(
            {
                "event": "start",
                "sequenceNumber": str(self._next()),
                "start": {
                    "tag": tag,
                    "mediaFormat": {"encoding": "opus", "sampleRate": 48_000, "channels": 2},
                    "customParameters": {"endpointId": tag.rpartition("-")[0]},
                },
            }
        )

    async def media(self, tag: str, pcm: Pcm) -> None:
        """Sends 20 ms of somebody."""
        chunk = self._chunks.get(tag, 65_530)  # wraps soon, if somebody takes it for 16 bits
        timestamp = self._timestamps.get(tag, 2**32 - 9_600)
        await self.send(
            {
                "event": "media",
                "sequenceNumber": str(self._next()),
                "media": {
                    "tag": tag,
                    "chunk": str(chunk),
                    "timestamp": str(timestamp),
                    "payload": self._encoded(tag, pcm),
                    "audioLevel": 40,
                    "vad": True,
                },
            }
        )
        self._chunks[tag] = chunk + 1
        self._timestamps[tag] = timestamp + TIMESTAMPS_PER_PACKET

    def _encoded(self, tag: str, pcm: Pcm) -> str:
        encoder = self._encoders.setdefault(tag, OpusEncoder())
        return base64.b64encode(encoder.encode(pcm)).decode()

    async def speak(self, voices: Mapping[str, Pcm], *, gap_packets: int = 0) -> None:
        """Sends what people say, at its pace; before it, so much silence that nobody sends.

        Args:
            voices: tag -> pcm [n * 480].
            gap_packets: of silence.
        """
        began_s = time.monotonic()
        for tag in voices:
            self._timestamps[tag] = self._timestamps.get(tag, 0) + gap_packets * TIMESTAMPS_PER_PACKET
        packets = max(len(pcm) for pcm in voices.values()) // PACKET_SAMPLES
        for n in range(packets):
            await asyncio.sleep(max(0.0, began_s + (gap_packets + n) * PACKET_S - time.monotonic()))
            for tag, pcm in voices.items():
                piece = pcm[n * PACKET_SAMPLES : (n + 1) * PACKET_SAMPLES]
                if len(piece) == PACKET_SAMPLES:
                    await self.media(tag, piece)

    async def ping(self, number: int) -> None:
        """Pings, and waits for the answer, which must come in time."""
        self._pings[number] = time.monotonic()
        await self.send({"event": "ping", "id": number})
        await self.until(lambda: number not in self._pings, within_s=PONG_WITHIN_S)

    async def until(self, condition: Any, *, within_s: float = 30.0) -> None:
        """Waits until what has come fulfils a condition."""
        async with asyncio.timeout(within_s):
            while not condition():
                if self._reading.done():
                    self._reading.result()  # why it ended, if something came that must not
                self._more.clear()
                await self._more.wait()

    async def _finish(self) -> None:
        try:
            await self._reading
        finally:
            await self._session.close()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                self._take(json.loads(message.data))
                self._more.set()
        finally:
            self.close_code = self._socket.close_code
            asyncio.get_running_loop().call_soon(self._more.set)

    def _take(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "start":
                self._take_start(message["start"])
            case "media":
                self._take_media(message["media"])
            case "stop":
                self._take_stop(message["stop"])
            case "pong":
                sent_s = self._pings.pop(message["id"])
                self.pongs_s.append(time.monotonic() - sent_s)
            case "transcription-result":
                self.results.append(message)
            case "info":
                self.infos.append(message)
            case other:
                raise AssertionError(f"a bridge cannot read {other}")

    def _take_start(self, start: dict[str, Any]) -> None:
        assert isinstance(start["timestamp"], int), "without a number it is ignored"
        assert start["mediaFormat"]["encoding"] == "opus"
        assert not self.synthetic[start["tag"]].talking, "a talk begins once"
        self.synthetic[start["tag"]].talks.append({"start": start})

    def _take_media(self, media: dict[str, Any]) -> None:
        into = self.synthetic[media["tag"]]
        assert into.talking, "media stands between a start and a stop"
        payload = base64.b64decode(media["payload"], validate=True)
        assert parse_packet(payload).samples == PACKET_SAMPLES, "20 ms"
        chunk, timestamp = int(media["chunk"]), int(media["timestamp"])
        assert 0 <= chunk < 2**16
        if into.chunks:
            assert timestamp > into.timestamps[-1], "timestamps never go back"
            assert chunk == (into.chunks[-1] + 1) % 2**16, "no packet is missing"
        assert timestamp >= into.talks[-1]["start"]["timestamp"]
        into.chunks.append(chunk)
        into.timestamps.append(timestamp)
        if media["tag"] in self.requests:
            into.pcm.append(into.decoder.decode(payload))
        else:
            self.dropped[media["tag"]] += 1

    def _take_stop(self, stop: dict[str, Any]) -> None:
        into = self.synthetic[stop["tag"]]
        assert into.talking, "what stops has started"
        assert isinstance(stop["timestamp"], int)
        assert stop["timestamp"] == into.timestamps[-1] + TIMESTAMPS_PER_PACKET
        began = into.talks[-1]["start"]["timestamp"]
        assert stop["mediaInfo"]["duration"] * 48 == stop["timestamp"] - began
        assert stop["mediaInfo"]["bytesSent"] > 0
        into.talks[-1]["stop"] = stop

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence
