"""The notation in which the grammar's tables are written, and its reader.

A rule is one line, `English = Spanish`. Each side is words and `{slots}`; ` / ` cuts it into parts, and the
n-th part of one side says the same as the n-th of the other. Where the order differs, a part opens with the
number it answers to. Slots join by name, wherever they stand, so parts only need to join the words around
them; words which only one side has go with the first slot of their part.

    My {limb} / hurts|hurt~limb  =  @2 me duele|duelen~limb / @1 el~limb {limb}

* `one|many~slot`  by the slot's number; `his|her|his|her~slot` also by its gender (m, f, m plural, f plural)
* `el~slot`, `hinchad~slot`  articles, and stems that take o, a, os, as; a bare `~` agrees from outside
* `{side~limb}`  hands the agreement of `limb` on to what fills `side`
* `tiene^tienes`  usted ^ tú; `_` is a space inside one form
* `{*noun}`  the head, whose gender and number the whole phrase takes (not needed when there is one slot)
* `{symptom2}`  a second, different filler of `symptom`
* `!not`, `%one`, `>left`  the words of a fact: negation, number, side
* `arm = brazo (m)`  a noun: m, f, mp, fp; `(fp/s)` where English is singular
* `?` at the end of both sides  a question; the other punctuation of a sentence's ends is added
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from duplex_model.errors import DuplexModelError
from duplex_model.training.grammar.pair import FactKind, Language, Register

DIGITS = "0123456789"
PUNCTUATION = "¿?¡!.,"
_FACTS = {"!": FactKind.NEGATION, "%": FactKind.NUMBER, ">": FactKind.SIDE}
_ARTICLES = {
    "el": ("el", "la", "los", "las"),
    "un": ("un", "una", "unos", "unas"),
    "del": ("del", "de_la", "de_los", "de_las"),
    "al": ("al", "a_la", "a_los", "a_las"),
}
_NOUN = re.compile(r"\s*\((?P<gender>[mf])(?P<many>p?)(?:/(?P<english>[sp]))?\)$")
_SLOT = re.compile(r"\{(?P<head>\*?)(?P<name>[a-z_]+\d?)(?:~(?P<agrees>\w*))?\}(?P<after>[,.]?)$")
_WORD = re.compile(r"(?P<fact>[!%>]?)(?P<forms>[^~{}]+)(?P<tilde>~(?P<agrees>\w*))?$")


class GrammarError(DuplexModelError):
    """A table of the grammar breaks its notation."""


@dataclass(frozen=True)
class Features:
    """What agrees with a noun: its Spanish gender, and its number in each language."""

    feminine: bool = False
    plural_en: bool = False
    plural_es: bool = False

    def plural(self, language: Language) -> bool:
        """Whether the noun is plural in one language."""
        return self.plural_en if language == "en" else self.plural_es


@dataclass(frozen=True)
class Word:
    """A word with its forms: one, two (by number) or four (by gender and number), each usted or `^` tú."""

    forms: tuple[str, ...]
    agrees: str | None = None  # slot whose features choose the form; "" = given from outside
    fact: FactKind | None = None

    def form(self, features: Features | None, language: Language, register: Register) -> str:
        """The form for these features; may hold more than one word (`de la`)."""
        index = 0
        if features is not None and len(self.forms) > 1:
            index = int(features.plural(language))
            if len(self.forms) == 4:
                index = 2 * index + int(features.feminine)
        formal, _, informal = self.forms[index].partition("^")
        chosen = informal if informal and register is Register.INFORMAL else formal
        return chosen.replace("_", " ")


@dataclass(frozen=True)
class Slot:
    """A place filled by another rule of the category that the name (less a digit) gives."""

    name: str
    is_head: bool = False
    agrees: str | None = None
    after: str = ""  # punctuation that follows

    @property
    def category(self) -> str:
        """Which rules may fill the slot."""
        return self.name.rstrip(DIGITS)


Token = Word | Slot


@dataclass(frozen=True)
class Part:
    """Tokens of one side whose words say the same as the other side's part of the same number."""

    number: int
    tokens: tuple[Token, ...]

    @property
    def has_words(self) -> bool:
        """Whether there is anything but slots."""
        return any(isinstance(token, Word) for token in self.tokens)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots, in order."""
        return tuple(token for token in self.tokens if isinstance(token, Slot))


@dataclass(frozen=True)
class Rule:
    """One synchronous rule: two sides that use the same slots."""

    en: tuple[Part, ...]
    es: tuple[Part, ...]
    features: Features | None = None
    question: bool = False

    def side(self, language: Language) -> tuple[Part, ...]:
        """The parts of one side, in its own order."""
        return self.en if language == "en" else self.es

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in English order."""
        return tuple(slot for part in self.en for slot in part.slots)

    @cached_property
    def head(self) -> str | None:
        """The slot whose features the phrase takes, or None for a rule of words alone."""
        slots = self.slots
        marked = [slot.name for slot in slots if slot.is_head]
        return marked[0] if marked else slots[0].name if slots else None

    @cached_property
    def hosts(self) -> Mapping[int, str | None]:
        """For each part where only one side has words, the slot that takes them in; None where there is none."""
        return {
            part.number: part.slots[0].name if part.slots else None
            for side, other in ((self.en, self.es), (self.es, self.en))
            for part in side
            if part.has_words and not any(p.has_words and p.number == part.number for p in other)
        }

    def followed_by(self, other: "Rule") -> "Rule":
        """Both rules one after the other, as one; a slot that both have is filled twice, differently."""
        shift = 1 + max(part.number for part in self.en + self.es)
        taken = {slot.name for slot in self.slots}
        names = {slot.name: _free_name(slot, taken) for slot in other.slots}
        en, es = (tuple(_moved(part, shift, names) for part in side) for side in (other.en, other.es))
        return Rule(self.en + en, self.es + es, None, self.question or other.question)


