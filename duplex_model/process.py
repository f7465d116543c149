"""An engine in a process of its own, behind the same contract as one in this process.

    caller ──feed──> socket ──────────────> child: reads, steps
    caller <─future─ I/O thread <── socket <── child: answers

Neither the interpreter lock nor a crash of a device touches the caller: `feed` never blocks, whatever state the
process is in, and its death fails the futures of its sessions within a tick. Another is then started on the same
tick grid; sessions are opened there anew from their prompts.

What is bounded, and what happens beyond:
- requests of a session that are not answered: `max_in_flight`, then the session fails;
- bytes the process has not read: `link.BACKLOG_BYTES`, then a session that asks for more fails; a state to restore
  does not count, as it goes in parts when there is nothing else to send;
- time without an answer: `hang_s`, then a session fails alone if others are answered, or the process is replaced;
- time until a session is open: `request_hang_s`, then the engine says that it is full.
"""

from __future__ import annotations

import itertools
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from duplex_model import futures, messages
from duplex_model.child_process import ChildProcess
from duplex_model.contract import (
    Capabilities,
    Prompt,
    SayCapability,
    Session,
    TickGrid,
)
from duplex_model.errors import (
    DuplexModelError,
    EngineDied,
    EngineFull,
    PromptError,
    SessionClosed,
    SessionFailed,
    SpecError,
    Unsupported,
    WireError,
)
from duplex_model.lanes import check_lane_free, check_prompt
from duplex_model.link import BACKLOG_BYTES, Link
from duplex_model.messages import (
    CloseSession,
    Done,
    Failed,
    Feed,
    Open,
    Output,
    Part,
    Progress,
    Ready,
    Refused,
    Reply,
    Restore,
    Say,
    Start,
)
from duplex_model.remote_session import Asked, Calls, Pending, RemoteSession, Told
from duplex_model.spec import EngineSpec
from duplex_model.supervision import EnginePhase, EngineState, RestartPolicy, Supervision

logger = logging.getLogger(__name__)

_WATCH_S = 0.25
_EXIT_S = 0.5
_NO_SESSION = -1


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """How patient to be with an engine's process."""

    hang_s: float = 5.0
    """Longest time to the answer of a frame."""

    request_hang_s: float = 60.0
    """Longest time to the answer of opening, taking or restoring a state; an opening that takes longer is given up."""

    start_hang_s: float = 120.0
    """Longest silence of a process that starts; every report of progress counts as a word."""

    close_s: float = 2.0
    """Time to leave before it is killed."""

    max_in_flight: int = 64
    """Requests of one session that wait for their answer; five seconds of frames."""

    restart: RestartPolicy = field(default_factory=RestartPolicy)


