"""Where a checkpoint's files are: in a folder, or fetched from the model hub into its cache.

The only file of this package that uses the network. Downloads are resumed, shown with progress and cached by
`huggingface_hub`; a token comes from its environment (`HF_TOKEN`), and with `HF_HUB_OFFLINE=1` only the cache is
read. Archives are unpacked by content: no path written in one is ever used.
"""

from __future__ import annotations

import errno
import gzip
import logging
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from duplex_model.config import CHECKPOINTS, CheckpointConfig
from duplex_model.errors import CheckpointError, PromptError

logger = logging.getLogger(__name__)

VOICES_FILE = "voices.tgz"
MAX_VOICES = 200
MAX_VOICE_BYTES = 64 * 2**20

_VOICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Download = Callable[[str, str, str], str]
"""(repository, file name, revision) -> path of the cached file."""


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of one checkpoint."""

    lm: Path
    mimi: Path
    text: Path


def find_checkpoint(name: str) -> CheckpointConfig:
    """The known checkpoint called `name`, or with that repository id.

    Raises:
        CheckpointError: none is.
    """
    for config in CHECKPOINTS.values():
        if name in (config.name, config.repository):
            return config
    raise CheckpointError(f"expected one of {', '.join(CHECKPOINTS)}, got {name}")


def files_in(folder: Path, config: CheckpointConfig) -> CheckpointFiles:
    """The files of `config` in a folder, under their published names.

    Raises:
        CheckpointError: some are not there.
    """
    files = CheckpointFiles(folder / config.lm_file, folder / config.mimi_file, folder / config.text_file)
    missing = [path.name for path in (files.lm, files.mimi, files.text) if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"expected {', '.join(missing)} in {folder}: copy the repository {config.repository} there"
        )
    return files


def _from_hub(repository: str, name: str, revision: str) -> str:
    return hf_hub_download(repository, name, revision=revision)


def fetch(config: CheckpointConfig, *, download: Download = _from_hub) -> CheckpointFiles:
    """The files of `config`, downloaded where the cache has not got them.

    Raises:
        CheckpointError: with what to do about it.
    """
    logger.info("%s from %s: licence %s", config.name, config.repository, config.licence)
    lm, mimi, text = (
        _fetch_file(config, name, download) for name in (config.lm_file, config.mimi_file, config.text_file)
    )
    return CheckpointFiles(lm, mimi, text)


def fetch_voices(config: CheckpointConfig, folder: Path, *, download: Download = _from_hub) -> list[str]:
    """Unpacks the voices published with `config` into `folder`; their names.

    Raises:
        CheckpointError: they cannot be had.
    """
    return unpack_voices(_fetch_file(config, VOICES_FILE, download), folder)


def _fetch_file(config: CheckpointConfig, name: str, download: Download) -> Path:
    try:
        return Path(download(config.repository, name, config.revision))
    except OSError as error:  # every error of the hub and of the network below it is one
        raise CheckpointError(_advice(config, name, error)) from error


def _advice(config: CheckpointConfig, name: str, error: OSError) -> str:
    page = f"https://huggingface.co/{config.repository}"
    match error:
        case GatedRepoError():
            return f"{config.repository} asks for its licence to be accepted at {page}: accept it, then set HF_TOKEN"
        case RepositoryNotFoundError():
            return f"{config.repository} is not on the hub, or private: check the name, or set HF_TOKEN"
        case RevisionNotFoundError():
            return f"{config.repository} has no revision {config.revision}: see {page}/commits/main"
        case LocalEntryNotFoundError():
            return f"{name} is not in the cache and the hub cannot be reached: connect once, or give a folder"
        case EntryNotFoundError():
            return (
                f"{config.repository} has no file {name} at revision {config.revision}: see {page}/tree/main"
            )
        case OSError(errno=errno.ENOSPC):
            return f"no disk space left for {name}: free some, or set HF_HOME to a larger disk"
        case _:
            return f"could not download {name} from {config.repository}: {error}"


def unpack_voices(archive: Path, folder: Path) -> list[str]:
    """Writes the `.pt` voices of a tar archive into `folder` under their bare names.

    Raises:
        CheckpointError: unreadable, too many or too large.
    """
    names: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name)
                if not member.isfile() or name.suffix != ".pt" or not _VOICE_NAME.fullmatch(name.stem):
                    continue
                if len(names) == MAX_VOICES or member.size > MAX_VOICE_BYTES:
                    raise CheckpointError(
                        f"expected at most {MAX_VOICES} voices of {MAX_VOICE_BYTES >> 20} MiB in {archive.name}"
                    )
                content = tar.extractfile(member)
                assert content is not None
                (folder / name.name).write_bytes(content.read())
                names.append(name.stem)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise CheckpointError(f"expected a tar archive at {archive}, got: {error}") from error
    return sorted(names)


def voice_path(folder: Path, voice: str) -> Path:
    """The file of the voice called `voice` in `folder`, or of the path `voice`.

    Raises:
        PromptError: there is none; the message lists those there are.
    """
    if _VOICE_NAME.fullmatch(voice):
        for suffix in (".safetensors", ".pt", ".wav"):
            if (path := folder / f"{voice}{suffix}").is_file():
                return path
    elif Path(voice).is_file():
        return Path(voice)
    known = sorted({path.stem for path in folder.glob("*") if path.suffix in (".safetensors", ".pt", ".wav")})
    raise PromptError(f"expected a voice file or one of {', '.join(known) or 'no voices'}, got {voice}")
