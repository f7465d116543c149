"""What is said in a run, as it comes to be said: the source of tracks, of the scripted interpreter and of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from scenarios.live_track import LiveTrack
from scenarios.scenario_file import SayKind
from scenarios.speech import Speech


@dataclass(frozen=True, kw_only=True, eq=False)
class Spoken:
    """An utterance with its place on the run's clock."""

    id: str
    person: str
    """Key of the participant in the scenario."""

    language: str
    kind: SayKind
    texts: Mapping[str, str]
    """Primary language -> what is, or should be, said in it."""

    faulty: Mapping[str, str]
    speech: Speech
    start_s: float

    @property
    def end_s(self) -> float:
        """Of its last sound."""
        return self.start_s + self.speech.duration_s


@dataclass(eq=False)
class CastScript:
    """Who says what when."""

    tracks: Mapping[str, LiveTrack]
    """Participant -> their microphone."""

    spoken: list[Spoken] = field(default_factory=list)
    latest_s: float = 0.0125
    """How late a frame may reach an engine: an echo canceller takes some milliseconds, a network more."""

    came_back: set[str] = field(default_factory=set)
    """Participants who were lost and came back."""

    def say(self, spoken: Spoken) -> None:
        """Notes an utterance that stands in its speaker's track already."""
        self.spoken.append(spoken)

    def said_by(self, person: str) -> list[Spoken]:
        """What one participant says, in the order it was noted."""
        return [one for one in self.spoken if one.person == person]

    def speaker_of(self, frame: Pcm) -> str | None:
        """Whose microphone gave `frame` [1920] up to `latest_s` ago; None for silence and for no-one's.

        A codec and an echo canceller may have made it somewhat another.
        """
        if not frame.any():
            return None
        window = FRAME_SAMPLES + round(self.latest_s * SAMPLE_RATE_HZ)
        likeness = {person: _likeness(frame, track.sent(window)) for person, track in self.tracks.items()}
        best = max(likeness, key=lambda person: likeness[person], default=None)
        return best if best is not None and likeness[best] > _ALIKE else None


_ALIKE = 0.5
_SOFTEST = 1e-7  # of a frame's mean square: what is softer is like nothing


def _likeness(frame: Pcm, sent: Pcm) -> float:
    """Largest normalised correlation of `frame` with a stretch of `sent` of its length."""
    lags = len(sent) - len(frame) + 1
    size = 1 << (len(sent) + len(frame) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(sent, size) * np.conj(np.fft.rfft(frame, size)), size)[:lags]
    sums = np.concatenate([[0.0], np.cumsum(np.square(sent, dtype=np.float64))])
    energies = sums[len(frame) :] - sums[:lags]
    energy = float(np.dot(frame, frame))
    audible = energies > _SOFTEST * len(frame)
    if not audible.any() or energy <= _SOFTEST * len(frame):
        return 0.0
    return float(np.max(products[audible] / np.sqrt(energies[audible] * energy)))
