"""The guest in a Jitsi meeting: time from joining to the first sound a session hears, and CPU per remote speaker.

    python -m tests.bench.jitsi_guest

The server is the tests' own: Prosody, with a focus and a bridge made for them, on this machine. So no network is in
the times, and no server that others use. Where the interpreter's CPU is measured it runs as `interpreter join` with the
loopback engine, in a process of its own; everybody speaks all the time, and is rendered into the other language.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests import netns
from tests.bench.cpu_per_participant import children, cpu_s
from tests.jitsi.guest import guest
from tests.jitsi.server import JitsiServer, jitsi_server

JOINS = 10
SPEAKERS = (2, 4, 8, 15)
MEASURE_S = 10.0
CONFIG = """
engine: {kind: loopback, options: {lanes: 32}}
meeting: {language: es, transcribe: false, spoken_notices: none}
join: {people: [{name: "Ben*", language: en}], captions: "off"}
logging: {level: error}
"""


async def people_in(server: JitsiServer, count: int) -> None:
    """So many join and speak; one of them listens."""
    for n in range(count):
        name = f"{'Ben' if n % 2 else 'Ana'} {n}"
        await server.join("room", name, tone_hz=300 + 60 * n, listening=n == 0)


async def first_sound_ms() -> list[float]:
    """Of each join, from entering the room to the first frame with sound in a session."""
    times_ms = []
    async with jitsi_server() as server:
        await people_in(server, 2)
        for _ in range(JOINS):
            began_s = time.monotonic()
            async with guest(server) as g:
                await g.until(
                    lambda g=g: any(  # type: ignore[misc]
                        frame.any() for session in g.engine.sessions.values() for frame in session.heard
                    ),
                    every_s=0.005,
                )
                times_ms.append(1000 * (time.monotonic() - began_s))
            conference = server.conference("room")
            await conference.until(lambda: server.strangers("room") == set())
    return times_ms


async def row(count: int) -> str:
    """One row of the table."""
    async with jitsi_server() as server:
        await people_in(server, count)
        with TemporaryDirectory() as folder:
            config = Path(folder) / "bench.yaml"
            config.write_text(CONFIG)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "interpreter", "join", server.meeting_url("room"), "--config", str(config)),
                stdout=asyncio.subprocess.DEVNULL,
            )
            for name in ("Interpreter · English", "Interpreter · Español"):
                await server.conference("room").session_of(name)
            await asyncio.sleep(4)
            [engine] = children(process.pid)
            before = cpu_s(process.pid), cpu_s(engine)
            await asyncio.sleep(MEASURE_S)
            after = cpu_s(process.pid), cpu_s(engine)
            heard = len(
                server.leg("room", server.conference("room").by_name("Interpreter · English").nick).forwarded
            )
            process.terminate()
            await process.wait()
    main, child = (100 * (now - then) / MEASURE_S for now, then in zip(after, before, strict=True))
    return f"| {count} | {main:.0f} | {main / count:.1f} | {child:.0f} | {heard} |"


async def tables() -> None:
    """Prints both."""
    times_ms = np.array(await first_sound_ms())
    print(
        f"From joining to the first sound in a session, {len(times_ms)} times: {np.median(times_ms):.0f} ms in the "
        f"middle, {times_ms.min():.0f} to {times_ms.max():.0f} ms.\n"
    )
    print(
        "| speakers | interpreter, % of a core | per speaker | engine, % of a core | sources forwarded to it |"
    )
    print("|---|---|---|---|---|")
    for count in SPEAKERS:
        print(await row(count), flush=True)


def main() -> None:
    """Runs the benchmark."""
    asyncio.run(tables())


if __name__ == "__main__":
    netns.enter()
    main()
