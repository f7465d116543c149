"""What every test needs: the network namespace, and tests that say why they cannot run here.

In CI (environment variable `CI`) nothing may be skipped for a missing system package; only tests marked `gpu` are.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from scenarios.speech import Speaker
from tests import netns

# Property tests may take as long as a busy machine needs: no time of the wall clock is asserted.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_CHROMIUM = "/usr/bin/chromium"
NPM_PACKAGE = Path(__file__).parent.parent / ".cache/npm/whip-whep-1.2.0"
"""Where `.ci/npm_packages.py` puts it: inside the namespace there is no network to fetch it from."""

_unavailable: dict[str, str] = {}
"""Marker -> why tests with it cannot run on this machine."""

_measured: list[str] = []
"""Lines for the end of the run; figures that depend on the machine are reported there, not asserted."""

_unexcused: list[str] = []
"""What was skipped for another reason than a missing GPU."""


def pytest_configure(config: pytest.Config) -> None:
    try:
        netns.enter()
    except netns.NamespaceUnavailable as error:
        _unavailable["media"] = str(error)
    if not os.access(_CHROMIUM, os.X_OK):
        _unavailable["browser"] = f"{_CHROMIUM} is missing: run `sudo make system-packages`"
    elif ctypes.util.find_library("atomic") is None:  # what drives the browsers is linked to it
        _unavailable["browser"] = "libatomic is missing: run `sudo make system-packages`"
    if shutil.which("espeak-ng") is None:
        _unavailable["speech"] = "espeak-ng is missing: run `sudo make system-packages`"
    if not NPM_PACKAGE.is_dir():
        _unavailable["npm"] = f"{NPM_PACKAGE} is missing: run `{sys.executable} .ci/npm_packages.py`"
    if shutil.which("turnserver") is None:
        _unavailable["turn"] = "coturn is missing: run `sudo make system-packages`"
    if shutil.which("janus") is None:
        _unavailable["janus"] = "janus is missing: run `sudo make system-packages`"
    if shutil.which("nvidia-smi") is None:
        _unavailable["gpu"] = "no CUDA device"


def pytest_report_header() -> list[str]:
    return [f"not run here: {marker} ({reason})" for marker, reason in _unavailable.items()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, reason in _unavailable.items():
            if item.get_closest_marker(marker) is None:
                continue
            if os.environ.get("CI") and marker != "gpu":
                raise pytest.UsageError(f"in CI every `{marker}` test must run: {reason}")
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "gpu" not in report.keywords and not hasattr(report, "wasxfail"):
        _unexcused.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _unexcused.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") and _unexcused and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys, certificates and roles of whoever runs the tests are neither read nor made."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(variable, str(tmp_path_factory.mktemp(variable)))
        yield


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Reports a measured figure at the end of the run."""
    return lambda line: _measured.append(f"{request.node.name}: {line}")


@pytest.fixture(scope="session")
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """Says texts, for tests marked `speech`; remembers them from run to run."""
    return Speaker(request.config.cache.mkdir("speech"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI") and _unexcused:
        terminalreporter.section("failed: in CI only tests that need a GPU may be skipped")
        for name in _unexcused:
            terminalreporter.line(name)
    if _measured:
        terminalreporter.section("measured")
        for line in _measured:
            terminalreporter.line(line)
