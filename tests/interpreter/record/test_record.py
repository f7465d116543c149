"""What is kept of a meeting: nothing that was said unless its configuration says so, and then as it was attested."""

from __future__ import annotations

import json
import threading
import wave
from contextlib import redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duplex_model.contract import StepOutput, StepTiming
from interpreter.__main__ import main
from interpreter.commands.commands import Actor, invoke
from interpreter.commands.table import Standing
from interpreter.directions import Direction
from interpreter.floor.floor import FloorEvent, FloorEventKind, Played
from interpreter.identity.passport import DirectionClaim, RoleClaim
from interpreter.identity.verify import Verdict, verify
from interpreter.record.cost import Price
from interpreter.record.record import ATTESTATION_FILE, AUDIT_FILE, Record, RecordSettings, counters_of
from tests.fakes import FakeRoom, tone
from tests.interpreter.identity.sealed import KEY
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ, CAT_HZ, EN_HZ, Stage, stage
from webrtc.room import Attestation, RoomMessage, Stored

CANARY = "zqxcanary"
ANA_EN = Direction("ana", "es", "en")
ROLE = RoleClaim(name="test-role", checksum="ab" * 32)


async def held(keep: str, folder: Path | None, **changes: Any) -> tuple[Path | None, list[str]]:
    """A meeting in which something is said, heard and asked: where it was kept, and what pages were attested."""
    record = RecordSettings(keep=keep, folder=folder, key=KEY, **changes)  # type: ignore[arg-type]
    async with stage(record=record, transcribes=frozenset({"es", "en"}), transcribe=True) as h:
        h.join("ana", "es", ANA_HZ, speaking=True)
        h.join("ben", "en", BEN_HZ)
        await h.ticks(5)
        h.say("es", "es", [f" {CANARY}", " heard"])
        h.say("es", "en", f"{CANARY} said aloud")
        h.say("en", "es", [" hoy", "", " sí"])
        await h.ticks(10)
        h.order("glossary-add", direction="es>en", term=CANARY, translation=CANARY)
        await h.ask("ana", "human")
        h.join("cat", "en", CAT_HZ)
        await h.ticks(30)
        h.room.leave("cat")
        h.order("mode", mode="captions")
        h.mouths["ana"].speaking = False
        await h.seconds(2.0)
        h.say("es", "en", f"{CANARY} read only")
        await h.seconds(2.0)
        assert CANARY in " ".join(h.read("ben"))
        return h.meeting._record.folder, attested(h, "ben")


