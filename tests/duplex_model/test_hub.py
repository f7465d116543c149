"""Downloads from a hub that runs on this machine."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from duplex_model.errors import CheckpointError
from duplex_model.hub import Hub, check_file_name
from tests.duplex_model.fake_hub import COMMIT, REPOSITORY, FakeHub, fake_hub

WEIGHTS = random.Random(1).randbytes(3_000_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    yield
    huggingface_hub.close_session()


@pytest.fixture
def server() -> Iterator[FakeHub]:
    with fake_hub(files=dict(FILES)) as hub:
        yield hub


class Client:
    """A hub's client with a cache of its own, remembering what it reported and how long it paused."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.reports: list[tuple[float, str]] = []
        self.pauses: list[float] = []
        self.cache = folder / "cache"
        self.hub = Hub(endpoint=endpoint, cache=self.cache, pause=self.pauses.append)

    def fetch(self, revision: str = "main", repository: str = REPOSITORY) -> dict[str, bytes]:
        paths = self.hub.fetch(
            repository, list(FILES), revision=revision, report=lambda *said: self.reports.append(said)
        )
        assert all(path.name == name for name, path in paths.items())
        return {name: path.read_bytes() for name, path in paths.items()}

    def fails(self, revision: str = "main", repository: str = REPOSITORY) -> str:
        with pytest.raises(CheckpointError) as caught:
            self.fetch(revision, repository)
        message = str(caught.value)
        assert "\n" not in message
        return message


@pytest.fixture
def client(server: FakeHub, tmp_path: Path) -> Client:
    return Client(server.endpoint, tmp_path)


