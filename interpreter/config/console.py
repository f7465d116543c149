"""What can be configured of the operator console: where it is served, and to whom.

console:
port: 8081
operators:
- {name: Eva, token_env: EVA_TOKEN}
- {name: Ward 3, standing: viewer, token_file: ward-3.token}
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from interpreter.yaml_file import Check, ranged

DEFAULT_PORT = 8081


def _no_name(name: str) -> str | None:
    fits = bool(name.strip()) and name.isprintable() and len(name) <= 64
    return None if fits else "a name of 1 to 64 characters that can be shown"


def _no_port(port: int) -> str | None:
    return None if 0 <= port <= 65_535 else "a port from 0 to 65535"


@dataclass(frozen=True, kw_only=True)
class OperatorConfig:
    """Somebody at the console."""

    name: Annotated[str, Check(_no_name)]
    """For the others at a console, and the audit log."""

    standing: Literal["viewer", "operator", "admin"] = "operator"
    """A viewer changes nothing; an operator runs meetings; an admin also what belongs to all of the machine."""

    token_env: str | None = None
    """Environment variable that holds their token, of 16 characters or more."""

    token_file: Path | None = None
    """File that holds it, relative to the configuration file."""

    def __post_init__(self) -> None:
        """Refuses somebody without a token, or with two."""
        if (self.token_env is None) is (self.token_file is None):
            raise ValueError("expected one of `token_env` and `token_file`, got both or neither")


@dataclass(frozen=True, kw_only=True)
class ConsoleConfig:
    """The page on which operators run meetings."""

    enabled: bool = True
    host: str = "127.0.0.1"
    """Address to bind; beyond this machine it takes `operators`, and TLS (as `server.tls` says) or `insecure`."""

    port: Annotated[int, Check(_no_port)] | None = None
    """TCP port, 0 for any free one; without one, 8081, or any free one where that is taken."""

    insecure: bool = False
    """Allow plain http beyond this machine, behind a proxy that adds TLS."""

    public_url: str | None = None
    """Where operators reach it when that is not the bound address."""

    operators: tuple[OperatorConfig, ...] = ()
    """Who may use it; without any, whoever has the link that is printed at the start, as an admin."""

    max_consoles: int = ranged(32, 1, 1_000)
    """Pages that are open at the same time."""

    def __post_init__(self) -> None:
        """Refuses operators that cannot be told apart."""
        names = [one.name for one in self.operators]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"expected operators with names of their own, got another {twice!a}")


def with_console_options(config: ConsoleConfig, *, port: int | None, enabled: bool) -> ConsoleConfig:
    """`config` with what the command line says over it.

    Args:
        config: as the file says.
        port: None for the file's.
        enabled: False where the command line wants no console.
    """
    return replace(config, port=config.port if port is None else port, enabled=config.enabled and enabled)
