"""An engine's process: how it dies, hangs, is replaced and ends, and that its callers never wait for it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np
import pytest

from duplex_model.contract import EndsInput, Session, TickGrid
from duplex_model.errors import (
    EngineDied,
    EngineFull,
    PromptError,
    SessionClosed,
    SessionFailed,
    SpecError,
    Unsupported,
)
from duplex_model.process import EngineProcess, ProcessSettings
from duplex_model.spec import EngineSpec
from duplex_model.supervision import EnginePhase, EngineState, RestartPolicy, Supervision
from tests.duplex_model.engines import (
    ANSWER_S,
    alive,
    failure_of,
    group_of,
    hum,
    opened,
    prompt,
    scripted,
    silence,
    until,
)

LOOPBACK = EngineSpec(kind="loopback", options={"lanes": 64})
IMPATIENT = ProcessSettings(hang_s=1.5, request_hang_s=1.5, close_s=0.3)
"""For a process that hangs; one that works answers sooner, also between two busy neighbours."""

Begin = Callable[..., EngineProcess]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts engines, waits until they are ready, and closes them when the test ends."""
    engines: list[EngineProcess] = []

    def start(spec: EngineSpec = LOOPBACK, *, ready: bool = True, **arguments: object) -> EngineProcess:
        engines.append(EngineProcess(spec, **arguments))  # type: ignore[arg-type]
        if ready:
            engines[-1].wait_ready(ANSWER_S)
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


def pid_of(engine: EngineProcess) -> int:
    assert engine.pid is not None
    return engine.pid


def test_a_killed_process_fails_its_sessions_and_another_takes_over(begin: Begin) -> None:
    engine = begin(scripted(any={"faults": [{"kind": "stall", "at_frame": 1, "stall_ms": 60_000}]}))
    sessions = [opened(engine) for _ in range(3)]
    for session in sessions:
        session.feed(silence()).result(ANSWER_S)
    answers = [session.feed(silence()) for session in sessions for _ in range(2)]
    first, grid = pid_of(engine), engine.grid

    os.kill(first, signal.SIGKILL)

    assert all(isinstance(answer.exception(ANSWER_S), EngineDied) for answer in answers)
    assert isinstance(failure_of(lambda: sessions[0].feed(silence())), EngineDied)
    assert isinstance(failure_of(sessions[0].snapshot), EngineDied)
    sessions[0].interrupt()
    until(lambda: engine.state.phase is EnginePhase.READY, "the replacement")
    assert pid_of(engine) != first
    assert not alive(first)
    assert engine.grid == grid
    assert engine.sessions_open == 0
    for session in sessions:
        session.close()  # whose lanes are gone: this must not touch the new process's lanes
    with opened(engine) as session:
        session.feed(silence()).result(ANSWER_S)
        assert engine.sessions_open == 1


def test_open_says_that_the_engine_is_not_there_from_the_moment_futures_fail(begin: Begin) -> None:
    engine = begin(settings=ProcessSettings(restart=RestartPolicy(first_delay_s=60.0, longest_delay_s=60.0)))
    session = opened(engine)
    seen: list[BaseException | None] = []

    def reopen(_: object) -> None:
        try:
            engine.open(prompt(), seed=1)
        except EngineDied as error:
            seen.append(error)

    os.kill(pid_of(engine), signal.SIGSTOP)
    answer = session.feed(silence())
    answer.add_done_callback(reopen)
    os.kill(pid_of(engine), signal.SIGKILL)
    wait([answer], ANSWER_S)
    until(lambda: bool(seen), "the callback")
    until(lambda: "SIGKILL" in engine.state.text, "the reason")
    assert engine.state.phase is EnginePhase.DIED
    with pytest.raises(EngineDied, match="one that is died: .*SIGKILL"):
        engine.open(prompt(), seed=1)


