"""Simulated senders and networks for the receive path: packets with arrival times, and ticks that pull."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from webrtc.jitter import JitterBuffer
from webrtc.packets import AudioPacket
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ, IncomingFrame, Pcm

TICK_S = 0.08
TOC = {10: 0xF0, 20: 0xF8, 40: 0x50, 60: 0x58}  # CELT 10, 20 ms; SILK 40, 60 ms without error correction
TOC_FEC = 0x48  # SILK 20 ms; its flag is the second bit of the next byte
FEC_FLAG = 0x40
CONCEALED = 0.7
RECOVERED = -0.5


def sample_values(first: int, count: int) -> Pcm:
    """Pcm that tells its own position: a slow triangle of distinct values, without a step anywhere."""
    phase = np.arange(first, first + count) % 24_000
    return ((12_000 - np.abs(phase - 12_000)) / 24_000 + 0.001).astype(np.float32)


def voice_like(packets: int) -> Pcm:
    """Syllables of a gliding harmonic tone, with pauses: the encoder takes it for speech."""
    t = np.arange(packets * PACKET_SAMPLES) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * (130 * t + 4 * np.sin(2 * np.pi * 1.7 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.sqrt(np.maximum(0, np.sin(2 * np.pi * 2.5 * t)))
    return (0.15 * syllables * tone).astype(np.float32)


@dataclass(frozen=True)
class Arrival:
    """A packet and the time it comes."""

    at_s: float
    packet: AudioPacket


def payload(first_sample: int, duration_ms: int = 20, *, fec: bool = False) -> bytes:
    """A payload `FakeDecoder` turns into `sample_values`; its table of contents is a real one."""
    head = bytes((TOC_FEC, FEC_FLAG)) if fec else bytes((TOC[duration_ms], 0))
    return head + first_sample.to_bytes(8, "big", signed=True)


class FakeDecoder:
    """Gives the samples a payload names, a constant for what is invented, another for what is recovered."""

    def __init__(self) -> None:
        self.resets = 0

    def decode(self, payload: bytes) -> Pcm:
        samples = {toc: SAMPLE_RATE_HZ * ms // 1000 for ms, toc in TOC.items()} | {TOC_FEC: 480}
        return sample_values(int.from_bytes(payload[2:], "big", signed=True), samples[payload[0]])

    def recover(self, next_payload: bytes, samples: int) -> Pcm:
        return np.full(samples, RECOVERED, dtype=np.float32)

    def conceal(self, samples: int) -> Pcm:
        assert samples % 60 == 0
        return np.full(samples, CONCEALED, dtype=np.float32)

    def reset(self) -> None:
        self.resets += 1


def stream(
    count: int,
    *,
    duration_ms: int = 20,
    fec: bool = False,
    start_s: float = 100.0,
    first_sequence: int = 0,
    first_timestamp: int = 0,
    ssrc: int = 1,
    first_sample: int = 0,
    drift_ppm: float = 0.0,
) -> list[Arrival]:
    """`count` packets without loss or jitter. Packet n arrives when its last sample was captured.

    `drift_ppm` above 0 is a sender whose clock runs slow: its packets come ever later.
    """
    duration = SAMPLE_RATE_HZ * duration_ms // 1000
    spacing_s = duration_ms / 1000 * (1 + drift_ppm * 1e-6)
    return [
        Arrival(
            start_s + (n + 1) * spacing_s,
            AudioPacket(
                ssrc=ssrc,
                sequence_number=(first_sequence + n) % 2**16,
                timestamp=(first_timestamp + 2 * n * duration) % 2**32,
                payload=payload(first_sample + n * duration, duration_ms, fec=fec),
            ),
        )
        for n in range(count)
    ]


def without(arrivals: Sequence[Arrival], lost: Iterable[int]) -> list[Arrival]:
    """The stream without the packets at these indices."""
    gone = set(lost)
    return [arrival for n, arrival in enumerate(arrivals) if n not in gone]


def randomly_lost(arrivals: Sequence[Arrival], share: float, seed: int) -> list[Arrival]:
    chance = random.Random(seed)
    return [arrival for arrival in arrivals if chance.random() >= share]


def delayed(arrivals: Sequence[Arrival], delay_s: Callable[[int], float]) -> list[Arrival]:
    """Packet n comes `delay_s(n)` later."""
    return [replace(arrival, at_s=arrival.at_s + delay_s(n)) for n, arrival in enumerate(arrivals)]


@dataclass
class Playback:
    """What a buffer gave, tick by tick."""

    buffer: JitterBuffer
    frames: list[IncomingFrame]
    ticks_s: list[float]
    delays_ms: list[float]

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([frame.pcm for frame in self.frames])

    @property
    def concealed(self) -> int:
        return sum(frame.concealed_samples for frame in self.frames)

    @property
    def recovered(self) -> int:
        return sum(frame.recovered_samples for frame in self.frames)

    def delays_between_ms(self, from_s: float, to_s: float) -> list[float]:
        return [
            delay
            for delay, tick_s in zip(self.delays_ms, self.ticks_s, strict=True)
            if from_s <= tick_s < to_s
        ]


def play(
    arrivals: Sequence[Arrival],
    *,
    buffer: JitterBuffer | None = None,
    first_tick_s: float = 100.013,
    until_s: float | None = None,
) -> Playback:
    """Feeds packets in order of arrival and pulls at every tick, until half a second behind the last packet."""
    buffer = buffer or JitterBuffer(FakeDecoder())
    waiting = [(arrival.at_s, n) for n, arrival in enumerate(arrivals)]
    heapq.heapify(waiting)
    end_s = until_s if until_s is not None else max(at_s for at_s, _ in waiting) + 0.5
    result = Playback(buffer, [], [], [])
    for tick in range(int((end_s - first_tick_s) / TICK_S) + 1):
        now_s = first_tick_s + tick * TICK_S
        while waiting and waiting[0][0] <= now_s:
            at_s, n = heapq.heappop(waiting)
            buffer.add(arrivals[n].packet, at_s)
        frame = buffer.pull(now_s)
        assert frame.pcm.shape == (FRAME_SAMPLES,)
        assert frame.pcm.dtype == np.float32
        result.frames.append(frame)
        result.ticks_s.append(now_s)
        result.delays_ms.append(buffer.stats().delay_ms)
    return result
