"""Whether we may speak, for every order in which moderators, the focus and Jitsi's component may say so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webrtc.jitsi.moderation import ALLOWED, MODERATED, MUTED, Moderation

ENABLED: dict[str, object] = {"mediaType": "audio", "enabled": True}
DISABLED: dict[str, object] = {"mediaType": "audio", "enabled": False}
APPROVED: dict[str, object] = {"mediaType": "audio", "approved": True}
REMOVED: dict[str, object] = {"mediaType": "audio", "removed": True}


def test_a_forced_mute_holds_until_it_is_lifted() -> None:
    moderation = Moderation()
    assert moderation.forced() == MUTED
    assert moderation.forced() is None
    assert moderation.muted
    assert moderation.lift()
    assert not moderation.muted
    moderation.forced()
    assert moderation.forced(muted=False) == ALLOWED


def test_under_moderation_only_an_approval_lets_us_speak() -> None:
    moderation = Moderation()
    assert moderation.told(ENABLED) == MODERATED
    assert not moderation.lift()
    assert moderation.told(APPROVED) == ALLOWED
    assert not moderation.muted
    assert moderation.told(REMOVED) == MODERATED
    assert moderation.told(DISABLED) == ALLOWED


def test_the_end_of_moderation_lets_those_speak_whom_it_muted() -> None:
    moderation = Moderation()
    moderation.told(ENABLED)
    moderation.forced()  # the focus mutes everybody when moderation begins
    assert moderation.told(DISABLED) == ALLOWED


def test_an_approval_without_moderation_asks_us_to_speak() -> None:
    moderation = Moderation()
    moderation.forced()
    assert moderation.told(APPROVED) == ALLOWED


def test_a_moderator_is_bound_by_nothing_but_another_moderators_mute() -> None:
    moderation = Moderation()
    moderation.told(ENABLED)
    assert moderation.own_role(moderator=True) == ALLOWED
    assert moderation.own_role(moderator=True) is None
    assert moderation.forced() == MUTED
    assert moderation.own_role(moderator=True) is None
    assert moderation.lift()
    assert moderation.own_role(moderator=False) == MODERATED


def test_a_forced_mute_outlives_the_session_and_moderation_is_told_again() -> None:
    moderation = Moderation()
    moderation.told(ENABLED)
    assert moderation.rejoined() == ALLOWED
    moderation.forced()
    assert moderation.rejoined() is None
    assert moderation.muted


def test_other_media_and_moderators_lists_do_not_concern_us() -> None:
    moderation = Moderation()
    assert moderation.told(ENABLED | {"mediaType": "video"}) is None
    assert moderation.told(ENABLED | {"whitelists": {"audio": []}}) is None
    assert moderation.told({"mediaType": "audio", "enabled": "yes"}) is None
    assert moderation.told({}) is None


keys = st.sampled_from(["mediaType", "enabled", "approved", "removed", "whitelists", "actor"])
values = st.sampled_from(["audio", "video", True, False, None, 1, {}])


@given(
    st.lists(
        st.dictionaries(keys, values) | st.sampled_from(["mute", "lift", "up", "down", "again"]), max_size=20
    )
)
def test_every_change_is_told_once(steps: list[dict[str, object] | str]) -> None:
    moderation = Moderation()
    for step in steps:
        before = moderation.muted
        match step:
            case "lift":
                assert moderation.lift() != moderation.muted
                continue
            case "mute":
                words = moderation.forced()
                assert moderation.muted
            case "up" | "down":
                words = moderation.own_role(moderator=step == "up")
            case "again":
                words = moderation.rejoined()
            case dict():
                words = moderation.told(step)
            case _:
                raise AssertionError(step)
        assert (words is not None) == (before != moderation.muted)
