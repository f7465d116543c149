from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES
from duplex_model.speech import HUSH_FRAMES
from duplex_model.training.dialogues.dialogue import FACT_WEIGHT, MARGIN_S, Dialogue, Turn, fact_weights
from duplex_model.training.dialogues.kinds import KINDS, PAUSE_S, STOP_FRAMES, UNSURE_S, compose
from duplex_model.training.dialogues.roles import Mode, load_roles
from duplex_model.training.dialogues.spelling import UNSURE
from tests.duplex_model.training.composing import CLOSED, MATERIALS, PAIRS, pieces

SEEDS = range(30)


def dialogues(name: str) -> list[Dialogue]:
    return [compose(random.Random(seed), MATERIALS, name) for seed in SEEDS]


def translation(dialogue: Dialogue, turn: Turn) -> list[str]:
    assert turn.pair is not None
    return turn.pair.text(dialogue.language_out).split()


def written(dialogue: Dialogue) -> list[str]:
    return [word.text for word in dialogue.words]


def audible(dialogue: Dialogue) -> list[bool]:
    return [bool(np.any(frame)) for frame in dialogue.own.reshape(-1, FRAME_SAMPLES)]


@pytest.mark.parametrize("name", KINDS)
def test_tracks_are_whole_frames_of_one_length_and_end_in_silence(name: str) -> None:
    for dialogue in dialogues(name):
        assert dialogue.heard.shape == dialogue.own.shape == (dialogue.frames * FRAME_SAMPLES,)
        assert dialogue.heard.dtype == dialogue.own.dtype == np.float32
        assert not any(audible(dialogue)[-5:])
        assert all(word.frame + pieces(word.text) <= dialogue.frames for word in dialogue.words)


@pytest.mark.parametrize("name", KINDS)
def test_words_have_room_for_their_pieces(name: str) -> None:
    for dialogue in dialogues(name):
        for before, after in zip(dialogue.words[:-1], dialogue.words[1:], strict=True):
            assert after.frame > before.frame + pieces(before.text) - 1


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_dialogue(name: str) -> None:
    first, again = (compose(random.Random(7), MATERIALS, name) for _ in range(2))
    assert first.text == again.text
    assert first.role_text == again.role_text
    assert np.array_equal(first.heard, again.heard)
    assert np.array_equal(first.own, again.own)


@pytest.mark.parametrize("name", ["one_turn", "several_turns", "both_languages"])
def test_simultaneous_words_wait_for_what_they_translate_and_all_come(name: str) -> None:
    for dialogue in dialogues(name):
        words = iter(dialogue.words)
        for turn in (turn for turn in dialogue.turns if turn.rendered):
            assert turn.pair is not None
            for text, source in zip(
                translation(dialogue, turn), turn.pair.earliest(turn.language), strict=True
            ):
                word = next(words)
                assert word.text == text
                assert word.frame * FRAME_S >= turn.word_ends_s[source] + MARGIN_S - 1e-6
        assert next(words, None) is None


def test_the_voice_sounds_a_frame_after_its_text_begins() -> None:
    for dialogue in dialogues("one_turn"):
        sounding = audible(dialogue)
        first = dialogue.words[0].frame
        assert not any(sounding[: first + 1])
        assert sounding[first + 1]


def test_the_consecutive_interpreter_waits_for_the_pause() -> None:
    for dialogue in dialogues("consecutive"):
        first = min(dialogue.turns, key=lambda turn: turn.start_s)
        assert dialogue.words[0].frame * FRAME_S >= first.end_s + PAUSE_S
        assert written(dialogue) == [word for turn in dialogue.turns for word in translation(dialogue, turn)]


def test_a_backchannel_does_not_stop_it() -> None:
    for dialogue in dialogues("backchannel"):
        assert dialogue.backchannel_frames
        assert written(dialogue) == [word for turn in dialogue.turns for word in translation(dialogue, turn)]
        for frame in dialogue.backchannel_frames:
            assert any(audible(dialogue)[:frame])
            assert any(audible(dialogue)[frame + 1 :])


def test_a_speaker_who_goes_on_stops_it_and_hears_the_whole_turn_after_the_next_pause() -> None:
    for dialogue in dialogues("resumed"):
        first, second = dialogue.turns
        whole = translation(dialogue, first) + translation(dialogue, second)
        begun = written(dialogue)[: -len(whole)]
        assert begun == translation(dialogue, first)[: len(begun)]
        assert written(dialogue)[len(begun) :] == whole
        stopped = int(second.start_s / FRAME_S) + 1 + STOP_FRAMES
        resumed = dialogue.words[len(begun)].frame
        assert resumed * FRAME_S >= second.end_s + PAUSE_S
        assert not any(audible(dialogue)[stopped:resumed])


