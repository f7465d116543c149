"""Receive path: our jitter buffer against aiortc's own, on the same packets in simulated time.

    python -m tests.bench.receive_path

Delay is counted for every packet that is heard, from its arrival on an undisturbed network to the moment it is
available, less the wait for the frame it belongs to (ours only: aiortc hands out packets, we hand out frames, and the
rest of the path needs frames either way). Not heard is the share of sent packets that never became available; for
ours, packets recovered by error correction are heard, concealed ones are not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from aiortc.jitterbuffer import JitterBuffer as AiortcJitterBuffer
from aiortc.rtp import RtpPacket

from tests.bench import machine
from tests.webrtc.streams import (
    TICK_S,
    Arrival,
    FakeDecoder,
    delayed,
    play,
    randomly_lost,
    stream,
    voice_like,
)
from webrtc.jitter import JitterBuffer
from webrtc.opus import OpusDecoder, OpusEncoder
from webrtc.room import PACKET_SAMPLES

PACKETS = 3000  # one minute
SEEDS = range(5)
LOSS_SHARES = (0.0, 0.01, 0.05)
NETWORK_JITTER_S = 0.003


@dataclass(frozen=True)
class Result:
    """One run: added delay of every heard packet, and the share that was not heard."""

    delays_ms: list[float]
    unheard: float


def sent(loss: float, seed: int, *, fec: bool) -> list[Arrival]:
    """One minute of packets with a little jitter and seeded loss."""
    chance = np.random.default_rng(seed)
    jitter_s = chance.uniform(0, NETWORK_JITTER_S, PACKETS)
    return randomly_lost(delayed(stream(PACKETS, fec=fec), lambda n: float(jitter_s[n])), loss, seed)


def through_aiortc(arrivals: Sequence[Arrival], phase: float) -> Result:
    """aiortc's buffer as its receiver makes it; it knows no ticks: a packet is available when `add` returns it."""
    buffer = AiortcJitterBuffer(capacity=16, prefetch=4)
    delays_ms = []
    for arrival in arrivals:
        packet = RtpPacket(
            sequence_number=arrival.packet.sequence_number,
            timestamp=arrival.packet.timestamp,
            payload=arrival.packet.payload,
        )
        packet._data = packet.payload  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is not None:
            undisturbed_s = 100.0 + frame.timestamp / 48_000 + 0.02
            delays_ms.append(1000 * (arrival.at_s - undisturbed_s))
    return Result(delays_ms, 1 - len(delays_ms) / PACKETS)


def through_ours(arrivals: Sequence[Arrival], phase: float) -> Result:
    """Our buffer; `phase` in [0, 1) places the ticks among the packets."""
    playback = play(
        arrivals,
        buffer=JitterBuffer(FakeDecoder()),
        first_tick_s=100.0 + TICK_S * phase,
        until_s=100 + PACKETS * 0.02,
    )
    unheard = playback.concealed / (PACKETS * PACKET_SAMPLES)
    return Result(playback.delays_ms[2:], unheard)


def cpu_ms_per_frame() -> float:
    """Processor time of one 80 ms frame of ours, real decoding included, packets handed in and frame pulled."""
    encoder = OpusEncoder()
    payloads = [encoder.encode(pcm) for pcm in voice_like(PACKETS).reshape(-1, PACKET_SAMPLES)]
    arrivals = [
        Arrival(arrival.at_s, replace(arrival.packet, payload=payload))
        for arrival, payload in zip(stream(PACKETS), payloads, strict=True)
    ]
    start_s = time.process_time()
    playback = play(arrivals, buffer=JitterBuffer(OpusDecoder()))
    return 1000 * (time.process_time() - start_s) / len(playback.frames)


def row(name: str, path: Callable[[Sequence[Arrival], float], Result], loss: float, *, fec: bool) -> Result:
    """Runs every seed, prints one line, gives them as one."""
    results = [path(sent(loss, seed, fec=fec), seed / len(SEEDS)) for seed in SEEDS]
    delays_ms = [delay for result in results for delay in result.delays_ms]
    unheard = statistics.fmean(result.unheard for result in results)
    p95 = float(np.quantile(delays_ms, 0.95))
    print(f"| {name:18} | {loss:4.0%} | {statistics.median(delays_ms):6.1f} | {p95:6.1f} | {unheard:6.2%} |")
    return Result(delays_ms, unheard)


def main() -> None:
    """Prints the tables."""
    minutes, jitter_ms = PACKETS * 0.02 / 60, 1000 * NETWORK_JITTER_S
    print(f"{len(SEEDS)} runs of {minutes:.0f} min, network jitter 0 to {jitter_ms:.0f} ms\n")
    print("| receive path       | loss | delay p50 ms | p95 ms | not heard |")
    print("|---|---|---|---|---|")
    ratios = []
    for loss in LOSS_SHARES:
        theirs = row("aiortc 1.16", through_aiortc, loss, fec=False)
        ours = row("ours", through_ours, loss, fec=False)
        row("ours, sender FEC", through_ours, loss, fec=True)
        ratios.append((loss, statistics.median(theirs.delays_ms) / statistics.median(ours.delays_ms)))
    print("\naiortc's delay over ours: " + ", ".join(f"{ratio:.1f} at {loss:.0%}" for loss, ratio in ratios))
    cpu_ms = cpu_ms_per_frame()
    print(
        f"our receive path: {cpu_ms:.2f} ms of processor per frame, {cpu_ms / (1000 * TICK_S):.2%} of a core"
    )


if __name__ == "__main__":
    print(machine.describe())
    main()