def test_no_state_is_seen_before_it_is_whole(begin: Begin) -> None:
    engine = begin(settings=ProcessSettings(restart=RestartPolicy(quick_deaths=1)))
    session = opened(engine)
    seen: list[EngineState] = []
    os.kill(pid_of(engine), signal.SIGSTOP)
    answer = session.feed(silence())
    answer.add_done_callback(lambda _: seen.append(engine.state))  # before it is known how the process went
    os.kill(pid_of(engine), signal.SIGKILL)
    wait([answer], ANSWER_S)
    with pytest.raises(EngineDied, match=r"one that is failed: .*\(killed by SIGKILL\); 1 times in a row"):
        engine.wait_ready(ANSWER_S)
    assert [(state.phase, state.deaths) for state in seen] == [(EnginePhase.LOST, 0)]


def test_whoever_sees_that_an_engine_is_ready_can_open_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_at_once: Future[Session] = Future()

    class Slow(Supervision):
        """Leaves another thread time between what says that the engine is ready and what follows it."""

        def ready(self, now_s: float) -> None:
            super().ready(now_s)
            threading.Thread(target=open_at_once).start()
            threading.Event().wait(0.2)

    def open_at_once() -> None:
        try:
            opened_at_once.set_result(opened(engine))
        except EngineDied as error:
            opened_at_once.set_exception(error)

    monkeypatch.setattr("duplex_model.process.Supervision", Slow)
    engine = EngineProcess(LOOPBACK)
    opened_at_once.result(ANSWER_S).close()
    engine.close()


def test_a_process_that_dies_in_a_step_is_explained(begin: Begin) -> None:
    states: list[EngineState] = []
    engine = begin(scripted(any={"faults": [{"kind": "die", "at_frame": 1}]}), on_state=states.append)
    session = opened(engine)
    session.feed(silence()).result(ANSWER_S)
    assert isinstance(failure_of(lambda: session.feed(silence())), EngineDied)
    until(lambda: engine.state.phase is EnginePhase.READY, "the replacement")
    died = [state for state in states if state.phase is EnginePhase.DIED]
    assert [state.deaths for state in died] == [1]
    assert "exit code 70" in died[0].text


@pytest.mark.slow
def test_every_change_of_state_is_told_in_order(begin: Begin) -> None:
    states: list[EngineState] = []
    engine = begin(scripted(any={}), on_state=states.append)
    os.kill(pid_of(engine), signal.SIGKILL)
    until(lambda: len(states) > 4 and states[-1].phase is EnginePhase.READY, "the replacement")
    engine.close()
    phases = [state.phase for state in states]
    assert list(dict.fromkeys(phases)) == [
        EnginePhase.STARTING,
        EnginePhase.READY,
        EnginePhase.LOST,
        EnginePhase.DIED,
        EnginePhase.RESTARTING,
        EnginePhase.CLOSED,
    ]
    fractions = [(state.fraction, state.text) for state in states if state.phase is EnginePhase.STARTING]
    assert fractions == [
        (0.0, "starting the engine's process"),
        (0.0, "reading the script"),
        (1.0, "script read"),
    ]


@pytest.mark.slow
def test_a_stopped_process_is_replaced_and_its_sessions_fail(begin: Begin) -> None:
    engine = begin(settings=IMPATIENT)
    session = opened(engine)
    stopped = pid_of(engine)
    os.kill(stopped, signal.SIGSTOP)
    assert isinstance(failure_of(lambda: session.feed(silence())), EngineDied)
    until(lambda: engine.state.phase is EnginePhase.READY, "the replacement")
    assert not alive(stopped)
    with opened(engine) as anew:
        anew.feed(silence()).result(ANSWER_S)


@pytest.mark.slow
def test_a_process_that_hangs_while_opening_is_replaced(begin: Begin) -> None:
    engine = begin(settings=IMPATIENT)
    os.kill(pid_of(engine), signal.SIGSTOP)
    assert isinstance(failure_of(lambda: engine.open(prompt(), seed=1)), EngineDied)
    until(lambda: engine.state.phase is EnginePhase.READY, "the replacement")
    assert engine.sessions_open == 0


