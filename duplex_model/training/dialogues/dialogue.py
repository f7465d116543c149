"""What one session hears and what it should say, while it is composed. Pure.

A `Scene` has two tracks on one timeline: what is heard, and the interpreter's own voice with its text. Kinds of
dialogues (`kinds.py`) hear sentences and place their renderings; the scene keeps the rules that all of them share.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from duplex_model.training.dialogues.roles import Mode
from duplex_model.training.dialogues.timeline import (
    Placed,
    Span,
    first_frame_after,
    frame_at,
    place,
    samples,
    whole_frames,
)
from duplex_model.training.grammar.pair import Language, Pair
from duplex_model.training.speech.tts import SpeakingVoice, Utterance
from duplex_model.training.split import normal_form

MARGIN_S = 0.24
"""Between the end of a heard word and the frame in which its translation may be written."""

FACT_WEIGHT = 3.0
"""Of words that must not be wrong: numbers, medicines, units, negation, sides."""

_FADE_SAMPLES = 120  # 5 ms at every cut


@dataclass(frozen=True)
class OwnWord:
    """A word that the model should write and, but for transcription, say."""

    frame: int
    """Of its first piece."""

    text: str
    """With its punctuation; `vocabulary.UNSURE` stands alone."""

    weight: float = 1.0
    """Of its pieces in the loss; 0 where they are given."""

    cue_weight: float = 1.0
    """Of the end of padding before it; 0 where nobody could know that the word comes now."""


@dataclass(frozen=True)
class Turn:
    """A sentence that is heard."""

    pair: Pair | None
    """None for speech outside the domain."""

    text: str
    language: Language
    start_s: float
    end_s: float
    word_ends_s: tuple[float, ...]
    """Of each word of `text.split()`."""

    rendered: bool
    """Whether the model should say it in the other language, wholly and in the end."""


@dataclass(frozen=True)
class Dialogue:
    """One session from its first frame to its last."""

    kind: str
    mode: Mode
    language_in: Language
    language_out: Language
    role_text: str
    own_voice: str
    heard: Pcm
    """[1920 F]."""

    own: Pcm
    """[1920 F], exactly 0 where nothing is said."""

    words: tuple[OwnWord, ...]
    heard_words: tuple[tuple[int, str], ...]
    """Frame in which a heard word ended, and the word."""

    given_frames: tuple[int, ...]
    """Frames whose own text and voice are given as silence, after an interruption."""

    turns: tuple[Turn, ...]
    interrupted_frame: int | None = None
    """The first given frame."""

    backchannel_frames: tuple[int, ...] = ()
    """In which a backchannel begins."""

    said: tuple[tuple[int, str], ...] = ()
    """Texts that the model is told to say itself, with the frame from which on."""

    @property
    def frames(self) -> int:
        """F."""
        return len(self.heard) // FRAME_SAMPLES

    @property
    def text(self) -> tuple[tuple[int, str], ...]:
        """Frame of the first piece of a word, and the word."""
        return tuple((word.frame, word.text) for word in self.words)

    @property
    def forced(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """[F]: whether the own streams of a frame are given."""
        forced = np.zeros(self.frames, dtype=np.bool_)
        forced[list(self.given_frames)] = True
        return forced

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Of the turns that are inside the domain."""
        return tuple(turn.pair for turn in self.turns if turn.pair is not None)


@dataclass(frozen=True)
class Materials:
    """What dialogues are made of."""

    sample: Callable[[random.Random], Pair]
    """A pair of the grammar."""

    out_of_domain: Callable[[random.Random, Language], str]
    """A sentence of a language that is outside the domain."""

    closed: Sequence[Pair]
    """Greetings, single words, the interpreter's own sentences."""

    synthesise: Callable[[str, SpeakingVoice], Utterance]
    source_voices: Mapping[Language, Sequence[SpeakingVoice]]
    """By language."""

    own_voices: Mapping[str, Mapping[Language, SpeakingVoice]]
    """By name and language."""

    augment: Callable[[Pcm, np.random.Generator, float], Pcm]
    """Rooms, noise and gain, by a strength from 0 to 1."""

    pieces: Callable[[str], int]
    """Tokens of a word."""

    clean_share: float = 0.3
    """Of dialogues whose heard track is not augmented."""

    held_out_roles: bool = False


@dataclass(frozen=True)
class Cast:
    """Who speaks what, and how the model was prompted."""

    mode: Mode
    language_in: Language
    language_out: Language
    role_text: str
    own_voice: str
    register: str | None
    """That Spanish renderings must have where they have one; None for any."""


