"""WebVTT, the captions of the web, with `<v Speaker>` before what somebody says -> a draft. Pure.

The form is in https://www.w3.org/TR/webvtt1/; notes, styles, regions and settings of cues are left out. Cues of one
speaker that follow one another closely are one turn.
"""

from __future__ import annotations

import html
import re

from interpreter.errors import ConfigError
from scenarios.importers.draft import Draft, DraftPerson, DraftTurn

_TIME = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d\.\d{3})"
_TIMING = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"<[^>]*>")

_NO_CUES = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")

_JOINED_S = 0.3
_NOBODY = "speaker"
"""Who speaks where nobody is named."""


def read_webvtt(text: str, *, name: str, licence: str, language: str = "en") -> Draft:
    """The draft of a file of captions.

    Args:
        text: of the file.
        name: of the file, without suffix.
        licence: under which it may be used.
        language: of all that is said.

    Raises:
        ConfigError: it is no WebVTT, or has no cues.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    head, *blocks = re.split(r"\n{2,}", lines.strip("\n"))
    if not re.fullmatch(r"WEBVTT(?:[ \t\n].*)?", head, re.DOTALL):
        raise ConfigError(f"{name}: expected WEBVTT in the first line, got another file")
    turns = _joined([turn for block in blocks for turn in _cue(block)])
    if not turns:
        raise ConfigError(f"{name}: expected cues, got none")
    return Draft(
        id=f"webvtt-{name}",
        title=name,
        origin=f"WebVTT {name}",
        licence=licence,
        language=language,
        people=tuple(DraftPerson(name=speaker) for speaker in dict.fromkeys(turn.by for turn in turns)),
        turns=tuple(turns),
        tags=("webvtt",),
    )


def _cue(block: str) -> list[DraftTurn]:
    """What is said in a block; nothing of one that is no cue."""
    lines = block.split("\n")
    timing = next((number for number, line in enumerate(lines[:2]) if "-->" in line), None)
    match = _TIMING.fullmatch(lines[timing]) if timing is not None else None
    if timing is None or match is None or _NO_CUES.match(block):
        return []
    start_s, end_s = _seconds(*match.groups()[:3]), _seconds(*match.groups()[3:])
    speaker, *parts = _VOICE.split("\n".join(lines[timing + 1 :]))
    said = [(_NOBODY, speaker), *zip(parts[::2], parts[1::2], strict=True)]
    texts = [(html.unescape(who), _plain(what)) for who, what in said]
    return [
        DraftTurn(by=" ".join(who.split()), text=what, start_s=start_s, end_s=end_s)
        for who, what in texts
        if what
    ]


def _joined(turns: list[DraftTurn]) -> list[DraftTurn]:
    joined: list[DraftTurn] = []
    for turn in sorted(turns, key=lambda one: one.start_s or 0.0):
        before = joined[-1] if joined else None
        if before is not None and before.by == turn.by and _gap_s(before, turn) <= _JOINED_S:
            joined[-1] = DraftTurn(
                by=turn.by, text=f"{before.text} {turn.text}", start_s=before.start_s, end_s=turn.end_s
            )
        else:
            joined.append(turn)
    return joined


def _gap_s(before: DraftTurn, turn: DraftTurn) -> float:
    return (turn.start_s or 0.0) - (before.end_s or 0.0)


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(seconds)
