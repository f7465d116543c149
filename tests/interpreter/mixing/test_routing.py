"""Directions and routes: who needs what, who hears what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import Capabilities
from interpreter.directions import Direction, needed_directions, primary_language, served_directions
from interpreter.mixing.routing import (
    Aside,
    Ducked,
    Original,
    Rendering,
    Routes,
    hears,
    priority_gains,
    route,
    route_channels,
)

languages = st.dictionaries(
    st.sampled_from([f"p{n}" for n in range(8)]), st.sampled_from(["en", "es", "fr", None]), max_size=8
)


def heard(routes: Routes, listener: str) -> set[str]:
    """What a listener hears, in words: `ana`, `ana ducked`, `ana in en`."""
    row = routes.gains[routes.listeners.index(listener)]
    words = set()
    for source, gain in zip(routes.sources, row, strict=True):
        assert gain in (0.0, 1.0)
        if gain:
            match source:
                case Original(speaker_id=speaker):
                    words.add(speaker)
                case Ducked(direction=d):
                    words.add(f"{d.speaker_id} ducked")
                case Rendering(direction=d):
                    words.add(f"{d.speaker_id} in {d.language_out}")
    return words


@pytest.mark.parametrize(
    ("tag", "language"),
    [("es", "es"), ("es-MX", "es"), ("EN_us", "en"), (" fr ", "fr"), ("", None), ("12", None), ("-es", None)],
)
def test_primary_language(tag: str, language: str | None) -> None:
    assert primary_language(tag) == language


def test_a_direction_for_each_speaker_and_foreign_language() -> None:
    assert needed_directions({"ana": "es", "ben": "en", "eva": "es"}) == {
        Direction("ana", "es", "en"),
        Direction("eva", "es", "en"),
        Direction("ben", "en", "es"),
    }


def test_nobody_needs_anything_in_one_language_or_without_one() -> None:
    assert needed_directions({"ana": "es", "eva": "es"}) == set()
    assert needed_directions({"ana": "es", "zoe": None}) == set()
    assert needed_directions({}) == set()


def test_only_what_the_engine_serves_is_served() -> None:
    can = Capabilities(
        checkpoint="c", licence="l", languages={"fr": frozenset({"en"})}, translates=True, lanes=1
    )
    there, back = Direction("a", "fr", "en"), Direction("b", "en", "fr")
    assert served_directions({there, back}, can) == {there}


ES_EN = {"ana": "es", "eva": "es", "ben": "en"}


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ("ana", {"eva", "ben ducked", "ben in es"}),
        ("eva", {"ana", "ben ducked", "ben in es"}),
        ("ben", {"ana ducked", "ana in en", "eva ducked", "eva in en"}),
    ],
)
def test_routes_with_every_session_open(listener: str, expected: set[str]) -> None:
    assert heard(route(ES_EN, needed_directions(ES_EN)), listener) == expected


def test_without_its_session_an_original_is_heard_at_full_level() -> None:
    routes = route(ES_EN, needed_directions(ES_EN) - {Direction("ana", "es", "en")})
    assert heard(routes, "ben") == {"ana", "eva ducked", "eva in en"}


def test_a_rendering_is_meant_for_its_language_but_never_for_its_speaker() -> None:
    direction = Direction("ana", "es", "en")
    assert hears("ben", "en", direction)
    assert not hears("eva", "es", direction)
    assert not hears("zoe", None, direction)
    assert not hears("ana", "en", direction)  # who has just changed to English


def test_three_languages_hear_their_own_rendering_only() -> None:
    room = {"ana": "es", "ben": "en", "flo": "fr"}
    routes = route(room, needed_directions(room))
    assert heard(routes, "ben") == {"ana ducked", "ana in en", "flo ducked", "flo in en"}
    assert heard(routes, "flo") == {"ana ducked", "ana in fr", "ben ducked", "ben in fr"}


def test_a_session_of_a_language_no_longer_spoken_is_heard_by_nobody() -> None:
    routes = route({"ana": "en", "ben": "en"}, {Direction("ana", "es", "en")})
    assert heard(routes, "ben") == {"ana"}


@given(languages, st.data())
def test_everybody_else_is_heard_once_and_oneself_never(
    people: dict[str, str | None], data: st.DataObject
) -> None:
    needed = sorted(needed_directions(people))
    rendered = data.draw(st.sets(st.sampled_from(needed)) if needed else st.just(set()))
    routes = route(people, rendered)
    assert routes.gains.shape == (len(people), len(routes.sources))
    assert routes.gains.dtype == np.float32
    for row, listener in enumerate(routes.listeners):
        voices = [
            source.speaker_id if isinstance(source, Original) else source.direction.speaker_id
            for source, gain in zip(routes.sources, routes.gains[row], strict=True)
            if gain and not isinstance(source, Rendering | Aside)
        ]
        assert sorted(voices) == sorted(set(people) - {listener})
        for source, gain in zip(routes.sources, routes.gains[row], strict=True):
            if gain and isinstance(source, Rendering):
                assert source.direction.language_out == people[listener]
                assert source.direction.speaker_id != listener


@pytest.mark.parametrize(
    ("balance", "original", "ducked", "rendering"),
    [(1.0, 0.0, 1.0, 1.0), (0.5, 0.5, 0.5, 1.0), (0.25, 0.75, 0.25, 0.5), (0.0, 1.0, 0.0, 0.0)],
)
def test_a_balance_goes_from_the_original_alone_to_the_rendering(
    balance: float, original: float, ducked: float, rendering: float
) -> None:
    direction = Direction("ana", "es", "en")
    routes = route({"ana": "es", "ben": "en", "eva": "es"}, {direction}, {"ben": balance})
    row = dict(zip(routes.sources, routes.gains[1].tolist(), strict=True))
    assert row[Original("ana")] == original
    assert row[Ducked(direction)] == ducked
    assert row[Rendering(direction)] == rendering
    assert row[Original("eva")] == 1.0, "who is not rendered is heard whatever the balance"
    assert row[Original("ben")] == 0.0


def test_with_a_priority_the_other_languages_are_lowered_and_none_waits() -> None:
    lowered = pytest.approx(10 ** (-12 / 20))
    assert priority_gains({"en", "es"}, (), -12.0) == {"en": 1.0, "es": 1.0}
    assert priority_gains({"en", "es", "fr"}, ("es", "en"), -12.0) == {
        "es": 1.0,
        "en": lowered,
        "fr": lowered,
    }
    assert priority_gains({"en", "fr"}, ("es", "en"), -12.0) == {"en": 1.0, "fr": lowered}
    assert priority_gains({"fr"}, ("es",), -12.0) == {"fr": 1.0}
    assert priority_gains((), ("es",), -12.0) == {}


def test_a_channel_for_each_language_has_its_renderings_and_nothing_else() -> None:
    ana, eva, ben = Direction("ana", "es", "en"), Direction("eva", "es", "en"), Direction("ben", "en", "es")
    routes = route_channels({"ana": "es", "eva": "es", "ben": "en", "zoe": None}, {ana, eva, ben})
    assert routes.listeners == ("en", "es")
    heard = {
        channel: {source for source, gain in zip(routes.sources, row, strict=True) if gain}
        for channel, row in zip(routes.listeners, routes.gains, strict=True)
    }
    assert heard == {"en": {Rendering(ana), Rendering(eva)}, "es": {Rendering(ben)}}
    assert route_channels({}, ()).gains.shape == (0, 0)
