"""What those at a console ask for: commands of the one table, those of a meeting and the console's own.

Whatever comes of it is a `Reply`: done, or why not, with a code for programs and words for people.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interpreter.commands.commands import Actor, Invocation, find_command, invoke
from interpreter.commands.replies import refusal, reply, reply_language
from interpreter.commands.table import COMMANDS
from interpreter.console.deltas import Json
from interpreter.console.desk import Desk, OpenRoom
from interpreter.console.protocol import Asked, Reply
from interpreter.console.snapshot import Note
from interpreter.directions import primary_language
from interpreter.errors import (
    BadArgument,
    CommandError,
    InterpreterError,
    NotAllowed,
    NothingExpected,
    StaleEdit,
    UnknownCommand,
)
from interpreter.identity.verify import Report, Verdict, verify
from interpreter.pcm16 import to_s16le
from interpreter.record.record import ATTESTATION_FILE, AUDIT_FILE
from interpreter.record.transcript_files import json_lines, sub_rip, web_vtt
from interpreter.roles.scripts import script
from interpreter.wav_file import wav_header
from webrtc.errors import WebRTCError

logger = logging.getLogger(__name__)

SAMPLE_S = 25.0
"""A sample that takes longer is given up."""

CODES: Mapping[type[CommandError], str] = {
    UnknownCommand: "unknown-command",
    NotAllowed: "not-allowed",
    BadArgument: "bad-argument",
    NothingExpected: "expect-needed",
    StaleEdit: "stale",
}

_FILE_NAME = re.compile(r"[^A-Za-z0-9-]+")
_MANY_LANGUAGES = "mul"  # BCP 47


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an errand."""

    key: str
    """Of the words in `replies`."""

    accepted: bool = True
    words: Mapping[str, object] | None = None
    result: Mapping[str, Json] | None = None
    code: str = ""
    """Where it is not just done or refused."""


async def carry_out(
    desk: Desk,
    room_id: str | None,
    asked: Sequence[Asked],
    actor: Actor,
    *,
    expect: int | None = None,
    language: str | None = None,
) -> Reply:
    """Does what somebody asks, all of it or nothing; the reply has no id.

    Args:
        desk: where they stand.
        room_id: which room it is about; None for none.
        asked: one command, or several that wait for a silence.
        actor: who asks; their standing is vouched for by the caller.
        expect: revision of the room that they looked at.
        language: in which they are answered.
    """
    room = desk.rooms.get(room_id or "")
    try:
        return await _carried_out(desk, room, room_id, asked, actor, expect, language)
    except CommandError as error:
        if room is not None:
            room.meeting.record.event("command.refused", actor=actor)
        spec = COMMANDS.get(asked[0].name) if len(asked) == 1 else None
        code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
        return _with_revision(
            Reply(
                id="",
                accepted=False,
                code=code,
                text=refusal(language, error, spec),
                language=reply_language(language),
            ),
            room,
        )


async def _carried_out(
    desk: Desk,
    room: OpenRoom | None,
    room_id: str | None,
    asked: Sequence[Asked],
    actor: Actor,
    expect: int | None,
    language: str | None,
) -> Reply:
    spec = find_command(asked[0].name, actor)
    alone = len(asked) == 1
    if alone and not spec.about_room and room_id is not None:
        raise BadArgument(f"expected no room for `{spec.name}`, got one")
    if room is None and (spec.about_room or not alone):
        text = "expected one of the rooms there are, got another" if room_id else "expected a room, got none"
        return Reply(id="", accepted=False, code="no-room", text=text)
    if room is not None and not (alone and spec.name in _FOR_ROOMS):
        answer = room.meeting.order([(one.name, one.arguments) for one in asked], actor, expect, language)
        code = "done" if answer.accepted else "refused"
        made = Reply(id="", accepted=answer.accepted, code=code, text=answer.text, language=answer.language)
        return _with_revision(made, room)
    people = {} if room is None else room.meeting.overview().people
    names = {who: one.name for who, one in people.items()}
    invocation = invoke(spec.name, asked[0].arguments, actor, names)
    if room is not None:
        room.meeting.record.command(invocation)
        outcome = await _FOR_ROOMS[spec.name](desk, room, invocation, language)
    else:
        logger.info("%s by %a (%s)", spec.audit_event, actor.name, actor.standing.words)
        outcome = await _FOR_NO_ROOM[spec.name](desk, invocation, language)
    return _with_revision(_reply(outcome, language), room)