@pytest.mark.slow
def test_an_idle_engine_is_not_taken_for_one_that_hangs(begin: Begin) -> None:
    engine = begin(settings=ProcessSettings(hang_s=0.05))
    session = opened(engine)
    threading.Event().wait(0.7)  # several rounds of the watch
    assert engine.state.phase is EnginePhase.READY
    session.snapshot().result(ANSWER_S)  # whose answer may take longer than a frame's
    assert engine.state.deaths == 0


@pytest.mark.slow
def test_a_session_that_alone_waits_too_long_fails_alone(begin: Begin) -> None:
    stall = {"faults": [{"kind": "stall", "at_frame": 0, "stall_ms": 600_000}]}
    engine = begin(scripted(es_en=stall, en_es={}), settings=IMPATIENT)
    stuck, other = opened(engine), opened(engine, prompt("en", "es"))
    pid = pid_of(engine)
    answer = stuck.feed(silence())
    until(lambda: bool(other.feed(silence()).result(ANSWER_S)) and answer.done(), "the stuck session's end")
    assert type(answer.exception()) is SessionFailed
    assert isinstance(failure_of(lambda: stuck.feed(silence())), SessionFailed)
    other.feed(silence()).result(ANSWER_S)
    assert pid_of(engine) == pid
    assert engine.sessions_open == 2
    stuck.close()
    assert engine.sessions_open == 1


OF_A_TEST = """
import sys
from duplex_model import child, spec
spec.BUILDERS = {"loopback": "tests.duplex_model.test_child:ENGINE"}
sys.exit(child.main(sys.argv[-1:]))
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every process run the engine of a function in the tests of the child's side."""

    def instead(builder: str) -> None:
        program = tmp_path / "program"
        program.write_text(f"#!{sys.executable}{OF_A_TEST.replace('ENGINE', builder)}")
        program.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(program))

    return instead


@pytest.mark.slow
def test_a_voice_that_cannot_be_read_in_time_is_given_up_alone(
    begin: Begin, run: Callable[[str], None]
) -> None:
    run("build_slow_voices")
    engine = begin(settings=IMPATIENT)
    pid = pid_of(engine)
    with opened(engine) as session:
        opening = engine.open(prompt(voice="slow"), seed=1)
        until(
            lambda: bool(session.feed(silence()).result(ANSWER_S)) and opening.done(), "the end of patience"
        )
        error = opening.exception(0)
        assert isinstance(error, EngineFull)
        assert "within 1.5 s" in str(error)
        assert engine.sessions_open == 1
        opened(engine).close()
    assert pid_of(engine) == pid


def test_frames_go_on_while_a_large_state_is_on_its_way(begin: Begin, run: Callable[[str], None]) -> None:
    run("build_large_states")
    engine = begin()
    with opened(engine) as session, opened(engine) as other:
        taken = session.snapshot().result(ANSWER_S)
        assert len(taken.state) == 20_000_000
        changed = type(taken)(taken.checkpoint, taken.state[::-1])
        os.kill(pid_of(engine), signal.SIGSTOP)  # so that all of this is asked before any of it is done
        restored = session.restore(changed)
        after, again = session.feed(hum(0)), session.snapshot()
        beside = [other.feed(hum(n)) for n in range(20)]
        order: list[str] = []
        restored.add_done_callback(lambda _: order.append("restored"))
        beside[-1].add_done_callback(lambda _: order.append("frames of the other"))
        os.kill(pid_of(engine), signal.SIGCONT)
        for n, answer in enumerate(beside):
            np.testing.assert_array_equal(answer.result(ANSWER_S).pcm, hum(n))
        np.testing.assert_array_equal(after.result(ANSWER_S).pcm, hum(0))
        assert again.result(ANSWER_S) == changed
    assert order == ["frames of the other", "restored"]


