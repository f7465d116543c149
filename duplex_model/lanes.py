"""What engines without a device share: lanes, sessions, and the order in which a session's work is done.

A `Lane` is the pure part: what is said in answer to a frame. A `LaneEngine` counts lanes and hands out `LaneSession`s,
which run their lane in the caller's thread and answer at once. Neither has a thread or a tick of its own, so that
the same frames give the same bits, and a manual clock may drive them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from duplex_model import futures
from duplex_model.closing import Closing
from duplex_model.contract import (
    Capabilities,
    Pcm,
    Prompt,
    SayCapability,
    Session,
    Snapshot,
    StepFlag,
    StepOutput,
    StepTiming,
    TickGrid,
    check_frame,
)
from duplex_model.errors import (
    DuplexModelError,
    EngineDied,
    EngineFull,
    PromptError,
    SessionClosed,
    SessionFailed,
    Unsupported,
)

MAX_LANES = 4096
_CLOSED = "the session was closed"
_ANSWERED_LATER = object()
Now = Callable[[], float]
"""Monotonic seconds."""

Later = Callable[[float, Callable[[], None]], None]
"""Calls the second argument after so many seconds."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a lane says in answer to one frame."""

    pcm: Pcm
    """[1920]."""

    text: str = ""
    as_self: bool = False
    notices_done: tuple[int, ...] = ()
    """Numbers given to `Lane.say` whose last frame this is."""

    stall_s: float = 0.0
    """How much later than at once the answer, and everything after it, is given."""


class Lane(Protocol):
    """What one lane does, frame by frame: no clock, no thread, no other lane."""

    def step(self, frame: Pcm) -> Said:
        """Hears [1920] and says [1920]; `SessionFailed` ends the lane."""
        ...

    def say(self, notice: int, text: str, now: bool) -> tuple[int, ...]:
        """Takes `text` to be spoken as the interpreter itself; the notices cut off by `now`.

        `notice` comes back in `Said.notices_done`.
        """
        ...

    def interrupt(self) -> tuple[int, ...]:
        """Fades out and drops what is left to say; the notices dropped with it."""
        ...

    def state(self) -> bytes:
        """Everything that the following outputs depend on."""
        ...

    def restore(self, state: bytes) -> None:
        """Takes `state` as its own; `Unsupported`, and nothing changed, when it is none of this lane's."""
        ...


@dataclass(frozen=True)
class _Task:
    """Something a session was asked to do after everything asked before."""

    run: Callable[[], Any]
    future: Future[Any]


