"""What is evaluated: cells of trials that were never trained on, each with one question to answer.

    held-out combinations   pairs held out by the hash rule, of productions and voices that were trained on
    held-out productions    structures of sentences that were never trained on
    held-out voices         held-out pairs, spoken by espeak-ng variants that were never trained on
    flite                   held-out pairs, spoken by a voice made from a recorded human; English only
    noise                   held-out pairs in rooms, with noise and band limits
    held-out role texts     held-out pairs, the model asked in words it was never asked in

Behaviour has cells of its own: silence where nothing is to be interpreted, interruptions, backchannels, speech
outside the domain, given texts, voices. Everything is seeded: the same cell has the same trials for every checkpoint.
One cell is of what is trained on, `service notices`: the interpreter's own sentences, which are few and have to be
understood. It says how well they are spoken, and nothing of how well anything is interpreted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial

import numpy as np

from duplex_model.contract import FRAME_S, SAMPLE_RATE_HZ, Pcm, Prompt
from duplex_model.role import tagged_role
from duplex_model.training.dialogues.dialogue import Cast, Materials, Scene, Turn
from duplex_model.training.dialogues.kinds import BACKCHANNELS, NOTICES
from duplex_model.training.dialogues.roles import Mode, load_roles
from duplex_model.training.dialogues.stock import (
    held_out_materials,
    of_engine,
    training_materials,
    unheard_voices,
)
from duplex_model.training.evaluation.rollout import Cue, Trial
from duplex_model.training.grammar import Grammar, Pair, Register
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.tts import SpeakingVoice
from duplex_model.training.split import held_out, held_out_productions, is_training

DIRECTIONS: tuple[tuple[Language, Language], ...] = (("es", "en"), ("en", "es"))
MODES = (Mode.SIMULTANEOUS, Mode.CONSECUTIVE)

_LEAD_S = (0.4, 1.0)
_BETWEEN_TURNS_S = (2.5, 3.5)  # long enough for the rendering of a short sentence
_SIMULTANEOUS_TAIL_S = 2.0
_CONSECUTIVE_TAIL_S = 3.0
_TAIL_PER_SPEECH = 1.2  # a translation is rarely longer than that
_QUIET_S = 6.0
_NOISE_DBFS = (-55.0, -30.0)
_STILL_FRAMES = 12  # an interruption later than that before the next turn could not be told from it
_MOST_DRAWS = 400  # per sentence wanted


class Kind(Enum):
    """The question a cell answers."""

    TRANSLATION = "translation"
    QUIET = "quiet"  # nothing is to be said
    INTERRUPTION = "interruption"  # a listener interrupts, the next turn follows
    BACKCHANNEL = "backchannel"  # the speaker says "mm-hmm" during the rendering
    RESUMPTION = "resumption"  # the speaker goes on during the rendering
    OUT_OF_DOMAIN = "out_of_domain"
    NOTICE = "notice"  # a given text, by `say`
    VOICE = "voice"  # the same given texts in every voice


@dataclass(frozen=True, kw_only=True)
class Case:
    """One trial, and what is right."""

    trial: Trial
    turns: tuple[Turn, ...] = ()
    """Heard, in order."""

    expected: str = ""
    """What should be said, all in all."""

    own_voice: str = ""

    @property
    def production(self) -> str:
        """By which results are grouped: the first turn's."""
        pairs = [turn.pair for turn in self.turns if turn.pair is not None]
        return pairs[0].production if pairs else ""


