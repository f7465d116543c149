"""The audit log tells who did what and never what was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.commands.arguments import LanguagePair
from interpreter.commands.commands import Actor, Invocation, invoke
from interpreter.commands.table import COMMANDS, Standing
from interpreter.errors import IdentityError
from interpreter.identity.audit import KEPT_LINES, AuditLog, token_hash
from interpreter.identity.chain import Sealer, parse_line
from interpreter.identity.verify import Report, Verdict, verify
from tests.interpreter.identity.sealed import KEY

EVA = Actor(name="Eva Ruiz", standing=Standing.OPERATOR, token_hash=token_hash("secret"))
ANA = Actor(name="Ana", standing=Standing.PARTICIPANT, participant_id="p1")


class Logged:
    """A log and what it wrote."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = AuditLog(key=KEY, meeting_id="m7", now_s=1_000.0, emit=self.lines.append)

    @property
    def last(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.lines[-1])["record"]
        return record

    def checked(self) -> Report:
        return verify([line.encode() + b"\n" for line in self.lines], {KEY.thumbprint: KEY.public})


def test_an_act_is_told_with_who_and_about_whom() -> None:
    logged = Logged()
    logged.log.record(
        "meeting.mode", 1_234.5678, actor=EVA, participant_id="p1", arguments={"mode": "consecutive"}
    )
    assert logged.last == {
        "after": parse_line(logged.lines[0].encode()).digest,
        "kind": "event",
        "event": "meeting.mode",
        "at_ms": 1_234_568,
        "actor": "Eva Ruiz",
        "actor_id": None,
        "actor_role": "operator",
        "token_hash": "2bb80d537b1da3e3",
        "participant": "p1",
        "arguments": {"mode": "consecutive"},
    }


def test_the_interpreters_own_acts_have_no_actor() -> None:
    logged = Logged()
    logged.log.record("interpreting.started", 1_001.0)
    assert (logged.last["actor"], logged.last["actor_role"]) == (None, "interpreter")


def test_a_command_is_told_without_what_is_private() -> None:
    logged = Logged()
    people = {"p1": "Ana", "p2": "Ben"}
    logged.log.command(invoke("language", {"tag": "es-MX"}, ANA, people), 1_001.0)
    assert logged.last["event"] == "participant.language"
    assert (logged.last["participant"], logged.last["actor_id"]) == ("p1", "p1")
    assert "es-MX" in logged.last["arguments"].values()
    before = len(logged.lines)
    private = [spec for spec in COMMANDS.values() if any(a.kind.private for a in spec.arguments)]
    assert private
    for spec in private:
        given = {a.name: "penicillin rash" for a in spec.arguments if a.kind.private}
        logged.log.command(Invocation(spec=spec, actor=EVA, arguments=given), 1_002.0)
    assert len(logged.lines) == before + len(private)
    assert "penicillin" not in "".join(logged.lines)


def test_every_commands_event_has_a_name_the_log_takes() -> None:
    logged = Logged()
    for spec in COMMANDS.values():
        logged.log.command(Invocation(spec=spec, actor=EVA), 1_001.0)
    logged.log.end(1_002.0)
    report = logged.checked()
    assert (report.verdict, report.events) == (Verdict.VERIFIED, len(COMMANDS))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, True),
        (-15.0, "-15"),
        (0.4, "0.4"),
        (LanguagePair("es", "en"), "es>en"),
        ("medical-consecutive", "medical-consecutive"),
        ("she has a rash", None),
        ("", None),
        ("x" * 65, None),
        ("línea", None),
        ("a\nb", None),
    ],
)
def test_only_chosen_values_are_written(value: Any, written: Any) -> None:
    logged = Logged()
    logged.log.record("meeting.mode", 1_001.0, arguments={"value": value})
    assert logged.last["arguments"] == {"value": written}


@given(st.text(max_size=100), st.text(max_size=100), st.text(max_size=100))
def test_whatever_people_call_themselves_is_logged(name: str, participant: str, value: str) -> None:
    logged = Logged()
    actor = Actor(name=name, standing=Standing.HOST, participant_id=participant)
    logged.log.record("meeting.mode", 1_001.0, actor=actor, arguments={"value": value})
    logged.log.end(1_002.0)
    assert logged.checked().verdict is Verdict.VERIFIED


def test_a_name_that_is_not_unicode_is_logged_too() -> None:
    logged = Logged()
    logged.log.record("meeting.mode", 1_001.0, actor=Actor(name="\ud800", standing=Standing.HOST))
    assert logged.last["actor"] == "?"


@pytest.mark.parametrize("event", ["", "Said Hello", "a.", "a b", "ñ", "x" * 65])
def test_an_event_is_one_of_ours_and_no_sentence(event: str) -> None:
    logged = Logged()
    with pytest.raises(IdentityError, match="`event`"):
        logged.log.record(event, 1_001.0)
    with pytest.raises(IdentityError, match="`argument`"):
        logged.log.record("meeting.mode", 1_001.0, arguments={"free text": True})
    assert len(logged.lines) == 1


def test_without_a_file_the_last_lines_are_kept() -> None:
    log = AuditLog(key=KEY, meeting_id="m7", now_s=1_000.0)
    for second in range(KEPT_LINES + 5):
        log.record("meeting.mode", 1_000.0 + second)
    assert len(log.lines) == KEPT_LINES
    assert json.loads(log.lines[-1])["record"]["at_ms"] == 1_000_000 + 1_000 * (KEPT_LINES + 4)
    assert [parse_line(line.encode()).after for line in log.lines[1:]] == [
        parse_line(line.encode()).digest for line in log.lines[:-1]
    ]


def test_a_token_is_told_apart_and_not_given_away() -> None:
    assert token_hash("one") != token_hash("two")
    assert len(token_hash("one")) == 16
    assert "one" not in token_hash("one")


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {"note": "free text"}},
        {"arguments": {"note": 5}},
        {"arguments": {"note": ["x"]}},
        {"arguments": {f"a{'b' * n}": True for n in range(17)}},
        {"arguments": None},
        {"token_hash": "secret"},
        {"actor": "x" * 65},
        {"actor_role": "the boss"},
        {"said": "hello"},
    ],
)
def test_a_log_with_content_in_it_is_not_verified_whoever_signed_it(change: dict[str, Any]) -> None:
    logged = Logged()
    logged.log.record("meeting.mode", 1_001.0)
    sealer = Sealer(KEY)
    lines = []
    for number, line in enumerate(logged.lines):
        record = dict(parse_line(line.encode()).record) | (change if number == 1 else {})
        del record["after"]
        lines.append(sealer.seal(record.pop("kind"), record).encode() + b"\n")
    lines.append(sealer.seal("end", {"at": 1_002, "lines": 2}).encode() + b"\n")
    report = verify(lines)
    assert report.verdict is Verdict.FAILED
    assert [fault.line for fault in report.faults] == [2]
