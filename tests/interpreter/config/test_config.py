from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from interpreter.config.config import Config, MeetingConfig, PersonLanguage, PersonRole, with_options
from interpreter.config.file import MAX_FILE_BYTES, load_config, parse_config
from interpreter.config.join import JoinConfig, OutputConfig, PeopleConfig
from interpreter.errors import ConfigError
from webrtc.jitsi.discovery import Overrides

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
  people:
    - {name: Ana López, language: es, role: roles/ours.yaml, token_env: ANA_TOKEN}
    - {name: Ben, language: en, token_file: ben.token}
  origins: ["https://studio.example.org", "*"]
  seed: 9
meeting:
  role: medical-consecutive
  roles:
    - {person: Ana López, role: plain-language-relay}
    - {person: Ben, role: roles/ours.yaml}
  role_folder: roles
  language: en
  languages:
    - {person: Ana López, language: es-MX}
  transcribe: false
  cancel_echo: false
  spoken_notices: untested
  keep: text
  folder: kept
  operator: Clinic of Somewhere
  issuer: https://clinic.example.org
  identity_key_file: id.pem
  price_per_gpu_hour: 2
  currency: EUR
engine:
  kind: scripted
  options: {lanes: 3, script: {directions: {"*": {cues: [1, 2.5, null, true]}}}}
engines:
  - {name: french, kind: neural, options: {checkpoint: hibiki-2b}}
  - {name: echo, kind: loopback, in_process: true}
mixing:
  duck_db: -18
  attack_ms: 60
join:
  url: https://meet.example.org/ward-3
  name: Intérprete
  outputs:
    - {language: en}
    - {language: es, name: Español, voice: diego, always: true}
  people:
    - {name: "Dr *", language: en}
    - {email: "*@clinica.example", language: es-MX, role: roles/ours.yaml}
  captions: "off"
  hosts: nobody
  password_env: WARD
  token_file: ward.jwt
  account: interpreter
  account_password_env: ACCOUNT
  certificates: ca.pem
  leave_after_min: 2
  overrides: {muc: muc.meet.jitsi}
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
    assert [one.name for one in config.room.people] == ["Ana López", "Ben"]
    assert config.room.people[0].role == "/conf/roles/ours.yaml"
    assert config.room.people[1].token_file == Path("/conf/ben.token")
    assert config.room.origins == ("https://studio.example.org", "*")
    assert config.engine.options["script"] == {"directions": {"*": {"cues": [1, 2.5, None, True]}}}
    assert config.mixing.duck_db == -18.0
    assert isinstance(config.mixing.duck_db, float)
    assert config.logging.level == "warning"
    assert config.meeting == MeetingConfig(
        role="medical-consecutive",
        roles=(
            PersonRole(person="Ana López", role="plain-language-relay"),
            PersonRole(person="Ben", role="/conf/roles/ours.yaml"),
        ),
        role_folder=Path("/conf/roles"),
        language="en",
        languages=(PersonLanguage(person="Ana López", language="es-MX"),),
        transcribe=False,
        cancel_echo=False,
        spoken_notices="untested",
        keep="text",
        folder=Path("/conf/kept"),
        operator="Clinic of Somewhere",
        issuer="https://clinic.example.org",
        identity_key_file=Path("/conf/id.pem"),
        price_per_gpu_hour=2.0,
        currency="EUR",
    )
    assert config.join == JoinConfig(
        url="https://meet.example.org/ward-3",
        name="Intérprete",
        outputs=(
            OutputConfig(language="en"),
            OutputConfig(language="es", name="Español", voice="diego", always=True),
        ),
        people=(
            PeopleConfig(name="Dr *", language="en"),
            PeopleConfig(email="*@clinica.example", language="es-MX", role="/conf/roles/ours.yaml"),
        ),
        captions="off",
        hosts="nobody",
        password_env="WARD",
        token_file=Path("/conf/ward.jwt"),
        account="interpreter",
        account_password_env="ACCOUNT",
        certificates=Path("/conf/ca.pem"),
        leave_after_min=2.0,
        overrides=Overrides(muc="muc.meet.jitsi"),
    )
    assert list(config.all_engines) == ["engine", "french", "echo"]
    assert [engine.kind for engine in config.all_engines.values()] == ["scripted", "neural", "loopback"]
    assert config.engines[1].in_process


