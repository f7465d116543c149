"""What is asked at a console beyond a meeting's own commands: notes, exports, samples, links, records, rooms."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from duplex_model.contract import SayCapability
from interpreter.commands.commands import Actor
from interpreter.commands.table import EXPORTS, Standing
from interpreter.console.deltas import Json
from interpreter.console.pages import PageAnswer
from interpreter.errors import BadArgument, ConfigError
from interpreter.record.record import RecordSettings
from tests.interpreter.console.console_stage import ADMIN, OPERATOR, VIEWER, Consoles, console
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ, NOTICE_FRAMES


async def talk(at: Consoles) -> None:
    at.stage.join("ana", "es", ANA_HZ, speaking=True)
    at.stage.join("ben", "en", BEN_HZ)
    at.stage.say("es", "en", "I am allergic")
    await at.stage.seconds(1.0)


# Exports --------------------------------------------------------------------------------------------------------------


async def test_everything_that_is_kept_can_be_given_out(tmp_path: Path) -> None:
    record = RecordSettings(keep="text", folder=tmp_path)
    async with console(record=record) as at:
        await talk(at)
        await at.command("note", text="Ana hears badly")
        files = {}
        for chosen in EXPORTS:
            status, reply = await at.command("export", format=chosen)
            assert status == 200, chosen
            files[chosen] = reply["result"]
        assert files["vtt"]["name"] == "clinic.vtt"
        assert files["vtt"]["content_type"] == "text/vtt"
        assert files["vtt"]["text"].startswith("WEBVTT")
        assert "I am allergic" in files["vtt"]["text"]
        assert "-->" in files["srt"]["text"]
        head, *cues = [json.loads(line) for line in files["jsonl"]["text"].splitlines()]
        assert head["language"] == "mul"
        assert [cue["text"] for cue in cues] == ["I am allergic"]
        assert files["notes"]["text"].endswith("Eva: Ana hears badly\n")
        audit = [json.loads(line)["record"] for line in files["audit"]["text"].splitlines()]
        assert [one["event"] for one in audit if one.get("actor") == "Eva"][:2] == [
            "operator.note",
            "transcript.exported",
        ]
        assert json.loads(files["attest"]["text"].splitlines()[0])
        _, spanish = await at.command("export", format="vtt", tag="es")
        assert "allergic" not in spanish["result"]["text"]
        folder = at.stage.meeting.record.folder
        assert folder is not None
        assert json.loads((folder / "notes.jsonl").read_text())["text"] == "Ana hears badly"


async def test_where_nothing_is_kept_nothing_is_given_out_but_what_nobody_said() -> None:
    async with console() as at:
        await talk(at)
        for chosen in ("vtt", "srt", "jsonl", "attest"):
            status, reply = await at.command("export", format=chosen)
            assert (status, reply["code"]) == (409, "refused"), chosen
            assert "result" not in reply
        _, audit = await at.command("export", format="audit")
        assert "allergic" not in audit["result"]["text"]
        assert len(audit["result"]["text"].splitlines()) > 2
        _, notes = await at.command("export", format="notes")
        assert notes["result"]["text"] == ""


def everything_in(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


async def test_notes_are_not_in_the_audit_log_and_not_on_disk_where_no_text_is_kept(tmp_path: Path) -> None:
    async with console(record=RecordSettings(folder=tmp_path)) as at:
        await at.command("note", text="CANARY")
        assert "CANARY" not in everything_in(tmp_path)
        assert at.desk.notes(at.room.id).notes[0].text == "CANARY"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["../../etc/passwd", "Sala <b>1</b>", "", "診察室"])
async def test_a_file_s_name_is_plain_whatever_the_room_is_called(name: str) -> None:
    async with console() as at:
        at.room.name = name
        _, reply = await at.command("export", format="notes")
        assert reply["result"]["name"] in (
            "etc-passwd-notes.txt",
            "sala-b-1-b-notes.txt",
            "meeting-notes.txt",
        )


# Records --------------------------------------------------------------------------------------------------------------


async def test_records_are_checked_as_far_as_they_are_written(tmp_path: Path) -> None:
    async with console(record=RecordSettings(folder=tmp_path)) as at:
        await talk(at)
        await at.stage.seconds(3.0)
        status, reply = await at.command("verify")
        assert (status, reply["result"]["ok"]) == (200, True)
        assert [line.partition(":")[0] for line in reply["result"]["lines"]] == [
            "attest.jsonl",
            "audit.jsonl",
        ]
        folder = at.stage.meeting.record.folder
        assert folder is not None
        text = (folder / "audit.jsonl").read_text()
        (folder / "audit.jsonl").write_text(text.replace("record.verified", "record.verifies"))
        status, reply = await at.command("verify")
        assert (status, reply["accepted"], reply["result"]["ok"]) == (200, True, False)
        assert "faults" in reply["result"]["lines"][1]


async def test_there_may_be_no_records() -> None:
    async with console() as at:
        status, reply = await at.command("verify")
        assert (status, reply["text"]) == (409, "There are no signed records of this meeting.")


# Voices ---------------------------------------------------------------------------------------------------------------

SAYS: dict[str, Any] = {
    "say": SayCapability.TRAINED,
    "voices": {"clara": "ab" * 32},
    "voice_prompt": True,
    "languages": {"es": frozenset({"en"}), "en": frozenset({"es"})},
}


async def ticking(at: Consoles, task: asyncio.Task[Any]) -> Any:
    for _ in range(500):
        if task.done():
            break
        await at.stage.ticks(1)
        await asyncio.sleep(0.001)
    return await task


async def test_a_voice_can_be_listened_to_in_a_language() -> None:
    async with console(**SAYS) as at:
        assert at.desk.house().voices["clara"].preview
        asking = asyncio.create_task(at.command("preview-voice", name="clara", tag="es"))
        status, reply = await ticking(at, asking)
        assert (status, reply["text"]) == (200, "Here is a sample of clara.")
        with wave.open(io.BytesIO(base64.b64decode(reply["result"]["base64"]))) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
            assert sound.getnframes() >= NOTICE_FRAMES * 1_920
        prompts = [session.prompt for session in at.stage.engine.opened]
        assert [(one.voice, one.language_in, one.language_out) for one in prompts] == [("clara", "en", "es")]


async def test_a_sample_waits_for_nobody_and_takes_nobody_s_lane() -> None:
    async with console(lanes=2, **SAYS) as at:
        await talk(at)
        status, reply = await at.command("preview-voice", name="clara")
        assert (status, reply["code"]) == (503, "unavailable")
        assert "no engine can speak it now" in reply["text"]
        assert len(at.stage.engine.opened) == 2


@pytest.mark.parametrize("voice", ["nobody", "clara"])
async def test_a_voice_that_no_engine_says_texts_with_has_no_sample(voice: str) -> None:
    async with console(voices={"clara": "ab" * 32}) as at:
        assert not at.desk.house().voices["clara"].preview
        assert (await at.command("preview-voice", name=voice))[0] == 503


# Rooms ----------------------------------------------------------------------------------------------------------------


async def test_the_room_s_link_is_for_operators_and_in_no_state() -> None:
    async with console() as at:
        status, reply = await at.command("invite")
        assert (status, reply["result"]) == (
            200,
            {"kind": "link", "url": "https://meet.example.org/r/secret"},
        )
        assert (await at.command("invite", who=VIEWER))[0] == 403
        for path in ("/api/house", f"/api/rooms/{at.room.id}"):
            assert "secret" not in json.dumps((await at.call("GET", path))[1])
        assert not any("secret" in line for line in at.stage.meeting.record.audit.lines)


async def test_a_room_may_have_no_link_and_no_way_out() -> None:
    async with console(invite=False) as at:
        assert (await at.command("invite"))[0] == 409
        at.room.leave = None
        assert (await at.command("leave"))[0] == 409


async def test_joining_goes_where_it_is_asked_to_and_says_why_not(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    async def join(url: str) -> None:
        asked.append(url)
        if "bad" in url:
            raise ConfigError("expected the address of a meeting that begins with https://, got 'bad'")

    async with console(join=join) as at:
        assert at.desk.house().can_join
        body = {"arguments": {"url": "https://meet.example.org/ward?jwt=secret"}}
        status, reply, _ = await at.call("POST", "/api/commands/join", OPERATOR, body)
        assert (status, reply["text"]) == (200, "The interpreter goes into the room.")
        assert asked == ["https://meet.example.org/ward?jwt=secret"]
        status, reply, _ = await at.call(
            "POST", "/api/commands/join", OPERATOR, {"arguments": {"url": "bad"}}
        )
        assert (status, reply["code"]) == (409, "refused")
        assert "begins with https://" in reply["text"]
        assert (await at.call("POST", "/api/commands/join", VIEWER, body))[0] == 403
        assert "secret" not in caplog.text
        eva = await at.open()
        assert (await eva.give(None, "join", url="https://meet.example.org/x"))["accepted"]


async def test_a_process_may_go_into_no_further_rooms() -> None:
    async with console() as at:
        assert not at.desk.house().can_join
        body = {"arguments": {"url": "https://meet.example.org/x"}}
        status, reply, _ = await at.call("POST", "/api/commands/join", OPERATOR, body)
        assert (status, reply["code"]) == (503, "unavailable")


# Further pages --------------------------------------------------------------------------------------------------------


class FakePages:
    """A further page that counts."""

    titles: Mapping[str, str] = {"en": "Counter"}
    actions: Mapping[str, Standing] = {"count": Standing.OPERATOR, "run": Standing.ADMIN}
    sees = Standing.VIEWER

    def __init__(self, folder: Path) -> None:
        self.static = folder
        self.entered = 0
        self.counted = 0
        self.done: list[tuple[str, Mapping[str, Json], str]] = []

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered -= 1

    def state(self) -> object:
        return {"counted": self.counted}

    async def act(self, action: str, arguments: Mapping[str, Json], actor: Actor) -> PageAnswer:
        if arguments.get("by") == 0:
            raise BadArgument("expected another number than 0")
        self.counted += 1
        self.done.append((action, arguments, actor.name))
        return PageAnswer(accepted=True, text="Counted.", result={"counted": self.counted})

    def file(self, path: str) -> Path | None:
        return self.static / "report.html" if path == "runs/report.html" else None


@pytest.fixture
def page(tmp_path: Path) -> FakePages:
    (tmp_path / "page.js").write_text("export {};")
    (tmp_path / "report.html").write_text("<p>fine</p>")
    return FakePages(tmp_path)


@pytest.mark.slow
async def test_a_further_page_is_served_seen_and_acted_on(page: FakePages) -> None:
    async with console(pages={"scenarios": page}) as at:
        assert page.entered == 1
        eva = await at.open()
        offered = eva.states["house"]["pages"]["scenarios"]
        assert offered == {"titles": {"en": "Counter"}, "module": "/pages/scenarios/page.js"}
        status, text, headers = await at.call("GET", offered["module"], None)
        assert (status, text) == (200, "export {};")
        assert "javascript" in headers["Content-Type"], "browsers take modules of no other type"
        await eva.send("sync", topic="page/scenarios")
        await eva.until("snapshot")
        assert eva.states["page/scenarios"] == {"counted": 0}
        path = "/api/pages/scenarios/count"
        status, reply, _ = await at.call("POST", path, OPERATOR, {"arguments": {"by": 1}})
        assert (status, reply["text"], reply["result"]) == (200, "Counted.", {"counted": 1})
        while eva.states["page/scenarios"] != {"counted": 1}:
            await eva.read()
        assert page.done == [("count", {"by": 1}, "Eva")]
        assert (await at.call("POST", path, VIEWER, {}))[0] == 403
        assert (await at.call("POST", "/api/pages/scenarios/run", OPERATOR, {}))[0] == 403
        status, reply, _ = await at.call("POST", path, OPERATOR, {"arguments": {"by": 0}})
        assert (status, reply["text"]) == (400, "expected another number than 0")
        assert (await at.call("GET", "/api/pages/scenarios", VIEWER))[1] == {"counted": 1}
        assert (await at.call("GET", "/api/pages/scenarios/files/runs/report.html", VIEWER))[
            1
        ] == "<p>fine</p>"
        assert (await at.call("GET", "/api/pages/scenarios/files/other.html", VIEWER))[0] == 404
    assert page.entered == 0


async def test_scenarios_are_run_by_their_page(page: FakePages) -> None:
    async with console(pages={"scenarios": page}) as at:
        body = {"arguments": {"name": "dose-simple"}}
        status, reply, _ = await at.call("POST", "/api/commands/scenario", ADMIN, body)
        assert (status, reply["text"]) == (200, "The scenario is being run.")
        assert page.done == [("run", {"name": "dose-simple"}, "Ada")]
        assert (await at.call("POST", "/api/commands/scenario", OPERATOR, body))[0] == 403
    async with console() as at:
        assert (await at.call("POST", "/api/commands/scenario", ADMIN, body))[0] == 503


async def test_a_page_that_is_not_for_everybody(page: FakePages) -> None:
    page.sees = Standing.ADMIN
    async with console(pages={"scenarios": page}) as at:
        assert (await at.call("GET", "/api/pages/scenarios", OPERATOR))[0] == 403
        assert (await at.call("GET", "/api/pages/scenarios/files/runs/report.html", OPERATOR))[0] == 403
        assert (await at.call("GET", "/api/pages/scenarios", ADMIN))[0] == 200
        eva = await at.open()
        await eva.send("sync", topic="page/scenarios")
        assert (await eva.until("gone"))["topic"] == "page/scenarios"
