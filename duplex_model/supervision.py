"""When an engine's process is started again, and what is said of it meanwhile; pure, time is an argument.

    STARTING ──ready──> READY ──lost──> LOST ──died──> DIED ──delay over──> RESTARTING ──ready──> READY
        └──────────lost──────────────────^ ^──────────lost──────────────────────┘
                                           └─died too often──> FAILED ──long delay──> RESTARTING

An engine that refuses its options goes to FAILED at once: starting it again at once would change nothing. Every state
is whole from the moment it can be seen: DIED and FAILED say how the process went, which LOST does not know yet.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class EnginePhase(enum.Enum):
    """Where an engine's process is in its life."""

    STARTING = "starting"
    READY = "ready"
    LOST = "lost"  # its sessions have failed; what is left of it is being ended
    DIED = "died"
    RESTARTING = "restarting"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """What an operator sees of an engine's process."""

    phase: EnginePhase
    text: str
    """For people: the step of a start, or why it died."""

    fraction: float = 0.0
    """How far a start has come, in [0, 1]."""

    deaths: int = 0
    """How often the process died so far."""


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """How patient to be with a process that dies."""

    first_delay_s: float = 0.1
    """Before the first replacement; doubled with every quick death that follows."""

    longest_delay_s: float = 5.0
    quick_death_s: float = 10.0
    """A process that dies sooner than this after it was ready, or before it was, died quickly."""

    quick_deaths: int = 5
    """So many in a row, and the engine counts as failed."""

    failed_delay_s: float = 60.0
    """Between the attempts of a failed engine."""


class Supervision:
    """The state of one engine's processes, one after another."""

    def __init__(self, policy: RestartPolicy, now_s: float) -> None:
        self._policy = policy
        self._state = EngineState(phase=EnginePhase.STARTING, text="starting")
        self._start_at_s: float | None = now_s
        self._ready_at_s: float | None = None
        self._quick = 0

    @property
    def state(self) -> EngineState:
        """What to tell people."""
        return self._state

    @property
    def start_at_s(self) -> float | None:
        """When to start a process; None while there is one, or none will be."""
        return self._start_at_s

    def started(self) -> None:
        """A process was started."""
        self._start_at_s = None
        self._ready_at_s = None
        first = self._state.phase is EnginePhase.STARTING
        phase = EnginePhase.STARTING if first else EnginePhase.RESTARTING
        self._state = replace(self._state, phase=phase, text="starting the engine's process", fraction=0.0)

    def progressed(self, fraction: float, text: str) -> None:
        """The process said how far its start has come."""
        self._state = replace(self._state, fraction=fraction, text=text)

    def ready(self, now_s: float) -> None:
        """The process serves sessions."""
        self._ready_at_s = now_s
        self._state = replace(self._state, phase=EnginePhase.READY, text="ready", fraction=1.0)

    def lost(self, reason: str) -> None:
        """The process serves nobody any more, and will not again; how it went is not known yet."""
        self._state = replace(self._state, phase=EnginePhase.LOST, text=reason, fraction=0.0)

    def died(self, now_s: float, reason: str) -> None:
        """The process is gone, since `now_s`, or could not be started."""
        quick = self._ready_at_s is None or now_s - self._ready_at_s < self._policy.quick_death_s
        self._quick = self._quick + 1 if quick else 1
        if self._quick >= self._policy.quick_deaths:
            self.refused(now_s, f"{reason}; {self._quick} times in a row")
            return
        doubled_s = self._policy.first_delay_s * 2 ** (self._quick - 1)
        self._stop(EnginePhase.DIED, reason, now_s + min(doubled_s, self._policy.longest_delay_s))

    def refused(self, now_s: float, reason: str) -> None:
        """Starting it again soon would change nothing."""
        self._stop(EnginePhase.FAILED, reason, now_s + self._policy.failed_delay_s)

    def closed(self) -> None:
        """No process will be started any more."""
        self._start_at_s = None
        self._state = replace(self._state, phase=EnginePhase.CLOSED, text="closed", fraction=0.0)

    def _stop(self, phase: EnginePhase, reason: str, start_at_s: float) -> None:
        self._ready_at_s = None
        self._start_at_s = start_at_s
        deaths = self._state.deaths + 1
        self._state = EngineState(phase=phase, text=reason, deaths=deaths)
