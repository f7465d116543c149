"""The model on its lanes: the codec hears, the language model thinks, the codec speaks, all lanes as one batch.

    pcm [B, 1920] -> encoder -> codes [B, K] -> generator -> text, codes -> decoder -> pcm [B, 1920]

A step goes to the device once and comes back once; nothing in between waits for the host, so that it can be
captured as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from duplex_model import lane_state
from duplex_model.batch_model import BatchStep, Mask, Upkeep
from duplex_model.batch_model import Prefill as TakeIn
from duplex_model.codec import SETTLED_FRAMES, Codec, settled_codes
from duplex_model.config import TEXT_TOKENS
from duplex_model.contract import FRAME_SAMPLES, Capabilities, Pcm, Prompt, StepFlag
from duplex_model.cuda_graph import Captured, Eager
from duplex_model.errors import EngineFull, PromptError, Unsupported
from duplex_model.generator import Generator as LanguageGenerator
from duplex_model.generator import LaneSnapshot
from duplex_model.long_call import LongCall, LongCallPlans, unheard
from duplex_model.monologue import MAX_TOKENS
from duplex_model.prefill import PIECE_COLUMNS, LaneApart, Prefill, Prefix, PrefixCache
from duplex_model.prompt import PromptColumns
from duplex_model.renewal import Renewals
from duplex_model.sound import level_dbfs
from duplex_model.speech import Notice, Speech
from duplex_model.streaming import StreamingState
from duplex_model.text import Characters

PREFIX_BYTES = 1 << 30

Columns = Generator[None, None, PromptColumns]
"""Makes the columns of a prompt on the device, one piece at every `next`."""

Prompter = Callable[[Prompt], Columns]
"""Checks a prompt on the host, from any thread; `PromptError` when the checkpoint cannot be told that."""


class Vocabulary(Protocol):
    """Text <-> tokens of the checkpoint."""

    def words(self, text: str) -> list[list[int]]:
        """Tokens of each word of `text`."""
        ...

    def piece(self, token: int) -> bytes:
        """What is shown for `token`, in UTF-8 and perhaps a part of a character; empty for padding."""
        ...


class NeuralModel:
    """See `BatchModel`."""

    def __init__(
        self,
        codec: Codec,
        generator: LanguageGenerator,
        *,
        capabilities: Capabilities,
        prompter: Prompter,
        vocabulary: Vocabulary,
        long_calls: LongCallPlans | None = None,
        ends_source: bool = False,
        silence: Sequence[int] | None = None,
        prefix_bytes: int = PREFIX_BYTES,
        cuda_graph: bool = False,
    ) -> None:
        """Allocates the codec's state and runs a step, so that the first one heard finds everything in place.

        Args:
            codec: on the device.
            generator: on the same device, its lanes as new.
            capabilities: as many lanes as the generator has.
            prompter: of the checkpoint.
            vocabulary: of the checkpoint.
            long_calls: what becomes of calls longer than what was seen in training; they go on by default.
            ends_source: whether the model was trained to be told that the speaker has finished.
            silence: codes of a silent frame as it was trained with; by default those of the codec.
            prefix_bytes: device memory for states after prompts.
            cuda_graph: replay a captured step; needs a CUDA device.
        """
        assert capabilities.lanes == generator.lanes
        self.codec = codec
        self.generator = generator
        self._plans = LongCallPlans() if long_calls is None else long_calls
        self._capabilities = replace(capabilities, long_calls=self._plans.methods)
        self._apart = LanguageGenerator(generator.lm, 1, generator.config)
        self._prompter = prompter
        self._vocabulary = vocabulary
        self._prefixes = PrefixCache(prefix_bytes)
        self._lanes = generator.lanes
        self._device = generator.device
        self._codec_state = StreamingState(codec, self._lanes)
        self._speech = [self._no_speech() for _ in range(self._lanes)]
        self._text = [Characters() for _ in range(self._lanes)]
        self._ends_source = ends_source
        self._calls = [unheard(self._plans.own, generator.lm.config) for _ in range(self._lanes)]
        apart = LaneApart(generator) if self._plans.renews else None
        self._renewals = Renewals(generator, self._first_step, self._calls, self._clear_but_language, apart)
        self._silence = self._silent_frame(silence)
        at_rest = self._to_device(
            np.zeros((self._lanes, FRAME_SAMPLES), np.float32), np.zeros(self._lanes, bool)
        )
        self._compute = Captured(self._step, at_rest) if cuda_graph else Eager(self._step)
        self._compute(at_rest)

    @property
    def capabilities(self) -> Capabilities:
        """See `BatchModel.capabilities`."""
        return self._capabilities

    @property
    def bytes_per_lane(self) -> int:
        """Device memory of one lane's state."""
        return self.generator.bytes_per_lane + self._codec_state.bytes_per_lane

    def prepare(self, prompt: Prompt, seed: int) -> TakeIn:
        """See `BatchModel.prepare`."""
        columns = self._prompter(prompt)
        told_alike = replace(prompt, long_calls=None)

        def take_in(lane: int) -> Iterator[None]:
            prefix = self._prefixes.get(told_alike)
            if prefix is None:
                told = yield from columns
                prefix = Prefix(told, (yield from self._prefill(told)))
                self._prefixes.put(told_alike, prefix)
            begun = self._first_step(prefix.state, seed)
            yield
            self.generator.restore(lane, begun)
            plan = self._plans.of(prompt.long_calls)
            self._calls[lane] = LongCall(plan, self.generator.lm.config, prefix.columns, prompt.long_calls)

        return take_in

    def upkeep(self) -> Sequence[Upkeep]:
        """See `BatchModel.upkeep`."""
        return self._renewals.upkeep()

    def keep_up(self, lane: int) -> None:
        """See `BatchModel.keep_up`."""
        self._renewals.keep_up(lane)

    def end_input(self, lane: int) -> None:
        """See `BatchModel.end_input`."""
        self._calls[lane].ended = self._ends_source

    def step(self, pcm: Pcm, executing: Mask) -> BatchStep:
        """See `BatchModel.step`."""
        lanes = np.flatnonzero(executing).tolist()
        for lane in lanes:
            self._begin_text(lane)
        outputs = _Outputs(self._compute(self._to_device(pcm, executing)).cpu().numpy())
        said = outputs.pcm
        text = [""] * self._lanes
        flags = [StepFlag.NONE] * self._lanes
        notices_done: list[tuple[int, ...]] = [()] * self._lanes
        for lane in lanes:
            text[lane] = self._text[lane].add(self._vocabulary.piece(int(outputs.text[lane])))
            flags[lane] = self._flags(outputs, lane)
            speech = self._speech[lane]
            said[lane] = speech.fade(said[lane])
            self._prolong(lane, outputs, pcm)
            notices_done[lane] = speech.stepped(
                as_self=bool(outputs.as_self[lane]), busy=bool(outputs.busy[lane])
            )
        return BatchStep(
            pcm=said,
            finite=outputs.finite,
            text=text,
            flags=flags,
            notices_done=notices_done,
        )

    def _flags(self, outputs: _Outputs, lane: int) -> StepFlag:
        flags = StepFlag.AS_SELF if outputs.as_self[lane] else StepFlag.NONE
        unsure = self.generator.config.unsure_token
        return flags | StepFlag.UNSURE if unsure is not None and outputs.text[lane] == unsure else flags

    def say(self, lane: int, notice: int, text: str, now: bool) -> tuple[int, ...]:
        """See `BatchModel.say`."""
        words = self._vocabulary.words(text)
        tokens = sum(1 + len(word) for word in words)
        if not 1 <= tokens <= MAX_TOKENS:
            raise Unsupported(f"expected a text of 1 to {MAX_TOKENS} tokens, got {tokens}")
        if any(self.generator.config.unsure_token in word for word in words):
            raise Unsupported("expected a text of words, got the piece that stands for abstaining")
        cut_off = self._speech[lane].say(Notice(notice, words, now))
        self._calls[lane].disturbed()
        if now:
            self.generator.hush(lane)
        return cut_off

    def interrupt(self, lane: int) -> tuple[int, ...]:
        """See `BatchModel.interrupt`."""
        self.generator.hush(lane)
        self._calls[lane].disturbed()
        return self._speech[lane].interrupt()

    def snapshot(self, lane: int) -> Iterator[bytes]:
        """See `BatchModel.snapshot`. Of a call still shorter than the context, only what it has filled."""
        yield from lane_state.pack(self._copy(lane, int(self.generator.positions[lane])))

    def restore(self, lane: int, state: bytes) -> Iterator[None]:
        """See `BatchModel.restore`."""
        tensors = lane_state.unpack(state)
        yield
        moved = {}
        for name, tensor in tensors.items():
            moved[name] = tensor.to(self._device)
            yield
        language, codec, said, call = _unnamed(moved)
        position = language.lane.get("table.position")
        expected = self._copy(lane, int(position) if position is not None and not position.dim() else 0)
        if _layout(expected) != _layout(moved):
            raise Unsupported(
                "expected a snapshot of an equal model, got one of another window, size or dtype"
            )
        speech = Speech.restored(said["state"], self._speech[lane].delay_frames)
        text = Characters(said["held"])
        prolonged = LongCall.restored(self._plans, self.generator.lm.config, call)
        self.generator.restore(lane, language)
        self._codec_state.restore_lane(lane, codec)
        self._speech[lane], self._text[lane] = speech, text
        self._calls[lane] = prolonged
        self._renewals.forget(lane)

    def clear(self, lane: int) -> None:
        """See `BatchModel.clear`."""
        self.generator.reset(lane)
        self._clear_but_language(lane)
        self._calls[lane] = unheard(self._plans.own, self.generator.lm.config)
        self._renewals.forget(lane)

    def _clear_but_language(self, lane: int) -> None:
        self._codec_state.reset_lane(lane)
        self._speech[lane], self._text[lane] = self._no_speech(), Characters()
        self._calls[lane] = self._calls[lane].anew()

    def _prolong(self, lane: int, outputs: _Outputs, heard: Pcm) -> None:
        """Tells the call of a lane what came of a step, whose frame may have faded."""
        call = self._calls[lane]
        call.ended = False
        if not call.records:
            return
        silent = (
            outputs.text[lane] == TEXT_TOKENS.padding
            and self._speech[lane].idle
            and max(level_dbfs(heard[lane]), level_dbfs(outputs.pcm[lane])) < call.plan.quiet_dbfs
        )
        call.stepped(outputs.column[lane].tolist(), silent=silent)
        self._renewals.stepped(lane)

    def _first_step(self, prefix: LaneSnapshot, seed: int) -> LaneSnapshot:
        """The step before the first frame, in a lane apart: in the batch it would cost the time of a tick."""
        self._apart.begin(0, prefix, seed)
        return self._apart.snapshot(0, int(self._apart.positions[0]))

    def _copy(self, lane: int, positions: int) -> dict[str, Tensor]:
        """The state of a lane that has passed so many positions, by name."""
        try:
            language = self.generator.snapshot(lane, positions)
            codec = self._codec_state.snapshot_lane(lane)
        except torch.OutOfMemoryError as error:
            raise Unsupported("expected device memory for a copy of the session, got too little") from error
        said = {"state": self._speech[lane].state(), "held": self._text[lane].held}
        return _named(language, codec, said, self._calls[lane].tensors())

    def _prefill(self, columns: PromptColumns) -> Generator[None, None, LaneSnapshot]:
        try:
            prefill = Prefill(self.generator, columns)
        except ValueError as error:
            raise PromptError(str(error)) from error
        except torch.OutOfMemoryError as error:
            raise EngineFull("expected device memory for one more prompt, got too little") from error
        while not prefill.advance(PIECE_COLUMNS):
            yield
        return prefill.result()

    def _begin_text(self, lane: int) -> None:
        notice = self._speech[lane].begin()
        if notice is not None:
            self.generator.say(lane, notice.words, now=notice.now)

    @torch.no_grad()
    def _step(self, inputs: Sequence[Tensor]) -> Tensor:
        """The tensor of `_Outputs`."""
        pcm, executing, hushed, ended = inputs
        generator, codec, state = self.generator, self.codec, self._codec_state
        state.executing.copy_(executing)
        codes = codec.encode(pcm[:, None], state)[:, : generator.lm.config.heard_codebooks, 0]
        codes = codes.masked_fill(ended[:, None], generator.lm.config.end_of_source)
        given = torch.where(hushed[:, None], self._silence, generator.sample_everything)
        frame = generator.step(codes, given, executing)
        # Before its first whole frame a lane says nothing, and its decoder does not move.
        state.executing.copy_(frame.valid)
        unheard = ~frame.valid[:, None]
        said = codec.decode(frame.tokens[:, 1:].masked_fill(unheard, 0)[..., None], state)[:, 0]
        said = said.masked_fill(unheard, 0)
        finite = frame.finite & said.isfinite().all(dim=-1) & codec.heard_is_finite(state)
        text = frame.tokens[:, 0].masked_fill(~frame.valid, TEXT_TOKENS.padding)
        remarks = torch.stack([text, finite, frame.as_self, frame.saying], dim=-1)
        return torch.cat([said, remarks.float(), frame.column.float()], dim=-1)

    def _to_device(self, pcm: Pcm, executing: Mask) -> list[Tensor]:
        """Inputs of `_step`: pcm, executing, and bool [B] for lanes given silence, and whose source has ended."""
        hushed = np.array([speech.hush_frames > 0 for speech in self._speech])
        ended = np.array([call.ended for call in self._calls])
        return [torch.from_numpy(array).to(self._device) for array in (pcm, executing, hushed, ended)]

    @torch.no_grad()
    def _silent_frame(self, trained: Sequence[int] | None) -> Tensor:
        """int64 [1, 1 + own codebooks]: text and codes of a frame in which nothing is said."""
        if trained is None:
            codes = settled_codes(
                self.codec, torch.zeros(SETTLED_FRAMES * FRAME_SAMPLES, device=self._device)
            )
        else:
            codes = torch.tensor(trained, device=self._device)
        codes = codes[None, : self.generator.lm.config.own_codebooks]
        return torch.cat([torch.full_like(codes[:, :1], TEXT_TOKENS.padding), codes], dim=1)

    def _no_speech(self) -> Speech:
        return Speech(self.generator.table.max_delay)


