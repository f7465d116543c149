"""What must fit together in a scenario beyond its single values. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from interpreter.commands.chat import parse_chat
from interpreter.commands.commands import CHAT_PREFIX, Actor
from interpreter.commands.table import Standing
from interpreter.errors import CommandError, NotAllowed
from scenarios.catching import missing
from scenarios.scenario_file import (
    OF_RENDERINGS,
    OPERATOR,
    After,
    CommandGiven,
    During,
    Event,
    Expectation,
    Item,
    Joins,
    Leaves,
    Said,
    SayKind,
    Scenario,
)
from scenarios.wording import faults_of_words

Path = tuple[str | int, ...]
"""Keys and indices that lead to a place in a file, such as `("timeline", 2, "after")`."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that does not fit."""

    path: Path
    words: str
    """What was expected and what came."""


def problems(scenario: Scenario) -> Iterator[Problem]:
    """What does not fit, the causes before what follows from them; the first says what to mend."""
    yield from _people(scenario)
    yield from _ids(scenario)
    for index, item in enumerate(scenario.timeline):
        path: Path = ("timeline", index)
        yield from _by(scenario, item, path)
        yield from _anchor(scenario, item, path)
    yield from _cycles(scenario)
    for index, item in enumerate(scenario.timeline):
        yield from _action(scenario, item, ("timeline", index))
    for index, expectation in enumerate(scenario.expect):
        yield from _expectation(scenario, expectation, ("expect", index))
    yield from _invariants(scenario)
    if not scenario.draft:
        yield from _catches(scenario)


def _people(scenario: Scenario) -> Iterator[Problem]:
    if OPERATOR in scenario.participants:
        yield Problem(
            path=("participants", OPERATOR),
            words=f"expected another name than {OPERATOR}, who is not in the room",
        )
    voices: dict[str, str] = {}
    for name, person in scenario.participants.items():
        if person.voice is None:
            continue
        other = voices.setdefault(person.voice, name)
        if other != name:
            yield Problem(
                path=("participants", name, "voice"),
                words=f"expected a voice of their own for {name}, got {person.voice}, as {other} has",
            )


def _ids(scenario: Scenario) -> Iterator[Problem]:
    own = {item.id for item in scenario.items} - {item.id for item in scenario.timeline}
    seen: set[str] = set()
    for index, item in enumerate(scenario.timeline):
        if item.id in seen or item.id in own:
            yield Problem(
                path=("timeline", index, "id"), words=f"expected every id once, got {item.id} again"
            )
        seen.add(item.id)
    for kind, key in ((Joins, "joins"), (Leaves, "leaves")):
        done: set[str | None] = set()
        for item in (one for one in scenario.items if isinstance(one.action, kind)):
            if item.by in done:
                place = _place(scenario, item.id)
                yield Problem(path=place, words=f"expected that {item.by} {key} once, got it again")
            done.add(item.by)


def _place(scenario: Scenario, item_id: str) -> Path:
    """The place of an item; of the timeline, where it stands with a participant."""
    places = [index for index, item in enumerate(scenario.timeline) if item.id == item_id]
    return ("timeline", *places[:1])


def _by(scenario: Scenario, item: Item, path: Path) -> Iterator[Problem]:
    is_command = isinstance(item.action, CommandGiven)
    if item.by in scenario.participants or (is_command and item.by in (None, OPERATOR)):
        return
    people = ", ".join([*scenario.participants, *([OPERATOR] if is_command else [])])
    yield Problem(path=(*path, "by"), words=f"expected one of {people} for `by`, got {item.by}")


def _anchor(scenario: Scenario, item: Item, path: Path) -> Iterator[Problem]:
    anchor = item.anchor
    if anchor is None or anchor.of is None:
        return
    path = (*path, "after" if isinstance(anchor, After) else "during")
    known = {one.id: one for one in scenario.items}
    if anchor.of not in known:
        yield Problem(path=(*path, "of"), words=f"expected an item of the timeline for `of`, got {anchor.of}")
        return
    target = known[anchor.of]
    if isinstance(anchor, During) and not isinstance(target.action, Said):
        yield Problem(path=path, words=f"expected an utterance in `during`, got {anchor.of}, which is none")
    elif Event(anchor.event) in OF_RENDERINGS:
        yield from _rendering_anchor(scenario, anchor, target, path)
    elif anchor.language is not None:
        yield Problem(
            path=(*path, "language"), words=f"expected `language` only of a rendering, got {anchor.event}"
        )