def attested(h: Stage, who: str) -> list[str]:
    return [one.line for one in h.room.told[who] if isinstance(one, Attestation)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def only(folder: Path) -> Path:
    """The one meeting that is kept."""
    [meeting] = folder.iterdir()
    return meeting


def verified(*arguments: object) -> tuple[int, str]:
    """What `interpreter verify` says."""
    out = StringIO()
    with redirect_stdout(out):
        code = main(["verify", *map(str, arguments)])
    return code, out.getvalue()


async def test_a_meeting_that_keeps_nothing_leaves_no_word_in_any_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    folder, _ = await held("nothing", tmp_path)
    assert folder is not None
    kept = files(tmp_path)
    assert {Path(name).name for name in kept} == {ATTESTATION_FILE, AUDIT_FILE}
    for name, data in kept.items():
        assert CANARY.encode() not in data, name
        assert b"said aloud" not in data
    assert CANARY not in caplog.text
    head = json.loads(kept[f"{folder.name}/{ATTESTATION_FILE}"].splitlines()[0])["record"]
    assert "salt" not in json.dumps(head) or head.get("salt") is None, "nobody can try texts on its hashes"


async def test_a_meeting_without_a_folder_writes_nothing_and_attests_to_pages_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, lines = await held("nothing", None)
    assert folder is None
    assert files(tmp_path) == {}
    report = verify([line.encode() + b"\n" for line in lines])
    assert report.faults == ()
    assert {chain.direction for chain in report.chains} >= {ANA_EN, Direction("ben", "en", "es")}


async def test_a_transcript_holds_what_was_said_heard_and_only_read(tmp_path: Path) -> None:
    folder, _ = await held("text", tmp_path)
    assert folder is not None
    kept = files(folder)
    assert set(kept) == {
        ATTESTATION_FILE,
        AUDIT_FILE,
        *(f"transcript.{language}.{kind}" for language in ("en", "es") for kind in ("vtt", "srt", "jsonl")),
    }
    for kind in ("vtt", "srt", "jsonl"):
        english = kept[f"transcript.en.{kind}"].decode()
        assert f"{CANARY} said aloud" in english.replace("\n", " ") or kind == "jsonl"
        assert "Ana" in english
    spanish = kept["transcript.es.vtt"].decode()
    assert f"{CANARY} heard" in spanish
    cues = [json.loads(line) for line in kept["transcript.en.jsonl"].decode().splitlines()[1:]]
    marks = {cue["text"]: cue["marks"] for cue in cues}
    assert marks[f"{CANARY} said aloud"] == []
    assert marks[f"{CANARY} read only"] == ["captions_only"]
    assert CANARY not in kept[AUDIT_FILE].decode()
    assert CANARY not in kept[ATTESTATION_FILE].decode()


async def test_the_sound_that_is_kept_is_the_sound_that_was_attested(tmp_path: Path) -> None:
    folder, _ = await held("audio", tmp_path)
    assert folder is not None
    index = json.loads((folder / "sound" / "tracks.json").read_text())
    assert index["state"] == "complete"
    tracks = {
        (one["speaker_id"], one["rendering"] and one["rendering"]["language_out"]): one["file"]
        for one in index["tracks"]
    }
    assert {("ana", None), ("ana", "en"), ("ben", "es")} <= tracks.keys()
    wavs = sorted((folder / "sound").glob("*rendering*.wav"))
    code, words = verified(folder / ATTESTATION_FILE, "--audio", *wavs)
    assert code == 0, words
    assert "Verdict: verified" in words
    assert verified(folder / AUDIT_FILE)[0] == 0
    rendering = folder / "sound" / tracks["ana", "en"]
    data = bytearray(rendering.read_bytes())
    loud = data.index(b"data") + 8 + 2 * 1_920 * 20
    data[loud] ^= 1
    rendering.write_bytes(data)
    code, words = verified(folder / ATTESTATION_FILE, "--audio", *wavs)
    assert code == 1
    assert "Verdict: failed" in words


async def test_both_chains_end_and_their_last_line_reaches_the_pages_on_the_meeting_s_own_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_on: set[int] = set()
    lines: list[str] = []
    tell = FakeRoom.tell

    def noting(room: FakeRoom, participant_id: str, message: RoomMessage) -> None:
        told_on.add(threading.get_ident())
        tell(room, participant_id, message)

    monkeypatch.setattr(FakeRoom, "tell", noting)
    async with stage(record=RecordSettings(folder=tmp_path, key=KEY)) as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "en", BEN_HZ)
        await h.seconds(3.0)
    lines = attested(h, "ben")
    folder = only(tmp_path)
    assert lines == (folder / ATTESTATION_FILE).read_text().splitlines()
    for name in (ATTESTATION_FILE, AUDIT_FILE):
        report = verify((folder / name).read_bytes().splitlines(keepends=True))
        assert (report.verdict, report.ended) == (Verdict.VERIFIED, True)
    assert told_on == {threading.get_ident()}


async def test_who_joins_later_can_check_every_line_from_then_on() -> None:
    async with stage() as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "en", BEN_HZ)
        await h.seconds(5.0)
        h.join("cat", "en", CAT_HZ)
        await h.seconds(5.0)
        lines = attested(h, "cat")
    assert json.loads(lines[0])["record"]["kind"] == "attestation"
    assert verify([line.encode() + b"\n" for line in [lines[0]]]).faults == ()


async def test_an_opted_out_track_is_not_recorded_from_that_tick_on(tmp_path: Path) -> None:
    async with stage(record=RecordSettings(keep="audio", folder=tmp_path, key=KEY)) as h:
        h.join("ana", "es", ANA_HZ, speaking=True)
        h.join("ben", "en", BEN_HZ, speaking=True)
        await h.ticks(10)
        await h.ask("ana", "optout")
        await h.ticks(20)
        tick_of_order = h.room.ears["ben"].ticks[9]
    folder = only(tmp_path)
    index = json.loads((folder / "sound" / "tracks.json").read_text())
    samples = {}
    for one in index["tracks"]:
        with wave.open(str(folder / "sound" / one["file"])) as file:
            data = file.readframes(file.getnframes())
        samples[one["speaker_id"], one["rendering"] is None] = np.frombuffer(data, dtype="<i2")
    until = (tick_of_order + 1 - index["first_tick"]) * 1_920
    assert samples["ana", True][: until - 1_920].any()
    assert not samples["ana", True][until:].any()
    assert samples["ben", True][until:].any()


