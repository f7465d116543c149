"""PriMock57's consultations: one TextGrid and one WAV file for each of doctor and patient -> a draft.

    transcripts/day1_consultation01_doctor.TextGrid     audio/day1_consultation01_doctor.wav
    transcripts/day1_consultation01_patient.TextGrid    audio/day1_consultation01_patient.wav

Any TextGrids of that layout will do: files whose names differ in what follows the last underscore, one for each
speaker, with utterances in the first tier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from interpreter.errors import ConfigError
from scenarios.errors import ScenarioError
from scenarios.importers.draft import Draft, DraftPerson, DraftTurn
from scenarios.textgrid import Interval, decode_textgrid, read_textgrid

SUFFIX = ".TextGrid"
LICENCE = "CC-BY-4.0"
ATTRIBUTION = "PriMock57, Babylon Health (arXiv:2204.00333)"

_TAG = re.compile(r"</?[A-Z_]+/?>")
"""Such as <UNSURE> around what the transcriber guessed, and <UNIN/> for what nobody understood."""


def find_consultations(folder: Path) -> tuple[tuple[Path, ...], ...]:
    """The TextGrids in a folder and below, those of one consultation together."""
    consultations: dict[Path, list[Path]] = {}
    for file in sorted(folder.rglob(f"*{SUFFIX}")):
        consultations.setdefault(file.with_name(file.stem.rpartition("_")[0]), []).append(file)
    return tuple(map(tuple, consultations.values()))


def read_consultation(files: Sequence[Path], *, language: str = "en", recorded: bool = True) -> Draft:
    """The draft of one consultation.

    Args:
        files: its TextGrids, one for each speaker, named after them behind the last underscore.
        language: of all that is said.
        recorded: take the sound from the WAV files that belong to them, which must be there.

    Raises:
        ConfigError: a file cannot be used, or is not there.
    """
    name = files[0].stem.rpartition("_")[0]
    people, turns = [], []
    for file in files:
        speaker = file.stem.rpartition("_")[2]
        people.append(DraftPerson(name=speaker, recording=_sound_of(file) if recorded else None))
        turns += [
            DraftTurn(by=speaker, text=text, start_s=one.start_s, end_s=one.end_s)
            for one in _utterances(file)
            if (text := " ".join(_TAG.sub(" ", one.text).split()))
        ]
    return Draft(
        id=f"primock57-{name}",
        title=f"PriMock57, {name}",
        origin=f"PriMock57 {name}",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        language=language,
        people=tuple(people),
        turns=tuple(sorted(turns, key=lambda turn: (turn.start_s or 0.0, turn.by))),
        tags=("medical", "primock57"),
    )


def _utterances(file: Path) -> tuple[Interval, ...]:
    try:
        tiers = read_textgrid(decode_textgrid(file.read_bytes()))
    except (OSError, ScenarioError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not tiers:
        raise ConfigError(f"{file}: expected a tier of utterances, got none")
    return tiers[0].intervals


def _sound_of(file: Path) -> Path:
    """The WAV file beside a TextGrid, or in the folder `audio` beside its own."""
    places = (file.with_suffix(".wav"), file.parent.parent / "audio" / f"{file.stem}.wav")
    for place in places:
        if place.is_file():
            return place.resolve()
    raise ConfigError(f"expected {places[0]} or {places[1]}, got neither")
