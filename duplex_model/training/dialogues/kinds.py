"""The kinds of dialogues, how often each is trained on, and how each is composed. Pure.

Every composer fills a scene; `compose` gives it a cast and closes it. Times are chosen at random, and what the model
should do follows from them by rules it can learn: nothing depends on what has not been heard yet.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import FRAME_S, SAMPLE_RATE_HZ, Pcm
from duplex_model.speech import HUSH_FRAMES
from duplex_model.training.dialogues.dialogue import (
    Cast,
    Dialogue,
    Materials,
    OwnWord,
    Rendering,
    Scene,
    Turn,
)
from duplex_model.training.dialogues.roles import Mode, load_roles
from duplex_model.training.dialogues.spelling import UNSURE
from duplex_model.training.dialogues.timeline import first_frame_after, frame_at, samples
from duplex_model.training.grammar.pair import Language, Pair
from duplex_model.training.speech.tts import SpeakingVoice

PAUSE_S = 0.72
"""After which the consecutive interpreter writes its first word; it is heard a frame later."""

UNSURE_S = 0.24
"""After the end of speech outside the domain, before the simultaneous interpreter says so."""

TRANSCRIPT_FRAMES = 3
"""After the end of a heard word, before it is written down."""

STOP_FRAMES = 4
"""In which a consecutive interpreter falls silent once its speaker goes on."""

BACKCHANNELS: Mapping[Language, tuple[str, ...]] = {
    "en": ("Mm-hmm.", "Uh-huh.", "I see."),
    "es": ("Mm-hmm.", "Ajá.", "Ya veo."),
}
"""What a listener says without taking the floor; never rendered."""

AGREEMENTS: Mapping[Language, tuple[str, ...]] = {"en": ("Yes.", "Okay."), "es": ("Sí.", "Vale.")}
"""Rendered when they answer something, but no reason to stop while the model speaks."""

NOTICES = ("closed.notice", "closed.repeat")
"""Productions of what the interpreter says as itself."""

_LONGEST_S = 24.0
_CLOSED_SHARE = 0.06
_NOTICE_SHARE = 0.6  # of given texts: what the interpreter says in service
_CLOSED_GIVEN_SHARE = 0.15
_INFORMAL_SHARE = 0.4
_NOT_BY_PEOPLE = ("closed.notice", "closed.backchannel")
_LANGUAGES: tuple[Language, ...] = ("es", "en")
_OTHER: Mapping[Language, Language] = {"en": "es", "es": "en"}

Composer = Callable[[Scene], None]


@dataclass(frozen=True)
class Kind:
    """A kind of dialogue."""

    share: float
    """Of all dialogues, relative to the others'; 0 is composed only where it is asked for by name."""

    mode: Mode
    compose: Composer


def compose(
    rng: random.Random, materials: Materials, name: str | None = None, language_in: Language | None = None
) -> Dialogue:
    """One dialogue.

    Args:
        rng: decides everything.
        materials: what it is made of.
        name: its kind, a key of `KINDS`; by the shares if not given.
        language_in: `en` or `es`; either if not given.
    """
    if name is None:
        name = rng.choices(list(KINDS), [kind.share for kind in KINDS.values()])[0]
    kind = KINDS[name]
    heard = rng.choice(_LANGUAGES) if language_in is None else language_in
    scene = Scene(rng, materials, _cast(rng, materials, kind.mode, heard), _voices(rng, materials))
    kind.compose(scene)
    # Where nothing was said, silence must last until it is clear that nothing will be.
    return scene.finish(name, tail_s=rng.uniform(0.6, 1.4) + (0 if scene.renderings else PAUSE_S))


def _cast(rng: random.Random, materials: Materials, mode: Mode, heard: Language) -> Cast:
    said = heard if mode is Mode.TRANSCRIPTION else _OTHER[heard]
    register = "informal" if said == "es" != heard and rng.random() < _INFORMAL_SHARE else None
    asked = register or (rng.choice((None, None, None, "formal")) if said == "es" != heard else None)
    text = load_roles().sample(rng, mode, heard, said, register=asked, held_out=materials.held_out_roles)
    own_voice = rng.choice(sorted(materials.own_voices))
    return Cast(mode, heard, said, text, own_voice, register or ("formal" if said == "es" != heard else None))


def _voices(rng: random.Random, materials: Materials) -> dict[Language, SpeakingVoice]:
    return {language: rng.choice(voices) for language, voices in sorted(materials.source_voices.items())}


def _pair(scene: Scene, closed_share: float = _CLOSED_SHARE) -> Pair:
    """A pair that fits the register; now and then one of the closed list that people say."""
    rng, materials = scene.rng, scene.materials
    closed = rng.random() < closed_share
    while True:
        pair = rng.choice(materials.closed) if closed else materials.sample(rng)
        if pair.production in _NOT_BY_PEOPLE:
            continue
        if pair.register is None or scene.cast.register in (None, pair.register.value):
            return pair


