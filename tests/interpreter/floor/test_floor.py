from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.contract import FRAME_S
from interpreter.floor.floor import AfterInterruption, Fader, FloorEventKind, FloorMode, FloorSettings
from tests.interpreter.floor_stage import Spans, Stage

LOWERED_DB = -12.0


def words(from_s: float, to_s: float) -> str:
    """What a session writes that speaks from `from_s` to `to_s`."""
    return "".join(f" w{n + 1}" for n in range(1000) if from_s <= n * FRAME_S + 1e-9 < to_s - 1e-9)


def test_a_rendering_nobody_talks_over_passes_in_its_tick_bit_by_bit() -> None:
    stage = Stage(said=[(1.0, 3.0)]).run(5.0)
    assert stage.level_db(1.2) == pytest.approx(0.0, abs=0.1)
    assert stage.text == words(1.0, 3.0)
    assert [played.events for played in stage.played if played.events] == []


def test_a_voice_lowers_the_rendering_within_200_ms() -> None:
    for onset_s in np.arange(2.0, 2.08, 0.01):
        stage = Stage(said=[(1.0, 4.0)], listeners={"ben": [(onset_s, onset_s + 3.0)]}).run(5.0)
        assert stage.level_db(onset_s + 0.2) == pytest.approx(LOWERED_DB, abs=0.5)
        assert stage.level_db(onset_s + 0.6) == pytest.approx(LOWERED_DB, abs=0.5)


def test_an_interruption_silences_the_rendering_within_a_second() -> None:
    stops_s = []
    for onset_s in np.arange(2.0, 2.08, 0.004):
        stage = Stage(said=[(1.0, 6.0)], listeners={"ben": [(onset_s, onset_s + 3.0)]}).run(5.5)
        assert len(stage.events(FloorEventKind.CUT)) == 1
        stops_s.append(stage.last_sound_s() - onset_s)
    assert np.percentile(stops_s, 95) <= 1.0


@pytest.mark.parametrize("duration_s", [0.1, 0.3, 0.5, 0.6])
def test_a_short_voice_restores_the_level_and_loses_nothing(duration_s: float) -> None:
    stage = Stage(said=[(1.0, 4.0)], listeners={"ben": [(2.0, 2.0 + duration_s)]}).run(6.0)
    assert stage.events(FloorEventKind.CUT) == []
    assert len(stage.events(FloorEventKind.RESTORED)) == 1
    assert stage.level_db(3.8) == pytest.approx(0.0, abs=0.1)
    assert stage.text == words(1.0, 4.0)
    assert stage.interrupts == []


def test_several_short_voices_are_no_interruption_however_many() -> None:
    spans = [(2.0 + n, 2.4 + n) for n in range(8)]
    stage = Stage(said=[(1.0, 11.0)], listeners={"ben": spans}).run(12.0)
    assert stage.events(FloorEventKind.CUT) == []
    assert len(stage.events(FloorEventKind.RESTORED)) == 8


def test_a_content_word_commits_early_and_backchannels_late() -> None:
    def cut_after(words: str | None, duration_s: float) -> float | None:
        stage = Stage(
            said=[(1.0, 6.0)],
            listeners={"ben": [(2.0, 2.0 + duration_s)]},
            words={} if words is None else {"ben": words},
        ).run(6.0)
        cuts = stage.events(FloorEventKind.CUT)
        return cuts[0].at_s - 2.0 if cuts else None

    early = cut_after("wait, stop", 0.5)
    assert early is not None
    assert early <= 0.3
    assert cut_after(None, 0.5) is None
    assert cut_after("mm-hm, yes, okay", 1.2) is None
    assert cut_after(None, 1.2) is not None
    late = cut_after("mm-hm, yes, okay", 3.0)
    assert late is not None
    assert late >= 1.5


def test_a_voice_that_ends_during_the_fade_was_no_interruption() -> None:
    stage = Stage(said=[(1.0, 4.0)], listeners={"ben": [(2.0, 2.78)]}).run(6.0)
    assert stage.level_db(2.83) < -16.0, "it was fading"
    assert stage.events(FloorEventKind.CUT) == []
    assert stage.level_db(3.8) == pytest.approx(0.0, abs=0.1)
    assert stage.text == words(1.0, 4.0)


