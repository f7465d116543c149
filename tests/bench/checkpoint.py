"""The default checkpoint interpreting two people who talk at once, beside their WebRTC path, on two cores."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from duplex_model.spec import EngineSpec
from interpreter.metrics import Count, MetricsSnapshot, Stage
from tests import netns
from tests.bench import machine
from tests.bench.cpu_per_participant import children, cpu_s
from tests.browser.hosted import HostedMeeting, hosted_meeting

CORES = 2
PEOPLE = 2
SETTLE_S = 5.0
MEASURE_S = 60.0
P99_MS = 60.0
"""What is left of 80 ms then covers the mix, the send and the next tick's lateness."""

ROWS = {
    "engine step": Stage.ENGINE_STEP,
    "whole tick: from the tick to its last answer": Stage.READINESS,
    "mixing": Stage.MIX,
    "tick to its mix's first packet": Stage.CUSHION,
}
FAULTS = (Count.SKIPPED_TICKS, Count.MIXES_WITHOUT_ANSWER, Count.MIXES_MISSED, Count.SESSIONS_FAILED)


@contextmanager
def on_cores(count: int) -> Iterator[set[int]]:
    """This thread, and what it starts, runs on `count` cores; gives the cores left for others, if any."""
    given = os.sched_getaffinity(0)
    ours = set(sorted(given)[:count])
    os.sched_setaffinity(0, ours)
    try:
        yield given - ours or ours
    finally:
        os.sched_setaffinity(0, given)


async def measure() -> None:
    """One call, paced by the meeting's clock at 80 ms a frame; the table is of all of it, the joining included."""
    spec = EngineSpec(kind="neural", options={"checkpoint": DEFAULT, "lanes": PEOPLE})
    with on_cores(CORES) as left:
        async with hosted_meeting(spec, ready_within_s=120) as hosted:
            (engine,) = children(os.getpid())
            crowd = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.bench.crowd", hosted.link, str(PEOPLE)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            os.sched_setaffinity(crowd.pid, left)
            assert crowd.stdin is not None
            assert crowd.stdout is not None
            await crowd.stdout.readline()
            await asyncio.sleep(SETTLE_S)
            before = cpu_s(os.getpid()), cpu_s(engine)
            await asyncio.sleep(MEASURE_S)
            shares = [
                100 * (now - then) / MEASURE_S
                for now, then in zip((cpu_s(os.getpid()), cpu_s(engine)), before, strict=True)
            ]
            crowd.stdin.close()
            await crowd.wait()
            report(hosted, shares, aside=len(left))


def report(hosted: HostedMeeting, shares: list[float], *, aside: int) -> None:
    """Prints the table, and what to think of it."""
    metrics = hosted.meeting.metrics.snapshot()
    print(f"{hosted.engine.capabilities.checkpoint}, {PEOPLE} people and so many sessions, {CORES} cores\n")
    print("| milliseconds | frames | p50 | p99 | max |")
    print("|---|---|---|---|---|")
    for words, stage in ROWS.items():
        row = metrics.stages[stage]
        print(f"| {words} | {row.count} | {row.p50_ms:.1f} | {row.p99_ms:.1f} | {row.max_ms:.1f} |")
    server, engine = shares
    print(
        f"\nCPU: server {server:.0f} %, engine {engine:.0f} % of a core; the callers' own on {aside} cores."
    )
    print(judged(metrics))


def judged(metrics: MetricsSnapshot) -> str:
    """Whether the engine keeps up, and what went wrong."""
    p99_ms = metrics.stages[Stage.READINESS].p99_ms
    verdict = "within" if p99_ms <= P99_MS else "NOT within"
    faults = ", ".join(f"{what.value} {metrics.counts[what]}" for what in FAULTS)
    return f"p99 of the whole tick is {verdict} {P99_MS:.0f} ms; {faults}."


def main() -> None:
    """Runs the benchmark, where there is a checkpoint."""
    if shipped_folder(DEFAULT) is None:
        print(f"Not measured. {NONE_SHIPPED}")
        return
    asyncio.run(measure())


if __name__ == "__main__":
    netns.enter()
    print(machine.describe())
    main()
