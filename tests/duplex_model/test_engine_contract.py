"""What every engine promises, asked of each: in this process, and in one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES, Engine, LongCalls, SayCapability, StepFlag, StepOutput
from duplex_model.errors import (
    EngineDied,
    EngineFull,
    FrameError,
    PromptError,
    SessionClosed,
    SessionFailed,
    Unsupported,
)
from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from tests.duplex_model.engines import (
    ANSWER_S,
    failure_of,
    hum,
    in_process,
    opened,
    prompt,
    scripted,
    silence,
)

LANES = 4
DELAY_FRAMES = 2
SPOKEN = {
    "cues": [
        {
            "at_frame": 2,
            "text": [{"text": " good"}, {"text": " day", "at_s": 0.16}],
            "sound": {"hz": 300, "duration_s": 0.4},
        },
        {"after_speech_s": 0.24, "spurt": 0, "sound": {"hz": 500, "duration_s": 0.2}},
    ]
}
SPECS = {
    "loopback": EngineSpec(kind="loopback", options={"lanes": LANES, "delay_ms": 80 * DELAY_FRAMES}),
    "scripted": scripted(LANES, es_en=SPOKEN, en_es=SPOKEN),
}

Start = Callable[[EngineSpec], Engine]


def in_child(spec: EngineSpec) -> Engine:
    engine = EngineProcess(spec)
    engine.wait_ready(ANSWER_S)
    return engine


STARTS: dict[str, Start] = {"in this process": in_process, "in a child process": in_child}


@pytest.fixture(scope="module", params=STARTS)
def start(request: pytest.FixtureRequest) -> Start:
    return STARTS[request.param]


@pytest.fixture(scope="module", params=SPECS)
def shared(request: pytest.FixtureRequest, start: Start) -> Iterator[Engine]:
    engine = start(SPECS[request.param])
    yield engine
    engine.close()


@pytest.fixture
def engine(shared: Engine) -> Iterator[Engine]:
    """One engine for many tests, each of which must leave it empty."""
    yield shared
    assert shared.sessions_open == 0


@pytest.fixture
def own(start: Start) -> Iterator[Callable[[EngineSpec], Engine]]:
    """Starts an engine that is closed when the test ends."""
    engines: list[Engine] = []

    def begin(spec: EngineSpec) -> Engine:
        engines.append(start(spec))
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


def test_every_frame_is_answered_with_one_frame(engine: Engine) -> None:
    with opened(engine) as session:
        for n in range(5):
            output = session.feed(hum(n)).result(ANSWER_S)
            assert output.pcm.shape == (FRAME_SAMPLES,)
            assert output.pcm.dtype == np.float32
            assert output.heard_text is None
            assert output.timing.received_s <= output.timing.started_s <= output.timing.finished_s


def test_answers_come_in_the_order_fed(engine: Engine) -> None:
    with opened(engine) as session:
        completed: list[int] = []
        asked = [session.feed(hum(n)) for n in range(20)]
        for n, future in enumerate(asked):
            future.add_done_callback(partial(_note, completed, n))
        outputs = [future.result(ANSWER_S) for future in asked]
    with opened(engine) as session:
        one_by_one = [session.feed(hum(n)).result(ANSWER_S) for n in range(20)]
    assert completed == list(range(20))
    assert [output.pcm.tobytes() for output in outputs] == [output.pcm.tobytes() for output in one_by_one]


def _note(completed: list[int], n: int, future: Future[StepOutput]) -> None:
    completed.append(n)


def test_concealment_is_echoed_for_its_frame_alone(engine: Engine) -> None:
    with opened(engine) as session:
        flags = [session.feed(silence(), concealed=n == 1).result(ANSWER_S).flags for n in range(3)]
    assert flags == [StepFlag.NONE, StepFlag.CONCEALED, StepFlag.NONE]


@pytest.mark.parametrize(
    "frame",
    [np.zeros(FRAME_SAMPLES), np.zeros(960, np.float32), np.zeros((1, FRAME_SAMPLES), np.float32), [0.0]],
    ids=["float64", "20 ms", "two dimensions", "a list"],
)
def test_a_wrong_frame_is_refused_and_the_session_goes_on(engine: Engine, frame: object) -> None:
    with opened(engine) as session:
        with pytest.raises(FrameError, match="expected a frame of float32"):
            session.feed(frame)  # type: ignore[arg-type]
        session.feed(silence()).result(ANSWER_S)


def test_the_frame_fed_may_be_reused_at_once(engine: Engine) -> None:
    with opened(engine) as session:
        clean = [session.feed(hum(n)).result(ANSWER_S).pcm for n in range(DELAY_FRAMES + 1)]
    with opened(engine) as session:
        asked = []
        for n in range(DELAY_FRAMES + 1):
            frame = hum(n)
            asked.append(session.feed(frame))
            frame[:] = 7.0
        reused = [future.result(ANSWER_S).pcm for future in asked]
    np.testing.assert_array_equal(clean, reused)


def test_what_is_answered_belongs_to_the_caller(engine: Engine) -> None:
    with opened(engine) as session:
        clean = [session.feed(hum(n)).result(ANSWER_S).pcm.copy() for n in range(6)]
    with opened(engine) as session:
        for n in range(6):
            output = session.feed(hum(n)).result(ANSWER_S)
            np.testing.assert_array_equal(output.pcm, clean[n])
            output.pcm[:] = 7.0


def test_a_closed_session_takes_no_frames_and_closing_twice_is_harmless(engine: Engine) -> None:
    session = opened(engine)
    session.close()
    session.close()
    session.interrupt()
    with pytest.raises(SessionClosed):
        session.feed(silence())
    with pytest.raises(SessionClosed):
        session.snapshot()


def test_a_full_engine_says_so_and_a_closed_session_makes_room(engine: Engine) -> None:
    sessions = [opened(engine) for _ in range(LANES)]
    assert engine.sessions_open == engine.capabilities.lanes == LANES
    with pytest.raises(EngineFull):
        engine.open(prompt(), seed=1)
    sessions.pop().close()
    sessions.append(opened(engine))
    for session in sessions:
        session.feed(silence()).result(ANSWER_S)
        session.close()


def test_sessions_are_independent_of_their_neighbours(engine: Engine) -> None:
    with opened(engine) as session:
        alone = [session.feed(hum(n)).result(ANSWER_S).pcm for n in range(12)]
    with opened(engine) as noisy, opened(engine) as session, opened(engine, prompt("en", "es")) as late:
        beside = []
        for n in range(12):
            noisy.feed(hum(n, hz=3000.0, amplitude=1.0))
            beside.append(session.feed(hum(n)).result(ANSWER_S).pcm)
            if n == 6:
                noisy.interrupt()
                late.feed(hum(n))
                late.close()
    np.testing.assert_array_equal(alone, beside)


def test_a_reused_lane_is_clean(engine: Engine) -> None:
    def life() -> list[bytes]:
        with opened(engine) as session:
            return [session.feed(silence()).result(ANSWER_S).pcm.tobytes() for _ in range(6)]

    fresh = life()
    for _ in range(LANES):
        session = opened(engine)
        session.feed(hum(0, amplitude=1.0)).result(ANSWER_S)
        session.close()
    assert life() == fresh


def test_the_same_seed_and_frames_give_the_same_bits(start: Start) -> None:
    def meeting() -> list[bytes]:
        engine = start(SPECS["scripted"])
        with opened(engine, seed=9) as session:
            said = [session.feed(hum(n)).result(ANSWER_S) for n in range(10)]
        engine.close()
        return [output.pcm.tobytes() + output.text.encode() for output in said]

    first = meeting()
    assert first == meeting()
    assert len(set(first)) > 3


def test_a_restored_session_continues_bit_by_bit(engine: Engine) -> None:
    with opened(engine) as session, opened(engine) as other:
        for n in range(4):
            session.feed(hum(n))
        snapshot = session.snapshot().result(ANSWER_S)
        expected = [session.feed(hum(n)).result(ANSWER_S) for n in range(4, 12)]
        other.feed(hum(90, amplitude=0.9))
        other.restore(snapshot).result(ANSWER_S)
        continued = [other.feed(hum(n)).result(ANSWER_S) for n in range(4, 12)]
    assert any(output.pcm.any() for output in expected)
    np.testing.assert_array_equal([o.pcm for o in expected], [o.pcm for o in continued])
    assert [output.text for output in expected] == [output.text for output in continued]


def test_a_snapshot_of_another_checkpoint_is_refused(engine: Engine, start: Start) -> None:
    stranger = start(EngineSpec(kind="loopback", options={"delay_ms": 20}))
    with opened(stranger) as session:
        snapshot = session.snapshot().result(ANSWER_S)
    stranger.close()
    with opened(engine) as session, pytest.raises(Unsupported, match="expected a snapshot of"):
        session.restore(snapshot)


@pytest.mark.parametrize(
    "state", [b"", b"\xff\xfe", b"{}", b"[" * 100_000, b'{"direction": "es>en", "heard": -1}']
)
def test_a_state_that_is_none_leaves_the_session_as_it_was(engine: Engine, state: bytes) -> None:
    with opened(engine) as session, opened(engine) as twin:
        for n in range(3):
            session.feed(hum(n))
            twin.feed(hum(n))
        snapshot = session.snapshot().result(ANSWER_S)
        error = failure_of(lambda: session.restore(type(snapshot)(snapshot.checkpoint, state)))
        assert isinstance(error, Unsupported)
        np.testing.assert_array_equal(
            session.feed(hum(3)).result(ANSWER_S).pcm, twin.feed(hum(3)).result(ANSWER_S).pcm
        )


def test_saying_a_notice_is_flagged_and_ends(engine: Engine) -> None:
    with opened(engine) as session:
        if engine.capabilities.say is SayCapability.NO:
            with pytest.raises(Unsupported):
                session.say("one moment please")
            return
        spoken = session.say("one moment please")
        own = []
        while not spoken.done():
            own.append(session.feed(silence()).result(ANSWER_S))
            assert len(own) < 100
        after = session.feed(silence()).result(ANSWER_S)
    assert all(output.flags == StepFlag.AS_SELF and output.pcm.any() for output in own)
    assert "".join(output.text for output in own) == " one moment please"
    assert not after.flags & StepFlag.AS_SELF


def test_a_closed_session_fails_what_was_still_to_be_said(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(any={}))
    session = opened(engine)
    spoken = session.say("a notice that nobody will hear the end of")
    session.feed(silence()).result(ANSWER_S)
    session.close()
    assert isinstance(failure_of(lambda: spoken), SessionClosed)


def test_many_threads_may_use_one_engine(engine: Engine) -> None:
    with opened(engine) as session:
        expected = [session.feed(hum(n)).result(ANSWER_S).pcm.tobytes() for n in range(20)]
    heard: list[list[bytes]] = []

    def participant() -> None:
        with opened(engine) as session:
            heard.append([session.feed(hum(n)).result(ANSWER_S).pcm.tobytes() for n in range(20)])

    threads = [threading.Thread(target=participant) for _ in range(LANES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_S)
    assert heard == [expected] * LANES


def test_a_direction_nobody_serves_is_refused(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(es_en={}))
    with pytest.raises(PromptError, match="got fr>de"):
        engine.open(prompt("fr", "de"), seed=1)
    assert engine.sessions_open == 0


@pytest.mark.parametrize("method", LongCalls)
def test_long_calls_are_no_choice_where_there_is_no_model(engine: Engine, method: LongCalls) -> None:
    assert engine.capabilities.long_calls == frozenset()
    with pytest.raises(PromptError, match=rf"\(none to choose\), got {method.value}"):
        engine.open(replace(prompt(), long_calls=method), seed=1)


def test_a_session_that_fails_fails_alone(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(es_en={"faults": [{"kind": "raise", "at_frame": 2}]}, en_es={}))
    with opened(engine) as failing, opened(engine, prompt("en", "es")) as other:
        spoken = failing.say("a notice of many many words")
        answers = [failing.feed(silence()) for _ in range(5)]
        assert [future.exception(ANSWER_S) is None for future in answers] == [True, True, False, False, False]
        assert all(type(future.exception()) is SessionFailed for future in answers[2:])
        assert isinstance(failure_of(lambda: spoken), SessionFailed)
        assert isinstance(failure_of(lambda: failing.feed(silence())), SessionFailed)
        other.feed(silence()).result(ANSWER_S)
        assert engine.sessions_open == 2
    assert engine.sessions_open == 0


def test_what_is_not_a_number_never_leaves_the_engine(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(any={"faults": [{"kind": "nan", "at_frame": 1}]}))
    with opened(engine) as session:
        session.feed(silence()).result(ANSWER_S)
        error = failure_of(lambda: session.feed(silence()))
    assert type(error) is SessionFailed
    assert "finite" in str(error)


def test_a_stalled_answer_is_late_and_keeps_the_order(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(any={**SPOKEN, "faults": [{"kind": "stall", "at_frame": 3, "stall_ms": 120}]}))
    clean = own(scripted(any=SPOKEN))
    with opened(engine) as session, opened(clean) as twin:
        expected = [twin.feed(hum(n)).result(ANSWER_S).pcm for n in range(8)]
        answers = [session.feed(hum(n)) for n in range(8)]
        outputs = [future.result(ANSWER_S) for future in answers]
    assert [bool(output.flags & StepFlag.LATE) for output in outputs] == [False] * 3 + [True] * 5
    np.testing.assert_array_equal([output.pcm for output in outputs], expected)


def test_closing_a_stalled_session_fails_what_it_holds(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(any={"faults": [{"kind": "stall", "at_frame": 0, "stall_ms": 60_000}]}))
    session = opened(engine)
    answers = [session.feed(silence()) for _ in range(3)]
    session.close()
    assert all(isinstance(future.exception(ANSWER_S), SessionClosed) for future in answers)


def test_an_engine_that_refuses_to_open_keeps_no_lane(own: Callable[[EngineSpec], Engine]) -> None:
    engine = own(scripted(any={"faults": [{"kind": "full"}]}))
    assert isinstance(failure_of(lambda: engine.open(prompt(), seed=1)), EngineFull)
    assert engine.sessions_open == 0


def test_closing_the_engine_closes_its_sessions(start: Start) -> None:
    engine = start(scripted(any={"faults": [{"kind": "stall", "at_frame": 0, "stall_ms": 60_000}]}))
    session = opened(engine)
    answer = session.feed(silence())
    engine.close()
    engine.close()
    wait([answer], ANSWER_S)
    assert isinstance(answer.exception(0), SessionClosed)
    assert engine.sessions_open == 0
    with pytest.raises(SessionClosed):
        session.feed(silence())
    with pytest.raises(EngineDied):
        engine.open(prompt(), seed=1)
