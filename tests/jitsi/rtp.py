"""RTP packets as the test side reads and writes them (RFC 3550, RFC 8285), and what was heard in them."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from webrtc.opus import OpusDecoder, OpusPacketError
from webrtc.room import PACKET_SAMPLES, SAMPLE_RATE_HZ, Pcm

TIMESTAMPS_PER_PACKET = 960
SILENT_LEVEL = 127
_KEPT_PACKETS = 3000
"""A minute of each stream."""


@dataclass(frozen=True, kw_only=True)
class Rtp:
    """One packet."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    extensions: dict[int, bytes] = field(default_factory=dict)

    def level(self, extension: int | None) -> int | None:
        """The audio level in it, 0 (loud) to 127 (silent); None where there is none."""
        found = self.extensions.get(extension or 0)
        return None if not found else found[0] & 0x7F


def is_rtcp(data: bytes) -> bool:
    """Whether a decrypted datagram is RTCP (RFC 5761 section 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse_rtp(data: bytes) -> Rtp:
    """Reads one packet; raises ValueError."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise ValueError("expected RTP version 2, got something else")
    marker, payload_type = bool(data[1] & 0x80), data[1] & 0x7F
    sequence, timestamp, ssrc = struct.unpack_from("!HLL", data, 2)
    at = 12 + 4 * (data[0] & 0x0F)
    extensions: dict[int, bytes] = {}
    if data[0] & 0x10:
        profile, words = struct.unpack_from("!HH", data, at)
        at += 4
        extensions = _extensions(profile, data[at : at + 4 * words])
        at += 4 * words
    end = len(data) - (data[-1] if data[0] & 0x20 else 0)
    if end < at:
        raise ValueError("expected a payload, got a header that is longer than the packet")
    return Rtp(
        payload_type=payload_type, sequence=sequence, timestamp=timestamp, ssrc=ssrc, payload=data[at:end],
        marker=marker, extensions=extensions,
    )  # fmt: skip


def _extensions(profile: int, block: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(block):
        if block[at] == 0:
            at += 1
            continue
        if profile == 0xBEDE:
            number, size = block[at] >> 4, (block[at] & 0x0F) + 1
            at += 1
        elif profile & 0xFFF0 == 0x1000 and at + 1 < len(block):
            number, size = block[at], block[at + 1]
            at += 2
        else:
            break
        found[number] = block[at : at + size]
        at += size
    return found


def write_rtp(packet: Rtp) -> bytes:
    """Prints one packet, with one-byte extension headers."""
    block = b"".join(
        bytes([number << 4 | len(value) - 1]) + value for number, value in packet.extensions.items()
    )
    block += bytes(-len(block) % 4)
    head = struct.pack(
        "!BBHLL",
        0x80 | (0x10 if block else 0), packet.marker << 7 | packet.payload_type,
        packet.sequence, packet.timestamp, packet.ssrc,
    )  # fmt: skip
    extension = struct.pack("!HH", 0xBEDE, len(block) // 4) + block if block else b""
    return head + extension + packet.payload


def with_sequence(data: bytes, sequence: int) -> bytes:
    """The same packet under another number."""
    return data[:2] + struct.pack("!H", sequence & 0xFFFF) + data[4:]


class Heard:
    """One stream of RTP as somebody got it: the last minute, and counts of all of it."""

    def __init__(self) -> None:
        self.packets: deque[Rtp] = deque(maxlen=_KEPT_PACKETS)
        self.count = 0

    def add(self, packet: Rtp) -> None:
        """One more packet."""
        self.packets.append(packet)
        self.count += 1

    @property
    def missing(self) -> int:
        """Sequence numbers left out among the packets kept: what looks like loss."""
        numbers = [packet.sequence for packet in self.packets]
        steps = ((after - before) & 0xFFFF for before, after in zip(numbers, numbers[1:], strict=False))
        return sum(step - 1 for step in steps if 1 < step < 0x8000)

    def pcm(self, last_s: float | None = None) -> Pcm:
        """What the packets say, decoded one after the other at 24 kHz; pauses are not filled in."""
        packets = list(self.packets)
        if last_s is not None:
            packets = packets[-round(last_s * SAMPLE_RATE_HZ / PACKET_SAMPLES) :]
        decoder, pieces = OpusDecoder(), [np.zeros(0, dtype=np.float32)]
        for packet in packets:
            try:
                pieces.append(decoder.decode(packet.payload))
            except OpusPacketError:
                continue
        return np.concatenate(pieces)

    def tone_hz(self, last_s: float | None = 0.5) -> float:
        """The loudest frequency; 0 where it is silent."""
        return loudest_hz(self.pcm(last_s))

    def has_tone(self, hz: float, last_s: float | None = 0.5) -> bool:
        """Whether that frequency is clearly there."""
        return tone_db(self.pcm(last_s), hz) > -40


def loudest_hz(pcm: Pcm) -> float:
    """The loudest frequency of pcm [n] at 24 kHz; 0 where it is silent (below −60 dB)."""
    if len(pcm) < PACKET_SAMPLES or float(np.sqrt(np.mean(np.square(pcm)))) < 1e-3:
        return 0.0
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)), n=SAMPLE_RATE_HZ))
    return float(np.argmax(spectrum))


def tone_db(pcm: Pcm, hz: float) -> float:
    """Level of one frequency in pcm [n] at 24 kHz, in dB where a full-scale sine is 0; −120 of nothing."""
    if len(pcm) < PACKET_SAMPLES:
        return -120.0
    window = np.hanning(len(pcm))
    wave = np.exp(-2j * np.pi * hz * np.arange(len(pcm)) / SAMPLE_RATE_HZ)
    amplitude = 2 * abs(np.sum(pcm * window * wave)) / np.sum(window)
    return float(20 * np.log10(max(amplitude, 1e-6)))
