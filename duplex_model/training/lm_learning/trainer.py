"""One training run of a language model: steps, state to go on from, figures, and the weights as they are served."""

from __future__ import annotations

import logging
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from duplex_model.checkpoint import shapes_of
from duplex_model.lm import RQTransformer
from duplex_model.training.device import ahead, autocast
from duplex_model.training.lm_learning import lora
from duplex_model.training.lm_learning.batches import Batch, Chaining, Corpus, Layout, batches, noised
from duplex_model.training.lm_learning.losses import Losses, LossWeights, SideHeads, losses
from duplex_model.training.lm_learning.optim import Average, learning_rate, optimisers, set_learning_rate
from duplex_model.training.progress import ProgressLine, plot, read_records, record
from duplex_model.training.whole_file import write_whole

logger = logging.getLogger(__name__)

MODEL_FILE = "model.safetensors"
STATE_FILE = "state.pt"
LOSSES_FILE = "losses.jsonl"
PLOT_FILE = "losses.png"

_VALIDATION_EXAMPLES = 160
_RECORDED_EVERY_STEPS = 10
_AHEAD_BATCHES = 64
"""Laid out before a GPU asks for them: more than are sorted by length together, which takes a while."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a run is made."""

    minutes: float
    """Of the clock, all resumed parts together; the learning rate falls with them."""

    batch_frames: int = 4096
    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    decay_from: float = 0.4
    """Share of the time at which the learning rate begins to fall."""

    warm_up_steps: int = 60
    """Of the rise of the learning rate; more for a model that begins with trained weights and a new optimiser."""

    average: float = 0.995
    """Decay of the running average of the weights, which is what is exported; 0 exports the last ones."""

    clip: float = 1.0
    """Longest gradient of all weights together."""

    heard_noise: float = 0.05
    """Share of heard codes that are lost or wrong in the input."""

    own_noise: float = 0.03
    """The same of own codes: in service the model reads its own mistakes."""

    weights: LossWeights = field(default_factory=LossWeights)
    chaining: Chaining | None = field(default_factory=Chaining)
    seed: int = 0
    save_s: float = 180.0
    validate_s: float = 300.0
    bfloat16: bool = True
    """Products in bfloat16, which halves the time of a step on processors that have it; weights stay float32."""

    lora_rank: int = 0
    """Of adapters that learn in place of the model; 0 trains the model itself."""

    compiled: bool = False
    """Whether the temporal transformer is compiled, which takes a minute or so before the first step."""


