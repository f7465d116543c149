"""Interpreters whose scores are known beforehand (fake_systems): what each metric must say of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.run_log import RunLog
from scenarios.scores import score
from scenarios.scores.alignment import aligned_run
from scenarios.scores.lag import lag_scores
from scenarios.scores.run import score_run, score_runs
from scenarios.scores.score import Score
from tests.scenarios.scores import fake_systems as fake

SENTENCES = 20


def scored(run: RunLog) -> dict[str, Score]:
    scores = score_run(run)
    by_name = {one.name: one for one in scores}
    assert len(by_name) == len(scores), "names are unique"
    return by_name


def value(run: RunLog, name: str) -> float:
    found = scored(run)[name].value
    assert found is not None, name
    return found


@pytest.mark.parametrize("lag_s", [0.0, 0.5, 1.0, 2.3, 6.0])
def test_a_constant_lag_is_the_ear_voice_span(lag_s: float) -> None:
    scores = scored(fake.constant_lag(SENTENCES, lag_s))
    for name in ("p50", "p95", "mean"):
        span_s = scores[f"lag.ear_voice_span.{name}"].value
        assert span_s is not None
        assert -1e-9 <= span_s - lag_s <= fake.FRAME_S + 1e-9
    assert scores["lag.drift"].value == pytest.approx(0.0, abs=0.01)
    assert scores["lag.ear_voice_span.p50"].n == SENTENCES * fake.WORDS


def test_a_constant_lag_shows_in_every_figure_of_lag() -> None:
    scores = scored(fake.constant_lag(SENTENCES, 1.0, on_grid=False))
    first_word_s = 1.0 + fake.WORD_S  # a word is rendered so long after its end
    expected = {"al": first_word_s, "laal": first_word_s, "yaal": first_word_s, "dal": first_word_s}
    for name, seconds in expected.items():
        assert scores[f"lag.{name}"].value == pytest.approx(1000 * seconds), name
    assert scores["lag.start_offset.p50"].value == pytest.approx(first_word_s)
    assert scores["lag.tail.p50"].value == pytest.approx(1.0 + fake.WORD_S - fake.FRAME_S)


@given(st.floats(0.0, 3.0), st.floats(-0.1, 0.5))
@settings(max_examples=15, deadline=None)
def test_a_lag_that_grows_is_a_drift(lag_s: float, s_per_minute: float) -> None:
    run = fake.growing_lag(12, lag_s, s_per_minute)
    scores = lag_scores([aligned_run(run)])
    (drift,) = (one for one in scores if one.name == "lag.drift")
    assert drift.value == pytest.approx(s_per_minute, abs=1e-6)
    assert drift.unit == "s/min"


def test_who_never_stops_takes_over_officially_and_fails_the_fixed_bench() -> None:
    scores = scored(fake.never_stops(SENTENCES))
    assert scores["bench_v1.official.interruption.take_over"].value == 1.0
    assert scores["bench_v1.official.interruption.latency"].value == pytest.approx(0.0, abs=0.4)
    assert scores["bench_v1.fixed.interruption.passed"].value == 0.0
    assert scores["bench_v1.fixed.interruption.stopped"].value == 0.0
    assert scores["bench_v15.official.stop_latency"].value == pytest.approx(1.5)
    assert scores["bench_v15.fixed.stopped"].value == 0.0
    assert scores["floor.yield"].value == 0.0
    assert scores["stability.words_from_nothing"].n > 0
    assert scores["errors.omission"].note == "of units"


def test_who_is_silent_takes_over_nothing_and_renders_nothing() -> None:
    scores = scored(fake.always_silent(SENTENCES))
    assert scores["bench_v1.official.interruption.take_over"].value == 0.0
    assert scores["bench_v1.fixed.interruption.passed"].n == 0
    assert scores["floor.yield"].n == 0
    assert scores["lag.ear_voice_span.p50"].value is None
    assert scores["facts.recall"].value == 0.0
    assert scores["facts.precision"].value is None
    assert scores["quality.chrf.es"].value == 0.0
    assert scores["lag.occupancy"].value == 0.0
    assert scores["errors.omission"].value == 1.0


def test_who_only_greets_renders_nothing_and_talks_of_nothing() -> None:
    scores = scored(fake.greeter(SENTENCES))
    assert scores["errors.omission"].value == 1.0
    assert scores["errors.addition.words"].value == 4.0
    assert scores["stability.words_from_nothing"].n == 4
    assert scores["bench_v1.official.interruption.take_over"].value == 0.0


def test_who_loses_one_in_ten_omits_one_in_ten() -> None:
    scores = scored(fake.loses_one_in_ten(30))
    omission = scores["errors.omission"]
    assert omission.value == pytest.approx(0.1)
    assert omission.n == 30
    assert omission.low is not None
    assert omission.high is not None
    assert omission.low < 0.1 < omission.high
    assert scores["facts.recall"].value == pytest.approx(0.9)
    assert scores["facts.precision"].value == 1.0
    assert scores["lag.occupancy"].value == pytest.approx(
        0.9 * value(fake.constant_lag(30, 1.0), "lag.occupancy")
    )


@pytest.mark.parametrize("with_floor", [True, False])
def test_cutting_on_every_backchannel_is_no_selectivity(with_floor: bool) -> None:
    run = fake.cuts_on_every_backchannel(SENTENCES)
    if not with_floor:
        run = replace(run, floor=None)
    assert value(run, "floor.backchannel_selectivity") == 0.0


def test_talking_through_backchannels_is_selectivity() -> None:
    run = fake.talks_through_backchannels(SENTENCES)
    scores = scored(run)
    assert scores["floor.backchannel_selectivity"].value == 1.0
    assert scores["floor.backchannel_selectivity"].n == SENTENCES
    by_silence = scored(replace(run, floor=None))["floor.backchannel_selectivity"]
    assert by_silence.value == 1.0
    assert by_silence.note == "stops told by silence alone"
    # Sound alone cannot tell: officially the "mm-hm" is a stop, and here the sentence ended in time by itself.
    assert scores["bench_v15.official.stop_latency"].value == pytest.approx(0.4)
    assert scores["bench_v15.fixed.stop_latency"].value == pytest.approx(1.52, abs=fake.FRAME_S)


def test_what_somebody_else_cuts_is_no_backchannels_fault() -> None:
    run = fake.cuts_on_every_backchannel(SENTENCES)
    assert run.floor is not None
    by_nurse = tuple(replace(moment, by="nurse") for moment in run.floor)
    assert value(replace(run, floor=by_nurse), "floor.backchannel_selectivity") == 1.0


def test_a_late_cut_for_a_backchannel_is_one_all_the_same() -> None:
    run = fake.cuts_on_every_backchannel(SENTENCES)
    assert run.floor is not None
    late = tuple(replace(moment, at_s=moment.at_s + 0.9) for moment in run.floor)
    assert value(replace(run, floor=late), "floor.backchannel_selectivity") == 0.0


@pytest.mark.parametrize("with_floor", [True, False])
def test_yielding_has_its_latencies(with_floor: bool) -> None:
    run = fake.yields_to_interruptions(SENTENCES)
    scores = scored(run if with_floor else replace(run, floor=None))
    assert scores["floor.yield"].value == 1.0
    assert scores["floor.yield_latency.p50"].value == pytest.approx(0.4)
    assert scores["floor.resume_latency.p50"].value == pytest.approx(fake.BREATH_S)
    assert scores["bench_v1.fixed.interruption.stop_latency"].value == pytest.approx(0.4)
    assert scores["bench_v15.fixed.stop_latency"].value == pytest.approx(0.4)
    assert scores["bench_v15.fixed.response_latency"].value == pytest.approx(fake.BREATH_S)


def test_an_echo_is_heard_as_one() -> None:
    scores = scored(fake.echoing(SENTENCES))
    assert scores["stability.echoed_words"].value == SENTENCES / 2 * 6
    assert scores["errors.addition.words"].value == SENTENCES / 2 * 6
    assert value(fake.constant_lag(SENTENCES, 1.0), "stability.echoed_words") == 0.0


def test_nothing_is_wrong_with_a_perfect_interpreter() -> None:
    scores = scored(fake.constant_lag(SENTENCES, 1.0))
    for name in ("facts.recall", "facts.precision", "facts.polarity"):
        assert scores[name].value == 1.0
    assert scores["errors.omission"].value == 0.0
    assert scores["errors.addition.words"].value == 0.0
    assert scores["quality.chrf.es"].value == pytest.approx(100.0)
    assert scores["stability.words_from_nothing"].value in (0.0, None)


def test_few_cases_make_no_rate() -> None:
    few = scored(fake.never_stops(5))["floor.yield"]
    assert few.value is None
    assert few.n == 5
    assert few.note.startswith("0 of 5; fewer than 10 cases make no rate")


def test_scores_are_the_same_bytes_every_time() -> None:
    one, other = (score.to_json(score_run(fake.loses_one_in_ten(12))) for _ in range(2))
    assert one == other


def test_every_figure_of_words_names_their_source() -> None:
    for one in score_run(fake.constant_lag(SENTENCES, 1.0)):
        if one.name.split(".")[0] in ("facts", "quality", "bench_v1", "lag") and one.value is not None:
            exempt = one.name == "lag.occupancy"
            assert exempt or "words: model text" in one.note, one.name


def test_what_cannot_be_told_is_not_scored_and_says_why() -> None:
    scores = scored(fake.constant_lag(SENTENCES, 1.0))
    for name in ("errors.annotated.editorialization", "errors.annotated.false_fluency"):
        assert scores[name].value is None
        assert scores[name].note == "not scored: needs an annotation file"


def test_cases_of_many_runs_are_scored_together() -> None:
    few = [fake.loses_one_in_ten(10), fake.constant_lag(5, 3.0), fake.constant_lag(5, 1.0)]
    pooled = {one.name: one for one in score_runs(few)}
    assert pooled["errors.omission"].value == pytest.approx(1 / 20)
    assert pooled["errors.omission"].n == 20
    assert pooled["facts.recall"].n == 40  # a number of tablets, and how often
    assert pooled["lag.ear_voice_span.p50"].n == 19 * fake.WORDS
    assert pooled["lag.drift"].value == pytest.approx(0.0, abs=0.01)
    one = scored(fake.constant_lag(5, 1.0))
    twice = {each.name: each for each in score_runs([fake.constant_lag(5, 1.0)] * 2)}
    for name in ("turns.ipus.rate", "lag.occupancy", "stability.silence_ratio"):
        assert twice[name].value == pytest.approx(one[name].value), name
    assert list(pooled) == [each.name for each in score_run(few[0])]


def test_what_a_floor_holds_back() -> None:
    run = fake.constant_lag(SENTENCES, 1.0)
    assert scored(run)["floor.held.p50"].note == "not scored: nothing tells what was held back"
    (rendering,) = run.renderings
    words = [
        replace(word, held_s=0.0 if n % 10 else 4.0, as_self=n % 10 == 5)
        for n, word in enumerate(rendering.words)
    ]
    scores = scored(replace(run, renderings=(replace(rendering, words=tuple(words)),)))
    assert scores["floor.held.p50"].value == 0.0
    assert scores["floor.held.p95"].value == 4.0
    assert scores["floor.held.max"].value == 4.0
    assert scores["floor.held.p50"].n == SENTENCES * fake.WORDS * 9 // 10, "its own words are not held"
