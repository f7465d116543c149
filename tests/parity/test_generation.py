from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from moshi.models import LMGen
from moshi.models.lm import LMModel
from torch import Tensor

from duplex_model.config import GREEDY, GenerationConfig
from duplex_model.delays import delayed
from duplex_model.generator import Generator
from duplex_model.lm import RQTransformer
from duplex_model.prefill import Prefill
from duplex_model.prompt import PromptColumns
from tests.duplex_model.small import small_checkpoint
from tests.parity import oracle
from tests.parity.tally import compared
from tests.parity.test_lm import VARIANTS

ALL_GREEDY = GenerationConfig(text=GREEDY, audio=GREEDY)
STEPS = 220  # the context is 24: the ring turns nine times
LANES = 2
CASES = [(name, 1.0) for name in VARIANTS] + [("hibiki-2b", 3.0), ("hibiki-1b", 3.0)]


def speaking_pair(name: str) -> tuple[LMModel, RQTransformer]:
    """Theirs with only the depth steps that are used, so that it can hear; ours with the same weights."""
    checkpoint = small_checkpoint(name)
    theirs, ours = oracle.lm_pair(checkpoint, seed=21)
    if checkpoint.depth_steps_in_file:
        used = oracle.lm(checkpoint.lm, checkpoint.lm.delays, seed=0)
        whole = theirs.state_dict()
        used.load_state_dict({key: whole[key] for key in used.state_dict()})
        theirs = used
    return theirs, ours


def their_tokens(theirs: LMModel, guidance: float, heard: Tensor) -> list[Tensor]:
    """[lanes, 1 + own codebooks] of every valid frame, for heard [steps, lanes, codebooks]."""
    descriptions = ["very_good"] * LANES + (["very_bad"] * LANES if guidance != 1 else [])
    options: dict[str, Any] = {"condition_tensors": oracle.conditions(theirs, descriptions)}
    generator = LMGen(theirs, use_sampling=False, cfg_coef=guidance, check=True, **options)
    with generator.streaming(LANES):
        outputs = [generator.step(codes[..., None]) for codes in heard]
    return [tokens[..., 0] for tokens in outputs if tokens is not None]


@pytest.mark.parametrize(("name", "guidance"), CASES)
def test_greedy_generation(name: str, guidance: float) -> None:
    theirs, ours = speaking_pair(name)
    config = ours.config
    heard = torch.randint(config.card, (STEPS, LANES, config.heard_codebooks))
    expected = torch.stack(their_tokens(theirs, guidance, heard))
    assert len(expected) >= 200
    assert expected.unique().numel() > 20

    generator = Generator(ours, LANES, replace(ALL_GREEDY, guidance=guidance))
    everyone = torch.ones(LANES, dtype=torch.bool)
    frames = [generator.step(codes, generator.sample_everything, everyone) for codes in heard]
    spoken = torch.stack([frame.tokens for frame in frames if frame.valid.all()])
    with compared(name, f"greedy, in step, guidance {guidance:g}"):
        assert torch.equal(spoken, expected)

    generator = Generator(ours, LANES, replace(ALL_GREEDY, guidance=guidance))
    with compared(name, f"greedy, out of step, guidance {guidance:g}"):
        assert torch.equal(in_own_time(generator, heard), expected)


def in_own_time(generator: Generator, heard: Tensor) -> Tensor:
    """The same with each lane at its own pace: [frames, lanes, 1 + own codebooks]."""
    spoken: list[list[Tensor]] = [[] for _ in range(LANES)]
    at = torch.zeros(LANES, dtype=torch.int64)
    for tick in range(2 * STEPS):
        go = torch.tensor([tick % 2 == 0, tick % 5 != 0]) & (at < STEPS)
        codes = heard[at.clamp(max=STEPS - 1), torch.arange(LANES)]
        frame = generator.step(codes, generator.sample_everything, go)
        for lane in range(LANES):
            if frame.valid[lane]:
                spoken[lane].append(frame.tokens[lane])
        at += go
    return torch.stack([torch.stack(frames) for frames in spoken], dim=1)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_prefilled_prompt(name: str) -> None:
    """Their logits over the whole sequence prefer every text and semantic token ours said after its prompt."""
    theirs, ours = speaking_pair(name)
    config = ours.config
    prompt = torch.randint(config.card, (config.streams, 12))
    generator = Generator(ours, 1, ALL_GREEDY)
    prefill = Prefill(generator, PromptColumns(delayed(config, prompt)))
    while not prefill.advance(5):
        pass
    generator.begin(0, prefill.result(), seed=0)
    heard = torch.randint(config.card, (10, 1, config.heard_codebooks))
    frames = [generator.step(codes, generator.sample_everything, torch.ones(1).bool()) for codes in heard]
    spoken = torch.cat([frame.tokens for frame in frames[config.acoustic_delay - 1 :]])
    said = torch.cat([spoken, heard[: len(spoken), 0]], dim=1).T
    sequence = torch.cat([prompt, said], dim=1)[None]
    logits = theirs(sequence, oracle.conditions(theirs, ["very_good"]))
    with compared(name, "greedy after a prefilled prompt"):
        assert torch.equal(logits.text_logits[0, 0, 12:].argmax(dim=-1), spoken[:, 0])
        assert torch.equal(logits.logits[0, 0, 12:].argmax(dim=-1), spoken[:, 1])
