"""Framing: whatever arrives, in whatever pieces, is messages or `WireError`."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model import wire
from duplex_model.errors import WireError
from duplex_model.wire import Packed, Unpacker

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
packed = st.builds(Packed, st.dictionaries(texts, values, max_size=5), st.binary(max_size=300))


def cut(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(position % (len(stream) + 1) for position in cuts), len(stream)]
    return [stream[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]


def framed(header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">II", len(header), len(payload)) + header + payload


@given(st.lists(packed, max_size=5), st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_survive_every_cut(sent: list[Packed], cuts: list[int]) -> None:
    stream = b"".join(wire.pack(message.header, message.payload) for message in sent)
    unpacker = Unpacker()
    assert [message for piece in cut(stream, cuts) for message in unpacker.receive(piece)] == sent
    assert unpacker.incomplete_bytes == 0


@pytest.mark.slow
@given(st.lists(packed, min_size=1, max_size=3))
def test_byte_by_byte_equals_whole(sent: list[Packed]) -> None:
    stream = b"".join(wire.pack(message.header, message.payload) for message in sent)
    one_by_one = Unpacker()
    assert [
        message for byte in stream for message in one_by_one.receive(bytes([byte]))
    ] == Unpacker().receive(stream)


@given(st.binary(max_size=200) | st.builds(framed, st.binary(max_size=60), st.binary(max_size=20)))
def test_garbage_is_a_message_or_an_error_and_the_same_in_pieces(garbage: bytes) -> None:
    assert outcome([garbage]) == outcome([bytes([byte]) for byte in garbage])


def outcome(pieces: list[bytes]) -> tuple[list[Packed], bool]:
    """What pieces of one message give, and whether the stream is lost."""
    unpacker, messages = Unpacker(), []
    try:
        for piece in pieces:
            messages += unpacker.receive(piece)
    except WireError:
        return [], True
    return messages, False


@pytest.mark.parametrize(
    "stream",
    [
        framed(b"[]"),
        framed(b"\xff\xfe"),
        framed(b"{"),
        framed(b'{"a": NaN}'),
        framed(b'{"a": -Infinity}'),
        framed(b"[" * 200_000),
        framed(b'{"a":' + b"9" * 10_000 + b"}"),
        struct.pack(">II", wire.MAX_HEADER_BYTES + 1, 0),
        struct.pack(">II", 2, wire.MAX_PAYLOAD_BYTES + 1),
        framed(json.dumps({"a": 1}).encode("utf-16")),
    ],
)
def test_what_is_no_message_is_an_error_and_ends_the_stream(stream: bytes) -> None:
    unpacker = Unpacker()
    with pytest.raises(WireError):
        unpacker.receive(stream)
    assert unpacker.incomplete_bytes == 0
    with pytest.raises(WireError, match="no more bytes"):
        unpacker.receive(wire.pack({}))


def test_lengths_are_checked_before_memory_is_taken() -> None:
    unpacker = Unpacker()
    unpacker.receive(struct.pack(">II", wire.MAX_HEADER_BYTES, wire.MAX_PAYLOAD_BYTES))
    assert unpacker.incomplete_bytes == 8


@pytest.mark.parametrize(
    "header", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}, {"a": "x" * (1 << 20)}]
)
def test_what_the_other_end_would_refuse_is_not_sent(header: dict[str, object]) -> None:
    with pytest.raises(WireError):
        wire.pack(header)


def test_a_payload_too_large_is_not_sent() -> None:
    with pytest.raises(WireError, match="payload of at most"):
        wire.pack({}, bytes(wire.MAX_PAYLOAD_BYTES + 1))
