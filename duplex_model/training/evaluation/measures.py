"""What is read off a trial: times, stops, falsely said words. Pure functions of a case and its rollout.

Times are those at which a listener would have them: the frame that leaves with a word or a sound, not the one in
which the model decided on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duplex_model.contract import FRAME_S
from duplex_model.training.dialogues.dialogue import Turn
from duplex_model.training.evaluation.cells import Case
from duplex_model.training.evaluation.rollout import Rollout
from duplex_model.training.evaluation.scores import is_exact, words_of
from duplex_model.training.grammar.pair import Language

FALSE_SPEECH_FRAMES = 2
"""Audible frames in a trial in which nothing is to be said, above which it counts as speech and not as a click."""

STOPPED_FRAMES = 6
"""Inaudible frames in a row after which a voice counts as having stopped: longer than any pause within a sentence."""

CONTINUED_SHARE = 0.8
"""Of the expected number of words; a rendering that breaks off at a backchannel has fewer."""


@dataclass(frozen=True)
class Timing:
    """Of one sentence rendered exactly, in seconds."""

    spans_s: tuple[float, ...]
    """[words]: from the end of the source word that each had to wait for, to its writing. Negative if guessed."""

    onset_s: float | None
    """From the end of the source word that the first one had to wait for, to the first audible frame."""

    start_offset_s: float | None
    """From the beginning of the speech heard to that of the speech said."""

    end_offset_s: float | None
    """From the end of the speech heard to that of the speech said."""


def timing(case: Case, rollout: Rollout) -> Timing | None:
    """The times of a trial of one turn; None where words were not those expected, so that none can be aligned."""
    [turn] = case.turns
    assert turn.pair is not None
    words = rollout.words
    if [word for _, word in words] != case.expected.split():
        return None
    waits = turn.pair.earliest(turn.language)
    spans = [frame * FRAME_S - turn.word_ends_s[wait] for (frame, _), wait in zip(words, waits, strict=True)]
    heard = np.flatnonzero(rollout.audible)
    if not len(heard):
        return Timing(tuple(spans), None, None, None)
    begins_s, ends_s = heard[0] * FRAME_S, (heard[-1] + 1) * FRAME_S
    return Timing(
        tuple(spans),
        onset_s=float(begins_s - turn.word_ends_s[waits[0]]),
        start_offset_s=float(begins_s - turn.start_s),
        end_offset_s=float(ends_s - turn.end_s),
    )


def is_silent(rollout: Rollout) -> bool:
    """Whether nothing was said, in words or in sound."""
    return not rollout.words and int(rollout.audible.sum()) <= FALSE_SPEECH_FRAMES


@dataclass(frozen=True)
class Interruption:
    """What came of an interruption."""

    stop_s: float
    """From the interruption to the last sound of the turn that was cut off."""

    resumed: bool
    """Whether words were written before the next turn: the cut text taken up again."""

    next_exact: bool
    """Whether the next turn was rendered exactly."""


def interruption(case: Case, rollout: Rollout, language: Language) -> Interruption | None:
    """None where the model had nothing left to say when it could have been interrupted."""
    cue, following = rollout.cue_frame, case.turns[1]
    if cue is None:
        return None
    assert following.pair is not None
    begun = int(following.start_s / FRAME_S)
    sounding = np.flatnonzero(rollout.audible[cue:begun])
    # A word of the frame that was on its way out is written with it.
    return Interruption(
        stop_s=float(sounding[-1] + 1) * FRAME_S if len(sounding) else 0.0,
        resumed=bool(rollout.text_between(cue + 2, begun)),
        next_exact=is_exact(_other_side(following), rollout.text_between(begun, rollout.frames), language),
    )


def stop_after_cue_s(rollout: Rollout) -> float | None:
    """From the cue to the first pause that is longer than any within a sentence; None without a cue."""
    if rollout.cue_frame is None:
        return None
    audible = rollout.audible[rollout.cue_frame :]
    quiet = 0
    for frame, sounding in enumerate(audible):
        quiet = 0 if sounding else quiet + 1
        if quiet == STOPPED_FRAMES:
            return (frame + 1 - STOPPED_FRAMES) * FRAME_S
    return len(audible) * FRAME_S


def said_after_stop(rollout: Rollout) -> str:
    """What was written once the voice had stopped for the speaker who went on."""
    stop_s = stop_after_cue_s(rollout)
    if rollout.cue_frame is None or stop_s is None:
        return ""
    return rollout.text_between(rollout.cue_frame + round(stop_s / FRAME_S) + 1, rollout.frames)


def continued(case: Case, rollout: Rollout, language: Language) -> bool | None:
    """Whether a rendering went on through a backchannel to its end; None where none came, as nothing was said."""
    if rollout.cue_frame is None:
        return None
    expected, said = len(words_of(case.expected, language)), len(words_of(rollout.text, language))
    return said >= CONTINUED_SHARE * expected and _goes_on(rollout)


def _goes_on(rollout: Rollout) -> bool:
    """Whether no pause after the cue splits what is said."""
    assert rollout.cue_frame is not None
    sounding = np.flatnonzero(rollout.audible[rollout.cue_frame :])
    return not len(sounding) or bool(np.diff(sounding, prepend=-1).max() <= STOPPED_FRAMES)


def voice_only(rollout: Rollout) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Pcm [n] from the first audible frame to the last; empty if there is none."""
    sounding = np.flatnonzero(rollout.audible)
    if not len(sounding):
        return np.zeros(0, np.float32)
    frame = len(rollout.pcm) // rollout.frames
    return rollout.pcm[sounding[0] * frame : (sounding[-1] + 1) * frame]


def _other_side(turn: Turn) -> str:
    assert turn.pair is not None
    return turn.pair.en if turn.language == "es" else turn.pair.es
