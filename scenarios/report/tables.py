"""The tables of a report, as HTML: what was expected, and the figures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from html import escape
from itertools import zip_longest

from scenarios.outcome import Outcome
from scenarios.scenario_file import Bounds, CommandGiven, Expectation, Item, NoiseMade, Said, Scenario
from scenarios.scores.score import Score

SHARE = "share"
COUNT = "count"


def table(label: str, heads: Sequence[tuple[str, bool]], rows: Iterable[str]) -> str:
    """A table that scrolls by itself where it is too wide.

    Args:
        label: what is in it, for who cannot see it.
        heads: words over each column, and whether figures stand in it.
        rows: HTML.
    """
    head = "".join(
        f'<th scope="col"{" class=number" if number else ""}>{escape(words)}</th>' for words, number in heads
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label, quote=True)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


# What was expected --------------------------------------------------------------------------------------------------


def verdict_table(scenario: Scenario, outcome: Outcome) -> str:
    """Every expectation with what it is of, and what came of it; then the invariants and thresholds."""
    rows = []
    for one, expectation in zip_longest(outcome.verdicts, scenario.expect[: len(outcome.verdicts)]):
        what, wanted = "", ""
        if expectation is not None:
            what, wanted = _of(scenario, scenario.item(expectation.of)), wanted_of(expectation)
        state, words = ("passed", "as expected") if one.passed else ("failed", "not so")
        rows.append(
            f"<tr><td>{escape(one.name)}</td><td>{escape(what)}</td><td>{escape(wanted)}</td>"
            f'<td class="{state}">{words}</td><td>{"<br>".join(escape(wrong) for wrong in one.wrong)}</td></tr>'
        )
    heads = [(words, False) for words in ("Of", "What it is", "Expected", "Result", "Why")]
    return table("Expectations", heads, rows)


def wanted_of(expectation: Expectation) -> str:
    """An expectation as its file says it, on one line."""
    said = (
        _plainly(one.name, getattr(expectation, one.name))
        for one in fields(expectation)
        if one.name != "of" and (one.default is MISSING or getattr(expectation, one.name) != one.default)
    )
    return "; ".join(said)


def _plainly(name: str, value: object) -> str:
    words = name.replace("_", " ")
    return words if value is True else f"{words} {_spelt(value)}"


def _spelt(value: object) -> str:
    """A value of a file, nearly as it is written there."""
    if isinstance(value, tuple):
        return ", ".join(map(_spelt, value))
    if is_dataclass(value):
        parts = [(one.name, getattr(value, one.name)) for one in fields(value)]
        if [name for name, _ in parts] == ["s"]:
            return f"{parts[0][1]:g} s"
        return " ".join(
            f"{name.replace('_', ' ')} {_spelt(part)}" if is_dataclass(part) else _spelt(part)
            for name, part in parts
            if part is not None
        )
    return str(value.value if isinstance(value, Enum) else value)


def _of(scenario: Scenario, item: Item) -> str:
    """What somebody said or did, in words."""
    match item.action:
        case Said() as said:
            spoken = scenario.participants[item.by or ""].primary_language
            return f"{item.by}: {said.texts[spoken]}"
        case CommandGiven() as given:
            return f"{item.by}: !interp {given.line}"
        case NoiseMade() as noise:
            return f"{item.by}: {noise.sound.value}"
    return item.by or ""


# Figures ------------------------------------------------------------------------------------------------------------


def score_table(
    scores: Sequence[Score], before: Mapping[str, Score], thresholds: Mapping[str, Bounds] | None = None
) -> str:
    """Figures with their intervals, limits and predecessors, as far as there are any.

    Args:
        scores: in order.
        before: those of an earlier run, by name.
        thresholds: between which figures must lie, by name.
    """
    limits = thresholds or {}
    heads = [("Figure", False), ("Value", True), ("95 % interval", True), ("n", True)]
    heads += [("Limits", True)] * bool(limits) + [("Before", True)] * bool(before) + [("Note", False)]
    rows = []
    for one in scores:
        cells = [_figure(one.value, one.unit), _between(one.low, one.high, one.unit), str(one.n)]
        if limits:
            bounds = limits.get(one.name)
            cells.append("" if bounds is None else _between(bounds.min, bounds.max, one.unit))
        if before:
            earlier = before.get(one.name)
            cells.append("" if earlier is None else _figure(earlier.value, earlier.unit))
        figures = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        empty = ' class="soft"' if one.value is None else ""
        rows.append(
            f'<tr{empty}><td>{escape(one.name)}</td>{figures}<td class="note">{escape(one.note)}</td></tr>'
        )
    return table("Figures", heads, rows)


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == SHARE:
        return f"{_number(100 * value)} %"
    return _number(value) if unit == COUNT else f"{_number(value)} {escape(unit)}"


def _between(low: float | None, high: float | None, unit: str) -> str:
    """An interval, or one end of it."""
    ends = [None if end is None else _number(100 * end if unit == SHARE else end) for end in (low, high)]
    match ends:
        case [None, None]:
            return ""
        case [None, most]:
            return f"at most {most}"
        case [least, None]:
            return f"at least {least}"
    return f"{ends[0]} to {ends[1]}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
