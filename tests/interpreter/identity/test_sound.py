"""Recordings are compared with what was attested of them, to the sample, and found by their sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ
from interpreter.directions import Direction
from interpreter.errors import IdentityError
from interpreter.identity import recordings
from interpreter.identity.commands import words_of
from interpreter.identity.recordings import Recordings
from interpreter.identity.sound import FRAME_BYTES, SoundVerdict
from interpreter.identity.verify import Report, Verdict, verify
from tests.interpreter.identity.sealed import ANA_EN, BEN_ES, FIRST_FRAME, InMemory, Written, two_directions

MEETING = two_directions()
ANA, BEN = (b"".join(MEETING.sound[direction]) for direction in (ANA_EN, BEN_ES))


def compared(written: Written, **tracks: bytes) -> Report:
    return verify(written.file, tracks=InMemory(tracks))


def result(report: Report, direction: Direction) -> SoundVerdict:
    return report.sound[direction]


def altered(sound: bytes, sample: int) -> bytes:
    """One sample's lowest bit is another."""
    changed = bytearray(sound)
    changed[2 * sample] ^= 1
    return bytes(changed)


def test_every_direction_finds_its_track_among_others() -> None:
    original = np.random.default_rng(0).integers(-9_000, 9_000, 90 * FRAME_SAMPLES).astype("<i2").tobytes()
    report = compared(MEETING, original=original, b=BEN, a=ANA, silent=bytes(len(ANA)))
    assert report.verdict is Verdict.VERIFIED
    assert result(report, ANA_EN) == SoundVerdict(track="a", windows=4, mismatches=0, first_mismatches=())
    assert result(report, BEN_ES) == SoundVerdict(track="b", windows=4, mismatches=0, first_mismatches=())


@given(st.integers(0, 90 * FRAME_SAMPLES - 1))
@settings(max_examples=40)
def test_one_bit_of_one_sample_is_found_with_its_time(sample: int) -> None:
    report = compared(MEETING, a=ANA, b=altered(BEN, sample))
    frame = FIRST_FRAME + sample // FRAME_SAMPLES
    assert report.verdict is Verdict.FAILED
    assert result(report, ANA_EN).mismatches == 0
    (span,) = result(report, BEN_ES).first_mismatches
    assert span[0] <= frame < span[1]
    assert result(report, BEN_ES).track == "b"


@pytest.mark.parametrize("shift", [1, FRAME_SAMPLES, 25 * FRAME_SAMPLES])
def test_sound_at_another_time_is_not_the_same(shift: int) -> None:
    report = compared(MEETING, a=ANA, b=bytes(2 * shift) + BEN)
    assert result(report, BEN_ES).track is None
    assert report.verdict is Verdict.FAILED


def test_a_recording_that_ends_early_is_found() -> None:
    report = compared(MEETING, a=ANA, b=BEN[: -2 * FRAME_BYTES])
    assert result(report, BEN_ES).first_mismatches == ((FIRST_FRAME + 85, FIRST_FRAME + 90),)


def test_sound_that_no_record_covers_is_found_before_between_and_after() -> None:
    written = Written()
    for begin, end in ((10, 40), (70, 80)):
        written.serve(ANA_EN, at_frame=FIRST_FRAME + begin)
        written.say(ANA_EN, range(FIRST_FRAME + begin, FIRST_FRAME + end))
        written.serve(at_frame=FIRST_FRAME + end)
    written.end(FIRST_FRAME + 100)
    sound = b"".join(written.sound[ANA_EN]) + bytes(20 * FRAME_BYTES)
    assert compared(written, a=sound).verdict is Verdict.VERIFIED
    for frame in (0, 9, 40, 69, 80, 99):
        report = compared(written, a=altered(sound, frame * FRAME_SAMPLES))
        (span,) = result(report, ANA_EN).first_mismatches
        assert span[0] <= FIRST_FRAME + frame < span[1]
    assert compared(written, a=sound + b"\1").verdict is Verdict.FAILED


