"""A role: who the interpreter is, how it behaves, and what it says of itself. Pure.

The prompt is short and in the style the checkpoint was trained on; everything that must hold is a policy, a number or
a choice that code obeys. A speech model told ten rules keeps some of them, a floor told a number keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from duplex_model.contract import Capabilities, Prompt
from duplex_model.role import ROLE_TAG
from duplex_model.voice_library import VOICE_NAME
from interpreter.facts_guard.facts import FactKind
from interpreter.languages import LANGUAGE_WORDS, canonical_tag
from interpreter.yaml_file import Check, ranged

MAX_PROMPT_CHARACTERS = 400
"""A prompt stays in the model's window for the whole call; the engine refuses what its own window cannot hold."""

MAX_SENTENCE_CHARACTERS = 160
"""A spoken sentence longer than this is no sentence for somebody who waits to speak."""

ROLE_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PROMPT_PLACEHOLDERS = frozenset({"language_in", "language_out"})
_SENTENCE_PLACEHOLDERS = frozenset({"languages", "stored"})

RoleMode = Literal["simultaneous", "consecutive", "captions"]
"""While the speaker goes on; at the turn's end; or as text alone."""

ROLE_MODES: tuple[RoleMode, ...] = get_args(RoleMode)

SessionMode = Literal["simultaneous", "consecutive"]
"""What a session is prompted with (`Prompt.mode`)."""

ScriptId = Literal[
    "opening",
    "opening_emergency",
    "late_joiner",
    "announcement",
    "reminder",
    "closing",
    "ask_repeat",
    "listener_told",
    "ask_pause",
    "please_wait",
    "human_requested",
    "paused",
    "resumed",
    "captions_only",
    "interpreter_speaks",
    "stored_nothing",
    "stored_text",
    "stored_audio",
]
"""Everything the interpreter says of itself; docs/operators.md tells when."""

SCRIPT_IDS: tuple[ScriptId, ...] = get_args(ScriptId)

SAY_WHAT_IS_STORED: tuple[ScriptId, ...] = ("opening", "opening_emergency", "late_joiner")
"""Scripts that a person may hear first."""


def _is_line(text: str) -> bool:
    return text != "" and text == text.strip() and text.isprintable()


def _no_tag(text: str) -> str | None:
    return None if canonical_tag(text) == text else "a BCP 47 tag such as es or es-MX"


def _no_name(text: str) -> str | None:
    return None if ROLE_NAME.fullmatch(text) and len(text) <= 40 else "lower-case words joined by hyphens"


def _no_version(number: int) -> str | None:
    return None if 1 <= number <= 1_000_000 else "1 to 1000000"


def _no_voice(text: str) -> str | None:
    return None if not text or VOICE_NAME.fullmatch(text) else "the name of a voice, or nothing"


def _no_line(text: str) -> str | None:
    fits = _is_line(text) and len(text) <= MAX_SENTENCE_CHARACTERS
    return None if fits else f"one line of 1 to {MAX_SENTENCE_CHARACTERS} characters"


def _no_sentence(text: str) -> str | None:
    used = set(_PLACEHOLDER.findall(text))
    if not used <= _SENTENCE_PLACEHOLDERS or _has_stray_brace(text):
        return "no placeholders but {languages} and {stored}"
    if "stored" in used and text != "{stored}":
        return "{stored} to stand alone, since it becomes sentences"
    return _no_line(text)


def _no_sentences(sentences: tuple[str, ...]) -> str | None:
    return None if sentences else "a sentence at least"


def _no_prompt(text: str) -> str | None:
    if not set(_PLACEHOLDER.findall(text)) <= _PROMPT_PLACEHOLDERS or _has_stray_brace(text):
        return "no placeholders but {language_in} and {language_out}"
    if ROLE_TAG in text:
        return f"no {ROLE_TAG}, which would take the place of the checkpoint's own direction"
    fits = not text or (_is_line(text) and len(text) <= MAX_PROMPT_CHARACTERS)
    return None if fits else f"one line of at most {MAX_PROMPT_CHARACTERS} characters"


