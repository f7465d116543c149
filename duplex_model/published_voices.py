"""The voices published with a checkpoint: unpacked, checked, and kept as safetensors, once."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from duplex_model.archive import unpack_files
from duplex_model.config import LMConfig
from duplex_model.errors import PromptError
from duplex_model.voice import MAX_FILE_BYTES, read_tensors, save_voice
from duplex_model.voice_library import VOICE_NAME

logger = logging.getLogger(__name__)

_PUBLISHED_FILE = re.compile(VOICE_NAME.pattern + r"\.pt")


def import_published(archive: Path, lm: LMConfig, cache: Path) -> Path:
    """A folder with the voices of a published archive as safetensors, made at the first call.

    Args:
        archive: .tgz of `.pt` files.
        lm: of its checkpoint. A voice that does not fit is left out, with a warning.
        cache: where the folder is kept, under a name that changes with the archive's content.

    Raises:
        CheckpointError: the archive is damaged, or has what no archive of voices needs.
    """
    with archive.open("rb") as file:
        folder = cache / hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        published, ours = Path(scratch, "published"), Path(scratch, "ours")
        published.mkdir()
        ours.mkdir()
        limits = {"max_file_bytes": MAX_FILE_BYTES, "max_bytes": 64 * MAX_FILE_BYTES}
        _convert(unpack_files(archive, published, _PUBLISHED_FILE, **limits), ours, lm)
        if not folder.is_dir():  # another process may have been quicker
            os.replace(ours, folder)
    return folder


def _convert(files: Iterable[Path], folder: Path, lm: LMConfig) -> None:
    for path in files:
        try:
            save_voice(read_tensors(path, lm), folder / f"{path.stem}.safetensors")
        except PromptError as error:
            logger.warning("left out a voice: %s", error)
