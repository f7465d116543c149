from __future__ import annotations

import errno
import io
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import errors as hub

from duplex_model.config import CHECKPOINTS
from duplex_model.errors import CheckpointError, PromptError
from duplex_model.hub import fetch, fetch_voices, files_in, find_checkpoint, unpack_voices, voice_path

PERSONAPLEX = CHECKPOINTS["personaplex-7b"]


def raised(kind: type[OSError]) -> OSError:
    """An error of the hub without the HTTP response it usually carries."""
    return kind.__new__(kind, "as the hub says it")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            raised(hub.GatedRepoError),
            "at https://huggingface.co/nvidia/personaplex-7b-v1: accept it, then set",
        ),
        (
            raised(hub.RepositoryNotFoundError),
            "is not on the hub, or private: check the name, or set HF_TOKEN",
        ),
        (raised(hub.RevisionNotFoundError), "has no revision main"),
        (raised(hub.LocalEntryNotFoundError), "the hub cannot be reached: connect once, or give a folder"),
        (raised(hub.RemoteEntryNotFoundError), "has no file model.safetensors at revision main"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "no disk space left for model.safetensors: free some",
        ),
        (
            ConnectionError("name resolution failed"),
            "could not download model.safetensors .*: name resolution failed",
        ),
    ],
    ids=["gated", "unknown", "revision", "offline", "file", "disk", "network"],
)
def test_what_goes_wrong_is_said_with_what_to_do(error: OSError, advice: str) -> None:
    def download(repository: str, name: str, revision: str) -> str:
        raise error

    with pytest.raises(CheckpointError, match=advice) as caught:
        fetch(PERSONAPLEX, download=download)
    assert len(str(caught.value).splitlines()) == 1


def test_the_asked_revision_is_fetched(tmp_path: Path) -> None:
    asked = []

    def download(repository: str, name: str, revision: str) -> str:
        asked.append((repository, name, revision))
        return str(tmp_path / name)

    files = fetch(replace(PERSONAPLEX, revision="3428dfd"), download=download)
    assert asked == [
        ("nvidia/personaplex-7b-v1", name, "3428dfd")
        for name in (PERSONAPLEX.lm_file, PERSONAPLEX.mimi_file, PERSONAPLEX.text_file)
    ]
    assert files.lm == tmp_path / "model.safetensors"


def test_checkpoints_are_known_by_name_and_by_repository() -> None:
    assert find_checkpoint("hibiki-2b") is find_checkpoint("kyutai/hibiki-2b-pytorch-bf16")
    with pytest.raises(CheckpointError, match="expected one of personaplex-7b, .*hibiki-zero-3b, got moshi"):
        find_checkpoint("moshi")


def test_a_folder_must_hold_every_file(tmp_path: Path) -> None:
    (tmp_path / PERSONAPLEX.lm_file).touch()
    (tmp_path / PERSONAPLEX.mimi_file).touch()
    with pytest.raises(
        CheckpointError, match=f"expected {PERSONAPLEX.text_file} in .*: copy the repository nvidia/"
    ):
        files_in(tmp_path, PERSONAPLEX)
    (tmp_path / PERSONAPLEX.text_file).touch()
    assert files_in(tmp_path, PERSONAPLEX).text == tmp_path / PERSONAPLEX.text_file


def archive(path: Path, members: dict[str, bytes], link: str | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo("voices/LINK.pt")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)
    return path


def test_an_archive_writes_only_voices_and_only_into_its_folder(tmp_path: Path) -> None:
    members = {
        "voices/NATF0.pt": b"f0",
        "../../escaped.pt": b"escaped",
        "/absolute.pt": b"absolute",
        "voices/run.sh": b"#!/bin/sh",
        "voices/.hidden.pt": b"hidden",
    }
    packed = archive(tmp_path / "voices.tgz", members, link="/etc/passwd")
    folder = tmp_path / "inside" / "voices"
    names = fetch_voices(PERSONAPLEX, folder, download=lambda *_: str(packed))
    assert names == ["NATF0", "absolute", "escaped"]
    assert sorted(path.name for path in folder.iterdir()) == ["NATF0.pt", "absolute.pt", "escaped.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "voices.tgz"]
    assert (folder / "NATF0.pt").read_bytes() == b"f0"


@pytest.mark.parametrize("kept", [0, 40, 200])
def test_an_archive_that_is_none_or_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    whole = archive(
        tmp_path / "whole.tgz", {"voices/NATF0.pt": random.Random(1).randbytes(4000)}
    ).read_bytes()
    (tmp_path / "voices.tgz").write_bytes(whole[:kept] or b"\x1f\x8b not gzip")
    with pytest.raises(CheckpointError, match="expected a tar archive at"):
        unpack_voices(tmp_path / "voices.tgz", tmp_path)


def test_a_voice_is_a_known_name_or_a_path(tmp_path: Path) -> None:
    (tmp_path / "NATF0.pt").touch()
    (tmp_path / "NATF0.safetensors").touch()
    (tmp_path / "own.wav").touch()
    assert voice_path(tmp_path, "NATF0").suffix == ".safetensors"
    assert voice_path(tmp_path, str(tmp_path / "own.wav")) == tmp_path / "own.wav"
    for unknown in ("NATF9", "../NATF0", str(tmp_path)):
        with pytest.raises(PromptError, match="expected a voice file or one of NATF0, own, got"):
            voice_path(tmp_path, unknown)
