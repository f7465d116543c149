"""What the documents show must work, and name everything there is."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from duplex_model.contract import TickGrid
from duplex_model.errors import CheckpointError
from duplex_model.script import read_script
from duplex_model.spec import EngineSpec, build_engine
from interpreter.__main__ import parser_with
from interpreter.config.config import Config, MeetingConfig, with_options
from interpreter.config.file import parse_config
from interpreter.roles.library import load_library

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/configuration.md").read_text()
OPERATORS = (ROOT / "docs/operators.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def keys(section: Any) -> set[str]:
    """Names of a configuration dataclass and of everything below it."""
    hints = get_type_hints(section)
    below = [inner for hint in hints.values() for inner in (hint, *get_args(hint)) if is_dataclass(inner)]
    return {field.name for field in fields(section)}.union(*map(keys, below))


def test_the_example_configuration_loads_and_is_the_default() -> None:
    config = parse_config(blocks("yaml")[0], name="docs", folder=ROOT)
    assert config.server.ice_servers[0].credential_env == "TURN_PASSWORD"
    assert config.mixing == Config().mixing
    assert config.room == Config().room
    assert config.meeting == Config().meeting
    assert config.engines == Config().engines
    assert config.logging == Config().logging
    assert replace(config.server, ice_servers=()) == Config().server


def test_what_the_example_only_shows_can_be_set() -> None:
    example = re.sub(r"^( *)# (\w+:)", r"\1\2", blocks("yaml")[0], flags=re.MULTILINE)
    config = parse_config(example, name="docs", folder=ROOT)
    assert config.mixing.duck_db == load_library().find(config.meeting.role).policies.duck_db
    unset = {
        f"{section.name}.{field.name}"
        for section in fields(config)
        if is_dataclass(part := getattr(config, section.name))
        for field in fields(part)
        if getattr(part, field.name) is None
    }
    assert unset == {"meeting.identity_key_env"}, "which excludes the file"


def test_the_operators_example_and_command_line_say_the_same() -> None:
    [example] = re.findall(r"```yaml\n(meeting:.*?)```", OPERATORS, re.DOTALL)
    from_file = parse_config(example, name="docs", folder=Path()).meeting
    [command] = re.findall(r"^    (interpreter run (?:.*\\\n)*.*)", OPERATORS, re.MULTILINE)
    arguments = parser_with([]).parse_args(shlex.split(command.replace("\\\n", " "))[1:])
    from_options = with_options(
        MeetingConfig(operator=from_file.operator),
        roles=arguments.role,
        languages=arguments.language,
        keep=arguments.keep,
        folder=arguments.folder,
    )
    assert from_options == from_file


def test_the_example_of_several_engines_loads() -> None:
    config = parse_config(blocks("yaml")[1], name="docs", folder=ROOT)
    assert list(config.all_engines) == ["engine", "french"]
    assert [engine.kind for engine in config.all_engines.values()] == ["neural", "neural"]


def test_every_key_is_documented() -> None:
    missing = {key for key in keys(Config) if not re.search(rf"\b{key}\b", PAGE)}
    assert not missing


def test_the_example_model_has_options_that_exist() -> None:
    engine = parse_config(blocks("yaml")[2], name="docs", folder=ROOT).engine
    assert engine.kind == "neural"
    nowhere = {
        "checkpoint": "personaplex-7b=/no/such/folder",
        "device": "cpu",
    }  # options are read before files
    spec = EngineSpec(kind="neural", options={**engine.options, **nowhere})
    with pytest.raises(CheckpointError, match="expected a folder"):
        build_engine(spec, grid=TickGrid(origin_s=0.0), report=lambda fraction, text: None)


def test_the_example_script_loads() -> None:
    assert read_script(json.loads(blocks("json")[0]), folder=ROOT)


def test_links_lead_to_files_that_are_there() -> None:
    folders = ("docs", "duplex_model", "webrtc", "interpreter", "scenarios", "deploy")
    pages = [*ROOT.glob("*.md"), *(page for folder in folders for page in (ROOT / folder).rglob("*.md"))]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())]
    inner = [(page, link) for page, link in links if not link.startswith(("http:", "https:"))]
    assert len(inner) > 50
    assert [(page.name, link) for page, link in inner if not (page.parent / link).exists()] == []
