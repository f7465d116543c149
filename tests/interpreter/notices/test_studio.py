from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duplex_model.contract import Capabilities, Engine, Prompt, SayCapability, TickGrid
from duplex_model.errors import PromptError
from duplex_model.script import Part, Script
from duplex_model.scripted import ScriptedEngine
from interpreter.clock import ManualClock
from interpreter.notices.studio import RETRY_S, NoticeStudio
from tests.interpreter.engines import PuppetEngine
from tests.interpreter.meeting_stage import StageEngine

TEXT = "The interpreter is paused."


def scripted(lanes: int = 2) -> ScriptedEngine:
    return ScriptedEngine(Script(directions={"*": Part()}), grid=TickGrid(origin_s=0.0), lanes=lanes)


class Named:
    """An engine whose checkpoint has files, so that its sounds may be kept."""

    def __init__(self, engine: Engine, **changes: object) -> None:
        self._engine = engine
        self._changes = {"fingerprint": "ab" * 32, **changes}

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._engine.capabilities, **self._changes)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


@asynccontextmanager
async def at_work(studio: NoticeStudio) -> AsyncIterator[None]:
    task = asyncio.create_task(studio.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def made(studio: NoticeStudio, language: str = "en", text: str = TEXT) -> np.ndarray | None:
    studio.want(language, [text])
    async with at_work(studio):
        for _ in range(2_000):
            if studio.sound(text, language) is not None:
                break
            await asyncio.sleep(0.001)
    return studio.sound(text, language)


def kept(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_sentence_is_spoken_once_and_without_silence_around_it() -> None:
    engine = scripted()
    studio = NoticeStudio({"scripted": engine}, ManualClock())
    pcm = await made(studio)
    assert pcm is not None
    assert pcm.size > 4 * 1_920
    assert np.abs(pcm[:1_920]).max() > 0.01 or np.abs(pcm[1_920:3_840]).max() > 0.01
    assert engine.sessions_open == 0
    assert studio.sound(TEXT, "es") is None
    engine.close()


async def test_an_engine_that_was_not_trained_to_needs_to_be_allowed_and_one_that_cannot_is_not_asked() -> (
    None
):
    engine = Named(scripted(), say=SayCapability.UNTESTED)
    puppet = PuppetEngine(TickGrid(origin_s=0.0), lambda: 0.0)
    assert not NoticeStudio({"e": engine, "p": puppet}, ManualClock()).speaks("en")  # type: ignore[dict-item]
    assert NoticeStudio({"e": engine}, ManualClock(), untested=True).speaks("en")  # type: ignore[dict-item]


async def test_a_language_that_nobody_speaks_has_no_sound() -> None:
    engine = Named(scripted(), languages={"es": frozenset({"en"})})
    studio = NoticeStudio({"e": engine}, ManualClock())  # type: ignore[dict-item]
    assert studio.speaks("en")
    assert not studio.speaks("fr")
    studio.want("fr", [TEXT])
    async with at_work(studio):
        await asyncio.sleep(0.01)
    assert studio.sound(TEXT, "fr") is None


async def test_a_full_engine_is_asked_again() -> None:
    engine, clock = scripted(lanes=1), ManualClock()
    busy = engine.open(Prompt(language_in="es", language_out="en"), seed=1).result()  # the only lane
    studio = NoticeStudio({"scripted": engine}, clock)
    studio.want("en", [TEXT])
    async with at_work(studio):
        await asyncio.sleep(0.01)
        assert studio.sound(TEXT, "en") is None
        busy.close()
        for _ in range(200):
            await clock.advance(1.0)
            await asyncio.sleep(0.005)
            if studio.sound(TEXT, "en") is not None:
                break
    assert studio.sound(TEXT, "en") is not None
    engine.close()


async def test_sounds_are_kept_between_runs_for_the_same_checkpoint_and_voice(tmp_path: Path) -> None:
    first = await made(NoticeStudio({"e": Named(scripted())}, ManualClock(), folder=tmp_path))  # type: ignore[dict-item]
    [path] = kept(tmp_path)
    deaf = Named(scripted(lanes=1))
    deaf._engine.close()
    again = await made(NoticeStudio({"e": deaf}, ManualClock(), folder=tmp_path))  # type: ignore[dict-item]
    assert first is not None
    assert again is not None
    np.testing.assert_allclose(again, first, atol=1 / 32_768)
    path.write_bytes(b"odd")
    broken = await made(NoticeStudio({"e": Named(scripted())}, ManualClock(), folder=tmp_path))  # type: ignore[dict-item]
    assert broken is not None
    assert broken.size == first.size, "what cannot be read is made anew"
    other = Named(scripted(), fingerprint="cd" * 32)
    await made(NoticeStudio({"e": other}, ManualClock(), folder=tmp_path))  # type: ignore[dict-item]
    assert len(kept(tmp_path)) == 2


@pytest.mark.parametrize("tries", [3])
async def test_a_sentence_that_cannot_be_spoken_is_given_up_and_the_next_one_made(tries: int) -> None:
    class Refusing(Named):
        opened = 0

        def open(self, prompt: object, *, seed: int) -> object:
            type(self).opened += 1
            if type(self).opened <= tries:
                raise PromptError("no")
            return self._engine.open(prompt, seed=seed)  # type: ignore[arg-type]

    clock = ManualClock()
    studio = NoticeStudio({"e": Refusing(scripted())}, clock)  # type: ignore[dict-item]
    studio.want("en", ["one", "two"])
    async with at_work(studio):
        for _ in range(20):
            await clock.advance(1.0)
            await asyncio.sleep(0.002)
    assert studio.sound("one", "en") is None
    assert studio.sound("two", "en") is not None


def saying(clock: ManualClock, *, lanes: int = 4) -> StageEngine:
    return StageEngine(TickGrid(origin_s=0.0), clock, say=SayCapability.TRAINED, lanes=lanes)


async def until_open(engine: ScriptedEngine, sessions: int) -> None:
    for _ in range(2_000):
        if engine.sessions_open == sessions:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{engine.sessions_open} open, expected {sessions}")


async def until_there(studio: NoticeStudio, text: str) -> None:
    for _ in range(1_000):
        if studio.sound(text, "en") is not None:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"nobody said {text!r}")


async def test_what_is_prepared_comes_after_what_is_wanted_and_is_said_once() -> None:
    clock = ManualClock()
    engine = saying(clock)
    studio = NoticeStudio({"e": engine}, clock)
    studio.prepare("en", ["a", "b", "c"])
    studio.want("en", ["c"])
    assert studio.left == 3
    async with at_work(studio):
        await until_there(studio, "c")
        assert studio.sound("a", "en") is None
        await until_there(studio, "b")
    assert studio.left == 0
    assert len(engine.opened) == 3
    studio.prepare("en", ["c"])
    assert studio.left == 0


async def test_what_is_prepared_leaves_a_lane_to_whoever_joins() -> None:
    clock = ManualClock()
    engine = saying(clock, lanes=2)
    person = engine.open(Prompt(language_in="es", language_out="en"), seed=1).result()
    studio = NoticeStudio({"e": engine}, clock)
    studio.prepare("en", ["later"])
    async with at_work(studio):
        await clock.advance(5.0)
        assert studio.sound("later", "en") is None
        studio.want("en", ["now"])
        await clock.advance(RETRY_S)
        await until_there(studio, "now")
        assert studio.left == 1
        person.close()
        await clock.advance(RETRY_S)
        await until_there(studio, "later")
    assert engine.sessions_open == 0


async def test_whoever_waits_for_a_lane_gets_it_from_a_sentence_that_has_begun() -> None:
    clock = ManualClock()
    engine = scripted(lanes=1)
    awaited = {"e": False}
    studio = NoticeStudio({"e": engine}, clock, awaited=awaited.__getitem__)
    studio.want("en", [TEXT])
    async with at_work(studio):
        await until_open(engine, 1)
        awaited["e"] = True
        await until_open(engine, 0)
        await clock.advance(5 * RETRY_S)
        assert (engine.sessions_open, studio.sound(TEXT, "en"), studio.left) == (0, None, 1)
        awaited["e"] = False
        await clock.advance(RETRY_S)
        for _ in range(2_000):
            if studio.left == 0:
                break
            await asyncio.sleep(0.001)
    assert studio.sound(TEXT, "en") is not None
    engine.close()


async def test_what_nobody_can_say_is_soon_known_not_to_be_had() -> None:
    studio = NoticeStudio({"p": PuppetEngine(TickGrid(origin_s=0.0), lambda: 0.0)}, ManualClock())
    studio.prepare("en", ["a", "b"])
    async with at_work(studio):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert studio.left == 0
