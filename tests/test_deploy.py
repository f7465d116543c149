"""What `deploy/` and its documents say is what the program understands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

from interpreter.__main__ import COMMANDS_GROUP, parser_with
from interpreter.config.file import load_config

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DOCUMENTS = [ROOT / "docs/deploy.md", ROOT / "docs/data-protection.md"]
PACKAGES = ("duplex_model", "webrtc", "interpreter", "scenarios")
SECRETS = re.findall(r"^(\w+)=", (DEPLOY / "secrets.env.example").read_text(), re.MULTILINE)


def parsed(command: str) -> None:
    """Refuses, by exiting, what the command line does not take."""
    words = shlex.split(command)
    program = next(n for n, word in enumerate(words) if word.endswith("interpreter") and "=" not in word)
    parser_with(entry_points(group=COMMANDS_GROUP)).parse_args(words[program + 1 :])


def test_the_configuration_loads_and_every_secret_it_names_is_in_the_example() -> None:
    text = (DEPLOY / "interpreter.yaml").read_text()
    config = load_config(DEPLOY / "interpreter.yaml")
    assert config.server.host == "127.0.0.1", "the proxy adds TLS"
    assert config.server.public_url is not None
    assert set(re.findall(r"_env: (\w+)", text)) == set(SECRETS)


def test_the_unit_runs_a_command_that_there_is_and_waits_for_its_end() -> None:
    unit = (DEPLOY / "meeting-interpreter.service").read_text()
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    parsed(command)
    assert "/etc/meeting-interpreter/interpreter.yaml" in command
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) >= 30, "for the closing notice"


def test_the_container_runs_a_command_that_there_is() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    [entry] = re.findall(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)
    [command] = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    parsed(shlex.join([*yaml.safe_load(entry), *yaml.safe_load(command)]))
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in source.split()), source


def test_the_composition_names_files_that_there_are_and_the_network_of_the_host() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["interpreter"]
    assert service["network_mode"] == "host", "media takes any free UDP port"
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
    sources = [volume.split(":")[0] for volume in service["volumes"]]
    assert all((DEPLOY / source).exists() for source in sources if source.startswith("."))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_the_documents_are_understood(path: Path) -> None:
    text = path.read_text()
    lines = [line.strip() for line in re.findall(r"^ {4}(.*)$", text, re.MULTILINE)]
    # `… exec interpreter interpreter check` runs it within a container of that name.
    commands = [re.sub(r".*\bexec interpreter (?=interpreter)", "", line) for line in lines]
    ours = [line for line in commands if re.match(r"(\S*/)?interpreter [a-z]", line)]
    for command in ours:
        parsed(command)
    assert ours or path.name != "deploy.md"
    for name in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (path.parent / name).exists(), name
    for name in re.findall(r"`(deploy/[\w.-]+)`", text):
        assert (ROOT / name).exists() or name == "deploy/secrets.env", name


@pytest.mark.slow
def test_the_wheel_holds_everything_that_is_read_at_run_time(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
    ]
    subprocess.run([*build, str(source)], check=True, capture_output=True, timeout=100)
    [wheel] = tmp_path.glob("*.whl")
    within = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    missing = set(tracked.stdout.splitlines()) - within
    documents = {name for name in missing if name.endswith(".md")}
    assert missing - documents == set()