@dataclass(frozen=True)
class Rendering:
    """Something said by the own voice, placed."""

    pcm: Pcm
    start_s: float
    words: tuple[OwnWord, ...]
    placed: tuple[Placed, ...]

    @property
    def end_s(self) -> float:
        """When the voice is silent again."""
        return self.placed[-1].end_s

    @property
    def first_frame(self) -> int:
        """In which it becomes audible."""
        return frame_at(self.placed[0].start_s)

    def until(self, frame: int) -> Rendering | None:
        """What is left when nothing may be written from `frame` on, nor heard; None where that is nothing."""
        words = tuple(word for word in self.words if word.frame < frame)
        if not words:
            return None
        length = samples(frame * FRAME_S) - samples(self.start_s)
        if length >= len(self.pcm):
            return replace(self, words=words, placed=self.placed[: len(words)])
        placed = [
            replace(sound, end_s=min(sound.end_s, frame * FRAME_S)) for sound in self.placed[: len(words)]
        ]
        return Rendering(_faded_out(self.pcm[: max(length, 0)]), self.start_s, words, tuple(placed))


@dataclass
class Scene:
    """The tracks of one dialogue."""

    rng: random.Random
    materials: Materials
    cast: Cast
    voices: Mapping[Language, SpeakingVoice]
    """Of the speaker, by language."""

    turns: list[Turn] = field(default_factory=list)
    renderings: list[Rendering] = field(default_factory=list)
    extra_words: list[OwnWord] = field(default_factory=list)
    """Written, not said."""

    given_frames: list[int] = field(default_factory=list)
    backchannel_frames: list[int] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    interrupted_frame: int | None = None
    _heard: list[tuple[float, Pcm]] = field(default_factory=list)
    _heard_words: list[tuple[int, str]] = field(default_factory=list)

    def hear(
        self, text: str, language: Language, start_s: float, *, pair: Pair | None, rendered: bool
    ) -> Turn:
        """Puts a sentence on the heard track."""
        utterance = self.materials.synthesise(text, self.voices[language])
        ends = self._hear_words(utterance, start_s)
        turn = Turn(pair, text, language, start_s, ends[-1], ends, rendered)
        self.turns.append(turn)
        return turn

    def hear_pair(self, pair: Pair, start_s: float, *, rendered: bool = True) -> Turn:
        """Puts a pair on the heard track, in the language to be interpreted."""
        language = self.cast.language_in
        return self.hear(pair.text(language), language, start_s, pair=pair, rendered=rendered)

    def hear_backchannel(self, text: str, start_s: float) -> float:
        """Puts a listener's sound on the heard track; when it ends. It is no turn."""
        utterance = self.materials.synthesise(text, self.voices[self.cast.language_in])
        self.backchannel_frames.append(frame_at(start_s))
        return self._hear_words(utterance, start_s)[-1]

    def _hear_words(self, utterance: Utterance, start_s: float) -> tuple[float, ...]:
        """Puts an utterance on the heard track; when each of its words ends."""
        self._heard.append((start_s, utterance.pcm))
        ends = tuple(start_s + word.end_s for word in utterance.words)
        self._heard_words.extend(
            (frame_at(end), word.text) for end, word in zip(ends, utterance.words, strict=True)
        )
        return ends

    def hear_sound(self, pcm: Pcm, start_s: float) -> None:
        """Puts something that is no speech on the heard track."""
        self._heard.append((start_s, pcm))

    def render(self, turn: Turn, earliest_s: float = 0.0) -> Rendering:
        """The translation of a turn, word by word as soon as it may be said. It is not placed yet."""
        assert turn.pair is not None
        waits = turn.pair.earliest(turn.language)
        ready = [turn.word_ends_s[index] + MARGIN_S for index in waits]
        return self.speak(turn.pair.text(self.cast.language_out), ready, earliest_s, turn.pair)

    def speak(
        self,
        text: str,
        ready_s: Sequence[float] | float,
        earliest_s: float,
        pair: Pair | None,
        language: Language | None = None,
    ) -> Rendering:
        """The own voice saying `text`.

        Args:
            text: of the words.
            ready_s: before which a word must not be written, one for all or one each.
            earliest_s: before which nothing may be written. What was said before always ends first.
            pair: whose translation it is, for the words that must not be wrong.
            language: of the text; the one that is said by default.
        """
        language = language or self.cast.language_out
        utterance = self.materials.synthesise(text, self.materials.own_voices[self.cast.own_voice][language])
        spans = [Span(word.start_s, word.end_s) for word in utterance.words]
        ready = [ready_s] * len(spans) if isinstance(ready_s, float) else ready_s
        pieces = [self.materials.pieces(word.text) for word in utterance.words]
        placed = place(spans, pieces, ready, max(first_frame_after(earliest_s), self.own_free_frame))
        weights = fact_weights(pair, language) if pair is not None else [1.0] * len(spans)
        words = [
            OwnWord(sound.frame, word.text, weight)
            for sound, word, weight in zip(placed, utterance.words, weights, strict=True)
        ]
        start_s = placed[0].start_s - spans[0].start_s
        return Rendering(_cut_and_moved(utterance.pcm, spans, placed), start_s, tuple(words), tuple(placed))

    @property
    def own_free_frame(self) -> int:
        """The first frame that nothing said before reaches into, neither its sound nor its text."""
        sounds = [first_frame_after(rendering.end_s) for rendering in self.renderings]
        texts = [self._text_end(rendering.words[-1]) for rendering in self.renderings]
        hush = [self.given_frames[-1] + 1] if self.given_frames else []
        return max([0, *sounds, *texts, *hush])

    def _text_end(self, word: OwnWord) -> int:
        return word.frame + self.materials.pieces(word.text)

    @property
    def heard_end_s(self) -> float:
        """When the heard track falls silent."""
        return max((start + len(pcm) / samples(1.0) for start, pcm in self._heard), default=0.0)

    @property
    def end_s(self) -> float:
        """When both tracks fall silent."""
        return max(self.heard_end_s, self.own_free_frame * FRAME_S)

    def finish(self, kind: str, tail_s: float) -> Dialogue:
        """The dialogue, with `tail_s` of silence at its end."""
        words = sorted(
            [word for rendering in self.renderings for word in rendering.words] + self.extra_words,
            key=lambda word: word.frame,
        )
        last_s = self._text_end(words[-1]) * FRAME_S if words else 0.0
        frames = whole_frames(max(self.end_s, last_s) + tail_s)
        own = _mixed([(rendering.start_s, rendering.pcm) for rendering in self.renderings], frames)
        for frame in self.given_frames:
            own[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES] = 0
        return Dialogue(
            kind=kind,
            mode=self.cast.mode,
            language_in=self.cast.language_in,
            language_out=self.cast.language_out,
            role_text=self.cast.role_text,
            own_voice=self.cast.own_voice,
            heard=self._as_received(_mixed(self._heard, frames)),
            own=own,
            words=tuple(words),
            heard_words=tuple(sorted(self._heard_words, key=lambda ended: ended[0])),
            given_frames=tuple(self.given_frames),
            turns=tuple(self.turns),
            interrupted_frame=self.interrupted_frame,
            backchannel_frames=tuple(self.backchannel_frames),
            said=tuple(self.said),
        )

    def _as_received(self, heard: Pcm) -> Pcm:
        """`heard` through a room and a connection, as often as the materials say."""
        if self.rng.random() < self.materials.clean_share:
            return heard
        generator = np.random.default_rng(self.rng.getrandbits(64))
        received = self.materials.augment(heard, generator, self.rng.random())
        return np.asarray(received[: len(heard)], dtype=np.float32)


