"""The child's side, with an engine that misbehaves as no engine of ours does."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from duplex_model import futures, messages
from duplex_model.child import EXIT_DIED, Channel, Server
from duplex_model.contract import Pcm, Prompt, Session, Snapshot, StepOutput, TickGrid
from duplex_model.errors import PromptError, SessionClosed, SessionFailed, Unsupported, WireError
from duplex_model.loopback import LoopbackEngine
from duplex_model.messages import (
    CloseSession,
    Done,
    Failed,
    Feed,
    Open,
    Output,
    Part,
    Reply,
    Request,
    Start,
    TakeSnapshot,
)
from duplex_model.wire import Unpacker
from tests.duplex_model.engines import ANSWER_S, hum, prompt, silence, until


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
        future.set_result(Snapshot("broken", bytes(messages.MAX_STATE_BYTES + 1)))
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


class SlowVoices(LoopbackEngine):
    """Which prepares some voices only when told to, as if their files were slow to read."""

    def __init__(self) -> None:
        super().__init__(grid=TickGrid(origin_s=0.0), delay_ms=0)
        self.begun: list[str] = []
        self.read: dict[str, threading.Event] = {"slow": threading.Event(), "slower": threading.Event()}

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        self.begun.append(prompt.voice)
        if prompt.voice in self.read:
            assert self.read[prompt.voice].wait(ANSWER_S)
        match prompt.voice:
            case "unknown":
                raise PromptError("expected a voice, got unknown")
            case "unforeseen":
                raise ZeroDivisionError("by zero")
        return super().open(prompt, seed=seed)


def build_slow_voices(options: object, grid: TickGrid, report: object) -> SlowVoices:
    """For a process of its own, in which nobody ever tells it to go on."""
    return SlowVoices()


class Parent:
    """The other end of a server that reads its requests in a thread of its own, as the child does."""

    def __init__(self, engine: LoopbackEngine) -> None:
        ours, self._socket = socket.socketpair()
        self._socket.settimeout(ANSWER_S)
        self._ours = ours
        self._unpacker = Unpacker()
        self._replies: list[Reply] = []
        channel = Channel(ours)
        self.server = Server(engine, channel)
        self._reader = threading.Thread(target=self._serve, args=(channel,))
        self._reader.start()

    def _serve(self, channel: Channel) -> None:
        for request in channel.requests():
            self.server.handle(request)

    def ask(self, *requests: Request) -> None:
        for request in requests:
            self._socket.sendall(messages.pack(request))

    def reply(self) -> Reply:
        """The next one."""
        while not self._replies:
            received = self._unpacker.receive(self._socket.recv(1 << 20))
            self._replies += [messages.unpack_reply(packed) for packed in received]
        return self._replies.pop(0)

    def leave(self) -> None:
        """Returns when the server has done all that was asked."""
        self._socket.shutdown(socket.SHUT_WR)
        self._reader.join(ANSWER_S)
        assert not self._reader.is_alive()
        self.server.close()
        self._socket.close()
        self._ours.close()


class LargeSession:
    """A lane with a state far larger than what a socket holds."""

    def __init__(self, lane: Session) -> None:
        self.lane = lane
        self.state = np.random.default_rng(0).bytes(20_000_000)
        self.feed, self.close = lane.feed, lane.close

    def snapshot(self) -> Future[Snapshot]:
        return futures.done(Snapshot("loopback", self.state))

    def restore(self, snapshot: Snapshot) -> Future[None]:
        self.state = snapshot.state
        return futures.done(None)


class ToldOfTheEnd:
    """A lane that says so in the frame after it was told that its speaker has finished."""

    def __init__(self, lane: Session) -> None:
        self.lane = lane
        self.ended = False
        self.close = lane.close

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        output = self.lane.feed(frame).result(ANSWER_S)
        text, self.ended = "ended" if self.ended else "", False
        return futures.done(replace(output, text=text))

    def end_input(self) -> None:
        self.ended = True


class SpeakersThatFinish(LoopbackEngine):
    """Which opens such sessions."""

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        session: Any = ToldOfTheEnd(super().open(prompt, seed=seed).result())
        return futures.done(session)


def build_speakers_that_finish(options: object, grid: TickGrid, report: object) -> SpeakersThatFinish:
    return SpeakersThatFinish(grid=grid)


class LargeStates(LoopbackEngine):
    """Which opens such sessions."""

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        session: Any = LargeSession(super().open(prompt, seed=seed).result())
        return futures.done(session)


def build_large_states(options: object, grid: TickGrid, report: object) -> LargeStates:
    return LargeStates(grid=grid)


@pytest.fixture
def slow() -> SlowVoices:
    return SlowVoices()


@pytest.fixture
def parent(slow: SlowVoices) -> Iterator[Parent]:
    parent = Parent(slow)
    yield parent
    for event in slow.read.values():
        event.set()
    parent.leave()


def refusal(reply: Reply) -> tuple[int, type[Exception], str]:
    assert isinstance(reply, Failed)
    return reply.id, type(reply.error), str(reply.error)


def test_frames_are_answered_while_another_session_is_prepared(parent: Parent, slow: SlowVoices) -> None:
    parent.ask(Open(1, 0, prompt(), 1))
    assert parent.reply() == Done(1)
    parent.ask(Open(2, 1, prompt(voice="slow"), 1), *(Feed(10 + n, 0, hum(n), False) for n in range(20)))
    for n in range(20):
        answer = parent.reply()
        assert isinstance(answer, Output)
        assert answer.id == 10 + n
        np.testing.assert_array_equal(answer.output.pcm, hum(n))
    slow.read["slow"].set()
    assert parent.reply() == Done(2)
    parent.ask(Feed(40, 1, hum(7), False))
    answer = parent.reply()
    assert isinstance(answer, Output)
    np.testing.assert_array_equal(answer.output.pcm, hum(7))


def test_one_slow_voice_delays_nobody_who_joins_with_another(parent: Parent, slow: SlowVoices) -> None:
    parent.ask(Open(1, 0, prompt(voice="slow"), 1), Open(2, 1, prompt(), 1))
    assert parent.reply() == Done(2)
    slow.read["slow"].set()
    assert parent.reply() == Done(1)


def test_a_session_closed_while_it_is_prepared_gives_its_lane_back(parent: Parent, slow: SlowVoices) -> None:
    parent.ask(Open(1, 0, prompt(voice="slow"), 1))
    until(lambda: slow.begun == ["slow"], "the opening")
    parent.ask(CloseSession(0), Open(2, 1, prompt(), 1))
    assert parent.reply() == Done(2)
    slow.read["slow"].set()
    assert refusal(parent.reply()) == (1, SessionClosed, "the session was closed")
    assert slow.sessions_open == 1
    parent.ask(CloseSession(0), Feed(3, 1, silence(), False))
    assert isinstance(parent.reply(), Output)


def test_a_session_closed_while_it_waits_is_never_prepared(parent: Parent, slow: SlowVoices) -> None:
    parent.ask(Open(1, 0, prompt(voice="first"), 1))
    assert parent.reply() == Done(1)
    parent.ask(Open(2, 1, prompt(voice="slow"), 1), Open(3, 2, prompt(voice="slower"), 1))
    parent.ask(Open(4, 3, prompt(voice="waiting"), 1), CloseSession(3), Feed(5, 0, silence(), False))
    assert isinstance(parent.reply(), Output)  # so the close before it was obeyed
    slow.read["slow"].set()
    refused, opened = sorted((parent.reply(), parent.reply()), key=lambda reply: isinstance(reply, Done))
    assert refusal(refused) == (4, SessionClosed, "the session was closed")
    assert opened == Done(2)
    assert sorted(slow.begun) == ["first", "slow", "slower"]


def test_what_opening_raises_is_answered_and_others_go_on(
    parent: Parent, slow: SlowVoices, caplog: pytest.LogCaptureFixture
) -> None:
    parent.ask(Open(1, 0, prompt(voice="unknown"), 1))
    assert refusal(parent.reply()) == (1, PromptError, "expected a voice, got unknown")
    parent.ask(Open(2, 1, prompt(voice="unforeseen"), 1))
    assert refusal(parent.reply()) == (2, SessionFailed, "ZeroDivisionError: by zero")
    assert "ZeroDivisionError" in caplog.text
    parent.ask(CloseSession(1), Open(3, 2, prompt(), 1))  # the close crossed the refusal
    assert parent.reply() == Done(3)
    assert slow.sessions_open == 1


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(ANSWER_S)
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def answers(server: Server, other: socket.socket, *requests: Request) -> list[Reply]:
    """The reply to each; a request is made when the one before was answered."""
    replies = []
    for request in requests:
        server.handle(request)
        (packed,) = Unpacker().receive(other.recv(1 << 20))
        replies.append(messages.unpack_reply(packed))
    return replies


def test_an_unforeseen_error_fails_its_session_by_name(
    ends: tuple[Channel, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    channel, other = ends
    server = Server(BrokenEngine(ZeroDivisionError("by zero")), channel)
    opened, failed = answers(server, other, Open(1, 0, prompt(), 1), Feed(2, 0, silence(), False))
    assert opened == Done(1)
    assert refusal(failed) == (2, SessionFailed, "ZeroDivisionError: by zero")
    assert "ZeroDivisionError" in caplog.text


def test_a_state_too_large_to_send_is_unsupported(ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    server = Server(BrokenEngine(SessionFailed("")), channel)
    _, failed = answers(server, other, Open(1, 0, prompt(), 1), TakeSnapshot(2, 0))
    assert refusal(failed)[:2] == (2, Unsupported)
    assert "state of at most" in refusal(failed)[2]


@pytest.mark.parametrize("request_", [Start("loopback", {}, 0.0, 0.08), Feed(2, 7, silence(), False)])
def test_a_request_that_cannot_be_at_this_point_ends_the_process(
    ends: tuple[Channel, socket.socket], request_: Request
) -> None:
    server = Server(LoopbackEngine(grid=TickGrid(origin_s=0.0)), ends[0])
    with pytest.raises(WireError):
        server.handle(request_)


@pytest.mark.parametrize("request_", [Open(2, 0, prompt(), 1), Feed(2, 0, silence(), False)])
def test_a_session_that_is_being_opened_can_only_be_closed(
    ends: tuple[Channel, socket.socket], slow: SlowVoices, request_: Request
) -> None:
    server = Server(slow, ends[0])
    server.handle(Open(1, 0, prompt(voice="slow"), 1))
    with pytest.raises(WireError):
        server.handle(request_)
    slow.read["slow"].set()


def test_a_large_state_is_sent_by_nobody_who_has_other_things_to_do(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, other = ends
    engine = LargeStates(grid=TickGrid(origin_s=0.0))
    server = Server(engine, channel)
    assert answers(server, other, Open(1, 0, prompt(), 1)) == [Done(1)]
    server.handle(TakeSnapshot(2, 0))  # returns, although nobody reads
    unpacker, parts, reply = Unpacker(), messages.StateParts(), None
    while not isinstance(reply, Done):
        for packed in unpacker.receive(other.recv(1 << 20)):
            reply = messages.unpack_reply(packed)
            if isinstance(reply, Part):
                parts.add(reply)
    assert parts.whole(reply).state == np.random.default_rng(0).bytes(20_000_000)


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
theirs.recv(1 << 20)
server.handle(Feed(2, 0, silence(), False))
"""


def test_an_engine_whose_device_is_gone_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", DEVICE_LOST], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.strip()) == (EXIT_DIED, "the device is gone")


LEAVING = """
import socket
from duplex_model.child import Channel, Server
from duplex_model.messages import Open
from tests.duplex_model.engines import prompt, until
from tests.duplex_model.test_child import SlowVoices

ours, theirs = socket.socketpair()
engine = SlowVoices()
server = Server(engine, Channel(ours))
for n, voice in enumerate(["slow", "slower", "third"]):
    server.handle(Open(n, n, prompt(voice=voice), 1))
until(lambda: len(engine.begun) == 2, "the openings")
server.close()
engine.read["slow"].set()
engine.read["slower"].set()
"""


def test_leaving_while_sessions_are_prepared_is_no_failure() -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVING], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
