"""The token table: which token stands where, given that acoustic tokens come later than the rest of their frame.

Frame f of stream k stands at position f + delay_k; frames count from 1. Positions up to the delay hold the stream's
initial token. The model reads column p and predicts the own streams of column p + 1.

    delay 1     position   0    1    2    3    4           I: initial token
                text       I    t1   t2   t3   t4          t2: text of frame 2
                semantic   I    s1   s2   s3   s4
                acoustic   I    I    a1   a2   a3          frame 3 is whole once column 4 stands

A lane keeps only the columns that can still be read or written, in a ring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from duplex_model.config import TO_SAMPLE, LMConfig
from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState


def delayed(config: LMConfig, frames: Tensor) -> Tensor:
    """The columns of known frames.

    Args:
        config: of the model.
        frames: int64 [streams, F], frames 1 to F.

    Returns:
        int64 [streams, F + max_delay + 1], columns from position 0; what is not known is `TO_SAMPLE`.
    """
    count = frames.shape[1]
    columns = frames.new_full((config.streams, count + config.acoustic_delay + 1), TO_SAMPLE)
    for stream, (delay, initial) in enumerate(zip(config.delays, config.initial_tokens, strict=True)):
        columns[stream, : delay + 1] = initial
        columns[stream, delay + 1 : delay + 1 + count] = frames[stream]
    return columns


@dataclass(frozen=True)
class OwnFrame:
    """A whole frame of the own streams, as it leaves the table."""

    tokens: Tensor
    """int64 [B, 1 + own codebooks]: text, then codes; meaningless where not `valid`."""

    valid: Tensor
    """bool [B]: whether the lane made a step and its frame exists."""


class TokenTable(StreamingModule):
    """The table of every lane. The state is passed in; the module itself only knows the delays."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.own = 1 + config.own_codebooks
        self.streams = config.streams
        self.max_delay = config.acoustic_delay
        # From the first column of the oldest whole frame to the last one of a frame given ahead of time.
        self.slots = 2 * self.max_delay + 2
        self.register_buffer("delays", torch.tensor(config.delays))
        self.register_buffer("initial", torch.tensor(config.initial_tokens))
        self.delays: Tensor
        self.initial: Tensor

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The ring of columns, the position to be read next, and the session's seed."""
        scalar = LaneTensor(shape=(), dtype=torch.int64)
        ring = LaneTensor(shape=(self.streams, self.slots), dtype=torch.int64, fill=TO_SAMPLE)
        return {"ring": ring, "position": scalar, "seed": scalar}

    def begin_step(self, state: StreamingState) -> None:
        """Makes room for the column that comes into reach, `max_delay + 1` positions ahead."""
        ahead = state[self]["position"] + self.max_delay + 1
        self._write(state, torch.full_like(self._at(state, ahead, 0, self.streams), TO_SAMPLE), ahead, 0)

    def give(self, state: StreamingState, frame: Tensor, first_stream: int, tokens: Tensor) -> None:
        """Places known tokens of a frame; `TO_SAMPLE` leaves an entry as it is.

        Args:
            state: of the lanes; only executing ones are written.
            frame: int64 [B].
            first_stream: of the tokens.
            tokens: int64 [B, n], of n consecutive streams.
        """
        count = tokens.shape[1]
        positions = frame[:, None] + self.delays[first_stream : first_stream + count]
        kept = self._gather(state, positions, first_stream)
        self._scatter(state, torch.where(tokens == TO_SAMPLE, kept, tokens), positions, first_stream)

    def column(self, state: StreamingState, ahead: int = 0) -> Tensor:
        """int64 [B, streams]: the column `ahead` of the lanes' positions."""
        position = state[self]["position"] + ahead
        column = self._at(state, position, 0, self.streams)
        return torch.where(position[:, None] <= self.delays, self.initial, column)

    def set_next(self, state: StreamingState, tokens: Tensor) -> None:
        """Places the own streams [B, own] of the next column."""
        self._write(state, tokens, state[self]["position"] + 1, 0)

    def whole_frame(self, state: StreamingState) -> OwnFrame:
        """The newest frame of the own streams that is whole once the next column is set."""
        frame = state[self]["position"] + 1 - self.max_delay
        positions = frame[:, None] + self.delays[: self.own]
        return OwnFrame(self._gather(state, positions, 0), state.executing & (frame >= 1))

    def end_step(self, state: StreamingState) -> None:
        """Moves the executing lanes to their next column."""
        position = state[self]["position"]
        state.write(position, position + 1)

    def _at(self, state: StreamingState, position: Tensor, first: int, count: int) -> Tensor:
        return self._gather(state, position[:, None].expand(-1, count), first)

    def _write(self, state: StreamingState, tokens: Tensor, position: Tensor, first: int) -> None:
        self._scatter(state, tokens, position[:, None].expand_as(tokens), first)

    def _gather(self, state: StreamingState, positions: Tensor, first: int) -> Tensor:
        """[B, n]: entries of n consecutive streams, each at its own position."""
        rows = state[self]["ring"][:, first : first + positions.shape[1]]
        return rows.gather(2, torch.remainder(positions, self.slots)[..., None])[..., 0]

    def _scatter(self, state: StreamingState, tokens: Tensor, positions: Tensor, first: int) -> None:
        rows = state[self]["ring"][:, first : first + positions.shape[1]]
        kept = torch.where(state.executing[:, None], tokens, self._gather(state, positions, first))
        rows.scatter_(2, torch.remainder(positions, self.slots)[..., None], kept[..., None])
