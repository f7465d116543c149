from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from interpreter.directions import Direction
from interpreter.identity.attestation import DirectionAttestor
from interpreter.identity.recordings import Recordings
from interpreter.pcm16 import FULL_SCALE, to_s16le
from interpreter.record import recording as recording_module
from interpreter.record.recording import (
    HEADER_FRAMES,
    QUEUE_FRAMES,
    TELL_AGAIN_TICKS,
    Recording,
    RecordingEvent,
    RecordingEventKind,
    Track,
)
from interpreter.wav_file import FRAME_BYTES, HEADER_BYTES, WavFile, wav_header
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

ANA = Track("ana")
ANA_IN_ENGLISH = Track("ana", Direction("ana", "es", "en"))
FIRST = 70_000  # ticks are the engine's, which may have run for hours
TIMEOUT_S = 30


def frame(value: int) -> Pcm:
    """80 ms whose 16-bit samples are all `value`."""
    return np.full(FRAME_SAMPLES, value / FULL_SCALE, dtype=np.float32)


def sounds(path: Path) -> list[int]:
    """The value of every frame, each of which has one."""
    samples, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    frames = samples.reshape(-1, FRAME_SAMPLES)
    assert (frames == frames[:, :1]).all()
    return [int(first) for first in frames[:, 0]]


