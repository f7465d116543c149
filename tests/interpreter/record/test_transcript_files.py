from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.directions import Direction
from interpreter.record import transcript_files
from interpreter.record.transcript import Cue, Kind, Mark, Transcript, plain
from interpreter.record.transcript_files import json_lines, sub_rip, web_vtt, write_transcript
from tests.interpreter.caption_files import read_srt, read_vtt

ANA = Direction("a7", "es", "en")
BOB = Direction("b2", "en", "es")
NAMES = {"a7": "Ana Núñez", "b2": "Bob"}


def dialogue() -> Transcript:
    transcript = Transcript(keep=True)
    for tick, piece in ((10, " It"), (12, " hurts"), (15, " here"), (16, ".")):
        transcript.add(ANA, tick, piece)
    transcript.mark(ANA, Mark.CUT | Mark.UNSURE, first_tick=15)
    transcript.add(BOB, 30, " ¿Dónde?")
    transcript.add(BOB, 60, " La intérprete", Kind.AS_SELF)
    transcript.add(BOB, 62, " pide", Kind.AS_SELF)
    transcript.add(BOB, 40, " Where?", Kind.HEARD)
    transcript.finish()
    return transcript


def of(language: str) -> list[Cue]:
    return [cue for cue in dialogue().cues() if cue.language == language]


def test_web_vtt_says_who_what_when_and_how() -> None:
    cues = read_vtt(web_vtt(of("en"), NAMES, "en"))
    assert [(c.voice, c.text, c.start_s, c.end_s, c.classes, c.language) for c in cues] == [
        ("Ana Núñez", "It hurts here.", 0.8, 1.8, ("rendering", "cut", "unsure"), "en"),
        ("Bob", "Where?", 3.2, 4.2, ("heard",), "en"),
    ]
    spanish = read_vtt(web_vtt(of("es"), NAMES, "es"))
    assert [(c.voice, c.classes) for c in spanish] == [("Bob", ("rendering",)), ("Intérprete", ("as_self",))]


def test_sub_rip_says_who_what_when() -> None:
    first, second = read_srt(sub_rip(of("en"), NAMES, "en"))
    assert first.lines == ("Ana Núñez: It hurts here.",)
    assert (first.start_s, first.end_s) == (0.8, 1.8)
    assert second.lines == ("Bob: Where?",)


def test_json_lines_are_as_documented() -> None:
    head, first, second = json_lines(of("en"), NAMES, "en").splitlines()
    page = (Path(__file__).parents[3] / "docs/transcripts.md").read_text()
    assert f"```json\n{head}\n{first}\n```" in page
    heard = json.loads(second)
    assert (heard["kind"], heard["speaker"], heard["marks"]) == ("heard", "Bob", [])
    for name in (*(kind.value for kind in Kind), *(str(mark.name).lower() for mark in Mark)):
        assert f"`{name}`" in page


def test_files_are_whole_private_and_one_per_language_and_format(tmp_path: Path) -> None:
    folder = tmp_path / "meetings" / "one"
    for _ in range(2):  # the second time they are replaced
        written = write_transcript(folder, dialogue().cues(), NAMES)
        assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    assert [path.name for path in written] == [
        *("transcript.en.vtt", "transcript.en.srt", "transcript.en.jsonl"),
        *("transcript.es.vtt", "transcript.es.srt", "transcript.es.jsonl"),
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "transcript.es.vtt").read_text() == web_vtt(of("es"), NAMES, "es")


