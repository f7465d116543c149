"""Engines that misbehave when told, on a manual clock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from duplex_model.contract import (
    Capabilities,
    Engine,
    Pcm,
    Prompt,
    Session,
    Snapshot,
    StepFlag,
    StepOutput,
    StepTiming,
    TickGrid,
    check_frame,
)
from duplex_model.errors import EngineDied, EngineFull, SessionClosed, SessionFailed, Unsupported

Say = Callable[[Prompt, Pcm], tuple[Pcm, str]]
"""What a session says, from its prompt and the frame heard: pcm and text."""


def echo(prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
    return frame.copy(), ""


class PuppetSession:
    """A session that answers at once, or when its engine says `answer`."""

    def __init__(self, engine: PuppetEngine, prompt: Prompt, seed: int) -> None:
        self.engine = engine
        self.prompt = prompt
        self.seed = seed
        self.heard: list[Pcm] = []
        self.closed = False
        self.held: list[tuple[Future[StepOutput], Pcm]] = []

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        check_frame(frame)
        if self.closed:
            raise SessionClosed("closed")
        if self.engine.dead:
            raise EngineDied("dead")
        self.heard.append(frame)
        future: Future[StepOutput] = Future()
        self.held.append((future, frame))
        if not self.engine.holding:
            self.answer()
        return future

    def answer(self, frames: int | None = None) -> None:
        """Answers the oldest held frames, all of them by default."""
        for _ in range(len(self.held) if frames is None else min(frames, len(self.held))):
            future, frame = self.held.pop(0)
            pcm, text = self.engine.say(self.prompt, frame)
            now_s = self.engine.now_s()
            timing = StepTiming(received_s=now_s, started_s=now_s, finished_s=now_s)
            flags = StepFlag.UNSURE if self.engine.unsure(self.prompt) else StepFlag.NONE
            future.set_result(StepOutput(pcm=pcm, text=text, timing=timing, flags=flags))

    def fail(self, error: Exception | None = None) -> None:
        """Every held frame, and from now on the session, has failed."""
        self.closed = True
        held, self.held = self.held, []
        for future, _ in held:
            future.set_exception(error or SessionFailed("this lane failed"))

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        raise Unsupported("a puppet says nothing of its own")

    def interrupt(self) -> None:
        self.held.clear()

    def snapshot(self) -> Future[Snapshot]:
        raise Unsupported("a puppet has no state")

    def restore(self, snapshot: Snapshot) -> Future[None]:
        raise Unsupported("a puppet has no state")

    def close(self) -> None:
        self.fail(SessionClosed("closed"))
        self.engine.sessions.pop(id(self), None)

    def __enter__(self) -> PuppetSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class PuppetEngine:
    """An engine whose faults a test pulls by strings."""

    def __init__(
        self,
        grid: TickGrid,
        now_s: Callable[[], float],
        *,
        say: Say = echo,
        lanes: int = 256,
        languages: dict[str, frozenset[str]] | None = None,
    ) -> None:
        self._grid = grid
        self.now_s = now_s
        self.say = say
        self.holding = False
        self.dead = False
        self.unsure: Callable[[Prompt], bool] = lambda prompt: False
        self.sessions: dict[int, PuppetSession] = {}
        self.opened: list[PuppetSession] = []
        self._capabilities = Capabilities(
            checkpoint="puppet",
            licence="ours",
            languages=languages or {"*": frozenset({"*"})},
            translates=True,
            lanes=lanes,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def grid(self) -> TickGrid:
        return self._grid

    @property
    def sessions_open(self) -> int:
        return len(self.sessions)

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        if self.dead:
            raise EngineDied("dead")
        if len(self.sessions) >= self._capabilities.lanes:
            raise EngineFull("no lane is free")
        session = PuppetSession(self, prompt, seed)
        self.sessions[id(session)] = session
        self.opened.append(session)
        future: Future[Session] = Future()
        future.set_result(session)
        return future

    def answer(self, frames: int | None = None) -> None:
        for session in list(self.sessions.values()):
            session.answer(frames)

    def die(self) -> None:
        self.dead = True
        for session in list(self.sessions.values()):
            session.fail(EngineDied("dead"))
        self.sessions.clear()

    def close(self) -> None:
        self.die()


def hum(hz_by_language: dict[str, float]) -> Say:
    """Sessions that hum at the pitch of their output language while they hear sound."""

    def say(prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
        n = np.arange(frame.size)
        hz = hz_by_language[prompt.language_out]
        sound = 0.1 * np.sin(2.0 * np.pi * hz * n / 24_000) if frame.any() else np.zeros(frame.size)
        return sound.astype(np.float32), ""

    return say


_is_an_engine: type[Engine] = PuppetEngine
