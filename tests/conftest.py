"""What every test needs: the network namespace, and tests that say why they cannot run here.

In CI (environment variable `CI`) nothing may be skipped for a missing system package; only tests marked `gpu` are.
"""

from __future__ import annotations

import os
import shutil

import pytest

from tests import netns

_CHROMIUM = "/usr/bin/chromium"
_unavailable: dict[str, str] = {}
"""Marker -> why tests with it cannot run on this machine."""


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
