r"""The floor of one direction: when what a session says is heard, how loud, and what becomes of it. Pure.

A session hears its speaker and never a listener, so giving way to a listener is the floor's work:

    listener's voice   ....|############################|............
                           t0                           |<- 0.6 s ->|
    level of the       ____.                                        .____
    rendering              |__ -12 dB ___.                          |
                           t0 + 0.2 s    |\_ fade ____ silence _____|
                                         |     commit: it is silent and the voice goes on
                                         t0 + 0.7 s

A voice that ends before the commit ("mm-hm", a cough) restores the level and nothing is lost. Where words are known,
one with content commits at once, and backchannels are given more time; where none is known, what sounds like a
backchannel is. In consecutive mode what is said waits until its speaker's turn is over and nobody it is for talks; the
speaker going on stops it in the same way.
The hold buffer (`hold`) is bounded: at its end the speaker has been asked to pause, and what no longer fits is shown
as text, marked.

Times are monotonic seconds: voices carry the time of their capture, `now_s` is when the frame's first sample leaves.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.voice_activity import Voice
from interpreter.floor.backchannels import has_content_word, may_be_backchannel
from interpreter.levels import level_dbfs
from interpreter.sessions.hold import SOUND_DBFS, HoldBuffer, Said


class FloorMode(enum.Enum):
    """When a rendering is heard."""

    SIMULTANEOUS = "simultaneous"
    """While the speaker goes on."""

    CONSECUTIVE = "consecutive"
    """When the speaker's turn is over."""

    CAPTIONS = "captions"
    """Never: it is read."""


class AfterInterruption(enum.Enum):
    """What becomes of a rendering that a listener cut short."""

    RESUME = "resume"
    """The session may finish its unit unheard; it goes on where it was cut."""

    REPAIR = "repair"
    """The session may finish its unit unheard; the unit is said again from its start."""

    DROP = "drop"
    """The session stops at once; everything that was not heard is lost, and marked."""


@dataclass(frozen=True, kw_only=True)
class FloorSettings:
    """How a floor gives way; see the drawing above."""

    yield_duck_db: float = -12.0
    """Level of a rendering under a listener's voice that may be an interruption, at most 0."""

    commit_s: float = 0.7
    """From the onset of a listener's voice, which goes on, to the beginning of the fade, unless it is a backchannel."""

    content_commit_s: float = 0.2
    """Speech of a listener that is an interruption once their words hold one with content."""

    backchannel_commit_s: float = 1.5
    """As `commit_s`, while all their words are, or may become, backchannels."""

    sound_commit_s: float = 1.35
    """The same, while no word is known and all of it sounds like a backchannel, which is less certain."""

    fade_s: float = 0.18
    """From the level then to silence; an onset is told 0.02 s late. A voice that ends meanwhile was no interruption."""

    restore_s: float = 0.3
    """From the lowered level back to the full one."""

    going_on_s: float = 0.6
    """Silence of all listeners after which a rendering that gave way goes on."""

    turn_pause_s: float = 0.7
    """Silence of the speaker that ends a turn."""

    after_interruption: AfterInterruption = AfterInterruption.REPAIR
    finish_unit_s: float = 2.0
    """Longest time a session may go on with its unit unheard."""

    hold_limit_s: float = 20.0
    """Most sound that waits."""

    ask_pause_at_s: float = 15.0
    """Sound that waits when the speaker is asked to pause: they need time to come to an end."""

    yields: bool = True
    """Whether listeners can interrupt at all."""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """What is known of one person's voice at a tick."""

    voice: Voice
    language: str
    words: str | None = None
    """What they said in the running spurt, where it is transcribed; None where it is not."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a direction's floor depends on at a tick."""

    mode: FloorMode
    """The one wanted; it takes effect between utterances."""

    speaker: Talk | None = None
    """None for who is not listened to."""

    listeners: Mapping[str, Talk | None] = field(default_factory=dict)
    """Everybody the rendering is for; None for those who are not listened to."""

    closed: bool = False
    """Nothing may be said now: the operator holds it, or a notice is being read to its listeners."""

    closing: bool = False
    """What is being said may be said to the end of its unit, then nothing more: the meeting is paused."""


