"""What the simulated people say: each a sine of their own, as Opus packets."""

from __future__ import annotations

import functools
import math

import numpy as np

from webrtc.opus import EncoderSettings, OpusEncoder
from webrtc.room import PACKET_SAMPLES, SAMPLE_RATE_HZ

AMPLITUDE = 0.3
TONE_LEVEL = round(-20 * math.log10(AMPLITUDE / math.sqrt(2)))
"""Of the tone, as the audio-level extension says it."""

_LOOP_PACKETS = 50
_WARM_UP_PACKETS = 10


@functools.lru_cache(maxsize=64)
def tone_packets(hz: int) -> tuple[bytes, ...]:
    """A second of 20 ms packets that can be played round and round."""
    if hz != int(hz):
        raise ValueError(f"expected whole hertz, so that a second can be repeated, got {hz}")
    time_s = np.arange((_LOOP_PACKETS + _WARM_UP_PACKETS) * PACKET_SAMPLES) / SAMPLE_RATE_HZ
    pcm = (AMPLITUDE * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)
    return _encoded(pcm)


@functools.cache
def silence_packets() -> tuple[bytes, ...]:
    """A second of nothing."""
    return _encoded(np.zeros((_LOOP_PACKETS + _WARM_UP_PACKETS) * PACKET_SAMPLES, dtype=np.float32))


def _encoded(pcm: np.ndarray) -> tuple[bytes, ...]:
    encoder = OpusEncoder(EncoderSettings())
    packets = [encoder.encode(pcm[at : at + PACKET_SAMPLES]) for at in range(0, len(pcm), PACKET_SAMPLES)]
    return tuple(packets[_WARM_UP_PACKETS:])