def test_a_pause_within_an_interruption_delays_the_silence_and_no_more() -> None:
    stage = Stage(said=[(1.0, 6.0)], listeners={"ben": [(2.0, 2.78), (2.95, 5.0)]}).run(5.5)
    [cut] = stage.events(FloorEventKind.CUT)
    assert cut.at_s <= 3.2
    assert stage.events(FloorEventKind.RESTORED) == []


def test_words_of_assent_stop_a_fade_that_has_begun() -> None:
    stage = Stage(said=[(1.0, 4.0)], listeners={"ben": [(2.0, 3.4)]})
    stage.run(2.75)
    stage.words = {"ben": "okay, I"}
    stage.run(6.0)
    assert stage.events(FloorEventKind.CUT) == []
    assert stage.level_db(3.35) == pytest.approx(LOWERED_DB, abs=0.5)


def cuts_after(stage: Stage) -> list[float]:
    return [cut.at_s - 2.0 for cut in stage.run(6.0).events(FloorEventKind.CUT)]


def test_what_sounds_like_a_backchannel_is_given_more_time() -> None:
    short = Stage(said=[(1.0, 6.0)], listeners={"ben": [(2.0, 3.2)]}, assents=[(2.4, 9.0)])
    assert cuts_after(short) == []
    assert short.text == words(1.0, 6.0)
    long = Stage(said=[(1.0, 6.0)], listeners={"ben": [(2.0, 5.0)]}, assents=[(2.4, 9.0)])
    [cut_s] = cuts_after(long)
    assert 1.35 <= cut_s <= 1.65


def test_what_no_longer_sounds_like_one_is_an_interruption_at_once() -> None:
    [cut_s] = cuts_after(Stage(said=[(1.0, 6.0)], listeners={"ben": [(2.0, 5.0)]}, assents=[(2.4, 2.9)]))
    assert 0.9 < cut_s < 1.15, "a shorter fade, and a frame"


def test_what_sounds_like_a_backchannel_of_another_language_is_none() -> None:
    other = Stage(said=[(1.0, 6.0)], listeners={"ben": [(2.0, 3.2)]}, assents=[(2.4, 9.0)], language="es")
    assert len(cuts_after(other)) == 1


def test_words_count_for_more_than_the_sound_once_there_are_any() -> None:
    interrupting = Stage(
        said=[(1.0, 6.0)], listeners={"ben": [(2.0, 3.2)]}, assents=[(2.4, 9.0)], words={"ben": "I need"}
    )
    assert len(cuts_after(interrupting)) == 1
    unheard = Stage(
        said=[(1.0, 6.0)], listeners={"ben": [(2.0, 3.2)]}, assents=[(2.4, 9.0)], words={"ben": ""}
    )
    assert cuts_after(unheard) == []


def test_nothing_is_swallowed_when_a_rendering_goes_on_beneath_somebody_who_still_talks() -> None:
    stage = Stage(said=[(1.0, 2.2), (3.4, 5.0)], listeners={"ben": [(2.0, 4.8)]}).run(8.0)
    assert stage.text.endswith(words(3.4, 5.0))
    assert stage.level_db(4.5) == pytest.approx(0.0, abs=0.1)


def test_what_was_cut_is_said_again_from_the_start_of_its_unit() -> None:
    # Two units; the second is cut.
    stage = Stage(said=[(1.0, 2.0), (2.4, 4.0)], listeners={"ben": [(2.8, 4.5)]}).run(9.0)
    [goes_on] = stage.events(FloorEventKind.GOES_ON)
    assert 4.5 + 0.6 <= goes_on.at_s <= 4.5 + 0.6 + 2 * FRAME_S
    assert stage.text.startswith(words(1.0, 2.0))
    assert stage.text.endswith(words(2.4, 4.0)), "the second unit, whole"
    assert stage.text.count(" w14") == 1
    assert len(stage.interrupts) == 1, "only once the session had finished its unit unheard"
    assert stage.events(FloorEventKind.LOST) == []


