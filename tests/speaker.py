"""A participant of a hosted room without a browser: signals as the page does, and never stops talking."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.browser import stimuli
from webrtc.caller import Caller
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ


class Speaker:
    """One participant, who speaks a language of `stimuli.SENTENCES`."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._voice = stimuli.speak(stimuli.SENTENCES[language], language, SAMPLE_RATE_HZ)
        self.heard: deque[Pcm] = deque(maxlen=250)
        """The last 20 s of frames."""

        self.told: list[dict[str, Any]] = []
        """What the server sent since the answer, levels left out."""

        self._caller = Caller()

    async def join(self, session: aiohttp.ClientSession, link: str, name: str) -> None:
        """Signals as the page does; returns when the connection stands."""
        parts = urlsplit(link)
        self._socket = await session.ws_connect(
            f"{link}/signalling", origin=f"{parts.scheme}://{parts.netloc}"
        )
        await self._socket.send_json({"type": "join", "name": name, "language": self._language})
        await self._socket.send_json({"type": "offer", "sdp": await self._caller.offer()})
        async for message in self._socket:
            answer = json.loads(message.data)
            if answer["type"] == "answer":
                self._incoming = await self._caller.accept(answer["sdp"])
                break
        self._listening = asyncio.create_task(self._listen())

    async def talk(self) -> None:
        """Plays the sentence over and over, until cancelled."""
        start_s = time.monotonic()
        frames = len(self._voice) // FRAME_SAMPLES
        tick = 0
        while True:
            at = tick % frames * FRAME_SAMPLES
            self._caller.outgoing.play(tick, self._voice[at : at + FRAME_SAMPLES], start_s + tick * FRAME_S)
            self.heard.append(self._incoming.pull(time.monotonic()).pcm)
            tick += 1
            await asyncio.sleep(start_s + tick * FRAME_S - 0.02 - time.monotonic())

    async def leave(self) -> None:
        """Leaves as the page does."""
        await self._socket.send_json({"type": "leave"})
        await self._listening
        await self._caller.close()

    async def _listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if told["type"] != "levels":
                self.told.append(told)
