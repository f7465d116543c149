"""Engines of a configuration, each in its process or in this one, on one grid."""

from __future__ import annotations

import asyncio

import pytest

from duplex_model.process import EngineProcess
from interpreter.config.config import Config, EngineConfig, FurtherEngineConfig
from interpreter.config.engines import Stopped, first_of, running_engines
from interpreter.errors import InterpreterError

SCRIPT = {"directions": {"es>en": {"cues": []}}}
BROKEN = EngineConfig(kind="scripted", options={"script_file": "/nonexistent.json"})


async def test_all_engines_are_ready_in_their_order_on_one_grid_and_closed_together() -> None:
    config = Config(
        engine=EngineConfig(kind="scripted", options={"script": SCRIPT}),
        engines=(
            FurtherEngineConfig(name="echo", kind="loopback", options={"lanes": 3}),
            FurtherEngineConfig(name="here", kind="loopback", options={"lanes": 5}, in_process=True),
        ),
    )
    lines: list[str] = []
    async with running_engines(config.all_engines, lines.append, asyncio.Event()) as engines:
        assert list(engines) == ["engine", "echo", "here"]
        assert len({engine.grid for engine in engines.values()}) == 1
        assert [engine.capabilities.lanes for engine in engines.values()] == [16, 3, 5]
        processes = [engine for engine in engines.values() if isinstance(engine, EngineProcess)]
        assert len({process.pid for process in processes} - {None}) == 2
    assert all(process.pid is None for process in processes)
    assert all(line.startswith(("Engine engine ", "Engine echo ", "Engine here ")) for line in lines)
    assert any(line.startswith("Engine here starting: ") for line in lines)


async def test_one_engine_needs_no_name_in_its_progress() -> None:
    lines: list[str] = []
    alone = {"engine": EngineConfig(kind="loopback", in_process=True)}
    async with running_engines(alone, lines.append, asyncio.Event()):
        assert lines
        assert all(line.startswith("Engine starting: ") for line in lines)


async def test_an_engine_that_cannot_start_is_named_and_the_others_are_closed() -> None:
    waiting = EngineConfig(kind="loopback")
    with pytest.raises(InterpreterError, match=r"Engine [bc]: expected it to start, got: .*nonexistent"):
        async with running_engines(
            {"a": waiting, "b": BROKEN, "c": BROKEN}, lambda line: None, asyncio.Event()
        ):
            raise AssertionError("it cannot be ready")


async def test_a_start_that_is_stopped_ends() -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Stopped):
        async with running_engines({"a": EngineConfig(kind="loopback")}, lambda line: None, stop):
            raise AssertionError("it was stopped")


async def test_the_first_that_ends_ends_the_others() -> None:
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def fails() -> None:
        raise ValueError("one failed")

    await first_of(waits(), asyncio.sleep(0))
    with pytest.raises(ValueError, match="one failed"):
        await first_of(waits(), fails())
    assert ended == ["cancelled", "cancelled"]
