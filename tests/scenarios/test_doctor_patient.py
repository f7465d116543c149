"""The scenarios of the package: what they cover, that they can be spoken, and that each would catch its fault."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from interpreter.facts_guard.compare import compare
from interpreter.facts_guard.extract import facts_of
from interpreter.roles.library import load_library
from scenarios.faults import Fault
from scenarios.plan import Moments, due_s, length_s, plan_of, voice_of
from scenarios.scenario_checks import rendered_languages
from scenarios.scenario_file import Item, Said, SayKind, Scenario
from scenarios.schema import PACKAGED, load_scenario, load_scenarios
from scenarios.speech import Speaker
from scenarios.wording import faults_of_words

SCENARIOS = load_scenarios([PACKAGED])
BY_ID = {scenario.id: scenario for scenario in SCENARIOS}
ROLES = load_library()

EACH = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)

ASKED_FOR = {
    "dose": {"dose-en-es", "micrograms-en-es"},
    "frequency": {"frequency-en-es"},
    "duration": {"duration-es-en"},
    "mcg or mg": {"micrograms-en-es"},
    "decimals": {"decimal-es-en"},
    "fifteen or fifty": {"fifteen-fifty-es-en"},
    "phone and date": {"phone-number-en-es", "appointment-es-en"},
    "negation": {"negation-es-en"},
    "no history of": {"no-history-en-es"},
    "double negation": {"double-negation-es-en"},
    "laterality": {"laterality-en-es", "laterality-es-en"},
    "allergy yes and no": {"allergy-two-es-en", "allergy-no-es-en"},
    "look-alikes": {"drug-lookalike-en-es", "drug-lookalike-es-en"},
    "name spelt": {"name-spelling-es-en"},
    "self-repair": {"self-repair-dose-es-en", "self-repair-side-en-es"},
    "question to the interpreter": {"question-to-interpreter-es-en"},
    "tell him": {"tell-him-en-es"},
    "rude remark": {"rude-remark-es-en"},
    "side talk": {"side-talk-es-en"},
    "urgent interruption": {"red-flag-interruption-es-en"},
    "backchannels": {"backchannels-es", "backchannels-en"},
    "overlap": {"overlap-simultaneous", "overlap-turn-edge"},
    "long monologue": {"long-monologue-es-en"},
    "noisy number": {"noisy-number-es-en"},
    "request for a human": {"request-human-es", "request-human-en"},
    "opt-out": {"opt-out-es"},
    "operator pause and panic": {"operator-pause", "stop-everybody"},
    "reconnect": {"reconnect-patient"},
    "third participant": {"third-participant"},
    "notices": {"opening-notice", "closing-notice", "reminder"},
    "emergency start": {"emergency-start-en-es"},
    "mode switch": {"mode-switch-consecutive", "mode-switch-captions"},
}
"""What the first suite is to cover -> where it is."""


def said(scenario: Scenario) -> list[tuple[Item, Said]]:
    return [(item, item.action) for item in scenario.timeline if isinstance(item.action, Said)]


def test_there_are_enough_of_them() -> None:
    gates = [scenario for scenario in SCENARIOS if "gate" in scenario.tags]
    assert len(SCENARIOS) >= 70
    assert len(gates) >= 40
    assert {scenario.catches for scenario in gates} == set(Fault), "every fault is caught by a gate"
    assert Counter(scenario.catches for scenario in SCENARIOS)[Fault.NUMBER_CHANGED] >= 5
    assert not any(scenario.draft for scenario in SCENARIOS)


def test_they_cover_what_was_asked_for() -> None:
    assert {name for names in ASKED_FOR.values() for name in names} <= BY_ID.keys()


def test_they_go_both_ways() -> None:
    spoken = Counter(
        scenario.participants[item.by or ""].primary_language
        for scenario in SCENARIOS
        for item, _ in said(scenario)
    )
    doctors = Counter(
        person.primary_language
        for scenario in SCENARIOS
        for person in scenario.participants.values()
        if person.role == "clinician"
    )
    assert min(spoken["en"], spoken["es"]) >= 50
    assert min(doctors["en"], doctors["es"]) >= 5


@EACH
def test_files_are_named_after_what_is_in_them(scenario: Scenario) -> None:
    assert load_scenario(PACKAGED / f"{scenario.id}.yaml") == scenario
    assert scenario.about is not None
    assert scenario.about.endswith(".")
    assert {"en-es", "es-en"} & set(scenario.tags)


@EACH
def test_the_perfect_rendering_fulfils_everything_and_says_the_same_facts(scenario: Scenario) -> None:
    for item, action in said(scenario):
        source = scenario.participants[item.by or ""].primary_language
        heard = facts_of(action.texts[source], source)
        for language in rendered_languages(scenario, item):
            if language not in action.texts:
                assert action.kind is SayKind.BACKCHANNEL
                continue
            text = action.texts[language]
            for expectation in scenario.expect:
                if expectation.of == item.id:
                    assert faults_of_words(expectation, text, language) == []
            differences = compare(heard, facts_of(text, language)).differences
            assert differences == ()


@pytest.mark.parametrize(
    "scenario",
    [one for one in SCENARIOS if one.catches is not None and one.catches.is_of_words],
    ids=lambda scenario: scenario.id,
)
def test_what_a_faulty_interpreter_says_is_caught(scenario: Scenario) -> None:
    written = [(item, action) for item, action in said(scenario) if action.faulty]
    assert written
    for item, action in written:
        for language, text in action.faulty.items():
            assert text != action.texts[language]
            assert any(
                faults_of_words(expectation, text, language)
                for expectation in scenario.expect
                if expectation.of == item.id
            ), f"{item.id} in {language}: {text}"


@EACH
def test_they_wait_for_the_opening_of_their_role(scenario: Scenario) -> None:
    role = ROLES.find(scenario.interpreter.role)
    first = scenario.timeline[0]
    assert first.after is not None
    assert first.after.announced == role.disclosure.opening, (
        "what overlaps with the opening tries something else"
    )
    announced = [item.after.announced for item in scenario.timeline if item.after and item.after.announced]
    assert set(announced) <= set(role.scripts["en"])
    assert plan_of(scenario).waiting[0].id == first.id


@EACH
def test_texts_are_written_as_people_write(scenario: Scenario) -> None:
    for _, action in said(scenario):
        for language, text in action.texts.items():
            assert text == unicodedata.normalize("NFC", text)
            assert text[-1] in ".?!"
            if language == "es":
                assert text.count("¿") == text.count("?"), text
                assert text.count("¡") == text.count("!"), text
            else:
                assert not set("¿¡áéíóúñ") & set(text), text


@EACH
def test_with_a_perfect_interpreter_everything_happens_in_time(scenario: Scenario) -> None:
    moments = perfect_run(scenario)
    assert moments.starts.keys() == {item.id for item in scenario.items}
    assert max(moments.ends.values()) < 120.0, "suites have to be short"
    for name in scenario.participants:
        own = sorted(
            (moments.starts[item.id], moments.ends[item.id]) for item, _ in said(scenario) if item.by == name
        )
        for (_, end_s), (start_s, _) in itertools.pairwise(own):
            assert end_s < start_s, f"{name} talks over themselves"
    for item in scenario.timeline:
        if item.during is not None:
            target = scenario.item(item.during.of)
            over_s = moments.ends[target.id]
            if item.during.event == "rendering_start":
                over_s = moments.rendering_ends[target.id, rendered_languages(scenario, target)[0]]
            assert moments.starts[item.id] < over_s - 0.5, f"{item.id} comes when {target.id} is over"


def perfect_run(scenario: Scenario) -> Moments:
    """When everything happens, were renderings to begin a second after what they render, at the pace of people."""
    moments = Moments(announced={"opening": 15.0, "opening_emergency": 9.0})
    waiting = list(scenario.items)
    while waiting:
        due = {item.id: due_s(scenario, item, moments) for item in waiting}
        item = min(waiting, key=lambda one: (due[one.id] is None, due[one.id] or 0.0))
        start_s = due[item.id]
        assert start_s is not None, f"{item.id} never comes"
        waiting.remove(item)
        action = item.action
        if isinstance(action, Said):
            spoken = scenario.participants[item.by or ""].primary_language
            end_s = start_s + pace_s(action.texts[spoken])
            for language in rendered_languages(scenario, item):
                moments.rendering_starts[item.id, language] = end_s + 1.0
                moments.rendering_ends[item.id, language] = (
                    end_s + 1.0 + pace_s(action.texts.get(language, ""))
                )
        else:
            end_s = start_s + length_s(item, scenario.seed)
        moments.starts[item.id], moments.ends[item.id] = start_s, end_s
        for expectation in scenario.expect:
            if expectation.of == item.id and expectation.announcement is not None:
                moments.announced[expectation.announcement.script] = end_s + 4.0
    return moments


def pace_s(text: str) -> float:
    return 0.37 * len(text.split())


@pytest.mark.speech
@pytest.mark.slow
def test_what_breaks_into_a_rendering_comes_before_its_end(tmp_path: Path) -> None:
    """As long as the rendering is spoken at about the pace of people."""
    speaker = Speaker(tmp_path)
    tried = 0
    for scenario in SCENARIOS:
        for item in scenario.timeline:
            if item.during is None or item.during.event != "rendering_start":
                continue
            target = scenario.item(item.during.of)
            assert target.say is not None
            person = scenario.participants[item.by or ""]
            spoken = speaker.say(target.say[person.primary_language], voice_of(scenario, item))
            own = speaker.say((item.say or {})[person.primary_language], voice_of(scenario, item))
            assert item.during.delay.s + 1.5 < spoken.duration_s, scenario.id
            if item.kind is SayKind.INTERRUPTION:
                assert own.duration_s > 1.2, "longer than any backchannel"
            tried += 1
    assert tried >= 6
