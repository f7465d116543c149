"""When a process is started again; on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from duplex_model.supervision import EnginePhase, EngineState, RestartPolicy, Supervision

POLICY = RestartPolicy(
    first_delay_s=0.5, longest_delay_s=3.0, quick_death_s=10.0, quick_deaths=5, failed_delay_s=60.0
)


def live(supervision: Supervision, start_s: float, lifetime_s: float) -> None:
    """One process, from its start through being ready to its death."""
    supervision.started()
    supervision.ready(start_s)
    supervision.lost("it is gone")
    supervision.died(start_s + lifetime_s, "crashed")


def test_the_first_process_starts_at_once() -> None:
    supervision = Supervision(POLICY, 100.0)
    assert supervision.start_at_s == 100.0
    assert supervision.state.phase is EnginePhase.STARTING


def test_a_start_tells_its_progress_until_it_is_ready() -> None:
    supervision = Supervision(POLICY, 0.0)
    supervision.started()
    assert supervision.start_at_s is None
    supervision.progressed(0.25, "reading weights")
    assert (supervision.state.phase, supervision.state.fraction, supervision.state.text) == (
        EnginePhase.STARTING,
        0.25,
        "reading weights",
    )
    supervision.ready(1.0)
    assert (supervision.state.phase, supervision.state.fraction) == (EnginePhase.READY, 1.0)


def test_quick_deaths_wait_twice_as_long_each_time_and_end_in_failed() -> None:
    supervision = Supervision(POLICY, 0.0)
    delays = []
    for _ in range(5):
        live(supervision, 100.0, 1.0)
        assert supervision.start_at_s is not None
        delays.append(supervision.start_at_s - 101.0)
    assert delays == [0.5, 1.0, 2.0, 3.0, 60.0]
    assert supervision.state.phase is EnginePhase.FAILED
    assert supervision.state.text == "crashed; 5 times in a row"
    assert supervision.state.deaths == 5


def test_a_failed_engine_that_comes_back_and_lives_starts_counting_anew() -> None:
    supervision = Supervision(POLICY, 0.0)
    for _ in range(5):
        live(supervision, 0.0, 1.0)
    supervision.started()
    phases = [supervision.state.phase]
    supervision.ready(100.0)
    supervision.died(200.0, "crashed")
    phases.append(supervision.state.phase)
    assert phases == [EnginePhase.RESTARTING, EnginePhase.DIED]
    assert supervision.start_at_s == 200.5


def test_a_process_that_lived_is_replaced_soon_however_often() -> None:
    supervision = Supervision(POLICY, 0.0)
    for n in range(20):
        live(supervision, 1000.0 * n, 11.0)
        assert supervision.start_at_s == 1000.0 * n + 11.5
        assert supervision.state.phase is EnginePhase.DIED


def test_a_refused_engine_is_not_tried_again_soon() -> None:
    supervision = Supervision(POLICY, 0.0)
    supervision.started()
    supervision.refused(1.0, "no such checkpoint")
    assert (supervision.state.phase, supervision.state.text) == (EnginePhase.FAILED, "no such checkpoint")
    assert supervision.start_at_s == 61.0


def test_a_lost_process_is_neither_dead_nor_replaced_before_it_is_known_how_it_went() -> None:
    supervision = Supervision(POLICY, 0.0)
    supervision.started()
    supervision.ready(1.0)
    supervision.lost("it is gone")
    assert supervision.state == EngineState(phase=EnginePhase.LOST, text="it is gone")
    assert supervision.start_at_s is None
    supervision.died(2.0, "it is gone (exit code 3)")
    assert supervision.state == EngineState(phase=EnginePhase.DIED, text="it is gone (exit code 3)", deaths=1)
    assert supervision.start_at_s == 2.5


def test_a_closed_engine_is_never_started_again() -> None:
    supervision = Supervision(POLICY, 0.0)
    live(supervision, 0.0, 1.0)
    supervision.closed()
    assert supervision.start_at_s is None
    assert supervision.state.phase is EnginePhase.CLOSED


@given(st.lists(st.floats(0.0, 100.0), max_size=40))
def test_every_death_is_followed_by_another_start_within_the_longest_delay(lifetimes_s: list[float]) -> None:
    supervision, now_s = Supervision(POLICY, 0.0), 0.0
    for lifetime_s in lifetimes_s:
        live(supervision, now_s, lifetime_s)
        died_s = now_s + lifetime_s
        assert supervision.start_at_s is not None
        assert died_s < supervision.start_at_s <= died_s + POLICY.failed_delay_s
        now_s = supervision.start_at_s
    assert supervision.state.deaths == len(lifetimes_s)
