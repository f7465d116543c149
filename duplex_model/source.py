"""Where a checkpoint comes from, as people write it, and its files on this machine.

personaplex-7b                        a known checkpoint, from its own repository
personaplex-7b@3f2c1e...              the same, at a commit, branch or tag
personaplex-7b=~/models/personaplex   its files in a folder
~/models/ours                         a folder with a checkpoint that describes itself (see `description`)
default                               the checkpoint that comes with this package (see `shipped`)
moshiko-7b=someone/fine-tune@v2       another repository with a checkpoint of that architecture
kyutai/hibiki-2b-pytorch-bf16         a known repository
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from duplex_model.config import CHECKPOINTS, CheckpointConfig, GenerationConfig, LMConfig, SamplingConfig
from duplex_model.description import read_description
from duplex_model.errors import CheckpointError
from duplex_model.hub import Hub, check_file_name
from duplex_model.hub_config import lm_config_from_hub
from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from duplex_model.spec import Report

VOICES_FILE = "voices.tgz"
"""Published voices, in the repositories of checkpoints that take a voice prompt."""

VOICES_FOLDER = "voices"
"""Voices as codes, one file each, in the folder of a checkpoint of our own."""

_CONFIG_FILE = "config.json"
_MAX_CONFIG_BYTES = 1 << 20
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class CheckpointSource:
    """An architecture, and where its files are: in a folder, or else in a repository."""

    config: CheckpointConfig
    folder: Path | None = None

    @property
    def where(self) -> str:
        """In words, for people."""
        return str(self.folder or f"{self.config.repository}@{self.config.revision}")


@dataclass(frozen=True, kw_only=True)
class CheckpointFiles:
    """A checkpoint on this machine."""

    config: CheckpointConfig
    """As in the table, with what the checkpoint's own `config.json` says otherwise."""

    lm: tuple[Path, ...]
    """One file, or all of its shards."""

    codec: tuple[Path, ...]
    text: Path
    voices: Path | None
    """Archive of published voices; None where there are none."""

    voice_folder: Path | None = None
    """Voices that come with the checkpoint, its default the first by name; None where there are none."""


def parse_source(text: str) -> CheckpointSource:
    """What `text` names, in one of the forms above.

    Raises:
        CheckpointError: no known checkpoint (the message lists them), or a description that cannot be read.
    """
    folder = shipped_folder(text) or Path(text).expanduser()
    described = read_description(folder)
    if described is not None:
        for file in _names(described):
            check_file_name(file)
        return CheckpointSource(config=described, folder=folder)
    if text == DEFAULT:
        raise CheckpointError(f"{NONE_SHIPPED} Name another: {', '.join(CHECKPOINTS)}")
    name, equals, place = text.partition("=")
    if equals:
        return _elsewhere(_known(name, text), place)
    place, revision = _split_revision(text)
    of_repository = next((known for known in CHECKPOINTS.values() if known.repository == place), None)
    config = of_repository or _known(place, text)
    return CheckpointSource(config=replace(config, revision=revision or config.revision))


def _elsewhere(config: CheckpointConfig, place: str) -> CheckpointSource:
    folder = Path(place).expanduser()
    repository, revision = _split_revision(place)
    if folder.is_dir() or not _REPOSITORY.fullmatch(repository):
        return CheckpointSource(config=config, folder=folder)
    return CheckpointSource(config=replace(config, repository=repository, revision=revision or "main"))


def _known(name: str, text: str) -> CheckpointConfig:
    config = CHECKPOINTS.get(name)
    if config is None:
        hint = f"; for files of your own write NAME={text}" if "/" in text and "=" not in text else ""
        raise CheckpointError(
            f"expected a checkpoint of {', '.join(CHECKPOINTS)}, got {ascii(name)[:80]}{hint}"
        )
    return config


def _split_revision(text: str) -> tuple[str, str]:
    """What stands before and after the @, or nothing after it."""
    place, at, revision = text.partition("@")
    if at and not revision:
        raise CheckpointError(f"expected a revision after @, got {ascii(text)[:80]}")
    return place, revision


def find_files(source: CheckpointSource, *, hub: Hub | None = None, report: Report) -> CheckpointFiles:
    """The checkpoint's files, downloaded if need be.

    Args:
        source: what to find.
        hub: where repositories are; by default the one of the environment.
        report: called in this thread with the progress of a download.

    Raises:
        CheckpointError: one sentence that says what is wrong and what to do.
    """
    if source.folder is not None:
        return _in_folder(source.config, source.folder)
    return _in_repository(source.config, hub or Hub(), report)


def _in_folder(config: CheckpointConfig, folder: Path) -> CheckpointFiles:
    if not folder.is_dir():
        raise CheckpointError(f"expected a folder with the files of {config.name}, got nothing at {folder}")
    described = folder / _CONFIG_FILE
    if described.is_file():
        config = adapted(config, described)
    names = _names(config)
    found = {name: whole_or_shards(folder, name) for name in names}
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        raise CheckpointError(f"expected {', '.join(names)} in {folder}, {', '.join(missing)} missing")
    voices, voice_folder = folder / VOICES_FILE, folder / VOICES_FOLDER
    return CheckpointFiles(
        config=config,
        lm=found[config.lm_file],
        codec=found[config.codec_file],
        text=found[config.text_file][0],
        voices=voices if voices.is_file() else None,
        voice_folder=voice_folder if voice_folder.is_dir() else None,
    )


