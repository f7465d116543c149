from __future__ import annotations

from pathlib import Path

import pytest

from duplex_model.errors import PromptError
from duplex_model.voice_library import cache_folder, find_voice, list_voices, user_folder


def test_names_are_found_in_the_first_folder_that_has_them(tmp_path: Path) -> None:
    own, published_folder = tmp_path / "own", tmp_path / "published"
    for path in (own / "ana.wav", own / "NATF0.flac", published_folder / "NATF0.safetensors"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (own / "notes.txt").touch()
    (own / "two words.wav").touch()
    folders = [own, published_folder, tmp_path / "missing"]
    assert dict(list_voices(folders)) == {"NATF0": own / "NATF0.flac", "ana": own / "ana.wav"}
    assert find_voice("ana", folders) == own / "ana.wav"
    with pytest.raises(PromptError, match="expected a voice of NATF0, ana, or a file, got 'bob'"):
        find_voice("bob", folders)
    with pytest.raises(PromptError, match="expected a voice of none, or a file"):
        find_voice("bob", [])


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my voice.wav", "NATF0"):
        Path(name).touch()
    assert find_voice("./my voice.wav", []) == Path("my voice.wav")
    assert find_voice(str(tmp_path / "NATF0"), []) == tmp_path / "NATF0"
    for nothing in ("NATF0", "../no.wav", str(tmp_path), "", "a\nb"):
        with pytest.raises(PromptError, match="or a file, got"):
            find_voice(nothing, [])


def test_folders_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ana")
    assert user_folder() == tmp_path / "meeting-interpreter" / "voices"
    assert cache_folder() == Path("/home/ana/.cache/meeting-interpreter/voices")
