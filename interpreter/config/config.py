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
    meeting:
      role: medical-consecutive
      languages:
        - {person: Ana López, language: es}
    engine:
      kind: loopback

Passwords and keys never stand in the file: it names an environment variable or another file that holds them. What is
configured means something only once names and files are looked up: see `settings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from duplex_model.contract import EngineKind
from interpreter.config.console import ConsoleConfig
from interpreter.config.join import JoinConfig
from interpreter.config.kinds import PersonName, RoleText
from interpreter.errors import ConfigError
from interpreter.languages import canonical_tag
from interpreter.meeting.settings import DEFAULT_ROLE
from interpreter.people import person_key
from interpreter.record.record import Keep
from interpreter.roles.role import LanguageTag
from interpreter.yaml_file import Check, ranged

FIRST_ENGINE = "engine"
"""Name of the engine that is preferred, after its section."""

_Named = TypeVar("_Named", bound="PersonRole | PersonLanguage")


def _no_currency(code: str) -> str | None:
    fits = len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
    return None if fits else "a currency's three letters, such as EUR (ISO 4217)"


def _no_origin(text: str) -> str | None:
    fits = text == "*" or re.fullmatch(
        r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?", text
    )
    return (
        None if fits else "a site such as https://studio.example.org, in lower case and without a path, or *"
    )


def _no_engine_name(name: str) -> str | None:
    fits = name.isascii() and name.isprintable() and "" != name == name.strip()
    return None if fits and name != FIRST_ENGINE else f"a name in ASCII other than {FIRST_ENGINE}"


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
    """Where the self-signed certificate and the identity key are kept; by default the user's state folder."""

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
class InvitedPerson:
    """Somebody who may come by WHIP and WHEP, without a page."""

    name: PersonName
    """As the room displays it."""

    language: LanguageTag
    """BCP 47; one of the room's."""

    role: RoleText | None = None
    """In which they are interpreted, as `PersonRole.role`; one in `MeetingConfig.roles` counts over it."""

    token_env: str | None = None
    """Environment variable that holds the bearer token by which they are told; one of the two is needed."""

    token_file: Path | None = None
    """File that holds it, relative to the configuration file."""

    def __post_init__(self) -> None:
        """Refuses somebody who could not be told from others."""
        if (self.token_env is None) is (self.token_file is None):
            raise ValueError("expected one of `token_env` and `token_file`, got both or none")


@dataclass(frozen=True, kw_only=True)
class RoomConfig:
    """The room people join."""

    name: str = "Meeting"
    """For people: shown on the page."""

    token_env: str | None = None
    """Environment variable with the secret part of the link; a new one is made at each start without it."""

    host_token_env: str | None = None
    """Environment variable with the further secret of the host's link, of 16 characters or more; likewise."""

    max_participants: int = ranged(64, 1, 1_000)
    """Seats."""

    languages: tuple[LanguageConfig, ...] = (
        LanguageConfig(tag="en", label="English"),
        LanguageConfig(tag="es", label="español"),
    )
    """What people may choose."""

    people: tuple[InvitedPerson, ...] = ()
    """Who may come by WHIP and WHEP."""

    origins: tuple[Annotated[str, Check(_no_origin)], ...] = ()
    """Sites whose pages may call by WHIP and WHEP; `*` for all."""

    seed: int = ranged(0, 0, 2**63 - 1)
    """Every session's randomness is derived from it."""


@dataclass(frozen=True, kw_only=True)
class PersonRole:
    """The role in which one person is interpreted."""

    person: PersonName
    """Their name, as the room displays it; case and accents do not matter."""

    role: RoleText
    """A name of `interpreter roles`, or the path of a role's file, `*.yaml`, relative to the configuration file."""


@dataclass(frozen=True, kw_only=True)
class PersonLanguage:
    """The language that one person speaks."""

    person: PersonName
    """Their name, as the room displays it; case and accents do not matter."""

    language: LanguageTag
    """BCP 47; before what they choose when they join, until they choose another."""


@dataclass(frozen=True, kw_only=True)
class MeetingConfig:
    """Who the interpreter is in the meeting, and what is kept of it."""

    role: RoleText = DEFAULT_ROLE
    """Interprets everybody for whom no other is named; its notices are the meeting's. As `PersonRole.role`."""

    roles: tuple[PersonRole, ...] = ()
    """Those of single people."""

    role_folder: Path | None = None
    """A folder of roles beside the user's own, relative to the configuration file."""

    language: LanguageTag | None = None
    """BCP 47 tag of what people speak of whom no room tells a language; without one they are not interpreted."""

    languages: tuple[PersonLanguage, ...] = ()
    """Those of single people."""

    transcribe: bool = True
    """Write down what speakers say where an engine can and has lanes to spare: checks facts and reads requests."""

    cancel_echo: bool = True
    """Take what people were sent out of what their microphones give back."""

    spoken_notices: Literal["none", "trained", "untested"] = "trained"
    """By which checkpoints notices are spoken, beside being shown: by none, by those that were trained to say given
    texts, or also by those whose way of doing so is untested."""

    keep: Keep = "nothing"
    """Of what is said: nothing, the text, or the text and the sound. The notices tell people which."""

    folder: Path | None = None
    """Where meetings are kept, relative to the configuration file; with `keep: nothing` the identity chain and the
    audit log alone, which hold nothing of what is said."""

    operator: str | None = None
    """Who answers for the interpreter, in its passport."""

    issuer: str | None = None
    """Who issues the passport; `server.public_url` by default, or else `meeting-interpreter`."""

    identity_key_env: str | None = None
    """Environment variable that holds the key that signs, as PEM."""

    identity_key_file: Path | None = None
    """File that holds it; without either, one is made and kept in the state folder."""

    remember_min: float = ranged(60.0, 0.0, 10_080.0)
    """For how long a restarted interpreter takes up what was chosen before: mode, roles, voices, opt-outs, holds;
    nothing that was said. 0 for never. What was ended with Ctrl-C or the command `close` is not taken up."""

    price_per_gpu_hour: float | None = ranged(None, 0.0, 1e6)
    """Money for an hour of the engines' device, for the account at the end."""

    currency: Annotated[str, Check(_no_currency)] | None = None
    """ISO 4217, of that price."""

    def __post_init__(self) -> None:
        """Refuses half a price, two keys, and two roles or languages of one person."""
        for people in (self.roles, self.languages):
            names = [person_key(one.person) for one in people]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"expected one entry for each person, got another for {twice!a}")
        if (self.price_per_gpu_hour is None) is not (self.currency is None):
            raise ValueError("expected `price_per_gpu_hour` with `currency`, got one of them")
        if self.identity_key_env is not None and self.identity_key_file is not None:
            raise ValueError("expected one of `identity_key_env` and `identity_key_file`, got both")


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
class FurtherEngineConfig(EngineConfig):
    """What interprets the directions that no engine before it does."""

    name: Annotated[str, Check(_no_engine_name)]
    """For logs."""


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How a listener hears originals beside their renderings, and how long mixes wait."""

    duck_db: float | None = ranged(None, -60.0, 0.0)
    """Gain of an original while its rendering sounds, instead of the role's."""

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
class JitsiMeeting:
    """What is different in some meetings of a Jitsi server."""

    meeting: str
    """The id that Jitsi gives the meeting, or a pattern for several, such as `*`; the first entry that fits counts."""

    language: LanguageTag | None = None
    """BCP 47 tag of what people speak of whom nothing else says so."""

    role: RoleText | None = None
    """Interprets everybody for whom no other is named."""


@dataclass(frozen=True, kw_only=True)
class JitsiConfig:
    """The translation service for Jitsi servers; where it is served and with which TLS, `server` says."""

    token_env: str | None = None
    """Environment variable that holds the token bridges must show; needed beyond this machine."""

    token_file: Path | None = None
    """File that holds it, relative to the configuration file."""

    header: str = "Authorization"
    """In which bridges show it, alone or after `Bearer`."""

    meetings: tuple[JitsiMeeting, ...] = ()
    """What is different in some; headers of the room's own come before it."""

    max_meetings: int = ranged(32, 1, 10_000)
    max_connections: int = ranged(512, 1, 100_000)
    max_sources: int = ranged(128, 1, 1_024)
    """People of each meeting who can be listened to."""


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
    meeting: MeetingConfig = field(default_factory=MeetingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    engines: tuple[FurtherEngineConfig, ...] = ()
    """Further ones in the order in which they are preferred, each for the directions that none before it serves."""

    mixing: MixingConfig = field(default_factory=MixingConfig)
    jitsi: JitsiConfig = field(default_factory=JitsiConfig)
    join: JoinConfig = field(default_factory=JoinConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)

    def __post_init__(self) -> None:
        """Refuses engines and people that cannot be told apart."""
        names = [engine.name for engine in self.engines]
        if len(set(names)) < len(names):
            raise ValueError(f"expected further engines with names of their own, got {', '.join(names)}")
        invited = [person_key(one.name) for one in self.room.people]
        if twice := next((one for one in invited if invited.count(one) > 1), None):
            raise ValueError(
                f"expected one entry for each person in `room.people`, got another for {twice!a}"
            )

    @property
    def all_engines(self) -> Mapping[str, EngineConfig]:
        """All of them by name, the preferred first."""
        return {FIRST_ENGINE: self.engine, **{engine.name: engine for engine in self.engines}}


def with_options(
    meeting: MeetingConfig,
    *,
    roles: Sequence[str] = (),
    languages: Sequence[str] = (),
    keep: Keep | None = None,
    folder: Path | None = None,
) -> MeetingConfig:
    """`meeting` with what the command line says over it.

    Args:
        meeting: as the file says.
        roles: `NAME` for everybody, `NAME=PERSON` for one.
        languages: `TAG` for people who tell none, `TAG=PERSON` for one.
        keep: see `MeetingConfig.keep`.
        folder: see `MeetingConfig.folder`.

    Raises:
        ConfigError: a text names nobody, or no language, or somebody, or everybody, gets two.
    """
    by_person, everybody = _by_person(roles, "a role")
    tags, default_tag = _by_person(languages, "a language")
    new_roles = [PersonRole(person=person, role=role) for person, role in by_person]
    new_languages = [PersonLanguage(person=person, language=_tag(text)) for person, text in tags]
    return replace(
        meeting,
        role=everybody or meeting.role,
        roles=_over(meeting.roles, new_roles),
        language=meeting.language if default_tag is None else _tag(default_tag),
        languages=_over(meeting.languages, new_languages),
        keep=keep or meeting.keep,
        folder=folder or meeting.folder,
    )


def _by_person(texts: Sequence[str], what: str) -> tuple[list[tuple[str, str]], str | None]:
    """What is for single people, as pairs of person and value, and what is for everybody else."""
    people: dict[str, tuple[str, str]] = {}
    everybody: str | None = None
    for text in texts:
        value, equals, person = (part.strip() for part in text.partition("="))
        key = person_key(person)
        if not value or (equals and not key):
            raise ConfigError(f"expected {what}, or {what}=PERSON, got {text[:60]!a}")
        if key in people or (not equals and everybody is not None):
            raise ConfigError(f"expected {what} for {person or 'everybody'} once, got another: {text[:60]!a}")
        if equals:
            people[key] = (person, value)
        else:
            everybody = value
    return list(people.values()), everybody


def _over(given: Sequence[_Named], new: Sequence[_Named]) -> tuple[_Named, ...]:
    """What is given, but for the people of whom something new is said."""
    said = {person_key(one.person) for one in new}
    return (*(one for one in given if person_key(one.person) not in said), *new)


def _tag(text: str) -> str:
    tag = canonical_tag(text)
    if tag is None:
        raise ConfigError(f"expected a BCP 47 tag such as es or es-MX, got {text[:60]!a}")
    return tag
