"""Whatever is done to a sealed file is found, and said with its line; what is only cut off is incomplete."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreter.errors import IdentityError
from interpreter.identity.audit import AuditLog
from interpreter.identity.chain import Sealer, parse_line
from interpreter.identity.commands import read_lines, words_of
from interpreter.identity.encoding import to_base64url
from interpreter.identity.keys import IdentityKey
from interpreter.identity.verify import MAX_FAULTS, Report, Verdict, verify
from tests.interpreter.identity.sealed import (
    ANA_EN,
    BEN_ES,
    FIRST_FRAME,
    KEY,
    OTHER_KEY,
    Written,
    claim,
    silence,
    time_of,
    tiny,
    two_directions,
)

TRUSTED = {KEY.thumbprint: KEY.public}


@cache
def small() -> bytes:
    return b"".join(tiny())


@cache
def large() -> tuple[bytes, ...]:
    return tuple(two_directions().file)


@cache
def audit() -> bytes:
    lines: list[str] = []
    log = AuditLog(key=KEY, meeting_id="m7", now_s=1_000.0, emit=lines.append)
    log.record("interpreting.started", 1_001.5, arguments={"mode": "consecutive"})
    log.end(1_002.0)
    return "".join(f"{line}\n" for line in lines).encode()


def verdict(data: bytes) -> Verdict:
    return verify(read_lines(io.BytesIO(data)), TRUSTED).verdict


def words(report: Report) -> str:
    return "\n".join(words_of(report))


def resealed(
    edit: Callable[[int, dict[str, Any]], dict[str, Any] | None], key: IdentityKey = KEY
) -> list[bytes]:
    """The large file, each record edited and signed anew by `key`, in a chain that is right; None drops one.

    What whoever holds the key may do: only rules about what records say can find it.
    """
    sealer = Sealer(key)
    digests: dict[str, str] = {}
    lines = []
    for number, line in enumerate(large()):
        parsed = parse_line(line[:-1])
        record = edit(number, json.loads(json.dumps(parsed.record)))
        if record is None:
            continue
        record.pop("after")
        if "prev" in record:
            record["prev"] = digests.get(record["prev"], record["prev"])
        kind = record.pop("kind")
        lines.append(sealer.seal(kind, record).encode() + b"\n")
        digests[parsed.digest] = sealer.last
    return lines


def test_what_was_written_is_verified() -> None:
    report = verify(large(), TRUSTED)
    assert report.verdict is Verdict.VERIFIED
    assert report.trusted
    assert [(chain.direction, chain.records, chain.t0, chain.t1) for chain in report.chains] == [
        (ANA_EN, 4, FIRST_FRAME, FIRST_FRAME + 90),
        (BEN_ES, 4, FIRST_FRAME + 10, FIRST_FRAME + 90),
    ]
    assert report.lines == len(large())
    assert report.faults == ()


def changed_in(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def found(data: bytes, bit: int) -> bool:
    """Whether a bit that was changed is found; in the last newline it looks like a line that was cut."""
    expected = Verdict.INCOMPLETE if bit // 8 == len(data) - 1 else Verdict.FAILED
    return verdict(changed_in(data, bit)) is expected


@pytest.mark.slow
@pytest.mark.parametrize("file", [small, audit])
def test_no_bit_of_a_file_can_be_changed(file: Callable[[], bytes]) -> None:
    data = file()
    assert verdict(data) is Verdict.VERIFIED
    begin = 0
    for line in data.splitlines(keepends=True):
        for bit in range(
            8 * len(line) - 8
        ):  # every bit, against the line alone: that needs no more than its key
            with pytest.raises(IdentityError):
                parse_line(changed_in(line, bit)[:-1]).check(KEY.public)
        begin += len(line)
        for bit in range(
            8 * begin - 8, 8 * begin
        ):  # and its newline, which only the file as a whole can miss
            assert found(data, bit)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=150)
def test_no_bit_of_a_larger_file_can_be_changed(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([small(), audit(), b"".join(large())]))
    assert found(whole, data.draw(st.integers(0, 8 * len(whole) - 1)))


@pytest.mark.parametrize("file", [audit, pytest.param(small, marks=pytest.mark.slow)])
def test_every_truncation_is_incomplete(file: Callable[[], bytes]) -> None:
    data = file()
    for length in range(len(data)):
        assert verdict(data[:length]) is Verdict.INCOMPLETE, length


@given(st.data())
def test_a_larger_file_cut_anywhere_is_incomplete_and_what_is_left_is_good(data: st.DataObject) -> None:
    whole = b"".join(large())
    length = data.draw(st.integers(0, len(whole) - 1))
    report = verify(whole[:length].splitlines(keepends=True), TRUSTED)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.faults == ()
    assert all(chain.verdict is not Verdict.FAILED for chain in report.chains)


@given(st.lists(st.integers(0, 10), max_size=14))
def test_lines_in_any_other_order_or_number_are_found(order: list[int]) -> None:
    lines = large()
    assert len(lines) == 11
    came = verify([lines[number] for number in order], TRUSTED).verdict
    if order == list(range(len(order))):
        assert came is (Verdict.VERIFIED if len(order) == len(lines) else Verdict.INCOMPLETE)
    else:
        assert came is Verdict.FAILED


@given(st.permutations(range(11)))
def test_no_permutation_is_taken_for_the_file(order: list[int]) -> None:
    came = verify([large()[number] for number in order], TRUSTED).verdict
    assert (came is Verdict.VERIFIED) is (order == list(range(11)))


@pytest.mark.parametrize("number", range(11))
def test_a_line_that_is_missing_or_twice_is_found(number: int) -> None:
    lines = list(large())
    missing = verify(lines[:number] + lines[number + 1 :], TRUSTED)
    assert missing.verdict is (Verdict.INCOMPLETE if number == 10 else Verdict.FAILED)
    twice = verify(lines[: number + 1] + lines[number:], TRUSTED)
    assert twice.verdict is Verdict.FAILED
    assert twice.faults[0].line == number + 2


def test_the_fault_is_said_with_its_line_and_other_directions_stay_good() -> None:
    lines = list(large())
    window = next(n for n, line in enumerate(lines) if b'"speaker":"ben"' in line)
    lines[window] = lines[window].replace(b'"yields":0', b'"yields":1')
    report = verify(lines, TRUSTED)
    ana, ben = report.chains
    assert report.faults[0].line == window + 1
    assert "signed by the key" in report.faults[0].words
    assert ana.verdict is Verdict.VERIFIED
    assert ben.verdict is Verdict.FAILED
    assert ben.fault is not None
    assert "expected record 0 of chain 1, got 1" in ben.fault.words
    assert f"Line {window + 1}: " in words(report)


def test_two_directions_cannot_be_swapped() -> None:
    names = {"ana": "ben", "ben": "ana"}

    def swap(_: int, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"speaker": names[record["speaker"]]} if "speaker" in record else record

    lines = [
        line.replace(b'"ana"', b'"X"').replace(b'"ben"', b'"ana"').replace(b'"X"', b'"ben"')
        for line in large()
    ]
    assert verify(lines, TRUSTED).verdict is Verdict.FAILED
    # Only whoever holds the key can, and swaps the languages with the names or leaves a trace.
    assert verify(resealed(swap), TRUSTED).verdict is Verdict.VERIFIED


def test_one_record_of_another_direction_does_not_fit() -> None:
    def mix_up(number: int, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"speaker": "ben"} if number == 6 and record.get("speaker") == "ana" else record

    windows = [n for n, line in enumerate(large()) if b'"speaker":"ana"' in line]
    assert 6 in windows
    report = verify(resealed(mix_up), TRUSTED)
    assert report.verdict is Verdict.FAILED
    assert "same direction" in report.faults[0].words


def test_a_file_signed_anew_by_another_key_is_whole_but_not_ours() -> None:
    other = Written(key=OTHER_KEY)
    other.end(FIRST_FRAME)
    alone = verify(other.file)
    assert (alone.verdict, alone.trusted) == (Verdict.VERIFIED, False)
    assert "on the file's own word" in words(alone)
    asked = verify(other.file, TRUSTED)
    assert (asked.verdict, asked.trusted) == (Verdict.FAILED, False)
    assert f"a key that is trusted, got a file signed by {OTHER_KEY.thumbprint}" in words(asked)
    assert "which is in" in words(verify(large(), TRUSTED))


@pytest.mark.parametrize("number", range(11))
def test_a_line_signed_by_another_key_is_found(number: int) -> None:
    lines = list(large())
    parsed = parse_line(lines[number][:-1])
    lines[number] = lines[number].replace(
        json.loads(lines[number])["signature"].encode(),
        to_base64url(OTHER_KEY.sign(parsed.signed)).encode(),
    )
    report = verify(lines, TRUSTED)
    assert report.verdict is Verdict.FAILED
    assert report.faults[0].line == number + 1


def test_a_key_in_the_file_that_is_not_the_signers_is_found() -> None:
    def forge(number: int, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"jwks": {"keys": [OTHER_KEY.public.jwk]}} if number == 0 else record

    report = verify(resealed(forge))
    assert report.head is None
    assert report.verdict is Verdict.FAILED


def test_lines_of_another_meeting_of_ours_do_not_fit_in() -> None:
    other = Written(changes={"meeting_id": "m8"})
    other.serve(ANA_EN, at_frame=FIRST_FRAME)
    other.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 90))
    other.end(FIRST_FRAME + 90)
    for number in range(1, 6):
        lines = list(large())
        lines[number] = other.file[number % len(other.file)]
        assert verify(lines, TRUSTED).verdict is Verdict.FAILED
    assert verify([*large()[:2], *other.file[2:]], TRUSTED).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"t0": FIRST_FRAME + 26, "t1": FIRST_FRAME + 51}, "expected a window from frame 725 on"),
        ({"t1": FIRST_FRAME + 49}, "as `t1`"),
        ({"seq": 2}, "expected record 1 of chain 0, got 2"),
        ({"chain": 7}, "expected record 0 of chain 7, got 1"),
        ({"final": True, "count": 3}, "as `count`"),
        ({"final": True, "count": 2, "t1": FIRST_FRAME + 30}, "expected nothing after the end of chain 0"),
        ({"final": 0}, "expected true or false as `final`"),
        ({"count": 2}, "expected the members"),
        ({"more": 2}, "expected the members"),
        ({"role": "00" * 32}, "a direction and role that the passport lists"),
        ({"passport": "m7.0"}, "the passport before it in the file"),
        ({"language_out": "fr"}, "a direction and role that the passport lists"),
        ({"at": 5}, "a passport that still holds"),
        ({"prev": "00" * 32}, "one from elsewhere"),
        ({"pcm": "0" * 63}, "`pcm` to fit"),
        ({"pcm": "A" * 64}, "`pcm` to fit"),
        ({"text": 5}, "expected text as `text`"),
        ({"counters": {"yields": 1}}, "expected the members"),
        ({"counters": None}, "expected an object, got null"),
        ({"speaker": "x" * 1_001}, "characters as `speaker`"),
        ({"t0": -1}, "as `t0`"),
        ({"seq": True}, "whole number as `seq`"),
        ({"kind": "note"}, "expected a line of an attestation file, got 'note'"),
        ({"kind": "event"}, "expected a line of an attestation file, got 'event'"),
        ({"kind": "attestation"}, "expected a line of an attestation file"),
        ({"kind": "passport"}, "expected the members after kind passport"),
        ({"kind": "end"}, "expected the members after kind at lines"),
    ],
)
def test_even_a_signed_record_must_be_possible(change: dict[str, Any], fault: str) -> None:
    windows = [n for n, line in enumerate(large()) if b'"speaker":"ana"' in line]

    def edit(number: int, record: dict[str, Any]) -> dict[str, Any]:
        return record | change if number == windows[1] else record

    report = verify(resealed(edit), TRUSTED)
    assert report.verdict is Verdict.FAILED
    assert fault in words(report)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"version": 2}, "expected 1 to 1 as `version`"),
        ({"first_frame": FIRST_FRAME + 1}, f"expected frame {FIRST_FRAME + 1} or a later one"),
        ({"first_frame": -1}, "as `first_frame`"),
        ({"jwks": {"keys": [KEY.public.jwk, OTHER_KEY.public.jwk]}}, "expected one key"),
        ({"jwks": {"keys": [KEY.public.jwk], "more": 1}}, "expected one key"),
        ({"jwks": []}, "expected a JWK set"),
        ({"passport": "x"}, "a passport of three parts"),
        ({"passport": None}, "expected text as `passport`"),
        ({"text_salt": "AAAA"}, "a salt of 32 bytes"),
        ({"kind": "window"}, "the first line of a sealed file"),
        ({"kind": "audit"}, "expected the members"),
        ({"meeting": 7}, "expected text as `meeting`"),
        ({"at": None}, "whole number as `at`"),
        ({"more": 1}, "expected the members"),
    ],
)
def test_even_a_signed_first_line_must_be_possible(change: dict[str, Any], fault: str) -> None:
    report = verify(resealed(lambda n, record: record | change if n == 0 else record), TRUSTED)
    assert report.verdict is Verdict.FAILED
    assert fault in words(report)


def test_an_end_must_count_right_and_be_the_end() -> None:
    report = verify(resealed(lambda n, record: record | {"lines": 9} if n == 10 else record), TRUSTED)
    assert "expected 10 to 10 as `lines`, got 9" in words(report)
    lines = resealed(lambda n, record: None if b'"final":true' in large()[n] else record)
    early = verify(lines, TRUSTED)
    assert "as `lines`" in words(early)


def test_a_chain_without_its_last_record_is_incomplete_whatever_the_end_says() -> None:
    def edit(number: int, record: dict[str, Any]) -> dict[str, Any] | None:
        if record.get("final") and record["speaker"] == "ben":
            return None
        return record | {"lines": 9} if record["kind"] == "end" else record

    report = verify(resealed(edit), TRUSTED)
    assert report.faults == ()
    assert report.verdict is Verdict.INCOMPLETE
    assert "incomplete: its last record is missing" in words(report)


def test_a_direction_cannot_be_attested_twice_for_the_same_time() -> None:
    again = Written()
    again.serve(ANA_EN, at_frame=FIRST_FRAME)
    again.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 30))
    again.attestor.serve({ANA_EN: claim(ANA_EN, "another")}, time_of(FIRST_FRAME + 30))
    again.attestor.add(ANA_EN, FIRST_FRAME + 20, silence(), again.attestor.passport.issued_at_s + 1.0)
    again.end(FIRST_FRAME + 31)
    report = verify(again.file, TRUSTED)
    assert report.verdict is Verdict.FAILED
    assert f"expected frame {FIRST_FRAME + 30} or a later one, got {FIRST_FRAME + 20}" in words(report)


def test_hostile_lines_are_faults_in_words() -> None:
    hostile = [b"[" * 390_000, b"9" * 5_000, b'{"record":' * 30_000, b"\xff\xfe", b"", b"null", b'"\\ud800"']
    report = verify([large()[0], *(line + b"\n" for line in hostile), *large()[1:]], TRUSTED)
    assert report.faults_total >= len(hostile)
    assert [fault.line for fault in report.faults[: len(hostile)]] == list(range(2, 2 + len(hostile)))
    assert report.verdict is Verdict.FAILED


def test_a_line_without_end_is_read_in_part_only() -> None:
    class Endless:
        read = 0

        def readline(self, limit: int) -> bytes:
            self.read += limit
            assert self.read < 1_000_000
            return b"x" * limit

    endless = Endless()
    report = verify(read_lines(endless), TRUSTED)  # type: ignore[arg-type]
    assert report.verdict is Verdict.FAILED
    assert "expected a line of" in words(report)


def test_faults_are_counted_and_the_first_are_said() -> None:
    junk = [b"{}\n"] * 500
    report = verify([large()[0], *junk], TRUSTED)
    assert (len(report.faults), report.faults_total) == (MAX_FAULTS, 500)
    assert "and 480 more faults" in words(report)


def test_as_many_chains_as_anybody_needs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpreter.identity.verify.MAX_CHAINS", 20)
    sealer = Sealer(KEY)
    lines = []
    for line in large()[:2]:
        record = dict(parse_line(line[:-1]).record)
        del record["after"]
        lines.append(sealer.seal(record.pop("kind"), record).encode() + b"\n")
    window = dict(parse_line(large()[2][:-1]).record)
    del window["after"], window["kind"]
    for chain in range(22):
        lines.append(sealer.seal("window", window | {"chain": chain}).encode() + b"\n")
    report = verify(lines, TRUSTED)
    assert len(report.chains) == 20
    assert "expected 20 chains at most" in words(report)


def test_an_empty_file_is_incomplete() -> None:
    report = verify([])
    assert report.verdict is Verdict.INCOMPLETE
    assert "names the meeting and the key" in words(report)


@given(st.binary(max_size=300))
def test_any_bytes_get_a_verdict_in_words(data: bytes) -> None:
    report = verify(data.splitlines(keepends=True))
    assert report.verdict is not Verdict.VERIFIED
    assert words(report).isascii()
