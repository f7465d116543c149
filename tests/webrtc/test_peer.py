"""`Peer` against real aiortc connections over real sockets."""

from __future__ import annotations

import asyncio
import fractions
import re
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import aioice
import aiortc
import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk

from webrtc.attestations import LABEL, MAX_RECEIVED_BYTES, AttestationStats
from webrtc.errors import LocalError, SdpError
from webrtc.peer import IceServer, IceSettings, Peer
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ, IncomingAudio, Pcm
from webrtc.tracks import Fill

pytestmark = pytest.mark.media

LEVEL = 0.25


def tone(hz: float, first_sample: int, samples: int, rate_hz: int = SAMPLE_RATE_HZ) -> Pcm:
    t = np.arange(first_sample, first_sample + samples) / rate_hz
    return (LEVEL * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def pitch_hz(pcm: Pcm, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)), 8 * len(pcm)))
    return float(np.argmax(spectrum) * rate_hz / (8 * len(pcm)))


def usual_rms(pcm: Pcm, packet_samples: int) -> float:
    """The median over packets: a busy machine loses time, and with it some of them."""
    packets = pcm[: len(pcm) // packet_samples * packet_samples].reshape(-1, packet_samples)
    return float(np.median(np.sqrt(np.mean(np.square(packets), axis=1))))


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(pcm))))


class ToneTrack(aiortc.MediaStreamTrack):
    """48 kHz stereo, as aiortc's encoder wants it, so that the level arrives unchanged."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._hz = hz
        self._sent = 0
        self._start_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError("stopped")
        await asyncio.sleep(max(0.0, self._start_s + self._sent / 48_000 - time.monotonic()))
        mono = tone(self._hz, self._sent, 960, 48_000)
        stereo = np.repeat((mono * 32767).astype(np.int16), 2)[np.newaxis]
        frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._sent, fractions.Fraction(1, 48_000)
        self._sent += 960
        return frame


class Call:
    """A peer of ours and an aiortc connection on the other side."""

    def __init__(self, fill: Fill = Fill.COMFORT_NOISE) -> None:
        self.audio: asyncio.Future[IncomingAudio] = asyncio.get_running_loop().create_future()
        self.closed: list[str] = []
        self.closed_event = asyncio.Event()
        self.peer = Peer(
            ice=IceSettings(), fill=fill, on_audio=self.audio.set_result, on_closed=self._on_closed
        )
        self.other = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))

    def _on_closed(self, reason: str) -> None:
        self.closed.append(reason)
        self.closed_event.set()

    async def offer(self, hz: float = 440.0) -> str:
        self.other.addTrack(ToneTrack(hz))
        return await _local_offer(self.other)

    async def accept(self, answer: str) -> IncomingAudio:
        await self.other.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        return await asyncio.wait_for(self.audio, 10)

    async def connect(self, hz: float = 440.0) -> IncomingAudio:
        return await self.accept(await self.peer.answer(await self.offer(hz)))

    async def connect_with_channel(self, label: str = LABEL, **options: Any) -> aiortc.RTCDataChannel:
        """With a data channel beside the audio; gives the other side's end of it."""
        channel = self.other.createDataChannel(label, **options)
        await self.connect()
        return channel

    async def close(self) -> None:
        await self.peer.close()
        await self.other.close()


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    call = Call()
    yield call
    await call.close()


async def pull_frames(audio: IncomingAudio, count: int) -> Pcm:
    start_s = time.monotonic()
    frames = []
    for n in range(count):
        await asyncio.sleep(max(0.0, start_s + 0.08 * n - time.monotonic()))
        frames.append(audio.pull(start_s + 0.08 * n).pcm)
    return np.concatenate(frames)


@pytest.mark.slow
async def test_what_the_other_side_says_is_heard_at_its_pitch_and_level(call: Call) -> None:
    audio = await call.connect(hz=440)
    heard = (await pull_frames(audio, 25))[10 * FRAME_SAMPLES :]
    assert pitch_hz(heard, SAMPLE_RATE_HZ) == pytest.approx(440, abs=1)
    assert usual_rms(heard, PACKET_SAMPLES) == pytest.approx(LEVEL / np.sqrt(2), rel=0.05)
    stats = call.peer.stats()
    assert stats.state == "connected"
    assert stats.incoming is not None
    assert stats.incoming.lost == stats.incoming.malformed == 0
    assert stats.incoming.received >= 60


