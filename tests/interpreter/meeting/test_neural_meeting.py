"""`interpreter run --checkpoint` with a tiny random model: people in the room hear and read what it says."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from tests.duplex_model.tiny_checkpoint import tiny_config, write_tiny_checkpoint
from tests.speaker import Speaker

pytestmark = pytest.mark.media


@asynccontextmanager
async def running(checkpoint: Path) -> AsyncIterator[tuple[Process, str, list[str]]]:
    """The command, the link it prints, and its lines before that."""
    command = ("-m", "interpreter", "run", "--checkpoint", str(checkpoint), "--port", "0")
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE)
    assert process.stdout is not None
    lines: list[str] = []
    try:
        while not lines or not lines[-1].startswith("Open "):
            line = await process.stdout.readline()
            assert line, f"the command ended after {lines}"
            lines.append(line.decode().strip())
        yield process, lines[-1].split()[1], lines
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - two sources of events, bounded by the time-out
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_model_speaks_in_the_room_and_leaves_nothing_running(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, tiny_config())
    async with running(tmp_path) as (process, link, lines), aiohttp.ClientSession() as session:
        assert "Engine tiny, licence Apache-2.0." in lines
        people = [Speaker("en"), Speaker("es")]
        for person, name in zip(people, ("Ben", "Ana"), strict=True):
            await person.join(session, link, name)
        talking = [asyncio.create_task(person.talk()) for person in people]
        for person in people:
            await until(lambda person=person: any(told["type"] == "caption" for told in person.told))
            await until(lambda person=person: bool(person.heard) and np.abs(person.heard[-1]).max() > 0.01)
            notices = [told["id"] for told in person.told if told["type"] == "notice" and told["text"]]
            assert not set(notices) - {"test-engine"}, "nobody was told of a fault"
        for task in talking:
            task.cancel()
        await asyncio.gather(*(person.leave() for person in people))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
