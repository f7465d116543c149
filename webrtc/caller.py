"""The other end of a call: a peer that offers, as a browser's page does. For the preflight and for measuring."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import aiortc

from webrtc.room import IncomingAudio
from webrtc.tracks import Fill, RtpIncomingAudio, RtpOutgoingAudio


class Caller:
    """One connection that calls a `Peer`, with one audio track each way; use as `async with`.

        async with Caller() as caller:
            await caller.accept(await peer.answer(await caller.offer()))

    No server is asked for addresses: it calls peers on this machine or network.
    """

    def __init__(self) -> None:
        self._connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._connection.on("connectionstatechange", self._on_state)
        self._outgoing = RtpOutgoingAudio(Fill.COMFORT_NOISE)
        self._transceiver = self._connection.addTransceiver(self._outgoing, direction="sendrecv")
        self._incoming: RtpIncomingAudio | None = None
        self._connected = asyncio.Event()

    @property
    def outgoing(self) -> RtpOutgoingAudio:
        """What the called peer hears; may be played to before the connection stands."""
        return self._outgoing

    async def offer(self) -> str:
        """An offer with all candidates in it."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp

    async def accept(self, answer_sdp: str) -> IncomingAudio:
        """Takes the answer and waits until the connection stands; gives what the called peer plays."""
        await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(answer_sdp, "answer"))
        self._incoming = RtpIncomingAudio(self._transceiver.receiver)
        await self._connected.wait()
        return self._incoming

    async def close(self) -> None:
        """Ends the call."""
        self._outgoing.stop()
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _on_state(self) -> None:
        if self._connection.connectionState == "connected":
            self._connected.set()
