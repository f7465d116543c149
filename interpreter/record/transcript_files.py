"""A transcript as files, one of each format per language: WebVTT, SRT, and JSON Lines. Names and texts are untrusted.

    transcript.en.vtt      W3C WebVTT: for players and pages, with voices, languages, kinds and marks
    transcript.en.srt      SubRip: for everything else; no names of voices but as text
    transcript.en.jsonl    for programs: a line per cue, with its words and their times

JSON Lines has a line per cue and not per word: then a line is what people read and search for, a program that wants
words finds them in it, and marks and names are not said again with every word. Its first line says what the file is:

    {"schema": "interpreter-transcript/1", "language": "en"}
    {"id": 3, "start_s": 1.2, "end_s": 2.4, "kind": "rendering", "speaker_id": "a7", "speaker": "Ana",
     "language_in": "es", "marks": ["cut"], "text": "My allergies are",
     "words": [{"text": "My", "start_s": 1.2, "end_s": 1.44, "marks": ["cut"]}, ...]}

Times are seconds of the meeting's clock from its first tick. `kind` and `marks` are those of `transcript.Kind` and
`transcript.Mark`, in lower case; `speaker` is the interpreter where `kind` is `as_self`; a word with `"glued": true`
follows the one before without a space.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from interpreter.record.transcript import Cue, Kind, Mark, Word, plain

SCHEMA = "interpreter-transcript/1"
MAX_NAME_CHARACTERS = 60
INTERPRETER: Mapping[str, str] = MappingProxyType({"en": "Interpreter", "es": "Intérprete"})
"""Language -> whose voice speaks as itself; English for other languages."""

_LANGUAGE = re.compile(r"[a-z]{2,8}")
_UNDETERMINED = "und"  # BCP 47
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SRT_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""SubRip has no escapes, and players read `<i>` and `{\\an8}` as commands."""


def write_transcript(folder: Path, cues: Iterable[Cue], names: Mapping[str, str]) -> list[Path]:
    """Writes the files of all languages, each whole or not at all, readable by their owner alone.

    Args:
        folder: made when it is not there.
        cues: in order of time.
        names: participant id -> name; where there is none, the id.

    Returns:
        The files.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    by_language: dict[str, list[Cue]] = {}
    for cue in cues:
        by_language.setdefault(file_language(cue.language), []).append(cue)
    written = []
    for language, own in by_language.items():
        texts = {
            "vtt": web_vtt(own, names, language),
            "srt": sub_rip(own, names, language),
            "jsonl": json_lines(own, names, language),
        }
        for suffix, text in texts.items():
            path = folder / f"transcript.{language}.{suffix}"
            _replace(path, text)
            written.append(path)
    return written


def file_language(language: str) -> str:
    """`language` as part of a file's name: a primary tag, or `und` for what is none."""
    return language if _LANGUAGE.fullmatch(language) else _UNDETERMINED


def web_vtt(cues: Sequence[Cue], names: Mapping[str, str], language: str) -> str:
    """W3C WebVTT: a voice per cue with its kind and marks as classes, and the language of its text."""
    blocks = ["WEBVTT"]
    for cue in cues:
        classes = ".".join((cue.kind.value, *_mark_names(cue.marks)))
        voice = _name(cue, names, language).translate(_VTT_ESCAPES)
        text = "\n".join(cue.lines).translate(_VTT_ESCAPES)
        blocks.append(
            f"{cue.id + 1}\n{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n"
            f"<v.{classes} {voice}><lang {language}>{text}</lang></v>"
        )
    return "\n\n".join(blocks) + "\n"


def sub_rip(cues: Sequence[Cue], names: Mapping[str, str], language: str) -> str:
    """SubRip, with the speaker's name before the text; characters that players obey become others that look alike."""
    return "\n".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n"
        + f"{_name(cue, names, language)}: {chr(10).join(cue.lines)}\n".translate(_SRT_LOOKALIKES)
        for number, cue in enumerate(cues, 1)
    )


def json_lines(cues: Sequence[Cue], names: Mapping[str, str], language: str) -> str:
    """The schema of the module's beginning."""
    objects: list[Mapping[str, object]] = [{"schema": SCHEMA, "language": language}]
    objects += [_cue_object(cue, names, language) for cue in cues]
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def _cue_object(cue: Cue, names: Mapping[str, str], language: str) -> Mapping[str, object]:
    return {
        "id": cue.id,
        "start_s": round(cue.start_s, 3),
        "end_s": round(cue.end_s, 3),
        "kind": cue.kind.value,
        "speaker_id": plain(cue.direction.speaker_id),
        "speaker": _name(cue, names, language),
        "language_in": plain(cue.direction.language_in),
        "marks": _mark_names(cue.marks),
        "text": cue.text,
        "words": [_word_object(word) for word in cue.words],
    }


def _word_object(word: Word) -> Mapping[str, object]:
    return {
        "text": word.text,
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        **({"marks": _mark_names(word.marks)} if word.marks else {}),
        **({"glued": True} if word.glued else {}),
    }


def _mark_names(marks: Mark) -> list[str]:
    return [str(mark.name).lower() for mark in marks]


def _name(cue: Cue, names: Mapping[str, str], language: str) -> str:
    """Who speaks: one line, not empty, not endless."""
    if cue.kind is Kind.AS_SELF:
        return INTERPRETER.get(language, INTERPRETER["en"])
    speaker_id = cue.direction.speaker_id
    name = " ".join(plain(names.get(speaker_id, speaker_id)).split()) or "?"
    return name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…"


def _clock(seconds: float, point: str) -> str:
    """`01:02:03.456`; both formats allow more than two digits of hours."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def _replace(path: Path, text: str) -> None:
    """Writes a whole file in the place of what is there, or leaves that."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
