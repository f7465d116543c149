"""What a scripted engine says and when: data that JSON can spell, and its loader.

    {"directions": {
        "es>en": {"cues": [
            {"at_frame": 12, "text": [{"text": " good", "at_s": 0.0}], "sound": {"hz": 440, "duration_s": 0.5}},
            {"on_pause_s": 0.3, "spurt": 0, "sound": {"wav": "first_sentence.wav"}}]},
        "*": {"cues": [], "faults": [{"kind": "stall", "at_frame": 40, "stall_ms": 250}]}}}

A session under a prompt es → en follows the part named `es>en`, or else the one named `*`.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from duplex_model.errors import SpecError
from duplex_model.fields import Fields

ANY_DIRECTION = "*"
_MAX_FRAME = 10_000_000  # nine days
_MAX_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Tone:
    """A sine."""

    hz: float
    peak_dbfs: float = -20.0
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Wav:
    """A file of 16-bit mono pcm at 24 kHz."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Text that appears in the frame `at_s` after the cue began."""

    text: str
    """A leading space starts a word."""

    at_s: float


class Trigger(enum.Enum):
    """What a cue's `when` counts from."""

    AT_FRAME = "at_frame"
    """The n-th frame heard, from 0."""

    AFTER_SPEECH = "after_speech_s"
    """Seconds since a spurt of speech began, its first frame included."""

    ON_PAUSE = "on_pause_s"
    """Seconds since speech was last heard."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Something to say, once its trigger is met. Cues that are met while another is being said wait for it."""

    trigger: Trigger
    when: float
    """Frames or seconds, as the trigger says."""

    spurt: int | None = None
    """For the speech triggers: only in the n-th spurt of speech, from 0; None for once in every spurt."""

    text: tuple[Piece, ...] = ()
    sound: Tone | Wav | None = None


class FaultKind(enum.Enum):
    """What goes wrong."""

    RAISE = "raise"
    """The lane fails in this step."""

    NAN = "nan"
    """The lane's output is not a number."""

    STALL = "stall"
    """The answer, and all that follow, come `stall_ms` late."""

    DIE = "die"
    """The process ends at once, without a word: for engines in a process of their own."""

    FULL = "full"
    """The engine says it is full when the session is opened."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A failure to rehearse."""

    kind: FaultKind
    at_frame: int = 0
    """In the step of the n-th frame heard, from 0; without meaning for `FULL`."""

    stall_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the sessions of one direction do."""

    cues: tuple[Cue, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Script:
    """What every session does, by direction, and what counts as speech."""

    directions: Mapping[str, Part]
    """`es>en` -> part; `*` for every direction not named."""

    translates: bool = True
    """What the engine says of itself: whether these cues pass for renderings."""

    speech_on_dbfs: float = -45.0
    """A frame of at least this RMS level begins speech."""

    speech_off_dbfs: float = -55.0
    """A frame below this RMS level ends it."""

    spurt_gap_s: float = 0.4
    """A silence of at least this length parts two spurts."""

    def direction(self, language_in: str, language_out: str) -> str:
        """The name in `directions` that a session of these languages follows."""
        name = f"{language_in}>{language_out}"
        return name if name in self.directions else ANY_DIRECTION


def load_script(path: Path) -> Script:
    """The script in a JSON file; WAV paths in it are relative to the file.

    Raises:
        SpecError: no such file, not JSON, or not a script.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"expected a script in JSON at {path}: {error}") from error
    return read_script(values, folder=path.parent)