class FloorEventKind(enum.Enum):
    """What happened on a floor."""

    DUCKED = "ducked"
    """A voice lowered the rendering."""

    RESTORED = "restored"
    """It was no interruption."""

    CUT = "cut"
    """It was: the rendering has faded out, or does at once."""

    GOES_ON = "goes_on"
    """Nobody talks any more: what was kept is said."""

    LOST = "lost"
    """`text` will not be heard: cut short, or superseded by what was said since."""

    PAUSE_WANTED = "pause_wanted"
    """So much waits that the speaker should pause."""

    FULL = "full"
    """From here on until the buffer has emptied, what is said can only be read."""


@dataclass(frozen=True, kw_only=True)
class FloorEvent:
    """One thing that happened, for captions, transcripts, metrics and the identity chain."""

    kind: FloorEventKind
    at_s: float
    by: str = ""
    """Id of the listener whose voice it was; empty for the speaker's own, or where there is none."""

    onset_s: float | None = None
    """When that voice began."""

    text: str = ""
    """What is lost."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """What a direction's listeners get in one tick."""

    pcm: Pcm
    """[1920], after the floor's gain: what is mixed, hashed and recorded."""

    text: str = ""
    """Piece of text that belongs to it."""

    as_self: bool = False
    """The interpreter speaks as itself."""

    unspoken: str = ""
    """Text that can only be read."""

    interrupt: bool = False
    """The session must be interrupted now."""

    held_s: float | None = None
    """How much later than without a floor it is heard; None where nothing is said."""

    events: tuple[FloorEvent, ...] = ()


class _Stance(enum.Enum):
    CLEAR = "clear"
    DUCKED = "ducked"
    FADING = "fading"  # an interruption, if the voice outlasts the fade
    CUT = "cut"


_IN_PROGRESS_S = 0.4
"""A rendering that sounded so recently is in progress: longer than the pauses between its words."""

_KEPT_TO_REPEAT_S = 12.0
"""Longest utterance that can be said again on request."""

_UTTERANCE_GAP_S = 1.0
"""A rendering that was silent for so long begins another utterance."""

_GO_ON_FADE_S = 0.02  # too short to be heard as a fade, long enough not to click
_LATE_FADE_S = 0.06
"""A fade that begins late, since the voice sounded like a backchannel or paused, is shorter by as much, to this."""

_DUCK_FADE_S = 0.003  # of the 0.2 s, frames, hops and the network have taken the rest
_SPEAKER = ""


class Fader:
    """A gain that moves in straight lines, sample by sample."""

    def __init__(self, gain: float) -> None:
        self.gain = gain
        self._target = gain
        self._step = 0.0  # per sample, never negative
        self._wait = 0  # samples until it moves

    @property
    def silent(self) -> bool:
        """Whether it has arrived at nothing."""
        return self.gain == 0.0 and self._target == 0.0

    def aim(self, target: float, duration_s: float, *, after_s: float = 0.0) -> None:
        """Moves to `target` in `duration_s`, from `after_s` on; harmless when it is on its way there."""
        if target != self._target:
            self._target = target
            self._step = abs(target - self.gain) / (duration_s * SAMPLE_RATE_HZ)
            self._wait = round(after_s * SAMPLE_RATE_HZ)

    def apply(self, pcm: Pcm) -> Pcm:
        """`pcm` [N] at the gain of each of its samples; the same array where that is 1 throughout."""
        if self.gain == self._target:
            return pcm if self.gain == 1.0 else np.asarray(pcm * np.float32(self.gain), dtype=np.float32)
        way = self._step * np.maximum(np.arange(1, pcm.size + 1) - self._wait, 0)
        self._wait = max(0, self._wait - pcm.size)
        if self._target > self.gain:
            gains = np.minimum(self.gain + way, self._target)
        else:
            gains = np.maximum(self.gain - way, self._target)
        self.gain = float(gains[-1])
        return np.asarray(pcm * gains, dtype=np.float32)


