"""A timeline of several people's speech, declared in code, and what it sounds like with all that is true of it. Pure.

    Timeline(
        speakers=("doctor", "patient"),
        utterances=(
            Utterance(id="d1", speaker="doctor", text="Where does it hurt?", voice=..., at=absolute(0.5)),
            Utterance(id="p1", speaker="patient", text="Aquí, doctor, …", voice=..., at=after("d1", 0.4)),
            Utterance(id="d2", speaker="doctor", text="Mm-hm.", voice=..., at=during("p1", 0.9), kind=BACKCHANNEL),
        ),
    )

An utterance is placed by its first sound, so that "200 ms after the doctor's last sound" means that.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.errors import TimelineError
from scenarios.sounds import Background, Noise, background, noise
from scenarios.speech import Speech, Voice
from scenarios.voicing import PAUSE_S, Span

Say = Callable[[str, Voice], Speech]
"""Gives a text's speech: `Speaker.say`, or recordings."""


class Kind(enum.Enum):
    """What an utterance is to the one who is listening or speaking just then."""

    TURN = "turn"
    BACKCHANNEL = "backchannel"  # "mm-hm": go on, I am listening
    INTERRUPTION = "interruption"  # wants the floor


class Edge(enum.Enum):
    """Which end of another utterance."""

    START = "start"  # its first sound
    END = "end"  # its last


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """When something begins: so long after the beginning of the timeline, or after an edge of an utterance."""

    of: str | None = None
    """Id of the utterance; None for the beginning of the timeline."""

    edge: Edge = Edge.END
    delay_s: float = 0.0
    """May be negative after an edge: an overlap."""


def absolute(at_s: float) -> Anchor:
    """At a time of the timeline."""
    return Anchor(delay_s=at_s)


def after(utterance_id: str, delay_s: float = 0.0) -> Anchor:
    """After the last sound of an utterance; before it when `delay_s` is negative."""
    return Anchor(of=utterance_id, edge=Edge.END, delay_s=delay_s)


def during(utterance_id: str, delay_s: float) -> Anchor:
    """After the first sound of an utterance."""
    return Anchor(of=utterance_id, edge=Edge.START, delay_s=delay_s)


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """Something said."""

    id: str
    """Unique in the timeline."""

    speaker: str
    text: str
    voice: Voice
    at: Anchor
    """Of its first sound."""

    kind: Kind = Kind.TURN
    gain_db: float = 0.0
    """Above the level at which everybody speaks."""


@dataclass(frozen=True, kw_only=True)
class NoiseEvent:
    """A cough, a knock: heard in one track, said by nobody."""

    speaker: str
    noise: Noise
    at: Anchor
    level_dbfs: float = -26.0
    """RMS over the event."""

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class BackgroundNoise:
    """A sound that goes on in one track from the beginning to the end."""

    speaker: str
    background: Background
    level_dbfs: float
    """RMS."""

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Echo:
    """One person's speech out of a loudspeaker into another's microphone; also into their own (`source` = `into`)."""

    source: str
    into: str
    delay_s: float
    """More than 0."""

    gain_db: float


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Who says what when, and what else is heard."""

    speakers: tuple[str, ...]
    """One track each."""

    utterances: tuple[Utterance, ...] = ()
    noises: tuple[NoiseEvent, ...] = ()
    backgrounds: tuple[BackgroundNoise, ...] = ()
    echoes: tuple[Echo, ...] = ()
    tail_s: float = 1.0
    """How long the tracks go on after the last event."""

    min_duration_s: float = 0.0
    """The tracks are at least so long."""


@dataclass(frozen=True, kw_only=True)
class TimedWord:
    """A word that is said, on the timeline."""

    utterance_id: str
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An utterance, on the timeline."""

    utterance: Utterance
    span: Span
    """From its first sound to its last."""

    words: tuple[TimedWord, ...]
    voiced: tuple[Span, ...]
    """Where it sounds, pauses of 200 ms and more left out."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One person's microphone, and what is true of it."""

    pcm: Pcm
    """[T], 24 kHz; of the same length in all tracks of a timeline. Digital silence where nothing is heard."""

    placed: tuple[Placed, ...]
    """The person's utterances, in order of time."""

    noises: tuple[Span, ...]
    """Where coughs, knocks and the like sound."""

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """Everything the person says, in order."""
        return tuple(word for one in self.placed for word in one.words)

    @property
    def spurts(self) -> tuple[Span, ...]:
        """When the person is heard talking: stretches with less than 200 ms of silence in them."""
        spurts: list[Span] = []
        for span in (span for one in self.placed for span in one.voiced):
            if spurts and span.start_s - spurts[-1].end_s < PAUSE_S:
                spurts[-1] = Span(start_s=spurts[-1].start_s, end_s=span.end_s)
            else:
                spurts.append(span)
        return tuple(spurts)


