"""The console's messages: what a page sends is one or is refused in words; the document shows them as they are."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.commands.commands import Actor, invoke
from interpreter.commands.table import COMMANDS, Standing
from interpreter.console import protocol, snapshot
from interpreter.console.openapi import STATUS
from interpreter.console.protocol import (
    Apply,
    Asked,
    Command,
    Editing,
    Heartbeat,
    Reply,
    SetLanguage,
    Sync,
    Watch,
    encode,
    parse,
)
from interpreter.errors import ConsoleMessageError

DOCUMENT = (Path(__file__).parents[3] / "docs/console-protocol.md").read_text()
EXAMPLES: list[dict[str, Any]] = [
    json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
]


def of_type(*kinds: str) -> list[dict[str, Any]]:
    return [example for example in EXAMPLES if example.get("type") in kinds]


def check(value: Any, kind: Any, where: str) -> None:
    """That JSON has exactly the members of a dataclass, and of those in it."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        assert value.keys() == {field.name for field in fields(kind)}, where
        for name, inner in value.items():
            check(inner, hints[name], f"{where}.{name}")
    elif get_origin(kind) is tuple:
        for one in value:
            check(one, get_args(kind)[0], f"{where}[]")
    elif get_origin(kind) is not None and isinstance(value, dict):
        for key, one in value.items():
            check(one, get_args(kind)[1], f"{where}.{key}")


@pytest.mark.parametrize(
    ("topic", "kind"), [("house", snapshot.House), ("room", snapshot.RoomState), ("notes", snapshot.Notes)]
)
def test_the_snapshots_of_the_document_are_whole(topic: str, kind: type) -> None:
    [example] = [one for one in of_type("snapshot") if one["topic"].partition("/")[0] == topic]
    check(example["state"], kind, topic)


def test_the_document_shows_every_message_of_the_server() -> None:
    shown = {example["type"] for example in EXAMPLES if "type" in example}
    sent = {"welcome", "snapshot", "delta", "levels", "heartbeat", "reply", "error", "gone", "closed"}
    assert shown == sent | set(protocol._PARSERS)
    [levels] = of_type("levels")
    check(levels["levels"], snapshot.RoomLevels, "levels")


@pytest.mark.parametrize("example", of_type(*protocol._PARSERS), ids=lambda one: one["type"])
def test_what_the_document_shows_of_a_page_is_understood(example: dict[str, Any]) -> None:
    message = parse(json.dumps(example))
    commands = (message.asked,) if isinstance(message, Command) else getattr(message, "commands", ())
    actor = Actor(name="Eva", standing=Standing.ADMIN)
    for asked in commands:
        invocation = invoke(asked.name, asked.arguments, actor, {"9f3a": "Ana"})
        if isinstance(message, Command):
            assert (message.expect is not None) is invocation.spec.guarded


def test_the_document_names_every_guarded_command_every_code_and_every_status() -> None:
    [sentence] = re.findall(r"Commands with `guarded`.*?by whom; other\nchanges", DOCUMENT, re.DOTALL)
    assert set(re.findall(r"`([a-z-]+)`", sentence)) - {"guarded", "expect", "revision", "stale"} == {
        name for name, spec in COMMANDS.items() if spec.guarded
    }
    for code, status in STATUS.items():
        row = next(line for line in DOCUMENT.splitlines() if re.match(rf"\|.*`{code}`.*\| {status} \|", line))
        assert row


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "watch", "room": null}', Watch(room=None)),
        ('{"type": "watch"}', Watch(room=None)),
        ('{"type": "sync", "topic": "page/scenarios"}', Sync(topic="page/scenarios")),
        ('{"type": "language", "tag": "es"}', SetLanguage(tag="es")),
        ('{"type": "editing", "room": "5d", "slot": ""}', Editing(room="5d", slot="")),
        (
            '{"type": "command", "id": "q", "name": "duck", "arguments": {"gain": -12}, "expect": 0}',
            Command(id="q", asked=Asked(name="duck", arguments={"gain": -12.0}), expect=0),
        ),
        (
            '{"type": "apply", "id": "q", "room": "5d", "commands": [{"name": "swap"}], "expect": 3}',
            Apply(id="q", room="5d", commands=(Asked(name="swap"),), expect=3),
        ),
    ],
)
def test_messages_are_understood(text: str, message: object) -> None:
    assert parse(text) == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
members = st.sampled_from(
    ["type", "id", "room", "name", "arguments", "expect", "commands", "slot", "topic", "tag", "extra"]
)
kinds = st.sampled_from([*protocol._PARSERS, "nonsense"])


def refusal(text: str) -> str | None:
    """Why a text is no message; None where it is one."""
    try:
        parse(text)
    except ConsoleMessageError as error:
        return str(error)
    return None


@given(st.text() | json_values.map(json.dumps))
def test_anything_is_a_message_or_refused(text: str) -> None:
    words = refusal(text)
    assert words is None or words.startswith("expected")


@given(kinds, st.dictionaries(members, json_values, max_size=6))
def test_anything_like_a_message_is_one_or_refused(kind: str, rest: dict[str, Any]) -> None:
    words = refusal(json.dumps({**rest, "type": kind}))
    assert words is None or (words.startswith("expected") and len(words) < 300)


def test_what_is_no_unicode_goes_on_the_wire_all_the_same() -> None:
    text = encode(Reply(id="q", accepted=True, code="done", text="\ud800 <b>é"))
    assert text.isascii()
    assert json.loads(text) == {
        "type": "reply",
        "id": "q",
        "accepted": True,
        "code": "done",
        "text": "\ud800 <b>é",
        "language": "en",
    }


def test_what_several_pages_are_sent_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[object] = []

    def count(message: protocol.ServerMessage) -> str:
        encoded.append(message)
        return f"text {len(encoded)}"

    monkeypatch.setattr(protocol, "encode", count)
    encoder = protocol.Encoder()
    first, twin = Heartbeat(at=1.0, topics={}), Heartbeat(at=1.0, topics={})
    assert [encoder.text(one) for one in (first, first, twin, first)] == [
        "text 1",
        "text 1",
        "text 2",
        "text 1",
    ]
    for n in range(20):
        encoder.text(Heartbeat(at=float(n), topics={}))
    assert encoder.text(first) == "text 23", "what was long ago is forgotten"


def test_only_what_is_known_of_a_reply_is_told() -> None:
    full = Reply(
        id="q", accepted=False, code="stale", text="x", language="es", revision=3, result={"kind": "x"}
    )
    assert json.loads(encode(full)).keys() == {
        "type", "id", "accepted", "code", "text", "language", "revision", "result",
    }  # fmt: skip
    assert json.loads(encode(Heartbeat(at=1.5, topics={"house": 2}))) == {
        "type": "heartbeat",
        "at": 1.5,
        "topics": {"house": 2},
    }