def _first_s(scene: Scene) -> float:
    return scene.rng.uniform(0.2, 1.0)


def _rendering(scene: Scene, turn: Turn) -> Rendering:
    """The translation of one turn as its mode has it, not placed yet."""
    if scene.cast.mode is Mode.SIMULTANEOUS:
        return scene.render(turn)
    return _after_pause(scene, turn, turn.end_s)


def _after_pause(scene: Scene, turn: Turn, end_s: float) -> Rendering:
    assert turn.pair is not None
    text, ready_s = turn.pair.text(scene.cast.language_out), end_s + PAUSE_S
    return scene.speak(text, ready_s, ready_s - FRAME_S, turn.pair)


def _render(scene: Scene, turn: Turn) -> Rendering:
    scene.renderings.append(_rendering(scene, turn))
    return scene.renderings[-1]


def _next_s(scene: Scene) -> float:
    """When somebody speaks again once everything has been said."""
    return scene.end_s + scene.rng.uniform(0.3, 1.5)


# -- simultaneous ------------------------------------------------------------------------------------------------------


def _one_turn(scene: Scene) -> None:
    _render(scene, scene.hear_pair(_pair(scene), _first_s(scene)))


def _several_turns(scene: Scene) -> None:
    wanted = scene.rng.choice((2, 2, 2, 3, 3, 4, 6, 8))
    start_s = _first_s(scene)
    while len(scene.turns) < wanted and start_s < _LONGEST_S:
        turn = scene.hear_pair(_pair(scene), start_s)
        _render(scene, turn)
        start_s = turn.end_s + scene.rng.uniform(0.5, 2.5)


def _target_language(scene: Scene) -> None:
    """Who is heard speaks what the listener understands: there is nothing to say."""
    start_s = _first_s(scene)
    for _ in range(scene.rng.choice((1, 1, 2))):
        start_s = _hear_unrendered(scene, start_s).end_s + scene.rng.uniform(0.4, 1.5)


def _hear_unrendered(scene: Scene, start_s: float) -> Turn:
    pair, language = _pair(scene), scene.cast.language_out
    return scene.hear(pair.text(language), language, start_s, pair=pair, rendered=False)


def _both_languages(scene: Scene) -> None:
    start_s = _first_s(scene)
    foreign = scene.rng.random() < 0.5
    for _ in range(scene.rng.choice((2, 3))):
        turn = scene.hear_pair(_pair(scene), start_s) if foreign else _hear_unrendered(scene, start_s)
        if foreign:
            _render(scene, turn)
        start_s = turn.end_s + scene.rng.uniform(0.6, 1.8)
        foreign = not foreign


def _code_switch(scene: Scene) -> None:
    """A sentence in each language, with no pause between."""
    start_s = _first_s(scene)
    if scene.rng.random() < 0.5:
        _render(scene, scene.hear_pair(_pair(scene), _hear_unrendered(scene, start_s).end_s + 0.08))
    else:
        turn = scene.hear_pair(_pair(scene), start_s)
        _hear_unrendered(scene, turn.end_s + 0.08)
        _render(scene, turn)


def _interrupted(scene: Scene) -> None:
    """The listener interrupts: what was being said is never taken up again, the next turn is rendered."""
    turn = scene.hear_pair(_pair(scene), _first_s(scene))
    _interrupt(scene, _rendering(scene, turn), after_s=turn.end_s)
    if scene.rng.random() < 0.75:
        _render(scene, scene.hear_pair(_pair(scene), _next_s(scene)))


def _interrupt(scene: Scene, rendering: Rendering, after_s: float) -> None:
    """Stops `rendering` in the midst of its sound, if it can be after `after_s`."""
    first, last = rendering.first_frame + 1, frame_at(rendering.end_s)
    first = min(max(first, frame_at(after_s) - scene.rng.randrange(6)), last)
    frame = scene.rng.randint(first, max(first, last))
    left = rendering.until(frame)
    if left is not None:
        scene.renderings.append(left)
    scene.given_frames.extend(range(frame, frame + HUSH_FRAMES))
    scene.interrupted_frame = frame


# -- consecutive -------------------------------------------------------------------------------------------------------


def _consecutive(scene: Scene) -> None:
    start_s = _first_s(scene)
    for _ in range(scene.rng.choice((1, 1, 1, 2))):
        _render_all(scene, _hear_sentences(scene, start_s, scene.rng.choice((1, 1, 1, 2))))
        start_s = scene.end_s + scene.rng.uniform(0.4, 1.2)


