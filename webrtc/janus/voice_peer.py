"""The connection by which one of our seats is heard: we offer, Janus answers."""

from __future__ import annotations

from collections.abc import Callable

import aiortc

from webrtc.ending import Ending
from webrtc.errors import SdpError
from webrtc.peer import (
    CONNECT_TIMEOUT_S,
    NEGOTIATION_ERRORS,
    IceSettings,
    error_words,
    opus_only,
    rtc_configuration,
)
from webrtc.voice import OutgoingVoice


class VoicePeer:
    """One connection that sends, from `offer` to `close`. Everything runs on one event loop.

    Args:
        ice: STUN, TURN and policy.
        voice: what is sent; while it has nothing to say, nothing is.
        on_connected: called once.
        on_failed: called once with the reason, when the connection ends by itself; never after `close`.
    """

    def __init__(
        self,
        *,
        ice: IceSettings,
        voice: OutgoingVoice,
        on_connected: Callable[[], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._connection = aiortc.RTCPeerConnection(rtc_configuration(ice))
        self._connection.on("connectionstatechange", self._on_state)
        self._track = voice.new_track()
        self._on_connected = on_connected
        self._ending = Ending(self._close_all, on_failed)

    async def offer(self) -> str:
        """Our offer, with all candidates in it.

        Raises:
            SdpError: the peer was closed meanwhile.
        """
        try:
            transceiver = self._connection.addTransceiver(self._track, direction="sendonly")
            transceiver.setCodecPreferences(opus_only())
            self._track.tell_levels(transceiver.sender)
            await self._connection.setLocalDescription(await self._connection.createOffer())
        except NEGOTIATION_ERRORS as error:
            raise SdpError(f"expected to make an offer, got: {error_words(error)}") from error
        return self._connection.localDescription.sdp

    async def accept(self, answer_sdp: str) -> None:
        """Takes the answer; the connection then builds up by itself.

        Raises:
            SdpError: it cannot be used; close the peer.
        """
        try:
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(answer_sdp, "answer"))
        except NEGOTIATION_ERRORS as error:
            raise SdpError(f"expected an answer that can be used, got: {error_words(error)}") from error
        if not self._ending.came:
            words = f"no connection within {CONNECT_TIMEOUT_S:g} s"
            self._ending.unless_standing_within(CONNECT_TIMEOUT_S, words)

    async def close(self) -> None:
        """Ends the connection; returns when its sockets and threads are gone. Idempotent."""
        await self._ending.close()

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._ending.came:
            self._ending.stands()
            self._on_connected()
        elif state in ("failed", "closed"):
            self._ending.come(f"the connection is {state}")

    async def _close_all(self) -> None:
        self._track.stop()
        await self._connection.close()
