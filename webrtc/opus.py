"""libopus by ctypes: decode, conceal and recover at 24 kHz mono, encode with forward error correction.

aiortc's own Opus binding knows neither concealment nor error correction and always works on 48 kHz stereo. libopus
resamples inside, so decoding and encoding at 24 kHz is exact and free; the RTP clock stays at 48 kHz (RFC 7587).

Packets come from the network: `parse_packet` is pure Python and says what a payload is without libopus.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from webrtc.errors import MediaLibraryError
from webrtc.room import PACKET_SAMPLES, SAMPLE_RATE_HZ, Pcm

LIBRARY_VARIABLE = "INTERPRETER_LIBOPUS"
"""Environment variable: path of the libopus to load instead of the one found."""

MAX_PACKET_SAMPLES = SAMPLE_RATE_HZ * 120 // 1000  # a packet lasts at most 120 ms, RFC 6716 section 3.2.5
MAX_PACKET_BYTES = (
    1275 * 3 + 7
)  # three 20 ms frames of the largest size, RFC 6716 section 3.4 and opus_encoder.h

# Names and numbers of opus_defines.h.
_APPLICATION_VOIP = 2048
_SIGNAL_VOICE = 3001
_SET_BITRATE = 4002
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_DTX = 4016
_SET_SIGNAL = 4024
_RESET_STATE = 4028


class OpusPacketError(MediaLibraryError):
    """A payload is not an Opus packet, or libopus refused to decode it."""


@dataclass(frozen=True, kw_only=True)
class PacketInfo:
    """What the first bytes of an Opus packet say."""

    samples: int
    """Duration of the packet in samples at 24 kHz."""

    fec_samples: int
    """Samples of the *preceding* packet this one can recover; 0 without in-band error correction."""


def parse_packet(payload: bytes) -> PacketInfo:
    """Reads the table of contents of an Opus packet (RFC 6716 section 3) and the LBRR flag of its first frame.

    Raises:
        OpusPacketError: the payload breaks a rule of RFC 6716 section 3.4 that its duration depends on.
    """
    if not payload:
        raise OpusPacketError("expected an Opus packet, got 0 bytes")
    config, stereo = payload[0] >> 3, bool(payload[0] & 0x04)
    frame_samples = _frame_samples(config)
    count, first_frame = _frame_layout(payload)
    samples = count * frame_samples
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise OpusPacketError(
            f"expected an Opus packet of at most 120 ms, got {count} x {frame_samples} samples"
        )
    has_fec = config < _FIRST_CELT_CONFIG and _has_lbrr(first_frame, frame_samples, stereo)
    return PacketInfo(samples=samples, fec_samples=frame_samples if has_fec else 0)


_FIRST_HYBRID_CONFIG = 12
_FIRST_CELT_CONFIG = 16


def _frame_samples(config: int) -> int:
    """Samples at 24 kHz of one frame of configuration `config` (RFC 6716, table 2)."""
    if config < _FIRST_HYBRID_CONFIG:
        ms_x10 = (100, 200, 400, 600)[config & 3]
    elif config < _FIRST_CELT_CONFIG:
        ms_x10 = (100, 200)[config & 1]
    else:
        ms_x10 = (25, 50, 100, 200)[config & 3]
    return SAMPLE_RATE_HZ * ms_x10 // 10_000


def _frame_layout(payload: bytes) -> tuple[int, bytes]:
    """Number of frames and the first of them, by the code in the two low bits of the TOC byte."""
    code = payload[0] & 3
    if code == 0:
        return 1, payload[1:]
    if code == 1:
        return 2, payload[1 : 1 + len(payload[1:]) // 2]
    if code == 2:
        size, at = _frame_size(payload, 1)
        return 2, payload[at : at + size]
    return _counted_layout(payload)


def _counted_layout(payload: bytes) -> tuple[int, bytes]:
    """`_frame_layout` of code 3, where a byte says count, padding and whether the frames differ in size."""
    if len(payload) < 2:
        raise OpusPacketError("expected a frame count after the TOC byte, got the end of the packet")
    count, at, padding = payload[1] & 0x3F, 2, 0
    if payload[1] & 0x40:
        padding, at = _padding(payload, at)
    sizes = []
    if payload[1] & 0x80:
        for _ in range(count - 1):
            size, at = _frame_size(payload, at)
            sizes.append(size)
    left = max(0, len(payload) - at - padding)
    first = sizes[0] if sizes else left // max(1, count)
    return count, payload[at : at + first]


def _padding(payload: bytes, at: int) -> tuple[int, int]:
    """Bytes of padding, and the index behind their number: a byte of 255 counts 254 and is followed by another."""
    total = 0
    while at < len(payload) and payload[at] == 255:
        total, at = total + 254, at + 1
    return total + (payload[at] if at < len(payload) else 0), at + 1


def _frame_size(payload: bytes, at: int) -> tuple[int, int]:
    """A frame's size written at `at`, and the index behind it (RFC 6716 section 3.2.1); 0 beyond the end."""
    if at >= len(payload):
        return 0, at + 1
    if payload[at] < 252:
        return payload[at], at + 1
    return payload[at] + 4 * (payload[at + 1] if at + 1 < len(payload) else 0), at + 2


