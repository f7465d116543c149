"""What can be configured: frozen dataclasses, one per section of the file. `config_file` reads them from YAML.

    server:
      host: 0.0.0.0
      tls: self-signed
      ice_servers:
        - urls: ["turn:turn.example.org:3478"]
          username: interpreter
          credential_env: TURN_PASSWORD
    room:
      languages:
        - {tag: en, label: English}
        - {tag: es, label: español}
    engine:
      kind: loopback

Passwords never stand in the file: it names an environment variable or another file that holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from duplex_model.contract import EngineKind
from interpreter.cushion import CushionSettings
from interpreter.meeting import MeetingSettings
from interpreter.mixing import Ducking


def ranged(default: Any, low: float, high: float) -> Any:
    """A field whose number must lie in [low, high]."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class IceServerConfig:
    """A STUN or TURN server."""

    urls: tuple[str, ...]
    """`stun:host:port`, `turn:host:port` or `turns:host:port`."""

    username: str | None = None
    """For TURN."""

    credential_env: str | None = None
    """Environment variable that holds the password."""

    credential_file: Path | None = None
    """File that holds the password, relative to the configuration file."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the hosted room is served."""

    host: str = "127.0.0.1"
    """Address to bind; beyond this machine browsers need TLS."""

    port: int = ranged(8080, 0, 65_535)
    """TCP port; 0 takes any free one."""

    tls: Literal["none", "self-signed", "given"] = "none"
    """`given` needs `certificate` and `key`."""

    certificate: Path | None = None
    """PEM file, relative to the configuration file."""

    key: Path | None = None
    """PEM file, relative to the configuration file."""

    state_dir: Path | None = None
    """Where the self-signed certificate is kept; by default the user's state folder."""

    insecure: bool = False
    """Allow plain http beyond this machine, behind a proxy that adds TLS."""

    public_url: str | None = None
    """Where people reach the server when that is not the bound address."""

    ice_servers: tuple[IceServerConfig, ...] = ()
    """None by default: no server on the internet is asked unless it stands here."""

    relay_only: bool = False
    """Reach people through the TURN server alone."""


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """A language people may choose."""

    tag: str
    """BCP 47."""

    label: str
    """Its name in itself."""


@dataclass(frozen=True, kw_only=True)
class RoomConfig:
    """The room people join."""

    name: str = "Meeting"
    """For people: shown on the page."""

    token_env: str | None = None
    """Environment variable with the secret part of the link; a new one is made at each start without it."""

    max_participants: int = ranged(64, 1, 1_000)
    """Seats."""

    languages: tuple[LanguageConfig, ...] = (
        LanguageConfig(tag="en", label="English"),
        LanguageConfig(tag="es", label="español"),
    )
    """What people may choose."""

    seed: int = ranged(0, 0, 2**63 - 1)
    """Every session's randomness is derived from it."""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """What interprets."""

    kind: EngineKind | None = None
    """`loopback` repeats what it hears, `scripted` says what a script says, `neural` runs a checkpoint. Without one,
    the checkpoint that comes with the package is run, or where none does, `loopback`."""

    options: Mapping[str, object] = field(default_factory=dict)
    """The kind's own options: loopback `lanes`, `delay_ms`; scripted `lanes`, `script_file`; neural `checkpoint`,
    `lanes`, `device` and the others in docs/configuration.md."""

    in_process: bool = False
    """Run the engine inside this process, for debugging: a crash or a long step then stops the calls."""


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How a listener hears originals beside their renderings, and how long mixes wait."""

    duck_db: float = ranged(-15.0, -60.0, 0.0)
    """Gain of an original while its rendering sounds."""

    attack_ms: float = ranged(100.0, 10.0, 1_000.0)
    """From full level down to that gain."""

    hold_ms: float = ranged(500.0, 0.0, 5_000.0)
    """How long it stays down after the rendering's last sound."""

    release_ms: float = ranged(800.0, 10.0, 5_000.0)
    """Back to full level."""

    cushion_min_ms: float = ranged(10.0, 6.0, 160.0)
    """Shortest time from a tick to the playing of its mix."""

    cushion_max_ms: float = ranged(160.0, 10.0, 160.0)
    """Longest time, when the engine is slow."""


@dataclass(frozen=True, kw_only=True)
class LoggingConfig:
    """What is written to standard error; never what was said, nor by whom."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least urgent lines to write."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything."""

    server: ServerConfig = field(default_factory=ServerConfig)
    room: RoomConfig = field(default_factory=RoomConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)


def meeting_settings(config: Config) -> MeetingSettings:
    """The meeting's part of `config`, in the units of the cores."""
    mixing = config.mixing
    return MeetingSettings(
        seed=config.room.seed,
        ducking=Ducking(
            depth_db=mixing.duck_db,
            attack_s=mixing.attack_ms / 1000.0,
            hold_s=mixing.hold_ms / 1000.0,
            release_s=mixing.release_ms / 1000.0,
        ),
        cushion=replace(
            CushionSettings(),
            min_s=mixing.cushion_min_ms / 1000.0,
            max_s=max(mixing.cushion_min_ms, mixing.cushion_max_ms) / 1000.0,
        ),
    )
