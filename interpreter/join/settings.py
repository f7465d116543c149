"""What the configuration of joining a meeting means: settings of the meeting and of the room, with their secrets.

Whatever is wrong is said before anything is started, or anybody's server is asked.
"""

from __future__ import annotations

import glob
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from interpreter.channels import Channel
from interpreter.commands.chat import is_command, named_in
from interpreter.config.config import Config
from interpreter.config.join import JoinConfig, OutputConfig, PeopleConfig
from interpreter.config.settings import ice_settings, meeting_settings, secret
from interpreter.directions import primary_language
from interpreter.errors import ConfigError
from interpreter.interpretation.language_assignment import assign_languages
from interpreter.languages import OWN_NAMES
from interpreter.meeting.settings import MeetingSettings
from interpreter.people import PersonPattern
from interpreter.roles.assignment import assign_roles
from webrtc.jitsi import Account, GuestSettings, MeetingUrl, Server, parse_meeting_url

_Value = TypeVar("_Value")
_SPEAK_AGAIN = frozenset({"resume", "start"})
"""Commands by which a host lets an interpreter speak whom a moderator had muted."""


def joined_meeting_settings(config: Config, environ: Mapping[str, str]) -> MeetingSettings:
    """The meeting's settings, with the languages that are spoken to it and the rules for people.

    Raises:
        ConfigError: a role, a language, a key or a folder cannot be used.
        IdentityError: the key cannot be used, or not be kept.
    """
    settings = meeting_settings(config, environ)
    interpretation = settings.interpretation
    return replace(
        settings,
        interpretation=replace(
            interpretation,
            roles=assign_roles(config.meeting.role, {}, interpretation.library, role_rules(config)),
            languages=assign_languages(config.meeting.language, {}, language_rules(config)),
            channels=channels(config),
        ),
    )


def outputs(config: Config) -> tuple[OutputConfig, ...]:
    """The languages the interpreter speaks: those of the section, else those of the room."""
    return config.join.outputs or tuple(OutputConfig(language=one.tag) for one in config.room.languages)


def channels(config: Config) -> tuple[Channel, ...]:
    """The same as channels of the meeting.

    Raises:
        ConfigError: one of them is no language that can be interpreted into.
    """
    return tuple(
        Channel(language=_primary(one.language), voice=one.voice or "", always=one.always)
        for one in outputs(config)
    )


def seat_names(config: Config) -> Mapping[str, str]:
    """Primary language -> name of the participant who speaks it, such as `Interpreter · Español`."""
    return {
        (language := _primary(one.language)): one.name
        or f"{config.join.name} · {OWN_NAMES.get(language, one.language)}"
        for one in outputs(config)
    }


def language_rules(config: Config) -> list[tuple[PersonPattern, str]]:
    """What people speak, the first rule that fits somebody before the next."""
    own = [(one.person, one.language) for one in config.meeting.languages]
    return [*_by_name(own), *((_pattern(one), tag) for one in config.join.people if (tag := one.language))]


def role_rules(config: Config) -> list[tuple[PersonPattern, str]]:
    """In which role people are interpreted, likewise."""
    own = [(one.person, one.role) for one in config.meeting.roles]
    return [*_by_name(own), *((_pattern(one), role) for one in config.join.people if (role := one.role))]


def meeting_url(config: Config) -> MeetingUrl:
    """Where the meeting is.

    Raises:
        ConfigError: there is no address, or it holds a token.
        Refused: it is no meeting's address.
    """
    join = config.join
    if join.url is None:
        raise ConfigError("expected a meeting's address, such as https://meet.example.org/room, got none")
    url = parse_meeting_url(join.url, insecure=join.insecure)
    if url.token:
        raise ConfigError(
            "expected an address without a token (`jwt`), which others could read here: put the token into an "
            "environment variable or a file, and name that (--token-env, --token-file)"
        )
    return url


def tls_context(join: JoinConfig) -> ssl.SSLContext | None:
    """That trusts further certificates; None where there are none.

    Raises:
        ConfigError: the file cannot be used.
    """
    if join.certificates is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=join.certificates)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"expected certificates as PEM in {join.certificates}, got: {type(error).__name__}"
        ) from error
    return context


def guest_settings(
    config: Config, environ: Mapping[str, str], url: MeetingUrl
) -> Callable[[Server], GuestSettings]:
    """Gives the settings of a seat for each language in a Jitsi meeting, once it is known how to get in.

    Args:
        config: everything.
        environ: where secrets may be.
        url: of the meeting.

    Raises:
        ConfigError: a secret is not where the configuration says.
    """
    join = config.join
    password = secret(join.account_password_env, join.account_password_file, environ)
    meeting_password = secret(join.password_env, join.password_file, environ) or ""
    token = secret(join.token_env, join.token_file, environ) or ""
    account = None if join.account is None else Account(username=join.account, password=password or "")
    ice, tls = ice_settings(config.server, environ), tls_context(join)

    def settings(server: Server) -> GuestSettings:
        return GuestSettings(
            server=server,
            room=url.room,
            title=str(url),
            seats=seat_names(config),
            marker=f"{int(time.time()):010x}{secrets.token_hex(4)}",
            password=meeting_password,
            token=token,
            account=account,
            captions=join.captions == "final",
            moderators_are_hosts=join.hosts == "moderators",
            speaks_again=lambda line: is_command(line) and named_in(line)[0] in _SPEAK_AGAIN,
            max_wait_s=60.0 * join.wait_min,
            ice=ice,
            tls=tls,
            insecure=join.insecure,
        )

    return settings


def secret_place(variable: str | None, file: Path | None) -> str:
    """Where a secret is, in words that do not hold it."""
    return f"${variable}" if variable is not None else "none" if file is None else str(file)


def _by_name(people: list[tuple[str, _Value]]) -> list[tuple[PersonPattern, _Value]]:
    """Rules for people who are named, or meant by an e-mail address or a pattern of one."""
    rules = []
    for person, value in people:
        pattern = person if set(person) & set("*?") else glob.escape(person)
        rules.append((PersonPattern(email=pattern) if "@" in person else PersonPattern(name=pattern), value))
    return rules


def _pattern(person: PeopleConfig) -> PersonPattern:
    return PersonPattern(name=person.name, email=person.email)


def _primary(tag: str) -> str:
    language = primary_language(tag)
    if language is None:
        raise ConfigError(f"expected a language to speak such as es, got {tag!a}")
    return language
