"""docs/scenarios.md: what it shows loads, and it names everything that a file may say."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from scenarios.commands import add_scenarios
from scenarios.json_schema import json_schema
from scenarios.schema import parse_scenario

PAGE = (Path(__file__).parents[2] / "docs/scenarios.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_the_examples_load(number: int) -> None:
    assert len(EXAMPLES) == 2
    parse_scenario(EXAMPLES[number], name="docs/scenarios.md", folder=Path())


def test_every_key_is_shown() -> None:
    schema = json_schema()
    keys = {key for section in (schema, *schema["$defs"].values()) for key in section["properties"]}
    assert {key for key in keys if not re.search(rf"\b{key}\b", PAGE)} == set()


def test_the_commands_shown_can_be_parsed() -> None:
    parser = argparse.ArgumentParser()
    add_scenarios(parser.add_subparsers())
    lines = re.findall(r"^    interpreter (scenarios [^#\n]*)", PAGE, re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        words = line.replace("KIND PATH", "webvtt visit.vtt").split()
        assert parser.parse_args(words).execute is not None
