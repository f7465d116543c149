from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from duplex_model.config import NO_INPUT, TEXT_TOKENS, TO_SAMPLE, PromptCodes
from duplex_model.prompt import hybrid_prompt
from duplex_model.training.dialogues.rows import NO_WORD
from duplex_model.training.lm_learning.batches import (
    HEARING_DELAY_FRAMES,
    SILENT_WEIGHT,
    Chaining,
    Corpus,
    Example,
    Layout,
    batches,
    chained,
    collate,
    noised,
    voice_clip,
)
from duplex_model.voice import SpokenVoice
from tests.duplex_model.small import small_lm
from tests.duplex_model.training.toy import CODES, CONFIG, LAG_FRAMES, LAYOUT, toy_corpus, toy_rows


@pytest.mark.parametrize("role", [[], [5, 6, 7]])
def test_a_prompt_is_laid_out_as_in_service(role: list[int]) -> None:
    config = replace(small_lm("moshiko-7b"), card=2048)
    pause = hybrid_prompt(config, None, [], window_frames=64).tokens[:, 4].tolist()
    own = config.own_codebooks
    layout = Layout(
        config=config, codes=PromptCodes(silence=tuple(pause[1 : 1 + own]), sine=tuple(pause[1 + own :]))
    )
    clip = np.random.default_rng(0).integers(0, 2048, (own, 9)).astype(np.int16)
    voice = SpokenVoice(torch.from_numpy(clip.astype(np.int64)))
    served = hybrid_prompt(config, voice, role, window_frames=200).tokens
    heard = np.ones((config.heard_codebooks, 4), np.int16)
    base = toy_rows(np.random.default_rng(0), 4)
    rows = replace(base, own=np.ones((own, 4), np.int16), heard=heard)
    laid = layout.lay(Example(role, "ana", rows), clip)
    known = served != TO_SAMPLE
    assert laid.pinned == served.shape[1] - config.acoustic_delay - 1
    assert torch.equal(laid.columns[:, : served.shape[1]][known], served[known])


def test_nothing_unknown_reaches_the_model_and_every_live_frame_does() -> None:
    example = toy_corpus(1).examples[0]
    laid = LAYOUT.lay(example, np.zeros((3, 20), np.int16))
    assert (laid.columns >= 0).all()
    first = laid.pinned + 1
    assert laid.columns[0, first:].tolist() == example.rows.text.tolist()
    assert laid.columns[1, first:].tolist() == example.rows.own[0].tolist()
    assert laid.columns[2, first + 1 :].tolist() == example.rows.own[1, :-1].tolist()
    assert laid.columns[4, first:].tolist() == example.rows.heard[0].tolist()


def test_only_live_frames_that_are_not_given_are_targets() -> None:
    rows = toy_rows(np.random.default_rng(0), 30)
    word = int(np.flatnonzero(rows.text > 3)[0])
    given = np.zeros(30, np.bool_)
    given[[word, 20]] = True
    weight = rows.text_weight.copy()
    weight[word + 6] = 3
    rows = replace(rows, text_given=given, own_given=given, text_weight=weight)
    laid = LAYOUT.lay(Example([7], "ana", rows), np.zeros((3, 20), np.int16))
    first = laid.pinned + 1
    text = laid.text_weight[first:]
    assert not laid.text_weight[:first].any()
    assert not laid.own_weight[0, :first].any()
    assert not laid.own_weight[1:, : first + 1].any()
    assert text[word] == 0
    assert text[word + 6] == 3
    assert text[word + 12] == 1
    assert text[0] == pytest.approx(LAYOUT.padding_weight)
    assert laid.own_weight[0, first + 20] == 0
    assert laid.own_weight[1, first + 21] == 0  # acoustic codes of a frame come a column later
    assert laid.own_weight[0, first + word + 7] == 1
    assert laid.own_weight[1, first + word + 8] == 1
    assert laid.own_weight[0, first] == pytest.approx(SILENT_WEIGHT)


def test_a_heard_word_is_asked_for_when_its_translation_may_begin() -> None:
    rows = toy_rows(np.random.default_rng(0), 30)
    laid = LAYOUT.lay(Example([7], "ana", rows), np.zeros((3, 20), np.int16))
    frame = int(np.flatnonzero(rows.heard_word != NO_WORD)[0])
    column = laid.pinned + 1 + frame + HEARING_DELAY_FRAMES
    assert laid.heard_word[column] == rows.heard_word[frame]
    assert (laid.heard_word != NO_WORD).sum() == (rows.heard_word != NO_WORD).sum()


def test_what_pads_a_row_has_no_weight() -> None:
    corpus = toy_corpus(5)
    clip = corpus.voices["ana"][0]
    laid = [LAYOUT.lay(example, clip) for example in corpus.examples]
    batch = collate(laid)
    for row, one in enumerate(laid):
        length = one.columns.shape[1]
        assert torch.equal(batch.columns[row, :, :length], one.columns)
        assert not batch.text_weight[row, length:].any()
        assert not batch.own_weight[row, :, length:].any()
        assert (batch.heard_word[row, length:] == NO_WORD).all()
    assert batch.frames == sum(one.columns.shape[1] - 1 for one in laid)


