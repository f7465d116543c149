"""A perfect interpreter, or one with just one fault, as an engine: it knows the dialogue, and says it in other words.

A session finds out by the sound whom it hears, and renders an utterance only once it has heard some of it: what an
opt-out, a mute or a pause keeps from it, it does not say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np

from duplex_model.closing import Closing
from duplex_model.contract import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Capabilities,
    Pcm,
    Prompt,
    SayCapability,
    Session,
    Snapshot,
    StepFlag,
    StepOutput,
    StepTiming,
    TickGrid,
    check_frame,
)
from duplex_model.errors import SessionClosed, Unsupported
from scenarios.cast_script import CastScript, Spoken
from scenarios.faults import Fault
from scenarios.scenario_file import SayKind
from scenarios.speech import VOICES, Speech, Voice
from scenarios.timeline import Say

LEAD_S = 1.0
"""A rendering begins so long after its original, the frame that tells it included."""

HEARD_S = 0.3
"""What must have been heard of an utterance, or all of a shorter one."""

WRITTEN_S = 0.3
"""After a word's end it is written down, where a session transcribes."""

LATE_S = 8.0
DRIFT_S = 2.0
_LANES = 64
_INVENTED = {"en": "Good morning, doctor.", "es": "Buenos días, doctor."}
"""Language -> what an interpreter says who takes noises for words."""

_MISHEARD = {"en": "Wait, please.", "es": "Espere, por favor."}
"""Language -> what an interpreter writes down who takes an "mm-hm" for words."""

_RENDERED = frozenset({SayKind.TURN, SayKind.INTERRUPTION, SayKind.SELF_REPAIR})


@dataclass(frozen=True, kw_only=True)
class Said:
    """A word of a rendering, in the order in which a session says them."""

    utterance_id: str
    text: str
    duration_s: float
    source_word: int


@dataclass(eq=False)
class _Line:
    """Something being said: frames of pcm, with the words that begin in each."""

    frames: deque[tuple[Pcm, str]]
    as_self: bool = False
    done: Future[None] | None = None


