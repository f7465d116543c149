"""What training left behind -> the folder of a checkpoint, small enough to be shipped.

    python -m duplex_model.training.export --lm RUN/model.safetensors --codec CODEC/codec.safetensors
        --tokenizer tokenizer.model --voices CORPUS/voices.safetensors --description about.json
        --card README.md --licence LICENSE --out duplex_model/checkpoints/NAME

    model-00001-of-00002.safetensors    the language model: matrices as int8 rows with scales, the rest as it is
    codec-00001-of-00001.safetensors    the codec, float16
    tokenizer.model  voices/*.safetensors  checkpoint.json  README.md  LICENSE

The description is put together: architecture and training length from the `checkpoint.json` beside the language model,
silence and sine from the `prompt_codes.json` there, the codec's numbers from its file, the roles of directions from
`dialogues/roles.yaml`, the piece for abstaining from the vocabulary, and over all of it the fields of `about.json`.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from sentencepiece import SentencePieceProcessor
from torch import Tensor

from duplex_model.checkpoint import SafetensorsFile, Shards, load_codec, load_lm
from duplex_model.config import CheckpointConfig
from duplex_model.description import DESCRIPTION_FILE, SCHEMA, parse_description, write_description
from duplex_model.errors import CheckpointError
from duplex_model.int8 import QUANTISED, SCALE, quantise_rows
from duplex_model.source import VOICES_FOLDER, find_files, parse_source, shard_name
from duplex_model.text import TextTokenizer
from duplex_model.training.corpus import load_codec as trained_codec
from duplex_model.training.dialogues.roles import load_roles
from duplex_model.voice import SpokenVoice, read_tensors, save_voice

logger = logging.getLogger(__name__)

SHARD_BYTES = 15 << 20
FOLDER_BYTES = 40 << 20

UNSURE = "<unsure>"
PROMPT_CODES_FILE = "prompt_codes.json"

_FROM_TRAINING = (
    "lm", "trained_frames", "languages", "translates", "licence", "role_text", "voice_prompt"
)  # fmt: skip
"""What the training run knows of the description; people decide the rest."""

_LM_FILE, _CODEC_FILE, _TEXT_FILE = "model.safetensors", "codec.safetensors", "tokenizer.model"
_HEADER_BYTES = 1 << 16
"""Room for the header of a shard: names, shapes, offsets."""

_LARGEST_ERROR = 0.03
"""Of a matrix's int8 rows, relative to the matrix; about 0.008 for normally distributed weights."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a checkpoint is put together from."""

    lm: Path
    """Safetensors in the runtime's names; `checkpoint.json` and `prompt_codes.json` stand beside it."""

    codec: Path
    """Safetensors with its `config` in the metadata, or the folder of a checkpoint that has it."""

    tokenizer: Path
    voices: Path
    """A folder of `NAME.safetensors` with `codes` [own codebooks, frames], or one file of clips by name."""

    about: Path
    """JSON: fields of the description that only people know."""

    card: Path
    licence: Path