def _check_stored(script_id: ScriptId, language: str, said: bool) -> None:
    """Refuses scripts that do not tell what is kept where people must be told, or that would tell it without end."""
    if script_id in SAY_WHAT_IS_STORED and not said:
        raise ValueError(
            f"expected {{stored}} as a sentence of `{script_id}` in {language}, since people must be told what is "
            "kept, got none"
        )
    if script_id.startswith("stored_") and said:
        raise ValueError(
            f"expected no {{stored}} in `{script_id}` in {language}, which takes its place, got it"
        )


def _has_stray_brace(text: str) -> bool:
    return any(brace in _PLACEHOLDER.sub("", text) for brace in "{}")


LanguageTag = Annotated[str, Check(_no_tag)]
Line = Annotated[str, Check(_no_line)]
Sentence = Annotated[str, Check(_no_sentence)]
PromptTemplate = Annotated[str, Check(_no_prompt)]
VoiceName = Annotated[str, Check(_no_voice)]

Scripts = Mapping[LanguageTag, Mapping[ScriptId, Annotated[tuple[Sentence, ...], Check(_no_sentences)]]]
"""Language -> id -> the sentences, in which {languages} and {stored} are filled in from the meeting."""


@dataclass(frozen=True, kw_only=True)
class Policies:
    """What code does under this role."""

    consecutive_pause_s: float = ranged(0.7, 0.3, 3.0)
    """Silence of the speaker that ends a turn, in consecutive mode."""

    hold_limit_s: float = ranged(20.0, 5.0, 20.0)
    """Most speech that is held for a direction; then the speaker is asked to pause, then there are captions only."""

    duck_db: float = ranged(-15.0, -60.0, 0.0)
    """Gain of an original under its rendering."""

    yields: bool = True
    """A rendering gives way to its listener; without it, it is said to its end whoever talks."""

    yield_duck_db: float = ranged(-12.0, -40.0, 0.0)
    """Gain of a rendering while its listener begins to speak."""

    yield_commit_s: float = ranged(0.7, 0.3, 0.8)
    """From the onset of its listener's voice, which goes on, to the fade: silent within 1 s."""

    after_interruption: Literal["resume", "repair", "drop"] = "resume"
    """What was cut goes on, is said again from the last complete unit, or is not said."""

    backchannels: Literal["none", "to_speaker_listener"] = "to_speaker_listener"
    """Whether the model's own `mm-hm` is heard by the person it answers; never by anybody else."""

    backchannels_per_minute: int = ranged(6, 0, 30)
    """At most so many for each person."""

    backchannel_gain_db: float = ranged(-9.0, -40.0, 0.0)
    """How loud they are."""

    on_unsure: Literal["ask", "tell", "ignore"] = "ask"
    """When the interpreter did not understand: the speaker is asked to repeat and the listener told; the listener is
    told; or nothing is said."""

    on_fact_mismatch: Literal["event", "ask_repeat"] = "event"
    """When the guard finds two different facts: operators see it, or the speaker is also asked to repeat."""

    reminder_min: float | None = ranged(30.0, 1.0, 240.0)
    """Minutes from one reminder that an AI interprets to the next; null for none."""

    pause_request_min_interval_s: float = ranged(30.0, 10.0, 600.0)
    """Least time between two requests to pause of one speaker."""

    priority: tuple[LanguageTag, ...] = ()
    """Where several languages sound together: the earlier in this list stays, the others are ducked."""

    announce: bool = False
    """The script `announcement` follows the opening: this role renders otherwise than people expect."""


