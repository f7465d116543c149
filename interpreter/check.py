"""`interpreter check`: the preflight. Each check gives one line; a meeting can be held when none failed."""

from __future__ import annotations

import asyncio
import enum
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

import numpy as np

from duplex_model.catalogue import Fit, text_for, verdict
from duplex_model.contract import FRAME_SAMPLES, Capabilities
from duplex_model.errors import DuplexModelError
from duplex_model.intact import check_intact
from duplex_model.machine import this_machine
from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from duplex_model.source import find_files, parse_source
from interpreter.clock import MonotonicClock
from interpreter.config.config import Config, EngineConfig, JitsiConfig
from interpreter.config.default_engine import chosen_engine, remarks_on
from interpreter.config.engines import Say, running_engines
from interpreter.config.join import JoinConfig
from interpreter.config.settings import (
    check_writable,
    hosted_settings,
    identity_key,
    meeting_settings,
    personal_roles,
    role_library,
    room_languages,
    translate_settings,
)
from interpreter.console.settings import console_plan
from interpreter.ears.aec3 import Aec3
from interpreter.ears.voice_model import HOP_SAMPLES, VoiceModel, VoiceState
from interpreter.errors import InterpreterError
from interpreter.join.join import finder
from interpreter.join.settings import channels, joined_meeting_settings, language_rules
from interpreter.languages import LANGUAGE_WORDS
from interpreter.meeting.loopback_call import ECHO_MS, CallReport, loopback_call
from interpreter.notices.studio import NoticeStudio
from interpreter.roles.assignment import assign_roles
from interpreter.serve_jitsi import MeetingsSettings
from interpreter.serving import refusals
from webrtc.errors import WebRTCError
from webrtc.hosted.server import certificate_names
from webrtc.hosted.tls import server_context, utc_now
from webrtc.opus import library_version

DISTRIBUTION = "meeting-interpreter"
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
        return Finding(Outcome.OK, ", ".join(f"{package} {version(package)}" for package in _needed()))
    except PackageNotFoundError as error:
        return Finding(Outcome.FAILED, f"expected {error.name} to be installed: run `make venv`")


def _needed() -> list[str]:
    """Packages that this one needs whatever the system and without any extra (PEP 508)."""
    requirements = [line for line in requires(DISTRIBUTION) or () if ";" not in line]
    return re.findall(r"^[\w.-]+", "\n".join(requirements), re.MULTILINE)


async def _libopus(config: Config, say: Say) -> Finding:
    return Finding(Outcome.OK, library_version())


async def _port(config: Config, say: Say) -> Finding:
    host, port = config.server.host, config.server.port
    if port == 0:
        return Finding(Outcome.OK, f"any free port on {host}")
    fault = _not_bound(host, port)
    if fault:
        return Finding(Outcome.FAILED, f"{host} port {port}: {fault}")
    return Finding(Outcome.OK, f"{host} port {port} is free")


