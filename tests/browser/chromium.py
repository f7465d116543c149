"""Headless Chromium with a microphone of its own, and recordings of what its page sends and hears."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import BrowserContext, Page, async_playwright

from tests.browser.stimuli import MICROPHONE_RATE_HZ, Pcm

EXECUTABLE = "/usr/bin/chromium"
_HERE = Path(__file__).parent

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
]


@dataclass(frozen=True)
class Recording:
    """Sound on the wall clock."""

    start_s: float
    """Unix time of the first sample."""

    pcm: Pcm
    """48 kHz mono."""

    def between(self, start_s: float, end_s: float) -> Pcm:
        """The samples from `start_s` to `end_s` on the wall clock."""
        first = round((start_s - self.start_s) * MICROPHONE_RATE_HZ)
        last = round((end_s - self.start_s) * MICROPHONE_RATE_HZ)
        if first < 0 or last > len(self.pcm):
            raise ValueError(f"expected times inside {len(self.pcm) / MICROPHONE_RATE_HZ:.2f} s of recording")
        return self.pcm[first:last]


@dataclass
class Participant:
    """One browser, one page, one microphone."""

    page: Page
    context: BrowserContext

    async def record(self, what: str) -> None:
        """Starts recording what the page sends or what it plays."""
        await self.page.evaluate("name => window.testHooks.start(name)", what)

    async def recording(self, what: str, last_s: float) -> Recording:
        """The last seconds of what `record` has recorded."""
        read = await self.page.evaluate("([name, s]) => window.testHooks.read(name, s)", [what, last_s])
        pcm = np.frombuffer(base64.b64decode(read["pcm"]), dtype=np.float32)
        return Recording(read["startMs"] / 1000, pcm)

    async def stats(self, kind: str) -> dict[str, Any]:
        """The page's WebRTC statistics of one type, such as `inbound-rtp`."""
        reports: list[dict[str, Any]] = await self.page.evaluate("() => window.testHooks.stats()")
        return next(report for report in reports if report["type"] == kind)


@asynccontextmanager
async def participant(microphone: Path, *, language: str = "en-US") -> AsyncIterator[Participant]:
    """A browser whose microphone plays `microphone` in a loop; every page of it is recorded on request."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=EXECUTABLE, args=[*_ARGUMENTS, f"--use-file-for-fake-audio-capture={microphone}"]
        )
        # The recorder runs from a blob, which the page's own policy rightly forbids.
        context = await browser.new_context(locale=language, ignore_https_errors=True, bypass_csp=True)
        await context.add_init_script(path=_HERE / "hooks.js")
        page = await context.new_page()
        try:
            yield Participant(page, context)
        finally:
            await browser.close()
