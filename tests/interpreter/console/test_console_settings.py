"""What the console's configuration means, and what of it is refused before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interpreter.commands.table import Standing
from interpreter.config.config import Config, ServerConfig
from interpreter.config.console import ConsoleConfig, OperatorConfig, with_console_options
from interpreter.config.file import parse_config
from interpreter.console.settings import console_plan, is_loopback
from interpreter.errors import ConfigError

ENVIRON = {
    "EVA": "eva-token-0123456789",
    "MAX": "max-token-0123456789",
    "SHORT": "short",
    "SPACED": "spaces are no good here",
}
EVA = OperatorConfig(name="Eva", token_env="EVA")


def plan(**changes: Any) -> Any:
    return console_plan(Config(console=ConsoleConfig(**changes)), ENVIRON)


def test_without_operators_whoever_has_the_printed_link_is_an_admin() -> None:
    first, second = plan(), plan()
    assert (first.made.standing, first.any_port, first.settings.port) == (Standing.ADMIN, True, 8081)
    assert first.settings.passes == (first.made,)
    assert len(first.made.token) >= 32
    assert first.made.token != second.made.token
    assert first.made.token not in repr(first)


def test_operators_come_with_their_tokens(tmp_path: Path) -> None:
    (tmp_path / "ward.token").write_text("ward-token-0123456789\n")
    ward = OperatorConfig(name="Ward", standing="viewer", token_file=tmp_path / "ward.token")
    made = plan(operators=(EVA, ward), port=0)
    assert [(one.name, one.standing, one.token) for one in made.settings.passes] == [
        ("Eva", Standing.OPERATOR, "eva-token-0123456789"),
        ("Ward", Standing.VIEWER, "ward-token-0123456789"),
    ]
    assert (made.made, made.any_port, made.settings.port) == (None, False, 0)


@pytest.mark.parametrize(
    ("operators", "words"),
    [
        ((OperatorConfig(name="Eva", token_env="MISSING"),), "environment variable MISSING, got none"),
        ((OperatorConfig(name="Eva", token_env="SHORT"),), "expected a token of 16 ASCII characters or more"),
        ((OperatorConfig(name="Eva", token_env="SPACED"),), "without spaces for 'Eva'"),
        ((EVA, OperatorConfig(name="Max", token_env="EVA")), "a token of their own each, got one twice"),
    ],
)
def test_tokens_that_will_not_do(operators: tuple[OperatorConfig, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        plan(operators=operators)
    assert not any(token in str(refused.value) for token in ENVIRON.values())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "console.example.org"])
def test_beyond_this_machine_it_takes_tokens_and_tls(host: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=f"expected `console.operators` with tokens to serve the console on {host}"
    ):
        plan(host=host)
    with pytest.raises(ConfigError, match=f"expected TLS .* to serve the console on {host}"):
        plan(host=host, operators=(EVA,))
    behind_a_proxy = plan(host=host, operators=(EVA,), insecure=True)
    assert (behind_a_proxy.settings.tls, behind_a_proxy.settings.open_metrics) == (None, False)
    server = ServerConfig(tls="self-signed", state_dir=tmp_path)
    with_tls = console_plan(
        Config(server=server, console=ConsoleConfig(host=host, operators=(EVA,))), ENVIRON
    )
    assert with_tls is not None
    assert with_tls.settings.tls is not None


def test_metrics_are_open_on_this_machine_alone() -> None:
    assert plan().settings.open_metrics
    assert not plan(public_url="https://console.example.org").settings.open_metrics


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_it_can_be_left_out() -> None:
    assert plan(enabled=False) is None
    config = with_console_options(ConsoleConfig(), port=None, enabled=False)
    assert console_plan(Config(console=config), ENVIRON) is None
    chosen = with_console_options(ConsoleConfig(port=1), port=9000, enabled=True)
    assert (chosen.port, chosen.enabled) == (9000, True)
    assert with_console_options(ConsoleConfig(port=1), port=None, enabled=True).port == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: Eva}", "expected one of `token_env` and `token_file`, got both or neither"),
        ("{name: Eva, token_env: A, token_file: b}", "got both or neither"),
        ("{name: Eva, token: secret}", "got `token`"),
        ("{name: Eva, token_env: A, standing: boss}", "expected one of viewer, operator, admin"),
        ('{name: "", token_env: A}', "a name of 1 to 64 characters"),
        ("{name: Eva, token_env: A}, {name: Eva, token_env: B}", "another 'Eva'"),
    ],
)
def test_files_that_will_not_do_are_refused_with_their_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        parse_config(f"console:\n  operators: [{text}]\n", name="x.yaml", folder=Path())
    assert "line 2" in str(refused.value)


@pytest.mark.parametrize("line", ["port: 70000", "port: -1", "max_consoles: 0", "host: 7"])
def test_numbers_out_of_range_are_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        parse_config(f"console:\n  {line}\n", name="x.yaml", folder=Path())
