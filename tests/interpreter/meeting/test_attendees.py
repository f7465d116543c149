"""Everybody in the room, without a room: who is pulled, listened to, told and isolated."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from interpreter.ears.ear import Ear
from interpreter.meeting.attendees import LOST_S, Attendees
from interpreter.metrics import Count, Metrics
from tests.fakes import FRAME_S, ToneTrack, amplitude, tone
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ, LoudIsVoice
from webrtc.room import Levels, Participant, RoomMessage

NOW_S = 50.0
MESSAGE = Levels(dbfs={}, speaking=frozenset())


class Hall:
    """Attendees, and what became of them."""

    def __init__(self) -> None:
        self.ears: list[Ear] = []
        self.told: list[tuple[str, RoomMessage]] = []
        self.isolated: list[tuple[str, bool]] = []
        self.deaf: set[str] = set()
        self.metrics = Metrics()
        self.attendees = Attendees(
            new_ear=self._new_ear,
            tell=self._tell,
            isolate=lambda who, isolated: self.isolated.append((who, isolated)),
            metrics=self.metrics,
        )
        self.ticks = 0

    def join(self, who: str, track: ToneTrack | None = None, now_s: float = NOW_S) -> bool:
        participant = Participant(id=who, name=who.title(), attributes={})
        new = self.attendees.place(participant, now_s)
        if track is not None:
            self.attendees.set_audio(who, track)
        return new

    def pull(self, *, but: Collection[str] = ()):  # type: ignore[no-untyped-def]
        """The next tick, in which nobody listens to some."""
        self.ticks += 1
        return self.attendees.pull(NOW_S + self.ticks * FRAME_S, lambda who: who not in but)

    def shown(self) -> list[str]:
        """Whom everybody's message reaches now."""
        self.told.clear()
        self.attendees.tell_all(MESSAGE)
        return [who for who, _ in self.told]

    def _new_ear(self) -> Ear:
        self.ears.append(Ear(LoudIsVoice(), cancels_echo=False))
        return self.ears[-1]

    def _tell(self, who: str, message: RoomMessage) -> None:
        if who in self.deaf:
            raise RuntimeError("this page is broken")
        self.told.append((who, message))


def test_who_is_not_listened_to_is_heard_by_the_others_alone() -> None:
    hall = Hall()
    hall.join("ana", ToneTrack(ANA_HZ))
    hall.join("ben", ToneTrack(BEN_HZ))
    hall.join("cat")
    pulled = hall.pull(but={"ben"})
    assert pulled.heard.keys() == pulled.voices.keys() == {"ana"}
    assert pulled.originals.keys() == {"ana", "ben"}
    assert amplitude(pulled.originals["ben"], BEN_HZ) == pytest.approx(0.1, rel=0.01)
    hall.attendees.show_levels(pulled)
    assert hall.attendees.levels().speaking == {"ana"}, "not even the level of who opted out is taken"


def test_who_is_listened_to_no_more_is_forgotten() -> None:
    hall = Hall()
    hall.join("ana", ToneTrack(ANA_HZ))
    hall.pull()
    made = len(hall.ears)
    hall.pull(but={"ana"})
    assert len(hall.ears) == made + 1, "nothing of the voice is kept"
    hall.pull(but={"ana"})
    hall.pull()
    assert len(hall.ears) == made + 1


def test_who_is_muted_has_no_frame_and_their_track_moves_on() -> None:
    hall = Hall()
    track = ToneTrack(ANA_HZ)
    hall.join("ana", track)
    hall.attendees.set_muted("ana", True)
    assert hall.attendees.microphones_off == {"ana"}
    pulled = hall.pull()
    assert pulled.frames == pulled.listened == {}
    assert len(track.pulls) == 1


def test_a_fault_takes_one_out_until_they_send_another_track() -> None:
    hall = Hall()
    broken = ToneTrack(ANA_HZ)
    hall.join("ana", broken)
    hall.join("ben", ToneTrack(BEN_HZ))
    hall.isolated.clear()
    broken.fails = True
    assert hall.pull().frames.keys() == hall.pull().frames.keys() == {"ben"}
    assert hall.isolated == [("ana", True)]
    assert hall.metrics.counted(Count.PARTICIPANTS_ISOLATED) == 1
    assert not hall.attendees.takes_part("ana")
    assert hall.shown() == ["ana", "ben"], "they can still read why"
    hall.attendees.set_audio("ana", ToneTrack(ANA_HZ))
    assert hall.isolated[1:] == [("ana", False)]
    assert hall.attendees.takes_part("ana")
    assert hall.pull().frames.keys() == {"ana", "ben"}


def test_whoever_cannot_be_shown_anything_is_isolated_and_fails_nobody() -> None:
    hall = Hall()
    hall.join("ana")
    hall.join("ben")
    hall.deaf.add("ana")
    assert hall.shown() == ["ben"]
    assert hall.shown() == ["ben"], "nor when it fails again"
    assert hall.isolated == [("ana", True)]
    hall.told.clear()
    hall.attendees.show_levels(hall.pull())
    assert [who for who, _ in hall.told] == ["ben"]


def test_what_goes_wrong_inside_stays_with_who_it_is_about() -> None:
    hall = Hall()
    hall.join("ana")
    with hall.attendees.isolating("ana"):
        raise RuntimeError("this ear is broken")
    assert hall.isolated == [("ana", True)]


def test_what_was_sent_to_all_may_come_back_to_all_who_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Ear] = []
    monkeypatch.setattr(Ear, "sent", lambda ear, pcm, at_s: sent.append(ear))
    hall = Hall()
    hall.join("ana")
    hall.join("ben")
    hall.deaf.add("ben")
    hall.attendees.tell("ben", MESSAGE)
    hall.attendees.sent_to_all(tone(ANA_HZ), NOW_S)
    hall.attendees.sent("ben", tone(ANA_HZ), NOW_S)
    hall.attendees.sent("nobody", tone(ANA_HZ), NOW_S)
    assert len(sent) == 1


@pytest.mark.parametrize(("reason", "after_s", "back"), [("connection lost", 1.0, 1), ("left", 1.0, 0)])
def test_who_lost_a_connection_comes_back(reason: str, after_s: float, back: int) -> None:
    hall = Hall()
    assert hall.join("ana")
    assert not hall.join("ana"), "they are only called otherwise"
    hall.attendees.leave("ana", reason, NOW_S)
    assert len(hall.attendees) == 0
    assert hall.attendees.participant("ana") is None
    assert hall.join("ana", now_s=NOW_S + after_s)
    assert hall.metrics.counted(Count.PARTICIPANTS_BACK) == back
    assert hall.attendees.names == {"ana": "Ana"}


def test_who_comes_after_long_is_new() -> None:
    hall = Hall()
    hall.join("ana")
    hall.attendees.leave("ana", "connection lost", NOW_S)
    hall.join("ana", now_s=NOW_S + LOST_S)
    assert hall.metrics.counted(Count.PARTICIPANTS_BACK) == 0


def test_a_frame_must_be_numbers() -> None:
    hall = Hall()
    track = ToneTrack(ANA_HZ, peak=np.nan)
    hall.join("ana", track)
    assert hall.pull().frames == {}
    assert not hall.attendees.takes_part("ana")