def read_script(values: object, *, folder: Path = Path()) -> Script:
    """The script that parsed JSON spells.

    Args:
        values: what the parser gave.
        folder: WAV paths are relative to it.

    Raises:
        SpecError: names the place, what was expected and what came.
    """
    fields = Fields(values, "script", SpecError)
    parts = {
        name: _part(part, _direction(name), folder) for name, part in fields.mapping("directions").items()
    }
    script = Script(
        directions=parts,
        translates=fields.flag("translates", True),
        speech_on_dbfs=fields.number("speech_on_dbfs", -120.0, 0.0, -45.0),
        speech_off_dbfs=fields.number("speech_off_dbfs", -120.0, 0.0, -55.0),
        spurt_gap_s=fields.number("spurt_gap_s", 0.08, 10.0, 0.4),
    )
    fields.end()
    if script.speech_off_dbfs > script.speech_on_dbfs:
        raise SpecError(
            f"script: expected speech_off_dbfs to be at most speech_on_dbfs {script.speech_on_dbfs:g}, "
            f"got {script.speech_off_dbfs:g}"
        )
    return script


def _direction(name: str) -> str:
    heard, arrow, said = name.partition(">")
    exact = heard and arrow and said and ANY_DIRECTION not in name
    if name != ANY_DIRECTION and not exact:
        raise SpecError(f"script: expected a direction such as 'es>en' or '*', got {name!r}")
    return name


def _part(values: object, direction: str, folder: Path) -> Part:
    fields = Fields(values, direction, SpecError)
    cues = enumerate(fields.items("cues", ()))
    faults = enumerate(fields.items("faults", ()))
    part = Part(
        cues=tuple(_cue(cue, f"{direction}, cue {number}", folder) for number, cue in cues),
        faults=tuple(_fault(fault, f"{direction}, fault {number}") for number, fault in faults),
    )
    fields.end()
    return part


def _cue(values: object, where: str, folder: Path) -> Cue:
    fields = Fields(values, where, SpecError)
    named = [trigger for trigger in Trigger if fields.has(trigger.value)]
    if len(named) != 1:
        came = " and ".join(trigger.value for trigger in named) or "none"
        raise SpecError(f"{where}: expected one of at_frame, after_speech_s, on_pause_s, got {came}")
    trigger = named[0]
    by_speech = trigger is not Trigger.AT_FRAME
    when = fields.number(trigger.value, 0, _MAX_S) if by_speech else fields.integer("at_frame", 0, _MAX_FRAME)
    cue = Cue(
        trigger=trigger,
        when=when,
        spurt=fields.integer("spurt", 0, _MAX_FRAME) if by_speech and fields.has("spurt") else None,
        text=tuple(_piece(piece, where) for piece in fields.items("text", ())),
        sound=_sound(fields.mapping("sound"), where, folder) if fields.has("sound") else None,
    )
    fields.end()
    return cue


def _piece(values: object, where: str) -> Piece:
    fields = Fields(values, f"{where}, text", SpecError)
    piece = Piece(text=fields.text("text"), at_s=fields.number("at_s", 0.0, _MAX_S, 0.0))
    fields.end()
    return piece


def _sound(values: object, where: str, folder: Path) -> Tone | Wav:
    fields = Fields(values, f"{where}, sound", SpecError)
    sound: Tone | Wav
    if fields.has("wav"):
        sound = Wav(path=folder / fields.text("wav"))
    else:
        sound = Tone(
            hz=fields.number("hz", 20.0, 11_000.0),
            peak_dbfs=fields.number("peak_dbfs", -120.0, 0.0, -20.0),
            duration_s=fields.number("duration_s", 0.0, _MAX_S),
        )
    fields.end()
    return sound


def _fault(values: object, where: str) -> Fault:
    fields = Fields(values, where, SpecError)
    names = [kind.value for kind in FaultKind]
    name = fields.text("kind")
    if name not in names:
        raise SpecError(f"{where}: expected kind to be one of {', '.join(names)}, got {name!r}")
    fault = Fault(
        kind=FaultKind(name),
        at_frame=fields.integer("at_frame", 0, _MAX_FRAME, 0),
        stall_ms=fields.number("stall_ms", 0.0, 600_000.0, 0.0),
    )
    fields.end()
    return fault
