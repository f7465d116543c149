"""What can be configured of `interpreter join`: which meeting, in which languages, who speaks what, what is shown.

join:
  url: https://meet.example.org/ward-3
  password_env: WARD_PASSWORD
  outputs:
    - {language: en}
    - {language: es, voice: diego}
  people:
    - {name: "Dr *", language: en}
    - {email: "*@clinica.example", language: es, role: plain-language-relay}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from interpreter.config.kinds import RoleText
from interpreter.errors import ConfigError
from interpreter.languages import canonical_tag
from interpreter.people import person_key
from interpreter.roles.role import LanguageTag
from interpreter.yaml_file import Check, ranged
from webrtc.jitsi.discovery import Overrides


def _no_name(name: str) -> str | None:
    fits = bool(name.strip()) and name.isprintable() and len(name) <= 80
    return None if fits else "a name of 1 to 80 characters that can be shown"


def _no_pattern(pattern: str) -> str | None:
    return None if person_key(pattern) else "a pattern such as `Dr *` or `*@clinic.example`"


ShownName = Annotated[str, Check(_no_name)]
Pattern = Annotated[str, Check(_no_pattern)]


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """A language in which the interpreter speaks, as a participant of its own."""

    language: LanguageTag
    """BCP 47."""

    name: ShownName | None = None
    """Of that participant; by default the interpreter's and the language's."""

    voice: str | None = None
    """One of `interpreter voices`; by default the role's, or one that no other language here has."""

    always: bool = False
    """Speak it also while nobody present is known to: for listeners whom the server does not tell of."""


@dataclass(frozen=True, kw_only=True)
class PeopleConfig:
    """What people speak, and in which role they are interpreted; the first entry that says so counts."""

    name: Pattern | None = None
    """Of their display name, such as `Dr *`; case and accents do not matter."""

    email: Pattern | None = None
    """Of the address they give; with `name`, both have to fit."""

    language: LanguageTag | None = None
    """BCP 47."""

    role: RoleText | None = None

    def __post_init__(self) -> None:
        """Refuses an entry that means nobody, or says nothing."""
        if self.name is None and self.email is None:
            raise ValueError("expected `name` or `email`, got neither")
        if self.language is None and self.role is None:
            raise ValueError("expected `language` or `role`, got neither")


@dataclass(frozen=True, kw_only=True)
class JoinConfig:
    """Joining a meeting elsewhere as a guest; secrets never stand here, only where they are."""

    url: str | None = None
    """Address of the meeting; the command line's goes before it."""

    name: ShownName = "Interpreter"
    """What the interpreter is called in the list of participants, before the language."""

    outputs: tuple[OutputConfig, ...] = ()
    """The languages it speaks; those of `room.languages` by default. The first one's participant is the one that
    listens."""

    people: tuple[PeopleConfig, ...] = ()
    """Beside `meeting.languages` and `meeting.roles`, which go before."""

    captions: Literal["off", "final"] = "final"
    """What is said in the meeting's chat of renderings: nothing, or each when it is complete."""

    hosts: Literal["moderators", "nobody"] = "moderators"
    """Who may give hosts' commands in the chat."""

    password_env: str | None = None
    """Environment variable that holds the room's password."""

    password_file: Path | None = None
    """File that holds it, relative to the configuration file."""

    token_env: str | None = None
    """Environment variable that holds the token (JWT) of a server that asks for one."""

    token_file: Path | None = None
    """File that holds it."""

    account: str | None = None
    """Name of an account on the server, where guests may not open rooms."""

    account_password_env: str | None = None
    """Environment variable that holds its password."""

    account_password_file: Path | None = None
    """File that holds it."""

    certificates: Path | None = None
    """PEM file of certificates to trust beside the system's, relative to the configuration file."""

    insecure: bool = False
    """Allow `http` and `ws`, in clear, beyond this machine: for test servers."""

    leave_after_min: float = ranged(5.0, 0.1, 1_440.0)
    """Minutes after the last person left."""

    wait_min: float = ranged(60.0, 0.1, 1_440.0)
    """Longest wait for the first person, for the host or in the lobby, minutes."""

    overrides: Overrides = field(default_factory=Overrides)

    def __post_init__(self) -> None:
        """Refuses a language twice, and half an account."""
        tags = [one.language.partition("-")[0].lower() for one in self.outputs]
        if len(set(tags)) < len(tags):
            raise ValueError(f"expected each language once in `outputs`, got {', '.join(tags)}")
        secret = self.account_password_env is not None or self.account_password_file is not None
        if (self.account is not None) is not secret:
            raise ValueError("expected `account` with a password's variable or file, got one of them")


_SECRETS = ("password", "token")


def with_join_options(
    join: JoinConfig, over: Mapping[str, object], outputs: Sequence[str] = ()
) -> JoinConfig:
    """`join` with what the command line says over it.

    Args:
        join: as the file says.
        over: fields by name; where a secret is goes before wherever the file has it.
        outputs: BCP 47 tags of the languages to speak, instead of the file's; what the file says of one stays.

    Raises:
        ConfigError: a text is no language, or what is said cannot be meant.
    """
    places = {f"{one}_{kind}" for one in _SECRETS for kind in ("env", "file") if _named(one, over)}
    fields = {**dict.fromkeys(places), **over}
    if outputs:
        known = {one.language: one for one in join.outputs}
        fields["outputs"] = tuple(
            known.get(tag := _tag(text), OutputConfig(language=tag)) for text in outputs
        )
    name = fields.get("name")
    if isinstance(name, str) and (wrong := _no_name(name)):
        raise ConfigError(f"expected {wrong}, got {name[:60]!a}")
    try:
        return replace(join, **fields)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _named(secret: str, over: Mapping[str, object]) -> bool:
    return any(f"{secret}_{kind}" in over for kind in ("env", "file"))


def _tag(text: str) -> str:
    tag = canonical_tag(text)
    if tag is None:
        raise ConfigError(f"expected a BCP 47 tag such as es or es-MX, got {text[:60]!a}")
    return tag