def test_the_end_of_the_input_is_told_with_the_frame_it_came_before(
    begin: Begin, run: Callable[[str], None]
) -> None:
    run("build_speakers_that_finish")
    with opened(begin()) as session:
        assert isinstance(session, EndsInput)
        answers = [session.feed(hum(n)) for n in range(3)]
        session.end_input()
        answers += [session.feed(silence()) for _ in range(2)]
        assert [answer.result(ANSWER_S).text for answer in answers] == ["", "", "", "ended", ""]
    session.end_input()  # of a closed session nobody is told anything


def test_a_session_that_cannot_be_told_of_the_end_goes_on(begin: Begin) -> None:
    with opened(begin()) as session:
        assert isinstance(session, EndsInput)
        session.end_input()
        np.testing.assert_array_equal(session.feed(hum(0)).result(ANSWER_S).pcm, hum(0))


def test_callers_never_wait_for_a_process_that_reads_nothing(begin: Begin) -> None:
    engine = begin(settings=ProcessSettings(max_in_flight=100_000, hang_s=600.0, close_s=0.1))
    session, other = opened(engine), opened(engine)
    os.kill(pid_of(engine), signal.SIGSTOP)
    answers = [session.feed(hum(0)) for _ in range(2000)]  # 15 MB, far beyond what the socket and we hold
    assert isinstance(answers[-1].exception(ANSWER_S), SessionFailed)
    assert "bytes unread" in str(answers[0].exception(ANSWER_S))
    other.interrupt()
    other.close()
    session.close()
    assert engine.sessions_open == 0


def test_a_backlog_is_delivered_once_the_process_reads_again(begin: Begin) -> None:
    engine = begin(settings=ProcessSettings(max_in_flight=1000, hang_s=600.0))
    session = opened(engine)
    os.kill(pid_of(engine), signal.SIGSTOP)
    answers = [session.feed(hum(n)) for n in range(500)]
    os.kill(pid_of(engine), signal.SIGCONT)
    for n, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.result(ANSWER_S).pcm, hum(n))


def test_more_frames_than_may_wait_fail_the_session(begin: Begin) -> None:
    stall = {"faults": [{"kind": "stall", "at_frame": 0, "stall_ms": 600_000}]}
    engine = begin(scripted(any=stall), settings=ProcessSettings(max_in_flight=10))
    session = opened(engine)
    answers = [session.feed(silence()) for _ in range(11)]
    assert all("at most 10 requests" in str(answer.exception(ANSWER_S)) for answer in answers)


@pytest.mark.slow
def test_a_process_that_dies_at_every_start_ends_in_failed(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    policy = RestartPolicy(first_delay_s=0.01, quick_deaths=3, failed_delay_s=1.5)
    engine = begin(settings=ProcessSettings(restart=policy), ready=False)
    with pytest.raises(EngineDied, match=r"failed: .*\(exit code 1\); \d+ times in a row"):
        engine.wait_ready(ANSWER_S)
    with pytest.raises(EngineDied):
        _ = engine.capabilities
    monkeypatch.undo()
    until(lambda: engine.state.phase is EnginePhase.READY, "the slow retry")
    with opened(engine) as session:
        session.feed(silence()).result(ANSWER_S)


def test_an_executable_that_is_missing_ends_in_failed(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    engine = begin(settings=ProcessSettings(restart=RestartPolicy(quick_deaths=1)), ready=False)
    with pytest.raises(EngineDied, match="no process could be started: .*/no/such/python"):
        engine.wait_ready(ANSWER_S)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (EngineSpec(kind="telepathy"), "expected an engine kind of loopback.*got 'telepathy'"),
        (EngineSpec(kind="loopback", options={"lanes": 0}), "expected lanes to be a whole number from 1"),
        (EngineSpec(kind="scripted", options={"script_file": "/no/such/file"}), "/no/such/file"),
    ],
)
def test_a_spec_that_cannot_be_built_is_explained_at_once(begin: Begin, spec: EngineSpec, words: str) -> None:
    engine = begin(spec, ready=False)
    with pytest.raises(EngineDied, match=words):
        engine.wait_ready(ANSWER_S)
    assert engine.state.phase is EnginePhase.FAILED
    assert engine.state.deaths == 1


