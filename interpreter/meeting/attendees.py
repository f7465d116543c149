"""Everybody in the room, and the sound that comes from them: tracks, ears, levels. Sans-IO.

    track ── pulled at a tick ── ear ──┬── the others hear it
                                       ├── sessions hear it
                                       └── how loud it is

One participant's failure ends here: whatever goes wrong with somebody's sound, or in showing them something, takes
them alone out of the meeting, until they send another track.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.ears.ear import Ear, Listened
from interpreter.ears.voice_activity import Voice
from interpreter.levels import Meter
from interpreter.metrics import Count, Metrics, Stage
from interpreter.sessions.sessions import Heard
from webrtc.jitter import HasJitterStats
from webrtc.room import IncomingAudio, IncomingFrame, Levels, Participant, RoomMessage

logger = logging.getLogger(__name__)

LOST_S = 60.0
"""Whoever of the same name comes within it, after a connection was lost, has come back."""

_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
_SILENCE.setflags(write=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pulled:
    """Everybody's frame of one tick, by participant id; who sends nothing, is muted or isolated has none."""

    frames: Mapping[str, IncomingFrame]
    listened: Mapping[str, Listened]
    """The same as it goes on, of those who are listened to."""

    @property
    def originals(self) -> Mapping[str, Pcm]:
        """What the others hear, pcm [1920] each."""
        return {
            who: self.listened[who].original if who in self.listened else frame.pcm
            for who, frame in self.frames.items()
        }

    @property
    def heard(self) -> Mapping[str, Heard]:
        """What there is for sessions to hear."""
        return {who: listened.heard for who, listened in self.listened.items()}

    @property
    def voices(self) -> Mapping[str, Voice]:
        """Who speaks, of those who are listened to."""
        return {who: listened.voice for who, listened in self.listened.items()}


@dataclass(eq=False)
class _Attendee:
    """A participant's sound."""

    participant: Participant
    ear: Ear
    audio: IncomingAudio | None = None
    muted: bool = False
    listened_to: bool = True
    isolated: bool = False
    meter: Meter = field(default_factory=Meter)


