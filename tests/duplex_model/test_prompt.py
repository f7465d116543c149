from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from duplex_model.config import (
    CHECKPOINTS,
    GREEDY,
    MIMI_PROMPT_CODES,
    TEXT_TOKENS,
    GenerationConfig,
    PromptCodes,
)
from duplex_model.errors import PromptError
from duplex_model.generator import Generator, LaneSnapshot
from duplex_model.lm import RQTransformer
from duplex_model.prefill import Prefill, Prefix, PrefixCache
from duplex_model.prompt import PromptColumns, hybrid_prompt, no_prompt
from duplex_model.voice import EmbeddedVoice, SpokenVoice
from tests.duplex_model.small import randomise, small_lm

CONFIG = replace(small_lm("personaplex-7b"), card=2048)
PAD = TEXT_TOKENS.padding


def undelayed(columns: torch.Tensor) -> torch.Tensor:
    """[streams, F]: the frames of a prompt's columns."""
    count = columns.shape[1] - CONFIG.acoustic_delay - 1
    return torch.stack([columns[k, 1 + delay : 1 + delay + count] for k, delay in enumerate(CONFIG.delays)])


def test_the_phases_in_their_order() -> None:
    codes = torch.arange(8 * 3).view(8, 3)
    prompt = hybrid_prompt(CONFIG, SpokenVoice(codes), [40, 41], window_frames=100)
    frames = undelayed(prompt.tokens)
    assert frames.shape == (17, 3 + 6 + 2 + 6)
    assert frames[0].tolist() == [PAD] * 9 + [40, 41] + [PAD] * 6
    assert torch.equal(frames[1:9, :3], codes)
    assert (frames[1:9, 3:] == torch.tensor(MIMI_PROMPT_CODES.silence)[:, None]).all()
    assert (frames[9:] == torch.tensor(MIMI_PROMPT_CODES.sine)[:, None]).all()


def test_without_role_or_voice_one_pause_is_left() -> None:
    assert undelayed(hybrid_prompt(CONFIG, None, [], window_frames=100).tokens).shape == (17, 6)
    assert undelayed(no_prompt(CONFIG).tokens).shape == (17, 0)


def test_each_side_has_its_own_codebooks_of_the_checkpoint_s_own_codes() -> None:
    config = replace(CONFIG, own_codebooks=2, heard_codebooks=3)
    codes = PromptCodes(silence=(1, 2, 3), sine=(4, 5, 6))
    columns = hybrid_prompt(config, None, [], window_frames=100, codes=codes).tokens
    frame = [int(columns[stream, 1 + delay]) for stream, delay in enumerate(config.delays)]
    assert frame == [PAD, 1, 2, 4, 5, 6]


def test_a_prompt_takes_at_most_half_of_the_window() -> None:
    fits = hybrid_prompt(CONFIG, None, [5] * 38, window_frames=100)
    assert fits.tokens.shape == (17, 52)
    with pytest.raises(
        PromptError, match="at most 50 frames, got 53: shorten the role text by 3 tokens or the voice"
    ):
        hybrid_prompt(CONFIG, None, [5] * 41, window_frames=100)


def built() -> Generator:
    lm = RQTransformer(replace(CONFIG, temporal=replace(CONFIG.temporal, context=64)), sinks=True).eval()
    randomise(lm, seed=4, gain=1.5)
    return Generator(lm, 2, GenerationConfig(text=GREEDY, audio=GREEDY))


def prefix(generator: Generator, columns: PromptColumns) -> LaneSnapshot:
    prefill = Prefill(generator, columns)
    while not prefill.advance(8):
        pass
    return prefill.result()


def test_a_voice_known_by_its_embeddings_is_the_voice_itself() -> None:
    """What a published voice stores, made here from a spoken one, gives the same prompt and the same call."""
    generator = built()
    length = 9
    spoken = hybrid_prompt(CONFIG, SpokenVoice(torch.randint(2048, (8, length))), [40, 41], window_frames=64)
    embeddings = generator.lm.embed(spoken.tokens[None, :, :length])[0]
    columns = torch.full((CONFIG.streams, 4), -2)
    columns[:, length % 4] = spoken.tokens[:, length]
    delays = torch.tensor(CONFIG.delays)
    columns[delays > 0, (length + 1) % 4] = spoken.tokens[delays > 0, length + 1]
    embedded = hybrid_prompt(CONFIG, EmbeddedVoice(embeddings, columns), [40, 41], window_frames=64)
    assert torch.equal(embedded.tokens[:, length:], spoken.tokens[:, length:])
    for lane, prompt in enumerate((spoken, embedded)):
        generator.begin(lane, prefix(generator, prompt), seed=0)
    for heard in torch.randint(2048, (20, 1, 8)):
        frame = generator.step(heard.expand(2, -1), generator.sample_everything, torch.ones(2).bool())
        assert torch.equal(frame.tokens[0], frame.tokens[1])


def test_least_recently_used_prefixes_are_dropped() -> None:
    generator = built()
    prompt = no_prompt(CONFIG)
    one = Prefix(prompt, prefix(generator, prompt))
    cache = PrefixCache(max_bytes=2 * one.size_bytes)
    for key in ("a", "b"):
        cache.put(key, one)
    assert cache.get("a") is one
    cache.put("c", one)
    assert cache.get("b") is None
    assert cache.get("a") is one
    assert cache.get("c") is one


def test_the_true_prompt_fits_the_true_model() -> None:
    personaplex = CHECKPOINTS["personaplex-7b"]
    prompt = hybrid_prompt(personaplex.lm, None, [9] * 400, window_frames=personaplex.window_frames)
    assert prompt.tokens.shape == (17, 414)
