"""The child's side, with an engine that misbehaves as no engine of ours does."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from duplex_model import messages
from duplex_model.child import EXIT_DIED, Channel, Server
from duplex_model.contract import Pcm, Prompt, Session, Snapshot, StepOutput, TickGrid
from duplex_model.errors import SessionFailed, Unsupported, WireError
from duplex_model.loopback import LoopbackEngine
from duplex_model.messages import CloseSession, Done, Failed, Feed, Open, Reply, Request, Start, TakeSnapshot
from duplex_model.wire import MAX_PAYLOAD_BYTES, Unpacker
from tests.duplex_model.engines import prompt, silence


class BrokenSession:
    """Whose answers fail in ways that were not foreseen, and whose state is too large to send."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        future: Future[StepOutput] = Future()
        future.set_exception(self.error)
        return future

    def snapshot(self) -> Future[Snapshot]:
        future: Future[Snapshot] = Future()
        future.set_result(Snapshot("broken", bytes(MAX_PAYLOAD_BYTES + 1)))
        return future


class BrokenEngine(LoopbackEngine):
    """Which opens such sessions."""

    def __init__(self, error: Exception) -> None:
        super().__init__(grid=TickGrid(origin_s=0.0))
        self.error = error

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        future: Future[Session] = Future()
        future.set_result(BrokenSession(self.error))  # type: ignore[arg-type]
        return future


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def answers(server: Server, other: socket.socket, *requests: Request) -> list[Reply]:
    for request in requests:
        server.handle(request)
    return [messages.unpack_reply(packed) for packed in Unpacker().receive(other.recv(1 << 20))]


def test_an_unforeseen_error_fails_its_session_by_name(
    ends: tuple[Channel, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    channel, other = ends
    server = Server(BrokenEngine(ZeroDivisionError("by zero")), channel)
    opened, failed = answers(server, other, Open(1, 0, prompt(), 1), Feed(2, 0, silence(), False))
    assert opened == Done(1)
    assert isinstance(failed, Failed)
    assert (failed.id, type(failed.error), str(failed.error)) == (
        2,
        SessionFailed,
        "ZeroDivisionError: by zero",
    )
    assert "ZeroDivisionError" in caplog.text


def test_a_state_too_large_to_send_is_unsupported(ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    server = Server(BrokenEngine(SessionFailed("")), channel)
    server.handle(Open(1, 0, prompt(), 1))
    _, failed = answers(server, other, TakeSnapshot(2, 0))
    assert isinstance(failed, Failed)
    assert type(failed.error) is Unsupported
    assert "payload of at most" in str(failed.error)


@pytest.mark.parametrize(
    "request_", [Start("loopback", {}, 0.0, 0.08), Feed(2, 7, silence(), False), CloseSession(7)]
)
def test_a_request_that_cannot_be_at_this_point_ends_the_process(
    ends: tuple[Channel, socket.socket], request_: Request
) -> None:
    server = Server(LoopbackEngine(grid=TickGrid(origin_s=0.0)), ends[0])
    with pytest.raises(WireError):
        server.handle(request_)


DEVICE_LOST = """
import socket
from duplex_model.child import Channel, Server
from duplex_model.errors import EngineDied
from duplex_model.messages import Feed, Open
from tests.duplex_model.engines import prompt, silence
from tests.duplex_model.test_child import BrokenEngine

ours, theirs = socket.socketpair()
server = Server(BrokenEngine(EngineDied("the device is gone")), Channel(ours))
server.handle(Open(1, 0, prompt(), 1))
server.handle(Feed(2, 0, silence(), False))
"""


def test_an_engine_whose_device_is_gone_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", DEVICE_LOST], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.strip()) == (EXIT_DIED, "the device is gone")
