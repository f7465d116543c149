"""Full-Duplex-Bench's sample folders, versions 1 and 1.5: one user's recording and what happens in it -> a draft.

    candor_pause_handling/12/   input.wav  transcription.json  pause.json          v1, and likewise turn_taking.json
    icc_backchannel/3/          input.wav  transcription.json                      v1
    synthetic_user_interruption/7/  input.wav  interrupt.json                      v1
    user_backchannel/41/        input.wav  metadata.json                           v1.5, and three other tasks

The bench tries an assistant that answers; an interpreter is to render, so that pauses are no invitations and what
interrupts is one more turn. The user speaks, and somebody of the other language listens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import soundfile as sf  # type: ignore[import-untyped]

from interpreter.errors import ConfigError
from scenarios.errors import ScenarioError
from scenarios.importers.draft import Draft, DraftPerson, DraftTurn
from scenarios.word_times import read_word_times

SOUND = "input.wav"
WORDS = "transcription.json"
USER = "user"

_INTERRUPT, _METADATA = "interrupt.json", "metadata.json"
_BACKCHANNELS = "user_backchannel"
_NON_COMMERCIAL = ("candor", "icc")
_ATTRIBUTION = "Full-Duplex-Bench (arXiv:2503.04721, arXiv:2507.23159)"


def find_samples(folder: Path) -> tuple[Path, ...]:
    """The sample folders in a folder and below, itself included."""
    return tuple(sorted(file.parent for file in folder.rglob(SOUND)))


def read_sample(folder: Path, *, language: str = "en") -> Draft:
    """The draft of one sample.

    Args:
        folder: of the sample; the folder above it is named after the task.
        language: of all that is said.

    Raises:
        ConfigError: a file is missing or cannot be used.
    """
    task = folder.resolve().parent.name
    words = folder / WORDS
    name = f"{task} {folder.resolve().name}"
    return Draft(
        id=f"fdb-{name}",
        title=f"Full-Duplex-Bench, {name}",
        origin=f"Full-Duplex-Bench {name}",
        licence="CC-BY-NC-4.0" if task.startswith(_NON_COMMERCIAL) else "MIT",
        attribution=_ATTRIBUTION,
        language=language,
        people=(
            DraftPerson(
                name=USER,
                recording=(folder / SOUND).resolve(),
                words=words.resolve() if words.is_file() else None,
            ),
        ),
        turns=tuple(_turns(folder, task)),
        tags=("full-duplex-bench",),
    )


def _turns(folder: Path, task: str) -> Iterator[DraftTurn]:
    """What the user says."""
    if (folder / _INTERRUPT).is_file():
        event = _event(folder / _INTERRUPT)
        yield from _two(folder, event, event.get("context"), event.get("interrupt"), task)
    elif (folder / _METADATA).is_file():
        event = _event(folder / _METADATA)
        yield from _two(folder, event, event.get("context_text"), event.get("current_turn_text"), task)
    elif (folder / WORDS).is_file():
        yield from _whole(folder / WORDS)
    else:
        raise ConfigError(f"{folder}: expected {_INTERRUPT}, {_METADATA} or {WORDS}, got none")


def _two(
    folder: Path, event: Mapping[str, Any], context: object, current: object, task: str
) -> Iterator[DraftTurn]:
    """What is said before the event, and the event."""
    try:
        start_s, end_s = map(float, event.get("timestamps") or event["timestamp"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{folder}: expected the event's two times, got: {error!r}") from error
    if not 0.0 <= start_s < end_s or not isinstance(context, str) or not isinstance(current, str):
        raise ConfigError(f"{folder}: expected two texts and two times one after the other, got others")
    end_s = min(end_s, _length_s(folder / SOUND))
    if start_s > 0.0 and context.strip():
        yield DraftTurn(by=USER, text=context, start_s=0.0, end_s=start_s)
    yield DraftTurn(
        by=USER,
        text=current,
        start_s=start_s,
        end_s=end_s,
        kind="backchannel" if task == _BACKCHANNELS else "turn",
    )


def _whole(words: Path) -> Iterator[DraftTurn]:
    """One turn, from the first word to the last."""
    try:
        timed = read_word_times(words.read_bytes())
    except (OSError, ScenarioError) as error:
        raise ConfigError(f"{words}: {error}") from error
    if not timed:
        raise ConfigError(f"{words}: expected words with times, got none")
    text = " ".join(word.text for word in timed)
    yield DraftTurn(by=USER, text=text, start_s=timed[0].start_s, end_s=timed[-1].end_s)


def _event(file: Path) -> Mapping[str, Any]:
    """The one event of a file, which may stand in a list."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: expected JSON, got: {error}") from error
    event = content[0] if isinstance(content, list) and content else content
    if not isinstance(event, dict):
        raise ConfigError(f"{file}: expected an event, got none")
    return event


def _length_s(sound: Path) -> float:
    try:
        return float(sf.info(str(sound)).duration)
    except (OSError, sf.SoundFileError) as error:
        raise ConfigError(f"expected a sound file, got {sound}: {error}") from error
