"""Reads scenario files; whatever is wrong with one is said with its line.

Usage:
scenario = load_scenario(Path("scenarios/doctor_patient/dose-en-es.yaml"))
scenarios = load_scenarios([Path("scenarios/doctor_patient")])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from interpreter.errors import ConfigError
from interpreter.yaml_file import parse_yaml, read_yaml
from scenarios import scenario_checks
from scenarios.scenario_file import Scenario

SUFFIX = ".yaml"

PACKAGED = Path(__file__).parent / "doctor_patient"
"""Folder of the scenarios that come with the package."""


def load_scenario(path: Path) -> Scenario:
    """The scenario in the file at `path`; paths in it are relative to its folder.

    Raises:
        ConfigError: names the file, the line, what was expected and what came.
    """
    scenario = read_yaml(path, Scenario)
    _check(scenario, path, path.read_text(encoding="utf-8"))
    return scenario


def parse_scenario(text: str, *, name: str, folder: Path) -> Scenario:
    """The scenario that `text` spells.

    Args:
        text: YAML.
        name: of the file, for messages.
        folder: what paths are relative to.

    Raises:
        ConfigError: see `load_scenario`.
    """
    scenario = parse_yaml(text, Scenario, name=name, folder=folder)
    _check(scenario, name, text)
    return scenario


def load_scenarios(paths: Sequence[Path]) -> tuple[Scenario, ...]:
    """The scenarios of files and of every `*.yaml` in folders and below, in the order of `paths`, then of names.

    Raises:
        ConfigError: a file cannot be used, an id is taken twice, or there is no scenario at all.
    """
    scenarios: dict[str, Scenario] = {}
    files: dict[str, Path] = {}
    for file in dict.fromkeys(file for path in paths for file in _files(path)):
        scenario = load_scenario(file)
        if scenario.id in scenarios:
            raise ConfigError(
                f"{file}: expected an id of its own, got {scenario.id}, as in {files[scenario.id]}"
            )
        scenarios[scenario.id] = scenario
        files[scenario.id] = file
    if not scenarios:
        raise ConfigError(
            f"expected scenarios (*{SUFFIX}) in {', '.join(map(str, paths)) or 'no path'}, got none"
        )
    return tuple(scenarios.values())


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(path.rglob(f"*{SUFFIX}"))
    else:
        yield path


def _check(scenario: Scenario, name: Path | str, text: str) -> None:
    problem = next(scenario_checks.problems(scenario), None)
    if problem is not None:
        raise ConfigError(f"{name}, line {_line(text, problem.path)}: {problem.words}")


def _line(text: str, path: scenario_checks.Path) -> int:
    """The line of the place, or of the nearest one around it that the file has."""
    line = 1
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in path:
        below = _below(node, step)
        if below is None:
            break
        line, node = below
    return line


def _below(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    """Line and node of what stands at a key or an index."""
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if key.value == step:
                return key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        child = node.value[step]
        return child.start_mark.line + 1, child
    return None