def test_download_reports_its_progress(client: Client) -> None:
    assert client.fetch() == FILES
    fractions = [fraction for fraction, _ in client.reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert ("downloading model.safetensors: 3.0 MB of 3.0 MB") in [words for _, words in client.reports]
    assert client.reports[-1][1] == "checking model.safetensors"


def test_the_hub_library_finds_what_was_downloaded(client: Client) -> None:
    client.fetch()
    for revision in ("main", COMMIT):
        found = huggingface_hub.hf_hub_download(
            REPOSITORY, "model.safetensors", cache_dir=client.cache, revision=revision, local_files_only=True
        )
        assert Path(found).read_bytes() == WEIGHTS
    scanned = huggingface_hub.scan_cache_dir(client.cache)
    assert not scanned.warnings
    assert scanned.size_on_disk == sum(map(len, FILES.values()))
    assert not list(client.cache.rglob("*.partial"))


def test_a_second_fetch_downloads_nothing(client: Client, server: FakeHub) -> None:
    client.fetch()
    server.ranges.clear()
    assert client.fetch() == FILES
    assert not server.ranges


def test_a_pinned_commit_in_the_cache_needs_no_hub(client: Client, server: FakeHub) -> None:
    client.fetch(COMMIT)
    server.requests = 0
    assert client.fetch(COMMIT) == FILES
    assert server.requests == 0


def test_without_a_connection_the_cache_serves(client: Client, tmp_path: Path) -> None:
    client.fetch()
    client.hub = Hub(endpoint="http://127.0.0.1:1", cache=client.cache)
    assert client.fetch() == FILES
    assert client.reports[-1] == (1.0, f"{REPOSITORY}: no connection, using the copy in the cache")


def test_without_a_connection_or_a_copy(tmp_path: Path) -> None:
    message = Client("http://127.0.0.1:1", tmp_path).fails()
    assert message.startswith("no connection to http://127.0.0.1:1")
    assert "give a folder" in message


def test_a_broken_connection_is_resumed(client: Client, server: FakeHub) -> None:
    server.cut_after = [0, 0, 1_000_000, 500_000]
    server.files["config.json"] = b""  # the first cut falls on the weights
    assert client.fetch() == {**FILES, "config.json": b""}
    assert [asked.split("=")[1] for asked in server.ranges] == ["0-", "0-", "0-", "1000000-", "1500000-"]
    assert client.pauses == [2.0, 4.0, 1.0, 1.0]


def test_a_download_goes_on_where_another_process_stopped(client: Client, server: FakeHub) -> None:
    server.cut_after = [10**9, 1_000_000, *[0] * 6]
    assert "what was downloaded is kept" in client.fails()
    assert client.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    server.ranges.clear()
    assert Client(server.endpoint, client.cache.parent).fetch() == FILES
    assert server.ranges == ["model.safetensors bytes=1000000-"]


def test_a_server_that_begins_again_from_the_start(client: Client, server: FakeHub) -> None:
    server.ignores_ranges = True
    server.cut_after = [10**9, 1_000_000]
    assert client.fetch() == FILES


def test_a_damaged_file_never_enters_the_cache(client: Client, server: FakeHub) -> None:
    server.damaged = True
    assert "config.json was damaged on its way: run it again" in client.fails()
    server.damaged = False
    assert client.fetch() == FILES


def test_a_server_that_sends_more_than_it_said(client: Client, server: FakeHub) -> None:
    server.claimed_size = 2
    assert "expected model.safetensors to have 2 bytes, the hub sends more" in client.fails()


def test_two_downloads_at_once_share_one(client: Client, server: FakeHub) -> None:
    other = Client(server.endpoint, client.cache.parent)
    thread = threading.Thread(target=other.fetch)
    thread.start()
    assert client.fetch() == FILES
    thread.join()
    assert other.fetch() == FILES
    assert len(server.ranges) == len(FILES)


def test_the_token_goes_to_the_hub_and_nowhere_else(
    client: Client, server: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.gated, server.token = True, "hf_secret"
    assert client.fetch() == FILES
    assert server.tokens_at_store
    assert not any(server.tokens_at_store)


def test_a_licence_that_was_not_accepted(client: Client, server: FakeHub) -> None:
    server.gated = True
    message = client.fails()
    assert f"accept it at {server.endpoint}/{REPOSITORY} and set HF_TOKEN" in message


def test_a_token_that_is_refused(client: Client, server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    server.token = "hf_new"
    message = client.fails()
    assert "refuses someone/some-model with 401: set HF_TOKEN" in message
    assert "hf_old" not in message


@pytest.mark.parametrize("repository", ["someone/no-such-model", "no spaces allowed", "../../etc", ""])
def test_an_unknown_repository(client: Client, repository: str) -> None:
    assert "check its spelling" in client.fails(repository=repository)


def test_an_unknown_revision(client: Client) -> None:
    assert "has no revision 'v9'" in client.fails("v9")


@pytest.mark.parametrize("revision", ["", "../../x", "a/../b", "/main", "a b", "-x"])
def test_what_can_be_no_revision(client: Client, revision: str) -> None:
    assert "expected a commit, branch or tag" in client.fails(revision)


def test_a_missing_file(client: Client, server: FakeHub) -> None:
    del server.files["model.safetensors"]
    message = client.fails()
    assert "misses a file that its checkpoint needs (model.safetensors)" in message


def test_has_file(client: Client) -> None:
    assert client.hub.has_file(REPOSITORY, "config.json", revision="main")
    assert not client.hub.has_file(REPOSITORY, "other.json", revision="main")
    client.fetch()
    offline = Hub(endpoint="http://127.0.0.1:1", cache=client.cache)
    assert offline.has_file(REPOSITORY, "config.json", revision="main")
    assert not offline.has_file(REPOSITORY, "other.json", revision="main")


def test_a_full_disk_is_seen_before_anything_is_written(client: Client, server: FakeHub) -> None:
    server.claimed_size = 10**18
    message = client.fails()
    assert "expected 2000000000.3 GB free in" in message
    assert "set HF_HOME" in message
    assert not server.ranges


def test_a_cache_that_is_no_folder(client: Client) -> None:
    client.cache.write_text("a file")
    assert "expected a cache that can be written" in client.fails()


def test_a_server_that_is_no_hub(client: Client, server: FakeHub) -> None:
    server.commit = "not-a-commit"
    assert "check HF_ENDPOINT" in client.fails()


def test_a_hub_that_is_down(client: Client, server: FakeHub) -> None:
    server.down = True
    assert "answers 503 for someone/some-model: try again later" in client.fails()


def test_a_hub_that_is_down_is_not_needed_for_what_is_in_the_cache(client: Client, server: FakeHub) -> None:
    client.fetch()
    server.down = True
    assert client.fetch() == FILES


def test_a_store_that_is_busy_is_asked_again(client: Client, server: FakeHub) -> None:
    server.busy_times = 3
    assert client.fetch() == FILES
    assert client.pauses == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("name", ["../model", "/etc/passwd", "a/b", ".hidden", "", "a\\b", "a\nb", "x" * 300])
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(CheckpointError, match="expected a plain file name"):
        check_file_name(name)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "hibiki-pytorch-220b12c0@200.safetensors", "a_b-1.model"]
)
def test_plain_names(name: str) -> None:
    assert check_file_name(name) == name
