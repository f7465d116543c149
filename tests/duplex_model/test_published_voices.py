from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from duplex_model.published_voices import import_published
from duplex_model.voice import EmbeddedVoice, read_tensors
from tests.duplex_model.small import small_lm

LM = small_lm("personaplex-7b")


def published(frames: int) -> dict[str, torch.Tensor]:
    return {
        "embeddings": torch.randn(frames - 1, 1, 1, LM.temporal.width).bfloat16(),
        "cache": torch.randint(0, LM.card, (1, LM.streams, 4)),
    }


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def archive_of(folder: Path, **contents: object) -> Path:
    with tarfile.open(folder / "voices.tgz", "w:gz") as archive:
        for name, content in contents.items():
            file = io.BytesIO()
            torch.save(content, file)
            info = tarfile.TarInfo(f"voices/{name}.pt")
            info.size = file.tell()
            file.seek(0)
            archive.addfile(info, file)
    return folder / "voices.tgz"


def test_a_published_archive_is_imported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = archive_of(
        tmp_path, NATF0=published(50), NATM1=published(40), BROKEN={}, EVIL=Touch(tmp_path / "executed")
    )
    folder = import_published(archive, LM, tmp_path / "cache")
    assert [path.name for path in sorted(folder.iterdir())] == ["NATF0.safetensors", "NATM1.safetensors"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]
    assert caplog.text.count("left out a voice") == 2
    assert not (tmp_path / "executed").exists()
    voice = read_tensors(folder / "NATM1.safetensors", LM)
    assert isinstance(voice, EmbeddedVoice)
    assert len(voice.embeddings) == 39
    caplog.clear()
    assert import_published(archive, LM, tmp_path / "cache") == folder
    assert not caplog.text
