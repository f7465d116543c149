"""Renewing lanes whose call is longer than what was seen in training, a piece at a time.

While a lane is being renewed it is stepped as ever. Most pieces are computed ahead, beside it; at the silence only
the last one is left, and the lane takes over the new state between two frames. Its codec goes on (`refresh`) or
begins anew in the silence (`restart`), and nobody hears a gap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from duplex_model.batch_model import Upkeep
from duplex_model.contract import LongCalls
from duplex_model.generator import Generator as LanguageGenerator
from duplex_model.generator import LaneSnapshot
from duplex_model.long_call import LongCall, next_seed
from duplex_model.prefill import PIECE_COLUMNS, LaneApart, Prefill
from duplex_model.prompt import PromptColumns

logger = logging.getLogger(__name__)

FirstStep = Callable[[LaneSnapshot, int], LaneSnapshot]
"""(state after a prompt, seed) -> the state of a session that has just begun."""


@dataclass
class _Restart:
    """The state in which a call will begin anew."""

    pieces: Generator[None, None, LaneSnapshot]
    ready: LaneSnapshot | None = None

    def advance(self) -> None:
        try:
            next(self.pieces)
        except StopIteration as end:
            self.ready = end.value


class Renewals:
    """Of all lanes of a model."""

    def __init__(
        self,
        generator: LanguageGenerator,
        first_step: FirstStep,
        calls: Sequence[LongCall],
        cleared: Callable[[int], None],
        apart: LaneApart | None,
    ) -> None:
        """Takes the lanes that may be renewed.

        Args:
            generator: whose lanes they are.
            first_step: for restarts.
            calls: of the lanes; entries may be replaced.
            cleared: makes all of a lane new but its language model, where that begins anew.
            apart: where new states are computed, one after the other; None where every call is left as it is.
        """
        self._generator = generator
        self._first_step = first_step
        self._calls = calls
        self._cleared = cleared
        self._apart = apart
        self._refreshing: tuple[int, int] | None = None
        """The lane that has `_apart`, and the number of its wait."""

        self._waiting: list[int] = []
        """Lanes to be renewed, the longest waiting first."""

        self._restarts: dict[int, _Restart] = {}

    def stepped(self, lane: int) -> None:
        """Learns that the call of `lane` has made a step."""
        call = self._calls[lane]
        if call.waited is not None and lane not in self._waiting:
            self._waiting.append(lane)

    def forget(self, lane: int) -> None:
        """Drops what was prepared for `lane`: it holds another call now."""
        if lane in self._waiting:
            self._waiting.remove(lane)
        self._restarts.pop(lane, None)
        if self._refreshing is not None and self._refreshing[0] == lane:
            self._refreshing = None
        self.stepped(lane)

    def upkeep(self) -> Sequence[Upkeep]:
        """See `BatchModel.upkeep`."""
        refreshes = [lane for lane in self._waiting if self._refreshes(lane)]
        restarts = [lane for lane in self._waiting if lane not in refreshes]
        unready = [lane for lane in restarts if not self._restart_ready(lane)]
        # Restarts go first: when one is ready must not depend on the refreshes of others (ADR 14).
        apart = unready[:1] or [lane for lane in refreshes[:1] if self._refresh_has_work(lane)]
        lanes = apart + [lane for lane in restarts if lane not in unready and self._calls[lane].due]
        found = [Upkeep(lane, due=self._calls[lane].due) for lane in lanes]
        return sorted(found, key=lambda upkeep: not upkeep.due)

    def keep_up(self, lane: int) -> None:
        """See `BatchModel.keep_up`."""
        assert self._apart is not None
        if self._refreshes(lane):
            self._refresh(lane, self._apart)
        else:
            self._restart(lane, self._apart)

    def _refreshes(self, lane: int) -> bool:
        return self._calls[lane].plan.method is LongCalls.REFRESH

    def _refresh_has_work(self, lane: int) -> bool:
        call = self._calls[lane]
        done = self._apart.done if self._apart and self._refreshing == (lane, call.waits) else 0
        return call.due or call.renewed_position - done >= PIECE_COLUMNS

    def _refresh(self, lane: int, apart: LaneApart) -> None:
        call = self._calls[lane]
        if self._refreshing != (lane, call.waits):
            apart.begin(call.prompt.embedded, call.prompt_positions)
            self._refreshing = lane, call.waits
        until = min(apart.done + PIECE_COLUMNS, call.renewed_position)
        if until > apart.done:
            apart.take(call.columns(apart.done, until))
        if call.due and apart.done == call.renewed_position:
            seed = next_seed(self._generator.seed_of(lane))
            renewed = self._generator.rebased(lane, apart.rows(), apart.done, seed)
            self._generator.restore(lane, renewed)
            logger.info("lane %d goes on at position %d instead of %d", lane, apart.done, call.position)
            call.refreshed()
            self.forget(lane)

    def _restart_ready(self, lane: int) -> bool:
        return lane in self._restarts and self._restarts[lane].ready is not None

    def _restart(self, lane: int, apart: LaneApart) -> None:
        call = self._calls[lane]
        if lane not in self._restarts:
            self._refreshing = None  # whose pieces are overwritten
            seed = next_seed(self._generator.seed_of(lane))
            self._restarts[lane] = _Restart(self._begin(call.prompt, seed, apart))
        restart = self._restarts[lane]
        if restart.ready is None:
            restart.advance()
        elif call.due:
            logger.info("lane %d begins anew at position %d", lane, call.position)
            self._generator.restore(lane, restart.ready)
            self._cleared(lane)
            self.forget(lane)

    def _begin(
        self, prompt: PromptColumns, seed: int, apart: LaneApart
    ) -> Generator[None, None, LaneSnapshot]:
        prefill = Prefill(self._generator, prompt, apart)
        while not prefill.advance(PIECE_COLUMNS):
            yield
        return self._first_step(prefill.result(), seed)