def render(timeline: Timeline, say: Say) -> Mapping[str, Track]:
    """Speaker -> track.

    Raises:
        TimelineError: an unknown speaker or anchor, anchors in a circle, something before the beginning, or somebody
            talking over themselves.
        SpeechError: from `say`.
    """
    _check(timeline)
    said = {one.id: say(one.text, one.voice) for one in timeline.utterances}
    spans = _spans(timeline.utterances, said)
    placed = {name: _placed(timeline, name, said, spans) for name in timeline.speakers}
    sounds = [
        (
            event,
            _start_of(event.at, spans, f"a {event.noise.value}"),
            noise(event.noise, event.level_dbfs, event.seed),
        )
        for event in timeline.noises
    ]
    length = _length(
        timeline, said, spans, [start_s + len(pcm) / SAMPLE_RATE_HZ for _, start_s, pcm in sounds]
    )
    dry = {name: np.zeros(length, dtype=np.float32) for name in timeline.speakers}
    for utterance in timeline.utterances:
        pcm = said[utterance.id].pcm * np.float32(10 ** (utterance.gain_db / 20))
        _add(dry[utterance.speaker], pcm, spans[utterance.id].start_s)
    for event, start_s, pcm in sounds:
        _add(dry[event.speaker], pcm, start_s)
    wet = {name: pcm.copy() for name, pcm in dry.items()}
    for echo in timeline.echoes:
        _add(wet[echo.into], dry[echo.source] * np.float32(10 ** (echo.gain_db / 20)), echo.delay_s)
    for one in timeline.backgrounds:
        wet[one.speaker] += background(one.background, length, one.level_dbfs, one.seed)
    return {
        name: Track(
            pcm=np.clip(wet[name], -1.0, 1.0),
            placed=placed[name],
            noises=tuple(
                Span(start_s=start_s, end_s=start_s + len(pcm) / SAMPLE_RATE_HZ)
                for event, start_s, pcm in sounds
                if event.speaker == name
            ),
        )
        for name in timeline.speakers
    }


def _check(timeline: Timeline) -> None:
    ids = [one.id for one in timeline.utterances]
    for name in set(ids):
        if ids.count(name) > 1:
            raise TimelineError(f"expected each id once, got {name!r} {ids.count(name)} times")
    named = [one.speaker for one in timeline.utterances]
    named += [one.speaker for one in timeline.noises]
    named += [one.speaker for one in timeline.backgrounds]
    named += [name for echo in timeline.echoes for name in (echo.source, echo.into)]
    for name in named:
        if name not in timeline.speakers:
            raise TimelineError(f"expected one of {', '.join(timeline.speakers)}, got {name!r}")
    for echo in timeline.echoes:
        if echo.delay_s <= 0.0:
            raise TimelineError(f"expected an echo to come after its source, got {echo.delay_s} s")


def _spans(utterances: Sequence[Utterance], said: Mapping[str, Speech]) -> Mapping[str, Span]:
    """Utterance -> from its first sound to its last."""
    spans: dict[str, Span] = {}
    waiting = list(utterances)
    while waiting:
        ready = [one for one in waiting if one.at.of is None or one.at.of in spans]
        if not ready:
            names = ", ".join(f"{one.id!r} at {one.at.of!r}" for one in waiting)
            raise TimelineError(f"expected anchors that lead to the beginning, got {names}")
        for one in ready:
            start_s = _start_of(one.at, spans, repr(one.id))
            spans[one.id] = Span(start_s=start_s, end_s=start_s + said[one.id].duration_s)
        waiting = [one for one in waiting if one.id not in spans]
    return spans


def _start_of(at: Anchor, spans: Mapping[str, Span], what: str) -> float:
    """When that is, at a whole sample."""
    if at.of is not None and at.of not in spans:
        raise TimelineError(f"expected {what} at an utterance of the timeline, got {at.of!r}")
    span = Span(start_s=0.0, end_s=0.0) if at.of is None else spans[at.of]
    start_s = at.delay_s + (span.start_s if at.edge is Edge.START else span.end_s)
    if start_s < 0.0:
        raise TimelineError(f"expected {what} after the beginning, got {start_s:.3f} s")
    return round(start_s * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ


def _placed(
    timeline: Timeline, speaker: str, said: Mapping[str, Speech], spans: Mapping[str, Span]
) -> tuple[Placed, ...]:
    """The speaker's utterances in order, one after the other."""
    own = sorted(
        (one for one in timeline.utterances if one.speaker == speaker), key=lambda one: spans[one.id].start_s
    )
    for earlier, later in zip(own, own[1:], strict=False):
        end_s, start_s = spans[earlier.id].end_s, spans[later.id].start_s
        if start_s < end_s:
            raise TimelineError(
                f"expected {later.id!r} after {earlier.id!r} has ended at {end_s:.3f} s, got {start_s:.3f} s"
            )
    return tuple(_place(one, said[one.id], spans[one.id]) for one in own)


def _place(utterance: Utterance, speech: Speech, span: Span) -> Placed:
    return Placed(
        utterance=utterance,
        span=span,
        words=tuple(
            TimedWord(
                utterance_id=utterance.id,
                text=word.text,
                start_s=span.start_s + word.start_s,
                end_s=span.start_s + word.end_s,
            )
            for word in speech.words
        ),
        voiced=tuple(voiced.shifted(span.start_s) for voiced in speech.voiced),
    )


def _length(
    timeline: Timeline, said: Mapping[str, Speech], spans: Mapping[str, Span], noise_ends: Sequence[float]
) -> int:
    """Samples of every track."""
    ends = [span.start_s + len(said[name].pcm) / SAMPLE_RATE_HZ for name, span in spans.items()]
    echo_s = max((echo.delay_s for echo in timeline.echoes), default=0.0)
    last_s = max([*ends, *noise_ends], default=0.0) + echo_s + timeline.tail_s
    return math.ceil(max(last_s, timeline.min_duration_s) * SAMPLE_RATE_HZ)


def _add(track: Pcm, pcm: Pcm, at_s: float) -> None:
    """Adds pcm to the track, in place; what exceeds the track's end is left out."""
    start = round(at_s * SAMPLE_RATE_HZ)
    length = min(len(pcm), len(track) - start)
    track[start : start + length] += pcm[:length]
