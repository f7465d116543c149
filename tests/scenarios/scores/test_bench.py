from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.errors import RunLogError
from scenarios.scores import bench_v1, bench_v15
from scenarios.scores.bench_v1 import TimedText, Turn
from scenarios.scores.voice_segments import segments_of
from scenarios.voicing import Span

DATA = Path(__file__).parents[2] / "data/scores"
BENCH = json.loads((DATA / "bench.json").read_text())
SAMPLES: list[dict[str, Any]] = BENCH["samples"]
MEANS: dict[str, dict[str, float]] = BENCH["means"]
VOICE = json.loads((DATA / "voice.json").read_text())


def words_of(sample: dict[str, Any]) -> tuple[TimedText, ...]:
    return tuple(
        TimedText(text=one["text"], start_s=one["timestamp"][0], end_s=one["timestamp"][1])
        for one in sample["words"]
    )


def spans(pairs: list[list[float]], scale: float = 1.0) -> tuple[Span, ...]:
    return tuple(Span(start_s=a / scale, end_s=b / scale) for a, b in pairs)


def said(*times: tuple[float, float]) -> tuple[TimedText, ...]:
    return tuple(TimedText(text="word", start_s=a, end_s=b) for a, b in times)


def outcome(turn: Turn) -> dict[str, float]:
    """In the form of the vectors: their scripts end with an error before the latency where no turn was taken."""
    return {"Average latency": turn.latency_s} if turn.latency_s is not None else {}


def test_official_turns_are_those_of_the_scripts() -> None:
    for sample in SAMPLES:
        words, (start_s, end_s) = words_of(sample), sample["event"]
        assert float(bench_v1.official_pause(words)) == sample["pause"]["Average take turn"]
        smooth = bench_v1.official_smooth_turn(words, start_s)
        assert outcome(smooth) == pytest.approx(
            {k: v for k, v in sample["smooth"].items() if k == "Average latency"}
        )
        assert smooth.taken == ("Average latency" in sample["smooth"])
        interruption = bench_v1.official_interruption(words, end_s)
        assert outcome(interruption) == pytest.approx(
            {k: v for k, v in sample["interruption"].items() if k == "Average latency"}
        )


def test_official_means_are_those_of_the_scripts() -> None:
    smooth = [bench_v1.official_smooth_turn(words_of(one), one["event"][0]) for one in SAMPLES]
    take_over, latency = bench_v1.turn_scores("smooth", smooth, "vectors")
    assert take_over.value == pytest.approx(MEANS["smooth"]["Average take turn"])
    assert latency.value == pytest.approx(MEANS["smooth"]["Average latency"])
    assert take_over.note == "words: vectors"


def test_official_backchannels_are_those_of_the_script() -> None:
    found = []
    for sample in SAMPLES:
        one = bench_v1.official_backchannels(
            spans(sample["system"], 16_000),
            words_of(sample),
            sample["duration_s"],
            np.array(sample["people"]),
        )
        found.append(one)
        expected = sample["backchannel"]
        assert one.divergence == pytest.approx(expected["JSD"], abs=1e-9)
        assert float(one.taken) == expected["TOR - Mean"]
        assert one.per_s == pytest.approx(expected["Frequency - Mean"], abs=5.1e-5)
    take_over, frequency, divergence, _ = bench_v1.backchannel_scores("bc", found, "vectors")
    assert take_over.value == pytest.approx(MEANS["backchannel"]["TOR - Mean"], abs=5.1e-5)
    assert frequency.value == pytest.approx(MEANS["backchannel"]["Frequency - Mean"], abs=5.1e-5)
    assert divergence.value == pytest.approx(MEANS["backchannel"]["JSD - Mean"], abs=5.1e-5)


def test_official_timing_is_that_of_the_script() -> None:
    for sample in SAMPLES:
        timing = bench_v15.official_timing(spans(sample["user"], 16_000), spans(sample["system"], 16_000))
        assert [[one.start_s, one.end_s] for one in timing.stops] == sample["stops"]
        assert [[one.start_s, one.end_s] for one in timing.responses] == sample["responses"]


def test_the_vectors_have_every_kind_of_case() -> None:
    assert {one["pause"]["Average take turn"] for one in SAMPLES} == {0.0, 1.0}
    assert any(one["backchannel"]["JSD"] == 1.0 for one in SAMPLES)
    assert any(one["smooth"].get("Average latency") == 0.0 for one in SAMPLES)
    assert sum(len(one["stops"]) for one in SAMPLES) > 50
    assert sum(len(one["responses"]) for one in SAMPLES) > 20


def test_voice_segments_are_those_of_silero() -> None:
    for case in VOICE["cases"]:
        found = segments_of(case["probabilities"], case["samples"])
        assert [[round(one.start_s * 16_000), round(one.end_s * 16_000)] for one in found] == case["segments"]
    assert sum(len(case["segments"]) for case in VOICE["cases"]) > 50


# What the faults are, and that they are mended ----------------------------------------------------------------------

