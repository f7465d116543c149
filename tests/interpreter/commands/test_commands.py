from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.commands.arguments import Choice, LanguagePair, Number, Text
from interpreter.commands.chat import _SPANISH, named_in, parse_chat
from interpreter.commands.commands import (
    Actor,
    Invocation,
    argument_schema,
    describe,
    invoke,
    permitted,
    usage,
)
from interpreter.commands.table import COMMANDS, CommandSpec, Standing, Whom
from interpreter.errors import BadArgument, CommandError, NotAllowed, UnknownCommand
from interpreter.languages import folded
from tests.interpreter.command_page import DOCS, PAGES, with_tables

PEOPLE = {"p1": "Dr. Ana López", "p2": "Juan", "p3": "María José Ruiz"}
ANA = Actor(name="Ana", standing=Standing.HOST, participant_id="p1")
JUAN = Actor(name="Juan", standing=Standing.PARTICIPANT, participant_id="p2")
CONSOLE = Actor(name="Eva", standing=Standing.ADMIN, token_hash="0123456789abcdef")
CONSOLE_IN = Actor(name="Eva", standing=Standing.ADMIN, participant_id="p1")
EVERYBODY = ["optout", "optin", "language", "repeat", "human", "stop", "start", "balance", "original-only"]


def chat(text: str, actor: Actor = ANA) -> Invocation:
    found = parse_chat(f"!interp {text}", actor, PEOPLE)
    assert found is not None
    return found


def example(spec: CommandSpec) -> dict[str, object]:
    """Arguments that `spec` takes."""
    examples = {
        "tag": "es",
        "level": 0.5,
        "state": True,
        "direction": "es>en",
        "gain": -20,
        "term": "fiebre",
        "translation": "fever",
        "text": "called the ward",
        "url": "https://meet.example.org/room?jwt=secret",
        "name": "ana",
    }
    given: dict[str, object] = {}
    for argument in spec.arguments:
        kind = argument.kind
        given[argument.name] = kind.choices[0] if isinstance(kind, Choice) else examples[argument.name]
    if spec.subject is not None and spec.subject.unnamed is Whom.NAMED:
        given["participant"] = "p2"
    return given


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("spec", COMMANDS.values(), ids=lambda spec: spec.name)
def test_a_command_is_for_those_whose_standing_it_names(spec: CommandSpec, standing: Standing) -> None:
    actor = Actor(name="x", standing=standing, participant_id="p2")
    if standing >= spec.who:
        found = invoke(spec.name, example(spec), actor, PEOPLE)
        assert found.spec is spec
        assert set(found.arguments) == {argument.name for argument in spec.arguments}
        assert spec in permitted(actor)
    else:
        with pytest.raises(NotAllowed, match=f"`{spec.name}`"):
            invoke(spec.name, example(spec), actor, PEOPLE)
        assert spec not in permitted(actor)


def test_a_viewer_may_do_nothing() -> None:
    assert not permitted(Actor(name="x", standing=Standing.VIEWER))


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_may_do_these_for_themselves_and_a_participant_for_nobody_else(name: str) -> None:
    spec = COMMANDS[name]
    assert invoke(name, example(spec), JUAN, PEOPLE).subject == (None if spec.subject is None else "p2")
    for whom in ("p1", "all"):
        with pytest.raises(CommandError):
            invoke(name, {**example(spec), "participant": whom}, JUAN, PEOPLE)


@pytest.mark.parametrize("name", ["optout", "optin"])
@pytest.mark.parametrize("actor", [ANA, CONSOLE])
def test_nobody_opts_another_person_in_or_out(name: str, actor: Actor) -> None:
    with pytest.raises(NotAllowed, match="for themselves"):
        invoke(name, {"participant": "p2"}, actor, PEOPLE)
    with pytest.raises(BadArgument):
        invoke(name, {"participant": "all"}, actor, PEOPLE)


