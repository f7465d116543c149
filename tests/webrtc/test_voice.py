"""A seat's voice as aiortc's sender sees it: packets while there is something to say, nothing else."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from tests.fakes import amplitude, tone
from webrtc.errors import LocalError, MediaLibraryError
from webrtc.opus import OpusDecoder
from webrtc.room import FRAME_SAMPLES, Pcm
from webrtc.talk import HANGOVER_PACKETS
from webrtc.voice import OutgoingVoice, VoiceTrack

SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)


class Listener:
    """Calls `recv` back to back, as a sender does. A busy machine may lose packets, which the voice counts."""

    def __init__(self, voice: OutgoingVoice) -> None:
        self.voice = voice
        self.track: VoiceTrack = voice.new_track()
        self.packets: list[tuple[int, bytes]] = []
        self.ended = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                packet = await self.track.recv()
                self.packets.append((packet.pts or 0, bytes(packet)))
        except MediaStreamError:
            self.ended = True

    async def until(self, count: int) -> None:
        """Waits until so many packets have been sent or dropped."""
        async with asyncio.timeout(20):
            while len(self.packets) + self.voice.stats().dropped < count:  # noqa: ASYNC110 - no event for drops
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self.track.stop()
        await asyncio.wait_for(self._task, 20)


def say(voice: OutgoingVoice, frames: list[Pcm], first_tick: int = 0) -> None:
    now_s = time.monotonic()
    for n, frame in enumerate(frames):
        voice.play(first_tick + n, frame, now_s + 0.08 * n)


@pytest.mark.slow
async def test_it_says_what_is_played_and_then_nothing() -> None:
    voice = OutgoingVoice()
    listener = Listener(voice)
    say(voice, [SILENCE] * 2 + [tone(500.0, n) for n in range(5)] + [SILENCE] * 7)
    await listener.until(5 * 4 + HANGOVER_PACKETS)
    await asyncio.sleep(0.1)
    stats = voice.stats()
    assert len(listener.packets) == stats.packets
    assert stats.packets + stats.dropped == 5 * 4 + HANGOVER_PACKETS
    times = [pts for pts, _ in listener.packets]
    assert times[-1] - times[0] <= 960 * (5 * 4 + HANGOVER_PACKETS - 1)
    assert set(np.diff(times) % 960) == {0}
    decoder = OpusDecoder()
    heard = [amplitude(decoder.decode(payload), 500.0) for _, payload in listener.packets]
    assert np.median(heard[: 5 * 4]) == pytest.approx(0.1, rel=0.2)
    await listener.end()
    assert listener.ended


async def test_a_muted_voice_falls_silent_in_the_middle_of_a_word() -> None:
    voice = OutgoingVoice()
    listener = Listener(voice)
    say(voice, [tone(500.0, n) for n in range(10)])
    await listener.until(4)
    voice.set_muted(True)
    said = len(listener.packets)
    assert said < 40
    say(voice, [tone(500.0, n) for n in range(10, 12)], first_tick=10)
    await asyncio.sleep(0.1)
    assert len(listener.packets) == said
    assert voice.stats().muted
    voice.set_muted(False)
    say(voice, [tone(500.0, n) for n in range(20, 22)], first_tick=20)
    await listener.until(said + 8)
    await listener.end()


async def test_it_goes_on_over_another_connection() -> None:
    voice = OutgoingVoice()
    first = Listener(voice)
    say(voice, [tone(500.0, n) for n in range(8)])
    await first.until(8)
    second = Listener(voice)
    await second.until(8)
    await asyncio.sleep(0)
    assert first.ended
    assert second.packets[0][0] > first.packets[-1][0]
    await second.end()


async def test_what_nobody_carries_is_dropped_and_not_kept() -> None:
    voice = OutgoingVoice()
    now_s = time.monotonic()
    for n in range(50):
        voice.play(n, tone(500.0, n), now_s - 10 + 0.08 * n)
    listener = Listener(voice)
    await asyncio.sleep(0.05)
    assert listener.packets == []
    assert voice.stats().dropped == 200
    await listener.end()


async def test_a_frame_of_another_shape_is_our_callers_error() -> None:
    with pytest.raises(LocalError, match="expected pcm"):
        OutgoingVoice().play(0, SILENCE[:10], 0.0)


async def test_a_sender_without_the_seam_is_refused() -> None:
    track = OutgoingVoice().new_track()
    with pytest.raises(MediaLibraryError, match="expected an aiortc 1.16 sender"):
        track.tell_levels(object())
