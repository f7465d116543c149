"""What interpreting costs: minutes interpreted, seconds of the engine, money from a configured price. Pure.

A step serves all lanes of its batch at once, and its time is shared among them by equal parts:

    step of 40 ms, lanes a b c d      10 ms each; the engine was busy for 40 ms, not for 160

A `CostMeter` belongs to one meeting. Lanes of other meetings in the same batch are unknown to it, so with several
meetings on one engine each counts the whole of the steps it took part in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from duplex_model.contract import FRAME_S
from interpreter.directions import Direction

SECONDS_PER_HOUR = 3_600
_OPEN_STEPS = 64
"""So many of the last steps may still get another lane's answer."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What an engine's device costs."""

    per_gpu_hour: Decimal
    """Money for an hour of it, used or not."""

    currency: str
    """ISO 4217."""

    def of(self, engine_s: float) -> Decimal:
        """Money for so many seconds, not rounded."""
        return self.per_gpu_hour * Decimal(engine_s) / SECONDS_PER_HOUR


@dataclass(frozen=True, kw_only=True)
class DirectionCost:
    """What one direction took."""

    interpreted_s: float = 0.0
    """How long its rendering sounded."""

    served_s: float = 0.0
    """How long its session listened: media time of its steps."""

    engine_s: float = 0.0
    """Its share of the steps."""

    money: Decimal | None = None
    """Of `engine_s`; None without a price."""


@dataclass(frozen=True, kw_only=True)
class CostSnapshot:
    """What a meeting took so far."""

    directions: Mapping[Direction, DirectionCost]
    """Every one there ever was."""

    interpreted_s: float
    """Sum over the directions."""

    engine_s: float
    """How long the engine was busy for this meeting."""

    elapsed_s: float
    """How long the meeting has been going on."""

    currency: str | None
    """None without a price, as all money is."""

    money: Decimal | None
    """Of `engine_s`: what the meeting costs where others fill the rest of the device's time."""

    money_held: Decimal | None
    """Of `elapsed_s`: what it costs where it has the device to itself."""

    @property
    def load(self) -> float | None:
        """Part of the time the engine was busy; 1 is all it can do. None at the very beginning."""
        return self.engine_s / self.elapsed_s if self.elapsed_s > 0.0 else None

    @property
    def money_per_minute(self) -> Decimal | None:
        """`money` per interpreted minute; None without a price or before anything was interpreted."""
        return _per_minute(self.money, self.interpreted_s)

    @property
    def money_held_per_minute(self) -> Decimal | None:
        """`money_held` per interpreted minute; None as above."""
        return _per_minute(self.money_held, self.interpreted_s)


@dataclass(eq=False)
class _Account:
    """One direction's sums."""

    rendered_s: float = 0.0
    steps: int = 0
    engine_s: float = 0.0


@dataclass(eq=False)
class _Step:
    """A step whose lanes are not all known yet."""

    duration_s: float
    lanes: list[Direction] = field(default_factory=list)


class CostMeter:
    """Keeps a meeting's account.

    Args:
        began_s: monotonic time at its beginning.
        price: of the engine's device, where it is configured.
    """

    def __init__(self, began_s: float, price: Price | None = None) -> None:
        self._began_s = began_s
        self._price = price
        self._accounts: dict[Direction, _Account] = {}
        self._open: dict[float, _Step] = {}  # by its beginning; in the order they were heard of
        self._engine_s = 0.0

    def add_step(self, direction: Direction, step_seconds: float, started_s: float) -> None:
        """A direction's session was stepped.

        Args:
            direction: whose.
            step_seconds: how long the step took, for all its lanes together.
            started_s: when it began, by the engine's clock; lanes with the same beginning shared one step.
        """
        self._account(direction).steps += 1
        if started_s not in self._open:
            self._open[started_s] = _Step(step_seconds)
            self._engine_s += step_seconds
            if len(self._open) > _OPEN_STEPS:
                oldest = next(iter(self._open))
                _share(self._open.pop(oldest), self._accounts)
        self._open[started_s].lanes.append(direction)

    def rendered(self, direction: Direction, seconds: float) -> None:
        """So many seconds of a direction's rendering sounded to somebody."""
        self._account(direction).rendered_s += seconds

    def snapshot(self, now_s: float) -> CostSnapshot:
        """The account at `now_s`, monotonic."""
        accounts = {
            direction: _Account(account.rendered_s, account.steps, account.engine_s)
            for direction, account in self._accounts.items()
        }
        for step in self._open.values():
            _share(step, accounts)
        elapsed_s = max(0.0, now_s - self._began_s)
        return CostSnapshot(
            directions={direction: self._cost(account) for direction, account in accounts.items()},
            interpreted_s=sum(account.rendered_s for account in accounts.values()),
            engine_s=self._engine_s,
            elapsed_s=elapsed_s,
            currency=self._price.currency if self._price else None,
            money=self._price.of(self._engine_s) if self._price else None,
            money_held=self._price.of(elapsed_s) if self._price else None,
        )

    def _account(self, direction: Direction) -> _Account:
        return self._accounts.setdefault(direction, _Account())

    def _cost(self, account: _Account) -> DirectionCost:
        return DirectionCost(
            interpreted_s=account.rendered_s,
            served_s=account.steps * FRAME_S,
            engine_s=account.engine_s,
            money=self._price.of(account.engine_s) if self._price else None,
        )


def _share(step: _Step, accounts: Mapping[Direction, _Account]) -> None:
    for direction in step.lanes:
        accounts[direction].engine_s += step.duration_s / len(step.lanes)


def _per_minute(money: Decimal | None, interpreted_s: float) -> Decimal | None:
    return money * 60 / Decimal(interpreted_s) if money is not None and interpreted_s > 0.0 else None
