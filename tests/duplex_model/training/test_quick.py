from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from duplex_model.config import LMConfig
from duplex_model.contract import FRAME_SAMPLES
from duplex_model.lm import RQTransformer
from duplex_model.training.evaluation.cells import Planner, stock_of
from duplex_model.training.grammar import load_grammar
from duplex_model.training.lm import own_config
from duplex_model.training.lm_learning.batches import Layout, PromptCodes
from duplex_model.training.lm_learning.trainer import initialise
from duplex_model.training.quick import Parts, look, texts_of
from tests.duplex_model.training.composing import synthesise

CARD, CODEBOOKS, TEXT_CARD = 16, 3, 40


class Letters:
    """A vocabulary of one letter a token; tokens below 4 are silent."""

    def encode(self, text: str) -> list[int]:
        return [4 + ord(letter) % (TEXT_CARD - 4) for letter in text[:20]]

    def piece(self, token: int) -> bytes:
        return b"" if token < 4 else b" " + bytes([97 + token % 26])


def encode(pcm: Tensor) -> Tensor:
    """A codec of loudness: the same code in every codebook."""
    frames = pcm[:, 0].unflatten(1, (-1, FRAME_SAMPLES))
    loudness = (frames.square().mean(dim=-1).sqrt() * 100).long().clamp(max=CARD - 1)
    return loudness[:, None].expand(-1, CODEBOOKS, -1)


@pytest.fixture(scope="module")
def config() -> LMConfig:
    return own_config("tiny", card=CARD, codebooks=CODEBOOKS, text_card=TEXT_CARD, context=160)


@pytest.fixture(scope="module")
def parts(config: LMConfig) -> Parts:
    lm = RQTransformer(config, sinks=True).requires_grad_(False).eval()
    initialise(lm, 0)
    torch.nn.init.normal_(lm.text_linear.weight, std=0.5, generator=torch.Generator().manual_seed(1))
    codes = PromptCodes(silence=(0,) * CODEBOOKS, sine=(5,) * CODEBOOKS)
    clip = np.arange(CODEBOOKS * 20).reshape(CODEBOOKS, 20).astype(np.int16) % CARD
    names = ("ana", "bruno", "clara", "diego", "elena", "felix", "gloria", "hugo")
    return Parts(
        lm=lm,
        encode=encode,
        tokenizer=Letters(),
        layout=Layout(config=config, codes=codes),
        voices={name: [(clip + index).astype(np.int16) % CARD] for index, name in enumerate(names)},
    )


@pytest.fixture(scope="module")
def planner() -> Planner:
    real = stock_of(load_grammar("core"), seed=0)
    return Planner(replace(real, materials=replace(real.materials, synthesise=synthesise)), 4)


def test_what_is_written_does_not_depend_on_who_else_is_looked_at(parts: Parts, planner: Planner) -> None:
    cases = planner.cells()["held-out combinations, simultaneous, es-en"]().cases
    together = texts_of(parts, cases)
    assert [texts_of(parts, [case])[0] for case in cases] == together
    assert any(together)


def test_nothing_is_written_after_the_end_of_a_trial(parts: Parts, planner: Planner) -> None:
    short, long = sorted(
        planner.cells()["held-out combinations, simultaneous, es-en"]().cases[:2],
        key=lambda case: len(case.trial.heard),
    )
    cut = replace(short, trial=replace(short.trial, heard=short.trial.heard[: 3 * FRAME_SAMPLES]))
    assert len(texts_of(parts, [cut, long])[0].split()) <= 3


def test_a_look_has_figures_and_examples_of_both_directions(parts: Parts, planner: Planner) -> None:
    seen = look(parts, planner)
    for direction in ("es-en", "en-es"):
        exact = seen.figures[f"held-out combinations {direction} exact"]
        assert (exact.value, exact.n) == (0.0, 4)
        assert (seen.figures[f"held-out combinations {direction} word error"].value or 0) > 0.5
        assert seen.figures[f"target language {direction} silent"].n == 4
    assert len(seen.examples) == 8
    assert "held-out combinations es-en exact: 0.000 [0.00, 0.49], n 4" in str(seen).splitlines()
