"""What was said, in words with their times, laid out in cues that can be read. Pure: time is counted in ticks.

A **line** is what one speaker says in one language in one way (`Kind`). Its words come in the pieces that a session
writes, in which a space starts a word:

    tick      10     11     12    13     14    15
    piece     " My"  " al"  "ler" "gies" ""    " are"
    words     My     allergies                 are
              0.80   0.88                      1.20 s

Only beginnings are known. A word ends where the next one begins, or sooner, after the time its letters take.

Nothing with content outlives its cue unless the transcript is told to keep it.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from duplex_model.contract import FRAME_S
from interpreter.directions import Direction

LINE_COLUMNS = 42
LINES = 2
"""What viewers read with ease: the common limit of subtitling guides."""

SHORTEST_S, LONGEST_S = 1.0, 7.0
"""How long a cue is shown; it is shown shorter only where the next one of its line begins sooner."""

PAUSE_TICKS = 13
"""A little more than `SHORTEST_S` without a new piece ends a cue, so that a word alone has its time."""

LETTER_S, SHORTEST_WORD_S = 0.07, 0.24
"""What a letter takes at 150 words a minute, and the least a word takes."""

_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "؟", "।")
_CLOSING = "\"'”’»)]›"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Kind(enum.Enum):
    """How words came about."""

    RENDERING = "rendering"  # what the interpreter said for the speaker
    HEARD = "heard"  # what a recogniser understood of the speaker
    AS_SELF = "as_self"  # what the interpreter said as itself


class Mark(enum.Flag):
    """What a reader must know of words beside the words."""

    NONE = 0
    CUT = enum.auto()  # the listener did not hear the end
    UNSURE = enum.auto()  # the model was not sure of it
    CAPTIONS_ONLY = enum.auto()  # shown, never spoken
    MISMATCH = enum.auto()  # facts differ between the two languages


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word, on the meeting's clock."""

    text: str
    """Free of spaces, controls and lone surrogates."""

    start_s: float
    end_s: float
    """Estimated: see the module."""

    marks: Mark = Mark.NONE
    glued: bool = False
    """Follows the word before without a space: a part of something longer than a line."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Some words to show at once: at most two lines of 42 columns."""

    id: int
    """Unique in the transcript."""

    direction: Direction
    kind: Kind
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    """At least one."""

    @property
    def language(self) -> str:
        """Of the words."""
        return self.direction.language_in if self.kind is Kind.HEARD else self.direction.language_out

    @property
    def marks(self) -> Mark:
        """Of any of the words."""
        marks = Mark.NONE
        for word in self.words:
            marks |= word.marks
        return marks

    @property
    def text(self) -> str:
        """All words."""
        return _joined(self.words)

    @property
    def lines(self) -> tuple[str, ...]:
        """The text in lines, as even as its words allow."""
        return _lines(self.words)


@dataclass
class _Line:
    """The cue of a line that is not complete yet."""

    direction: Direction
    kind: Kind
    last_tick: int
    """Of the last piece that was not padding."""

    words: list[Word] = field(default_factory=list)

    ended: bool = True
    """Whether the next piece begins a word without a space before it."""


