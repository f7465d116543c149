"""What a configuration means once its names, files and secrets are looked up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from interpreter.config.config import (
    Config,
    IceServerConfig,
    InvitedPerson,
    MeetingConfig,
    MixingConfig,
    PersonLanguage,
    PersonRole,
    RoomConfig,
    ServerConfig,
)
from interpreter.config.file import load_config
from interpreter.config.settings import (
    hosted_settings,
    identity_key,
    invitees,
    jwks_document,
    meeting_settings,
    role_library,
    room_languages,
    secret,
)
from interpreter.errors import ConfigError, IdentityError
from interpreter.identity.keys import KEY_FILE, IdentityKey, key_set
from interpreter.meeting.settings import DEFAULT_ROLE, MeetingSettings
from interpreter.record.record import RecordSettings
from tests.interpreter.roles.texts import LEAST
from webrtc.errors import LocalError
from webrtc.room import Stored


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """A user who has nothing yet."""
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def settings_of(meeting: MeetingConfig, environ: Mapping[str, str]) -> MeetingSettings:
    return meeting_settings(Config(meeting=meeting), environ)


def test_without_a_configuration_a_meeting_is_what_it_is_by_itself(
    environ: Mapping[str, str], tmp_path: Path
) -> None:
    settings, plain = settings_of(MeetingConfig(), environ), MeetingSettings()
    assert settings.interpretation.roles == plain.interpretation.roles
    assert settings.interpretation.roles.default.name == DEFAULT_ROLE
    assert settings.interpretation.languages == plain.interpretation.languages
    assert settings.interpretation.duck_db is None
    assert (settings.seed, settings.ducking, settings.cushion) == (plain.seed, plain.ducking, plain.cushion)
    assert (settings.cancel_echo, settings.untested_say) == (True, False)
    assert settings.interpretation.spoken_notices
    assert settings.interpretation.transcribe
    assert settings.record.stored == frozenset()
    assert settings.record.issuer == RecordSettings.issuer
    assert settings.notice_sounds == tmp_path / "cache/meeting-interpreter/notices"
    assert settings_of(MeetingConfig(), environ).record.key.public == settings.record.key.public, "kept"


def test_everything_configured_reaches_the_meeting(environ: Mapping[str, str], tmp_path: Path) -> None:
    meeting = MeetingConfig(
        role="medical-consecutive",
        roles=(PersonRole(person="Ana López", role="plain-language-relay"),),
        language="fr-CA",
        languages=(PersonLanguage(person="Ana López", language="es-MX"),),
        transcribe=False,
        cancel_echo=False,
        spoken_notices="untested",
        keep="audio",
        folder=tmp_path / "a/b",
        operator="Clinic",
        price_per_gpu_hour=2.1,
        currency="EUR",
    )
    server = ServerConfig(public_url="https://meet.example.org")
    mixing = MixingConfig(duck_db=-20.0, attack_ms=60.0, cushion_min_ms=20.0, cushion_max_ms=10.0)
    config = Config(meeting=meeting, server=server, mixing=mixing, room=RoomConfig(seed=9))
    settings = meeting_settings(config, environ)
    interpretation, record = settings.interpretation, settings.record
    assert interpretation.roles.role_of("Ben").name == "medical-consecutive"
    assert interpretation.roles.role_of("ana lopez").name == "plain-language-relay"
    assert interpretation.languages.at_first("ana lopez", "en") == "es"
    assert interpretation.languages.at_first("Ben", None) == "fr"
    assert interpretation.duck_db == -20.0
    assert not interpretation.transcribe
    assert interpretation.spoken_notices
    assert settings.untested_say
    assert not settings.cancel_echo
    assert settings.seed == 9
    assert settings.ducking.attack_s == pytest.approx(0.06)
    assert (settings.cushion.min_s, settings.cushion.max_s) == pytest.approx((0.02, 0.02))
    assert record.stored == frozenset(Stored)
    assert record.folder == tmp_path / "a/b"
    assert record.folder.is_dir()
    assert (record.operator, record.issuer) == ("Clinic", "https://meet.example.org")
    assert record.price is not None
    assert (record.price.per_gpu_hour, record.price.currency) == (Decimal("2.1"), "EUR")
    assert (
        settings_of(MeetingConfig(issuer="https://us.example"), environ).record.issuer == "https://us.example"
    )


def test_notices_may_be_shown_alone(environ: Mapping[str, str]) -> None:
    settings = settings_of(MeetingConfig(spoken_notices="none"), environ)
    assert not settings.interpretation.spoken_notices
    assert not settings.untested_say


def test_a_folder_alone_keeps_what_has_no_content(environ: Mapping[str, str], tmp_path: Path) -> None:
    record = settings_of(MeetingConfig(folder=tmp_path), environ).record
    assert record.stored == {Stored.IDENTITY, Stored.AUDIT}


def test_what_is_kept_needs_a_folder_that_can_be_written(environ: Mapping[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a `folder` \(--folder\) to keep text in, got none"):
        settings_of(MeetingConfig(keep="text"), environ)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a folder to keep meetings in, got .*file: File exists"):
        settings_of(MeetingConfig(folder=tmp_path / "file"), environ)


def test_roles_come_from_the_package_the_user_and_the_configured_folder(
    environ: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = tmp_path / "config/meeting-interpreter/roles"
    beside = tmp_path / "roles"
    for folder, name in ((own, "mine"), (beside, "ours"), (tmp_path, "alone")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(LEAST.replace("name: least", f"name: {name}"))
    (tmp_path / "conf.yaml").write_text(
        "meeting: {role: alone.yaml, role_folder: roles, roles: [{person: A, role: ours}, {person: B, role: mine}]}"
    )
    roles = meeting_settings(load_config(tmp_path / "conf.yaml"), environ).interpretation.roles
    assert [roles.role_of(name).name for name in ("A", "B", "C")] == ["ours", "mine", "alone"]
    with pytest.raises(ConfigError, match="expected one of the roles"):
        settings_of(MeetingConfig(role="ours"), environ)
    with pytest.raises(ConfigError, match="expected a folder of roles at .*absent, got none"):
        role_library(MeetingConfig(role_folder=tmp_path / "absent"))


def test_languages_of_the_room_are_all_that_people_may_speak() -> None:
    meeting = MeetingConfig(
        language="pt-BR",
        languages=(
            PersonLanguage(person="A", language="es-MX"),
            PersonLanguage(person="B", language="fr"),
        ),
    )
    assert room_languages(Config(meeting=meeting)) == ["en", "es", "fr", "pt"]


def test_the_identity_key_is_given_or_made_and_kept(environ: Mapping[str, str], tmp_path: Path) -> None:
    made = identity_key(Config(), environ)
    assert (tmp_path / "state/meeting-interpreter" / KEY_FILE).read_bytes() == made.pem()
    elsewhere = Config(server=ServerConfig(state_dir=tmp_path / "own"))
    assert identity_key(elsewhere, environ).public != made.public
    given = IdentityKey.generate()
    file = tmp_path / "id.pem"
    file.write_bytes(given.pem())
    by_file = Config(meeting=MeetingConfig(identity_key_file=file))
    assert identity_key(by_file, environ).public == given.public
    by_variable = Config(meeting=MeetingConfig(identity_key_env="ID"))
    assert identity_key(by_variable, {"ID": given.pem().decode()}).public == given.public
    with pytest.raises(ConfigError, match="environment variable ID, got none"):
        identity_key(by_variable, environ)
    with pytest.raises(IdentityError, match="in the environment variable ID, got something else") as caught:
        identity_key(by_variable, {"ID": "hush"})
    assert "hush" not in str(caught.value)


def test_the_key_is_published_as_a_key_set() -> None:
    key = IdentityKey.generate().public
    document = jwks_document(key)
    assert (document.path, document.content_type) == ("/.well-known/jwks.json", "application/jwk-set+json")
    assert json.loads(document.text) == key_set([key])
    assert hosted_settings(Config(), {}, (document,)).documents == (document,)


def test_secrets_come_from_the_environment_or_a_file_and_are_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    assert secret(None, None, {}) is None
    assert secret("TURN", None, {"TURN": "hush"}) == "hush"
    assert secret(None, path, {}) == "hush"
    with pytest.raises(ConfigError, match="variable TURN"):
        secret("TURN", None, {})
    with pytest.raises(ConfigError, match="absent"):
        secret(None, tmp_path / "absent", {})
    with pytest.raises(ConfigError, match="both"):
        secret("TURN", path, {"TURN": "hush"})
    ice = IceServerConfig(urls=("turn:turn.example.org",), username="u", credential_env="TURN")
    settings = hosted_settings(Config(server=ServerConfig(ice_servers=(ice,))), {"TURN": "hush"})
    assert settings.ice.servers[0].credential == "hush"
    assert "hush" not in repr(settings)


PEOPLE = (
    InvitedPerson(name="Ana López", language="es", role="plain-language-relay", token_env="ANA_TOKEN"),
    InvitedPerson(name="Ben", language="en", role="medical-consecutive", token_env="BEN_TOKEN"),
)


def test_invited_people_have_a_token_a_language_of_the_room_and_a_role(environ: Mapping[str, str]) -> None:
    config = Config(
        room=RoomConfig(people=PEOPLE, origins=("https://studio.example.org",)),
        meeting=MeetingConfig(roles=(PersonRole(person="ben", role="captions-only"),)),
    )
    tokens = {"ANA_TOKEN": "ana-0123456789-abc", "BEN_TOKEN": "ben-0123456789-abc"}
    ana, ben = invitees(config, tokens)
    assert (ana.name, ana.language, ana.token) == ("Ana López", "es", "ana-0123456789-abc")
    assert "0123456789" not in repr(ben)
    assert hosted_settings(config, {}).call_origins == ("https://studio.example.org",)
    roles = meeting_settings(config, environ).interpretation.roles
    assert roles.role_of("ana lopez").name == "plain-language-relay"
    assert roles.role_of("Ben").name == "captions-only", "what is said of him in the meeting counts"
    with pytest.raises(ConfigError, match="environment variable BEN_TOKEN"):
        invitees(config, {"ANA_TOKEN": "ana-0123456789-abc"})
    with pytest.raises(LocalError, match="16 or more characters for 'Ana"):
        invitees(config, {**tokens, "ANA_TOKEN": "short"})
    french = (InvitedPerson(name="Eva", language="fr", token_env="ANA_TOKEN"),)
    with pytest.raises(
        ConfigError, match="expected one of the room's languages, en, es, for 'Eva', got 'fr'"
    ):
        invitees(Config(room=RoomConfig(people=french)), tokens)


def test_given_tls_needs_both_files() -> None:
    with pytest.raises(ConfigError, match="`certificate` and `key`"):
        hosted_settings(Config(server=ServerConfig(tls="given", key=Path("k"))), {})
