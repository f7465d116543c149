"""`interpreter check`: the preflight. Each check gives one line; a meeting can be held when none failed."""

from __future__ import annotations

import asyncio
import enum
import os
import platform
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from duplex_model.catalogue import Fit, text_for, verdict
from duplex_model.errors import DuplexModelError
from duplex_model.intact import check_intact
from duplex_model.machine import this_machine
from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from duplex_model.source import find_files, parse_source
from interpreter.config import Config, EngineConfig
from interpreter.default_engine import chosen_engine, remarks_on
from interpreter.errors import InterpreterError
from interpreter.loopback_call import ECHO_MS, CallReport, loopback_call
from interpreter.run import Say, hosted_settings, running_engine
from webrtc.errors import WebRTCError
from webrtc.hosted.server import certificate_names
from webrtc.hosted.tls import server_context, utc_now
from webrtc.opus import library_version

PACKAGES = ("aiohttp", "aiortc", "cryptography", "numpy", "PyYAML")
CALL_TIMEOUT_S = 20.0
MAX_DELAY_MS = 400.0
"""ITU-T G.114: one-way delay beyond which conversation suffers in planning."""

DEVICE_TIMEOUT_S = 120.0


class Outcome(enum.Enum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"  # worth knowing; no obstacle
    FAILED = "FAILED"


@dataclass(frozen=True)
class Finding:
    """One line of the preflight."""

    outcome: Outcome
    words: str


Check = Callable[[Config, Say], Awaitable[Finding]]


async def _python(config: Config, say: Say) -> Finding:
    return Finding(Outcome.OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


async def _libraries(config: Config, say: Say) -> Finding:
    try:
        return Finding(Outcome.OK, ", ".join(f"{package} {version(package)}" for package in PACKAGES))
    except PackageNotFoundError as error:
        return Finding(Outcome.FAILED, f"expected {error.name} to be installed: run `make venv`")


async def _libopus(config: Config, say: Say) -> Finding:
    return Finding(Outcome.OK, library_version())


async def _port(config: Config, say: Say) -> Finding:
    host, port = config.server.host, config.server.port
    if port == 0:
        return Finding(Outcome.OK, f"any free port on {host}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(Outcome.FAILED, f"{host} port {port}: {error.strerror}")
    return Finding(Outcome.OK, f"{host} port {port} is free")


async def _tls(config: Config, say: Say) -> Finding:
    settings = hosted_settings(config, os.environ)
    if settings.tls is None:
        return Finding(Outcome.NOTE, "none: browsers give the microphone on this machine only")
    server_context(settings.tls, certificate_names(settings), utc_now())
    return Finding(Outcome.OK, f"{config.server.tls} certificate")


async def _checkpoint(config: Config, say: Say) -> Finding:
    if shipped_folder(DEFAULT) is None:
        return Finding(Outcome.NOTE, NONE_SHIPPED)
    source = parse_source(DEFAULT)
    size = check_intact(find_files(source, report=lambda fraction, words: None))
    domain = f", for {source.config.domain}" if source.config.domain else ""
    return Finding(
        Outcome.OK, f"{source.config.name} came with this installation, {size / 2**20:.0f} MiB{domain}"
    )


async def _engine(config: Config, say: Say) -> Finding:
    async with running_engine(config.engine, say, asyncio.Event()) as engine:
        can = engine.capabilities
    kind = "translates" if can.translates else "translates nothing"
    label = f", {text_for('en', can.demonstration)}" if can.demonstration else ""
    return Finding(Outcome.OK, f"{can.checkpoint}: {can.lanes} lanes, {kind}, licence {can.licence}{label}")


async def _audio_path(config: Config, say: Say) -> Finding:
    say("        …           calling ourselves, some five seconds")
    echo = EngineConfig(kind="loopback", options={"lanes": 2, "delay_ms": ECHO_MS})
    async with running_engine(echo, say, asyncio.Event()) as engine:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return _judged(await loopback_call(engine))
        except TimeoutError:
            words = f"no call within {CALL_TIMEOUT_S:.0f} s: is there a network interface besides loopback?"
            return Finding(Outcome.FAILED, words)


def _judged(report: CallReport) -> Finding:
    if report.original_ms is None or report.rendering_ms is None:
        lost = "original" if report.original_ms is None else "interpreter's"
        return Finding(Outcome.FAILED, f"the {lost} sound was not heard at the other end")
    delays = f"original {report.original_ms:.0f} ms, through the engine {report.rendering_ms:.0f} ms"
    if max(report.original_ms, report.rendering_ms) > MAX_DELAY_MS:
        return Finding(Outcome.NOTE, f"slow, is this machine busy? One way, without microphones: {delays}")
    return Finding(Outcome.OK, f"one way, without microphones: {delays}")


async def _models(config: Config, say: Say) -> Finding:
    engine = chosen_engine(config.engine)
    if engine.kind != "neural":
        remarks = remarks_on(config.engine) or [f"none: the {engine.kind} engine needs no checkpoint"]
        return Finding(Outcome.NOTE, " ".join(remarks))
    source = parse_source(str(engine.options.get("checkpoint", "")))
    fit = verdict(source.config, this_machine())
    words = f"{source.config.name} from {source.where}, licence {source.config.licence}: {fit.reason}"
    return Finding(Outcome.FAILED if fit.fit is Fit.NO else Outcome.NOTE, words)


async def _device(config: Config, say: Say) -> Finding:
    say("        …           loading PyTorch, some seconds")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "duplex_model.device",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEVICE_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Finding(Outcome.NOTE, output.decode(errors="replace").strip() or "PyTorch did not answer")


CHECKS: Mapping[str, Check] = {
    "Python": _python,
    "libraries": _libraries,
    "libopus": _libopus,
    "port": _port,
    "TLS": _tls,
    "checkpoint": _checkpoint,
    "engine": _engine,
    "audio path": _audio_path,
    "models": _models,
    "GPU": _device,
}


async def check(config: Config, say: Say, checks: Mapping[str, Check] = CHECKS) -> bool:
    """Runs `checks` in order and says each finding.

    Returns:
        Whether a meeting can be held with `config`.
    """
    good = True
    for name, one in checks.items():
        try:
            finding = await one(config, say)
        except (InterpreterError, WebRTCError, DuplexModelError, OSError, TimeoutError) as error:
            finding = Finding(Outcome.FAILED, str(error) or type(error).__name__)
        say(f"{finding.outcome.value:<7} {name:<11} {finding.words}")
        good = good and finding.outcome is not Outcome.FAILED
    return good
