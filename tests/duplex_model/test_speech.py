from __future__ import annotations

import json

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES
from duplex_model.errors import Unsupported
from duplex_model.sound import FADE_SAMPLES
from duplex_model.speech import HUSH_FRAMES, MAX_WAITING, Notice, Speech

WORDS = [[7, 8], [9]]


def notice(number: int, *, now: bool = False) -> Notice:
    return Notice(number, WORDS, now)


def speaking(number: int = 1) -> Speech:
    """A lane of which one frame of text `number` has left."""
    speech = Speech(delay_frames=1)
    speech.say(notice(number))
    speech.begin()
    assert speech.stepped(as_self=True, busy=True) == ()
    return speech


def test_texts_begin_one_after_the_other() -> None:
    speech = speaking(1)
    speech.say(notice(2))
    assert speech.begin() is None
    assert speech.stepped(as_self=False, busy=False) == (1,)
    assert speech.begin() == notice(2, now=True), "after a text there is no rendering to wait for"


def test_a_text_waits_for_the_rendering_in_progress() -> None:
    speech = Speech(delay_frames=1)
    speech.stepped(as_self=False, busy=False)
    speech.say(notice(1))
    assert speech.begin() == notice(1)


def test_a_text_is_done_when_its_last_frame_has_left() -> None:
    speech = Speech(delay_frames=2)
    speech.say(notice(1))
    speech.begin()
    steps = [(False, True), (False, False), (True, False), (True, False), (False, False), (False, False)]
    done = [speech.stepped(as_self=as_self, busy=busy) for as_self, busy in steps]
    assert done == [(), (), (), (), (1,), ()]


def test_an_urgent_text_cuts_off_what_is_heard() -> None:
    speech = speaking(1)
    speech.say(notice(2))
    assert speech.say(notice(3, now=True)) == (1,)
    assert speech.begin() == notice(3, now=True)


def test_an_urgent_text_comes_before_what_was_not_heard_yet() -> None:
    speech = Speech(delay_frames=1)
    speech.say(notice(1))
    speech.begin()
    assert speech.say(notice(2, now=True)) == ()
    assert speech.begin() == notice(2, now=True)
    speech.stepped(as_self=True, busy=False)
    assert speech.stepped(as_self=False, busy=False) == (2,)
    assert speech.begin() == notice(1, now=True)


def test_an_interruption_drops_all_and_hushes_for_a_while() -> None:
    speech = speaking(1)
    speech.say(notice(2))
    assert speech.interrupt() == (1, 2)
    assert speech.begin() is None
    hushed = []
    while speech.hush_frames:
        hushed.append(speech.stepped(as_self=False, busy=False))
    assert hushed == [()] * HUSH_FRAMES


def test_a_text_after_an_interruption_waits_for_nothing() -> None:
    speech = speaking(1)
    speech.interrupt()
    speech.say(notice(2))
    assert speech.begin() == notice(2, now=True)
    assert speech.hush_frames == 0


def test_what_is_on_its_way_fades_once() -> None:
    speech = Speech(delay_frames=2)
    speech.interrupt()
    frame = np.ones(FRAME_SAMPLES, dtype=np.float32)
    first, second, third = speech.fade(frame), speech.fade(frame), speech.fade(frame)
    assert first[0] > 0.99
    assert (np.diff(first[:FADE_SAMPLES]) < 0).all()
    assert not first[FADE_SAMPLES:].any()
    assert not second.any()
    assert third is frame


def test_too_many_texts_are_refused() -> None:
    speech = Speech(delay_frames=1)
    for number in range(MAX_WAITING):
        speech.say(notice(number))
    with pytest.raises(Unsupported, match=str(MAX_WAITING)):
        speech.say(notice(99))
    assert len(speech.waiting) == MAX_WAITING


def test_its_state_goes_on_elsewhere_without_numbers() -> None:
    speech = speaking(1)
    speech.say(notice(2))
    restored = Speech.restored(speech.state(), delay_frames=1)
    assert restored.state() == speech.state()
    assert restored.stepped(as_self=False, busy=False) == ()
    assert restored.begin() == Notice(None, WORDS, True)


@pytest.mark.parametrize(
    "change",
    [{"waiting": 3}, {"waiting": [{"now": True, "words": ["a"]}]}, {"hush_frames": 99}, {"heard": 0}],
)
def test_what_is_no_state_is_refused(change: dict[str, object]) -> None:
    state = json.loads(speaking().state()) | change
    with pytest.raises(Unsupported):
        Speech.restored(json.dumps(state).encode(), delay_frames=1)


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(Unsupported):
        Speech.restored(b"\xff", delay_frames=1)
