"""What of a microphone that has an echo may be heard: itself, what a canceller leaves of it, or nothing. Pure.

    the person speaks, well above the echo               ->  as it is: no canceller distorts it
    the echo, or a mixture, and the canceller works      ->  cleaned
    the echo, or a mixture, and it does not (yet)        ->  silence, also frame by frame: an echo moves unseen
    nothing that was sent can sound there now            ->  as it is

How loud the echo is follows from what was sent and the **coupling**, learnt from windows that are echo and nothing
else. An echo that moves unseen may come sooner than is known, so what was sent a little later counts as well. The
person's voice can only make it look larger, so a low quantile of what was seen is taken.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from math import inf, log10
from statistics import median


class Passage(enum.Enum):
    """What may be heard of a frame."""

    AS_IT_IS = "as it is"
    CLEANED = "cleaned"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """When an echo is one; levels in dB, likenesses as `EchoSearch.likeness` counts them."""

    alike: float = 11.0
    """Likeness from which a window is more echo than anything else."""

    echo_alone: float = 18.0
    """Likeness from which a window is an echo and nothing else, and teaches the coupling."""

    above_echo_db: float = 8.0
    """A voice this much louder than the expected echo masks it."""

    far_above_echo_db: float = 11.0
    """The same where the window is still like the echo: a voice has just begun."""

    unknown_coupling_db: float = -18.0
    """What the coupling is taken for at first, where a window is not like the echo."""

    unknown_frames: int = 4
    """So long after an echo was found: it may still move, as it does where a listener's buffer grows."""

    heard_dbfs: float = -65.0
    """A weaker echo is no speech to a model or to a detector of voices."""

    tail_db: float = -8.0
    """How far an echo falls per frame after its sound has ended, in a room of 0.6 s reverberation time."""

    low_coupling_db: float = -35.0
    """Below, the canceller would harm a voice more than the echo does: the gate alone does the work."""

    converged_db: float = 10.0
    """Loss of echo from which the canceller works."""

    diverged_db: float = 4.0
    """Loss of echo below which it works no longer: the path has changed."""

    failing_db: float = 10.0
    """Loss of echo below which a frame no louder than an echo alone is held back, and the one after it: the echo has
    moved, or a voice is so faint that the echo masks it."""

    believed_frames: int = 12
    """So long an echo that comes no more is believed to be still there, having moved."""

    converging_frames: int = 8
    """Frames of echo it gets at least: it starts by suppressing everything, which is no sign of success."""


_LOSSES = 16
_COUPLINGS = 25  # 2 s of echo alone
_LEAST_COUPLINGS = 4  # fewer may all be a voice that just began
_COUPLING_QUANTILE = 0.3
_TEACHING_POWER = 10.0 ** (-45 / 10)  # of what was sent: less teaches the tail of what was before
_FLOOR_DBFS = -90.0  # what a canceller leaves is not quieter than a bit
_ALONE_DB = 3.0  # an echo alone is at most this much louder than expected


