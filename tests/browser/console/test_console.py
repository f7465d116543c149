"""Operators at the real console of a real meeting: two browsers that talk, and one or two that run the interpreter."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from duplex_model.shipped import DEFAULT
from duplex_model.spec import EngineSpec
from interpreter.console.snapshot import DirectionState, Lamp, RoomState
from interpreter.record.record import RecordSettings
from interpreter.roles.library import load_library
from tests.browser import stimuli
from tests.browser.chromium import Participant, Recording
from tests.browser.console.stage import EVA, MAX, VIEWER, House, Operator, Ports, house, in_writing, operator
from tests.browser.console.visit import RENDERING_HZ, two_people, visit
from tests.journey import PeerTap

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow, pytest.mark.timeout(300)]

TONE_HEARD = 0.02
"""Of full scale: a rendering's tone is several times as loud."""

SPEECH = 0.1
"""Of full scale; everybody speaks louder, and comfort noise is far below."""


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for something in this process; how long that takes is the machine's affair."""
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never became so")


def state(house: House) -> RoomState:
    """The room as consoles are shown it."""
    room = house.desk.room(house.room.id)
    assert room is not None
    return room


def direction_from(house: House, language: str) -> DirectionState:
    return next(one for one in state(house).directions.values() if one.language_in == language)


def is_silent(house: House, language: str) -> bool:
    """Whether no rendering sounds of who speaks a language."""
    room = state(house)
    [lane] = [key for key, one in room.directions.items() if one.language_in == language]
    events = [mark.event for mark in room.timeline if mark.lane == lane and mark.event in ("begin", "end")]
    return not events or events[-1] == "end"


def attested(folder: Path) -> list[dict[str, object]]:
    """Records of the one meeting's identity chain."""
    [path] = folder.glob("*/attest.jsonl")
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