@dataclass(frozen=True, kw_only=True)
class GlossaryEntry:
    """One thing and its names."""

    terms: Mapping[LanguageTag, Line]
    """Language -> term."""

    kind: Literal["drug", "condition", "anatomy", "procedure", "name", "term"] = "term"
    """What it is; drugs and names are checked as spelled."""

    def __post_init__(self) -> None:
        """Refuses what is no pair of terms."""
        if len(self.terms) < 2:
            raise ValueError(f"expected `terms` in two languages at least, got {len(self.terms)}")


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """How people learn that no human interprets."""

    label: Mapping[LanguageTag, Line] = field(
        default_factory=lambda: {"en": "AI interpreter", "es": "Intérprete de IA"}
    )
    """Language -> what stands where a name would."""

    opening: Literal["opening", "opening_emergency"] = "opening"
    """Which script opens the meeting."""

    closing: bool = True
    """Whether the script `closing` ends it."""

    def __post_init__(self) -> None:
        """Refuses a label that people of other languages cannot fall back to."""
        if "en" not in self.label:
            raise ValueError("expected `label` in en, which others fall back to, got none")


@dataclass(frozen=True, kw_only=True)
class Role:
    """One bundle of the library."""

    name: Annotated[str, Check(_no_name)]
    """Such as `medical-consecutive`."""

    version: Annotated[int, Check(_no_version)]
    """Counted up whenever the bundle changes."""

    title: Mapping[LanguageTag, Line]
    """Language -> name for people."""

    summary: Mapping[LanguageTag, Line]
    """Language -> when to choose it."""

    prompt: PromptTemplate = ""
    """Who the session is, after the checkpoint's own sentence for the direction; {language_in} and {language_out}
    become English names."""

    prompt_for: Mapping[Line, PromptTemplate] = field(default_factory=dict)
    """Name of a checkpoint -> the prompt in its style."""

    voice: VoiceName = ""
    """Name of the voice; nothing for the checkpoint's default."""

    mode: RoleMode
    """How people are interpreted."""

    session_mode: SessionMode = "simultaneous"
    """How a session is told to interpret. Simultaneous for consecutive roles too: the floor holds what is said until
    the turn ends, so the mode can be switched in a running session, an interruption finds the rendering ready, and a
    turn may be longer than the model's window."""

    policies: Policies = field(default_factory=Policies)
    scripts: Scripts = field(default_factory=dict)
    """In a file, those that differ from the library's; in a loaded role, all."""

    glossary: tuple[GlossaryEntry, ...] = ()
    checks: tuple[FactKind, ...] = ()
    """Critical facts to compare."""

    disclosure: Disclosure = field(default_factory=Disclosure)

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        if self.mode == "simultaneous" and self.session_mode == "consecutive":
            raise ValueError("expected `session_mode` simultaneous with `mode` simultaneous, got consecutive")
        if "en" not in self.title or "en" not in self.summary:
            raise ValueError("expected `title` and `summary` in en, which others fall back to, got none")
        for language, scripts in self.scripts.items():
            for script_id, sentences in scripts.items():
                _check_stored(script_id, language, "{stored}" in sentences)

    def session_prompt(
        self, capabilities: Capabilities, language_in: str, language_out: str, *, voice: str | None = None
    ) -> Prompt:
        """What a session of this role is told, as far as the checkpoint takes it.

        Args:
            capabilities: of the checkpoint that serves the direction.
            language_in: primary subtag of what is heard.
            language_out: primary subtag of what is said.
            voice: a participant's own choice instead of the role's.
        """
        template = self.prompt_for.get(capabilities.checkpoint, self.prompt)
        words = LANGUAGE_WORDS["en"]
        text = template.replace("{language_in}", words.list([language_in]))
        text = text.replace("{language_out}", words.list([language_out]))
        return Prompt(
            role_text=text if capabilities.role_text else "",
            voice=(voice or self.voice) if capabilities.voice_prompt else "",
            language_in=language_in,
            language_out=language_out,
            mode=self.session_mode,
        )
