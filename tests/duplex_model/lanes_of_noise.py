"""The whole model in miniature, with random weights: Mimi, language model, prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from duplex_model.attention import find_decode_attention
from duplex_model.config import GenerationConfig, LMConfig, SamplingConfig
from duplex_model.contract import Capabilities, Prompt, SayCapability
from duplex_model.delays import delayed
from duplex_model.errors import PromptError
from duplex_model.generator import Generator
from duplex_model.lm import RQTransformer
from duplex_model.long_call import SINKS_ONLY, LongCallPlan, LongCallPlans
from duplex_model.mimi import Mimi
from duplex_model.neural import Columns, NeuralModel, Vocabulary
from duplex_model.prompt import PromptColumns
from tests.duplex_model.small import CONTEXT, SMALL_MIMI, randomise, small_lm

SAMPLED = GenerationConfig(
    text=SamplingConfig(temperature=0.7, top_k=25), audio=SamplingConfig(temperature=0.8, top_k=20)
)
PROMPT = Prompt(role_text="abc", language_in="es", language_out="en")


class Letters:
    """A vocabulary of single small letters, from token 10."""

    def words(self, text: str) -> list[list[int]]:
        return [[10 + ord(letter) - ord("a") for letter in word] for word in text.split()]

    def piece(self, token: int) -> bytes:
        shown = chr(ord("a") + token - 10) if token >= 10 else "" if token < 4 else f" {token}"
        return shown.encode()


def random_prompter(config: LMConfig) -> Callable[[Prompt], Columns]:
    """Three frames of prompt for each letter of the role text; `!` fails on the device."""

    def columns(prompt: Prompt) -> Columns:
        yield
        if "!" in prompt.role_text:
            raise PromptError("expected no '!'")
        frames = torch.zeros(config.streams, 3 * len(prompt.role_text), dtype=torch.int64)
        for n, letter in enumerate(prompt.role_text):
            frames[:, 3 * n : 3 * n + 3] = ord(letter) % config.card
        return PromptColumns(delayed(config, frames))

    return columns


def noise_model(
    lanes: int,
    name: str = "personaplex-7b",
    *,
    dtype: torch.dtype = torch.float32,
    guidance: float = 1.0,
    generation: GenerationConfig = SAMPLED,
    window_frames: int = CONTEXT,
    device: str = "cpu",
    cuda_graph: bool = False,
    vocabulary: Vocabulary | None = None,
    attention: str = "eager",
    long_calls: LongCallPlan | LongCallPlans = SINKS_ONLY,
    ends_source: bool = False,
) -> NeuralModel:
    """The checkpoint `name` made small; equal weights at every call."""
    small = small_lm(name)
    config = replace(small, temporal=replace(small.temporal, context=window_frames))
    lm = RQTransformer(config, sinks=True).eval()
    randomise(lm, seed=1, gain=1.5)
    lm.transformer.decode_attention = find_decode_attention(attention, config.temporal)
    mimi = Mimi(replace(SMALL_MIMI, codebooks=config.own_codebooks, trained_codebooks=16)).eval()
    randomise(mimi, seed=2)
    generator = Generator(lm.to(device, dtype), lanes, replace(generation, guidance=guidance))
    capabilities = Capabilities(
        checkpoint=name,
        licence="ours",
        languages={"es": frozenset({"en"})},
        translates=True,
        lanes=lanes,
        say=SayCapability.UNTESTED,
    )
    return NeuralModel(
        mimi.to(device),
        generator,
        capabilities=capabilities,
        prompter=random_prompter(config),
        vocabulary=vocabulary or Letters(),
        long_calls=LongCallPlans(long_calls) if isinstance(long_calls, LongCallPlan) else long_calls,
        ends_source=ends_source,
        cuda_graph=cuda_graph,
    )