def test_what_is_taught_is_counted_where_it_is_laid_out() -> None:
    corpus = toy_corpus(5)
    batch = collate([LAYOUT.lay(example, corpus.voices["ana"][0]) for example in corpus.examples])
    text, heard = batch.text_weight[:, 1:].flatten(), batch.heard_word[:, :-1].flatten()
    assert (text[batch.written] > 0).all()
    assert len(batch.written) == int((text > 0).sum())
    assert (heard[batch.ended] >= 0).all()
    assert len(batch.ended) == int((heard >= 0).sum())
    assert batch.own_frames == int((batch.own_weight[..., 1:].amax(dim=1) > 0).sum())


def test_a_pass_gives_every_example_once_in_batches_of_about_one_length() -> None:
    corpus = toy_corpus(60)
    found = list(batches(corpus, LAYOUT, random.Random(1), batch_frames=600))
    assert sum(len(batch.columns) for batch in found) == 60
    assert all(batch.columns.shape[0] * batch.columns.shape[2] <= 600 for batch in found)
    columns = sum(batch.columns.shape[0] * (batch.columns.shape[2] - 1) for batch in found)
    assert sum(batch.frames for batch in found) > 0.9 * columns
    again = list(batches(corpus, LAYOUT, random.Random(1), batch_frames=600))
    assert all(torch.equal(a.columns, b.columns) for a, b in zip(found, again, strict=True))


def test_chains_are_of_one_voice_and_situation_and_lose_nothing() -> None:
    corpus = toy_corpus(90)
    voices = ("ana", "bruno")
    examples = [
        replace(example, voice=voices[index % 2], role=[7, index % 3], situation=str(index % 3))
        for index, example in enumerate(corpus.examples)
    ]
    chaining = Chaining(frames=100, long_frames=300, long_share=0.2)
    chains = chained(examples, random.Random(0), chaining)
    assert sum(chain.frames for chain in chains) == sum(example.frames for example in examples)
    lengths = [chain.frames for chain in chains]
    assert 100 < max(lengths) <= 300
    assert sum(length > 100 for length in lengths) < len(lengths) / 2
    assert np.mean(lengths) > 60
    left = {(example.voice, tuple(example.role), example.rows.text.tobytes()) for example in examples}
    for chain in chains:
        text = chain.rows.text.tobytes()
        for key in sorted(left):
            if key[:2] == (chain.voice, tuple(chain.role)) and key[2] in text:
                text = text.replace(key[2], b"", 1)
                left.remove(key)
        assert not text
    assert not left


def test_a_chain_is_laid_out_as_its_parts_are() -> None:
    examples = toy_corpus(2).examples
    chaining = Chaining(frames=100, long_share=0.0)
    [chain] = chained(examples, random.Random(0), chaining)
    clip = np.zeros((3, 20), np.int16)
    laid = LAYOUT.lay(chain, clip)
    parts = [LAYOUT.lay(example, clip) for example in examples]
    counts = sorted(int((part.heard_word >= 0).sum()) for part in parts)
    assert int((laid.heard_word >= 0).sum()) == sum(counts)
    assert laid.columns.shape[1] == laid.pinned + 1 + sum(example.frames for example in examples)


def test_a_long_example_is_cut_off_and_a_short_one_beyond_the_batch_stands_alone() -> None:
    layout = replace(LAYOUT, max_frames=12)
    corpus = Corpus([Example([7], "ana", toy_rows(np.random.default_rng(0), 40))], toy_corpus(1).voices)
    [batch] = batches(corpus, layout, random.Random(0), batch_frames=8)
    assert batch.columns.shape[2] == int(batch.pinned[0]) + 12 + 1


def test_a_clip_is_between_a_second_and_a_half_and_three() -> None:
    clips = [np.arange(38, dtype=np.int16)[None]]
    lengths = {voice_clip(clips, random.Random(seed)).shape[1] for seed in range(200)}
    assert (min(lengths), max(lengths)) == (19, 38)


def test_noise_leaves_prompt_and_text_alone_and_takes_its_share_of_the_rest() -> None:
    columns = torch.full((2, CONFIG.streams, 4000), 5)
    pinned = torch.tensor([10, 1000])
    generator = torch.Generator().manual_seed(0)
    got = noised(columns, pinned, CONFIG, generator, heard=0.2, own=0.1)
    assert (got[:, 0] == 5).all()
    for row, first in enumerate(pinned.tolist()):
        assert (got[row, :, : first + 1] == 5).all()
    lost = (got[0, 4:, 11:] == NO_INPUT).float().mean()
    wrong = (got[0, 4:, 11:] != 5).float().mean() - lost
    assert float(lost) == pytest.approx(0.1, abs=0.01)
    assert float(wrong) == pytest.approx(0.1 * (1 - 1 / CONFIG.card), abs=0.01)
    assert float((got[0, 1:4, 11:] != 5).float().mean()) == pytest.approx(0.1, abs=0.015)


def test_the_toy_language_says_what_it_hears() -> None:
    rows = toy_rows(np.random.default_rng(0), 30)
    heard = np.flatnonzero(rows.heard_word != NO_WORD)
    assert rows.text[heard + LAG_FRAMES].tolist() == rows.heard_word[heard].tolist()
    assert (rows.text[heard + LAG_FRAMES - 1] == TEXT_TOKENS.end_of_padding).all()
    assert (rows.own[:, 0] == CODES.silence).all()
