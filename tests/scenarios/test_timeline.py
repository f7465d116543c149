from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.errors import TimelineError
from scenarios.sounds import Background, Noise
from scenarios.speech import LEVEL_DBFS, Speech, Voice, Word
from scenarios.timeline import (
    Anchor,
    BackgroundNoise,
    Echo,
    Edge,
    Kind,
    NoiseEvent,
    Timeline,
    Track,
    Utterance,
    absolute,
    after,
    during,
    render,
)
from scenarios.voicing import Span, active_level_dbfs, voiced_spans
from webrtc.room import SAMPLE_RATE_HZ, Pcm

VOICE = Voice(accent="en-us", variant="f2")
WORD_S = 0.3
PEAK = 0.1


def say(text: str, voice: Voice) -> Speech:
    """Every word a tone of 0.3 s of its own frequency; "…" is a pause as long."""
    words, pcm = [], []
    for n, word in enumerate(text.split()):
        t = np.arange(round(WORD_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        pcm.append((0 if word == "…" else PEAK) * np.sin(2 * np.pi * (200 + 10 * len(word)) * t))
        if word != "…":
            words.append(Word(text=word, start_s=n * WORD_S, end_s=(n + 1) * WORD_S))
    whole = np.concatenate(pcm).astype(np.float32)
    return Speech(pcm=whole, words=tuple(words), voiced=voiced_spans(whole))


def utterance(name: str, speaker: str, text: str, at: Anchor, kind: Kind = Kind.TURN) -> Utterance:
    return Utterance(id=name, speaker=speaker, text=text, voice=VOICE, at=at, kind=kind)


def rendered(*utterances: Utterance, **rest: object) -> Mapping[str, Track]:
    return render(Timeline(speakers=("doctor", "patient"), utterances=utterances, **rest), say)  # type: ignore[arg-type]


def test_utterances_stand_where_their_anchors_say() -> None:
    tracks = rendered(
        utterance("p2", "patient", "yes it does", after("d2", -0.1)),  # declared before what it hangs on
        utterance("d1", "doctor", "where is it", absolute(0.5)),
        utterance("p1", "patient", "mm-hm", during("d1", 0.35), Kind.BACKCHANNEL),
        utterance("d2", "doctor", "does it hurt", after("d1", 0.25)),
    )
    starts = {one.utterance.id: one.span for track in tracks.values() for one in track.placed}
    assert starts["d1"].start_s == pytest.approx(0.5)
    assert starts["d1"].end_s == pytest.approx(1.4)
    assert starts["p1"].start_s == pytest.approx(0.85)
    assert starts["d2"].start_s == pytest.approx(1.65)
    assert starts["p2"].start_s == pytest.approx(2.45)
    assert [one.utterance.id for one in tracks["patient"].placed] == ["p1", "p2"]
    assert [(w.text, round(w.start_s, 6)) for w in tracks["patient"].words] == [
        ("mm-hm", 0.85),
        ("yes", 2.45),
        ("it", 2.75),
        ("does", 3.05),
    ]
    assert len({len(track.pcm) for track in tracks.values()}) == 1


def test_what_is_heard_is_where_the_truth_says() -> None:
    tracks = rendered(
        utterance("a", "doctor", "one two … … three", absolute(0.4)),
        utterance("b", "doctor", "four", after("a", 0.1)),  # a breath: one spurt with what is before
        utterance("c", "doctor", "five", after("b", 0.5)),
        utterance("d", "patient", "six", absolute(0.0)),
    )
    for track in tracks.values():
        heard = voiced_spans(track.pcm)
        assert len(heard) == len(track.spurts)
        for known, measured in zip(track.spurts, heard, strict=True):
            assert measured.start_s == pytest.approx(known.start_s, abs=0.006)
            assert measured.end_s == pytest.approx(known.end_s, abs=0.006)
    assert [round(spurt.start_s, 3) for spurt in tracks["doctor"].spurts] == [0.4, 1.6, 2.8]
    assert tracks["patient"].pcm.dtype == np.float32


def test_an_utterance_is_as_loud_as_its_gain() -> None:
    loud = Utterance(id="a", speaker="doctor", text="one", voice=VOICE, at=absolute(0), gain_db=-12.0)
    assert np.abs(rendered(loud)["doctor"].pcm).max() == pytest.approx(PEAK * 10 ** (-12 / 20), rel=1e-3)


def test_an_echo_is_the_dry_source_later_and_softer() -> None:
    tracks = rendered(
        utterance("a", "doctor", "one two", absolute(0.2)),
        utterance("b", "patient", "three", absolute(2.0)),
        echoes=(
            Echo(source="doctor", into="patient", delay_s=0.15, gain_db=-20.0),
            Echo(source="patient", into="doctor", delay_s=0.3, gain_db=-20.0),  # no echo of the echo
        ),
    )
    clean = rendered(
        utterance("a", "doctor", "one two", absolute(0.2)),
        utterance("b", "patient", "three", absolute(2.0)),
        tail_s=1.3,
    )
    doctor, patient = clean["doctor"].pcm, clean["patient"].pcm
    np.testing.assert_allclose(tracks["patient"].pcm, patient + 0.1 * _later(doctor, 0.15), atol=1e-7)
    np.testing.assert_allclose(tracks["doctor"].pcm, doctor + 0.1 * _later(patient, 0.3), atol=1e-7)
    assert [word.text for word in tracks["patient"].words] == ["three"], "an echo is nobody's word"
    assert len(tracks["patient"].spurts) == 1


def _later(pcm: Pcm, by_s: float) -> Pcm:
    samples = round(by_s * SAMPLE_RATE_HZ)
    return np.concatenate((np.zeros(samples, dtype=np.float32), pcm[:-samples]))


def test_noise_is_heard_and_said_by_nobody() -> None:
    cough = NoiseEvent(speaker="doctor", noise=Noise.COUGH, at=during("a", 0.1), level_dbfs=-30.0, seed=5)
    hiss = BackgroundNoise(speaker="patient", background=Background.HISS, level_dbfs=-50.0, seed=1)
    tracks = rendered(
        utterance("a", "patient", "one two", absolute(0.5)), noises=(cough,), backgrounds=(hiss,)
    )
    assert tracks["doctor"].words == tracks["doctor"].spurts == ()
    (span,) = tracks["doctor"].noises
    assert span.start_s == pytest.approx(0.6)
    first = np.flatnonzero(tracks["doctor"].pcm)[0] / SAMPLE_RATE_HZ
    assert first == pytest.approx(0.6, abs=0.01)
    end = round(span.end_s * SAMPLE_RATE_HZ)
    assert not tracks["doctor"].pcm[end:].any()
    assert active_level_dbfs(tracks["patient"].pcm[-SAMPLE_RATE_HZ // 2 :]) == pytest.approx(-50.0, abs=0.5)
    again = rendered(
        utterance("a", "patient", "one two", absolute(0.5)), noises=(cough,), backgrounds=(hiss,)
    )
    for name, track in tracks.items():
        np.testing.assert_array_equal(track.pcm, again[name].pcm)


def test_tracks_are_at_least_as_long_as_asked_and_leave_nothing_out() -> None:
    assert len(rendered(min_duration_s=2.5)["doctor"].pcm) == 2.5 * SAMPLE_RATE_HZ
    whole = rendered(utterance("a", "doctor", "one", absolute(3.0)), min_duration_s=2.5, tail_s=0.5)
    assert len(whole["patient"].pcm) == round(3.8 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize(
    ("timeline", "message"),
    [
        (
            {"utterances": (utterance("a", "nobody", "one", absolute(0)),)},
            "expected one of doctor, patient, got 'nobody'",
        ),
        (
            {"noises": (NoiseEvent(speaker="x", noise=Noise.KNOCK, at=absolute(0)),)},
            "expected one of doctor, patient, got 'x'",
        ),
        (
            {"echoes": (Echo(source="doctor", into="y", delay_s=0.1, gain_db=-20),)},
            "expected one of doctor, patient, got 'y'",
        ),
        (
            {"echoes": (Echo(source="doctor", into="patient", delay_s=0.0, gain_db=-20),)},
            "expected an echo to come after its source, got 0.0 s",
        ),
        (
            {
                "utterances": (
                    utterance("a", "doctor", "one", after("b")),
                    utterance("b", "doctor", "one", after("a")),
                )
            },
            "expected anchors that lead to the beginning, got 'a' at 'b', 'b' at 'a'",
        ),
        (
            {"utterances": (utterance("a", "doctor", "one", after("gone")),)},
            "expected anchors that lead to the beginning, got 'a' at 'gone'",
        ),
        (
            {"noises": (NoiseEvent(speaker="doctor", noise=Noise.KNOCK, at=after("gone")),)},
            "expected a knock at an utterance of the timeline, got 'gone'",
        ),
        (
            {"utterances": (utterance("a", "doctor", "one", absolute(-0.1)),)},
            "expected 'a' after the beginning, got -0.100 s",
        ),
        (
            {"utterances": (utterance("a", "doctor", "one", absolute(0)),) * 2},
            "expected each id once, got 'a' 2 times",
        ),
        (
            {
                "utterances": (
                    utterance("a", "doctor", "one two", absolute(0.0)),
                    utterance("b", "doctor", "three", after("a", -0.2)),
                )
            },
            "expected 'b' after 'a' has ended at 0.600 s, got 0.400 s",
        ),
    ],
)
def test_what_cannot_be_is_said(timeline: dict[str, object], message: str) -> None:
    with pytest.raises(TimelineError) as error:
        rendered(*timeline.pop("utterances", ()), **timeline)  # type: ignore[misc]
    assert str(error.value) == message


@given(
    st.lists(
        st.tuples(st.sampled_from(["doctor", "patient"]), st.integers(1, 4), st.floats(-0.3, 1.0)),
        min_size=1,
        max_size=8,
    )
)
def test_words_lie_in_spurts_and_spurts_apart(turns: list[tuple[str, int, float]]) -> None:
    utterances = [
        utterance(
            f"u{n}",
            speaker,
            " ".join(["word"] * words),
            after(f"u{n - 1}", delay_s) if n else absolute(abs(delay_s)),
        )
        for n, (speaker, words, delay_s) in enumerate(turns)
    ]
    try:
        tracks = rendered(*utterances)
    except TimelineError:
        return  # somebody over themselves
    assert sum(len(track.words) for track in tracks.values()) == sum(words for _, words, _ in turns)
    for track in tracks.values():
        for earlier, later in itertools.pairwise(track.spurts):
            assert later.start_s - earlier.end_s > 0.19
        for word in track.words:
            assert any(
                spurt.start_s - 1e-6 <= word.start_s and word.end_s <= spurt.end_s + 0.006
                for spurt in track.spurts
            )


def test_edges_of_an_anchor_differ_by_the_utterance() -> None:
    one = utterance("a", "doctor", "one two three", absolute(0.0))
    by_start = utterance("b", "patient", "four", Anchor(of="a", edge=Edge.START, delay_s=0.9))
    by_end = utterance("b", "patient", "four", Anchor(of="a", edge=Edge.END))
    assert rendered(one, by_start)["patient"].placed[0].span.start_s == pytest.approx(
        rendered(one, by_end)["patient"].placed[0].span.start_s
    )


def test_a_span_knows_its_part_within_another() -> None:
    assert Span(start_s=1.0, end_s=3.0).within(2.0, 5.0) == Span(start_s=2.0, end_s=3.0)
    assert Span(start_s=1.0, end_s=3.0).within(4.0, 5.0).duration_s == 0.0


def test_the_level_of_digital_silence_is_none() -> None:
    assert active_level_dbfs(np.zeros(4800, dtype=np.float32)) is None
    assert voiced_spans(np.zeros(4800, dtype=np.float32)) == ()
    assert LEVEL_DBFS < 0
