"""Scripted: an engine that says what a script tells it to, for tests, rehearsals and scenarios.

It hears just enough to keep time with the speaker: where speech begins and where it pauses, by level. The same
script, prompt and frames give the same bits.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil, isfinite
from pathlib import Path

import numpy as np

from duplex_model.contract import (
    FRAME_S,
    FRAME_SAMPLES,
    Capabilities,
    Engine,
    Pcm,
    Prompt,
    SayCapability,
    TickGrid,
)
from duplex_model.errors import EngineFull, SessionFailed, SpecError, Unsupported
from duplex_model.fields import Fields
from duplex_model.lanes import MAX_LANES, LaneEngine, Later, Now, Said
from duplex_model.script import (
    ANY_DIRECTION,
    Cue,
    Fault,
    FaultKind,
    Part,
    Piece,
    Script,
    Tone,
    Trigger,
    load_script,
    read_script,
)
from duplex_model.sound import FADE_SAMPLES, fade_out, level_dbfs, read_wav, tone
from duplex_model.spec import Report

MAX_WAITING = 16
"""Cues and notices that wait for the one being said; one more is dropped, so that delay cannot grow."""

NOTICE_HZ = 880.0
NOTICE_PEAK_DBFS = -20.0
NOTICE_WORD_S = 0.32
"""A notice is a tone of this length for each of its words."""

DEATH_CODE = 70
"""Exit code of a process that a script let die."""

_MAX_COUNT = 2**53
_ROUNDING = 1e-9  # 0.24 s is three frames, although 0.24 / 0.08 is a little less


class ScriptedEngine(LaneEngine):
    """Every session follows the part of `script` for its direction. Role text, voice and seed change nothing."""

    def __init__(
        self,
        script: Script,
        *,
        lanes: int = 16,
        grid: TickGrid,
        now: Now = time.monotonic,
        later: Later | None = None,
    ) -> None:
        """Renders the script's sounds; the rest as in `LaneEngine`.

        Raises:
            SpecError: lanes outside 1…4096, or a WAV file that cannot be used.
        """
        lanes = Fields({"lanes": lanes}, "scripted engine", SpecError).integer("lanes", 1, MAX_LANES)
        utterances = {name: _utterances(part) for name, part in script.directions.items()}

        def open_lane(prompt: Prompt, seed: int) -> ScriptedLane:
            name = script.direction(prompt.language_in, prompt.language_out)
            if any(fault.kind is FaultKind.FULL for fault in script.directions[name].faults):
                raise EngineFull("expected a free lane, got none: the script says so")
            return ScriptedLane(script, name, utterances[name])

        super().__init__(_capabilities(script, lanes), open_lane, grid=grid, now=now, later=later)


def build(options: Mapping[str, object], grid: TickGrid, report: Report) -> Engine:
    """The engine of `EngineSpec(kind="scripted", options)`.

    Options: `lanes`, and either `script` (see `duplex_model.script`) or `script_file`, a path to one.
    """
    fields = Fields(options, "scripted options", SpecError)
    lanes = fields.integer("lanes", 1, MAX_LANES, 16)
    if fields.has("script") == fields.has("script_file"):
        raise SpecError("scripted options: expected either script or script_file, got both or none")
    report(0.0, "reading the script")
    if fields.has("script"):
        script = read_script(fields.mapping("script"))
    else:
        script = load_script(Path(fields.text("script_file")))
    fields.end()
    engine = ScriptedEngine(script, lanes=lanes, grid=grid)
    report(1.0, "script read")
    return engine


@dataclass(frozen=True)
class _Utterance:
    """A cue or a notice, rendered: what its frames sound like and say."""

    pcm: Pcm
    text: Mapping[int, str]
    """Frame of the utterance -> text."""

    frames: int

    def frame(self, position: int) -> Pcm:
        """[1920], zeros beyond the sound's end."""
        begin = position * FRAME_SAMPLES
        heard = self.pcm[begin : begin + FRAME_SAMPLES]
        return np.pad(heard, (0, FRAME_SAMPLES - len(heard)))


@dataclass
class _Saying:
    """An utterance on its way."""

    utterance: _Utterance
    cue: int | None
    """Its number in the part; None for a notice."""

    notice_text: str = ""
    notice: int | None = None
    """The number by which the session knows the notice; None once its state came from elsewhere."""

    position: int = 0
    """Frames said."""


@dataclass
class _Ears:
    """Where speech begins and pauses, by level with hysteresis, in frames."""

    voiced: bool = False
    spurt: int = -1
    """Number of the spurt heard last; -1 before any."""

    since_onset: int = 0
    """Frames since that spurt began, its first included."""

    silent: int = 0
    """Frames since speech was heard."""

    def hear(self, frame: Pcm, script: Script) -> None:
        level = level_dbfs(frame)
        self.voiced = level >= (script.speech_off_dbfs if self.voiced else script.speech_on_dbfs)
        self.since_onset += 1
        if not self.voiced:
            self.silent += 1
            return
        if self.spurt < 0 or self.silent >= _frames(script.spurt_gap_s):
            self.spurt += 1
            self.since_onset = 1
        self.silent = 0


