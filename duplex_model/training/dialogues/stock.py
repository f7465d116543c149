"""What dialogues are made of, for training and for what is kept from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from duplex_model.training.dialogues.dialogue import Materials
from duplex_model.training.grammar import CLOSED, Grammar, Pair, everyday_sentence
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.augment import augment
from duplex_model.training.speech.speaking_voices import Engine
from duplex_model.training.speech.tts import OWN_VOICES, SpeakingVoice, source_voices, synthesise
from duplex_model.training.split import held_out, held_out_productions, is_training

LANGUAGES: tuple[Language, ...] = get_args(Language)


def training_materials(grammar: Grammar, pieces: Callable[[str], int]) -> Materials:
    """What the model is trained on.

    Args:
        grammar: of the sentences; held-out pairs never come.
        pieces: tokens of a word.
    """
    return _materials(grammar, pieces, is_training, held_out_side=False)


def held_out_materials(grammar: Grammar, pieces: Callable[[str], int]) -> Materials:
    """Held-out pairs of productions that are trained on, in held-out voices, after held-out role texts."""
    unheard = held_out_productions()

    def accept(pair: Pair) -> bool:
        return held_out(pair) and pair.production not in unheard

    return _materials(grammar, pieces, accept, held_out_side=True)


def unheard_voices(trained: Materials, kept: Materials) -> dict[Language, list[SpeakingVoice]]:
    """The voices of `kept` in whose timbre the model does not speak itself: it has heard that after all."""
    own = {voice.variant for languages in trained.own_voices.values() for voice in languages.values()}
    return {
        language: [voice for voice in voices if voice.variant not in own]
        for language, voices in kept.source_voices.items()
    }


def of_engine(
    voices: Mapping[Language, Sequence[SpeakingVoice]], engine: Engine
) -> dict[Language, list[SpeakingVoice]]:
    """Those of `voices` that one engine speaks."""
    return {
        language: [voice for voice in some if voice.engine == engine] for language, some in voices.items()
    }


def _materials(
    grammar: Grammar, pieces: Callable[[str], int], accept: Callable[[Pair], bool], *, held_out_side: bool
) -> Materials:
    def sample(rng: random.Random) -> Pair:
        while True:
            pair = grammar.sample(rng)
            if accept(pair):
                return pair

    def out_of_domain(rng: random.Random, language: Language) -> str:
        return everyday_sentence(rng, language, held_out=held_out_side)

    return Materials(
        sample=sample,
        out_of_domain=out_of_domain,
        closed=CLOSED,
        synthesise=synthesise,
        source_voices={language: source_voices(language, held_out=held_out_side) for language in LANGUAGES},
        own_voices=OWN_VOICES,
        augment=augment,
        pieces=pieces,
        held_out_roles=held_out_side,
    )
