"""Joins a hosted room as many speaking participants, in one process: `python -m tests.bench.crowd LINK COUNT`.

Prints a line when all are connected, and leaves when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import aiohttp
import aiortc
import numpy as np

from tests import netns
from tests.browser import stimuli
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ
from webrtc.tracks import Fill, RtpIncomingAudio, RtpOutgoingAudio

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
LANGUAGES = ("en", "es")


class Speaker:
    """One participant who never stops talking and discards what they hear."""

    def __init__(self, index: int) -> None:
        self._language = LANGUAGES[index % len(LANGUAGES)]
        self._voice = stimuli.speak(stimuli.SENTENCES[self._language], self._language, SAMPLE_RATE_HZ)
        self._track = RtpOutgoingAudio(Fill.COMFORT_NOISE)
        self._connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._incoming: RtpIncomingAudio | None = None

    async def join(self, session: aiohttp.ClientSession, link: str, name: str) -> None:
        """Signals as the page does."""
        transceiver = self._connection.addTransceiver(self._track, direction="sendrecv")
        await self._connection.setLocalDescription(await self._connection.createOffer())
        # Our own receive path keeps aiortc from decoding, which would cost more than everything measured here.
        self._incoming = RtpIncomingAudio(transceiver.receiver)
        parts = urlsplit(link)
        socket = await session.ws_connect(f"{link}/signalling", origin=f"{parts.scheme}://{parts.netloc}")
        self._socket = socket
        await socket.send_json({"type": "join", "name": name, "language": self._language})
        await socket.send_json({"type": "offer", "sdp": self._connection.localDescription.sdp})
        async for message in socket:
            answer = json.loads(message.data)
            if answer["type"] == "answer":
                await self._connection.setRemoteDescription(
                    aiortc.RTCSessionDescription(answer["sdp"], "answer")
                )
                break
        self._drain = asyncio.create_task(_drain(socket))

    async def talk(self) -> None:
        """Plays the sentence over and over, until cancelled."""
        start_s = time.monotonic()
        frames = len(self._voice) // FRAME_SAMPLES
        tick = 0
        while True:
            at = tick % frames * FRAME_SAMPLES
            self._track.play(tick, self._voice[at : at + FRAME_SAMPLES], start_s + tick * FRAME_S)
            if self._incoming is not None:
                self._incoming.pull(time.monotonic())
            tick += 1
            await asyncio.sleep(start_s + tick * FRAME_S - 0.02 - time.monotonic())

    async def leave(self) -> None:
        """Leaves as the page does."""
        await self._socket.send_json({"type": "leave"})
        await self._drain
        await self._connection.close()


async def _drain(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


async def crowd(link: str, count: int) -> None:
    """Joins, says so, and talks until standard input ends."""
    async with aiohttp.ClientSession() as session:
        speakers = [Speaker(index) for index in range(count)]
        for index, speaker in enumerate(speakers):
            await speaker.join(session, link, f"Speaker {index}")
        talking = [asyncio.create_task(speaker.talk()) for speaker in speakers]
        print("talking", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in talking:
            task.cancel()
        await asyncio.gather(*(speaker.leave() for speaker in speakers))


if __name__ == "__main__":
    netns.enter()
    np.seterr(all="raise")
    asyncio.run(crowd(sys.argv[1], int(sys.argv[2])))