async def test_a_role_and_a_voice_for_one_person_are_applied_at_a_silence(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    settings = in_writing(RecordSettings(keep="text", folder=kept))
    spec = EngineSpec(kind="neural", options={"checkpoint": DEFAULT, "lanes": 2})
    async with house(spec, settings=settings) as home, two_people(home.link, tmp_path), operator(home) as eva:
        await eva.into_room()
        ana = eva.person("Ana")
        await eva.direction("Ana").locator(".badge", has_text="live").wait_for(timeout=60_000)
        await eva.direction("Ben").locator(".badge", has_text="live").wait_for(timeout=60_000)
        before = direction_from(home, "es")
        await ana.get_by_label("Role").select_option("medical-consecutive")
        await ana.get_by_label("Voice").select_option("diego")
        await asyncio.sleep(1.0)
        assert direction_from(home, "es").role == before.role, "choosing is not giving"
        opened = len(home.engine.sessions)
        await ana.get_by_role("button", name="Apply at the next silence").click()
        # While its session is replaced there is none, and so no checksum.
        await until(lambda: direction_from(home, "es").checksum not in ("", before.checksum), 90)
        assert is_silent(home, "es")
        after = direction_from(home, "es")
        assert (after.role, after.voice) == ("medical-consecutive", "diego")
        assert direction_from(home, "en").role == before.role, "nobody else's"

        def told() -> list[str]:
            return [
                tap.prompt.voice for tap in home.engine.sessions[opened:] if tap.prompt.language_out == "en"
            ]

        await until(lambda: "diego" in told())
        role = load_library().find("medical-consecutive")
        prompt = next(one.prompt for one in home.engine.sessions[opened:] if one.prompt.voice == "diego")
        assert (prompt.language_in, prompt.language_out) == ("es", "en")
        assert role.prompt.split(".")[0].split("{")[0].strip() in prompt.role_text
        await until(lambda: any(line.get("role") == after.checksum for line in attested(kept)), 60)
    roles = {line["role"] for line in attested(kept) if line["kind"] == "window"}
    assert after.checksum in roles, "the chain names the interpreter that spoke"


async def test_operators_hold_stop_hand_over_and_see_one_another(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    kept = tmp_path / "kept"
    settings = in_writing(RecordSettings(keep="text", folder=kept))
    async with (
        house(visit(rendering_s=5.0), settings=settings) as home,
        two_people(home.link, tmp_path) as (_, ben),
        operator(home) as eva,
        operator(home, MAX) as max_,
    ):
        await eva.into_room()
        await max_.into_room()
        await eva.sees("Also here: Max")
        await eva.lamp("ON AIR")
        await _stop_and_go_on(home, eva, max_, ben, measured)
        await _hold_and_mute(home, eva, max_)
        await _both_choose_a_mode(home, eva, max_)
        await _hand_over(home, eva, max_)

        await eva.keep_note("Ana hears badly <b>on</b> the left")
        await max_.sees("Ana hears badly <b>on</b> the left")

        assert "meeting.halted" in await _exported(eva, "audit")
        assert "My head hurts." in await _exported(eva, "vtt")
        await eva.page.get_by_role("button", name="Check the signed records").click()
        await eva.sees("The records are whole.")

        await eva.page.reload()
        await eva.person("Ana").wait_for()
        await eva.sees("Ana hears badly <b>on</b> the left")


async def _stop_and_go_on(
    home: House, eva: Operator, max_: Operator, ben: Participant, measured: Callable[[str], None]
) -> None:
    """STOP while a rendering sounds that would go on for seconds."""
    await ben.record("heard")
    await until(lambda: is_silent(home, "es"))
    await until(lambda: not is_silent(home, "es"))
    await asyncio.sleep(1.0)
    pressed_s = time.time()
    await eva.page.get_by_role("button", name="STOP").click()
    await max_.lamp("OFF")
    assert state(home).halted
    await asyncio.sleep(1.5)
    heard = await ben.recording("heard", 20.0)
    after_ms = 1000 * (last_tone_s(heard) - pressed_s)
    measured(f"Ben's browser plays the interpreter until {after_ms:.0f} ms after STOP was clicked")
    assert is_silent(home, "es")
    await max_.page.get_by_role("button", name="Go on").click()
    await eva.lamp("ON AIR")


def last_tone_s(heard: Recording) -> float:
    """Unix time at which a recording's renderings end, to 20 ms."""
    step = round(0.02 * stimuli.MICROPHONE_RATE_HZ)
    windows = heard.pcm[: heard.pcm.size // step * step].reshape(-1, step).astype(np.float64)
    turn = np.exp(-2j * np.pi * RENDERING_HZ * np.arange(step) / stimuli.MICROPHONE_RATE_HZ)
    tone = np.abs(windows @ turn) * 2 / step
    pure = tone**2 > np.mean(windows**2, axis=1)  # half the power at least: of speech it is far less
    loud = np.flatnonzero((tone > TONE_HEARD) & pure)
    assert loud.size, f"expected to hear the rendering, got {np.abs(heard.pcm).max():.3f} at most"
    return heard.start_s + float(loud[-1] + 1) * 0.02


async def _hold_and_mute(home: House, eva: Operator, max_: Operator) -> None:
    card = eva.direction("Ana")
    await card.get_by_role("button", name="Hold", exact=True).click()
    await until(lambda: direction_from(home, "es").held)
    await max_.direction("Ana").get_by_role("button", name="Release").click()
    await until(lambda: not direction_from(home, "es").held)
    await card.get_by_role("button", name="Mute", exact=True).click()
    await until(lambda: direction_from(home, "es").muted)
    await card.get_by_role("button", name="Unmute", exact=True).click()
    await until(lambda: not direction_from(home, "es").muted)


async def _both_choose_a_mode(home: House, eva: Operator, max_: Operator) -> None:
    """Max gives one while Eva is choosing: hers is refused, and says whose it is now."""
    tools = eva.page.locator("room-tools")
    await tools.get_by_role("combobox", name="Mode", exact=True).select_option("captions")
    await max_.sees("Eva is changing this.")
    await max_.choose_mode("consecutive")
    await until(lambda: state(home).mode.wanted == "consecutive")
    await tools.get_by_role("button", name="Apply at the next silence").click()
    await eva.page.locator("#toast", has_text="Max").wait_for()
    assert state(home).mode.wanted == "consecutive"
    await tools.get_by_role("button", name="Discard").click()
    await until(lambda: direction_from(home, "es").mode == "consecutive", 60)


async def _hand_over(home: House, eva: Operator, max_: Operator) -> None:
    await eva.page.get_by_role("button", name="Hand over to a human").click()
    await eva.page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    await max_.lamp("HUMAN")
    assert await eva.page.get_by_label("Send it to the human").input_value() == home.link
    await max_.page.get_by_role("button", name="The human is done").click()
    await until(lambda: state(home).human != "taken_over")


async def _exported(eva: Operator, what: str) -> str:
    await eva.page.get_by_label("Format").select_option(what)
    async with eva.page.expect_download() as saving:
        await eva.page.get_by_role("button", name="Save").click()
    path = await (await saving.value).path()
    return await asyncio.to_thread(Path(path).read_text, "utf-8")


async def test_a_viewer_looks_on_and_what_people_call_themselves_is_text(tmp_path: Path) -> None:
    hostile = ('<img src=x onerror="document.title=1">', "</script><script>document.title=2</script>")
    async with (
        house() as home,
        two_people(home.link, tmp_path, hostile),
        operator(home, VIEWER) as vera,
    ):
        await vera.into_room()
        await vera.sees("You look on")
        for name in hostile:
            await vera.person(name).wait_for()
            assert await vera.person(name).get_by_label("Role").is_disabled()
        assert await vera.page.locator("main img, main script").count() == 0
        assert "Interpreter console" in await vera.page.title()
        for name in ("STOP", "Pause", "Hold", "Hand over to a human", "Keep the note", "Save"):
            assert await vera.page.get_by_role("button", name=name, exact=True).count() == 0, name
        await vera.page.keyboard.press("Control+.")
        await vera.page.keyboard.press("p")
        await asyncio.sleep(0.5)
        assert not state(home).halted
        assert not state(home).paused


async def test_a_console_that_is_lost_says_so_and_changes_nothing(tmp_path: Path) -> None:
    async with house() as home, two_people(home.link, tmp_path), operator(home) as eva:
        await eva.into_room()
        await eva.lamp("ON AIR")
        await home.console_goes()
        await eva.page.locator("#stale", has_text="STALE").wait_for()
        assert await eva.person("Ana").get_by_label("Role").is_disabled()
        await eva.page.get_by_role("button", name="STOP").click()
        await eva.page.locator("#toast", has_text="STOP was not sent").wait_for()
        assert state(home).lamp is Lamp.ON_AIR
        await home.console_comes()
        await eva.page.locator("#connection", has_text="Connected").wait_for()
        await asyncio.sleep(1.5)
        assert not state(home).halted, "nothing that was pressed meanwhile is sent now"
        assert await eva.page.locator("#stale").text_content() == ""


async def test_a_restart_gives_back_mode_role_and_opt_outs(tmp_path: Path) -> None:
    ports, memory = Ports(), tmp_path / "memory.json"
    async with (
        house(memory=memory, ports=ports) as first,
        two_people(first.link, tmp_path) as (ana, _),
        operator(first) as eva,
    ):
        await eva.into_room()
        await eva.lamp("ON AIR")
        await eva.choose_mode("consecutive")
        await until(lambda: state(first).mode.wanted == "consecutive")
        ben = eva.person("Ben")
        await ben.get_by_label("Role").select_option("plain-language-relay")
        await ben.get_by_role("button", name="Apply at the next silence").click()
        await until(lambda: roles(first)["Ben"] == "plain-language-relay")
        await ana.page.get_by_role("switch", name="The interpreter may hear me").click()
        await until(lambda: opted_out(first) == {"Ana"})
        await first.stop()
        await eva.page.locator("#stale", has_text="STALE").wait_for()

        async with house(memory=memory, ports=ports) as second:
            await until(lambda: len(state(second).people) == 2, 60)
            assert opted_out(second) == {"Ana"}
            assert state(second).mode.wanted == "consecutive"
            assert roles(second)["Ben"] == "plain-language-relay"
            await eva.page.locator("#connection", has_text="Connected").wait_for()
            await eva.person("Ana").get_by_text("opted out").wait_for()
            # Both have spoken, and people hear them; of Ana no session was told anything.
            await until(lambda: sum(map(spoke, second.taps.peers)) == 2, 60)
            told = [tap for tap in second.engine.sessions if tap.prompt.language_in == "es"]
            assert not any(frame.any() for tap in told for frame in tap.heard.frames)
            assert any(
                frame.any()
                for tap in second.engine.sessions
                if tap.prompt.language_in == "en"
                for frame in tap.heard.frames
            )


def roles(house: House) -> dict[str, str]:
    """Of everybody, as they are wanted."""
    return {one.name: one.role.wanted for one in state(house).people.values()}


def opted_out(house: House) -> set[str]:
    return {one.name for one in state(house).people.values() if one.opted_out}


def spoke(tap: PeerTap) -> bool:
    """Whether speech arrived at the server."""
    return any(np.abs(frame).max() > SPEECH for frame in tap.pulled.frames)


async def test_everything_by_keyboard(tmp_path: Path) -> None:
    async with house() as home, two_people(home.link, tmp_path), operator(home) as eva:
        page = eva.page

        async def tab_to(role: Literal["button", "link"], name: str) -> None:
            wanted = page.get_by_role(role, name=name, exact=True).first
            for _ in range(120):
                if await wanted.evaluate("one => one === document.activeElement"):
                    return
                await page.keyboard.press("Tab")
            raise AssertionError(f"no way to {name} by the Tab key")

        await tab_to("link", "Clinic")
        await page.keyboard.press("Enter")
        await eva.lamp("ON AIR")
        await page.keyboard.press("p")
        await until(lambda: state(home).paused)
        await eva.lamp("HELD")  # what a key does next depends on what the page knows by now
        await page.keyboard.press("p")
        await until(lambda: not state(home).paused)
        await eva.lamp("ON AIR")
        await page.get_by_label("Single-key shortcuts").focus()
        await page.keyboard.press("Space")
        await page.locator("room-status h1").focus()
        await page.keyboard.press("p")
        await asyncio.sleep(0.5)
        assert not state(home).paused, "switched off"
        await page.keyboard.press("Control+.")
        await until(lambda: state(home).halted)
        await tab_to("button", "Go on")
        await page.keyboard.press("Enter")
        await until(lambda: not state(home).halted)
        await tab_to("button", "Hold")
        await page.keyboard.press("Enter")
        await until(lambda: any(one.held for one in state(home).directions.values()))
        timeline = page.get_by_label("Turns of the last two minutes")
        await timeline.focus()
        for key in ("ArrowDown", "ArrowLeft", "ArrowUp"):
            await page.keyboard.press(key)
        assert "Ana, 0" in (await page.locator("turn-timeline .found").text_content() or "")


async def test_a_token_that_does_not_hold_is_told() -> None:
    async with house() as home, operator(home, EVA) as eva:
        await eva.page.get_by_role("button", name="Sign out").click()
        await eva.page.get_by_label("Token").fill("no-such-token-at-all-0123")
        await eva.page.get_by_role("button", name="Sign in").click()
        await eva.sees("This token does not hold.")
        await eva.page.get_by_label("Token").fill(EVA.token)
        await eva.page.get_by_role("button", name="Sign in").click()
        await eva.page.get_by_role("heading", name="Rooms").first.wait_for()
        assert EVA.token not in eva.page.url