@dataclass
class ScriptedLane:
    """One session's way through its part of the script; pure."""

    script: Script
    direction: str
    utterances: Sequence[_Utterance]
    """Rendered cues of the part."""

    _heard: int = 0
    _ears: _Ears = field(default_factory=_Ears)
    _fired: list[int] = field(default_factory=list)
    """For each cue the spurt in which it was said last."""

    _sayings: deque[_Saying] = field(default_factory=deque)
    """The first is being said."""

    _tail: Pcm = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    """The fading rest of what was interrupted."""

    def __post_init__(self) -> None:
        self._fired = [-1] * len(self._part.cues)

    @property
    def _part(self) -> Part:
        return self.script.directions[self.direction]

    def step(self, frame: Pcm) -> Said:
        """Hears a frame, begins the cues it triggers, and says the next frame of the first in line."""
        faults = [fault for fault in self._part.faults if fault.at_frame == self._heard]
        _fail_step(faults)
        self._ears.hear(frame, self.script)
        for number, cue in enumerate(self._part.cues):
            if self._due(number, cue):
                self._fired[number] = self._ears.spurt
                self._enqueue(_Saying(self.utterances[number], number))
        self._heard += 1
        pcm, text, as_self, notices = self._say_frame()
        pcm = np.full_like(pcm, np.nan) if any(fault.kind is FaultKind.NAN for fault in faults) else pcm
        stall_ms = sum(fault.stall_ms for fault in faults if fault.kind is FaultKind.STALL)
        return Said(pcm=pcm, text=text, as_self=as_self, notices_done=notices, stall_s=stall_ms / 1000)

    def say(self, notice: int, text: str, now: bool) -> tuple[int, ...]:
        """A tone for each word; before all cues that wait, and after notices asked for earlier."""
        if len(self._sayings) > MAX_WAITING:
            raise Unsupported(f"expected at most {MAX_WAITING} cues and notices to wait, got one more")
        dropped = self._cut_first() if now else ()
        begun = 1 if self._sayings and self._sayings[0].position > 0 else 0
        notices = sum(1 for waiting in list(self._sayings)[begun:] if waiting.cue is None)
        saying = _Saying(_notice(text), None, text, notice)
        self._sayings.insert(0 if now else begun + notices, saying)
        return dropped

    def interrupt(self) -> tuple[int, ...]:
        """Fades out within 20 ms and drops all that was being said or waited."""
        dropped = self._cut_first()
        dropped += tuple(saying.notice for saying in self._sayings if saying.notice is not None)
        self._sayings.clear()
        return dropped

    def state(self) -> bytes:
        """JSON, in UTF-8."""
        sayings = [
            {"cue": saying.cue, "notice": saying.notice_text, "position": saying.position}
            for saying in self._sayings
        ]
        state = {
            "direction": self.direction,
            "heard": self._heard,
            "ears": vars(self._ears),
            "fired": self._fired,
            "sayings": sayings,
            "tail": self._tail.tolist(),
        }
        return json.dumps(state).encode("utf-8")

    def restore(self, state: bytes) -> None:
        """Takes the place of a lane of the same script."""
        try:
            fields = Fields(json.loads(state.decode("utf-8")), "scripted state", Unsupported)
        except (ValueError, RecursionError) as error:
            raise Unsupported(f"expected the state of a scripted session: {error}") from error
        if fields.text("direction") != self.direction:
            raise Unsupported(f"expected a state of {self.direction}, got one of {fields.text('direction')}")
        heard = fields.integer("heard", 0, _MAX_COUNT)
        ears = _read_ears(fields.mapping("ears"))
        fired = [_whole(value, -1, _MAX_COUNT) for value in fields.items("fired")]
        sayings = deque(self._read_saying(saying) for saying in fields.items("sayings"))
        tail = _read_tail(fields.items("tail"))
        if len(fired) != len(self._part.cues):
            raise Unsupported(f"expected a state of {len(self._part.cues)} cues, got {len(fired)}")
        self._heard, self._ears, self._fired, self._sayings, self._tail = heard, ears, fired, sayings, tail

    def _read_saying(self, values: object) -> _Saying:
        fields = Fields(values, "scripted state, saying", Unsupported)
        text = fields.text("notice", "")
        if fields.has("cue"):
            cue = fields.integer("cue", 0, len(self.utterances) - 1)
            saying = _Saying(self.utterances[cue], cue)
        else:
            saying = _Saying(_notice(text), None, text)
        saying.position = fields.integer("position", 0, saying.utterance.frames - 1)
        return saying

    def _due(self, number: int, cue: Cue) -> bool:
        if cue.trigger is Trigger.AT_FRAME:
            return self._heard == cue.when
        if cue.spurt not in (None, self._ears.spurt) or self._fired[number] == self._ears.spurt:
            return False
        passed = self._ears.since_onset if cue.trigger is Trigger.AFTER_SPEECH else self._ears.silent
        return passed >= max(_frames(cue.when), 1)

    def _enqueue(self, saying: _Saying) -> None:
        if len(self._sayings) <= MAX_WAITING:
            self._sayings.append(saying)

    def _say_frame(self) -> tuple[Pcm, str, bool, tuple[int, ...]]:
        pcm, text, as_self = np.zeros(FRAME_SAMPLES, dtype=np.float32), "", False
        notices: tuple[int, ...] = ()
        if self._sayings:
            saying = self._sayings[0]
            pcm = saying.utterance.frame(saying.position)
            text = saying.utterance.text.get(saying.position, "")
            as_self = saying.cue is None
            saying.position += 1
            if saying.position == saying.utterance.frames:
                self._sayings.popleft()
                notices = () if saying.notice is None else (saying.notice,)
        pcm[: len(self._tail)] += self._tail
        self._tail = self._tail[:0]
        return pcm, text, as_self, notices

    def _cut_first(self) -> tuple[int, ...]:
        """Drops what is being said, leaving its fading rest; the notice cut off with it."""
        if not self._sayings or self._sayings[0].position == 0:
            return ()
        saying = self._sayings.popleft()
        self._tail = fade_out(saying.utterance.frame(saying.position))
        return () if saying.notice is None else (saying.notice,)


