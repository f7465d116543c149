"""What is heard and read in a run, as it happens, and in the end as its log.

Which utterance a word renders, the scripted interpreter knows. Of another engine a word is taken to render, until the
run is over, what its speaker said last; a rendering has ended once it has been silent for `SETTLED_S`. The log leaves
such words without an utterance, and whoever scores or judges it aligns the texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from duplex_model.contract import FRAME_S
from interpreter.directions import Direction
from interpreter.floor.floor import Played
from interpreter.record.transcript import Mark
from interpreter.roles.role import Role
from scenarios.cast_script import CastScript, Spoken
from scenarios.perfect import Said, interpreter_voice
from scenarios.plan import Moments
from scenarios.players import Players, ReadOut
from scenarios.run_log import (
    Announcement,
    ExpectedFact,
    FloorMoment,
    GivenCommand,
    HeardWord,
    Person,
    Rendering,
    RunLog,
    SaidUtterance,
    SpokenWord,
    mix_sound,
    original_sound,
    rendering_sound,
)
from scenarios.run_time import RunTime
from scenarios.scenario_file import SayKind, Scenario
from scenarios.timeline import Kind, Say
from scenarios.told import scripts_told
from scenarios.voicing import Span, voiced_spans
from webrtc.room import SAMPLE_RATE_HZ, Pcm

SETTLED_S = 1.5

_KINDS = {SayKind.BACKCHANNEL: Kind.BACKCHANNEL, SayKind.INTERRUPTION: Kind.INTERRUPTION}
_PARTS = re.compile(r"\s+|\S+")
_GROWS_S = 0.5  # pieces of a word come in frames one after another, or nearly
_WORD_S = 0.3  # of a word whose length nobody knows

Key = tuple[str, str]
"""Participant who speaks, language of a rendering."""


class Heard:
    """Notes what is heard and read.

    Args:
        scenario: what is replayed.
        role: as the scenario has it.
        time: the run's.
        players: who hears it.
        script: what is said.
        moments: are filled with what the interpreter does.
        say: speaks texts, for how long a sentence takes that somebody is read.
        words: speaker, language -> the words that are to be said, in order; None where nobody knows.
    """

    def __init__(
        self,
        scenario: Scenario,
        role: Role,
        time: RunTime,
        players: Players,
        script: CastScript,
        moments: Moments,
        say: Say,
        words: Mapping[Key, Sequence[Said]] | None,
    ) -> None:
        self.people: dict[str, str] = {}
        """Who -> participant of the scenario, also of those who have left."""

        self._scenario = scenario
        self._role = role
        self._time = time
        self._players = players
        self._script = script
        self._moments = moments
        self._say = say
        self._to_be_said = words
        self._pcm: dict[Key, list[tuple[float, Pcm]]] = {}
        self._words: dict[Key, list[HeardWord]] = {}
        self._growing: set[Key] = set()  # where the last word may go on
        self._places: dict[Key, int] = {}  # how far the words to be said have been heard
        self._floor: list[FloorMoment] = []
        self._announced: list[Announcement] = []
        self._last_played: Mapping[Direction, Played] = {}

    def observe(self, tick: int, at_s: float, played: Mapping[Direction, Played]) -> None:
        """See `interpreter.meeting.meeting.Observe`; runs in the meeting's mix, before its frames are played."""
        self._last_played = played
        at_s = self._time.of(at_s)
        for direction, one in played.items():
            key = (self._person(direction.speaker_id), direction.language_out)
            if one.pcm.any():
                self._pcm.setdefault(key, []).append((at_s, one.pcm))
            self._read(key, one.text, at_s, as_self=one.as_self, held_s=one.held_s)
            self._read(key, one.unspoken, at_s, as_self=one.as_self, marks=Mark.CAPTIONS_ONLY)
            for event in one.events:
                self._floor.append(
                    FloorMoment(
                        kind=event.kind,
                        at_s=self._time.of(event.at_s),
                        speaker_id=key[0],
                        language_out=key[1],
                        by=self._person(event.by),
                        onset_s=None if event.onset_s is None else self._time.of(event.onset_s),
                        text=event.text,
                    )
                )

    def follow(self) -> None:
        """Notes what people were read since the last time, and which renderings have ended."""
        for one in self._players.witness.read[len(self._announced) :]:
            self._announce(one)
        if self._to_be_said is None:
            self._settle(self._time.now_s())

    def is_saying(self, now_s: float) -> bool:
        """Whether something was said a moment ago, or is being read."""
        said = any(now_s - frames[-1][0] < 1.0 for frames in self._pcm.values())
        read = any(one.span.end_s > now_s for one in self._announced[-8:])
        return said or read

    def own_rendering(self, who: str) -> Pcm | None:
        """What is said for somebody just now, in any language."""
        return next(
            (
                one.pcm
                for direction, one in self._last_played.items()
                if self._players.who_is(direction.speaker_id) == who
            ),
            None,
        )

    def _person(self, participant_id: str) -> str:
        who = self._players.who_is(participant_id)
        return self.people.get(who, who)

    def _read(
        self,
        key: Key,
        text: str,
        at_s: float,
        *,
        as_self: bool,
        marks: Mark = Mark.NONE,
        held_s: float | None = None,
    ) -> None:
        """Notes a piece of text: a leading space begins a word, and without one it goes on with the last."""
        for part in _PARTS.findall(text):
            if part.isspace():
                self._growing.discard(key)
                continue
            end_s, words = at_s + _WORD_S, self._words.setdefault(key, [])
            last = words[-1] if words and key in self._growing else None
            if (
                last is not None
                and (last.as_self, last.marks) == (as_self, marks)
                and at_s - (last.end_s - _WORD_S) <= _GROWS_S
            ):
                words[-1] = replace(last, text=last.text + part, end_s=end_s)
            else:
                word = HeardWord(
                    text=part, start_s=at_s, end_s=end_s, as_self=as_self, marks=marks, held_s=held_s
                )
                self._hear(key, word)
            self._growing.add(key)

    def _hear(self, key: Key, word: HeardWord) -> None:
        if word.as_self:
            pass  # renders nothing
        elif self._to_be_said is None:
            self._guess(key, word)
        else:
            word = self._found(key, word, self._to_be_said.get(key, ()))
        self._words.setdefault(key, []).append(word)

    def _found(self, key: Key, word: HeardWord, said: Sequence[Said]) -> HeardWord:
        """The word with what it renders: the next such word that was to be said, or an earlier one again."""
        place = self._places.get(key, 0)
        order = [*range(place, len(said)), *range(place - 1, -1, -1)]
        index = next((n for n in order if said[n].text == word.text), None)
        if index is None:
            return word
        one = said[index]
        self._places[key] = index + 1
        of = (one.utterance_id, key[1])
        self._moments.rendering_starts.setdefault(of, word.start_s)
        if index + 1 == len(said) or said[index + 1].utterance_id != one.utterance_id:
            self._moments.rendering_ends[of] = word.start_s + one.duration_s
        return replace(
            word,
            end_s=word.start_s + one.duration_s,
            utterance_id=one.utterance_id,
            source_word=one.source_word,
        )

    def _guess(self, key: Key, word: HeardWord) -> None:
        person, language = key
        begun = [
            one
            for one in self._script.said_by(person)
            if one.start_s <= word.start_s and one.kind is not SayKind.BACKCHANNEL
        ]
        if begun:
            of = (max(begun, key=lambda one: one.start_s).id, language)
            self._moments.rendering_starts.setdefault(of, word.start_s)
            self._moments.rendering_ends.pop(of, None)

    def _settle(self, now_s: float) -> None:
        for spoken in self._script.spoken:
            for language in self._scenario.languages:
                of = (spoken.id, language)
                if of not in self._moments.rendering_starts or of in self._moments.rendering_ends:
                    continue
                sounds = self._pcm.get((spoken.person, language), ())
                words = self._words[spoken.person, language]
                last_s = max([words[-1].end_s - _WORD_S, *(at_s for at_s, _ in sounds[-1:])]) + FRAME_S
                if now_s >= max(last_s, spoken.end_s) + SETTLED_S:
                    self._moments.rendering_ends[of] = last_s

    def _announce(self, read: ReadOut) -> None:
        length_s = self._say(read.text, interpreter_voice(read.language)).duration_s
        span = Span(start_s=read.at_s, end_s=read.at_s + length_s)
        listener = self.people.get(read.who, read.who)
        self._announced.append(
            Announcement(listener_id=listener, language=read.language, text=read.text, span=span)
        )
        texts = [one.text for one in self._announced if one.listener_id == listener]
        for script_id in scripts_told(self._role, read.language, texts):
            self._moments.announced.setdefault(script_id, span.end_s)

    # The log --------------------------------------------------------------------------------------------------------

    def log(self, duration_s: float, commands: Sequence[GivenCommand], counts: Mapping[str, int]) -> RunLog:
        """Everything, once the run is over."""
        scenario = self._scenario
        sounds: dict[str, Pcm] = {}
        for name, track in self._script.tracks.items():
            sounds[original_sound(name)] = track.pcm[: round(duration_s * SAMPLE_RATE_HZ)]
        for who, ear in self._players.witness.ears.items():
            mixed = ear.track(duration_s)
            name = mix_sound(self.people[who])
            sounds[name] = sounds[name] + mixed if name in sounds else mixed
        keys = sorted({*self._words, *self._pcm})
        for key in keys:
            sounds[rendering_sound(*key)] = self._rendering_pcm(key, duration_s)
        spoken = sorted(self._script.spoken, key=lambda one: one.start_s)
        return RunLog(
            scenario_id=scenario.id,
            duration_s=duration_s,
            people=tuple(
                Person(
                    id=name,
                    language=person.primary_language,
                    spurts=voiced_spans(sounds[original_sound(name)]),
                )
                for name, person in scenario.participants.items()
            ),
            utterances=tuple(map(self._said_utterance, spoken)),
            renderings=tuple(self._rendering(key, sounds[rendering_sound(*key)]) for key in keys),
            floor=tuple(self._floor),
            announcements=tuple(self._announced),
            commands=tuple(commands),
            counts=counts,
            sounds=sounds,
        )

    def _rendering(self, key: Key, pcm: Pcm) -> Rendering:
        person, language = key
        people = self._scenario.participants
        return Rendering(
            speaker_id=person,
            language_in=people[person].primary_language,
            language_out=language,
            listener_ids=tuple(
                name
                for name, other in people.items()
                if name != person and other.primary_language == language
            ),
            words=tuple(self._words.get(key, ())),
            spurts=voiced_spans(pcm),
        )

    def _rendering_pcm(self, key: Key, duration_s: float) -> Pcm:
        pcm = np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)
        for at_s, frame in self._pcm.get(key, ()):
            start = round(at_s * SAMPLE_RATE_HZ)
            piece = frame[: max(0, len(pcm) - start)]
            pcm[start : start + len(piece)] += piece
        return pcm

    def _said_utterance(self, spoken: Spoken) -> SaidUtterance:
        wanted = [fact for one in self._scenario.expect if one.of == spoken.id for fact in one.facts]
        return SaidUtterance(
            id=spoken.id,
            speaker_id=spoken.person,
            kind=_KINDS.get(spoken.kind, Kind.TURN),
            language=spoken.language,
            text=spoken.texts[spoken.language],
            span=Span(start_s=spoken.start_s, end_s=spoken.end_s),
            words=tuple(
                SpokenWord(
                    text=word.text,
                    start_s=spoken.start_s + word.start_s,
                    end_s=spoken.start_s + word.end_s,
                )
                for word in spoken.speech.words
            ),
            references={tag: text for tag, text in spoken.texts.items() if tag != spoken.language},
            facts=tuple(ExpectedFact(kind=fact.kind, value=fact.value) for fact in wanted) or None,
        )
