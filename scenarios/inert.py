"""Which faults make no difference to a run: the interpreter never comes to where it would do something wrong. Pure.

Two runs are the same up to the first moment at which the fault matters. So where the run without a fault has no such
moment, the run with it is that run, byte for byte, and need not be replayed.
"""

from __future__ import annotations

from collections.abc import Iterable

from interpreter.floor.floor import FloorEventKind
from interpreter.roles.role import Role
from interpreter.watches.requests import spoken_requests
from scenarios.faults import Fault
from scenarios.faulty import DEAF_TO
from scenarios.run_log import RunLog
from scenarios.scenario_file import CommandGiven, Drop, Item, Joins, NoiseMade, Said, SayKind, Scenario


def is_inert(fault: Fault, scenario: Scenario, role: Role, perfect: RunLog) -> bool:
    """Whether a run with this fault would be the run without one. Where that cannot be told, it would not.

    Args:
        fault: of behaviour, or the one whose words the scenario spells.
        scenario: what is replayed.
        role: its interpreter's, without the fault.
        perfect: the run without a fault, on the virtual clock.
    """
    match fault:
        case Fault.NEVER_YIELDS:
            return not _happened(perfect, FloorEventKind.DUCKED)
        case Fault.RESUMES_NEVER:
            return not _happened(perfect, FloorEventKind.CUT)
        case Fault.TALKS_OVER:
            return role.mode == "simultaneous"
        case Fault.DRIFTS:
            return len(perfect.utterances) < 2
        case Fault.LOSES_OVERLAP:
            return not _overlap(perfect)
        case Fault.LOST_AFTER_DROP:
            return not _has(scenario, Drop)
        case Fault.JOINER_NOT_TOLD:
            return not _has(scenario, Joins, Drop)
        case Fault.NO_REMINDER:
            every_min = role.policies.reminder_min
            return every_min is None or 60.0 * every_min > perfect.duration_s
        case Fault.NO_CLOSING:
            return not (_has(scenario, CommandGiven) or _asks_by_voice(scenario))
        case Fault.YIELDS_TO_BACKCHANNEL:
            return not _backchannels(scenario)
        case Fault.SPEAKS_TO_NOISE:
            return not _makes_noises(scenario)
        case Fault.OBEYS_ANYBODY:
            return not _has(scenario, CommandGiven)
        case Fault.IGNORES_HUMAN | Fault.IGNORES_STOP:  # who does not hear one request hears none
            return not (_commands(scenario) & DEAF_TO[fault] or _asks_by_voice(scenario))
    return fault in DEAF_TO and not _commands(scenario) & DEAF_TO[fault]


def _happened(run: RunLog, kind: FloorEventKind) -> bool:
    return run.floor is None or any(moment.kind is kind for moment in run.floor)


def _overlap(run: RunLog) -> bool:
    """Whether anybody begins to speak while somebody else does."""
    return any(
        one.speaker_id != other.speaker_id and one.span.start_s <= other.span.start_s < one.span.end_s
        for one in run.utterances
        for other in run.utterances
    )


def _has(scenario: Scenario, *kinds: type) -> bool:
    return any(isinstance(item.action, kinds) for item in scenario.items)


def _makes_noises(scenario: Scenario) -> bool:
    """Whether a microphone picks up anything but words that are to be rendered."""
    people = scenario.participants.values()
    return (
        _has(scenario, NoiseMade)
        or any(person.room is not None or person.recording is not None for person in people)
        or _backchannels(scenario)
    )


def _backchannels(scenario: Scenario) -> bool:
    return any(said.kind is SayKind.BACKCHANNEL for _, said in _said(scenario))


def _commands(scenario: Scenario) -> frozenset[str]:
    given = (item.action for item in scenario.items)
    return frozenset(one.line.split()[0] for one in given if isinstance(one, CommandGiven))


def _asks_by_voice(scenario: Scenario) -> bool:
    """Whether anything that anybody says, or that is said for them, might be a request to the interpreter."""
    texts: dict[str, list[str]] = {}
    for _, said in _said(scenario):
        for language, text in said.texts.items():
            texts.setdefault(language, []).append(text)
    return any(spoken_requests(" ".join(said), language) for language, said in texts.items())


def _said(scenario: Scenario) -> Iterable[tuple[Item, Said]]:
    return ((item, item.action) for item in scenario.items if isinstance(item.action, Said))