def test_options_that_json_cannot_spell_are_refused_before_anything_starts() -> None:
    with pytest.raises(SpecError, match="JSON"):
        EngineProcess(EngineSpec(kind="loopback", options={"lanes": object()}))


def test_prompts_and_texts_that_no_message_can_carry_hurt_nobody(begin: Begin) -> None:
    engine = begin(scripted(any={}))
    pid = pid_of(engine)
    too_long = "x" * (2 << 20)
    for role_text in (too_long, "\ud800"):
        unsendable = type(prompt())(role_text=role_text, language_in="es", language_out="en")
        with pytest.raises(PromptError):
            engine.open(unsendable, seed=1)
    with pytest.raises(PromptError, match="seed of 64 bits"):
        engine.open(prompt(), seed=2**64)
    assert engine.sessions_open == 0
    with opened(engine) as session:
        for text in (too_long, "\udfff"):
            with pytest.raises(Unsupported):
                session.say(text)
        session.feed(silence()).result(ANSWER_S)
    assert pid_of(engine) == pid


def test_a_process_that_does_not_speak_our_protocol_is_replaced(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    babbler = tmp_path / "babbler"
    babbler.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nos.write(int(sys.argv[-1]), b'GET / HTTP/1.1')\ntime.sleep(60)\n"
    )
    babbler.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(babbler))
    engine = begin(settings=ProcessSettings(restart=RestartPolicy(quick_deaths=1)), ready=False)
    with pytest.raises(EngineDied, match="did not speak our protocol"):
        engine.wait_ready(ANSWER_S)


LIAR = """
import socket, sys
from duplex_model import messages
from duplex_model.child import Channel
from duplex_model.contract import Capabilities

channel = Channel(socket.socket(fileno=int(sys.argv[-1])))
everything = {"*": frozenset({"*"})}
for request in channel.requests():
    if isinstance(request, messages.Start):
        capabilities = Capabilities(checkpoint="liar", licence="", languages=everything, translates=False, lanes=1)
        channel.send(messages.Ready(capabilities))
    else:
        channel.send(messages.Done(request.id))
"""


def test_an_answer_that_does_not_fit_its_request_fails_it(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar = tmp_path / "liar"
    liar.write_text(f"#!{sys.executable}{LIAR}")
    liar.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(liar))
    session = opened(begin())
    error = failure_of(lambda: session.feed(silence()))
    assert isinstance(error, EngineDied)
    assert "expected the answer to Feed" in str(error)


def test_a_process_that_is_silent_while_starting_is_given_up(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(sleeper))
    settings = ProcessSettings(start_hang_s=0.2, restart=RestartPolicy(quick_deaths=1))
    engine = begin(settings=settings, ready=False)
    with pytest.raises(EngineDied, match="said nothing for .* while starting"):
        engine.wait_ready(ANSWER_S)


def test_every_process_follows_the_grid_it_was_given(begin: Begin) -> None:
    grid = TickGrid(origin_s=time.monotonic() - 5.0)
    assert begin(grid=grid).grid == grid


def test_clocks_of_both_processes_are_one(begin: Begin) -> None:
    with opened(begin()) as session:
        before_s = time.monotonic()
        timing = session.feed(silence()).result(ANSWER_S).timing
        after_s = time.monotonic()
    assert before_s <= timing.received_s <= timing.started_s <= timing.finished_s <= after_s


