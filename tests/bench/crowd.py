"""Joins a hosted room as many speaking participants, in one process: `python -m tests.bench.crowd LINK COUNT`.

Prints a line when all are connected, and leaves when its input ends.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp

from tests import netns
from tests.speaker import Speaker

LANGUAGES = ("en", "es")


async def crowd(link: str, count: int) -> None:
    """Joins, says so, and talks until standard input ends."""
    async with aiohttp.ClientSession() as session:
        speakers = [Speaker(LANGUAGES[index % 2]) for index in range(count)]
        for index, speaker in enumerate(speakers):
            await speaker.join(session, link, f"Speaker {index}")
        talking = [asyncio.create_task(speaker.talk()) for speaker in speakers]
        print("talking", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in talking:
            task.cancel()
        await asyncio.gather(*(speaker.leave() for speaker in speakers))


if __name__ == "__main__":
    netns.enter()
    asyncio.run(crowd(sys.argv[1], int(sys.argv[2])))
