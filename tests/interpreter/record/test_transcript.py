from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import FRAME_S
from interpreter.directions import Direction
from interpreter.record.transcript import (
    LINE_COLUMNS,
    LONGEST_S,
    PAUSE_TICKS,
    SHORTEST_S,
    Cue,
    Kind,
    Mark,
    Transcript,
    plain,
)

ANA = Direction("ana", "es", "en")
BOB = Direction("bob", "en", "es")


def written(
    transcript: Transcript,
    text: str,
    *,
    tick: int = 0,
    ticks_per_word: int = 4,
    direction: Direction = ANA,
    kind: Kind = Kind.RENDERING,
) -> int:
    """Adds `text` a word at a time, as a session would; the tick of the last."""
    for n, word in enumerate(text.split()):
        for offset in range(ticks_per_word):
            transcript.add(direction, tick + n * ticks_per_word + offset, "" if offset else f" {word}", kind)
    return tick + (len(text.split()) - 1) * ticks_per_word


def texts(transcript: Transcript) -> list[str]:
    return [cue.text for cue in transcript.cues()]


def test_pieces_become_words_at_the_tick_in_which_they_begin() -> None:
    transcript = Transcript(keep=True)
    for tick, piece in enumerate([" My", " al", "ler", "gies", "", " are", "", "", "."], start=10):
        transcript.add(ANA, tick, piece)
    (cue,) = transcript.cues()
    assert [(word.text, round(word.start_s, 2), round(word.end_s, 2)) for word in cue.words] == [
        ("My", 0.8, 0.88),  # until the next begins
        ("allergies", 0.88, 1.2),
        ("are.", 1.2, 1.48),  # as long as its letters take
    ]
    assert cue.text == "My allergies are."
    assert cue.start_s == 0.8
    assert cue.end_s == 1.8, "shown for a second at least"
    assert cue.language == "en"


def test_a_pause_ends_a_cue_and_so_does_silence() -> None:
    transcript = Transcript(keep=True)
    last = written(transcript, "one two")
    written(transcript, "three", tick=last + PAUSE_TICKS)
    assert texts(transcript) == ["one two", "three"]
    first, second = transcript.cues()
    assert first.end_s <= second.start_s
    transcript.add(ANA, last + PAUSE_TICKS + 5, "")
    transcript.add(ANA, last + 2 * PAUSE_TICKS - 1, " four")
    assert texts(transcript) == ["one two", "three four"], "a breath is no pause"


def test_a_sentence_ends_a_cue_that_has_been_long_enough() -> None:
    transcript = Transcript(keep=True)
    written(transcript, "Yes. I take two tablets a day. Every morning.")
    assert texts(transcript) == ["Yes. I take two tablets a day.", "Every morning."]


def test_a_cue_is_two_even_lines_at_most_and_seven_seconds() -> None:
    transcript = Transcript(keep=True)
    sentence = "the doctor says that you should take one of these tablets in the morning and one at night"
    written(transcript, sentence)
    assert " ".join(texts(transcript)) == sentence
    first, _ = transcript.cues()
    assert first.lines == (
        "the doctor says that you should take one",
        "of these tablets in the morning and one at",
    )
    slow = Transcript(keep=True)
    written(slow, "one two three four five six seven eight nine ten", ticks_per_word=12)
    assert [round(cue.end_s - cue.start_s, 1) for cue in slow.cues()][0] <= LONGEST_S
    assert texts(slow)[0] == "one two three four five six seven"


