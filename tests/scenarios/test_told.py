"""Which script has been told whole."""

from interpreter.roles.library import load_library
from interpreter.roles.scripts import script
from scenarios.told import scripts_told

ROLE = load_library().find("medical-consecutive")


def _texts(script_id, language="en"):
    return script(ROLE, script_id, language, languages=("en", "es")).sentences


def test_scripts_that_end_alike_are_told_apart():
    assert _texts("opening")[-1] == _texts("late_joiner")[-1]

    assert scripts_told(ROLE, "en", _texts("opening")) == ["opening"]
    assert scripts_told(ROLE, "en", _texts("late_joiner")) == ["late_joiner"]


def test_a_script_told_after_another_is_the_one_told():
    assert scripts_told(ROLE, "es", _texts("opening", "es") + _texts("late_joiner", "es")) == ["late_joiner"]


def test_the_end_of_a_script_alone_tells_none():
    assert scripts_told(ROLE, "en", _texts("opening")[1:]) == []
    assert scripts_told(ROLE, "en", ()) == []
