"""What the console's configuration means: its settings, with the tokens that the file only names."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext

from interpreter.commands.table import Standing
from interpreter.config.config import Config
from interpreter.config.console import DEFAULT_PORT, OperatorConfig
from interpreter.config.settings import secret, server_tls
from interpreter.console.access import MIN_TOKEN_CHARACTERS, Pass
from interpreter.console.server import ConsoleSettings
from interpreter.errors import ConfigError
from webrtc.hosted import HostedSettings, SelfSigned
from webrtc.hosted.server import certificate_names
from webrtc.hosted.tls import server_context, utc_now

MADE_NAME = "operator"
"""Of whoever opens the link that is printed where no operators are configured."""

STANDINGS: Mapping[str, Standing] = {
    standing.words: standing for standing in (Standing.VIEWER, Standing.OPERATOR, Standing.ADMIN)
}


@dataclass(frozen=True, kw_only=True)
class ConsolePlan:
    """How a console is to be served."""

    settings: ConsoleSettings
    made: Pass | None = field(repr=False)
    """A token made for this start, whose link is printed; None where operators have their own."""

    any_port: bool
    """Another port will do where the default one is taken."""


def console_plan(config: Config, environ: Mapping[str, str]) -> ConsolePlan | None:
    """How the console is to be served; None where it is not.

    Raises:
        ConfigError: a token is not where the configuration says, too short, or used twice; or it is to be served beyond
            this machine without tokens, or without TLS.
        LocalError: TLS files cannot be used.
    """
    console = config.console
    if not console.enabled:
        return None
    local = is_loopback(console.host)
    made = None
    passes = tuple(_pass_of(one, environ) for one in console.operators)
    if len({one.token for one in passes}) < len(passes):
        raise ConfigError("expected `console.operators` with a token of their own each, got one twice")
    if not passes:
        if not local:
            raise ConfigError(
                f"expected `console.operators` with tokens to serve the console on {console.host}, got none"
            )
        made = Pass(name=MADE_NAME, standing=Standing.ADMIN, token=secrets.token_urlsafe(24))
        passes = (made,)
    return ConsolePlan(
        settings=ConsoleSettings(
            passes=passes,
            host=console.host,
            port=DEFAULT_PORT if console.port is None else console.port,
            tls=None if local else _tls(config, environ),
            public_url=console.public_url,
            open_metrics=local and console.public_url is None,
            max_consoles=console.max_consoles,
        ),
        made=made,
        any_port=console.port is None,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pass_of(one: OperatorConfig, environ: Mapping[str, str]) -> Pass:
    token = secret(one.token_env, one.token_file, environ) or ""
    if len(token) < MIN_TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            f"expected a token of {MIN_TOKEN_CHARACTERS} ASCII characters or more without spaces for {one.name!a} "
            "in `console.operators`, got another"
        )
    return Pass(name=one.name, standing=STANDINGS[one.standing], token=token)


def _tls(config: Config, environ: Mapping[str, str]) -> SSLContext | None:
    """TLS beyond this machine, as the hosted room has it."""
    tls = server_tls(config.server, environ)
    if isinstance(tls, SelfSigned):  # one of its own: the room's is for the room's addresses
        tls = SelfSigned(state_dir=tls.state_dir / "console")
    if tls is not None:
        reached = HostedSettings(host=config.console.host, public_url=config.console.public_url)
        return server_context(tls, certificate_names(reached), utc_now())
    if config.console.insecure:
        return None
    raise ConfigError(
        f"expected TLS (`server.tls`) to serve the console on {config.console.host}, got none: tokens would be read on "
        "their way (`console.insecure` is for use behind a proxy that adds it)"
    )
