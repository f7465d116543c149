"""What an operator is shown of what goes on: words, facts, events and the timeline, bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES, StepTiming
from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.console.ledger import Ledger, key_of
from interpreter.console.snapshot import KEPT_EVENTS, KEPT_PIECES, KEPT_S, Event, Mark
from interpreter.console.telemetry import Telemetry
from interpreter.directions import Direction
from interpreter.facts_guard.guard import FactsGuard
from interpreter.floor.floor import FloorEvent, FloorEventKind, Played
from interpreter.watches.glossary import Term, TermMissed
from interpreter.watches.watches import Checked
from tests.fakes import tone
from webrtc.room import Levels

FIRST = 1_000
ES_EN = Direction("ana", "es", "en")
ANA = Direction("ana", "es", "es")
KEY = "ana:es>en"
SOUND = tone(500.0)
SILENCE = np.zeros(FRAME_SAMPLES, dtype=np.float32)


def ledger() -> Ledger:
    made = Ledger(Telemetry(), lambda: 1_800_000_000.0)
    made.began(FIRST)
    return made


def say(at: Ledger, tick: int, text: str = "", *, sounds: bool = True, **more: Any) -> None:
    at.played(ES_EN, FIRST + tick, Played(pcm=SOUND if sounds else SILENCE, text=text, **more))


def speaking(at: Ledger, tick: int, *who: str) -> None:
    at.levels(FIRST + tick, Levels(dbfs={}, speaking=frozenset(who)))


def test_words_carry_their_time_and_utterance() -> None:
    at = ledger()
    for tick, piece in ((10, " Soy"), (12, " alér"), (13, "gica"), (20, ""), (40, " Sí")):
        at.heard(ANA, FIRST + tick, piece)
    pieces = at.heard_of("ana")
    assert [(p.n, p.at_s, p.text, p.utterance, p.kind) for p in pieces] == [
        (0, 0.8, " Soy", 1, "said"),
        (1, 0.96, " alér", 1, "said"),
        (2, 1.04, "gica", 1, "said"),
        (3, 3.2, " Sí", 2, "said"),
    ]
    assert at.heard_of("ben") == ()


def test_of_a_rendering_it_is_told_what_became_of_every_word() -> None:
    at = ledger()
    say(at, 0, " I'm")
    say(at, 1, " The interpreter", as_self=True)
    say(at, 2, unspoken=" allergic", sounds=False)
    at.lost(ES_EN, FIRST + 3, " to nuts")
    assert [(p.text, p.kind) for p in at.rendering(ES_EN).words.pieces] == [
        (" I'm", "said"),
        (" The interpreter", "as_self"),
        (" allergic", "unspoken"),
        (" to nuts", "lost"),
    ]


def test_what_a_model_says_cannot_break_out_of_its_line() -> None:
    at = ledger()
    say(at, 0, " <b>\u202e\ud800\x1b[31m\n")
    [piece] = at.rendering(ES_EN).words.pieces
    assert piece.text == " <b>\ufffd [31m "


def test_only_the_last_minutes_are_kept_and_only_so_much_of_them() -> None:
    at = ledger()
    for tick in range(KEPT_PIECES + 100):
        at.heard(ANA, FIRST + tick, " a")
    assert len(at.heard_of("ana")) == KEPT_PIECES
    assert at.heard_of("ana")[0].n == 100
    speaking(at, 600, "ana")
    later = 600 + round(KEPT_S / 0.08) + 1
    speaking(at, later)
    at.forget_old()
    assert at.heard_of("ana") == ()
    assert [mark.event for mark in at.timeline] == ["end"]


def test_what_did_not_change_is_the_same_object() -> None:
    at = ledger()
    at.heard(ANA, FIRST, " a")
    assert at.heard_of("ana") is at.heard_of("ana")
    assert at.timeline is at.timeline


def test_whoever_left_is_forgotten() -> None:
    at = ledger()
    at.heard(ANA, FIRST, " a")
    say(at, 0, " b", sounds=False)
    at.keep({}, {})
    assert at.heard_of("ana") == ()
    assert at.rendering(ES_EN).words.pieces == ()


def test_the_timeline_tells_who_sounds_when() -> None:
    at = ledger()
    say(at, 0, sounds=False)
    speaking(at, 10, "ana", "ben")
    speaking(at, 30, "ben")
    for tick in range(35, 45):
        say(at, tick)
    for tick in range(45, 60):
        say(at, tick, sounds=False)
    assert at.timeline == (
        Mark(n=0, at_s=0.8, lane="ana", event="begin"),
        Mark(n=1, at_s=0.8, lane="ben", event="begin"),
        Mark(n=2, at_s=2.08, lane="ana", event="end"),
        Mark(n=3, at_s=2.8, lane=KEY, event="begin"),
        Mark(n=4, at_s=3.6, lane=KEY, event="end"),
    )
    assert at.rendering(ES_EN).spans.span.now_s == 2.0
    assert at.rendering(ES_EN).interpreted_s == pytest.approx(0.8)
    assert at._telemetry.spans["es>en"].count == 1


def test_a_pause_between_words_ends_no_rendering() -> None:
    at = ledger()
    for tick in range(20):
        say(at, tick, sounds=tick % 5 == 0)
    assert [mark.event for mark in at.timeline] == ["begin"]


def test_what_floors_do_stands_on_the_timeline_and_is_counted() -> None:
    at = ledger()
    kinds = (FloorEventKind.DUCKED, FloorEventKind.RESTORED, FloorEventKind.CUT, FloorEventKind.CUT)
    for n, kind in enumerate(kinds):
        by = "" if n == 3 else "ben"  # the speaker's own voice
        say(at, n, events=(FloorEvent(kind=kind, at_s=10.7, by=by, onset_s=10.0),))
    assert [(m.event, m.by) for m in at.timeline[1:]] == [
        ("ducked", "ben"),
        ("restored", "ben"),
        ("cut", "ben"),
        ("cut", ""),
    ]
    assert at._telemetry.backchannels == {"ignored": 1, "yielded": 1}
    assert (at._telemetry.yields.count, at._telemetry.yields.sum_s) == (1, pytest.approx(0.7))


def checked(heard: str, spoken: str) -> list[Checked]:
    guard = FactsGuard("es", "en")
    for n, word in enumerate(heard.split()):
        guard.heard(f" {word}", 0.1 * n)
    for n, word in enumerate(spoken.split()):
        guard.spoken(f" {word}", 2.0 + 0.1 * n)
    return [Checked(direction=ES_EN, result=one) for one in guard.close(30.0)]


def test_facts_are_marked_where_they_stand_in_the_text() -> None:
    at = ledger()
    for one in checked("Tomo 50 mg. Dos veces al día.", "I take 50 mg twice a day."):
        at.checked(one, FIRST + 100, mismatch=False)
    [fact] = at.facts
    assert (fact.verdict, fact.at_s, fact.direction, fact.differences) == ("match", 8.0, KEY, ())
    assert fact.heard is not None
    assert [(mark.fact, fact.heard[mark.start : mark.end]) for mark in fact.heard_facts] == [
        ("quantity", "50 mg"),
        ("frequency", "Dos veces al día"),
    ]
    assert [fact.spoken[mark.start : mark.end] for mark in fact.spoken_facts] == ["50 mg", "twice a day"]


def test_a_mismatch_says_what_was_heard_and_what_was_said() -> None:
    at = ledger()
    for one in checked("Tomo 50 mg.", "I take 15 mg."):
        at.checked(one, FIRST, mismatch=True)
    [fact] = at.facts
    [difference] = fact.differences
    assert (fact.verdict, difference.kind, difference.heard, difference.spoken) == (
        "mismatch",
        "changed",
        "50 mg",
        "15 mg",
    )
    assert at._telemetry.fact_mismatches == 1
    assert at.mismatched_at == {ES_EN: 1_800_000_000.0}


def test_a_difference_that_the_role_does_not_check_is_none() -> None:
    at = ledger()
    for one in checked("Tomo 50 mg.", "I take 15 mg."):
        at.checked(one, FIRST, mismatch=False)
    assert at.facts[0].verdict == "match"
    assert at._telemetry.fact_mismatches == 0


def test_what_was_only_said_is_one_sided_and_a_missed_term_is_told() -> None:
    at = ledger()
    for one in checked("", "I take 15 mg."):
        at.checked(one, FIRST, mismatch=False)
    missed = TermMissed(term=Term("fiebre", "fever"), at_s=0.0)
    at.checked(Checked(direction=ES_EN, result=missed), FIRST, mismatch=False)
    assert [(one.n, one.verdict, one.heard) for one in at.facts] == [
        (0, "one_sided", None),
        (1, "term", "fiebre"),
    ]
    assert at.facts[1].differences[0].spoken == "fever"


def test_the_log_tells_who_did_what_and_no_more() -> None:
    at = ledger()
    eva = Actor(name="Eva", standing=Standing.OPERATOR, token_hash="0" * 16)
    at.happened("meeting.ducking", actor=eva, participant_id=None, arguments={"gain": -12.0, "on": True})
    at.happened("participant.muted", actor=None, participant_id="ana", arguments={})
    assert at.log == (
        Event(
            n=0,
            at=1_800_000_000.0,
            event="meeting.ducking",
            actor="Eva",
            standing="operator",
            arguments={"gain": "-12", "on": "on"},
        ),
        Event(n=1, at=1_800_000_000.0, event="participant.muted", about="ana"),
    )
    for _ in range(KEPT_EVENTS):
        at.happened("told.who", actor=eva, participant_id=None, arguments={})
    assert len(at.log) == KEPT_EVENTS


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        ("notice.opening", 1),
        ("notice.late_joiner", 1),
        ("notice.reminder", 1),
        ("notice.paused", 0),
        ("opening", 0),
    ],
)
def test_what_tells_people_that_an_ai_interprets_is_counted(event: str, counts: int) -> None:
    at = ledger()
    at.happened(event, actor=None, participant_id=None, arguments={})
    assert (at.disclosures, at._telemetry.disclosures) == (counts, counts)
    assert at.last_disclosure == ((event.removeprefix("notice."), 0.0) if counts else None)


def test_steps_are_counted_for_their_engine() -> None:
    at = ledger()
    for _ in range(4):
        at.stepped("engine", StepTiming(received_s=1.0, started_s=1.01, finished_s=1.05))
    assert at._telemetry.engines["engine"].ticks.count == 1


def test_levels_are_of_what_sounds() -> None:
    at = ledger()
    say(at, 0)
    assert at.levels_of_directions() == {KEY: pytest.approx(-23.0, abs=0.2)}
    say(at, 1, sounds=False)
    assert at.levels_of_directions() == {}
    assert key_of(ES_EN) == KEY


def test_who_opts_out_is_no_longer_read() -> None:
    at = ledger()
    at.heard(ANA, FIRST, " secreto")
    at.heard(Direction("ben", "en", "en"), FIRST, " hello")
    say(at, 0, " secret", sounds=False)
    for one in checked("Tomo 50 mg.", "I take 15 mg."):
        at.checked(one, FIRST, mismatch=True)
    at.happened("participant.opted_out", actor=None, participant_id="ana", arguments={})
    assert (at.heard_of("ana"), at.rendering(ES_EN).words.pieces, at.facts) == ((), (), ())
    assert at.heard_of("ben")
    say(at, 1, " more", sounds=False)
    assert [piece.n for piece in at.rendering(ES_EN).words.pieces] == [1], "pages see what was forgotten"
