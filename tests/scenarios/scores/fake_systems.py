"""Interpreters whose scores are known before they are scored, as the runs they would leave.

A doctor says a sentence of six words every ten seconds, three seconds long; a patient listens to it in Spanish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from interpreter.floor.floor import FloorEventKind
from scenarios.run_log import (
    FloorMoment,
    HeardWord,
    Person,
    Rendering,
    RunLog,
    SaidUtterance,
    SpokenWord,
)
from scenarios.timeline import Kind
from scenarios.voicing import Span

FRAME_S = 0.08
PERIOD_S, WORD_S, WORDS = 10.0, 0.5, 6
BREATH_S = 0.6
TAIL_S = 10.0


def sentence(n: int) -> SaidUtterance:
    """The doctor's n-th."""
    begin_s = 1.0 + PERIOD_S * n
    words = ["Now", "take", f"{n + 2}", "tablets", "every", "day."]
    return SaidUtterance(
        id=f"d{n}",
        speaker_id="doctor",
        kind=Kind.TURN,
        language="en",
        text=" ".join(words),
        span=Span(start_s=begin_s, end_s=begin_s + WORDS * WORD_S),
        words=tuple(
            SpokenWord(text=text, start_s=begin_s + WORD_S * k, end_s=begin_s + WORD_S * (k + 1))
            for k, text in enumerate(words)
        ),
        references={"es": spanish(n)},
    )


def spanish(n: int) -> str:
    return f"Ahora tome {n + 2} pastillas cada día."


def interjection(n: int, kind: Kind, delay_s: float, duration_s: float) -> SaidUtterance:
    """The patient's, so long after the beginning of the doctor's n-th sentence."""
    begin_s = 1.0 + PERIOD_S * n + delay_s
    text = "Ajá." if kind is Kind.BACKCHANNEL else "¡Espere, espere!"
    return SaidUtterance(
        id=f"p{n}",
        speaker_id="patient",
        kind=kind,
        language="es",
        text=text,
        span=Span(start_s=begin_s, end_s=begin_s + duration_s),
        words=(SpokenWord(text=text, start_s=begin_s, end_s=begin_s + duration_s),),
    )


def run_of(
    sentences: int,
    words: Sequence[HeardWord],
    spurts: Sequence[Span],
    *,
    interjections: Sequence[SaidUtterance] = (),
    floor: Sequence[FloorMoment] | None = None,
) -> RunLog:
    said = [sentence(n) for n in range(sentences)]
    return RunLog(
        scenario_id="fake",
        duration_s=PERIOD_S * sentences + TAIL_S,
        people=(
            Person(id="doctor", language="en", spurts=tuple(one.span for one in said)),
            Person(id="patient", language="es", spurts=tuple(one.span for one in interjections)),
        ),
        utterances=tuple(sorted((*said, *interjections), key=lambda one: one.span.start_s)),
        renderings=(
            Rendering(
                speaker_id="doctor",
                language_in="en",
                language_out="es",
                listener_ids=("patient",),
                words=tuple(words),
                spurts=tuple(spurts),
            ),
        ),
        floor=None if floor is None else tuple(floor),
    )


def rendered(n: int, lag_s: float, *, on_grid: bool = True) -> list[HeardWord]:
    """The n-th sentence, every word `lag_s` after the end of its source word, or at the next tick."""
    return [
        HeardWord(
            text=text,
            start_s=(start_s := tick(source.end_s + lag_s) if on_grid else source.end_s + lag_s),
            end_s=start_s + WORD_S - FRAME_S,
            utterance_id=f"d{n}",
            source_word=k,
        )
        for k, (text, source) in enumerate(zip(spanish(n).split(), sentence(n).words, strict=True))
    ]


def tick(at_s: float) -> float:
    """The first tick at or after a time."""
    return math.ceil(round(at_s / FRAME_S, 6)) * FRAME_S


def spurts_of(words: Sequence[HeardWord]) -> list[Span]:
    """As the run's: stretches with less than 200 ms of silence in them."""
    spurts: list[Span] = []
    for word in sorted(words, key=lambda one: one.start_s):
        if spurts and word.start_s - spurts[-1].end_s < 0.2:
            spurts[-1] = Span(start_s=spurts[-1].start_s, end_s=word.end_s)
        else:
            spurts.append(Span(start_s=word.start_s, end_s=word.end_s))
    return spurts


# The systems --------------------------------------------------------------------------------------------------------


def constant_lag(sentences: int, lag_s: float, *, lost: Sequence[int] = (), on_grid: bool = True) -> RunLog:
    words = [word for n in range(sentences) if n not in lost for word in rendered(n, lag_s, on_grid=on_grid)]
    return run_of(sentences, words, spurts_of(words))


def growing_lag(sentences: int, lag_s: float, s_per_minute: float) -> RunLog:
    words = [
        replace(word, start_s=word.start_s + later, end_s=word.end_s + later)
        for n in range(sentences)
        for word, source in zip(rendered(n, lag_s, on_grid=False), sentence(n).words, strict=True)
        for later in [s_per_minute * source.end_s / 60.0]
    ]
    return run_of(sentences, words, spurts_of(words))


