"""What was mixed and not sent yet, without the interpreter."""

from __future__ import annotations

import numpy as np

from duplex_model.contract import FRAME_S
from interpreter.directions import Direction
from interpreter.mixing.mixdown import MixState, Sounds, mix_tick
from interpreter.mixing.mixing import Ducking
from interpreter.mixing.routing import route
from interpreter.mixing.unsent import KEPT_TICKS, Mixed, Unsent
from tests.fakes import amplitude, tone

ANA_HZ, EN_HZ = 300.0, 1_000.0
DIRECTION = Direction("ana", "es", "en")
ROUTES = route({"ana": "es", "ben": "en"}, [DIRECTION])
FIRST_S = 10.0


def mixed(ticks: int) -> tuple[Unsent, MixState]:
    """Ana and her rendering, mixed for so many ticks from tick 0, whose first packet leaves at 10 s."""
    unsent, state = Unsent(), MixState()
    for tick in range(ticks):
        sounds = Sounds(originals={"ana": tone(ANA_HZ, tick)}, renderings={DIRECTION: tone(EN_HZ, tick)})
        unsent.add(
            Mixed(
                tick=tick,
                at_s=FIRST_S + tick * FRAME_S,
                before=state,
                routes=ROUTES,
                sounds=sounds,
                ducking=Ducking(),
            )
        )
        state, _ = mix_tick(state, ROUTES, sounds, Ducking())
    return unsent, state


def test_nothing_is_to_be_done_before_the_first_mix() -> None:
    assert Unsent().without_interpreter(5.0) == (None, {})


def test_ticks_that_may_not_be_sent_yet_are_mixed_again_with_people_alone() -> None:
    unsent, _ = mixed(4)
    state, mixes = unsent.without_interpreter(FIRST_S + 2.5 * FRAME_S)
    assert list(mixes) == [2, 3]
    # The limiter looks ahead: the very beginning is the end of the tick before.
    heard = np.concatenate([mixes[2]["ben"][240:], mixes[3]["ben"], mix_tick_of_silence(state)])
    whole = heard[: heard.size // 240 * 240]
    assert amplitude(whole, EN_HZ) < 1e-3
    assert amplitude(mixes[3]["ben"], ANA_HZ) > 0.01
    assert not mixes[3]["ana"].any()


def mix_tick_of_silence(state: MixState | None) -> np.ndarray:
    assert state is not None
    _, mixes = mix_tick(state, ROUTES, Sounds(), Ducking())
    return mixes["ben"]


def test_what_the_limiter_holds_of_the_last_tick_is_cleared_also_when_all_of_it_was_sent() -> None:
    unsent, before = mixed(4)
    state, mixes = unsent.without_interpreter(FIRST_S + 60.0)
    assert list(mixes) == [3]
    tail = mix_tick_of_silence(before)
    assert amplitude(tail[:120], EN_HZ) > 0.01, "the limiter did hold some of it"
    assert amplitude(mix_tick_of_silence(state)[:120], EN_HZ) < 0.01


def test_a_second_stop_changes_nothing_more() -> None:
    unsent, _ = mixed(4)
    state, mixes = unsent.without_interpreter(FIRST_S + 2.5 * FRAME_S)
    again, same = unsent.without_interpreter(FIRST_S + 2.5 * FRAME_S)
    assert list(same) == list(mixes)
    assert all((same[tick]["ben"] == mixes[tick]["ben"]).all() for tick in same)
    assert state is not None
    assert again is not None
    assert (again.gains == state.gains).all()


def test_only_so_many_ticks_are_kept() -> None:
    unsent, _ = mixed(KEPT_TICKS + 5)
    _, mixes = unsent.without_interpreter(0.0)
    assert list(mixes) == list(range(5, KEPT_TICKS + 5))