@pytest.mark.slow
async def test_what_we_play_is_heard_at_its_pitch_and_level(call: Call) -> None:
    await call.connect()
    track = call.other.getReceivers()[0].track
    heard = []

    async def listen() -> None:
        for _ in range(90):
            frame = await track.recv()
            heard.append(frame.to_ndarray()[0, ::2].astype(np.float32) / 32768)

    async def speak() -> None:
        start_s = time.monotonic()
        for n in range(30):
            at_s = start_s + 0.08 * n
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            call.peer.outgoing.play(n, tone(660, n * FRAME_SAMPLES, FRAME_SAMPLES), at_s + 0.04)

    await asyncio.gather(listen(), speak())
    pcm = np.concatenate(heard)[48_000 // 2 : 3 * 48_000 // 2]
    assert pitch_hz(pcm, 48_000) == pytest.approx(660, abs=1)
    assert usual_rms(pcm, 960) == pytest.approx(LEVEL / np.sqrt(2), rel=0.05)


async def test_the_listener_gets_comfort_noise_before_anything_is_played(call: Call) -> None:
    await call.connect()
    track = call.other.getReceivers()[0].track
    frames = [await asyncio.wait_for(track.recv(), 5) for _ in range(10)]
    pcm = np.concatenate([frame.to_ndarray()[0].astype(np.float32) / 32768 for frame in frames[4:]])
    assert -75 < 20 * np.log10(rms(pcm)) < -55


@pytest.mark.slow
async def test_receiver_reports_tell_the_sender_what_was_lost(call: Call) -> None:
    sender = call.other.addTrack(ToneTrack(440))
    answer = await call.peer.answer(await _local_offer(call.other))
    dtls = sender.transport
    send, sent = dtls._send_rtp, 0

    async def send_lossy(data: bytes) -> None:
        nonlocal sent
        is_rtp = 96 <= data[1] & 0x7F < 128
        sent += is_rtp
        if not (is_rtp and sent % 5 == 0):
            await send(data)

    dtls._send_rtp = send_lossy
    await call.other.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
    await pull_frames(await asyncio.wait_for(call.audio, 10), 40)
    reports = [r for r in (await sender.getStats()).values() if r.type == "remote-inbound-rtp"]
    assert len(reports) == 1
    assert reports[0].packetsLost >= 10
    stats = call.peer.stats().incoming
    assert stats is not None
    assert stats.lost == pytest.approx(sent / 5, abs=8)


async def _local_offer(connection: aiortc.RTCPeerConnection) -> str:
    await connection.setLocalDescription(await connection.createOffer())
    return str(connection.localDescription.sdp)


@pytest.mark.slow
async def test_aiortc_decodes_nothing_of_what_we_receive(call: Call) -> None:
    audio = await call.connect()
    await pull_frames(audio, 10)
    (receiver,) = call.peer._connection.getReceivers()
    assert receiver.track._queue.empty()


async def test_the_answer_asks_for_error_correction_and_opus_alone(call: Call) -> None:
    answer = await call.peer.answer(await call.offer())
    assert "useinbandfec=1" in answer
    assert [line for line in answer.splitlines() if line.startswith("a=rtpmap")] == [
        "a=rtpmap:96 opus/48000/2"
    ]


async def test_the_other_side_closing_is_reported_once(call: Call) -> None:
    await call.connect()
    await call.other.close()
    await asyncio.wait_for(call.closed_event.wait(), 10)
    await call.peer.close()
    assert call.closed == ["closed by the other side"]


@pytest.mark.slow
async def test_a_machine_that_vanishes_is_noticed_and_reported_once(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)  # RFC 7675: 5 s, and 6 times
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    await call.connect()
    (sender,) = call.other.getSenders()
    for protocol in sender.transport.transport._connection._protocols:
        protocol.transport.abort()  # its sockets are gone, and it says no goodbye
    await asyncio.wait_for(call.closed_event.wait(), 10)
    await call.peer.close()
    assert len(call.closed) == 1


async def test_our_own_close_reports_nothing_and_may_be_repeated(call: Call) -> None:
    await call.connect()
    await call.peer.close()
    await call.peer.close()
    assert call.closed == []
    assert call.peer.stats().state == "closed"


async def test_a_connection_that_does_not_come_about_is_given_up() -> None:
    closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    peer = Peer(
        ice=IceSettings(),
        fill=Fill.SILENCE,
        on_audio=lambda audio: None,
        on_closed=closed.set_result,
        connect_timeout_s=0.1,
    )
    source = Call()
    await peer.answer(await source.offer())
    assert await asyncio.wait_for(closed, 10) == "no connection within 0.1 s"
    await peer.close()
    await source.close()


async def test_somebody_who_only_listens_gets_our_audio_and_gives_none(call: Call) -> None:
    call.other.addTransceiver("audio", direction="recvonly")
    answer = await call.peer.answer(await _local_offer(call.other))
    await call.other.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
    frame = await asyncio.wait_for(call.other.getReceivers()[0].track.recv(), 10)
    assert frame.samples == 960
    assert call.peer.stats().incoming is None
    assert not call.audio.done()


async def test_closing_leaves_no_task_and_no_thread() -> None:
    threads, tasks = threading.active_count(), asyncio.all_tasks()
    for connected in (True, False):
        call = Call()
        if connected:
            await call.connect()
        else:
            await call.peer.answer(await call.offer())
        await call.close()
    # A connection still being built up notices at its next connectivity check, 20 ms later, that it was closed.
    left = asyncio.all_tasks() - tasks
    if left:
        await asyncio.wait(left, timeout=5)
    assert asyncio.all_tasks() == tasks
    assert threading.active_count() <= threads + 1  # asyncio's own executor thread stays


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        ("", "beginning with 'v=0'"),
        ("hello", "beginning with 'v=0'"),
        ("v=0\r\n", "no media at all"),
        ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n", "can be answered"),
        ("v=0\r\n" + "a=x\r\n" * 20_000, "at most 65536 bytes"),
    ],
)
async def test_an_unusable_offer_is_refused_in_words(call: Call, offer: str, words: str) -> None:
    with pytest.raises(SdpError, match=words):
        await call.peer.answer(offer)


