from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.errors import ConfigError
from interpreter.facts_guard.facts import FactKind
from scenarios.catching import NEEDED
from scenarios.faults import Fault
from scenarios.plan import plan_of
from scenarios.scenario_file import (
    CommandGiven,
    Drop,
    Expectation,
    Joins,
    Leaves,
    Loss,
    NoiseMade,
    Said,
    SayKind,
    Scenario,
)
from scenarios.schema import load_scenario, load_scenarios, parse_scenario
from scenarios.units import Duration, Gain, Level, Share
from scenarios.wording import faults_of_words

DOSE = """\
schema: interp-scenario/1
id: dose
title: A dose
catches: number_changed
participants:
  doctor: {role: clinician, language: en, voice: f2, host: true}
  patient: {role: patient, language: es-MX, voice: m3}
timeline:
  - id: d1
    by: doctor
    at: 1s
    say:
      en: Take fifteen milligrams.
      es: Tome quince miligramos.
    faulty: {es: Tome cincuenta miligramos.}
  - id: p1
    by: patient
    after: {of: d1, event: rendering_end, delay: 600ms}
    say: {es: Gracias., en: Thank you.}
expect:
  - {of: d1, begin_within: 2.5s, facts: [{kind: quantity, value: 15 mg}]}
  - {of: p1, begin_within: 2.5s}
"""


def parsed(text: str) -> Scenario:
    return parse_scenario(text, name="dose.yaml", folder=Path())


def changed(old: str, new: str) -> str:
    assert DOSE.count(old) == 1, old
    return DOSE.replace(old, new)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parsed(text)
    return str(refused.value)


def test_a_file_becomes_a_scenario() -> None:
    scenario = parsed(DOSE)
    first, second = scenario.timeline
    assert first.action == Said(
        texts={"en": "Take fifteen milligrams.", "es": "Tome quince miligramos."},
        faulty={"es": "Tome cincuenta miligramos."},
        kind=SayKind.TURN,
        gain_db=0.0,
        cut=None,
    )
    assert first.at == Duration(1.0)
    assert not first.awaits_interpreter
    assert second.awaits_interpreter
    assert second.after is not None
    assert second.after.delay == Duration(0.6)
    assert second.after.deadline == Duration(10.0)
    assert scenario.listeners(first) == ("patient",)
    assert scenario.languages == ("en", "es")
    assert scenario.catches is Fault.NUMBER_CHANGED
    assert scenario.expect[0].facts[0].kind is FactKind.QUANTITY