def test_hosts_may_name_others_and_all() -> None:
    assert chat("stop").subject == "p1"
    assert chat("stop juan").subject == "p2"
    assert chat("stop all").subject is None
    assert chat("language es-mx Juan").subject == "p2"
    assert chat("role medical-consecutive").subject is None
    assert chat("role medical-consecutive juan").subject == "p2"
    assert chat("role medical-consecutive me").subject == "p1"


def test_who_is_not_in_the_meeting_has_to_name_somebody() -> None:
    with pytest.raises(BadArgument, match="as you are not in the meeting"):
        invoke("repeat", {}, CONSOLE, PEOPLE)
    assert invoke("repeat", {"participant": "p3"}, CONSOLE, PEOPLE).subject == "p3"


def test_people_are_found_by_id_name_and_first_words_without_accents() -> None:
    for text in ("p3", "María José Ruiz", "maria jose", "MARIA", "@maría josé  ruiz"):
        assert chat(f"mute {text}").subject == "p3"
    with pytest.raises(BadArgument, match="somebody in the meeting"):
        chat("mute mar")


def test_a_name_never_stands_for_a_keyword_or_another_persons_id() -> None:
    impostors = {"p1": "Ana", "x1": "all", "x2": "me", "x3": "p1"}
    assert invoke("stop", {"participant": "all"}, ANA, impostors).subject is None
    assert invoke("stop", {"participant": "me"}, ANA, impostors).subject == "p1"
    assert invoke("mute", {"participant": "p1"}, ANA, impostors).subject == "p1"


def test_a_name_that_two_people_have_is_refused_with_their_ids() -> None:
    with pytest.raises(BadArgument, match="any of a, b"):
        invoke("mute", {"participant": "Ana"}, ANA, {"a": "Ana", "b": "ana"})


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("language español", "language", {"tag": "es"}),
        ("language espanol", "language", {"tag": "es"}),
        ("language haitian creole", "language", {"tag": "ht"}),
        ("language ZH_hant_tw", "language", {"tag": "zh-Hant-TW"}),
        ("duck -15", "duck", {"gain": -15.0}),
        ("duck -15 dB", "duck", {"gain": -15.0}),
        ("duck −15,5db", "duck", {"gain": -15.5}),
        ("balance 40%", "balance", {"level": 0.4}),
        ("balance 40 %", "balance", {"level": 0.4}),
        ("balance 0.4", "balance", {"level": 0.4}),
        ("captions OFF", "captions", {"state": False}),
        ("original_only on", "original-only", {"state": True}),
        ("mode Consecutive", "mode", {"mode": "consecutive"}),
        ("notice opening-emergency", "notice", {"name": "opening_emergency"}),
        ("priority", "priority", {}),
        ("hold es>en", "hold", {"direction": LanguagePair("es", "en")}),
        ("release es -> en", "release", {"direction": LanguagePair("es", "en")}),
        (
            "glossary-add es > en dolor de pecho = chest pain",
            "glossary-add",
            {"direction": LanguagePair("es", "en"), "term": "dolor de pecho", "translation": "chest pain"},
        ),
        ("  PAUSE  ", "pause", {}),
        ("", "help", {}),
    ],
)
def test_lines_of_chat(text: str, name: str, arguments: dict[str, object]) -> None:
    found = chat(text)
    assert (found.spec.name, dict(found.arguments)) == (name, arguments)


@pytest.mark.parametrize(
    ("spanish", "english"),
    [
        ("pausa", "pause"),
        ("¡Pausa!", "pause"),
        ("reanudar", "resume"),
        ("modo simultáneo", "mode simultaneous"),
        ("Modo consecutivo", "mode consecutive"),
        ("intercambiar", "swap"),
        ("repetir", "repeat"),
        ("repite todos", "repeat all"),
        ("más despacio", "slower"),
        ("mas-despacio Juan", "slower Juan"),
        ("despacio", "slower"),
        ("intérprete humano", "human"),
        ("parar yo", "stop me"),
        ("alto todas", "stop all"),
        ("¿quién?", "who"),
        ("papel medical-consecutive Juan", "role medical-consecutive Juan"),
        ("idioma inglés", "language English"),
        ("idioma inglés Juan", "language en Juan"),
        ("subtítulos no", "captions off"),
        ("solo original sí", "original-only on"),
        ("excluirme", "optout"),
        ("qué se guarda", "stored"),
        ("pedir repetición Juan", "ask-repeat Juan"),
        ("ask repeat Juan", "ask-repeat Juan"),
        ("glosario es > en dolor = pain", "glossary-add es>en dolor = pain"),
        ("ayuda", ""),
    ],
)
def test_spanish_words_are_the_same_commands(spanish: str, english: str) -> None:
    found, same = chat(spanish), chat(english)
    assert (found.spec, found.subject, found.arguments) == (same.spec, same.subject, same.arguments)
    assert found.language == (None if spanish.startswith("ask") else "es")
    assert same.language is None


