from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
import yaml

from scenarios.json_schema import PUBLISHED, json_schema, schema_text
from scenarios.schema import PACKAGED
from tests.scenarios.test_schema import DOSE

CHECK = jsonschema.Draft202012Validator(json_schema())


def wrong(text: str) -> bool:
    return not CHECK.is_valid(yaml.safe_load(text))


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
        "run `python -m scenarios.json_schema > scenarios/interp-scenario-1.schema.json`"
    )
    jsonschema.Draft202012Validator.check_schema(json.loads(PUBLISHED.read_text(encoding="utf-8")))


def test_editors_show_what_stands_under_a_field() -> None:
    sections: dict[str, Any] = json_schema()["$defs"]
    assert sections["Item"]["properties"]["gain"] == {
        "description": "How much louder than everybody it is said.",
        "type": "string",
        "pattern": r"^(-?(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,6})?)(dB)$",
    }
    assert sections["Item"]["allOf"][0] == {
        "oneOf": [{"required": [name]} for name in ("at", "after", "during")]
    }


@pytest.mark.parametrize("file", sorted(PACKAGED.glob("*.yaml")), ids=lambda file: file.stem)
def test_editors_accept_what_comes_with_the_package(file: Any) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../interp-scenario-1.schema.json\n")
    assert not wrong(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at: 1s", "at: 1"),
        ("at: 1s", "at: 01s"),
        ("at: 1s", "at: 1s\n    during: {of: p1, delay: 1s}"),
        ("    at: 1s\n", ""),
        ("title: A dose\n", ""),
        ("title: A dose", "title: A dose\nrepeat: 3"),
        ("catches: number_changed", "catches: number_change"),
        ("voice: f2", "voice: f22"),
        ("voice: f2", "voice: f2, rate_wpm: 10"),
        ("language: es-MX", "language: fr"),
        ("value: 15 mg", "value: 15"),
        ("es: Gracias.", "fr: Merci."),
    ],
)
def test_editors_refuse_what_the_reader_refuses(old: str, new: str) -> None:
    assert not wrong(DOSE)
    assert DOSE.count(old) == 1
    assert wrong(DOSE.replace(old, new))


def test_no_key_is_open() -> None:
    schema = copy.deepcopy(json_schema())
    for section in (schema, *schema["$defs"].values()):
        assert section["additionalProperties"] is False
