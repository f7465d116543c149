"""Calls longer than what was seen in training: when a lane is renewed, and from what. Pure.

    sinks     never: the ring turns behind the pinned prompt (see `attention`)
    refresh   at a silence, prompt and recent columns are computed anew at small positions, and the call goes on
    restart   at a pause, the call begins anew, as if it had just been opened

    refresh       position   0 .. P | P+1 ........................ L ......... S S+1      L: limit
                  columns    prompt | (forgotten) | recent ...... waited ..... |          S: silence
                  renewed                  prompt | recent ...... waited ..... | goes on at P + 1 + recent + waited

What follows from it is counted in frames alone, so that a session says the same however fast the engine is.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

import torch
from torch import Tensor

from duplex_model.config import LMConfig
from duplex_model.contract import LongCalls
from duplex_model.errors import Unsupported
from duplex_model.fields import Fields
from duplex_model.prefill import PIECE_COLUMNS
from duplex_model.prompt import PromptColumns, no_prompt

QUIET_DBFS = -50.0
"""Below it a frame counts as silent: under speech from afar, above the noise of a room that was suppressed."""

REFRESH_QUIET_FRAMES = 6  # half a second: as the pauses the model knows from its prompt
RESTART_QUIET_FRAMES = 25  # two seconds, as an interpreter lags: what it has not said by then it will not say
_TICKS_PER_PIECE = 4  # given to each piece of a renewal, so that spare time is enough on a busy engine too
_MAX_FRAMES = 1 << 53


@dataclass(frozen=True, kw_only=True)
class LongCallPlan:
    """What is done with a long call."""

    method: LongCalls = LongCalls.SINKS
    after_frames: int = _MAX_FRAMES
    """Position from which a lane is to be renewed: what was trained."""

    recent_frames: int = 0
    """Frames a refresh keeps, where the window has room for them."""

    quiet_frames: int = REFRESH_QUIET_FRAMES
    """Silent frames in a row that make a silence."""

    quiet_dbfs: float = QUIET_DBFS


SINKS_ONLY = LongCallPlan()


@dataclass(frozen=True)
class LongCallPlans:
    """What an engine does with long calls, and what its sessions may choose instead."""

    own: LongCallPlan = SINKS_ONLY
    others: Mapping[LongCalls, LongCallPlan] = field(default_factory=dict)

    @property
    def methods(self) -> frozenset[LongCalls]:
        """What there is to choose from; sinks, which need nothing, always."""
        return frozenset({LongCalls.SINKS, self.own.method, *self.others})

    @property
    def renews(self) -> bool:
        """Whether a lane to renew calls in is needed."""
        return self.methods != {LongCalls.SINKS}

    def of(self, chosen: LongCalls | None) -> LongCallPlan:
        """The plan of a session; the engine's own also for a choice that it does not offer."""
        if chosen is None or chosen is self.own.method or chosen not in self.methods:
            return self.own
        return self.others.get(chosen, SINKS_ONLY)


def plans_for(own: LongCalls, *, renewals: bool, trained_frames: int, window_frames: int) -> LongCallPlans:
    """The plans of an engine that does `own` with long calls; all there are where it has room for `renewals`."""
    plans = {
        method: plan_for(method, trained_frames=trained_frames, window_frames=window_frames)
        for method in (LongCalls if renewals else (own,))
    }
    return LongCallPlans(plans.pop(own), plans)


def plan_for(method: LongCalls, *, trained_frames: int, window_frames: int) -> LongCallPlan:
    """The plan of a checkpoint; a refresh keeps a quarter of the window."""
    restarts = method is LongCalls.RESTART
    return LongCallPlan(
        method=method,
        after_frames=trained_frames,
        recent_frames=window_frames // 4 if method is LongCalls.REFRESH else 0,
        quiet_frames=RESTART_QUIET_FRAMES if restarts else REFRESH_QUIET_FRAMES,
    )


def next_seed(seed: int) -> int:
    """The seed of a renewed call: positions come again, and draws must not (SplitMix64, Steele et al. 2014)."""
    word = (1 << 64) - 1
    z = (seed + 0x9E3779B97F4A7C15) & word
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & word
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & word
    return (z ^ (z >> 31)) >> 1


