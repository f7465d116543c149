"""The process an engine runs in: `python -m duplex_model.child FD`, started by `EngineProcess` and by nobody else.

One thread reads requests and hands them to the engine; the engine's threads answer. What takes long and is no frame,
preparing a voice or sending a state, has threads of its own, so that no frame waits for it. The process leaves when
the socket's other end does, whatever it was doing.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from duplex_model import messages
from duplex_model.contract import EndsInput, Engine, Session, Snapshot, TickGrid
from duplex_model.errors import (
    DuplexModelError,
    EngineDied,
    SessionClosed,
    SessionFailed,
    Unsupported,
    WireError,
)
from duplex_model.messages import (
    CloseSession,
    Done,
    EndInput,
    Failed,
    Feed,
    Interrupt,
    Open,
    Output,
    Part,
    Progress,
    Ready,
    Refused,
    Reply,
    Request,
    Restore,
    Say,
    Start,
    TakeSnapshot,
)
from duplex_model.spec import EngineSpec, build_engine
from duplex_model.wire import SOCKET_BYTES, Unpacker

logger = logging.getLogger(__name__)

T = TypeVar("T")
SessionRequest = Feed | Say | Interrupt | EndInput | TakeSnapshot | Restore

EXIT_REFUSED = 64
EXIT_DIED = 65
EXIT_ORPHANED = 66
# One voice that is slow to read delays nobody who joins with another; more threads would compete with the frames.
_OPENING_THREADS = 2
_LEAVE_S = 2.0
_READ_BYTES = 1 << 18
_CLOSED = "the session was closed"


class Channel:
    """The child's end of the socket: blocking, for one reader and any number of writers."""

    def __init__(self, sock: socket.socket) -> None:
        # An engine's thread sends its own answers: it must not wait because the parent reads a little later.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._socket = sock
        self._lock = threading.Lock()

    def send(self, reply: Reply) -> None:
        """Sends one reply; silently nothing when the parent is gone, for then this process is about to leave."""
        packed = messages.pack(reply)
        with self._lock:
            try:
                self._socket.sendall(packed)
            except OSError:
                logger.debug("the other end is gone")

    def requests(self) -> Iterator[Request]:
        """What the parent asks for, until it leaves."""
        unpacker = Unpacker()
        while received := self._receive():
            for packed in unpacker.receive(received):
                yield messages.unpack_request(packed)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_READ_BYTES)
        except OSError:
            return b""