def _hear_sentences(scene: Scene, start_s: float, count: int) -> list[Turn]:
    """Sentences with pauses too short to take for the end of the turn."""
    turns: list[Turn] = []
    for _ in range(count):
        turns.append(scene.hear_pair(_pair(scene), start_s))
        start_s = turns[-1].end_s + scene.rng.uniform(0.1, 0.45)
    return turns


def _render_all(scene: Scene, turns: list[Turn]) -> list[Rendering]:
    """The whole turn after its pause, sentence by sentence."""
    for turn in turns:
        scene.renderings.append(_after_pause(scene, turn, turns[-1].end_s))
    return scene.renderings[-len(turns) :]


def _backchannel(scene: Scene) -> None:
    """A listener's sound during the rendering does not stop it."""
    renderings = _render_all(scene, _hear_sentences(scene, _first_s(scene), scene.rng.choice((1, 2))))
    start_s, end_s = renderings[0].placed[0].start_s + 0.1, renderings[-1].end_s - 0.3
    for _ in range(scene.rng.choice((1, 1, 2))):
        if start_s < end_s:
            begin_s = scene.rng.uniform(start_s, end_s)
            start_s = scene.hear_backchannel(_murmur(scene, also=AGREEMENTS), begin_s) + 0.4
    if scene.rng.random() < 0.3:
        _render_all(scene, _hear_sentences(scene, scene.end_s + scene.rng.uniform(0.4, 1.2), 1))


def _murmur(scene: Scene, also: Mapping[Language, tuple[str, ...]] | None = None) -> str:
    language = scene.cast.language_in
    return scene.rng.choice(BACKCHANNELS[language] + (also[language] if also else ()))


def _resumed(scene: Scene) -> None:
    """The speaker goes on during the rendering: it stops, and begins anew with the whole turn after the next pause."""
    turns = _hear_sentences(scene, _first_s(scene), 1)
    whole = _rendering(scene, turns[0])
    earliest_s, latest_s = whole.words[0].frame * FRAME_S, whole.end_s - 0.3
    start_s = scene.rng.uniform(earliest_s, max(latest_s, earliest_s))
    stopped = whole.until(frame_at(start_s) + 1 + STOP_FRAMES)
    turns.append(scene.hear_pair(_pair(scene, closed_share=0), start_s))
    if stopped is not None:
        scene.renderings.append(stopped)
    _render_all(scene, turns)


# -- the interpreter itself, and nothing to interpret ------------------------------------------------------------------


def _said(scene: Scene) -> None:
    """The model is told to say a text: its words are given, when each begins is not."""
    before = scene.rng.random()
    if before < 0.4:
        _render(scene, scene.hear_pair(_pair(scene), _first_s(scene)))
    elif before < 0.55:
        _hear_unrendered(scene, _first_s(scene))
    begin_s = scene.own_free_frame * FRAME_S + scene.rng.uniform(0.2, 1.5)
    _say(scene, begin_s)
    if scene.rng.random() < 0.4:
        _render(scene, scene.hear_pair(_pair(scene), _next_s(scene)))


def _notice(scene: Scene) -> None:
    """Nothing but a notice: short, so that each of them can be said many times."""
    _say(scene, scene.rng.uniform(0.2, 0.8), notice=True)


def _say(scene: Scene, begin_s: float, *, notice: bool = False) -> None:
    rng, materials = scene.rng, scene.materials
    pair = _a_notice(rng, materials) if notice else _given_pair(rng, materials)
    language = rng.choice((scene.cast.language_in, scene.cast.language_out))
    rendering = scene.speak(pair.text(language), 0.0, begin_s, None, language)
    given = [
        OwnWord(word.frame, word.text, 0.0, float(index > 0)) for index, word in enumerate(rendering.words)
    ]
    scene.renderings.append(Rendering(rendering.pcm, rendering.start_s, tuple(given), rendering.placed))
    scene.said.append((given[0].frame - 1, pair.text(language)))


def _given_pair(rng: random.Random, materials: Materials) -> Pair:
    """Mostly one of the interpreter's own notices; few other sentences suffice to be able to say any."""
    choice = rng.random()
    if choice < _NOTICE_SHARE:
        return _a_notice(rng, materials)
    if choice < _NOTICE_SHARE + _CLOSED_GIVEN_SHARE:
        return rng.choice(materials.closed)
    return materials.sample(rng)


def _a_notice(rng: random.Random, materials: Materials) -> Pair:
    return rng.choice([pair for pair in materials.closed if pair.production in NOTICES])


def _nothing(scene: Scene) -> None:
    """Silence, noise or tones, perhaps with the sounds of somebody who listens."""
    length_s = scene.rng.uniform(3.0, 8.0)
    scene.hear_sound(_sound(scene.rng, length_s), 0.0)
    if scene.rng.random() < 0.25:
        scene.hear_backchannel(_murmur(scene), scene.rng.uniform(0.2, length_s - 2.0))


