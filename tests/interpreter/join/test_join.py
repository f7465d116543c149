"""What the configuration of joining a meeting means, and what the command says it would do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from duplex_model.shipped import DEFAULT, shipped_folder
from interpreter.__main__ import main
from interpreter.channels import Channel
from interpreter.check import CHECKS, check
from interpreter.config.config import Config, EngineConfig, MeetingConfig, PersonLanguage, PersonRole
from interpreter.config.engines import Say
from interpreter.config.file import parse_config
from interpreter.config.join import JoinConfig, OutputConfig, PeopleConfig, with_join_options
from interpreter.errors import ConfigError
from interpreter.join.join import engine_abilities, find_jitsi, finder
from interpreter.join.plan import plan, spoken_languages
from interpreter.join.settings import (
    guest_settings,
    joined_meeting_settings,
    language_rules,
    meeting_url,
    seat_names,
    tls_context,
)
from webrtc.jitsi import Account, Overrides, Server, parse_meeting_url
from webrtc.room import Stored

SERVER = Server(
    domain="meet.jitsi",
    muc="muc.meet.jitsi",
    guest_domain="guest.meet.jitsi",
    focus="focus.meet.jitsi",
    websocket="wss://x/ws",
)
URL = parse_meeting_url("https://meet.example.org/clinic/Ward 3")
ENVIRON = {"WARD": "open sesame", "JWT": "secret.jwt.token", "ACCOUNT": "hunter2"}
TEXT = """
meeting:
  language: es
  languages: [{person: "Dr [X]", language: en}, {person: "*@clinic.example", language: en}]
  roles: [{person: "Dr *", role: medical-consecutive}]
join:
  outputs: [{language: en-GB, voice: diego}, {language: es-MX, name: Intérprete, always: true}]
  people:
    - {name: "Guest*", language: fr}
    - {email: "eva@*", role: captions-only}
  captions: "off"
  hosts: nobody
  password_env: WARD
  token_env: JWT
  account: interpreter
  account_password_env: ACCOUNT
  wait_min: 2
  overrides: {muc: rooms.meet.jitsi}
