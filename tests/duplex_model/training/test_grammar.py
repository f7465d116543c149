import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

from duplex_model.training.grammar import (
    CLOSED,
    Agreement,
    Fact,
    FactKind,
    Grammar,
    GrammarError,
    Link,
    Pair,
    Register,
    everyday_sentence,
    load_grammar,
)
from duplex_model.training.grammar.derivation import Node, to_pair
from duplex_model.training.grammar.numerals import spelled
from duplex_model.training.grammar.template import Features, Word, parse_rule
from duplex_model.training.grammar.verbs import verb_rules
from duplex_model.training.split import held_out_productions, normal_form

TIERS = ("core", "full")
GENDERS = {
    "el": ("brazo pie hombro oído ojo pecho estómago cuello dolor ibuprofeno paracetamol pescado"),
    "la": ("pierna mano rodilla cabeza espalda garganta aspirina insulina amoxicilina penicilina metformina"),
    "los": ("brazos pies hombros oídos ojos huevos"),
    "las": ("piernas manos rodillas nueces"),
}
"""What a dictionary says of the core's nouns, written here once more."""


def pairs_of(tier: str, per_production: int) -> list[Pair]:
    grammar, rng = load_grammar(tier), random.Random(7)
    names = grammar.productions if tier == "core" else rng.sample(grammar.productions, 600)
    return [grammar.sample_from(name, rng) for name in names for _ in range(per_production)]


@pytest.fixture(scope="module")
def core_pairs() -> list[Pair]:
    return pairs_of("core", 60)


@pytest.fixture(scope="module")
def all_pairs(core_pairs: list[Pair]) -> list[Pair]:
    return core_pairs + pairs_of("full", 4) + list(CLOSED)


def said(line: str, register: Register = Register.FORMAL, **slots: str) -> Pair:
    """The pair of one rule whose slots are filled by words."""
    rule = parse_rule(line)
    fillers = {name: Node(parse_rule(text), {}) for name, text in slots.items()}
    return to_pair(Node(rule, fillers), "some.name", "patient", register)


# --- the notation -----------------------------------------------------------------------------------------


def test_a_rule_says_both_sides_and_links_what_means_the_same() -> None:
    pair = said(
        "My {part} / hurts|hurt~part = @2 me duele|duelen~part / @1 el~part {part}",
        part="legs = piernas (fp)",
    )
    assert (pair.en, pair.es) == ("My legs hurt.", "Me duelen las piernas.")
    assert pair.links == (Link((0,), (2,)), Link((1,), (3,)), Link((2,), (0, 1)))
    assert pair.agreements == (Agreement("en", 2, 1), Agreement("es", 1, 1), Agreement("es", 2, 1))


def test_words_of_one_side_only_go_with_the_slot_of_their_part() -> None:
    pair = said("I {do} = {do}", do="sleep = duermo")
    assert pair.links == (Link((0, 1), (0,)),)


def test_one_part_may_stand_apart_in_the_sentence() -> None:
    pair = said("Does / your {part} / @1 hurt? = le^te duele / el~part {part}?", part="arm = brazo (m)")
    assert (pair.en, pair.es) == ("Does your arm hurt?", "¿Le duele el brazo?")
    assert Link((0, 3), (0, 1)) in pair.links


@pytest.mark.parametrize(
    ("noun", "spanish"),
    [
        ("arm = brazo (m)", "El brazo está hinchado."),
        ("leg = pierna (f)", "La pierna está hinchada."),
        ("arms = brazos (mp)", "Los brazos están hinchados."),
        ("legs = piernas (fp)", "Las piernas están hinchadas."),
    ],
)
def test_articles_adjectives_and_verbs_agree(noun: str, spanish: str) -> None:
    line = "The {part} / is|are~part / swollen = el~part {part} / está|están~part / hinchad~part"
    assert said(line, part=noun).es == spanish


def test_number_may_differ_between_the_languages() -> None:
    assert parse_rule("nausea = náuseas (fp/s)").features == Features(True, plural_en=False, plural_es=True)


