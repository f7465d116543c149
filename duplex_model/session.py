"""One lane of a batched engine as its owner sees it: a queue of what it was asked, in order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from duplex_model import futures
from duplex_model.closing import Closing
from duplex_model.contract import Capabilities, Pcm, SayCapability, Snapshot, StepOutput, check_frame
from duplex_model.errors import DuplexModelError, SessionClosed, Unsupported
from duplex_model.lanes import check_checkpoint


@dataclass(frozen=True, eq=False)
class Hear:
    """Step this frame."""

    frame: Pcm
    concealed: bool
    received_s: float
    future: Future[StepOutput] = field(default_factory=futures.begun)


@dataclass(frozen=True, eq=False)
class Speak:
    """Speak this text as the interpreter itself; answered when the last frame of it was stepped."""

    text: str
    now: bool
    future: Future[None] = field(default_factory=futures.begun)


@dataclass(frozen=True, eq=False)
class Interrupt:
    """Stop speaking."""

    future: Future[None] = field(default_factory=futures.begun)


@dataclass(frozen=True, eq=False)
class EndInput:
    """The speaker has finished."""

    future: Future[None] = field(default_factory=futures.begun)


@dataclass(frozen=True, eq=False)
class TakeSnapshot:
    """Copy the lane's state out."""

    future: Future[Snapshot] = field(default_factory=futures.begun)


@dataclass(frozen=True, eq=False)
class Restore:
    """Copy a state into the lane."""

    state: bytes
    future: Future[None] = field(default_factory=futures.begun)


Task = Hear | Speak | Interrupt | EndInput | TakeSnapshot | Restore


class Desk(Protocol):
    """Where sessions hand in what they are asked; any thread."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`."""
        ...

    def now_s(self) -> float:
        """Monotonic seconds."""
        ...

    def ask(self, session: NeuralSession, task: Task) -> None:
        """Queues `task`, or fails its future at once when the session has failed.

        Raises:
            SessionClosed: the session was closed.
        """
        ...

    def leave(self, session: NeuralSession) -> None:
        """Gives the lane back."""
        ...


class NeuralSession(Closing):
    """See `Session`. A handle: what is queued, and how the session ended, belong to the desk and its lock."""

    def __init__(self, lane: int, desk: Desk) -> None:
        self.lane = lane
        self.tasks: deque[Task] = deque()
        self.notices: dict[int, Future[None]] = {}
        """Texts being spoken or waiting for it, by the number the model knows them by."""

        self.notices_asked = 0
        self.late_in_a_row = 0
        """Frames stepped after the tick they belong to, since the last one in time."""

        self.waiting_then = 0
        """Frames that waited when `late_in_a_row` began."""

        self.ended: DuplexModelError | None = None
        """Why nothing more can be asked; None while the session lives."""

        self._desk = desk

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """See `Session.feed`."""
        heard = check_frame(frame).copy()  # the caller may reuse its array before the tick
        task = Hear(heard, concealed, self._desk.now_s())
        self._desk.ask(self, task)
        return task.future

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        """See `Session.say`. A text cut off, by `now` or an interruption, counts as said."""
        capabilities = self._desk.capabilities
        if capabilities.say is SayCapability.NO:
            raise Unsupported(f"expected an engine that can say a text, got {capabilities.checkpoint}")
        task = Speak(text, now)
        self._desk.ask(self, task)
        return task.future

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        with suppress(SessionClosed):
            self._desk.ask(self, Interrupt())

    def end_input(self) -> None:
        """See `EndsInput.end_input`."""
        with suppress(SessionClosed):
            self._desk.ask(self, EndInput())

    def snapshot(self) -> Future[Snapshot]:
        """See `Session.snapshot`."""
        task = TakeSnapshot()
        self._desk.ask(self, task)
        return task.future

    def restore(self, snapshot: Snapshot) -> Future[None]:
        """See `Session.restore`. Texts still to be said belong to the state left behind, and count as said."""
        check_checkpoint(snapshot, self._desk.capabilities.checkpoint)
        task = Restore(snapshot.state)
        self._desk.ask(self, task)
        return task.future

    def close(self) -> None:
        """See `Session.close`."""
        self._desk.leave(self)