@pytest.mark.slow
def test_closing_leaves_no_process_thread_or_descriptor(begin: Begin) -> None:
    begin().close()  # whatever is loaded once is loaded now
    gc.collect()
    descriptors, threads = len(os.listdir("/proc/self/fd")), set(threading.enumerate())
    for _ in range(3):
        engine = EngineProcess(LOOPBACK)
        engine.wait_ready(ANSWER_S)
        opened(engine).feed(silence()).result(ANSWER_S)
        pid = pid_of(engine)
        engine.close()
        assert group_of(pid) == []
        assert engine.pid is None
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert set(threading.enumerate()) <= threads


def test_closing_while_it_starts_leaves_nothing() -> None:
    engine = EngineProcess(LOOPBACK)
    until(lambda: engine.pid is not None, "the process")
    pid = pid_of(engine)
    engine.close()
    assert group_of(pid) == []
    with pytest.raises(EngineDied, match="closed"):
        engine.wait_ready(ANSWER_S)


def test_closing_ends_a_process_that_does_not_listen(begin: Begin) -> None:
    engine = begin(settings=ProcessSettings(close_s=0.3))
    session = opened(engine)
    pid = pid_of(engine)
    os.kill(pid, signal.SIGSTOP)
    answer = session.feed(silence())
    engine.close()
    assert isinstance(answer.exception(0), SessionClosed)
    assert group_of(pid) == []


def test_an_engine_may_be_closed_from_its_own_callbacks() -> None:
    engine = EngineProcess(LOOPBACK)
    engine.wait_ready(ANSWER_S)
    pid = pid_of(engine)
    opened(engine).feed(silence()).add_done_callback(lambda _: engine.close())
    until(lambda: engine.state.phase is EnginePhase.CLOSED, "the end")
    assert group_of(pid) == []


def test_the_process_ignores_ctrl_c_and_reads_nothing_from_the_terminal(begin: Begin) -> None:
    engine = begin()
    pid = pid_of(engine)
    os.kill(pid, signal.SIGINT)
    with opened(engine) as session:
        session.feed(silence()).result(ANSWER_S)
    assert pid_of(engine) == pid
    assert os.getsid(pid) == pid != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"OMP_WAIT_POLICY=PASSIVE" in environment


def test_what_the_process_writes_is_logged_line_by_line(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "duplex_model.child_process"):
        engine = begin()
        pid = pid_of(engine)
        with opened(engine) as session:
            os.kill(pid, signal.SIGSEGV)  # the fault handler's words are the longest it writes
            assert isinstance(failure_of(lambda: session.feed(silence())), EngineDied)
        until(lambda: "Segmentation fault" in caplog.text, "its last words")
    assert any(record.levelno == logging.WARNING for record in caplog.records)


PARENT = """
import sys, time
from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
engine = EngineProcess(EngineSpec(kind=sys.argv[1]))
if sys.argv[2] == "ready":
    engine.wait_ready(20)
while engine.pid is None:
    time.sleep(0.001)
sys.stdout.write(f"{engine.pid}\\n")
sys.stdout.flush()
if sys.argv[3] == "wait":
    time.sleep(600)
"""


@pytest.mark.parametrize(("moment", "ending"), [("ready", "wait"), ("starting", "wait"), ("ready", "return")])
def test_the_process_ends_with_its_parent(moment: str, ending: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, "loopback", moment, ending], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if ending == "wait":
            parent.kill()
        parent.wait(ANSWER_S)
    until(lambda: not alive(pid), "the child's end")


@pytest.mark.slow
def test_thousands_of_sessions_leave_nothing_behind(begin: Begin) -> None:
    engine = begin()
    opened(engine).close()
    gc.collect()
    descriptors, threads = len(os.listdir("/proc/self/fd")), set(threading.enumerate())
    for _ in range(40):
        sessions = [opened(engine) for _ in range(50)]
        answers = [session.feed(silence()) for session in sessions]
        for session in sessions[::2]:
            session.close()
        wait(answers, ANSWER_S)
        for session in sessions:
            session.close()
    assert engine.sessions_open == 0
    until(lambda: not engine._waiting, "the answers nobody waits for")
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert set(threading.enumerate()) <= threads
