from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from duplex_model.config import GREEDY, TEXT_TOKENS, TO_SAMPLE, GenerationConfig, LMConfig, SamplingConfig
from duplex_model.delays import delayed
from duplex_model.generator import Generator, LaneSnapshot
from duplex_model.lm import RQTransformer
from duplex_model.prefill import Prefill
from duplex_model.prompt import PromptColumns
from tests.duplex_model.small import CONTEXT, randomise, small_lm

SAMPLED = GenerationConfig(
    text=SamplingConfig(temperature=0.7, top_k=25), audio=SamplingConfig(temperature=0.8, top_k=20)
)
ALL_GREEDY = GenerationConfig(text=GREEDY, audio=GREEDY)
CASES = {
    "moshi": ("moshiko-7b", SAMPLED),
    "hibiki": ("hibiki-2b", SAMPLED),
    "hibiki, guided": ("hibiki-1b", replace(SAMPLED, guidance=3.0)),
    "zero": ("hibiki-zero-3b", SAMPLED),
}
STEPS = 2 * CONTEXT + 5


def build(case: str, lanes: int, *, sinks: bool = False) -> Generator:
    name, config = CASES[case]
    lm = RQTransformer(small_lm(name), sinks=sinks).eval()
    randomise(lm, seed=11, gain=1.5)
    return Generator(lm, lanes, config)


def heard_frames(config: LMConfig, lanes: int, steps: int = STEPS) -> Tensor:
    """[steps, lanes, heard codebooks]."""
    return torch.randint(config.card, (steps, lanes, config.heard_codebooks))


def executing(*lanes: bool) -> Tensor:
    return torch.tensor(lanes)


def run_alone(generator: Generator, lane: int, heard: Tensor, seed: int) -> Tensor:
    """Tokens of all valid frames of one lane, the others at rest."""
    generator.reset(lane, seed)
    mask = torch.arange(generator.lanes) == lane
    frames = []
    for codes in heard:
        batch = torch.zeros(generator.lanes, len(codes), dtype=torch.int64)
        batch[lane] = codes
        frame = generator.step(batch, generator.sample_everything, mask)
        if frame.valid[lane]:
            frames.append(frame.tokens[lane])
    return torch.stack(frames)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_output_does_not_depend_on_lane_neighbours_or_pace(case: str) -> None:
    """Bit-exact: the hidden state decides over draws, so equal tokens over many steps mean equal states."""
    generator = build(case, lanes=3)
    heard = heard_frames(generator.lm.config, lanes=1)[:, 0]
    expected = run_alone(generator, 0, heard, seed=5)
    assert expected.unique().numel() > 10
    for lane in (1, 2):
        assert torch.equal(run_alone(generator, lane, heard, seed=5), expected)
    noise = heard_frames(generator.lm.config, lanes=3, steps=4 * STEPS)
    generator.reset(1, seed=5)
    frames, at = [], 0
    for step, codes in enumerate(noise):
        go = at < STEPS and step % 3 != 1
        codes[1] = heard[min(at, STEPS - 1)]
        if step % 17 == 0:
            generator.reset(2, seed=step)
        frame = generator.step(
            codes, generator.sample_everything, executing(step % 2 == 0, go, step % 5 != 0)
        )
        at += go
        if frame.valid[1]:
            frames.append(frame.tokens[1])
    assert torch.equal(torch.stack(frames), expected)


