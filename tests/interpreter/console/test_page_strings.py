"""The sentences of the console page: the same in both languages, none missing, none for nothing, one for every code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from interpreter.commands.table import COMMANDS
from interpreter.console.server import STATIC
from interpreter.console.snapshot import Lamp
from interpreter.facts_guard.facts import FactKind
from interpreter.record.record import Stored
from interpreter.roles.role import ScriptId

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
OTHERS = "\n".join(text for name, text in SCRIPTS.items() if name != "strings.js")
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def sentences(tag: str) -> dict[str, str]:
    """Every sentence of a language by its key."""
    start = SCRIPTS["strings.js"].index(f"  {tag}: {{\n")
    block = SCRIPTS["strings.js"][start : SCRIPTS["strings.js"].index("\n  },", start)]
    found = re.findall(r'^    (?:"([^"]+)"|(\w+)): "(.*)",$', block, re.MULTILINE)
    lines = block.count("\n")
    assert len(found) == lines, f"expected a sentence a line, got {len(found)} in {lines} lines of {tag}"
    keys = [quoted or bare for quoted, bare, _ in found]
    assert len(set(keys)) == len(keys), "expected every key once"
    return {quoted or bare: sentence for quoted, bare, sentence in found}


ENGLISH, SPANISH = sentences("en"), sentences("es")


def test_both_languages_say_the_same() -> None:
    assert ENGLISH.keys() == SPANISH.keys()
    for key, sentence in ENGLISH.items():
        wanted = sorted(PLACEHOLDER.findall(sentence))
        assert sorted(PLACEHOLDER.findall(SPANISH[key])) == wanted, key


def test_every_sentence_that_is_asked_for_is_there() -> None:
    asked = set(re.findall(r'\bt\("([^"]+)"', OTHERS)) | set(re.findall(r'data-(?:text|label)="(\w+)"', PAGE))
    assert len(asked) > 100
    assert asked <= ENGLISH.keys()
    prefixes = set(re.findall(r"\bt\(`(\w+:)\$\{", OTHERS))
    for prefix in prefixes:
        assert any(key.startswith(prefix) for key in ENGLISH), prefix


def test_no_sentence_is_there_for_nothing() -> None:
    prefixes = tuple(re.findall(r"`(\w+:)\$\{", OTHERS)) + ("notice:",)
    unused = [key for key in ENGLISH if f'"{key}"' not in OTHERS + PAGE and not key.startswith(prefixes)]
    assert unused == []


def codes() -> Iterator[str]:
    """What the server may name, as the page's keys."""
    yield from (f"lamp:{one.value}" for one in Lamp)
    yield from (f"event:{one.audit_event}" for one in COMMANDS.values() if one.audit_event)
    yield from (f"fact:{one.value}" for one in FactKind)
    yield from (f"stored:{one.value}" for one in Stored)
    yield from (f"notice:{one}" for one in get_args(ScriptId) if not one.startswith("stored_"))
    protocol = (STATIC.parents[2] / "docs/console-protocol.md").read_text(encoding="utf-8")
    tables = protocol[protocol.index("| lamp | reason |") :]
    for row in re.findall(r"^\| `[a-z_]+` \| (.*) \|$", tables, re.MULTILINE):
        yield from (f"reason:{one}" for one in re.findall(r"`([a-z_]+)`", row))
    yield from (
        f"alert:{one}" for one in re.findall(r"^\| `([a-z-]+)` \| (?:alert|warning|info)", tables, re.M)
    )
    marks = tables[tables.index("| on the timeline |") :]
    for row in re.findall(r"^\| (`.*`) \|", marks, re.MULTILINE):
        yield from (f"mark:{one}" for one in re.findall(r"`([a-z_]+)`", row))


@pytest.mark.parametrize("code", sorted(set(codes())))
def test_every_code_of_the_server_has_words(code: str) -> None:
    assert code in ENGLISH