class EngineProcess:
    """An `Engine` that runs what `spec` names in a child process, and replaces it when it dies or hangs.

    Returns at once; `wait_ready` waits for the first process. What only the process can tell (a voice it does not
    know, a script that says it is full) fails the future of `open` instead of being raised.
    """

    def __init__(
        self,
        spec: EngineSpec,
        *,
        grid: TickGrid | None = None,
        settings: ProcessSettings | None = None,
        on_state: Callable[[EngineState], None] | None = None,
    ) -> None:
        """Starts the process.

        Args:
            spec: what to run.
            grid: the tick grid that this process and all that replace it follow; one from now on by default.
            settings: how patient to be.
            on_state: called with every change, in the engine's own thread; must be short and must not raise.

        Raises:
            SpecError: options that JSON cannot spell. What the engine itself refuses ends in `EnginePhase.FAILED`.
        """
        now_s = time.monotonic()
        self._grid = TickGrid(origin_s=now_s) if grid is None else grid
        self._settings = ProcessSettings() if settings is None else settings
        self._on_state = on_state
        self._supervision = Supervision(self._settings.restart, now_s)
        self._start_message = _pack_start(spec, self._grid)

        self._lock = threading.Lock()  # guards what follows, and sending on the link
        self._changed = threading.Condition(self._lock)
        self._child: ChildProcess | None = None
        self._capabilities: Capabilities | None = None
        self._closing = False
        self._sessions: set[RemoteSession] = set()
        self._waiting: dict[int, RemoteSession] = {}

        self._calls = Calls(self._ask, self._tell, self._close_session)
        self._ids = itertools.count()
        self._session_numbers = itertools.count()

        # Used by the I/O thread alone.
        self._refusal: str | None = None
        self._parts = messages.StateParts()
        self._heard_s = now_s
        self._watch_at_s = now_s
        self._selector = selectors.DefaultSelector()
        self._wake_end, self._wake = socket.socketpair()
        self._wake_end.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._wake_end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="engine-io", daemon=True)
        self._thread.start()

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`; those of the last process that was ready.

        Raises:
            EngineDied: none was ready yet.
        """
        with self._lock:
            if self._capabilities is None:
                raise self._not_ready()
            return self._capabilities

    @property
    def grid(self) -> TickGrid:
        """See `Engine.grid`."""
        return self._grid

    @property
    def sessions_open(self) -> int:
        """See `Engine.sessions_open`."""
        with self._lock:
            return len(self._sessions)

    @property
    def state(self) -> EngineState:
        """How the process is, for operators and metrics."""
        return self._supervision.state

    @property
    def pid(self) -> int | None:
        """Process id, or None while there is none."""
        child = self._child
        return None if child is None else child.pid

    def wait_ready(self, timeout_s: float) -> None:
        """Blocks until sessions can be opened.

        Raises:
            EngineDied: not ready in time, failed for now, or closed; the message says where it stands.
        """
        settled = (EnginePhase.READY, EnginePhase.FAILED, EnginePhase.CLOSED)
        with self._changed:
            self._changed.wait_for(lambda: self.state.phase in settled, timeout_s)
            if not self._ready:
                raise self._not_ready()

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """See `Engine.open`; never blocks."""
        limit = 2**messages.SEED_BITS
        if not -limit <= seed < limit:
            raise PromptError(f"expected a seed of 64 bits, got {seed}")
        with self._lock:
            if not self._ready or self._capabilities is None:
                raise self._not_ready()
            capabilities = self._capabilities
            check_prompt(prompt, capabilities)
            check_lane_free(len(self._sessions), capabilities)
            can_say = capabilities.say is not SayCapability.NO
            number = next(self._session_numbers)
            session = RemoteSession(self._calls, number, capabilities.checkpoint, can_say)
            self._sessions.add(session)
        try:
            return self._ask(session, lambda id: Open(id, session.number, prompt, seed))
        except Unsupported as error:  # the prompt does not fit in a message
            with self._lock:
                self._sessions.discard(session)
            raise PromptError(str(error)) from error

    def close(self) -> None:
        """See `Engine.close`; blocks for some two seconds at most, and leaves no process behind."""
        with self._lock:
            self._closing = True
        self._wake_up()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @property
    def _ready(self) -> bool:
        """Whether sessions can be opened; guarded by the lock."""
        return self.state.phase is EnginePhase.READY and not self._closing

    def _not_ready(self) -> EngineDied:
        state = self.state
        closing = self._closing and state.phase is not EnginePhase.CLOSED
        stands = "being closed" if closing else f"{state.phase.value}: {state.text}"
        return EngineDied(f"expected an engine that is ready, got one that is {stands}")

    # What callers' threads do.

    def _ask(self, session: RemoteSession, request_of: Callable[[int], Asked]) -> Future[Any]:
        request_id = next(self._ids)
        request = request_of(request_id)
        try:
            send = self._sending(session, request)
        except WireError as error:
            raise Unsupported(str(error)) from error
        future: Future[Any] = futures.begun()
        dropped: list[Future[Any]] = []
        with self._lock:
            if session.closed:
                raise SessionClosed("expected an open session, got one that was closed")
            if session.failure is None and not isinstance(request, Open):
                session.failure = self._congestion(session)
                dropped = [] if session.failure is None else self._take_pending(session)
            failure = session.failure
            if failure is None:
                assert self._child is not None  # its loss would be the session's failure
                session.pending[request_id] = Pending(request, session, future, time.monotonic())
                self._waiting[request_id] = session
                send(self._child.link)
            backlog = self._child is not None and self._child.link.waiting
        if failure is not None:
            _fail([*dropped, future], type(failure), str(failure))
        if backlog:
            self._wake_up()
        return future

    @staticmethod
    def _sending(session: RemoteSession, request: Asked) -> Callable[[Link], None]:
        """What remains to be done under the lock; `WireError` when no message can carry the request."""
        owner = session.number
        if isinstance(request, Restore):
            parts = map(messages.pack, messages.in_parts(request))
            return lambda link: link.send_in_parts(owner, parts)
        packed = messages.pack(request)
        return lambda link: link.send(owner, packed)

    def _tell(self, session: RemoteSession, message: Told) -> None:
        with self._lock:
            if not session.closed and session.failure is None and self._child is not None:
                self._child.link.send(session.number, messages.pack(message))
        self._wake_up()

    def _close_session(self, session: RemoteSession) -> None:
        self._end_session(session, SessionClosed, "the session was closed")

    def _end_session(self, session: RemoteSession, error: type[DuplexModelError], message: str) -> None:
        """Gives the lane back, also of a session that is still being opened; what it asked for fails."""
        with self._lock:
            if session.closed:
                return
            session.closed = True
            dropped = self._take_pending(session)
            if session in self._sessions and self._child is not None:
                self._child.link.send(session.number, messages.pack(CloseSession(session.number)))
            self._sessions.discard(session)
        _fail(dropped, error, message)
        self._wake_up()

    def _congestion(self, session: RemoteSession) -> SessionFailed | None:
        assert self._child is not None
        waiting_bytes = self._child.link.backlog_bytes
        if waiting_bytes > BACKLOG_BYTES:
            return SessionFailed(
                f"expected the engine's process to read its frames, got {waiting_bytes} bytes unread"
            )
        limit = self._settings.max_in_flight
        if len(session.pending) >= limit:
            return SessionFailed(f"expected at most {limit} requests without an answer, got one more")
        return None

    def _take_pending(self, session: RemoteSession) -> list[Future[Any]]:
        """What the session asked for, to be failed by the caller once it has given back the lock it holds."""
        taken = [pending.future for pending in session.pending.values()]
        for request_id in session.pending:
            del self._waiting[request_id]
        session.pending.clear()
        return taken

    def _wake_up(self) -> None:
        with suppress(OSError):  # full: it is about to wake up; closed: it is gone
            self._wake.send(b"\0")

    # What the I/O thread does.

    def _run(self) -> None:
        try:
            while not self._closing:
                self._start_if_due(time.monotonic())
                self._wait_and_serve()
                self._watch_if_due(time.monotonic())
        finally:
            self._shut_down()

    def _start_if_due(self, now_s: float) -> None:
        due_s = self._supervision.start_at_s
        if due_s is None or now_s < due_s:
            return
        try:
            child = ChildProcess()
        except OSError as error:
            self._supervision.died(now_s, f"no process could be started: {error}")
            self._report()
            return
        self._refusal = None
        self._parts = messages.StateParts()
        self._heard_s = now_s
        self._selector.register(child.link, selectors.EVENT_READ)
        self._selector.register(child.log_fd, selectors.EVENT_READ)
        self._supervision.started()
        with self._lock:
            self._child = child
            child.link.send(_NO_SESSION, self._start_message)
        self._report()

    def _wait_and_serve(self) -> None:
        """Waits for something to do, at most until the next time to look after the process."""
        child = self._child
        if child is not None:
            writing = selectors.EVENT_WRITE if child.link.waiting else 0
            self._selector.modify(child.link, selectors.EVENT_READ | writing)
        for key, _ in self._selector.select(self._timeout_s()):
            if key.fileobj is self._wake_end:
                with suppress(BlockingIOError):
                    self._wake_end.recv(4096)
            elif child is not None and key.fileobj is child.link:
                self._serve_link(child)
            elif child is not None and self._child is child and not child.read_log():
                self._selector.unregister(child.log_fd)

    def _timeout_s(self) -> float:
        due_s = self._supervision.start_at_s
        return _WATCH_S if due_s is None else min(max(due_s - time.monotonic(), 0.0), _WATCH_S)

    def _serve_link(self, child: ChildProcess) -> None:
        """Reads and does all that has come; never waits."""
        with self._lock:
            child.link.flush()
        before = child.link.received_bytes
        try:
            for packed in child.link.receive():
                self._serve(messages.unpack_reply(packed))
        except WireError as error:
            self._lose(f"it did not speak our protocol: {error}", 0.0)
            return
        if child.link.received_bytes > before:
            self._heard_s = time.monotonic()
        if child.link.ended:
            self._lose("it is gone", _EXIT_S)

    def _serve(self, reply: Reply) -> None:
        match reply:
            case Progress(fraction=fraction, text=text):
                self._supervision.progressed(fraction, text)
                self._report()
            case Ready(capabilities=capabilities):
                with self._lock:  # whoever sees that it is ready can open sessions
                    self._capabilities = capabilities
                    self._supervision.ready(time.monotonic())
                self._report()
            case Refused(text=text):
                self._refusal = text
            case Part():
                with self._lock:
                    awaited = reply.id in self._waiting
                if awaited:  # else of a session that was closed meanwhile
                    self._parts.add(reply)
            case Done():
                self._answer(self._parts.whole(reply))
            case Output() | Failed():
                self._answer(reply)

    def _answer(self, reply: Output | Done | Failed) -> None:
        with self._lock:
            session = self._waiting.get(reply.id)
            if session is None:  # asked for by a session that was closed, or failed, meanwhile
                return
            result = None if isinstance(reply, Failed) else session.pending[reply.id].result(reply)
            pending = session.pending.pop(reply.id)
            del self._waiting[reply.id]
        if isinstance(reply, Failed):
            self._answer_failure(pending, reply.error)
        elif isinstance(reply, Output) and not np.isfinite(reply.output.pcm).all():
            self._answer_failure(pending, SessionFailed("expected finite pcm, got NaN or infinity"))
        else:
            pending.future.set_result(result)

    def _answer_failure(self, pending: Pending, error: DuplexModelError) -> None:
        with self._lock:
            if isinstance(pending.request, Open):
                self._sessions.discard(pending.session)
            elif isinstance(error, SessionFailed):
                pending.session.failure = error
        pending.future.set_exception(error)

    def _watch_if_due(self, now_s: float) -> None:
        """Ends a process that hangs, or fails the sessions that alone wait too long."""
        if self._child is None or now_s < self._watch_at_s:
            return
        self._watch_at_s = now_s + _WATCH_S
        self._serve_link(self._child)  # this thread may have been held up itself: read before blaming anybody
        if self._child is not None:
            self._watch(now_s, now_s - self._heard_s)

    def _watch(self, now_s: float, silent_s: float) -> None:
        if self.state.phase is not EnginePhase.READY:
            if silent_s > self._settings.start_hang_s:
                self._lose(f"it said nothing for {silent_s:.1f} s while starting", 0.0)
            return
        with self._lock:
            waiting = [pending for session in self._sessions for pending in session.pending.values()]
        overdue = [pending for pending in waiting if self._overdue(pending, now_s)]
        if any(self._overdue(pending, now_s, silent_s) for pending in overdue):
            self._lose(f"it answered nothing for {silent_s:.1f} s", 0.0)
            return
        opening = {pending.session for pending in overdue if isinstance(pending.request, Open)}
        for session in opening:
            patience_s = self._settings.request_hang_s
            self._end_session(
                session, EngineFull, f"expected an open session within {patience_s:g} s, got none"
            )
        for session in {pending.session for pending in overdue} - opening:
            with self._lock:
                session.failure = SessionFailed("the engine answers others, not this session")
                dropped = self._take_pending(session)
            _fail(dropped, SessionFailed, str(session.failure))

    def _overdue(self, pending: Pending, now_s: float, silent_s: float = inf) -> bool:
        patience_s = self._patience_s(pending)
        return patience_s is not None and min(now_s - pending.sent_s, silent_s) > patience_s

    def _patience_s(self, pending: Pending) -> float | None:
        """How long the answer may take; None for a notice, which takes as many frames as it has words."""
        match pending.request:
            case Feed():
                return self._settings.hang_s
            case Say():
                return None
            case _:
                return self._settings.request_hang_s

    def _lose(self, reason: str, patience_s: float) -> None:
        """Fails all sessions at once, then ends what is left of the process; only then is it said to have died."""
        lost_s = time.monotonic()
        reason = f"the engine's process was lost: {reason}"
        with self._lock:
            self._supervision.lost(reason)
        child, dropped = self._take_child(EngineDied(reason))
        _fail(dropped, EngineDied, reason)
        self._report()
        how = "" if child is None else f" ({child.end(patience_s)})"
        if self._refusal is None:
            self._supervision.died(lost_s, reason + how)
        else:
            self._supervision.refused(lost_s, self._refusal + how)
        logger.warning("%s", self.state.text)
        self._report()

    def _take_child(self, failure: EngineDied | None) -> tuple[ChildProcess | None, list[Future[Any]]]:
        """Parts the process from its sessions, which fail, or are closed when there is no `failure`.

        Returns:
            The process, still to be ended, and what its sessions had asked for, still to be failed.
        """
        with self._lock:
            child, self._child = self._child, None
            dropped = []
            for session in self._sessions:
                session.failure = failure
                session.closed = failure is None
                dropped += self._take_pending(session)
            self._sessions.clear()
        if child is not None:
            self._selector.unregister(child.link)
            with suppress(KeyError):  # its output ended before
                self._selector.unregister(child.log_fd)
        return child, dropped

    def _shut_down(self) -> None:
        with self._lock:
            self._closing = True
        child, dropped = self._take_child(None)
        _fail(dropped, SessionClosed, "the engine was closed")
        if child is not None:
            child.link.end()
            child.end(self._settings.close_s)
        self._supervision.closed()
        self._selector.close()
        self._wake_end.close()
        self._wake.close()
        self._report()

    def _report(self) -> None:
        with self._changed:
            self._changed.notify_all()
        logger.info("engine %s: %s", self.state.phase.value, self.state.text)
        if self._on_state is not None:
            self._on_state(self.state)


def _pack_start(spec: EngineSpec, grid: TickGrid) -> bytes:
    try:
        return messages.pack(Start(spec.kind, dict(spec.options), grid.origin_s, grid.period_s))
    except WireError as error:
        raise SpecError(f"expected options that JSON can spell: {error}") from error


def _fail(left: list[Future[Any]], error: type[DuplexModelError], message: str) -> None:
    for future in left:
        future.set_exception(error(message))