# The record alone -----------------------------------------------------------------------------------------------------


def alone(settings: RecordSettings, lines: list[str] | None = None) -> Record:
    return Record(
        settings,
        room="room",
        first_tick=100,
        role=ROLE,
        now_s=10.0,
        wall_s=lambda: 1_000.0,
        attest=(lines if lines is not None else []).append,
    )


def test_what_people_must_be_told_is_what_is_kept(tmp_path: Path) -> None:
    assert RecordSettings().stored == frozenset()
    assert RecordSettings(folder=tmp_path).stored == {Stored.IDENTITY, Stored.AUDIT}
    text = RecordSettings(folder=tmp_path, keep="text")
    assert text.stored == {Stored.IDENTITY, Stored.AUDIT, Stored.TRANSCRIPT}
    assert RecordSettings(folder=tmp_path, keep="audio").stored == set(Stored)


@pytest.mark.parametrize("keep", ["text", "audio"])
def test_something_cannot_be_kept_nowhere(keep: str) -> None:
    with pytest.raises(ValueError, match=f"expected a folder to keep {keep} in, got none"):
        RecordSettings(keep=keep)  # type: ignore[arg-type]


def test_the_folder_of_a_meeting_is_its_owner_s_alone(tmp_path: Path) -> None:
    record = alone(RecordSettings(folder=tmp_path))
    record.close({})
    assert record.folder is not None
    assert record.folder.stat().st_mode & 0o077 == 0


def test_two_meetings_have_two_folders(tmp_path: Path) -> None:
    first, second = alone(RecordSettings(folder=tmp_path)), alone(RecordSettings(folder=tmp_path))
    assert first.folder != second.folder
    assert first.meeting_id != second.meeting_id
    for record in (first, second):
        record.close({})


def event(kind: FloorEventKind) -> FloorEvent:
    return FloorEvent(kind=kind, at_s=0.0)


def test_what_happens_on_a_floor_is_counted() -> None:
    kinds = ["ducked", "ducked", "restored", "cut", "goes_on", "lost"]
    counted = counters_of([event(FloorEventKind(kind)) for kind in kinds], 3)
    assert (counted.yields, counted.cuts, counted.resumes, counted.operator_actions) == (2, 1, 1, 3)


def test_the_acts_of_hosts_are_counted_once_in_each_direction_and_those_of_participants_are_not() -> None:
    lines: list[str] = []
    record = alone(RecordSettings(key=KEY), lines)
    claim = DirectionClaim(
        language_in="es", language_out="en", checkpoint="puppet", licence="ours", role=ROLE
    )
    record.serve({ANA_EN: claim})
    for standing in (Standing.PARTICIPANT, Standing.HOST):
        record.command(invoke("who", {}, Actor(name="x", standing=standing), {}))
    for tick in range(100, 150):
        record.played(ANA_EN, tick, Played(pcm=tone(EN_HZ)))
    record.end()
    windows = [json.loads(line)["record"] for line in lines]
    counted = [one["counters"]["operator_actions"] for one in windows if one["kind"] == "window"]
    assert counted[0] == 1
    assert sum(counted) == 1


def test_cost_counts_steps_and_what_sounded() -> None:
    record = alone(RecordSettings(price=Price(per_gpu_hour=Decimal(36), currency="EUR")))
    for n in range(10):
        timing = StepTiming(received_s=n, started_s=float(n), finished_s=n + 0.01)
        record.stepped(ANA_EN, StepOutput(pcm=tone(EN_HZ), text="", timing=timing))
        record.played(ANA_EN, 100 + n, Played(pcm=tone(EN_HZ) if n < 5 else 0.0 * tone(EN_HZ)))
    cost = record.cost(70.0)
    assert cost.engine_s == pytest.approx(0.1)
    assert cost.interpreted_s == pytest.approx(5 * 0.08)
    assert cost.elapsed_s == 60.0
    assert cost.money is not None
    assert float(cost.money) == pytest.approx(0.001)
    assert cost.directions[ANA_EN].served_s == pytest.approx(0.8)
    record.close({})