class LongCall:
    """One lane's."""

    def __init__(
        self,
        plan: LongCallPlan,
        config: LMConfig,
        prompt: PromptColumns,
        chosen: LongCalls | None = None,
    ) -> None:
        """A call that has just begun.

        Args:
            plan: of the session.
            config: of the model, with the window it attends to.
            prompt: of the session.
            chosen: what the session's prompt chose, which a snapshot takes along.
        """
        self._config = config
        self._chosen = chosen
        self.plan = plan
        self.prompt = prompt
        self.prompt_positions = prompt.positions(config.acoustic_delay)
        self.position = self.prompt_positions + 1
        """Of the column read next."""

        # A prompt that fills half of what was trained leaves the other half to the call.
        self.limit = max(plan.after_frames, 2 * self.prompt_positions)
        room = min(config.temporal.context, self.limit) - self.prompt_positions
        self.recent = max(min(plan.recent_frames, room // 2 - 2), 0)
        self.patience = room - self.recent - 2
        """Longest wait for a silence: prompt, recent and waited columns stay below window and limit."""

        pieces = -(-(self.prompt_positions + 1 + self.recent) // PIECE_COLUMNS)
        self.lead = _TICKS_PER_PIECE * pieces
        """Frames in which the spare time is likely to suffice for all pieces known at the limit."""

        self._history: deque[tuple[int, ...]] = deque(maxlen=self.recent + max(self.patience, 0))
        self.quiet = 0
        """Silent frames in a row, up to now."""

        self.waited: int | None = None
        """Frames since the limit was passed."""

        self.kept = 0
        """Columns before the limit that a refresh keeps."""

        self.not_before = self.lead
        """Frames waited before the next try."""

        self.ended = False
        """Whether the speaker has finished and the model has not heard of it yet."""

        self.waits = 0
        """How often a wait began: pieces of one wait are of no use in the next."""

    @property
    def records(self) -> bool:
        """Whether columns and silences are of any use."""
        return self.plan.method is not LongCalls.SINKS

    @property
    def due(self) -> bool:
        """Whether the lane is to be renewed before its next step."""
        if self.waited is None:
            return False
        silence = self.waited >= self.not_before and self.quiet >= self.plan.quiet_frames
        return silence or self._out_of_patience

    @property
    def _refreshes(self) -> bool:
        return self.plan.method is LongCalls.REFRESH

    @property
    def _out_of_patience(self) -> bool:
        return self._refreshes and self.waited is not None and self.waited >= self.patience

    def stepped(self, column: Sequence[int], *, silent: bool) -> None:
        """Learns of one step: the column that was read, and whether nobody spoke."""
        if not self.records:
            return
        missed = self.due
        self.position += 1
        if self._refreshes:
            self._history.append(tuple(column))
        self.quiet = self.quiet + 1 if silent else 0
        if missed and self._out_of_patience:
            self._wait()
        elif self.waited is not None:
            self.waited += 1
            if missed:
                self.not_before = self.waited + self.lead
        elif self.position >= self.limit and (not self._refreshes or self.lead < self.patience):
            self._wait()

    def anew(self) -> LongCall:
        """The call as it began."""
        return LongCall(self.plan, self._config, self.prompt, self._chosen)

    def disturbed(self) -> None:
        """The interpreter was told to speak, or to stop: no silence to be renewed in."""
        self.quiet = 0

    def _wait(self) -> None:
        self.waited, self.not_before = 0, self.lead
        self.kept = min(self.recent, len(self._history))
        self.waits += 1

    @property
    def renewed_position(self) -> int:
        """Where a refresh now would go on: as many columns as it has."""
        assert self.waited is not None
        return self.prompt_positions + 1 + self.kept + self.waited

    def columns(self, start: int, stop: int) -> Tensor:
        """Columns `start` to `stop` of a refresh, int64 [streams, stop - start].

        Where delayed streams still say the end of the prompt, the prompt's entries stand in place of the call's.
        """
        assert self.waited is not None
        tokens = self.prompt.tokens.cpu()
        first = self.prompt_positions + 1
        past = len(self._history) - self.kept - self.waited
        live = list(islice(self._history, past + max(start - first, 0), past + max(stop - first, 0)))
        columns = torch.cat(
            [
                tokens[:, start : min(stop, first)],
                torch.tensor(live, dtype=torch.int64).view(-1, len(tokens)).T,
            ],
            dim=1,
        )
        for stream, delay in enumerate(self._config.delays):
            until = min(first + delay, stop)
            if start < until:
                columns[stream, : until - start] = tokens[stream, start:until]
        return columns

    def refreshed(self) -> None:
        """The lane goes on at `renewed_position`."""
        self.position = self.renewed_position
        self.waited = None

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        streams = self._config.streams
        numbers = {name: getattr(self, name) for name in ("position", "quiet", "kept", "not_before")}
        wait = {} if self.waited is None else {"waited": self.waited}
        chosen = {} if self._chosen is None else {"chosen": self._chosen.value}
        state = json.dumps(numbers | wait | chosen | {"ended": self.ended}).encode()
        history = torch.tensor(list(self._history), dtype=torch.int64).view(-1, streams)
        tensors = {
            "prompt": self.prompt.tokens,
            "history": history,
            "state": torch.frombuffer(bytearray(state), dtype=torch.uint8),
        }
        return tensors if self.prompt.embedded is None else tensors | {"embedded": self.prompt.embedded}

    @classmethod
    def restored(cls, plans: LongCallPlans, config: LMConfig, tensors: Mapping[str, Tensor]) -> Self:
        """The call whose `tensors` they are, under the plan that it chose where `plans` offers it.

        Raises:
            Unsupported: they are none.
        """
        prompt, history = tensors.get("prompt"), tensors.get("history")
        state, embedded = tensors.get("state"), tensors.get("embedded")
        if prompt is None or history is None or state is None:
            raise Unsupported("expected the prompt and the history of a call in a snapshot, got none")
        _check_columns(prompt, config)
        _check_columns(history.T if history.dim() == 2 else history, config)
        if prompt.shape[1] <= config.acoustic_delay:
            raise Unsupported(f"expected a prompt of a call, got {prompt.shape[1]} columns")
        if embedded is not None and (embedded.dim() != 2 or embedded.shape[1] != config.temporal.width):
            raise Unsupported(
                f"expected a voice of width {config.temporal.width}, got {list(embedded.shape)}"
            )
        fields = _state_of_call(state)
        chosen = _chosen(fields)
        call = cls(plans.of(chosen), config, PromptColumns(prompt.cpu(), embedded), chosen)
        if call.prompt_positions >= config.temporal.context:
            raise Unsupported(
                f"expected a prompt shorter than {config.temporal.context}, got {call.prompt_positions}"
            )
        call._take(history.cpu().tolist(), fields)
        return call

    def _take(self, history: list[list[int]], fields: Fields) -> None:
        self.position = fields.integer("position", 0, _MAX_FRAMES)
        self.quiet = fields.integer("quiet", 0, _MAX_FRAMES)
        self.not_before = fields.integer("not_before", 0, _MAX_FRAMES)
        waited = fields.integer("waited", 0, _MAX_FRAMES) if fields.has("waited") else None
        kept = fields.integer("kept", 0, _MAX_FRAMES)
        self.ended = fields.flag("ended")
        self._history.extend(tuple(column) for column in history)
        if self.records and waited is not None:
            # An engine with another plan has kept other columns: there the wait begins again.
            whole = kept <= self.recent and kept + waited <= len(self._history)
            if not self._refreshes or whole:
                self.waited, self.kept = waited, kept
                self.waits += 1
            else:
                self._wait()


def unheard(plan: LongCallPlan, config: LMConfig) -> LongCall:
    """Of a lane without a session."""
    return LongCall(plan, config, no_prompt(config))


def _state_of_call(state: Tensor) -> Fields:
    try:
        return Fields(json.loads(state.cpu().numpy().tobytes()), "state of a call", Unsupported)
    except (ValueError, RecursionError) as error:
        raise Unsupported(f"expected the state of a call: {error}") from error


def _chosen(fields: Fields) -> LongCalls | None:
    name = fields.text("chosen", "")
    return next((method for method in LongCalls if method.value == name), None)


def _check_columns(tokens: Tensor, config: LMConfig) -> None:
    """`Unsupported` unless they are columns [streams, T] with tokens that the model has."""
    if tokens.dtype != torch.int64 or tokens.dim() != 2 or tokens.shape[0] != config.streams:
        raise Unsupported(
            f"expected columns of {config.streams} tokens, got {tokens.dtype} {list(tokens.shape)}"
        )
    highest = torch.tensor(config.initial_tokens, device=tokens.device)[:, None]
    if bool(((tokens < -2) | (tokens > highest)).any()):
        raise Unsupported("expected columns of tokens that the model has, got others")
