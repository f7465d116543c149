from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.config import CHECKPOINTS
from duplex_model.description import DESCRIPTION_FILE, read_description, write_description
from duplex_model.errors import CheckpointError
from duplex_model.source import parse_source
from tests.duplex_model.tiny_checkpoint import spectral_config, tiny_config

CONFIGS = {**CHECKPOINTS, "tiny": tiny_config(), "spectral": spectral_config()}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_checkpoint_can_describe_itself(name: str, tmp_path: Path) -> None:
    write_description(tmp_path, CONFIGS[name])
    assert read_description(tmp_path) == CONFIGS[name]


def test_a_described_folder_is_a_source(tmp_path: Path) -> None:
    write_description(tmp_path, CONFIGS["tiny"])
    source = parse_source(str(tmp_path))
    assert (source.config, source.folder) == (CONFIGS["tiny"], tmp_path)


def test_a_description_names_files_in_its_own_folder_only(tmp_path: Path) -> None:
    changed(tmp_path, ("lm_file",), "../other.safetensors")
    with pytest.raises(CheckpointError, match="other.safetensors"):
        parse_source(str(tmp_path))


def test_a_folder_without_a_description_says_nothing(tmp_path: Path) -> None:
    assert read_description(tmp_path) is None


def changed(folder: Path, path: tuple[str, ...], value: object, name: str = "tiny") -> None:
    """Writes a description with one field replaced, or removed where `value` is `...`."""
    file = write_description(folder, CONFIGS[name])
    described: dict[str, Any] = json.loads(file.read_text())
    inner = described
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    file.write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), "other/1", "expected the schema duplex-checkpoint/1"),
        (("licence",), ..., "expected the field checkpoint.licence, got none"),
        (("licences",), "x", "expected no field checkpoint.licences"),
        (("lm", "card"), "many", "expected checkpoint.lm.card to be a whole number, got 'many'"),
        (("lm", "card"), True, "a whole number, got True"),
        (("lm", "card"), -1, "a whole number from 0 to"),
        (("lm", "card"), 1 << 40, "a whole number from 0 to"),
        (("lm", "temporal", "norm"), "x", "to be 'rms_norm_f32' or 'layer_norm', got 'x'"),
        (("languages",), [], r"expected checkpoint.languages to be an object, got \[\]"),
        (("languages", "en"), "es", "expected checkpoint.languages.en to be a list, got 'es'"),
        (("lm", "depth", "schedule"), [0, "1"], r"expected checkpoint.lm.depth.schedule\[1\] to be a whole"),
        (("translates",), 1, "expected checkpoint.translates to be true or false, got 1"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str, ...], value: object, words: str, tmp_path: Path) -> None:
    changed(tmp_path, path, value)
    with pytest.raises(CheckpointError, match=words):
        read_description(tmp_path)


SILENCE = ("prompt_codes", "silence")
GENERATION = ("generation", "unsure_token")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("codec", "kind"), "opus", "expected checkpoint.codec.kind to be 'mimi' or 'spectral', got 'opus'"),
        (("codec", "kind"), ..., "expected checkpoint.codec.kind to be 'mimi' or 'spectral', got None"),
        (("codec", "kind"), "mimi", "expected no field checkpoint.codec."),
        (("codec", "card"), 64, "expected a codec of 4 codebooks of 32, as in lm, got 4 of 64"),
        (("codec", "codebooks"), 3, "expected a codec of 4 codebooks of 32, as in lm, got 3 of 32"),
        (
            SILENCE,
            [1, 2, 3],
            r"expected checkpoint.prompt_codes.silence to be 4 codes below 32, got \[1, 2, 3",
        ),
        (SILENCE, [1, 2, 3, 32], "expected checkpoint.prompt_codes.silence to be 4 codes below 32"),
        (GENERATION, 34, "expected checkpoint.generation.unsure_token below 34, the text tokens, got 34"),
        (("generation", "unsure_entropy_nats"), -1.0, "a number from 0 to"),
        (
            ("direction_roles", "es-en"),
            {"later": "x"},
            "to be 'simultaneous' or 'consecutive' or .*, got 'later'",
        ),
        (("direction_roles", "es-en"), {"consecutive": 1}, "es-en.consecutive to be text, got 1"),
    ],
)
def test_what_does_not_fit_together_is_named(
    path: tuple[str, ...], value: object, words: str, tmp_path: Path
) -> None:
    changed(tmp_path, path, value, "spectral")
    with pytest.raises(CheckpointError, match=words):
        read_description(tmp_path)


def test_a_gate_needs_the_token_it_gives(tmp_path: Path) -> None:
    changed(tmp_path, ("generation", "unsure_entropy_nats"), 2.5)
    with pytest.raises(
        CheckpointError, match="expected an unsure_token with checkpoint.generation.unsure_entropy"
    ):
        read_description(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.slow
@given(content=JSON)
def test_nothing_else_comes_of_a_strange_file(
    content: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("strange")
    (folder / DESCRIPTION_FILE).write_text(json.dumps({"schema": "duplex-checkpoint/1", "lm": content}))
    with pytest.raises(CheckpointError):
        read_description(folder)