def export(parts: Parts, out: Path) -> CheckpointConfig:
    """Writes the folder `out`, whole or not at all, and reads it back; what it says of itself.

    Raises:
        CheckpointError: parts that do not fit together, or a folder that is too large or there already.
    """
    if out.exists():
        raise CheckpointError(f"expected no {out} yet: remove it first")
    folder = out.with_name(f"{out.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = describe(parts)
    write_shards(folder, _LM_FILE, int8_rows(load_file(parts.lm)))
    _, codec = _codec(parts.codec)
    halves = {name: tensor.half() for name, tensor in codec.items()}
    write_shards(folder, _CODEC_FILE, halves)
    for source, name in (
        (parts.tokenizer, _TEXT_FILE),
        (parts.card, "README.md"),
        (parts.licence, "LICENSE"),
    ):
        shutil.copyfile(source, folder / name)
    write_voices(folder / VOICES_FOLDER, parts.voices)
    write_description(folder, config)
    check(folder, parts.lm)
    folder.rename(out)
    return config


def describe(parts: Parts) -> CheckpointConfig:
    """The description of the checkpoint made of `parts`."""
    beside = parts.lm.parent
    in_training = _object(beside / DESCRIPTION_FILE)
    values = {
        **{name: in_training[name] for name in _FROM_TRAINING if name in in_training},
        "repository": "",
        "lm_file": _LM_FILE,
        "codec_file": _CODEC_FILE,
        "text_file": _TEXT_FILE,
        "codec": {"kind": "spectral", **_codec(parts.codec)[0]},
        "direction_roles": _direction_roles(),
    }
    if (beside / PROMPT_CODES_FILE).is_file():
        values["prompt_codes"] = _object(beside / PROMPT_CODES_FILE)
    values |= _object(parts.about)
    generation = dict(values.get("generation", {}))
    if generation.get("unsure_token") is None:
        generation["unsure_token"] = _unsure_token(parts.tokenizer)
    values["generation"] = generation
    return parse_description({**values, "schema": SCHEMA}, parts.about)


def _object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"expected a JSON object in {path}, got: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"expected a JSON object in {path}, got {ascii(values)[:80]}")
    return values


def _codec(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The numbers of a codec and its tensors, from its file or from a folder that has it."""
    if path.is_dir():
        codec = trained_codec(path)
        return asdict(codec.config), codec.state_dict()
    try:
        with safe_open(str(path), framework="pt") as file:
            numbers: dict[str, Any] = json.loads((file.metadata() or {})["config"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"expected a codec with its config in {path}, got: {error}") from error
    return numbers, load_file(path)


def _direction_roles() -> dict[str, dict[str, str]]:
    """Direction -> mode -> the canonical role text."""
    roles: dict[str, dict[str, str]] = {}
    for mode, directions in load_roles().trained.items():
        for direction, texts in directions.items():
            roles.setdefault(direction, {})[mode.value] = texts[0]
    return roles


def _unsure_token(path: Path) -> int | None:
    """The piece for abstaining; None where the vocabulary has none."""
    processor = SentencePieceProcessor(model_file=str(path))
    token: int = processor.piece_to_id(UNSURE)
    return None if token == processor.unk_id() else token


def int8_rows(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with every matrix called `x.weight` as `x.quantised` and `x.scale`; the others in float32."""
    written: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        if tensor.dim() != 2 or stem == name:
            written[name] = tensor.float()
            continue
        quantised, scale = quantise_rows(tensor)
        written[stem + QUANTISED], written[stem + SCALE] = quantised, scale.bfloat16()
    return written


def write_shards(folder: Path, file: str, tensors: Mapping[str, Tensor]) -> None:
    """Writes `tensors` as shards of `file`, none larger than `SHARD_BYTES`.

    Raises:
        CheckpointError: a single tensor is larger.
    """
    shards = list(_shards(tensors))
    for number, shard in enumerate(shards, start=1):
        save_file(shard, folder / shard_name(file, number, len(shards)))


def _shards(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    room = SHARD_BYTES - _HEADER_BYTES
    shard: dict[str, Tensor] = {}
    filled = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if size > room:
            raise CheckpointError(f"expected tensors of at most {room} bytes, got {name} with {size}")
        if filled + size > room:
            yield shard
            shard, filled = {}, 0
        shard[name] = tensor.contiguous()
        filled += size
    yield shard


def write_voices(folder: Path, voices: Path) -> None:
    """Writes one voice a file. Of a file of clips by name, int [clips, codebooks, frames], the first clip is taken."""
    folder.mkdir()
    if voices.is_dir():
        named = {path.stem: load_file(path)["codes"] for path in sorted(voices.glob("*.safetensors"))}
    else:
        named = {name: clips[0] for name, clips in load_file(voices).items()}
    for name, codes in named.items():
        save_voice(SpokenVoice(codes.long()), folder / f"{name}.safetensors")


def check(folder: Path, lm: Path) -> None:
    """Reads everything in `folder` back as the runtime does.

    Raises:
        CheckpointError: it is too large, does not load, or int8 rows are too far from the weights in `lm`.
    """
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    too_large = [path.name for path, size in sizes.items() if size > SHARD_BYTES]
    if too_large or sum(sizes.values()) > FOLDER_BYTES:
        raise CheckpointError(
            f"expected files of at most {SHARD_BYTES >> 20} MiB and {FOLDER_BYTES >> 20} MiB in all, got "
            f"{sum(sizes.values()) / 2**20:.1f} MiB{' and ' if too_large else ''}{', '.join(too_large)}"
        )
    source = parse_source(str(folder))
    files = find_files(source, report=lambda done, words: None)
    config = files.config
    TextTokenizer(files.text, config.lm.text_card)
    with ExitStack() as stack:
        load_codec(config.codec_config, _opened(files.codec, stack))
        kept = load_lm(config, _opened(files.lm, stack), dtype=torch.float32)
        exact = load_lm(config, _opened([lm], stack), dtype=torch.float32)
    for (name, ours), theirs in zip(kept.named_parameters(), exact.parameters(), strict=True):
        error = float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12))
        if error > _LARGEST_ERROR:
            raise CheckpointError(f"expected {name} within {_LARGEST_ERROR} in int8 rows, got {error:.3f}")
    if files.voice_folder is None or not any(files.voice_folder.iterdir()):
        raise CheckpointError("expected voices, got none")
    for voice in files.voice_folder.iterdir():
        read_tensors(voice, config.lm)
    logger.info("%.1f MiB in %d files", sum(sizes.values()) / 2**20, len(sizes))


def _opened(paths: Sequence[Path], stack: ExitStack) -> Shards:
    return Shards([stack.enter_context(SafetensorsFile(path)) for path in paths])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.export", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--lm", type=Path, required=True, help="model.safetensors of a training run")
    parser.add_argument(
        "--codec", type=Path, required=True, help="codec.safetensors of a training run, or a checkpoint"
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="SentencePiece model")
    parser.add_argument("--voices", type=Path, required=True, help="a folder of voices, or a corpus's clips")
    parser.add_argument("--description", type=Path, required=True, help="JSON: name, licence, domain, ...")
    parser.add_argument("--card", type=Path, required=True, help="the model card")
    parser.add_argument("--licence", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parts = Parts(
        lm=options.lm,
        codec=options.codec,
        tokenizer=options.tokenizer,
        voices=options.voices,
        about=options.description,
        card=options.card,
        licence=options.licence,
    )
    export(parts, options.out)


if __name__ == "__main__":
    main()