def test_lines_of_speakers_kinds_and_languages_do_not_mix() -> None:
    transcript = Transcript(keep=True)
    for n, (direction, kind, word) in enumerate(
        itertools.product((ANA, BOB), Kind, ("one", "two")),
    ):
        transcript.add(direction, n, f" {word}", kind)
    assert [(cue.direction.speaker_id, cue.kind, cue.language, cue.text) for cue in transcript.cues()] == [
        ("ana", Kind.RENDERING, "en", "one two"),
        ("ana", Kind.HEARD, "es", "one two"),
        ("ana", Kind.AS_SELF, "en", "one two"),
        ("bob", Kind.RENDERING, "es", "one two"),
        ("bob", Kind.HEARD, "en", "one two"),
        ("bob", Kind.AS_SELF, "es", "one two"),
    ]
    assert len({cue.id for cue in transcript.cues()}) == 6


@pytest.mark.parametrize(
    ("first", "last", "marked"),
    [
        (8, None, ["three", "four", "five"]),
        (10, None, ["three", "four", "five"]),  # while "three" is being said
        (5, 11, ["two", "three"]),
        (0, 3, ["one"]),
        (40, None, []),  # long after
    ],
)
def test_marks_hold_from_the_word_that_is_being_said(first: int, last: int | None, marked: list[str]) -> None:
    transcript = Transcript(keep=True)
    written(transcript, "one two three four five")
    transcript.mark(ANA, Mark.CUT, first_tick=first, last_tick=last)
    transcript.mark(BOB, Mark.UNSURE, first_tick=0)
    transcript.mark(ANA, Mark.MISMATCH, first_tick=0, kind=Kind.HEARD)
    (cue,) = transcript.cues()
    assert [word.text for word in cue.words if Mark.CUT in word.marks] == marked
    assert cue.marks == (Mark.CUT if marked else Mark.NONE)


def test_marks_reach_back_into_complete_cues_and_no_further() -> None:
    transcript = Transcript(keep=True)
    last = written(transcript, "an old sentence.")
    last = written(transcript, "This is the first. The second one is longer.", tick=last + 30)
    transcript.finish()
    transcript.mark(ANA, Mark.UNSURE, first_tick=last - 19)  # while "first." is said
    marks = [[word.text for word in cue.words if word.marks] for cue in transcript.cues()]
    assert marks == [[], ["first."], ["The", "second", "one", "is", "longer."]]


def test_words_may_be_marked_as_they_come() -> None:
    transcript = Transcript(keep=True)
    transcript.add(ANA, 0, " shown", marks=Mark.CAPTIONS_ONLY)
    transcript.add(ANA, 1, " said")
    transcript.mark(ANA, Mark.UNSURE, first_tick=0)
    (cue,) = transcript.cues()
    assert [word.marks for word in cue.words] == [Mark.CAPTIONS_ONLY | Mark.UNSURE, Mark.UNSURE]


def test_without_keeping_nothing_outlives_its_cue() -> None:
    transcript = Transcript(keep=False)
    written(transcript, "word " * 2_000, ticks_per_word=2)
    assert len(transcript.cues()) == 1, "the one that is being written"
    assert len(transcript.cues()[0].words) < 40
    assert sum(len(line.words) for line in transcript._open.values()) < 40
    assert not transcript._kept
    transcript.mark(ANA, Mark.CUT, first_tick=0)
    transcript.finish(BOB)
    assert len(transcript.cues()) == 1
    transcript.finish(ANA)
    assert transcript.cues() == ()
    assert not transcript._open


def test_a_line_goes_on_after_its_end() -> None:
    transcript = Transcript(keep=True)
    transcript.finish()
    transcript.add(ANA, 5, "tail of a word that was begun before")
    transcript.finish(ANA)
    transcript.add(ANA, 9, " more")
    assert texts(transcript) == ["tail of a word that was begun before", "more"]


def test_an_earlier_tick_counts_as_the_last() -> None:
    transcript = Transcript(keep=True)
    transcript.add(ANA, 10, " one")
    transcript.add(ANA, 8, " two")
    (cue,) = transcript.cues()
    assert [word.start_s for word in cue.words] == [0.8, 0.8]


