"""What is listened for in the words of a meeting: critical facts, a glossary, requests to the interpreter. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from duplex_model.contract import FRAME_S
from interpreter.commands.arguments import LanguagePair
from interpreter.directions import Direction
from interpreter.facts_guard.facts import FactsChecked, Verdict
from interpreter.facts_guard.guard import LAG_S, FactsGuard
from interpreter.facts_guard.lexicon import has_lexicon, lexicon_of
from interpreter.floor.floor import FloorMode
from interpreter.roles.role import Role
from interpreter.watches.glossary import GlossaryWatch, Term, TermMissed
from interpreter.watches.request_watch import RequestWatch
from interpreter.watches.requests import SpokenRequest, spoken_requests

KEPT_RESULTS = 50


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found in one direction."""

    direction: Direction
    result: FactsChecked | TermMissed

    def is_mismatch(self, role: Role) -> bool:
        """Whether a fact that `role` has checked is another in what was said than in what was heard."""
        return (
            isinstance(self.result, FactsChecked)
            and self.result.verdict is Verdict.MISMATCH
            and any(
                fact is not None and fact.kind in role.checks
                for difference in self.result.differences
                for fact in (difference.heard, difference.spoken)
            )
        )


@dataclass(eq=False)
class _Watch:
    """Everything that listens in one direction."""

    requests: RequestWatch
    glossary: GlossaryWatch
    guard: FactsGuard | None
    """None for a transcription, and where the role has nothing checked."""

    role: Role
    last_s: float = 0.0
    """Media time of the last tick."""


@dataclass(eq=False)
class Watches:
    """The watches of a meeting's directions; transcriptions are directions from a language into itself."""

    results: deque[Checked] = field(default_factory=lambda: deque(maxlen=KEPT_RESULTS))
    """What was found last, for whoever runs the meeting; nothing of it is written down."""

    _watches: dict[Direction, _Watch] = field(default_factory=dict)
    _terms: list[tuple[LanguagePair, Term]] = field(default_factory=list)
    """That hosts added."""

    @property
    def terms(self) -> tuple[tuple[LanguagePair, Term], ...]:
        """The terms that were added during the meeting."""
        return tuple(self._terms)

    def load(self, languages: Iterable[str]) -> None:
        """Reads the lists of these languages, which takes 0.1 s each, before a tick has to wait for them."""
        for language in languages:
            if has_lexicon(language):
                lexicon_of(language)
            spoken_requests("", language)

    def keep(self, roles: Mapping[Direction, Role], modes: Mapping[Direction, FloorMode]) -> None:
        """Watches these directions, interpreted in these roles and modes, and no others."""
        for direction in [one for one, watch in self._watches.items() if roles.get(one) is not watch.role]:
            watch = self._watches.pop(direction)
            if watch.guard is not None:
                left = watch.guard.close(watch.last_s)
                self.results.extend(Checked(direction=direction, result=one) for one in left)
        for direction, role in roles.items():
            if direction not in self._watches:
                self._watches[direction] = self._new(direction, role, modes.get(direction))

    def add_term(self, pair: LanguagePair, term: Term, roles: Mapping[Direction, Role]) -> None:
        """Adds a term to the glossary."""
        self._terms.append((pair, term))
        for direction, watch in self._watches.items():
            watch.glossary.set(self._terms_for(direction, roles[direction]))

    def heard(
        self, direction: Direction, tick: int, piece: str, rendered: Collection[Direction]
    ) -> frozenset[SpokenRequest]:
        """What a speaker said was written down.

        Args:
            direction: the transcription.
            tick: when.
            piece: of the text.
            rendered: the directions in which what they say is interpreted.

        Returns:
            What they ask for with it.
        """
        at_s = tick * FRAME_S
        for one in rendered:
            watch = self._watches.get(one)
            if watch is not None:
                watch.glossary.heard(piece, at_s)
                if watch.guard is not None:
                    watch.guard.heard(piece, at_s)
        own = self._watches.get(direction)
        return frozenset() if own is None else own.requests.add(piece, at_s)

    def said(
        self, direction: Direction, tick: int, text: str
    ) -> tuple[frozenset[SpokenRequest], list[Checked]]:
        """What was said in a direction at a tick; called for every tick, also with no text.

        Returns:
            What its speaker asks for with it, and what has become clear.
        """
        watch = self._watches.get(direction)
        if watch is None:
            return frozenset(), []
        at_s = watch.last_s = tick * FRAME_S
        watch.glossary.spoken(text, at_s)
        found: list[FactsChecked | TermMissed] = [*watch.glossary.advance(at_s)]
        if watch.guard is not None:
            watch.guard.spoken(text, at_s)
            found += watch.guard.advance(at_s)
        results = [Checked(direction=direction, result=one) for one in found]
        self.results.extend(results)
        return watch.requests.add(text, at_s), results

    def _new(self, direction: Direction, role: Role, mode: FloorMode | None) -> _Watch:
        # In consecutive mode a turn may wait as long as the buffer is, and takes as long to be said.
        late_s = 2.0 * role.policies.hold_limit_s
        glossary = GlossaryWatch(late_s)
        glossary.set(self._terms_for(direction, role))
        guard = None
        if role.checks and direction.language_in != direction.language_out:
            lag_s = late_s if mode is FloorMode.CONSECUTIVE else LAG_S
            guard = FactsGuard(direction.language_in, direction.language_out, lag_s=lag_s)
        requests = RequestWatch(direction.language_out)
        return _Watch(requests=requests, glossary=glossary, guard=guard, role=role)

    def _terms_for(self, direction: Direction, role: Role) -> list[Term]:
        """The glossary of a direction: its role's, and what hosts added."""
        heard, said = direction.language_in, direction.language_out
        own = [
            Term(one.terms[heard], one.terms[said])
            for one in role.glossary
            if {heard, said} <= one.terms.keys()
        ]
        return own + [
            term for pair, term in self._terms if (pair.language_in, pair.language_out) == (heard, said)
        ]