async def test_a_track_that_is_not_audio_is_refused(call: Call) -> None:
    call.other.addTransceiver("video")
    with pytest.raises(SdpError, match="expected one audio track, got 1 'video'"):
        await call.peer.answer(await _local_offer(call.other))


async def test_video_beside_audio_is_refused(call: Call) -> None:
    call.other.addTransceiver("video")
    with pytest.raises(SdpError, match="nothing else, got 1 'audio', 1 'video'"):
        await call.peer.answer(await call.offer())


class Inbox:
    """What arrives on one end of a data channel, in order."""

    def __init__(self, channel: aiortc.RTCDataChannel) -> None:
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        channel.on("message", self._messages.put_nowait)
        channel.on("close", lambda: self._messages.put_nowait(None))

    async def next(self) -> str | None:
        """The next message, None when the channel is closed."""
        return await asyncio.wait_for(self._messages.get(), 10)


def attestations(call: Call) -> AttestationStats:
    stats = call.peer.stats().attestations
    assert stats is not None
    return stats


@pytest.mark.slow
async def test_attestations_arrive_in_order_the_early_ones_too_and_the_sound_goes_on(call: Call) -> None:
    call.peer.attest("before anything was offered")
    inbox = Inbox(call.other.createDataChannel(LABEL))
    answer = await call.peer.answer(await call.offer())
    call.peer.attest("before the channel is open")
    await call.accept(answer)
    long = "é" * 5_000  # in many packets
    for line in ("1", long, "3"):
        call.peer.attest(line)
    received = [await inbox.next() for _ in range(4)]
    assert received == ["before the channel is open", "1", long, "3"]
    assert attestations(call) == AttestationStats(sent=4, dropped=0)
    heard = (await pull_frames(call.audio.result(), 20))[10 * FRAME_SAMPLES :]
    assert pitch_hz(heard, SAMPLE_RATE_HZ) == pytest.approx(440, abs=1)


async def test_without_a_channel_attestations_go_nowhere(call: Call) -> None:
    await call.connect()
    call.peer.attest("nobody asked")
    assert call.peer.stats().attestations is None


async def test_what_a_slow_reader_cannot_take_is_dropped_and_counted(call: Call) -> None:
    channel = await call.connect_with_channel()
    inbox = Inbox(channel)
    call.peer.attest("first")
    assert await inbox.next() == "first"
    dtls = channel.transport.transport
    deliver, dtls._data_receiver = (
        dtls._data_receiver,
        None,
    )  # the other side reads nothing, and acknowledges nothing
    for number in range(100):
        call.peer.attest(f"{number}".ljust(1_000))
    stats = attestations(call)
    assert stats.sent + stats.dropped == 101
    assert 60 <= stats.sent <= 70, "64 KiB, and what is in the network"
    dtls._data_receiver = deliver
    received = [await inbox.next() for _ in range(stats.sent - 1)]
    assert [int(line or -1) for line in received] == list(range(stats.sent - 1)), "the gap is at the end"
    call.peer.attest("after the gap")
    assert await inbox.next() == "after the gap"


async def test_early_attestations_are_bounded_too() -> None:
    call = Call()
    call.other.createDataChannel(LABEL)
    await call.peer.answer(await call.offer())
    for _ in range(100):
        call.peer.attest("x" * 1_024)
    assert attestations(call) == AttestationStats(sent=0, dropped=36)
    await call.close()


