from __future__ import annotations

import pytest
import torch

from duplex_model.config import GREEDY, TEXT_TOKENS, GenerationConfig
from duplex_model.generator import Generator
from duplex_model.lm import RQTransformer
from duplex_model.monologue import MAX_TOKENS, Monologue
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import randomise, small_lm

PAD, EP = TEXT_TOKENS.padding, TEXT_TOKENS.end_of_padding
GOOD, EVE, NING, HA = 10, 11, 12, 13
WORDS = [[GOOD], [EVE, NING]]


class Lanes:
    """A monologue of two lanes whose state has a device to be on."""

    def __init__(self, max_delay: int = 1) -> None:
        self.monologue = Monologue(max_delay)
        self.state = StreamingState(
            torch.nn.ModuleDict({"m": self.monologue, "device": torch.nn.Linear(1, 1)}), 2
        )

    def texts(self, choices: list[int], lane: int = 0) -> list[int]:
        other = [HA] * 2
        said = []
        for choice in choices:
            other[lane] = choice
            said.append(int(self.monologue.next_text(self.state, torch.tensor(other))[lane]))
        return said


def test_the_drawn_example() -> None:
    lanes = Lanes()
    lanes.monologue.say(lanes.state, 0, WORDS, now=True)
    said = lanes.texts([PAD, HA, *[PAD] * 10])
    assert said == [PAD, EP, GOOD, *[PAD] * 6, EP, EVE, NING]
    assert not lanes.monologue.busy(lanes.state)[0]


def test_a_model_that_wants_to_speak_is_not_kept_waiting() -> None:
    lanes = Lanes()
    lanes.monologue.say(lanes.state, 0, WORDS, now=True)
    assert lanes.texts([HA] * 7) == [EP, GOOD, EP, EVE, NING, HA, HA]


def test_a_rendering_in_progress_is_finished_first() -> None:
    lanes = Lanes()
    lanes.texts([PAD, HA])
    lanes.monologue.say(lanes.state, 0, [[GOOD]], now=False)
    said = lanes.texts([HA, PAD, HA, *[PAD] * 6, *[PAD] * 6, PAD, PAD])
    assert said == [HA, PAD, HA, *[PAD] * 6, *[PAD] * 6, EP, GOOD]


def test_in_a_silence_a_text_begins_as_soon_as_it_may() -> None:
    lanes = Lanes()
    lanes.texts([PAD] * 20)
    lanes.monologue.say(lanes.state, 0, [[GOOD]], now=False)
    assert lanes.texts([HA, HA, HA]) == [EP, GOOD, HA]


def test_the_other_lane_and_a_resting_lane_are_left_alone() -> None:
    lanes = Lanes()
    lanes.monologue.say(lanes.state, 0, WORDS, now=True)
    assert lanes.texts([HA, PAD], lane=1) == [HA, PAD]
    lanes.monologue.say(lanes.state, 0, WORDS, now=True)
    lanes.state.executing.copy_(torch.tensor([False, True]))
    lanes.texts([HA] * 4)
    lanes.state.executing.fill_(True)
    assert lanes.texts([HA] * 3) == [EP, GOOD, EP]


def test_scripted_frames_are_marked_when_they_leave_and_until_the_voice_has_ended() -> None:
    lanes = Lanes(max_delay=2)
    lanes.monologue.say(lanes.state, 0, [[GOOD]], now=True)
    marks = []
    for _ in range(14):
        lanes.texts([HA])
        marks.append(bool(lanes.monologue.as_self(lanes.state)[0]))
    assert marks == [False, False, *[True] * 7, *[False] * 5]


def test_a_cancelled_text_is_forgotten() -> None:
    lanes = Lanes()
    lanes.monologue.say(lanes.state, 0, WORDS, now=True)
    lanes.texts([HA])
    lanes.monologue.cancel(lanes.state, 0)
    assert lanes.texts([HA, PAD]) == [HA, PAD]


def test_a_text_that_is_too_long_is_refused() -> None:
    lanes = Lanes()
    with pytest.raises(ValueError, match=f"at most {MAX_TOKENS} tokens, got {MAX_TOKENS + 1}"):
        lanes.monologue.say(lanes.state, 0, [[7] * MAX_TOKENS], now=True)


def test_a_generator_says_the_text_and_samples_the_voice() -> None:
    lm = RQTransformer(small_lm("moshiko-7b")).eval()
    randomise(lm, seed=1, gain=1.5)
    generator = Generator(lm, 2, GenerationConfig(text=GREEDY, audio=GREEDY))
    generator.say(1, WORDS, now=True)
    said, marks = [], []
    for heard in torch.randint(32, (40, 1, 8)):
        frame = generator.step(heard.expand(2, -1), generator.sample_everything, torch.ones(2).bool())
        if frame.valid.all():
            said.append(frame.tokens[:, 0].tolist())
            marks.append(frame.as_self.tolist())
        if not frame.saying[1]:
            break
    scripted = [text[1] for text in said if text[1] != PAD]
    assert scripted == [EP, GOOD, EP, EVE]  # the last piece leaves one step later
    assert any(mark[1] for mark in marks)
    assert not any(mark[0] for mark in marks)
    assert (frame.tokens[1, 1:] != frame.tokens[0, 1:]).any()