@pytest.mark.slow
def test_another_seed_says_something_else() -> None:
    generator = build("moshi", lanes=1)
    heard = heard_frames(generator.lm.config, lanes=1)[:, 0]
    assert not torch.equal(run_alone(generator, 0, heard, seed=1), run_alone(generator, 0, heard, seed=2))


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype",
    [torch.float32, *(pytest.param(d, marks=pytest.mark.slow) for d in (torch.bfloat16, torch.float16))],
)
def test_a_session_after_one_that_failed_with_nan_is_as_in_a_fresh_lane(dtype: torch.dtype) -> None:
    lm = build("moshi", lanes=1).lm.to(dtype)
    generator = Generator(lm, 2, SAMPLED)
    heard = heard_frames(generator.lm.config, lanes=1)[:, 0]
    expected = run_alone(generator, 1, heard, seed=9)
    embedding = generator.lm.text_emb.weight
    sound = embedding.clone()
    embedding.fill_(torch.nan)
    generator.step(torch.zeros(2, 8).long(), generator.sample_everything, executing(False, True))
    embedding.copy_(sound)
    broken = [
        tensor for row in generator.snapshot(1).rows for tensor in row.values() if tensor.is_floating_point()
    ]
    assert any(tensor.isnan().any() for tensor in broken)
    assert torch.equal(run_alone(generator, 1, heard, seed=9), expected)


@pytest.mark.parametrize("case", CASES)
def test_given_tokens_are_spoken_and_condition_what_follows(case: str) -> None:
    generator = build(case, lanes=1)
    config = generator.lm.config
    frames = torch.randint(config.card, (12, 1 + config.own_codebooks))
    frames[3, 2:] = TO_SAMPLE
    spoken = []
    for step, tokens in enumerate(frames):
        codes = heard_frames(config, 1, 1)[0]
        frame = generator.step(codes, tokens[None], executing(True))
        if frame.valid[0]:
            spoken.append(frame.tokens[0])
        assert bool(frame.valid[0]) == (step >= config.acoustic_delay)
    for got, wanted in zip(spoken, frames, strict=False):
        given = wanted != TO_SAMPLE
        assert torch.equal(got[given], wanted[given])
    assert (spoken[3][2:] >= 0).all()


def step_through(generator: Generator, lane: int, frames: Tensor) -> None:
    """A prompt forced frame by frame: frames [streams, F], all streams known."""
    own = generator.table.own
    mask = torch.arange(generator.lanes) == lane
    nothing = torch.full((generator.lanes, generator.lm.config.heard_codebooks), TO_SAMPLE)
    columns = [None, *frames.T]
    for index, column in enumerate(columns):
        heard, given = nothing.clone(), generator.sample_everything.clone()
        if column is not None:
            heard[lane] = column[own:]
        if index + 1 < len(columns):
            given[lane] = columns[index + 1][:own]
        generator.step(heard, given, mask)


def prefix_of(generator: Generator, frames: Tensor, piece: int) -> LaneSnapshot:
    prefill = Prefill(generator, PromptColumns(delayed(generator.lm.config, frames)))
    while not prefill.advance(piece):
        pass
    return prefill.result()


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", [pytest.param(1, marks=pytest.mark.slow), 4, pytest.param(100, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("case", CASES)
def test_a_parallel_prefill_equals_the_prompt_forced_frame_by_frame(case: str, piece: int) -> None:
    generator = build(case, lanes=2)
    config = generator.lm.config
    frames = torch.randint(config.card, (config.streams, 15))
    heard = heard_frames(config, lanes=1)[:, 0]

    def continuation(lane: int) -> Tensor:
        mask = torch.arange(2) == lane
        return torch.stack(
            [
                generator.step(codes.repeat(2, 1), generator.sample_everything, mask).tokens[lane]
                for codes in heard
            ]
        )

    generator.reset(0, seed=3)
    step_through(generator, 0, frames)
    generator.begin(1, prefix_of(generator, frames, piece), seed=3)
    assert generator.positions.tolist() == [16, 16]
    assert torch.equal(continuation(1), continuation(0))


def test_without_a_prompt_the_first_heard_frame_is_heard() -> None:
    generator = build("moshi", lanes=1)
    config = generator.lm.config
    empty = prefix_of(generator, torch.zeros(config.streams, 0).long(), piece=8)
    heard = heard_frames(config, 1, 1)[0]
    spoken = []
    for codes in (heard, (heard + 1) % config.card):
        generator.begin(0, empty, seed=0)
        frame = generator.step(codes, generator.sample_everything, executing(True))
        assert frame.valid.tolist() == [True]  # delay 1: answered in the step it came in
        spoken.append(frame.tokens[0])
    assert not torch.equal(spoken[0], spoken[1])


