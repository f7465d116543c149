"""The tracks without a network: a receiver that is only its seam, a clock that is set by hand."""

from __future__ import annotations

import aiortc
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket

from tests.webrtc.streams import stream
from webrtc.errors import LocalError, MediaLibraryError
from webrtc.opus import OpusDecoder, OpusEncoder, parse_packet
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ, Pcm
from webrtc.tracks import COMFORT_NOISE_RMS, RTP_TIME_BASE, Fill, RtpIncomingAudio, RtpOutgoingAudio


class FakeClock:
    """Every reading is a little later, so that nothing has to wait."""

    def __init__(self, step_s: float = 0.01) -> None:
        self.now_s = 100.0
        self._step_s = step_s

    def __call__(self) -> float:
        self.now_s += self._step_s
        return self.now_s


class NothingKept:
    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        raise AssertionError("aiortc's jitter buffer must get no packet")


class FakeReceiver:
    """The seam of an `RTCRtpReceiver`, under the name Python gives its private attribute."""

    def __init__(self) -> None:
        self._RTCRtpReceiver__jitter_buffer = NothingKept()

    def receive(self, packet: RtpPacket) -> tuple[bool, None]:
        result: tuple[bool, None] = self._RTCRtpReceiver__jitter_buffer.add(packet)
        return result


def tone(samples: int) -> Pcm:
    return (0.25 * np.sin(2 * np.pi * 440 * np.arange(samples) / SAMPLE_RATE_HZ)).astype(np.float32)


def test_packets_reach_the_jitter_buffer_and_aiortc_gets_none() -> None:
    receiver, clock = FakeReceiver(), FakeClock(step_s=0.02)
    audio = RtpIncomingAudio(receiver, clock=clock)  # type: ignore[arg-type]
    encoder = OpusEncoder()
    for arrival, pcm in zip(stream(40), tone(40 * PACKET_SAMPLES).reshape(40, -1), strict=True):
        packet = RtpPacket(
            sequence_number=arrival.packet.sequence_number,
            timestamp=arrival.packet.timestamp,
            ssrc=1,
            payload=encoder.encode(pcm),
        )
        assert receiver.receive(packet) == (False, None)
    assert audio.stats().received == 40
    audio.pull(100.35)  # the decoder starts cold in here
    assert float(np.std(audio.pull(100.43).pcm)) == pytest.approx(0.25 / np.sqrt(2), rel=0.1)


def test_another_aiortc_without_the_seam_is_said_clearly() -> None:
    with pytest.raises(MediaLibraryError, match=f"got aiortc {aiortc.__version__} without it"):
        RtpIncomingAudio(object())  # type: ignore[arg-type]


def test_the_seam_is_where_aiortc_looks_for_it() -> None:
    assert "_RTCRtpReceiver__jitter_buffer" in aiortc.RTCRtpReceiver._handle_rtp_packet.__code__.co_names
    assert "add" in aiortc.RTCRtpReceiver._handle_rtp_packet.__code__.co_names


async def test_packets_are_encoded_20_ms_apart_in_media_time() -> None:
    clock = FakeClock()
    track = RtpOutgoingAudio(Fill.COMFORT_NOISE, clock=clock)
    for tick in range(3):
        pcm = tone(3 * FRAME_SAMPLES)[tick * FRAME_SAMPLES : (tick + 1) * FRAME_SAMPLES]
        track.play(tick, pcm, at_s=100.0 + 0.08 * tick)
    packets = [await track.recv() for _ in range(12)]
    assert [packet.pts for packet in packets] == [960 * n for n in range(12)]
    assert {packet.time_base for packet in packets} == {RTP_TIME_BASE}
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(bytes(packet)) for packet in packets])
    assert float(np.std(heard[2000:])) == pytest.approx(0.25 / np.sqrt(2), rel=0.1)
    assert track.stats().underruns == 0


@pytest.mark.parametrize(
    ("fill", "lowest", "highest"), [(Fill.COMFORT_NOISE, 0.3, 2.0), (Fill.SILENCE, 0.0, 0.01)]
)
async def test_where_there_is_nothing_to_say_the_fill_is_sent(
    fill: Fill, lowest: float, highest: float
) -> None:
    track = RtpOutgoingAudio(fill, clock=FakeClock())
    decoder = OpusDecoder()
    payloads = [bytes(await track.recv()) for _ in range(20)]
    track.play(0, np.zeros(FRAME_SAMPLES, dtype=np.float32), at_s=100.0)
    payloads += [bytes(await track.recv()) for _ in range(20)]
    heard = np.concatenate([decoder.decode(payload) for payload in payloads])
    level = float(np.std(heard[FRAME_SAMPLES:])) / COMFORT_NOISE_RMS
    assert lowest <= level <= highest
    assert {parse_packet(payload).samples for payload in payloads} == {PACKET_SAMPLES}


async def test_a_stopped_track_ends() -> None:
    track = RtpOutgoingAudio(Fill.SILENCE, clock=FakeClock())
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


def test_a_frame_of_another_shape_is_our_callers_error() -> None:
    with pytest.raises(LocalError, match="expected pcm"):
        RtpOutgoingAudio(Fill.SILENCE).play(0, np.zeros(480, dtype=np.float32), at_s=1.0)
