"""How a host leads a meeting: the page in a real browser, by keyboard, before a double."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession
from playwright.async_api import Browser, Locator, Page, expect

from tests.webrtc.hosted.double import MeetingDouble, meeting_double
from tests.webrtc.hosted.fakes import FakePage
from tests.webrtc.hosted.pages import SETTINGS, EitherPeer, expect_problem, join, open_page, tab_to
from webrtc.hosted import HostedRoom, HostedServer
from webrtc.room import CommandArgument

pytestmark = [pytest.mark.browser, pytest.mark.media]

SMALL_CONTROLS = (
    "[...document.querySelectorAll('button, select, .check, input[type=range]')]"
    ".map(element => element.getBoundingClientRect())"
    ".filter(box => box.height && (box.height < 44 || box.width < 44)).length"
)


@dataclass
class Lead:
    """Eva at a page that was opened by the host's link, Ana a page without a browser, and who answers them."""

    page: Page
    server: HostedServer
    room: HostedRoom
    double: MeetingDouble

    @property
    def card(self) -> Locator:
        return self.page.get_by_role("region", name="Host", exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def expect_answer(self, text: str) -> None:
        """Said politely, where it was asked."""
        await expect(self.card.get_by_role("status").filter(has_text=text)).to_be_visible()

    async def expect_given(self, *wanted: tuple[str, dict[str, CommandArgument]]) -> None:
        """Exactly this was asked since the last time."""
        for _ in range(100):
            if len(self.double.given) >= len(wanted):
                break
            await self.page.wait_for_timeout(50)
        assert self.double.given == list(wanted)
        self.double.given.clear()


@asynccontextmanager
async def clinic() -> AsyncIterator[tuple[HostedServer, HostedRoom, MeetingDouble]]:
    async with (
        HostedServer(SETTINGS, EitherPeer) as server,
        server.add_room("Clinic") as room,
        meeting_double(room) as double,
    ):
        yield server, room, double


@asynccontextmanager
async def leading(browser: Browser) -> AsyncIterator[Lead]:
    async with clinic() as (server, room, double), ClientSession() as client:
        ana = await FakePage.open(client, server.link(room))
        await ana.join("Ana", "es")
        page = await open_page(browser, server.host_link(room))
        await expect(page.get_by_text("With this link you join as a host.")).to_be_visible()
        await join(page, "Eva")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        yield Lead(page, server, room, double)


async def test_a_host_leads_by_keyboard(browser: Browser) -> None:
    async with leading(browser) as eva:
        page = eva.page
        pause, resume = eva.button("Pause the interpreter"), eva.button("Resume the interpreter")
        await expect(eva.card).to_contain_text("What you do here holds for everybody in the room.")
        await tab_to(page, pause)
        await page.keyboard.press("Enter")
        await expect(resume).to_be_focused()
        await eva.expect_answer("Done: pause.")
        await expect(page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(pause).to_be_focused()
        await eva.expect_given(("pause", {}), ("resume", {}))

        for name in ("Ask for short sentences", "Stop interpreting everybody", "Interpret everybody again"):
            await tab_to(page, eva.button(name))
            await page.keyboard.press("Space")
            await expect(eva.button(name)).to_have_attribute("aria-disabled", "false")
        everybody: dict[str, CommandArgument] = {"participant": "all"}
        await eva.expect_given(("slower", {}), ("stop", everybody), ("start", everybody))

        mode = eva.card.get_by_role("combobox", name="How it interprets")
        await tab_to(page, mode)
        await expect(mode).to_have_value("consecutive")
        await page.keyboard.press("ArrowDown")
        await expect(mode).to_have_value("captions")
        eva.double.tell()  # what somebody is choosing is left alone
        eva.double.lamp = eva.double.lamp.CAPTIONS
        eva.double.tell()
        await expect(page.get_by_role("status").filter(has_text="Captions only")).to_be_visible()
        await expect(mode).to_have_value("captions")
        assert eva.double.given == [], "walking through the choices asks for nothing"
        await tab_to(page, eva.button("Change mode"))
        await page.keyboard.press("Enter")
        await eva.expect_answer("Done: mode.")
        await expect(page.get_by_role("region", name="Interpreter", exact=True)).to_contain_text(
            "Captions only: it writes and does not speak."
        )
        await eva.expect_given(("mode", {"mode": "captions"}))

        role = eva.card.get_by_role("combobox", name="Role")
        await tab_to(page, role)
        await expect(role.locator("option")).to_have_text(
            ["Plain-language relay", "Medical visit, turn by turn (voice: clara)"]
        )
        await expect(role).to_have_value("medical-consecutive")
        await page.keyboard.press("ArrowUp")
        await tab_to(page, eva.button("Change role"))
        await page.keyboard.press("Enter")
        await eva.expect_answer("Done: role.")
        await eva.expect_given(("role", {"name": "relay"}))
        eva.double.role = "a-file-of-ones-own"
        eva.double.tell()
        await expect(role).to_have_value("a-file-of-ones-own")


async def test_what_everybody_notices_is_asked_once_more(browser: Browser) -> None:
    async with leading(browser) as eva:
        page = eva.page
        handover = eva.button("Hand over to a human")
        dialog = page.get_by_role("dialog", name="Hand over to a human?")
        await tab_to(page, handover)
        for taken_back in ("Enter", "Escape"):
            await page.keyboard.press("Enter")
            await expect(dialog).to_have_accessible_description(
                "The AI interpreter falls silent for everybody. It goes on writing captions."
            )
            await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
            await page.keyboard.press(taken_back)
            await expect(dialog).to_be_hidden()
            await expect(handover).to_be_focused()
        assert eva.double.given == []
        await page.keyboard.press("Enter")
        await tab_to(page, dialog.get_by_role("button", name="Hand over to a human"))
        await page.keyboard.press("Enter")
        await eva.expect_answer("Done: handover.")
        back = eva.button("Back to the AI interpreter")
        await expect(back).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(handover).to_be_focused()
        await eva.expect_given(("handover", {}), ("handback", {}))

        await tab_to(page, eva.button("End the interpretation"))
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="End the interpretation?")
        await tab_to(page, dialog.get_by_role("button", name="End the interpretation"))
        await page.keyboard.press("Space")
        await eva.expect_answer("Done: close.")
        await expect(eva.card).to_contain_text("The interpretation has ended.")
        await expect(eva.card.get_by_role("heading", name="Host")).to_be_focused()
        await expect(eva.card.get_by_role("button")).to_have_count(0)
        await eva.expect_given(("close", {}))


async def test_what_is_refused_or_not_answered_is_said_to_the_host(browser: Browser) -> None:
    async with leading(browser) as eva:
        page = eva.page
        eva.double.refuses = {"mode": "Not in this room."}
        mode = eva.card.get_by_role("combobox", name="How it interprets")
        await mode.select_option("simultaneous")
        await eva.button("Change mode").press("Enter")
        await eva.expect_answer("Not in this room.")
        await expect(page.locator("#host-reply")).to_have_attribute("data-accepted", "false")
        await expect(mode).to_have_value("consecutive")

        eva.double.silent = True
        await page.clock.install()
        slower = eva.button("Ask for short sentences")
        for _ in range(2):
            await slower.press("Enter")
        await expect(slower).to_have_attribute("aria-disabled", "true")
        await page.clock.run_for(9_000)
        await eva.expect_answer("The interpreter did not answer. Please try again.")
        await expect(slower).to_have_attribute("aria-disabled", "false")
        await eva.expect_given(("mode", {"mode": "simultaneous"}), ("slower", {}))


async def test_the_card_is_spanish_small_and_kept_apart_from_participants(browser: Browser) -> None:
    async with leading(browser) as eva:
        page = eva.page
        await page.get_by_label("Page language").select_option("es")
        card = page.get_by_role("region", name="Dirigir la reunión")
        await expect(card.get_by_role("combobox", name="Perfil").locator("option")).to_have_text(
            ["Plain-language relay", "Consulta médica, por turnos (voz: clara)"]
        )
        await expect(card.get_by_role("combobox", name="Cómo interpreta").locator("option")).to_have_text(
            ["Simultánea", "Consecutiva", "Solo subtítulos"]
        )
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        assert await page.evaluate(SMALL_CONTROLS) == 0, "every control is at least 44 pixels wide and high"
        await page.get_by_role("button", name="Terminar la interpretación", exact=True).press("Enter")
        dialog = page.get_by_role("dialog", name="¿Terminar la interpretación?")
        await expect(dialog).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        assert await page.evaluate(SMALL_CONTROLS) == 0, "nor in the dialog"

        other = await open_page(browser, eva.server.link(eva.room))
        await join(other, "Ben")
        await other.get_by_role("status").filter(has_text="Connected").wait_for()
        await expect(other.get_by_role("region", name="Interpreter", exact=True)).to_be_visible()
        await expect(other.locator("#host")).to_be_hidden()
        assert await other.evaluate("roomState.meeting.choices") == []


async def test_the_key_leaves_the_address_at_once_and_stays_with_the_tab(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with clinic() as (server, room, double):
        page = await browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        await page.goto(server.host_link(room))
        for _ in range(2):
            await expect(page.get_by_text("With this link you join as a host.")).to_be_visible()
            assert page.url == server.link(room)
            await page.reload()
        await join(page, "Eva")
        await expect(page.locator("#host")).to_be_visible()
        (connection,) = server._connections  # no other way to break it as a network would
        assert connection._transport is not None
        first = await page.evaluate("roomState.id")
        connection._transport.abort()
        await page.wait_for_function("first => roomState.id !== first", arg=first)
        await expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        await page.get_by_role("button", name="Pause the interpreter").press("Enter")
        await expect(page.get_by_role("button", name="Resume the interpreter")).to_be_visible()
        assert double.given[-1] == ("pause", {})
        assert len(asked) >= 4
        assert not any(room.host_token in url for url in asked)
        assert room.host_token not in caplog.text

        await page.get_by_role("button", name="Leave").press("Enter")
        await page.get_by_role("button", name="Join again").press("Enter")
        await expect(page.get_by_text("With this link you join as a host.")).to_be_visible()


async def test_a_host_link_opened_in_the_rooms_tab_makes_its_person_a_host(browser: Browser) -> None:
    async with clinic() as (server, room, double):
        page = await open_page(browser, server.link(room))
        await join(page, "Eva")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        await page.get_by_role("switch", name="Original only").press("Space")
        await expect(page.get_by_role("slider")).to_be_disabled()
        await page.goto(server.host_link(room))
        await expect(page.locator("#host")).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        await expect(page.get_by_role("listitem")).to_have_count(1)
        assert (await page.evaluate("roomState.meeting.own"))["original_only"] is True
        assert len(double.people) == 1


async def test_a_host_link_that_is_none_is_said_and_the_person_may_join_all_the_same(
    browser: Browser,
) -> None:
    async with clinic() as (server, room, _):
        page = await open_page(browser, f"{server.link(room)}#host=of-another-meeting")
        await join(page, "Eva")
        await expect_problem(
            page,
            "This host link is not valid.",
            "Join as a participant, or ask for a new host link.",
        )
        await expect(page.get_by_text("With this link you join as a host.")).to_be_hidden()
        await expect(page.get_by_role("button", name="Join", exact=True)).to_be_focused()
        await page.keyboard.press("Enter")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        await expect(page.locator("#host")).to_be_hidden()

        await page.goto(server.host_link(room))
        await expect(page.locator("#host")).to_be_visible()
        room.host_token = "another-since-the-restart"  # what a server that came back has made anew
        (connection,) = server._connections  # no other way to break it as a network would
        assert connection._transport is not None
        connection._transport.abort()
        await expect_problem(
            page, "Your host link is no longer valid.", "You are in the room as a participant."
        )
        await expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        await expect(page.locator("#host")).to_be_hidden()