def _not_bound(host: str, port: int) -> str:
    """Why an address cannot be bound; empty where it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


async def _console(config: Config, say: Say) -> Finding:
    plan = console_plan(config, os.environ)
    if plan is None:
        return Finding(Outcome.NOTE, "none is served")
    settings = plan.settings
    who = "whoever has the link printed at the start"
    if plan.made is None:
        who = ", ".join(f"{one.name} ({one.standing.words})" for one in settings.passes)
    where = f"{settings.host} port {settings.port}{' or any free one' if plan.any_port else ''}"
    if not plan.any_port and settings.port and (fault := _not_bound(settings.host, settings.port)):
        return Finding(Outcome.FAILED, f"{where}: {fault}")
    return Finding(Outcome.OK, f"{where}, for {who}")


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


async def _roles(config: Config, say: Say) -> Finding:
    meeting = config.meeting
    library = role_library(meeting)
    roles = assign_roles(meeting.role, personal_roles(config), library)
    names = [one.person for one in meeting.roles] + [one.name for one in config.room.people]
    people = [f"{name} in {roles.role_of(name).name}" for name in dict.fromkeys(names)]
    return Finding(
        Outcome.OK,
        ", ".join([f"{len(library.roles)} to choose from, everybody in {roles.default.name}", *people]),
    )


async def _identity(config: Config, say: Say) -> Finding:
    return Finding(Outcome.OK, f"signs as {identity_key(config, os.environ).thumbprint}")


async def _folder(config: Config, say: Say) -> Finding:
    folder, keep = config.meeting.folder, config.meeting.keep
    if folder is None:
        outcome = Outcome.OK if keep == "nothing" else Outcome.FAILED
        return Finding(outcome, f"none, {keep} is kept")
    check_writable(folder)
    free = shutil.disk_usage(folder).free / 2**30
    return Finding(Outcome.OK, f"{folder} has {free:.1f} GiB free; of what is said, {keep} is kept")


async def _voice(config: Config, say: Say) -> Finding:
    probability, _ = VoiceModel().listen(np.zeros(HOP_SAMPLES, dtype=np.float32), VoiceState())
    return Finding(Outcome.OK, f"voice activity: {probability:.2f} of a voice in silence")


async def _echo(config: Config, say: Say) -> Finding:
    if not config.meeting.cancel_echo:
        return Finding(Outcome.NOTE, "not cancelled")
    silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
    Aec3().clean(silence, silence)
    return Finding(Outcome.OK, "canceller loaded")


async def _engines(config: Config, say: Say) -> Finding:
    languages = room_languages(config)
    how = config.meeting.spoken_notices
    async with running_engines(config.all_engines, say, asyncio.Event()) as engines:
        can = {name: engine.capabilities for name, engine in engines.items()}
        studio = NoticeStudio(engines, MonotonicClock(), untested=how == "untested")
        spoken = [language for language in languages if how != "none" and studio.speaks(language)]
    shown = [language for language in languages if language not in spoken]
    words = [_engine_words(one) for one in can.values()]
    names = LANGUAGE_WORDS["en"]
    words += [f"notices spoken in {names.list(spoken)}"] if spoken else []
    words += [f"notices shown alone in {names.list(shown)}"] if shown else []
    refused = refusals(languages, can)
    return Finding(Outcome.NOTE if refused else Outcome.OK, "; ".join([*words, *refused]))


def _engine_words(can: Capabilities) -> str:
    kind = "translates" if can.translates else "translates nothing"
    label = f", {text_for('en', can.demonstration)}" if can.demonstration else ""
    return f"{can.checkpoint}: {can.lanes} lanes, {kind}, licence {can.licence}{label}"


async def _audio_path(config: Config, say: Say) -> Finding:
    say("        …           calling ourselves, some five seconds")
    echo = EngineConfig(kind="loopback", options={"lanes": 2, "delay_ms": ECHO_MS})
    async with running_engines({"loopback": echo}, say, asyncio.Event()) as engines:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return _judged(await loopback_call(engines["loopback"]))
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
    engines = [chosen_engine(engine) for engine in config.all_engines.values()]
    sources = [
        parse_source(str(one.options.get("checkpoint", ""))) for one in engines if one.kind == "neural"
    ]
    if not sources:
        remarks = remarks_on(config.engine) or [f"none: the {engines[0].kind} engine needs no checkpoint"]
        return Finding(Outcome.NOTE, " ".join(remarks))
    fits = [verdict(source.config, this_machine()) for source in sources]
    words = [
        f"{source.config.name} from {source.where}, licence {source.config.licence}: {fit.reason}"
        for source, fit in zip(sources, fits, strict=True)
    ]
    refused = any(fit.fit is Fit.NO for fit in fits)
    return Finding(Outcome.FAILED if refused else Outcome.NOTE, "; ".join(words))


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


async def _jitsi(config: Config, say: Say) -> Finding:
    jitsi = config.jitsi
    if jitsi == JitsiConfig():
        return Finding(Outcome.OK, "translation service not configured")
    settings = translate_settings(config, os.environ)
    MeetingsSettings(config, meeting_settings(config, os.environ))
    token = (
        f"bridges show a token in {jitsi.header}" if settings.token else "no token: for this machine alone"
    )
    others = f", {len(jitsi.meetings)} entries for some meetings" if jitsi.meetings else ""
    return Finding(Outcome.OK, f"translation service: {token}{others}")


async def _join(config: Config, say: Say) -> Finding:
    join = config.join
    if join == JoinConfig():
        return Finding(Outcome.OK, "no meeting to join configured")
    joined_meeting_settings(config, os.environ)
    speaks = LANGUAGE_WORDS["en"].list([channel.language for channel in channels(config)])
    rules = f"speaks {speaks}, {len(language_rules(config))} rules for what people speak"
    if join.url is None:
        return Finding(Outcome.NOTE, f"{rules}; no `url`, so no server was asked")
    place = await finder(join)(config, os.environ, say)
    return Finding(Outcome.OK, f"{rules}; found {place.room.name}")


CHECKS: Mapping[str, Check] = {
    "Python": _python,
    "libraries": _libraries,
    "libopus": _libopus,
    "port": _port,
    "TLS": _tls,
    "console": _console,
    "roles": _roles,
    "identity": _identity,
    "folder": _folder,
    "jitsi": _jitsi,
    "join": _join,
    "voice": _voice,
    "echo": _echo,
    "checkpoint": _checkpoint,
    "engine": _engines,
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