@dataclass(frozen=True)
class Cell:
    """Cases that answer one question under one condition."""

    kind: Kind
    material: str
    mode: Mode
    language_in: Language
    language_out: Language
    cases: Sequence[Case] = field(repr=False)

    @property
    def name(self) -> str:
        """Such as `held-out voices, consecutive, es-en`."""
        return cell_name(self.material, self.mode, self.language_in, self.language_out)


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What cells are made of."""

    grammar: Grammar
    materials: Materials
    """With the voices trained on; nothing augmented."""

    held_out_voices: Mapping[Language, Sequence[SpeakingVoice]]
    """By language; espeak-ng and flite."""

    seed: int = 0


def stock_of(grammar: Grammar, seed: int) -> Stock:
    """What cells are made of: training voices for some, and for the rest all that training never heard."""
    trained = training_materials(grammar, lambda word: 1)
    kept = held_out_materials(grammar, lambda word: 1)
    materials = replace(trained, out_of_domain=kept.out_of_domain, clean_share=1.0)
    return Stock(
        grammar=grammar, materials=materials, held_out_voices=unheard_voices(trained, kept), seed=seed
    )


@dataclass(frozen=True)
class _Speech:
    """Whose sentences are heard, and how."""

    sample: Callable[[random.Random], Pair]
    accepts: Callable[[Pair], bool]
    voices: Mapping[Language, Sequence[SpeakingVoice]]
    clean_share: float = 1.0
    held_out_roles: bool = False
    modes: Sequence[Mode] = MODES


class Planner:
    """Makes cells from a stock, most of them with so many cases; long trials and dull ones are fewer."""

    def __init__(self, stock: Stock, per_cell: int) -> None:
        """Takes the stock; a cell is only made when it is asked for."""
        self.stock = stock
        self._per_cell = per_cell
        self._own_voices = sorted(stock.materials.own_voices)
        self._speeches = _speeches(stock)
        self._usual = self._speeches["held-out combinations"]

    def cells(self) -> dict[str, Callable[[], Cell]]:
        """Every cell there is by its name, in the order of a report."""
        makers: dict[str, Callable[[], Cell]] = {}
        for material, speech in self._speeches.items():
            for mode in speech.modes:
                for heard, said in DIRECTIONS:
                    if speech.voices.get(heard):
                        maker = partial(self.translation, material, mode, heard, said)
                        makers[cell_name(material, mode, heard, said)] = maker
        for make in (
            self.several_turns,
            self.interruption,
            self.backchannel,
            self.resumption,
            self.out_of_domain,
        ):
            for mode in _modes_of(make.__name__):
                for heard, said in DIRECTIONS:
                    name = cell_name(make.__name__.replace("_", " "), mode, heard, said)
                    makers[name] = partial(make, mode, heard, said)
        for material in ("silence", "noise only", "target language"):
            for mode in MODES:
                for heard, said in DIRECTIONS:
                    makers[cell_name(material, mode, heard, said)] = partial(
                        self.quiet, material, mode, heard, said
                    )
        for make in (self.notice, self.service_notices, self.voices):
            for heard, said in DIRECTIONS:
                name = cell_name(make.__name__.replace("_", " "), Mode.SIMULTANEOUS, heard, said)
                makers[name] = partial(make, Mode.SIMULTANEOUS, heard, said)
        return makers

    def translation(self, material: str, mode: Mode, heard: Language, said: Language) -> Cell:
        """One sentence, and silence long enough for its rendering."""
        rng, speech = self._rng(material, mode, heard), self._speeches[material]
        cases = [
            self._rendered(rng, speech, mode, heard, said, [pair])
            for pair in distinct(speech, rng, self._per_cell)
        ]
        return Cell(Kind.TRANSLATION, material, mode, heard, said, cases)

    def several_turns(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """Three sentences with pauses; the answer to one must not disturb the next."""
        material = "several turns"
        rng = self._rng(material, mode, heard)
        pairs = distinct(self._usual, rng, 3 * max(self._per_cell // 3, 1), _not_informal)
        triples = [pairs[start : start + 3] for start in range(0, len(pairs) - 2, 3)]
        cases = [self._rendered(rng, self._usual, mode, heard, said, triple) for triple in triples]
        return Cell(Kind.TRANSLATION, material, mode, heard, said, cases)

    def quiet(self, material: str, mode: Mode, heard: Language, said: Language) -> Cell:
        """Nothing to be interpreted."""
        rng = self._rng(material, mode, heard)
        spoken: Sequence[Pair | None] = [None] * max(self._per_cell // 4, 1)
        if material == "target language":
            spoken = distinct(self._usual, rng, self._per_cell)
        cases = []
        for pair in spoken:
            scene = self._scene(rng, self._usual, mode, heard, said, None)
            if pair is None:
                scene.hear_sound(_sound(rng, material), 0.0)
            else:
                scene.hear(pair.text(said), said, rng.uniform(*_LEAD_S), pair=pair, rendered=False)
            cases.append(self._case(scene, mode, expected=""))
        return Cell(Kind.QUIET, material, mode, heard, said, cases)

    def interruption(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """A listener interrupts the rendering of a turn that has ended; then a second turn comes."""
        rng = self._rng("interruption", mode, heard)
        pairs = distinct(self._usual, rng, 2 * max(self._per_cell // 2, 1), _not_informal)
        cases = []
        for first, second in zip(pairs[::2], pairs[1::2], strict=False):
            case = self._rendered(rng, self._usual, mode, heard, said, [first, second])
            cue = Cue(
                after_audible_frames=rng.randint(1, 4 if mode is Mode.SIMULTANEOUS else 10),
                not_before_frame=_frame(case.turns[0].end_s) + 1,
                not_after_frame=_frame(case.turns[1].start_s) - _STILL_FRAMES,
                interrupts=True,
            )
            cases.append(replace(case, trial=replace(case.trial, cue=cue)))
        return Cell(Kind.INTERRUPTION, "interruption", mode, heard, said, cases)

    def backchannel(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """The speaker says "mm-hmm" while the turn is rendered; the rendering goes on."""
        rng = self._rng("backchannel", mode, heard)
        cases = []
        for pair in distinct(self._usual, rng, self._per_cell):
            scene = self._scene(rng, self._usual, mode, heard, said, pair)
            scene.hear_pair(pair, rng.uniform(*_LEAD_S))
            case = self._case(scene, mode, expected=pair.text(said))
            sound = self.stock.materials.synthesise(rng.choice(BACKCHANNELS[heard]), scene.voices[heard])
            cases.append(
                _with_sound(case, sound.pcm, rng.randint(3, 8), case.turns[0].end_s, _tail_s(scene, mode))
            )
        return Cell(Kind.BACKCHANNEL, "backchannel", mode, heard, said, cases)

    def resumption(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """The speaker goes on with another sentence while the turn is rendered; both are rendered after it."""
        rng = self._rng("resumption", mode, heard)
        pairs = distinct(self._usual, rng, 2 * max(self._per_cell // 2, 1), _not_informal)
        cases = []
        for first, second in zip(pairs[::2], pairs[1::2], strict=False):
            scene = self._scene(rng, self._usual, mode, heard, said, first)
            scene.hear_pair(first, rng.uniform(*_LEAD_S))
            case = self._case(scene, mode, expected=f"{first.text(said)} {second.text(said)}")
            sound = self.stock.materials.synthesise(second.text(heard), scene.voices[heard])
            tail_s = _tail_s(scene, mode) + _TAIL_PER_SPEECH * len(sound.pcm) / SAMPLE_RATE_HZ
            cases.append(_with_sound(case, sound.pcm, rng.randint(3, 8), case.turns[0].end_s, tail_s))
        return Cell(Kind.RESUMPTION, "resumption", mode, heard, said, cases)

    def out_of_domain(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """Everyday sentences that the model must not try to interpret."""
        rng = self._rng("out of domain", mode, heard)
        cases = []
        for _ in range(self._per_cell):
            scene = self._scene(rng, self._usual, mode, heard, said, None)
            sentence = self.stock.materials.out_of_domain(rng, heard)
            scene.hear(sentence, heard, rng.uniform(*_LEAD_S), pair=None, rendered=False)
            cases.append(self._case(scene, mode, expected=""))
        return Cell(Kind.OUT_OF_DOMAIN, "out of domain", mode, heard, said, cases)

    def notice(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """Given texts, spoken into silence."""
        rng = self._rng("notice", mode, heard)
        cases = [
            self._notice_case(pair.text(said), mode, heard, said, rng.choice(self._own_voices))
            for pair in distinct(self._usual, rng, self._per_cell)
        ]
        return Cell(Kind.NOTICE, "notice", mode, heard, said, cases)

    def service_notices(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """What the interpreter says as itself, each sentence once, spoken into silence."""
        rng = self._rng("service notices", mode, heard)
        notices = [pair for pair in self.stock.materials.closed if pair.production in NOTICES]
        cases = [
            self._notice_case(text, mode, heard, said, rng.choice(self._own_voices))
            for text in dict.fromkeys(pair.text(said) for pair in notices)
        ]
        return Cell(Kind.NOTICE, "service notices", mode, heard, said, cases)

    def voices(self, mode: Mode, heard: Language, said: Language) -> Cell:
        """The same given texts in each of the own voices."""
        rng = self._rng("voices", mode, heard)
        texts = max(self._per_cell // len(self._own_voices), 1)
        cases = [
            self._notice_case(pair.text(said), mode, heard, said, voice)
            for pair in distinct(self._usual, rng, texts)
            for voice in self._own_voices
        ]
        return Cell(Kind.VOICE, "voices", mode, heard, said, cases)

    def _rng(self, material: str, mode: Mode, heard: str) -> random.Random:
        return random.Random(f"{self.stock.seed} {material} {mode.value} {heard}")

    def _scene(
        self,
        rng: random.Random,
        speech: _Speech,
        mode: Mode,
        heard: Language,
        said: Language,
        pair: Pair | None,
    ) -> Scene:
        """A scene in which somebody can speak, the model being asked for the register that `pair` has."""
        informal = pair is not None and pair.register is Register.INFORMAL and said == "es"
        register = "informal" if informal else None
        roles = load_roles()
        role = (
            roles.sample(rng, mode, heard, said, register=register, held_out=True)
            if speech.held_out_roles
            else roles.canonical(mode, heard, said, register)
        )
        cast = Cast(mode, heard, said, role, rng.choice(self._own_voices), register)
        voices = {language: rng.choice(choice) for language, choice in speech.voices.items() if choice}
        return Scene(rng, replace(self.stock.materials, clean_share=speech.clean_share), cast, voices)

    def _rendered(
        self,
        rng: random.Random,
        speech: _Speech,
        mode: Mode,
        heard: Language,
        said: Language,
        pairs: Sequence[Pair],
    ) -> Case:
        """Sentences one after the other, each to be rendered."""
        scene = self._scene(rng, speech, mode, heard, said, pairs[0])
        start_s = rng.uniform(*_LEAD_S)
        for pair in pairs:
            turn = scene.hear_pair(pair, start_s)
            length_s = turn.end_s - turn.start_s
            start_s = (
                turn.end_s + rng.uniform(*_BETWEEN_TURNS_S) + (0 if mode is Mode.SIMULTANEOUS else length_s)
            )
        return self._case(scene, mode, expected=" ".join(pair.text(said) for pair in pairs))

    def _case(self, scene: Scene, mode: Mode, *, expected: str) -> Case:
        dialogue = scene.finish("evaluation", _tail_s(scene, mode))
        prompt = Prompt(
            role_text=tagged_role(dialogue.role_text),  # with its tags it is the whole of it
            voice=dialogue.own_voice,
            language_in=dialogue.language_in,
            language_out=dialogue.language_out,
        )
        return Case(
            trial=Trial(prompt=prompt, heard=dialogue.heard),
            turns=dialogue.turns,
            expected=expected,
            own_voice=dialogue.own_voice,
        )

    def _notice_case(self, text: str, mode: Mode, heard: Language, said: Language, voice: str) -> Case:
        scene = self._scene(random.Random(0), self._usual, mode, heard, said, None)
        length_s = (
            self.stock.materials.synthesise(text, self.stock.materials.own_voices[voice][said])
            .words[-1]
            .end_s
        )
        scene.hear_sound(np.zeros(round(_TAIL_PER_SPEECH * length_s * SAMPLE_RATE_HZ), np.float32), 0.0)
        case = self._case(scene, mode, expected=text)
        prompt = replace(case.trial.prompt, voice=voice)
        return replace(case, trial=replace(case.trial, prompt=prompt, notice=text), own_voice=voice)


def cell_name(material: str, mode: Mode, heard: str, said: str) -> str:
    """Such as `held-out voices, consecutive, es-en`."""
    return f"{material}, {mode.value}, {heard}-{said}"


def distinct(
    speech: _Speech, rng: random.Random, count: int, suits: Callable[[Pair], bool] = lambda pair: True
) -> list[Pair]:
    """So many different pairs that were never trained on, or as many as can be found."""
    found: dict[tuple[str, str], Pair] = {}
    for _ in range(_MOST_DRAWS * count):
        if len(found) == count:
            break
        pair = speech.sample(rng)
        if speech.accepts(pair) and suits(pair):
            assert not is_training(pair)
            found.setdefault((pair.en, pair.es), pair)
    return list(found.values())


def _speeches(stock: Stock) -> dict[str, _Speech]:
    """Conditions of translation by name."""
    grammar, trained = stock.grammar, stock.materials.source_voices
    unheard = sorted(held_out_productions() & set(grammar.productions))

    def combination(pair: Pair) -> bool:
        return held_out(pair) and pair.production not in unheard

    def structure(rng: random.Random) -> Pair:
        return grammar.sample_from(rng.choice(unheard), rng)

    speeches = {"held-out combinations": _Speech(grammar.sample, combination, trained)}
    if unheard:
        speeches["held-out productions"] = _Speech(
            structure, lambda pair: pair.production in unheard, trained
        )
    return speeches | {
        "held-out voices": _Speech(grammar.sample, combination, of_engine(stock.held_out_voices, "espeak")),
        "flite": _Speech(grammar.sample, combination, of_engine(stock.held_out_voices, "flite")),
        "noise": _Speech(grammar.sample, combination, trained, clean_share=0.0),
        "held-out role texts": _Speech(
            grammar.sample, combination, trained, held_out_roles=True, modes=MODES[:1]
        ),
    }


def _modes_of(name: str) -> Sequence[Mode]:
    """In which modes a cell makes sense: nobody can go on during a rendering that does not wait for a pause."""
    if name in ("interruption", "out_of_domain"):
        return MODES
    return MODES[1:] if name in ("backchannel", "resumption") else MODES[:1]


def _not_informal(pair: Pair) -> bool:
    """Whether the usual role text asks for what `pair` is; sentences of one trial must agree."""
    return pair.register is not Register.INFORMAL


def _tail_s(scene: Scene, mode: Mode) -> float:
    """Silence after the last sentence in which its rendering surely ends, and something false could begin."""
    spoken_s = max((turn.end_s - turn.start_s for turn in scene.turns), default=0.0)
    fixed_s = _SIMULTANEOUS_TAIL_S if mode is Mode.SIMULTANEOUS else _CONSECUTIVE_TAIL_S
    return fixed_s + _TAIL_PER_SPEECH * spoken_s


def _with_sound(case: Case, pcm: Pcm, after_audible_frames: int, ended_s: float, tail_s: float) -> Case:
    cue = Cue(
        after_audible_frames=after_audible_frames,
        not_before_frame=_frame(ended_s) + 1,
        heard=pcm,
        tail_frames=_frame(tail_s) + 1,
    )
    return replace(case, trial=replace(case.trial, cue=cue))


def _sound(rng: random.Random, material: str) -> Pcm:
    """Silence, or noise of a random colour between white and brown."""
    count = round(_QUIET_S * SAMPLE_RATE_HZ)
    if material == "silence":
        return np.zeros(count, np.float32)
    spectrum = np.fft.rfft(np.random.default_rng(rng.getrandbits(32)).standard_normal(count))
    coloured = np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** rng.uniform(0, 1), count)
    level = 10 ** (rng.uniform(*_NOISE_DBFS) / 20)
    return np.asarray(coloured * (level / coloured.std()), dtype=np.float32)


def _frame(time_s: float) -> int:
    return int(time_s / FRAME_S)
