"""Cost of the process boundary: from feeding a frame to its answer, loopback engine, every session each 80 ms.

And what it is there for: how soon the death of the process is noticed, and how soon another one serves.
"""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import Future
from functools import partial

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Engine, Prompt, Session, StepOutput, TickGrid
from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec, build_engine
from duplex_model.supervision import EnginePhase
from tests.bench import machine

TICKS = 150
DEATHS = 5
SESSIONS = (1, 16)


def main() -> None:
    """Prints p50, p99 and the longest of each number of sessions, across the boundary and without it."""
    spec = EngineSpec(kind="loopback", options={"lanes": max(SESSIONS)})
    grid = TickGrid(origin_s=time.monotonic())
    local = build_engine(spec, grid=grid, report=lambda fraction, text: None)
    remote = EngineProcess(spec, grid=grid)
    remote.wait_ready(30.0)
    print("| engine | sessions | p50 ms | p99 ms | max ms | feed() p99 ms |")
    print("|---|---|---|---|---|---|")
    for name, engine in (("in this process", local), ("in its own process", remote)):
        for sessions in SESSIONS:
            answered_ms, fed_ms = measure(engine, sessions)
            figures = [*np.percentile(answered_ms, [50, 99, 100]), np.percentile(fed_ms, 99)]
            print(f"| {name} | {sessions} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
        engine.close()
    noticed_ms, replaced_ms = (np.array(times) for times in zip(*(die() for _ in range(DEATHS)), strict=True))
    print(
        f"\n{DEATHS} killed processes: noticed after {np.median(noticed_ms):.1f} ms, at most {noticed_ms.max():.1f}; "
        f"another one is ready after {np.median(replaced_ms):.0f} ms"
    )


def die() -> tuple[float, float]:
    """Kills an engine's process; milliseconds until its sessions have failed, and until another one serves."""
    at_s: dict[EnginePhase, float] = {}
    engine = EngineProcess(
        EngineSpec(kind="loopback"),
        on_state=lambda state: at_s.__setitem__(state.phase, time.monotonic()),
    )
    engine.wait_ready(30.0)
    engine.open(Prompt(language_in="es", language_out="en"), seed=0).result(30.0)
    assert engine.pid is not None
    killed_s = time.monotonic()
    os.kill(engine.pid, signal.SIGKILL)
    while at_s[EnginePhase.READY] < killed_s:
        time.sleep(0.001)
    engine.close()
    return 1000 * (at_s[EnginePhase.LOST] - killed_s), 1000 * (at_s[EnginePhase.READY] - killed_s)


def measure(engine: Engine, sessions: int) -> tuple[list[float], list[float]]:
    """Feeds `TICKS` ticks on the engine's grid.

    Returns:
        Milliseconds from each call of `feed` to its answer, and to its return.
    """
    prompt = Prompt(language_in="es", language_out="en")
    opened = [engine.open(prompt, seed=n).result(30.0) for n in range(sessions)]
    frame = np.random.default_rng(1).uniform(-1, 1, FRAME_SAMPLES).astype(np.float32)
    answered_ms: list[float] = []
    fed_ms: list[float] = []
    first = engine.grid.next_tick(time.monotonic()) + 1
    for tick in range(first, first + TICKS):
        time.sleep(max(engine.grid.time_of(tick) - time.monotonic(), 0.0))
        asked = [_feed(session, frame, answered_ms, fed_ms) for session in opened]
        for future in asked:
            future.result(30.0)
    for session in opened:
        session.close()
    return answered_ms, fed_ms


def _feed(
    session: Session, frame: np.ndarray, answered_ms: list[float], fed_ms: list[float]
) -> Future[StepOutput]:
    begun_s = time.monotonic()
    future = session.feed(frame)
    fed_ms.append((time.monotonic() - begun_s) * 1000)
    future.add_done_callback(partial(_note, begun_s, answered_ms))
    return future


def _note(begun_s: float, answered_ms: list[float], future: Future[StepOutput]) -> None:
    answered_ms.append((time.monotonic() - begun_s) * 1000)


if __name__ == "__main__":
    print(machine.describe())
    main()