def test_a_session_that_does_not_finish_its_unit_is_interrupted() -> None:
    stage = Stage(said=[(1.0, 9.0)], listeners={"ben": [(2.0, 8.0)]}).run(9.5)
    [cut] = stage.events(FloorEventKind.CUT)
    [interrupt] = stage.interrupts
    assert cut.at_s + 2.0 <= interrupt <= cut.at_s + 2.0 + 2 * FRAME_S


def test_resuming_goes_on_where_it_was_cut() -> None:
    stage = Stage(
        said=[(1.0, 4.0)],
        listeners={"ben": [(2.0, 3.5)]},
        settings=FloorSettings(after_interruption=AfterInterruption.RESUME),
    ).run(8.0)
    [cut] = stage.events(FloorEventKind.CUT)
    first, again = stage.text.split(" w34")[0], " w34" + stage.text.rsplit(" w34", 1)[1]
    assert words(1.0, 4.0) == first + again, "what faded is said again, and nothing before"
    faded = 3  # frames
    assert cut.at_s == pytest.approx((34 + faded) * FRAME_S, abs=FRAME_S)
    assert len(stage.interrupts) == 1


def test_dropping_interrupts_the_session_at_once() -> None:
    stage = Stage(
        said=[(1.0, 4.0), (6.0, 7.0)],
        listeners={"ben": [(2.0, 3.5)]},
        settings=FloorSettings(after_interruption=AfterInterruption.DROP),
    ).run(9.0)
    [cut] = stage.events(FloorEventKind.CUT)
    assert stage.interrupts == [cut.at_s]
    assert " w14" in stage.text
    assert stage.text.count(" w20") == 1, "nothing is said again"
    assert stage.text.endswith(words(6.0, 7.0)), "what the speaker says next is heard"
    assert stage.level_db(6.5) == pytest.approx(0.0, abs=0.1)


def test_what_is_kept_after_an_interruption_of_a_turn() -> None:
    def text_after(after: AfterInterruption) -> tuple[str, str]:
        stage = Stage(
            said=[(0.5, 2.5), (2.9, 3.9)],
            speaker=[(0.4, 3.5)],
            listeners={"ben": [(4.6, 6.0)]},
            mode=FloorMode.CONSECUTIVE,
            settings=FloorSettings(after_interruption=after),
        ).run(12.0)
        return stage.text, "".join(event.text for event in stage.events(FloorEventKind.LOST))

    first, second = words(0.5, 2.5), words(2.9, 3.9)
    text, lost = text_after(AfterInterruption.DROP)
    assert text + lost == first + second
    assert second in lost
    text, lost = text_after(AfterInterruption.REPAIR)
    assert text.endswith(first + second)
    assert lost == ""
    text, lost = text_after(AfterInterruption.RESUME)
    assert text.endswith(second)
    assert len(text.split()) == len((first + second).split()) + 3
    assert lost == ""


def test_what_was_cut_is_superseded_when_the_speaker_went_on_with_something_else() -> None:
    stage = Stage(
        said=[(1.0, 3.0), (5.2, 6.0)], speaker=[(0.8, 2.5), (4.2, 6.0)], listeners={"ben": [(2.0, 4.0)]}
    ).run(9.0)
    lost = "".join(event.text for event in stage.events(FloorEventKind.LOST))
    assert lost.endswith(words(2.92, 3.0))
    assert stage.text.endswith(words(5.2, 6.0))
    assert stage.text.count(" w14") == 1


def test_a_listener_who_talked_before_the_rendering_began_does_not_stop_it() -> None:
    # The speaker interrupts the listener: were that not heard, both would be silenced for ever.
    stage = Stage(said=[(2.0, 4.0)], listeners={"ben": [(0.5, 6.0)]}).run(6.0)
    assert stage.text == words(2.0, 4.0)
    assert stage.level_db(3.0) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("pause_s", [0.5, 0.8])
