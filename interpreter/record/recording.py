"""A meeting's sound in a folder: a WAV file per person and per rendering, all in step with the meeting's clock.

    track-001-original.wav      what somebody said; mono, 16 bits, 24 kHz, from the meeting's first tick on
    track-002-rendering-en.wav  what the interpreter said for them, after the floor's gain and before the mix
    tracks.json                 whose they are, and which frames [first, end) were dropped

A thread writes; the meeting hands frames over and never waits. Silence is not handed over: the files have it where
nothing was written. When the disk is too slow, frames are dropped, counted and named, and what comes after them stays
where it belongs. When it fails, the recording ends with an event, and the meeting goes on.
"""

from __future__ import annotations

import enum
import errno
import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.directions import Direction
from interpreter.pcm16 import to_s16le
from interpreter.record.transcript import plain
from interpreter.record.transcript_files import file_language
from interpreter.wav_file import WavFile

logger = logging.getLogger(__name__)

SCHEMA = "interpreter-recording/1"
MAX_TRACKS = 256
"""A file each, open until the meeting's end."""

QUEUE_FRAMES = 4096
"""16 MB: some ten seconds of thirty people who all talk at once."""

HEADER_FRAMES = 25
"""A header is brought up to date after so many frames of a track: what a crash leaves is at most 2 s short."""

TELL_AGAIN_TICKS = 125
"""10 s: no more often is it told that frames are dropped."""

CLOSE_S = 30.0
"""How long `close` waits for the disk."""


@dataclass(frozen=True)
class Track:
    """What one file holds."""

    speaker_id: str
    direction: Direction | None = None
    """Of the rendering; None for the person's own voice."""


class RecordingEventKind(enum.Enum):
    """What a host must be told."""

    DROPPED = "dropped"  # frames are missing; the recording goes on
    FAILED = "failed"  # nothing more is recorded


@dataclass(frozen=True, kw_only=True)
class RecordingEvent:
    """Something is wrong with the recording."""

    kind: RecordingEventKind
    reason: str
    """A sentence for hosts and logs, free of content."""

    dropped_frames: int
    """So far, of all tracks."""


@dataclass
class _TrackFile:
    """A track's file, in the writer's hands."""

    name: str
    file: WavFile
    untold_frames: int = 0
    """Written since the header was brought up to date."""


@dataclass
class _Span:
    """Frames of a track that were dropped, counted from the beginning of its file."""

    first: int
    end: int
    """The one after the last."""


