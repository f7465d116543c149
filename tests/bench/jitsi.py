"""The service for Jitsi servers: added delay per packet, and the speaker x language lanes that one core carries.

    python -m tests.bench.jitsi

The service runs as `interpreter serve-jitsi` with the loopback engine, which repeats at once what it hears, in a
process of its own; a bridge connects on this machine. Added delay is counted from a spurt's first packet leaving the
bridge to the first packet of its rendering coming back. The network, the model's own 160 ms and what a language makes
an interpreter wait come on top.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests import netns
from tests.bench.cpu_per_participant import children, cpu_s
from tests.fakes import tone
from tests.jitsi_bridge import PACKET_S, Bridge
from webrtc.room import PACKET_SAMPLES, Pcm

SPURTS = 40
SPURT: Pcm = np.concatenate([tone(500.0, n) for n in range(5)])
SPEAKERS = (2, 4, 8, 16)
LANGUAGES = ("en", "fr")
MEASURE_S = 10.0
CONFIG = """
server: {port: 0}
meeting: {language: es, transcribe: false}
engine: {kind: loopback, options: {lanes: 64}}
logging: {level: error}
"""


class Meter(Bridge):
    """A bridge that notes when talks begin, only counts packets, and encodes each of its own but once."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "bench")
        self.packets = 0
        self.began_s: dict[str, float] = {}
        self._payloads: dict[bytes, str] = {}

    def _encoded(self, tag: str, pcm: Pcm) -> str:
        key = pcm.tobytes()
        if key not in self._payloads:
            self._payloads[key] = super()._encoded(tag, pcm)
        return self._payloads[key]

    def _take_start(self, start: dict[str, Any]) -> None:
        self.began_s[start["tag"]] = asyncio.get_running_loop().time()

    def _take_media(self, media: dict[str, Any]) -> None:
        self.packets += 1

    def _take_stop(self, stop: dict[str, Any]) -> None:
        del self.began_s[stop["tag"]]


@asynccontextmanager
async def service() -> AsyncIterator[tuple[str, int]]:
    """Its address, and its process."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "bench.yaml"
        config.write_text(CONFIG)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "interpreter", "serve-jitsi", "--config", str(config)),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        async for line in process.stdout:
            if b"TEMPLATE=" in line:
                yield line.decode().strip().partition("=")[2], process.pid
                break
        process.terminate()
        await process.wait()


async def added_delay_ms(url: str) -> list[float]:
    """Of each spurt."""
    delays_ms = []
    async with Meter(url) as bridge:
        await bridge.sources(["a-a0"], ["a-a0.en"])
        await asyncio.sleep(0.5)
        for n in range(SPURTS):
            sent_s = asyncio.get_running_loop().time()
            await bridge.speak({"a-a0": SPURT})
            await bridge.until(lambda: "a-a0.en" in bridge.began_s)
            delays_ms.append(1000 * (bridge.began_s["a-a0.en"] - sent_s))
            await bridge.until(lambda: not bridge.began_s)
            pause_packets = 30 + n % 4  # not in step with the ticks
            await asyncio.sleep(pause_packets * PACKET_S)
            waited_s = asyncio.get_running_loop().time() - sent_s
            skipped = round(waited_s / PACKET_S) - len(SPURT) // PACKET_SAMPLES
            bridge._timestamps["a-a0"] += 960 * skipped
    return delays_ms


async def row(url: str, pid: int, speakers: int) -> str:
    """One row of the table: everybody speaks all the time, and is asked for in every language."""
    (engine,) = children(pid)
    async with Meter(url) as bridge:
        tags = [f"s{n}-a0" for n in range(speakers)]
        await bridge.sources(tags, [f"{tag}.{language}" for tag in tags for language in LANGUAGES])
        seconds = MEASURE_S + 4
        voice = np.tile(tone(500.0), round(seconds / 0.08))
        speaking = asyncio.create_task(bridge.speak(dict.fromkeys(tags, voice)))
        await asyncio.sleep(2)
        before = cpu_s(pid), cpu_s(engine), bridge.packets
        await asyncio.sleep(MEASURE_S)
        after = cpu_s(pid), cpu_s(engine), bridge.packets
        await speaking
    lanes = speakers * len(LANGUAGES)
    main, child, packets = (now - then for now, then in zip(after, before, strict=True))
    share = packets / (lanes * MEASURE_S / PACKET_S)
    load = 100 * main / MEASURE_S
    carried = f"{100 * lanes / load:.0f}" if share >= 0.99 else "the machine was too busy"
    return (
        f"| {speakers} x {len(LANGUAGES)} | {load:.0f} | {load / lanes:.1f} | {carried} | "
        f"{100 * child / MEASURE_S:.0f} | {100 * share:.1f} |"
    )


async def tables() -> None:
    """Prints both."""
    async with service() as (url, pid):
        delays_ms = np.array(await added_delay_ms(url))
        p50, p95 = np.percentile(delays_ms, [50, 95])
        print(
            f"Added delay of {len(delays_ms)} spurts: {p50:.0f} ms in the middle, 95 % within {p95:.0f} ms, "
            f"least {delays_ms.min():.0f} ms.\n"
        )
        columns = "speakers x languages | service, % of a core | per lane | lanes a core would carry"
        print(f"| {columns} | engine, % of a core | packets that came, % |")
        print("|---|---|---|---|---|---|")
        for speakers in SPEAKERS:
            print(await row(url, pid, speakers), flush=True)


def main() -> None:
    """Runs the benchmark."""
    asyncio.run(tables())


if __name__ == "__main__":
    netns.enter()
    main()
