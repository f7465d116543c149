"""What the documents show must work, and name everything there is."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from duplex_model.script import read_script
from interpreter.config import Config
from interpreter.config_file import parse_config

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/configuration.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def keys(section: Any) -> set[str]:
    """Names of a configuration dataclass and of everything below it."""
    hints = get_type_hints(section)
    below = [inner for hint in hints.values() for inner in (hint, *get_args(hint)) if is_dataclass(inner)]
    return {field.name for field in fields(section)}.union(*map(keys, below))


def test_the_example_configuration_loads_and_is_the_default() -> None:
    config = parse_config(block("yaml"), name="docs", folder=ROOT)
    assert config.server.ice_servers[0].credential_env == "TURN_PASSWORD"
    assert config.mixing == Config().mixing
    assert config.room == Config().room
    assert config.logging == Config().logging


def test_every_key_is_documented() -> None:
    missing = {key for key in keys(Config) if not re.search(rf"\b{key}\b", PAGE)}
    assert not missing


def test_the_example_script_loads() -> None:
    assert read_script(json.loads(block("json")), folder=ROOT)