def _sound(rng: random.Random, length_s: float) -> Pcm:
    count = samples(length_s)
    choice = rng.random()
    if choice < 0.3:
        return np.zeros(count, dtype=np.float32)
    level = 10 ** (rng.uniform(-60, -25) / 20)
    pcm = _noise(rng, count) if choice < 0.7 else _tones(rng, count)
    return np.asarray(level * pcm, dtype=np.float32)


def _noise(rng: random.Random, count: int) -> Pcm:
    """[count], of level 1: white to brown."""
    spectrum = np.fft.rfft(np.random.default_rng(rng.getrandbits(64)).standard_normal(count))
    coloured = np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** rng.uniform(0, 1), count)
    return np.asarray(coloured / coloured.std(), dtype=np.float32)


def _tones(rng: random.Random, count: int) -> Pcm:
    """[count]: notes with a few harmonics, one after the other."""
    pcm = np.zeros(count, dtype=np.float32)
    start = 0
    while start < count:
        length = min(samples(rng.uniform(0.15, 0.8)), count - start)
        seconds = np.arange(length) / SAMPLE_RATE_HZ
        pitch_hz = 110 * 2 ** (rng.randrange(36) / 12)
        wave = sum(np.sin(2 * np.pi * pitch_hz * n * seconds) / n**2 for n in range(1, 5))
        pcm[start : start + length] = wave * np.minimum(1, np.minimum(seconds, seconds[::-1]) / 0.02)
        start += length + samples(rng.choice((0.0, 0.0, 0.2)))
    return pcm


def _out_of_domain(scene: Scene) -> None:
    """Speech that the model cannot render: it says so, once, and nothing else."""
    start_s = _first_s(scene)
    if scene.rng.random() < 0.25:
        _render(scene, scene.hear_pair(_pair(scene), start_s))
        start_s = _next_s(scene)
    language = scene.cast.language_in
    text = scene.materials.out_of_domain(scene.rng, language)
    turn = scene.hear(text, language, start_s, pair=None, rendered=False)
    consecutive = scene.cast.mode is Mode.CONSECUTIVE
    known_s = turn.end_s + (PAUSE_S if consecutive else UNSURE_S)
    scene.extra_words.append(OwnWord(first_frame_after(known_s), UNSURE))
    if scene.rng.random() < 0.3:
        _render(scene, scene.hear_pair(_pair(scene), known_s + scene.rng.uniform(0.4, 1.3)))


def _transcription(scene: Scene) -> None:
    start_s = _first_s(scene)
    free = 0
    for _ in range(scene.rng.choice((1, 1, 2))):
        turn = scene.hear_pair(_pair(scene), start_s, rendered=False)
        for word, end_s in zip(turn.text.split(), turn.word_ends_s, strict=True):
            frame = max(frame_at(end_s) + TRANSCRIPT_FRAMES, free + 1)
            scene.extra_words.append(OwnWord(frame, word))
            free = frame + scene.materials.pieces(word)
        start_s = turn.end_s + scene.rng.uniform(0.4, 1.5)


KINDS: Mapping[str, Kind] = {
    "one_turn": Kind(28, Mode.SIMULTANEOUS, _one_turn),
    "several_turns": Kind(5, Mode.SIMULTANEOUS, _several_turns),
    "consecutive": Kind(30, Mode.CONSECUTIVE, _consecutive),
    "backchannel": Kind(7, Mode.CONSECUTIVE, _backchannel),
    "resumed": Kind(7, Mode.CONSECUTIVE, _resumed),
    "target_language": Kind(5, Mode.SIMULTANEOUS, _target_language),
    "target_language_consecutive": Kind(6, Mode.CONSECUTIVE, _target_language),
    "both_languages": Kind(3, Mode.SIMULTANEOUS, _both_languages),
    "interrupted": Kind(3, Mode.SIMULTANEOUS, _interrupted),
    "interrupted_consecutive": Kind(3, Mode.CONSECUTIVE, _interrupted),
    "said": Kind(9, Mode.SIMULTANEOUS, _said),
    "said_consecutive": Kind(3, Mode.CONSECUTIVE, _said),
    "notice": Kind(0, Mode.SIMULTANEOUS, _notice),  # for a corpus of their own
    "nothing": Kind(2, Mode.SIMULTANEOUS, _nothing),
    "nothing_consecutive": Kind(1, Mode.CONSECUTIVE, _nothing),
    "out_of_domain": Kind(3, Mode.SIMULTANEOUS, _out_of_domain),
    "out_of_domain_consecutive": Kind(2, Mode.CONSECUTIVE, _out_of_domain),
    "code_switch": Kind(1, Mode.SIMULTANEOUS, _code_switch),
    "transcription": Kind(1, Mode.TRANSCRIPTION, _transcription),
}
