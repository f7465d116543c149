"""When the things of a scenario happen: what is fixed as a timeline, the rest from what has happened so far. Pure.

An item waits when it hangs, directly or not, on something that the interpreter says:

d1 at 1s ── p1 after d1 + 600ms ── cough after p1             fixed: stands in the timeline
                 └── rendering ── d2 during it + 1s ── p2     waiting: due once the rendering has begun
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from duplex_model.contract import SAMPLE_RATE_HZ
from scenarios.errors import TimelineError
from scenarios.recordings import voice_of_cut
from scenarios.scenario_checks import rendered_languages
from scenarios.scenario_file import (
    After,
    Drop,
    During,
    Event,
    Item,
    Loss,
    NoiseMade,
    Person,
    Said,
    SayKind,
    Scenario,
)
from scenarios.sounds import noise
from scenarios.speech import VOICES, Voice
from scenarios.timeline import Anchor, BackgroundNoise, Edge, Kind, NoiseEvent, Timeline, Utterance
from scenarios.voicing import Span

_KINDS = {
    SayKind.TURN: Kind.TURN,
    SayKind.SELF_REPAIR: Kind.TURN,
    SayKind.BACKCHANNEL: Kind.BACKCHANNEL,
    SayKind.INTERRUPTION: Kind.INTERRUPTION,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A scenario, by what its times depend on."""

    timeline: Timeline
    """What is said and heard whatever the interpreter does; a track for every participant."""

    fixed: Mapping[str, Anchor]
    """Item -> when it happens, of all that depend on no rendering and no announcement: commands and the like too."""

    waiting: tuple[Item, ...]
    """The others, each after the one it hangs on; `due_s` tells when."""


@dataclass(kw_only=True)
class Moments:
    """What has happened so far, in seconds from the beginning of a run."""

    starts: dict[str, float] = field(default_factory=dict)
    """Item -> its first sound, or when it happened."""

    ends: dict[str, float] = field(default_factory=dict)
    """Item -> its last sound, or when it is over. Known as soon as an item starts, since its length is."""

    rendering_starts: dict[tuple[str, str], float] = field(default_factory=dict)
    """Utterance, language -> first sound of what the interpreter says for it."""

    rendering_ends: dict[tuple[str, str], float] = field(default_factory=dict)
    announced: dict[str, float] = field(default_factory=dict)
    """Script -> last sound of the first time that it was said."""


def plan_of(scenario: Scenario) -> Plan:
    """What of the scenario is fixed, and what waits for the interpreter."""
    items = {item.id: item for item in scenario.items}
    fixed: dict[str, Anchor] = {}
    waiting: dict[str, Item] = {}
    for item in items.values():
        for one in reversed(_chain(item, items)):
            place = None if one.awaits_interpreter else _place(one, items, fixed, scenario.seed)
            if place is None:
                waiting.setdefault(one.id, one)
            else:
                fixed[one.id] = place
    return Plan(
        timeline=_timeline(scenario, fixed),
        fixed={name: fixed[name] for name in items if name in fixed},
        waiting=tuple(waiting.values()),
    )


def due_s(scenario: Scenario, item: Item, moments: Moments) -> float | None:
    """When an item is to happen, as far as it can be known; None as long as it cannot.

    What waits for the interpreter is due at a time limit, until the interpreter has done it, and then at its delay
    from there.
    """
    if item.at is not None:
        return item.at.s
    anchor = item.anchor
    if anchor is None:
        return None
    if isinstance(anchor, After) and anchor.announced is not None:
        said_s = moments.announced.get(anchor.announced)
        return anchor.deadline.s if said_s is None else said_s + anchor.delay.s
    target = scenario.item(anchor.of or "")
    if Event(anchor.event) is Event.START:
        return _later(moments.starts.get(target.id), anchor.delay.s)
    if Event(anchor.event) is Event.END:
        return _later(moments.ends.get(target.id), anchor.delay.s)
    language = anchor.language or rendered_languages(scenario, target)[0]
    ended = Event(anchor.event) is Event.RENDERING_END
    done = moments.rendering_ends if ended else moments.rendering_starts
    rendered_s = done.get((target.id, language))
    if rendered_s is None:
        return _later(moments.ends.get(target.id), anchor.deadline.s)
    return rendered_s + anchor.delay.s


