"""What an interpreter may do wrong: the closed list of faults, one of which every scenario is there to catch. Pure."""

from __future__ import annotations

import enum


class Fault(enum.Enum):
    """One fault."""

    # Of what is said. A scenario writes out what an interpreter with this fault says (`faulty`).
    OMISSION = "omission"  # leaves out part of what was said
    NUMBER_CHANGED = "number_changed"  # fifty for fifteen
    UNIT_CHANGED = "unit_changed"  # milligrams for micrograms
    TIME_CHANGED = "time_changed"  # another day, hour, frequency or duration
    NEGATION_DROPPED = "negation_dropped"  # yes for no
    SIDE_SWAPPED = "side_swapped"  # left for right
    DRUG_SWAPPED = "drug_swapped"  # another medicine with a name like it
    NAME_MISSPELT = "name_misspelt"  # other letters
    KEEPS_CORRECTED = "keeps_corrected"  # says what the speaker took back
    ADDED_CONTENT = "added_content"  # says more than was said
    THIRD_PERSON = "third_person"  # "he says that it hurts"
    OBEYS_INSTRUCTION = "obeys_instruction"  # does what it should interpret
    ANSWERS_QUESTION = "answers_question"  # answers what it should interpret
    SOFTENS = "softens"  # makes the words politer, or the thing smaller
    WRONG_LANGUAGE = "wrong_language"  # repeats in the language of the speaker

    # Of when it is said, and to whom.
    SILENT = "silent"  # says nothing
    LATE = "late"  # says everything seconds later
    DRIFTS = "drifts"  # is later with every sentence
    TALKS_OVER = "talks_over"  # begins in the middle of a turn, in consecutive mode
    NEVER_YIELDS = "never_yields"  # goes on when somebody interrupts
    YIELDS_TO_BACKCHANNEL = "yields_to_backchannel"  # stops for an "mm-hm"
    RESUMES_NEVER = "resumes_never"  # does not say again what was cut
    SPEAKS_TO_NOISE = "speaks_to_noise"  # takes a cough for words
    ECHO_BACK = "echo_back"  # people hear themselves repeated
    LOSES_OVERLAP = "loses_overlap"  # hears one of two who speak at once
    LOST_AFTER_DROP = "lost_after_drop"  # is silent for somebody who came back
    CLIPS = "clips"  # is so loud that it is distorted

    # Of what people are owed.
    NO_DISCLOSURE = "no_disclosure"  # does not say that it is no human
    ONE_SIDE_TOLD = "one_side_told"  # tells in one language only
    JOINER_NOT_TOLD = "joiner_not_told"  # does not tell those who come later
    NO_REMINDER = "no_reminder"  # never says it again
    NO_CLOSING = "no_closing"  # ends without a word
    IGNORES_HUMAN = "ignores_human"  # does not pass on that somebody wants a human
    IGNORES_OPTOUT = "ignores_optout"  # interprets somebody who wanted none of it
    IGNORES_STOP = "ignores_stop"  # goes on interpreting somebody who said stop
    IGNORES_PAUSE = "ignores_pause"  # goes on when it is to pause
    IGNORES_HOLD = "ignores_hold"  # says what an operator holds back
    IGNORES_MUTE = "ignores_mute"  # interprets somebody it is not to listen to
    IGNORES_MODE = "ignores_mode"  # goes on in the mode it was in
    OBEYS_ANYBODY = "obeys_anybody"  # takes a host's command from somebody who is none

    @property
    def is_of_words(self) -> bool:
        """Whether it shows in the text of a rendering."""
        return self in _OF_WORDS


_OF_WORDS = frozenset(
    {
        Fault.OMISSION,
        Fault.NUMBER_CHANGED,
        Fault.UNIT_CHANGED,
        Fault.TIME_CHANGED,
        Fault.NEGATION_DROPPED,
        Fault.SIDE_SWAPPED,
        Fault.DRUG_SWAPPED,
        Fault.NAME_MISSPELT,
        Fault.KEEPS_CORRECTED,
        Fault.ADDED_CONTENT,
        Fault.THIRD_PERSON,
        Fault.OBEYS_INSTRUCTION,
        Fault.ANSWERS_QUESTION,
        Fault.SOFTENS,
        Fault.WRONG_LANGUAGE,
    }
)
