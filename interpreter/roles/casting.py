"""Who interprets what: the role, voice, mode and engine of every direction. Pure.

Hosts and operators choose; a direction takes what was chosen for its speaker, else what was chosen for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from duplex_model.contract import Capabilities, Prompt
from interpreter.channels import Channel
from interpreter.directions import Direction
from interpreter.floor.floor import AfterInterruption, FloorMode, FloorSettings
from interpreter.floor.floors import FloorPolicy
from interpreter.floor.own_backchannels import BackchannelSettings
from interpreter.roles.checksum import role_checksum
from interpreter.roles.role import Role, RoleMode
from interpreter.sessions.sessions import Plan


@dataclass(frozen=True, kw_only=True)
class Cast:
    """What was chosen."""

    role: Role
    """Interprets everybody for whom no other was chosen."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    """Participant id -> the role that interprets what they say."""

    voice: str = ""
    """Voice of everybody for whom no other was chosen; empty for the role's, or one of the checkpoint's own each."""

    voices: Mapping[str, str] = field(default_factory=dict)
    """Participant id -> the voice that renders what they say."""

    channels: Sequence[Channel] = ()
    """Where everybody hears everything, each language has a voice of its own, whoever speaks."""

    mode: RoleMode | None = None
    """Instead of the roles' own."""

    def role_for(self, speaker_id: str) -> Role:
        """The role that interprets what somebody says."""
        return self.roles.get(speaker_id, self.role)

    def mode_for(self, speaker_id: str) -> FloorMode:
        """How what they say is rendered."""
        return FloorMode(self.mode or self.role_for(speaker_id).mode)

    def voice_for(self, speaker_id: str, language: str, place: int, can: Capabilities) -> str:
        """The voice that renders what they say; empty where the checkpoint has no choice.

        Args:
            speaker_id: who speaks.
            language: into which.
            place: their number in the meeting, so that people sound different where nobody has chosen.
            can: of the checkpoint.
        """
        if not can.voice_prompt:
            return ""
        numbered = {one.language: (number, one.voice) for number, one in enumerate(self.channels)}
        place, own = numbered.get(language, (place, ""))
        own = own if own in can.voices else ""
        chosen = self.voices.get(speaker_id) or self.voice or own or self.role_for(speaker_id).voice
        names = sorted(can.voices)
        return chosen or (names[place % len(names)] if names else "")


def serving_engine(direction: Direction, engines: Mapping[str, Capabilities]) -> str | None:
    """Name of the engine that serves a direction: the first that translates it, else the first that takes it at all.

    None when there is none, and the direction must be refused in words.
    """
    able = [
        name for name, can in engines.items() if can.serves(direction.language_in, direction.language_out)
    ]
    return next((name for name in able if engines[name].translates), next(iter(able), None))


def transcribing_engine(language: str, engines: Mapping[str, Capabilities]) -> str | None:
    """Name of the first engine that can write down what is said in a language; None when there is none."""
    return next((name for name, can in engines.items() if language in can.transcribes), None)


def plans_for(
    cast: Cast,
    directions: Iterable[Direction],
    engines: Mapping[str, Capabilities],
    places: Mapping[str, int],
) -> dict[Direction, Plan]:
    """What serves each direction that can be served, in the order given."""
    plans: dict[Direction, Plan] = {}
    for direction in directions:
        name = serving_engine(direction, engines)
        if name is None:
            continue
        can = engines[name]
        speaker = direction.speaker_id
        voice = cast.voice_for(speaker, direction.language_out, places.get(speaker, 0), can)
        prompt = cast.role_for(speaker).session_prompt(
            can, direction.language_in, direction.language_out, voice=voice or None
        )
        plans[direction] = Plan(engine=name, prompt=prompt)
    return plans


def transcription_plans(
    speakers: Mapping[str, str],
    wanted: Collection[Direction],
    plans: Mapping[Direction, Plan],
    engines: Mapping[str, Capabilities],
    *,
    spare: int,
) -> dict[Direction, Plan]:
    """Lanes that write down what speakers say, as many as there is room for.

    Args:
        speakers: participant id -> primary language of those whose words are of use; nobody else is written down.
        wanted: directions; only their speakers are written down.
        plans: of the sessions that come first.
        engines: all of them.
        spare: lanes of each engine that must stay free.
    """
    left = {name: can.lanes - spare for name, can in engines.items()}
    for plan in plans.values():
        left[plan.engine] -= 1
    written: dict[Direction, Plan] = {}
    for speaker_id in sorted({direction.speaker_id for direction in wanted} & speakers.keys()):
        language = speakers[speaker_id]
        name = transcribing_engine(language, engines)
        if name is not None and left[name] > 0:
            left[name] -= 1
            prompt = Prompt(language_in=language, language_out=language, mode="transcription")
            written[Direction(speaker_id, language, language)] = Plan(engine=name, prompt=prompt)
    return written


def floor_policy(role: Role, mode: FloorMode) -> FloorPolicy:
    """How the floor treats what is said in a role."""
    policies = role.policies
    return FloorPolicy(
        mode=mode,
        settings=FloorSettings(
            yields=policies.yields,
            yield_duck_db=policies.yield_duck_db,
            commit_s=policies.yield_commit_s,
            turn_pause_s=policies.consecutive_pause_s,
            after_interruption=AfterInterruption(policies.after_interruption),
            hold_limit_s=policies.hold_limit_s,
            ask_pause_at_s=0.75 * policies.hold_limit_s,
        ),
        backchannels=BackchannelSettings(
            to_speaker=policies.backchannels != "none",
            per_minute=policies.backchannels_per_minute,
            gain_db=policies.backchannel_gain_db,
        ),
    )


def checksum_for(role: Role, plan: Plan, can: Capabilities) -> str:
    """Names exactly which interpreter speaks under `plan`."""
    return role_checksum(role, can.voices.get(plan.prompt.voice, ""), can.fingerprint)
