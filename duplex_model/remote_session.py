"""A session whose lane is in another process: it turns calls into requests, and requests wait here for answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from duplex_model.closing import Closing
from duplex_model.contract import Pcm, Session, Snapshot, StepOutput, check_frame
from duplex_model.errors import SessionFailed, Unsupported, WireError
from duplex_model.lanes import check_checkpoint
from duplex_model.messages import Done, EndInput, Feed, Interrupt, Open, Output, Restore, Say, TakeSnapshot

Asked = Open | Feed | Say | TakeSnapshot | Restore
"""Requests that are answered."""

Told = Interrupt | EndInput
"""Requests that are not."""


@dataclass(frozen=True)
class Calls:
    """What a session asks of the engine it belongs to."""

    ask: Callable[[RemoteSession, Callable[[int], Asked]], Future[Any]]
    """Sends the request made for an id; its answer."""

    tell: Callable[[RemoteSession, Told], None]
    close: Callable[[RemoteSession], None]


class RemoteSession(Closing):
    """A lane in the engine's process; see `Session`."""

    def __init__(self, calls: Calls, number: int, checkpoint: str, can_say: bool) -> None:
        self.number = number
        self.checkpoint = checkpoint
        # The engine's lock guards these three.
        self.closed = False
        self.failure: SessionFailed | None = None
        self.pending: dict[int, Pending] = {}
        self._calls = calls
        self._can_say = can_say

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """See `Session.feed`; never blocks."""
        pcm = check_frame(frame)
        return self._calls.ask(self, lambda id: Feed(id, self.number, pcm, concealed))

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        """See `Session.say`.

        Raises:
            Unsupported: also for a text that is too long to send, or that UTF-8 cannot carry.
        """
        if not self._can_say:
            raise Unsupported(f"expected an engine that can say a text, got {self.checkpoint}")
        return self._calls.ask(self, lambda id: Say(id, self.number, text, now))

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        self._calls.tell(self, Interrupt(self.number))

    def end_input(self) -> None:
        """See `EndsInput.end_input`; nothing changes where the engine's session cannot be told."""
        self._calls.tell(self, EndInput(self.number))

    def snapshot(self) -> Future[Snapshot]:
        """See `Session.snapshot`."""
        return self._calls.ask(self, lambda id: TakeSnapshot(id, self.number))

    def restore(self, snapshot: Snapshot) -> Future[None]:
        """See `Session.restore`."""
        check_checkpoint(snapshot, self.checkpoint)
        state = snapshot.state
        return self._calls.ask(self, lambda id: Restore(id, self.number, self.checkpoint, state))

    def close(self) -> None:
        """See `Session.close`."""
        self._calls.close(self)


@dataclass(frozen=True)
class Pending:
    """A request that was sent and not answered."""

    request: Asked
    session: RemoteSession
    future: Future[Any]
    sent_s: float

    def result(self, reply: Output | Done) -> object:
        """What the future is answered with; `WireError` when the reply does not fit the request."""
        if isinstance(self.request, Feed) != isinstance(reply, Output):
            raise WireError(
                f"expected the answer to {type(self.request).__name__}, got {type(reply).__name__}"
            )
        if isinstance(reply, Output):
            return reply.output
        match self.request:
            case Open():
                session: Session = self.session
                return session
            case TakeSnapshot():
                return Snapshot(self.session.checkpoint, reply.state)
            case _:
                return None
