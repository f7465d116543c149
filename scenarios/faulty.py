"""How an interpreter comes to have a fault that no engine has: by its role, by its ears, by its loudspeaker. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from interpreter.roles.role import SAY_WHAT_IS_STORED, Role, ScriptId
from scenarios.faults import Fault
from webrtc.room import Pcm

DEAF_TO: Mapping[Fault, frozenset[str]] = {
    Fault.IGNORES_HUMAN: frozenset({"human", "handover"}),
    Fault.IGNORES_OPTOUT: frozenset({"optout"}),
    Fault.IGNORES_STOP: frozenset({"stop"}),
    Fault.IGNORES_PAUSE: frozenset({"pause"}),
    Fault.IGNORES_HOLD: frozenset({"hold"}),
    Fault.IGNORES_MUTE: frozenset({"mute"}),
    Fault.IGNORES_MODE: frozenset({"mode"}),
}
"""Fault -> commands that are taken and not carried out."""

_UNSAID: Mapping[Fault, frozenset[ScriptId]] = {
    Fault.NO_DISCLOSURE: frozenset({"opening", "opening_emergency", "late_joiner"}),
    Fault.JOINER_NOT_TOLD: frozenset({"late_joiner"}),
    Fault.NO_REMINDER: frozenset({"reminder"}),
    Fault.NO_CLOSING: frozenset({"closing"}),
}
"""Fault -> scripts that are never said."""


def is_deaf_to(fault: Fault | None, command: str) -> bool:
    """Whether an interpreter with this fault does nothing at a command."""
    return fault is not None and command in DEAF_TO.get(fault, ())


def faulty_role(role: Role, fault: Fault | None) -> Role:
    """The role as an interpreter with this fault has it."""
    match fault:
        case Fault.NEVER_YIELDS:
            return replace(role, policies=replace(role.policies, yields=False))
        case Fault.RESUMES_NEVER:
            return replace(role, policies=replace(role.policies, after_interruption="drop"))
        case Fault.TALKS_OVER:
            return replace(role, mode="simultaneous")
        case Fault.ONE_SIDE_TOLD:
            silent = {script_id: _unsaid(script_id) for script_id in role.scripts["es"]}
            return replace(role, scripts={**role.scripts, "es": silent})
    unsaid = _UNSAID.get(fault, frozenset()) if fault is not None else frozenset()
    if not unsaid:
        return role
    return replace(
        role,
        scripts={
            language: {one: _unsaid(one) if one in unsaid else said for one, said in scripts.items()}
            for language, scripts in role.scripts.items()
        },
    )


def _unsaid(script_id: ScriptId) -> tuple[str, ...]:
    """What is left of a script that is not said: no role may leave out what is kept."""
    return ("{stored}",) if script_id in SAY_WHAT_IS_STORED else ()


def warp_of(
    fault: Fault | None, own_rendering: Callable[[str], Pcm | None]
) -> Callable[[str, int, Pcm], Pcm]:
    """What becomes of a frame on its way to a listener.

    Args:
        fault: of the interpreter.
        own_rendering: gives what is being said for somebody just now.
    """

    def warp(who: str, tick: int, pcm: Pcm) -> Pcm:
        if fault is Fault.CLIPS:
            return np.asarray(np.clip(40.0 * pcm, -1.0, 1.0), dtype=np.float32)
        if fault is Fault.ECHO_BACK:
            own = own_rendering(who)
            return pcm if own is None else np.asarray(pcm + own, dtype=np.float32)
        return pcm

    return warp