"""


def parsed(text: str = TEXT) -> Config:
    return parse_config(text, name="test.yaml", folder=Path())


def test_the_languages_of_the_room_are_spoken_where_no_others_are_named() -> None:
    assert seat_names(Config()) == {"en": "Interpreter · English", "es": "Interpreter · Español"}
    assert seat_names(parsed()) == {"en": "Interpreter · English", "es": "Intérprete"}
    named = replace(Config(), join=JoinConfig(name="Bot", outputs=(OutputConfig(language="tlh"),)))
    assert seat_names(named) == {"tlh": "Bot · tlh"}


def test_rules_for_people_become_the_meeting_s_with_names_before_patterns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    interpretation = joined_meeting_settings(parsed(), {"XDG_STATE_HOME": str(tmp_path)}).interpretation
    assert interpretation.channels == (
        Channel(language="en", voice="diego"),
        Channel(language="es", always=True),
    )
    languages = interpretation.languages
    assert languages.at_first("dr [x]", None) == "en", "a bracket in a name is a bracket"
    assert languages.at_first("Dr X", None) == "es"
    assert languages.at_first("Eva", None, "Eva@Clinic.example") == "en"
    assert languages.at_first("Guest 7", None) == "fr"
    assert languages.at_first("Guest 7", None, "guest@clinic.example") == "en", "the first that fits"
    roles = interpretation.roles
    assert roles.role_of("Dr Who").name == "medical-consecutive"
    assert roles.role_of("Eva", "eva@clinic.example").name == "captions-only"
    assert roles.role_of("Luis").name == "meeting-simultaneous"


def test_a_seat_s_settings_hold_the_secrets_and_never_show_them() -> None:
    settings = guest_settings(parsed(), ENVIRON, URL)(SERVER)
    assert (settings.password, settings.token) == ("open sesame", "secret.jwt.token")
    assert settings.account == Account(username="interpreter", password="hunter2")
    assert settings.room == URL.room
    assert list(settings.seats) == ["en", "es"]
    assert not settings.captions
    assert not settings.moderators_are_hosts
    assert settings.max_wait_s == 120.0
    assert not any(secret in repr(settings) for secret in ENVIRON.values())
    again = guest_settings(parsed(), ENVIRON, URL)(SERVER)
    assert settings.marker != again.marker
    assert len(settings.marker) == len(again.marker)
    for missing in ENVIRON:
        with pytest.raises(ConfigError, match=missing):
            guest_settings(parsed(), {k: v for k, v in ENVIRON.items() if k != missing}, URL)


@pytest.mark.parametrize(
    ("line", "speaks"),
    [
        ("!interp resume", True),
        ("!interp reanudar", True),
        ("!INTERP start", True),
        ("!interp pause", False),
        ("please resume", False),
        ("resume", False),
    ],
)
def test_which_lines_let_a_muted_interpreter_speak(line: str, speaks: bool) -> None:
    assert guest_settings(Config(), {}, URL)(SERVER).speaks_again(line) is speaks


def test_what_is_known_better_than_the_server_s_configuration() -> None:
    assert parsed().join.overrides == Overrides(muc="rooms.meet.jitsi")
    assert JoinConfig().overrides == Overrides()


def test_certificates_that_are_none(tmp_path: Path) -> None:
    assert tls_context(JoinConfig()) is None
    for name, text in (("none.pem", None), ("text.pem", "no certificate")):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=f"expected certificates as PEM in .*{name}"):
            tls_context(JoinConfig(certificates=tmp_path / name))


def test_addresses() -> None:
    with pytest.raises(ConfigError, match="got none"):
        meeting_url(Config())
    with pytest.raises(ConfigError, match="without a token") as caught:
        meeting_url(replace(Config(), join=JoinConfig(url="https://x.org/room?jwt=secret")))
    assert "secret" not in str(caught.value)
    for url in ("eyJhbGciOi.secret", "room", ""):
        with pytest.raises(ConfigError, match="got none"):
            finder(JoinConfig(url=url))
    assert finder(JoinConfig(url=" HTTPS://x.org/room")) is find_jitsi


# The command line ----------------------------------------------------------------------------------------------------


def test_the_command_line_goes_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text(TEXT)
    seen: list[tuple[Config, bool]] = []

    async def see(config: Config, say: Say, *, dry_run: bool, **more: object) -> None:
        seen.append((config, dry_run))

    monkeypatch.setattr("interpreter.__main__.join", see)
    options = ["--output", "es-mx", "--output", "de", "--name", "Bot", "--token-file", "t.jwt", "--dry-run"]
    people = ["--language", "fr=Eva*", "--role", "captions-only"]
    assert main(["join", "https://x.org/room", "--config", str(path), *options, *people]) == 0
    assert main(["join", "--config", str(path)]) == 0
    (over, dry), (plain, wet) = seen
    assert (dry, wet) == (True, False)
    assert over.join.url == "https://x.org/room"
    assert over.join.outputs == (
        OutputConfig(language="es-MX", name="Intérprete", always=True),
        OutputConfig(language="de"),
    )
    assert (over.join.token_env, over.join.token_file) == (None, Path("t.jwt"))
    assert over.join.password_env == "WARD", "what was not said stays"
    assert over.join.name == "Bot"
    assert over.meeting.role == "captions-only"
    assert PersonLanguage(person="Eva*", language="fr") in over.meeting.languages
    assert (plain.join.url, plain.join.token_env) == (None, "JWT")


@pytest.mark.parametrize(
    ("over", "outputs", "words"),
    [
        ({}, ["Spanish!"], "expected a BCP 47 tag"),
        ({}, ["es", "es-MX"], "expected each language once"),
        ({"name": "a\nb"}, [], "expected a name of 1 to 80 characters"),
        ({"name": " "}, [], "expected a name of 1 to 80 characters"),
    ],
)
def test_options_that_cannot_be_meant(over: dict[str, object], outputs: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        with_join_options(JoinConfig(), over, outputs)


async def test_check_looks_at_the_translation_service_and_at_joining(tmp_path: Path) -> None:
    async def checked(text: str) -> tuple[bool, list[str]]:
        said: list[str] = []
        good = await check(parsed(text), said.append, {name: CHECKS[name] for name in ("jitsi", "join")})
        return good, said

    good, said = await checked("")
    assert good
    assert "translation service not configured" in said[0]
    assert "no meeting to join configured" in said[1]
    (tmp_path / "token").write_text("t" * 20)
    state = f"server: {{state_dir: {tmp_path}}}\n"
    good, said = await checked(
        f"{state}jitsi: {{token_file: {tmp_path}/token, meetings: [{{meeting: '*', role: captions-only}}]}}\n"
        "join: {outputs: [{language: de}]}"
    )
    assert good
    assert "bridges show a token in Authorization, 1 entries" in said[0]
    assert "speaks German, 0 rules for what people speak; no `url`" in said[1]
    good, said = await checked(
        f"{state}jitsi: {{token_env: NO_SUCH_VARIABLE}}\njoin: {{people: [{{name: A, role: x}}]}}"
    )
    assert not good
    assert "NO_SUCH_VARIABLE" in said[0]
    assert "expected one of the roles" in said[1]


# The plan ------------------------------------------------------------------------------------------------------------


def test_the_plan_says_who_interprets_what_and_who_is_refused() -> None:
    config = parsed()
    es_only: dict[str, object] = {"directions": {"es>en": {"cues": []}}}
    scripted = EngineConfig(kind="scripted", options={"script": es_only})
    lines = plan(config, ["FOUND"], {"engine": engine_abilities(scripted)}, [Stored.TRANSCRIPT], ["REMARK"])
    text = "\n".join(lines)
    assert lines[0] == "FOUND"
    assert "REMARK" in lines
    for words in (
        "with the account interpreter; password of the meeting: $WARD.",
        "Interpreter · English listens to everybody and speaks English with the voice diego, when somebody",
        "Intérprete speaks Spanish, always.",
        "name like 'Dr [[]X]': English; e-mail like '*@clinic.example': English; name like 'Guest*': French; "
        "everybody else is taken to speak Spanish.",
        "name like 'Dr *': medical-consecutive; e-mail like 'eva@*': captions-only; everybody else: meeting-s",
        "Spanish into English by scripted",
        "English into Spanish by nobody: whom it concerns is told so.",
        "French into Spanish by nobody",
        "Kept:         nothing.",
        "notices and no captions; commands for hosts are taken from nobody",
        "2 min would be waited",
    ):
        assert words in text, words
    assert "into French" not in text, "there is no such participant"
    kept = replace(config, meeting=replace(config.meeting, folder=Path("kept"), keep="text"))
    assert "the text, in kept" in "\n".join(plan(kept, [], {}, [Stored.TRANSCRIPT]))


def test_without_rules_and_defaults_people_say_themselves_what_they_speak() -> None:
    text = "\n".join(plan(Config(), [], {}, []))
    assert "nobody is interpreted before they say what they speak in the chat" in text
    assert spoken_languages(Config()) == ["en", "es"]
    assert language_rules(Config()) == []
    people = (PeopleConfig(name="A", language="de-AT"),)
    meeting = MeetingConfig(language="fr", roles=(PersonRole(person="B", role="captions-only"),))
    config = replace(Config(), meeting=meeting, join=JoinConfig(people=people))
    assert spoken_languages(config) == ["en", "es", "de", "fr"]


@pytest.mark.skipif(shipped_folder(DEFAULT) is None, reason="no checkpoint comes with this installation")
def test_a_checkpoint_s_abilities_are_known_without_starting_it() -> None:
    can = engine_abilities(EngineConfig())
    assert can.translates
    assert can.serves("es", "en")
    assert can.checkpoint == "visit-es-en"
    assert not engine_abilities(EngineConfig(kind="loopback")).translates
