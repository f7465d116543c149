"""From a tree of rules to a Pair: words in both languages, links, agreements and facts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from duplex_model.training.grammar.pair import (
    Agreement,
    Fact,
    FactKind,
    Language,
    Link,
    Pair,
    Register,
    Speaker,
)
from duplex_model.training.grammar.template import PUNCTUATION, Features, Part, Rule, Slot

_SOUND_I = re.compile(r"(i|í|hi(?!e)|hí)", re.IGNORECASE)
_SOUND_O = re.compile(r"h?[oó]", re.IGNORECASE)
_LinkKey = tuple[tuple[str, ...], int]  # the path of slots to a node, and the part's number there
_FactKey = tuple[tuple[str, ...], int, FactKind]


@dataclass(frozen=True)
class Node:
    """A rule with each of its slots filled; `kind` where the whole of it is one fact."""

    rule: Rule
    slots: Mapping[str, "Node"]
    kind: FactKind | None = None

    @property
    def features(self) -> Features | None:
        """Gender and number: the rule's own, or those of its head."""
        if self.rule.features is not None or self.rule.head is None:
            return self.rule.features
        return self.slots[self.rule.head].features


@dataclass(frozen=True)
class _Spoken:
    text: str
    link: _LinkKey
    agrees: _LinkKey | None
    facts: tuple[_FactKey, ...]


def to_pair(tree: Node, production: str, speaker: Speaker, register: Register) -> Pair:
    """The sentence that a tree says; its register is None where usted and tú would say the same."""
    en, es = _side(tree, "en", register), _side(tree, "es", register)
    keys = list(dict.fromkeys(word.link for word in en + es))
    links = tuple(Link(_where(en, key), _where(es, key)) for key in keys)
    other = Register.INFORMAL if register is Register.FORMAL else Register.FORMAL
    addresses = [word.text for word in es] != [word.text for word in _side(tree, "es", other)]
    return Pair(
        production=production,
        speaker=speaker,
        register=register if addresses else None,
        en=_sentence([word.text for word in en], "en", tree.rule.question),
        es=_sentence([word.text for word in es], "es", tree.rule.question),
        links=links,
        facts=_facts(en, es),
        agreements=tuple(
            Agreement(language, index, keys.index(word.agrees))
            for language, side in _by_language(en, es)
            for index, word in enumerate(side)
            if word.agrees is not None and word.agrees != word.link
        ),
    )


def _by_language(
    en: tuple[_Spoken, ...], es: tuple[_Spoken, ...]
) -> tuple[tuple[Language, tuple[_Spoken, ...]], ...]:
    return ("en", en), ("es", es)


def _where(side: tuple[_Spoken, ...], key: _LinkKey) -> tuple[int, ...]:
    return tuple(index for index, word in enumerate(side) if word.link == key)


def _side(tree: Node, language: Language, register: Register) -> tuple[_Spoken, ...]:
    words = tuple(_spoken(tree, (), language, register, None, None, ()))
    return words if language == "en" else tuple(map(_euphonic, words, words[1:] + words[-1:]))


def _euphonic(word: _Spoken, following: _Spoken) -> _Spoken:
    """`y` is `e` before the sound i, `o` is `u` before the sound o."""
    if word.text == "y" and _SOUND_I.match(following.text):
        return replace(word, text="e", agrees=following.link)
    if word.text == "o" and _SOUND_O.match(following.text):
        return replace(word, text="u", agrees=following.link)
    return word


def _spoken(
    node: Node,
    path: tuple[str, ...],
    language: Language,
    register: Register,
    outside: Features | None,
    outside_link: _LinkKey | None,
    facts: tuple[_FactKey, ...],
) -> Iterator[_Spoken]:
    """The words of one side of a node; `outside` is what a bare `~` agrees with."""
    if node.kind is not None:
        facts = (*facts, (path, 0, node.kind))
    for part in node.rule.side(language):
        for token in part.tokens:
            features, agrees = outside, outside_link
            if token.agrees:
                features = node.slots[token.agrees].features
                agrees = _head_link(node.slots[token.agrees], (*path, token.agrees))
            if isinstance(token, Slot):
                yield from _filler(node, token, path, language, register, features, agrees, facts)
                continue
            key = _link(node, part, path)
            own = (*facts, (path, part.number, token.fact)) if token.fact else facts
            for text in token.form(features, language, register).split():
                yield _Spoken(text, key, agrees if token.agrees is not None else None, own)


def _filler(
    node: Node,
    slot: Slot,
    path: tuple[str, ...],
    language: Language,
    register: Register,
    features: Features | None,
    agrees: _LinkKey | None,
    facts: tuple[_FactKey, ...],
) -> Iterator[_Spoken]:
    if slot.agrees is None:
        features, agrees = None, None
    words = list(
        _spoken(node.slots[slot.name], (*path, slot.name), language, register, features, agrees, facts)
    )
    if slot.after:
        last = words.pop()
        words.append(_Spoken(last.text + slot.after, last.link, last.agrees, last.facts))
    yield from words


def _link(node: Node, part: Part, path: tuple[str, ...]) -> _LinkKey:
    slot = node.rule.hosts.get(part.number)
    if slot is None:
        return path, part.number
    return _anchor_link(node.slots[slot], (*path, slot))


def _anchor_link(node: Node, path: tuple[str, ...]) -> _LinkKey:
    """The link that takes in words which only one language has: `I` of "I drink", where Spanish says `bebo`."""
    for part in node.rule.en:
        if part.has_words and part.number not in node.rule.hosts:
            return path, part.number
    slot = node.rule.head
    assert slot is not None  # a rule without words on both sides has slots
    return _anchor_link(node.slots[slot], (*path, slot))


def _head_link(node: Node, path: tuple[str, ...]) -> _LinkKey:
    """The link of the word that a phrase's features come from."""
    head = node.rule.head
    if head is not None:
        return _head_link(node.slots[head], (*path, head))
    return path, next(part.number for part in node.rule.en if part.has_words)


def _facts(en: tuple[_Spoken, ...], es: tuple[_Spoken, ...]) -> tuple[Fact, ...]:
    keys = dict.fromkeys(key for word in en for key in word.facts)
    return tuple(Fact(key[2], _fact_text(en, key), _fact_text(es, key)) for key in keys)


def _fact_text(side: tuple[_Spoken, ...], key: _FactKey) -> str:
    return " ".join(word.text.strip(PUNCTUATION) for word in side if key in word.facts).lower()


def _sentence(words: list[str], language: Language, question: bool) -> str:
    text = " ".join(words)
    text = text[0].upper() + text[1:]
    if not question:
        return text + "."
    return f"¿{text}?" if language == "es" else f"{text}?"
