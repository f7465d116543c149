"""A browser on the page of a hosted room, used by keyboard and by accessible names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from playwright.async_api import Browser, Locator, Page, expect

from tests.webrtc.hosted.fakes import GOOD_SDP, FakePeer
from webrtc.hosted import HostedSettings, Language
from webrtc.peer import IceSettings, Peer
from webrtc.room import IncomingAudio, OutgoingAudio
from webrtc.tracks import Fill

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
]
LANGUAGES = (
    Language(tag="en", label="English"),
    Language(tag="es", label="español"),
    Language(tag="ar", label="العربية"),
)
SETTINGS = HostedSettings(languages=LANGUAGES, max_participants=3)


class EitherPeer:
    """A real peer for browsers, a fake one for `FakePage`."""

    def __init__(
        self, *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
    ) -> None:
        self.fake = partial(FakePeer, on_audio=on_audio, on_closed=on_closed)
        self.peer: Peer | FakePeer = Peer(
            ice=IceSettings(), fill=Fill.COMFORT_NOISE, on_audio=on_audio, on_closed=on_closed
        )

    @property
    def outgoing(self) -> OutgoingAudio:
        return self.peer.outgoing

    async def answer(self, offer_sdp: str) -> str:
        if offer_sdp == GOOD_SDP:
            await self.peer.close()
            self.peer = self.fake()
        return await self.peer.answer(offer_sdp)

    def attest(self, line: str) -> None:
        self.peer.attest(line)

    async def close(self) -> None:
        await self.peer.close()


async def open_page(browser: Browser, url: str, locale: str = "en-US") -> Page:
    context = await browser.new_context(locale=locale)
    page = await context.new_page()
    page.set_default_timeout(15_000)
    await page.goto(url)
    return page


async def join(page: Page, name: str) -> None:
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Join", exact=True).click()


async def expect_problem(page: Page, *sentences: str) -> Locator:
    """Each sentence is said in an alert, which is returned."""
    alert = page.get_by_role("alert").filter(has_text=sentences[0])
    for sentence in sentences:
        await expect(alert).to_contain_text(sentence)
    return alert


async def tab_to(page: Page, wanted: Locator) -> None:
    """Walks there by keyboard; everything on the way must show its focus."""
    for _ in range(20):
        await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", await page.evaluate("document.activeElement.outerHTML")
        if await wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"expected to reach {wanted} by the Tab key")