def fact_weights(pair: Pair, language: Language) -> list[float]:
    """[words] of the pair's text: `FACT_WEIGHT` for words of its facts, else 1."""
    words = [normal_form(word, language) for word in pair.text(language).split()]
    weights = [1.0] * len(words)
    for fact in pair.facts:
        wanted = [normal_form(word, language) for word in getattr(fact, language).split()]
        for start in range(len(words) - len(wanted) + 1):
            if wanted and words[start : start + len(wanted)] == wanted:
                weights[start : start + len(wanted)] = [FACT_WEIGHT] * len(wanted)
    return weights


def _mixed(sounds: Sequence[tuple[float, Pcm]], frames: int) -> Pcm:
    """[1920 frames]: sounds at their times in seconds, added up."""
    track = np.zeros(frames * FRAME_SAMPLES, dtype=np.float32)
    for start_s, pcm in sounds:
        start = samples(start_s)
        track[start : start + len(pcm)] += pcm[: len(track) - start]
    return track


def _cut_and_moved(pcm: Pcm, spans: Sequence[Span], placed: Sequence[Placed]) -> Pcm:
    """The utterance with its words where they were placed, from its own start; silence where it was cut."""
    moves = [
        samples(sound.start_s) - samples(span.start_s) for sound, span in zip(placed, spans, strict=True)
    ]
    if moves[-1] == moves[0]:
        return pcm
    moved = np.zeros(len(pcm) + moves[-1] - moves[0], dtype=np.float32)
    cuts = [index for index in range(1, len(moves)) if moves[index] != moves[index - 1]]
    starts = [0, *(samples(spans[index].start_s) for index in cuts)]
    ends = [*starts[1:], len(pcm)]
    for first, start, end in zip([0, *cuts], starts, ends, strict=True):
        part = pcm[start:end].copy()
        if start:
            _fade(part[:_FADE_SAMPLES], rising=True)
        if end < len(pcm):
            part = _faded_out(part)
        offset = moves[first] - moves[0]
        moved[start + offset : end + offset] += part
    return moved


def _faded_out(pcm: Pcm) -> Pcm:
    faded = pcm.copy()
    _fade(faded[-_FADE_SAMPLES:], rising=False)
    return faded


def _fade(pcm: Pcm, *, rising: bool) -> None:
    ramp = np.linspace(0, 1, len(pcm), dtype=np.float32)
    pcm *= ramp if rising else ramp[::-1]