def test_a_file_that_was_cut_says_nothing_of_the_sound_after_it() -> None:
    report = verify(MEETING.file[:6], tracks=InMemory({"a": ANA, "b": BEN}))
    assert report.verdict is Verdict.INCOMPLETE
    assert [verdict.mismatches for verdict in report.sound.values()] == [0, 0]


def test_a_direction_without_its_track_is_not_verified() -> None:
    report = compared(MEETING, a=ANA)
    assert result(report, ANA_EN).mismatches == 0
    assert (result(report, BEN_ES).track, report.verdict) == (None, Verdict.FAILED)


def test_a_direction_that_never_sounds_needs_no_track() -> None:
    written = Written()
    written.serve(ANA_EN, BEN_ES, at_frame=FIRST_FRAME)
    for frame in range(FIRST_FRAME, FIRST_FRAME + 30):
        written.say(ANA_EN, [frame], silent=True)
        written.say(BEN_ES, [frame])
    written.end(FIRST_FRAME + 30)
    report = compared(written, b=b"".join(written.sound[BEN_ES]), other=bytes(30 * FRAME_BYTES))
    assert report.verdict is Verdict.VERIFIED
    assert result(report, ANA_EN) == SoundVerdict(track=None, windows=2, mismatches=0, first_mismatches=())
    assert report.unclaimed == ("other",)
    assert "Sound of other: no rendering that this file attests" in "\n".join(words_of(report))


def test_silence_where_something_was_said_is_found() -> None:
    report = compared(MEETING, a=ANA, b=bytes(len(BEN)))
    assert report.verdict is Verdict.FAILED


def test_two_tracks_that_are_alike_for_long_are_told_apart_in_the_end() -> None:
    copy = altered(BEN, 88 * FRAME_SAMPLES)
    for names in ("xy", "yx"):
        tracks = dict(zip(names, (BEN, copy), strict=True))
        report = compared(MEETING, a=ANA, **tracks)
        assert result(report, BEN_ES).track == names[0]
        assert report.verdict is Verdict.VERIFIED


def write(path: Path, *sounds: bytes, **changes: Any) -> Path:
    channels = np.stack([np.frombuffer(sound, dtype="<i2") for sound in sounds], axis=1)
    settings_of_file = {"samplerate": SAMPLE_RATE_HZ, "subtype": "PCM_16", **changes}
    soundfile.write(path, channels, **settings_of_file)
    return path


def test_files_and_channels_are_tracks_alike(tmp_path: Path) -> None:
    one = write(tmp_path / "one.wav", ANA)
    two = write(tmp_path / "two.wav", bytes(len(BEN)), BEN)
    with Recordings([one, two]) as tracks:
        assert tracks.names == ["one.wav", "two.wav channel 1", "two.wav channel 2"]
        assert [tracks.frames(track) for track in range(3)] == [90, 90, 90]
        report = verify(MEETING.file, tracks=tracks)
    assert [verdict.track for verdict in report.sound.values()] == ["one.wav", "two.wav channel 2"]
    assert report.verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samplerate": 48_000}, "expected 24000 Hz and 16 bits in .*, got 48000 Hz, PCM_16"),
        ({"subtype": "FLOAT"}, "got 24000 Hz, FLOAT"),
    ],
)
def test_other_recordings_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "a.wav", ANA, **changes)
    with pytest.raises(IdentityError, match=words):
        Recordings([path])


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    for name in ("a.wav", "nowhere.wav"):
        with pytest.raises(IdentityError, match="expected a readable WAV file"):
            Recordings([tmp_path / name])


def test_too_many_tracks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_TRACKS", 2)
    with pytest.raises(IdentityError, match="expected 2 tracks at most, got 3"):
        Recordings([write(tmp_path / "a.wav", ANA, ANA, ANA)])


def test_a_name_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    with Recordings([write(tmp_path / "a\x1b[2J.wav", ANA)]) as tracks:
        assert tracks.names[0].isprintable()
