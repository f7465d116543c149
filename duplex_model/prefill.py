"""Known columns computed in parallel instead of step by step: the state after a prompt.

Every token of a prompt is known, so its positions are independent given the layer below: they run through the
temporal transformer many at a time, and the depth transformer is not needed at all. This happens in a lane of its
own, a piece at a time, so that no session waits for another's prompt; the result is copied wherever it is needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from duplex_model.generator import Generator, LaneSnapshot
from duplex_model.prompt import PromptColumns
from duplex_model.streaming import StreamingState

PIECE_COLUMNS = 32
"""Columns of a prompt per piece. Fixed, as a matrix product may round differently at another height."""


class LaneApart:
    """A lane of the temporal transformer alone, outside the batch: takes in columns, many at a time."""

    def __init__(self, generator: Generator) -> None:
        """Allocates it."""
        self._lm = generator.lm
        self._device = generator.device
        self._condition = generator.conditions(1)
        self._rows = StreamingState(self._lm, generator.passes)
        self._embedded: Tensor | None = None
        self.done = 0
        """Columns taken in."""

    def begin(self, embedded: Tensor | None, pinned: int) -> None:
        """Forgets everything.

        Args:
            embedded: [M, D]: the inputs of the first M columns, where only they are known.
            pinned: columns that stay attended for ever, where the model pins prompts.
        """
        for row in range(self._rows.lanes):
            self._rows.reset_lane(row)
        if self._lm.transformer.sinks:
            self._rows[self._lm.transformer]["pinned"].fill_(pinned)
        self._embedded = None if embedded is None else embedded.to(self._device)
        self.done = 0

    @torch.no_grad()
    def take(self, columns: Tensor) -> None:
        """Computes the next columns, int64 [streams, T]; altogether no more than the window."""
        tokens = columns.to(self._device)[None].expand(self._rows.lanes, -1, -1)
        x = self._lm.embed(tokens, self._condition)
        if self._embedded is not None:
            given = self._embedded[self.done : self.done + x.shape[1]].to(x.dtype)
            x = torch.cat([given.expand(len(x), -1, -1), x[:, len(given) :]], dim=1)
        self._lm.temporal(x, self._rows)
        self.done += columns.shape[1]

    def rows(self) -> Sequence[Mapping[str, Tensor]]:
        """The language model's part of a `LaneSnapshot`."""
        return [self._rows.snapshot_lane(row, self.done) for row in range(self._rows.lanes)]


class Prefill:
    """Computes one prompt: call `advance` until it says so, then take `result`."""

    def __init__(self, generator: Generator, columns: PromptColumns, lane: LaneApart | None = None) -> None:
        """Begins; in a lane allocated for the prompt unless it is given one.

        Raises:
            ValueError: the prompt leaves no room in the attended window.
        """
        self._generator = generator
        self._table = generator.table
        self._columns = columns.tokens.to(generator.device)
        self.positions = columns.positions(self._table.max_delay)
        """P: columns to compute, and to pin where the model pins prompts."""

        window = generator.lm.config.temporal.context
        if self.positions >= window:
            raise ValueError(f"expected a prompt shorter than the window of {window}, got {self.positions}")
        self._lane = lane or LaneApart(generator)
        self._lane.begin(columns.embedded, self.positions)

    @property
    def done(self) -> int:
        """Columns computed."""
        return self._lane.done

    def advance(self, columns: int) -> bool:
        """Computes up to `columns` more; whether that was all."""
        until = min(self.done + columns, self.positions)
        if until > self.done:
            self._lane.take(self._columns[:, self.done : until])
        return self.done == self.positions

    def result(self) -> LaneSnapshot:
        """The prefix, from which any number of sessions can `begin`."""
        assert self.done == self.positions
        ring: dict[int, Tensor] = {}
        # What the first steps of a session can still reach (see `TokenTable.slots`).
        for position in range(max(0, self.positions + 1 - self._table.max_delay), self._columns.shape[1]):
            ring[position % self._table.slots] = self._columns[:, position]
        return LaneSnapshot(self._generator.fresh_lane(self.positions, ring), self._lane.rows())


@dataclass(frozen=True)
class Prefix:
    """A prompt, and the state after it."""

    columns: PromptColumns
    state: LaneSnapshot

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        tensors = [self.columns.tokens, *([] if self.columns.embedded is None else [self.columns.embedded])]
        return self.state.size_bytes + sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class PrefixCache:
    """Prefixes by what they were computed from, the least recently used dropped when memory is short."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._prefixes: OrderedDict[Hashable, Prefix] = OrderedDict()

    def get(self, key: Hashable) -> Prefix | None:
        """The prefix of `key`, or None where it has to be computed."""
        if key not in self._prefixes:
            return None
        self._prefixes.move_to_end(key)
        return self._prefixes[key]

    def put(self, key: Hashable, prefix: Prefix) -> None:
        """Keeps `prefix`; one larger than the whole cache is not kept."""
        self._prefixes[key] = prefix
        self._prefixes.move_to_end(key)
        while sum(kept.size_bytes for kept in self._prefixes.values()) > self._max_bytes:
            self._prefixes.popitem(last=False)
