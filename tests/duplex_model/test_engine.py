"""The engine on its own thread and the machine's clock; what is asserted is order and content, never how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait

import numpy as np
import pytest

from duplex_model.batcher import EngineOptions
from duplex_model.contract import Engine, Session, StepFlag, StepOutput, TickGrid
from duplex_model.engine import NeuralEngine
from duplex_model.errors import EngineDied, SessionClosed, SessionFailed
from tests.duplex_model.batches import PROMPT, SumModel, noise

PATIENCE_S = 30.0


@pytest.fixture
def model() -> SumModel:
    return SumModel(lanes=4)


@pytest.fixture
def engine(model: SumModel) -> Iterator[NeuralEngine]:
    # A long gathering, so that on a busy machine threads that feed together still meet in one batch.
    grid = TickGrid(origin_s=time.monotonic())
    engine = NeuralEngine(model, grid=grid, options=EngineOptions(gather_s=0.05, backlog_frames=1000))
    yield engine
    engine.close()


def opened(engine: Engine, seed: int) -> Session:
    return engine.open(PROMPT, seed=seed).result(PATIENCE_S)


def test_it_fulfils_the_contract(engine: NeuralEngine) -> None:
    as_contract: Engine = engine
    with opened(as_contract, 8) as session:
        assert engine.sessions_open == 1
        output = session.feed(np.zeros_like(noise(0))).result(PATIENCE_S)
        assert output.pcm.tolist() == [4.0] * 1920
        assert output.timing.received_s <= output.timing.started_s <= output.timing.finished_s
    assert engine.sessions_open == 0
    with pytest.raises(SessionClosed):
        session.feed(noise(0))


def test_frames_fed_at_once_are_answered_in_order(engine: NeuralEngine) -> None:
    session = opened(engine, 1)
    answers = [session.feed(noise(n)) for n in range(50)]
    wait(answers, PATIENCE_S)
    starts = [answer.result(0).timing.started_s for answer in answers]
    assert starts == sorted(starts)
    assert len(set(starts)) == 50


def test_sessions_in_threads_hear_nothing_of_each_other(engine: NeuralEngine) -> None:
    said: dict[int, list[bytes]] = {}

    def converse(seed: int) -> None:
        with opened(engine, seed) as session:
            answers = [session.feed(noise(100 * seed + n)) for n in range(20)]
            said[seed] = [answer.result(PATIENCE_S).pcm.tobytes() for answer in answers]

    threads = [threading.Thread(target=converse, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    for seed in range(4):
        together = said[seed]
        converse(seed)
        assert said[seed] == together


def test_a_callback_may_ask_for_more(engine: NeuralEngine) -> None:
    session = opened(engine, 1)
    finished = threading.Event()
    count = 0

    def next_frame(answer: Future[StepOutput]) -> None:
        nonlocal count
        count += 1
        if count == 10:
            session.close()
            finished.set()
        else:
            session.feed(noise(count)).add_done_callback(next_frame)

    session.feed(noise(0)).add_done_callback(next_frame)
    assert finished.wait(PATIENCE_S)


def test_a_callback_may_close_the_engine(model: SumModel) -> None:
    engine = NeuralEngine(model, grid=TickGrid(origin_s=time.monotonic()))
    session = opened(engine, 1)
    closed = threading.Event()

    def close(answer: Future[StepOutput]) -> None:
        engine.close()
        closed.set()

    session.feed(noise(0)).add_done_callback(close)
    assert closed.wait(PATIENCE_S)
    engine.close()


def test_closing_fails_all_that_is_open(model: SumModel) -> None:
    engine = NeuralEngine(model, grid=TickGrid(origin_s=time.monotonic()))
    session = opened(engine, 1)
    stepping = threading.Event()

    def hold() -> None:
        stepping.wait(PATIENCE_S)

    model.on_step = hold
    answers = [session.feed(noise(n)) for n in range(3)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    assert type(answers[2].exception(PATIENCE_S)) is SessionClosed, "it waits for no step"
    stepping.set()
    closing.join(PATIENCE_S)
    assert type(answers[0].exception(PATIENCE_S)) is SessionClosed, (
        "the step's own frame is answered after it"
    )
    with pytest.raises(EngineDied):
        engine.open(PROMPT, seed=1)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), MemoryError("no memory")])
def test_a_lost_device_ends_the_engine(model: SumModel, error: BaseException) -> None:
    engine = NeuralEngine(model, grid=TickGrid(origin_s=time.monotonic()))
    session, other = opened(engine, 1), opened(engine, 2)
    model.break_with = error
    answer = session.feed(noise(0))
    assert isinstance(answer.exception(PATIENCE_S), EngineDied)
    assert str(error) in str(answer.exception(0))
    assert isinstance(other.feed(noise(0)).exception(PATIENCE_S), EngineDied)
    with pytest.raises(EngineDied, match=str(error)):
        engine.open(PROMPT, seed=3)
    engine.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_leaves_no_future_unanswered(model: SumModel) -> None:
    engine = NeuralEngine(model, grid=TickGrid(origin_s=time.monotonic()))
    session = opened(engine, 1)
    model.break_with = KeyError("a mistake")
    assert isinstance(session.feed(noise(0)).exception(PATIENCE_S), EngineDied)
    engine.close()


def test_a_failed_session_leaves_its_neighbour_and_its_lane_in_order(engine: NeuralEngine) -> None:
    sound, failing = opened(engine, 1), opened(engine, 2)
    poisoned = failing.feed(np.full_like(noise(0), np.nan))
    answer = sound.feed(noise(1))
    assert isinstance(poisoned.exception(PATIENCE_S), SessionFailed)
    assert np.isfinite(answer.result(PATIENCE_S).pcm).all()
    assert StepFlag.AS_SELF not in answer.result(0).flags
    assert engine.load.failed_sessions == 1
    assert engine.sessions_open == 1