@pytest.mark.slow
def test_a_prefix_holds_only_the_prompt_and_can_be_used_again() -> None:
    generator = build("moshi", lanes=2, sinks=True)
    frames = torch.randint(generator.lm.config.card, (17, 9))
    prefix = prefix_of(generator, frames, piece=9)
    caches = [tensor for name, tensor in prefix.rows[0].items() if name.endswith(("keys", "values"))]
    assert [tensor.shape[1] for tensor in caches] == [9] * 4
    assert prefix.size_bytes < generator.bytes_per_lane
    heard = heard_frames(generator.lm.config, 1)[:, 0]

    def session(lane: int) -> Tensor:
        generator.begin(lane, prefix, seed=4)
        mask = torch.arange(2) == lane
        tokens = [
            generator.step(codes.repeat(2, 1), generator.sample_everything, mask).tokens[lane]
            for codes in heard
        ]
        return torch.stack(tokens)

    first = session(0)
    assert torch.equal(session(1), first)
    assert torch.equal(session(0), first)


@pytest.mark.slow
def test_a_snapshot_continues_in_another_lane_and_generator() -> None:
    generator, other = build("hibiki, guided", lanes=2), build("hibiki, guided", lanes=2)
    heard = heard_frames(generator.lm.config, 1)[:, 0]
    whole = run_alone(generator, 0, heard, seed=8)
    generator.reset(0, seed=8)
    for codes in heard[:30]:
        generator.step(codes.repeat(2, 1), generator.sample_everything, executing(True, False))
    other.restore(1, generator.snapshot(0))
    rest = [
        other.step(codes.repeat(2, 1), other.sample_everything, executing(False, True)).tokens[1]
        for codes in heard[30:]
    ]
    assert torch.equal(torch.stack(rest), whole[-len(rest) :])


def test_what_is_no_snapshot_of_this_model_is_refused() -> None:
    guided, plain = build("hibiki, guided", lanes=1), build("moshi", lanes=1)
    with pytest.raises(ValueError, match="expected a snapshot of 1 rows, got 2"):
        plain.restore(0, guided.snapshot(0))
    with pytest.raises(ValueError, match="expected a snapshot of an equal model|expected .* as torch"):
        plain.restore(0, build("hibiki", lanes=1).snapshot(0))


def test_a_prompt_that_fills_the_window_is_refused() -> None:
    generator = build("moshi", lanes=1)
    columns = PromptColumns(delayed(generator.lm.config, torch.zeros(17, CONTEXT).long()))
    with pytest.raises(ValueError, match="expected a prompt shorter than the window of 24, got 24"):
        Prefill(generator, columns)


def test_guidance_needs_a_condition() -> None:
    lm = RQTransformer(small_lm("moshiko-7b"))
    with pytest.raises(ValueError, match="expected a conditioned model for guidance 3.0"):
        Generator(lm, 1, replace(SAMPLED, guidance=3.0))