class PerfectSession(Closing):
    """See `Session`."""

    def __init__(self, engine: PerfectEngine, prompt: Prompt) -> None:
        self._engine = engine
        self._prompt = prompt
        self._person: str | None = None
        self._heard_s: dict[str, float] = {}
        self._begun: set[str] = set()
        self._lines: deque[_Line] = deque()
        self._written: deque[tuple[float, str]] = deque()
        self._closed = False

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """See `Session.feed`; answered at once."""
        if self._closed:
            raise SessionClosed("expected an open session, got a closed one")
        now_s = self._engine.now_s()
        self._listen(check_frame(frame))
        pcm, text, as_self = self._step()
        flags = StepFlag.CONCEALED if concealed else StepFlag.NONE
        if as_self:
            flags |= StepFlag.AS_SELF
        answer: Future[StepOutput] = Future()
        timing = StepTiming(received_s=now_s, started_s=now_s, finished_s=now_s)
        answer.set_result(StepOutput(pcm=pcm, text=text, timing=timing, flags=flags))
        return answer

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        """See `Session.say`."""
        done: Future[None] = Future()
        line = _line_of(self._engine.speak(text, self._prompt.language_out), as_self=True, done=done)
        if now:
            self._lines.appendleft(line)
        else:
            self._lines.append(line)
        return done

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        for line in self._lines:
            if line.done is not None:
                line.done.set_result(None)
        self._lines.clear()

    def snapshot(self) -> Future[Snapshot]:
        """There is no state to take elsewhere."""
        raise Unsupported("expected an engine with states, got the scripted interpreter of scenarios")

    def restore(self, snapshot: Snapshot) -> Future[None]:
        """There is no state to come from elsewhere."""
        raise Unsupported("expected an engine with states, got the scripted interpreter of scenarios")

    def close(self) -> None:
        """See `Session.close`."""
        self._closed = True
        self.interrupt()
        self._engine.leave(self)

    def _listen(self, frame: Pcm) -> None:
        """Notes what is heard, and begins what is due."""
        script = self._engine.script
        person = script.speaker_of(frame)
        if person is not None:
            self._person = person
        if self._person is None:
            return
        last = script.tracks[self._person].last
        assert last is not None, "a speaker who is known was pulled"
        begin_s, end_s = last.captured_at_s, last.captured_at_s + FRAME_S
        if person is not None and self._engine.hears_words_in(person, begin_s, end_s):
            language = self._prompt.language_out
            self._lines.append(_line_of(self._engine.speak(_INVENTED.get(language, "A"), language)))
        for spoken in script.said_by(self._person):
            if person is not None:
                overlap_s = min(end_s, spoken.end_s) - max(begin_s, spoken.start_s)
                self._heard_s[spoken.id] = self._heard_s.get(spoken.id, 0.0) + max(0.0, overlap_s)
            enough_s = min(HEARD_S, 0.5 * spoken.speech.duration_s)
            heard = self._heard_s.get(spoken.id, 0.0) >= enough_s
            if (
                heard
                and spoken.id not in self._begun
                and end_s >= spoken.start_s + self._engine.lead_s(spoken)
            ):
                self._begun.add(spoken.id)
                self._begin(spoken)

    def _begin(self, spoken: Spoken) -> None:
        if self._prompt.mode == "transcription":
            self._written.extend(self._engine.written(spoken))
            return
        text = self._engine.rendering_of(spoken, self._prompt.language_out)
        if text:
            speech = self._engine.speak(text, self._prompt.language_out)
            self._engine.note(spoken, self._prompt.language_out, speech)
            self._lines.append(_line_of(speech))

    def _step(self) -> tuple[Pcm, str, bool]:
        """The next frame of what is said, with its words."""
        if self._prompt.mode == "transcription":
            return _silence(), self._write(), False
        if not self._lines:
            return _silence(), "", False
        line = self._lines[0]
        pcm, text = line.frames.popleft()
        if not line.frames:
            self._lines.popleft()
            if line.done is not None:
                line.done.set_result(None)
        return self._engine.loud(pcm), text, line.as_self

    def _write(self) -> str:
        person = self._person
        last = None if person is None else self._engine.script.tracks[person].last
        now_s = -1.0 if last is None else last.captured_at_s + FRAME_S
        text = ""
        while self._written and self._written[0][0] <= now_s:
            text += self._written.popleft()[1]
        return text


