from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from duplex_model import shipped
from duplex_model.config import CHECKPOINTS
from duplex_model.description import write_description
from duplex_model.errors import CheckpointError
from duplex_model.hub import Hub
from duplex_model.source import CheckpointSource, adapted, find_files, parse_source, shard_name
from tests.duplex_model.fake_hub import COMMIT, REPOSITORY, fake_hub
from tests.duplex_model.test_hub_config import HIBIKI_2B
from tests.duplex_model.tiny_checkpoint import tiny_config

PERSONAPLEX = CHECKPOINTS["personaplex-7b"]
HIBIKI = CHECKPOINTS["hibiki-1b"]
NAMES = (PERSONAPLEX.lm_file, PERSONAPLEX.codec_file, PERSONAPLEX.text_file)


def ignore(fraction: float, words: str) -> None:
    pass


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    yield
    huggingface_hub.close_session()


@pytest.mark.parametrize(
    ("text", "name", "repository", "revision"),
    [
        ("personaplex-7b", "personaplex-7b", "nvidia/personaplex-7b-v1", "main"),
        ("personaplex-7b@abc", "personaplex-7b", "nvidia/personaplex-7b-v1", "abc"),
        ("kyutai/hibiki-2b-pytorch-bf16", "hibiki-2b", "kyutai/hibiki-2b-pytorch-bf16", "main"),
        ("kyutai/hibiki-2b-pytorch-bf16@v2", "hibiki-2b", "kyutai/hibiki-2b-pytorch-bf16", "v2"),
        ("moshiko-7b=some/tune", "moshiko-7b", "some/tune", "main"),
        ("moshiko-7b=some/tune@v2", "moshiko-7b", "some/tune", "v2"),
    ],
)
def test_repositories(text: str, name: str, repository: str, revision: str) -> None:
    source = parse_source(text)
    assert source.folder is None
    assert (source.config.name, source.config.repository) == (name, repository)
    assert source.config.revision == revision
    assert source.where == f"{repository}@{revision}"


@pytest.mark.parametrize("place", ["/models/p", "./p", "~/p", "p", "../a/b", "a/b/c"])
def test_folders(place: str) -> None:
    assert parse_source(f"personaplex-7b={place}").folder == Path(place).expanduser()


