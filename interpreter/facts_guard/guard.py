"""The critical-facts guard of one direction: heard text against spoken text as both come in. Pure: media time comes in.

Spoken stretches are checked against what was heard in the seconds before them. The model family emits only what it
speaks: heard text comes from a transcription beside it, and where none comes the verdict is `ONE_SIDED`, never `MATCH`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from interpreter.facts_guard.compare import differences, exchanged, is_implied, pair
from interpreter.facts_guard.facts import Difference, Fact, FactsChecked, Verdict
from interpreter.facts_guard.lexicon import has_lexicon, lexicon_of
from interpreter.facts_guard.stretches import Stretch, Stretches

LAG_S = 10.0
"""A simultaneous rendering comes no later after its original; a consecutive one needs more, see `FactsGuard`."""

SETTLE_S = 1.0
"""What was spoken is checked so long after it ended: the transcription of the original may be behind its rendering."""

QUIET_S = 5.0
"""An interpreter who has spoken since, and has been silent for so long, leaves out what is still missing."""

HEARING_S = 60.0
"""Where something was heard no longer ago, silence means that nothing was said, and not that nobody listens."""

MAX_STRETCHES = 64
"""Waiting on either side; beyond it the oldest are judged at once."""


class FactsGuard:
    """Checks what an interpreter says against what it was told.

    Args:
        language_in: primary tag of what is heard; in one without lexicon nothing counts as heard.
        language_out: primary tag of what is spoken; in one without lexicon there is nothing to check.
        lag_s: how much later than its original a rendering may come. In consecutive interpreting that is the length of
            the longest turn and of its rendering.
    """

    def __init__(self, language_in: str, language_out: str, *, lag_s: float = LAG_S) -> None:
        self._lag_s = lag_s
        self._hears = has_lexicon(language_in)
        self._speaks = has_lexicon(language_out)
        for language in (language_in, language_out):
            if has_lexicon(language):
                lexicon_of(language)  # read now, and not in the tick of the first sentence
        self._heard_pieces = Stretches(language_in)
        self._spoken_pieces = Stretches(language_out)
        self._heard: deque[Stretch] = deque()
        self._spoken: deque[Stretch] = deque()
        self._heard_until_s: float | None = None
        self._spoken_until_s: float | None = None

    @property
    def waiting(self) -> int:
        """Sentences that are kept, of both sides."""
        return len(self._heard) + len(self._spoken)

    def heard(self, piece: str, at_s: float) -> None:
        """The speaker's next piece of text, with its spaces, at a media time that never decreases."""
        if piece and self._hears and self._speaks:
            self._heard.extend(self._heard_pieces.add(piece, at_s))
            self._heard_until_s = at_s

    def spoken(self, piece: str, at_s: float) -> None:
        """The interpreter's next piece of text, likewise."""
        if piece and self._speaks:
            self._spoken.extend(self._spoken_pieces.add(piece, at_s))
            self._spoken_until_s = at_s

    def advance(self, now_s: float) -> list[FactsChecked]:
        """What has become clear by `now_s`, in media time; called every tick or less often."""
        self._heard.extend(self._heard_pieces.advance(now_s))
        self._spoken.extend(self._spoken_pieces.advance(now_s))
        checked = []
        while self._spoken and (
            self._is_settled(self._spoken[0], now_s) or len(self._spoken) > MAX_STRETCHES
        ):
            checked += self._check(self._spoken.popleft(), now_s)
        while self._heard and (self._is_over(self._heard[0], now_s) or len(self._heard) > MAX_STRETCHES):
            checked += self._give_up(self._heard.popleft())
        return checked

    def close(self, now_s: float) -> list[FactsChecked]:
        """Everything that is left, judged at once; the direction has ended at `now_s`."""
        checked = self.advance(now_s)
        self._heard.extend(self._heard_pieces.finish())
        self._spoken.extend(self._spoken_pieces.finish())
        while self._spoken:
            checked += self._check(self._spoken.popleft(), now_s)
        while self._heard:
            checked += self._give_up(self._heard.popleft())
        return checked

    def _is_settled(self, spoken: Stretch, now_s: float) -> bool:
        """Whether everything it may render has been heard."""
        if now_s - spoken.ended_s >= self._lag_s:
            return True
        since_s = self._heard_pieces.open_since_s
        still_heard = since_s is not None and since_s <= spoken.ended_s
        return now_s - spoken.ended_s >= SETTLE_S and not still_heard

    def _is_over(self, heard: Stretch, now_s: float) -> bool:
        """Whether nothing will be spoken of it any more."""
        if self._spoken or self._spoken_pieces.open_since_s is not None:
            return False
        if now_s - heard.ended_s >= self._lag_s:
            return True
        spoken_s = self._spoken_until_s
        rendered = spoken_s is not None and spoken_s >= heard.begun_s
        return rendered and spoken_s is not None and now_s - max(spoken_s, heard.ended_s) >= QUIET_S

    def _check(self, spoken: Stretch, now_s: float) -> list[FactsChecked]:
        """What was spoken against what was heard before it."""
        if not spoken.facts:
            return []
        if (
            now_s - spoken.ended_s >= self._lag_s
        ):  # a sentence that does not end has been waited for long enough
            self._heard.extend(self._heard_pieces.finish())
        near = [one for one in self._heard if self._may_render(one, spoken)]
        if not near:
            return [self._unheard(spoken)]
        waiting = [fact for one in near for fact in one.open_facts]
        matches, left, new = pair(waiting, spoken.facts)
        known = [fact for one in near for fact in one.facts]
        settled = [fact for fact in known if not any(fact is one for one in waiting)]
        matched = [other for _, other in matches]
        added = [fact for fact in new if not is_implied(fact, [*matched, *settled], known)]
        changed = [one for one in differences(left, added) if one.spoken is not None]
        _take(near, spoken, [fact for fact, _ in matches] + [one.heard for one in changed if one.heard])
        partners = [one for one in near if spoken in one.partners]
        changed += [found for one in partners for found in exchanged(one.facts, spoken.facts)]
        partners = partners or [one for one in near if not one.partners] or near
        return [_checked(Verdict.MISMATCH if changed else Verdict.MATCH, partners, (spoken,), changed)]

    def _unheard(self, spoken: Stretch) -> FactsChecked:
        """What was spoken though nothing was heard before it."""
        hearing = self._heard_until_s is not None and spoken.begun_s - self._heard_until_s <= HEARING_S
        if not hearing:
            return _checked(Verdict.ONE_SIDED, (), (spoken,))
        return _checked(Verdict.MISMATCH, (), (spoken,), differences((), spoken.facts))

    def _may_render(self, heard: Stretch, spoken: Stretch) -> bool:
        in_time = heard.ended_s >= spoken.begun_s - self._lag_s
        return in_time and heard.begun_s <= spoken.ended_s + SETTLE_S

    def _give_up(self, heard: Stretch) -> list[FactsChecked]:
        """What was heard and will not be spoken any more."""
        rendered = [fact for fact in heard.facts if not any(fact is one for one in heard.open_facts)]
        said = [fact for one in heard.partners for fact in one.facts]
        missing = [fact for fact in heard.open_facts if not is_implied(fact, [*rendered, *said], said)]
        if not missing:
            return []
        return [_checked(Verdict.MISMATCH, (heard,), heard.partners, differences(missing, ()))]


