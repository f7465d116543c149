"""Windows follow the media clock, chains follow directions, passports follow what is so."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import FRAME_SAMPLES
from interpreter.directions import Direction
from interpreter.errors import IdentityError
from interpreter.identity.attestation import DirectionAttestor, text_digest
from interpreter.identity.chain import parse_line
from interpreter.identity.commands import words_of
from interpreter.identity.encoding import to_base64url
from interpreter.identity.passport import LIFETIME_S, RENEW_S, read
from interpreter.identity.records import WINDOW_FRAMES, Counters, Window
from interpreter.identity.verify import Verdict, verify
from interpreter.pcm16 import to_s16le
from tests.interpreter.identity.sealed import (
    ANA_EN,
    BEN_ES,
    FIRST_FRAME,
    KEY,
    OTHER_ROLE,
    ROLE,
    InMemory,
    Written,
    claim,
    settings,
    silence,
    sounding,
    time_of,
)

SALT = bytes(32)
KEYS = {KEY.thumbprint: KEY.public}


def attestor(first_frame: int = 0) -> DirectionAttestor:
    return DirectionAttestor(chain=3, direction=ANA_EN, first_frame=first_frame, salt=SALT)


def records(written: Written, kind: str = "window") -> list[dict[str, Any]]:
    every = [json.loads(line)["record"] for line in written.lines]
    return [record for record in every if record["kind"] == kind]


def test_a_window_is_two_seconds_and_holds_what_a_recording_holds() -> None:
    writer = attestor(40)
    frames = [sounding(index) for index in range(WINDOW_FRAMES)]
    for index, pcm in enumerate(frames[:-1]):
        assert writer.add(40 + index, pcm, " a" if index == 3 else "") == ()
    (window,) = writer.add(64, frames[-1], " b", Counters(yields=1, operator_actions=2))
    assert window == Window(
        chain=3,
        direction=ANA_EN,
        seq=0,
        t0=40,
        t1=65,
        pcm_sha256=hashlib.sha256(b"".join(map(to_s16le, frames))).hexdigest(),
        text_hmac=text_digest(SALT, 3, 0, " a b"),
        counters=Counters(yields=1, operator_actions=2),
        final=False,
    )


def test_each_window_begins_anew() -> None:
    writer = attestor()
    windows = [w for i in range(60) for w in writer.add(i, silence(), " x", Counters(cuts=1, resumes=1))]
    windows.append(writer.finish())
    assert [(w.seq, w.t0, w.t1, w.final) for w in windows] == [
        (0, 0, 25, False),
        (1, 25, 50, False),
        (2, 50, 60, True),
    ]
    assert [w.counters.cuts for w in windows] == [25, 25, 10]
    assert [w.text_hmac for w in windows] == [
        text_digest(SALT, 3, seq, " x" * words) for seq, words in enumerate([25, 25, 10])
    ]
    assert windows[0].pcm_sha256 == windows[1].pcm_sha256 != windows[2].pcm_sha256


def test_a_last_window_may_be_empty() -> None:
    writer = attestor()
    for index in range(WINDOW_FRAMES):
        writer.add(index, silence())
    last = writer.finish()
    assert (last.seq, last.t0, last.t1, last.final) == (1, 25, 25, True)
    assert last.pcm_sha256 == hashlib.sha256().hexdigest()


@given(st.lists(st.integers(1, 60), max_size=8))
def test_frames_that_were_left_out_are_silence(steps: list[int]) -> None:
    skipping, filled = attestor(), attestor()
    frame = -1
    left, right = [], []
    for step in steps:
        for missing in range(frame + 1, frame + step):
            right += filled.add(missing, silence())
        frame += step
        left += skipping.add(frame, sounding(frame), f" {frame}")
        right += filled.add(frame, sounding(frame), f" {frame}")
    assert [*left, skipping.finish()] == [*right, filled.finish()]


def test_a_frame_is_attested_once() -> None:
    writer = attestor(5)
    writer.add(7, silence())
    for frame in (4, 5, 7):
        with pytest.raises(IdentityError, match=f"expected frame 8 or a later one, got {frame}"):
            writer.add(frame, silence())


def test_a_text_is_hashed_under_salt_and_for_its_window() -> None:
    digests = {
        text_digest(salt, chain, seq, text)
        for salt in (SALT, b"\1" * 32)
        for chain, seq in ((0, 0), (0, 1), (1, 0), (11, 1), (1, 11))
        for text in ("", " yes", "1/ yes")
    }
    assert len(digests) == 2 * 5 * 3
    assert hashlib.sha256(b" yes").hexdigest() not in digests


def test_every_line_is_out_at_once_and_follows_the_one_before() -> None:
    written = Written()
    assert len(written.lines) == 1
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 24))
    assert len(written.lines) == 1
    written.say(ANA_EN, [FIRST_FRAME + 24])
    assert len(written.lines) == 3  # the passport that lists the direction, and the window
    parsed = [parse_line(line.encode()) for line in written.lines]
    assert written.attestor.first_line == written.lines[0]
    assert [line.after for line in parsed] == ["", parsed[0].digest, parsed[1].digest]
    assert parsed[2].record["prev"] == parsed[0].digest


def test_chains_of_directions_are_their_own() -> None:
    written = Written()
    written.serve(ANA_EN, BEN_ES, at_frame=FIRST_FRAME)
    for frame in range(FIRST_FRAME, FIRST_FRAME + 50):
        written.say(ANA_EN, [frame])
        written.say(BEN_ES, [frame])
    written.end(FIRST_FRAME + 50)
    by_digest = {parse_line(line.encode()).digest: json.loads(line)["record"] for line in written.lines}
    for speaker in ("ana", "ben"):
        own = [record for record in records(written) if record["speaker"] == speaker]
        assert [record["seq"] for record in own] == [0, 1, 2]
        assert [by_digest[record["prev"]].get("speaker") for record in own] == [None, speaker, speaker]
        assert [record["final"] for record in own] == [False, False, True]
        assert own[-1]["count"] == 3


def test_the_passport_lists_the_directions_that_may_be_heard_each_once() -> None:
    written = Written()
    carla = Direction("carla", "es", "en")
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.serve(ANA_EN, carla, BEN_ES, at_frame=FIRST_FRAME)
    written.say(carla, range(FIRST_FRAME, FIRST_FRAME + 25))
    passport = written.attestor.passport
    assert passport.directions == (claim(BEN_ES), claim(ANA_EN))
    assert read(written.attestor.token, KEYS) == passport
    assert len(records(written, "passport")) == 1
    written.serve(BEN_ES, at_frame=FIRST_FRAME + 25)
    written.say(BEN_ES, range(FIRST_FRAME + 25, FIRST_FRAME + 100))
    assert written.attestor.passport.directions == (claim(BEN_ES),)


def test_a_direction_may_fade_out_or_come_back_before_its_chain_ends() -> None:
    written = Written()
    written.serve(ANA_EN, BEN_ES, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 10))
    written.serve(BEN_ES, at_frame=FIRST_FRAME + 10)
    written.say(ANA_EN, range(FIRST_FRAME + 10, FIRST_FRAME + 12))
    assert set(written.attestor.directions) == {ANA_EN, BEN_ES}
    written.serve(ANA_EN, BEN_ES, at_frame=FIRST_FRAME + 20)
    written.say(ANA_EN, range(FIRST_FRAME + 20, FIRST_FRAME + 40))
    written.serve(BEN_ES, at_frame=FIRST_FRAME + 40)
    written.say(BEN_ES, range(FIRST_FRAME + 41, FIRST_FRAME + 65))
    assert set(written.attestor.directions) == {ANA_EN, BEN_ES}
    written.say(BEN_ES, [FIRST_FRAME + 65])
    assert set(written.attestor.directions) == {BEN_ES}
    ana = [record for record in records(written) if record["speaker"] == "ana"]
    assert [(r["chain"], r["t0"] - FIRST_FRAME, r["t1"] - FIRST_FRAME, r["final"]) for r in ana] == [
        (0, 0, 25, False),
        (0, 25, 40, True),
    ]
    written.end(FIRST_FRAME + 66)
    assert verify(written.file).verdict is Verdict.VERIFIED


def test_a_direction_may_have_a_role_of_its_own() -> None:
    written = Written()
    own = replace(claim(BEN_ES), role=OTHER_ROLE)
    written.attestor.serve({ANA_EN: claim(ANA_EN), BEN_ES: own}, time_of(FIRST_FRAME))
    for frame in range(FIRST_FRAME, FIRST_FRAME + 30):
        written.say(ANA_EN, [frame])
        written.say(BEN_ES, [frame])
    third = replace(ROLE, checksum="77" * 32)
    written.attestor.change_role(third, time_of(FIRST_FRAME + 30))
    written.end(FIRST_FRAME + 30)
    report = verify(written.file)
    assert report.verdict is Verdict.VERIFIED
    assert {chain.direction: chain.role for chain in report.chains} == {
        ANA_EN: ROLE.checksum,
        BEN_ES: OTHER_ROLE.checksum,
    }
    assert [record["final"] for record in records(written) if record["speaker"] == "ben"] == [False, True]
    assert own in written.attestor.passport.directions


def test_a_passport_is_renewed_long_before_it_ends() -> None:
    written = Written()
    first = written.attestor.passport
    for after_s in (1.0, RENEW_S - 1.0):
        written.attestor.renew(first.issued_at_s + after_s)
        assert written.attestor.passport is first
    written.attestor.renew(first.issued_at_s + RENEW_S)
    second = written.attestor.passport
    assert (second.issued_at_s, second.expires_at_s) == (
        first.issued_at_s + RENEW_S,
        first.issued_at_s + RENEW_S + LIFETIME_S,
    )
    assert second.token_id != first.token_id
    assert [record["passport"] for record in records(written, "passport")] == [written.attestor.token]


@pytest.mark.parametrize("leap_s", [-7_200.0, 86_400.0])
def test_a_wall_clock_that_is_set_does_no_harm(leap_s: float) -> None:
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    for frame in range(FIRST_FRAME, FIRST_FRAME + 100):
        now_s = time_of(frame) + (leap_s if frame >= FIRST_FRAME + 40 else 0.0)
        written.attestor.add(ANA_EN, frame, silence(), now_s)
    written.attestor.end(time_of(FIRST_FRAME + 100) + leap_s)
    assert verify(written.file).verdict is Verdict.VERIFIED


def test_another_role_begins_other_chains() -> None:
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 30))
    written.attestor.change_role(ROLE, time_of(FIRST_FRAME + 30))
    assert len(records(written)) == 1
    written.attestor.change_role(OTHER_ROLE, time_of(FIRST_FRAME + 30))
    written.say(ANA_EN, range(FIRST_FRAME + 30, FIRST_FRAME + 40))
    written.end(FIRST_FRAME + 40)
    assert [(r["chain"], r["t0"] - FIRST_FRAME, r["role"], r["final"]) for r in records(written)] == [
        (0, 0, ROLE.checksum, False),
        (0, 25, ROLE.checksum, True),
        (1, 30, OTHER_ROLE.checksum, True),
    ]
    report = verify(written.file)
    assert report.verdict is Verdict.VERIFIED
    assert [tenure.passport.role for tenure in report.tenures] == [ROLE, OTHER_ROLE]


def test_another_operator_is_another_passport_and_the_same_chain() -> None:
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 10))
    written.attestor.change_operator("Eva", time_of(FIRST_FRAME + 10))
    assert records(written, "passport") == []
    written.attestor.change_operator("Juan", time_of(FIRST_FRAME + 10))
    written.attestor.change_operator(None, time_of(FIRST_FRAME + 11))
    written.end(FIRST_FRAME + 11)
    report = verify(written.file)
    assert [tenure.passport.operator for tenure in report.tenures] == ["Eva", "Juan", None]
    assert len(report.chains) == 1
    assert report.verdict is Verdict.VERIFIED


def test_another_checkpoint_begins_another_chain() -> None:
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 10))
    written.attestor.serve({ANA_EN: claim(ANA_EN, "hibiki-zero-3b")}, time_of(FIRST_FRAME + 10))
    written.say(ANA_EN, range(FIRST_FRAME + 10, FIRST_FRAME + 20))
    written.end(FIRST_FRAME + 20)
    report = verify(written.file)
    assert [(chain.number, chain.final) for chain in report.chains] == [(0, True), (1, True)]
    assert report.verdict is Verdict.VERIFIED


def test_a_direction_that_never_had_a_frame_has_no_chain() -> None:
    written = Written()
    written.serve(ANA_EN, BEN_ES, at_frame=FIRST_FRAME)
    written.end(FIRST_FRAME + 10)
    report = verify(written.file)
    assert (report.verdict, report.chains) == (Verdict.VERIFIED, ())


@pytest.mark.parametrize("publish", [False, True])
def test_the_salt_is_in_the_file_only_where_it_may_be(publish: bool) -> None:
    written = Written(changes={"publish_salt": publish})
    written.end(FIRST_FRAME)
    spelled = to_base64url(bytes(range(32)))
    assert (spelled in "".join(written.lines)) is publish
    head = verify(written.file).head
    assert head is not None
    assert head.salt == (bytes(range(32)) if publish else None)


def test_a_salt_is_long_enough() -> None:
    with pytest.raises(AssertionError, match="expected 32 bytes of salt, got 8"):
        settings(salt=bytes(8))


def test_no_text_and_no_sound_is_in_the_file() -> None:
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.attestor.add(ANA_EN, FIRST_FRAME, sounding(1), time_of(FIRST_FRAME), text=" penicillin")
    written.end(FIRST_FRAME + 1)
    assert "penicillin" not in "".join(written.lines)
    assert len(max(written.lines, key=len)) < FRAME_SAMPLES


def test_a_lone_surrogate_in_a_text_is_hashed_too() -> None:
    assert len(text_digest(SALT, 0, 0, "\ud83d")) == 64


CLAIMS = [
    replace(claim(direction, checkpoint), role=role)
    for direction in (ANA_EN, BEN_ES)
    for checkpoint in ("visit-es-en", "hibiki-zero-3b")
    for role in (None, OTHER_ROLE)
]
STEPS = st.one_of(
    st.tuples(st.just("serve"), st.sets(st.integers(0, 3)), st.sets(st.integers(4, 7))),
    st.tuples(st.just("play"), st.integers(1, 60), st.integers(0, 3)),
    st.tuples(st.just("role"), st.sampled_from([ROLE, OTHER_ROLE]), st.none()),
    st.tuples(st.just("operator"), st.sampled_from([None, "Eva", "Juan"]), st.none()),
    st.tuples(st.just("clock"), st.integers(-3_000, 3_000), st.none()),
)


@given(st.lists(STEPS, max_size=25))
def test_whatever_happens_in_a_meeting_its_file_is_verified_and_covers_its_sound(steps: list[Any]) -> None:
    written = Written()
    attestor = written.attestor
    frame, leap_s = FIRST_FRAME, 0.0
    for step, first, second in steps:
        now_s = time_of(frame) + leap_s
        match step:
            case "serve":
                claims = {
                    one: CLAIMS[max(chosen)] for one, chosen in ((ANA_EN, first), (BEN_ES, second)) if chosen
                }
                attestor.serve(claims, now_s)
            case "play":
                for _ in range(first):
                    for direction in (ANA_EN, BEN_ES):
                        if direction in attestor.directions:
                            written.say(direction, [frame], silent=second == 0, leap_s=leap_s)
                    frame += 1
                frame += second  # ticks of which no mix was made
            case "role":
                attestor.change_role(first, now_s)
            case "operator":
                attestor.change_operator(first, now_s)
            case _:
                leap_s += first
    attestor.end(time_of(frame) + leap_s)
    tracks = InMemory({one.speaker_id: b"".join(sound) for one, sound in written.sound.items()})
    report = verify(written.file, tracks=tracks)
    assert report.verdict is Verdict.VERIFIED, list(words_of(report))
