"""How a meeting is to be held, and what holds where nobody chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.mixing.cushion import CushionSettings
from interpreter.mixing.mixing import Ducking
from interpreter.record.record import RecordSettings
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.library import load_library

DEFAULT_ROLE = "meeting-simultaneous"
"""Of a meeting for which nobody chose."""


def default_interpretation() -> InterpretationSettings:
    """That of a meeting for which nobody chose."""
    library = load_library()
    return InterpretationSettings(roles=RoleAssignment(default=library.find(DEFAULT_ROLE)), library=library)


@dataclass(frozen=True, kw_only=True)
class MeetingSettings:
    """How a meeting sounds."""

    seed: int = 0
    """Every session's seed is derived from it."""

    ducking: Ducking = field(default_factory=Ducking)
    """The depth is the role's, unless a host asks for another."""

    cushion: CushionSettings = field(default_factory=CushionSettings)
    interpretation: InterpretationSettings = field(default_factory=default_interpretation)
    record: RecordSettings = field(default_factory=RecordSettings)
    cancel_echo: bool = True
    """Take what people were sent out of what their microphones give back."""

    notice_sounds: Path | None = None
    """Where the sound of spoken notices is kept between meetings; None for nowhere."""

    untested_say: bool = False
    """Let a checkpoint speak notices that was not trained to say given texts."""
