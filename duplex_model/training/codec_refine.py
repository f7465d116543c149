"""Goes on with the decoder of a codec, on the interpreter's own voices: the only ones it is ever heard in.

    python -m duplex_model.training.codec_refine --codec DIR --out DIR --minutes 10

Encoder, centroids and hence codes stay as they are to the last bit, so that a corpus and a language model made with
the codec stay valid: this can be done at any time, and again. The learning rate falls by the clock.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from duplex_model.spectral import SpectralCodec
from duplex_model.training.codec import save_codec
from duplex_model.training.codec_learning.evaluate import mel_l1
from duplex_model.training.codec_learning.loop import AHEAD_BATCHES, Progress, by_the_clock, learning_rate
from duplex_model.training.codec_learning.losses import SpectralLoss
from duplex_model.training.codec_learning.pool import Pool, build_pool, crops, to_pcm
from duplex_model.training.corpus import load_codec
from duplex_model.training.device import add_device_option, ahead, autocast, moved

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Refining:
    """How a decoder is refined."""

    minutes: float = 10.0
    device: str = "cpu"
    threads: int = 2
    workers: int = 2
    """Processes that synthesise the pools."""

    seed: int = 1
    tier: str = "core"
    """Of the grammar of the pools."""

    pool_hours: float = 1.0
    batch: int = 12
    frames: int = 20
    """Of a crop."""

    learning_rate: float = 1e-3


class Refined(nn.Module):
    """The parts of a codec that come after its codes."""

    def __init__(self, codec: SpectralCodec) -> None:
        super().__init__()
        self.codec = codec
        self.loss = SpectralLoss()

    def trained(self) -> list[nn.Parameter]:
        """Parameters that no code depends on."""
        quantizer = self.codec.quantizer
        parts = (self.codec.decoder, quantizer.rvq_first.output_proj, quantizer.rvq_rest.output_proj)
        return [parameter for part in parts for parameter in part.requires_grad_(True).parameters()]

    def forward(self, clean: Tensor) -> dict[str, Tensor]:
        """Losses of decoding what [B, 1920 T] is encoded as, the one to descend under `total`."""
        with torch.no_grad(), autocast(clean.device, enabled=False):
            codes = self.codec.encode(clean[:, None])
        said = self.codec.decode(codes).squeeze(1)
        delay = self.codec.config.delay_samples
        with autocast(clean.device, enabled=False):
            mel, spectral = self.loss(said[:, delay:], clean[:, :-delay])
        return {"total": mel + spectral, "mel": mel, "spectral": spectral}


def refine(codec: SpectralCodec, pool: Pool, refining: Refining, folder: Path) -> None:
    """Trains until the minutes are over; `folder` gets the codec and its losses."""
    torch.manual_seed(refining.seed)
    device = torch.device(refining.device)
    model = Refined(codec).to(device)
    found = _clean(pool, refining, device)
    parameters = model.trained()
    optimiser = torch.optim.AdamW(parameters, lr=refining.learning_rate, betas=(0.8, 0.99), fused=True)
    progress = Progress()

    def descend(share: float) -> dict[str, Tensor]:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(refining.learning_rate, share, progress.step)
        with autocast(device):
            losses: dict[str, Tensor] = model(next(found))
        optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        progress.step += 1
        return {name: loss.detach() for name, loss in losses.items()}

    by_the_clock(
        descend,
        lambda: save_codec(codec, folder),
        progress,
        minutes=refining.minutes,
        figures=folder / "refined.jsonl",
    )


def _clean(pool: Pool, refining: Refining, device: torch.device) -> Iterator[Tensor]:
    """Random crops for ever, [B, 1920 T] each; for a GPU they are cut and moved beside it."""
    rng = np.random.default_rng(refining.seed)
    cut = partial(crops, pool, rng, count=refining.batch, frames=refining.frames, slots=(0,))
    found = (moved(cut().clean, device) for _ in count())
    return found if device.type == "cpu" else ahead(found, AHEAD_BATCHES)


@torch.no_grad()
def heard_error(codec: SpectralCodec, pool: Pool) -> float:
    """Mel distance, as in the codec's own evaluation, of a whole pool; `codec` is on the CPU."""
    clean = to_pcm(np.asarray(pool.clean))
    clean = clean[: len(clean) // codec.config.frame_samples * codec.config.frame_samples]
    said = codec.decode(codec.encode(clean[None, None]))[0, 0]
    delay = codec.config.delay_samples
    return mel_l1(said[None, delay:], clean[None, :-delay])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m duplex_model.training.codec_refine", description=__doc__)
    parser.add_argument("--codec", type=Path, required=True, help="folder of codec.safetensors")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    add_device_option(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, help="processes that synthesise (default: as threads)")
    parser.add_argument("--batch", type=int, default=Refining.batch, help="crops of a batch")
    parser.add_argument("--tier", default="core", help="of the grammar")
    parser.add_argument("--pool-hours", type=float, default=1.0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    refining = Refining(
        minutes=given.minutes,
        device=given.device,
        threads=given.threads,
        workers=given.workers or given.threads,
        tier=given.tier,
        pool_hours=given.pool_hours,
        batch=given.batch,
    )
    codec = load_codec(given.codec)
    seconds = 3600 * refining.pool_hours
    pool, held_out = (
        build_pool(
            seconds=length,
            seed=refining.seed,
            workers=refining.workers,
            held_out=apart,
            own_share=1.0,
            tier=refining.tier,
        )
        for length, apart in ((seconds, False), (min(240.0, seconds), True))
    )
    before = heard_error(codec, held_out)
    refine(codec, pool, refining, given.out)
    after = heard_error(codec.cpu(), held_out)
    logger.info(
        "mel distance on sentences never trained on, own voices: %.3f before, %.3f after", before, after
    )


if __name__ == "__main__":
    main()
