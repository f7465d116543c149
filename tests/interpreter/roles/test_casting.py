"""Which engine, role, voice and mode a direction gets, and who is written down while there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import Capabilities
from interpreter.directions import Direction
from interpreter.floor.floor import AfterInterruption, FloorMode
from interpreter.roles.casting import (
    Cast,
    checksum_for,
    floor_policy,
    plans_for,
    serving_engine,
    transcribing_engine,
    transcription_plans,
)
from interpreter.roles.library import load_library
from interpreter.sessions.sessions import Plan

LIBRARY = load_library()
ROLE, MEDICAL = LIBRARY.find("meeting-simultaneous"), LIBRARY.find("medical-consecutive")
ANA, BEN, CAT = Direction("ana", "es", "en"), Direction("ben", "en", "es"), Direction("cat", "fr", "en")


def engine(languages: dict[str, set[str]], **changes: object) -> Capabilities:
    made = Capabilities(
        checkpoint="one",
        licence="ours",
        languages={heard: frozenset(said) for heard, said in languages.items()},
        translates=True,
        lanes=8,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


ES_EN = engine({"es": {"en"}, "en": {"es"}}, checkpoint="es-en")
FR_EN = engine({"fr": {"en"}}, checkpoint="fr-en")
PARROT = engine({"*": {"*"}}, checkpoint="parrot", translates=False)


def test_each_direction_goes_to_the_engine_that_serves_it() -> None:
    plans = plans_for(Cast(role=ROLE), [ANA, BEN, CAT], {"a": ES_EN, "b": FR_EN}, {})
    assert {direction: plan.engine for direction, plan in plans.items()} == {ANA: "a", BEN: "a", CAT: "b"}
    assert list(plans) == [ANA, BEN, CAT]


def test_an_engine_that_translates_goes_before_one_that_repeats_whatever_their_order() -> None:
    engines = {"parrot": PARROT, "a": ES_EN}
    assert serving_engine(ANA, engines) == "a"
    assert serving_engine(CAT, engines) == "parrot", "better than nothing, and the notice says what it is"


def test_a_direction_that_nobody_serves_has_no_plan() -> None:
    assert serving_engine(Direction("cat", "fr", "es"), {"a": ES_EN, "b": FR_EN}) is None
    assert plans_for(Cast(role=ROLE), [Direction("cat", "fr", "es")], {"a": ES_EN, "b": FR_EN}, {}) == {}


def test_a_person_s_own_role_and_voice_go_before_everybody_s() -> None:
    can = engine({"*": {"*"}}, voice_prompt=True, role_text=True, voices={"x": "1", "y": "2"})
    cast = Cast(role=ROLE, roles={"ben": MEDICAL}, voice="x", voices={"ben": "y"})
    plans = plans_for(cast, [ANA, BEN], {"a": can}, {})
    assert (plans[ANA].prompt.voice, plans[BEN].prompt.voice) == ("x", "y")
    assert plans[ANA].prompt == ROLE.session_prompt(can, "es", "en", voice="x")
    assert plans[BEN].prompt == MEDICAL.session_prompt(can, "en", "es", voice="y")
    assert (cast.mode_for("ana"), cast.mode_for("ben")) == (FloorMode.SIMULTANEOUS, FloorMode.CONSECUTIVE)
    everybody = replace(cast, mode="captions")
    assert everybody.mode_for("ana") is everybody.mode_for("ben") is FloorMode.CAPTIONS


def test_people_sound_different_where_nobody_chose_and_a_checkpoint_without_voices_gets_none() -> None:
    can = engine({"*": {"*"}}, voice_prompt=True, voices={"y": "2", "x": "1"})
    cast = Cast(role=ROLE)
    plans = plans_for(cast, [ANA, BEN, CAT], {"a": can}, {"ana": 0, "ben": 1, "cat": 2})
    assert [plan.prompt.voice for plan in plans.values()] == ["x", "y", "x"]
    assert cast.voice_for("ana", "en", 0, engine({"*": {"*"}}, voices={"x": "1"})) == ""
    assert cast.voice_for("ana", "en", 0, engine({"*": {"*"}}, voice_prompt=True)) == ""


# Transcription -------------------------------------------------------------------------------------------------------


def written(plans: dict[Direction, Plan], *, lanes: int, spare: int = 1) -> list[Direction]:
    can = replace(ES_EN, lanes=lanes, transcribes=frozenset({"es", "en"}))
    speakers = {"ana": "es", "ben": "en", "eva": "es"}
    return list(transcription_plans(speakers, [ANA, BEN], plans, {"a": can}, spare=spare))


def test_speakers_of_directions_are_written_down_while_lanes_are_left_over() -> None:
    plans = plans_for(Cast(role=ROLE), [ANA, BEN], {"a": ES_EN}, {})
    ana, ben = Direction("ana", "es", "es"), Direction("ben", "en", "en")
    assert written(plans, lanes=5) == [ana, ben], "and eva, whom nobody has interpreted, is not"
    assert written(plans, lanes=4) == [ana]
    assert written(plans, lanes=3) == []
    assert written(plans, lanes=2) == []


def test_a_speaker_who_is_not_heard_is_not_written_down() -> None:
    can = replace(ES_EN, transcribes=frozenset({"es", "en"}))
    assert list(transcription_plans({"ben": "en"}, [ANA, BEN], {}, {"a": can}, spare=0)) == [
        Direction("ben", "en", "en")
    ]


def test_a_transcription_is_prompted_as_one() -> None:
    can = replace(ES_EN, transcribes=frozenset({"es"}))
    [plan] = transcription_plans({"ana": "es"}, [ANA], {}, {"b": FR_EN, "a": can}, spare=0).values()
    assert (plan.engine, plan.prompt.mode) == ("a", "transcription")
    assert (plan.prompt.language_in, plan.prompt.language_out) == ("es", "es")
    assert transcribing_engine("fr", {"a": can}) is None


@given(lanes=st.integers(0, 12), spare=st.integers(0, 3), speakers=st.integers(0, 6))
def test_no_transcription_ever_takes_a_lane_of_a_rendering_or_a_spare_one(
    lanes: int, spare: int, speakers: int
) -> None:
    can = replace(ES_EN, lanes=lanes, transcribes=frozenset({"es"}))
    directions = [Direction(f"p{n}", "es", "en") for n in range(speakers)]
    plans = plans_for(Cast(role=ROLE), directions, {"a": can}, {})
    languages = {direction.speaker_id: "es" for direction in directions}
    taken = transcription_plans(languages, directions, plans, {"a": can}, spare=spare)
    assert len(taken) == min(speakers, max(0, lanes - spare - speakers))


# Floors and checksums ------------------------------------------------------------------------------------------------


def test_a_role_s_policies_become_the_floor_s_settings() -> None:
    policies = replace(
        ROLE.policies,
        yield_duck_db=-20.0,
        yield_commit_s=0.5,
        consecutive_pause_s=1.5,
        after_interruption="drop",
        hold_limit_s=10.0,
        backchannels="none",
        backchannels_per_minute=2,
        backchannel_gain_db=-20.0,
    )
    policy = floor_policy(replace(ROLE, policies=policies), FloorMode.CONSECUTIVE)
    assert policy.mode is FloorMode.CONSECUTIVE
    settings = policy.settings
    assert (settings.yield_duck_db, settings.commit_s, settings.turn_pause_s) == (-20.0, 0.5, 1.5)
    assert (settings.after_interruption, settings.hold_limit_s) == (AfterInterruption.DROP, 10.0)
    assert settings.ask_pause_at_s == 7.5, "the speaker is asked before the buffer is full"
    own = policy.backchannels
    assert (own.to_speaker, own.per_minute, own.gain_db) == (False, 2, -20.0)


@pytest.mark.parametrize("change", ["role", "voice", "checkpoint"])
def test_the_checksum_names_role_voice_and_checkpoint(change: str) -> None:
    can = engine({"*": {"*"}}, voice_prompt=True, voices={"x": "1" * 64, "y": "2" * 64}, fingerprint="f" * 64)
    [plan] = plans_for(Cast(role=ROLE, voice="x"), [ANA], {"a": can}, {}).values()
    before = checksum_for(ROLE, plan, can)
    assert before == checksum_for(ROLE, plan, can)
    role = MEDICAL if change == "role" else ROLE
    if change == "voice":
        plan = replace(plan, prompt=replace(plan.prompt, voice="y"))
    if change == "checkpoint":
        can = replace(can, fingerprint="e" * 64)
    assert checksum_for(role, plan, can) != before
