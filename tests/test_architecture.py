"""The arrows between packages, and which third-party package may be imported where (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "duplex_model": set(),
    "webrtc": set(),
    "interpreter": {"duplex_model", "webrtc"},
    "scenarios": {"interpreter", "duplex_model", "webrtc"},
}
OURS = {*ALLOWED, "tests"}
HOMES = {"torch": {"duplex_model"}, "aiortc": {"webrtc"}, "av": {"webrtc"}}
"""Third-party package -> the only packages of ours that may import it."""

SANS_IO = {
    "duplex_model": "contract description errors fields load long_call messages scheduler script speech supervision "
    "wire",
    "interpreter": "captions config config_file cushion directions errors levels metrics misheard mixdown mixing "
    "notices renderings routing",
    "webrtc": "errors jitter opus packets schedule sdp timescale transit",
    "webrtc/hosted": "outbox protocol",
}
"""Folder -> its pure and sans-IO files."""
CLOCKS_AND_SOCKETS = {"asyncio", "socket", "time", "random", "threading", "aiohttp"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Top-level name of everything a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrow"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_no_arrow_runs_back(package: str) -> None:
    for path in modules(package):
        foreign = (set(imports(path)) & OURS) - {package} - ALLOWED[package]
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


@pytest.mark.parametrize("package", ALLOWED)
def test_third_party_packages_stay_at_home(package: str) -> None:
    for path in modules(package):
        for name in set(imports(path)) & HOMES.keys():
            assert package in HOMES[name], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("folder", SANS_IO)
def test_cores_know_no_clock_and_no_socket(folder: str) -> None:
    for name in SANS_IO[folder].split():
        assert not set(imports(ROOT / folder / f"{name}.py")) & CLOCKS_AND_SOCKETS, name


def test_duplex_model_knows_no_asyncio() -> None:
    for path in modules("duplex_model"):
        assert "asyncio" not in set(imports(path)), path


def test_nothing_at_run_time_imports_the_training() -> None:
    for package in ALLOWED:
        for path in modules(package):
            if "training" in path.relative_to(ROOT).parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                for name in (module, *names):
                    assert not name.startswith("duplex_model.training"), path.relative_to(ROOT)


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = set(_pyproject()["tool"]["setuptools"]["packages"])
    found = {
        ".".join(path.parent.relative_to(ROOT).parts) for package in ALLOWED for path in modules(package)
    }
    assert listed == found


def test_only_one_place_catches_every_exception() -> None:
    catchers = [
        path.relative_to(ROOT).as_posix()
        for package in ALLOWED
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
    ]
    assert catchers == ["interpreter/meeting.py"], "only the meeting isolates a participant that fails"


def _pyproject() -> dict[str, dict[str, dict[str, list[str]]]]:
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())