class Recording:
    """Records tracks into a folder until it is closed.

    Args:
        folder: of this meeting alone; made when it is not there.
        first_tick: the meeting's first, with which every file begins.
        on_event: is told what a host must know; called from any thread, must return at once and not raise.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, first_tick: int, on_event: Callable[[RecordingEvent], None]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._first_tick = first_tick
        self._on_event = on_event
        self._queue: queue.Queue[tuple[Track, int, bytes] | None] = queue.Queue(QUEUE_FRAMES)
        self._files: dict[Track, _TrackFile] = {}  # the writer's
        self._losses: dict[Track, list[_Span]] = {}  # the meeting's, until it closes
        self._dropped_frames = 0
        self._told_at: int | None = None
        self._failed = threading.Event()
        self._end_frames = 0
        self._writer = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._writer.start()

    @property
    def dropped_frames(self) -> int:
        """Frames of all tracks that are missing in the files."""
        return self._dropped_frames

    @property
    def failed(self) -> bool:
        """Whether nothing more is recorded."""
        return self._failed.is_set()

    def write(self, track: Track, tick: int, pcm: Pcm) -> None:
        """Records one frame. Never waits.

        Args:
            track: whose.
            tick: when; a frame before the meeting's first is left out.
            pcm: [1920], finite. It becomes 16-bit samples as for the identity chain, which hashes them.
        """
        frame = tick - self._first_tick
        samples = to_s16le(pcm)
        if frame < 0 or not samples.strip(b"\0"):
            return
        if self.failed:
            return
        try:
            self._queue.put_nowait((track, frame, samples))
        except queue.Full:
            self._drop(track, frame)

    def close(self, end_tick: int) -> None:
        """Writes what is waiting and makes all files end at `end_tick`. Waits for the disk: call it in a thread.

        Args:
            end_tick: the first tick after the meeting.
        """
        self._end_frames = end_tick - self._first_tick
        try:
            self._queue.put(None, timeout=CLOSE_S)
            self._writer.join(CLOSE_S)
        except queue.Full:
            pass  # the writer still waits for the disk
        if self._writer.is_alive():
            self._fail("the recording has ended: the disk does not answer")

    def _drop(self, track: Track, frame: int) -> None:
        spans = self._losses.setdefault(track, [])
        if spans and spans[-1].end == frame:
            spans[-1].end += 1
        else:
            spans.append(_Span(frame, frame + 1))
        self._dropped_frames += 1
        if self._told_at is None or frame - self._told_at >= TELL_AGAIN_TICKS:
            self._told_at = frame
            self._tell(RecordingEventKind.DROPPED, "the disk is too slow: the recording has gaps")

    def _fail(self, reason: str) -> None:
        if not self._failed.is_set():
            self._failed.set()
            self._tell(RecordingEventKind.FAILED, reason)

    def _tell(self, kind: RecordingEventKind, reason: str) -> None:
        logger.error("recording: %s", reason)
        self._on_event(RecordingEvent(kind=kind, reason=reason, dropped_frames=self._dropped_frames))

    # What follows runs in the writer's thread.

    def _write_all(self) -> None:
        while (waiting := self._queue.get()) is not None:
            if not self.failed:
                self._guarded(self._write, *waiting)
        frames = max([self._end_frames, *(one.file.frames for one in self._files.values())])
        for one in self._files.values():
            self._guarded(one.file.close, one.file.frames if self.failed else frames)
        self._guarded(self._write_index, "failed" if self.failed else "complete", self._losses)

    def _guarded(self, do: Callable[..., None], *arguments: object) -> None:
        """Does it; a disk that fails ends the recording and nothing else."""
        try:
            do(*arguments)
        except OSError as error:
            self._fail(f"the recording has ended: {error.strerror}")

    def _write(self, track: Track, frame: int, samples: bytes) -> None:
        one = self._files.get(track)
        if one is None:
            if len(self._files) >= MAX_TRACKS:
                raise OSError(errno.EMFILE, f"expected {MAX_TRACKS} tracks at most")
            name = _file_name(len(self._files) + 1, track)
            one = self._files[track] = _TrackFile(name, WavFile(self._folder / name))
            self._write_index("recording", {})
        one.file.write(frame, samples)
        one.untold_frames += 1
        if one.untold_frames >= HEADER_FRAMES:
            one.file.tell_length()
            one.untold_frames = 0

    def _write_index(self, state: str, losses: Mapping[Track, Sequence[_Span]]) -> None:
        """Replaces `tracks.json`. A recording that a crash has ended stays in the state "recording"."""
        index = {
            "schema": SCHEMA,
            "state": state,
            "first_tick": self._first_tick,
            "frame_samples": FRAME_SAMPLES,
            "tracks": [
                {
                    "file": one.name,
                    "speaker_id": plain(track.speaker_id),
                    "rendering": None
                    if track.direction is None
                    else {
                        "language_in": plain(track.direction.language_in),
                        "language_out": plain(track.direction.language_out),
                    },
                    "dropped_frames": [[span.first, span.end] for span in losses.get(track, ())],
                }
                for track, one in self._files.items()
            ],
        }
        partial = self._folder / ".tracks.json"
        partial.write_text(json.dumps(index, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, self._folder / "tracks.json")


def _file_name(number: int, track: Track) -> str:
    """Free of anything that people or other machines have typed."""
    if track.direction is None:
        return f"track-{number:03d}-original.wav"
    return f"track-{number:03d}-rendering-{file_language(track.direction.language_out)}.wav"
