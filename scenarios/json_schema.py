"""The JSON Schema of scenario files, for editors: made of the dataclasses, with what stands under their fields.

`python -m scenarios.json_schema` writes it to standard output; scenarios/interp-scenario-1.schema.json is a copy. What
must fit together across a file (ids, anchors, languages) is beyond it: `schema` checks that.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from interpreter.yaml_file import Check, Spelt
from scenarios import scenario_file
from scenarios.scenario_file import SCHEMA, Filled, Scenario, Shaped
from scenarios.units import Amount

Schema = dict[str, Any]

PUBLISHED = Path(__file__).parent / "interp-scenario-1.schema.json"

_SCALARS: Mapping[Any, str] = {
    str: "string",
    Path: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def json_schema() -> Schema:
    """JSON Schema, draft 2020-12."""
    sections: dict[str, Schema] = {}
    root = _section(Scenario, sections, _documentation())
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return {**head, **root, "$defs": dict(sorted(sections.items()))}


def schema_text() -> str:
    """It as a file's text."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _documentation() -> Mapping[str, Mapping[str, str]]:
    """Class -> field -> what stands under it."""
    tree = ast.parse(inspect.getsource(scenario_file))
    return {node.name: dict(_below_fields(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _below_fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, below in itertools.pairwise(node.body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            yield statement.target.id, " ".join(str(below.value.value).split())


def _section(
    section: Any, sections: dict[str, Schema], documentation: Mapping[str, Mapping[str, str]]
) -> Schema:
    """An object: the keys of a dataclass, and no others."""
    hints = get_type_hints(section, include_extras=True)
    described = documentation[section.__name__]
    properties: Schema = {}
    for key in fields(section):
        value = {**_value(hints[key.name], sections, documentation), **_range(key)}
        about = {"description": described[key.name]} if key.name in described else {}
        properties[key.name] = {**about, **value}
    groups = [{"oneOf": [{"required": [name]} for name in names]} for names in getattr(section, "one_of", ())]
    return {
        "description": " ".join((section.__doc__ or "").split()),
        "type": "object",
        "properties": properties,
        "required": [
            key.name for key in fields(section) if key.default is MISSING and key.default_factory is MISSING
        ],
        "additionalProperties": False,
        **({"allOf": groups} if groups else {}),
    }


def _value(hint: Any, sections: dict[str, Schema], documentation: Mapping[str, Mapping[str, str]]) -> Schema:
    """Whatever a field may hold."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        given = next(one for one in arguments if one is not type(None))
        return {"anyOf": [_value(given, sections, documentation), {"type": "null"}]}
    if origin is Annotated:
        plain, *checks = arguments
        return {**_value(plain, sections, documentation), **_checked(checks)}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0], sections, documentation)}
    if origin is Mapping:
        return {
            "type": "object",
            "propertyNames": _value(arguments[0], sections, documentation),
            "additionalProperties": _value(arguments[1], sections, documentation),
        }
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if isinstance(hint, type) and issubclass(hint, Spelt):
        assert issubclass(hint, Amount), hint
        return {"type": "string", "pattern": hint.pattern()}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in sections:
            sections[hint.__name__] = _section(hint, sections, documentation)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _SCALARS[hint]}


def _checked(checks: list[Check]) -> Schema:
    checked: Schema = {}
    for check in checks:
        if isinstance(check, Shaped):
            checked["pattern"] = check.pattern
        elif isinstance(check, Filled):
            checked |= {"minItems": 1, "minProperties": 1}
    return checked


def _range(key: Field[Any]) -> Schema:
    if "low" not in key.metadata:
        return {}
    return {"minimum": key.metadata["low"], "maximum": key.metadata["high"]}


if __name__ == "__main__":
    sys.stdout.write(schema_text())
