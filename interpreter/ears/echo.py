"""Our own voice, taken out of what a microphone gives back. Time comes with the frames; one thread.

What is sent to a person leaves their loudspeaker and may come back by their microphone, 60 ms to a second later; a
session would interpret it again. Three stages, of which the first is all that runs for a person with headphones:

    microphone ──┬── search: is there an echo, and how late?            no ──> the same samples, untouched
                 └── canceller (AEC3), what was sent moved by that delay
                          └── gate: as it is | cleaned | nothing ──> a session, voice activity

The delay is counted from the time a frame leaves us to the time its echo was captured by the frames' own clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.aec3 import DELAY_SAMPLES, Aec3
from interpreter.ears.echo_gate import EchoGate, GateSettings, Passage
from interpreter.ears.echo_reference import CaptureTimeline, Reference
from interpreter.ears.echo_search import LAGS, EchoSearch

_SOONER_SAMPLES = 960  # 40 ms: what a listener's buffer takes out of the sound before the search has seen it
_FADE_SAMPLES = 240  # 10 ms between what is heard of one frame and of the next
_FADE = np.linspace(0.0, 1.0, _FADE_SAMPLES, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class EchoSettings:
    """When an echo is looked after."""

    found_score: float = 20.0
    """Score of a delay that is an echo's, once two frames agree on it."""

    agreement_s: float = 0.002
    """How near each other two frames must find it."""

    lead_s: float = 0.03
    """What was sent reaches the canceller this much before its echo: it can neither look ahead nor far back."""

    drift_s: float = 0.015
    """An echo that moved by more is followed; less the canceller follows by itself."""

    forgotten_frames: int = 250
    """After 20 s of sound without any echo there is none any more: the person has put on headphones."""

    gate: GateSettings = field(default_factory=GateSettings)
    """What may be heard."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cleaned:
    """One frame of a microphone without our own voice."""

    pcm: Pcm
    """[1920]; the array that came in where no echo is known, else up to 9.3 ms late."""

    gated: bool
    """Silence stands for an echo that could not be taken out."""

    converged: bool
    """The canceller is known to work on this echo."""

    delay_s: float | None
    """From sending to capture; None while no echo is known."""

    erle_db: float | None
    """Echo return loss enhancement: how much of the echo the canceller takes away; None while that is not known."""


class EchoCanceller:
    """Keeps one participant's microphone free of what they were sent."""

    def __init__(self, settings: EchoSettings | None = None) -> None:
        self._settings = settings or EchoSettings()
        self._reference = Reference()
        self._timeline = CaptureTimeline()
        self._search = EchoSearch()
        self._candidate_samples: int | None = None  # found in the last frame
        self._echo: _Echo | None = None

    def sent(self, pcm: Pcm, at_s: float) -> None:
        """What the person hears next.

        Args:
            pcm: [1920], 24 kHz, finite; a frame that is silent may be left out.
            at_s: monotonic time at which its first sample leaves, not before that of earlier frames.

        Raises:
            ValueError: the frame has another length, or samples that are not finite.
        """
        _check(pcm)
        self._reference.put(pcm, at_s)

    def clean(self, pcm: Pcm, captured_at_s: float) -> Cleaned:
        """The next frame without our own voice; everything sent before it was captured must be known by now.

        Args:
            pcm: [1920] of the microphone, 24 kHz, finite.
            captured_at_s: monotonic time of its first sample.

        Raises:
            ValueError: the frame has another length, or samples that are not finite.
        """
        _check(pcm)
        position, follows = self._timeline.place(captured_at_s)
        if not follows:
            self._search.resume(self._reference.read(position - LAGS * FRAME_SAMPLES, LAGS * FRAME_SAMPLES))
        self._search.advance(pcm, self._reference.read(position, FRAME_SAMPLES))
        self._look()
        if self._echo is not None and self._echo.idle_frames > self._settings.forgotten_frames:
            pcm = self._echo.end(pcm)
            self._echo = None
            self._search.forget()
        if self._echo is None:
            return Cleaned(pcm=pcm, gated=False, converged=False, delay_s=None, erle_db=None)
        return self._echo.clean(
            pcm,
            likeness=self._search.likeness(self._echo.delay_samples),
            expected=self._reference.read(position - self._echo.delay_samples, FRAME_SAMPLES),
            sooner=self._reference.read(position - self._echo.delay_samples + _SOONER_SAMPLES, FRAME_SAMPLES),
            early=self._reference.read(position - self._echo.fed_delay_samples, FRAME_SAMPLES),
        )

    def _look(self) -> None:
        """Finds an echo, or follows the one that is known."""
        moved = (
            self._echo is not None
            and self._search.likeness(self._echo.delay_samples) < self._settings.gate.alike
        )
        # What was a second ago says nothing of an echo that may have moved.
        peak = self._search.likeliest_now() if moved else self._search.likeliest()
        before, self._candidate_samples = self._candidate_samples, None
        if peak is None or peak.score < self._settings.found_score:
            return
        self._candidate_samples = peak.delay_samples
        agreement_samples = self._settings.agreement_s * SAMPLE_RATE_HZ
        if before is None or abs(peak.delay_samples - before) > agreement_samples:
            return
        if self._echo is None:
            self._echo = _Echo(peak.delay_samples, self._settings)
        elif self._echo.follow(peak.delay_samples):
            self._search.forget()


