"""Receive path: our jitter buffer against aiortc's own, on the same packets in simulated time.

    python -m tests.bench.receive_path

Delay is counted for every packet that is heard, from its arrival on an undisturbed network to the moment it is
available, less the wait for the frame it belongs to (ours only: aiortc hands out packets, we hand out frames, and the
rest of the path needs frames either way). Not heard is the share of sent packets that never became available; for
ours, packets recovered by error correction are heard, concealed ones are not.

A second table shows how the delay comes back after two seconds in which packets are lost and late.
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
    without,
)
from webrtc.jitter import JitterBuffer
from webrtc.opus import OpusDecoder, OpusEncoder
from webrtc.room import PACKET_SAMPLES

PACKETS = 3000  # one minute
SEEDS = range(5)
LOSS_SHARES = (0.0, 0.01, 0.05)
NETWORK_JITTER_S = 0.003
BURST_PACKETS = range(1000, 1100)  # the two seconds from 20 s on
BURST_LOSS = 0.3
BURST_JITTER_S = 0.030


@dataclass(frozen=True)
class Result:
    """One run, or several: added delay of every heard packet, and the share that was not heard."""

    at_s: list[float]
    """When each packet was available, the first second of sending being 100."""

    delays_ms: list[float]
    unheard: float

    def between_ms(self, from_s: float, to_s: float) -> list[float]:
        """The delays of what was available in that time."""
        pairs = zip(self.at_s, self.delays_ms, strict=True)
        return [delay for at_s, delay in pairs if from_s <= at_s < to_s]


def sent(loss: float, seed: int, *, fec: bool) -> list[Arrival]:
    """One minute of packets with a little jitter and seeded loss."""
    chance = np.random.default_rng(seed)
    jitter_s = chance.uniform(0, NETWORK_JITTER_S, PACKETS)
    return randomly_lost(delayed(stream(PACKETS, fec=fec), lambda n: float(jitter_s[n])), loss, seed)


def sent_with_a_burst(seed: int) -> list[Arrival]:
    """The same without loss but for `BURST_PACKETS`, which are lost or late."""
    chance = np.random.default_rng(seed)
    worse = {n: chance.random() < BURST_LOSS for n in BURST_PACKETS}
    jitter_s = [chance.uniform(0, BURST_JITTER_S if n in worse else NETWORK_JITTER_S) for n in range(PACKETS)]
    arrivals = delayed(stream(PACKETS), jitter_s.__getitem__)
    return without(arrivals, (n for n, lost in worse.items() if lost))


def through_aiortc(arrivals: Sequence[Arrival], phase: float) -> Result:
    """aiortc's buffer as its receiver makes it; it knows no ticks: a packet is available when `add` returns it."""
    buffer = AiortcJitterBuffer(capacity=16, prefetch=4)
    at_s, delays_ms = [], []
    for arrival in sorted(arrivals, key=lambda arrival: arrival.at_s):
        packet = RtpPacket(
            sequence_number=arrival.packet.sequence_number,
            timestamp=arrival.packet.timestamp,
            payload=arrival.packet.payload,
        )
        packet._data = packet.payload  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is not None:
            undisturbed_s = 100.0 + frame.timestamp / 48_000 + 0.02
            at_s.append(arrival.at_s)
            delays_ms.append(1000 * (arrival.at_s - undisturbed_s))
    return Result(at_s, delays_ms, 1 - len(delays_ms) / PACKETS)


def through_ours(arrivals: Sequence[Arrival], phase: float) -> Result:
    """Our buffer; `phase` in [0, 1) places the ticks among the packets."""
    playback = play(
        arrivals,
        buffer=JitterBuffer(FakeDecoder()),
        first_tick_s=100.0 + TICK_S * phase,
        until_s=100 + PACKETS * 0.02,
    )
    unheard = playback.concealed / (PACKETS * PACKET_SAMPLES)
    return Result(playback.ticks_s[2:], playback.delays_ms[2:], unheard)


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
    all_of_it = joined([path(sent(loss, seed, fec=fec), seed / len(SEEDS)) for seed in SEEDS])
    p50, p95 = np.quantile(all_of_it.delays_ms, [0.5, 0.95])
    print(f"| {name:18} | {loss:4.0%} | {p50:6.1f} | {p95:6.1f} | {all_of_it.unheard:6.2%} |")
    return all_of_it


def joined(results: Sequence[Result]) -> Result:
    """Several runs as one."""
    return Result(
        [at_s for result in results for at_s in result.at_s],
        [delay for result in results for delay in result.delays_ms],
        statistics.fmean(result.unheard for result in results),
    )


def burst_row(name: str, path: Callable[[Sequence[Arrival], float], Result]) -> None:
    """Prints how far a burst drives the delay, and what is left of that 2 s after it."""
    result = joined([path(sent_with_a_burst(seed), seed / len(SEEDS)) for seed in SEEDS])
    begin_s, end_s = (100 + 0.02 * n for n in (BURST_PACKETS.start, BURST_PACKETS.stop))
    before_ms = result.between_ms(begin_s - 10, begin_s)
    after_ms = result.between_ms(end_s + 2, end_s + 12)
    highest = max(result.between_ms(begin_s, end_s + 2))
    p50_before, p50_after = statistics.median(before_ms), statistics.median(after_ms)
    print(f"| {name:12} | {p50_before:6.1f} | {highest:6.1f} | {p50_after:6.1f} | {max(after_ms):6.1f} |")


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
    burst = f"{BURST_LOSS:.0%} loss and {1000 * BURST_JITTER_S:.0f} ms of jitter for 2 s"
    print(f"\nAfter {burst}; goal: back within 20 ms 2 s later\n")
    print("| receive path | before, p50 ms | highest | 2 s after, p50 | highest |")
    print("|---|---|---|---|---|")
    burst_row("aiortc 1.16", through_aiortc)
    burst_row("ours", through_ours)
    cpu_ms = cpu_ms_per_frame()
    print(
        f"\nour receive path: {cpu_ms:.2f} ms of processor per frame, {cpu_ms / (1000 * TICK_S):.2%} of a core"
    )


if __name__ == "__main__":
    print(machine.describe())
    main()
