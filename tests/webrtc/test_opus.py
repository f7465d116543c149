"""libopus through ctypes, and packet parsing against libopus's own."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webrtc.streams import voice_like
from webrtc import opus
from webrtc.errors import MediaLibraryError
from webrtc.opus import EncoderSettings, OpusDecoder, OpusEncoder, OpusPacketError, PacketInfo, parse_packet
from webrtc.room import PACKET_SAMPLES, Pcm


def encoded(pcm: Pcm, settings: EncoderSettings | None = None) -> list[bytes]:
    encoder = OpusEncoder(settings)
    return [encoder.encode(piece) for piece in pcm.reshape(-1, PACKET_SAMPLES)]


def correlation(a: Pcm, b: Pcm) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_what_is_encoded_is_decoded_at_its_level_and_24_khz() -> None:
    pcm = voice_like(50)
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(payload) for payload in encoded(pcm)])
    assert heard.shape == pcm.shape
    assert heard.dtype == np.float32
    lags = [correlation(heard[4800 + lag : 20_000 + lag], pcm[4800:20_000]) for lag in range(300)]
    assert max(lags) > 0.85
    assert np.std(heard) == pytest.approx(np.std(pcm), rel=0.05)


@pytest.mark.parametrize("bitrate_bps", [32_000, 40_000, 48_000, 64_000])
def test_packets_carry_error_correction_and_stay_within_the_bitrate(bitrate_bps: int) -> None:
    pcm = voice_like(100)
    payloads = encoded(pcm, EncoderSettings(bitrate_bps=bitrate_bps))
    spoken = [n for n in range(1, 100) if np.std(pcm[(n - 1) * PACKET_SAMPLES : n * PACKET_SAMPLES]) > 0.05]
    assert {parse_packet(payload).samples for payload in payloads} == {PACKET_SAMPLES}
    assert len(spoken) > 40
    assert sum(parse_packet(payloads[n]).fec_samples > 0 for n in spoken) > 0.9 * len(spoken)
    assert sum(map(len, payloads)) * 8 / 2.0 < 1.1 * bitrate_bps


def test_a_lost_packet_is_recovered_from_the_next_better_than_concealed() -> None:
    payloads = encoded(voice_like(60))
    whole, recovering, concealing = OpusDecoder(), OpusDecoder(), OpusDecoder()
    recovered, concealed = [], []
    for n, payload in enumerate(payloads[:-1]):
        truth = whole.decode(payload)
        if n % 4 == 3 and parse_packet(payloads[n + 1]).fec_samples:
            got = recovering.recover(payloads[n + 1], PACKET_SAMPLES)
            assert got.shape == (PACKET_SAMPLES,)
            recovered.append(correlation(got, truth))
            concealed.append(correlation(concealing.conceal(PACKET_SAMPLES), truth))
        else:
            recovering.decode(payload)
            concealing.decode(payload)
    assert len(recovered) >= 5
    assert np.median(recovered) > 0.9
    assert np.median(recovered) > np.median(concealed)


def test_concealment_fades() -> None:
    decoder = OpusDecoder()
    for payload in encoded(voice_like(26)):
        decoder.decode(payload)
    levels = [float(np.std(decoder.conceal(PACKET_SAMPLES))) for _ in range(10)]
    assert levels[0] > 0.02
    assert levels[-1] < 0.2 * levels[0]


def test_reset_forgets() -> None:
    decoder, fresh = OpusDecoder(), OpusDecoder()
    payloads = encoded(voice_like(20))
    for payload in payloads:
        decoder.decode(payload)
    decoder.reset()
    assert np.array_equal(decoder.decode(payloads[5]), fresh.decode(payloads[5]))


def test_encoding_the_wrong_shape_is_refused() -> None:
    with pytest.raises(MediaLibraryError, match=r"expected float32 \[480\], got float32 \[960\]"):
        OpusEncoder().encode(np.zeros(960, dtype=np.float32))


@pytest.mark.parametrize(
    ("payload", "info"),
    [
        (b"\xf8", PacketInfo(samples=480, fec_samples=0)),  # CELT 20 ms
        (b"\xf0\x00", PacketInfo(samples=240, fec_samples=0)),  # CELT 10 ms
        (b"\x48\x40", PacketInfo(samples=480, fec_samples=480)),  # SILK 20 ms: V0 L1
        (b"\x48\x80", PacketInfo(samples=480, fec_samples=0)),  # V1 L0
        (b"\x50\x20", PacketInfo(samples=960, fec_samples=960)),  # SILK 40 ms: V0 V0 L1
        (b"\x58\x10", PacketInfo(samples=1440, fec_samples=1440)),  # SILK 60 ms: V0 V0 V0 L1
        (b"\x4c\x10", PacketInfo(samples=480, fec_samples=480)),  # stereo, only the side channel has it
        (b"\x68\x40", PacketInfo(samples=480, fec_samples=480)),  # hybrid 20 ms
        (b"\x69\x40\x40", PacketInfo(samples=960, fec_samples=480)),  # two frames of it
        (b"\x4b\x03\x40\x00\x00", PacketInfo(samples=1440, fec_samples=480)),  # three, of equal size
        (
            b"\x4b\xc2\x01\x01\x40\x00\x00",
            PacketInfo(samples=960, fec_samples=480),
        ),  # two of own size, padded
    ],
)
def test_the_table_of_contents_is_read(payload: bytes, info: PacketInfo) -> None:
    assert parse_packet(payload) == info


@pytest.mark.parametrize("payload", [b"", b"\x4b", b"\x4b\x00", b"\xfb\x3f"])
def test_a_payload_without_a_duration_is_refused(payload: bytes) -> None:
    with pytest.raises(OpusPacketError, match="expected"):
        parse_packet(payload)


@pytest.mark.slow
@given(
    st.one_of(
        st.binary(min_size=1, max_size=200),
        # Three of four first bytes of pure chance announce several frames, few of them consistently.
        st.tuples(
            st.integers(0, 255), st.lists(st.sampled_from([0, 1, 2, 3, 0x40, 0x80, 0xC2, 255]), max_size=12)
        ).map(lambda parts: bytes((parts[0], *parts[1]))),
    )
)
@settings(max_examples=1000, deadline=None)
def test_whatever_libopus_accepts_is_parsed_alike(payload: bytes) -> None:
    lib = opus._library()
    samples = lib.opus_packet_get_nb_samples(payload, ctypes.c_int32(len(payload)), ctypes.c_int32(24_000))
    if samples <= 0:
        return
    try:
        got = OpusDecoder().decode(payload)
    except OpusPacketError:
        return
    info = parse_packet(payload)
    assert info.samples == samples == len(got)
    if hasattr(lib, "opus_packet_has_lbrr"):  # since libopus 1.4
        assert (info.fec_samples > 0) == (
            lib.opus_packet_has_lbrr(payload, ctypes.c_int32(len(payload))) == 1
        )


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10))
@settings(max_examples=100, deadline=None)
def test_random_payloads_give_pcm_or_an_error(payloads: list[bytes]) -> None:
    decoder = OpusDecoder()
    for payload in payloads:
        try:
            pcm = decoder.decode(payload)
            decoder.recover(payload, PACKET_SAMPLES)
        except OpusPacketError:
            pcm = decoder.conceal(PACKET_SAMPLES)
        assert np.all(np.abs(pcm) <= 1.0)


def test_a_missing_library_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(opus.LIBRARY_VARIABLE, "/nowhere/libopus.so")
    opus._library.cache_clear()
    try:
        with pytest.raises(MediaLibraryError, match="install it .*INTERPRETER_LIBOPUS.*/nowhere/libopus.so"):
            OpusDecoder()
    finally:
        opus._library.cache_clear()


def test_the_version_is_known() -> None:
    assert opus.library_version().startswith("libopus")