def test_everything_that_can_happen() -> None:
    text = DOSE.replace(
        "expect:\n",
        """\
  - {id: c1, by: patient, after: {of: d1}, noise: {sound: cough, level: -30dBFS}}
  - {id: op, at: 20s, command: pause}
  - {id: lang, by: patient, at: 22s, command: language en}
  - {id: bad, by: patient, at: 23s, loss: {share: 20%, lasts: 5s}}
  - {id: gone, by: doctor, at: 24s, drop: {lasts: 3s}}
  - {id: bye, by: doctor, at: 40s, leave: true}
expect:
""",
    ).replace("voice: m3}", "voice: m3, joins: 200ms}")
    actions = [item.action for item in parsed(text).items]
    assert actions[0] == Joins()
    assert actions[3:] == [
        NoiseMade(sound=actions[3].sound, level=Level(-30.0)),  # type: ignore[union-attr]
        CommandGiven(line="pause"),
        CommandGiven(line="language en"),
        Loss(share=Share(0.2), lasts=Duration(5.0)),
        Drop(lasts=Duration(3.0)),
        Leaves(),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        # single values
        ("at: 1s", "at: 1", 11, "expected a duration with its unit, such as 600ms, 2.5s or 30min for `at`, got `1`"),
        ("at: 1s", "at: 010s", 11, "got `010s`"),
        ("at: 1s", "at: 1:30", 11, "got `1:30`"),
        ("at: 1s", "at: -1s", 11, "expected 0s or more"),
        ("at: 1s", "at: [1s]", 11, "got a list"),
        ("delay: 600ms", "delay: 600 ms", 18, "got `600 ms`"),
        ("value: 15 mg", "value: 15", 21, "expected text for `value`, got `15`"),
        ("value: 15 mg", "value: 20:00", 21, "expected text for `value`, got `20:00`"),
        ("es: Gracias.", "es: no", 19, "expected text"),
        ("es: Gracias., en", "no: Gracias., en", 19, "expected text for a key of `say`, got `no`"),
        ("catches: number_changed", "catches: number_change", 4, "expected one of omission"),
        ("kind: quantity", "kind: amount", 21, "expected one of quantity"),
        ("voice: f2", "voice: f22", 6, "expected one of the voices f2"),
        ("language: es-MX", "language: fr", 7, "expected en or es"),
        ("schema: interp-scenario/1", "schema: interp-scenario/2", 1, "expected one of interp-scenario/1"),
        ("id: dose\n", "id: Dose\n", 2, "expected lower-case words joined by hyphens"),
        ("title: A dose", "title: A dose\nrepeat: 3", 4, "expected one of the keys"),
        ("begin_within: 2.5s, facts", "begin_witin: 2.5s, facts", 21, "did you mean `begin_within`?"),
        # sections
        ("    at: 1s\n", "", 9, "expected one of `at`, `after`, `during`, got none"),
        ("at: 1s", "at: 1s\n    during: {of: p1, delay: 1s}", 9, "got `at` and `during`"),
        ("    by: doctor\n", "", 9, "expected `by` in d1"),
        ("at: 1s", "at: 1s\n    noise: {sound: cough}", 9, "got `say` and `noise`"),
        ("    say: {es: Gracias., en: Thank you.}\n", "", 16, "got none"),
        ("    say: {es: Gracias., en: Thank you.}", "    leave: true\n    gain: 3dB", 16, "only beside `say`"),
        ("delay: 600ms", "delay: -600ms", 18, "whose end nobody knows before"),
        ("{of: d1, event: rendering_end, delay: 600ms}", "{delay: 600ms}", 18, "`of`, `announced`, got none"),
        ("voice: f2, host: true", "host: true", 6, "expected one of `voice`, `recording`, got none"),
        ("begin_within: 2.5s}", "to: doctor}", 22, "expected something of p1, got nothing"),
        # what must fit together
        ("doctor: {", "operator: {", 6, "expected another name than operator"),
        ("voice: m3", "voice: f2", 7, "expected a voice of their own for patient, got f2, as doctor has"),
        ("id: p1", "id: d1", 16, "expected every id once, got d1 again"),
        ("by: patient", "by: pacient", 17, "expected one of doctor, patient for `by`, got pacient"),
        ("{of: d1, event", "{of: d9, event", 18, "expected an item of the timeline for `of`, got d9"),
        ("at: 1s", "after: {of: p1}", 9, "got a circle: d1 after p1 after d1"),
        ("at: 1s", "after: {of: d1}", 9, "got a circle: d1 after d1"),
        ("event: rendering_end, delay", "language: en, event: rendering_end, delay", 18, "expected one of es"),
        ("event: rendering_end, delay", "language: es, delay", 18, "expected `language` only of a rendering"),
        ("      es: Tome quince miligramos.\n", "", 12, "expected the text of d1 in es, got none"),
        ("      en: Take fifteen milligrams.\n", "", 12, "expected the text of d1 in en, got none"),
        ("faulty: {es: Tome cincuenta", "faulty: {en: Tome cincuenta", 15, "into which d1 is rendered, got en"),
        ("expect:\n", "  - {id: c, by: patient, at: 9s, command: pause}\nexpect:\n", 20, "expected a host for `pause`"),
        ("expect:\n", "  - {id: c, by: doctor, at: 9s, command: pawse}\nexpect:\n", 20, "did you mean `pause`"),
        ("expect:\n", "  - {id: c, at: 9s, command: mute nurse}\nexpect:\n", 20, "expected somebody in the meeting"),
        ("expect:\n", "  - {id: c, at: 9s, command: mode fast}\nexpect:\n", 20, "expected simultaneous, consecutive"),
        ("expect:\n", "expect:\n  - {of: x1, begin_within: 1s}\n", 21, "expected an item of the timeline for `of`"),
        ("expect:\n", "expect:\n  - {of: p1, to: nurse, begin_within: 1s}\n", 21, "expected one of doctor, patient"),
        ("expect:\n", "expect:\n  - {of: d1, to: doctor, begin_within: 1s}\n", 21, "of another language than doctor"),
        ("expect:\n", "expect:\n  - {of: p1, yields: 1s}\n", 21, "expected an interruption during a rendering"),
        ("expect:\n", "expect:\n  - {of: p1, ignored_backchannel: 1s}\n", 21, "expected a backchannel during"),
        ("expect:\n", "expect:\n  - {of: d1, resumes_within: 9s}\n", 21, "expected an interruption during the"),
        ("expect:\n", "expect:\n  - {of: d1, refused: true}\n", 21, "expected a command, got d1"),
        ("value: 15 mg", "value: 20 mg", 21, "expected quantity '20 mg', got none"),
        ("value: 15 mg", "value: 15 mg}], forbid: [{kind: quantity, value: 15 mg", 21, "no quantity '15 mg', got it"),
        ("title: A dose", "title: A dose\ninvariants: {disclosure: {languages: [], within: 9s}}", 4, "a language"),
        # a scenario that catches nothing
        ("catches: number_changed\n", "", 14, "expected `faulty` only where"),
        ("    faulty: {es: Tome cincuenta miligramos.}\n", "", 1, "expected `faulty` beside an utterance"),
        ("cincuenta", "quince", 4, "expected an expectation that a text of `faulty` does not fulfil"),
        ("catches: number_changed", "catches: silent", 15, "expected `faulty` only where `catches` is of words"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, line: int, words: str) -> None:
    said = refusal(changed(old, new))
    assert said.startswith(f"dose.yaml, line {line}: expected")
    assert words in said


def test_a_language_that_nobody_speaks_is_not_written() -> None:
    alone = DOSE.replace("language: es-MX", "language: en").replace("event: rendering_end, ", "")
    assert "line 14: expected a language that somebody speaks, got es" in refusal(
        alone.replace("{es: Gracias., en: Thank you.}", "{en: Thank you.}")
    )
    told = changed("timeline:\n", "invariants: {disclosure: {languages: [en, es], within: 9s}}\ntimeline:\n")
    assert parsed(told).invariants.disclosure is not None


def test_renderings_in_captions_make_no_sound_to_wait_for() -> None:
    captions = changed("timeline:\n", "interpreter: {mode: captions}\ntimeline:\n")
    assert "line 19: expected no anchor at a rendering in captions mode" in refusal(captions)


def test_what_catches_nothing_is_no_scenario() -> None:
    harmless = changed("catches: number_changed\n", "")
    harmless = harmless.replace("    faulty: {es: Tome cincuenta miligramos.}\n", "")
    assert "line 1: expected `catches`, got none" in refusal(harmless)


def test_people_are_told_in_languages_that_somebody_speaks() -> None:
    spanish = changed("language: en,", "language: es,").replace("catches: number_changed", "draft: true")
    spanish = spanish.replace("event: rendering_end, ", "").replace("begin_within: 2.5s", "human_asked: true")
    spanish = "".join(
        line for line in spanish.splitlines(keepends=True) if "en: Take" not in line and "faulty" not in line
    )
    spanish = spanish.replace(", en: Thank you.", "").replace(", facts: [{kind: quantity, value: 15 mg}]", "")
    assert parsed(spanish).languages == ("es",)
    told = spanish + "invariants:\n  disclosure:\n    within: 9s\n    languages:\n      - es\n      - en\n"
    line = told.count("\n")
    assert f"line {line}: expected a language that somebody speaks, got en" in refusal(told)


def test_a_person_comes_once() -> None:
    twice = changed("voice: m3", "voice: m3, joins: 1s").replace(
        "expect:\n", "  - {id: again, by: patient, at: 9s, join: true}\nexpect:\n"
    )
    assert "line 20: expected that patient joins once, got it again" in refusal(twice)


def test_a_draft_may_lack_what_is_still_to_be_written() -> None:
    draft = changed("catches: number_changed", "draft: true").replace(
        "      es: Tome quince miligramos.\n", ""
    )
    draft = draft.replace("    faulty: {es: Tome cincuenta miligramos.}\n", "")
    assert parsed(draft).draft
    assert "expected the text of d1 in en" in refusal(draft.replace("en: Take", "es: Take"))


@pytest.mark.parametrize("fault", [fault for fault in Fault if not fault.is_of_words])
def test_every_fault_needs_an_expectation_that_catches_it(fault: Fault) -> None:
    lacking = DOSE.replace("number_changed", fault.value).replace(
        "    faulty: {es: Tome cincuenta miligramos.}\n", ""
    )
    lacking = lacking.replace("begin_within: 2.5s, facts: [{kind: quantity, value: 15 mg}]", "end_within: 9s")
    lacking = lacking.replace("begin_within: 2.5s", "end_within: 9s")
    lacking += "invariants: {nobody_hears_own_language: false, both_sides_told: false, no_clipping: false}\n"
    said = refusal(lacking)
    assert f"which catches {fault.value}, got none" in said


def test_every_fault_is_of_words_or_of_behaviour() -> None:
    assert {fault for fault in Fault if not fault.is_of_words} == set(NEEDED)


def test_a_command_that_is_refused_must_be_one_that_may_not_be_given() -> None:
    command = "  - {id: c, by: patient, at: 9s, command: pause}\n"
    asked = DOSE.replace("expect:\n", command + "expect:\n  - {of: c, refused: true}\n")
    assert parsed(asked).expect[0].refused
    allowed = asked.replace("by: patient, at: 9s, command: pause", "by: doctor, at: 9s, command: pause")
    assert "line 20: expected a command that doctor may not give" in refusal(allowed)


def test_files_and_folders(tmp_path: Path) -> None:
    below = tmp_path / "more"
    below.mkdir()
    (tmp_path / "b.yaml").write_text(DOSE)
    (below / "a.yaml").write_text(DOSE.replace("id: dose\n", "id: other\n"))
    (below / "notes.txt").write_text("no scenario")
    assert [one.id for one in load_scenarios([tmp_path])] == ["dose", "other"]
    assert [one.id for one in load_scenarios([below / "a.yaml", tmp_path])] == ["other", "dose"]
    (below / "c.yaml").write_text(DOSE)
    with pytest.raises(ConfigError, match=r"c\.yaml: expected an id of its own, got dose, as in .*b\.yaml"):
        load_scenarios([tmp_path])
    with pytest.raises(ConfigError, match="expected scenarios"):
        load_scenarios([])
    with pytest.raises(ConfigError, match="expected a readable file"):
        load_scenario(tmp_path / "none.yaml")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    recorded = changed("voice: m3", "recording: {file: patient.wav}")
    recorded = recorded.replace("en: Thank you.}", "en: Thank you.}\n    cut: {start: 1s, end: 2.5s}")
    recorded = recorded.replace("timeline:\n", "interpreter: {role_file: roles/mine.yaml}\ntimeline:\n")
    (tmp_path / "dose.yaml").write_text(recorded)
    assert load_scenario(tmp_path / "dose.yaml").interpreter.role_file == tmp_path / "roles/mine.yaml"
    person = load_scenario(tmp_path / "dose.yaml").participants["patient"]
    assert person.recording is not None
    assert person.recording.file == tmp_path / "patient.wav"
    assert "expected `cut` beside what is said in a recording" in refusal(
        recorded.replace("\n    cut: {start: 1s, end: 2.5s}", "")
    )
    assert "expected `end` after `start`" in refusal(recorded.replace("end: 2.5s", "end: 1s"))


@given(st.integers(-60_000, 999_999))
def test_durations_say_what_they_mean(milliseconds: int) -> None:
    assert Duration.read(f"{milliseconds}ms").s == pytest.approx(milliseconds / 1000)
    assert Duration.read(f"{milliseconds / 1000:.3f}s").s == pytest.approx(milliseconds / 1000)


@given(st.text(max_size=12))
def test_only_amounts_with_units_are_read(text: str) -> None:
    for kind in (Duration, Gain, Level, Share):
        try:
            kind.read(text)
        except ValueError:
            continue
        assert text.endswith(tuple(kind.factors))
        assert not text.removeprefix("-").startswith(("00", "01"))


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "1.s",
        ".5s",
        "01s",
        "1e3s",
        "1S",
        "1m",
        "+1s",
        "1 s",
        "nans",
        "7201s",
        "-61s",
        "1s ",
        "1s\n",
        "١s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration with its unit"):
        Duration.read(text)