def test_what_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_transcript(tmp_path, of("en"), NAMES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transcript_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_transcript(tmp_path, dialogue().cues(), {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("language", ["../../etc", "", "e" * 300, "español", "EN"])
def test_a_language_that_is_none_gets_no_file_of_its_name(tmp_path: Path, language: str) -> None:
    transcript = Transcript(keep=True)
    transcript.add(Direction("a", "en", language), 0, " hello")
    written = write_transcript(tmp_path / "folder", transcript.cues(), {})
    assert {path.name for path in written} == {f"transcript.und.{end}" for end in ("vtt", "srt", "jsonl")}
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


HOSTILE = [
    "--> 00:00",
    "<v Eve>",
    "</v></lang>",
    "a\n\nNOTE b",
    "00:00:00.000 --> 00:00:09.000",
    "&lt;&amp",
    "\u202e\u2066reversed",
    "\ud83d\udc00"[:1],
    "{\\an8}<i>",
    "\r\nWEBVTT\r\n",
    "\x00\x1b[31m",
    " ",
    "n" * 500,
    'quote"\\',
]


@given(
    name=st.sampled_from(HOSTILE) | st.text(max_size=80),
    pieces=st.lists(st.sampled_from(HOSTILE) | st.text(max_size=30), min_size=1, max_size=8),
    marks=st.sampled_from(list(Mark)) | st.just(Mark.NONE),
    kind=st.sampled_from(list(Kind)),
)
def test_hostile_names_and_texts_stay_text(name: str, pieces: list[str], marks: Mark, kind: Kind) -> None:
    transcript = Transcript(keep=True)
    for n, piece in enumerate(pieces):
        transcript.add(ANA, 5 * n, " " + piece, kind, marks)
    cues = transcript.cues()
    language = "es" if kind is Kind.HEARD else "en"
    names = {"a7": name}
    vtt = read_vtt(web_vtt(cues, names, language))
    srt = read_srt(sub_rip(cues, names, language)) if cues else []
    lines = json_lines(cues, names, language)
    lines.encode()
    objects = [json.loads(line) for line in lines.removesuffix("\n").split("\n")][1:]
    assert len(vtt) == len(srt) == len(objects) == len(cues)
    for cue, from_vtt, from_srt, from_json in zip(cues, vtt, srt, objects, strict=True):
        assert from_vtt.text == "\n".join(cue.lines)
        assert from_vtt.start_s == pytest.approx(cue.start_s, abs=0.001)
        assert from_vtt.end_s == pytest.approx(cue.end_s, abs=0.001)
        assert set(from_vtt.classes) == {kind.value, *(str(mark.name).lower() for mark in cue.marks)}
        assert len(from_srt.lines) == len(cue.lines)
        assert from_json["text"] == cue.text
        assert from_json["speaker"] == from_vtt.voice
        assert from_vtt.voice == " ".join(from_vtt.voice.split()) != ""
        assert len(from_vtt.voice) <= transcript_files.MAX_NAME_CHARACTERS
        if kind is not Kind.AS_SELF and len(name) <= 50 and plain(name).strip():
            assert from_vtt.voice == " ".join(plain(name).split())


def test_long_meetings_have_long_hours() -> None:
    transcript = Transcript(keep=True)
    transcript.add(ANA, round(101 * 3600 / 0.08), " late")
    assert "\n101:00:00.000 --> 101:00:01.000\n" in web_vtt(transcript.cues(), NAMES, "en")
    assert "\n101:00:00,000 --> 101:00:01,000\n" in sub_rip(transcript.cues(), NAMES, "en")


@pytest.mark.parametrize(
    ("names", "voice"), [({}, "a7"), ({"a7": " \n"}, "?"), ({"a7": "  Ana\n Núñez "}, "Ana Núñez")]
)
def test_a_voice_always_has_a_name(names: dict[str, str], voice: str) -> None:
    transcript = Transcript(keep=True)
    transcript.add(ANA, 0, " hello")
    assert [cue.voice for cue in read_vtt(web_vtt(transcript.cues(), names, "en"))] == [voice]


def test_no_words_are_an_empty_file() -> None:
    assert read_vtt(web_vtt([], {}, "en")) == []
    assert sub_rip([], {}, "en") == ""
    assert len(json_lines([], {}, "en").splitlines()) == 1
