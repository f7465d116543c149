"""Trains a language model of the family, or adapters for one.

    python -m duplex_model.training.lm --corpus DIR --validation DIR --out DIR --minutes 90 --threads 2
    python -m duplex_model.training.lm --corpus DIR --out DIR --minutes 90 --resume
    python -m duplex_model.training.lm --corpus DIR --out DIR --minutes 10 --from CHECKPOINT_FOLDER
    python -m duplex_model.training.lm --corpus DIR --out DIR --minutes 10 --lora 16 --from CHECKPOINT_FOLDER

The folder then holds `model.safetensors`, `checkpoint.json` and `tokenizer.model`, as the runtime reads them,
`prompt_codes.json`, `losses.jsonl` and its plot, and `state.pt` to go on from. A run stops by the clock, and its
learning rate falls by the clock; one that was interrupted goes on with `--resume`, at most a few minutes back. Where
only an exported checkpoint is left of a run, `--from` goes on from its weights, be they int8 rows, with an optimiser
that knows nothing yet.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import torch

from duplex_model.checkpoint import SafetensorsFile, Shards, load_lm
from duplex_model.config import (
    CHECKPOINTS,
    CheckpointConfig,
    DepthConfig,
    LMConfig,
    RotaryConfig,
    TransformerConfig,
    gate_width,
)
from duplex_model.description import read_description, write_description
from duplex_model.errors import CheckpointError
from duplex_model.lm import RQTransformer
from duplex_model.source import whole_or_shards
from duplex_model.text import TextTokenizer
from duplex_model.training.corpus import load_codec
from duplex_model.training.device import add_device_option
from duplex_model.training.lm_learning.batches import Chaining, Layout
from duplex_model.training.lm_learning.examples import CorpusFacts, CorpusReader, check_codes, check_fits
from duplex_model.training.lm_learning.losses import LossWeights
from duplex_model.training.lm_learning.trainer import MODEL_FILE, Training, TrainingOptions, initialise, run

logger = logging.getLogger(__name__)

PROMPT_CODES_FILE = "prompt_codes.json"
TOKENIZER_FILE = "tokenizer.model"
CONTEXT_FRAMES = 320
"""Attended window: 25.6 s, a prompt of up to 12.8 s in it."""

FURTHER_WARM_UP_STEPS = 200
"""Where training begins with a trained model."""

_SHAPES: Mapping[str, tuple[int, int, int, int, int]] = {
    "tiny": (64, 2, 2, 32, 1),
    "d256": (256, 6, 4, 128, 2),
    "small": (320, 6, 5, 160, 2),
    "d384": (384, 8, 6, 192, 2),
}
"""Temporal width, layers and heads, depth width and layers."""


def own_config(name: str, *, card: int, codebooks: int, text_card: int, context: int) -> LMConfig:
    """A configuration of our own by name, one of `_SHAPES`, for a codec and a vocabulary.

    All acoustic codebooks share one weight set: they are alike, and many weights read once per codebook would cost
    more than the rest of a step on a CPU.
    """
    width, layers, heads, depth_width, depth_layers = _SHAPES[name]
    return LMConfig(
        temporal=TransformerConfig(
            width=width,
            layers=layers,
            heads=heads,
            hidden=gate_width(width, 4 * width),
            context=context,
            rotary=RotaryConfig(max_period=10_000),
        ),
        depth=DepthConfig(
            width=depth_width,
            layers=depth_layers,
            heads=depth_width // 32,
            hidden=gate_width(depth_width, 4 * depth_width),
            schedule=(0, *(1,) * (codebooks - 1)),
        ),
        own_codebooks=codebooks,
        heard_codebooks=codebooks,
        acoustic_delay=1,
        text_card=text_card,
        card=card,
    )


def describe(lm: LMConfig, trained_frames: int) -> CheckpointConfig:
    """What is known of a model while it is trained; the export adds the rest."""
    return CheckpointConfig(
        name="in-training",
        repository="",
        licence="Apache-2.0",
        lm=lm,
        languages={"en": frozenset({"es"}), "es": frozenset({"en"})},
        translates=True,
        trained_frames=trained_frames,
        lm_file=MODEL_FILE,
        text_file=TOKENIZER_FILE,
        role_text=True,
        voice_prompt=True,
    )


def find_config(options: argparse.Namespace, reader: CorpusReader) -> LMConfig:
    """The architecture that `--config`, `--from` or the folder to resume names."""
    if options.resume or options.base is not None:
        return _described(options.out if options.resume else options.base).lm
    if options.config in CHECKPOINTS:
        return CHECKPOINTS[options.config].lm
    if options.config in _SHAPES:
        codec = load_codec(options.codec or reader.facts.codec).config
        return own_config(
            options.config,
            card=codec.card,
            codebooks=codec.codebooks,
            text_card=reader.facts.text_card,
            context=options.context,
        )
    return _described(Path(options.config)).lm


def _described(folder: Path) -> CheckpointConfig:
    described = read_description(folder)
    if described is None:
        raise CheckpointError(f"expected a checkpoint that describes itself in {folder}, got none")
    return described


def build_model(options: argparse.Namespace, config: LMConfig) -> RQTransformer:
    """The model to begin with: that of `--from`, in float32 whatever it is kept in, or a new one."""
    if options.base is None:
        model = RQTransformer(config, sinks=True)
        initialise(model, options.seed)
        return model
    return trained_model(options.base)


def trained_model(folder: Path) -> RQTransformer:
    """The model of a checkpoint, exported or in training, in float32 and with the window it was trained with.

    Raises:
        CheckpointError: it is not there, or does not describe itself.
    """
    described = _described(folder)
    paths = whole_or_shards(folder, described.lm_file)
    if not paths:
        raise CheckpointError(f"expected {described.lm_file} or its shards in {folder}, got none")
    with ExitStack() as stack:
        source = Shards([stack.enter_context(SafetensorsFile(path)) for path in paths])
        return load_lm(described, source, dtype=torch.float32, window_frames=described.lm.temporal.context)


def train(options: argparse.Namespace) -> None:
    """The command, from its arguments."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    reader = CorpusReader(options.corpus)
    config = find_config(options, reader)
    check_fits(config, reader.read(), reader.facts)
    if options.base is not None:
        check_codes(_described(options.base), reader.facts)
    layout = Layout(config=config, codes=reader.facts.codes, max_frames=options.max_frames)
    training = Training(
        build_model(options, config), layout, _training_options(options), torch.device(options.device)
    )
    options.out.mkdir(parents=True, exist_ok=True)
    if options.resume:
        training.load(options.out)
    _write_surroundings(options, config, reader.facts)
    validation = None if options.validation is None else CorpusReader(options.validation).read()
    count = sum(parameter.numel() for parameter in training.model.parameters())
    logger.info("%.1f million weights, at step %d of %s", count / 1e6, training.steps, options.out)
    run(
        training,
        options.out,
        reader.read,
        validation,
        max_minutes=options.call_minutes,
        max_steps=options.steps,
    )