def test_a_listener_who_begins_in_a_pause_of_the_rendering_stops_it(pause_s: float) -> None:
    goes_on_s = 2.0 + pause_s
    stage = Stage(
        said=[(1.0, 2.0), (goes_on_s, 6.0)], listeners={"ben": [(goes_on_s - 0.1, goes_on_s + 3.0)]}
    ).run(6.0)
    cuts = stage.events(FloorEventKind.CUT)
    assert [cut.by for cut in cuts] == ["ben"]
    assert cuts[0].at_s <= goes_on_s - 0.1 + 1.0


def test_consecutive_waits_for_the_turns_end() -> None:
    stage = Stage(said=[(1.0, 3.0)], speaker=[(0.5, 2.6)], mode=FloorMode.CONSECUTIVE).run(9.0)
    first_s = next(n for n, played in enumerate(stage.played) if played.text) * FRAME_S + FRAME_S
    assert 2.6 + 0.7 <= first_s <= 2.6 + 0.7 + 2 * FRAME_S
    assert stage.text == words(1.0, 3.0)


def test_consecutive_holds_while_its_listener_talks() -> None:
    stage = Stage(
        said=[(1.0, 2.0)], speaker=[(0.5, 1.8)], listeners={"ben": [(2.0, 4.0)]}, mode=FloorMode.CONSECUTIVE
    ).run(9.0)
    first_s = next(n for n, played in enumerate(stage.played) if played.text) * FRAME_S + FRAME_S
    assert first_s >= 4.0
    assert stage.text == words(1.0, 2.0)


def test_consecutive_stops_when_its_speaker_goes_on_and_not_at_their_backchannel() -> None:
    spoken: Spans = [(0.5, 3.0), (4.5, 4.9)]
    stage = Stage(said=[(1.0, 3.5)], speaker=spoken, mode=FloorMode.CONSECUTIVE).run(9.0)
    assert stage.events(FloorEventKind.CUT) == []
    spoken = [(0.5, 3.0), (4.5, 7.0)]
    stage = Stage(said=[(1.0, 3.5)], speaker=spoken, mode=FloorMode.CONSECUTIVE).run(14.0)
    [cut] = stage.events(FloorEventKind.CUT)
    assert cut.by == ""
    assert stage.interrupts == [], "the session hears its speaker itself"
    [goes_on] = stage.events(FloorEventKind.GOES_ON)
    assert goes_on.at_s >= 7.0 + 0.7
    assert stage.text.endswith(words(1.0, 3.5)), "one unit, said again whole"


def test_pauses_that_waited_are_trimmed() -> None:
    stage = Stage(
        said=[(1.0, 1.5), (3.0, 3.5), (5.0, 5.5)], speaker=[(0.5, 5.5)], mode=FloorMode.CONSECUTIVE
    ).run(12.0)
    spoken = [n for n, played in enumerate(stage.played) if played.text]
    assert (spoken[-1] - spoken[0]) * FRAME_S < 3 * 0.56 + 2 * 0.16 + 0.01


def test_the_bound_asks_for_a_pause_then_shows_text_and_loses_nothing() -> None:
    stage = Stage(said=[(1.0, 31.0)], speaker=[(0.5, 31.0)], mode=FloorMode.CONSECUTIVE).run(60.0)
    [asked] = stage.events(FloorEventKind.PAUSE_WANTED)
    [full] = stage.events(FloorEventKind.FULL)
    assert asked.at_s == pytest.approx(16.0, abs=0.2)
    assert full.at_s == pytest.approx(21.0, abs=0.2)
    assert stage.text + stage.unspoken == words(1.0, 31.0)
    assert len(stage.text.split()) == 250


def test_a_closed_floor_fades_out_and_keeps_everything() -> None:
    stage = Stage(said=[(1.0, 4.0)], closed=[(2.0, 5.0)]).run(12.0)
    assert stage.level_db(2.08 + 0.25) < -60.0
    assert stage.level_db(4.5) < -60.0
    assert stage.text.endswith(words(1.0, 4.0))
    assert stage.interrupts == []