def test_register_shows_only_where_spanish_addresses_somebody() -> None:
    asks = "Do you smoke? = fuma^fumas?"
    assert said(asks, Register.FORMAL).es == "¿Fuma?"
    assert said(asks, Register.INFORMAL).es == "¿Fumas?"
    assert said(asks, Register.INFORMAL).register is Register.INFORMAL
    assert said("I smoke = fumo", Register.INFORMAL).register is None


def test_marked_words_are_facts() -> None:
    pair = said(
        "I do !not have / %one / >left {part} = !no tengo / %un~part / {part} >izquierd~part",
        part="arm = brazo (m)",
    )
    assert pair.facts == (
        Fact(FactKind.NEGATION, "not", "no"),
        Fact(FactKind.NUMBER, "one", "un"),
        Fact(FactKind.SIDE, "left", "izquierdo"),
    )


@pytest.mark.parametrize(
    ("line", "spanish"),
    [
        ("milk and {x} = leche y {x}", "Leche e insulina."),
        ("milk or {x} = leche o {x}", "Leche o insulina."),
    ],
)
def test_y_turns_to_e_before_its_own_sound(line: str, spanish: str) -> None:
    assert said(line, x="insulin = insulina (f)").es == spanish


def test_o_turns_to_u_before_its_own_sound() -> None:
    assert said("seven or {x} = siete o {x}", x="eight = ocho").es == "Siete u ocho."
    assert said("water and {x} = agua y {x}", x="ice = hielo (m)").es == "Agua y hielo."


@pytest.mark.parametrize(
    "line",
    [
        "only English",
        "a {x} = {y}",
        "a question? = una respuesta",
        "two / parts = dos",
        "a wrong|number|of~x {x} = {x}",
        "{x} is red = {x} es roj~z",
    ],
)
def test_a_broken_rule_is_refused(line: str) -> None:
    with pytest.raises(GrammarError, match="expected"):
        parse_rule(line)


def test_a_word_without_features_takes_its_first_form() -> None:
    assert (
        Word(("cansado", "cansada", "cansados", "cansadas"), "").form(None, "es", Register.FORMAL)
        == "cansado"
    )


def test_a_repeated_slot_of_a_modifier_is_filled_differently() -> None:
    rule = parse_rule("I have {ache} = tengo {ache}").followed_by(parse_rule("and {ache} = y {ache}"))
    assert [slot.name for slot in rule.slots] == ["ache", "ache2"]
    rng, grammar = random.Random(0), load_grammar("core")
    for _ in range(200):
        first, second = re.fullmatch(
            r"Do you have (.+) or (.+)\?", grammar.sample_from("question.symptom_or", rng).en
        ).groups()
        assert first != second


@pytest.mark.parametrize(
    ("line", "forms"),
    [
        ("smoke smoked = fumar", "fumar fumo fuma^fumas fuma fumé fumó^fumaste fumó fume^fuma"),
        ("run ran = correr", "correr corro corre^corres corre corrí corrió^corriste corrió corra^corre"),
        ("live lived = vivir", "vivir vivo vive^vives vive viví vivió^viviste vivió viva^vive"),
        ("touch touched = tocar", "tocar toco toca^tocas toca toqué tocó^tocaste tocó toque^toca"),
        ("play played = jugar:jueg", "jugar juego juega^juegas juega jugué jugó^jugaste jugó juegue^juega"),
        (
            "pick picked = recoger",
            "recoger recojo recoge^recoges recoge recogí recogió^recogiste recogió recoja^recoge",
        ),
        (
            "hug hugged = abrazar",
            "abrazar abrazo abraza^abrazas abraza abracé abrazó^abrazaste abrazó abrace^abraza",
        ),
    ],
)
def test_regular_verbs_and_their_spelling(line: str, forms: str) -> None:
    words = [rule.es[0].tokens[0] for _, rule in verb_rules(line)]
    assert [word.forms[0] for word in words if isinstance(word, Word)] == forms.split()


@pytest.mark.parametrize(
    ("line", "third_person"),
    [
        ("carry carried = cargar", "carries"),
        ("play played = jugar", "plays"),
        ("wash washed = lavar", "washes"),
    ],
)
def test_the_english_third_person(line: str, third_person: str) -> None:
    word = dict(verb_rules(line))["does"].en[0].tokens[0]
    assert isinstance(word, Word)
    assert word.forms == (third_person,)


