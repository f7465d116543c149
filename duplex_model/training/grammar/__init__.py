"""A synchronous grammar of doctor-patient talk in English and Spanish."""

from duplex_model.training.grammar.closed import CLOSED
from duplex_model.training.grammar.everyday import everyday_sentence
from duplex_model.training.grammar.pair import Agreement, Fact, FactKind, Link, Pair, Register
from duplex_model.training.grammar.tables import Grammar, load_grammar
from duplex_model.training.grammar.template import GrammarError

__all__ = [
    "CLOSED",
    "Agreement",
    "Fact",
    "FactKind",
    "Grammar",
    "GrammarError",
    "Link",
    "Pair",
    "Register",
    "everyday_sentence",
    "load_grammar",
]