def test_every_command_for_chat_has_a_spanish_word_that_is_not_another_commands() -> None:
    people_s = {name for name, spec in COMMANDS.items() if spec.who <= Standing.HOST}
    assert people_s <= _SPANISH.keys(), "give every command of participants and hosts a Spanish word"
    assert _SPANISH.keys() <= COMMANDS.keys()
    words = [word for names in _SPANISH.values() for word in names.split(", ")]
    assert len(set(words)) == len(words)
    assert not set(words) & COMMANDS.keys() - {"no"}
    assert all(word == folded(word) for word in words)


def test_somebody_called_like_a_keyword_is_that_person() -> None:
    people = {**PEOPLE, "p4": "Todos"}
    found = parse_chat("!interp stop todos", ANA, people)
    assert found is not None
    assert found.subject == "p4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pausas", "(did you mean `pausa` or `para`?)"),
        ("ayudar", "(did you mean `ayuda`"),
        ("klingon", "got `klingon`; `!interp help` tells which there are"),
    ],
)
def test_a_word_that_is_no_command_gets_one_helpful_sentence(text: str, words: str) -> None:
    with pytest.raises(UnknownCommand) as caught:
        chat(text)
    assert words in str(caught.value)
    with pytest.raises(UnknownCommand) as caught:
        chat(text, JUAN)
    assert "pausa" not in str(caught.value).partition("(")[2], "only what is theirs to give is suggested"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("!interp", ("", None)),
        ("!interp parar x", ("stop", "es")),
        ("!interp stop", ("stop", None)),
        ("!interp x", ("", None)),
    ],
)
def test_what_a_line_asks_for_is_known_also_where_it_is_refused(
    line: str, named: tuple[str, str | None]
) -> None:
    assert named_in(line) == named


@pytest.mark.parametrize(
    "text", ["", "hello", "!interpreter stop", "say !interp stop", "!inter", "interp stop"]
)
def test_other_lines_are_no_commands(text: str) -> None:
    assert parse_chat(text, ANA, PEOPLE) is None


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("paused", UnknownCommand, "expected a command, got `paused` (did you mean `pause`?)"),
        ("note x", NotAllowed, "expected an operator for `note`, got a host"),
        ("mode fast", BadArgument, "expected simultaneous, consecutive or captions for `mode`, got `fast`"),
        ("mode", BadArgument, "expected simultaneous, consecutive or captions for `mode`, got nothing"),
        ("duck 3", BadArgument, "expected a number from -60 to 0 dB for `duck`, got `3`"),
        ("duck -3%", BadArgument, "expected a number from -60 to 0 dB for `duck`, got `-3%`"),
        ("balance 140%", BadArgument, "expected a number from 0 to 1 or 0 to 100% for `balance`, got `140%`"),
        ("language klingonisch", BadArgument, "expected a language, such as es, es-MX or Spanish"),
        ("hold es>es", BadArgument, "expected a direction such as es>en for `hold`, got `es>es`"),
        ("hold es", BadArgument, "expected a direction such as es>en for `hold`, got `es`"),
        ("captions maybe", BadArgument, "expected on or off for `captions`, got `maybe`"),
        ("pause now", BadArgument, "expected no more for `pause`, got `now`"),
        ("role ../../etc/passwd", BadArgument, "expected the name of a role"),
        ("mute", BadArgument, "expected a participant for `mute` (Dr. Ana López, Juan, María José Ruiz)"),
        (
            "mute Pedro",
            BadArgument,
            "expected somebody in the meeting (Dr. Ana López, Juan, María José Ruiz)",
        ),
        ("language es all", BadArgument, "expected one person for `language`, got all"),
        ("glossary-add es>en fiebre", BadArgument, "expected text of 1 to 100 characters"),
        ("stop " + "x" * 700, BadArgument, "expected at most 700 characters"),
    ],
)
def test_what_is_wrong_is_said_in_words(text: str, error: type[CommandError], words: str) -> None:
    with pytest.raises(error) as caught:
        chat(text)
    assert words in str(caught.value)