def _has_lbrr(frame: bytes, frame_samples: int, stereo: bool) -> bool:
    """Whether the SILK layer begins with a set LBRR flag (RFC 6716 section 4.2.3).

    The flags are the frame's first bits: one VAD bit per 20 ms, then the LBRR bit; for stereo once more for the
    side channel.

        20 ms mono:  V L . . . . . .      60 ms stereo:  V V V L V V V L
    """
    if not frame:
        return False
    vad_bits = max(1, frame_samples // PACKET_SAMPLES)
    mid = frame[0] >> (7 - vad_bits) & 1
    side = frame[0] >> (6 - 2 * vad_bits) & 1 if stereo else 0
    return bool(mid or side)


class OpusDecoder:
    """One stream's decoder, 24 kHz mono. Not thread-safe; owned by one jitter buffer."""

    def __init__(self) -> None:
        self._lib = _library()
        error = ctypes.c_int()
        self._state = self._lib.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        _check(self._lib, error.value, "opus_decoder_create")
        self._pcm = np.zeros(MAX_PACKET_SAMPLES, dtype=np.float32)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._lib.opus_decoder_destroy(self._state)

    def decode(self, payload: bytes) -> Pcm:
        """The packet's pcm [n], n as `parse_packet` says; stereo is mixed to mono.

        Raises:
            OpusPacketError: libopus finds the payload corrupt; its state goes on as before.
        """
        return self._decode(payload, MAX_PACKET_SAMPLES, fec=False)

    def recover(self, next_payload: bytes, samples: int) -> Pcm:
        """The lost `samples` before `next_payload`, from the low-rate copy that packet carries.

        Args:
            next_payload: the packet that follows the loss; decode it afterwards as usual.
            samples: `PacketInfo.fec_samples` of that packet.

        Raises:
            OpusPacketError: libopus finds the payload corrupt.
        """
        return self._decode(next_payload, samples, fec=True)

    def conceal(self, samples: int) -> Pcm:
        """Invents `samples` for a packet that is not there, fading the longer this goes on.

        Args:
            samples: a multiple of 2.5 ms (60), at most 120 ms.
        """
        return self._decode(None, samples, fec=False)

    def reset(self) -> None:
        """Forgets the stream heard so far."""
        _check(self._lib, self._lib.opus_decoder_ctl(self._state, _RESET_STATE), "opus_decoder_ctl")

    def _decode(self, payload: bytes | None, samples: int, *, fec: bool) -> Pcm:
        size = len(payload) if payload is not None else 0
        if payload is not None and size == 0:
            raise OpusPacketError("expected an Opus packet, got 0 bytes")
        got = self._lib.opus_decode_float(
            self._state, payload, size, self._pcm.ctypes.data, samples, int(fec)
        )
        if got < 0:
            raise OpusPacketError(
                f"expected a decodable Opus packet, got {size} bytes: {_words(self._lib, got)}"
            )
        # A hostile packet can drive the decoder beyond full scale; what leaves here is pcm as promised.
        return np.clip(self._pcm[:got], -1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How speech is encoded."""

    bitrate_bps: int = 40_000
    """At 24 kHz mono, 32 to 64 kbit/s keep libopus in its hybrid mode, the one that carries error correction."""

    expected_loss_percent: int = 10
    """Loss the encoder prepares for: above 0 it spends bits on the low-rate copy of the previous packet."""


class OpusEncoder:
    """One listener's encoder: 24 kHz mono, 20 ms packets, speech, in-band error correction, no DTX."""

    def __init__(self, settings: EncoderSettings | None = None) -> None:
        settings = settings or EncoderSettings()
        self._lib = _library()
        error = ctypes.c_int()
        self._state = self._lib.opus_encoder_create(SAMPLE_RATE_HZ, 1, _APPLICATION_VOIP, ctypes.byref(error))
        _check(self._lib, error.value, "opus_encoder_create")
        self._payload = ctypes.create_string_buffer(MAX_PACKET_BYTES)
        self._control(_SET_BITRATE, settings.bitrate_bps)
        self._control(_SET_INBAND_FEC, 1)
        self._control(_SET_PACKET_LOSS_PERC, settings.expected_loss_percent)
        self._control(_SET_SIGNAL, _SIGNAL_VOICE)
        # With DTX a pause would stop our packets, and with them the browser's audio element and our delay readings.
        self._control(_SET_DTX, 0)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._lib.opus_encoder_destroy(self._state)

    def encode(self, pcm: Pcm) -> bytes:
        """One packet from pcm [480], 20 ms in [-1, 1]; anything else is a `MediaLibraryError`."""
        if pcm.shape != (PACKET_SAMPLES,) or pcm.dtype != np.float32:
            raise MediaLibraryError(f"expected float32 [{PACKET_SAMPLES}], got {pcm.dtype} {list(pcm.shape)}")
        pcm = np.ascontiguousarray(pcm)
        size = self._lib.opus_encode_float(
            self._state, pcm.ctypes.data, PACKET_SAMPLES, self._payload, MAX_PACKET_BYTES
        )
        _check(self._lib, size, "opus_encode_float")
        return self._payload.raw[:size]

    def _control(self, request: int, value: int) -> None:
        result = self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))
        _check(self._lib, result, f"opus_encoder_ctl({request}, {value})")


