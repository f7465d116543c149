"""The batch and its lanes: what sessions ask becomes calls of the model, in the order the scheduler gives.

Any thread may ask; one thread, the device's, calls `turn` again and again and is the only one to touch the model.
No future is answered under the lock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from duplex_model import futures
from duplex_model.batch_model import BatchModel, BatchStep
from duplex_model.contract import (
    FRAME_SAMPLES,
    Capabilities,
    Prompt,
    Session,
    Snapshot,
    StepFlag,
    StepOutput,
    StepTiming,
    TickGrid,
)
from duplex_model.errors import DuplexModelError, EngineDied, EngineFull, SessionClosed, SessionFailed
from duplex_model.lanes import check_lane_free, check_prompt
from duplex_model.load import Load, LoadMeter
from duplex_model.scheduler import Aside, Scheduler, Situation, Step, Wait, Work
from duplex_model.session import EndInput, Hear, Interrupt, NeuralSession, Restore, Speak, TakeSnapshot, Task

logger = logging.getLogger(__name__)

_CLOSED = "the session was closed"
_END = object()


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How an engine shares its time."""

    gather_s: float = 0.010
    """Longest wait after a tick for frames on their way; it ends when every frame expected is there."""

    paced: bool = True
    """Whether answers are due in the grid's time; where time waits for them, everything is done at once."""

    backlog_frames: int = 12
    """Most frames of a session that wait; beyond it the oldest is dropped, for nobody wants to hear it any more."""

    late_frames: int = 25
    """So many late frames in a row without getting nearer, and a session drops one: no delay stays for ever."""

    admit_below: float | None = None
    """Refuses new sessions while the p99 of steps is above this share of a tick; None counts lanes only."""

    join_patience_s: float = 10.0
    """How long an opening session waits for spare time before the engine says that it is full."""


@dataclass(eq=False)
class _Opening:
    """A session whose prompt is on its way in."""

    session: NeuralSession
    pieces: Iterator[None]
    future: Future[Session] = field(default_factory=futures.begun)
    waiting_since_s: float | None = None
    """When it came to the head of the queue, or when its last piece went in."""


@dataclass(eq=False)
class _Copying:
    """The first task of a session, while it is a copy that goes piece by piece."""

    task: TakeSnapshot | Restore
    pieces: Iterator[bytes | None]
    state: bytearray = field(default_factory=bytearray)