def test_a_verb_without_its_past_is_refused() -> None:
    with pytest.raises(GrammarError, match="expected 'base past = infinitive'"):
        list(verb_rules("smoke = fumar"))


# --- waiting ----------------------------------------------------------------------------------------------


def test_a_word_waits_for_its_link_for_what_decides_its_form_and_for_the_words_before_it() -> None:
    pair = said("I burned / my {part} / yesterday = me quemé / el~part {part} / ayer", part="hand = mano (f)")
    assert (pair.en, pair.es) == ("I burned my hand yesterday.", "Me quemé la mano ayer.")
    assert pair.earliest("en") == (1, 1, 3, 3, 4)
    assert pair.earliest("es") == (1, 1, 2, 3, 4)


def test_waiting_follows_the_links_alone_where_no_word_agrees() -> None:
    pair = Pair("p", "doctor", None, "red house", "casa roja", (Link((0,), (1,)), Link((1,), (0,))))
    assert pair.earliest("en") == (1, 1)


def test_waiting_never_falls_and_never_looks_past_the_sentence(all_pairs: list[Pair]) -> None:
    for pair in all_pairs:
        for source, target in (("en", "es"), ("es", "en")):
            waits = pair.earliest(source)
            assert len(waits) == len(pair.text(target).split())
            assert list(waits) == sorted(waits)
            assert waits[0] >= 0
            assert waits[-1] < len(pair.text(source).split())


# --- every sentence ---------------------------------------------------------------------------------------


def test_links_divide_both_sides_exactly(all_pairs: list[Pair]) -> None:
    for pair in all_pairs:
        for language in ("en", "es"):
            indices = sorted(index for link in pair.links for index in link.words(language))
            assert indices == list(range(len(pair.text(language).split()))), pair
        assert all(link.en and link.es for link in pair.links), pair


def test_facts_are_words_of_their_sentence(all_pairs: list[Pair]) -> None:
    for pair in all_pairs:
        for fact in pair.facts:
            assert f" {normal_form(fact.en, 'en')} " in f" {normal_form(pair.en, 'en')} ", pair
            assert f" {normal_form(fact.es, 'es')} " in f" {normal_form(pair.es, 'es')} ", pair


def test_sentences_are_cased_punctuated_and_without_digits(all_pairs: list[Pair]) -> None:
    for pair in all_pairs:
        assert re.fullmatch(r"[A-Z][^?¿\d~^|{}@_=]*[.?]", pair.en), pair.en
        assert re.fullmatch(r"(¿[A-ZÁÉÍÓÚÑ][^?¿\d~^|{}@_=]*\?|[A-ZÁÉÍÓÚÑ][^?¿\d~^|{}@_=]*\.)", pair.es), (
            pair.es
        )
        assert pair.en.endswith("?") == pair.es.endswith("?")


def test_negation_is_a_fact_of_every_negated_sentence(core_pairs: list[Pair]) -> None:
    for pair in core_pairs:
        negated = {"not", "cannot"} & set(normal_form(pair.en, "en").split())
        assert bool(negated) == (FactKind.NEGATION in {fact.kind for fact in pair.facts}), pair
        assert bool(negated) == ("no" in normal_form(pair.es, "es").split()), pair


def test_numbers_drugs_and_sides_are_facts(core_pairs: list[Pair]) -> None:
    marked = {
        FactKind.NUMBER: {spelled(number, "en") for number in range(1, 21)} | {"hundred"},
        FactKind.DRUG: {"aspirin", "ibuprofen", "insulin", "penicillin"},
        FactKind.DOSE_UNIT: {"pills", "drops", "milligrams"},
        FactKind.SIDE: {"left", "right"},
    }
    for pair in core_pairs:
        words = set(normal_form(pair.en, "en").split())
        for kind, some in marked.items():
            in_facts = {word for fact in pair.facts if fact.kind is kind for word in fact.en.split()}
            assert words & some <= in_facts, pair