def shard_name(file: str, number: int, count: int) -> str:
    """How a shard of `file` is called: `model-00001-of-00003.safetensors`."""
    path = Path(file)
    return f"{path.stem}-{number:05}-of-{count:05}{path.suffix}"


def whole_or_shards(folder: Path, file: str) -> tuple[Path, ...]:
    """The file itself, or its shards where they are all there; empty where they are not."""
    if (folder / file).is_file():
        return (folder / file,)
    first = sorted(folder.glob(shard_name(file, 1, 0).replace("00000", "?????")))
    if len(first) != 1 or not (count := first[0].stem[-5:]).isdigit():
        return ()
    shards = tuple(folder / shard_name(file, number, int(count)) for number in range(1, int(count) + 1))
    return shards if all(shard.is_file() for shard in shards) else ()


def _in_repository(config: CheckpointConfig, hub: Hub, report: Report) -> CheckpointFiles:
    repository, revision = config.repository, config.revision
    if hub.has_file(repository, _CONFIG_FILE, revision=revision):
        found = hub.fetch(repository, [_CONFIG_FILE], revision=revision, report=lambda done, words: None)
        config = adapted(config, found[_CONFIG_FILE])
        revision = found[_CONFIG_FILE].parent.name  # the commit, so that all files are of one
    has_voices = config.voice_prompt and hub.has_file(repository, VOICES_FILE, revision=revision)
    names = _names(config)
    paths = hub.fetch(repository, [*names, *[VOICES_FILE] * has_voices], revision=revision, report=report)
    lm, codec, text = (paths[name] for name in names)
    return CheckpointFiles(config=config, lm=(lm,), codec=(codec,), text=text, voices=paths.get(VOICES_FILE))


def _names(config: CheckpointConfig) -> tuple[str, str, str]:
    return config.lm_file, config.codec_file, config.text_file


def adapted(config: CheckpointConfig, described: Path) -> CheckpointConfig:
    """`config` with what a checkpoint's `config.json` says: file names, architecture where it has one, sampling.

    Raises:
        CheckpointError: no JSON object, names or numbers that cannot be, another architecture, or weights that were
            changed in a way this program does not read (`quantize`, `lora`).
    """
    values = _parsed(described)
    for change in ("quantize", "lora"):
        if values.get(change):
            raise CheckpointError(
                f"expected plain weights, {described} says {change}: choose the checkpoint without it"
            )
    lm = _architecture(values, described) if "dim" in values else config.lm
    return replace(
        config,
        lm=lm,
        generation=_generation(config.generation, values, described),
        lm_file=_name(values, "moshi_name", config.lm_file),
        codec_file=_name(values, "mimi_name", config.codec_file),
        text_file=_name(values, "tokenizer_name", config.text_file),
    )


def _architecture(values: Mapping[str, object], described: Path) -> LMConfig:
    try:
        return lm_config_from_hub(values)
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"expected numbers of a model in {described}, got others: {error}") from error


def _generation(
    defaults: GenerationConfig, values: Mapping[str, object], described: Path
) -> GenerationConfig:
    given = values.get("lm_gen_config") or {}
    if not isinstance(given, dict):
        raise CheckpointError(f"{described}: expected lm_gen_config to be an object, got {ascii(given)[:80]}")
    audio, text = defaults.audio, defaults.text
    return GenerationConfig(
        audio=SamplingConfig(
            temperature=_number(given, "temp", 0, 10, audio.temperature),
            top_k=int(_number(given, "top_k", 1, 100_000, audio.top_k)),
        ),
        text=SamplingConfig(
            temperature=_number(given, "temp_text", 0, 10, text.temperature),
            top_k=int(_number(given, "top_k_text", 1, 100_000, text.top_k)),
        ),
        guidance=_number(given, "cfg_coef", 0, 100, defaults.guidance),
    )


def _parsed(described: Path) -> Mapping[str, object]:
    if described.stat().st_size > _MAX_CONFIG_BYTES:
        raise CheckpointError(f"expected {described} to have at most {_MAX_CONFIG_BYTES} bytes, got more")
    try:
        values = json.loads(described.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"expected JSON in {described}: {error}; download it again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"expected a JSON object in {described}, got {ascii(values)[:80]}")
    return values


def _name(values: Mapping[str, object], key: str, default: str) -> str:
    value = values.get(key)
    return default if value is None else check_file_name(str(value))


def _number(values: Mapping[str, object], key: str, low: float, high: float, default: float) -> float:
    value = values.get(key)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise CheckpointError(
            f"config.json: expected {key} from {low:g} to {high:g}, got {ascii(value)[:80]}"
        )
    return value
