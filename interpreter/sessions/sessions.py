"""One engine session per direction: opened, fed, watched, and opened again after a failure.

Everything runs on one thread, the meeting's; what an engine reports on its own threads is handed over by `post`.
Time comes in as an argument or, where an engine calls back, from `now_s`.
"""

from __future__ import annotations

import enum
import hashlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from math import inf

import numpy as np

from duplex_model.contract import (
    FRAME_S,
    FRAME_SAMPLES,
    Engine,
    Pcm,
    Prompt,
    Session,
    StepFlag,
    StepOutput,
)
from duplex_model.errors import DuplexModelError, EngineDied, EngineFull, PromptError
from interpreter.directions import Direction
from interpreter.metrics import Count, Metrics, Stage
from interpreter.sessions.hold import Said
from interpreter.sessions.renderings import Renderings

logger = logging.getLogger(__name__)

MAX_OUTSTANDING_FRAMES = 50
"""4 s: a session that owes more answers has hung, and is replaced."""

ENGINE_RETRY_S = 0.25  # a replacement process publishes itself by accepting `open`
FULL_RETRY_S = 1.0
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 8.0
PROVEN_S = 10.0
"""A session that served so long starts over with the first backoff when it fails."""


class SessionState(enum.Enum):
    """Why a direction is, or is not, rendered."""

    OPENING = "opening"
    OPEN = "open"
    FULL = "full"  # no lane was free; tried again
    DOWN = "down"  # the engine is gone and not back yet; tried again
    FAILED = "failed"  # this session failed; tried again after a backoff
    REFUSED = "refused"  # the engine cannot serve the prompt; not tried again


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What serves a direction."""

    engine: str
    """Name of the engine."""

    prompt: Prompt


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A speaker's frame on its way to their sessions."""

    pcm: Pcm
    """[1920]; zeros where nothing was sent or nothing may be heard."""

    concealed: bool = False
    """Part of it is concealed loss."""


_NOTHING = Heard(pcm=np.zeros(FRAME_SAMPLES, dtype=np.float32))


@dataclass(eq=False)
class _Slot:
    """One direction's session, or the wait for it."""

    direction: Direction
    plan: Plan
    state: SessionState = SessionState.OPENING
    session: Session | None = None
    renderings: Renderings = field(default_factory=Renderings)
    outstanding: dict[int, float] = field(default_factory=dict)
    """Tick -> when its frame was fed, for frames not answered yet."""

    asked: bool = False
    """`open` was called and has not been answered."""

    attempt: int = 0
    """Number of the last opening; the answer to an earlier one is no longer wanted."""

    retry_at_s: float = -inf
    backoff_s: float = FIRST_BACKOFF_S
    opened_at_s: float = inf


@dataclass(frozen=True, kw_only=True)
class SessionEvents:
    """What the sessions report to the meeting, on its thread."""

    said: Callable[[Direction, int, StepOutput], None]
    """An output came for a tick's frame."""

    answered: Callable[[int], None]
    """The last output of a tick came, or will never come."""

    changed: Callable[[], None]
    """`states` is another."""