def _rendering_anchor(
    scenario: Scenario, anchor: After | During, target: Item, path: Path
) -> Iterator[Problem]:
    if not isinstance(target.action, Said) or target.action.kind is SayKind.BACKCHANNEL:
        yield Problem(path=path, words=f"expected an utterance that is rendered, got {target.id}")
        return
    if target.by not in scenario.participants:
        return  # is said of the target itself
    languages = rendered_languages(scenario, target)
    if anchor.language is None and len(languages) != 1:
        rendered = " and ".join(languages) or "no language"
        yield Problem(
            path=path,
            words=f"expected `language` where {target.id} is rendered into one, got {rendered} and no choice",
        )
    elif anchor.language is not None and anchor.language not in languages:
        yield Problem(
            path=(*path, "language"),
            words=f"expected one of {', '.join(languages)}, into which {target.id} is rendered, "
            f"got {anchor.language}",
        )
    elif scenario.interpreter.mode == "captions":
        yield Problem(
            path=path, words="expected no anchor at a rendering in captions mode, where none sounds"
        )


def rendered_languages(scenario: Scenario, item: Item) -> tuple[str, ...]:
    """The languages into which an utterance is interpreted, in the order of those who hear it."""
    return tuple(
        dict.fromkeys(scenario.participants[name].primary_language for name in scenario.listeners(item))
    )


def _cycles(scenario: Scenario) -> Iterator[Problem]:
    known = {item.id: item for item in scenario.timeline}
    for index, item in enumerate(scenario.timeline):
        chain = [item.id]
        following = item.anchor.of if item.anchor else None
        while following in known and following not in chain:
            chain.append(following)
            anchor = known[following].anchor
            following = anchor.of if anchor else None
        if following == item.id:
            circle = " after ".join([*chain, item.id])
            yield Problem(
                path=("timeline", index),
                words=f"expected anchors that lead to a time or the opening, got a circle: {circle}",
            )
            return


def _action(scenario: Scenario, item: Item, path: Path) -> Iterator[Problem]:
    action = item.action
    if isinstance(action, Said):
        yield from _said(scenario, item, action, path)
    elif isinstance(action, CommandGiven):
        yield from _command(scenario, item, action, (*path, "command"))


def _said(scenario: Scenario, item: Item, said: Said, path: Path) -> Iterator[Problem]:
    person = scenario.participants.get(item.by or "")
    if person is None:
        return  # said already
    rendered = rendered_languages(scenario, item)
    wanted = [person.primary_language]
    if not scenario.draft and said.kind is not SayKind.BACKCHANNEL:
        wanted += rendered
    for language in wanted:
        if language not in said.texts:
            yield Problem(
                path=(*path, "say"), words=f"expected the text of {item.id} in {language}, got none"
            )
    for language in said.texts:
        if language not in (person.primary_language, *rendered):
            yield Problem(
                path=(*path, "say", language),
                words=f"expected a language that somebody speaks, got {language}",
            )
    for language in said.faulty:
        if language not in rendered:
            yield Problem(
                path=(*path, "faulty", language),
                words=f"expected a language into which {item.id} is rendered, got {language}",
            )
    if said.faulty and not (scenario.catches and scenario.catches.is_of_words):
        yield Problem(path=(*path, "faulty"), words="expected `faulty` only where `catches` is of words")
    if (said.cut is None) != (person.recording is None):
        got = "none" if said.cut is None else f"one, and no recording of {item.by}"
        yield Problem(path=path, words=f"expected `cut` beside what is said in a recording, got {got}")


def _command(scenario: Scenario, item: Item, given: CommandGiven, path: Path) -> Iterator[Problem]:
    refused = any(one.of == item.id and one.refused for one in scenario.expect)
    try:
        parse_chat(f"{CHAT_PREFIX} {given.line}", actor_of(scenario, item), people_of(scenario))
    except NotAllowed as error:
        if not refused:
            yield Problem(path=path, words=str(error))
    except CommandError as error:
        yield Problem(path=path, words=str(error))
    else:
        if refused:
            yield Problem(
                path=path,
                words=f"expected a command that {item.by} may not give, as `refused` is expected, "
                f"got {given.line}",
            )


def people_of(scenario: Scenario) -> dict[str, str]:
    """Id -> name of the participants, as commands name them."""
    return {name: person.name or name for name, person in scenario.participants.items()}


