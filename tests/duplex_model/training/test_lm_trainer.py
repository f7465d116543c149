from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from duplex_model.checkpoint import SafetensorsFile, load_lm
from duplex_model.config import CheckpointConfig
from duplex_model.lm import RQTransformer
from duplex_model.training.lm import describe, own_config
from duplex_model.training.lm_learning.batches import Batch, Chaining, Corpus, batches, collate, noised
from duplex_model.training.lm_learning.losses import LossWeights, SideHeads, losses
from duplex_model.training.lm_learning.optim import optimisers
from duplex_model.training.lm_learning.trainer import (
    MODEL_FILE,
    STATE_FILE,
    Training,
    TrainingOptions,
    initialise,
    run,
)
from tests.duplex_model.small import randomise
from tests.duplex_model.training.toy import CONFIG, LAYOUT, toy_corpus

CPU = torch.device("cpu")
OPTIONS = TrainingOptions(minutes=1, batch_frames=800, average=0.9, bfloat16=False)


@pytest.fixture(autouse=True)
def _learning(_inference: None) -> Iterator[None]:
    with torch.enable_grad():
        yield


def begun(options: TrainingOptions = OPTIONS) -> Training:
    model = RQTransformer(CONFIG)
    initialise(model, 0)
    return Training(model, LAYOUT, options, CPU)


class Clock:
    """A second a step."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def one_batch(corpus: Corpus) -> Batch:
    clip = corpus.voices["ana"][0]
    return collate([LAYOUT.lay(example, clip) for example in corpus.examples])


def test_the_rule_of_the_toy_language_is_learnt_and_validated_on_other_sentences(tmp_path: Path) -> None:
    training = begun(replace(OPTIONS, minutes=2.5))
    run(training, tmp_path, lambda: toy_corpus(120), toy_corpus(20, seed=1), clock=Clock())
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    last = lines[-1]
    assert training.share == 1
    assert lines[0]["text"] > 1.5
    assert last["validation_word_accuracy"] > 0.95
    assert last["validation_hearing_accuracy"] > 0.95
    assert last["validation_semantic_accuracy"] > 0.95
    assert last["validation_text"] < 0.3


def test_a_call_ends_when_its_minutes_are_over_and_the_next_goes_on(tmp_path: Path) -> None:
    first = begun()
    run(first, tmp_path, lambda: toy_corpus(30), None, clock=Clock(), max_minutes=0.1)
    assert first.elapsed_s == pytest.approx(6, abs=1)
    second = begun()
    second.load(tmp_path)
    run(second, tmp_path, lambda: toy_corpus(30), None, clock=Clock(), max_minutes=0.1)
    assert second.elapsed_s == pytest.approx(2 * first.elapsed_s, abs=1)
    assert second.share == pytest.approx(second.elapsed_s / 60)


def served(folder: Path) -> RQTransformer:
    config: CheckpointConfig = describe(CONFIG, LAYOUT.max_frames)
    with SafetensorsFile(folder / MODEL_FILE) as source:
        return load_lm(config, source, dtype=torch.float32)


def test_what_is_exported_is_what_was_validated(tmp_path: Path) -> None:
    training = begun()
    corpus = toy_corpus(30)
    for batch in batches(corpus, LAYOUT, random.Random(0), batch_frames=800):
        training.step(batch)
    training.save(tmp_path)
    model = served(tmp_path)
    tokens = one_batch(corpus).columns
    training.average.swap()
    with torch.no_grad():
        expected = training.model(tokens)
        for got, wanted in zip(model(tokens), expected, strict=True):
            assert torch.equal(got, wanted)


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    batch = one_batch(toy_corpus(12))
    first = begun()
    for _ in range(3):
        first.step(batch)
    first.elapsed_s = 17.0
    first.save(tmp_path)
    second = begun(replace(OPTIONS, seed=9))
    second.load(tmp_path)
    assert (second.steps, second.frames, second.elapsed_s) == (3, 3 * batch.frames, 17.0)
    (tmp_path / "again").mkdir()
    second.save(tmp_path / "again")
    states = [torch.load(folder / STATE_FILE, weights_only=True) for folder in (tmp_path, tmp_path / "again")]
    assert all(map(torch.equal, tensors(states[0]), tensors(states[1])))
    assert len(list(tensors(states[0]))) > 60
    loss = first.step(batch).total.detach()
    assert float(second.step(batch).total.detach()) == pytest.approx(float(loss), rel=1e-3)


def tensors(state: object) -> Iterator[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for value in state.values() if isinstance(state, dict) else state:
            yield from tensors(value)


def test_a_gradient_that_is_not_finite_counts_as_zero() -> None:
    training = begun()
    batch = one_batch(toy_corpus(4))
    with torch.no_grad():
        training.model.text_linear.weight[0, 0] = torch.inf
    before = [parameter.clone() for parameter in training.model.parameters()]
    training.step(batch)
    assert training.skipped == 1
    for got, wanted in zip(training.model.parameters(), before, strict=True):
        assert torch.equal(got, wanted)


def test_given_frames_teach_nothing() -> None:
    corpus = toy_corpus(6)
    batch = one_batch(corpus)
    nothing = replace(
        batch,
        text_weight=torch.zeros_like(batch.text_weight),
        heard_word=torch.full_like(batch.heard_word, -1),
        ended=batch.ended[:0],
        acting=batch.acting[:0],
        situations=batch.situations[:0],
        own_weight=torch.cat([batch.own_weight[:, :1], torch.zeros_like(batch.own_weight[:, 1:])], dim=1),
    )
    training = begun(replace(OPTIONS, weights=LossWeights(depth_share=1.0)))
    found = training.step(nothing)
    assert found.parts["text"] == 0
    assert found.parts["acoustic"] == 0
    assert found.parts["hearing"] == 0
    assert found.parts["situation"] == 0
    assert found.parts["semantic"] > 1


def test_a_gpu_is_not_waited_for_to_know_what_to_compute_next() -> None:
    """Tensors without values stand for those of a GPU: whoever looks at one, or mixes it with the CPU's, fails."""
    elsewhere = torch.device("meta")
    with elsewhere:
        model, hearing = RQTransformer(CONFIG), SideHeads(CONFIG)
    chaining = Chaining(frames=100)  # with a prompt, longer than the attended window
    [batch, *_] = batches(toy_corpus(60), LAYOUT, random.Random(0), batch_frames=800, chaining=chaining)
    assert batch.columns.shape[2] > CONFIG.temporal.context
    batch = batch.to(elsewhere)
    no_generator: Any = None
    inputs = noised(batch.columns, batch.pinned, CONFIG, no_generator, heard=0.1, own=0.1)
    found = losses(model, hearing, batch, inputs, LossWeights(), no_generator)
    found.total.backward()  # type: ignore[no-untyped-call]
    muon, _ = optimisers(model, hearing.parameters(), muon_lr=0.02, adam_lr=0.003)
    muon.step()
    assert {value.device for value in found.parts.values()} == {elsewhere}


