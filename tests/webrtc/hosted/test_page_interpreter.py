"""What a person sees of the interpreter and asks of it: the page in a real browser, by keyboard, before a double."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession
from playwright.async_api import Browser, Locator, Page, expect

from interpreter.identity.chain import Sealer
from interpreter.identity.keys import IdentityKey, key_set
from tests.webrtc.hosted.double import MeetingDouble, meeting_double
from tests.webrtc.hosted.fakes import FakePage
from tests.webrtc.hosted.pages import SETTINGS, EitherPeer, join, open_page, tab_to
from webrtc.hosted import HostedServer
from webrtc.room import Attestation, Caption, CaptionKind, CommandGiven, Lamp, ParticipantJoined, TrackStarted

pytestmark = [pytest.mark.browser, pytest.mark.media]


@dataclass
class Visit:
    """Ben at a page, Ana a page without a browser, and who answers them."""

    page: Page
    server: HostedServer
    double: MeetingDouble
    ana: FakePage
    ben_id: str

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def switch(self, name: str) -> Locator:
        return self.page.get_by_role("switch", name=name)

    def status(self, text: str) -> Locator:
        """Said politely: in a live region."""
        return self.page.get_by_role("status").filter(has_text=text)

    async def expect_given(self, *wanted: tuple[str, dict[str, float | bool]]) -> None:
        """Exactly this was asked since the last time."""
        for _ in range(100):
            if len(self.double.given) >= len(wanted):
                break
            await self.page.wait_for_timeout(50)
        assert self.double.given == list(wanted)
        self.double.given.clear()


@asynccontextmanager
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    async with (
        HostedServer(SETTINGS, EitherPeer) as server,
        server.add_room("Clinic") as room,
        meeting_double(room) as double,
        ClientSession() as client,
    ):
        ana = await FakePage.open(client, server.link(room))
        await ana.join("Ana", "es")
        page = await open_page(browser, server.link(room))
        await join(page, "Ben")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        yield Visit(page, server, double, ana, await page.evaluate("roomState.id"))


async def test_everything_is_asked_of_the_interpreter_by_keyboard(browser: Browser) -> None:
    async with visit(browser) as ben:
        page = ben.page
        await expect(ben.status("Interpreting")).to_be_visible()
        await tab_to(page, ben.button("Ask to repeat"))
        await page.keyboard.press("Enter")
        await expect(ben.status("Done: repeat.")).to_be_visible()
        await expect(page.locator("#reply [lang=en][dir=ltr]")).to_have_count(1)
        await tab_to(page, ben.button("Ask for a human"))
        await page.keyboard.press("Space")
        await expect(ben.status("A human was asked for")).to_be_visible()
        stop = ben.button("Stop interpreting me")
        await tab_to(page, stop)
        await expect(stop).to_have_accessible_description(
            "If you stop it, you and the others hear each other directly until you start it again."
        )
        await page.keyboard.press("Enter")
        start = ben.button("Interpret me again")
        await expect(start).to_be_focused()
        await expect(start).to_have_accessible_description("You and the others hear each other directly now.")
        await expect(page.get_by_role("listitem").filter(has_text="Ana")).to_contain_text(
            "Not interpreted into English, as asked"
        )
        await page.keyboard.press("Enter")
        await expect(stop).to_be_focused()
        await ben.expect_given(("repeat", {}), ("human", {}), ("stop", {}), ("start", {}))

        captions = ben.switch("Show captions")
        await tab_to(page, captions)
        await page.keyboard.press("Space")
        await expect(page.get_by_text("Captions are switched off.")).to_be_visible()
        await expect(page.get_by_role("log", name="Captions")).to_be_hidden()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("group", name="Captions")).to_be_visible()
        await ben.expect_given(("captions", {"state": False}), ("captions", {"state": True}))

        balance = page.get_by_role("slider", name="Balance of original and interpreter")
        await tab_to(page, balance)
        await expect(balance).to_have_attribute("aria-valuetext", "Interpreter 100%")
        for _ in range(3):
            await page.keyboard.press("ArrowLeft")
        await expect(balance).to_have_attribute("aria-valuetext", "Interpreter 85%")
        await page.wait_for_timeout(600)
        assert ben.double.given[-1] == ("balance", {"level": 0.85})
        assert len(ben.double.given) <= 3
        ben.double.given.clear()
        await tab_to(page, ben.switch("Original only, no interpreter"))
        await page.keyboard.press("Space")
        await expect(balance).to_be_disabled()
        await page.keyboard.press("Space")
        await expect(balance).to_be_enabled()
        await expect(balance).to_have_value("85")
        await ben.expect_given(("original-only", {"state": True}), ("original-only", {"state": False}))

        listen = ben.switch("The interpreter may hear me")
        await tab_to(page, listen)
        await expect(listen).to_have_accessible_description(
            "Switched off, your microphone is not processed: others hear your own voice, and what you say is not "
            "interpreted, captioned or stored."
        )
        me = page.get_by_role("listitem").filter(has_text="Ben")
        await expect(me).to_contain_text("Interpreted into Spanish")
        await page.keyboard.press("Space")
        await expect(me).to_contain_text("Not heard by the interpreter")
        await expect(listen).not_to_be_checked()
        await expect(ben.status("Done: optout.")).to_be_visible()
        await page.keyboard.press("Space")
        await expect(me).to_contain_text("Interpreted into Spanish")
        await ben.expect_given(("optout", {}), ("optin", {}))

        language = page.get_by_role("combobox", name="My language")
        await language.focus()
        await page.keyboard.press("e")
        await page.keyboard.press("s")
        await expect(ben.status("Your language is now Spanish.")).to_have_count(1)
        await expect(me).not_to_contain_text("Interpreted")


async def test_what_speaks_and_what_is_kept_is_always_shown(browser: Browser) -> None:
    async with visit(browser) as ben:
        page, room = ben.page, ben.double.room
        card = page.get_by_role("region", name="Interpreter")
        await expect(card).to_contain_text("medical-consecutive 9f86d081884c")
        await expect(card).to_contain_text(
            "The text of what is said and signed fingerprints of what the interpreter says, without content."
        )
        await expect(card).to_contain_text("Consecutive: it speaks when others have finished.")

        def caption(identity: str, language: str, text: str, kind: CaptionKind, cut: bool = False) -> Caption:
            return Caption(
                id=identity,
                speaker_id=ben.ana.id,
                language=language,
                text=text,
                final=True,
                kind=kind,
                cut=cut,
            )

        for shown in (
            caption("1", "es", "Me duele la rodilla <b>", CaptionKind.HEARD),
            caption("2", "en", "My knee", CaptionKind.RENDERING, cut=True),
            caption("3", "en", "Please say it again.", CaptionKind.AS_SELF),
        ):
            room.tell(ben.ben_id, shown)
        lines = page.locator("#captions .caption")
        await expect(lines).to_have_text(
            [
                "Ana (own words) Me duele la rodilla <b>",
                "Ana My knee (end not heard)",
                "Interpreter Please say it again.",
            ]
        )
        await expect(page.get_by_role("log", name="Captions")).to_contain_text("My knee")
        await expect(lines.nth(0).locator("[lang=es]")).to_have_text("Me duele la rodilla <b>")
        await expect(lines.nth(1).locator("[lang]")).to_have_text("My knee")

        ben.double.lamp = Lamp.PAUSED
        ben.double.stored = ()
        ben.double.tell()
        await expect(ben.status("Paused")).to_be_visible()
        await expect(card.locator("div", has_text="What is stored")).to_contain_text("Nothing.")

        await page.get_by_label("Page language").select_option("es")
        card = page.get_by_role("region", name="Intérprete")
        await expect(card.locator("div", has_text="Qué se guarda")).to_contain_text("Nada.")
        await expect(card).to_contain_text("En pausa")
        await expect(page.get_by_role("listitem").filter(has_text="Ana")).to_contain_text(
            "Se interpreta al inglés"
        )
        await expect(page.get_by_role("slider")).to_have_attribute(
            "aria-valuetext", re.compile(r"Intérprete 100\s%")
        )
        await expect(lines.nth(1)).to_contain_text("(no se oyó el final)")

        await page.set_viewport_size({"width": 320, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        small = await page.evaluate(
            "[...document.querySelectorAll('button, select, .check, input[type=range]')]"
            ".map(element => element.getBoundingClientRect())"
            ".filter(box => box.height && (box.height < 44 || box.width < 44)).length"
        )
        assert small == 0, "every control is at least 44 pixels wide and high"


async def test_signed_records_are_checked_as_they_come(browser: Browser) -> None:
    async with visit(browser) as ben:
        key = IdentityKey.generate()
        sealer = Sealer(key)
        head = sealer.seal("attestation", {"jwks": key_set([key.public])})
        lines = [head, *(sealer.seal("window", {"seq": number, "who": "María"}) for number in range(9))]
        forged = Sealer(IdentityKey.generate()).seal("window", {"seq": 9})
        altered = lines[8].replace("María", "Mario")

        def told(*wanted: str) -> None:
            for line in wanted:
                ben.double.room.tell(ben.ben_id, Attestation(line=line))

        shown = ben.page.locator("#signed")
        await expect(shown).to_have_text("None yet.")
        told(lines[0], *lines[3:6])
        await expect(shown).to_have_text(
            "Received: 4; signatures checked."
        )  # who joins later hears no lines before
        told(lines[7])
        await expect(shown).to_have_text("Received: 5; signatures checked; some records are missing.")
        told(forged)
        await expect(shown).to_have_text("Received: 6; some have a wrong signature.")
        told(altered, "{}", "no JSON")
        await expect(shown).to_contain_text("Received: 9")
        counted = await ben.page.evaluate("roomState.attestations")
        assert (counted["checked"], counted["wrong"]) == (5, 4)


async def test_signed_records_without_a_key_count_as_not_checked(browser: Browser) -> None:
    async with visit(browser) as ben:
        await ben.page.get_by_label("Page language").select_option("es")
        sealer = Sealer(IdentityKey.generate())
        ben.double.room.tell(ben.ben_id, Attestation(line=sealer.seal("window", {"seq": 0})))
        await expect(ben.page.locator("#signed")).to_have_text("Recibidos: 1; firmas sin comprobar.")


async def test_what_is_refused_or_not_answered_is_said_and_taken_back(browser: Browser) -> None:
    async with visit(browser) as ben:
        page = ben.page
        ben.double.refuses = {
            "optin": "A host has to agree.",
            "balance": "Not in this room.",
            "repeat": "Nothing yet.",
        }
        await ben.button("Ask to repeat").press("Enter")
        await expect(ben.status("Nothing yet.")).to_be_visible()
        await expect(page.locator("#reply")).to_have_attribute("data-accepted", "false")
        balance = page.get_by_role("slider")
        await balance.press("ArrowLeft")
        await expect(ben.status("Not in this room.")).to_be_visible()
        await expect(balance).to_have_value("100")
        listen = ben.switch("The interpreter may hear me")
        await listen.press("Space")
        await expect(ben.status("Done: optout.")).to_be_visible()
        await listen.press("Space")
        await expect(ben.status("A host has to agree.")).to_be_visible()
        await expect(listen).not_to_be_checked()

        ben.double.silent = True
        await page.clock.install()
        await ben.switch("Original only, no interpreter").press("Space")
        for _ in range(2):
            await ben.button("Ask for a human").press("Enter")
        await expect(ben.button("Ask for a human")).to_have_attribute("aria-disabled", "true")
        await page.clock.run_for(9_000)
        await expect(ben.status("The interpreter did not answer. Please try again.")).to_be_visible()
        await expect(ben.switch("Original only, no interpreter")).not_to_be_checked()
        await expect(balance).to_be_enabled()
        await expect(ben.button("Ask for a human")).to_have_attribute("aria-disabled", "false")
        assert [name for name, _ in ben.double.given].count("human") == 1, "asked once, however often clicked"


async def test_who_joins_or_comes_back_opted_out_is_never_heard_first(browser: Browser) -> None:
    async with (
        HostedServer(SETTINGS, EitherPeer) as server,
        server.add_room("Clinic", stored=()) as room,
        meeting_double(room) as double,
    ):
        page = await open_page(browser, server.link(room))
        await expect(
            page.get_by_text("What is stored of what is said and done here: Nothing.")
        ).to_be_visible()
        await page.get_by_role("switch", name="The interpreter may hear me").press("Space")
        await join(page, "Ben")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        await expect(page.get_by_role("listitem")).to_contain_text("Not heard by the interpreter")
        await page.get_by_role("switch", name="Original only").press("Space")
        await page.get_by_role("switch", name="Show captions").press("Space")
        await expect(page.get_by_role("slider")).to_be_disabled()
        first = await page.evaluate("roomState.id")

        (connection,) = server._connections  # no other way to break it as a network would
        assert connection._transport is not None
        connection._transport.abort()
        await expect(page.get_by_role("status").filter(has_text="Not connected")).to_be_visible()
        await expect(page.get_by_role("alert").filter(has_text="was lost")).to_have_count(0)
        second = await page.evaluate("roomState.id")
        assert second != first
        await expect(page.get_by_role("status").filter(has_text="Interpreting")).to_be_visible()
        own = await page.evaluate("roomState.meeting.own")
        assert (own["opted_out"], own["original_only"], own["captions"]) == (True, True, False)
        await expect(page.get_by_text("Captions are switched off.")).to_be_visible()

        for identity in (first, second):
            told = [
                event
                for event in double.events
                if getattr(event, "participant_id", None) == identity
                or (isinstance(event, ParticipantJoined) and event.participant.id == identity)
            ]
            kinds = [type(event) for event in told]
            assert kinds.index(ParticipantJoined) == 0
            asked = next(at for at, event in enumerate(told) if isinstance(event, CommandGiven))
            assert told[asked].name == "optout"  # type: ignore[union-attr]
            assert asked < kinds.index(TrackStarted), "asked before any sound could arrive"

        listen = page.get_by_role("switch", name="The interpreter may hear me")
        for again in (True, False):  # what was chosen last holds for whoever joins again
            await expect(listen).to_be_checked(checked=again is False)
            await listen.press("Space")
            await page.get_by_role("button", name="Leave").press("Enter")
            await expect(page.get_by_role("heading", name="You have left the room.")).to_be_focused()
            await page.get_by_role("button", name="Join again").press("Enter")
            await expect(listen).to_be_checked(checked=again)
            await join(page, "Ben")
            await page.get_by_role("status").filter(has_text="Interpreting").wait_for()