def _reply(outcome: Outcome, language: str | None) -> Reply:
    return Reply(
        id="",
        accepted=outcome.accepted,
        code=outcome.code or ("done" if outcome.accepted else "refused"),
        text=reply(language, outcome.key, **(outcome.words or {})),
        language=reply_language(language),
        result=outcome.result,
    )


def _with_revision(made: Reply, room: OpenRoom | None) -> Reply:
    return made if room is None else replace(made, revision=room.meeting.revision)


# Errands about a room ---------------------------------------------------------------------------------------------


async def _note(desk: Desk, room: OpenRoom, asked: Invocation, language: str | None) -> Outcome:
    note = Note(
        n=room.notes.next_n,
        at=round(desk.wall_s(), 1),
        by=asked.actor.name,
        text=str(asked.arguments["text"]),
    )
    room.notes.add(note)
    if room.notes_file is not None:
        room.notes_file.write(json.dumps({"at": note.at, "by": note.by, "text": note.text}))
    return Outcome(key="note")


async def _preview(desk: Desk, room: OpenRoom, asked: Invocation, language: str | None) -> Outcome:
    voice = str(asked.arguments["name"])
    spoken = primary_language(str(asked.arguments.get("tag", "en"))) or "en"
    words = script(room.meeting.overview().role, "please_wait", spoken)
    refused = Outcome(key="no-sample", accepted=False, words={"voice": voice}, code="unavailable")
    try:
        async with asyncio.timeout(SAMPLE_S):
            pcm = await room.meeting.sample(voice, words.language, words.sentences[0])
    except TimeoutError:
        return refused
    if pcm is None or not pcm.size:
        return refused
    samples = to_s16le(pcm)
    sound = base64.b64encode(wav_header(len(samples)) + samples).decode()
    result: dict[str, Json] = {
        "kind": "sound",
        "name": f"{voice}.wav",
        "content_type": "audio/wav",
        "base64": sound,
    }
    return Outcome(key="preview-voice", words={"voice": voice}, result=result)


async def _export(desk: Desk, room: OpenRoom, asked: Invocation, language: str | None) -> Outcome:
    chosen = str(asked.arguments["format"])
    tag = asked.arguments.get("tag")
    text = await _text_of(room, chosen, None if tag is None else primary_language(str(tag)))
    if text is None:
        return Outcome(key="export-nothing", accepted=False)
    suffix, content_type = _FILES[chosen]
    stem = _FILE_NAME.sub("-", room.name).strip("-").lower() or "meeting"
    result: dict[str, Json] = {
        "kind": "file",
        "name": f"{stem}{suffix}",
        "content_type": content_type,
        "text": text,
    }
    return Outcome(key="export", result=result)


_FILES: Mapping[str, tuple[str, str]] = {
    "vtt": (".vtt", "text/vtt"),
    "srt": (".srt", "application/x-subrip"),
    "jsonl": (".jsonl", "application/jsonl"),
    "notes": ("-notes.txt", "text/plain"),
    "audit": ("-audit.jsonl", "application/jsonl"),
    "attest": ("-attest.jsonl", "application/jsonl"),
}


