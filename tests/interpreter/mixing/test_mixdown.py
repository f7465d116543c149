from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreter.directions import Direction, needed_directions
from interpreter.mixing.mixdown import MixState, Sounds, mix_tick
from interpreter.mixing.mixing import LIMIT_CEILING, ROUTE_RAMP_S, Ducking
from interpreter.mixing.routing import route
from tests.fakes import amplitude, tone
from webrtc.room import Pcm

DUCKING = Ducking()
DUCKED = 10 ** (-15 / 20)
people = st.dictionaries(
    st.sampled_from(["p0", "p1", "p2", "p3"]), st.sampled_from(["en", "es"]), min_size=1, max_size=4
)


class Desk:
    """Mixes tick after tick, and keeps what each listener heard."""

    def __init__(self) -> None:
        self.state = MixState()
        self.heard: dict[str, list[Pcm]] = {}
        self.n = 0

    def ticks(
        self,
        n: int,
        languages: dict[str, str],
        rendered: set[Direction],
        hz: dict[object, float],
        peak: float = 0.1,
    ) -> None:
        """`hz` gives the pitch of every speaker (by id) and rendering (by direction) that sounds."""
        for _ in range(n):
            originals = {who: tone(hz[who], self.n, peak=peak) for who in languages if who in hz}
            renderings = {d: tone(hz[d], self.n, peak=peak) for d in rendered if d in hz}
            sounds = Sounds(originals=originals, renderings=renderings)
            self.state, mixes = mix_tick(self.state, route(languages, rendered), sounds, DUCKING)
            self.n += 1
            for who, pcm in mixes.items():
                self.heard.setdefault(who, []).append(pcm)

    def last(self, who: str, n: int = 1) -> Pcm:
        return np.concatenate(self.heard[who][-n:])


PAIR = {"ana": "es", "ben": "en"}
ANA_EN = Direction("ana", "es", "en")


def test_a_new_listener_is_faded_in() -> None:
    desk = Desk()
    desk.ticks(6, PAIR, set(), {"ana": 300.0})
    heard = desk.last("ben", 6)
    assert np.abs(heard[:480]).max() < 0.015
    assert amplitude(heard[-1_920:], 300.0) == pytest.approx(0.1, rel=1e-3)


def test_the_session_that_opens_takes_over_without_a_step() -> None:
    desk = Desk()
    desk.ticks(6, PAIR, set(), {"ana": 300.0})
    desk.ticks(6, PAIR, {ANA_EN}, {"ana": 300.0})
    heard = desk.last("ben", 8)
    for n in range(8):  # not ducked yet: nothing sounds over it, so nothing may change
        assert amplitude(heard[n * 1_920 : (n + 1) * 1_920], 300.0) == pytest.approx(0.1, rel=1e-3)


def test_an_original_returns_by_the_ramp_when_its_session_dies() -> None:
    desk = Desk()
    desk.ticks(20, PAIR, {ANA_EN}, {"ana": 300.0, ANA_EN: 1_000.0})
    assert amplitude(desk.last("ben"), 300.0) == pytest.approx(0.1 * DUCKED, rel=1e-2)
    desk.ticks(5, PAIR, set(), {"ana": 300.0})
    levels = [amplitude(pcm, 300.0) for pcm in desk.heard["ben"][-5:]]
    assert levels == sorted(levels)
    assert levels[0] < 0.04
    assert levels[-1] == pytest.approx(0.1, rel=1e-3)
    slope = 0.1 / (ROUTE_RAMP_S * 24_000) + 0.1 * 2 * np.pi * 300.0 / 24_000
    after = desk.last("ben", 5)[1_920:]  # the first frame also holds the end of the rendering's tone
    assert np.abs(np.diff(after)).max() <= slope * 1.05