def test_times_count_from_the_meetings_first_tick() -> None:
    transcript = Transcript(keep=True, first_tick=100_000)
    transcript.add(ANA, 100_005, " one")
    transcript.add(ANA, 100_010, " two")
    transcript.mark(ANA, Mark.CUT, first_tick=100_008)
    (cue,) = transcript.cues()
    assert [(round(word.start_s, 2), word.marks) for word in cue.words] == [(0.4, Mark.CUT), (0.8, Mark.CUT)]


def test_a_script_without_spaces_is_cut_to_lines() -> None:
    transcript = Transcript(keep=True)
    for tick in range(60):
        transcript.add(ANA, tick, "漢字")
    assert "".join(texts(transcript)) == "漢字" * 60
    assert all(len(line) <= LINE_COLUMNS // 2 for cue in transcript.cues() for line in cue.lines)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\nb\r\nc\td\x00e\u2028f", "a b  c d e f"),
        ("a\ud800b", "a\ufffdb"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("\u200fשלום\u200f", "\u200fשלום\u200f"),  # marks of direction turn nothing else
        ("na\u00efve e\u0301", "na\u00efve e\u0301"),
    ],
)
def test_plain_text_can_stand_anywhere(text: str, cleaned: str) -> None:
    assert plain(text) == cleaned


PIECES = st.one_of(
    st.just(""),
    st.sampled_from(
        [" a", " word", "ing", ".", " Yes.", " ", "  ", " two words ", "\u0301", " 漢字", "-->", "x" * 50]
    ),
    st.text(max_size=12),
)


def test_a_piece_that_is_late_after_a_pause_does_not_go_back_before_it() -> None:
    transcript = Transcript(keep=True)
    transcript.add(ANA, 0, " one")
    transcript.add(ANA, PAUSE_TICKS, "")
    transcript.add(ANA, PAUSE_TICKS - 1, " two")
    one, two = transcript.cues()
    assert (one.end_s, two.start_s) == (SHORTEST_S, pytest.approx(PAUSE_TICKS * FRAME_S))


@given(
    st.lists(
        st.tuples(st.sampled_from([ANA, BOB]), st.sampled_from(list(Kind)), st.integers(-2, 20), PIECES),
        max_size=80,
    )
)
def test_every_word_is_in_one_cue_that_can_be_read(
    pieces: list[tuple[Direction, Kind, int, str]],
) -> None:
    transcript, tick = Transcript(keep=True), 0
    given_texts: dict[tuple[Direction, Kind], str] = {}
    for direction, kind, step, piece in pieces:
        tick = max(0, tick + step)
        transcript.add(direction, tick, piece, kind)
        given_texts[direction, kind] = given_texts.get((direction, kind), "") + plain(piece)
    transcript.finish()
    cues = transcript.cues()
    assert len({cue.id for cue in cues}) == len(cues)
    for (direction, kind), text in given_texts.items():
        own = [cue for cue in cues if (cue.direction, cue.kind) == (direction, kind)]
        assert "".join(cue.text for cue in own).replace(" ", "") == text.replace(" ", "")
        for earlier, later in itertools.pairwise(own):
            assert earlier.start_s <= later.start_s
            assert earlier.end_s <= max(later.start_s, earlier.start_s + FRAME_S)
            assert (
                earlier.end_s - earlier.start_s >= SHORTEST_S - 1e-9 or earlier.end_s >= later.start_s - 1e-9
            )
    for cue in cues:
        readable(cue)


def readable(cue: Cue) -> None:
    assert cue.words
    assert 0 < cue.end_s - cue.start_s <= LONGEST_S
    assert len(cue.lines) <= 2
    assert "".join(cue.lines).replace(" ", "") == cue.text.replace(" ", "")
    for line in cue.lines:
        assert line.strip()
        assert sum(ord(character) < 0x300 for character in line) <= LINE_COLUMNS
    for word in cue.words:
        assert word.text == word.text.strip() != ""
        assert cue.start_s <= word.start_s <= word.end_s <= cue.end_s + 1e-9