def test_articles_and_adjectives_have_the_gender_of_their_noun(core_pairs: list[Pair]) -> None:
    article_of = {noun: article for article, nouns in GENDERS.items() for noun in nouns.split()}
    ending_of = {"el": "o", "la": "a", "los": "os", "las": "as"}
    checked: Counter[str] = Counter()
    for pair in core_pairs:
        words = normal_form(pair.es, "es").replace(" al ", " a el ").split()
        for before, noun, after in zip(["", *words], words, [*words[1:], ""], strict=False):
            if noun not in article_of:
                continue
            if before in GENDERS:
                assert before == article_of[noun], pair
                checked["article"] += 1
            stem = re.match(r"(izquierd|derech|hinchad|roj|dormid)(\w+)$", after)
            if stem:
                assert stem[2] == ending_of[article_of[noun]], pair
                checked["adjective"] += 1
    assert min(checked["article"], checked["adjective"]) > 500


def test_what_hurts_decides_the_verb(core_pairs: list[Pair]) -> None:
    seen = Counter()
    for pair in core_pairs:
        match = re.search(r"(duele|duelen) (el|la|los|las) ", pair.es)
        if match:
            assert (match[1] == "duelen") == (match[2] in ("los", "las")), pair
            seen[match[1]] += 1
    assert min(seen.values()) > 100


def test_the_speakers_child_decides_the_adjective(core_pairs: list[Pair]) -> None:
    for pair in core_pairs:
        match = re.search(r"[Mm]i (hijo|hija|madre|padre) (?:no )?está (cansad|maread)(o|a)\b", pair.es)
        if match:
            assert match[3] == ("a" if match[1] in ("hija", "madre") else "o"), pair


def _translations(pairs: Iterable[Pair], source: str, target: str) -> dict[tuple[str, Register], set[str]]:
    found: dict[tuple[str, Register], set[str]] = defaultdict(set)
    for pair in pairs:
        for register in [pair.register] if pair.register else list(Register):
            found[normal_form(pair.text(source), source), register].add(
                normal_form(pair.text(target), target)
            )
    return found


def test_one_sentence_has_one_translation_within_a_register(core_pairs: list[Pair]) -> None:
    pairs = core_pairs + list(CLOSED)
    for source, target in (("en", "es"), ("es", "en")):
        doubtful = {key: ways for key, ways in _translations(pairs, source, target).items() if len(ways) > 1}
        assert not doubtful


def test_spanish_of_either_register_has_one_english(core_pairs: list[Pair]) -> None:
    ways: dict[str, set[str]] = defaultdict(set)
    for pair in core_pairs:
        ways[normal_form(pair.es, "es")].add(normal_form(pair.en, "en"))
    assert not {spanish: english for spanish, english in ways.items() if len(english) > 1}


# --- the tiers --------------------------------------------------------------------------------------------


def test_the_core_is_small_in_words_and_rich_in_structures() -> None:
    grammar = load_grammar("core")
    assert 400 <= len(grammar.words("en") | grammar.words("es")) <= 500
    assert len(grammar.productions) >= 120


def test_the_core_is_short(core_pairs: list[Pair]) -> None:
    lengths = sorted(len(pair.en.split()) for pair in core_pairs)
    assert sum(3 <= length <= 11 for length in lengths) / len(lengths) > 0.95


def test_the_full_tier_has_thousands_of_structures_and_words() -> None:
    grammar = load_grammar("full")
    assert len(grammar.productions) >= 2000
    assert set(load_grammar("core").productions) <= set(grammar.productions)
    assert all(1500 <= len(grammar.words(language)) <= 3000 for language in ("en", "es"))


@pytest.mark.parametrize("tier", TIERS)
def test_words_are_all_that_sentences_say(tier: str) -> None:
    grammar, rng = load_grammar(tier), random.Random(3)
    known = {"en": grammar.words("en"), "es": grammar.words("es")}
    for _ in range(500):
        pair = grammar.sample(rng)
        for language in ("en", "es"):
            words = {word.strip("¿?.,").lower() for word in pair.text(language).split()}
            assert words - {"e", "u"} <= known[language], pair


@pytest.mark.parametrize("tier", TIERS)
def test_the_same_seed_says_the_same(tier: str) -> None:
    grammar = load_grammar(tier)
    first, second = ([grammar.sample(rng) for _ in range(20)] for rng in (random.Random(5), random.Random(5)))
    assert first == second


