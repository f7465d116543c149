"""CPU of the server and of its engine process, with 2, 4, 8 and 16 participants who all talk at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from duplex_model.spec import EngineSpec
from interpreter.metrics import Count, Stage
from tests import netns
from tests.browser.hosted import hosted_meeting

COUNTS = (2, 4, 8, 16)
MEASURE_S = 10.0


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, user and system (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


async def measure(count: int) -> str:
    """One row of the table."""
    async with hosted_meeting(EngineSpec(kind="loopback", options={"lanes": 32})) as hosted:
        (engine,) = children(os.getpid())
        crowd = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.bench.crowd", hosted.link, str(count)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        await crowd.stdout.readline()
        await asyncio.sleep(2)
        before = cpu_s(os.getpid()), cpu_s(engine)
        await asyncio.sleep(MEASURE_S)
        server, child = (
            100 * (now - then) / MEASURE_S
            for now, then in zip((cpu_s(os.getpid()), cpu_s(engine)), before, strict=True)
        )
        crowd.stdin.close()
        await crowd.wait()
        metrics = hosted.meeting.metrics.snapshot()
    readiness, missed = metrics.stages[Stage.READINESS], metrics.counts.get(Count.SKIPPED_TICKS, 0)
    return (
        f"| {count} | {server:.0f} | {server / count:.1f} | {child:.0f} | {readiness.p50_ms:.1f} / "
        f"{readiness.p99_ms:.1f} | {missed} |"
    )


async def table() -> None:
    """Prints a row for each size of meeting."""
    columns = (
        "participants | server, % of a core | per participant | engine process | tick to ready p50 / p99, ms"
    )
    print(f"| {columns} | ticks skipped |")
    print("|---|---|---|---|---|---|")
    for count in COUNTS:
        print(await measure(count), flush=True)


def main() -> None:
    """Runs the benchmark."""
    asyncio.run(table())


if __name__ == "__main__":
    netns.enter()
    main()
