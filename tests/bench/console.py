"""The operator console's server: its share of a core beside a meeting of 16 people in 32 directions.

    python -m tests.bench.console

Everybody hums one second and is silent for the next, every session says a word in every frame, and pages follow the
room while the meeting goes on at its real pace. The share is the CPU time of the thread that holds the meeting and
serves the console, less that of the same meeting with no console. The pages are read in a thread of their own, whose
time does not count.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np
from aiohttp import ClientSession

from duplex_model.contract import Pcm, Prompt
from interpreter.console.server import SUBPROTOCOL
from tests.fakes import FRAME_S, tone
from tests.interpreter.console.console_stage import OPERATOR, TOKENS, Consoles, console
from tests.interpreter.meeting_stage import Stage, stage

PEOPLE, LANGUAGES = 16, ("en", "es", "fr")
SECONDS = 20.0
WARM_UP_S = 3.0
PAGES = (1, 3)
LIMIT = 0.05


@dataclass
class Read:
    """What pages were sent."""

    messages: int = 0
    characters: int = 0


def main() -> None:
    alone = asyncio.run(_without())
    print(f"Meeting alone: {alone:.1%} of a core.\n")
    print("| pages | of a core, with the meeting | the console's share | kB/s to each page | messages/s |")
    print("|--:|--:|--:|--:|--:|")
    worst = 0.0
    for pages in PAGES:
        read = Read()
        both = asyncio.run(_with(pages, read))
        worst = max(worst, both - alone)
        print(
            f"| {pages} | {both:.1%} | {both - alone:.1%} | {read.characters / SECONDS / pages / 1000:.1f} "
            f"| {read.messages / SECONDS / pages:.1f} |"
        )
    print(f"\n{'Within' if worst <= LIMIT else 'ABOVE'} the limit of {LIMIT:.0%} of a core.")


async def _without() -> float:
    async with stage() as h:
        await crowd(h)
        return await load(h)


async def _with(pages: int, read: Read) -> float:
    async with console() as at:
        await crowd(at.stage)
        stop = threading.Event()
        reader = threading.Thread(target=_read, args=(at, pages, read, stop))
        reader.start()
        try:
            return await load(at.stage)
        finally:
            stop.set()
            await asyncio.to_thread(reader.join)


async def crowd(h: Stage) -> None:
    """Has everybody come in."""
    h.engine.say = _words()
    for n in range(PEOPLE):
        h.join(f"p{n:02}", LANGUAGES[n % len(LANGUAGES)], 300.0 + 25.0 * n, speaking=n % 2 == 0)
    await h.ticks(3)
    assert len(h.meeting.overview().directions) == 2 * PEOPLE


def _words() -> Callable[[Prompt, Pcm], tuple[Pcm, str]]:
    """What every session says: a word a frame, and its sound while somebody hums."""
    sound, silence = tone(1_000.0), np.zeros_like(tone(1_000.0))

    def say(prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
        return (sound if frame.any() else silence), " word"

    return say


async def load(h: Stage) -> float:
    """Share of a core that this thread takes while the meeting goes on at its real pace."""
    ticks, began_s, measured_s = 0, time.monotonic(), 0.0
    warm = round(WARM_UP_S / FRAME_S)
    while ticks < warm + round(SECONDS / FRAME_S):
        if ticks == warm:
            measured_s = time.thread_time()
        if ticks % 12 == 0:
            for n, mouth in enumerate(h.mouths.values()):
                mouth.speaking = (ticks // 12 + n) % 2 == 0
        await h.ticks(1)
        ticks += 1
        await asyncio.sleep(max(0.0, began_s + ticks * FRAME_S - time.monotonic()))
    return (time.thread_time() - measured_s) / SECONDS


def _read(at: Consoles, pages: int, read: Read, stop: threading.Event) -> None:
    async def page(client: ClientSession) -> None:
        headers = {"Authorization": f"Bearer {TOKENS[OPERATOR]}"}
        async with client.post(f"{at.url}/api/tickets", headers=headers) as response:
            ticket = (await response.json())["ticket"]
        async with client.ws_connect(
            f"{at.url}/api/socket",
            protocols=[SUBPROTOCOL, f"ticket.{ticket}"],
            headers={"Origin": at.url},
            max_msg_size=0,
        ) as socket:
            await socket.send_json({"type": "watch", "room": at.room.id})
            began_s = time.monotonic()
            async for message in socket:
                if WARM_UP_S <= time.monotonic() - began_s < WARM_UP_S + SECONDS:
                    read.messages += 1
                    read.characters += len(message.data)
                if stop.is_set():
                    return

    async def all_pages() -> None:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(ClientSession())
            await asyncio.gather(*(page(client) for _ in range(pages)))

    asyncio.run(all_pages())


if __name__ == "__main__":
    main()