class LaneSession(Closing):
    """One lane, open to close; see `Session`.

    Whoever asks first while nothing runs does the work and answers it, and then the work that others have asked for
    meanwhile. So a lane is only ever in one thread, and futures complete in the order asked.
    """

    def __init__(self, lane: Lane, engine: LaneEngine) -> None:
        self._lane = lane
        self._engine = engine
        self._lock = threading.Lock()  # guards all below; never held while a lane or a callback runs
        self._tasks: deque[_Task] = deque()
        self._running = False
        self._stalled: Future[Any] | None = None
        self._stall_s = 0.0
        self._notices: dict[int, Future[None]] = {}
        self._notices_asked = 0
        self._steps = 0
        self._failure: str | None = None
        self._closed = False

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """See `Session.feed`."""
        heard = check_frame(frame).copy()  # the caller may reuse its array while this one waits
        flags = StepFlag.CONCEALED if concealed else StepFlag.NONE
        if self._stalled is not None:
            flags |= StepFlag.LATE
        return self._ask(partial(self._step, heard, flags, self._engine.now()), futures.begun())

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        """See `Session.say`."""
        if self._engine.capabilities.say is SayCapability.NO:
            raise Unsupported(
                f"expected an engine that can say a text, got {self._engine.capabilities.checkpoint}"
            )
        spoken: Future[None] = futures.begun()
        self._ask(partial(self._begin_notice, spoken, text, now), spoken)
        return spoken

    def interrupt(self) -> None:
        """See `Session.interrupt`. The notices it cuts off count as said: nothing of them is still to come."""
        with suppress(SessionClosed):
            self._ask(lambda: self._finish(self._lane.interrupt()), futures.begun())

    def snapshot(self) -> Future[Snapshot]:
        """See `Session.snapshot`."""
        checkpoint = self._engine.capabilities.checkpoint
        return self._ask(lambda: Snapshot(checkpoint, self._lane.state()), futures.begun())

    def restore(self, snapshot: Snapshot) -> Future[None]:
        """See `Session.restore`. Notices still to be said belong to the state left behind, and count as said."""
        check_checkpoint(snapshot, self._engine.capabilities.checkpoint)
        return self._ask(partial(self._restore, snapshot.state), futures.begun())

    def close(self) -> None:
        """See `Session.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._engine._release(self)
        self._drop(SessionClosed, _CLOSED)

    def _ask(self, run: Callable[[], Any], future: Future[Any]) -> Future[Any]:
        with self._lock:
            if self._closed:
                raise SessionClosed("expected an open session, got one that was closed")
            failure = self._failure
            if failure is None:
                self._tasks.append(_Task(run, future))
        if failure is not None:
            future.set_exception(SessionFailed(failure))
        else:
            self._work()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._running or not self._tasks:
                    return
                self._running = True
                task = self._tasks.popleft()
            if self._run(task):
                return  # `_running` stays set: everything asked for meanwhile waits until `_let_go`
            self._running = False

    def _run(self, task: _Task) -> bool:
        """Does one task and answers it; or True when the answer is held back."""
        try:
            result = task.run()
        except SessionFailed as error:
            self._failure = str(error)
            task.future.set_exception(error)
            self._drop(SessionFailed, self._failure)
        except DuplexModelError as error:
            task.future.set_exception(error)
        else:
            if self._stall_s > 0:
                return self._hold(task.future, result)
            if result is not _ANSWERED_LATER:
                task.future.set_result(result)
        return False

    def _hold(self, future: Future[Any], result: StepOutput) -> bool:
        stall_s, self._stall_s = self._stall_s, 0.0
        with self._lock:
            closed = self._closed
            self._stalled = None if closed else future
        if closed:
            future.set_exception(SessionClosed(_CLOSED))
        else:
            self._engine.later(stall_s, partial(self._let_go, result))
        return not closed

    def _let_go(self, result: StepOutput) -> None:
        with self._lock:
            held, self._stalled = self._stalled, None
        if held is not None:  # None when the session was closed meanwhile
            held.set_result(result)
        self._running = False
        self._work()

    def _drop(self, error: type[DuplexModelError], message: str) -> None:
        """Fails everything asked for and not answered; each future has one owner, whoever took it under the lock."""
        with self._lock:
            left = [task.future for task in self._tasks] + list(self._notices.values())
            if self._stalled is not None:
                left.append(self._stalled)
            self._stalled = None
            self._tasks.clear()
            self._notices.clear()
        for future in left:
            future.set_exception(error(message))

    def _begin_notice(self, spoken: Future[None], text: str, now: bool) -> object:
        notice, self._notices_asked = self._notices_asked, self._notices_asked + 1
        self._finish(self._lane.say(notice, text, now))
        with self._lock:
            if self._closed:
                raise SessionClosed(_CLOSED)
            self._notices[notice] = spoken
        return _ANSWERED_LATER

    def _step(self, frame: Pcm, flags: StepFlag, received_s: float) -> StepOutput:
        started_s = self._engine.now()
        step, self._steps = self._steps, self._steps + 1
        said = self._lane.step(frame)
        if not np.isfinite(said.pcm).all():
            raise SessionFailed(f"expected finite pcm, got NaN or infinity in step {step}")
        self._finish(said.notices_done)
        self._stall_s = said.stall_s
        flags |= StepFlag.AS_SELF if said.as_self else StepFlag.NONE
        flags |= StepFlag.LATE if said.stall_s > 0 else StepFlag.NONE
        timing = StepTiming(received_s=received_s, started_s=started_s, finished_s=self._engine.now())
        return StepOutput(pcm=said.pcm, text=said.text, timing=timing, flags=flags)

    def _restore(self, state: bytes) -> None:
        self._lane.restore(state)
        with self._lock:
            left = tuple(self._notices)
        self._finish(left)

    def _finish(self, notices: tuple[int, ...]) -> None:
        with self._lock:
            spoken = [self._notices.pop(notice, None) for notice in notices]
        for future in spoken:
            if future is not None:
                future.set_result(None)


class LaneEngine:
    """An engine whose sessions run in their callers' threads; see `Engine`."""

    def __init__(
        self,
        capabilities: Capabilities,
        open_lane: Callable[[Prompt, int], Lane],
        *,
        grid: TickGrid,
        now: Now = time.monotonic,
        later: Later | None = None,
    ) -> None:
        """Takes what distinguishes one such engine from another.

        Args:
            capabilities: what it says of itself; `lanes` is enforced here.
            open_lane: (prompt, seed) -> a fresh lane; may raise `PromptError` or `EngineFull`.
            grid: the tick grid meetings follow.
            now: monotonic seconds, for the timings of outputs.
            later: how stalled answers wait; a daemon timer thread unless a test brings its own clock.
        """
        self.now = now
        self.later = _after if later is None else later
        self._capabilities = capabilities
        self._grid = grid
        self._open_lane = open_lane
        self._lock = threading.Lock()
        self._sessions: set[LaneSession] = set()
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`."""
        return self._capabilities

    @property
    def grid(self) -> TickGrid:
        """See `Engine.grid`."""
        return self._grid

    @property
    def sessions_open(self) -> int:
        """See `Engine.sessions_open`. A failed session keeps its lane until its owner closes it."""
        with self._lock:
            return len(self._sessions)

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """See `Engine.open`; the future is answered already."""
        check_prompt(prompt, self._capabilities)
        with self._lock:
            if self._closed:
                raise EngineDied("expected a running engine, got one that was closed")
            check_lane_free(len(self._sessions), self._capabilities)
            session = LaneSession(self._open_lane(prompt, seed), self)
            self._sessions.add(session)
        return futures.done(session)

    def close(self) -> None:
        """See `Engine.close`."""
        with self._lock:
            self._closed = True
            sessions = list(self._sessions)
        for session in sessions:
            session.close()

    def _release(self, session: LaneSession) -> None:
        with self._lock:
            self._sessions.discard(session)


def check_prompt(prompt: Prompt, capabilities: Capabilities) -> None:
    """`PromptError` unless `capabilities` has the prompt's direction and what it wants of a long call."""
    if not capabilities.serves(prompt.language_in, prompt.language_out):
        served = ", ".join(
            f"{heard}>{'|'.join(sorted(said))}" for heard, said in capabilities.languages.items()
        )
        raise PromptError(
            f"expected a direction that {capabilities.checkpoint} serves ({served}), "
            f"got {prompt.language_in}>{prompt.language_out}"
        )
    if prompt.long_calls is not None and prompt.long_calls not in capabilities.long_calls:
        offered = ", ".join(sorted(method.value for method in capabilities.long_calls)) or "none to choose"
        raise PromptError(
            f"expected long_calls that {capabilities.checkpoint} is prepared for here ({offered}), "
            f"got {prompt.long_calls.value}"
        )


def check_lane_free(taken: int, capabilities: Capabilities) -> None:
    """`EngineFull` unless fewer than `capabilities.lanes` are taken."""
    if taken >= capabilities.lanes:
        raise EngineFull(f"expected a free lane, got all {capabilities.lanes} taken")


def check_checkpoint(snapshot: Snapshot, checkpoint: str) -> None:
    """`Unsupported` unless the snapshot is of the engine's own `checkpoint`."""
    if snapshot.checkpoint != checkpoint:
        raise Unsupported(f"expected a snapshot of {checkpoint}, got one of {snapshot.checkpoint}")


def _after(delay_s: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(delay_s, call)
    timer.daemon = True
    timer.start()
