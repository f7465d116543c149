"""What the device does next: pure decisions of a batched, always-clocked engine; time is an argument.

    tick n                                              tick n + 1
    |--gather--|== step all that came ==|-- spare time ----|
                                        late frames, lanes behind, joins, copies

At a tick the scheduler waits a little for the frames of the lanes it expects, and ends the wait as soon as all are
there. They are stepped as one batch. What time is left until the next tick goes to lanes whose frame came late or
that are behind, and to work for one lane outside the batch; both begin only when the measured cost says that they
end before the next tick's frames are stepped anyway, so that nobody else is made late.

Where time waits for the answers, nobody can be late: then everything is done as soon as it can be (`paced`).
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import inf

from duplex_model.contract import TickGrid


class Work(enum.Enum):
    """Kinds of work whose cost is estimated apart."""

    STEP = enum.auto()
    PREFILL = enum.auto()  # one piece of a prompt
    COPY = enum.auto()  # one piece of a lane's state, to or from the host
    UPKEEP = enum.auto()  # one piece of what a lane needs for a long call


@dataclass(frozen=True)
class Step:
    """Step these lanes as one batch."""

    lanes: tuple[int, ...]


@dataclass(frozen=True)
class Aside:
    """Do one piece of work for one lane, outside the batch."""

    work: Work
    lane: int


@dataclass(frozen=True)
class Wait:
    """Nothing can begin before `until_s`, unless something new is asked for."""

    until_s: float


Action = Step | Aside | Wait


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is asked for at one moment."""

    listening: Collection[int]
    """Lanes with a session that has its prompt, and that nothing holds back."""

    ready: Collection[int]
    """Those of them with a frame to be stepped."""

    asides: Sequence[Aside] = ()
    """Work for single lanes, the longest asked for first."""


@dataclass
class Cost:
    """How long one kind of work takes at most: mean + 4 deviations, smoothed as the round trips of RFC 6298."""

    assumed_s: float
    """Taken until something was measured."""

    _mean_s: float | None = None
    _deviation_s: float = 0.0

    def add(self, took_s: float) -> None:
        """Learns from one piece of work."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = took_s, took_s / 8
            return
        self._deviation_s += (abs(took_s - self._mean_s) - self._deviation_s) / 4
        self._mean_s += (took_s - self._mean_s) / 8

    def age(self) -> None:
        """Trusts the mean a little more, so that one slow piece does not forbid all others for ever."""
        self._deviation_s *= 0.9

    @property
    def at_most_s(self) -> float:
        """The estimate."""
        return self.assumed_s if self._mean_s is None else self._mean_s + 4 * self._deviation_s


@dataclass
class Scheduler:
    """Decides; see the module. Call `decide`, do what it says, then tell it by `done`."""

    grid: TickGrid
    gather_s: float
    """Longest wait after a tick for frames still on their way."""

    paced: bool = True
    """Whether answers are due in the grid's time."""

    _costs: dict[Work, Cost] = field(default_factory=dict)
    _tick_gathered: int | None = None
    """The tick whose first batch was stepped, or for which there was nothing to step."""

    _tick_heard: dict[int, int] = field(default_factory=dict)
    """Lane -> tick in which it was stepped last."""

    _stepped: frozenset[int] = frozenset()
    """Lanes of the last batch."""

    _gathering_since_s: float | None = None
    """Where nothing is paced: when the first frame of the next batch was seen."""

    def __post_init__(self) -> None:
        # A first try may take half a tick: less, and a slow device would never be tried.
        self._costs = {work: Cost(self.grid.period_s / 2) for work in Work}

    def cost_s(self, work: Work) -> float:
        """How long `work` is expected to take at most."""
        return self._costs[work].at_most_s

    def decide(self, now_s: float, situation: Situation) -> Action:
        """What to begin at `now_s`."""
        if not self.paced:
            return self._decide_at_once(now_s, situation)
        tick = self.grid.tick_at(now_s)
        expected = self._expected(tick, situation)
        awaited = expected.difference(situation.ready)
        if self._tick_gathered != tick:
            gathered_s = self.grid.time_of(tick) + self.gather_s
            if awaited and now_s < gathered_s:
                return Wait(gathered_s)
            self._begin(tick, situation)
            if situation.ready:
                return self._step(tick, situation.ready)
        room_s = self.grid.time_of(tick + 1) - now_s
        # Those who wait for nothing but the next tick's frames wait as long as for frames on their way, not longer.
        may_step = bool(situation.ready) and self._fits(Work.STEP, room_s + self.gather_s, awaited)
        if may_step:
            room_s -= self.cost_s(Work.STEP)
        for aside in situation.asides:
            # Upkeep is done beside a lane that goes on: it is itself among those who must not be late.
            others = expected if aside.work is Work.UPKEEP else expected.difference([aside.lane])
            if self._fits(aside.work, room_s, others):
                return aside
        if may_step:
            return self._step(tick, situation.ready)
        return Wait(self.grid.time_of(tick + 1) if situation.ready or situation.asides else inf)

    def _decide_at_once(self, now_s: float, situation: Situation) -> Action:
        """Frames, as one batch with those on their way of the lanes stepped last; else whatever work there is."""
        if not situation.ready:
            return situation.asides[0] if situation.asides else Wait(inf)
        if self._gathering_since_s is None:
            self._gathering_since_s = now_s
        gathered_s = self._gathering_since_s + self.gather_s
        if now_s < gathered_s and (self._stepped & set(situation.listening)).difference(situation.ready):
            return Wait(gathered_s)
        self._gathering_since_s = None
        return self._step(self.grid.tick_at(now_s), situation.ready)

    def done(self, work: Work, took_s: float) -> None:
        """Tells how long a piece of work took."""
        self._costs[work].add(took_s)

    def forget(self, work: Work) -> None:
        """Drops what was learnt of `work`, so that it is tried anew."""
        self._costs[work] = Cost(self.grid.period_s / 2)

    def _begin(self, tick: int, situation: Situation) -> None:
        self._tick_gathered = tick
        for work in {aside.work for aside in situation.asides}:
            self._costs[work].age()

    def _expected(self, tick: int, situation: Situation) -> set[int]:
        """Lanes that were fed a tick ago; a lane that nobody feeds keeps nobody waiting."""
        return {lane for lane in situation.listening if self._tick_heard.get(lane, -2) >= tick - 1}

    def _fits(self, work: Work, room_s: float, others: Collection[int]) -> bool:
        """Whether `work` ends before the next tick, or there is nobody whom it could make late."""
        return not others or self.cost_s(work) <= room_s

    def _step(self, tick: int, lanes: Collection[int]) -> Step:
        self._tick_heard.update(dict.fromkeys(lanes, tick))
        self._stepped = frozenset(lanes)
        return Step(tuple(sorted(lanes)))