class DirectionFloor:
    """The floor of one direction, advanced once per tick."""

    def __init__(self, settings: FloorSettings, mode: FloorMode) -> None:
        self._settings = settings
        self._mode = mode
        self._buffer = HoldBuffer(settings.hold_limit_s)
        self._fader = Fader(1.0 if mode is FloorMode.SIMULTANEOUS else 0.0)
        self._stance = _Stance.CLEAR
        self._fade_at_s = inf  # when the voice over the rendering seems an interruption
        self._wavers = False  # it pauses, and may have ended
        self._by = _SPEAKER
        self._onset_s: float | None = None
        self._cut_at_s = -inf
        self._stop_session_at_s = inf  # when a session that finishes its unit unheard is interrupted
        self._turn_open = False  # in consecutive mode: what waited is being played
        self._sounding_since_s = inf
        self._sounded_at_s = -inf
        self._utterance: deque[Said] = deque(maxlen=round(_KEPT_TO_REPEAT_S / FRAME_S))  # the last one heard
        self._repeat_wanted = False
        self._kept = False  # what was kept over a cut is still to be said
        self._pause_asked = False
        self._full = False
        self._events: list[FloorEvent] = []

    @property
    def mode(self) -> FloorMode:
        """The mode in effect."""
        return self._mode

    @property
    def waiting_s(self) -> float:
        """Sound that waits."""
        return self._buffer.waiting_s

    @property
    def idle(self) -> bool:
        """Whether nothing is being said, cut or kept: the moment for another mode, role or voice."""
        return self._buffer.empty and not self._buffer.unit_open and self._stance is not _Stance.CUT

    def set(self, settings: FloorSettings) -> None:
        """Follows other settings from the next tick on; the length of the buffer stays."""
        self._settings = settings

    def repeat(self) -> bool:
        """Says the last utterance again as soon as nothing else is being said; False when there was none."""
        self._repeat_wanted = bool(self._utterance)
        return self._repeat_wanted

    def forget(self, now_s: float) -> tuple[FloorEvent, ...]:
        """Its session is gone: what waited is lost, and the floor is as new."""
        self._events = []
        self._lose(self._buffer.drop_all(), now_s)
        self._stance = _Stance.CLEAR
        self._stop_session_at_s = inf
        self._turn_open = self._kept = self._repeat_wanted = False
        return tuple(self._events)

    def silence(self) -> bool:
        """Everything is dropped and forgotten at once, also what could be said again; whether there was anything."""
        was_idle = self.idle
        self._buffer.drop_all()
        self._utterance.clear()
        self._fader = Fader(0.0)
        self._stance = _Stance.CLEAR
        self._stop_session_at_s = self._fade_at_s = inf
        self._turn_open = self._kept = self._repeat_wanted = False
        return not was_idle

    def end(self, said: Said) -> Played:
        """The direction ends with what its session said last: a frame that fades out; what waited can only be read."""
        self._buffer.put(said)
        heard = not self._fader.silent
        last = self._buffer.take()
        left = self._buffer.drop_all()
        self._fader.aim(0.0, _GO_ON_FADE_S)
        return Played(
            pcm=self._fader.apply(last.pcm),
            text=last.text if heard else "",
            unspoken=left if heard else last.text + left,
        )

    def advance(self, said: Said, situation: Situation, now_s: float) -> Played:
        """One tick: takes what the session says, gives what is heard.

        Args:
            said: the session's frame; `hold.NOTHING` when there is none.
            situation: who talks, and what is wanted.
            now_s: when the frame's first sample leaves.
        """
        self._events = []
        self._follow_mode(said, situation)
        if not situation.listeners:
            return self._to_nobody(said)
        unspoken = self._accept(said, now_s)
        interrupt = self._watch(situation, now_s)
        heard = self._next(situation, now_s)
        return Played(
            pcm=heard.pcm,
            text=heard.text,
            as_self=heard.as_self,
            unspoken=unspoken,
            interrupt=interrupt,
            held_s=None if heard.due_s is None else now_s - heard.due_s,
            events=tuple(self._events),
        )

    # What comes in --------------------------------------------------------------------------------------------------

    def _follow_mode(self, said: Said, situation: Situation) -> None:
        if situation.mode is self._mode:
            return
        speaking = situation.speaker is not None and not _silent_for(
            situation.speaker, self._settings.turn_pause_s
        )
        if self.idle and not said.sounds and not speaking:
            self._mode = situation.mode
            self._turn_open = False
            self._fader = Fader(1.0 if self._mode is FloorMode.SIMULTANEOUS else 0.0)

    def _to_nobody(self, said: Said) -> Played:
        # The last frame fades: somebody may have heard its beginning.
        last = said if self._buffer.empty else self._buffer.take()
        unspoken = ("" if last is said else last.text) + self._buffer.drop_all() + said.text
        self._stance = _Stance.CLEAR
        self._turn_open = self._kept = False
        self._fader.aim(0.0, _GO_ON_FADE_S)
        return Played(pcm=self._fader.apply(last.pcm), unspoken=unspoken)

    def _accept(self, said: Said, now_s: float) -> str:
        """Takes `said` into the buffer; its text where it can only be read."""
        if self._mode is FloorMode.CAPTIONS:
            return said.text
        if self._buffer.empty:
            self._pause_asked = self._full = False
        taken = not self._full and self._buffer.put(replace(said, due_s=now_s) if said.sounds else said)
        if not taken and not self._full:
            self._full = True
            self._note(FloorEventKind.FULL, now_s)
        if self._buffer.waiting_s >= self._settings.ask_pause_at_s and not self._pause_asked:
            self._pause_asked = True
            self._note(FloorEventKind.PAUSE_WANTED, now_s)
        return "" if taken else said.text

    # Who talks ------------------------------------------------------------------------------------------------------

    def _watch(self, situation: Situation, now_s: float) -> bool:
        """Follows the voices; whether the session must be interrupted now."""
        interrupt = False
        if self._stance is _Stance.CUT:
            interrupt = self._while_cut(situation, now_s)
        elif self._settings.yields:
            interrupter = self._interrupter(situation)
            if interrupter is not None:
                interrupt = self._under(*interrupter, now_s)
            elif self._stance in (_Stance.DUCKED, _Stance.FADING):
                self._stance = _Stance.CLEAR
                self._note(FloorEventKind.RESTORED, now_s)
        return interrupt

    def _interrupter(self, situation: Situation) -> tuple[str, Talk] | None:
        """Who talks since after the utterance began, also in a pause of it; the longest first."""
        people = dict(situation.listeners)
        if self._mode is FloorMode.CONSECUTIVE:
            people[_SPEAKER] = situation.speaker
        since_s = self._sounding_since_s
        talking = [
            (who, talk)
            for who, talk in people.items()
            if talk is not None and talk.voice.onset_s is not None and talk.voice.onset_s >= since_s
        ]
        return max(talking, key=lambda one: one[1].voice.speech_s, default=None)

    def _under(self, who: str, talk: Talk, now_s: float) -> bool:
        """A voice over the rendering: lowers it, and gives way once it is an interruption."""
        in_progress = now_s - self._sounded_at_s < _IN_PROGRESS_S
        if self._stance is _Stance.CLEAR:
            if not (in_progress and talk.voice.active):
                return False
            self._stance = _Stance.DUCKED
            self._note(FloorEventKind.DUCKED, now_s, by=who, onset_s=talk.voice.onset_s)
        if not (in_progress or not self._buffer.empty):
            self._stance = _Stance.DUCKED  # there is nothing to give way with
            return False
        certain = self._says_something(talk)
        outlasted = self._seems_one(talk, now_s) and self._fader.silent
        if not (certain or outlasted):
            return False
        self._stance, self._by, self._onset_s = _Stance.CUT, who, talk.voice.onset_s
        self._cut_at_s = now_s
        self._note(FloorEventKind.CUT, now_s, by=who, onset_s=talk.voice.onset_s)
        if who == _SPEAKER:
            return False  # the session hears them itself, and goes on rendering what they say
        if self._settings.after_interruption is not AfterInterruption.DROP and self._buffer.mid_unit:
            self._stop_session_at_s = now_s + self._settings.finish_unit_s
            return False
        return True

    def _says_something(self, talk: Talk) -> bool:
        """Whether a voice is an interruption by its words."""
        spoken = talk.words is not None and has_content_word(talk.words, talk.language)
        return spoken and talk.voice.speech_s >= self._settings.content_commit_s

    def _seems_one(self, talk: Talk, now_s: float) -> bool:
        """Whether a voice has gone on for so long that it seems an interruption; starts and stops the fade.

        Counted to when the frame leaves: what was captured on its way here is time that the listener has talked.
        """
        needed_s = self._needed_s(talk)
        self._fade_at_s = (inf if talk.voice.onset_s is None else talk.voice.onset_s) + needed_s
        self._wavers = talk.voice.pause_s > 0.0
        seems = now_s + FRAME_S > self._fade_at_s
        self._stance = _Stance.FADING if seems else _Stance.DUCKED
        return seems

    def _needed_s(self, talk: Talk) -> float:
        """For how long a voice must go on: by the words that are known of it, or by its sound."""
        if talk.words:
            assenting = may_be_backchannel(talk.words, talk.language)
            return self._settings.backchannel_commit_s if assenting else self._settings.commit_s
        assenting = talk.language in talk.voice.backchannel_in
        return self._settings.sound_commit_s if assenting else self._settings.commit_s

    def _while_cut(self, situation: Situation, now_s: float) -> bool:
        """Waits for silence, then lets what was kept go on; whether the session's time to finish is over."""
        finishing = self._stop_session_at_s < inf
        interrupt = finishing and (now_s >= self._stop_session_at_s or not self._buffer.mid_unit)
        over = self._fader.silent and self._everybody_silent(situation)
        if interrupt or over:
            self._stop_session_at_s = (
                inf  # a session that has not finished when it may be heard again goes on
            )
        if over:
            self._stance = _Stance.CLEAR
            self._turn_open = False
            if self._superseded(situation):
                self._lose(self._buffer.drop_unit(), now_s)
            self._kept = not self._buffer.empty
        return interrupt

    def _everybody_silent(self, situation: Situation) -> bool:
        pause_s = self._settings.going_on_s
        people = list(situation.listeners.values())
        if self._by == _SPEAKER:
            people.append(situation.speaker)
        return all(talk is None or _silent_for(talk, pause_s) for talk in people)

    def _superseded(self, situation: Situation) -> bool:
        """Whether the speaker, who is rendered while they speak, has begun something else since."""
        if self._mode is not FloorMode.SIMULTANEOUS or situation.speaker is None or self._buffer.empty:
            return False
        onset_s = situation.speaker.voice.onset_s
        return onset_s is not None and onset_s > self._cut_at_s

    # What is heard --------------------------------------------------------------------------------------------------

    def _next(self, situation: Situation, now_s: float) -> Said:
        closed = situation.closed or (situation.closing and not self._buffer.unit_open)
        is_open = not closed and self._stance is not _Stance.CUT and self._may_speak(situation)
        if is_open:
            self._steer(now_s)
        else:
            if not self._buffer.unit_open:
                self._fader = Fader(
                    0.0
                )  # there is nothing to fade out, and what waits must not be taken for it
            self._fader.aim(0.0, self._fade_s)
            if self._fader.silent:
                self._stopped(now_s)
                return Said(pcm=_silence())
        if self._kept and is_open:
            self._kept = False
            self._note(FloorEventKind.GOES_ON, now_s, by=self._by, onset_s=self._onset_s)
        if self._repeat_wanted and is_open and not self._buffer.unit_open:
            self._repeat_wanted = False
            self._buffer.put_first(_due_from(self._utterance, now_s))
            self._utterance.clear()
        said = self._buffer.take()
        pcm = self._fader.apply(said.pcm)
        new_utterance = now_s - self._sounded_at_s >= _UTTERANCE_GAP_S
        if said.sounds and new_utterance:
            self._utterance.clear()
        if said.sounds or self._buffer.unit_open:
            self._utterance.append(said)
        if level_dbfs(said.pcm) >= SOUND_DBFS:
            if new_utterance:
                self._sounding_since_s = now_s
            self._sounded_at_s = now_s
        return replace(said, pcm=pcm)

    def _may_speak(self, situation: Situation) -> bool:
        if self._mode is FloorMode.SIMULTANEOUS:
            return True
        if self._mode is FloorMode.CAPTIONS:
            return False
        if self._turn_open:
            self._turn_open = not self._buffer.empty or self._buffer.mid_unit or self._buffer.unit_open
        elif not self._buffer.empty or self._repeat_wanted:
            over = situation.speaker is None or _silent_for(situation.speaker, self._settings.turn_pause_s)
            talking = any(
                talk is not None and talk.voice.onset_s is not None for talk in situation.listeners.values()
            )
            self._turn_open = over and not talking
        return self._turn_open

    def _steer(self, now_s: float) -> None:
        """Moves the level of an open floor as the voices want it."""
        if self._stance is _Stance.FADING:
            if self._wavers and self._fade_s <= FRAME_S:
                self._fader.aim(self._fader.gain, self._fade_s)  # not silent before that is known
            else:
                late_s = max(0.0, now_s - self._fade_at_s)
                fade_s = min(self._fade_s, max(_LATE_FADE_S, self._settings.fade_s - late_s))
                self._fader.aim(0.0, fade_s, after_s=max(0.0, self._fade_at_s - now_s))
            return
        gain = self._lowered_gain if self._stance is _Stance.DUCKED else 1.0
        if gain < self._fader.gain:
            self._fader.aim(gain, _DUCK_FADE_S)
        else:
            self._fader.aim(gain, self._settings.restore_s if self._fader.gain > 0.0 else _GO_ON_FADE_S)

    @property
    def _lowered_gain(self) -> float:
        return float(10.0 ** (self._settings.yield_duck_db / 20.0))

    @property
    def _fade_s(self) -> float:
        """What is left of a fade."""
        return max(_DUCK_FADE_S, self._settings.fade_s * min(1.0, self._fader.gain / self._lowered_gain))

    def _stopped(self, now_s: float) -> None:
        """The fade is over: keeps or forgets the unit that was being said."""
        if not self._buffer.unit_open:
            return
        by_listener = self._stance is _Stance.CUT and self._by != _SPEAKER
        after = self._settings.after_interruption if by_listener else AfterInterruption.REPAIR
        if after is AfterInterruption.DROP:
            self._lose(self._buffer.drop_all(), now_s)
        elif after is AfterInterruption.RESUME:
            self._buffer.rewind(round(self._settings.fade_s / FRAME_S) + 1)  # what was heard fading
        else:
            self._buffer.rewind()

    def _lose(self, text: str, now_s: float) -> None:
        if text.strip():
            self._note(FloorEventKind.LOST, now_s, by=self._by, onset_s=self._onset_s, text=text)

    def _note(
        self,
        kind: FloorEventKind,
        at_s: float,
        *,
        by: str = _SPEAKER,
        onset_s: float | None = None,
        text: str = "",
    ) -> None:
        self._events.append(FloorEvent(kind=kind, at_s=at_s, by=by, onset_s=onset_s, text=text))


def _silent_for(talk: Talk, pause_s: float) -> bool:
    """Whether the person has been silent for `pause_s`; between voiced hops of one spurt they are not."""
    return not talk.voice.active and talk.voice.pause_s >= pause_s


def _due_from(frames: Iterable[Said], at_s: float) -> Iterator[Said]:
    """Frames that are asked for again: what sounds in them is due one after another from `at_s` on."""
    for n, one in enumerate(frames):
        yield one if one.due_s is None else replace(one, due_s=at_s + n * FRAME_S)


def _silence() -> Pcm:
    return np.zeros(FRAME_SAMPLES, dtype=np.float32)
