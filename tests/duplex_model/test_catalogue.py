from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
import torch
from torch import nn

from duplex_model import catalogue
from duplex_model.catalogue import Fit, Precision, memory_need, parameters, verdict
from duplex_model.checkpoint import shapes_of
from duplex_model.config import CHECKPOINTS, CheckpointConfig, GenerationConfig, SpectralConfig
from duplex_model.int8 import everywhere, quantise_linears
from duplex_model.lm import RQTransformer
from duplex_model.machine import Gpu, Machine
from duplex_model.mimi import Mimi
from duplex_model.spectral import SpectralCodec
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import small_checkpoint
from tests.duplex_model.tiny_checkpoint import SPECTRAL, spectral_config, tiny_config

PERSONAPLEX = CHECKPOINTS["personaplex-7b"]
GB = 10**9


def h200(free_bytes: int = 140 * GB) -> Gpu:
    return Gpu("H200", 150 * GB, free_bytes)


def on_meta(config: CheckpointConfig) -> RQTransformer:
    with torch.device("meta"):
        return RQTransformer(config.lm)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_weights_are_counted_as_the_model_has_them(name: str) -> None:
    config = CHECKPOINTS[name]
    model = on_meta(config)
    count = parameters(config.lm)
    assert count.total == sum(prod(shape) for shape in shapes_of(model).values())
    linears = [
        module.weight.numel()
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and everywhere(path)
    ]
    assert count.linear == sum(linears)


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [("personaplex-7b", 16.743), ("moshiko-7b", 15.375), ("hibiki-2b", 5.575), ("hibiki-1b", 3.600)],
)
def test_downloads_are_as_large_as_published(name: str, gigabytes: float) -> None:
    mimi = 4 * 96_086_113  # all 32 codebooks; the published file also counts its use of each
    assert (catalogue.download_bytes(CHECKPOINTS[name]) - mimi) / GB == pytest.approx(gigabytes, abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_memory_of_a_session_is_that_of_its_lane(name: str) -> None:
    config = small_checkpoint(name)
    lane = StreamingState(RQTransformer(config.lm).bfloat16(), lanes=1)
    mimi = StreamingState(Mimi(config.codec_config), lanes=1)
    held = lane.bytes_per_lane + mimi.bytes_per_lane
    assert memory_need(config, Precision.BF16).session_bytes == pytest.approx(held, rel=0.02)


def test_a_spectral_codec_is_counted_weight_by_weight() -> None:
    for config in (SPECTRAL, SpectralConfig()):
        codec = SpectralCodec(config)
        held = [*shapes_of(codec).values(), codec.quantizer.rvq_first.centroids.shape]
        held.append(codec.quantizer.rvq_rest.centroids.shape)
        assert catalogue.codec_weights(config) == sum(prod(shape) for shape in held)


def test_memory_of_a_session_with_a_spectral_codec() -> None:
    config = spectral_config()
    held = StreamingState(RQTransformer(config.lm), lanes=1).bytes_per_lane
    held += StreamingState(SpectralCodec(SPECTRAL), lanes=1).bytes_per_lane
    assert memory_need(config, Precision.FP32).session_bytes == pytest.approx(held, rel=0.02)


def test_quantising_takes_the_memory_that_was_said() -> None:
    config = small_checkpoint("hibiki-2b")
    model = RQTransformer(config.lm).bfloat16()
    quantise_linears(model)
    held = sum(tensor.nbytes for name, tensor in model.state_dict().items() if not name.endswith(".scale"))
    mimi = memory_need(config, Precision.FP32).weights_bytes - 4 * parameters(config.lm).total
    assert memory_need(config, Precision.INT8).weights_bytes - mimi == held


def test_precisions() -> None:
    needs = {precision: memory_need(PERSONAPLEX, precision) for precision in Precision}
    assert needs[Precision.BF16] == needs[Precision.FP16]
    assert needs[Precision.FP32].weights_bytes > 1.9 * needs[Precision.BF16].weights_bytes
    assert needs[Precision.INT8].weights_bytes < 0.6 * needs[Precision.BF16].weights_bytes
    assert needs[Precision.INT8].session_bytes == needs[Precision.BF16].session_bytes
    assert needs[Precision.BF16].session_bytes / GB == pytest.approx(1.0737 + 0.0164, abs=0.001)


def test_guidance_steps_every_session_twice() -> None:
    config = CHECKPOINTS["hibiki-2b"]
    guided = replace(config, generation=GenerationConfig(guidance=3.0))
    once, twice = (memory_need(each, Precision.BF16).session_bytes for each in (config, guided))
    assert once < twice < 2 * once


@pytest.mark.parametrize(
    ("machine", "fit", "reason"),
    [
        (Machine(free_bytes=GB, gpus=(h200(),)), Fit.REAL_TIME, "memory for 111 sessions on H200"),
        (
            Machine(free_bytes=GB, gpus=(h200(8 * GB), h200(21 * GB))),
            Fit.REAL_TIME,
            "memory for 1 session on",
        ),
        (
            Machine(free_bytes=64 * GB, gpus=(h200(8 * GB),)),
            Fit.SLOW,
            "only on the CPU, slower than speech: one session needs 20.1 GB, H200 has 8.0 GB free",
        ),
        (Machine(free_bytes=64 * GB), Fit.SLOW, "there is no GPU"),
        (Machine(free_bytes=64 * GB, remark="built for CPUs only"), Fit.SLOW, "built for CPUs only"),
        (Machine(free_bytes=8 * GB), Fit.NO, "one session needs 20.1 GB, this machine has 8.0 GB free"),
        (Machine(free_bytes=GB, gpus=(h200(8 * GB),)), Fit.NO, "needs 20.1 GB, H200 has 8.0 GB free"),
    ],
)
def test_verdicts(machine: Machine, fit: Fit, reason: str) -> None:
    judged = verdict(PERSONAPLEX, machine)
    assert judged.fit is fit
    assert reason in judged.reason


def test_int8_fits_where_bf16_does_not() -> None:
    machine = Machine(free_bytes=GB, gpus=(h200(14 * GB),))
    assert verdict(PERSONAPLEX, machine).fit is Fit.NO
    assert verdict(PERSONAPLEX, machine, Precision.INT8).fit is Fit.REAL_TIME


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_checkpoint_is_described(name: str) -> None:
    config = CHECKPOINTS[name]
    assert all(link.startswith("https://") for link in catalogue.licence_links(config.licence))
    can = catalogue.capabilities(config, lanes=3)
    assert (can.checkpoint, can.lanes, can.licence) == (name, 3, config.licence)
    assert can.domain
    assert all(can.serves(heard, said) for heard, out in config.languages.items() for said in out)
    assert config.voice_prompt == (name in catalogue.DEFAULT_VOICES)


def test_a_small_model_needs_no_gpu() -> None:
    found = verdict(tiny_config(), Machine(free_bytes=8 * GB))
    assert (found.fit, found.reason) == (Fit.REAL_TIME, "small enough for the CPU")
    assert verdict(tiny_config(), Machine(free_bytes=1)).fit is Fit.NO
