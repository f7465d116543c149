"""What every test needs: the network namespace, and tests that say why they cannot run here.

In CI (environment variable `CI`) nothing may be skipped for a missing system package; only tests marked `gpu` are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import hypothesis
import pytest

from tests import netns

# Property tests may take as long as a busy machine needs: no time of the wall clock is asserted.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_CHROMIUM = "/usr/bin/chromium"
_unavailable: dict[str, str] = {}
"""Marker -> why tests with it cannot run on this machine."""

_measured: list[str] = []
"""Lines for the end of the run; figures that depend on the machine are reported there, not asserted."""


def pytest_configure(config: pytest.Config) -> None:
    try:
        netns.enter()
    except netns.NamespaceUnavailable as error:
        _unavailable["media"] = str(error)
    if not os.access(_CHROMIUM, os.X_OK):
        _unavailable["browser"] = f"{_CHROMIUM} is missing: run `sudo make system-packages`"
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


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Reports a measured figure at the end of the run."""
    return lambda line: _measured.append(f"{request.node.name}: {line}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _measured:
        terminalreporter.section("measured")
        for line in _measured:
            terminalreporter.line(line)
