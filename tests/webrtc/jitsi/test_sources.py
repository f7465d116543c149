"""Whose sources there are, and which of them a seat hears."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webrtc.jitsi.sources import MAX_SOURCES, Heard, RemoteSource, SourceTable


def source(ssrc: int, owner: str, name: str = "") -> RemoteSource:
    return RemoteSource(ssrc=ssrc, owner=owner, name=name or f"{owner}-a0")


ANNA, BEN = source(1, "anna"), source(2, "ben")
SISTER, OWN = source(3, "sister"), source(4, "me")
BRIDGE, TRANSLATED = source(5, "jvb"), source(6, "anna", "anna-a0.es")


def table(*sources: RemoteSource, listens: bool = True) -> SourceTable:
    made = SourceTable(own="me", listens=listens, excluded=frozenset({"sister"}))
    made.add(sources)
    return made


def test_humans_are_heard_and_nobody_else() -> None:
    heard = table(ANNA, SISTER, OWN, BRIDGE, TRANSLATED, BEN).heard()
    assert heard == Heard(listening=True, sources=(ANNA, BEN), excluded=("sister-a0", "anna-a0.es"))


def test_who_does_not_listen_hears_nobody() -> None:
    assert table(ANNA, SISTER, listens=False).heard() == Heard(listening=False)


def test_listening_and_sisters_may_change() -> None:
    seat = table(ANNA, SISTER, listens=False)
    seat.hear(listens=True, excluded=frozenset({"anna"}))
    assert seat.heard() == Heard(listening=True, sources=(SISTER,), excluded=("anna-a0",))


def test_sources_go_one_by_one_or_with_their_owner() -> None:
    second = source(7, "anna", "anna-a1")
    seat = table(ANNA, BEN, second)
    seat.remove([source(2, "whoever")])
    assert seat.heard().sources == (ANNA, second)
    seat.drop_owner("anna")
    assert seat.heard().sources == ()


def test_an_ssrc_belongs_to_whoever_was_named_last() -> None:
    seat = table(ANNA, BEN)
    again = source(1, "carla")
    seat.add([again, BEN])
    assert seat.heard().sources == (BEN, again)


def test_there_is_an_end_to_sources() -> None:
    seat = table(*(source(n, f"p{n}") for n in range(1, 2 * MAX_SOURCES)))
    assert len(seat.heard().sources) == MAX_SOURCES
    seat.add([source(1, "late")])
    assert seat.heard().sources[-1].owner == "late", "an SSRC that is there may change hands"


_sources = st.builds(
    source,
    st.integers(1, 5),
    st.sampled_from(["anna", "ben", "me", "jvb", "sister"]),
    st.sampled_from(["", "x.es"]),
)


@given(st.lists(st.tuples(st.booleans(), _sources)))
def test_what_is_heard_is_always_somebody_elses_own_voice(changes: list[tuple[bool, RemoteSource]]) -> None:
    seat = table()
    for added, one in changes:
        (seat.add if added else seat.remove)([one])
    heard = seat.heard()
    assert len({one.ssrc for one in heard.sources}) == len(heard.sources)
    assert {one.owner for one in heard.sources} <= {"anna", "ben"}
    assert not any("." in one.name for one in heard.sources)
