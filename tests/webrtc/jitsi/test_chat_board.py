"""What of all that participants are told is written into a chat that everybody reads."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from webrtc.jitsi.chat_board import AGAIN_S, GATHER_S, MAX_WAITING, ChatBoard, Line
from webrtc.room import Caption, CaptionKind, Levels, Notice, NoticeLevel, Replied, RoomMessage

NAMES = {"ana": "Ana\n‮ López", "ben": "Ben"}


def board(*, captions: bool = True) -> ChatBoard:
    return ChatBoard(captions=captions, name_of=lambda who: NAMES.get(who, ""))


def caption(text: str, id: str = "c1", **changes: Any) -> Caption:
    fields = {"id": id, "speaker_id": "ana", "language": "en", "text": text, "final": True, **changes}
    return Caption(**fields)


def notice(text: str, language: str = "en", id: str = "n") -> Notice:
    return Notice(id=id, level=NoticeLevel.INFO, text=text, language=language)


def test_a_caption_is_written_once_by_the_seat_of_its_language() -> None:
    chat = board()
    for reader in ("ben", "bob"):
        chat.tell(reader, caption("It hu", final=False), 0.0)
    for reader in ("ben", "bob"):
        chat.tell(reader, caption("It hurts."), 0.1)
    chat.tell("ben", caption("Here.", "c2", cut=True), 0.2)
    chat.tell("ana", caption("Me duele.", "c3", kind=CaptionKind.HEARD), 0.2)
    assert chat.take(0.2) == [
        Line(text="Ana López: It hurts.", channel="en"),
        Line(text="Ana López: Here. —", channel="en"),
    ]
    assert chat.take(9.0) == []


def test_captions_may_be_left_out_and_the_interpreter_s_own_words_never() -> None:
    chat = board(captions=False)
    chat.tell("ben", caption("It hurts."), 0.0)
    own = caption("I am an AI interpreter.", "c2", kind=CaptionKind.AS_SELF, speaker_id="")
    for reader in ("ben", "bob"):
        chat.tell(reader, own, 0.0)
    assert chat.take(0.0) == [Line(text="I am an AI interpreter.", channel="en")]


def test_a_notice_is_for_all_where_several_are_told_and_for_one_where_one_is() -> None:
    chat = board()
    chat.tell("ana", notice("prueba", "es"), 0.0)
    chat.tell("ben", notice("test"), 0.0)
    chat.tell("bob", notice("test"), 0.1)
    chat.tell("ben", notice(""), 0.1)
    assert chat.take(0.1) == []
    assert chat.next_due_s() == GATHER_S
    assert chat.take(GATHER_S) == [
        Line(text="prueba", to="ana", channel="es"),
        Line(text="test", channel="en"),
    ]
    assert chat.next_due_s() is None
    chat.tell("cat", notice("test"), 1.0)
    assert chat.take(2.0) == [], "it stands there already"
    chat.tell("ana", notice("prueba", "es"), 3.0)
    assert chat.take(4.0) == []
    chat.forget("ana")
    chat.tell("ana", notice("prueba", "es"), 5.0)
    assert chat.take(6.0) == [Line(text="prueba", to="ana", channel="es")]
    chat.tell("cat", notice("test"), AGAIN_S + 1.0)
    assert chat.take(AGAIN_S + 2.0) == [Line(text="test", to="cat", channel="en")]


def test_an_answer_is_for_whoever_asked_and_the_rest_for_nobody() -> None:
    chat = board()
    chat.tell("ben", Replied(request_id="", accepted=True, text="Noted.", language="en"), 0.0)
    chat.tell("ben", Levels(dbfs={}, speaking=frozenset()), 0.0)
    assert chat.next_due_s() == 0.0
    assert chat.take(0.0) == [Line(text="Noted.", to="ben")]


messages = (
    st.builds(caption, st.text(max_size=4), st.text("ab", max_size=2), final=st.booleans())
    | st.builds(notice, st.text("xy", max_size=2))
    | st.builds(Replied, request_id=st.just(""), accepted=st.booleans(), text=st.text(max_size=3))
)


@given(st.lists(st.tuples(st.sampled_from(["ana", "ben"]), messages, st.floats(0.0, 40.0)), max_size=60))
def test_nothing_waits_for_ever_and_nothing_grows_without_bound(
    told: list[tuple[str, RoomMessage, float]],
) -> None:
    chat, now_s = board(), 0.0
    for who, message, after_s in told:
        now_s += after_s
        chat.tell(who, message, now_s)
        due_s = chat.next_due_s()
        assert due_s is None or due_s <= now_s + GATHER_S
    lines = chat.take(now_s + GATHER_S)
    assert len(lines) <= MAX_WAITING
    assert chat.next_due_s() is None
    assert chat.take(now_s + 99.0) == []


def test_a_chat_that_is_far_behind_loses_lines_and_counts_them() -> None:
    chat = board()
    for n in range(MAX_WAITING + 5):
        chat.tell("ben", caption(f"{n}", f"c{n}"), 0.0)
    assert len(chat.take(0.0)) == MAX_WAITING
    assert chat.dropped == 5