@pytest.mark.parametrize(
    ("text", "language", "wrong"),
    [
        ("My back hurts.", "en", 0),
        ("The patient says that his back hurts.", "en", 1),
        ("He says his back hurts.", "en", 1),
        ("My mother died last year.", "en", 0),
        ("El médico dice que es el oído.", "es", 1),
        ("Pregunta si le duele.", "es", 1),
        ("Dígale que le duele.", "es", 0),
        ("Me duele. Él viene mañana.", "es", 0),
    ],
)
def test_reports_are_told_from_speech(text: str, language: str, wrong: int) -> None:
    assert len(faults_of_words(Expectation(of="p1", person="first"), text, language)) == wrong


def test_words_are_sought_whole_and_without_accents() -> None:
    wanted = Expectation(of="p1", says=("oído|oreja", "no puedo"), never_says=("sí",))
    assert faults_of_words(wanted, "NO PUEDO oir con el oido.", "es") == []
    assert faults_of_words(wanted, "No, no puedo, la oreja, sin duda.", "es") == []
    assert faults_of_words(wanted, "Sí, puedo; oídos.", "es") == [
        "expected 'oído|oreja', got none",
        "expected 'no puedo', got none",
        "expected no 'sí', got it",
    ]


WORDS = sorted(set(re.findall(r"[A-Za-z0-9_.-]+", DOSE))) + [
    "null",
    "[]",
    "{}",
    "-1s",
    "operator",
    '"',
    "backchannel",
]


@pytest.mark.slow
@given(st.data())
def test_whatever_is_changed_in_a_file_it_is_read_or_refused_with_its_line(data: st.DataObject) -> None:
    places = list(re.finditer(r"[A-Za-z0-9_.-]+", DOSE))
    place = data.draw(st.sampled_from(places))
    text = DOSE[: place.start()] + data.draw(st.sampled_from(WORDS)) + DOSE[place.end() :]
    said = ""
    try:
        plan_of(parsed(text))
    except ConfigError as error:
        said = str(error)
    assert re.match(r"$|dose\.yaml(, line \d+)?: expected ", said)