class Batcher:
    """Lanes, their sessions and the model; see the module."""

    def __init__(
        self, model: BatchModel, *, grid: TickGrid, options: EngineOptions, now_s: Callable[[], float]
    ) -> None:
        """Takes a model in which every lane is clear.

        Args:
            model: what is stepped.
            grid: when.
            options: how time is shared.
            now_s: monotonic seconds.
        """
        self.now_s = now_s
        self._model = model
        self._options = options
        self._scheduler = Scheduler(grid, options.gather_s, options.paced)
        self._slow_s = inf if options.admit_below is None else options.admit_below * grid.period_s
        lanes = self.capabilities.lanes
        self._pcm = np.zeros((lanes, FRAME_SAMPLES), dtype=np.float32)
        self._taken: list[Future[Any]] = []
        """Futures of tasks that left their queue and are not answered yet."""

        self._copying: dict[NeuralSession, _Copying] = {}

        self._changed = threading.Condition()  # guards all below, and what a session holds for us
        self._free = deque(range(lanes))
        self._unclean: set[int] = set()
        self._sessions: dict[int, NeuralSession] = {}
        self._openings: deque[_Opening] = deque()
        self._meter = LoadMeter()
        self._asked = False
        self._ended: DuplexModelError | None = None

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`."""
        return self._model.capabilities

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do for the device's thread."""
        with self._changed:
            return self._ended is not None

    @property
    def sessions_open(self) -> int:
        """See `Engine.sessions_open`."""
        with self._changed:
            return self._lanes_used()

    @property
    def load(self) -> Load:
        """How busy it is."""
        with self._changed:
            return self._meter.read(
                lanes=self.capabilities.lanes, lanes_used=self._lanes_used(), opening=len(self._openings)
            )

    def open(self, prompt: Prompt, seed: int) -> Future[Session]:
        """See `Engine.open`."""
        check_prompt(prompt, self.capabilities)
        prefill = self._model.prepare(prompt, seed)
        with self._changed:
            if self._ended is not None:
                raise EngineDied(f"expected a running engine, got one that ended: {self._ended}")
            check_lane_free(self._lanes_used(), self.capabilities)
            self._check_quick()
            session = NeuralSession(self._free.popleft(), self)
            opening = _Opening(session, prefill(session.lane))
            self._openings.append(opening)
            self._wake()
        return opening.future

    def ask(self, session: NeuralSession, task: Task) -> None:
        """See `Desk.ask`."""
        with self._changed:
            ended = session.ended
            if ended is None:
                session.tasks.append(task)
                self._wake()
        if isinstance(ended, SessionClosed):
            raise SessionClosed("expected an open session, got one that was closed")
        if ended is not None:
            task.future.set_exception(_again(ended))

    def leave(self, session: NeuralSession) -> None:
        """See `Desk.leave`."""
        self._end_session(session, SessionClosed(_CLOSED))
        with self._changed:
            session.ended = SessionClosed(_CLOSED)

    def end(self, reason: DuplexModelError) -> None:
        """Ends every session for `reason`, and the device's thread with its next turn; a second end does nothing."""
        with self._changed:
            if self._ended is not None:
                return
            self._ended = reason
            openings = list(self._openings)
            sessions = list(self._sessions.values()) + [opening.session for opening in openings]
            self._openings.clear()
            self._wake()
        for session in sessions:
            self._end_session(session, _again(reason))
        for opening in openings:
            opening.future.set_exception(_again(reason))

    def abandon(self, reason: DuplexModelError) -> None:
        """As `end`, for the device's thread when a call of the model did not return: its tasks fail too."""
        self.end(reason)
        for future in self._taken:
            if not future.done():
                future.set_exception(_again(reason))
        self._taken.clear()

    def wait(self, until_s: float) -> None:
        """Sleeps until `until_s`, or until something is asked that was not known at the last turn."""
        with self._changed:
            if not self._asked:
                self._changed.wait(None if until_s == inf else max(until_s - self.now_s(), 0.0))
            self._asked = False

    def turn(self) -> float:
        """Does the next thing; when to come back at the latest, in monotonic seconds."""
        self._clear_lanes()
        self._obey()
        self._drop_oldest()
        self._refuse_impatient()
        now_s = self.now_s()
        action = self._scheduler.decide(now_s, self._situation(now_s))
        match action:
            case Wait(until_s):
                return until_s
            case Step(lanes):
                self._step(lanes)
            case Aside(Work.PREFILL, lane):
                self._prefill(lane)
            case Aside(Work.UPKEEP, lane):
                self._keep_up(lane)
            case Aside(_, lane):
                self._copy(lane)
        return self.now_s()

    # What follows, down to the next such line, runs in the device's thread.

    def _clear_lanes(self) -> None:
        with self._changed:
            unclean, self._unclean = self._unclean, set()
            self._copying = {
                session: copying for session, copying in self._copying.items() if not session.ended
            }
        for lane in unclean:
            self._model.clear(lane)

    def _obey(self) -> None:
        """Passes on what costs no time and comes before the next frame."""
        for session in self._living():
            while (task := self._take(session, Speak, Interrupt, EndInput)) is not None:
                try:
                    cut_off = self._tell(session, task)
                except DuplexModelError as error:
                    task.future.set_exception(error)
                else:
                    self._finish(session, cut_off)
                    if isinstance(task, Interrupt | EndInput):
                        task.future.set_result(None)
                self._taken.clear()

    def _tell(self, session: NeuralSession, task: Task) -> tuple[int, ...]:
        if isinstance(task, EndInput):
            self._model.end_input(session.lane)
            return ()
        if not isinstance(task, Speak):
            return self._model.interrupt(session.lane)
        notice = session.notices_asked
        session.notices_asked += 1
        cut_off = self._model.say(session.lane, notice, task.text, task.now)
        with self._changed:
            closed = session.ended
            if closed is None:
                session.notices[notice] = task.future
        if closed is not None:
            raise _again(closed)
        return cut_off

    def _drop_oldest(self) -> None:
        for session in self._living():
            for task in self._beyond_backlog(session):
                now_s = self.now_s()
                timing = StepTiming(received_s=task.received_s, started_s=now_s, finished_s=now_s)
                silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
                flags = _heard_flags(task) | StepFlag.LATE
                task.future.set_result(StepOutput(pcm=silence, text="", timing=timing, flags=flags))

    def _beyond_backlog(self, session: NeuralSession) -> list[Hear]:
        with self._changed:
            heard = [task for task in session.tasks if isinstance(task, Hear)]
            too_many = max(len(heard) - self._options.backlog_frames, 0)
            if heard and not too_many and self._lags_for_good(session, heard[0]):
                too_many, session.late_in_a_row = 1, 0
            dropped = heard[:too_many]
            for task in dropped:
                session.tasks.remove(task)
            self._meter.dropped_frames += len(dropped)
        return dropped

    def _lags_for_good(self, session: NeuralSession, oldest: Hear) -> bool:
        """Whether no spare time has let a session catch up for so long that only a dropped frame will."""
        grid = self._scheduler.grid
        waits = grid.tick_at(oldest.received_s) < grid.tick_at(self.now_s())
        return waits and session.late_in_a_row >= self._options.late_frames

    def _refuse_impatient(self) -> None:
        """Says full to the session that waits in vain for spare time, and gives the next one a first try."""
        with self._changed:
            if not self._openings:
                return
            opening, now_s = self._openings[0], self.now_s()
            if opening.waiting_since_s is None:
                opening.waiting_since_s = now_s
            if now_s - opening.waiting_since_s <= self._options.join_patience_s:
                return
        self._scheduler.forget(Work.PREFILL)
        patience_s = self._options.join_patience_s
        self._refuse(
            opening, EngineFull(f"expected spare time for one more session, got none in {patience_s:g} s")
        )

    def _situation(self, now_s: float) -> Situation:
        with self._changed:
            heads = {lane: session.tasks[0] for lane, session in self._sessions.items() if session.tasks}
            # A lane given back after this turn began is cleared in the next one, before its new session's prompt.
            joining = [opening.session.lane for opening in list(self._openings)[:1]]
            upkeep = [entry for entry in self._model.upkeep() if entry.lane in self._sessions]
            held = [entry.lane for entry in upkeep if entry.due and self._may_be_held(entry.lane)]
            asides = [Aside(Work.UPKEEP, lane) for lane in held]
            asides += [Aside(Work.PREFILL, lane) for lane in joining if lane not in self._unclean]
            asides += [Aside(Work.COPY, lane) for lane, head in heads.items() if not isinstance(head, Hear)]
            asides += [Aside(Work.UPKEEP, entry.lane) for entry in upkeep if entry.lane not in held]
            ready = [lane for lane, head in heads.items() if isinstance(head, Hear) and lane not in held]
            listening = [lane for lane in self._sessions if lane not in held]
            return Situation(listening=listening, ready=ready, asides=asides)

    def _may_be_held(self, lane: int) -> bool:
        """A lane waits for its upkeep until a second frame comes; then it goes on, and is renewed another time."""
        return sum(isinstance(task, Hear) for task in self._sessions[lane].tasks) <= 1

    def _step(self, lanes: Sequence[int]) -> None:
        heard = self._take_frames(lanes)
        if not heard:  # their sessions were closed a moment ago
            return
        executing = np.zeros(len(self._pcm), dtype=np.bool_)
        for session, task in heard:
            executing[session.lane] = True
            self._pcm[session.lane] = task.frame
        started_s = self.now_s()
        step = self._model.step(self._pcm, executing)
        finished_s = self.now_s()
        self._pcm.fill(0.0)
        self._scheduler.done(Work.STEP, finished_s - started_s)
        with self._changed:
            self._meter.stepped(finished_s - started_s)
        for session, task in heard:
            timing = StepTiming(received_s=task.received_s, started_s=started_s, finished_s=finished_s)
            self._answer(session, task, step, timing)
        self._taken.clear()

    def _take_frames(self, lanes: Sequence[int]) -> list[tuple[NeuralSession, Hear]]:
        heard = []
        for session in self._living():
            if session.lane in lanes and isinstance(task := self._take(session, Hear), Hear):
                heard.append((session, task))
        return heard

    def _answer(self, session: NeuralSession, task: Hear, step: BatchStep, timing: StepTiming) -> None:
        lane = session.lane
        if not step.finite[lane]:
            logger.warning("the session in lane %d fails: NaN or infinity", lane)
            self._end_session(session, SessionFailed("expected finite outputs, got NaN or infinity"))
        if session.ended is not None:
            task.future.set_exception(_again(session.ended))
            return
        self._finish(session, step.notices_done[lane])
        late = self._scheduler.grid.tick_at(timing.started_s) > self._scheduler.grid.tick_at(
            timing.received_s
        )
        self._meter.late_frames += late
        self._note_lag(session, late)
        flags = step.flags[lane] | _heard_flags(task) | (StepFlag.LATE if late else StepFlag.NONE)
        pcm = step.pcm[lane].copy()
        task.future.set_result(StepOutput(pcm=pcm, text=step.text[lane], timing=timing, flags=flags))

    def _note_lag(self, session: NeuralSession, late: bool) -> None:
        """Counts late frames in a row, anew where the queue behind them got shorter meanwhile."""
        with self._changed:
            waiting = sum(isinstance(task, Hear) for task in session.tasks)
        if not session.late_in_a_row:
            session.waiting_then = waiting
        session.late_in_a_row = session.late_in_a_row + 1 if late else 0
        if session.late_in_a_row >= self._options.late_frames and waiting < session.waiting_then:
            session.late_in_a_row = 0

    def _prefill(self, lane: int) -> None:
        with self._changed:
            opening = self._openings[0] if self._openings else None
        if opening is None or opening.session.lane != lane:
            return
        started_s = self.now_s()
        try:
            complete = next(opening.pieces, _END) is _END
        except DuplexModelError as error:
            self._refuse(opening, error)
            return
        opening.waiting_since_s = self.now_s()
        self._scheduler.done(Work.PREFILL, opening.waiting_since_s - started_s)
        if complete and self._enter(opening):
            opening.future.set_result(opening.session)

    def _enter(self, opening: _Opening) -> bool:
        """Makes the session one that is stepped; False when the engine has ended meanwhile."""
        with self._changed:
            if opening not in self._openings:
                return False
            self._openings.remove(opening)
            self._sessions[opening.session.lane] = opening.session
            return True

    def _refuse(self, opening: _Opening, error: DuplexModelError) -> None:
        with self._changed:
            if opening not in self._openings:
                return
            self._openings.remove(opening)
        self._end_session(opening.session, error)
        opening.future.set_exception(error)

    def _keep_up(self, lane: int) -> None:
        started_s = self.now_s()
        self._model.keep_up(lane)
        self._scheduler.done(Work.UPKEEP, self.now_s() - started_s)

    def _copy(self, lane: int) -> None:
        with self._changed:
            session = self._sessions.get(lane)
            task = session.tasks[0] if session is not None and session.tasks else None
        if session is None or not isinstance(task, TakeSnapshot | Restore):
            return
        copying = self._copying.get(session)
        if copying is None:
            copying = self._copying[session] = _Copying(task, self._pieces(lane, task))
        started_s = self.now_s()
        try:
            complete = _copy_piece(copying)
        except DuplexModelError as error:
            self._copied(session, copying, error)
            return
        self._scheduler.done(Work.COPY, self.now_s() - started_s)
        if complete:
            self._copied(session, copying, None)

    def _pieces(self, lane: int, task: TakeSnapshot | Restore) -> Iterator[bytes | None]:
        if isinstance(task, TakeSnapshot):
            return self._model.snapshot(lane)
        return self._model.restore(lane, task.state)

    def _copied(self, session: NeuralSession, copying: _Copying, error: DuplexModelError | None) -> None:
        """Answers the copy, unless its session ended before."""
        del self._copying[session]
        if self._take(session, TakeSnapshot, Restore) is None:
            return
        if error is not None:
            copying.task.future.set_exception(error)
        elif isinstance(copying.task, TakeSnapshot):
            copying.task.future.set_result(Snapshot(self.capabilities.checkpoint, bytes(copying.state)))
        else:
            self._finish(session, tuple(session.notices))
            copying.task.future.set_result(None)
        self._taken.clear()

    def _finish(self, session: NeuralSession, notices: Sequence[int]) -> None:
        with self._changed:
            spoken = [session.notices.pop(notice) for notice in notices if notice in session.notices]
        for future in spoken:
            future.set_result(None)

    def _living(self) -> list[NeuralSession]:
        with self._changed:
            return list(self._sessions.values())

    def _take(self, session: NeuralSession, *kinds: type[Task]) -> Task | None:
        """The session's next task if it is of these kinds; from now on the device's thread answers it."""
        with self._changed:
            if not session.tasks or not isinstance(session.tasks[0], kinds):
                return None
            task = session.tasks.popleft()
            self._taken.append(task.future)
            return task

    # What follows runs in any thread.

    def _end_session(self, session: NeuralSession, reason: DuplexModelError) -> None:
        """Fails what the session was asked and gives its lane back; nothing when it has ended before."""
        with self._changed:
            if session.ended is not None:
                return
            session.ended = reason
            self._sessions.pop(session.lane, None)
            self._free.append(session.lane)
            self._unclean.add(session.lane)
            self._meter.failed_sessions += isinstance(reason, SessionFailed)
            left = [task.future for task in session.tasks] + list(session.notices.values())
            session.tasks.clear()
            session.notices.clear()
            self._wake()
        for future in left:
            future.set_exception(_again(reason))

    def _check_quick(self) -> None:
        if self._lanes_used() and self._meter.slower_than(self._slow_s):
            raise EngineFull(
                f"expected steps below {1000 * self._slow_s:.0f} ms for one more session, got slower ones"
            )

    def _lanes_used(self) -> int:
        return len(self._sessions) + len(self._openings)

    def _wake(self) -> None:
        self._asked = True
        self._changed.notify_all()


def _copy_piece(copying: _Copying) -> bool:
    """Copies one piece; whether it was the last."""
    piece = next(copying.pieces, _END)
    if isinstance(piece, bytes):
        copying.state += piece
    return piece is _END


def _heard_flags(task: Hear) -> StepFlag:
    return StepFlag.CONCEALED if task.concealed else StepFlag.NONE


def _again(error: DuplexModelError) -> DuplexModelError:
    """An equal error, so that no two futures raise the same object and mix their tracebacks."""
    return type(error)(*error.args)
