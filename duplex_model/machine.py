"""What this machine could hold: free memory, and that of its GPUs. Asks the system, and loads no PyTorch."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_QUERY = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
_MIB = 1 << 20
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Gpu:
    """One CUDA device."""

    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Memory that a model could use at the moment."""

    free_bytes: int
    """Of the host."""

    gpus: tuple[Gpu, ...] = ()
    """That PyTorch can use."""

    remark: str = ""
    """Why a GPU that is there cannot be used; empty otherwise."""


def this_machine() -> Machine:
    """The machine this process runs on."""
    free_bytes = min(_available_bytes(), _left_in_cgroup_bytes())
    gpus = _query_gpus()
    if gpus and "+cpu" in _torch_version():
        return Machine(
            free_bytes=free_bytes,
            remark=f"{gpus[0].name} is not used: this PyTorch ({_torch_version()}) is built for CPUs only",
        )
    return Machine(free_bytes=free_bytes, gpus=gpus)


def parse_gpus(listing: str) -> tuple[Gpu, ...]:
    """The devices in what `nvidia-smi` prints: name, total and free MiB, separated by commas.

    Devices whose memory cannot be told, as those divided into instances, are left out.
    """
    gpus = []
    for line in listing.splitlines():
        name, *sizes = (field.strip() for field in line.rsplit(",", 2))
        if len(sizes) == 2 and all(size.isdecimal() for size in sizes):
            total, free = (int(size) * _MIB for size in sizes)
            gpus.append(Gpu(name, total, free))
    return tuple(gpus)


def _query_gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = subprocess.run(
            [program, *_QUERY], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()  # installed, but without a driver or a device
    return parse_gpus(done.stdout)


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _available_bytes() -> int:
    """What the system could give without swapping; all memory where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_in_cgroup_bytes(root: Path = Path("/sys/fs/cgroup")) -> int:
    """What a container's limit leaves; more than any machine has where there is no limit."""
    try:
        limit, used = ((root / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return 1 << 62
    return max(int(limit) - int(used), 0) if limit.isdecimal() else 1 << 62
