from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from interpreter.config import Config, meeting_settings
from interpreter.config_file import MAX_FILE_BYTES, load_config, parse_config
from interpreter.errors import ConfigError

FULL = """\
server:
  host: 0.0.0.0
  port: 443
  tls: given
  certificate: tls/cert.pem
  key: /etc/key.pem
  public_url: https://meet.example.org
  ice_servers:
    - urls: ["turn:turn.example.org:3478", "stun:stun.example.org"]
      username: interpreter
      credential_env: TURN_PASSWORD
room:
  name: Consulta 3
  max_participants: 5
  languages:
    - {tag: en, label: English}
    - {tag: es, label: español}
  seed: 9
engine:
  kind: scripted
  options: {lanes: 3, script: {directions: {"*": {cues: [1, 2.5, null, true]}}}}
mixing:
  duck_db: -18
  attack_ms: 60
logging: {level: warning}
"""


def parse(text: str) -> Config:
    return parse_config(text, name="test.yaml", folder=Path("/conf"))


def outcome(text: str) -> Config | str:
    """What a text gives: a configuration, or the words of the error."""
    try:
        return parse(text)
    except ConfigError as error:
        return str(error)


def test_an_empty_file_is_all_defaults() -> None:
    assert parse("") == parse("# nothing\n") == Config()


def test_everything_can_be_set() -> None:
    config = parse(FULL)
    assert config.server.port == 443
    assert config.server.certificate == Path("/conf/tls/cert.pem")
    assert config.server.key == Path("/etc/key.pem")
    assert config.server.ice_servers[0].urls == ("turn:turn.example.org:3478", "stun:stun.example.org")
    assert config.server.ice_servers[0].credential_env == "TURN_PASSWORD"
    assert [language.label for language in config.room.languages] == ["English", "español"]
    assert config.engine.options["script"] == {"directions": {"*": {"cues": [1, 2.5, None, True]}}}
    assert config.mixing.duck_db == -18.0
    assert isinstance(config.mixing.duck_db, float)
    assert config.logging.level == "warning"
    settings = meeting_settings(config)
    assert settings.seed == 9
    assert settings.ducking.depth_db == -18.0
    assert settings.ducking.attack_s == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  prot: 80\n", "line 2: expected one of the keys host, port, "),
        ("server:\n  prot: 80\n", "got `prot` (did you mean `port`?)"),
        ("sever: {}\n", "expected one of the keys server, room, engine, mixing, logging in the file"),
        ("server:\n  port: many\n", "line 2: expected a whole number for `port`, got `many`"),
        ("server:\n  port: 70000\n", "line 2: expected 0 to 65535 for `port`, got 70000"),
        ("server:\n  port: 1.5\n", "expected a whole number for `port`, got `1.5`"),
        ("server:\n  port: true\n", "expected a whole number for `port`, got `true`"),
        ("server:\n  insecure: 1\n", "expected true or false for `insecure`, got `1`"),
        ("server:\n  host: 5\n", "expected text for `host`, got `5`"),
        ("server:\n  host:\n", "expected text for `host`, got nothing"),
        ("server:\n  tls: maybe\n", "expected one of none, self-signed, given for `tls`, got `maybe`"),
        ("server:\n  host: a\n  host: b\n", "line 3: expected `host` once in `server`, got it again"),
        ("server: [1]\n", "expected keys and values in `server`, got a list"),
        (
            "server:\n  ice_servers:\n    - username: a\n",
            "line 3: expected `urls` in `ice_servers`, got none",
        ),
        ("room:\n  languages: en\n", "expected a list in `languages`, got `en`"),
        ("mixing: {duck_db: .nan}\n", "expected -60.0 to 0.0 for `duck_db`, got nan"),
        ("engine: {options: {when: 2001-01-01}}\n", "expected text, a number, true or false for `when`"),
        ("engine: {options: !!python/object:os.system {}}\n", "got a value tagged"),
        ("? [a]\n: b\n", "expected a word as key in the file, got a list"),
        ("a: &x {}\nb: *x\n", "got an alias"),
        ("server: {\n", "expected YAML, got"),
        ("- a\n", "line 1: expected keys and values in the file, got a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith("test.yaml")
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent.yaml: expected a readable file"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"room: {name: \xe9}")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "latin.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="expected at most"):
        load_config(tmp_path / "big.yaml")


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_an_error_in_words(text: str) -> None:
    result = outcome(text)
    assert isinstance(result, Config) or result.startswith("test.yaml")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
keys = st.sampled_from(["server", "room", "engine", "mixing", "port", "urls", "languages", "options", "x"])
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, trees, max_size=4))
def test_any_tree_is_a_config_or_an_error_with_a_line(tree: dict[str, object]) -> None:
    result = outcome(yaml.safe_dump(tree))
    assert isinstance(result, Config) or result.startswith("test.yaml, line ") or "alias" in result


def sections(schema: type) -> list[type]:
    """`schema` and every dataclass reachable from its fields."""
    found = [schema]
    for hint in get_type_hints(schema).values():
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind):
                found += sections(kind)  # type: ignore[arg-type]
    return found


def test_no_section_asks_for_a_secret_in_the_file() -> None:
    for section in sections(Config):
        for field in fields(section):
            assert not {"password", "credential", "secret", "token"} & {field.name}