def test_captions_are_read_and_never_heard() -> None:
    stage = Stage(said=[(1.0, 3.0)], mode=FloorMode.CAPTIONS).run(4.0)
    assert not stage.pcm.any()
    assert stage.unspoken == words(1.0, 3.0)


def test_a_mode_changes_between_utterances_only() -> None:
    stage = Stage(said=[(1.0, 3.0), (6.0, 7.0)], speaker=[(0.8, 2.9), (5.8, 6.9)]).run(1.5)
    stage.wanted = FloorMode.CONSECUTIVE
    stage.run(3.5)
    assert stage.text == words(1.0, 3.0), "what was begun is finished as it was begun"
    stage.run(4.5)
    assert stage.floor.mode is FloorMode.CONSECUTIVE
    stage.run(7.5)
    assert " w76" not in stage.text
    stage.run(9.5)
    assert stage.text == words(1.0, 3.0) + words(6.0, 7.0)


def test_nobody_to_hear_it_is_text_alone() -> None:
    stage = Stage(said=[(1.0, 2.0)], listeners={}).run(3.0)
    assert not stage.pcm.any()
    assert stage.unspoken == words(1.0, 2.0)


def test_listeners_who_cannot_interrupt() -> None:
    stage = Stage(
        said=[(1.0, 4.0)], listeners={"ben": [(2.0, 3.5)]}, settings=FloorSettings(yields=False)
    ).run(5.0)
    assert [played.events for played in stage.played if played.events] == []
    assert stage.level_db(3.0) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("mode", [FloorMode.SIMULTANEOUS, FloorMode.CONSECUTIVE])
def test_the_last_utterance_is_said_again_on_request(mode: FloorMode) -> None:
    stage = Stage(said=[(1.0, 2.0), (4.5, 5.5)], speaker=[(0.5, 1.8), (4.0, 5.0)], mode=mode)
    assert not stage.floor.repeat(), "nothing was said yet"
    stage.run(9.0)
    assert stage.floor.repeat()
    stage.run(12.0)
    assert stage.text == words(1.0, 2.0) + 2 * words(4.5, 5.5)


def held_s(stage: Stage) -> list[float]:
    return [played.held_s for played in stage.played if played.held_s is not None]


def test_it_tells_how_long_it_held_what_is_heard() -> None:
    assert set(held_s(Stage(said=[(1.0, 3.0)]).run(5.0))) == {0.0}, "nobody was in the way"

    waits = Stage(said=[(1.0, 2.0)], speaker=[(0.5, 4.0)], mode=FloorMode.CONSECUTIVE).run(9.0)
    first = next(n for n, played in enumerate(waits.played) if played.text)
    assert first * FRAME_S > 4.0
    assert held_s(waits) == pytest.approx([(first - 13) * FRAME_S] * 12), "the first was said in frame 13"

    cut = Stage(said=[(1.0, 2.0), (2.4, 4.0)], listeners={"ben": [(2.8, 4.5)]}).run(9.0)
    [goes_on] = cut.events(FloorEventKind.GOES_ON)
    assert held_s(cut)[0] == 0.0
    assert max(held_s(cut)) == pytest.approx(goes_on.at_s - FRAME_S - 2.4, abs=FRAME_S), "said again"

    asked = Stage(said=[(1.0, 2.0)]).run(5.0)
    assert asked.floor.repeat()
    assert held_s(asked.run(8.0)) == pytest.approx([0.0] * 24), "who asks for it again waits for nothing"


def test_a_session_that_is_gone_leaves_its_floor_as_new() -> None:
    stage = Stage(said=[(1.0, 3.0), (8.0, 9.0)], speaker=[(0.5, 2.8), (7.0, 8.8)], mode=FloorMode.CONSECUTIVE)
    stage.run(3.0)
    [lost] = stage.floor.forget(3.0)
    assert lost.text == words(1.0, 3.0)
    stage.run(12.0)
    assert stage.text == words(8.0, 9.0)