def library_version() -> str:
    """Version words of the libopus in use, for preflight checks.

    Raises:
        MediaLibraryError: there is none.
    """
    version: bytes = _library().opus_get_version_string()
    return version.decode()


def library_candidates() -> list[str]:
    """Where libopus is looked for, in order: the environment, the copy bundled with PyAV, the system."""
    override = os.environ.get(LIBRARY_VARIABLE)
    if override:
        return [override]
    system = ctypes.util.find_library("opus")
    return [*map(str, _bundled_libraries()), *([system] if system else [])]


def _bundled_libraries() -> Sequence[Path]:
    """The libopus files in PyAV's wheel: beside the package on Linux, inside it on macOS."""
    import av  # here, because reading packets and finding a system libopus must not load FFmpeg

    package = Path(av.__file__).parent
    return sorted([*package.parent.glob("av.libs/libopus*"), *package.glob(".dylibs/libopus*")])


@functools.cache
def _library() -> ctypes.CDLL:
    tried = []
    for name in library_candidates():
        try:
            return _declare(ctypes.CDLL(name))
        except (OSError, AttributeError) as error:
            tried.append(f"{name} ({error})")
    raise MediaLibraryError(
        "expected libopus, got none: install it (Debian: apt install libopus0, macOS: brew install opus) "
        f"or set {LIBRARY_VARIABLE} to its path; tried: {', '.join(tried) or 'nothing found'}"
    )


def _declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    """Gives the functions their C signatures (opus.h); AttributeError where one is missing."""
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    error = ctypes.POINTER(number)
    signatures: dict[str, tuple[object, list[object]]] = {
        "opus_get_version_string": (text, []),
        "opus_strerror": (text, [number]),
        "opus_decoder_create": (pointer, [ctypes.c_int32, number, error]),
        "opus_decoder_destroy": (None, [pointer]),
        "opus_decode_float": (number, [pointer, text, ctypes.c_int32, pointer, number, number]),
        "opus_encoder_create": (pointer, [ctypes.c_int32, number, number, error]),
        "opus_encoder_destroy": (None, [pointer]),
        "opus_encode_float": (ctypes.c_int32, [pointer, pointer, number, text, ctypes.c_int32]),
        # Variadic in C: only the fixed arguments are declared, the rest is passed as explicit C integers.
        "opus_decoder_ctl": (number, [pointer, number]),
        "opus_encoder_ctl": (number, [pointer, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def _check(lib: ctypes.CDLL, result: int, call: str) -> None:
    if result < 0:
        raise MediaLibraryError(f"expected {call} to succeed, got: {_words(lib, result)}")


def _words(lib: ctypes.CDLL, error: int) -> str:
    words: bytes = lib.opus_strerror(error)
    return words.decode()