def test_no_production_dominates() -> None:
    grammar, rng = load_grammar("core"), random.Random(2)
    seen = Counter(grammar.sample(rng).production for _ in range(5000))
    assert seen.most_common(1)[0][1] < 5000 * 0.03
    assert len(seen) == len(grammar.productions)


def _reused_words(grammar: Grammar, unheard: frozenset[str]) -> set[str]:
    rng = random.Random(1)
    return {
        word
        for name in grammar.productions
        if name not in unheard
        for _ in range(60)
        for language in ("en", "es")
        for word in normal_form(grammar.sample_from(name, rng).text(language), language).split()
    }


def test_held_out_productions_are_made_of_words_that_others_say() -> None:
    grammar, unheard = load_grammar("core"), held_out_productions()
    known, rng = _reused_words(grammar, unheard), random.Random(4)
    names = sorted(unheard & set(grammar.productions))
    assert len(names) >= 5
    for name in names:
        for _ in range(40):
            pair = grammar.sample_from(name, rng)
            assert set(normal_form(pair.en, "en").split()) <= known, pair
            assert set(normal_form(pair.es, "es").split()) <= known, pair


def test_no_other_structure_says_what_a_held_out_one_says() -> None:
    for tier in TIERS:
        grammar, unheard = load_grammar(tier), held_out_productions()
        trained = {grammar.shape(name) for name in grammar.productions if name not in unheard}
        assert not {name for name in unheard & set(grammar.productions) if grammar.shape(name) in trained}


def test_structures_of_the_core_differ() -> None:
    grammar = load_grammar("core")
    assert len({grammar.shape(name) for name in grammar.productions}) == len(grammar.productions)


def test_the_shape_of_a_structure_shows_its_slots() -> None:
    assert load_grammar("core").shape("pain.place+at_time") == "my {place} hurts|hurt {daytime}"


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(GrammarError, match="expected one of the tiers"):
        load_grammar("huge")


# --- beside the grammar -----------------------------------------------------------------------------------


def test_the_closed_list_has_what_people_say_to_each_other_and_what_the_interpreter_says() -> None:
    kinds = {pair.production for pair in CLOSED}
    assert kinds == {
        f"closed.{name}"
        for name in ("greeting", "courtesy", "answer", "backchannel", "repeat", "notice", "word")
    }


@pytest.mark.parametrize("language", ["en", "es"])
def test_everyday_sentences_are_not_the_grammars(language: str) -> None:
    rng = random.Random(0)
    inside = {normal_form(pair.text(language), language) for pair in pairs_of("core", 20)}
    for held_out in (False, True):
        sentences = {everyday_sentence(rng, language, held_out=held_out) for _ in range(200)}
        assert len(sentences) > 60
        assert not {normal_form(sentence, language) for sentence in sentences} & inside
        assert not any(re.search(r"[{}\d]", sentence) for sentence in sentences)


@pytest.mark.parametrize("language", ["en", "es"])
def test_held_out_everyday_sentences_are_never_trained_on(language: str) -> None:
    rng = random.Random(0)
    trained = {everyday_sentence(rng, language) for _ in range(3000)}
    kept = {everyday_sentence(rng, language, held_out=True) for _ in range(3000)}
    assert not trained & kept


@pytest.mark.parametrize(
    ("number", "english", "spanish"),
    [
        (0, "zero", "cero"),
        (21, "twenty-one", "veintiuno"),
        (45, "forty-five", "cuarenta y cinco"),
        (100, "one hundred", "cien"),
        (115, "one hundred fifteen", "ciento quince"),
        (500, "five hundred", "quinientos"),
        (1000, "one thousand", "mil"),
        (21_031, "twenty-one thousand thirty-one", "veintiún mil treinta y uno"),
        (31_000, "thirty-one thousand", "treinta y un mil"),
        (1_000_000, "one zero zero zero zero zero zero", "uno cero cero cero cero cero cero"),
    ],
)
def test_numbers_in_words(number: int, english: str, spanish: str) -> None:
    assert spelled(number, "en") == english
    assert spelled(number, "es") == spanish


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a number of 0 or more"):
        spelled(-1, "en")
