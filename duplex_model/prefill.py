"""The state after a prompt, computed in parallel instead of step by step.

Every token of a prompt is known, so its positions are independent given the layer below: they run through the
temporal transformer many at a time, and the depth transformer is not needed at all. This happens in a lane of its
own, a piece at a time, so that no session waits for another's prompt; the result is copied wherever it is needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import torch
from torch import Tensor

from duplex_model.generator import Generator, LaneSnapshot
from duplex_model.prompt import PromptColumns
from duplex_model.streaming import StreamingState


class Prefill:
    """Computes one prompt: call `advance` until it says so, then take `result`."""

    def __init__(self, generator: Generator, columns: PromptColumns) -> None:
        """Allocates a lane for the prompt.

        Raises:
            ValueError: the prompt leaves no room in the attended window.
        """
        self._generator = generator
        self._lm, self._table = generator.lm, generator.table
        self._columns = columns.tokens.to(generator.device)
        self._embedded = None if columns.embedded is None else columns.embedded.to(generator.device)
        self.positions = columns.tokens.shape[1] - self._table.max_delay - 1
        """P: columns to compute, and to pin where the model pins prompts."""

        self.done = 0
        """Columns computed."""

        window = self._lm.config.temporal.context
        if self.positions >= window:
            raise ValueError(f"expected a prompt shorter than the window of {window}, got {self.positions}")
        self._condition = generator.conditions(1)
        self._rows = StreamingState(self._lm, generator.passes)
        if self._lm.transformer.sinks:
            self._rows[self._lm.transformer]["pinned"].fill_(self.positions)

    @torch.no_grad()
    def advance(self, columns: int) -> bool:
        """Computes up to `columns` more; whether that was all."""
        until = min(self.done + columns, self.positions)
        if until > self.done:
            self._lm.temporal(self._inputs(self.done, until), self._rows)
            self.done = until
        return self.done == self.positions

    def _inputs(self, start: int, stop: int) -> Tensor:
        """[rows, stop - start, D]."""
        tokens = self._columns[None, :, start:stop].expand(self._rows.lanes, -1, -1)
        x = self._lm.embed(tokens, self._condition)
        if self._embedded is not None:
            given = self._embedded[start:stop].to(x.dtype)
            x = torch.cat([given.expand(len(x), -1, -1), x[:, len(given) :]], dim=1)
        return x

    def result(self) -> LaneSnapshot:
        """The prefix, from which any number of sessions can `begin`."""
        assert self.done == self.positions
        ring: dict[int, Tensor] = {}
        # What the first steps of a session can still reach (see `TokenTable.slots`).
        for position in range(max(0, self.positions + 1 - self._table.max_delay), self._columns.shape[1]):
            ring[position % self._table.slots] = self._columns[:, position]
        lane = self._generator.fresh_lane(self.positions, ring)
        rows = [self._rows.snapshot_lane(row, self.positions) for row in range(self._rows.lanes)]
        return LaneSnapshot(lane, rows)


class PrefixCache:
    """Prefixes by what they were computed from, the least recently used dropped when memory is short."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._prefixes: OrderedDict[Hashable, LaneSnapshot] = OrderedDict()

    def get(self, key: Hashable) -> LaneSnapshot | None:
        """The prefix of `key`, or None where it has to be computed."""
        if key not in self._prefixes:
            return None
        self._prefixes.move_to_end(key)
        return self._prefixes[key]

    def put(self, key: Hashable, prefix: LaneSnapshot) -> None:
        """Keeps `prefix`; one larger than the whole cache is not kept."""
        self._prefixes[key] = prefix
        self._prefixes.move_to_end(key)
        while sum(kept.size_bytes for kept in self._prefixes.values()) > self._max_bytes:
            self._prefixes.popitem(last=False)