def test_pages_give_arguments_by_name() -> None:
    assert invoke("balance", {"level": 1, "participant": None}, JUAN, PEOPLE).arguments == {"level": 1.0}
    assert invoke("captions", {"state": "on"}, JUAN, PEOPLE).arguments == {"state": True}
    with pytest.raises(BadArgument, match="expected only level for `balance`, got `volume`"):
        invoke("balance", {"level": 1, "volume": 3}, JUAN, PEOPLE)
    with pytest.raises(BadArgument, match="expected no arguments for `pause`, got `x`"):
        invoke("pause", {"x": 1}, ANA, PEOPLE)
    with pytest.raises(BadArgument, match="which is about the meeting"):
        invoke("pause", {"participant": "p2"}, ANA, PEOPLE)
    for wrong in (True, float("nan"), float("inf"), 10**400, [1], "1e0"):
        with pytest.raises(BadArgument, match="a number from 0 to 1"):
            invoke("balance", {"level": wrong}, JUAN, PEOPLE)


def test_what_was_said_and_secrets_are_neither_audited_nor_repeated() -> None:
    found = chat("glossary-add es>en fiebre = fever")
    assert found.auditable() == {"direction": "es>en"}
    for spec in COMMANDS.values():
        logged = str(invoke(spec.name, example(spec), CONSOLE_IN, PEOPLE).auditable())
        assert not any(word in logged for word in ("fiebre", "fever", "ward", "secret")), spec.name
    for name, secret in (("join", "https://x?jwt=secret" * 50), ("note", "secret" * 100)):
        with pytest.raises(BadArgument) as caught:
            invoke(name, {"url" if name == "join" else "text": secret}, CONSOLE, PEOPLE)
        assert "secret" not in str(caught.value)


def test_text_loses_what_cannot_be_shown() -> None:
    assert Text(20).read(" a\u202eb\n\tc\x00 ") == "ab c"
    with pytest.raises(ValueError, match="text of 1 to 20"):
        Text(20).read("\u202e")


