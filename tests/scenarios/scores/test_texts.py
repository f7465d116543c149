"""Alignment, quality, facts and errors: what rests on the words of a run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from interpreter.facts_guard.facts import FactKind
from scenarios.errors import RunLogError
from scenarios.run_log import ExpectedFact, HeardWord, RunLog, Unit, rendering_sound
from scenarios.scores import errors, quality
from scenarios.scores.alignment import BY_TEXT, GIVEN, IMPOSSIBLE, align, aligned_run
from scenarios.scores.errors import AnnotatedError, Category
from scenarios.scores.facts import check, fact_scores
from scenarios.scores.lag import lag_scores
from scenarios.scores.run import score_run
from scenarios.scores.score import Score
from tests.scenarios.scores import fake_systems as fake


def without_alignment(run: RunLog) -> RunLog:
    words = tuple(replace(word, utterance_id=None, source_word=None) for word in run.renderings[0].words)
    return replace(run, renderings=(replace(run.renderings[0], words=words),))


def saying(run: RunLog, texts: dict[str, str]) -> RunLog:
    """The run with other words in the place of what was rendered for some utterances."""
    words: list[HeardWord] = []
    for utterance in run.utterances:
        own = [word for word in run.renderings[0].words if word.utterance_id == utterance.id]
        said = texts.get(utterance.id)
        if said is not None:
            own = [replace(own[0], text=text, source_word=None) for text in said.split()]
        words += own
    return replace(run, renderings=(replace(run.renderings[0], words=tuple(words)),))


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {one.name: one for one in scores}


def test_words_find_their_utterances_by_text() -> None:
    run = fake.constant_lag(12, 1.0)
    found = align(without_alignment(run), run.renderings[0])
    assert found.how == GIVEN
    blind = without_alignment(run)
    found = align(blind, blind.renderings[0])
    assert found.how == BY_TEXT
    assert not found.without_source
    assert [one.utterance.id for one in found.aligned] == [w.utterance_id for w in run.renderings[0].words]
    lag = by_name(lag_scores([aligned_run(blind)]))
    assert lag["lag.ear_voice_span.p50"].value == pytest.approx(1.0, abs=fake.FRAME_S)
    assert lag["lag.ear_voice_span.p50"].note == "words: model text; alignment: by text"


def test_a_lost_sentence_is_found_lost_by_text() -> None:
    blind = without_alignment(fake.loses_one_in_ten(20))
    assert by_name(score_run(blind))["errors.omission"].value == pytest.approx(0.1)


def test_a_word_never_renders_what_was_not_said_yet() -> None:
    run = without_alignment(fake.constant_lag(3, 1.0))
    early = tuple(replace(word, start_s=0.0, end_s=0.4) for word in run.renderings[0].words)
    run = replace(run, renderings=(replace(run.renderings[0], words=early),))
    assert not align(run, run.renderings[0]).aligned


def test_of_sentences_as_alike_the_one_that_was_said_is_rendered() -> None:
    run = without_alignment(fake.constant_lag(3, 1.0, lost=(1, 2)))
    alike = tuple(replace(one, references={"es": fake.spanish(0)}) for one in run.utterances)
    found = align(replace(run, utterances=alike), run.renderings[0])
    assert {one.utterance.id for one in found.aligned} == {"d0"}
    assert not found.without_source


def test_without_references_nothing_is_aligned() -> None:
    run = without_alignment(fake.constant_lag(3, 1.0))
    run = replace(run, utterances=tuple(replace(one, references={}) for one in run.utterances))
    found = align(run, run.renderings[0])
    assert found.how == IMPOSSIBLE
    assert errors.units_of(run, [found]) == ()
    assert by_name(quality.quality_scores([aligned_run(run)]))["quality.chrf"].value is None
    assert check(run, [found]) == ()
    scores = by_name(score_run(run))
    assert scores["facts.recall"].value is None
    assert scores["errors.addition.words"].value == 0.0


def test_silence_omits_even_what_has_no_reference() -> None:
    run = fake.always_silent(12)
    run = replace(run, utterances=tuple(replace(one, references={}) for one in run.utterances))
    assert by_name(score_run(run))["errors.omission"].value == 1.0


def test_a_segment_is_as_long_as_the_reference_in_its_own_language() -> None:
    run = fake.constant_lag(12, 1.0)
    run = replace(
        run,
        utterances=tuple(
            replace(one, references={**one.references, "fr": "un " * 60}) for one in run.utterances
        ),
    )
    assert (
        by_name(score_run(run))["lag.laal"].value
        == by_name(score_run(fake.constant_lag(12, 1.0)))["lag.laal"].value
    )


def test_what_the_interpreter_says_as_itself_is_no_rendering() -> None:
    run = fake.constant_lag(3, 1.0)
    own = HeardWord(text="Soy", start_s=40.0, end_s=40.3, as_self=True)
    rendering = replace(run.renderings[0], words=(*run.renderings[0].words, own))
    assert not align(replace(run, renderings=(rendering,)), rendering).without_source


def test_a_wrong_number_is_a_fact_that_did_not_arrive_and_one_that_nobody_said() -> None:
    run = saying(fake.constant_lag(20, 1.0), {"d3": "Ahora tome 50 pastillas cada día."})
    scores = by_name(score_run(run))
    assert scores["facts.recall"].value is not None
    assert scores["facts.recall"].value < 1.0
    assert scores["facts.precision"].value is not None
    assert scores["facts.precision"].value < 1.0
    assert scores["facts.recall.quantity"].value == pytest.approx(0.95)
    assert scores["facts.polarity"].value == 1.0
    assert scores["errors.substitution.facts"].value is not None
    assert scores["errors.substitution.facts"].value > 0.0


def test_a_denial_is_a_change_of_polarity() -> None:
    run = saying(fake.constant_lag(20, 1.0), {"d4": "Ahora no tome 6 pastillas cada día."})
    scores = by_name(score_run(run))
    assert scores["facts.polarity"].value == pytest.approx(0.95)
    assert scores["facts.recall"].value == 1.0


def test_facts_that_a_scenario_names_are_those_that_count() -> None:
    run = fake.constant_lag(20, 1.0)
    wanted = (ExpectedFact(kind=FactKind.DRUG, value="ibuprofen"),)
    run = replace(run, utterances=tuple(replace(one, facts=wanted) for one in run.utterances))
    checked = check(run, [align(run, run.renderings[0])])
    recall = by_name(fact_scores(checked, "words: x"))["facts.recall"]
    assert (recall.value, recall.n) == (0.0, 20)


def test_units_are_omitted_or_replaced_by_their_phrases() -> None:
    unit = Unit(id="dose", phrases={"es": ("pastillas", "tabletas")}, wrong={"es": ("gotas",)})
    other = Unit(id="day", phrases={"es": ("cada día", "al día")})
    run = fake.constant_lag(20, 1.0)
    run = replace(run, utterances=tuple(replace(one, units=(unit, other)) for one in run.utterances))
    run = saying(run, {"d0": "Ahora tome 2 gotas cada día.", "d1": "Ahora tome 3 tabletas"})
    scores = by_name(score_run(run))
    assert scores["errors.omission"].n == 40
    assert scores["errors.omission"].value == pytest.approx(2 / 40)
    assert scores["errors.substitution.units"].value == pytest.approx(1 / 39)


def test_annotations_are_counted() -> None:
    text = json.dumps(
        {
            "schema": errors.ANNOTATIONS,
            "errors": [
                {"utterance": "d1", "language": "es", "category": "false_fluency", "consequential": True},
                {"utterance": "d2", "language": "es", "category": "omission", "consequential": False},
            ],
        }
    )
    found = errors.annotations_from_json(text)
    assert found[0] == AnnotatedError(
        utterance_id="d1", language="es", category=Category.FALSE_FLUENCY, consequential=True
    )
    scores = by_name(score_run(fake.constant_lag(3, 1.0), annotations=found))
    assert scores["errors.annotated.false_fluency"].value == 1.0
    assert scores["errors.annotated.editorialization"].value == 0.0
    assert scores["errors.annotated.consequential"].value == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "expected JSON"),
        ("{}", "expected the schema"),
        ('{"schema": "interp-annotations/1"}', "expected a list of errors"),
        ('{"schema": "interp-annotations/1", "errors": [1]}', r"errors\[0\]: expected an object"),
        (
            '{"schema": "interp-annotations/1", "errors": [{"category": "typo"}]}',
            r"errors\[0\].category: expected one of omission",
        ),
        (
            '{"schema": "interp-annotations/1", "errors": [{"category": "omission"}]}',
            r"errors\[0\].utterance: expected str, got None",
        ),
    ],
)
def test_annotations_that_are_none_are_errors(text: str, expected: str) -> None:
    with pytest.raises(RunLogError, match=expected):
        errors.annotations_from_json(text)


def test_quality_is_sacrebleus() -> None:
    metrics = pytest.importorskip("sacrebleu").metrics
    pairs = [("tome dos pastillas", "tome dos pastillas"), ("me duele la rodilla", "me duele el codo")]
    found = quality.corpus_score("q", "CHRF", pairs)
    theirs = metrics.CHRF().corpus_score([b for _, b in pairs], [[a for a, _ in pairs]])
    assert found.value == pytest.approx(theirs.score)
    assert "nrefs:1|case:mixed" in found.note
    assert found.low is not None
    assert found.low < theirs.score
    assert found.high == pytest.approx(100.0)


@pytest.mark.parametrize("metric", ["CHRF", "BLEU"])
def test_quality_where_some_resamples_match_nothing(metric: str) -> None:
    pytest.importorskip("sacrebleu")
    pairs = [("tome dos pastillas al día", "tome dos pastillas al día"), ("no", "")]
    found = quality.corpus_score("q", metric, pairs)
    assert found.low == pytest.approx(0.0)
    assert found.high == pytest.approx(100.0)


def test_a_recogniser_hears_what_was_said() -> None:
    run = fake.constant_lag(12, 1.0)
    pcm = np.zeros(round(run.duration_s * 24_000), dtype=np.float32)
    run = replace(run, sounds={rendering_sound("doctor", "es"): pcm})
    lengths: list[int] = []

    def recogniser(part: np.ndarray, language: str) -> str:  # type: ignore[type-arg]
        lengths.append(len(part))
        return f"Ahora tome {len(lengths) + 1} pastillas cada {'noche' if language == 'es' else 'night'}."

    scores = by_name(score_run(run, recogniser=recogniser, recogniser_name="whisper-small"))
    assert len(lengths) == 12
    assert min(lengths) > 2.5 * 24_000
    assert scores["quality.heard.word_error_rate"].value == pytest.approx(1 / 6)
    assert scores["quality.heard.word_error_rate"].note == "words: whisper-small"
    heard, written = scores["quality.heard.chrf.es"].value, scores["quality.chrf.es"].value
    assert heard is not None
    assert written is not None
    assert heard < written


def test_edits() -> None:
    assert quality.edits("abc", "axc") == 1
    assert quality.edits("abc", "") == 3
    assert quality.edits("", "ab") == 2
