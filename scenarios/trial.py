"""A scenario, replayed, judged and scored: as the command, the matrix of faults and pytest do it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from interpreter.config.settings import cache_dir
from interpreter.ears.voice_model import VoiceModel
from interpreter.errors import InterpreterError
from scenarios.errors import ScenarioError
from scenarios.faults import Fault
from scenarios.judge import judge
from scenarios.outcome import Outcome, outcome_of
from scenarios.replay import Way, replay
from scenarios.run_log import RunLog
from scenarios.scenario_file import Scenario
from scenarios.scores.run import score_run
from scenarios.speech import Speaker, default_cache

STARTED_WITHIN_S = 120.0
"""An engine that is not ready by then is not waited for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """What came of it."""

    outcome: Outcome
    log: RunLog | None
    """None where the run says nothing."""


class Trials:
    """Runs one scenario after another; what all of them need is loaded once.

    Args:
        way: how they are replayed.
        cache: where what was spoken is kept; the user's cache without one.
    """

    def __init__(self, way: Way | None = None, *, cache: Path | None = None) -> None:
        self._say = Speaker(cache or default_cache()).say
        self._voice_model = VoiceModel()
        self._way = way or Way()

    def run(
        self,
        scenario: Scenario,
        fault: Fault | None = None,
        *,
        scored: bool = True,
        progress: Callable[[float], None] = lambda at_s: None,
    ) -> Trial:
        """One run, to its end.

        Args:
            scenario: no draft.
            fault: what the interpreter does wrong; nothing by default.
            scored: whether figures are wanted beside the verdicts.
            progress: is told the time of the run, now and then.
        """
        try:
            run = asyncio.run(
                replay(
                    scenario,
                    self._say,
                    voice_model=self._voice_model,
                    fault=fault,
                    way=self._way,
                    progress=progress,
                )
            )
        except (ScenarioError, InterpreterError) as error:
            return Trial(outcome=outcome_of(scenario, 0.0, (), (), invalid=str(error)), log=None)
        scores = score_run(run.log) if scored else ()
        outcome = outcome_of(scenario, run.log.duration_s, judge(scenario, run), scores)
        return Trial(outcome=outcome, log=run.log)


@contextmanager
def running(checkpoint: str, way: Way) -> Iterator[Way]:
    """`way` with the engine of a checkpoint, in a process of its own as in a meeting, for as long as this is entered.

    Args:
        checkpoint: a name of `interpreter models`, or a folder.
        way: without an engine.

    Raises:
        DuplexModelError: the engine cannot be started.
    """
    options = {"checkpoint": checkpoint, "paced": way.real_time}
    process = EngineProcess(EngineSpec(kind="neural", options=options))
    try:
        process.wait_ready(STARTED_WITHIN_S)
        yield replace(way, engine=process, notice_sounds=cache_dir(os.environ) / "notices")
    finally:
        process.close()
