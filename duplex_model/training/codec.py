"""Trains the spectral codec: `python -m duplex_model.training.codec --out DIR --minutes 20`.

Into DIR come `codec.safetensors` (float16), `state.pt` to resume from, `losses.jsonl`, and in the end
`losses.png` and `evaluation.json`. The learning rate anneals by the clock, so a run of any length ends annealed.

Three choices, and why:
- The input is noisy, the target clean. Codes are few; none is spent on noise that nobody needs to hear again,
  and the language model meets one silence, not as many as there are rooms.
- The semantic codebook is trained by phones alone: the decoder reads it, but does not pull at it. Voices then
  differ in the acoustic codebooks only, and what is said is learnt from fewer examples.
- Phones are asked for at instants up to 40 ms before the end of a frame, since a phone cannot be told apart at its
  first sound; the language model gains more from a right phone than from an early one.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from duplex_model.config import SpectralConfig
from duplex_model.spectral import Block, SpectralCodec
from duplex_model.training.codec_learning.evaluate import evaluate
from duplex_model.training.codec_learning.loop import AHEAD_BATCHES, Progress, by_the_clock, learning_rate
from duplex_model.training.codec_learning.losses import PhoneHead, SpectralLoss, phone_loss
from duplex_model.training.codec_learning.pool import OWN_SHARE, Batch, Pool, build_pool, crops
from duplex_model.training.codec_learning.quantizer import TrainedQuantizer
from duplex_model.training.device import add_device_option, ahead, autocast
from duplex_model.training.progress import plot, read_records
from duplex_model.training.speech.tts import PHONES
from duplex_model.training.whole_file import write_whole

logger = logging.getLogger(__name__)

SHORT_CHAIN_SHARE = 0.15
"""Of batches decoded from fewer acoustic codebooks (quantizer dropout, arXiv:2107.03312 section III-C)."""


@dataclass(frozen=True, kw_only=True)
class CodecTraining:
    """How a codec is trained."""

    codec: SpectralConfig = SpectralConfig()
    minutes: float = 20.0
    device: str = "cpu"
    threads: int = 2
    workers: int = 2
    """Processes that synthesise the pools."""

    seed: int = 0
    tier: str = "core"
    """Of the grammar of the pools."""

    pool_hours: float = 3.0
    batch: int = 12
    frames: int = 20
    """Of a crop."""

    learning_rate: float = 2e-3
    slots: tuple[int, ...] = (0, 4)
    """Hops, relative to the first of a frame, whose phones its semantic code tells."""

    phone_weight: float = 1.0
    commitment_weight: float = 0.25


TOY = CodecTraining(
    codec=replace(
        SpectralConfig(),
        card=64,
        codebook_width=16,
        width=32,
        hidden=64,
        encoder_fast_blocks=1,
        encoder_slow_blocks=1,
        decoder_slow_blocks=1,
        decoder_fast_blocks=1,
    ),
    minutes=0.2,
    pool_hours=1 / 60,
    batch=4,
    frames=16,
)


class CodecTrainer(nn.Module):
    """A codec with all that it needs only while it is trained."""

    def __init__(self, training: CodecTraining) -> None:
        super().__init__()
        self.training_config = training
        self.codec = SpectralCodec(training.codec)
        self.quantizer = TrainedQuantizer(self.codec.quantizer)
        self.phone_head = PhoneHead(training.codec.codebook_width, len(training.slots), len(PHONES))
        self.spectral_loss = SpectralLoss()
        start_small(self.codec)

    def forward(self, batch: Batch, acoustic_levels: int) -> dict[str, Tensor]:
        """Losses of a batch, the one to descend under `total`."""
        device = batch.heard.device
        latent = self.codec.to_latent(batch.heard[:, None]).transpose(1, 2)
        with autocast(device, enabled=False):
            semantic = self.quantizer.semantic(latent, 1)
            acoustic = self.quantizer.acoustic(latent, acoustic_levels)
            phones = phone_loss(self.phone_head(semantic.quantized), batch.phones)
            phones_before = phone_loss(self.phone_head(semantic.projected), batch.phones)
        said = self._decode(semantic.quantized.detach(), acoustic.quantized)
        delay = self.codec.config.delay_samples
        with autocast(device, enabled=False):
            mel, spectral = self.spectral_loss(said[:, delay:], batch.clean[:, :-delay])
        config = self.training_config
        commitment = semantic.commitment + acoustic.commitment
        total = mel + spectral + config.commitment_weight * commitment
        total = total + config.phone_weight * (phones + phones_before) / 2
        return {"total": total, "mel": mel, "spectral": spectral, "phones": phones, "commitment": commitment}

    def _decode(self, semantic: Tensor, acoustic: Tensor) -> Tensor:
        """Sums of centroids, [B, T, W] each, -> pcm [B, 1920 T]."""
        quantizer = self.codec.quantizer
        latent = quantizer.rvq_first.output_proj(semantic.transpose(1, 2))
        latent = latent + quantizer.rvq_rest.output_proj(acoustic.transpose(1, 2))
        return self.codec.from_latent(latent).squeeze(1)


def start_small(codec: SpectralCodec) -> None:
    """Makes every block nearly the identity and the codec nearly silent, from where training is quick."""
    with torch.no_grad():
        for module in codec.modules():
            if isinstance(module, Block):
                module.reduce.weight.mul_(0.2)
                module.reduce.bias.zero_()
        bins = codec.config.bins
        bias = codec.decoder.to_spectra.bias.view(-1, 2, bins)
        bias[:, 0].fill_(-1.0)
        bias[:, 1].uniform_(-math.pi, math.pi)


class Run:
    """One training run and its files."""

    def __init__(self, training: CodecTraining, folder: Path) -> None:
        self.training = training
        self.folder = folder
        self.device = torch.device(training.device)
        torch.manual_seed(training.seed)
        self.trainer = CodecTrainer(training).to(self.device)
        decayed = [p for p in self.trainer.parameters() if p.dim() > 1]
        others = [p for p in self.trainer.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=training.learning_rate, betas=(0.8, 0.99), fused=True)
        self.progress = Progress()

    def resume(self) -> None:
        """Goes on where `save` left it."""
        state = torch.load(self.folder / "state.pt", map_location=self.device, weights_only=True)
        self.trainer.load_state_dict(state["trainer"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])

    def save(self) -> None:
        """Writes the codec, and the state to resume from; a reader finds each old or new, never half."""
        state = {
            "trainer": self.trainer.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        write_whole(self.folder / "state.pt", lambda path: torch.save(state, path))
        save_codec(self.trainer.codec, self.folder)

    def step(self, batch: Batch, share: float) -> dict[str, Tensor]:
        """Descends once; `share` of the time has passed. Its losses are left on the device, not waited for."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.training.learning_rate, share, self.progress.step)
        levels = self.training.codec.codebooks - 1
        if torch.rand(()) < SHORT_CHAIN_SHARE:
            levels = int(torch.randint(1, levels + 1, ()))
        with autocast(self.device):
            losses = self.trainer(batch.to(self.device), levels)
        self.optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        nn.utils.clip_grad_norm_(self.trainer.parameters(), 1.0)
        self.optimiser.step()
        self.progress.step += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def _batches(self, pool: Pool) -> Iterator[Batch]:
        """Random crops for ever; for a GPU they are cut and moved beside it."""
        training = self.training
        rng = np.random.default_rng([training.seed, self.progress.step])
        cut = partial(crops, pool, rng, count=training.batch, frames=training.frames, slots=training.slots)
        found = (cut().to(self.device) for _ in count())
        return found if self.device.type == "cpu" else ahead(found, AHEAD_BATCHES)

    def train(self, pool: Pool) -> None:
        """Trains until the minutes are over."""
        self.trainer.train()
        found = self._batches(pool)
        by_the_clock(
            lambda share: self.step(next(found), share),
            self.save,
            self.progress,
            minutes=self.training.minutes,
            figures=self.folder / "losses.jsonl",
        )


