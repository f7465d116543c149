"""Dialogues as tokens on disk.

    python -m duplex_model.training.corpus --codec FOLDER --tokenizer FILE --out DIR --dialogues 20000 --workers 2

A folder has `corpus.json` (how it was made), `voices.safetensors` (clips for voice prompts) and shards. Each shard
is made from the seed and its number alone, and written whole or not at all, so that a run that was stopped goes on
where it was. Processes compose and synthesise on the CPU; each encodes on the GPU where there is one, in large batches,
while the others compose. A shard of N dialogues is a pair of files:

    shard-00000.safetensors   the rows of `rows.Rows` one dialogue after the other, and `offsets` [N + 1] in frames
    shard-00000.json          [N] of what each dialogue is
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from torch import Tensor

from duplex_model.checkpoint import SafetensorsFile, Shards, load_spectral
from duplex_model.codec import prompt_codes_of
from duplex_model.config import PromptCodes, SpectralConfig
from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from duplex_model.description import read_description
from duplex_model.errors import CheckpointError
from duplex_model.prompt import tagged_role
from duplex_model.source import whole_or_shards
from duplex_model.spectral import SpectralCodec
from duplex_model.training.device import add_device_option, moved
from duplex_model.training.dialogues.dialogue import Dialogue, Materials, Turn
from duplex_model.training.dialogues.kinds import KINDS, compose
from duplex_model.training.dialogues.rows import NAMES, Encode, Rows, rows_of
from duplex_model.training.dialogues.spelling import Spelling
from duplex_model.training.dialogues.stock import LANGUAGES, held_out_materials, training_materials
from duplex_model.training.grammar import load_grammar
from duplex_model.training.whole_file import write_whole

logger = logging.getLogger(__name__)

SHARD_DIALOGUES = 256
CLIP_FRAMES = 38
"""Of a clip for a voice prompt: 3 s."""

_BATCH_FRAMES = {"cpu": 400, "cuda": 8000}
"""Encoded at once: what stays in the cache of a CPU core; what fills a GPU and takes a gigabyte there."""


@dataclass(frozen=True, kw_only=True)
class CorpusPlan:
    """How a corpus is made."""

    codec: Path
    """Folder of `codec.safetensors`, or of a checkpoint that has this codec."""

    tokenizer: Path
    tier: str = "core"
    seed: int = 0
    held_out: bool = False
    """Made of what is never trained on, to validate with."""

    clips: int = 64
    """Of each own voice."""

    device: str = "cpu"
    """To encode on."""

    kind: str | None = None
    """Of every dialogue, a key of `KINDS`; None for all of them by their shares."""


@dataclass(frozen=True)
class Shard:
    """Dialogues as tokens, and what they are."""

    rows: Sequence[Rows]
    about: Sequence[Mapping[str, Any]]


class Maker:
    """Makes shards: the materials, the spelling and the codec of one process."""

    def __init__(
        self,
        materials: Materials,
        spelling: Spelling,
        encode: Encode,
        codes: PromptCodes,
        batch_frames: int = _BATCH_FRAMES["cpu"],
        kind: str | None = None,
    ) -> None:
        self.materials = materials
        self.spelling = spelling
        self.encode = encode
        self.codes = codes
        self.batch_frames = batch_frames
        self.kind = kind

    @classmethod
    def of(cls, plan: CorpusPlan) -> Maker:
        """Loads what `plan` names."""
        spelling = Spelling(plan.tokenizer.read_bytes())
        make = held_out_materials if plan.held_out else training_materials
        materials = make(load_grammar(plan.tier), lambda word: len(spelling.pieces(word)))
        codec = load_codec(plan.codec)
        codes = codes_of(plan.codec, codec)
        device = torch.device(plan.device)
        codec.to(device)

        def encode(pcm: Tensor) -> Tensor:
            return codec.encode(moved(pcm, device)).cpu()

        return cls(materials, spelling, encode, codes, _BATCH_FRAMES[device.type], plan.kind)

    def shard(self, seed: int, number: int, count: int) -> Shard:
        """The shard of a number, always the same for the same seed."""
        seeds = (f"{seed}/{number * SHARD_DIALOGUES + index}" for index in range(count))
        dialogues = [compose(random.Random(text), self.materials, self.kind) for text in seeds]
        rows = rows_of(
            dialogues, self.spelling, self.encode, self.codes.silence, batch_frames=self.batch_frames
        )
        return Shard(rows, [self._about(dialogue) for dialogue in dialogues])

    def clips(self, seed: int, count: int) -> dict[str, NDArray[np.int16]]:
        """Name of an own voice -> [count, codebooks, 38]: sentences in either language."""
        return {
            name: self._voice_clips(random.Random(f"{seed}/{name}"), name, count)
            for name in self.materials.own_voices
        }

    def _voice_clips(self, rng: random.Random, name: str, count: int) -> NDArray[np.int16]:
        pcm = np.stack([self._clip(rng, name) for _ in range(count)])
        with torch.inference_mode():
            return self.encode(torch.from_numpy(pcm)[:, None]).to(torch.int16).numpy()

    def _clip(self, rng: random.Random, name: str) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        while sum(map(len, parts)) < CLIP_FRAMES * FRAME_SAMPLES:
            language = rng.choice(LANGUAGES)
            text = self.materials.sample(rng).text(language)
            parts.append(self.materials.synthesise(text, self.materials.own_voices[name][language]).pcm)
            parts.append(np.zeros(round(rng.uniform(0.05, 0.3) * SAMPLE_RATE_HZ), np.float32))
        return np.concatenate(parts)[: CLIP_FRAMES * FRAME_SAMPLES]

    def _about(self, dialogue: Dialogue) -> dict[str, Any]:
        """What a dialogue is, for JSON."""
        return {
            "kind": dialogue.kind,
            "frames": dialogue.frames,
            "mode": dialogue.mode.value,
            "language_in": dialogue.language_in,
            "language_out": dialogue.language_out,
            "role_text": dialogue.role_text,
            "role": self.spelling.encode(tagged_role(dialogue.role_text)),
            "own_voice": dialogue.own_voice,
            "text": dialogue.text,
            "turns": [_about_turn(turn) for turn in dialogue.turns],
        }


def _about_turn(turn: Turn) -> dict[str, Any]:
    pair = turn.pair and {"production": turn.pair.production, "en": turn.pair.en, "es": turn.pair.es}
    about = {name: getattr(turn, name) for name in ("text", "language", "rendered")}
    return about | {"pair": pair, "start_s": round(turn.start_s, 3), "end_s": round(turn.end_s, 3)}


def load_codec(folder: Path) -> SpectralCodec:
    """The codec that its trainer left in `folder`, or that of the checkpoint there, on the CPU.

    Raises:
        CheckpointError: there is neither.
    """
    path = folder / "codec.safetensors"
    described = read_description(folder)
    if described is not None and isinstance(described.codec, SpectralConfig):
        with ExitStack() as stack:
            parts = whole_or_shards(folder, described.codec_file)
            files = [stack.enter_context(SafetensorsFile(part)) for part in parts]
            return load_spectral(described.codec, Shards(files))
    if not path.is_file():
        raise CheckpointError(
            f"expected codec.safetensors or a checkpoint with its codec in {folder}, got neither"
        )
    with safe_open(path, "pt") as file:
        codec = SpectralCodec(SpectralConfig(**json.loads(file.metadata()["config"])))
        names = file.keys()  # noqa: SIM118 - not a mapping
        codec.load_state_dict({name: file.get_tensor(name).float() for name in names})
    return codec.eval()


def codes_of(folder: Path, codec: SpectralCodec) -> PromptCodes:
    """Silence and sine as the checkpoint in `folder` was trained with them, or else as `codec` encodes them.

    The sine's lie close to the edges of their cells: computed elsewhere, one or the other may come out differently.
    """
    described = read_description(folder)
    return prompt_codes_of(codec) if described is None else described.prompt_codes


def write_shard(shard: Shard, path: Path) -> None:
    """Writes both files of a shard; `path` names the one of tensors and appears last, whole."""
    lengths = [len(rows.text) for rows in shard.rows]
    tensors: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(rows, name) for rows in shard.rows], axis=-1) for name in NAMES
    }
    tensors["offsets"] = np.cumsum([0, *lengths])
    path.with_suffix(".json").write_text(json.dumps(shard.about, ensure_ascii=False), encoding="utf-8")
    write_whole(path, partial(save_file, tensors))


def read_shard(path: Path) -> Shard:
    """What `write_shard` wrote."""
    tensors = load_file(path)
    offsets = tensors.pop("offsets")
    rows = [
        Rows(**{name: tensors[name][..., first:end] for name in NAMES})
        for first, end in zip(offsets[:-1], offsets[1:], strict=True)
    ]
    return Shard(rows, json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


@cache
def _maker(plan: CorpusPlan) -> Maker:
    torch.set_num_threads(1)
    return Maker.of(plan)


def _make(plan: CorpusPlan, folder: Path, number: int, count: int) -> float:
    """Makes one shard in this process; seconds of audio in it."""
    shard = _maker(plan).shard(plan.seed, number, count)
    write_shard(shard, _shard_path(folder, number))
    return sum(len(rows.text) for rows in shard.rows) * FRAME_S


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.safetensors"


def make_corpus(
    plan: CorpusPlan, folder: Path, *, dialogues: int, workers: int = 1, minutes: float = float("inf")
) -> None:
    """Makes what is missing of a corpus.

    Args:
        plan: how.
        folder: where; shards that are there already are left as they are.
        dialogues: to have in the end, to the next whole shard.
        workers: processes of one thread each.
        minutes: after which no shard is begun any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _prepare(plan, folder)
    shards = -(-dialogues // SHARD_DIALOGUES)
    missing = [number for number in range(shards) if not _shard_path(folder, number).exists()]
    counts = {number: min(SHARD_DIALOGUES, dialogues - number * SHARD_DIALOGUES) for number in missing}
    started = time.monotonic()
    jobs = iter(missing)
    done_s, done = 0.0, shards - len(missing)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        running: set[Future[float]] = set()
        while True:
            for number in _while_time(jobs, workers - len(running), started + 60 * minutes):
                running.add(processes.submit(_make, plan, folder, number, counts[number]))
            if not running:
                break
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            done_s += sum(future.result() for future in finished)
            done += len(finished)
            speed = done_s / (time.monotonic() - started)
            logger.info(
                "%d of %d shards, %.2f h, %.0f s of audio a second", done, shards, done_s / 3600, speed
            )


def _while_time(jobs: Iterator[int], count: int, until: float) -> Iterator[int]:
    """The next `count` jobs, as long as there is time."""
    for _ in range(count):
        if time.monotonic() >= until:
            return
        number = next(jobs, None)
        if number is None:
            return
        yield number


def _prepare(plan: CorpusPlan, folder: Path) -> None:
    """Writes what all shards share."""
    if (folder / "corpus.json").exists():
        return
    maker = _maker(plan)
    clips = maker.clips(plan.seed, plan.clips)
    write_whole(folder / "voices.safetensors", partial(save_file, clips))
    about = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(plan).items()}
    about |= {**asdict(maker.codes), "text_card": maker.spelling.size}
    (folder / "corpus.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.corpus", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec, or of a checkpoint")
    parser.add_argument("--tokenizer", type=Path, required=True, help="SentencePiece model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dialogues", type=int, required=True, help="to have in the end")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no shard is begun")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tier", default="core", help="of the grammar")
    parser.add_argument("--workers", type=int, default=1)
    add_device_option(parser)
    parser.add_argument("--clips", type=int, default=64, help="for voice prompts, of each own voice")
    parser.add_argument(
        "--kind",
        choices=list(KINDS),
        metavar="KIND",
        help="of every dialogue (default: all, by their shares)",
    )
    parser.add_argument("--held-out", action="store_true", help="what is never trained on, to validate with")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    plan = CorpusPlan(
        codec=options.codec,
        tokenizer=options.tokenizer,
        tier=options.tier,
        seed=options.seed,
        held_out=options.held_out,
        clips=options.clips,
        device=options.device,
        kind=options.kind,
    )
    make_corpus(
        plan, options.out, dialogues=options.dialogues, workers=options.workers, minutes=options.minutes
    )


if __name__ == "__main__":
    main()