class _Echo:
    """An echo that is known, and what is done about it."""

    def __init__(self, delay_samples: int, settings: EchoSettings) -> None:
        self.delay_samples = delay_samples
        self._settings = settings
        self._fed_from_samples = delay_samples  # the delay that the canceller was set to
        self._canceller = Aec3()
        self._gate = EchoGate(settings.gate)
        self._tail = np.zeros(DELAY_SAMPLES, dtype=np.float32)  # of the microphone, as late as the canceller
        self._passage: Passage | None = None  # of the frame before; None: untouched, and in time
        self.idle_frames = 0
        """Frames in a row that should have had an echo, and had none."""

    @property
    def fed_delay_samples(self) -> int:
        """How much later than sent, sound goes into the canceller."""
        lead = min(round(self._settings.lead_s * SAMPLE_RATE_HZ), self._fed_from_samples // 2)
        return self._fed_from_samples - lead

    def follow(self, delay_samples: int) -> bool:
        """The echo was found at `delay_samples`; whether it is another than before."""
        self.delay_samples = delay_samples
        if abs(delay_samples - self._fed_from_samples) <= self._settings.drift_s * SAMPLE_RATE_HZ:
            return False
        self._fed_from_samples = delay_samples
        self._gate.moved()
        return True

    def clean(self, pcm: Pcm, *, likeness: float, expected: Pcm, sooner: Pcm, early: Pcm) -> Cleaned:
        """The next frame.

        Args:
            pcm: [1920] of the microphone.
            likeness: to what was sent, at the echo's delay.
            expected: [1920] whose echo is due in `pcm`.
            sooner: [1920] whose echo would be due, had it moved by as much as may go unseen.
            early: [1920] for the canceller.
        """
        gate = self._gate
        gate.expect(_power(expected), _power(sooner))
        near_power = _power(pcm)
        cleaned = None
        if near_power and gate.cancelling and (gate.sounding or early.any()):
            cleaned = self._canceller.clean(pcm, early)
        passage = gate.judge(near_power, None if cleaned is None else _power(cleaned), likeness)
        if likeness >= self._settings.gate.alike:
            self.idle_frames = 0
        elif gate.sounding:
            self.idle_frames += 1
        return Cleaned(
            pcm=self._heard(pcm, cleaned, passage),
            gated=passage is Passage.NOTHING,
            converged=gate.converged,
            delay_s=self.delay_samples / SAMPLE_RATE_HZ,
            erle_db=gate.loss_db,
        )

    def end(self, pcm: Pcm) -> Pcm:
        """The next frame, in time again, after which there is no echo."""
        return self._heard(pcm, None, None)

    def _heard(self, pcm: Pcm, cleaned: Pcm | None, passage: Passage | None) -> Pcm:
        """What `passage` lets through, faded over from what the frame before did."""
        late = np.concatenate((self._tail, pcm))
        self._tail = late[FRAME_SAMPLES:]
        ways: dict[Passage | None, Pcm | None] = {
            None: pcm,
            Passage.AS_IT_IS: late[:FRAME_SAMPLES],
            Passage.CLEANED: cleaned,
            Passage.NOTHING: None,
        }
        heard, before = (
            np.zeros(FRAME_SAMPLES, dtype=np.float32) if way is None else way
            for way in (ways[passage], ways[self._passage])
        )
        if passage is not self._passage:
            heard = heard.copy()
            heard[:_FADE_SAMPLES] += (1 - _FADE) * (before[:_FADE_SAMPLES] - heard[:_FADE_SAMPLES])
        self._passage = passage
        return heard


def _check(pcm: Pcm) -> None:
    """What is not finite would stay in the averages for ever."""
    if pcm.shape != (FRAME_SAMPLES,) or not np.isfinite(pcm).all():
        raise ValueError(f"expected {FRAME_SAMPLES} finite samples, got shape {list(pcm.shape)}")


def _power(pcm: Pcm) -> float:
    return float(np.einsum("n,n->", pcm, pcm)) / len(pcm)