def loses_one_in_ten(sentences: int) -> RunLog:
    return constant_lag(sentences, 1.0, lost=range(9, sentences, 10))


def always_silent(sentences: int) -> RunLog:
    interruptions = [interjection(n, Kind.INTERRUPTION, 2.0, 1.5) for n in range(sentences)]
    return run_of(sentences, (), (), interjections=interruptions)


def never_stops(sentences: int) -> RunLog:
    """It talks from the first moment to the last, of nothing, and is interrupted in vain."""
    duration_s = PERIOD_S * sentences + TAIL_S
    words = [
        HeardWord(text=f"bla{n % 7}", start_s=0.4 * n, end_s=0.4 * n + 0.38)
        for n in range(int(duration_s / 0.4))
    ]
    interruptions = [interjection(n, Kind.INTERRUPTION, 2.0, 1.5) for n in range(sentences)]
    return run_of(
        sentences, words, [Span(start_s=0.0, end_s=duration_s)], interjections=interruptions, floor=()
    )


def greeter(sentences: int) -> RunLog:
    """It says hello at the first moment, and then nothing any more."""
    hello = ["Hola", "soy", "su", "intérprete"]
    words = [HeardWord(text=text, start_s=0.2 * n, end_s=0.2 * n + 0.18) for n, text in enumerate(hello)]
    interruptions = [interjection(n, Kind.INTERRUPTION, 2.0, 1.5) for n in range(sentences)]
    return run_of(sentences, words, spurts_of(words), interjections=interruptions)


def cuts_on_every_backchannel(sentences: int) -> RunLog:
    """A perfect interpreter that stops 0.4 s after every "mm-hm", and goes on 0.6 s after it."""
    return _with_interjections(sentences, Kind.BACKCHANNEL, 0.4, stops=True)


def talks_through_backchannels(sentences: int) -> RunLog:
    return _with_interjections(sentences, Kind.BACKCHANNEL, 0.4, stops=False)


def yields_to_interruptions(sentences: int) -> RunLog:
    """It stops 0.4 s after the onset of every interruption, and goes on 0.6 s after its end."""
    return _with_interjections(sentences, Kind.INTERRUPTION, 1.5, stops=True)


def _with_interjections(sentences: int, kind: Kind, duration_s: float, *, stops: bool) -> RunLog:
    others = [interjection(n, kind, 3.0, duration_s) for n in range(sentences)]
    words: list[HeardWord] = []
    spurts: list[Span] = []
    floor: list[FloorMoment] = []
    for n, other in enumerate(others):
        own = rendered(n, 1.0)
        whole = Span(start_s=own[0].start_s, end_s=own[-1].end_s)
        if not stops:
            words, spurts = words + own, [*spurts, whole]
            continue
        cut_s = other.span.start_s + 0.4
        held_s = other.span.end_s + BREATH_S - cut_s
        words += [
            word
            if word.end_s <= cut_s
            else replace(word, start_s=word.start_s + held_s, end_s=word.end_s + held_s)
            for word in own
        ]
        spurts += [
            Span(start_s=whole.start_s, end_s=cut_s),
            Span(start_s=cut_s + held_s, end_s=whole.end_s + held_s),
        ]
        for kind_of, at_s in ((FloorEventKind.CUT, cut_s), (FloorEventKind.GOES_ON, cut_s + held_s)):
            floor.append(
                FloorMoment(
                    kind=kind_of,
                    at_s=at_s,
                    speaker_id="doctor",
                    language_out="es",
                    by="patient",
                    onset_s=other.span.start_s,
                )
            )
    return run_of(sentences, words, spurts, interjections=others, floor=floor)


def echoing(sentences: int) -> RunLog:
    """It hears the patient's rendering out of the doctor's loudspeaker, and renders it back, 1.5 s later.

    Every second sentence is answered by the patient with "Me duele mucho la rodilla".
    """
    base = constant_lag(sentences, 1.0)
    answers, echoes = [], []
    for n in range(0, sentences, 2):
        begin_s = 1.0 + PERIOD_S * n + 6.0
        texts = f"Me duele mucho la rodilla {n}".split()
        spoken = tuple(
            SpokenWord(text=text, start_s=begin_s + 0.3 * k, end_s=begin_s + 0.3 * (k + 1))
            for k, text in enumerate(texts)
        )
        answers.append(
            SaidUtterance(
                id=f"p{n}",
                speaker_id="patient",
                kind=Kind.TURN,
                language="es",
                text=" ".join(texts),
                span=Span(start_s=begin_s, end_s=spoken[-1].end_s),
                words=spoken,
            )
        )
        echoes += [
            HeardWord(text=word.text, start_s=word.start_s + 1.5, end_s=word.end_s + 1.5) for word in spoken
        ]
    words = sorted((*base.renderings[0].words, *echoes), key=lambda word: word.start_s)
    rendering = replace(base.renderings[0], words=tuple(words), spurts=tuple(spurts_of(words)))
    everything = sorted((*base.utterances, *answers), key=lambda one: one.span.start_s)
    return replace(base, utterances=tuple(everything), renderings=(rendering,))