def _write_surroundings(options: argparse.Namespace, config: LMConfig, facts: CorpusFacts) -> None:
    """What the model needs beside its weights."""
    write_description(options.out, describe(config, options.max_frames))
    codes = json.dumps(asdict(facts.codes), indent=2)
    (options.out / PROMPT_CODES_FILE).write_text(codes + "\n", encoding="utf-8")
    tokenizer = options.tokenizer or facts.tokenizer
    TextTokenizer(tokenizer, facts.text_card)  # refuses another vocabulary than the corpus has
    shutil.copyfile(tokenizer, options.out / TOKENIZER_FILE)


def _training_options(options: argparse.Namespace) -> TrainingOptions:
    weights = LossWeights(
        acoustic=options.acoustic_weight,
        hearing=options.hearing_weight,
        situation=options.situation_weight,
        depth_share=options.depth_share,
    )
    return replace(
        TrainingOptions(
            minutes=options.minutes,
            batch_frames=options.batch_frames,
            muon_lr=options.muon_lr,
            adam_lr=options.adam_lr,
            decay_from=options.decay_from,
            warm_up_steps=_warm_up_steps(options),
            heard_noise=options.heard_noise,
            weights=weights,
            seed=options.seed,
            lora_rank=options.lora,
            bfloat16=not options.float32,
            compiled=options.compile,
            chaining=Chaining(frames=options.chain_frames),
        ),
        average=options.average,
    )


