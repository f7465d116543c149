from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.webrtc.hosted.pages import ARGUMENTS


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=15_000)  # a busy machine takes more than the usual 5 s
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield launched
        await launched.close()
