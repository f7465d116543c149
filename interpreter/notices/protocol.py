"""What the interpreter must say of itself, when, and to whom. Pure.

    first direction served    opening to everybody, in their language; then what the role announces
    somebody comes later      late_joiner to them
    every half an hour        reminder to everybody
    end                       closing to everybody
    not understood            ask_repeat to the speaker, listener_told to those who wait
    too much waits            ask_pause to the speaker
    a host's word             paused, resumed, human_requested, captions_only, ...

Everybody is told in their own language, both sides of whatever the interpreter says as itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Literal

from interpreter.directions import Direction
from interpreter.roles.role import Role, ScriptId

ASK_AGAIN_S = 10.0
"""A speaker is not asked to repeat more often, whatever happens in all the directions they are rendered in."""


_AT_ANY_TIME: tuple[ScriptId, ...] = (
    "ask_repeat",
    "listener_told",
    "ask_pause",
    "please_wait",
    "human_requested",
    "paused",
    "resumed",
    "captions_only",
    "reminder",
)


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings:
    """What a role says of its own notices."""

    opening: ScriptId = "opening"
    announces: bool = False
    """The script `announcement` follows the opening."""

    closing: bool = True
    reminder_s: float | None = 1_800.0
    """From one reminder to the next; None for none."""

    on_unsure: Literal["ask", "tell", "ignore"] = "ask"
    ask_pause_every_s: float = 30.0
    """Least time between two requests to pause of one speaker."""


@dataclass(frozen=True)
class Announcement:
    """One script to be said to some people."""

    script: ScriptId
    listeners: frozenset[str]
    polite: bool = False
    """It waits until they do not speak; otherwise it begins at once."""


class Protocol:
    """The meeting's notices, from its first direction to its end."""

    def __init__(self, settings: ProtocolSettings) -> None:
        self._settings = settings
        self._opened = False
        self._told: set[str] = set()  # who heard an opening
        self._reminded_s = inf
        self._asked_repeat_s: dict[str, float] = {}
        self._asked_pause_s: dict[str, float] = {}
        self._closed = False

    @property
    def opened(self) -> bool:
        """Whether the opening was said."""
        return self._opened

    def follow(self, settings: ProtocolSettings) -> None:
        """Another role speaks; one that announces itself does so again."""
        self._settings = settings

    def advance(self, people: Collection[str], *, interpreting: bool, now_s: float) -> list[Announcement]:
        """What is due.

        Args:
            people: everybody who is in the meeting now.
            interpreting: something is being interpreted, or is about to be.
            now_s: monotonic time.
        """
        if self._closed:
            return []
        self._told &= set(people)
        if not self._opened:
            if not interpreting:
                return []
            self._opened = True
            self._reminded_s = now_s
            self._told = set(people)
            return self._opening(self._settings.opening, people)
        late = frozenset(people) - self._told
        self._told |= late
        due = self._opening("late_joiner", late) if late else []
        every_s = self._settings.reminder_s
        if every_s is not None and now_s - self._reminded_s >= every_s:
            self._reminded_s = now_s
            due.append(Announcement("reminder", frozenset(people) - late, polite=True))
        return [announcement for announcement in due if announcement.listeners]

    def unsure(self, direction: Direction, listeners: Collection[str], now_s: float) -> list[Announcement]:
        """The interpreter did not understand the speaker of `direction`."""
        policy = self._settings.on_unsure
        if policy == "ignore" or not self._may(
            self._asked_repeat_s, direction.speaker_id, ASK_AGAIN_S, now_s
        ):
            return []
        told = Announcement("listener_told", frozenset(listeners), polite=True)
        if policy == "tell":
            return [told]
        return [self.ask_repeat(direction.speaker_id), told]

    def mismatch(self, direction: Direction, listeners: Collection[str], now_s: float) -> list[Announcement]:
        """A critical fact of the rendering in `direction` is not the one that was heard."""
        if not self._may(self._asked_repeat_s, direction.speaker_id, ASK_AGAIN_S, now_s):
            return []
        return [
            self.ask_repeat(direction.speaker_id),
            Announcement("listener_told", frozenset(listeners), polite=True),
        ]

    def ask_repeat(self, speaker_id: str) -> Announcement:
        """Somebody is to repeat what they said."""
        return Announcement("ask_repeat", frozenset({speaker_id}), polite=True)

    def pause_wanted(self, speaker_id: str, listeners: Collection[str], now_s: float) -> list[Announcement]:
        """So much of what somebody said waits that they should pause."""
        if not self._may(self._asked_pause_s, speaker_id, self._settings.ask_pause_every_s, now_s):
            return []
        return [
            Announcement(
                "ask_pause", frozenset({speaker_id})
            ),  # they are speaking: it cannot wait for an end
            Announcement("please_wait", frozenset(listeners), polite=True),
        ]

    def close(self, people: Collection[str]) -> list[Announcement]:
        """The interpretation ends: the last notice, if there was a first."""
        closing = self._opened and not self._closed and self._settings.closing
        self._closed = True
        return [Announcement("closing", frozenset(people))] if closing and people else []

    def _opening(self, script: ScriptId, people: Collection[str]) -> list[Announcement]:
        listeners = frozenset(people)
        announcements = [Announcement(script, listeners)]
        if self._settings.announces:
            announcements.append(Announcement("announcement", listeners))
        return announcements

    def _may(self, last_s: dict[str, float], who: str, every_s: float, now_s: float) -> bool:
        if now_s - last_s.get(who, -inf) < every_s:
            return False
        last_s[who] = now_s
        return True


def spoken_scripts(role: Role) -> list[ScriptId]:
    """What is said to everybody under `role`, sooner or later: what comes first, then what may have to come at once."""
    scripts: list[ScriptId] = [role.disclosure.opening]
    if role.policies.announce:
        scripts.append("announcement")
    scripts.append("late_joiner")
    if role.disclosure.closing:
        scripts.append("closing")
    return [*scripts, *_AT_ANY_TIME]


def protocol_settings(role: Role) -> ProtocolSettings:
    """What `role` says of its notices."""
    policies = role.policies
    return ProtocolSettings(
        opening=role.disclosure.opening,
        announces=policies.announce,
        closing=role.disclosure.closing,
        reminder_s=None if policies.reminder_min is None else 60.0 * policies.reminder_min,
        on_unsure=policies.on_unsure,
        ask_pause_every_s=policies.pause_request_min_interval_s,
    )
