"""Saying a given text: the inner monologue is forced, the voice is the model's own.

The model speaks what its text stream says, so words are put there at the pace it would choose: a word may begin
where the model itself wanted to say something, or after a short while; its pieces follow frame by frame; otherwise
the stream is padding. Audio is sampled as always.

    model's choice   pad  ha   pad  pad  pad  pad  pad  pad  pad  pad  pad  pad      ha: any word
    paddings before   0    1    0    0    1    2    3    4    5    6    0    0
    said             pad  EP   good pad  pad  pad  pad  pad  pad  EP   eve  ning     EP: end of padding
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from duplex_model.config import TEXT_TOKENS
from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState

MAX_TOKENS = 512
"""Longest script, about a minute and a half of speech."""

_PATIENCE = 6  # paddings after which a word begins whether the model wants to speak or not
_QUIET = 6  # paddings after which a rendering counts as finished
_TAIL = 6  # frames in which the voice is still busy with the last word


class Monologue(StreamingModule):
    """What each lane still has to say. The state is passed in."""

    def __init__(self, max_delay: int) -> None:
        """`max_delay` is how many steps after its text a frame leaves."""
        super().__init__()
        self.max_delay = max_delay

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The script and where it is, paddings in a row, and whether recent frames were scripted."""
        count = LaneTensor(shape=(), dtype=torch.int64)
        return {
            "script": LaneTensor(shape=(MAX_TOKENS,), dtype=torch.int64, fill=TEXT_TOKENS.padding),
            "length": count,
            "cursor": count,
            "paddings": count,
            "tail": count,
            "waiting": LaneTensor(shape=(), dtype=torch.bool),
            "recent": LaneTensor(shape=(self.max_delay + 1,), dtype=torch.bool),
        }

    def say(self, state: StreamingState, lane: int, words: Sequence[Sequence[int]], *, now: bool) -> None:
        """Gives `lane` something to say, in place of what it had.

        Args:
            state: of the lanes.
            lane: which.
            words: tokens of each word.
            now: begin at once; otherwise when the model has been silent for a while.

        Raises:
            ValueError: longer than `MAX_TOKENS`.
        """
        tokens = [token for word in words for token in (TEXT_TOKENS.end_of_padding, *word)]
        if len(tokens) > MAX_TOKENS:
            raise ValueError(f"expected a text of at most {MAX_TOKENS} tokens, got {len(tokens)}")
        own = state[self]
        own["script"][lane, : len(tokens)] = torch.tensor(tokens, dtype=torch.int64)
        own["length"][lane] = len(tokens)
        own["cursor"][lane] = 0
        own["waiting"][lane] = not now
        if now:
            own["paddings"][lane] = 0

    def cancel(self, state: StreamingState, lane: int) -> None:
        """Forgets what `lane` still had to say."""
        for name in ("length", "cursor", "tail", "waiting"):
            state[self][name][lane] = 0

    def next_text(self, state: StreamingState, choice: Tensor) -> Tensor:
        """The text token of the next frame.

        Args:
            state: of the lanes; the executing ones are advanced.
            choice: int64 [B], what the model would say.

        Returns:
            int64 [B]: the script's where a lane has one to say, else `choice`.
        """
        own = state[self]
        padding = choice == TEXT_TOKENS.padding
        waiting = own["waiting"] & (own["paddings"] < _QUIET)
        speaking = self.busy(state) & ~waiting
        paddings = torch.where(speaking & own["waiting"], 0, own["paddings"])
        scripted = own["script"].gather(1, own["cursor"].clamp(max=MAX_TOKENS - 1)[:, None])[:, 0]
        between_words = scripted == TEXT_TOKENS.end_of_padding
        holds = speaking & between_words & padding & (paddings < _PATIENCE)
        advances = speaking & ~holds
        text = torch.where(holds, TEXT_TOKENS.padding, torch.where(advances, scripted, choice))
        tail = torch.where(speaking, _TAIL, (own["tail"] - 1).clamp(min=0))
        state.write(own["cursor"], own["cursor"] + advances)
        state.write(own["paddings"], torch.where(text == TEXT_TOKENS.padding, paddings + 1, 0))
        state.write(own["waiting"], waiting)
        state.write(own["tail"], tail)
        state.write(own["recent"], torch.cat([own["recent"][:, 1:], (tail > 0)[:, None]], dim=1))
        return text

    def as_self(self, state: StreamingState) -> Tensor:
        """Bool [B]: whether the whole frame that leaves in this step was scripted."""
        return state[self]["recent"][:, 0]

    def busy(self, state: StreamingState) -> Tensor:
        """Bool [B]: whether something is still to be said."""
        return state[self]["cursor"] < state[self]["length"]
