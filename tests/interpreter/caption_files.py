"""Strict readers of caption files, written from the standards: they refuse what a lenient player would forgive."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VTT_TIMES = re.compile(
    r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3}) --> (?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
)
_SRT_TIMES = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d),(\d{3})")
_TOKEN = re.compile(r"<([^<>\n]*)>|&(amp|lt|gt|nbsp|lrm|rlm);|([^<>&])")
_START_TAG = re.compile(r"(c|i|b|u|v|lang)((?:\.[^\s.<>&]+)*)(?: ([^\n>]+))?")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "nbsp": "\u00a0", "lrm": "\u200e", "rlm": "\u200f"}


@dataclass(frozen=True)
class VttCue:
    id: str
    start_s: float
    end_s: float
    text: str
    voice: str
    classes: tuple[str, ...]
    language: str


def read_vtt(content: str) -> list[VttCue]:
    """W3C WebVTT section 4 (syntax), for files whose cues are one voice in one language."""
    assert "\r" not in content
    assert "\0" not in content
    assert content.endswith("\n")
    blocks = content.removesuffix("\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    cues = []
    for block in blocks[1:]:
        name, times, *payload = block.split("\n")
        assert "-->" not in name
        assert name
        found = _VTT_TIMES.fullmatch(times)
        assert found is not None, times
        start_s, end_s = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
        assert end_s > start_s
        assert payload
        assert all(payload)
        text, spans = _cue_text("\n".join(payload))
        (classes, voice), (_, language) = spans["v"], spans["lang"]
        cues.append(VttCue(name, start_s, end_s, text, voice, classes, language))
    assert [cue.start_s for cue in cues] == sorted(cue.start_s for cue in cues)
    assert len({cue.id for cue in cues}) == len(cues)
    return cues


def _cue_text(payload: str) -> tuple[str, dict[str, tuple[tuple[str, ...], str]]]:
    assert "-->" not in payload
    text, at, open_tags = "", 0, []
    spans: dict[str, tuple[tuple[str, ...], str]] = {}
    while at < len(payload):
        found = _TOKEN.match(payload, at)
        assert found is not None, f"not allowed here: {payload[at : at + 10]!r}"
        at = found.end()
        tag, entity, character = found.groups()
        if tag is None:
            text += _ENTITIES[entity] if entity else character
        elif tag.startswith("/"):
            assert open_tags.pop() == tag[1:]
        else:
            start = _START_TAG.fullmatch(tag)
            assert start is not None, tag
            kind, classes, annotation = start.groups()
            assert (annotation is not None) == (kind in ("v", "lang"))
            open_tags.append(kind)
            spans[kind] = tuple(classes.split(".")[1:]), _unescaped(annotation or "")
    assert not open_tags
    return text, spans


def _unescaped(annotation: str) -> str:
    unescaped, at = "", 0
    while at < len(annotation):
        found = _TOKEN.match(annotation, at)
        assert found is not None
        assert found[1] is None
        unescaped += _ENTITIES[found[2]] if found[2] else found[3]
        at = found.end()
    return unescaped


@dataclass(frozen=True)
class SrtCue:
    start_s: float
    end_s: float
    lines: tuple[str, ...]


def read_srt(content: str) -> list[SrtCue]:
    cues = []
    for number, block in enumerate(content.removesuffix("\n").split("\n\n"), 1):
        index, times, *lines = block.split("\n")
        assert index == str(number)
        found = _SRT_TIMES.fullmatch(times)
        assert found is not None, times
        assert lines
        assert all(lines)
        assert not any(character in line for line in lines for character in "<>{}")
        cues.append(SrtCue(_seconds(found.groups()[:4]), _seconds(found.groups()[4:]), tuple(lines)))
    return cues


def _seconds(fields: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, milliseconds = (int(field or 0) for field in fields)
    return ((hours * 60 + minutes) * 60 + seconds) + milliseconds / 1000
