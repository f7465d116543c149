"""The page in a real browser, under its own content security policy, used by keyboard and by its accessible names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from playwright.async_api import Browser, expect

from tests.webrtc.hosted.fakes import FakePage, FakePeers
from tests.webrtc.hosted.pages import SETTINGS, EitherPeer, expect_problem, join, open_page, tab_to
from webrtc.hosted import HostedRoom, HostedServer, HostedSettings
from webrtc.room import Caption, Levels, Notice, NoticeLevel, ParticipantChanged, TrackMuted

pytestmark = [pytest.mark.browser, pytest.mark.media]


async def test_a_meeting_by_keyboard(browser: Browser) -> None:
    async with HostedServer(SETTINGS, EitherPeer) as server, server.add_room("Clinic") as room:
        page = await open_page(browser, server.link(room))
        await expect(page.get_by_role("heading", name="Join the room Clinic")).to_be_focused()
        await expect(page.get_by_text("An AI interpreter listens in this room.")).to_be_visible()
        await expect(page.get_by_role("meter", name="Microphone level")).to_have_attribute(
            "aria-valuetext", "Good"
        )

        await tab_to(page, page.get_by_role("button", name="Join", exact=True))
        await page.keyboard.press("Enter")
        name = page.get_by_role("textbox", name="Your name")
        await expect(name).to_be_focused()
        await expect(name).to_have_attribute("aria-invalid", "true")
        await expect(name).to_have_accessible_description(
            "Please enter your name, so that others know who is speaking."
        )

        await page.keyboard.type("Mm Ana")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Clinic", exact=True)).to_be_focused()
        await expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        await expect(page.get_by_role("listitem")).to_have_text("Mm Ana (you)EnglishListening")

        await page.keyboard.press("m")
        unmute = page.get_by_role("button", name="Unmute")
        await expect(unmute).to_have_accessible_description("Your microphone is off. Nobody hears you.")
        await expect(page.get_by_role("listitem")).to_contain_text("Muted")
        await tab_to(page, unmute)
        await page.keyboard.press("Space")
        mute = page.get_by_role("button", name="Mute", exact=True)
        await expect(mute).to_have_attribute("aria-keyshortcuts", "M")

        language = page.get_by_role("combobox", name="My language")
        await tab_to(page, language)
        await page.keyboard.press("m")
        await expect(mute).to_be_visible()
        await language.select_option("es")
        await expect(page.get_by_role("listitem")).to_contain_text("español")

        await tab_to(page, page.get_by_role("checkbox", name="Press M to mute and unmute"))
        await page.keyboard.press("Space")
        await page.keyboard.press("m")
        await expect(mute).to_be_visible()
        await tab_to(page, page.get_by_role("group", name="Captions"))

        seen = [event async for event in drain(room)]
        assert [event.muted for event in seen if isinstance(event, TrackMuted)] == [True, False]
        changed = [event.participant for event in seen if isinstance(event, ParticipantChanged)]
        assert [participant.attributes["language"] for participant in changed] == ["es"]

        await page.get_by_role("button", name="Leave").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="You have left the room.")).to_be_focused()
        await tab_to(page, page.get_by_role("button", name="Join again"))
        await page.keyboard.press("Enter")
        await expect(name).to_have_value("Mm Ana")


async def drain(room: HostedRoom) -> AsyncIterator[object]:
    """The events so far."""
    events = room.events()
    while True:
        try:
            yield await asyncio.wait_for(anext(events), 0.2)
        except TimeoutError:
            return


async def test_what_is_said_is_shown_as_text_to_everybody(browser: Browser) -> None:
    async with (
        HostedServer(SETTINGS, EitherPeer) as server,
        server.add_room("Clinic") as room,
        ClientSession() as client,
    ):
        page = await open_page(browser, server.link(room))
        violations: list[str] = []
        page.on("console", lambda message: violations.append(message.text))
        await join(page, "Ana")
        await expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
        me = await page.evaluate("roomState.id")
        bob = await FakePage.open(client, server.link(room))
        await bob.join("<img src=x onerror=alert(1)>", "ar")
        item = page.get_by_role("listitem").filter(has_text="<img src=x onerror=alert(1)>")
        await expect(item).to_contain_text("Listening")
        room.tell(me, Levels(dbfs={bob.id: -20.0}, speaking=frozenset({bob.id})))
        await expect(item).to_contain_text("Speaking")
        await bob.send("mute", muted=True)
        await expect(item).to_contain_text("Muted")

        def caption(text: str, final: bool) -> Caption:
            return Caption(id="1", speaker_id=bob.id, language="ar", text=text, final=final)

        log = page.get_by_role("log", name="Captions")
        room.tell(me, caption("<b>لدي", False))
        await expect(page.get_by_text("<b>لدي")).to_be_visible()
        await expect(log).to_be_empty()
        room.tell(me, caption("<b>لدي ألم", True))
        await expect(log.locator("[lang=ar][dir=rtl]")).to_have_text("<b>لدي ألم")
        await expect(page.locator("#captions-growing")).to_be_empty()

        for identity, level, text in (
            ("a", NoticeLevel.INFO, "This is a demonstration."),
            ("b", NoticeLevel.ALERT, "The interpreter stopped."),
        ):
            room.tell(me, Notice(id=identity, level=level, text=text, language="en"))
        await expect(page.get_by_role("status").filter(has_text="Notice This is a demon")).to_be_visible()
        await expect_problem(page, "Important The interpreter stopped.")
        await expect(page.locator("#urgent-notices [lang=en][dir=ltr]")).to_have_count(1)
        room.tell(me, Notice(id="b", level=NoticeLevel.ALERT, text=""))
        await expect(page.get_by_text("The interpreter stopped.")).to_have_count(0)

        await page.get_by_label("Page language").select_option("es")
        await expect(page.get_by_role("button", name="Salir")).to_be_visible()
        await expect(item).to_contain_text("Silenciado")
        assert await page.evaluate("document.documentElement.lang") == "es"
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        small = await page.evaluate(
            "[...document.querySelectorAll('button, select, .check, input[type=range]')]"
            ".map(element => element.getBoundingClientRect())"
            ".filter(box => box.height && (box.height < 44 || box.width < 44)).length"
        )
        assert small == 0, "every control is at least 44 pixels wide and high"

        await room.remove(me, "The visit is over.")
        await expect(page.get_by_role("heading", name="Le han sacado de la sala.")).to_be_focused()
        await expect(page.get_by_text("The visit is over.")).to_be_visible()
        assert violations == []


async def test_every_trouble_is_said_in_words(browser: Browser) -> None:
    peers = FakePeers()
    async with (
        HostedServer(SETTINGS, peers) as server,
        server.add_room("Clinic") as room,
        ClientSession() as client,
    ):
        page = await open_page(browser, server.link(room))
        await page.evaluate("() => { window.realOne = navigator.mediaDevices.getUserMedia; }")
        microphone = page.get_by_role("combobox", name="Microphone")
        await microphone.wait_for()
        for error, title, advice in (
            ("NotAllowedError", "The microphone is blocked.", "Allow the microphone for this site"),
            ("NotFoundError", "No microphone was found.", "Connect a microphone or headset"),
            ("NotReadableError", "The microphone does not start.", "Another program may be using it."),
        ):
            await page.evaluate(
                "name => { navigator.mediaDevices.getUserMedia = "
                "async () => { throw new DOMException('', name); }; }",
                error,
            )
            await microphone.dispatch_event("change")
            await expect_problem(page, title, advice)
        await page.evaluate("() => { navigator.mediaDevices.getUserMedia = window.realOne; }")

        guests = [await FakePage.open(client, server.link(room)) for _ in range(3)]
        for guest in guests:
            await guest.join("Guest")
        await join(page, "Ana")
        await expect_problem(page, "The room is full.", "Ask somebody to leave")
        await guests[0].send("leave")
        await guests[1].read_until("left")

        peers.slow = True
        peers.another.clear()
        await join(page, "Ana")
        await expect(page.get_by_role("status").filter(has_text="Connecting sound")).to_be_visible()
        await peers.another.wait()
        peers.made[-1].on_closed("ICE failed")
        await expect(page.get_by_role("heading", name="Sound could not be connected.")).to_be_focused()
        await expect(page.get_by_text("The network may block calls.")).to_be_visible()

        await page.get_by_role("button", name="Try again").click()
        await page.route("**/signalling", lambda route: route.abort())
        await page.route_web_socket("**/signalling", lambda socket: socket.close())
        await join(page, "Ana")
        await expect_problem(page, "The server does not answer.", "Check your internet connection")

        await page.goto(f"{server.url}/r/unknown")
        await expect(page.get_by_role("heading", name="There is no room here")).to_be_visible()

    exposed = HostedSettings(host="10.99.0.1", insecure=True)
    async with HostedServer(exposed, peers) as server, server.add_room("Clinic") as room:
        page = await open_page(browser, server.link(room), "es-MX")
        await expect_problem(page, "Esta página no tiene una conexión segura.", "con https")


async def test_a_lost_connection_comes_back_by_itself(browser: Browser) -> None:
    async with HostedServer(SETTINGS, EitherPeer) as server, server.add_room("Clinic") as room:
        page = await open_page(browser, server.link(room))
        await join(page, "Ana")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        await page.keyboard.press("m")
        await page.get_by_role("button", name="Unmute").wait_for()
        first = await page.evaluate("roomState.id")
        (connection,) = server._connections  # no other way to break it as a network would
        assert connection._transport is not None
        connection._transport.abort()
        await expect_problem(
            page, "The connection to the server was lost.", "with the same name and language"
        )
        await expect(page.get_by_role("button", name="Try now")).to_be_visible()
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        await expect(page.get_by_role("alert").filter(has_text="lost")).to_have_count(0)
        (me,) = await page.evaluate("roomState.participants")
        assert (me["name"], me["muted"]) == ("Ana", True)
        assert me["id"] != first
        stats = {entry["type"]: entry for entry in await page.evaluate("roomState.stats()")}
        assert stats["transport"]["dtlsState"] == "connected"


async def test_a_stopped_microphone_and_a_closing_server_are_said(browser: Browser) -> None:
    async with HostedServer(SETTINGS, EitherPeer) as server, server.add_room("Clinic") as room:
        page = await open_page(browser, server.link(room))
        await page.evaluate(
            "() => { const open = MediaDevices.prototype.getUserMedia;"
            "MediaDevices.prototype.getUserMedia = async function (wanted) {"
            "return (window.lastStream = await open.call(this, wanted)); }; }"
        )
        await page.get_by_role("combobox", name="Microphone").dispatch_event("change")
        await join(page, "Ana")
        await page.get_by_role("status").filter(has_text="Connected").wait_for()
        await page.evaluate("() => { lastStream.getAudioTracks()[0].dispatchEvent(new Event('ended')); }")
        alert = await expect_problem(page, "Your microphone stopped.", "Nobody hears you.")
        await page.get_by_role("button", name="Try again").click()
        await expect(alert).to_have_count(0)

        await room.close()
        await expect_problem(page, "The server is closing or restarting.", "Trying again by itself.")
        await expect(page.get_by_role("heading", name="This room no longer exists.")).to_be_focused()
        await expect(page.get_by_text("Ask whoever invited you for a new link.")).to_be_visible()


async def test_sound_the_browser_refuses_is_offered(browser: Browser) -> None:
    async with HostedServer(SETTINGS, EitherPeer) as server, server.add_room("Clinic") as room:
        page = await open_page(browser, server.link(room))
        await page.evaluate(
            "() => { window.realPlay = HTMLMediaElement.prototype.play; HTMLMediaElement.prototype.play = "
            "async () => { throw new DOMException('', 'NotAllowedError'); }; }"
        )
        await join(page, "Ana")
        alert = await expect_problem(page, "Sound is off.", "waits for a click")
        await page.evaluate("() => { HTMLMediaElement.prototype.play = window.realPlay; }")
        await page.get_by_role("button", name="Start sound").click()
        await expect(alert).to_have_count(0)
        assert not await page.locator("#remote-audio").evaluate("audio => audio.paused")