def length_s(item: Item, seed: int) -> float:
    """How long something takes that is not said.

    Args:
        item: no utterance.
        seed: of the scenario.
    """
    action = item.action
    if isinstance(action, NoiseMade):
        return len(noise(action.sound, action.level.dbfs, seed)) / SAMPLE_RATE_HZ
    return action.lasts.s if isinstance(action, Loss | Drop) else 0.0


def check_during(scenario: Scenario, spans: Mapping[str, Span]) -> None:
    """Refuses what should happen during an utterance that is over by then.

    Args:
        scenario: whose.
        spans: utterance -> from its first sound to its last, on the timeline.

    Raises:
        TimelineError: names the two.
    """
    for item in scenario.timeline:
        anchor = item.during
        if anchor is None or Event(anchor.event) is not Event.START or anchor.of not in spans:
            continue
        if anchor.delay.s >= spans[anchor.of].duration_s:
            raise TimelineError(
                f"expected {item.id!r} during {anchor.of!r}, which lasts {spans[anchor.of].duration_s:.2f} s, got "
                f"{anchor.delay.s:g} s after its first sound"
            )


def voice_of(scenario: Scenario, item: Item) -> Voice:
    """The voice with which an utterance is said; of a recording, one that stands for the stretch of it."""
    person = scenario.participants[item.by or ""]
    return voice_of_cut(item.id) if person.recording is not None else _voice(person)


def _voice(person: Person) -> Voice:
    voices = VOICES[person.primary_language]
    return replace(next(voice for voice in voices if voice.variant == person.voice), rate_wpm=person.rate_wpm)


def _later(moment_s: float | None, delay_s: float) -> float | None:
    return None if moment_s is None else moment_s + delay_s


def _chain(item: Item, items: Mapping[str, Item]) -> list[Item]:
    """The item, what it hangs on, what that hangs on, and so on."""
    chain = [item]
    while (anchor := chain[-1].anchor) is not None and anchor.of is not None:
        chain.append(items[anchor.of])
    return chain


def _place(item: Item, items: Mapping[str, Item], fixed: Mapping[str, Anchor], seed: int) -> Anchor | None:
    """When an item happens; None where what it hangs on waits for the interpreter."""
    anchor = item.anchor
    if anchor is None:
        return Anchor(delay_s=item.at.s if item.at else 0.0)
    target = items[anchor.of or ""]
    if target.id not in fixed:
        return None
    if isinstance(target.action, Said):
        edge = Edge.START if isinstance(anchor, During) else Edge.END
        return Anchor(of=target.id, edge=edge, delay_s=anchor.delay.s)
    placed = fixed[target.id]
    return replace(placed, delay_s=placed.delay_s + length_s(target, seed) + anchor.delay.s)


def _timeline(scenario: Scenario, fixed: Mapping[str, Anchor]) -> Timeline:
    people = scenario.participants
    placed = [(item, item.action) for item in scenario.timeline if item.id in fixed]
    return Timeline(
        speakers=tuple(people),
        utterances=tuple(
            Utterance(
                id=item.id,
                speaker=item.by or "",
                text=action.texts[people[item.by or ""].primary_language],
                voice=voice_of(scenario, item),
                at=fixed[item.id],
                kind=_KINDS[action.kind],
                gain_db=action.gain_db,
            )
            for item, action in placed
            if isinstance(action, Said)
        ),
        noises=tuple(
            NoiseEvent(
                speaker=item.by or "",
                noise=action.sound,
                at=fixed[item.id],
                level_dbfs=action.level.dbfs,
                seed=scenario.seed,
            )
            for item, action in placed
            if isinstance(action, NoiseMade)
        ),
        backgrounds=tuple(
            BackgroundNoise(
                speaker=name,
                background=person.room.sound,
                level_dbfs=person.room.level.dbfs,
                seed=scenario.seed + number,
            )
            for number, (name, person) in enumerate(people.items())
            if person.room is not None
        ),
        tail_s=scenario.tail.s,
        min_duration_s=scenario.lasts.s if scenario.lasts else 0.0,
    )
