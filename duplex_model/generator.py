"""One step of the language model for all lanes, each at its own position, with tokens given or sampled.

    p = position of a lane      (see `delays` for the table)
    1. heard frame p and given own frame p + 1 go into the table
    2. column p -> temporal transformer -> h
    3. text p + 1: given, or from a script (see `monologue`), or sampled from the text logits; a word of which the
       model is unsure becomes `<unsure>`
    4. codebook 0 .. K - 1 at p + 1, each after the one before: given, or sampled from the depth transformer
    5. frame p + 1 - max_delay is whole and leaves

Shapes do not change, state is written in place and nothing is read back to the host, so that a step can be captured
once as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from duplex_model.config import TEXT_TOKENS, TO_SAMPLE, GenerationConfig
from duplex_model.delays import TokenTable
from duplex_model.lm import RQTransformer
from duplex_model.monologue import Monologue
from duplex_model.sampling import sample
from duplex_model.streaming import StreamingState

_GUIDED = ("very_good", "very_bad")
"""Description wanted, and the one guidance leads away from (arXiv:2502.03382 section 3)."""


@dataclass(frozen=True)
class LaneSnapshot:
    """Everything a lane of a generator remembers; restorable into any generator of an equal model."""

    lane: Mapping[str, Tensor]
    """Its token table, seed and script."""

    rows: Sequence[Mapping[str, Tensor]]
    """Of the language model: one, or with guidance two."""

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        tensors = [*self.lane.values(), *(tensor for row in self.rows for tensor in row.values())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass(frozen=True)
class GeneratedFrame:
    """What the lanes say in one step."""

    tokens: Tensor
    """int64 [lanes, 1 + own codebooks]: text, then codes; meaningless where not `valid`."""

    valid: Tensor
    """bool [lanes]: whether the lane made a step and a whole frame left."""

    as_self: Tensor
    """bool [lanes]: whether that frame was scripted by `say`."""

    saying: Tensor
    """bool [lanes]: whether a script is not at its end."""

    finite: Tensor
    """bool [lanes]: whether every logit of the step was; a token is drawn whatever they are."""

    column: Tensor
    """int64 [lanes, streams]: the column of the table that the step read."""


def _known_or(known: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(known == TO_SAMPLE, chosen, known)


class Generator:
    """The language model over a fixed number of lanes. Not thread-safe: one thread steps it."""

    def __init__(self, lm: RQTransformer, lanes: int, config: GenerationConfig) -> None:
        """Allocates the state of all lanes.

        With guidance every lane is two rows of the model: lane i is row i under the wanted description and row
        `lanes + i` under the unwanted one, stepped as one batch.

        Raises:
            ValueError: guidance is asked of a model without a condition.
        """
        if config.guidance != 1 and lm.condition is None:
            raise ValueError(f"expected a conditioned model for guidance {config.guidance}, got one without")
        self.lm = lm
        self.lanes = lanes
        self.config = config
        self.passes = 1 if config.guidance == 1 else 2
        self.device = lm.text_emb.weight.device
        self.table = TokenTable(lm.config).to(self.device)
        self.monologue = Monologue(self.table.max_delay)
        self._lane_modules = nn.ModuleDict({"table": self.table, "monologue": self.monologue})
        self._lanes = StreamingState(self._lane_modules, lanes)
        self._rows = StreamingState(lm, lanes * self.passes)
        self.condition = self.conditions(lanes)
        self.sample_everything = torch.full(
            (lanes, self.table.own), TO_SAMPLE, dtype=torch.int64, device=self.device
        )
        """Argument of `step` that gives no token."""

        self._finite = torch.ones(lanes, dtype=torch.bool, device=self.device)

    def conditions(self, lanes: int) -> Tensor | None:
        """[rows, 1, D]: the condition of each row for `lanes` lanes."""
        if self.lm.condition is None:
            return None
        with torch.no_grad():
            vectors = [self.lm.condition(description) for description in _GUIDED[: self.passes]]
        return torch.cat(vectors).repeat_interleave(lanes, dim=0)

    @torch.no_grad()
    def step(self, heard: Tensor, given: Tensor, executing: Tensor) -> GeneratedFrame:
        """Advances the executing lanes by one position.

        Args:
            heard: int64 [lanes, heard codebooks]: codes of each lane's next heard frame. `TO_SAMPLE` where the
                table has them already, after a prompt.
            given: int64 [lanes, 1 + own codebooks]: text and codes of the lane's next own frame that are given,
                `TO_SAMPLE` for those to sample.
            executing: bool [lanes]; all other lanes stay as they are.

        Returns:
            The newest whole frame of each lane, `max_delay - 1` frames older than the one heard.
        """
        state = self._lanes
        self._finite.fill_(True)
        state.executing.copy_(executing)
        self._rows.executing.copy_(executing.repeat(self.passes))
        self.table.begin_step(state)
        position = state[self.table]["position"]
        self.table.give(state, position, self.table.own, heard)
        self.table.give(state, position + 1, 0, given)
        # A lane that rests may have nothing to read yet; initial tokens keep its unused result finite.
        column = torch.where(executing[:, None], self.table.column(state), self.table.initial)
        h = self._temporal(column)
        self.table.set_next(state, self._next_column(h, column[:, 0], self.table.column(state, ahead=1)))
        frame = self.table.whole_frame(state)
        step = GeneratedFrame(
            frame.tokens,
            frame.valid,
            self.monologue.as_self(state).clone(),
            self.monologue.busy(state),
            self._finite.clone(),
            column,
        )
        self.table.end_step(state)
        return step

    def _temporal(self, column: Tensor) -> Tensor:
        """H [rows, D] of one column [lanes, streams]."""
        x = self.lm.embed(column.repeat(self.passes, 1)[..., None], self.condition)
        return self.lm.temporal(x, self._rows)[:, 0]

    def _next_column(self, h: Tensor, previous: Tensor, known: Tensor) -> Tensor:
        """Own streams [lanes, own] of the next column, sampled where `known` [lanes, streams] says `TO_SAMPLE`.

        `previous` [lanes] is the text of the column before it.
        """
        logits = self.lm.text_logits(h)
        text = self._unless_unsure(self._sample(logits, 0), previous, logits)
        token = _known_or(known[:, 0], self.monologue.next_text(self._lanes, text))
        tokens = [token]
        cache = self.lm.depth.start(h)
        for codebook in range(self.table.own - 1):
            logits = self.lm.depth(h, token.repeat(self.passes), codebook, cache)
            token = _known_or(known[:, 1 + codebook], self._sample(logits, 1 + codebook))
            tokens.append(token)
        return torch.stack(tokens, dim=1)

    def _sample(self, logits: Tensor, stream: int) -> Tensor:
        """Int64 [lanes] for one stream of the next column."""
        own = self._lanes[self.table]
        guided = self._guide(logits.float())
        self._finite.logical_and_(guided.isfinite().all(dim=-1))
        return sample(
            guided,
            self.config.audio if stream else self.config.text,
            seed=own["seed"],
            position=own["position"] + 1,
            stream=stream,
        )

    def _unless_unsure(self, text: Tensor, previous: Tensor, logits: Tensor) -> Tensor:
        """`text` [lanes], but `<unsure>` where a word would begin and the distribution is too flat."""
        limit, unsure = self.config.unsure_entropy_nats, self.config.unsure_token
        if limit is None or unsure is None:
            return text
        log_p = self._guide(logits.float()).log_softmax(dim=-1)
        entropy_nats = -(log_p.exp() * log_p).sum(dim=-1)
        no_word = (text == TEXT_TOKENS.padding) | (text == TEXT_TOKENS.end_of_padding)
        begins = (previous == TEXT_TOKENS.end_of_padding) & ~no_word
        return torch.where(begins & (entropy_nats > limit), unsure, text)

    def _guide(self, logits: Tensor) -> Tensor:
        """[rows, card] -> [lanes, card]: away from the unwanted description (arXiv:2207.12598 equation 6)."""
        if self.passes == 1:
            return logits
        wanted, unwanted = logits.chunk(2)
        return unwanted + (wanted - unwanted) * self.config.guidance

    def say(self, lane: int, words: Sequence[Sequence[int]], *, now: bool) -> None:
        """Makes `lane` say a text in its own voice (see `Monologue.say`)."""
        self.monologue.say(self._lanes, lane, words, now=now)

    def hush(self, lane: int) -> None:
        """Drops what `lane` still had to say by script. What the model says by itself is hushed by giving silence."""
        self.monologue.cancel(self._lanes, lane)

    @property
    def positions(self) -> Tensor:
        """int64 [lanes], on the device: the column each lane reads next."""
        return self._lanes[self.table]["position"]

    @property
    def bytes_per_lane(self) -> int:
        """Memory of one lane."""
        return self._lanes.bytes_per_lane + self.passes * self._rows.bytes_per_lane

    def reset(self, lane: int, seed: int = 0) -> None:
        """Makes `lane` as new, at position 0, for a session with `seed`."""
        self._lanes.reset_lane(lane)
        for row in self._rows_of(lane):
            self._rows.reset_lane(row)
        self._lanes[self.table]["seed"][lane] = seed

    def snapshot(self, lane: int, positions: int | None = None) -> LaneSnapshot:
        """What `lane` remembers; of a lane that has not passed `positions`, only the slots in use."""
        rows = [self._rows.snapshot_lane(row, positions) for row in self._rows_of(lane)]
        return LaneSnapshot(self._lanes.snapshot_lane(lane), rows)

    def restore(self, lane: int, snapshot: LaneSnapshot) -> None:
        """Continues from `snapshot` in `lane`.

        Raises:
            ValueError: the snapshot is not of an equal model and guidance.
        """
        if len(snapshot.rows) != self.passes:
            raise ValueError(f"expected a snapshot of {self.passes} rows, got {len(snapshot.rows)}")
        self._lanes.restore_lane(lane, snapshot.lane)
        for row, saved in zip(self._rows_of(lane), snapshot.rows, strict=True):
            self._rows.restore_lane(row, saved)

    def fresh_lane(self, position: int, columns: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """What a lane remembers that stands at `position` with the given slots of its token table."""
        state = StreamingState(self._lane_modules, lanes=1)
        own = state[self.table]
        own["position"].fill_(position)
        for slot, column in columns.items():
            own["ring"][0, :, slot] = column
        return state.snapshot_lane(0)

    def begin(self, lane: int, prefix: LaneSnapshot, seed: int) -> None:
        """Starts a session in `lane` after its prompt.

        The column after the prompt is known as far as it is heard, so the lane makes one step before its first
        frame: the frame heard next is then answered in the step it comes in.
        """
        self.restore(lane, prefix)
        self._lanes[self.table]["seed"][lane] = seed
        executing = torch.arange(self.lanes, device=self.device) == lane
        nothing = self.sample_everything[:, :1].expand(-1, self.lm.config.heard_codebooks)
        self.step(nothing, self.sample_everything, executing)

    def seed_of(self, lane: int) -> int:
        """Of the session in `lane`."""
        return int(self._lanes[self.table]["seed"][lane])

    def rebased(
        self, lane: int, rows: Sequence[Mapping[str, Tensor]], position: int, seed: int
    ) -> LaneSnapshot:
        """What `lane` remembers, with other rows of the language model: as if it stood at `position` now.

        Args:
            lane: stays as it is.
            rows: after `position` columns, the last of them equal to those that the lane has read.
            position: where the lane goes on.
            seed: of what is drawn from there.
        """
        own = self._lanes.snapshot_lane(lane)
        back = int(own["table.position"]) - position
        own["table.ring"] = own["table.ring"].roll(-back, dims=1)
        own["table.position"].fill_(position)
        own["table.seed"].fill_(seed)
        return LaneSnapshot(own, rows)

    def _rows_of(self, lane: int) -> range:
        return range(lane, self.lanes * self.passes, self.lanes)