class Server:
    """Does what the requests say, on one engine."""

    def __init__(self, engine: Engine, channel: Channel) -> None:
        self._engine = engine
        self._channel = channel
        self._opening = ThreadPoolExecutor(_OPENING_THREADS, thread_name_prefix="opening")
        self._states = ThreadPoolExecutor(1, thread_name_prefix="states")
        self._parts = messages.StateParts()
        self._lock = threading.Lock()  # guards what follows; never held while the engine is called
        self._sessions: dict[int, Session | Open] = {}
        """By number; the request itself until it is answered."""

    def handle(self, request: Request) -> None:
        """Begins one request and returns at once; its answer follows when the engine has it.

        Raises:
            WireError: a request that cannot be at this point.
        """
        match request:
            case Start():
                raise WireError("expected one start, got another")
            case Open():
                self._begin_opening(request)
            case CloseSession():
                self._close_session(request)
            case Part():
                self._parts.add(request)
            case _:
                self._handle_session(request, self._session(request))

    def close(self) -> None:
        """Ends the engine. What was still to be opened never is, and what is being opened is closed at once."""
        with self._lock:
            self._sessions.clear()
        self._opening.shutdown(wait=False)
        self._engine.close()
        self._states.shutdown(wait=False)

    def _close_session(self, request: CloseSession) -> None:
        """Also of a session that is still being opened, or that the engine has just refused to open."""
        with self._lock:
            session = self._sessions.pop(request.session, None)
        if session is not None and not isinstance(session, Open):
            session.close()

    def _session(self, request: SessionRequest) -> Session:
        with self._lock:
            session = self._sessions.get(request.session)
        if session is None or isinstance(session, Open):
            raise WireError(f"expected an open session for {type(request).__name__}, got {request.session}")
        return session

    def _handle_session(self, request: SessionRequest, session: Session) -> None:
        match request:
            case Feed(id=id, pcm=pcm, concealed=concealed):
                feed = partial(session.feed, pcm, concealed=concealed)
                self._begin(id, feed, lambda output: Output(id, output))
            case Say(id=id, text=text, now=now):
                self._begin(id, partial(session.say, text, now=now), lambda _: Done(id))
            case TakeSnapshot(id=id):
                self._begin(id, session.snapshot, lambda snapshot: Done(id, snapshot.state))
            case Restore(id=id, checkpoint=checkpoint):
                snapshot = Snapshot(checkpoint, self._parts.whole(request).state)
                self._begin(id, partial(session.restore, snapshot), lambda _: Done(id))
            case Interrupt():
                session.interrupt()
            case EndInput():
                if isinstance(session, EndsInput):
                    session.end_input()

    def _begin_opening(self, request: Open) -> None:
        with self._lock:
            if request.session in self._sessions:
                raise WireError(f"expected the number of a new session, got {request.session} again")
            self._sessions[request.session] = request
        self._opening.submit(self._open, request).add_done_callback(partial(self._prepared, request))

    def _open(self, request: Open) -> Future[Session]:
        with self._lock:
            wanted = self._sessions.get(request.session) is request
        if not wanted:
            raise SessionClosed(_CLOSED)
        return self._engine.open(request.prompt, seed=request.seed)

    def _prepared(self, request: Open, prepared: Future[Future[Session]]) -> None:
        refusal = prepared.exception()
        if refusal is None:
            prepared.result().add_done_callback(partial(self._opened, request))
        else:
            self._refuse(request, refusal)

    def _opened(self, request: Open, opening: Future[Session]) -> None:
        error = opening.exception()
        if error is not None:
            self._refuse(request, error)
            return
        session = opening.result()
        if self._settle(request, session):
            self._channel.send(Done(request.id))
        else:
            session.close()
            self._channel.send(Failed(request.id, SessionClosed(_CLOSED)))

    def _refuse(self, request: Open, error: BaseException) -> None:
        wanted = self._settle(request, None)
        self._channel.send(Failed(request.id, _sendable(error) if wanted else SessionClosed(_CLOSED)))

    def _settle(self, request: Open, session: Session | None) -> bool:
        """Puts the session, if there is one, in the place of its request; False when it was closed meanwhile."""
        with self._lock:
            if self._sessions.get(request.session) is not request:
                return False
            del self._sessions[request.session]
            if session is not None:
                self._sessions[request.session] = session
            return True

    def _begin(self, id: int, call: Callable[[], Future[T]], reply: Callable[[T], Output | Done]) -> None:
        try:
            future = call()
        except DuplexModelError as error:
            self._channel.send(Failed(id, _sendable(error)))
        else:
            future.add_done_callback(partial(self._answer, id, reply))

    def _answer(self, id: int, reply: Callable[[T], Output | Done], future: Future[T]) -> None:
        error = future.exception()
        if error is not None:
            self._channel.send(Failed(id, _sendable(error)))
            return
        answer = reply(future.result())
        if isinstance(answer, Done) and answer.state:
            # It takes long to send, and this may be the thread that steps the device.
            self._states.submit(self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Output | Done) -> None:
        try:
            for message in messages.in_parts(answer) if isinstance(answer, Done) else (answer,):
                self._channel.send(message)
        except WireError as unsendable:
            self._channel.send(Failed(answer.id, Unsupported(str(unsendable))))


def main(arguments: Sequence[str]) -> int:
    """Serves the socket whose descriptor is the only argument, until its other end is gone."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    descriptor = int(arguments[0])
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_leave_with_parent, args=(descriptor,), name="parent-watch", daemon=True).start()
    channel = Channel(socket.socket(fileno=descriptor))
    requests = channel.requests()
    start = next(requests, None)
    if start is None:
        return 0
    if not isinstance(start, Start):
        raise WireError(f"expected a start, got {type(start).__name__}")
    try:
        engine = _build(start, channel)
    except DuplexModelError as error:
        channel.send(Refused(str(error)))
        return EXIT_REFUSED
    server = Server(engine, channel)
    channel.send(Ready(engine.capabilities))
    for request in requests:
        server.handle(request)
    server.close()
    return 0


def _build(start: Start, channel: Channel) -> Engine:
    def report(fraction: float, text: str) -> None:
        channel.send(Progress(min(max(fraction, 0.0), 1.0), text))

    grid = TickGrid(origin_s=start.origin_s, period_s=start.period_s)
    return build_engine(EngineSpec(kind=start.kind, options=start.options), grid=grid, report=report)


def _sendable(error: BaseException) -> DuplexModelError:
    """`error` as the parent knows it; anything unforeseen failed the session.

    An engine whose device is gone serves nobody again: the process leaves, and a new one takes over.
    """
    if isinstance(error, EngineDied):
        logger.critical("%s", error)
        os._exit(EXIT_DIED)
    if isinstance(error, messages.SENDABLE):
        return error
    logger.error("a session failed", exc_info=error)
    return SessionFailed(f"{type(error).__name__}: {error}")


def _leave_with_parent(descriptor: int) -> None:
    """Ends the process when the parent is gone, even while the engine loads, computes or hangs."""
    poller = select.poll()
    poller.register(descriptor, 0)  # no events asked for: only the hang-up is reported
    poller.poll()
    time.sleep(_LEAVE_S)
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