def _warm_up_steps(options: argparse.Namespace) -> int:
    """As told, or by what is begun with: momentum of nothing must not undo what trained weights know."""
    if options.warm_up is not None:
        return int(options.warm_up)
    return TrainingOptions.warm_up_steps if options.base is None else FURTHER_WARM_UP_STEPS


def argument_parser() -> argparse.ArgumentParser:
    """Of the command line."""
    own = TrainingOptions(minutes=1)
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.lm", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--corpus", type=Path, nargs="+", required=True, help="folders; shards may be added meanwhile"
    )
    parser.add_argument(
        "--validation", type=Path, nargs="+", help="corpora to validate with, never learnt from"
    )
    parser.add_argument("--codec", type=Path, help="folder of the codec (default: the one the corpus names)")
    parser.add_argument(
        "--tokenizer", type=Path, help="SentencePiece model (default: the one the corpus names)"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of the clock, resumed parts included")
    parser.add_argument("--call-minutes", type=float, default=math.inf, help="at most, of this call")
    parser.add_argument("--steps", type=int, help="at most, in this call")
    parser.add_argument("--threads", type=int, default=2)
    add_device_option(parser)
    parser.add_argument("--compile", action="store_true", help="compile the transformer first")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    names = ", ".join([*_SHAPES, *CHECKPOINTS])
    parser.add_argument("--config", default="small", help=f"{names}, or a folder of a checkpoint")
    parser.add_argument(
        "--context", type=int, default=CONTEXT_FRAMES, help="frames attended to (default: %(default)s)"
    )
    parser.add_argument(
        "--from",
        dest="base",
        type=Path,
        help="folder of the checkpoint to begin with, exported or in training",
    )
    parser.add_argument(
        "--lora", type=int, default=0, metavar="RANK", help="train adapters of this rank alone"
    )
    parser.add_argument("--batch-frames", type=int, default=own.batch_frames, help="columns of a batch")
    parser.add_argument("--max-frames", type=int, default=640, help="longer dialogues are cut off")
    parser.add_argument(
        "--chain-frames", type=int, default=180, help="longest chain of dialogues after one prompt"
    )
    parser.add_argument("--muon-lr", type=float, default=own.muon_lr)
    parser.add_argument("--adam-lr", type=float, default=own.adam_lr)
    parser.add_argument(
        "--warm-up",
        type=int,
        help=f"steps (default: {own.warm_up_steps}, {FURTHER_WARM_UP_STEPS} with --from)",
    )
    parser.add_argument("--decay-from", type=float, default=own.decay_from, help="share of the time, 0 to 1")
    parser.add_argument(
        "--average", type=float, default=own.average, help="decay of the weights' running average"
    )
    parser.add_argument(
        "--heard-noise",
        type=float,
        default=own.heard_noise,
        help="share of heard codes that are lost or wrong",
    )
    parser.add_argument("--acoustic-weight", type=float, default=own.weights.acoustic)
    parser.add_argument("--hearing-weight", type=float, default=own.weights.hearing)
    parser.add_argument("--situation-weight", type=float, default=own.weights.situation)
    parser.add_argument("--depth-share", type=float, default=own.weights.depth_share)
    parser.add_argument("--float32", action="store_true", help="no products in bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = argument_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(options)


if __name__ == "__main__":
    main()