TALKING = said(*((0.4 * n, 0.4 * n + 0.3) for n in range(50)))  # 20 s without a stop
TALKS = (Span(start_s=0.0, end_s=19.9),)
INTERRUPTION = Span(start_s=7.0, end_s=9.0)


def test_who_never_stops_takes_over_officially_and_fails_when_asked_to_stop() -> None:
    official = bench_v1.official_interruption(bench_v1.after(TALKING, INTERRUPTION.end_s), INTERRUPTION.end_s)
    assert official.taken
    assert official.latency_s == pytest.approx(0.0, abs=0.3)
    fixed = bench_v1.fixed_interruption(TALKS, TALKING, INTERRUPTION)
    assert fixed.talking
    assert fixed.stop_s is None
    assert not fixed.passed


def test_who_stops_and_answers_passes() -> None:
    words = (*said((5.0, 5.5), (6.8, 7.4)), *said((9.5, 10.0), (10.0, 11.0)))
    fixed = bench_v1.fixed_interruption(spans([[5.0, 7.5], [9.5, 11.0]]), words, INTERRUPTION)
    assert fixed.stop_s == pytest.approx(0.5)
    assert fixed.answer.latency_s == pytest.approx(0.5)
    assert fixed.passed


def test_who_is_silent_has_nothing_to_stop() -> None:
    fixed = bench_v1.fixed_interruption((), (), INTERRUPTION)
    assert not fixed.talking
    scores = bench_v1.interruption_scores("i", [fixed] * 12, "model text")
    assert {score.n for score in scores} == {0}
    assert "12 samples without anything to stop left out" in scores[0].note


def test_a_greeting_takes_over_officially_only() -> None:
    greeting = said((0.0, 0.4), (0.5, 0.9), (1.0, 1.4))
    pause = Span(start_s=5.0, end_s=5.6)
    assert bench_v1.official_pause(greeting)
    assert not bench_v1.fixed_pause(greeting, pause)
    assert bench_v1.official_smooth_turn(greeting, 8.0) == Turn(taken=True, latency_s=0.0)
    assert bench_v1.fixed_smooth_turn(greeting, Span(start_s=3.0, end_s=8.0)) == Turn(
        taken=False, latency_s=None
    )


def test_an_overlap_has_a_negative_latency() -> None:
    words = said((7.5, 8.0), (8.0, 9.0))
    assert bench_v1.official_smooth_turn(words, 8.0).latency_s == 0.0
    assert bench_v1.fixed_smooth_turn(words, Span(start_s=3.0, end_s=8.0)).latency_s == pytest.approx(-0.5)


def test_the_last_segment_decides_officially_only() -> None:
    people = np.ones(50)
    words = said((1.0, 1.3), (1.3, 1.6), (1.6, 1.9), (1.9, 2.3), (8.0, 8.3))
    segments = spans([[1.0, 2.3], [8.0, 8.3]])
    official = bench_v1.official_backchannels(segments, words, 10.0, people)
    assert not official.taken
    assert official.count == 2
    fixed = bench_v1.fixed_backchannels(segments, words, 10.0, people)
    assert fixed.taken
    assert fixed.count == 1


def test_silence_is_a_divergence_officially_only() -> None:
    assert bench_v1.official_backchannels((), (), 10.0, np.ones(50)).divergence == 1.0
    assert bench_v1.fixed_backchannels((), (), 10.0, np.ones(50)).divergence is None


def test_an_mm_hm_stops_nobody() -> None:
    user, system = spans([[2.0, 2.4]]), spans([[0.0, 20.0]])
    (stop,) = bench_v15.official_timing(user, system).stops
    assert stop.duration_s == pytest.approx(0.4)
    assert bench_v15.fixed_timing(user, system) == (bench_v15.Overlap(stop_s=None, response_s=None),)


def test_who_was_talked_over_by_the_system_did_not_interrupt_it() -> None:
    user, system = spans([[2.0, 6.0]]), spans([[4.0, 8.0]])
    assert bench_v15.official_timing(user, system).stops
    assert bench_v15.fixed_timing(user, system) == ()


def test_a_word_without_a_time_is_an_error() -> None:
    words = (TimedText(text="a", start_s=None, end_s=None), *said((1.0, 3.0)))
    with pytest.raises(RunLogError, match="expected a time"):
        bench_v1.official_smooth_turn(words, 0.0)


def test_speaking_rate() -> None:
    assert bench_v15.words_per_minute(said((1.0, 1.5), (2.0, 4.0))) == pytest.approx(40.0)
    assert bench_v15.words_per_minute(()) is None
    words = said((1.0, 1.5), (1.5, 2.0), (4.0, 5.0), (5.0, 6.0), (6.0, 7.0))
    assert bench_v15.rates_around(words, 3.0) == pytest.approx((120.0, 60.0))
    assert bench_v15.rates_around(words, 8.0) == (pytest.approx(50.0), None)
    before, after = bench_v15.rate_scores("o", [(120.0, 60.0), (50.0, None)], "x")
    assert (before.value, after.value, after.n) == (120.0, 60.0, 1)
