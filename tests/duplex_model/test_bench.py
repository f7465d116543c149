from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from duplex_model import bench
from duplex_model.config import CHECKPOINTS
from duplex_model.int8 import quantise_linears
from duplex_model.lm import RQTransformer
from tests.duplex_model.small import small_lm


def test_the_floor_of_the_published_model_is_what_its_tensors_weigh() -> None:
    with torch.device("meta"):
        lm = RQTransformer(CHECKPOINTS["personaplex-7b"].lm, sinks=True).bfloat16()
    tables = 2 * (17 * 4096 + 8 * 1024) * 2049  # 16 codebooks read, 7 in depth; text tables below
    read = bench.weight_bytes(lm)
    assert 14.6e9 < read < 14.9e9, "facts: 14.75 GB read per step"
    assert read < sum(2 * weight.numel() for weight in lm.parameters()) - 0.9 * tables


def test_a_session_of_the_published_model_weighs_its_keys_and_values() -> None:
    size = bench.full_size("personaplex-7b", torch.bfloat16, (1,))
    codec = 16_384_000  # facts: 16.4 MB of float32 in Mimi
    assert bench.keys_and_values_bytes(size) == 2 * 32 * 3000 * 4096 * 2 + codec


def test_int8_weights_are_counted_as_they_are_kept() -> None:
    lm = RQTransformer(small_lm("moshiko-7b")).bfloat16().requires_grad_(False)
    before = bench.weight_bytes(lm)
    quantise_linears(lm)
    assert 0.5 * before < bench.weight_bytes(lm) < 0.8 * before


@pytest.mark.slow
def test_a_row_is_measured_at_full_context() -> None:
    row = bench.measure(bench.small_size((2,)), 2, 3, torch.device("cpu"), 1e10, graph=False)
    assert (row.lanes, row.context_frames) == (2, 250)
    assert 0 < row.young_tick_p50_ms.floor < row.tick_p50_ms.floor
    for figure in (row.young_tick_p50_ms, row.tick_p50_ms, row.join_cold_ms, row.join_cached_ms):
        assert figure.ratio == figure.measured / figure.floor
    assert row.session_mib.ratio == pytest.approx(1.0, abs=0.05)


def test_an_unknown_checkpoint_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--checkpoint", "moshi-700b"])
    assert "moshiko-7b" in capsys.readouterr().err


def test_one_command_compares_attentions() -> None:
    cpu = torch.device("cpu")
    compared = bench.sizes(cpu, True, ["hibiki-1b", "hibiki-2b"], ["eager", "triton"])
    assert [(size.name, size.attention) for size in compared] == [
        ("hibiki-1b", "eager"),
        ("hibiki-1b", "triton"),
        ("hibiki-2b", "eager"),
        ("hibiki-2b", "triton"),
    ]


def test_kernels_are_not_timed_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--device", "cpu", "--attention", "eager", "--attention", "triton"])
    assert "CUDA device for attention triton, got cpu" in capsys.readouterr().err


@pytest.mark.slow
def test_the_last_line_is_json() -> None:
    command = [sys.executable, "-m", "duplex_model.bench", "--quick", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110)
    report = json.loads(done.stdout.splitlines()[-1])
    assert [row["lanes"] for row in report["results"]] == [1, 4, 16]
    assert report["bandwidth_gb_s"] > 0
    for row in report["results"]:
        for figure in ("tick_p50_ms", "tick_p99_ms", "tick_max_ms", "join_cold_ms", "join_cached_ms"):
            assert row[figure]["ratio"] > 0