class EchoGate:
    """The gate of one microphone, from the moment an echo was found in it."""

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._tail_power = 0.0  # of what was sent, falling slowly
        self._most_power = 0.0  # the same, if the echo may also have come sooner
        self._couplings_db: deque[float] = deque(maxlen=_COUPLINGS)  # seen in windows of echo alone
        self._losses_db: deque[float] = deque(maxlen=_LOSSES)  # in the canceller, of echo alone
        self._converged = False
        self._failed = False  # the canceller did, in the frame before
        self._unlike_frames = 0  # in a row that should have had an echo, and were not like it
        self._known_frames = 0  # with an echo, since it was found where it is

    @property
    def converged(self) -> bool:
        """Whether the canceller is known to work."""
        return self._converged

    @property
    def coupling_db(self) -> float | None:
        """Level of the echo relative to what was sent; None before any window of echo alone."""
        if len(self._couplings_db) < _LEAST_COUPLINGS:
            return None
        return sorted(self._couplings_db)[int(_COUPLING_QUANTILE * len(self._couplings_db))]

    @property
    def loss_db(self) -> float | None:
        """How much of the echo the canceller takes away; None before any window of echo alone."""
        return median(self._losses_db) if self._losses_db else None

    @property
    def cancelling(self) -> bool:
        """Whether the canceller is of use."""
        coupling_db = self.coupling_db
        return coupling_db is None or coupling_db >= self._settings.low_coupling_db

    @property
    def sounding(self) -> bool:
        """Whether an echo of what was sent may be heard in the last frame."""
        return self._most_echo_dbfs() > self._settings.heard_dbfs

    def moved(self) -> None:
        """The echo comes at another delay now: what the canceller has learnt is in doubt."""
        self._losses_db.clear()
        self._converged = False
        self._known_frames = 0

    def expect(self, sent_power: float, sooner_power: float) -> None:
        """An echo is due in the next frame.

        Args:
            sent_power: mean square of the sound whose echo it is.
            sooner_power: the same, had the echo moved and come a little sooner.
        """
        tail = 10 ** (self._settings.tail_db / 10)
        self._tail_power = max(sent_power, self._tail_power * tail)
        self._most_power = max(sent_power, sooner_power, self._most_power * tail)

    def judge(self, near_power: float, cleaned_power: float | None, likeness: float) -> Passage:
        """What may be heard of the frame that `expect` announced.

        Args:
            near_power: mean square of the frame.
            cleaned_power: mean square of what the canceller left of it, None where it was not asked.
            likeness: to what was sent, at the echo's delay.
        """
        if likeness >= self._settings.echo_alone:
            if self._tail_power > _TEACHING_POWER:
                self._couplings_db.append(_dbfs(near_power) - _dbfs(self._tail_power))
            if cleaned_power is not None and _dbfs(near_power) < self._echo_dbfs() + _ALONE_DB:
                self._learn(near_power, cleaned_power)
        self._known_frames += self.sounding
        self._unlike_frames = 0 if likeness >= self._settings.alike else self._unlike_frames + self.sounding
        if near_power == 0.0 or not self.sounding or self._masked(near_power, likeness):
            return Passage.AS_IT_IS
        if not self._converged or cleaned_power is None:
            return Passage.NOTHING
        failed_before, self._failed = self._failed, self._fails(near_power, cleaned_power)
        return Passage.NOTHING if self._failed or failed_before else Passage.CLEANED

    def _fails(self, near_power: float, cleaned_power: float) -> bool:
        """Whether the canceller leaves too much of what is no louder than an echo alone."""
        alone = _dbfs(near_power) < self._most_echo_dbfs() + _ALONE_DB
        believed = self._unlike_frames <= self._settings.believed_frames
        return alone and believed and _loss_db(near_power, cleaned_power) < self._settings.failing_db

    def _learn(self, near_power: float, cleaned_power: float) -> None:
        """How well the canceller does."""
        self._losses_db.append(_loss_db(near_power, cleaned_power))
        least_db = self._settings.diverged_db if self._converged else self._settings.converged_db
        enough = len(self._losses_db) >= self._settings.converging_frames
        self._converged = enough and median(self._losses_db) >= least_db

    def _masked(self, near_power: float, likeness: float) -> bool:
        """Whether the person's own voice is so much louder that the echo beside it does not matter."""
        alike = likeness >= self._settings.alike
        coupling_db = self.coupling_db
        if coupling_db is None:
            if alike or self._known_frames > self._settings.unknown_frames:
                return not alike
            coupling_db = self._settings.unknown_coupling_db
        margin_db = self._settings.far_above_echo_db if alike else self._settings.above_echo_db
        return _dbfs(near_power) > _dbfs(self._most_power) + coupling_db + margin_db

    def _echo_dbfs(self) -> float:
        return _dbfs(self._tail_power) + (self.coupling_db or 0.0)

    def _most_echo_dbfs(self) -> float:
        """At the onset of a sound an echo that comes sooner than is known would else be taken for a voice."""
        return _dbfs(self._most_power) + (self.coupling_db or 0.0)


def _loss_db(near_power: float, cleaned_power: float) -> float:
    return _dbfs(near_power) - max(_dbfs(cleaned_power), _FLOOR_DBFS)


def _dbfs(power: float) -> float:
    return 10 * log10(power) if power > 0 else -inf