async def test_a_line_longer_than_the_other_side_takes_is_dropped(call: Call) -> None:
    inbox = Inbox(call.other.createDataChannel(LABEL))
    offer = re.sub(r"a=max-message-size:\d+", "a=max-message-size:100", await call.offer())
    await call.accept(await call.peer.answer(offer))
    call.peer.attest("x" * 101)
    call.peer.attest("x" * 100)
    assert await inbox.next() == "x" * 100
    assert attestations(call) == AttestationStats(sent=1, dropped=1)


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("chat", {}),
        (LABEL, {"ordered": False}),
        (LABEL, {"maxRetransmits": 0}),
        (LABEL, {"maxPacketLifeTime": 9}),
    ],
)
async def test_any_other_data_channel_is_closed(call: Call, label: str, options: dict[str, Any]) -> None:
    inbox = Inbox(await call.connect_with_channel(label, **options))
    assert await inbox.next() is None
    assert call.closed == [], "the call goes on"


async def test_a_second_channel_for_attestations_is_closed(call: Call) -> None:
    first = Inbox(await call.connect_with_channel())
    second = Inbox(call.other.createDataChannel(LABEL))
    assert await second.next() is None
    call.peer.attest("still here")
    assert await first.next() == "still here"


async def test_attestations_to_a_channel_the_other_side_closed_are_dropped(call: Call) -> None:
    channel = await call.connect_with_channel()
    inbox = Inbox(channel)
    call.peer.attest("first")
    assert await inbox.next() == "first"
    channel.close()
    assert await inbox.next() is None
    call.peer.attest("too late")
    assert attestations(call) == AttestationStats(sent=1, dropped=1)


@pytest.mark.parametrize("message", ["x" * 8_000, b"\0" * 8_000])
async def test_who_sends_data_is_hung_up_on(call: Call, message: str | bytes) -> None:
    channel = await call.connect_with_channel()
    inbox = Inbox(channel)
    call.peer.attest("open")
    assert await inbox.next() == "open"
    channel.send(message)
    await asyncio.wait_for(call.closed_event.wait(), 10)
    assert call.closed == ["sent data where none is expected"]


async def test_a_message_that_never_ends_costs_no_memory(call: Call) -> None:
    channel = await call.connect_with_channel()
    await asyncio.wait_for(_opened(channel), 10)
    sctp = channel.transport
    ours = call.peer._connection.sctp
    for _ in range(200):  # first fragments and no last one: aiortc would keep them all
        chunk = DataChunk(flags=SCTP_DATA_FIRST_FRAG)
        chunk.tsn, chunk.stream_id, chunk.stream_seq = sctp._local_tsn, channel.id, 0
        chunk.protocol, chunk.user_data = 51, b"x" * 100
        sctp._local_tsn += 1
        await sctp._send_chunk(chunk)
    await asyncio.wait_for(call.closed_event.wait(), 10)
    kept = sum(len(c.user_data) for stream in ours._inbound_streams.values() for c in stream.reassembly)
    assert kept <= MAX_RECEIVED_BYTES


async def _opened(channel: aiortc.RTCDataChannel) -> None:
    opened = asyncio.Event()
    channel.on("open", opened.set)
    if channel.readyState != "open":
        await opened.wait()


async def test_a_data_section_of_its_own_transport_is_refused(call: Call) -> None:
    call.other.createDataChannel(LABEL)
    offer = re.sub(r"a=group:BUNDLE.*\r\n", "", await call.offer())
    with pytest.raises(SdpError, match="bundled with the audio"):
        await call.peer.answer(offer)


async def test_a_second_offer_is_refused(call: Call) -> None:
    offer = await call.offer()
    await call.peer.answer(offer)
    with pytest.raises(SdpError, match="one offer per connection"):
        await call.peer.answer(offer)


async def test_cut_offers_never_raise_anything_but_sdp_errors() -> None:
    source = Call()
    offer = await source.offer()
    await source.close()
    for end in range(0, len(offer), 97):
        call = Call()
        try:
            await call.peer.answer(offer[:end])
        except SdpError:
            pass
        finally:
            await call.close()


def test_credentials_are_not_in_reprs() -> None:
    server = IceServer(urls=("turn:turn.example.org",), username="u", credential="hidden")
    assert "hidden" not in repr(IceSettings(servers=(server,)))


def test_an_ice_url_of_another_kind_is_our_callers_error() -> None:
    with pytest.raises(LocalError, match="expected a stun:, turn: or turns: URL"):
        IceServer(urls=("http://example.org",))
