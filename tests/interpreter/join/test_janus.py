"""`interpreter join` with the address of a room on a Janus server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from interpreter.config.config import Config, EngineConfig
from interpreter.config.join import JoinConfig, OutputConfig, PeopleConfig
from interpreter.errors import ConfigError
from interpreter.join.janus import janus_settings
from interpreter.join.join import join
from tests.janus import janus_server
from webrtc.errors import Refused

URL = "janus+wss://janus.example.org/janus?room=1234"
OUTPUTS = (OutputConfig(language="en"), OutputConfig(language="es-MX"))


def config_of(**join: object) -> Config:
    return Config(join=JoinConfig(outputs=OUTPUTS, **join), engine=EngineConfig(kind="loopback"))


def test_an_address_and_its_secrets_become_settings(tmp_path: Path) -> None:
    settings = janus_settings(config_of(url=f"{URL}&pin=hush"), {})
    assert (settings.address.url, settings.address.room) == ("wss://janus.example.org/janus", 1234)
    assert settings.address.pin == "hush"
    assert list(settings.seats.values()) == ["Interpreter · English", "Interpreter · Español"]
    (tmp_path / "pin").write_text("quiet\n")
    named = config_of(url=URL, password_file=tmp_path / "pin", token_env="TOKEN", name="Dolmetscher")
    settings = janus_settings(named, {"TOKEN": "still"})
    assert (settings.address.pin, settings.token) == ("quiet", "still")
    assert settings.seats["en"] == "Dolmetscher · English"
    for secret in ("hush", "quiet", "still"):
        assert secret not in repr(settings)
    assert settings.first_id > 10**14
    with pytest.raises(ConfigError, match="PIN in one place, got it in the address and as the password"):
        janus_settings(config_of(url=f"{URL}&pin=hush", password_file=tmp_path / "pin"), {})


@pytest.mark.media
@pytest.mark.janus
async def test_a_dry_run_asks_the_server_and_joins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    people = (PeopleConfig(name="Ana *", language="es"),)
    async with janus_server(tmp_path, {"1234": {"pin": "hush"}}) as server:
        config = config_of(url=server.url(room=1234, pin="hush"), people=people)
        await join(config, said.append, dry_run=True)
        assert "Creating new session" not in server.log()
    text = "\n".join(said)
    assert f"Meeting:      room 1234 of {server.host}." in said
    assert "Server:       Janus 1." in text
    assert "Participant:  Interpreter · English listens to everybody and speaks" in text
    assert "name like 'Ana *': Spanish; nobody else is interpreted." in text
    assert "Chat:         none" in text
    assert said[-1] == "Nothing was joined."
    assert "hush" not in text
    with pytest.raises(Refused, match="cannot be reached"):
        await join(
            replace(config, join=replace(config.join, url=server.url(room=1))), said.append, dry_run=True
        )


@pytest.mark.media
@pytest.mark.janus
@pytest.mark.slow
async def test_who_is_refused_is_told_why_and_an_empty_room_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    async with janus_server(tmp_path, {"1234": {"pin": "hush"}}) as server:
        wrong = config_of(url=server.url(room=1234, pin="wrong"))
        with pytest.raises(Refused, match=f"room 1234 of {server.host} refuses the PIN"):
            await join(wrong, said.append)
        await join(config_of(url=server.url(room=1234, pin="hush"), wait_min=0.1), said.append)
        assert "Destroying session" in server.log()
    assert "The interpreter is in the room." in said
    assert said[-2:] == ["Nobody came.", "Leaving."]
    assert not any("hush" in line or "wrong" in line for line in said)
