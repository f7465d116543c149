from __future__ import annotations

import os
from pathlib import Path

import pytest

from duplex_model import machine
from duplex_model.machine import Gpu, parse_gpus, this_machine

MIB = 1 << 20


def test_what_nvidia_smi_prints() -> None:
    listing = (
        "NVIDIA H200, 143771, 143000\n"
        "NVIDIA RTX 6000, Ada, 49140, 1\n"  # a name may have commas
        "NVIDIA A100, 81920, [N/A]\n"
        "No devices were found\n\n"
    )
    assert parse_gpus(listing) == (
        Gpu("NVIDIA H200", 143771 * MIB, 143000 * MIB),
        Gpu("NVIDIA RTX 6000, Ada", 49140 * MIB, MIB),
    )


def test_this_machine_has_memory() -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < this_machine().free_bytes <= total


def program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


def test_a_gpu_that_this_pytorch_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, "echo NVIDIA H200, 143771, 143000"))
    found = this_machine()
    if "+cpu" in machine._torch_version():
        assert found.gpus == ()
        assert found.remark.startswith("NVIDIA H200 is not used: this PyTorch (")
    else:
        assert found.gpus[0].name == "NVIDIA H200"


@pytest.mark.parametrize("script", ["exit 9", "echo nothing of use", "echo"])
def test_a_driver_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, script))
    assert this_machine().gpus == ()


def test_a_container_has_its_own_limit(tmp_path: Path) -> None:
    assert machine._left_in_cgroup_bytes(tmp_path) == 1 << 62
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._left_in_cgroup_bytes(tmp_path) == 1 << 62
    (tmp_path / "memory.max").write_text("1500\n")
    assert machine._left_in_cgroup_bytes(tmp_path) == 500
    (tmp_path / "memory.max").write_text("900\n")
    assert machine._left_in_cgroup_bytes(tmp_path) == 0
