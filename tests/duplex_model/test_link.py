"""The parent's end of the socket, against the other end in the same test."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from duplex_model import wire
from duplex_model.errors import WireError
from duplex_model.link import Link
from duplex_model.wire import Packed, Unpacker


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    yield link, theirs
    link.close()
    theirs.close()


def test_what_the_other_end_does_not_read_is_kept_and_sent_in_order(ends: tuple[Link, socket.socket]) -> None:
    link, other = ends
    sent = [Packed({"n": n}, bytes([n % 256]) * 5000) for n in range(2000)]
    for message in sent:
        link.send(0, wire.pack(message.header, message.payload))
    assert link.backlog_bytes > 1_000_000
    unpacker = Unpacker()
    received: list[Packed] = []
    while len(received) < len(sent):
        received += unpacker.receive(other.recv(1 << 16))
        link.flush()
    assert received == sent
    assert link.backlog_bytes == 0


def test_a_message_in_parts_is_overtaken_by_others_and_by_none_of_its_owner(
    ends: tuple[Link, socket.socket],
) -> None:
    link, other = ends
    made: list[int] = []

    def parts() -> Iterator[bytes]:
        for n in range(20):
            made.append(n)
            yield wire.pack({"part": n}, bytes(500_000))

    link.send_in_parts(1, parts())
    link.send(1, wire.pack({"after": 0}))
    link.send_in_parts(1, iter([wire.pack({"after": 1}), wire.pack({"after": 2})]))
    for _ in range(5):
        link.flush()
    assert len(made) < 10, "no more is made than the socket takes"
    assert link.backlog_bytes < 1_000_000
    link.send(2, wire.pack({"other": 0}))
    received: list[Packed] = []
    unpacker = Unpacker()
    while link.waiting or len(received) < 24:
        link.flush()
        received += unpacker.receive(other.recv(1 << 16))
    headers = [message.header for message in received]
    assert [header for header in headers if "other" not in header] == [
        *({"part": n} for n in range(20)),
        *({"after": n} for n in range(3)),
    ]
    assert headers.index({"other": 0}) <= 10


def test_messages_before_the_end_are_received_before_it(ends: tuple[Link, socket.socket]) -> None:
    link, other = ends
    assert link.receive() == []
    assert not link.ended
    other.sendall(wire.pack({"last": 1}) + wire.pack({})[:3])
    other.close()
    assert link.receive() == [Packed({"last": 1})]
    assert link.ended


def test_sending_to_one_that_is_gone_is_silent_and_keeps_nothing(ends: tuple[Link, socket.socket]) -> None:
    link, other = ends
    other.close()
    for _ in range(3):
        link.send(0, wire.pack({}, bytes(1_000_000)))
    assert link.backlog_bytes == 0
    link.send_in_parts(0, iter([wire.pack({})]))
    assert not link.waiting
    assert link.receive() == []
    assert link.ended


def test_garbage_is_an_error(ends: tuple[Link, socket.socket]) -> None:
    link, other = ends
    other.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(WireError):
        link.receive()


def test_the_end_of_ours_is_seen_by_the_other_which_may_still_answer(
    ends: tuple[Link, socket.socket],
) -> None:
    link, other = ends
    link.end()
    assert other.recv(10) == b""
    other.sendall(wire.pack({"a": 1}))
    assert link.receive() == [Packed({"a": 1})]