def initialise(model: RQTransformer, seed: int) -> None:
    """Random weights to begin with: every residual branch gives zero at first (arXiv:1901.09321)."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 or "norm" in name:
            continue
        branch_end = "out_proj" in name or "linear_out" in name or name.endswith("linear2.weight")
        output = "text_linear" in name or "linears" in name
        std = 0.1 if "emb" in name else 0.02 if output else parameter.shape[-1] ** -0.5
        nn.init.normal_(parameter, std=0.0 if branch_end else std, generator=generator)


class Training:
    """A model that learns, and everything it needs for that."""

    def __init__(
        self, model: RQTransformer, layout: Layout, options: TrainingOptions, device: torch.device
    ) -> None:
        """Takes `model` to `device`; with a rank, freezes it and adapts it."""
        self.model = model.to(device).requires_grad_(True).train()
        self.layout = layout
        self.options = options
        self.device = device
        adapting = options.lora_rank > 0
        if adapting:
            lora.adapt(model, options.lora_rank)
            model.to(device)
        if options.compiled:
            model.transformer.compile(dynamic=True)
        self.side = SideHeads(layout.config).to(device)
        self._optimisers = optimisers(
            model,
            self.side.parameters(),
            muon_lr=options.muon_lr,
            adam_lr=options.adam_lr,
            muon=not adapting,
        )
        self.average = Average(self._learning.values(), options.average)
        self._generator = torch.Generator(device).manual_seed(options.seed)
        self.steps = 0
        self.frames = 0
        self.elapsed_s = 0.0
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)
        """Steps whose gradient was not finite, and taken as zero."""

    @property
    def _learning(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    @property
    def share(self) -> float:
        """Of the time that is over, 0 to 1."""
        return min(self.elapsed_s / (60 * self.options.minutes), 1.0)

    def step(self, batch: Batch) -> Losses:
        """Learns from one batch."""
        options = self.options
        factor = learning_rate(
            self.share, self.steps, warm_up_steps=options.warm_up_steps, decay_from=options.decay_from
        )
        set_learning_rate(self._optimisers, factor)
        batch = batch.to(self.device)
        inputs = noised(
            batch.columns,
            batch.pinned,
            self.layout.config,
            self._generator,
            heard=options.heard_noise,
            own=options.own_noise,
        )
        found = self._losses(batch, inputs)
        found.total.backward()  # type: ignore[no-untyped-call]
        self._descend()
        self.steps += 1
        self.frames += batch.frames
        return found

    def _losses(self, batch: Batch, inputs: Tensor) -> Losses:
        with autocast(self.device, self.options.bfloat16):
            return losses(self.model, self.side, batch, inputs, self.options.weights, self._generator)

    def _descend(self) -> None:
        learning = [*self._learning.values(), *self.side.parameters()]
        norm = nn.utils.clip_grad_norm_(learning, self.options.clip, foreach=True)
        wrong = ~norm.isfinite()  # stays on the device: to look at it would be to wait for it
        self.skipped += wrong
        for parameter in learning:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(wrong, 0.0)
        for optimiser in self._optimisers:
            optimiser.step()
        self.average.update()
        for parameter in learning:
            parameter.grad = None

    @torch.no_grad()
    def validate(self, corpus: Corpus) -> dict[str, float]:
        """Teacher-forced figures of the averaged weights; always on the same rows, without noise."""
        few = Corpus(corpus.examples[:_VALIDATION_EXAMPLES], corpus.voices)
        sums: dict[str, float] = defaultdict(float)
        frames = 0
        kept = self._generator.get_state()
        self._generator.manual_seed(0)
        self.average.swap()
        for batch in batches(few, self.layout, random.Random(0), batch_frames=self.options.batch_frames):
            moved = batch.to(self.device)
            for name, value in self._losses(moved, moved.columns).parts.items():
                sums[name] += float(value) * batch.frames
            frames += batch.frames
        self.average.swap()
        self._generator.set_state(kept)
        return {name: total / frames for name, total in sums.items()}

    def save(self, folder: Path) -> None:
        """Writes what `load` reads, and the model as it is served."""
        state = {
            "learning": {name: value.detach() for name, value in self._learning.items()},
            "side": self.side.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "average": self.average.state_dict(),
            "generator": self._generator.get_state(),
            "steps": self.steps,
            "frames": self.frames,
            "elapsed_s": self.elapsed_s,
        }
        write_whole(folder / STATE_FILE, lambda path: torch.save(state, path))
        self.export(folder / MODEL_FILE)

    def export(self, path: Path) -> None:
        """The averaged model in float32 under the names that `checkpoint.load_lm` reads; adapters merged."""
        self.average.swap()
        adapters = lora.merged_weights(self.model)
        names = [name.replace(".base.", ".") for name in shapes_of(self.model) if not lora.is_adapter(name)]
        tensors = {}
        for name in names:
            module = name.removesuffix(".weight")
            weight = adapters[module] if module in adapters else self.model.get_parameter(name).detach()
            tensors[name] = weight.float().cpu().contiguous()
        write_whole(path, lambda partial: save_file(tensors, partial))
        self.average.swap()

    def load(self, folder: Path) -> None:
        """Goes on where `save` was called; the options may be others."""
        state: Mapping[str, Any] = torch.load(
            folder / STATE_FILE, map_location=self.device, weights_only=True
        )
        with torch.no_grad():
            for name, value in self._learning.items():
                value.copy_(state["learning"][name])
        self.side.load_state_dict(state["side"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            highest = [group["highest_lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(saved)
            for group, lr in zip(optimiser.param_groups, highest, strict=True):
                group["highest_lr"] = lr
        self.average.load_state_dict(state["average"])
        noise = state["generator"].cpu()
        if len(noise) == len(self._generator.get_state()):  # of the same kind of device
            self._generator.set_state(noise)
        self.steps, self.frames, self.elapsed_s = state["steps"], state["frames"], state["elapsed_s"]


@dataclass
class _Due:
    """Something done every so often."""

    every_s: float
    last_s: float

    def at(self, now_s: float) -> bool:
        if now_s - self.last_s < self.every_s:
            return False
        self.last_s = now_s
        return True


class Means:
    """Means of figures since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def add(self, parts: Mapping[str, Tensor]) -> None:
        """The figures of a step."""
        self._steps += 1
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self) -> dict[str, float]:
        """The means, and begins anew."""
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        self._sums, self._steps = {}, 0
        return means