class Transcript:
    """Words of all lines of a meeting.

    Args:
        keep: whether cues are kept when they are complete. Otherwise nothing remains of them.
        first_tick: the meeting's first, at which its clock shows 0.
    """

    def __init__(self, *, keep: bool, first_tick: int = 0) -> None:
        self._keep = keep
        self._first_tick = first_tick
        self._open: dict[tuple[Direction, Kind], _Line] = {}
        # Also of lines of which no cue is open: a pause ends a cue, not its line.
        self._latest: dict[tuple[Direction, Kind], int] = {}
        self._kept: dict[tuple[Direction, Kind], list[Cue]] = {}
        self._next_id = 0

    def add(
        self,
        direction: Direction,
        tick: int,
        piece: str,
        kind: Kind = Kind.RENDERING,
        marks: Mark = Mark.NONE,
    ) -> None:
        """Adds what was written at a tick.

        Args:
            direction: whose words. What was heard of a speaker belongs to one direction of theirs: two would mix.
            tick: when it is heard; a rendering that was held has the tick of its playing. It does not decrease in a
                line: an earlier one counts as the latest before it.
            piece: as in `StepOutput.text`; empty for padding, which lets a cue end at a pause.
            kind: how it came about.
            marks: of the words that begin in the piece.
        """
        tick = self._latest[direction, kind] = max(tick, self._latest.get((direction, kind), tick))
        line = self._open.get((direction, kind))
        if line is not None and tick - line.last_tick >= PAUSE_TICKS:
            self._close(line)
            line = None
        text = plain(piece)
        if not text or (line is None and not text.strip()):
            return
        if line is None:
            line = self._open[direction, kind] = _Line(direction, kind, tick)
        line.last_tick = tick
        for part in _parts(text):
            self._add_part(line, part, self._time_of(line.last_tick), marks)

    def mark(
        self,
        direction: Direction,
        mark: Mark,
        *,
        first_tick: int,
        last_tick: int | None = None,
        kind: Kind = Kind.RENDERING,
    ) -> None:
        """Marks the words of a line that begin between two ticks, and the one that is being said at the first.

        Args:
            direction: whose.
            mark: with what.
            first_tick: from when.
            last_tick: until when; None for everything written so far.
            kind: of the line.
        """
        first_s = self._time_of(first_tick)
        last_s = float("inf") if last_tick is None else self._time_of(last_tick)
        line = self._open.get((direction, kind))
        kept = self._kept.get((direction, kind), [])
        later_s = float("inf")  # when the word after the one looked at begins
        if line is not None:
            line.words, later_s = _marked(line.words, mark, first_s, last_s, later_s)
        for number in range(len(kept) - 1, -1, -1):
            if later_s <= first_s:
                return
            words, later_s = _marked(kept[number].words, mark, first_s, last_s, later_s)
            kept[number] = replace(kept[number], words=tuple(words))

    def finish(self, direction: Direction | None = None) -> None:
        """Completes what is begun in a direction that ends, or in all of them at the meeting's end."""
        for line in list(self._open.values()):
            if direction is None or line.direction == direction:
                self._close(line)

    def cues(self) -> tuple[Cue, ...]:
        """The kept cues and those that are not complete yet, in order of time."""
        begun = [
            self._cue(line, self._next_id + n, None)
            for n, line in enumerate(line for line in self._open.values() if line.words)
        ]
        kept = (cue for cues in self._kept.values() for cue in cues)
        return tuple(sorted((*kept, *begun), key=lambda cue: (cue.start_s, cue.id)))

    def _time_of(self, tick: int) -> float:
        return (tick - self._first_tick) * FRAME_S

    def _add_part(self, line: _Line, part: str, now_s: float, marks: Mark) -> None:
        """Adds a space, the beginning of a word, or more of one."""
        if part == " ":
            line.ended = True
            return
        for text in _line_long(part):
            last = line.words[-1] if line.words and not line.ended else None
            if last is not None and _columns(last.text + text) <= LINE_COLUMNS:
                grown = last.text + text
                line.words[-1] = replace(last, text=grown, end_s=_end_of(grown, last.start_s))
            else:
                word = Word(
                    text=text,
                    start_s=now_s,
                    end_s=_end_of(text, now_s),
                    marks=marks,
                    glued=last is not None,
                )
                self._begin(line, word)
            line.ended = False
            if _columns(_joined(line.words)) > LINE_COLUMNS and len(_lines(line.words)) > LINES:
                self._close_before_last(line)

    def _begin(self, line: _Line, word: Word) -> None:
        """Appends a word, in a new cue where it does not belong to the open one."""
        if line.words:
            start_s, last = line.words[0].start_s, line.words[-1]
            line.words[-1] = replace(last, end_s=min(last.end_s, word.start_s))
            long_enough = word.start_s - start_s >= SHORTEST_S
            if (long_enough and _ends_sentence(last.text)) or word.end_s - start_s > LONGEST_S:
                self._complete(line, word.start_s)
                line.words = []
        line.words.append(word)

    def _close_before_last(self, line: _Line) -> None:
        """Completes the cue without its last word, which has become too much for it."""
        last = line.words.pop()
        self._complete(line, last.start_s)
        line.words = [last]

    def _close(self, line: _Line) -> None:
        if line.words:
            self._complete(line, None)
        del self._open[line.direction, line.kind]

    def _complete(self, line: _Line, next_s: float | None) -> None:
        """Keeps the cue, or not; its words stay with the caller.

        Args:
            line: whose cue.
            next_s: when the next cue of the line begins; None when that is not soon.
        """
        if self._keep:
            cue = self._cue(line, self._next_id, next_s)
            self._kept.setdefault((line.direction, line.kind), []).append(cue)
        self._next_id += 1

    def _cue(self, line: _Line, number: int, next_s: float | None) -> Cue:
        start_s, last = line.words[0].start_s, line.words[-1]
        end_s = min(max(last.end_s, start_s + SHORTEST_S), start_s + LONGEST_S)
        if next_s is not None:
            end_s = max(min(end_s, next_s), start_s + FRAME_S)
        return Cue(
            id=number,
            direction=line.direction,
            kind=line.kind,
            start_s=start_s,
            end_s=end_s,
            words=(*line.words[:-1], replace(last, end_s=min(last.end_s, end_s))),
        )


