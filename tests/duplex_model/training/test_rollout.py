from __future__ import annotations

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Prompt
from duplex_model.training.evaluation.rollout import Cue, Rollout, Trial, run_trials
from tests.duplex_model.training.scripted_model import SOUND, UNSURE, ScriptedModel

PROMPT = Prompt(language_in="es", language_out="en")


def trial(frames: int, seed: int = 0, cue: Cue | None = None, notice: str = "") -> Trial:
    heard = np.full(frames * FRAME_SAMPLES, 0.01, np.float32)
    return Trial(prompt=PROMPT, heard=heard, seed=seed, cue=cue, notice=notice)


def played(scripts: list[dict[int, str]], trials: list[Trial], lanes: int = 2) -> list[Rollout]:
    return run_trials(ScriptedModel(scripts, lanes), trials, report=lambda done, words: None)


def test_results_are_in_the_order_given_however_lanes_become_free() -> None:
    scripts = [{seed: f" w{seed}"} for seed in range(7)]
    frames = [8, 20, 9, 30, 10, 11, 12]
    outcomes = played(scripts, [trial(count, seed) for seed, count in enumerate(frames)], lanes=3)
    assert [outcome.text for outcome in outcomes] == [f"w{seed}" for seed in range(7)]
    assert [outcome.frames for outcome in outcomes] == frames


def test_words_begin_where_a_space_does() -> None:
    [outcome] = played([{2: " My", 3: " ar", 4: "m", 6: " hurts."}], [trial(8)])
    assert outcome.words == ((2, "My"), (3, "arm"), (6, "hurts."))
    assert outcome.text_between(3, 6) == "arm"


def test_only_frames_with_a_voice_are_audible() -> None:
    [outcome] = played([{1: " a", 2: SOUND, 5: UNSURE}], [trial(7)])
    assert np.flatnonzero(outcome.audible).tolist() == [1, 2]
    assert outcome.unsure_frames == (5,)
    assert outcome.text == "a"


def test_an_interruption_comes_after_so_many_audible_frames() -> None:
    cue = Cue(after_audible_frames=2, not_before_frame=4, interrupts=True)
    [outcome] = played([dict.fromkeys(range(20), SOUND)], [trial(20, cue=cue)])
    assert outcome.cue_frame == 6
    assert np.flatnonzero(outcome.audible).tolist() == list(range(6))


def test_a_cue_that_would_come_too_late_is_left_out() -> None:
    cue = Cue(after_audible_frames=2, not_after_frame=5, interrupts=True)
    [outcome] = played([dict.fromkeys(range(6, 12), SOUND)], [trial(12, cue=cue)])
    assert outcome.cue_frame is None
    assert outcome.audible.sum() == 6


def test_what_a_cue_adds_is_heard_and_its_tail_awaited() -> None:
    added = np.full(FRAME_SAMPLES + 10, 0.5, np.float32)
    cue = Cue(after_audible_frames=1, heard=added, tail_frames=5)
    model = ScriptedModel([{7: SOUND}])
    [outcome] = run_trials(model, [trial(9, cue=cue)], report=lambda done, words: None)
    assert outcome.cue_frame == 8
    assert outcome.frames == 8 + 2 + 5
    heard = model.heard[0].reshape(-1, FRAME_SAMPLES)
    assert np.allclose(heard[8], 0.51)
    assert np.allclose(heard[7], 0.01)
    assert np.allclose(heard[9, 10:], 0)  # the trial itself had ended


def test_a_notice_is_said_and_its_end_known() -> None:
    [outcome] = played([{}], [trial(12, notice="Please repeat that.")])
    assert outcome.text == "Please repeat that."
    assert outcome.notice_done_frame == 6
    assert outcome.as_self_frames == tuple(range(7))


def test_the_share_done_never_passes_one() -> None:
    shares: list[float] = []
    cue = Cue(after_audible_frames=1, heard=np.zeros(4 * FRAME_SAMPLES, np.float32), tail_frames=9)
    run_trials(
        ScriptedModel([{0: SOUND}]), [trial(3, cue=cue)], report=lambda done, words: shares.append(done)
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
