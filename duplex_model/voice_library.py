"""Voices by name: the files in a few folders. Which voice a file holds is for `voice` to say."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from duplex_model.errors import PromptError

SUFFIXES = (".safetensors", ".wav", ".flac", ".ogg", ".mp3")

VOICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def list_voices(folders: Sequence[Path]) -> Mapping[str, Path]:
    """Names of the voices in `folders` and their files, sorted; the first folder to have a name wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in SUFFIXES and VOICE_NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def find_voice(voice: str, folders: Sequence[Path]) -> Path:
    """The file of a voice.

    Args:
        voice: a name in one of `folders`, or a path; a path has a slash or a dot in it and a name has neither.
        folders: where named voices are.

    Raises:
        PromptError: there is none; the message lists the names there are.
    """
    known = list_voices(folders)
    if voice in known:
        return known[voice]
    path = Path(voice).expanduser()
    if VOICE_NAME.fullmatch(voice) or not path.is_file():
        raise PromptError(f"expected a voice of {', '.join(known) or 'none'}, or a file, got {ascii(voice)}")
    return path


def voice_folders() -> list[Path]:
    """The user's folder, then those of all voices that were imported with a checkpoint."""
    cache = cache_folder()
    imported = sorted(path for path in cache.iterdir() if path.is_dir()) if cache.is_dir() else []
    return [user_folder(), *imported]


def user_folder() -> Path:
    """Where people put voices of their own: `$XDG_DATA_HOME/meeting-interpreter/voices`."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "voices"


def cache_folder() -> Path:
    """Where imported voices are kept: `$XDG_CACHE_HOME/meeting-interpreter/voices`."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "voices"


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "meeting-interpreter"
