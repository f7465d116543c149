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
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from duplex_model import shipped
from interpreter.__main__ import main, parser_with
from interpreter.check import CHECKS, check
from interpreter.config import Config, IceServerConfig, ServerConfig
from interpreter.errors import ConfigError
from interpreter.loopback_call import ECHO_MS, chirp, find_chirps
from interpreter.run import hosted_settings, secret
from tests.duplex_model.tiny_checkpoint import spectral_config, write_spectral_checkpoint

COMMAND = [sys.executable, "-m", "interpreter"]


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


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "--port", "70000"], ["run", "--tls", "maybe"]])
def test_a_wrong_call_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_a_wrong_file_exits_with_1_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text("server:\n  prot: 1\n")
    assert main(["run", "--config", str(path)]) == 1
    assert f"{path}, line 2" in capsys.readouterr().err


def test_plain_http_beyond_this_machine_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "expected TLS" in capsys.readouterr().err


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


def test_a_port_in_use_fails_the_preflight() -> None:
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(server=ServerConfig(port=taken.getsockname()[1]))
        assert not asyncio.run(check(config, lines.append, {"port": CHECKS["port"]}))
    assert lines[0].startswith("FAILED  port")


def add_wave(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("wave").set_defaults(execute=lambda arguments: 7)


def test_other_packages_add_commands_by_entry_point() -> None:
    wave = EntryPoint(
        name="wave", value="tests.interpreter.test_command:add_wave", group="interpreter.commands"
    )
    arguments = parser_with([wave]).parse_args(["wave"])
    assert arguments.execute(arguments) == 7


def test_secrets_come_from_the_environment_or_a_file_and_are_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    assert secret(None, None, {}) is None
    assert secret("TURN", None, {"TURN": "hush"}) == "hush"
    assert secret(None, path, {}) == "hush"
    with pytest.raises(ConfigError, match="variable TURN"):
        secret("TURN", None, {})
    with pytest.raises(ConfigError, match="absent"):
        secret(None, tmp_path / "absent", {})
    with pytest.raises(ConfigError, match="both"):
        secret("TURN", path, {"TURN": "hush"})
    ice = IceServerConfig(urls=("turn:turn.example.org",), username="u", credential_env="TURN")
    settings = hosted_settings(Config(server=ServerConfig(ice_servers=(ice,))), {"TURN": "hush"})
    assert settings.ice.servers[0].credential == "hush"
    assert "hush" not in repr(settings)


def test_given_tls_needs_both_files() -> None:
    with pytest.raises(ConfigError, match="`certificate` and `key`"):
        hosted_settings(Config(server=ServerConfig(tls="given", key=Path("k"))), {})


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
