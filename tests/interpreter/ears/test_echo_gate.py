from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.ears.echo_gate import EchoGate, GateSettings, Passage

SENT_DBFS = -20.0
LIKE, UNLIKE = 30.0, 3.0


def power(dbfs: float) -> float:
    return 10 ** (dbfs / 10)


def frame(
    gate: EchoGate,
    near_dbfs: float,
    cleaned_dbfs: float | None,
    likeness: float,
    sent_dbfs: float = SENT_DBFS,
    sooner_dbfs: float = -100.0,
) -> Passage:
    gate.expect(power(sent_dbfs), power(sooner_dbfs))
    return gate.judge(power(near_dbfs), None if cleaned_dbfs is None else power(cleaned_dbfs), likeness)


def taught(coupling_db: float = -20.0, loss_db: float = 30.0, frames: int = 10) -> EchoGate:
    """A gate after `frames` of echo alone."""
    gate = EchoGate(GateSettings())
    for _ in range(frames):
        frame(gate, SENT_DBFS + coupling_db, SENT_DBFS + coupling_db - loss_db, LIKE)
    return gate


def test_an_echo_is_silenced_until_the_canceller_works() -> None:
    gate = EchoGate(GateSettings())
    passages = [frame(gate, -40, -70, LIKE) for _ in range(20)]
    assert passages[0] is Passage.NOTHING
    assert passages[-1] is Passage.CLEANED
    assert Passage.AS_IT_IS not in passages
    first = passages.index(Passage.CLEANED)
    assert all(passage is Passage.CLEANED for passage in passages[first:])
    assert gate.converged
    assert gate.coupling_db == pytest.approx(-20)
    assert gate.loss_db == pytest.approx(30)


@pytest.mark.parametrize("sent_dbfs", [-40.0, -90.0])
def test_the_onset_of_an_echo_that_comes_sooner_is_no_voice(sent_dbfs: float) -> None:
    def after_a_pause(near_dbfs: float, sooner_dbfs: float) -> Passage:
        gate = taught()
        for _ in range(8):
            frame(gate, -75, None, 0.0, sent_dbfs=-100)
        return frame(gate, near_dbfs, near_dbfs - 5, UNLIKE, sent_dbfs, sooner_dbfs)

    assert after_a_pause(-40, sooner_dbfs=-100) is Passage.AS_IT_IS
    assert after_a_pause(-40, sooner_dbfs=SENT_DBFS) is Passage.NOTHING
    assert after_a_pause(-25, sooner_dbfs=SENT_DBFS) is Passage.AS_IT_IS


def test_a_canceller_that_does_nothing_is_never_trusted() -> None:
    gate = taught(loss_db=1.0, frames=100)
    assert not gate.converged
    assert frame(gate, -40, -41, LIKE) is Passage.NOTHING


def test_a_canceller_that_fails_is_trusted_no_longer() -> None:
    gate = taught()
    for _ in range(20):
        frame(gate, -40, -41, LIKE)
    assert not gate.converged
    assert frame(gate, -40, -41, LIKE) is Passage.NOTHING


def test_an_echo_that_moved_puts_the_canceller_in_doubt() -> None:
    gate = taught()
    gate.moved()
    assert not gate.converged
    assert frame(gate, -40, -70, LIKE) is Passage.NOTHING
    assert gate.coupling_db == pytest.approx(-20)


@pytest.mark.parametrize("loss_db", [1.0, 30.0])
def test_a_voice_above_the_echo_passes_as_it_is(loss_db: float) -> None:
    gate = taught(loss_db=loss_db)
    assert frame(gate, -30, -45, UNLIKE) is Passage.AS_IT_IS
    assert (
        frame(gate, -25, -45, LIKE) is Passage.AS_IT_IS
    )  # it has just begun: the window still holds the echo
    assert frame(gate, -38, -50, UNLIKE) is not Passage.AS_IT_IS


def test_nothing_is_held_back_where_nothing_can_sound() -> None:
    gate = taught()
    passages = [frame(gate, -50, -80, UNLIKE, sent_dbfs=-100) for _ in range(12)]
    assert passages[0] is Passage.CLEANED  # the room still rings
    assert passages[-1] is Passage.AS_IT_IS
    assert not gate.sounding


def test_before_the_coupling_is_known_likeness_decides() -> None:
    assert frame(EchoGate(GateSettings()), -20, -60, LIKE) is Passage.NOTHING
    gate = EchoGate(GateSettings())
    passed = [frame(gate, -40, -60, UNLIKE) for _ in range(6)]
    # At first an echo may move, so that it is not like itself.
    assert passed == [Passage.NOTHING] * 4 + [Passage.AS_IT_IS] * 2
    gate.moved()
    assert frame(gate, -40, -60, UNLIKE) is Passage.NOTHING
    assert frame(gate, -20, -60, UNLIKE) is Passage.AS_IT_IS


def test_a_faint_echo_is_left_to_the_gate_alone() -> None:
    assert taught(coupling_db=-20).cancelling
    gate = taught(coupling_db=-40)
    assert not gate.cancelling
    assert frame(gate, -60, None, LIKE) is Passage.NOTHING
    assert frame(gate, -30, None, UNLIKE) is Passage.AS_IT_IS


def test_a_frame_that_the_canceller_leaves_as_loud_as_an_echo_is_held_back_and_so_is_the_next() -> None:
    gate = taught()
    assert frame(gate, -40, -45, UNLIKE) is Passage.NOTHING
    assert frame(gate, -40, -70, LIKE) is Passage.NOTHING
    assert frame(gate, -40, -70, LIKE) is Passage.CLEANED
    assert gate.converged


def test_a_faint_voice_passes_where_the_echo_comes_no_more() -> None:
    gate = taught()
    passages = [frame(gate, -42, -45, UNLIKE) for _ in range(16)]
    assert passages == [Passage.NOTHING] * 13 + [Passage.CLEANED] * 3


def test_a_voice_that_mixes_in_teaches_no_coupling() -> None:
    gate = taught()
    for _ in range(10):
        frame(gate, -21, -30, LIKE)  # as like the echo as it gets, and far too loud for it
        frame(gate, -40, -70, LIKE)
    assert gate.coupling_db == pytest.approx(-20)
    assert gate.converged


levels = st.floats(-110, 5)


@given(st.lists(st.tuples(levels, st.none() | levels, st.floats(0, 50), levels), max_size=80))
def test_it_is_never_closed_for_ever(heard: list[tuple[float, float | None, float, float]]) -> None:
    gate = EchoGate(GateSettings())
    for near_dbfs, cleaned_dbfs, likeness, sent_dbfs in heard:
        passage = frame(gate, near_dbfs, cleaned_dbfs, likeness, sent_dbfs)
        assert passage is not Passage.CLEANED or cleaned_dbfs is not None
    for _ in range(40):  # 3 s without anything sent
        passage = frame(gate, -30, None, 0.0, sent_dbfs=-110)
    assert passage is Passage.AS_IT_IS