def run(
    training: Training,
    folder: Path,
    read: Callable[[], Corpus],
    validation: Corpus | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    max_minutes: float = math.inf,
    max_steps: int | None = None,
) -> None:
    """Trains until the minutes are over, and leaves state, model, figures and a plot in `folder`.

    Args:
        training: begun, or loaded.
        folder: exists.
        read: the corpus, asked for again after every pass: it may have grown.
        validation: what the model does not learn from, or None.
        clock: seconds.
        max_minutes: of this call; the learning rate falls by those of the options, of all calls together.
        max_steps: of this call.
    """
    line = ProgressLine()
    means = Means()
    before_s, began_s, first_step = training.elapsed_s, clock(), training.steps
    saving, validating = (
        _Due(every, training.elapsed_s) for every in (training.options.save_s, training.options.validate_s)
    )
    for batch in _on_device(training, _endless(training, read)):
        means.add(training.step(batch).parts)
        training.elapsed_s = before_s + clock() - began_s
        over = training.share >= 1 or training.steps - first_step == max_steps
        over = over or training.elapsed_s - before_s >= 60 * max_minutes
        if over or training.steps % _RECORDED_EVERY_STEPS == 0:
            _record(training, folder, means.take(), line)
        if validation is not None and (over or validating.at(training.elapsed_s)):
            _record_validation(training, folder, validation)
        if over or saving.at(training.elapsed_s):
            training.save(folder)
            plot(folder / PLOT_FILE, read_records(folder / LOSSES_FILE), "minutes")
        if over:
            break
    line.end()


def _endless(training: Training, read: Callable[[], Corpus]) -> Iterator[Batch]:
    options = training.options
    rng = random.Random(options.seed + training.steps)
    known = 0
    while True:
        corpus = read()
        if len(corpus.examples) != known:
            known = len(corpus.examples)
            logger.info("%d dialogues, %.1f h", known, _hours(corpus))
        yield from batches(
            corpus, training.layout, rng, batch_frames=options.batch_frames, chaining=options.chaining
        )


def _on_device(training: Training, found: Iterator[Batch]) -> Iterator[Batch]:
    """The batches; for a GPU they are laid out and moved beside it."""
    if training.device.type == "cpu":
        return found
    return ahead((batch.to(training.device) for batch in found), _AHEAD_BATCHES)


def _hours(corpus: Corpus) -> float:
    return sum(example.frames for example in corpus.examples) * 0.08 / 3600


def _record(training: Training, folder: Path, means: Mapping[str, float], line: ProgressLine) -> None:
    rate = training.frames / max(training.elapsed_s, 1e-6)
    figures = {"minutes": training.elapsed_s / 60, "step": training.steps, "frames_per_s": rate, **means}
    record(folder / LOSSES_FILE, figures)
    shown = ("text", "semantic", "word_accuracy", "hearing_accuracy", "situation_accuracy")
    words = "  ".join(f"{name} {means[name]:.3f}" for name in shown if name in means)
    left_s = 60 * training.options.minutes - training.elapsed_s
    words = f"step {training.steps}  {rate:.0f} frames/s  {words}"
    line.show(training.elapsed_s, training.share, max(left_s, 0.0), words)


def _record_validation(training: Training, folder: Path, corpus: Corpus) -> None:
    figures = {f"validation_{name}": value for name, value in training.validate(corpus).items()}
    record(folder / LOSSES_FILE, {"minutes": training.elapsed_s / 60, "step": training.steps, **figures})
    logger.info("step %d: %s", training.steps, "  ".join(f"{name} {v:.3f}" for name, v in figures.items()))