def test_the_table_is_sound() -> None:
    events = [spec.audit_event for spec in COMMANDS.values()]
    assert len(set(events)) == len(events)
    for name, spec in COMMANDS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)?", name)
        assert len(name) <= 32  # what a room carries
        assert len(spec.arguments) + 1 <= 8
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", spec.audit_event)
        assert spec.summary.endswith(".")
        texts = [isinstance(argument.kind, Text) for argument in spec.arguments]
        assert texts == sorted(texts), "texts come last: they take the rest of a line"
        assert spec.subject is None or not any(texts)
        assert "participant" not in {argument.name for argument in spec.arguments}
        optional = [not argument.required for argument in spec.arguments]
        assert optional == sorted(optional)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["p1", "es"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from([*COMMANDS]) | st.text(max_size=12)
argument_names = st.sampled_from(
    [a.name for s in COMMANDS.values() for a in s.arguments] + ["participant", "x"]
)
actors = st.sampled_from([JUAN, ANA, CONSOLE, CONSOLE_IN, Actor(name="v", standing=Standing.VIEWER)])


def outcome(name: str, arguments: dict[str, object], actor: Actor) -> Invocation | str:
    try:
        return invoke(name, arguments, actor, PEOPLE)
    except CommandError as error:
        return str(error)


def chat_outcome(line: str, actor: Actor) -> Invocation | str | None:
    try:
        return parse_chat(line, actor, PEOPLE)
    except CommandError as error:
        return str(error)


@given(names, st.dictionaries(argument_names, json_values, max_size=3), actors)
def test_anything_from_outside_is_a_command_or_an_error_in_words(
    name: str, arguments: dict[str, object], actor: Actor
) -> None:
    result = outcome(name, arguments, actor)
    if isinstance(result, Invocation):
        assert actor.standing >= result.spec.who
        assert result.subject is None or result.subject in PEOPLE
    else:
        assert "expected" in result
        assert result.isprintable()


@given(st.text(max_size=60), actors, names)
def test_any_line_of_chat_is_a_command_an_error_in_words_or_neither(
    text: str, actor: Actor, name: str
) -> None:
    for line in (text, f"!interp {text}", f"!interp {name} {text}"):
        result = chat_outcome(line, actor)
        if isinstance(result, Invocation):
            assert actor.standing >= result.spec.who
        elif result is not None:
            assert "expected" in result
            assert result.isprintable()


def from_schema(schema: dict[str, object]) -> st.SearchStrategy[object]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])  # type: ignore[arg-type]
    if schema["type"] == "number":
        return st.floats(schema["minimum"], schema["maximum"])  # type: ignore[arg-type]
    if "pattern" in schema:
        return st.from_regex(str(schema["pattern"]), fullmatch=True).map(str.strip)
    return st.text("aé z", min_size=1, max_size=int(str(schema["maxLength"]))).filter(str.strip)


@given(st.data(), st.sampled_from(list(COMMANDS.values())))
def test_what_the_schema_allows_is_taken(data: st.DataObject, spec: CommandSpec) -> None:
    schema = json.loads(json.dumps(argument_schema(spec)))
    assert schema["additionalProperties"] is False
    given_ = {
        name: data.draw(from_schema(one))
        for name, one in schema["properties"].items()
        if name != "participant"
    }
    if "participant" in schema["required"]:
        given_["participant"] = "p2"
    languages = str(given_.get("direction", "a>b")).lower().split(">")
    if languages[0] != languages[1]:
        assert invoke(spec.name, given_, CONSOLE_IN, PEOPLE).spec is spec


@given(st.floats(-60.0, 0.0))
def test_a_number_is_the_same_in_chat_and_in_json(gain: float) -> None:
    gain = round(gain, 3)
    assert chat(f"duck {gain:f} dB").arguments == invoke("duck", {"gain": gain}, ANA, PEOPLE).arguments
    assert Number(-60.0, 0.0, "dB").read(gain) == gain


def test_the_description_has_every_command() -> None:
    described = json.loads(json.dumps(describe()))["commands"]
    assert [one["name"] for one in described] == list(COMMANDS)
    assert {one["who"] for one in described} == {"participant", "host", "operator", "admin"}
    mode = next(one for one in described if one["name"] == "mode")
    assert mode["usage"] == "!interp mode simultaneous|consecutive|captions"
    assert mode["at_silence"] is True
    assert mode["arguments"]["required"] == ["mode"]
    mute = next(one for one in described if one["name"] == "mute")
    assert mute["arguments"]["required"] == ["participant"]


def test_usage_says_what_may_be_left_out() -> None:
    assert usage(COMMANDS["language"]) == "!interp language TAG [PARTICIPANT]"
    assert usage(COMMANDS["mute"]) == "!interp mute PARTICIPANT"
    assert usage(COMMANDS["hold"]) == "!interp hold DIRECTION [PARTICIPANT|all]"
    assert usage(COMMANDS["priority"]) == "!interp priority [TAG]"
    assert usage(COMMANDS["glossary-add"]) == "!interp glossary-add DIRECTION TERM = TRANSLATION"


@pytest.mark.parametrize("page", PAGES)
def test_the_documents_have_the_tables_commands(page: str) -> None:
    text = (DOCS / page).read_text()
    assert text == with_tables(text, PAGES[page]), "write it anew: python -m tests.interpreter.command_page"
