"""What each expectation and each invariant takes for right and for wrong, on small runs made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interpreter.floor.floor import FloorEventKind
from interpreter.record.transcript import Mark
from scenarios.judge import judge
from scenarios.replay import Replayed
from scenarios.run_log import FloorMoment, GivenCommand, HeardWord, mix_sound, rendering_sound
from scenarios.scenario_file import Scenario
from tests.scenarios.runs import run, said, small, told, tone, words

GOOD = "Tome quince miligramos."
NOTHING_OF_THE_INTERPRETER = "invariants: {nobody_hears_own_language: false, both_sides_told: false}\n"


def wrong(scenario: Scenario, played: Replayed) -> list[str]:
    """Everything that is wrong, in words."""
    return [f"{one.name}: {text}" for one in judge(scenario, played) for text in one.wrong]


def cut(at_s: float, by: str = "patient") -> FloorMoment:
    return FloorMoment(
        kind=FloorEventKind.CUT, at_s=at_s, speaker_id="doctor", language_out="es", by=by, onset_s=at_s
    )


def pause(refused: str = "") -> GivenCommand:
    return GivenCommand(name="pause", by="operator", at_s=12.0, refused=refused)


EXPECTATIONS = [
    # name, expectation, a run that is as expected, one that is not, and words of what is wrong with it
    (
        "begin_within",
        "{of: d1, begin_within: 2s}",
        run(words(GOOD, 4.9)),
        run(words(GOOD, 5.2)),
        "expected it to begin within 2 s, got 2.20 s",
    ),
    (
        "counted_from",
        "{of: d1, begin_within: 2s, counted_from: start}",
        run(words(GOOD, 2.9)),
        run(words(GOOD, 3.2)),
        "expected it to begin within 2 s, got 2.20 s",
    ),
    (
        "silent",
        "{of: d1, begin_within: 2s}",
        run(words(GOOD, 4.0)),
        run(),
        "expected a rendering in es, got none",
    ),
    (
        "not_before",
        "{of: d1, not_before: end}",
        run(words(GOOD, 3.0)),
        run(words(GOOD, 2.5)),
        "expected it to begin after the turn, got 0.50 s before its end",
    ),
    (
        "end_within",
        "{of: d1, end_within: 4s}",
        run(words(GOOD, 5.0)),
        run(words(GOOD, 5.8)),
        "expected it to end within 4 s, got 4.30 s",
    ),
    (
        "facts",
        "{of: d1, facts: [{kind: quantity, value: 15 mg}]}",
        run(words(GOOD, 4.0)),
        run(words("Tome cincuenta miligramos.", 4.0)),
        "es: expected quantity '15 mg', got none",
    ),
    (
        "said again after a cut",
        "{of: d1, forbid: [{kind: quantity, value: 50 mg}]}",
        run((*words("Tome cincuenta", 4.0), *words(GOOD, 8.0))),
        run((*words("Tome cincuenta miligramos.", 4.0),)),
        "es: expected no quantity '50 mg', got it",
    ),
    (
        "captions_only",
        "{of: d1, captions_only: true, begin_within: 3s}",
        run(words(GOOD, 4.0, marks=Mark.CAPTIONS_ONLY)),
        run(words(GOOD, 4.0)),
        "expected captions only in es, got sound at 4.00 s",
    ),
    (
        "to be heard",
        "{of: d1, begin_within: 3s}",
        run(words(GOOD, 4.0)),
        run(words(GOOD, 4.0, marks=Mark.CAPTIONS_ONLY)),
        "expected a rendering to hear in es, got captions only",
    ),
    (
        "yields",
        "{of: p1, yields: 1s}",
        run(words(GOOD, 5.0), spurts=[(5.0, 6.9), (7.5, 9.0)]),
        run(words(GOOD, 5.0), spurts=[(5.0, 6.9), (7.1, 9.0)]),
        "expected it to stop within 1 s, got 3.00 s",
    ),
    (
        "nothing to yield",
        "{of: p1, yields: 1s}",
        run(words(GOOD, 5.0), spurts=[(5.0, 6.5)]),
        run(words(GOOD, 7.0)),
        "expected a rendering to patient at 6.00 s to give way, got none",
    ),
    (
        "resumes_within",
        "{of: d1, resumes_within: 6s}",
        run(words(GOOD, 5.0), rendered_s=9.0),
        run(words(GOOD, 5.0), rendered_s=9.2),
        "expected it to be said to its end within 6 s, got 6.20 s",
    ),
    (
        "never resumed",
        "{of: d1, resumes_within: 6s}",
        run(words(GOOD, 5.0), rendered_s=8.0),
        run(words(GOOD, 5.0)),
        "expected it to be said to its end within 6 s, got never",
    ),
    (
        "ignored_backchannel",
        "{of: p1, ignored_backchannel: 1s}",
        run(words(GOOD, 5.0, each_s=1.0), floor=[cut(7.2), cut(6.5, by="doctor")]),
        run(words(GOOD, 5.0, each_s=1.0), floor=[cut(7.0)]),
        "expected the rendering to go on, got it cut 1.00 s after the backchannel began",
    ),
    (
        "silence",
        "{of: p1, silence: {within: 1s, hold: 4s}}",
        run(words(GOOD, 5.0), spurts=[(5.0, 8.1), (12.0, 13.0)]),
        run(words(GOOD, 5.0), spurts=[(5.0, 8.1), (11.0, 13.0)]),
        "expected silence for patient from 8.10 to 12.00 s, got a rendering from 11.00 to 13.00 s",
    ),
    (
        "announcement",
        "{of: op, announcement: {script: paused, within: 5s}}",
        run(announcements=told("paused", 16.0)),
        run(announcements=[*told("paused", 16.0, listeners=["doctor"]), *told("paused", 17.0, listeners=["patient"])]),
        "expected paused to be said to patient within 5 s, got nothing",
    ),
    (
        "human_asked",
        "{of: p1, human_asked: true}",
        run(human_asked_s=7.5),
        run(human_asked_s=3.0),
        "expected a human interpreter to be asked for, got no such thing",
    ),
    (
        "refused",
        "{of: op, refused: true}",
        run(commands=[pause("Only hosts may do that.")]),
        run(commands=[pause()]),
        "expected the command to be refused, got it carried out",
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expect", "right", "not_right", "why"), [pytest.param(*rest, id=name) for name, *rest in EXPECTATIONS]
)
def test_expectations(expect: str, right: Replayed, not_right: Replayed, why: str) -> None:
    scenario = small(expect, NOTHING_OF_THE_INTERPRETER)
    name = scenario.expect[0].of
    assert wrong(scenario, right) == []
    assert wrong(scenario, not_right) == [f"{name}: {why}"]


def test_without_utterance_ids_words_belong_to_what_they_are_like() -> None:
    scenario = small(
        "{of: d1, begin_within: 2s, facts: [{kind: quantity, value: 15 mg}]}", NOTHING_OF_THE_INTERPRETER
    )
    unnamed = tuple(replace(word, utterance_id=None, source_word=None) for word in words(GOOD, 4.0))
    assert wrong(scenario, run(unnamed)) == []
    other = tuple(replace(word, text="bbb") for word in unnamed)
    assert wrong(scenario, run(other)) == ["d1: expected a rendering in es, got none"]


def test_an_utterance_that_was_not_said_has_no_rendering() -> None:
    only_p1 = [said("p1", "patient", "es", "Espere.", 6.0, 7.0)]
    scenario = small("{of: d1, begin_within: 2s}", NOTHING_OF_THE_INTERPRETER)
    assert wrong(scenario, run(utterances=only_p1)) == ["d1: expected d1 to be said, got nothing"]


# What holds over the whole run --------------------------------------------------------------------------------------


def invariant(text: str) -> Scenario:
    kept = "nobody_hears_own_language: false, both_sides_told: false, no_clipping: false"
    return small(more=f"invariants: {{{', '.join([kept, text] if text else [kept])}}}\n")


def test_disclosure() -> None:
    scenario = invariant("disclosure: {languages: [en, es], within: 10s}")
    assert wrong(scenario, run(announcements=told("opening", 3.0))) == []
    late = [*told("opening", 3.0, listeners=["doctor"]), *told("opening", 6.0, listeners=["patient"])]
    assert wrong(scenario, run(announcements=late)) == [
        "disclosure: expected people to be told in es within 10 s, got 12.0 s"
    ]
    silent = run(announcements=told("opening", 3.0)[:-1])
    assert wrong(scenario, silent) == [
        "disclosure: expected people to be told in es within 10 s, got nothing"
    ]


def test_reminded_every() -> None:
    scenario = invariant("reminded_every: 60s")
    often = [*told("opening", 3.0), *told("reminder", 65.0)]
    assert wrong(scenario, run(announcements=often, duration_s=120.0)) == []
    assert [
        line.split(", got")[1] for line in wrong(scenario, run(announcements=often[:6], duration_s=120.0))
    ] == [" nothing for 111 s", " nothing for 120 s"]


def test_nobody_is_reminded_who_is_told_nothing_at_all() -> None:
    assert len(wrong(invariant("reminded_every: 60s"), run(duration_s=120.0))) == 2


def test_both_sides_told() -> None:
    scenario = small(more="invariants: {nobody_hears_own_language: false}\n")
    assert wrong(scenario, run(announcements=told("paused", 3.0))) == []
    assert wrong(scenario, run(announcements=told("paused", 3.0, listeners=["patient"]))) == [
        "both_sides_told: expected paused in en, es, got it in es"
    ]


def test_no_clipping() -> None:
    scenario = small(more="invariants: {nobody_hears_own_language: false, both_sides_told: false}\n")
    assert wrong(scenario, run(sounds={mix_sound("doctor"): tone(1.0, 0.99)})) == []
    assert wrong(scenario, run(sounds={mix_sound("doctor"): tone(1.0, 1.0)})) == [
        "no_clipping: expected what doctor hears to stay below full scale, got it there"
    ]


@pytest.mark.parametrize(("level", "heard"), [(0.0, False), (0.1, False), (0.5, True), (1.0, True)])
def test_nobody_hears_own_language(level: float, heard: bool) -> None:
    scenario = small(more="invariants: {both_sides_told: false}\n")
    rng = np.random.default_rng(0)
    own, other = (np.asarray(0.05 * rng.standard_normal(24_000), dtype=np.float32) for _ in range(2))
    late = np.concatenate([np.zeros(120, dtype=np.float32), own])[:24_000]  # the limiter's delay
    mixed = np.asarray(other + level * late, dtype=np.float32)
    sounds = {rendering_sound("doctor", "es"): own, mix_sound("doctor"): mixed}
    expected = ["nobody_hears_own_language: expected doctor not to hear their own rendering in es, got it"]
    assert wrong(scenario, run(sounds=sounds)) == (expected if heard else [])


def test_max_drift() -> None:
    scenario = invariant("max_drift: 1s")
    utterances = [said(f"d{n}", "doctor", "en", "Yes.", 10.0 * n, 10.0 * n + 1.0) for n in range(1, 7)]

    def lagging(lags_s: list[float]) -> Replayed:
        heard: list[HeardWord] = []
        for one, lag_s in zip(utterances, lags_s, strict=True):
            heard += words("Sí.", one.span.start_s + lag_s, of=one.id)
        return run(heard, utterances=utterances, duration_s=80.0)

    assert wrong(scenario, lagging([1.0, 1.0, 2.0, 2.0, 2.0, 2.0])) == []
    assert wrong(scenario, lagging([1.0, 1.0, 2.0, 2.0, 2.2, 2.2])) == [
        "max_drift: expected a drift of at most 1 s, got 1.20 s"
    ]
    assert wrong(scenario, run(words(GOOD, 4.0))) == [
        "max_drift: expected renderings enough to compare, got 1"
    ]
