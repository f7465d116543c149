"""Scenario files as tests of pytest, in any project that has the package: `pytest my-scenarios/`.

    [tool.pytest.ini_options]
    scenario_thresholds = ["lag.start_offset.p50 <= 2.5", "facts.recall >= 0.9"]

Every `*.yaml` that says `schema: interp-scenario/1` is one test, marked with its tags: `-m "gate and not es-en"`.
Thresholds come from the file, then from the ini file, then from `--scenario-threshold`; the last one counts.

Whoever has no such file pays for reading the beginning of each `*.yaml` that pytest comes across, and for no import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from scenarios.scenario_file import Bounds, Scenario
    from scenarios.trial import Trials

SUFFIX = ".yaml"
_SCHEMA_LINE = re.compile(rb"^schema: *[\"']?interp-scenario/1\b", re.MULTILINE)
_BEGINNING_BYTES = 4096
_THRESHOLD = re.compile(r"\s*([a-z][a-z0-9_.]*)\s*(<=|>=)\s*(\S+)\s*")
_MEANT_OTHERWISE = frozenset({"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"})
"""Marks of pytest that do something; no tag is taken for one."""

_TRIALS: pytest.StashKey[Trials] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option and the line of the ini file."""
    words = "limit for a figure of every scenario, such as 'lag.start_offset.p50 <= 2.5'"
    parser.addini("scenario_thresholds", words, type="linelist")
    group = parser.getgroup("scenarios")
    group.addoption("--scenario-threshold", action="append", default=[], metavar="LIMIT", help=words)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """The collector of a scenario file; None for any other file."""
    if file_path.suffix != SUFFIX or not _is_scenario(file_path):
        return None
    return cast(pytest.File, ScenarioFile.from_parent(parent, path=file_path))


def _is_scenario(path: Path) -> bool:
    with path.open("rb") as file:
        return _SCHEMA_LINE.search(file.read(_BEGINNING_BYTES)) is not None


class ScenarioFile(pytest.File):
    """A scenario file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its one test."""
        from interpreter.errors import ConfigError
        from scenarios.schema import load_scenario

        try:
            scenario = load_scenario(self.path)
        except ConfigError as error:
            raise self.CollectError(str(error)) from error
        item = ScenarioItem.from_parent(self, name=scenario.id)
        item.scenario = scenario
        for tag in scenario.tags:
            if tag in _MEANT_OTHERWISE:
                item.extra_keyword_matches.add(tag)
                continue
            self.config.addinivalue_line("markers", f"{tag}: scenarios with this tag")
            item.add_marker(tag)
        if scenario.draft:
            item.add_marker(pytest.mark.skip(reason="a draft"))
        yield item


class ScenarioFailed(Exception):
    """Something was not as the scenario expects; the message says what, line by line."""


class ScenarioItem(pytest.Item):
    """A scenario, to be replayed in memory on the virtual clock."""

    scenario: Scenario

    def runtest(self) -> None:
        """Replays it.

        Raises:
            ScenarioFailed: something was not as expected, or the run says nothing.
        """
        limits = [*self.config.getini("scenario_thresholds"), *self.config.getoption("--scenario-threshold")]
        scenario = replace(
            self.scenario, thresholds={**self.scenario.thresholds, **thresholds_of(map(str, limits))}
        )
        outcome = self._trials().run(scenario, scored=bool(scenario.thresholds)).outcome
        if outcome.invalid:
            raise ScenarioFailed(f"the run says nothing: {outcome.invalid}")
        if outcome.wrong:
            raise ScenarioFailed("\n".join(outcome.wrong))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> Any:
        """What was wrong, in words, without a traceback."""
        if isinstance(excinfo.value, ScenarioFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """File, its first line, title."""
        return self.path, 0, f"{self.scenario.id}: {self.scenario.title}"

    def _trials(self) -> Trials:
        from scenarios.trial import Trials

        stash = self.config.stash
        if _TRIALS not in stash:
            stash[_TRIALS] = Trials()
        return stash[_TRIALS]


def thresholds_of(limits: Iterable[str]) -> Mapping[str, Bounds]:
    """The bounds that lines such as `facts.recall >= 0.9` set; two of one figure may set both of its bounds.

    Raises:
        pytest.UsageError: a line is no such limit, or two cannot be held at once.
    """
    from scenarios.scenario_file import Bounds

    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    try:
        for line in limits:
            match = _THRESHOLD.fullmatch(line)
            if match is None:
                raise ValueError(f"expected a limit such as 'facts.recall >= 0.9', got {line!r}")
            name, sign, value = match.groups()
            (lowest if sign == ">=" else highest)[name] = float(value)
        return {name: Bounds(min=lowest.get(name), max=highest.get(name)) for name in {**lowest, **highest}}
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
