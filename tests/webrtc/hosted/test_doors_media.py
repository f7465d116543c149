"""Callers by WHIP and WHEP with real connections: sound in by one, out by the other."""

from __future__ import annotations

import asyncio
import time
from typing import Self

import aiortc
import pytest
from aiohttp import ClientSession

from tests.fakes import FRAME_S, amplitude, tone
from webrtc.hosted import Door, HostedServer, HostedSettings, Invitee
from webrtc.room import (
    IncomingAudio,
    OutgoingAudio,
    ParticipantJoined,
    ParticipantLeft,
    TrackStarted,
    TrackStopped,
)
from webrtc.tracks import Fill, RtpIncomingAudio, RtpOutgoingAudio

pytestmark = [pytest.mark.media, pytest.mark.slow]

ANA = Invitee(name="Ana", language="es", token="ana-0123456789-abc")
BEN = Invitee(name="Ben", language="en", token="ben-0123456789-abc")
ANA_HZ, FOR_BEN_HZ = 400.0, 700.0
FRAMES = 30


class Client:
    """Whoever comes by one door; as `async with`."""

    def __init__(self, http: ClientSession, door: Door, url: str, token: str) -> None:
        self._http, self._url = http, url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.outgoing = RtpOutgoingAudio(Fill.SILENCE)
        sends = door is Door.WHIP
        self._transceiver = self._connection.addTransceiver(
            self.outgoing if sends else "audio", direction="sendonly" if sends else "recvonly"
        )
        self.connected = asyncio.Event()
        self._connection.on("connectionstatechange", self._on_state)

    def _on_state(self) -> None:
        if self._connection.connectionState == "connected":
            self.connected.set()

    async def __aenter__(self) -> Self:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        # As of a client that trickles its candidates, which nobody takes.
        lines = self._connection.localDescription.sdp.splitlines(keepends=True)
        offer = "".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))
        headers = {**self._headers, "Content-Type": "application/sdp"}
        async with self._http.post(self._url, data=offer.encode(), headers=headers) as response:
            assert response.status == 201, await response.text()
            self.session = response.headers["Location"]
            answer = await response.text()
        assert f"a={'recvonly' if self._transceiver.direction == 'sendonly' else 'sendonly'}" in answer
        await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        self.incoming = (
            None
            if self._transceiver.direction == "sendonly"
            else RtpIncomingAudio(self._transceiver.receiver)
        )
        await self.connected.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.outgoing.stop()
        await self._connection.close()

    async def delete(self, server: HostedServer) -> int:
        async with self._http.delete(server.url + self.session, headers=self._headers) as response:
            return response.status


async def hum(outgoing: OutgoingAudio, incoming: IncomingAudio, hz: float) -> int:
    """Plays a tone into one end for 2.4 s; in how many frames it is heard at its level at the other."""
    heard = 0
    start_s = time.monotonic()
    for n in range(FRAMES):
        outgoing.play(n, tone(hz, n), start_s + n * FRAME_S)
        await asyncio.sleep(max(0.0, start_s + (n + 1) * FRAME_S - time.monotonic()))
        frame = incoming.pull(start_s + (n + 1) * FRAME_S).pcm
        heard += 0.07 < amplitude(frame, hz) < 0.13
    return heard


async def test_one_door_is_for_the_mouth_and_the_other_for_the_ear() -> None:
    server = HostedServer(HostedSettings())
    room = server.add_room("clinic", people=(ANA, BEN))
    async with asyncio.timeout(60), server, room, ClientSession() as http:
        events = room.events()
        async with (
            Client(http, Door.WHIP, server.call_url(room, Door.WHIP), ANA.token) as ana,
            Client(http, Door.WHEP, server.call_url(room, Door.WHEP), BEN.token) as ben,
        ):
            seen = [await anext(events) for _ in range(3)]
            started = next(event for event in seen if isinstance(event, TrackStarted))
            people = {e.participant.name: e.participant for e in seen if isinstance(e, ParticipantJoined)}
            assert started.participant_id == people["Ana"].id
            assert room.outgoing(people["Ana"].id) is None
            for_ben = room.outgoing(people["Ben"].id)
            assert for_ben is not None
            assert ben.incoming is not None
            heard = await asyncio.gather(
                hum(ana.outgoing, started.audio, ANA_HZ), hum(for_ben, ben.incoming, FOR_BEN_HZ)
            )
            assert min(heard) >= 5, heard
            assert await ana.delete(server) == 200
            assert await anext(events) == TrackStopped(participant_id=people["Ana"].id)
            assert await anext(events) == ParticipantLeft(participant_id=people["Ana"].id, reason="left")
        # Ben hangs up without a word: his farewell in DTLS tells.
        left = await anext(events)
        assert isinstance(left, ParticipantLeft)
        assert left.reason == "connection lost: closed by the other side"
