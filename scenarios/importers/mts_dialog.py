"""MTS-Dialog's rows: a CSV file of short dialogues by section of the visit -> drafts. Pure.

    ID,section_header,section_text,dialogue
    0,ALLERGY,No known allergies.,"Doctor: Any allergies?
    Patient: No, none."

Speakers stand before a colon at the beginning of a line; what follows belongs to them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from interpreter.errors import ConfigError
from scenarios.importers.draft import Draft, DraftPerson, DraftTurn

LICENCE = "CC-BY-4.0"
ATTRIBUTION = "MTS-Dialog, Ben Abacha et al., EACL 2023"

_COLUMNS = ("ID", "section_header", "dialogue")
_SPEAKER = re.compile(r"\s*([A-Za-z][A-Za-z_ ]{0,30}?)\s*:\s*(.*)")


def read_mts_dialog(text: str, *, name: str, language: str = "en") -> tuple[Draft, ...]:
    """The drafts of a file's rows.

    Args:
        text: of the file.
        name: of the file, for messages.
        language: of all that is said.

    Raises:
        ConfigError: columns are missing, or a row has no dialogue.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise ConfigError(f"{name}: expected the columns {', '.join(_COLUMNS)}, got no {missing[0]}")
    try:
        return tuple(_draft(row, f"{name}, line {rows.line_num}", language) for row in rows)
    except csv.Error as error:
        raise ConfigError(f"{name}, line {rows.line_num}: expected CSV, got: {error}") from error


def _draft(row: dict[str, str | None], where: str, language: str) -> Draft:
    number, section = row["ID"] or "", row["section_header"] or ""
    turns = tuple(_turns(row["dialogue"] or ""))
    if not turns:
        raise ConfigError(f"{where}: expected a dialogue such as `Doctor: …`, got none")
    return Draft(
        id=f"mts-dialog-{section}-{number}",
        title=f"MTS-Dialog {number}, {section}",
        origin=f"MTS-Dialog {number}",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        language=language,
        people=tuple(DraftPerson(name=speaker) for speaker in dict.fromkeys(turn.by for turn in turns)),
        turns=turns,
        tags=("medical", "mts-dialog"),
    )


def _turns(dialogue: str) -> Iterator[DraftTurn]:
    """Who says what; lines before the first speaker are nobody's."""
    speaker = ""
    said: list[str] = []
    for line in dialogue.splitlines():
        match = _SPEAKER.fullmatch(line)
        if match is not None:
            if speaker and said:
                yield DraftTurn(by=speaker, text=" ".join(said))
            speaker, said = match[1], []
        text = (match[2] if match else line).strip()
        if speaker and text:
            said.append(text)
    if speaker and said:
        yield DraftTurn(by=speaker, text=" ".join(said))