def test_a_folder_that_exists_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some/tune").mkdir(parents=True)
    assert parse_source("moshiko-7b=some/tune").folder == Path("some/tune")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpt-7", "expected a checkpoint of personaplex-7b, .*, hibiki-zero-3b, got 'gpt-7'$"),
        ("some/model", "for files of your own write NAME=some/model$"),
        ("", "expected a checkpoint of"),
        ("gpt-7=/models", "got 'gpt-7'$"),
        ("moshiko-7b@", "expected a revision after @"),
        ("moshiko-7b=some/tune@", "expected a revision after @"),
    ],
)
def test_what_names_nothing(text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        parse_source(text)


def test_a_folder_with_every_file(tmp_path: Path) -> None:
    for name in (*NAMES, "voices.tgz"):
        (tmp_path / name).touch()
    files = find_files(parse_source(f"personaplex-7b={tmp_path}"), report=ignore)
    assert (*files.lm, *files.codec, files.text) == tuple(tmp_path / name for name in NAMES)
    assert files.voices == tmp_path / "voices.tgz"
    assert files.config == PERSONAPLEX


def test_a_folder_where_files_are_missing(tmp_path: Path) -> None:
    (tmp_path / NAMES[0]).touch()
    with pytest.raises(CheckpointError, match=f"{NAMES[1]}, {NAMES[2]} missing"):
        find_files(parse_source(f"personaplex-7b={tmp_path}"), report=ignore)
    with pytest.raises(CheckpointError, match="got nothing at /no/such"):
        find_files(parse_source("personaplex-7b=/no/such"), report=ignore)


def test_a_file_may_be_in_shards_if_all_of_them_are_there(tmp_path: Path) -> None:
    whole, shards = NAMES[1:], [shard_name(NAMES[0], number, 3) for number in (1, 2, 3)]
    for name in (*whole, *shards):
        (tmp_path / name).touch()
    source = parse_source(f"personaplex-7b={tmp_path}")
    assert find_files(source, report=ignore).lm == tuple(tmp_path / name for name in shards)
    assert shards[2] == "model-00003-of-00003.safetensors"
    (tmp_path / shards[1]).unlink()
    with pytest.raises(CheckpointError, match=f"{NAMES[0]} missing"):
        find_files(source, report=ignore)


def test_voices_come_in_a_folder_beside(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).touch()
    source = parse_source(f"personaplex-7b={tmp_path}")
    assert find_files(source, report=ignore).voice_folder is None
    (tmp_path / "voices").mkdir()
    assert find_files(source, report=ignore).voice_folder == tmp_path / "voices"


def test_the_shipped_checkpoint_is_the_default_and_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(
        CheckpointError, match=r"No checkpoint came with this installation. Name another: persona"
    ):
        parse_source("default")
    (tmp_path / "medical").mkdir()
    write_description(tmp_path / "medical", tiny_config())
    expected = CheckpointSource(config=tiny_config(), folder=tmp_path / "medical")
    assert parse_source("default") == parse_source("medical") == expected
    assert parse_source("moshiko-7b").folder is None


def test_a_repository_is_taken_at_one_commit(tmp_path: Path) -> None:
    described = {"moshi_name": "lm@80.safetensors"}
    contents = {"config.json": json.dumps(described).encode(), "voices.tgz": b"v", "lm@80.safetensors": b"l"}
    with fake_hub(files=contents | {name: name.encode() for name in NAMES[1:]}) as server:
        hub = Hub(endpoint=server.endpoint, cache=tmp_path)
        source = parse_source(f"personaplex-7b={REPOSITORY}")
        files = find_files(source, hub=hub, report=ignore)
        assert files.lm[0].read_bytes() == b"l"
        assert files.lm[0].name == "lm@80.safetensors"
        assert files.voices is not None
        assert {path.parent.name for path in (*files.lm, *files.codec, files.text, files.voices)} == {COMMIT}
    offline = Hub(endpoint="http://127.0.0.1:1", cache=tmp_path)
    assert find_files(source, hub=offline, report=ignore) == files


def test_a_repository_without_config_or_voices(tmp_path: Path) -> None:
    with fake_hub(files={name: name.encode() for name in NAMES}) as server:
        hub = Hub(endpoint=server.endpoint, cache=tmp_path)
        files = find_files(parse_source(f"personaplex-7b={REPOSITORY}"), hub=hub, report=ignore)
        assert files.voices is None
        assert files.config.lm == PERSONAPLEX.lm
    offline = Hub(endpoint="http://127.0.0.1:1", cache=tmp_path)
    assert find_files(parse_source(f"personaplex-7b={REPOSITORY}"), hub=offline, report=ignore) == files


def described(folder: Path, text: str) -> Path:
    (folder / "config.json").write_text(text)
    return folder / "config.json"


def test_a_config_adapts_names_architecture_and_sampling(tmp_path: Path) -> None:
    values = {
        **HIBIKI_2B, "context": 750,
        "moshi_name": None, "mimi_name": "mimi.safetensors", "tokenizer_name": "text.model",
        "lm_gen_config": {"temp": 0.9, "temp_text": 0.1, "top_k": 200, "cfg_coef": 3.0, "other": "x"},
    }  # fmt: skip
    config = adapted(HIBIKI, described(tmp_path, json.dumps(values)))
    assert config.lm.temporal.context == 750
    assert config.lm.depth == CHECKPOINTS["hibiki-2b"].lm.depth
    assert (config.lm_file, config.codec_file) == (HIBIKI.lm_file, "mimi.safetensors")
    assert config.text_file == "text.model"
    assert (config.generation.audio.temperature, config.generation.audio.top_k) == (0.9, 200)
    assert (config.generation.text.temperature, config.generation.text.top_k) == (0.1, 50)
    assert config.generation.guidance == 3.0


def test_a_config_that_says_nothing_changes_nothing(tmp_path: Path) -> None:
    assert adapted(HIBIKI, described(tmp_path, '{"quantize": false, "lora": null}')) == HIBIKI


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON in"),
        ("[" * 10_000, "expected JSON in"),
        ("[]", "expected a JSON object"),
        ('{"moshi_name": "../../secrets"}', "expected a plain file name"),
        ('{"tokenizer_name": ["a"]}', "expected a plain file name"),
        ('{"dim": 2048}', "expected the key 'dep_q' in config.json"),
        ('{"lm_gen_config": {"top_k": NaN}}', "expected top_k from 1"),
        ('{"lm_gen_config": {"top_k": true}}', "expected top_k from 1"),
        (json.dumps(HIBIKI_2B | {"dim": "wide"}), "expected numbers of a model in .*config.json, got others"),
        (json.dumps(HIBIKI_2B | {"delays": 2}), "expected numbers of a model"),
        (json.dumps(HIBIKI_2B | {"conditioners": 1}), "expected numbers of a model"),
        ('{"lm_gen_config": 1}', "expected lm_gen_config to be an object"),
        ('{"lm_gen_config": {"temp": -1}}', "expected temp from 0 to 10"),
        ('{"quantize": true}', "says quantize: choose the checkpoint without it"),
        ('{"lora": true}', "says lora"),
    ],
)
def test_a_config_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    path = described(tmp_path, text)
    with pytest.raises(CheckpointError, match=message):
        adapted(HIBIKI, path)


def test_a_config_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    with described(tmp_path, "").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(CheckpointError, match="at most 1048576 bytes"):
        adapted(HIBIKI, tmp_path / "config.json")