def _take(near: Iterable[Stretch], spoken: Stretch, facts: Sequence[Fact]) -> None:
    """Notes at the stretches of `near` that `spoken` has these facts of theirs."""
    for stretch in near:
        rest = [fact for fact in stretch.open_facts if not any(fact is one for one in facts)]
        if len(rest) < len(stretch.open_facts):
            stretch.open_facts = rest
            stretch.partners.append(spoken)


def _checked(
    verdict: Verdict,
    heard: Sequence[Stretch],
    spoken: Sequence[Stretch],
    differing: Iterable[Difference] = (),
) -> FactsChecked:
    return FactsChecked(
        verdict=verdict,
        heard_text=" ".join(one.text for one in heard) if heard else None,
        spoken_text=" ".join(one.text for one in spoken),
        heard_facts=_in_joined(heard),
        spoken_facts=_in_joined(spoken),
        differences=tuple(differing),
        at_s=max(one.ended_s for one in (*heard, *spoken)),
    )


def _in_joined(stretches: Sequence[Stretch]) -> tuple[Fact, ...]:
    """The facts of all stretches, placed in their texts as `_checked` joins them."""
    facts: list[Fact] = []
    begins = 0
    for one in stretches:
        facts += [replace(fact, start=fact.start + begins, end=fact.end + begins) for fact in one.facts]
        begins += len(one.text) + 1
    return tuple(facts)