def test_a_disk_that_refuses_the_transcript_does_not_keep_the_chains_from_ending(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = alone(RecordSettings(keep="text", folder=tmp_path, key=KEY))
    record.transcript.add(ANA_EN, 101, " word")
    assert record.folder is not None
    (record.folder / "transcript.en.vtt").mkdir()
    record.end()
    assert record.close({}) == ()
    assert "could not be written" in caplog.text
    assert verify((record.folder / AUDIT_FILE).read_bytes().splitlines(keepends=True)).ended


@pytest.mark.parametrize(
    "disturbance", ["role", "leave", "optout", "language", "failure", "captions", "late"]
)
async def test_sound_and_chain_agree_whatever_happens_in_the_middle_of_a_sentence(
    tmp_path: Path, disturbance: str
) -> None:
    async with stage(record=RecordSettings(keep="audio", folder=tmp_path, key=KEY)) as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "en", BEN_HZ)
        await h.seconds(3.0)
        h.say("es", "en", [" w"] * 70)
        h.say("en", "es", [" v"] * 70)
        await h.ticks(33)
        match disturbance:
            case "role":
                h.order("role", name="medical-simultaneous")
            case "leave":
                h.room.leave("ana")
            case "optout":
                await h.ask("ana", "optout")
            case "language":
                h.room.change("ana", "fr")
            case "failure":
                h.engine.serving("es", "en")[0].fail()
            case "captions":
                await h.ask("ben", "original-only", state="on")
            case "late":
                h.engine.holding = True
                await h.ticks(4)
                h.engine.holding = False
                h.engine.answer()
        await h.seconds(9.0)
        h.say("es", "en", [" w"] * 30)
        await h.seconds(4.0)
    folder = only(tmp_path)
    wavs = sorted((folder / "sound").glob("*rendering*.wav"))
    code, words = verified(folder / ATTESTATION_FILE, "--audio", *wavs)
    assert code == 0, words
    assert "Sound of 'ana' 'es'>'en': verified" in words


async def test_the_chain_names_the_role_that_spoke_from_when_on(tmp_path: Path) -> None:
    async with stage(record=RecordSettings(folder=tmp_path, key=KEY)) as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "en", BEN_HZ)
        await h.seconds(5.0)
        before = h.room.state("ben").role_checksum
        h.order("role", name="medical-simultaneous")
        await h.seconds(8.0)
        after = h.room.state("ben").role_checksum
    report = verify((only(tmp_path) / ATTESTATION_FILE).read_bytes().splitlines(keepends=True))
    assert report.verdict is Verdict.VERIFIED
    roles = [chain.role for chain in report.chains if chain.direction == ANA_EN]
    assert roles == [before, after]


async def test_the_account_of_a_meeting_counts_what_was_interpreted() -> None:
    async with stage() as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "en", BEN_HZ)
        await h.ticks(5)
        h.say("es", "en", [" w"] * 10)
        await h.seconds(4.0)
        cost = h.meeting.cost()
    assert cost.directions[ANA_EN].interpreted_s == pytest.approx(10 * 0.08)
    assert cost.interpreted_s == pytest.approx(10 * 0.08)
    assert cost.elapsed_s == pytest.approx(4.0 + 5 * 0.08)
    assert 4.0 <= cost.directions[ANA_EN].served_s <= 4.4


@pytest.mark.parametrize(("keep", "kept"), [("nothing", []), ("text", ["word"])])
def test_nothing_that_was_said_outlives_its_caption_unless_it_is_kept(
    tmp_path: Path, keep: Any, kept: list[str]
) -> None:
    record = alone(RecordSettings(keep=keep, folder=tmp_path, key=KEY))
    record.played(ANA_EN, 101, Played(pcm=tone(EN_HZ), text=" word"))
    record.end()
    record.close({})
    assert [cue.text for cue in record.transcript.cues()] == kept