class Attendees:
    """The participants of one meeting.

    Args:
        new_ear: makes one, for a track.
        tell: shows a message to a participant.
        isolate: is told who was taken out of the meeting after a fault, and who is in it again.
        metrics: where frames and faults are counted.
    """

    def __init__(
        self,
        *,
        new_ear: Callable[[], Ear],
        tell: Callable[[str, RoomMessage], None],
        isolate: Callable[[str, bool], None],
        metrics: Metrics,
    ) -> None:
        self._new_ear = new_ear
        self._show = tell
        self._isolate = isolate
        self._metrics = metrics
        self._attendees: dict[str, _Attendee] = {}
        self._names: dict[str, str] = {}
        self._lost_s: dict[str, float] = {}  # name -> when a connection of theirs was lost

    # Who is there ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many are in the room."""
        return len(self._attendees)

    @property
    def names(self) -> Mapping[str, str]:
        """Participant id -> name of everybody there ever was."""
        return self._names

    @property
    def microphones_off(self) -> Collection[str]:
        """Ids of those who switched their microphones off."""
        return {who for who, attendee in self._attendees.items() if attendee.muted}

    @property
    def jitter_ms(self) -> Collection[float]:
        """How long each track's packets are kept, where a room tells."""
        audios: list[object] = [attendee.audio for attendee in self._attendees.values()]
        return [audio.stats().delay_ms for audio in audios if isinstance(audio, HasJitterStats)]

    def participant(self, who: str) -> Participant | None:
        """Somebody as the room told last; None for who is not there."""
        attendee = self._attendees.get(who)
        return None if attendee is None else attendee.participant

    def place(self, participant: Participant, now_s: float) -> bool:
        """Somebody is there, or is now called otherwise; whether they have just come."""
        self._names[participant.id] = participant.name
        attendee = self._attendees.get(participant.id)
        if attendee is not None:
            attendee.participant = participant
            return False
        self._attendees[participant.id] = _Attendee(participant, self._new_ear())
        lost_s = self._lost_s.pop(participant.name, None)
        self._metrics.count(Count.PARTICIPANTS_BACK, lost_s is not None and now_s - lost_s < LOST_S)
        return True

    def leave(self, who: str, reason: str, now_s: float) -> None:
        """Somebody is gone, for a reason such as the room gives in `ParticipantLeft`."""
        gone = self._attendees.pop(who, None)
        if gone is not None and "lost" in reason:
            self._lost_s[gone.participant.name] = now_s

    def set_audio(self, who: str, audio: IncomingAudio | None) -> None:
        """Somebody's track has started, or ended where there is none."""
        attendee = self._attendees.get(who)
        if attendee is None:
            return
        attendee.audio = audio
        attendee.ear = self._new_ear()
        attendee.isolated = False  # a new track is a new chance
        self._isolate(who, False)

    def set_muted(self, who: str, muted: bool) -> None:
        """Somebody switched their microphone off or on."""
        if attendee := self._attendees.get(who):
            attendee.muted = muted

    # What comes from them -------------------------------------------------------------------------------------------

    def pull(self, time_s: float, listens_to: Callable[[str], bool]) -> Pulled:
        """Everybody's next frame.

        Args:
            time_s: of the tick.
            listens_to: whether somebody's microphone may be processed.
        """
        frames: dict[str, IncomingFrame] = {}
        heard: dict[str, Listened] = {}
        for who, attendee in self._attendees.items():
            if attendee.audio is None or attendee.isolated:
                continue
            with self._isolating(attendee):
                frame = _checked(attendee.audio.pull(time_s))
                self._measure(frame, time_s)
                if attendee.muted:  # pulled all the same: their buffer must move on
                    frame = replace(frame, pcm=_SILENCE, silent=True)
                listens = listens_to(who)
                if attendee.listened_to and not listens:
                    attendee.ear = self._new_ear()  # nothing of their voice is kept
                attendee.listened_to = listens
                listened = attendee.ear.listen(frame) if listens else None
                if attendee.muted:
                    continue
                frames[who] = frame
                if listened is not None:
                    heard[who] = listened
        return Pulled(frames=frames, listened=heard)

    def show_levels(self, pulled: Pulled) -> Levels:
        """Takes how loud everybody was at a tick, and shows it to those who take part; what was shown."""
        for who, attendee in self._attendees.items():
            if who in pulled.listened:
                attendee.meter = attendee.meter.after(pulled.listened[who].original)
            elif who in pulled.frames:
                attendee.meter = Meter()  # of who opted out not even the level is taken
            else:
                attendee.meter = attendee.meter.after(_SILENCE)
        levels = self.levels()
        for attendee in self._attendees.values():
            if not attendee.isolated:
                self._tell(attendee, levels)
        return levels

    def levels(self) -> Levels:
        """How loud everybody was at the last tick."""
        return Levels(
            dbfs={who: attendee.meter.dbfs for who, attendee in self._attendees.items()},
            speaking=frozenset(who for who, attendee in self._attendees.items() if attendee.meter.speaking),
        )

    # What goes to them ----------------------------------------------------------------------------------------------

    def takes_part(self, who: str) -> bool:
        """Whether somebody is there, and not isolated."""
        attendee = self._attendees.get(who)
        return attendee is not None and not attendee.isolated

    def isolating(self, who: str) -> AbstractContextManager[None]:
        """Whatever goes wrong inside with somebody who takes part stays with them: they are taken out and told."""
        return self._isolating(self._attendees[who])

    def sent(self, who: str, pcm: Pcm, at_s: float) -> None:
        """Somebody who takes part hears this next, pcm [1920], from `at_s` on: its echo may come back."""
        if self.takes_part(who):
            with self.isolating(who):
                self._attendees[who].ear.sent(pcm, at_s)

    def sent_to_all(self, pcm: Pcm, at_s: float) -> None:
        """The same for everybody."""
        for who in self._attendees:
            self.sent(who, pcm, at_s)

    def tell(self, who: str, message: RoomMessage) -> None:
        """Shows a message to somebody, unless they have left."""
        if attendee := self._attendees.get(who):
            self._tell(attendee, message)

    def tell_all(self, message: RoomMessage) -> None:
        """Shows a message to everybody."""
        for attendee in self._attendees.values():
            self._tell(attendee, message)

    def _tell(self, attendee: _Attendee, message: RoomMessage) -> None:
        with self._isolating(attendee):
            self._show(attendee.participant.id, message)

    @contextmanager
    def _isolating(self, attendee: _Attendee) -> Iterator[None]:
        try:
            yield
        except Exception:
            if attendee.isolated:  # still shown notices, which may fail as well
                return
            logger.exception("participant %s is isolated", attendee.participant.id)
            attendee.isolated = True
            self._metrics.count(Count.PARTICIPANTS_ISOLATED)
            self._isolate(attendee.participant.id, True)

    def _measure(self, frame: IncomingFrame, time_s: float) -> None:
        if not frame.silent:
            self._metrics.took(Stage.CAPTURE_TO_PULL, time_s - frame.captured_at_s - FRAME_S)
        self._metrics.count(Count.CONCEALED_SAMPLES, frame.concealed_samples)
        self._metrics.count(Count.RECOVERED_SAMPLES, frame.recovered_samples)


def _checked(frame: IncomingFrame) -> IncomingFrame:
    """`frame`, or an error where a room broke its promise: not [1920], or samples that are no numbers."""
    if frame.pcm.shape != (FRAME_SAMPLES,) or not np.isfinite(frame.pcm).all():
        raise ValueError(f"expected {FRAME_SAMPLES} finite samples, got shape {list(frame.pcm.shape)}")
    return frame
