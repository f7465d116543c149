from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import FRAME_S
from duplex_model.training.dialogues.timeline import Span, first_frame_after, frame_at, place, whole_frames

WORDS = st.lists(
    st.tuples(
        st.floats(0.03, 0.9),  # its duration
        st.floats(0.0, 0.3),  # pause before it
        st.integers(1, 5),  # pieces
        st.floats(0.0, 6.0),  # ready
    ),
    min_size=1,
    max_size=12,
)


def spans(words: list[tuple[float, float, int, float]]) -> list[Span]:
    end_s = 0.0
    out = []
    for duration_s, pause_s, _, _ in words:
        out.append(Span(end_s + pause_s, end_s + pause_s + duration_s))
        end_s = out[-1].end_s
    return out


@given(words=WORDS, earliest=st.integers(0, 40))
def test_no_word_comes_early_and_none_sounds_before_it_is_written(
    words: list[tuple[float, float, int, float]], earliest: int
) -> None:
    counts, ready = [word[2] for word in words], [word[3] for word in words]
    placed = place(spans(words), counts, ready, earliest)
    assert placed[0].frame > earliest
    for sound, ready_s in zip(placed, ready, strict=True):
        assert sound.frame * FRAME_S >= ready_s - 1e-6
        assert 0 <= frame_at(sound.start_s) - sound.frame <= 1


@given(words=WORDS)
def test_every_word_has_room_for_its_pieces_and_the_announcing_frame(
    words: list[tuple[float, float, int, float]],
) -> None:
    counts = [word[2] for word in words]
    placed = place(spans(words), counts, [word[3] for word in words], 0)
    for before, after, count in zip(placed[:-1], placed[1:], counts[:-1], strict=True):
        assert after.frame >= before.frame + count + 1


@given(words=WORDS)
def test_speech_is_stretched_between_words_and_never_squeezed(
    words: list[tuple[float, float, int, float]],
) -> None:
    said = spans(words)
    placed = place(said, [word[2] for word in words], [word[3] for word in words], 0)
    shifts = [sound.start_s - word.start_s for sound, word in zip(placed, said, strict=True)]
    assert all(after >= before - 1e-9 for before, after in zip(shifts[:-1], shifts[1:], strict=True))
    for sound, word in zip(placed, said, strict=True):
        assert sound.end_s - sound.start_s == pytest.approx(word.end_s - word.start_s)


def test_speech_that_waits_for_nothing_is_not_cut() -> None:
    said = [Span(0.4 * index, 0.4 * index + 0.3) for index in range(6)]
    placed = place(said, [1] * 6, [0.0] * 6, 10)
    assert [sound.start_s - placed[0].start_s for sound in placed] == pytest.approx(
        [0.4 * index for index in range(6)]
    )
    assert placed[0].frame == 11
    assert placed[0].start_s == pytest.approx(12 * FRAME_S)


def test_a_word_that_must_wait_is_written_as_soon_as_it_may() -> None:
    placed = place([Span(0.0, 0.3), Span(0.3, 0.6)], [1, 1], [0.0, 2.0], 0)
    assert placed[1].frame == 25
    assert placed[1].start_s == pytest.approx(26 * FRAME_S)


def test_frames_count_from_their_beginning() -> None:
    assert (first_frame_after(0.0), first_frame_after(0.08), first_frame_after(0.0801)) == (0, 1, 2)
    assert (frame_at(0.0), frame_at(0.0799), frame_at(0.08)) == (0, 0, 1)
    assert (whole_frames(0.0), whole_frames(0.08), whole_frames(0.081)) == (1, 1, 2)
