"""The arrows between packages, and which third-party package may be imported where (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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
HOMES = {
    "torch": {"duplex_model"},
    "aiortc": {"webrtc"},
    "av": {"webrtc"},
    "livekit": {"interpreter"},
    "onnxruntime": {"interpreter"},
}
"""Third-party package -> the only packages of ours that may import it."""

SANS_IO = {
    "duplex_model": "contract description errors fields load long_call messages passing_on scheduler script speech "
    "supervision wire",
    "interpreter": "channels directions errors languages levels metrics pcm16 people serving vacancy yaml_file",
    "interpreter/commands": "arguments chat commands control memory orders replies revisions table",
    "interpreter/config": "config console file join kinds",
    "interpreter/console": "access board deltas ledger openapi outbox pages protocol snapshot spans telemetry topics",
    "interpreter/ears": "backchannel_sound ear echo echo_gate echo_reference echo_search voice_activity",
    "interpreter/facts_guard": "allergies compare extract facts found guard lexicon measures negation numbers patterns "
    "readers repairs spelling stretches tokens",
    "interpreter/floor": "backchannels floor floors own_backchannels spoken_words",
    "interpreter/identity": "attestation audit chain encoding heads passport records sound verify",
    "interpreter/interpretation": "arrangement audience captions command_desk delivery interpretation "
    "language_assignment members notices overview own_words page_state proceedings telling",
    "interpreter/join": "plan",
    "interpreter/meeting": "attendees playout settings",
    "interpreter/mixing": "cushion mixdown mixing routing unsent",
    "interpreter/notices": "announcer protocol",
    "interpreter/record": "cost follower transcript",
    "interpreter/roles": "assignment casting checksum library listing role scripts",
    "interpreter/sessions": "hold renderings",
    "interpreter/watches": "misheard requests watches",
    "scenarios": "cast_script catching errors faults faulty heard inert judge outcome plain_data plan "
    "players run_log scenario_checks scenario_file sounds stimuli summary textgrid timeline told track_audio units "
    "voicing word_times wording",
    "scenarios/scores": "alignment bench_v1 bench_v15 bench_voice errors facts floor_keeping lag latency mix quality "
    "run score stability turn_taking voice voice_segments",
    "scenarios/report": "lanes tables",
    "scenarios/importers": "draft mts_dialog webvtt",
    "webrtc": "backoff errors jitter opus packets schedule sdp talk timescale transit",
    "webrtc/hosted": "outbox protocol whip",
    "webrtc/janus": "address messages people refusals session videoroom visit visit_events",
    "webrtc/jitsi": "bridge_channel chat_board conference conference_events conference_request config_script "
    "disco discovery focus_asking guest_settings in_room jingle jingle_events jingle_reader "
    "jingle_session jingle_writer join_errors lobby mediajson moderation namespaces people presence "
    "reconnection refusals roster sasl sdp sources sources_audio stanza stream stream_management xml",
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
def test_folders_import_each_other_in_one_direction(package: str) -> None:
    """Files beside folders count one by one: commands stand above what they use, and some ground below it."""
    arrows: dict[str, set[str]] = {}
    for path in modules(package):
        here = room(path)
        arrows.setdefault(here, set()).update(room(other) for other in imported_files(path))
        arrows[here].discard(here)
    order = TopologicalSorter(arrows)
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(f"these import each other in a circle: {' -> '.join(error.args[1])}")


def room(path: Path) -> str:
    """The folder of a file, or the file where it stands beside folders."""
    has_folders = any(other.is_dir() for other in path.parent.iterdir() if (other / "__init__.py").exists())
    return (path if has_folders else path.parent).relative_to(ROOT).as_posix()


def imported_files(path: Path) -> Iterator[Path]:
    """Our own files that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            target = ROOT.joinpath(*node.module.split("."))
            for file in (target, *(target / alias.name for alias in node.names)):
                if file.with_suffix(".py").is_file():
                    yield file.with_suffix(".py")


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


@pytest.mark.slow
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
    assert catchers == ["interpreter/meeting/attendees.py"], "only there a participant that fails is isolated"


def _pyproject() -> dict[str, dict[str, dict[str, list[str]]]]:
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())