def _fail_step(faults: Sequence[Fault]) -> None:
    for fault in faults:
        if fault.kind is FaultKind.DIE:
            os._exit(DEATH_CODE)
        if fault.kind is FaultKind.RAISE:
            raise SessionFailed(f"the script lets the step of frame {fault.at_frame} fail")


def _utterances(part: Part) -> tuple[_Utterance, ...]:
    return tuple(_utterance(_sound(cue), cue.text) for cue in part.cues)


def _sound(cue: Cue) -> Pcm:
    if cue.sound is None:
        return np.zeros(0, dtype=np.float32)
    if isinstance(cue.sound, Tone):
        return tone(cue.sound.hz, cue.sound.peak_dbfs, cue.sound.duration_s)
    return read_wav(cue.sound.path)


def _utterance(pcm: Pcm, pieces: Sequence[Piece]) -> _Utterance:
    text: dict[int, str] = {}
    for piece in pieces:
        frame = int(piece.at_s / FRAME_S + _ROUNDING)
        text[frame] = text.get(frame, "") + piece.text
    return _Utterance(pcm, text, max(ceil(len(pcm) / FRAME_SAMPLES), max(text, default=0) + 1))


def _notice(text: str) -> _Utterance:
    words = text.split() or [""]
    pieces = [Piece(text=f" {word}" if word else "", at_s=n * NOTICE_WORD_S) for n, word in enumerate(words)]
    return _utterance(tone(NOTICE_HZ, NOTICE_PEAK_DBFS, len(words) * NOTICE_WORD_S), pieces)


def _frames(duration_s: float) -> int:
    """Whole frames that last at least `duration_s`."""
    return ceil(duration_s / FRAME_S - _ROUNDING)


def _read_ears(values: object) -> _Ears:
    fields = Fields(values, "scripted state, ears", Unsupported)
    return _Ears(
        voiced=fields.flag("voiced"),
        spurt=fields.integer("spurt", -1, _MAX_COUNT),
        since_onset=fields.integer("since_onset", 0, _MAX_COUNT),
        silent=fields.integer("silent", 0, _MAX_COUNT),
    )


def _read_tail(values: Sequence[object]) -> Pcm:
    if len(values) > FADE_SAMPLES or not all(
        isinstance(value, float) and isfinite(value) for value in values
    ):
        raise Unsupported(f"expected a fading rest of at most {FADE_SAMPLES} finite numbers")
    return np.array(values, dtype=np.float32)


def _whole(value: object, low: int, high: int) -> int:
    return Fields({"spurt": value}, "scripted state", Unsupported).integer("spurt", low, high)


def _capabilities(script: Script, lanes: int) -> Capabilities:
    languages: dict[str, frozenset[str]] = {}
    for name in script.directions:
        heard, _, said = ("*", ">", "*") if name == ANY_DIRECTION else name.partition(">")
        languages[heard] = languages.get(heard, frozenset()) | {said}
    return Capabilities(
        checkpoint=f"scripted/{sha256(repr(script).encode()).hexdigest()[:12]}",
        licence="ours",
        languages=languages,
        translates=script.translates,
        lanes=lanes,
        say=SayCapability.TRAINED,
        domain="says what its script tells it to, whatever it hears",
    )