def test_adapters_learn_and_are_merged_into_what_is_exported(tmp_path: Path) -> None:
    model = RQTransformer(CONFIG)
    randomise(model, seed=4)
    before = {name: value.clone() for name, value in model.named_parameters()}
    training = Training(model, LAYOUT, replace(OPTIONS, lora_rank=4, adam_lr=1e-2), CPU)
    corpus = toy_corpus(40)
    batch = one_batch(corpus)
    totals = [float(training.step(batch).total.detach()) for _ in range(40)]
    assert totals[-1] < 0.7 * totals[0]
    training.save(tmp_path)
    exported = served(tmp_path)
    training.average.swap()
    with torch.no_grad():
        for got, wanted in zip(exported(batch.columns), training.model(batch.columns), strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)
    assert torch.equal(exported.text_emb.weight, before["text_emb.weight"])
    changed = "transformer.layers.0.self_attn.in_proj.weight"
    assert not torch.equal(exported.get_parameter(changed), before[changed])
    training.average.swap()
    again = RQTransformer(CONFIG)
    randomise(again, seed=4)
    resumed = Training(again, LAYOUT, replace(OPTIONS, lora_rank=4, adam_lr=1e-2), CPU)
    resumed.load(tmp_path)
    assert torch.equal(
        resumed.model.get_parameter("text_linear.weight"), training.model.get_parameter("text_linear.weight")
    )
    assert float(resumed.step(batch).total.detach()) < 0.8 * totals[0]


@pytest.mark.parametrize(
    ("name", "million"), [("tiny", 1.07), ("d256", 9.4), ("small", 13.5), ("d384", 21.8)]
)
def test_own_configurations_fit_in_what_may_be_shipped(name: str, million: float) -> None:
    config = own_config(name, card=512, codebooks=8, text_card=1100, context=320)
    with torch.device("meta"):
        model = RQTransformer(config)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count / 1e6 == pytest.approx(million, rel=0.05)
    assert count < 24e6
