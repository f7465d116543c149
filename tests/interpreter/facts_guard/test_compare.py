"""Which facts agree, and how those that do not are told."""

from __future__ import annotations

import pytest

from interpreter.facts_guard.compare import compare
from interpreter.facts_guard.extract import facts_of
from interpreter.facts_guard.facts import DifferenceKind


def told(english: str, spanish: str) -> list[tuple[str, str | None, str | None]]:
    comparison = compare(facts_of(english, "en"), facts_of(spanish, "es"))
    return [
        (one.kind.value, one.heard and one.heard.value, one.spoken and one.spoken.value)
        for one in comparison.differences
    ]


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("Take half a gram.", "Tome quinientos miligramos."),
        ("For two weeks.", "Durante catorce días."),
        ("every day", "una vez al día"),
        ("twice a day", "dos veces cada veinticuatro horas"),
        ("40 mg daily", "40 mg al día"),
        ("in the evening", "por la noche"),
        ("in the evening", "por la tarde"),
        ("Tomorrow night at eight.", "Mañana a las ocho de la noche."),
        ("Come at eight.", "Venga a las 8 de la mañana."),
        ("My knee, the left one.", "La rodilla izquierda."),
        ("Take two.", "Tome dos pastillas."),
        ("when I was six", "cuando tenía seis años"),
        ("39 degrees", "39 grados centígrados"),
        ("555 0142", "cinco cinco cinco cero uno cuatro dos"),
        ("six one two, thirty-four, fifty-six", "seis doce, treinta y cuatro, cincuenta y seis"),
        ("No, I don't have pain.", "No tengo dolor."),
        ("ten milligrams, yes, ten milligrams", "diez miligramos"),
        ("no more than six", "no más de seis"),
        ("It's fifteen, no, fifty milligrams.", "Son cincuenta miligramos."),
        ("Stop taking it.", "Deje de tomarlo."),
    ],
)
def test_what_is_equal_by_definition_or_says_less_agrees(english: str, spanish: str) -> None:
    assert told(english, spanish) == []


@pytest.mark.parametrize(
    ("english", "spanish", "difference"),
    [
        ("fifteen milligrams", "cincuenta miligramos", ("changed", "15 mg", "50 mg")),
        ("five milligrams", "cinco microgramos", ("changed", "5 mg", "5 mcg")),
        ("point five milligrams", "cinco miligramos", ("changed", "500 mcg", "5 mg")),
        ("fifty milligrams", "cincuenta", ("changed", "50 mg", "50")),
        ("twice a day", "cada doce horas", ("changed", "2/day", "every 12 hour")),
        ("for two weeks", "durante quince días", ("changed", "2 week", "15 day")),
        ("for two weeks", "dentro de dos semanas", ("changed", "2 week", "in 2 week")),
        ("at eight in the morning", "a las ocho de la noche", ("changed", "08:00", "20:00")),
        ("in the ear drops", "gotas para los ojos", ("changed", "ear", "eye")),
        ("the left knee", "la rodilla derecha", ("changed", "left knee", "right knee")),
        ("the left knee", "el codo izquierdo", ("changed", "left knee", "left elbow")),
        (
            "allergic to penicillin",
            "no es alérgico a la penicilina",
            ("changed", "penicillin", "no penicillin"),
        ),
        ("I have pain", "no tengo dolor", ("added", None, "pain")),
        ("I don't take it", "lo tomo", ("missing", "take", None)),
        ("Don't stop taking it.", "Deje de tomarlo.", ("changed", "stop", "take")),
        ("hydroxyzine", "hidralazina", ("changed", "hydroxyzine", "hydralazine")),
        ("next Tuesday", "el martes pasado", ("changed", "next tuesday", "last tuesday")),
        ("S M I T H", "ese, eme, i, te", ("changed", "smith", "smit")),
        ("No, it's three pills.", "Son tres pastillas.", ("missing", "answer", None)),
    ],
)
def test_what_is_not_is_told_with_both_sides(
    english: str, spanish: str, difference: tuple[str, str | None, str | None]
) -> None:
    assert told(english, spanish) == [difference]


def test_sides_that_change_places_are_found() -> None:
    assert len(told("left arm and right leg", "el brazo derecho y la pierna izquierda")) == 2


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("Two in the morning and three at night.", "Tres por la mañana y dos por la noche."),
        ("Two tablets in the morning, three at night.", "Por la mañana tres y por la noche dos pastillas."),
        ("5 mg of digoxin and 10 mg of lisinopril", "10 mg de digoxina y 5 mg de lisinopril"),
    ],
)
def test_amounts_that_change_places_are_found(english: str, spanish: str) -> None:
    assert [kind for kind, _, _ in told(english, spanish)] == ["changed", "changed"]


def test_amounts_in_another_order_keep_their_places() -> None:
    assert told("Two in the morning and three at night.", "Por la noche tres y por la mañana dos.") == []
    assert told("5 mg of digoxin, 10 mg of lisinopril", "lisinopril 10 mg y digoxina 5 mg") == []


def test_of_several_facts_only_those_that_differ_are_told() -> None:
    comparison = compare(
        facts_of("Take two tablets every eight hours for ten days.", "en"),
        facts_of("Tome dos pastillas cada seis horas.", "es"),
    )
    assert [(one.value, other.value) for one, other in comparison.matches] == [("2 tablet", "2 tablet")]
    assert [one.kind for one in comparison.differences] == [DifferenceKind.CHANGED, DifferenceKind.MISSING]
