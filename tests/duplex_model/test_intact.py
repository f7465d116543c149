"""Files that were cut short are found before they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from duplex_model.errors import CheckpointError
from duplex_model.intact import check_intact
from tests.duplex_model.tiny_checkpoint import spectral_config, write_spectral_checkpoint


def test_whole_files_are_whole(tmp_path: Path) -> None:
    files = write_spectral_checkpoint(tmp_path, spectral_config())
    parts = [*files.lm, *files.codec, files.text]
    voices = list(files.voice_folder.iterdir()) if files.voice_folder else []
    assert check_intact(files) == sum(path.stat().st_size for path in [*parts, *voices])


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"]
)
def test_what_is_no_file_of_tensors_is_named(tmp_path: Path, content: bytes) -> None:
    files = write_spectral_checkpoint(tmp_path, spectral_config())
    files.codec[0].write_bytes(content)
    with pytest.raises(CheckpointError, match=f"expected tensors in .*{files.codec[0].name}, got"):
        check_intact(files)


def test_a_file_that_lacks_its_last_byte_is_named(tmp_path: Path) -> None:
    files = write_spectral_checkpoint(tmp_path, spectral_config())
    files.lm[-1].write_bytes(files.lm[-1].read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=files.lm[-1].name):
        check_intact(files)