class _Outputs:
    """What one transfer brings back, float32 [B, 1924 + streams]: pcm, then integers that are exact in float32."""

    def __init__(self, outputs: Pcm) -> None:
        self.pcm = outputs[:, :FRAME_SAMPLES]
        self.text = outputs[:, FRAME_SAMPLES].astype(np.int64)
        self.finite = outputs[:, FRAME_SAMPLES + 1] != 0
        self.as_self = outputs[:, FRAME_SAMPLES + 2] != 0
        self.busy = outputs[:, FRAME_SAMPLES + 3] != 0
        self.column = outputs[:, FRAME_SAMPLES + 4 :].astype(np.int64)


def _named(
    language: LaneSnapshot, codec: Mapping[str, Tensor], said: Mapping[str, bytes], call: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """One flat mapping: `lane/…`, `rows/0/…`, `codec/…`, `speech/state`, `speech/held`, `call/…`."""
    speech = {name: torch.tensor(list(spelt), dtype=torch.uint8) for name, spelt in said.items()}
    groups = {"lane": language.lane, "codec": codec, "speech": speech, "call": call}
    groups |= {f"rows/{row}": tensors for row, tensors in enumerate(language.rows)}
    return {
        f"{group}/{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()
    }


def _unnamed(
    tensors: Mapping[str, Tensor],
) -> tuple[LaneSnapshot, Mapping[str, Tensor], Mapping[str, bytes], Mapping[str, Tensor]]:
    """What `_named` was given; `Unsupported` when speech is missing or something else."""
    groups: dict[str, dict[str, Tensor]] = {"lane": {}, "codec": {}, "speech": {}, "call": {}}
    for path, tensor in tensors.items():
        group, _, name = path.rpartition("/")
        groups.setdefault(group, {})[name] = tensor
    lane, codec, speech, call = (groups.pop(name) for name in ("lane", "codec", "speech", "call"))
    if speech.keys() != {"state", "held"}:
        raise Unsupported(f"expected state and held bytes of speech in a snapshot, got {sorted(speech)[:4]}")
    rows = [groups.get(f"rows/{row}", {}) for row in range(len(groups))]
    said = {name: _bytes(tensor) for name, tensor in speech.items()}
    return LaneSnapshot(lane, rows), codec, said, call


def _bytes(tensor: Tensor) -> bytes:
    return tensor.cpu().numpy().tobytes()


def _layout(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    """What must be equal for a state to go where another was; speech and call are as long as they are."""
    return {
        name: (tensor.dtype, tensor.shape)
        for name, tensor in tensors.items()
        if not name.startswith(("speech/", "call/"))
    }
