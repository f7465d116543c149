"""The engines of a configuration while they run: started with their progress shown, closed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from duplex_model.contract import Engine, TickGrid
from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec, build_engine
from duplex_model.supervision import EnginePhase, EngineState
from interpreter.config.config import EngineConfig
from interpreter.config.default_engine import chosen_engine
from interpreter.errors import InterpreterError

Say = Callable[[str], None]
"""Shows one line to whoever started the command."""


class Stopped(InterpreterError):
    """Somebody asked the command to stop while it was still starting."""


@asynccontextmanager
async def running_engines(
    configs: Mapping[str, EngineConfig], say: Say, stop: asyncio.Event
) -> AsyncIterator[Mapping[str, Engine]]:
    """The configured engines by name, all of them ready and on one tick grid; they start at the same time.

    Args:
        configs: by name.
        say: gets the progress of the start.
        stop: set when they are not wanted any more.

    Raises:
        InterpreterError: one cannot be started.
        Stopped: `stop` was set before they were ready.
        DuplexModelError: (of one in this process) its options cannot be used.
    """
    grid = TickGrid(origin_s=time.monotonic())
    engines: dict[str, Engine] = {}
    starts: list[_Starting] = []
    try:
        for name, config in configs.items():
            starts.append(_Starting(say, "Engine" if len(configs) == 1 else f"Engine {name}"))
            engines[name] = _started(config, grid, starts[-1])
        await first_of(_all_ready(starts), _stopped(stop))
        yield engines
    finally:
        await asyncio.gather(*(asyncio.to_thread(engine.close) for engine in engines.values()))


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Returns when one of `waits` does, or raises what it raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _started(config: EngineConfig, grid: TickGrid, starting: _Starting) -> Engine:
    config = chosen_engine(config)
    assert config.kind is not None
    spec = EngineSpec(kind=config.kind, options=config.options)
    if not config.in_process:
        return EngineProcess(spec, grid=grid, on_state=starting.on_state)
    engine = build_engine(spec, grid=grid, report=starting.on_report)
    starting.built()
    return engine


async def _all_ready(starts: Iterable[_Starting]) -> None:
    await asyncio.gather(*(starting.ready for starting in starts))


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()
    raise Stopped("stopped before the engines were ready")


class _Starting:
    """Follows the start of an engine: shows its progress, and wakes whoever waits for its end.

    Args:
        say: gets the progress.
        label: what the engine is called there.
    """

    PROGRESS_AFTER_S = 1.0

    def __init__(self, say: Say, label: str) -> None:
        self._say = say
        self._label = label
        self._began_s = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done when the engine is ready; an InterpreterError says why it is not going to be."""

    def on_state(self, state: EngineState) -> None:
        """Runs on the engine's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._follow, state)

    def on_report(self, fraction: float, text: str) -> None:
        """Progress of an engine in this process, which is built while everything else waits."""
        self._say(f"{self._label} starting: {text} ({fraction:.0%})")

    def built(self) -> None:
        """An engine in this process is there."""
        self.ready.set_result(None)

    def _follow(self, state: EngineState) -> None:
        if self.ready.done():
            return
        if state.phase is EnginePhase.READY:
            self.ready.set_result(None)
        elif state.phase is EnginePhase.FAILED:
            self.ready.set_exception(
                InterpreterError(f"{self._label}: expected it to start, got: {state.text}")
            )
        elif time.monotonic() - self._began_s >= self.PROGRESS_AFTER_S:
            self._say(f"{self._label} {state.phase.value}: {state.text} ({state.fraction:.0%})")