async def _text_of(room: OpenRoom, chosen: str, language: str | None) -> str | None:
    """The text of an export; None where nothing of that kind is kept."""
    record = room.meeting.record
    if chosen == "notes":
        return "".join(f"{_clock(note.at)} {note.by}: {note.text}\n" for note in room.notes.items)
    if chosen == "audit":
        lines = await _lines_of(record.folder, AUDIT_FILE)
        return lines or "".join(f"{line}\n" for line in record.audit.lines)
    if chosen == "attest":
        return await _lines_of(record.folder, ATTESTATION_FILE) or None
    if record.keep == "nothing":
        return None
    cues = [cue for cue in record.transcript.cues() if language in (None, cue.language)]
    write = {"vtt": web_vtt, "srt": sub_rip, "jsonl": json_lines}[chosen]
    return write(cues, room.meeting.names, language or _MANY_LANGUAGES)


async def _lines_of(folder: Path | None, name: str) -> str:
    """A file that is being written, as far as it is."""
    if folder is None:
        return ""
    try:
        return await asyncio.to_thread((folder / name).read_text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        logger.error("%s cannot be read: %s", name, type(error).__name__)
        return ""


async def _invite(desk: Desk, room: OpenRoom, asked: Invocation, language: str | None) -> Outcome:
    if room.invite is None:
        return Outcome(key="no-invite", accepted=False)
    return Outcome(key="invite", result={"kind": "link", "url": room.invite()})


async def _verify(desk: Desk, room: OpenRoom, asked: Invocation, language: str | None) -> Outcome:
    lines: list[Json] = []
    whole = True
    for name in (ATTESTATION_FILE, AUDIT_FILE):
        text = await _lines_of(room.meeting.record.folder, name)
        if text:
            data = [line.encode() for line in text.splitlines(keepends=True)]
            report = await asyncio.to_thread(verify, data)
            whole = whole and report.verdict is not Verdict.FAILED
            lines.append(_verdict(name, report))
    if not lines:
        return Outcome(key="verify-nothing", accepted=False)
    result: dict[str, Json] = {"kind": "verdict", "ok": whole, "lines": lines}
    return Outcome(key="verify-whole" if whole else "verify-failed", result=result)


def _verdict(name: str, report: Report) -> str:
    """A file that is still being written is never whole: what is there is as it was written, or not."""
    if report.verdict is Verdict.FAILED:
        first = report.faults[0] if report.faults else None
        where = f"line {first.line}: {first.words}" if first is not None else "no fault was named"
        return f"{name}: {report.lines} lines, {report.faults_total} faults; {where}"
    return f"{name}: {report.lines} lines, as they were written"


async def _leave(desk: Desk, room: OpenRoom, asked: Invocation, language: str | None) -> Outcome:
    if room.leave is None:
        return Outcome(key="no-leave", accepted=False)
    room.leave()
    return Outcome(key="leave")


# Errands about no room --------------------------------------------------------------------------------------------


async def _join(desk: Desk, asked: Invocation, language: str | None) -> Outcome:
    if desk.join is None:
        return Outcome(key="no-join", accepted=False, code="unavailable")
    try:
        await desk.join(str(asked.arguments["url"]))
    except (InterpreterError, WebRTCError) as error:
        return Outcome(key="not-joined", accepted=False, words={"reason": str(error)})
    return Outcome(key="join")


async def _scenario(desk: Desk, asked: Invocation, language: str | None) -> Outcome:
    page = desk.pages.get("scenarios")
    if page is None or "run" not in page.actions:
        return Outcome(key="no-scenarios", accepted=False, code="unavailable")
    answer = await page.act("run", {"name": str(asked.arguments["name"])}, asked.actor)
    key = "scenario" if answer.accepted else "no-scenarios"
    return Outcome(key=key, accepted=answer.accepted, result=answer.result)


_ForRoom = Callable[[Desk, OpenRoom, Invocation, str | None], Awaitable[Outcome]]
_ForNoRoom = Callable[[Desk, Invocation, str | None], Awaitable[Outcome]]

_FOR_ROOMS: Mapping[str, _ForRoom] = {
    "note": _note,
    "preview-voice": _preview,
    "export": _export,
    "invite": _invite,
    "verify": _verify,
    "leave": _leave,
}
_FOR_NO_ROOM: Mapping[str, _ForNoRoom] = {"join": _join, "scenario": _scenario}


def _clock(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(unix_s))
