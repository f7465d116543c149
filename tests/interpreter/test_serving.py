from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import Capabilities
from interpreter.serving import about, refusals, refused

OURS = Capabilities(
    checkpoint="ours",
    licence="Apache-2.0",
    languages={"es": frozenset({"en"}), "en": frozenset({"es"})},
    translates=True,
    lanes=2,
    domain="a visit to the doctor",
)
HIBIKI = Capabilities(
    checkpoint="hibiki",
    licence="CC-BY-4.0",
    languages={"fr": frozenset({"en"}), "de": frozenset({"en"}), "en": frozenset({"en"})},
    translates=True,
    lanes=2,
)
PERSONA = Capabilities(
    checkpoint="persona", licence="theirs", languages={"en": frozenset({"en"})}, translates=False, lanes=2
)
ECHO = Capabilities(
    checkpoint="loopback", licence="none", languages={"*": frozenset({"*"})}, translates=False, lanes=2
)


def test_an_engine_is_told_of_by_licence_languages_and_purpose() -> None:
    assert about(OURS) == [
        "Engine ours, licence Apache-2.0.",
        "It interprets Spanish into English; English into Spanish.",
        "Made for: a visit to the doctor.",
    ]
    assert about(HIBIKI)[1:] == ["It interprets German and French into English."]
    assert about(PERSONA)[1:] == ["It translates nothing."]
    assert about(replace(ECHO, translates=True))[1:] == ["It interprets any language into any other."]
    into_tlh = replace(OURS, languages={"*": frozenset({"tlh"})}, domain="")
    assert about(into_tlh)[1:] == ["It interprets any language into tlh."]


def test_a_demonstration_says_so() -> None:
    assert (
        about(replace(OURS, demonstration={"en": "For trying out only"}))[-1] == "NOTE: For trying out only."
    )


def test_what_no_engine_takes_is_named_beforehand() -> None:
    assert refusals(["en", "es"], {"a": OURS}) == []
    assert refusals(["en", "es", "fr"], {"a": OURS, "b": HIBIKI}) == [
        "NOTE: nobody here interprets English into French; Spanish into French; French into Spanish. "
        "Whom it concerns is told so, and hears the original."
    ]
    assert refusals(["en", "es", "fr"], {"a": OURS, "b": ECHO}) == [], "repeating is not refusing"
    assert refusals([], {"a": OURS}) == refusals(["en"], {"a": PERSONA}) == []


tags = st.sampled_from(["en", "es", "fr", "de", "pt"])


@given(st.lists(tags, unique=True), st.lists(st.sampled_from([OURS, HIBIKI, PERSONA, ECHO])))
def test_a_pair_is_refused_exactly_when_no_engine_serves_it(
    languages: list[str], engines: list[Capabilities]
) -> None:
    pairs = {(a, b) for a in languages for b in languages if a != b}
    served = {pair for pair in pairs if any(can.serves(*pair) for can in engines)}
    assert set(refused(languages, {str(n): can for n, can in enumerate(engines)})) == pairs - served
