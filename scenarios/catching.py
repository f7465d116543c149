"""What a scenario has to expect, so that it can catch its fault. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scenarios.faults import Fault
from scenarios.scenario_file import (
    CommandGiven,
    Drop,
    Expectation,
    Item,
    Joins,
    NoiseMade,
    Said,
    Scenario,
)

Has = Callable[[Scenario], bool]


def missing(scenario: Scenario) -> str | None:
    """What the scenario lacks that would catch its fault, in words; None where it lacks nothing."""
    if scenario.catches is None:
        return "`catches`"
    if scenario.catches.is_of_words:
        given = any(item.faulty for item in scenario.timeline)
        return None if given else f"`faulty` beside an utterance, as {scenario.catches.value} is of words"
    words, has = NEEDED[scenario.catches]
    return None if has(scenario) else f"{words}, which catches {scenario.catches.value}"


def _expects(test: Callable[[Expectation], object]) -> Has:
    return lambda scenario: any(test(one) for one in scenario.expect)


def _of(kind: type, test: Callable[[Expectation], object]) -> Has:
    """An expectation of an item at which something of this kind happens."""
    return lambda scenario: any(
        test(one) and isinstance(scenario.item(one.of).action, kind) for one in scenario.expect
    )


def _command(name: str, test: Callable[[Expectation], object]) -> Has:
    """The command, and an expectation."""

    def given(item: Item) -> bool:
        action = item.action
        return isinstance(action, CommandGiven) and action.line.split()[0] == name

    return lambda scenario: any(map(given, scenario.timeline)) and any(test(one) for one in scenario.expect)


def _after(kind: type, test: Callable[[Expectation], object]) -> Has:
    """Something of this kind in the timeline, and an expectation."""
    return lambda scenario: (
        any(isinstance(item.action, kind) for item in scenario.items)
        and any(test(one) for one in scenario.expect)
    )


def _rendered(one: Expectation) -> bool:
    return one.begin_within is not None


def _silent(one: Expectation) -> bool:
    return one.silence is not None


def _announced(*scripts: str) -> Callable[[Expectation], bool]:
    return lambda one: one.announcement is not None and one.announcement.script in scripts


def _both_speak(scenario: Scenario) -> bool:
    """Whether two people are waited for who say something."""
    speakers = {
        scenario.item(one.of).by
        for one in scenario.expect
        if one.checks_words and isinstance(scenario.item(one.of).action, Said)
    }
    return len(speakers) > 1


NEEDED: Mapping[Fault, tuple[str, Has]] = {
    Fault.SILENT: ("`begin_within`", _expects(_rendered)),
    Fault.LATE: ("`begin_within`", _expects(_rendered)),
    Fault.DRIFTS: (
        "three utterances with `end_within`",
        lambda scenario: sum(one.end_within is not None for one in scenario.expect) >= 3,
    ),
    Fault.TALKS_OVER: ("`not_before: end`", _expects(lambda one: one.not_before == "end")),
    Fault.NEVER_YIELDS: ("`yields`", _expects(lambda one: one.yields)),
    Fault.YIELDS_TO_BACKCHANNEL: ("`ignored_backchannel`", _expects(lambda one: one.ignored_backchannel)),
    Fault.RESUMES_NEVER: ("`resumes_within`", _expects(lambda one: one.resumes_within)),
    Fault.SPEAKS_TO_NOISE: ("`silence` of a noise", _of(NoiseMade, _silent)),
    Fault.ECHO_BACK: (
        "`nobody_hears_own_language`",
        lambda scenario: scenario.invariants.nobody_hears_own_language,
    ),
    Fault.LOSES_OVERLAP: ("facts or words of two speakers", _both_speak),
    Fault.LOST_AFTER_DROP: ("`drop`, and `begin_within` of what is said later", _after(Drop, _rendered)),
    Fault.CLIPS: ("`no_clipping`", lambda scenario: scenario.invariants.no_clipping),
    Fault.NO_DISCLOSURE: ("`disclosure`", lambda scenario: scenario.invariants.disclosure is not None),
    Fault.ONE_SIDE_TOLD: ("`both_sides_told`", lambda scenario: scenario.invariants.both_sides_told),
    Fault.JOINER_NOT_TOLD: (
        "`announcement` of late_joiner to somebody who joins",
        _of(Joins, _announced("late_joiner")),
    ),
    Fault.NO_REMINDER: (
        "`reminded_every`",
        lambda scenario: scenario.invariants.reminded_every is not None,
    ),
    Fault.NO_CLOSING: ("the command close, and its announcement", _command("close", _announced("closing"))),
    Fault.IGNORES_HUMAN: ("`human_asked`", _expects(lambda one: one.human_asked)),
    Fault.IGNORES_OPTOUT: ("the command optout, and `silence`", _command("optout", _silent)),
    Fault.IGNORES_STOP: ("the command stop, and `silence`", _command("stop", _silent)),
    Fault.IGNORES_PAUSE: ("the command pause, and `silence`", _command("pause", _silent)),
    Fault.IGNORES_HOLD: ("the command hold, and `silence`", _command("hold", _silent)),
    Fault.IGNORES_MUTE: ("the command mute, and `silence`", _command("mute", _silent)),
    Fault.IGNORES_MODE: (
        "the command mode, and `not_before: end` or `captions_only`",
        _command("mode", lambda one: one.not_before == "end" or one.captions_only),
    ),
    Fault.OBEYS_ANYBODY: ("`refused`", _of(CommandGiven, lambda one: one.refused)),
}
"""Fault -> what is needed, and whether it is there."""