def test_a_fader_moves_in_straight_lines_and_arrives() -> None:
    fader = Fader(1.0)
    fader.aim(0.0, 0.2)
    ones = np.ones(1920, dtype=np.float32)
    faded = np.concatenate([fader.apply(ones) for _ in range(3)])
    assert np.all(np.diff(faded) <= 0.0)
    assert np.max(np.abs(np.diff(faded))) <= 1.0 / 4800 + 1e-6
    assert faded[4799] == pytest.approx(0.0, abs=1e-6)
    assert fader.silent


spans = st.lists(st.tuples(st.floats(0.0, 12.0), st.floats(0.1, 6.0)), max_size=5).map(
    lambda pairs: [(a, a + d) for a, d in sorted(pairs)]
)


def disjoint(raw: Spans) -> Spans:
    """`raw` without overlaps."""
    kept: list[tuple[float, float]] = []
    for a, b in raw:
        if not kept or a >= kept[-1][1] + 0.05:
            kept.append((a, b))
    return kept


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    said=spans.map(disjoint),
    speaker=spans.map(disjoint),
    ben=spans.map(disjoint),
    eva=spans.map(disjoint),
    assents=spans.map(disjoint),
    closed=spans.map(disjoint),
    mode=st.sampled_from([FloorMode.SIMULTANEOUS, FloorMode.CONSECUTIVE]),
    wanted=st.sampled_from(list(FloorMode)),
    after=st.sampled_from(list(AfterInterruption)),
    obeys=st.booleans(),
)
def test_no_sequence_of_events_leaves_a_floor_silent_or_lowered_for_ever(
    said: Spans,
    speaker: Spans,
    ben: Spans,
    eva: Spans,
    assents: Spans,
    closed: Spans,
    mode: FloorMode,
    wanted: FloorMode,
    after: AfterInterruption,
    obeys: bool,
) -> None:
    stage = Stage(
        said=[*said, (60.0, 61.0)],
        speaker=[*speaker, (59.8, 60.9)],
        listeners={"ben": ben, "eva": eva},
        assents=assents,
        closed=closed,
        mode=mode,
        settings=FloorSettings(after_interruption=after),
        obeys=obeys,
    ).run(5.0)
    stage.wanted = wanted
    stage.run(58.0)  # everybody is silent from 18 s on, and 20 s at most wait
    assert stage.floor.idle
    assert stage.floor.waiting_s == 0.0
    assert stage.floor.mode is wanted
    stage.run(66.0)
    tail = stage.unspoken if wanted is FloorMode.CAPTIONS else stage.text
    assert tail.endswith(words(60.0, 61.0))
    if wanted is not FloorMode.CAPTIONS:
        loud = [n for n, played in enumerate(stage.played) if n > 725 and played.text]
        assert all(np.max(np.abs(stage.played[n].pcm)) > 0.14 for n in loud[1:])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    said=spans.map(disjoint),
    speaker=spans.map(disjoint),
    ben=spans.map(disjoint),
    assents=spans.map(disjoint),
    closed=spans.map(disjoint),
    mode=st.sampled_from(list(FloorMode)),
    after=st.sampled_from(list(AfterInterruption)),
)
def test_every_word_is_heard_or_read_or_reported_lost(
    said: Spans,
    speaker: Spans,
    ben: Spans,
    assents: Spans,
    closed: Spans,
    mode: FloorMode,
    after: AfterInterruption,
) -> None:
    stage = Stage(
        said=said,
        speaker=speaker,
        listeners={"ben": ben},
        assents=assents,
        closed=closed,
        mode=mode,
        settings=FloorSettings(after_interruption=after),
        obeys=False,
    ).run(60.0)
    lost = "".join(event.text for event in stage.events(FloorEventKind.LOST))
    accounted = set(f"{stage.text}{stage.unspoken}{lost}".split())
    produced = {
        f"w{n + 1}" for n in range(stage.n) if any(a <= n * FRAME_S + 1e-9 < b - 1e-9 for a, b in said)
    }
    missing = produced - accounted
    if after is not AfterInterruption.DROP:
        assert not missing
    else:
        # A session that goes on although it was interrupted: the rest of its cut unit is what it must not say.
        assert not missing or stage.interrupts
