"""Whether the interpreter stays itself over a run: nothing said of nothing, nothing said for ever, nothing lost. Pure.

words from nothing   words of a rendering though its speaker has said nothing in the 10 s before, the longest that a
                     simultaneous rendering may lag; per minute in which that was so
words of an echo     words that render nothing and say again, in a row of three or more, what was said or rendered in
                     that language in the 10 s before: the interpreter has heard itself out of a loudspeaker. People
                     take up one another's words, so that words with a source are none
repetitions          words of the third and further sayings of the same one to four words in a row
silence ratio        silence between a rendering's first and last sound, over that time (Hibiki reports 0.17 to 0.26)
lost                 what a floor could not say: text lost, and how often its buffer was full
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from interpreter.floor.floor import FloorEventKind
from interpreter.floor.spoken_words import words_of
from scenarios.run_log import HeardWord, Rendering, RunLog
from scenarios.scores.alignment import IMPOSSIBLE, AlignedRun, Alignment
from scenarios.scores.score import Score, count, not_scored
from scenarios.scores.turn_taking import MINUTE_S, joined
from scenarios.voicing import Span

LAG_S = 10.0
ECHO_WORDS = 3
_LONGEST_LOOP = 4
_TOLERATED = 2


def stability_scores(runs: Sequence[AlignedRun]) -> list[Score]:
    """All figures of stability."""
    renderings = [rendering for one in runs for rendering in one.run.renderings]
    counted: Counter[str] = Counter()
    for one in runs:
        counted.update(one.run.counts)
    echoed = [
        echoed_words(one.run, alignment)
        for one in runs
        for alignment in one.alignments
        if alignment.how != IMPOSSIBLE
    ]
    return [
        _from_nothing([one.run for one in runs]),
        count("stability.echoed_words", sum(echoed)),
        count("stability.repeated_words", sum(repeated_words(_texts(one.words)) for one in renderings)),
        _silence_ratio(renderings),
        *_lost([one.run for one in runs]),
        *(count(f"stability.meeting.{name}", number) for name, number in sorted(counted.items())),
    ]


def unprompted(run: RunLog, rendering: Rendering) -> tuple[HeardWord, ...]:
    """Words that are said though there is nothing to render."""
    heard = _within_lag(run, rendering.speaker_id)
    return tuple(
        word
        for word in rendering.words
        if not word.as_self and not any(one.start_s <= word.start_s <= one.end_s for one in heard)
    )


def echoed_words(run: RunLog, alignment: Alignment) -> int:
    """Words without a source that say again what others said, or the interpreter rendered, in that language."""
    rendering, words = alignment.rendering, alignment.without_source
    others = [
        (word.text, word.start_s)
        for one in run.utterances
        if one.speaker_id != rendering.speaker_id and one.language == rendering.language_out
        for word in one.words
    ]
    others += [
        (word.text, word.start_s)
        for one in run.renderings
        if one is not rendering and one.language_out == rendering.language_out
        for word in one.words
    ]
    rows = [
        (tuple(words_of(" ".join(text for text, _ in others[n : n + ECHO_WORDS]))), others[n][1])
        for n in range(len(others) - ECHO_WORDS + 1)
    ]
    echoed: set[int] = set()
    for n in range(len(words) - ECHO_WORDS + 1):
        row = words[n : n + ECHO_WORDS]
        texts = words_of(" ".join(word.text for word in row))
        if any(texts == other and 0.0 < row[0].start_s - at_s <= LAG_S for other, at_s in rows):
            echoed.update(range(n, n + ECHO_WORDS))
    return len(echoed)


def repeated_words(texts: Sequence[str]) -> int:
    """Words of the third and further sayings in a row of the same one to four words."""
    repeated: set[int] = set()
    for length in range(1, _LONGEST_LOOP + 1):
        for start in range(length * _TOLERATED, len(texts) - length + 1):
            row = texts[start : start + length]
            before = [texts[start - n * length : start - (n - 1) * length] for n in range(1, _TOLERATED + 1)]
            if all(row == other for other in before):
                repeated.update(range(start, start + length))
    return len(repeated)


def _texts(words: Sequence[HeardWord]) -> list[str]:
    return [text for word in words for text in words_of(word.text)]


def _within_lag(run: RunLog, speaker_id: str) -> tuple[Span, ...]:
    """When something that somebody said may still be rendered."""
    said = run.said_by(speaker_id)
    return joined([Span(start_s=one.span.start_s, end_s=one.span.end_s + LAG_S) for one in said])


def _from_nothing(runs: Sequence[RunLog]) -> Score:
    words, quiet_s = 0, 0.0
    for run in runs:
        for one in run.renderings:
            words += len(unprompted(run, one))
            heard = _within_lag(run, one.speaker_id)
            quiet_s += run.duration_s - sum(span.within(0.0, run.duration_s).duration_s for span in heard)
    name = "stability.words_from_nothing"
    if quiet_s < 1.0:
        return not_scored(name, "1/min", "somebody was to be rendered all the time")
    return Score(name=name, value=words / (quiet_s / MINUTE_S), unit="1/min", n=words)


def _silence_ratio(renderings: Sequence[Rendering]) -> Score:
    spoken = [one.spurts for one in renderings if one.spurts]
    whole_s = sum(spurts[-1].end_s - spurts[0].start_s for spurts in spoken)
    sound_s = sum(spurt.duration_s for spurts in spoken for spurt in spurts)
    value = 1.0 - sound_s / whole_s if whole_s > 0 else None
    return Score(name="stability.silence_ratio", value=value, unit="share", n=len(spoken))


def _lost(runs: Sequence[RunLog]) -> list[Score]:
    floors = [run.floor for run in runs if run.floor is not None]
    if not floors:
        return [not_scored("stability.lost_words", "count", "no floor that tells")]
    moments = [moment for floor in floors for moment in floor]
    lost = sum(len(words_of(one.text)) for one in moments if one.kind is FloorEventKind.LOST)
    full = sum(one.kind is FloorEventKind.FULL for one in moments)
    return [count("stability.lost_words", lost), count("stability.buffer_full", full)]
