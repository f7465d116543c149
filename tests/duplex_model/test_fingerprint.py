from __future__ import annotations

import hashlib
from pathlib import Path

from duplex_model.fingerprint import file_hash, fingerprint
from duplex_model.shipped import DEFAULT, shipped_folder


def test_a_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"weights")
    assert file_hash(path) == hashlib.sha256(b"weights").hexdigest()


def test_a_link_into_the_hubs_cache_tells_its_hash_without_being_read(tmp_path: Path) -> None:
    blob = tmp_path / ("0123456789abcdef" * 4)
    blob.write_bytes(b"not what the name says")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert file_hash(link) == blob.name
    assert file_hash(blob) == hashlib.sha256(b"not what the name says").hexdigest(), (
        "no link: a user's own file"
    )


def test_a_fingerprint_follows_names_and_bytes_and_not_the_place(tmp_path: Path) -> None:
    def checkpoint(folder: str, weights: bytes, name: str = "a") -> str:
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / name, tmp_path / folder / "b"]
        paths[0].write_bytes(weights)
        paths[1].write_bytes(b"tokens")
        prints = {fingerprint(paths), fingerprint(reversed(paths))}
        assert len(prints) == 1
        return prints.pop()

    first = checkpoint("one", b"weights")
    assert first == checkpoint("two", b"weights")
    assert first != checkpoint("three", b"Weights")
    assert first != checkpoint("four", b"weights", "c")


def test_the_shipped_checkpoint_has_files_to_name() -> None:
    folder = shipped_folder(DEFAULT)
    assert folder is not None
    assert len(fingerprint(folder.glob("*.safetensors"))) == 64
