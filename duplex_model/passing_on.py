"""Engines and sessions that pass everything on to others: what a wrapper of an engine begins with.

class LoudSession(PassingSession): ...         # overrides what it is there for
engine = PassingEngine(inner, LoudSession)
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from duplex_model.closing import Closing
from duplex_model.contract import (
    Capabilities,
    Engine,
    Pcm,
    Prompt,
    Session,
    Snapshot,
    StepOutput,
    TickGrid,
)


class PassingSession(Closing):
    """See `Session`.

    Args:
        session: what everything is passed on to; closed with this.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """See `Session.feed`."""
        return self._session.feed(frame, concealed=concealed)

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        """See `Session.say`."""
        return self._session.say(text, now=now)

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        self._session.interrupt()

    def snapshot(self) -> Future[Snapshot]:
        """See `Session.snapshot`."""
        return self._session.snapshot()

    def restore(self, snapshot: Snapshot) -> Future[None]:
        """See `Session.restore`."""
        return self._session.restore(snapshot)

    def close(self) -> None:
        """See `Session.close`."""
        self._session.close()


class PassingEngine:
    """See `Engine`.

    Args:
        engine: what everything is passed on to; closed with this.
        wrap: makes of each of its sessions one of this engine's.
    """

    def __init__(self, engine: Engine, wrap: Callable[[Session], Session] = PassingSession) -> None:
        self._engine = engine
        self._wrap = wrap

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`."""
        return self._engine.capabilities

    @property
    def grid(self) -> TickGrid:
        """See `Engine.grid`."""
        return self._engine.grid

    @property
    def sessions_open(self) -> int:
        """See `Engine.sessions_open`."""
        return self._engine.sessions_open

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """See `Engine.open`."""
        return self._wrapped(self._engine.open(prompt, seed=seed), self._wrap)

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.close()

    def _wrapped(self, opening: Future[Session], wrap: Callable[[Session], Session]) -> Future[Session]:
        """The same session in a wrapper, or the same error."""
        opened: Future[Session] = Future()

        def pass_on(done: Future[Session]) -> None:
            error = done.exception()
            if error is not None:
                opened.set_exception(error)
            else:
                opened.set_result(wrap(done.result()))

        opening.add_done_callback(pass_on)
        return opened
