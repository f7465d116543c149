"""What the console's System page tells of the machine; slow, since it asks the system."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from duplex_model.machine import this_machine

PACKAGES = ("meeting-interpreter", "aiohttp", "aiortc", "numpy", "torch")
_KIB = 1024


def system_facts() -> Mapping[str, Any]:
    """Machine, memory and versions, as JSON; bytes where a name ends so."""
    machine = this_machine()
    return {
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": platform.python_version(),
            "cores": os.cpu_count() or 0,
            "load": list(os.getloadavg()),
            "free_bytes": machine.free_bytes,
            "process_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
            "gpus": [
                {"name": gpu.name, "total_bytes": gpu.total_bytes, "free_bytes": gpu.free_bytes}
                for gpu in machine.gpus
            ],
            "remark": machine.remark,
        },
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