class PerfectEngine:
    """See `Engine`.

    Args:
        script: what is said in the run.
        languages: primary tags of the meeting.
        say: speaks texts.
        grid: of the run.
        now_s: its clock.
        fault: what it does wrong, if that is for an engine to do.
    """

    def __init__(
        self,
        script: CastScript,
        languages: tuple[str, ...],
        say: Say,
        *,
        grid: TickGrid,
        now_s: Callable[[], float],
        fault: Fault | None = None,
    ) -> None:
        self.script = script
        self.now_s = now_s
        self.words: dict[tuple[str, str], list[Said]] = {}
        """Speaker, language -> the words that were to be said, in order."""

        self._noise_s = -10.0  # when a sound that is no word was heard last
        self._say = say
        self._grid = grid
        self._fault = fault
        self._sessions: set[PerfectSession] = set()
        self._capabilities = Capabilities(
            checkpoint="scripted-interpreter",
            licence="Apache-2.0",
            languages={one: frozenset(languages) - {one} for one in languages},
            translates=True,
            lanes=_LANES,
            say=SayCapability.TRAINED,
            transcribes=frozenset(languages),
        )

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`."""
        return self._capabilities

    @property
    def grid(self) -> TickGrid:
        """See `Engine.grid`."""
        return self._grid

    @property
    def sessions_open(self) -> int:
        """See `Engine.sessions_open`."""
        return len(self._sessions)

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """See `Engine.open`; there at once."""
        session = PerfectSession(self, prompt)
        self._sessions.add(session)
        opened: Future[Session] = Future()
        opened.set_result(session)
        return opened

    def leave(self, session: PerfectSession) -> None:
        """A session was closed."""
        self._sessions.discard(session)

    def close(self) -> None:
        """See `Engine.close`."""
        for session in list(self._sessions):
            session.close()

    def speak(self, text: str, language: str) -> Speech:
        """`text` in the interpreter's voice."""
        return self._say(text, interpreter_voice(language))

    def lead_s(self, spoken: Spoken) -> float:
        """How long after the beginning of an utterance its rendering begins."""
        if self._mishears(spoken):
            return HEARD_S
        if self._fault is Fault.LATE:
            return spoken.speech.duration_s + LATE_S
        if self._fault is Fault.DRIFTS:
            before = [one for one in self.script.spoken if one.start_s < spoken.start_s]
            return LEAD_S + DRIFT_S * len(before)
        return LEAD_S

    def written(self, spoken: Spoken) -> list[tuple[float, str]]:
        """What a transcription writes of an utterance: when each word is written, and the word."""
        if self._mishears(spoken):
            return [(spoken.start_s, f" {word}") for word in _MISHEARD.get(spoken.language, "A").split()]
        return [(spoken.start_s + one.end_s + WRITTEN_S, f" {one.text}") for one in spoken.speech.words]

    def _mishears(self, spoken: Spoken) -> bool:
        return self._fault is Fault.YIELDS_TO_BACKCHANNEL and spoken.kind is SayKind.BACKCHANNEL

    def rendering_of(self, spoken: Spoken, language: str) -> str:
        """What is said for an utterance; nothing for what is not to be rendered."""
        fault = self._fault
        if fault is Fault.SILENT or (spoken.kind not in _RENDERED and fault is not Fault.SPEAKS_TO_NOISE):
            return ""
        if fault is Fault.LOST_AFTER_DROP and spoken.person in self.script.came_back:
            return ""
        if fault is Fault.LOSES_OVERLAP and self._overlapped(spoken):
            return ""
        if fault is not None and fault.is_of_words and spoken.faulty.get(language):
            return spoken.faulty[language]
        return spoken.texts.get(language, "")

    def hears_words_in(self, person: str, begin_s: float, end_s: float) -> bool:
        """Whether it takes a sound for words that is none: the fault, once for each sound."""
        if self._fault is not Fault.SPEAKS_TO_NOISE:
            return False
        if any(one.start_s < end_s and begin_s < one.end_s + 0.5 for one in self.script.said_by(person)):
            return False
        fresh = end_s - self._noise_s > 1.0
        self._noise_s = end_s
        return fresh

    def note(self, spoken: Spoken, language: str, speech: Speech) -> None:
        """An utterance's rendering begins."""
        last = max(0, len(spoken.speech.words) - 1)
        said = self.words.setdefault((spoken.person, language), [])
        for number, word in enumerate(speech.words, start=1):
            source = round(last * number / len(speech.words))
            said.append(
                Said(
                    utterance_id=spoken.id,
                    text=word.text,
                    duration_s=word.end_s - word.start_s,
                    source_word=source,
                )
            )

    def loud(self, pcm: Pcm) -> Pcm:
        """What leaves the engine."""
        if self._fault is Fault.CLIPS:
            return np.asarray(np.clip(40.0 * pcm, -1.0, 1.0), dtype=np.float32)
        return pcm

    def _overlapped(self, spoken: Spoken) -> bool:
        return any(
            one.person != spoken.person and one.start_s <= spoken.start_s < one.end_s
            for one in self.script.spoken
        )


def interpreter_voice(language: str) -> Voice:
    """The voice in which the interpreter speaks a language: the first that nobody in a meeting needs to have."""
    return replace(VOICES[language][-1], rate_wpm=190)


def _line_of(speech: Speech, *, as_self: bool = False, done: Future[None] | None = None) -> _Line:
    count = -(-len(speech.pcm) // FRAME_SAMPLES)
    pcm = np.zeros(count * FRAME_SAMPLES, dtype=np.float32)
    pcm[: len(speech.pcm)] = speech.pcm
    texts = [""] * count
    for word in speech.words:
        texts[min(count - 1, int(word.start_s * SAMPLE_RATE_HZ) // FRAME_SAMPLES)] += f" {word.text}"
    frames = zip(pcm.reshape(count, FRAME_SAMPLES), texts, strict=True)
    return _Line(deque((frame.copy(), text) for frame, text in frames), as_self, done)


def _silence() -> Pcm:
    return np.zeros(FRAME_SAMPLES, dtype=np.float32)