class Host:
    """Who is told of events."""

    def __init__(self) -> None:
        self.events: list[RecordingEvent] = []
        self.told = threading.Event()

    def __call__(self, event: RecordingEvent) -> None:
        self.events.append(event)
        self.told.set()


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that takes nothing until the event is set."""
    free, pwrite = threading.Event(), os.pwrite

    def waits(descriptor: int, data: bytes, position: int) -> int:
        assert free.wait(TIMEOUT_S)
        return pwrite(descriptor, data, position)

    monkeypatch.setattr("interpreter.wav_file.os.pwrite", waits)
    yield free
    free.set()


def index_of(folder: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / "tracks.json").read_text())
    return index


def test_every_track_begins_with_the_meeting_and_has_silence_where_nothing_was_said(
    tmp_path: Path, host: Host
) -> None:
    folder = tmp_path / "meetings" / "one"
    recording = Recording(folder, first_tick=FIRST, on_event=host)
    recording.write(ANA, FIRST + 2, frame(20))
    recording.write(ANA_IN_ENGLISH, FIRST + 5, frame(51))
    recording.write(ANA, FIRST + 3, frame(0))
    recording.write(ANA, FIRST + 4, frame(40))
    recording.write(ANA, FIRST - 1, frame(9))
    recording.close(FIRST + 8)
    assert sounds(folder / "track-001-original.wav") == [0, 0, 20, 0, 40, 0, 0, 0]
    assert sounds(folder / "track-002-rendering-en.wav") == [0, 0, 0, 0, 0, 51, 0, 0]
    assert index_of(folder) == {
        "schema": "interpreter-recording/1",
        "state": "complete",
        "first_tick": FIRST,
        "frame_samples": 1920,
        "tracks": [
            {"file": "track-001-original.wav", "speaker_id": "ana", "rendering": None, "dropped_frames": []},
            {
                "file": "track-002-rendering-en.wav",
                "speaker_id": "ana",
                "rendering": {"language_in": "es", "language_out": "en"},
                "dropped_frames": [],
            },
        ],
    }
    page = (Path(__file__).parents[3] / "docs/transcripts.md").read_text()
    documented = json.loads(page.split("```json\n")[2].split("```")[0])
    index = index_of(folder)
    assert documented.keys() == index.keys()
    assert [track.keys() for track in documented["tracks"]] == [track.keys() for track in index["tracks"]]
    assert host.events == []
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.glob("*.wav")} == {0}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_recording_holds_what_the_identity_chain_hashes(tmp_path: Path, host: Host) -> None:
    assert ANA_IN_ENGLISH.direction is not None
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    attestor = DirectionAttestor(
        chain=0, direction=ANA_IN_ENGLISH.direction, first_frame=FIRST + 10, salt=bytes(32)
    )
    windows = []
    rng = np.random.default_rng(1)
    for tick in range(FIRST + 10, FIRST + 70):
        pcm = rng.normal(0, 0.3, FRAME_SAMPLES).astype(np.float32) * (tick % 3 > 0)
        recording.write(ANA_IN_ENGLISH, tick, pcm)
        windows += attestor.add(tick, pcm)
    recording.close(FIRST + 80)
    with Recordings([tmp_path / "track-001-rendering-en.wav"]) as tracks:
        assert tracks.frames(0) == 80
        for window in (*windows, attestor.finish()):
            samples = tracks.samples(0, window.t0 - FIRST, window.t1 - window.t0)
            assert hashlib.sha256(samples).hexdigest() == window.pcm_sha256


@pytest.mark.slow
@given(st.dictionaries(st.integers(0, 300), st.integers(1, 30_000), max_size=20))
def test_what_is_written_is_read_sample_for_sample(
    tmp_path_factory: pytest.TempPathFactory, frames: dict[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("recording")
    pcm = {
        n: np.random.default_rng(seed).uniform(-1.1, 1.1, FRAME_SAMPLES).astype(np.float32)
        for n, seed in frames.items()
    }
    recording = Recording(folder, first_tick=FIRST, on_event=Host())
    for n in sorted(frames):
        recording.write(ANA, FIRST + n, pcm[n])
    recording.close(FIRST + 301)
    if not frames:
        assert index_of(folder)["tracks"] == []
        return
    samples, _ = soundfile.read(folder / "track-001-original.wav", dtype="int16")
    assert samples.astype("<i2").tobytes() == b"".join(to_s16le(pcm.get(n, frame(0))) for n in range(301))


def test_a_slow_disk_costs_frames_but_never_the_meeting_nor_the_alignment(
    tmp_path: Path, host: Host, stuck: threading.Event
) -> None:
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    offered = QUEUE_FRAMES + 3 * TELL_AGAIN_TICKS
    for n in range(offered):  # with a disk that takes nothing, this comes to its end all the same
        recording.write(ANA, FIRST + n, frame(1 + n % 1000))
    dropped = recording.dropped_frames
    assert 3 * TELL_AGAIN_TICKS - 1 <= dropped <= 3 * TELL_AGAIN_TICKS
    assert [event.kind for event in host.events] == [RecordingEventKind.DROPPED] * 3
    assert [event.dropped_frames for event in host.events] == [
        1,
        1 + TELL_AGAIN_TICKS,
        1 + 2 * TELL_AGAIN_TICKS,
    ]
    stuck.set()
    while recording._queue.qsize():
        recording._writer.join(0.01)
    recording.write(ANA, FIRST + offered + 5, frame(77))
    recording.close(FIRST + offered + 6)
    heard = sounds(tmp_path / "track-001-original.wav")
    kept = offered - dropped
    assert heard == [*(1 + n % 1000 for n in range(kept)), *[0] * dropped, *[0] * 5, 77]
    (track,) = index_of(tmp_path)["tracks"]
    assert track["dropped_frames"] == [[kept, offered]]


@pytest.mark.parametrize("calls", [0, 1, 40])
def test_a_full_disk_ends_the_recording_with_an_event_and_what_was_written_stays(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    pwrite, left = os.pwrite, [calls]

    def fills(descriptor: int, data: bytes, position: int) -> int:
        if position >= HEADER_BYTES or not calls:
            if not left[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            left[0] -= 1
        return pwrite(descriptor, data, position)

    monkeypatch.setattr("interpreter.wav_file.os.pwrite", fills)
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    for n in range(50):
        recording.write(ANA, FIRST + n, frame(n + 1))
    assert host.told.wait(TIMEOUT_S)
    recording.write(ANA, FIRST + 50, frame(51))
    recording.close(FIRST + 60)
    assert recording.failed
    assert [(event.kind, event.reason) for event in host.events] == [
        (RecordingEventKind.FAILED, "the recording has ended: No space left on device")
    ]
    if calls:
        assert sounds(tmp_path / "track-001-original.wav") == list(range(1, calls + 1))
        assert index_of(tmp_path)["state"] == "failed"


def test_a_folder_that_goes_ends_the_recording_with_an_event(tmp_path: Path, host: Host) -> None:
    folder = tmp_path / "meeting"
    recording = Recording(folder, first_tick=FIRST, on_event=host)
    recording.write(ANA, FIRST, frame(1))
    while not (folder / "tracks.json").exists():
        recording._writer.join(0.01)
    shutil.rmtree(folder)
    for n in range(1, 2 * HEADER_FRAMES):
        recording.write(ANA, FIRST + n, frame(1))
    assert host.told.wait(TIMEOUT_S)
    recording.close(FIRST + 2 * HEADER_FRAMES)
    assert [(event.kind, event.reason) for event in host.events] == [
        (RecordingEventKind.FAILED, "the recording has ended: a file was removed")
    ]


def test_a_folder_that_is_gone_before_the_first_word_too(tmp_path: Path, host: Host) -> None:
    folder = tmp_path / "meeting"
    recording = Recording(folder, first_tick=FIRST, on_event=host)
    folder.rmdir()
    recording.write(ANA, FIRST, frame(1))
    recording.close(FIRST + 1)
    assert [event.reason for event in host.events] == ["the recording has ended: No such file or directory"]


def test_a_recording_never_replaces_another(tmp_path: Path, host: Host) -> None:
    (tmp_path / "track-001-original.wav").write_bytes(b"an earlier meeting")
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    recording.write(ANA, FIRST, frame(1))
    recording.close(FIRST + 1)
    assert [event.reason for event in host.events] == ["the recording has ended: File exists"]
    assert (tmp_path / "track-001-original.wav").read_bytes() == b"an earlier meeting"


def test_more_people_than_files_end_it_in_words(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MAX_TRACKS", 2)
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    for name in ("a", "b", "c"):
        recording.write(Track(name), FIRST, frame(1))
    recording.close(FIRST + 1)
    assert [event.reason for event in host.events] == ["the recording has ended: expected 2 tracks at most"]


def test_a_disk_that_never_answers_does_not_hold_up_the_end(
    tmp_path: Path, host: Host, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "CLOSE_S", 0.05)
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    for n in range(QUEUE_FRAMES + 2):
        recording.write(ANA, FIRST + n, frame(1))
    recording.close(FIRST + QUEUE_FRAMES + 2)
    assert host.events[-1].reason == "the recording has ended: the disk does not answer"
    stuck.set()
    recording._queue.put(None)
    recording._writer.join(TIMEOUT_S)


def test_after_a_crash_the_file_is_whole_up_to_its_last_header(tmp_path: Path, host: Host) -> None:
    recording = Recording(tmp_path, first_tick=FIRST, on_event=host)
    for n in range(2 * HEADER_FRAMES + 3):
        recording.write(ANA, FIRST + n, frame(n + 1))
    while recording._queue.qsize():
        recording._writer.join(0.01)
    left = tmp_path / "left.wav"
    shutil.copy(tmp_path / "track-001-original.wav", left)  # as a crash would leave it
    assert index_of(tmp_path)["state"] == "recording"
    recording.close(FIRST + 100)
    heard = sounds(left)
    assert len(heard) >= 2 * HEADER_FRAMES - 1
    assert heard == list(range(1, len(heard) + 1))


@pytest.mark.parametrize("hostile", ["../../x", "a/b", "\x00", "e\ud800", "x" * 300])
def test_no_file_is_named_by_people(tmp_path: Path, host: Host, hostile: str) -> None:
    folder = tmp_path / "one"
    recording = Recording(folder, first_tick=FIRST, on_event=host)
    recording.write(Track(hostile, Direction(hostile, "es", hostile)), FIRST, frame(1))
    recording.close(FIRST + 1)
    assert host.events == []
    assert sorted(path.name for path in folder.iterdir()) == ["track-001-rendering-und.wav", "tracks.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_file_beyond_four_gigabytes_is_rf64(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    file = WavFile(path)
    last = 2**32 // FRAME_BYTES + 10  # 24.9 hours
    file.write(0, to_s16le(frame(3)))
    file.write(last, to_s16le(frame(7)))
    file.close(last + 2)
    if path.stat().st_blocks * 512 > 2**24:
        pytest.skip("this file system keeps silence as zeros")
    with soundfile.SoundFile(path) as sound:
        assert sound.format == "RF64"
        assert sound.frames == (last + 2) * FRAME_SAMPLES
        assert set(sound.read(FRAME_SAMPLES, dtype="int16")) == {3}
        sound.seek(last * FRAME_SAMPLES)
        assert set(sound.read(FRAME_SAMPLES, dtype="int16")) == {7}
        assert set(sound.read(FRAME_SAMPLES, dtype="int16")) == {0}


def test_the_header_changes_its_kind_at_the_last_byte_that_fits() -> None:
    largest = 2**32 - 1 - (HEADER_BYTES - 8)
    assert wav_header(largest)[:4] == b"RIFF"
    assert wav_header(largest + 1)[:4] == b"RF64"
    assert {len(wav_header(n)) for n in (0, largest, 2**40)} == {HEADER_BYTES}
