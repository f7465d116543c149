"""A draft: what a corpus knows of a dialogue, as a scenario file that loads and waits for its renderings. Pure.

Corpora hold one language. So their speakers stay what they are, and somebody of the other language is put in to listen:
what everybody says is then to be interpreted for them. Whoever finishes the draft writes the renderings beside the
texts, the expectations and the fault, and takes `draft: true` out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from interpreter.errors import ConfigError
from interpreter.languages import folded
from scenarios.scenario_file import MAX_TEXT_CHARACTERS, OPERATOR, SCHEMA
from scenarios.schema import parse_scenario
from scenarios.speech import VOICES

LISTENER = "listener"
"""Who is put in to listen."""

_OTHER = {"en": "es", "es": "en"}
_ROLES: Mapping[str, Literal["clinician", "patient"]] = {
    "doctor": "clinician",
    "clinician": "clinician",
    "physician": "clinician",
    "patient": "patient",
}
_MAX_PARTS = 12
_EARLIEST_S, _LATEST_S = -1.0, 30.0
"""Between which a turn follows the one before it: voices other than the corpus's take other times."""


@dataclass(frozen=True, kw_only=True)
class DraftPerson:
    """Somebody who speaks."""

    name: str
    """As the corpus names them."""

    recording: Path | None = None
    """Their microphone; without one a voice of espeak-ng speaks for them."""

    words: Path | None = None
    """The times of their words, as JSON of Full-Duplex-Bench."""


@dataclass(frozen=True, kw_only=True)
class DraftTurn:
    """Something said."""

    by: str
    """As the corpus names them."""

    text: str
    start_s: float | None = None
    """From the beginning of the recording; None where the corpus has no times."""

    end_s: float | None = None
    kind: Literal["turn", "backchannel", "interruption"] = "turn"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A dialogue of a corpus."""

    id: str
    """Becomes the scenario's, with all but letters and digits made hyphens."""

    title: str
    origin: str
    """The corpus, and the item of it."""

    licence: str
    """SPDX identifier, or who is to be asked."""

    attribution: str | None = None
    language: str = "en"
    """`en` or `es`: of all that is said."""

    people: tuple[DraftPerson, ...]
    turns: tuple[DraftTurn, ...]
    tags: tuple[str, ...] = ()

    @property
    def scenario_id(self) -> str:
        """The id as scenarios write it."""
        words = re.findall("[a-z0-9]+", folded(self.id))[:_MAX_PARTS]
        return "-".join(words if words and words[0][0].isalpha() else ["draft", *words])


def draft_yaml(draft: Draft) -> str:
    """The draft as the text of a scenario file.

    Raises:
        ConfigError: nothing is said in it, or it makes no scenario.
    """
    said = [turn for turn in draft.turns if _line(turn.text)]
    if not said:
        raise ConfigError(f"expected something said in {draft.origin}, got nothing")
    names = _names(draft.people)
    content = {
        "schema": SCHEMA,
        "id": draft.scenario_id,
        "title": _line(draft.title),
        "tags": ["imported", *draft.tags],
        "draft": True,
        "source": {
            "origin": _line(draft.origin),
            "licence": draft.licence,
            **({"attribution": draft.attribution} if draft.attribution else {}),
        },
        "participants": _participants(draft, names),
        "timeline": _timeline(draft, said, names),
    }
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=110)
    parse_scenario(text, name=draft.origin, folder=Path())
    return text


def _names(people: Sequence[DraftPerson]) -> dict[str, str]:
    """Names of the corpus -> keys of participants, each another."""
    names: dict[str, str] = {}
    for person in people:
        key = re.sub("[^a-z0-9]+", "_", folded(person.name)).strip("_")[:20]
        key = key if key[:1].isalpha() else f"speaker_{key}".rstrip("_")
        taken = {*names.values(), LISTENER, OPERATOR}
        names[person.name] = (
            key
            if key not in taken
            else next(
                f"{key}_{number}" for number in range(2, len(people) + 3) if f"{key}_{number}" not in taken
            )
        )
    return names


def _participants(draft: Draft, names: Mapping[str, str]) -> dict[str, object]:
    voices = [voice.variant for voice in VOICES[draft.language]]
    if len(draft.people) >= len(voices):
        raise ConfigError(
            f"expected at most {len(voices) - 1} speakers in {draft.origin}, got {len(draft.people)}"
        )
    participants: dict[str, object] = {}
    for person, voice in zip(draft.people, voices, strict=False):
        words = {"words": str(person.words)} if person.words else {}
        participants[names[person.name]] = {
            "role": _role(names[person.name]),
            "language": draft.language,
            **(
                {"recording": {"file": str(person.recording), **words}}
                if person.recording
                else {"voice": voice}
            ),
        }
    listener = {"role": "relative", "language": _OTHER[draft.language], "voice": voices[len(draft.people)]}
    return {**participants, LISTENER: listener}


def _role(name: str) -> str:
    return next((role for word, role in _ROLES.items() if word in name), "relative")


def _timeline(draft: Draft, said: Sequence[DraftTurn], names: Mapping[str, str]) -> list[dict[str, object]]:
    recorded = {person.name for person in draft.people if person.recording}
    items: list[dict[str, object]] = []
    before: DraftTurn | None = None
    for turn in said:
        text = _line(turn.text)
        texts = [text] if turn.by in recorded else _pieces(text)
        for number, piece in enumerate(texts):
            item: dict[str, object] = {"id": f"u{len(items) + 1}", "by": names[turn.by]}
            item |= _when(turn, before, items, recorded=turn.by in recorded, goes_on=number > 0)
            item["say"] = {draft.language: piece}
            if turn.kind != "turn":
                item["kind"] = turn.kind
            if turn.by in recorded:
                item["cut"] = {"start": _seconds(turn.start_s or 0.0), "end": _seconds(turn.end_s or 0.0)}
            items.append(item)
        before = turn
    return items


def _when(
    turn: DraftTurn,
    before: DraftTurn | None,
    items: Sequence[Mapping[str, object]],
    *,
    recorded: bool,
    goes_on: bool,
) -> dict[str, object]:
    """As recorded; else as long after the turn before as in the corpus, as far as other voices allow."""
    if recorded:
        return {"at": _seconds(turn.start_s or 0.0)}
    if not items:
        return {"after": {"announced": "opening", "delay": "600ms"}}
    delay_s = 0.6
    if goes_on:
        delay_s = 0.3
    elif before is not None and before.end_s is not None and turn.start_s is not None:
        earliest_s = 0.1 if before.by == turn.by else _EARLIEST_S
        delay_s = min(max(turn.start_s - before.end_s, earliest_s), _LATEST_S)
    return {"after": {"of": str(items[-1]["id"]), "delay": _seconds(delay_s)}}


def _pieces(text: str) -> list[str]:
    """A text in pieces that an utterance may have, cut at the ends of sentences where there are any."""
    pieces = [""]
    for sentence in re.split(r"(?<=[.!?]) ", text):
        for begin in range(0, len(sentence), MAX_TEXT_CHARACTERS):
            part = sentence[begin : begin + MAX_TEXT_CHARACTERS]
            joined = f"{pieces[-1]} {part}".strip()
            if len(joined) <= MAX_TEXT_CHARACTERS:
                pieces[-1] = joined
            else:
                pieces.append(part.strip())
    return pieces


def _line(text: str) -> str:
    """One line without signs that cannot be shown."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())


def _seconds(time_s: float) -> str:
    return f"{time_s:.3f}".rstrip("0").rstrip(".") + "s"
