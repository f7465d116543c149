"""The guard on text that comes in pieces, with the times of a call."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.training.grammar import load_grammar
from interpreter.facts_guard.facts import DifferenceKind, FactsChecked, Verdict
from interpreter.facts_guard.guard import MAX_STRETCHES, FactsGuard
from interpreter.facts_guard.stretches import MAX_CHARACTERS

WORD_S = 0.32
"""Four frames: a brisk speaker."""

Piece = tuple[float, str, str]
"""Media time, side, text."""


def said(side: str, text: str, at_s: float) -> list[Piece]:
    """The pieces of `text`, one word each, from `at_s` on."""
    words = text.split(" ")
    return [(at_s + n * WORD_S, side, f" {word}") for n, word in enumerate(words)]


def run(*pieces: list[Piece], until_s: float = 60.0, guard: FactsGuard | None = None) -> list[FactsChecked]:
    """Everything the guard says of `pieces`, asked every 80 ms."""
    guard = guard or FactsGuard("es", "en")
    waiting = sorted(piece for group in pieces for piece in group)
    checked: list[FactsChecked] = []
    for tick in range(int(until_s / 0.08)):
        now_s = tick * 0.08
        while waiting and waiting[0][0] <= now_s:
            at_s, side, text = waiting.pop(0)
            (guard.heard if side == "heard" else guard.spoken)(text, at_s)
        checked += guard.advance(now_s)
    return checked + guard.close(until_s)


def verdicts(checked: list[FactsChecked]) -> list[Verdict]:
    return [one.verdict for one in checked]


DOSE_ES = "Tome cincuenta miligramos dos veces al día."
DOSE_EN = "Take fifty milligrams twice a day."


@pytest.mark.parametrize("lag_s", [0.4, 2.0, 5.0, 8.5])
def test_a_faithful_rendering_matches_once_with_both_texts(lag_s: float) -> None:
    (one,) = run(said("heard", DOSE_ES, 1.0), said("spoken", DOSE_EN, 1.0 + lag_s))
    assert one.verdict is Verdict.MATCH
    assert (one.heard_text, one.spoken_text) == (DOSE_ES, DOSE_EN)
    assert [fact.value for fact in one.heard_facts] == ["50 mg", "2/day"]
    assert [fact.value for fact in one.spoken_facts] == ["50 mg", "2/day"]
    assert one.differences == ()


def test_a_changed_number_is_told_within_three_seconds_of_its_last_word() -> None:
    spoken = said("spoken", "Take fifteen milligrams twice a day.", 3.0)
    (one,) = run(said("heard", DOSE_ES, 1.0), spoken, until_s=spoken[-1][0] + 3.0)
    assert one.verdict is Verdict.MISMATCH
    (difference,) = one.differences
    assert difference.kind is DifferenceKind.CHANGED
    assert difference.heard is not None
    assert difference.spoken is not None
    assert (difference.heard.value, difference.spoken.value) == ("50 mg", "15 mg")
    assert (one.heard_text, one.spoken_text) == (DOSE_ES, "Take fifteen milligrams twice a day.")


def test_what_is_left_out_is_told_when_the_interpreter_has_stopped() -> None:
    checked = run(said("heard", DOSE_ES, 1.0), said("spoken", "Take fifty milligrams.", 3.0))
    assert verdicts(checked) == [Verdict.MATCH, Verdict.MISMATCH]
    assert [(one.kind, one.heard and one.heard.value) for one in checked[1].differences] == [
        (DifferenceKind.MISSING, "2/day")
    ]
    assert (checked[1].heard_text, checked[1].spoken_text) == (DOSE_ES, "Take fifty milligrams.")


def test_what_is_not_rendered_at_all_is_told() -> None:
    (one,) = run(said("heard", "No soy alérgico a la penicilina.", 1.0))
    assert one.verdict is Verdict.MISMATCH
    assert one.spoken_text == ""
    assert one.at_s < 5.0


def test_what_is_added_is_told() -> None:
    checked = run(
        said("heard", "Tome la pastilla.", 1.0), said("spoken", "Take the pill three times a day.", 2.0)
    )
    assert verdicts(checked) == [Verdict.MISMATCH]
    assert [one.kind for one in checked[0].differences] == [DifferenceKind.ADDED]


def test_amounts_that_changed_places_are_told() -> None:
    checked = run(
        said("heard", "Dos por la mañana y tres por la noche.", 1.0),
        said("spoken", "Three in the morning and two at night.", 2.0),
    )
    assert verdicts(checked) == [Verdict.MISMATCH]


def test_a_denial_that_is_lost_is_told() -> None:
    checked = run(said("heard", "No tengo fiebre.", 1.0), said("spoken", "I have a fever.", 2.0))
    assert verdicts(checked) == [Verdict.MISMATCH]


def test_without_heard_text_it_is_one_sided_and_never_a_match() -> None:
    (one,) = run(said("spoken", DOSE_EN, 1.0))
    assert one.verdict is Verdict.ONE_SIDED
    assert (one.heard_text, one.heard_facts) == (None, ())


def test_a_speaker_whose_language_it_does_not_know_is_not_heard() -> None:
    checked = run(said("heard", DOSE_ES, 1.0), said("spoken", DOSE_EN, 2.0), guard=FactsGuard("fr", "en"))
    assert verdicts(checked) == [Verdict.ONE_SIDED]


def test_in_a_language_it_does_not_know_there_is_nothing_to_check() -> None:
    assert run(said("heard", DOSE_EN, 1.0), said("spoken", DOSE_ES, 2.0), guard=FactsGuard("en", "fr")) == []


def test_facts_out_of_nowhere_are_a_mismatch_while_somebody_is_being_heard() -> None:
    checked = run(said("heard", "Buenos días.", 1.0), said("spoken", DOSE_EN, 30.0))
    assert verdicts(checked) == [Verdict.MISMATCH]
    assert checked[0].heard_text is None


def test_talk_without_facts_says_nothing() -> None:
    assert (
        run(said("heard", "Buenos días, doctora.", 1.0), said("spoken", "Good morning, doctor.", 2.0)) == []
    )


def test_one_sentence_may_be_rendered_as_two_and_two_as_one() -> None:
    long_es = "Tome cincuenta miligramos dos veces al día durante diez días."
    split = run(said("heard", long_es, 1.0), said("spoken", f"{DOSE_EN} Do it for ten days.", 3.0))
    assert verdicts(split) == [Verdict.MATCH, Verdict.MATCH]
    joined = run(
        said("heard", f"{DOSE_ES} Durante diez días.", 1.0),
        said("spoken", "Take fifty milligrams twice a day for ten days.", 3.0),
    )
    assert verdicts(joined) == [Verdict.MATCH]
    assert joined[0].heard_text == f"{DOSE_ES} Durante diez días."


def test_a_correction_after_a_full_stop_still_corrects() -> None:
    checked = run(
        said("heard", "Me dieron quince. No, cincuenta miligramos.", 1.0),
        said("spoken", "They gave me fifty milligrams.", 4.0),
    )
    assert verdicts(checked) == [Verdict.MATCH]


def test_a_transcription_may_come_after_the_rendering() -> None:
    checked = run(said("heard", DOSE_ES, 3.5), said("spoken", DOSE_EN, 2.9))
    assert verdicts(checked) == [Verdict.MATCH]


def test_a_consecutive_rendering_is_waited_for() -> None:
    patient = FactsGuard("es", "en", lag_s=40.0)
    checked = run(said("heard", DOSE_ES, 1.0), said("spoken", DOSE_EN, 25.0), guard=patient)
    assert verdicts(checked) == [Verdict.MATCH]


def test_a_transcription_that_never_ends_a_sentence_is_compared_all_the_same() -> None:
    heard = said("heard", f"{DOSE_ES.strip('.')} {'y luego otra cosa ' * 20}".strip(), 1.0)
    checked = run(heard, said("spoken", DOSE_EN, 3.0), until_s=40.0)
    assert verdicts(checked)[:1] == [Verdict.MATCH]


def test_the_end_of_a_direction_judges_what_is_left() -> None:
    guard = FactsGuard("es", "en")
    guard.heard(DOSE_ES, 1.0)
    guard.spoken("Take fifty milligrams.", 2.0)
    assert verdicts(guard.close(2.0)) == [Verdict.MATCH, Verdict.MISMATCH]
    assert guard.close(3.0) == []


@pytest.mark.slow
def test_what_it_keeps_is_bounded() -> None:
    guard = FactsGuard("es", "en", lag_s=1e9)
    for n in range(300):
        guard.heard(" Tome dos pastillas. ", float(n))
        guard.spoken(" palabra" * 10, float(n))
        guard.advance(float(n))
        assert guard.waiting <= 2 * MAX_STRETCHES


def test_a_sentence_without_end_is_cut() -> None:
    guard = FactsGuard("es", "en")
    guard.spoken(" two pills" * 200, 0.0)
    assert max(len(one.spoken_text) for one in guard.close(0.0)) <= MAX_CHARACTERS


@pytest.fixture(scope="module")
def visits() -> list[tuple[str, str]]:
    """Sentences of the training grammar, Spanish and English."""
    rng = random.Random(8)
    grammar = load_grammar("core")
    return [(pair.es, pair.en) for pair in (grammar.sample(rng) for _ in range(60))]


def test_faithful_calls_raise_hardly_any_alarm(visits: list[tuple[str, str]]) -> None:
    pieces, at_s = [], 1.0
    for spanish, english in visits:
        pieces += [said("heard", spanish, at_s), said("spoken", english, at_s + 1.2)]
        at_s += WORD_S * max(len(spanish.split()), len(english.split())) + 2.5
    checked = run(*pieces, until_s=at_s + 20.0)
    assert verdicts(checked).count(Verdict.MATCH) >= 40
    assert verdicts(checked).count(Verdict.MISMATCH) <= 1
    assert Verdict.ONE_SIDED not in verdicts(checked)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=40))
def test_how_the_text_is_cut_into_pieces_does_not_matter(lengths: list[int]) -> None:
    guard, text, at_s = FactsGuard("es", "en"), DOSE_ES, 0.0
    guard.spoken(DOSE_EN, 0.0)
    for length in lengths:
        guard.heard(text[:length], at_s)
        text, at_s = text[length:], at_s + 0.08
    guard.heard(text, at_s)
    assert verdicts(guard.close(at_s)) == [Verdict.MATCH]


EVENTS = st.tuples(
    st.sampled_from(["heard", "spoken", "advance"]),
    st.one_of(st.text(max_size=20), st.sampled_from([DOSE_ES, DOSE_EN, " no", ".", " 5", " mg ", "\n"])),
    st.floats(0.0, 15.0),
)


@given(
    st.lists(EVENTS, max_size=40), st.sampled_from(["en", "es", "fr"]), st.sampled_from(["en", "es", "fr"])
)
def test_nothing_that_comes_in_breaks_it(
    events: list[tuple[str, str, float]], language_in: str, language_out: str
) -> None:
    guard, now_s, checked, anything_heard = FactsGuard(language_in, language_out), 0.0, [], False
    for kind, text, wait_s in events:
        now_s += wait_s
        if kind == "heard":
            guard.heard(text, now_s)
            anything_heard = anything_heard or bool(text)
        elif kind == "spoken":
            guard.spoken(text, now_s)
        checked += guard.advance(now_s)
    checked += guard.close(now_s)
    for one in checked:
        assert one.heard_facts or one.spoken_facts
        assert bool(one.differences) == (one.verdict is Verdict.MISMATCH)
        assert one.verdict is Verdict.ONE_SIDED or anything_heard
        assert one.at_s <= now_s