def _free_name(slot: Slot, taken: set[str]) -> str:
    if slot.name not in taken:
        return slot.name
    return next(name for digit in "23456789" if (name := slot.category + digit) not in taken)


def _moved(part: Part, shift: int, names: Mapping[str, str]) -> Part:
    return Part(part.number + shift, tuple(_renamed(token, names) for token in part.tokens))


def _renamed(token: Token, names: Mapping[str, str]) -> Token:
    token = replace(token, agrees=names.get(token.agrees, token.agrees)) if token.agrees else token
    return replace(token, name=names[token.name]) if isinstance(token, Slot) else token


def parse_rule(line: str) -> Rule:
    """Reads one rule.

    Raises:
        GrammarError: the line breaks the notation, the sides use different slots, or words have no partner.
    """
    sides = re.split(r"\s+=\s+", line.strip())
    if len(sides) != 2:
        raise GrammarError(f"expected 'English = Spanish', got {line!r}")
    features = _features(sides[1])
    question = sides[0].endswith("?")
    if question != sides[1].endswith("?"):
        raise GrammarError(f"expected a question on both sides or on neither, got {line!r}")
    en, es = (_parse_side(_NOUN.sub("", side).removesuffix("?")) for side in sides)
    rule = Rule(en, es, features, question)
    _check(rule, line)
    return rule


def _features(spanish: str) -> Features | None:
    match = _NOUN.search(spanish)
    if match is None:
        return None
    plural = bool(match["many"])
    return Features(match["gender"] == "f", match["english"] == "p" if match["english"] else plural, plural)


def _parse_side(text: str) -> tuple[Part, ...]:
    parts = []
    for position, piece in enumerate(re.split(r"\s+/\s+", text), start=1):
        words = piece.split()
        number = position
        if words and words[0].startswith("@"):
            number = int(words.pop(0)[1:])
        parts.append(Part(number, tuple(_parse_token(word) for word in words)))
    return tuple(parts)


def _parse_token(text: str) -> Token:
    slot = _SLOT.match(text)
    if slot:
        return Slot(slot["name"], bool(slot["head"]), slot["agrees"], slot["after"])
    word = _WORD.match(text)
    if word is None:
        raise GrammarError(f"expected a word or a slot, got {text!r}")
    forms: Sequence[str] = word["forms"].split("|")
    if word["tilde"] and len(forms) == 1:
        forms = _ARTICLES.get(forms[0]) or [forms[0] + ending for ending in ("o", "a", "os", "as")]
    if len(forms) not in ((2, 4) if word["tilde"] else (1,)):
        raise GrammarError(f"expected one, two or four forms, more than one with '~', got {text!r}")
    return Word(tuple(forms), word["agrees"], _FACTS.get(word["fact"]))


def _check(rule: Rule, line: str) -> None:
    en, es = (sorted(slot.name for part in side for slot in part.slots) for side in (rule.en, rule.es))
    if en != es or len(set(en)) != len(en):
        raise GrammarError(f"expected the same slots on both sides, each once, got {line!r}")
    for side in (rule.en, rule.es):
        for token in (token for part in side for token in part.tokens):
            if token.agrees and token.agrees not in en:
                raise GrammarError(f"expected '~' to name one of the slots {en}, got {line!r}")
    alone = [number for number, host in rule.hosts.items() if host is None]
    if alone:
        raise GrammarError(f"expected words or a slot on both sides of the parts {alone}, got {line!r}")