def actor_of(scenario: Scenario, item: Item) -> Actor:
    """Who gives the command of `item`."""
    if item.by is None or item.by not in scenario.participants:
        return Actor(name=OPERATOR, standing=Standing.OPERATOR)
    person = scenario.participants[item.by]
    return Actor(
        name=person.name or item.by,
        standing=Standing.HOST if person.host else Standing.PARTICIPANT,
        participant_id=item.by,
    )


def _expectation(scenario: Scenario, expectation: Expectation, path: Path) -> Iterator[Problem]:
    known = {item.id: item for item in scenario.items}
    if expectation.of not in known:
        yield Problem(
            path=(*path, "of"), words=f"expected an item of the timeline for `of`, got {expectation.of}"
        )
        return
    if expectation.to is not None and expectation.to not in scenario.participants:
        people = ", ".join(scenario.participants)
        yield Problem(path=(*path, "to"), words=f"expected one of {people} for `to`, got {expectation.to}")
        return
    item = known[expectation.of]
    action = item.action
    if expectation.checks_rendering:
        yield from _rendering_expected(scenario, expectation, item, path)
    if expectation.yields is not None and not _is_during_rendering(item, SayKind.INTERRUPTION):
        yield Problem(
            path=(*path, "yields"),
            words=f"expected an interruption during a rendering, got {item.id}, which is none",
        )
    if expectation.ignored_backchannel is not None and not _is_during_rendering(item, SayKind.BACKCHANNEL):
        yield Problem(
            path=(*path, "ignored_backchannel"),
            words=f"expected a backchannel during a rendering, got {item.id}, which is none",
        )
    if expectation.resumes_within is not None and not any(
        one.anchor is not None
        and one.anchor.of == item.id
        and _is_during_rendering(one, SayKind.INTERRUPTION)
        for one in scenario.timeline
    ):
        yield Problem(
            path=(*path, "resumes_within"),
            words=f"expected an interruption during the rendering of {item.id}, got none",
        )
    if expectation.refused and not isinstance(action, CommandGiven):
        yield Problem(path=(*path, "refused"), words=f"expected a command, got {item.id}, which is none")
    if expectation.human_asked and not isinstance(action, Said | CommandGiven):
        yield Problem(
            path=(*path, "human_asked"), words=f"expected words or a command, got {item.id}, which is neither"
        )


def _rendering_expected(
    scenario: Scenario, expectation: Expectation, item: Item, path: Path
) -> Iterator[Problem]:
    action = item.action
    if not isinstance(action, Said) or item.by not in scenario.participants:
        yield Problem(path=path, words=f"expected an utterance, got {item.id}, which has no rendering")
        return
    listeners = scenario.listeners(item)
    if not listeners or (expectation.to is not None and expectation.to not in listeners):
        yield Problem(
            path=path,
            words=f"expected somebody of another language than {item.by}, got {expectation.to or 'nobody'}",
        )
        return
    for language in rendered_languages(scenario, item):
        if expectation.to in (None, *_speakers(scenario, language)) and language in action.texts:
            wrong = faults_of_words(expectation, action.texts[language], language)
            if wrong:
                yield Problem(
                    path=path,
                    words=f"expected what the text of {item.id} in {language} fulfils, got: {wrong[0]}",
                )


def _speakers(scenario: Scenario, language: str) -> list[str]:
    return [name for name, person in scenario.participants.items() if person.primary_language == language]


def _is_during_rendering(item: Item, kind: SayKind) -> bool:
    at_rendering = item.during is not None and item.during.event == "rendering_start"
    return at_rendering and item.kind is kind


def _invariants(scenario: Scenario) -> Iterator[Problem]:
    disclosure = scenario.invariants.disclosure
    for index, language in enumerate(disclosure.languages if disclosure else ()):
        if language not in scenario.languages:
            yield Problem(
                path=("invariants", "disclosure", "languages", index),
                words=f"expected a language that somebody speaks, got {language}",
            )


def _catches(scenario: Scenario) -> Iterator[Problem]:
    lacking = missing(scenario)
    if lacking is not None:
        yield Problem(path=(), words=f"expected {lacking}, got none")
        return
    if scenario.catches is not None and scenario.catches.is_of_words and not _is_caught(scenario):
        yield Problem(
            path=("catches",),
            words="expected an expectation that a text of `faulty` does not fulfil, got none",
        )


def _is_caught(scenario: Scenario) -> bool:
    """Whether an expectation fails with what the faulty interpreter says."""
    return any(
        faults_of_words(expectation, text, language)
        for expectation in scenario.expect
        for language, text in (scenario.item(expectation.of).faulty or {}).items()
        if expectation.to in (None, *_speakers(scenario, language))
    )
