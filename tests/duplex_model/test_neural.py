"""The real model on its lanes, tiny and random, under the batcher on a clock moved by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from duplex_model.batcher import Batcher, EngineOptions
from duplex_model.contract import FRAME_SAMPLES, Pcm, Prompt, Session, Snapshot, StepFlag, StepOutput
from duplex_model.errors import PromptError, SessionFailed, Unsupported
from duplex_model.neural import NeuralModel
from duplex_model.sound import FADE_SAMPLES
from duplex_model.speech import HUSH_FRAMES
from tests.duplex_model.batches import GRID, HandClock, noise
from tests.duplex_model.lanes_of_noise import PROMPT, SAMPLED, Letters, noise_model

pytestmark = pytest.mark.slow

LANES = 3
FRAMES = 30  # beyond the small context
VARIANTS = ["personaplex-7b", "hibiki-2b", "hibiki-zero-3b"]


class Lanes:
    """A batcher over the real model; `work` lets it do all there is."""

    def __init__(self, name: str = "personaplex-7b", *, lanes: int = LANES, **of_model: Any) -> None:
        self.model = noise_model(lanes, name, **of_model)
        self.batcher = Batcher(
            self.model, grid=GRID, options=EngineOptions(backlog_frames=100), now_s=HandClock()
        )

    def work(self) -> None:
        while self.batcher.turn() <= GRID.origin_s:
            pass

    def open(self, seed: int = 5, prompt: Prompt = PROMPT) -> Session:
        opening = self.batcher.open(prompt, seed)
        self.work()
        return opening.result(timeout=0)

    def hear(self, session: Session, frames: list[Pcm]) -> list[StepOutput]:
        answers = [session.feed(frame) for frame in frames]
        self.work()
        return [answer.result(timeout=0) for answer in answers]


def frames(seed: int, count: int = FRAMES) -> list[Pcm]:
    return [0.3 * noise(1000 * seed + n) for n in range(count)]


def bits(outputs: list[StepOutput]) -> list[tuple[bytes, str]]:
    return [(output.pcm.tobytes(), output.text) for output in outputs]


def memory_of(model: NeuralModel) -> list[torch.Tensor]:
    """Every state tensor of every lane, [lanes or rows, ...]."""
    generator = model.generator
    states = (generator._rows, generator._lanes, model._codec_state)
    return [tensor for state in states for tensor in state._tensors.values()]


@pytest.fixture(scope="module", params=VARIANTS)
def alone(request: pytest.FixtureRequest) -> tuple[str, list[tuple[bytes, str]]]:
    """What a session with seed 5 says to `frames(1)` when nobody else is there."""
    with torch.no_grad():
        torch.set_num_threads(1)
        lanes = Lanes(request.param)
        return request.param, bits(lanes.hear(lanes.open(), frames(1)))


def test_speech_depends_on_seed_prompt_and_what_is_heard() -> None:
    said = {
        name: tuple(bits(lanes.hear(lanes.open(seed, prompt), heard)))
        for name, seed, prompt, heard in (
            ("as it is", 5, PROMPT, frames(1)),
            ("other seed", 6, PROMPT, frames(1)),
            ("other prompt", 5, replace(PROMPT, role_text="abd"), frames(1)),
            ("no prompt", 5, replace(PROMPT, role_text=""), frames(1)),
            ("other speech", 5, PROMPT, frames(2)),
        )
        for lanes in [Lanes()]
    }
    assert len(set(said.values())) == len(said)


def test_every_frame_is_answered_with_sound_and_some_with_text() -> None:
    lanes = Lanes()
    outputs = lanes.hear(lanes.open(), frames(1))
    assert all(output.pcm.shape == (FRAME_SAMPLES,) and output.pcm.any() for output in outputs)
    assert all(np.isfinite(output.pcm).all() for output in outputs)
    assert any(output.text for output in outputs)


def test_a_session_says_the_same_in_another_lane_among_neighbours_that_come_go_and_fail(
    alone: tuple[str, list[tuple[bytes, str]]],
) -> None:
    name, expected = alone
    lanes = Lanes(name)
    neighbour, failing = lanes.open(seed=8), lanes.open(seed=9)
    lanes.open(prompt=replace(PROMPT, role_text="zz")).close()
    lanes.work()
    subject = lanes.open()
    said: list[StepOutput] = []
    for n, frame in enumerate(frames(1)):
        if n % 3:
            neighbour.feed(frames(7)[n])
        if n == 4:
            failing.feed(np.full_like(frame, np.inf))
        if n == 9:
            lanes.batcher.open(PROMPT, n)
        if n == 15:
            neighbour.close()
            lanes.work()
            neighbour = lanes.open(seed=n)
        said += lanes.hear(subject, [frame])
    assert bits(said) == expected


def test_a_cached_prompt_gives_the_same_session(alone: tuple[str, list[tuple[bytes, str]]]) -> None:
    name, expected = alone
    lanes = Lanes(name)
    lanes.open(seed=77).close()
    lanes.work()
    assert bits(lanes.hear(lanes.open(), frames(1))) == expected


def test_a_cached_prompt_goes_in_at_once() -> None:
    lanes = Lanes()
    first = list(lanes.model.prepare(PROMPT, 1)(0))
    assert len(list(lanes.model.prepare(PROMPT, 2)(1))) == 1 < len(first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_a_lane_is_as_new_after_whatever_was_heard_in_it(dtype: torch.dtype, poison: float) -> None:
    fresh, lanes = Lanes(lanes=1, dtype=dtype), Lanes(lanes=1, dtype=dtype)
    expected = bits(fresh.hear(fresh.open(), frames(1)))
    failing = lanes.open(seed=3)
    lanes.hear(failing, frames(4, 3))
    loud = failing.feed(np.full(FRAME_SAMPLES, poison, dtype=np.float32))
    lanes.work()
    if np.isnan(poison):
        assert isinstance(loud.exception(timeout=0), SessionFailed)
    failing.close()
    assert bits(lanes.hear(lanes.open(), frames(1))) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nan_in_a_lane_s_memory_is_noticed_and_gone_with_the_session(dtype: torch.dtype) -> None:
    fresh, lanes = Lanes(lanes=2, dtype=dtype), Lanes(lanes=2, dtype=dtype)
    expected = bits(fresh.hear(fresh.open(), frames(1)))
    same = fresh.open(seed=4)
    failing, neighbour = lanes.open(seed=3), lanes.open(seed=4)
    lanes.hear(failing, frames(4, 3))
    for tensor in memory_of(lanes.model):
        if tensor.is_floating_point():
            tensor[0].fill_(np.nan)
    answer = failing.feed(frames(4)[0])
    beside = lanes.hear(neighbour, frames(6))
    assert isinstance(answer.exception(timeout=0), SessionFailed)
    assert bits(beside) == bits(fresh.hear(same, frames(6)))
    assert bits(lanes.hear(lanes.open(), frames(1))) == expected


def test_a_lane_given_back_holds_nothing_of_its_session() -> None:
    lanes = Lanes(lanes=2)
    before = [tensor.clone() for tensor in memory_of(lanes.model)]
    session = lanes.open()
    lanes.hear(session, frames(1))
    assert sum(not torch.equal(a, b) for a, b in zip(before, memory_of(lanes.model), strict=True)) > 20
    session.close()
    lanes.work()
    assert all(torch.equal(a, b) for a, b in zip(before, memory_of(lanes.model), strict=True))


def test_a_snapshot_goes_on_in_another_lane_of_another_engine(
    alone: tuple[str, list[tuple[bytes, str]]],
) -> None:
    name, expected = alone
    lanes = Lanes(name)
    session = lanes.open()
    said = lanes.hear(session, frames(1)[:12])
    taken = session.snapshot()
    lanes.work()
    other = Lanes(name)
    other.open(seed=1)
    heir = other.open(seed=2)
    restored = heir.restore(taken.result(timeout=0))
    said += other.hear(heir, frames(1)[12:])
    assert restored.done()
    assert bits(said) == expected


class HalfCharacters(Letters):
    """Every token is one of the two bytes of a character, so that most of the text is in pieces."""

    def piece(self, token: int) -> bytes:
        return b"" if token < 4 else "\u00f1".encode()[token % 2 :][:1]


def within_a_character(lanes: Lanes) -> Session:
    """A session of `frames(1)` that has said the first byte of a character."""
    session = lanes.open()
    for frame in frames(1):
        lanes.hear(session, [frame])
        if lanes.model._text[0].held:
            return session
    raise AssertionError("expected a character in pieces")


def test_a_character_in_pieces_goes_on_in_a_snapshot() -> None:
    lanes, heirs = Lanes(lanes=1, vocabulary=HalfCharacters()), Lanes(lanes=1, vocabulary=HalfCharacters())
    session, heir = within_a_character(lanes), heirs.open(seed=1)
    taken = session.snapshot()
    expected = bits(lanes.hear(session, frames(2)))
    heir.restore(taken.result(timeout=0))
    assert bits(heirs.hear(heir, frames(2))) == expected
    assert {"\u00f1", "\ufffd", ""} <= {text for _, text in expected}


def test_a_character_in_pieces_ends_with_its_session() -> None:
    lanes, fresh = Lanes(lanes=1, vocabulary=HalfCharacters()), Lanes(lanes=1, vocabulary=HalfCharacters())
    within_a_character(lanes).close()
    assert bits(lanes.hear(lanes.open(), frames(2))) == bits(fresh.hear(fresh.open(), frames(2)))
    assert lanes.model._text[0].held == fresh.model._text[0].held


def test_the_snapshot_of_a_short_call_is_short() -> None:
    lanes = Lanes()
    session = lanes.open()
    taken = session.snapshot()
    lanes.hear(session, frames(1))
    later = session.snapshot()
    lanes.work()
    assert len(taken.result(timeout=0).state) < len(later.result(timeout=0).state)


@pytest.mark.parametrize("state", [b"", b"nonsense", b"\x08" + bytes(7) + b"{}      "])
def test_bytes_that_are_no_snapshot_change_nothing(state: bytes) -> None:
    fresh = Lanes()
    expected = bits(fresh.hear(fresh.open(), frames(1)))
    lanes = Lanes()
    session = lanes.open()
    refused = session.restore(Snapshot("personaplex-7b", state))
    assert bits(lanes.hear(session, frames(1))) == expected
    assert isinstance(refused.exception(timeout=0), Unsupported)


@pytest.mark.parametrize(
    "other", [{"name": "hibiki-1b"}, {"window_frames": 20}, {"window_frames": 40}, {"dtype": torch.bfloat16}]
)
@pytest.mark.parametrize("count", [3, 30])
def test_a_snapshot_of_an_unequal_model_is_refused_and_nothing_changes(
    other: dict[str, Any], count: int
) -> None:
    lanes, unequal, same = Lanes(), Lanes(**other), Lanes()
    session, foreign = lanes.open(), unequal.open()
    unequal.hear(foreign, frames(1, count))
    taken = foreign.snapshot()
    unequal.work()
    refused = session.restore(Snapshot("personaplex-7b", taken.result(timeout=0).state))
    said = bits(lanes.hear(session, frames(2, 5)))
    if "window_frames" in other and count == 3:
        assert refused.result(timeout=0) is None, "neither ring has turned"
    else:
        assert isinstance(refused.exception(timeout=0), Unsupported)
        assert said == bits(same.hear(same.open(), frames(2, 5)))


def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    lanes = Lanes()
    opening = lanes.batcher.open(replace(PROMPT, role_text="too long a text"), 1)
    failing = lanes.batcher.open(replace(PROMPT, role_text="!"), 1)
    lanes.work()
    assert isinstance(opening.exception(timeout=0), PromptError)
    assert isinstance(failing.exception(timeout=0), PromptError)
    assert lanes.batcher.sessions_open == 0


def test_guidance_keeps_lanes_apart_too() -> None:
    apart = Lanes("hibiki-1b", guidance=3.0)
    expected = bits(apart.hear(apart.open(), frames(1)))
    lanes = Lanes("hibiki-1b", guidance=3.0)
    lanes.hear(lanes.open(seed=1), frames(2))
    assert bits(lanes.hear(lanes.open(), frames(1))) == expected


def test_a_text_is_said_in_the_model_s_own_voice_and_answered_when_it_has_left() -> None:
    lanes = Lanes()
    session = lanes.open()
    spoken = session.say("good morning", now=True)
    outputs = lanes.hear(session, frames(1))
    as_self = [StepFlag.AS_SELF in output.flags for output in outputs]
    own = "".join(output.text for output, flagged in zip(outputs, as_self, strict=True) if flagged)
    assert "".join(own.split()).startswith("goodmorning")
    assert spoken.done()
    assert not as_self[-1]
    assert any(as_self)


def test_texts_are_said_one_after_the_other() -> None:
    lanes = Lanes()
    session = lanes.open()
    first, second = session.say("abc", now=True), session.say("xyz")
    order: list[str] = []
    first.add_done_callback(lambda _: order.append("first"))
    second.add_done_callback(lambda _: order.append("second"))
    text = ""
    for n in range(20):
        text += "".join(output.text for output in lanes.hear(session, frames(n, 10)))
        if len(order) == 2:
            break
    assert order == ["first", "second"]
    assert text.index("abc") < text.index("xyz")


def test_an_interrupted_session_fades_and_hears_itself_silent() -> None:
    lanes, other = Lanes(), Lanes()
    session, talking = lanes.open(), other.open()
    assert bits(lanes.hear(session, frames(1, 5))) == bits(other.hear(talking, frames(1, 5)))
    spoken = session.say("never heard whole")
    session.interrupt()
    after, without = lanes.hear(session, frames(2, 8)), other.hear(talking, frames(2, 8))
    assert spoken.done()
    assert after[0].pcm[:FADE_SAMPLES].any()
    assert not after[0].pcm[FADE_SAMPLES:].any()
    assert [output.text for output in after[1 : 1 + HUSH_FRAMES]] == [""] * HUSH_FRAMES
    silence = lanes.model._silence[0, 1:]
    ring = lanes.model.generator._lanes[lanes.model.generator.table]["ring"][0]
    assert (ring[1:9] == silence[:, None]).any(dim=1).all(), "its own codes in the table are those of silence"
    assert bits(after)[-1] != bits(without)[-1]


def test_a_text_after_an_interruption_begins_at_once() -> None:
    lanes = Lanes()
    session = lanes.open()
    lanes.hear(session, frames(1, 5))
    session.interrupt()
    spoken = session.say("hi")
    outputs = lanes.hear(session, frames(2, 25))
    assert "hi" in "".join(output.text for output in outputs[:12])
    assert spoken.done()


def test_a_snapshot_takes_texts_and_interruptions_along() -> None:
    lanes, heirs = Lanes(), Lanes()
    session = lanes.open()
    session.say("first words", now=True)
    session.say("second words", now=True)
    lanes.hear(session, frames(1, 3))
    session.interrupt()
    session.say("last words")
    taken = session.snapshot()
    expected = bits(lanes.hear(session, frames(2, 40)))
    heirs.open(seed=1)
    heir = heirs.open(seed=2)
    heir.restore(taken.result(timeout=0))
    assert bits(heirs.hear(heir, frames(2, 40))) == expected


@pytest.mark.parametrize("text", ["", "   ", "word " * 600])
def test_a_text_that_is_empty_or_too_long_is_refused(text: str) -> None:
    lanes = Lanes()
    session = lanes.open()
    refused = session.say(text)
    lanes.hear(session, frames(1, 2))
    assert isinstance(refused.exception(timeout=0), Unsupported)


def test_frames_in_which_the_model_abstains_are_flagged() -> None:
    lanes = Lanes()
    heard = frames(1)
    texts = [output.text for output in lanes.hear(lanes.open(), heard)]
    said = next(text for text in texts if len(text) == 1)
    token = Letters().words(said)[0][0]
    unsure = Lanes(generation=replace(SAMPLED, unsure_token=token))
    outputs = unsure.hear(unsure.open(), heard)
    assert [output.text for output in outputs] == texts
    assert [StepFlag.UNSURE in output.flags for output in outputs] == [text == said for text in texts]


def test_nobody_can_have_it_say_that_it_abstains() -> None:
    lanes = Lanes(generation=replace(SAMPLED, unsure_token=Letters().words("a")[0][0]))
    session = lanes.open()
    refused = session.say("take a seat")
    lanes.hear(session, frames(1, 2))
    assert isinstance(refused.exception(timeout=0), Unsupported)