def test_the_role_s_ducking_holds_unless_the_file_says_otherwise() -> None:
    assert parse("").mixing.duck_db is None
    assert parse("mixing: {duck_db: }\n").mixing.duck_db is None
    assert parse("mixing: {duck_db: 0}\n").mixing.duck_db == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  prot: 80\n", "line 2: expected one of the keys host, port, "),
        ("server:\n  prot: 80\n", "got `prot` (did you mean `port`?)"),
        (
            "sever: {}\n",
            "expected one of the keys server, room, meeting, engine, engines, mixing, jitsi, join, console, logging in "
            "the file",
        ),
        ("meeting:\n  keep: video\n", "line 2: expected one of nothing, text, audio for `keep`, got `video`"),
        (
            "meeting:\n  language: Spanish!\n",
            "line 2: expected a BCP 47 tag such as es or es-MX for `language`",
        ),
        (
            "meeting:\n  roles:\n    - {person: ' ', role: x}\n",
            "line 3: expected a person's name for `person`",
        ),
        ("meeting:\n  roles:\n    - {person: A, role: x=y}\n", "expected a role's name or file, without ="),
        ("meeting:\n  roles:\n    - {person: A}\n", "line 3: expected `role` in `roles`, got none"),
        ("join:\n  people:\n    - {language: es}\n", "line 3: expected `name` or `email`, got neither"),
        ("join:\n  people:\n    - {name: A}\n", "line 3: expected `language` or `role`, got neither"),
        ("join:\n  people:\n    - {name: ' ', language: es}\n", "expected a pattern such as `Dr *`"),
        (
            "join:\n  outputs: [{language: es}, {language: es-MX}]\n",
            "line 2: expected each language once in `outputs`, got es, es",
        ),
        ("join:\n  account: bot\n", "line 2: expected `account` with a password's variable or file"),
        ("join:\n  name: ''\n", "line 2: expected a name of 1 to 80 characters"),
        ("join:\n  password: secret\n", "expected one of the keys url, name,"),
        ("join:\n  leave_after_min: 0\n", "`leave_after_min`"),
        (
            "meeting:\n  roles:\n    - {person: José, role: a}\n    - {person: jose, role: b}\n",
            "line 2: expected one entry for each person, got another for 'jose'",
        ),
        (
            "meeting:\n  languages: [{person: A, language: es}, {person: a, language: en}]\n",
            "expected one entry for each person, got another for 'a'",
        ),
        (
            "meeting: {price_per_gpu_hour: 2}\n",
            "expected `price_per_gpu_hour` with `currency`, got one of them",
        ),
        ("meeting: {currency: EUR}\n", "expected `price_per_gpu_hour` with `currency`, got one of them"),
        (
            "meeting: {price_per_gpu_hour: 2, currency: Euro}\n",
            "expected a currency's three letters, such as EUR (ISO 4217) for `currency`, got `Euro`",
        ),
        ("meeting: {price_per_gpu_hour: -1, currency: EUR}\n", "expected 0.0 to 1000000.0 for"),
        ("meeting: {identity_key_env: A, identity_key_file: b}\n", "expected one of `identity_key_env` and"),
        (
            "room:\n  people: [{name: A, language: es}]\n",
            "expected one of `token_env` and `token_file`, got both or",
        ),
        (
            "room:\n  people: [{name: A, language: es, token_env: X, token_file: y}]\n",
            "line 2: expected one of `token_env` and `token_file`, got both or none",
        ),
        (
            "room:\n  people:\n    - {name: José, language: es, token_env: X}\n"
            "    - {name: jose, language: es, token_env: Y}\n",
            "expected one entry for each person in `room.people`, got another for 'jose'",
        ),
        (
            "room: {origins: [https://a.example/]}\n",
            "expected a site such as https://studio.example.org, in lower",
        ),
        ("engines:\n  - {kind: loopback}\n", "line 2: expected `name` in `engines`, got none"),
        ("engines: [{name: a}, {name: a}]\n", "expected further engines with names of their own, got a, a"),
        ("engines:\n  - {name: engine}\n", "expected a name in ASCII other than engine for `name`"),
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
keys = st.sampled_from(
    [
        "server", "room", "meeting", "engine", "engines", "mixing", "port", "urls", "languages", "person", "role",
        "roles", "keep", "name", "options", "x",
    ]
)  # fmt: skip
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


def test_the_command_line_goes_over_the_file() -> None:
    file = parse(FULL).meeting
    assert with_options(file) == file
    over = with_options(
        file,
        roles=["captions-only", "emergency-short = ana  lopez", "x.yaml=Cat"],
        languages=["es-mx", "fr=Cat"],
        keep="audio",
        folder=Path("elsewhere"),
    )
    assert over.role == "captions-only"
    assert [(one.person, one.role) for one in over.roles] == [
        ("Ben", "/conf/roles/ours.yaml"),
        ("ana  lopez", "emergency-short"),
        ("Cat", "x.yaml"),
    ]
    assert over.language == "es-MX"
    assert [(one.person, one.language) for one in over.languages] == [("Ana López", "es-MX"), ("Cat", "fr")]
    assert (over.keep, over.folder, over.operator) == ("audio", Path("elsewhere"), file.operator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": ["a", "b"]}, "expected a role for everybody once, got another: 'b'"),
        ({"roles": ["a=José", "b=jose"]}, "expected a role for jose once, got another"),
        ({"roles": ["a="]}, "expected a role, or a role=PERSON, got 'a='"),
        ({"roles": ["=Ana"]}, "expected a role, or a role=PERSON"),
        ({"languages": ["en", "en"]}, "expected a language for everybody once"),
        ({"languages": ["english!=Ana"]}, "expected a BCP 47 tag such as es or es-MX, got 'english!'"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_options(MeetingConfig(), roles=options.get("roles", []), languages=options.get("languages", []))
    assert message in str(caught.value)


@given(st.lists(st.text("aá=b ", max_size=6), max_size=4))
def test_any_options_are_a_meeting_or_an_error_in_words(texts: list[str]) -> None:
    try:
        meeting = with_options(MeetingConfig(), roles=texts)
    except ConfigError:
        return
    assert len(meeting.roles) == sum("=" in text for text in texts)
