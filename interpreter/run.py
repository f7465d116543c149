"""`interpreter run`: an engine, a server with one room, a meeting in it, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from duplex_model.catalogue import text_for
from duplex_model.contract import Capabilities, Engine, TickGrid
from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec, build_engine
from duplex_model.supervision import EnginePhase, EngineState
from interpreter.clock import MonotonicClock
from interpreter.config import Config, EngineConfig, IceServerConfig, ServerConfig, meeting_settings
from interpreter.default_engine import chosen_engine, remarks_on
from interpreter.errors import ConfigError, InterpreterError
from interpreter.meeting import Meeting
from interpreter.metrics import table
from webrtc.hosted import GivenCertificate, HostedServer, HostedSettings, Language, SelfSigned
from webrtc.peer import IceServer, IceSettings

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Shows one line to whoever started the command."""


class Stopped(InterpreterError):
    """Somebody asked the command to stop while it was still starting."""


async def run(config: Config, say: Say) -> None:
    """Hosts a meeting until SIGINT or SIGTERM, or until it fails.

    Args:
        config: everything.
        say: gets the progress of the start, then the link to open.

    Raises:
        InterpreterError: the configuration cannot be used, or the engine cannot be started.
        WebRTCError: the address cannot be served on.
    """
    # All that can be wrong with the configuration is found before anything is started.
    hosted = HostedServer(hosted_settings(config, os.environ))
    token = secret(config.room.token_env, None, os.environ)
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        try:
            engine = await stack.enter_async_context(running_engine(config.engine, say, stop))
        except Stopped:
            return
        server = await stack.enter_async_context(hosted)
        room = server.add_room(config.room.name, token)
        meeting = await stack.enter_async_context(
            Meeting(room, engine, MonotonicClock(), meeting_settings(config))
        )
        for line in (*remarks_on(config.engine), *about(engine.capabilities)):
            say(line)
        say(f"Open {server.link(room)} in two browser tabs; Ctrl-C ends the meeting.")
        await first_of(stop.wait(), meeting.ended())
        say("Closing.")
    for line in table(meeting.metrics.snapshot()):
        logger.info("%s", line)


def about(capabilities: Capabilities) -> list[str]:
    """What whoever starts a meeting must know of its engine: licence, purpose, and whether it interprets."""
    lines = [f"Engine {capabilities.checkpoint}, licence {capabilities.licence}."]
    if capabilities.domain:
        lines.append(f"Made for: {capabilities.domain}.")
    if not capabilities.translates:
        lines.append("It translates nothing.")
    if capabilities.demonstration:
        lines.append(f"NOTE: {text_for('en', capabilities.demonstration)}.")
    return lines


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Returns when one of `waits` does, or raises what it raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running_engine(config: EngineConfig, say: Say, stop: asyncio.Event) -> AsyncIterator[Engine]:
    """The configured engine, ready.

    Raises:
        InterpreterError: it cannot be started.
        Stopped: `stop` was set before it was ready.
        DuplexModelError: (in this process) its options cannot be used.
    """
    config = chosen_engine(config)
    assert config.kind is not None
    spec = EngineSpec(kind=config.kind, options=config.options)
    starting = _Starting(say)
    engine: Engine
    if config.in_process:
        engine = build_engine(spec, grid=TickGrid(origin_s=time.monotonic()), report=starting.on_report)
    else:
        engine = EngineProcess(spec, on_state=starting.on_state)
    try:
        if not config.in_process:
            await first_of(starting.ready(), _stopped(stop))
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()
    raise Stopped("stopped before the engine was ready")


class _Starting:
    """Follows the start of an engine's process: shows its progress, wakes whoever waits for its end."""

    PROGRESS_AFTER_S = 1.0

    def __init__(self, say: Say) -> None:
        self._say = say
        self._began_s = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._settled: asyncio.Future[EngineState] = self._loop.create_future()

    def on_state(self, state: EngineState) -> None:
        """Runs on the engine's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._follow, state)

    def on_report(self, fraction: float, text: str) -> None:
        """Progress of an engine in this process, which is built while everything else waits."""
        self._say(f"Engine starting: {text} ({fraction:.0%})")

    async def ready(self) -> None:
        """Returns when the engine is ready.

        Raises:
            InterpreterError: it is not going to be.
        """
        state = await self._settled
        if state.phase is not EnginePhase.READY:
            raise InterpreterError(f"expected an engine that starts, got: {state.text}")

    def _follow(self, state: EngineState) -> None:
        if self._settled.done():
            return
        if state.phase in (EnginePhase.READY, EnginePhase.FAILED):
            self._settled.set_result(state)
        elif time.monotonic() - self._began_s >= self.PROGRESS_AFTER_S:
            self._say(f"Engine {state.phase.value}: {state.text} ({state.fraction:.0%})")


def hosted_settings(config: Config, environ: Mapping[str, str]) -> HostedSettings:
    """The server's settings, with the secrets that `config` only names.

    Raises:
        ConfigError: a secret is not where the configuration says, or TLS files are missing.
    """
    server = config.server
    return HostedSettings(
        host=server.host,
        port=server.port,
        tls=_tls(server, environ),
        insecure=server.insecure,
        public_url=server.public_url,
        ice=IceSettings(
            servers=tuple(_ice_server(ice, environ) for ice in server.ice_servers),
            relay_only=server.relay_only,
        ),
        max_participants=config.room.max_participants,
        languages=tuple(Language(tag=lang.tag, label=lang.label) for lang in config.room.languages),
    )


def _tls(server: ServerConfig, environ: Mapping[str, str]) -> SelfSigned | GivenCertificate | None:
    match server.tls:
        case "none":
            return None
        case "self-signed":
            return SelfSigned(state_dir=server.state_dir or default_state_dir(environ))
        case "given":
            if server.certificate is None or server.key is None:
                raise ConfigError(
                    "expected `certificate` and `key` with tls `given`, got one or none of them"
                )
            return GivenCertificate(certificate=server.certificate, key=server.key)


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """The user's folder for state (XDG Base Directory Specification)."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "meeting-interpreter"


def _ice_server(ice: IceServerConfig, environ: Mapping[str, str]) -> IceServer:
    return IceServer(
        urls=ice.urls,
        username=ice.username,
        credential=secret(ice.credential_env, ice.credential_file, environ),
    )


def secret(variable: str | None, file: Path | None, environ: Mapping[str, str]) -> str | None:
    """What the environment variable or the file holds; None when neither is named.

    Raises:
        ConfigError: both are named, or what is named is not there; never says what it holds.
    """
    if variable is not None and file is not None:
        raise ConfigError(f"expected a secret in one place, got both ${variable} and {file}")
    if variable is not None:
        if not environ.get(variable):
            raise ConfigError(f"expected a secret in the environment variable {variable}, got none")
        return environ[variable]
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected a readable secret in {file}, got: {type(error).__name__}") from error