def test_a_listener_who_changes_language_hears_no_jump() -> None:
    room = {"ana": "es", "ben": "en", "eva": "es"}
    desk = Desk()
    sounds: dict[object, float] = {"ana": 300.0, ANA_EN: 1_000.0}
    desk.ticks(20, room, {ANA_EN}, sounds)
    desk.ticks(5, {**room, "ben": "es"}, {ANA_EN}, sounds)
    heard = desk.last("ben", 6)
    slope = 2 * np.pi / 24_000 * 0.1 * (300.0 + 1_000.0) + 0.2 / (ROUTE_RAMP_S * 24_000)
    assert np.abs(np.diff(heard)).max() <= slope
    assert amplitude(heard[-1_920:], 1_000.0) < 1e-4
    assert amplitude(heard[-1_920:], 300.0) == pytest.approx(0.1, rel=1e-3)


@settings(max_examples=40)
@given(st.lists(people, min_size=1, max_size=6), st.floats(0.1, 3.0), st.data())
def test_whoever_comes_and_goes_nobody_hears_themselves_and_nothing_is_too_loud(
    rooms: list[dict[str, str]], peak: float, data: st.DataObject
) -> None:
    desk = Desk()
    own_hz = {f"p{n}": 300.0 + 100.0 * n for n in range(4)}
    for room in rooms:
        needed = sorted(needed_directions(room))
        rendered = data.draw(st.sets(st.sampled_from(needed)) if needed else st.just(set()))
        rendering_hz = {d: own_hz[d.speaker_id] + 50.0 for d in rendered}
        state, n = desk.state, desk.n
        desk.ticks(2, room, rendered, {**own_hz, **rendering_hz}, peak)
        loud = desk.heard
        assert all(np.abs(frame).max() <= LIMIT_CEILING + 1e-6 for who in room for frame in loud[who][-2:])
        # The same ticks with one person silenced sound the same to that person.
        for who in room:
            desk_without = Desk()
            desk_without.state, desk_without.n = state, n
            others: dict[object, float] = {k: hz for k, hz in own_hz.items() if k != who}
            others |= {d: hz for d, hz in rendering_hz.items() if d.speaker_id != who}
            desk_without.ticks(2, room, rendered, others, peak)
            np.testing.assert_allclose(desk_without.last(who, 2), desk.last(who, 2), atol=1e-6)


def test_sources_and_people_who_left_are_forgotten() -> None:
    desk = Desk()
    desk.ticks(5, PAIR, {ANA_EN}, {"ana": 300.0})
    desk.ticks(6, {"ben": "en"}, set(), {})
    assert desk.state.listeners == ("ben",)
    assert len(desk.state.sources) == 1
    assert set(desk.state.limits) == {"ben"}
    assert not desk.state.ducks


def test_everything_is_ducked_under_an_announcement_for_who_hears_it_alone() -> None:
    trio = {"ana": "es", "ben": "en", "eva": "en"}
    routes = route(trio, set())
    state = MixState()
    heard: dict[str, list[Pcm]] = {who: [] for who in trio}
    for n in range(60):
        announcements = {"ben": tone(700.0, n)} if 10 <= n < 30 else {}
        sounds = Sounds(originals={"ana": tone(300.0, n)}, announcements=announcements)
        state, mixes = mix_tick(state, routes, sounds, DUCKING)
        for who, pcm in mixes.items():
            heard[who].append(pcm)
    during, after = heard["ben"][25], heard["ben"][55]
    assert amplitude(during, 300.0) == pytest.approx(0.1 * DUCKED, rel=0.01)
    assert amplitude(during, 700.0) == pytest.approx(0.1, rel=0.01)
    assert amplitude(after, 300.0) == pytest.approx(0.1, rel=0.01)
    assert state.under_announcements == {}
    assert amplitude(heard["eva"][25], 300.0) == pytest.approx(0.1, rel=0.01)
    assert amplitude(heard["eva"][25], 700.0) < 1e-6


def test_an_aside_reaches_its_speaker_alone() -> None:
    routes = route(PAIR, {ANA_EN})
    state = MixState()
    for n in range(10):
        state, mixes = mix_tick(state, routes, Sounds(asides={ANA_EN: tone(700.0, n)}), DUCKING)
    assert amplitude(mixes["ana"], 700.0) == pytest.approx(0.1, rel=0.01)
    assert amplitude(mixes["ben"], 700.0) < 1e-6