def test_logits_across_lane_counts_are_close() -> None:
    alone, crowd = build("moshi", lanes=1), build("moshi", lanes=7)
    column = torch.randint(30, (7, 17))
    crowd._rows.executing.fill_(True)  # noqa: SLF001
    together = crowd.lm.text_logits(crowd._temporal(column))  # noqa: SLF001
    single = alone.lm.text_logits(alone._temporal(column[3:4]))  # noqa: SLF001
    torch.testing.assert_close(together[3:4], single, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("sinks", [False, True])
def test_a_pinned_prompt_is_still_attended_after_the_window_has_turned_many_times(sinks: bool) -> None:
    generator = build("moshi", lanes=2, sinks=sinks)
    config = generator.lm.config
    for lane in range(2):
        prompt = torch.randint(config.card, (config.streams, 6))
        generator.begin(lane, prefix_of(generator, prompt, piece=6), seed=0)
    for _ in range(5 * CONTEXT):  # both lanes hear and say the same
        heard = heard_frames(config, 1, 1)[0].expand(2, -1)
        given = torch.randint(config.card, (1, generator.table.own)).expand(2, -1)
        generator.step(heard, given, executing(True, True))
    name = "transformer.layers.1.self_attn.values"
    first, second = (generator.snapshot(lane).rows[0][name] for lane in range(2))
    in_window = slice(6, None) if sinks else slice(None)
    assert torch.equal(first[:, in_window], second[:, in_window]) != sinks


UNSURE = 7
EPAD, PAD = TEXT_TOKENS.end_of_padding, TEXT_TOKENS.padding


def words_after_gaps(entropy_nats: float | None) -> tuple[list[int], list[int]]:
    """Text tokens that follow a given end of padding, and those that follow a given word."""
    generator = build("moshi", lanes=1)
    generator.config = replace(SAMPLED, unsure_token=UNSURE, unsure_entropy_nats=entropy_nats)
    generator.reset(0, seed=3)
    torch.manual_seed(1)
    texts = []
    for step, heard in enumerate(heard_frames(generator.lm.config, 1, steps=120)):
        given = generator.sample_everything.clone()
        if step % 2 == 0:
            given[0, 0] = EPAD if step % 4 == 0 else 40
        frame = generator.step(heard, given, executing(True))
        if frame.valid[0]:
            texts.append(int(frame.tokens[0, 0]))
    pairs = [(before, text) for before, text in zip(texts, texts[1:], strict=False) if text != 40]
    return [text for before, text in pairs if before == EPAD], [
        text for before, text in pairs if before == 40
    ]


@pytest.mark.slow
def test_a_word_begun_on_too_flat_a_distribution_becomes_unsure() -> None:
    plain, _ = words_after_gaps(None)
    begun, going_on = words_after_gaps(0.0)
    assert len({*plain} - {EPAD, PAD, UNSURE}) > 5
    assert {*begun} <= {EPAD, PAD, UNSURE}
    assert begun.count(UNSURE) > 20
    assert len({*going_on} - {EPAD, PAD, UNSURE}) > 5, "only where a word begins"
    assert words_after_gaps(1e9) == words_after_gaps(None)


def test_the_gate_is_the_entropy_of_the_whole_distribution() -> None:
    generator = build("moshi", lanes=6)
    generator.config = replace(SAMPLED, unsure_token=UNSURE, unsure_entropy_nats=1.5)
    flat, sharp = torch.zeros(48), torch.full((48,), -50.0)
    sharp[20:24] = 0.0  # four equally likely: ln 4 = 1.39 nats
    nan = torch.full((48,), torch.nan)
    logits = torch.stack([flat, sharp, flat, flat, flat, nan])
    text = torch.tensor([20, 20, PAD, EPAD, 20, 20])
    previous = torch.tensor([EPAD, EPAD, EPAD, EPAD, PAD, EPAD])
    gated = generator._unless_unsure(text, previous, logits)
    assert gated.tolist() == [UNSURE, 20, PAD, EPAD, 20, 20]


def test_a_script_is_said_however_unsure_the_model_is() -> None:
    generator = build("moshi", lanes=1)
    generator.config = replace(SAMPLED, unsure_token=UNSURE, unsure_entropy_nats=0.0)
    generator.reset(0, seed=3)
    generator.say(0, [[30, 31], [32]], now=True)
    texts = []
    for heard in heard_frames(generator.lm.config, 1, steps=20):
        frame = generator.step(heard, generator.sample_everything, executing(True))
        if frame.valid[0] and frame.as_self[0]:
            texts.append(int(frame.tokens[0, 0]))
    said = [text for text in texts if text not in (EPAD, PAD)]
    assert said[:3] == [30, 31, 32]
