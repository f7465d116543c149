"""Systems whose scores are known without measuring: a constant lag, one that never stops, one that is silent."""

from __future__ import annotations

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Prompt
from duplex_model.training.dialogues.dialogue import Turn
from duplex_model.training.evaluation.cells import Case
from duplex_model.training.evaluation.measures import (
    continued,
    interruption,
    is_silent,
    said_after_stop,
    stop_after_cue_s,
    timing,
    voice_only,
)
from duplex_model.training.evaluation.rollout import Rollout, Trial
from tests.duplex_model.training.composing import PAIRS

PAIR = PAIRS[1]  # four words, one to one
EN, ES = PAIR.en.split(), PAIR.es.split()


def turn(start_s: float) -> Turn:
    ends = tuple(start_s + 0.4 * (index + 1) for index in range(len(ES)))
    return Turn(PAIR, PAIR.es, "es", start_s, ends[-1], ends, rendered=True)


def case(*turns: Turn) -> Case:
    heard = np.zeros(200 * FRAME_SAMPLES, np.float32)
    prompt = Prompt(language_in="es", language_out="en")
    return Case(
        trial=Trial(prompt=prompt, heard=heard), turns=turns, expected=" ".join([PAIR.en] * len(turns))
    )


def rollout(words: dict[int, str], sounding: list[int], cue_frame: int | None = None) -> Rollout:
    frames = np.zeros((200, FRAME_SAMPLES), np.float32)
    frames[sounding] = 0.1
    pieces = tuple((frame, f" {word}") for frame, word in words.items())
    return Rollout(pcm=frames.reshape(-1), pieces=pieces, cue_frame=cue_frame)


def test_a_constant_lag_is_measured_to_a_frame() -> None:
    heard = turn(1.0)
    frames = [round((end_s + 0.8) / FRAME_S) for end_s in heard.word_ends_s]
    said = rollout(dict(zip(frames, EN, strict=True)), list(range(frames[0] + 1, frames[-1] + 6)))
    times = timing(case(heard), said)
    assert times is not None
    assert times.spans_s == pytest.approx([0.8] * 4, abs=FRAME_S)
    assert times.onset_s == pytest.approx(0.8 + FRAME_S, abs=FRAME_S)
    assert times.start_offset_s == pytest.approx(1.2 + FRAME_S, abs=FRAME_S)
    assert times.end_offset_s == pytest.approx(0.8 + 6 * FRAME_S, abs=FRAME_S)


def test_words_that_were_not_expected_are_not_aligned() -> None:
    assert timing(case(turn(1.0)), rollout({20: "I", 22: "have"}, [])) is None


def test_a_sentence_written_but_not_said_has_no_audio_times() -> None:
    times = timing(case(turn(1.0)), rollout(dict(zip(range(30, 34), EN, strict=True)), []))
    assert times is not None
    assert times.onset_s is None


def test_a_click_is_no_speech_but_a_word_is() -> None:
    assert is_silent(rollout({}, [50, 51]))
    assert not is_silent(rollout({}, [50, 51, 52]))
    assert not is_silent(rollout({50: "pain"}, []))


def two_turns() -> Case:
    return case(turn(1.0), turn(8.0))  # the second begins in frame 100


def test_one_who_stops_and_goes_on_with_the_next_turn() -> None:
    later = dict(zip((106, 111, 116, 121), EN, strict=True))
    said = rollout({30: "I", 33: "have", **later}, [*range(31, 42), *range(107, 126)], cue_frame=40)
    outcome = interruption(two_turns(), said, "en")
    assert outcome is not None
    assert outcome.stop_s == pytest.approx(2 * FRAME_S)
    assert (outcome.resumed, outcome.next_exact) == (False, True)


def test_one_who_never_stops_is_not_rewarded_for_having_been_interrupted() -> None:
    said = rollout({30: "I", 44: "have", 60: "pain"}, list(range(31, 120)), cue_frame=40)
    outcome = interruption(two_turns(), said, "en")
    assert outcome is not None
    assert outcome.stop_s == pytest.approx(60 * FRAME_S)
    assert (outcome.resumed, outcome.next_exact) == (True, False)


def test_one_who_takes_up_the_cut_text_after_a_while_has_not_stopped() -> None:
    said = rollout({30: "I", 70: "have"}, [*range(31, 41), *range(71, 75)], cue_frame=40)
    outcome = interruption(two_turns(), said, "en")
    assert outcome is not None
    assert outcome.stop_s == pytest.approx(35 * FRAME_S)
    assert outcome.resumed


def test_who_was_not_interrupted_is_not_counted() -> None:
    assert interruption(two_turns(), rollout({}, []), "en") is None


def test_a_pause_within_a_sentence_is_no_stop() -> None:
    said = rollout({}, [*range(30, 45), *range(48, 52)], cue_frame=40)
    assert stop_after_cue_s(said) == pytest.approx(12 * FRAME_S)
    assert stop_after_cue_s(rollout({}, list(range(30, 200)), cue_frame=40)) == pytest.approx(160 * FRAME_S)
    assert stop_after_cue_s(rollout({}, [30])) is None


def test_after_a_stop_the_whole_turn_is_looked_for() -> None:
    said = rollout({30: "I", 90: "I", 95: "have"}, [*range(31, 43), *range(91, 99)], cue_frame=40)
    assert said_after_stop(said) == "I have"


def test_a_rendering_goes_on_through_a_backchannel_or_breaks_off() -> None:
    whole = rollout(dict(zip((30, 35, 40, 45), EN, strict=True)), list(range(31, 50)), cue_frame=38)
    broken = rollout({30: "I", 35: "have"}, list(range(31, 40)), cue_frame=38)
    late = rollout(
        dict(zip((30, 35, 40, 65), EN, strict=True)), [*range(31, 42), *range(66, 70)], cue_frame=38
    )
    one = case(turn(1.0))
    assert continued(one, whole, "en") is True
    assert continued(one, broken, "en") is False
    assert continued(one, late, "en") is False
    assert continued(one, rollout({}, []), "en") is None


def test_the_voice_is_cut_out_of_the_silence_around_it() -> None:
    said = rollout({}, [40, 44])
    assert len(voice_only(said)) == 5 * FRAME_SAMPLES
    assert len(voice_only(rollout({}, []))) == 0
