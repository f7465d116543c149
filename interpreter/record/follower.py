"""Who follows a meeting as it goes on, such as the operator console."""

from __future__ import annotations

from collections.abc import Mapping

from duplex_model.contract import StepTiming
from interpreter.commands.commands import Actor
from interpreter.directions import Direction
from interpreter.floor.floor import Played
from interpreter.watches.watches import Checked
from webrtc.room import Levels


class Follower:
    """Is told at once, on the meeting's thread, and returns at once; this one does nothing with it.

    What it is told may be content; it keeps no more of it than the meeting's settings allow.
    """

    def began(self, first_tick: int) -> None:
        """The meeting begins: its media time is 0 at this tick."""

    def stepped(self, engine: str, timing: StepTiming) -> None:
        """A session of an engine answered a frame."""

    def levels(self, tick: int, levels: Levels) -> None:
        """How loud everybody was at a tick."""

    def heard(self, direction: Direction, tick: int, piece: str) -> None:
        """What somebody said was written down; `direction` is from their language into itself."""

    def played(self, direction: Direction, tick: int, played: Played) -> None:
        """What was said in a direction in the mix of a tick; called for every tick."""

    def lost(self, direction: Direction, tick: int, text: str) -> None:
        """What was to be said in a direction will not be."""

    def checked(self, checked: Checked, tick: int, *, mismatch: bool) -> None:
        """The guard or the glossary came to a result."""

    def happened(
        self,
        event: str,
        *,
        actor: Actor | None,
        participant_id: str | None,
        arguments: Mapping[str, str | float | bool],
    ) -> None:
        """Something that also stands in the audit log."""
