"""The `interpreter` command from outside, and its preflight."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duplex_model import shipped
from interpreter.__main__ import main, parser_with
from interpreter.check import CHECKS, check
from interpreter.config.config import (
    Config,
    EngineConfig,
    FurtherEngineConfig,
    MeetingConfig,
    PersonRole,
    ServerConfig,
)
from interpreter.config.console import ConsoleConfig, OperatorConfig
from interpreter.config.engines import Say
from interpreter.errors import IncompleteInstallation
from interpreter.identity.keys import IdentityKey
from interpreter.meeting.loopback_call import ECHO_MS, chirp, find_chirps
from tests.duplex_model.tiny_checkpoint import spectral_config, write_spectral_checkpoint

COMMAND = [sys.executable, "-m", "interpreter"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds of notices are neither found nor left where whoever runs the tests keeps theirs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "host a room and interpret in it" in text
    assert "check this machine before a meeting" in text
    for command in ("run", "check"):
        with pytest.raises(SystemExit) as exit_:
            main([command, "--help"])
        assert exit_.value.code == 0
        assert "--config FILE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run", "--port", "70000"], ["run", "--tls", "maybe"], ["run", "--keep", "video"]],
)
def test_a_wrong_call_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_a_wrong_file_exits_with_1_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text("server:\n  prot: 1\n")
    assert main(["run", "--config", str(path)]) == 1
    assert f"{path}, line 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--role", "nobody"], "expected one of the roles"),
        (["--role", "captions-only=Ana", "--role", "captions-only=ana"], "expected a role for ana once"),
        (["--language", "Spanish!"], "expected a BCP 47 tag"),
        (["--keep", "text"], "expected a `folder` (--folder) to keep text in, got none"),
    ],
)
def test_options_that_cannot_be_used_exit_with_1(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--port", "0", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_options_go_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text(
        "meeting:\n"
        "  role: medical-consecutive\n"
        "  roles: [{person: Ana, role: captions-only}]\n"
        "  languages: [{person: Ben, language: en}]\n"
        "  operator: Clinic\n"
    )
    seen: list[Config] = []

    async def see(config: Config, say: Say, version: str) -> None:
        seen.append(config)

    monkeypatch.setattr("interpreter.__main__.run", see)
    options = ["--role", "emergency-short", "--role", "plain-language-relay=Ben", "--language", "es=Ana"]
    kept = ["--keep", "audio", "--folder", "kept"]
    assert main(["run", "--config", str(path), *options, *kept]) == 0
    assert main(["run", "--config", str(path)]) == 0
    over, plain = (config.meeting for config in seen)
    assert (over.role, plain.role) == ("emergency-short", "medical-consecutive")
    assert [(one.person, one.role) for one in over.roles] == [
        ("Ana", "captions-only"),
        ("Ben", "plain-language-relay"),
    ]
    assert [(one.person, one.language) for one in over.languages] == [("Ben", "en"), ("Ana", "es")]
    assert (over.keep, over.folder, over.operator) == ("audio", Path("kept"), "Clinic")
    assert (plain.keep, plain.folder) == ("nothing", None)


def test_plain_http_beyond_this_machine_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "expected TLS" in capsys.readouterr().err


@pytest.mark.slow
def test_an_engine_that_cannot_start_exits_with_1_and_leaves_nothing_running() -> None:
    result = call("run", "--port", "0", "--engine", "scripted", "--script", "/nonexistent.json")
    assert result.returncode == 1
    assert "/nonexistent.json" in result.stderr
    assert "Traceback" not in result.stderr


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in path.read_text().split()]
    # Threads other than the main one may have started processes as well.
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return sorted(set(found))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_run_prints_a_link_that_works_and_ends_cleanly(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        link = None
        for line in process.stdout:
            if match := re.search(r"Open (http\S+)", line):
                link = match[1]
                break
        assert link is not None
        with urllib.request.urlopen(link, timeout=10) as response:
            assert response.status == 200
        children = children_of(process.pid)
        assert children, "the engine runs in a process of its own"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "Closing." in out
        assert "Traceback" not in err
        assert not any(os.path.exists(f"/proc/{child}") for child in children)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_signal_while_the_engine_starts_ends_cleanly() -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--port", "0", "--log-level", "info"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        assert "engine" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode in (0, 130)
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


@pytest.mark.media
@pytest.mark.slow
def test_check_passes_here_and_measures_a_call() -> None:
    result = call("check", "--port", "0")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith(("ok", "note", "FAILED"))]
    assert len(lines) == len(CHECKS)
    delays = re.search(r"original (\d+) ms, through the engine (\d+) ms", result.stdout)
    assert delays is not None


def test_a_check_that_fails_fails_the_preflight() -> None:
    lines: list[str] = []
    checks = {name: CHECKS[name] for name in ("Python", "port", "TLS")}
    missing = ServerConfig(
        port=0, tls="given", certificate=Path("/nonexistent.pem"), key=Path("/nonexistent.key")
    )
    assert not asyncio.run(check(Config(server=missing), lines.append, checks))
    assert re.search(r"FAILED  TLS .*/nonexistent.pem", "\n".join(lines))
    assert asyncio.run(check(Config(server=ServerConfig(port=0)), lines.append, checks))


def test_the_checkpoint_that_comes_along_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def looked_at() -> bool:
        return asyncio.run(check(Config(), lines.append, {"checkpoint": CHECKS["checkpoint"]}))

    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert looked_at(), "a meeting can be held without"
    (tmp_path / "ours").mkdir()
    config = spectral_config()
    files = write_spectral_checkpoint(tmp_path / "ours", config)
    assert looked_at()
    files.codec[0].write_bytes(b"")
    assert not looked_at()
    missing, whole, broken = lines
    assert missing.startswith("note    checkpoint  No checkpoint came")
    assert whole.startswith(f"ok      checkpoint  {config.name} came with this installation")
    assert broken.startswith("FAILED  checkpoint  expected tensors in")


def test_every_library_of_the_package_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    def looked_at() -> bool:
        return asyncio.run(check(Config(), lines.append, {"libraries": CHECKS["libraries"]}))

    assert looked_at()
    assert all(f" {name} {version(name)}" in lines[0] for name in ("aiohttp", "aiortc", "soxr", "torch"))
    assert "ruff" not in lines[0], "what only developers need is missed by nobody else"

    def version_of(name: str) -> str:
        if name == "soxr":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("interpreter.check.version", version_of)
    assert not looked_at()
    assert lines[1] == "FAILED  libraries   expected soxr to be installed: run `make venv`"


def test_a_port_in_use_fails_the_preflight() -> None:
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(server=ServerConfig(port=taken.getsockname()[1]))
        assert not asyncio.run(check(config, lines.append, {"port": CHECKS["port"]}))
    assert lines[0].startswith("FAILED  port")


def looked_at(name: str, config: Config) -> tuple[bool, str]:
    """What one check of the preflight says."""
    lines: list[str] = []
    good = asyncio.run(check(config, lines.append, {name: CHECKS[name]}))
    return good, lines[-1]


def of_meeting(**changes: Any) -> Config:
    return Config(meeting=MeetingConfig(**changes))


def test_the_console_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    good, line = looked_at("console", Config())
    assert good
    assert "127.0.0.1 port 8081 or any free one, for whoever has the link" in line
    monkeypatch.setenv("EVA", "eva-token-0123456789")
    eva = OperatorConfig(name="Eva", token_env="EVA")
    good, line = looked_at("console", Config(console=ConsoleConfig(port=0, operators=(eva,))))
    assert good
    assert line.endswith("for Eva (operator)")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        console = ConsoleConfig(port=taken.getsockname()[1])
        assert not looked_at("console", Config(console=console))[0]
    good, line = looked_at("console", Config(console=ConsoleConfig(host="0.0.0.0")))
    assert not good
    assert "expected `console.operators` with tokens" in line
    assert looked_at("console", Config(console=ConsoleConfig(enabled=False)))[1].startswith("note")


def test_roles_are_looked_at() -> None:
    people = (PersonRole(person="Ana", role="plain-language-relay"),)
    good, line = looked_at("roles", of_meeting(role="medical-consecutive", roles=people))
    assert good
    assert "everybody in medical-consecutive, Ana in plain-language-relay" in line
    good, line = looked_at("roles", of_meeting(role="medical-consecutve"))
    assert not good
    assert "did you mean `medical-consecutive`?" in line


def test_the_key_is_looked_at(tmp_path: Path) -> None:
    key = IdentityKey.generate()
    (tmp_path / "id.pem").write_bytes(key.pem())
    good, line = looked_at("identity", of_meeting(identity_key_file=tmp_path / "id.pem"))
    assert good
    assert key.thumbprint in line
    (tmp_path / "id.pem").write_text("hush")
    good, line = looked_at("identity", of_meeting(identity_key_file=tmp_path / "id.pem"))
    assert not good
    assert "hush" not in line


def test_the_folder_is_looked_at(tmp_path: Path) -> None:
    assert looked_at("folder", Config()) == (True, "ok      folder      none, nothing is kept")
    assert looked_at("folder", of_meeting(keep="text")) == (False, "FAILED  folder      none, text is kept")
    good, line = looked_at("folder", of_meeting(keep="text", folder=tmp_path / "new"))
    assert good
    assert re.search(r"new has [\d.]+ GiB free; of what is said, text is kept", line)
    (tmp_path / "file").touch()
    good, line = looked_at("folder", of_meeting(folder=tmp_path / "file"))
    assert not good
    assert "expected a folder to keep meetings in" in line


def test_voice_and_echo_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at("voice", Config())[0]
    assert looked_at("echo", Config()) == (True, "ok      echo        canceller loaded")
    assert looked_at("echo", of_meeting(cancel_echo=False))[1].startswith("note    echo")

    def missing() -> None:
        raise IncompleteInstallation("expected the package silero-vad, got none")

    monkeypatch.setattr("interpreter.check.VoiceModel", missing)
    assert looked_at("voice", Config()) == (
        False,
        "FAILED  voice       expected the package silero-vad, got none",
    )


def test_engines_are_looked_at_with_the_languages_of_their_notices() -> None:
    speaks = EngineConfig(
        kind="scripted", options={"script": {"directions": {"es>en": {"cues": []}}}}, in_process=True
    )
    lines: list[str] = []
    assert asyncio.run(check(Config(engine=speaks), lines.append, {"engine": CHECKS["engine"]}))
    assert lines[-1].startswith("note    engine      scripted/")
    assert "notices spoken in English; notices shown alone in Spanish" in lines[-1]
    assert "nobody here interprets English into Spanish" in lines[-1]
    shown = Config(engine=speaks, meeting=MeetingConfig(spoken_notices="none"))
    assert "notices shown alone in English and Spanish" in looked_at("engine", shown)[1]
    echo = FurtherEngineConfig(name="echo", kind="loopback", in_process=True)
    good, line = looked_at("engine", Config(engine=speaks, engines=(echo,)))
    assert good
    assert line.startswith("ok      engine")
    assert "loopback/0: 16 lanes, translates nothing" in line


def add_wave(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("wave").set_defaults(execute=lambda arguments: 7)


def test_other_packages_add_commands_by_entry_point() -> None:
    wave = EntryPoint(
        name="wave", value="tests.interpreter.test_command:add_wave", group="interpreter.commands"
    )
    arguments = parser_with([wave]).parse_args(["wave"])
    assert arguments.execute(arguments) == 7


def test_chirps_are_found_where_they_are() -> None:
    rate = 24_000
    heard = np.random.default_rng(0).normal(0, 0.001, 4 * rate).astype(np.float32)
    sent = rate
    for delay_ms, gain in ((150, 1.0), (ECHO_MS + 180, 0.5)):
        at = sent + round(delay_ms * rate / 1000)
        heard[at : at + chirp().size] += gain * chirp()
    report = find_chirps(heard, sent / rate)
    assert report.original_ms == pytest.approx(150, abs=0.1)
    assert report.rendering_ms == pytest.approx(180, abs=0.1)
    quiet = find_chirps(np.zeros(4 * rate, dtype=np.float32), 1.0)
    assert quiet.original_ms is None
    assert quiet.rendering_ms is None
