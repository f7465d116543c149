"""A real call, Chromium to us and back, through a relay that loses SRTP and SRTCP."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from duplex_model.spec import EngineSpec
from tests.browser import stimuli
from tests.browser.chromium import participant
from tests.browser.hosted import hosted_meeting, join, kept_time, real_peer, wait_until
from tests.journey import PeerTap
from tests.relay import LossyRelay
from webrtc.hosted.room import RoomPeer
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, IncomingAudio, IncomingFrame

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow]

LOSS = 0.1


class RelayedPeer:
    """A peer and a browser that see each other through the relay only."""

    def __init__(self, peer: RoomPeer, relay: LossyRelay) -> None:
        self._peer, self._relay = peer, relay
        self.outgoing = peer.outgoing

    async def answer(self, offer_sdp: str) -> str:
        return self._relay.rewrite_answer(await self._peer.answer(self._relay.rewrite_offer(offer_sdp)))

    def attest(self, line: str) -> None:
        self._peer.attest(line)

    async def close(self) -> None:
        await self._peer.close()


def share(frames: Sequence[IncomingFrame], samples: Callable[[IncomingFrame], int]) -> float:
    return sum(map(samples, frames)) / (len(frames) * FRAME_SAMPLES)


def median_delay_ms(tap: PeerTap, phase: slice) -> float:
    """How long the newest sample of a frame had waited when it was pulled."""
    waits = [
        at_s - frame.captured_at_s - FRAME_SAMPLES / SAMPLE_RATE_HZ
        for at_s, frame in zip(tap.pulled.at_s[phase], tap.incoming[phase], strict=True)
    ]
    return 1000 * statistics.median(waits)


def recovered(frame: IncomingFrame) -> int:
    return frame.recovered_samples


def concealed(frame: IncomingFrame) -> int:
    return frame.concealed_samples


async def test_lost_packets_are_recovered_and_the_call_comes_back(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    async with LossyRelay(seed=3) as relay:

        def make_peer(
            *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
        ) -> RoomPeer:
            peer = real_peer(on_audio=on_audio, on_closed=on_closed)
            return RelayedPeer(peer, relay) if not hosted.taps.peers[1:] else peer

        voice = stimuli.microphone_file(tmp_path / "mic.wav", language="en", tone_hz=440)
        async with (
            hosted_meeting(EngineSpec(kind="loopback"), make_peer) as hosted,
            participant(voice) as ana,
            participant(voice) as ben,
        ):
            await join(ana, hosted.link, "Ana", "en")
            await join(ben, hosted.link, "Ben", "en")
            tap = hosted.taps.peers[0]
            await wait_until(ana, lambda: any(not frame.silent for frame in tap.incoming))
            marks = []
            for loss, duration_ms in ((0.0, 4_000), (LOSS, 14_000), (0.0, 6_000)):
                relay.to_us.loss = relay.to_browser.loss = loss
                await ana.page.wait_for_timeout(duration_ms)
                marks.append(len(tap.incoming))
            inbound = await ana.stats("inbound-rtp")
            remote = await ana.stats("remote-inbound-rtp")
            dropped, judged = relay.to_us.dropped, kept_time(hosted)

    phases = {
        "before": slice(12, marks[0]),
        "during": slice(marks[0], marks[1]),
        "after": slice(marks[1] + 25, marks[2]),  # from 2 s after the loss
    }
    frames = {name: tap.incoming[phase] for name, phase in phases.items()}
    delay_ms = {name: median_delay_ms(tap, phase) for name, phase in phases.items()}
    for name in phases:
        measured(
            f"{name} the loss: delay {delay_ms[name]:.0f} ms, recovered {share(frames[name], recovered):.1%}, "
            f"concealed {share(frames[name], concealed):.1%}"
        )
    assert dropped > 30, "the relay lost packets"
    assert remote["packetsLost"] > 0, "our receiver reports told the browser so"
    assert inbound["packetsLost"] > 0, "the browser missed packets of ours"
    assert inbound["fecPacketsReceived"] > 0, "and was sent error correction by us"
    assert share(frames["during"], recovered) > 0.005, "Chromium's error correction is used"
    if judged:  # else packets that come late count as lost, and the delay follows them
        assert share(frames["before"], recovered) == 0
        assert share(frames["during"], recovered) + share(frames["during"], concealed) < 2.5 * LOSS
        assert share(frames["after"], recovered) == 0
        assert share(frames["after"], concealed) < 0.03
        assert delay_ms["after"] < delay_ms["before"] + 20
