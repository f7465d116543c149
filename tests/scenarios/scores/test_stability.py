from __future__ import annotations

from dataclasses import replace

import pytest

from interpreter.floor.floor import FloorEventKind
from scenarios.run_log import FloorMoment, HeardWord, RunLog, SpokenWord
from scenarios.scores import stability
from scenarios.scores.alignment import aligned_run
from scenarios.scores.score import Score
from tests.scenarios.scores import fake_systems as fake


def scores_of(run: RunLog) -> list[Score]:
    return stability.stability_scores([aligned_run(run)])


def lost(kind: FloorEventKind, text: str = "") -> FloorMoment:
    return FloorMoment(kind=kind, at_s=1.0, speaker_id="doctor", language_out="es", text=text)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tome dos pastillas", 0),
        ("no no", 0),
        ("no no no", 1),
        ("no no no no no", 3),
        ("la pastilla la pastilla la pastilla", 2),
        ("uno dos tres cuatro " * 4, 8),
        ("", 0),
    ],
)
def test_what_is_said_again_and_again_is_counted_from_the_third_time(said: str, words: int) -> None:
    assert stability.repeated_words(said.split()) == words


def test_words_long_after_anybody_spoke_come_from_nothing() -> None:
    run = fake.constant_lag(1, 1.0)  # said from 1 s to 4 s, over at 20 s
    late = tuple(HeardWord(text="eh", start_s=at_s, end_s=at_s + 0.2) for at_s in (13.9, 14.1, 19.0))
    rendering = replace(run.renderings[0], words=(*run.renderings[0].words, *late))
    run = replace(run, renderings=(rendering,))
    assert [word.start_s for word in stability.unprompted(run, rendering)] == [14.1, 19.0]
    (nothing,) = (one for one in scores_of(run) if one.name.endswith("from_nothing"))
    assert nothing.value == pytest.approx(2 / (7.0 / 60.0))  # in 0..1 s and 14..20 s
    assert nothing.n == 2


def test_what_the_floor_lost_is_counted() -> None:
    run = fake.constant_lag(1, 1.0)
    events = (lost(FloorEventKind.LOST, "tres pastillas más"), lost(FloorEventKind.FULL))
    scores = {one.name: one for one in scores_of(replace(run, floor=events, counts={"late_plays": 3}))}
    assert scores["stability.lost_words"].value == 3.0
    assert scores["stability.buffer_full"].value == 1.0
    assert scores["stability.meeting.late_plays"].value == 3.0


def test_silence_between_the_first_and_the_last_sound() -> None:
    scores = {one.name: one for one in scores_of(fake.constant_lag(2, 1.0))}
    # Two renderings of 2.9 s, ten seconds apart.
    assert scores["stability.silence_ratio"].value == pytest.approx(1 - 5.8 / 12.9, abs=0.02)


def test_who_takes_up_anothers_words_is_no_echo() -> None:
    run = fake.echoing(4)
    (echoed,) = (one for one in scores_of(run) if one.name == "stability.echoed_words")
    assert echoed.value == 12.0
    said = tuple(replace(w, utterance_id=w.utterance_id or "d0") for w in run.renderings[0].words)
    run = replace(run, renderings=(replace(run.renderings[0], words=said),))
    (taken_up,) = (one for one in scores_of(run) if one.name == "stability.echoed_words")
    assert taken_up.value == 0.0


def test_an_echo_comes_soon() -> None:
    run = fake.echoing(2)
    earlier = tuple(
        replace(
            one,
            words=tuple(
                SpokenWord(text=w.text, start_s=w.start_s - 20, end_s=w.end_s - 20) for w in one.words
            ),
        )
        for one in run.utterances
    )
    late = scores_of(replace(run, utterances=earlier))
    assert [one.value for one in late if one.name == "stability.echoed_words"] == [0.0]