class Sessions:
    """The sessions of one meeting.

    Args:
        engines: where they are opened, by name; all on one tick grid.
        seed: of the meeting; each session's own is derived from it and the direction.
        now_s: monotonic time.
        post: runs a function soon on the meeting's thread; called from any thread.
        events: who is told.
        metrics: where steps and failures are counted.
    """

    def __init__(
        self,
        *,
        engines: Mapping[str, Engine],
        seed: int,
        now_s: Callable[[], float],
        post: Callable[[Callable[[], None]], object],
        events: SessionEvents,
        metrics: Metrics,
    ) -> None:
        self._engines = engines
        self._seed = seed
        self._now_s = now_s
        self._post = post
        self._events = events
        self._metrics = metrics
        self._slots: dict[Direction, _Slot] = {}
        self._ending: dict[Direction, Renderings] = {}
        self._owed: dict[int, int] = {}  # tick -> outputs not yet there
        self._closed = False

    @property
    def states(self) -> Mapping[Direction, SessionState]:
        """Every wanted direction and how it stands."""
        return {direction: slot.state for direction, slot in self._slots.items()}

    @property
    def plans(self) -> Mapping[Direction, Plan]:
        """What serves each wanted direction."""
        return {direction: slot.plan for direction, slot in self._slots.items()}

    def await_lane(self, engine: str) -> bool:
        """Whether a direction waits for a lane of the engine of that name."""
        return any(
            slot.state is SessionState.FULL and slot.plan.engine == engine for slot in self._slots.values()
        )

    def plan_of(self, direction: Direction) -> Plan | None:
        """What serves a direction; None for one that is not wanted."""
        slot = self._slots.get(direction)
        return None if slot is None else slot.plan

    def want(self, plans: Mapping[Direction, Plan], now_s: float) -> None:
        """Closes what is no longer wanted or is to be served otherwise, and opens what is new, in the order given."""
        for direction in [d for d, slot in self._slots.items() if plans.get(d) != slot.plan]:
            slot = self._slots.pop(direction)
            self._end(slot)
        for direction, plan in plans.items():
            self._slots.setdefault(direction, _Slot(direction, plan))
        self.open_due(now_s)

    def interrupt(self, direction: Direction) -> None:
        """Makes the direction's session stop speaking, if one is open."""
        slot = self._slots.get(direction)
        if slot is not None and slot.session is not None:
            slot.session.interrupt()

    def open_due(self, now_s: float) -> None:
        """Asks for every session whose time has come; called every tick."""
        for slot in self._slots.values():
            if slot.session is None and not slot.asked and slot.retry_at_s <= now_s:
                self._open(slot, now_s)

    def feed(self, tick: int, frames: Mapping[str, Heard], now_s: float) -> None:
        """Gives each open session the frame of its speaker, silence for one without.

        Every tick it is called for is `answered` exactly once, at once when nothing is owed.
        """
        # Counted as owing itself until all are fed: engines in this process answer while they are being fed.
        self._owed[tick] = 1
        for slot in list(self._slots.values()):
            if slot.session is None:
                continue
            if len(slot.outstanding) >= MAX_OUTSTANDING_FRAMES:
                self._fail(slot, SessionState.FAILED, f"owes {len(slot.outstanding)} outputs")
                continue
            self._feed(slot, tick, frames.get(slot.direction.speaker_id, _NOTHING), now_s)
        self._settle(tick)

    def take(self, tick: int) -> Mapping[Direction, Said]:
        """What each session says in the mix of `tick`. One that just ended is given a last fade."""
        said = {direction: renderings.finish() for direction, renderings in self._ending.items()}
        self._ending.clear()
        for direction, slot in self._slots.items():
            if slot.session is not None:
                said[direction] = self._take(slot.renderings, tick)
        return said

    def close(self) -> None:
        """Closes every session; nothing is reported any more."""
        self._closed = True
        for slot in self._slots.values():
            if slot.session is not None:
                slot.session.close()
        self._slots.clear()

    def _seed_of(self, direction: Direction) -> int:
        text = f"{self._seed}/{direction.speaker_id}/{direction.language_in}/{direction.language_out}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def _open(self, slot: _Slot, now_s: float) -> None:
        engine = self._engines[slot.plan.engine]
        try:
            opening = engine.open(slot.plan.prompt, seed=self._seed_of(slot.direction))
        except DuplexModelError as error:
            self._not_opened(slot, error, now_s)
            return
        slot.asked = True
        slot.attempt += 1
        opening.add_done_callback(partial(self._on_opened, slot, slot.attempt))

    def _on_opened(self, slot: _Slot, attempt: int, opening: Future[Session]) -> None:
        """Runs on the engine's thread."""
        if not self._closed:
            self._post(partial(self._opened, slot, attempt, opening))
        elif not opening.cancelled() and opening.exception() is None:
            opening.result().close()

    def _opened(self, slot: _Slot, attempt: int, opening: Future[Session]) -> None:
        error = _error_of(opening)
        wanted = self._slots.get(slot.direction) is slot and attempt == slot.attempt and not self._closed
        if not wanted:
            if error is None:
                opening.result().close()
            return
        slot.asked = False
        if error is not None:
            self._not_opened(slot, error, self._now_s())
            return
        slot.session = opening.result()
        slot.renderings = Renderings()
        slot.opened_at_s = self._now_s()
        self._metrics.count(Count.SESSIONS_OPENED)
        self._change(slot, SessionState.OPEN)

    def _not_opened(self, slot: _Slot, error: BaseException, now_s: float) -> None:
        if isinstance(error, EngineFull):
            slot.retry_at_s = now_s + FULL_RETRY_S
            self._change(slot, SessionState.FULL)
        elif isinstance(error, EngineDied):
            slot.retry_at_s = now_s + ENGINE_RETRY_S
            self._change(slot, SessionState.DOWN)
        elif isinstance(error, PromptError):
            slot.retry_at_s = inf
            logger.warning("the engine refuses %s: %s", _route(slot.direction), error)
            self._change(slot, SessionState.REFUSED)
        else:
            self._fail(slot, SessionState.FAILED, repr(error))

    def _feed(self, slot: _Slot, tick: int, frame: Heard, now_s: float) -> None:
        assert slot.session is not None
        try:
            stepping = slot.session.feed(frame.pcm, concealed=frame.concealed)
        except DuplexModelError as error:
            self._fail(slot, _state_after(error), repr(error))
            return
        slot.outstanding[tick] = now_s
        self._owed[tick] += 1
        stepping.add_done_callback(partial(self._on_stepped, slot, tick))

    def _on_stepped(self, slot: _Slot, tick: int, stepping: Future[StepOutput]) -> None:
        """Runs on the engine's thread."""
        if not self._closed:
            self._post(partial(self._stepped, slot, tick, stepping))

    def _stepped(self, slot: _Slot, tick: int, stepping: Future[StepOutput]) -> None:
        if self._closed or tick not in slot.outstanding:
            return  # an answer of a session that was given up
        error = _error_of(stepping)
        if error is not None:
            self._fail(slot, _state_after(error), repr(error))
            return
        output = stepping.result()
        if output.pcm.shape != (FRAME_SAMPLES,) or not np.isfinite(output.pcm).all():
            self._fail(slot, SessionState.FAILED, f"expected {FRAME_SAMPLES} finite samples as output")
            return
        self._measure(output, slot.outstanding.pop(tick))
        as_self = StepFlag.AS_SELF in output.flags
        slot.renderings.put(tick, Said(pcm=output.pcm, text=output.text, as_self=as_self))
        self._events.said(slot.direction, tick, output)
        self._settle(tick)

    def _measure(self, output: StepOutput, fed_s: float) -> None:
        timing = output.timing
        inside_s = timing.finished_s - timing.received_s
        self._metrics.took(Stage.ENGINE_QUEUE, timing.started_s - timing.received_s)
        self._metrics.took(Stage.ENGINE_STEP, timing.finished_s - timing.started_s)
        self._metrics.took(Stage.ENGINE_TRANSPORT, self._now_s() - fed_s - inside_s)

    def _take(self, renderings: Renderings, tick: int) -> Said:
        before = (renderings.underruns, renderings.skipped_silent, renderings.dropped)
        said = renderings.take(tick)
        after = (renderings.underruns, renderings.skipped_silent, renderings.dropped)
        counts = (Count.RENDERING_UNDERRUNS, Count.RENDERINGS_CAUGHT_UP, Count.RENDERINGS_DROPPED)
        for what, old, new in zip(counts, before, after, strict=True):
            if new != old:
                self._metrics.count(what, new - old)
        self._metrics.took(Stage.RENDERING_LAG, renderings.lag_frames * FRAME_S)
        return said

    def _fail(self, slot: _Slot, state: SessionState, reason: str) -> None:
        now_s = self._now_s()
        logger.warning("session %s failed: %s", _route(slot.direction), reason)
        self._metrics.count(Count.SESSIONS_FAILED)
        if now_s - slot.opened_at_s >= PROVEN_S:
            slot.backoff_s = FIRST_BACKOFF_S
        self._end(slot)
        slot.opened_at_s = inf
        if state is SessionState.DOWN:
            slot.retry_at_s = now_s + ENGINE_RETRY_S
        else:
            slot.retry_at_s = now_s + slot.backoff_s
            slot.backoff_s = min(2.0 * slot.backoff_s, MAX_BACKOFF_S)
        self._change(slot, state)

    def _end(self, slot: _Slot) -> None:
        """Closes the slot's session, whose open answers are then no longer awaited."""
        slot.attempt += 1
        slot.asked = False
        session, slot.session = slot.session, None
        if session is None:
            return
        self._ending[slot.direction] = slot.renderings
        owed, slot.outstanding = slot.outstanding, {}
        session.close()
        for tick in owed:
            self._settle(tick)

    def _settle(self, tick: int) -> None:
        """One answer less is owed for `tick`."""
        self._owed[tick] -= 1
        if self._owed[tick] == 0:
            del self._owed[tick]
            self._events.answered(tick)

    def _change(self, slot: _Slot, state: SessionState) -> None:
        if slot.state is state:
            return
        logger.info("session %s: %s -> %s", _route(slot.direction), slot.state.value, state.value)
        slot.state = state
        self._events.changed()


def _error_of(future: Future[Session] | Future[StepOutput]) -> BaseException | None:
    """Why a done future has no result; None when it has one."""
    return EngineDied("the engine gave up the request") if future.cancelled() else future.exception()


def _state_after(error: BaseException) -> SessionState:
    return SessionState.DOWN if isinstance(error, EngineDied) else SessionState.FAILED


def _route(direction: Direction) -> str:
    return f"{direction.speaker_id} {direction.language_in}>{direction.language_out}"