def save_codec(codec: SpectralCodec, folder: Path) -> None:
    """Writes `codec.safetensors` in float16, with the codec's numbers as its metadata."""
    tensors = {name: tensor.half().cpu() for name, tensor in codec.state_dict().items()}
    metadata = {"config": json.dumps(asdict(codec.config))}
    write_whole(folder / "codec.safetensors", lambda path: save_file(tensors, path, metadata))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m duplex_model.training.codec", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float)
    add_device_option(parser)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, help="processes that synthesise (default: as threads)")
    parser.add_argument("--batch", type=int, help="crops of a batch")
    parser.add_argument("--tier", help="of the grammar (core)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pool-hours", type=float)
    parser.add_argument(
        "--toy", action="store_true", help="a tiny codec in seconds, to see that everything runs"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given.workers = given.workers or given.threads
    names = ("minutes", "device", "threads", "workers", "seed", "tier", "pool_hours", "batch")
    chosen: dict[str, Any] = {
        name: getattr(given, name) for name in names if getattr(given, name) is not None
    }
    train(replace(TOY if given.toy else CodecTraining(), **chosen), given.out, resume=given.resume)


def train(training: CodecTraining, folder: Path, *, resume: bool = False) -> dict[str, Any]:
    """Synthesises the pools where they are missing, trains, evaluates, and returns what was measured."""
    torch.set_num_threads(training.threads)
    folder.mkdir(parents=True, exist_ok=True)
    seconds = 3600 * training.pool_hours
    pool = _pool(folder / "pool", seconds, training, own_share=OWN_SHARE)
    held_out = _pool(folder / "held_out", min(240.0, seconds), training, held_out=True, own_share=0.0)
    run = Run(training, folder)
    if resume:
        run.resume()
    run.train(pool)
    if (folder / "losses.jsonl").exists():
        plot(folder / "losses.png", read_records(folder / "losses.jsonl"), "elapsed_s")
    run.trainer.cpu()
    results = evaluate(run.trainer.codec, run.trainer.phone_head, held_out, pool, training.slots)
    write_whole(
        folder / "evaluation.json", lambda path: path.write_text(json.dumps(results, indent=2) + "\n")
    )
    logger.info("%s", json.dumps(results))
    return results


def _pool(
    folder: Path, seconds: float, training: CodecTraining, *, held_out: bool = False, own_share: float
) -> Pool:
    if not (folder / "phones.npy").exists():  # the last one that is written
        logger.info("synthesising %.0f minutes into %s", seconds / 60, folder)
        pool = build_pool(
            seconds=seconds,
            seed=training.seed,
            workers=training.workers,
            held_out=held_out,
            own_share=own_share,
            tier=training.tier,
        )
        pool.save(folder)
    return Pool.open(folder)


if __name__ == "__main__":
    main()
