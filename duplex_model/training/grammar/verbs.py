"""Forms of regular verbs: one line of a table gives a verb phrase in all the categories that use it.

`clean cleaned / the house = limpiar / la casa` is the English verb with its past and the Spanish infinitive, each
with what follows it. A stem that changes under stress stands after a colon: `close closed = cerrar:cierr`.
"""

import re
from collections.abc import Iterator

from duplex_model.training.grammar.template import GrammarError, Rule, parse_rule

_VERB = re.compile(
    r"(?P<base>\w+) (?P<past>\w+)(?P<rest_en>.*?) = (?P<root>\w+)(?P<kind>[aei])r(?::(?P<stress>\w+))?(?P<rest_es>.*)"
)
_PRESENT = {"a": ("o", "a", "as"), "e": ("o", "e", "es"), "i": ("o", "e", "es")}  # yo, usted, tú
_PRETERITE = {"a": ("é", "ó", "aste"), "e": ("í", "ió", "iste"), "i": ("í", "ió", "iste")}
_COMMAND = {"a": ("e", "a"), "e": ("a", "e"), "i": ("a", "e")}  # usted, tú
_BEFORE_E = (("c", "qu"), ("gu", "gü"), ("g", "gu"), ("z", "c"))
_BEFORE_O = (("g", "j"),)


def verb_rules(line: str) -> Iterator[tuple[str, Rule]]:
    """Each category that a verb phrase goes to, with its rule there.

    Raises:
        GrammarError: the line is not a verb with its past and a Spanish infinitive.
    """
    match = _VERB.fullmatch(line.strip())
    if match is None:
        raise GrammarError(f"expected 'base past = infinitive', got {line!r}")
    for category, english, spanish in _forms(match):
        yield category, parse_rule(f"{english}{match['rest_en']} = {spanish}{match['rest_es']}")


def _forms(match: re.Match[str]) -> Iterator[tuple[str, str, str]]:
    root, kind, base, past = match["root"], match["kind"], match["base"], match["past"]
    stress = match["stress"] or root
    i, usted, tu = (_join(stress, ending, kind) for ending in _PRESENT[kind])
    i_did, did, you_did = (_join(root, ending, kind) for ending in _PRETERITE[kind])
    command, tu_command = (_join(stress, ending, kind) for ending in _COMMAND[kind])
    yield "act", base, f"{root}{kind}r"
    yield "i_do", base, i
    yield "you_do", base, f"{usted}^{tu}"
    yield "does", _third_person(base), usted
    yield "i_did", past, i_did
    yield "you_did", base, f"{did}^{you_did}"
    yield "did", past, did
    yield "do_command", base, f"{command}^{tu_command}"


def _join(root: str, ending: str, kind: str) -> str:
    """The root with an ending, respelled so that it keeps its sound: `toc` + `é` is `toqué`."""
    hard = kind == "a" and ending[0] in "eé"
    soft = kind != "a" and ending[0] in "ao"
    for letters, respelled in _BEFORE_E if hard else _BEFORE_O if soft else ():
        if root.endswith(letters):
            return root.removesuffix(letters) + respelled + ending
    return root + ending


def _third_person(base: str) -> str:
    if base.endswith(("s", "sh", "ch", "x", "o")):
        return f"{base}es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ies"
    return f"{base}s"