@pytest.mark.parametrize("name", ["interrupted", "interrupted_consecutive"])
def test_after_an_interruption_silence_is_given_and_the_cut_text_never_comes_back(name: str) -> None:
    for dialogue in dialogues(name):
        frame = dialogue.interrupted_frame
        assert frame is not None
        assert dialogue.given_frames == tuple(range(frame, frame + HUSH_FRAMES))
        assert np.flatnonzero(dialogue.forced).tolist() == list(dialogue.given_frames)
        before = [word.text for word in dialogue.words if word.frame < frame]
        after = [word.text for word in dialogue.words if word.frame >= frame]
        assert before == translation(dialogue, dialogue.turns[0])[: len(before)]
        assert after == [word for turn in dialogue.turns[1:] for word in translation(dialogue, turn)]
        first_after = min(
            (word.frame for word in dialogue.words if word.frame >= frame), default=dialogue.frames
        )
        assert not any(audible(dialogue)[frame:first_after])


@pytest.mark.parametrize(
    "name", ["target_language", "target_language_consecutive", "nothing", "nothing_consecutive"]
)
def test_where_nothing_is_to_be_interpreted_nothing_is_said(name: str) -> None:
    for dialogue in dialogues(name):
        assert not dialogue.words
        assert not dialogue.own.any()
        assert not any(turn.rendered for turn in dialogue.turns)


@pytest.mark.parametrize(
    ("name", "wait_s"), [("out_of_domain", UNSURE_S), ("out_of_domain_consecutive", PAUSE_S)]
)
def test_speech_outside_the_domain_gives_one_piece_and_no_sound(name: str, wait_s: float) -> None:
    for dialogue in dialogues(name):
        [unsure] = [word for word in dialogue.words if word.text == UNSURE]
        [turn] = [turn for turn in dialogue.turns if turn.pair is None]
        assert -1e-6 <= unsure.frame * FRAME_S - turn.end_s - wait_s < FRAME_S
        assert not audible(dialogue)[unsure.frame]


def test_transcription_writes_what_is_heard_and_says_nothing() -> None:
    for dialogue in dialogues("transcription"):
        assert dialogue.mode is Mode.TRANSCRIPTION
        assert dialogue.language_in == dialogue.language_out
        assert not dialogue.own.any()
        assert written(dialogue) == [word for turn in dialogue.turns for word in turn.text.split()]


@pytest.mark.parametrize("name", ["said", "said_consecutive"])
def test_a_given_text_is_said_but_not_learnt_and_its_first_moment_cannot_be_known(name: str) -> None:
    for dialogue in dialogues(name):
        [(frame, text)] = dialogue.said
        said = [word for word in dialogue.words if word.weight == 0]
        assert " ".join(word.text for word in said) == text
        assert said[0].frame == frame + 1
        assert [word.cue_weight for word in said] == [0.0] + [1.0] * (len(said) - 1)
        assert audible(dialogue)[frame + 2]


def test_what_the_interpreter_says_in_service_is_most_of_the_given_texts() -> None:
    notices = {pair.text(language) for pair in CLOSED for language in ("en", "es")}
    given = [compose(random.Random(seed), MATERIALS, "said").said[0][1] for seed in range(120)]
    assert 0.6 < sum(text in notices for text in given) / len(given) < 0.9
    assert set(given) > notices


def test_a_notice_is_all_there_is_where_notices_are_asked_for() -> None:
    notices = {pair.text(language) for pair in CLOSED for language in ("en", "es")}
    found = [compose(random.Random(seed), MATERIALS, "notice") for seed in range(60)]
    assert {dialogue.said[0][1] for dialogue in found} <= notices
    assert not any(dialogue.turns for dialogue in found)
    assert max(dialogue.frames for dialogue in found) * FRAME_S < 8.0


def test_spanish_is_formal_unless_the_role_text_asks_for_the_informal() -> None:
    informal = set(load_roles().register["informal"])
    seen = Counter[bool]()
    for seed in range(200):
        dialogue = compose(random.Random(seed), MATERIALS, "one_turn", "en")
        [pair] = dialogue.pairs
        if pair.register is not None:
            asked = any(text in dialogue.role_text for text in informal)
            assert (pair.register.value == "informal") == asked
            seen[asked] += 1
    assert min(seen[True], seen[False]) > 3


def test_people_never_say_the_interpreters_own_sentences() -> None:
    materials = replace(MATERIALS, sample=lambda rng: PAIRS[1])
    said = {
        turn.pair for seed in range(300) for turn in compose(random.Random(seed), materials, "one_turn").turns
    }
    assert CLOSED[0] in said
    assert CLOSED[1] not in said


def test_a_fact_weighs_more_in_both_languages() -> None:
    assert fact_weights(PAIRS[0], "en") == [1.0, FACT_WEIGHT, 1.0, 1.0]
    assert fact_weights(PAIRS[0], "es") == [1.0, FACT_WEIGHT, 1.0, 1.0]


def test_kinds_come_by_their_shares() -> None:
    counts = Counter(compose(random.Random(seed), MATERIALS).kind for seed in range(600))
    total = sum(kind.share for kind in KINDS.values())
    assert counts["one_turn"] / 600 == pytest.approx(KINDS["one_turn"].share / total, abs=0.07)
    assert set(counts) == {name for name, kind in KINDS.items() if kind.share}