def plain(text: str) -> str:
    """`text` as it may stand in any file and on any page: one space for every white space and control character.

    Lone surrogates become the replacement character. Controls that turn the direction of what follows are left out,
    as they would turn a reader's view of other people's words too.
    """
    characters = []
    for character in text:
        category = unicodedata.category(character)
        if character.isspace() or category == "Cc":
            characters.append(" ")
        elif category == "Cs":
            characters.append(_REPLACEMENT)
        elif character not in _BIDI_CONTROLS:
            characters.append(character)
    return "".join(characters)


def _parts(text: str) -> list[str]:
    """Words and single spaces between, before and after them."""
    parts = []
    for number, word in enumerate(text.split(" ")):
        parts += [" "] if number else []
        parts += [word] if word else []
    return parts


def _line_long(word: str) -> list[str]:
    """`word` in parts no longer than a line."""
    parts, part = [], ""
    for character in word:
        if _columns(part + character) > LINE_COLUMNS:
            parts.append(part)
            part = ""
        part += character
    return [*parts, part]


def _columns(text: str) -> int:
    """How wide `text` is: wide East Asian characters take two columns, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _joined(words: Sequence[Word]) -> str:
    return "".join(("" if n == 0 or word.glued else " ") + word.text for n, word in enumerate(words))


def _lines(words: Sequence[Word]) -> tuple[str, ...]:
    """One line where it fits, two of the most even length where they fit, more otherwise."""
    if _columns(_joined(words)) <= LINE_COLUMNS:
        return (_joined(words),)
    halves = [(_joined(words[:n]), _joined(words[n:])) for n in range(1, len(words))]
    fitting = [pair for pair in halves if max(map(_columns, pair)) <= LINE_COLUMNS]
    if fitting:
        return min(fitting, key=lambda pair: max(map(_columns, pair)))
    return tuple(word.text for word in words)


def _end_of(text: str, start_s: float) -> float:
    return start_s + max(SHORTEST_WORD_S, LETTER_S * len(text))


def _ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


def _marked(
    words: Sequence[Word], mark: Mark, first_s: float, last_s: float, later_s: float
) -> tuple[list[Word], float]:
    """The words, those that `Transcript.mark` means marked, and when the first of them begins.

    The last word that begins before `first_s` is being said then, unless it ended long ago.
    """
    marked = []
    for word in reversed(words):
        said_then = word.start_s < first_s < min(later_s, word.end_s + PAUSE_TICKS * FRAME_S)
        meant = first_s <= word.start_s <= last_s or said_then
        marked.append(replace(word, marks=word.marks | mark) if meant else word)
        later_s = word.start_s
    return marked[::-1], later_s
