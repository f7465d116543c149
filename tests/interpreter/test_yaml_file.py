from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest

from interpreter.errors import ConfigError
from interpreter.yaml_file import Check, parse_yaml, ranged, read_yaml


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


Even = Annotated[int, Check(lambda number: None if number % 2 == 0 else "an even number")]


@dataclass(frozen=True, kw_only=True)
class Paint:
    """A schema with one of everything the configuration has none of."""

    colour: Colour = Colour.RED
    layers: Even = 2
    by_room: Mapping[Annotated[str, Check(lambda word: None if word.islower() else "a small word")], Even] = (
        field(default_factory=dict)
    )
    coats: float | None = ranged(1.0, 0.5, 9.0)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) > 2:
            raise ValueError(f"expected two names at most, got {len(self.names)}")


def paint(text: str) -> Paint:
    return parse_yaml(text, Paint, name="p.yaml", folder=Path("."))


def test_enums_checks_and_typed_mappings() -> None:
    assert paint("") == Paint()
    read = paint("colour: blue\nlayers: 4\nby_room: {hall: 2, bath: 6}\ncoats: null\n")
    assert read == Paint(colour=Colour.BLUE, layers=4, by_room={"hall": 2, "bath": 6}, coats=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour: green\n", "line 1: expected one of red, blue for `colour`, got `green`"),
        ("layers: 3\n", "line 1: expected an even number for `layers`, got `3`"),
        ("by_room:\n  hall: 1\n", "line 2: expected an even number for `hall`, got `1`"),
        ("by_room:\n  Hall: 2\n", "line 2: expected a small word for a key of `by_room`, got `Hall`"),
        ("coats: 10\n", "line 1: expected 0.5 to 9.0 for `coats`, got 10"),
        ("names: [a, b, c]\n", "line 1: expected two names at most, got 3"),
        ('names: ["\\ud800"]\n', "expected whole characters for `names`, got half of a surrogate pair"),
        ('names: ["\\U00110000"]\n', "expected YAML, got"),
        ('names: ["\\UFFFFFFFF"]\n', "expected YAML, got"),
        ('layers: !!int ""\n', "line 1: expected a whole number in decimals for `layers`"),
        ("coats: !!float x\n", "line 1: expected a value for `coats`"),
        ('coats: !!float ""\n', "line 1: expected a value for `coats`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        paint(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("number", ["010", "0x10", "0b10", "1:30"])
def test_numbers_that_mean_another_than_they_look_are_refused(number: str) -> None:
    with pytest.raises(ConfigError, match="expected a whole number in decimals for `layers`"):
        paint(f"layers: {number}\n")
    with pytest.raises(ConfigError, match="expected a number in decimals for `coats`"):
        paint(f"coats: {number}\n")


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "paint.yaml"
    path.write_text("layers: 8\n")
    assert read_yaml(path, Paint).layers == 8
    path.write_text("layers: 1\n")
    with pytest.raises(ConfigError, match="paint.yaml, line 1: expected an even number"):
        read_yaml(path, Paint)
