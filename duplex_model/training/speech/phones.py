"""The closed set of phones in which English and Spanish speech is labelled, whichever engine spoke it; pure.

Names are those of ARPAbet, in lower case, with what Spanish adds. Stress and length are left out. Sounds close enough
to be one for a listener of both languages are one class: the English "th" of "this" and the Spanish "d" of "cada" are
both "dh".
"""

from __future__ import annotations

from types import MappingProxyType

SILENCE = "sil"

_SHARED = "p b t d k g f v s z m n ng l y w iy uw ay ey oy aw ch hh th dh sh zh jh dx ax r"
_ENGLISH_ONLY = "aa ae ah ao eh er ih ow uh"
_SPANISH_ONLY = "a e o bh gh x ny ly rr"

PHONES: tuple[str, ...] = (SILENCE, *_SHARED.split(), *_ENGLISH_ONLY.split(), *_SPANISH_ONLY.split())
"""Every phone; its index is its class, and silence is class 0."""


def _table(lines: str) -> dict[str, tuple[str, ...]]:
    """Reads lines of "phone: mnemonic mnemonic ...", where phones joined by "+" follow one another."""
    table = {}
    for line in lines.strip().splitlines():
        phones, mnemonics = line.split(": ", 1)
        for mnemonic in mnemonics.split():
            table[mnemonic] = tuple(phones.strip().split("+"))
    return table


# Mnemonics of espeak-ng 1.51: its tables base1 and base2, and all that begin with en or es.
_ESPEAK = _table("""
    p: p
    b: b
    t: t t2 t[ t/ ?
    d: d d[
    k: k c q
    g: g
    f: f
    v: v v#
    th: T
    dh: D
    s: s s. s;
    z: z z# z/2 z. z;
    sh: S S; C
    zh: Z Z;
    ch: tS tS;
    jh: dZ dZ; J
    t+s: ts
    hh: h
    x: x X
    bh: B
    gh: Q Q^ Q"
    m: m m-
    n: n n- n.
    ng: N N-
    ny: n^
    l: l l/ l/2 l/3 l# l. l- L L/
    ly: l^
    y: j ; J^
    w: w w# w2
    dx: * ** t# d# r.
    rr: R R2 R3 r"
""")

_ESPEAK_ENGLISH = _ESPEAK | _table("""
    r: r r/ r-
    aa: A: A# A~ 0 02 0#
    ae: a aa a/
    ah: V
    ao: O O: O2 O~
    ax: @ @2 @5 @# @- a# a2
    ax+l: @L
    aw: aU
    ay: aI aI2
    eh: E E# E2 e#
    er: 3 3: IR VR
    ey: eI e: e
    ih: I I# I2 I2#
    iy: i i:
    ow: oU oU# o: o
    oy: OI oI
    uh: U
    uw: u: u
""")

_ESPEAK_SPANISH = _ESPEAK | _table("""
    dx: r r/ r-
    a: a a/
    e: e e/ E
    o: o o/ O
    iy: i
    uw: u U
    ax: @ @-
    ay: aI
    ey: eI EI
    oy: oI
    aw: aU
    e+uw: eU
    iy+uw: iU
    uw+iy: uI
""")

_R_COLOURED = {
    "A@": "aa",
    "O@": "ao",
    "o@": "ao",
    "e@": "eh",
    "i@": "ih",
    "i@3": "ih",
    "U@": "uh",
    "aI@": "ay",
    "aI3": "ay",
    "aU@": "aw",
}
"""English vowels that end in an "r" where the accent has one, and in a schwa, or in nothing, where it has not."""

_LONG_WITHOUT_R = frozenset(("A@", "O@", "o@"))

FLITE = MappingProxyType(
    {name: name for name in PHONES}
    | {"pau": SILENCE, "ssil": SILENCE, "axr": "er", "ix": "ih", "ux": "uw", "hv": "hh"}
    | {"el": "l", "em": "m", "en": "n"}
)
"""From flite's names."""

_UNHEARD = frozenset((":", "-", "", "%", "=", "'", ","))
"""Mnemonics that lengthen or stress what stands before them."""


def from_espeak(mnemonic: str, language: str, *, rhotic: bool) -> tuple[str, ...]:
    """The phones of one of espeak-ng's mnemonics, to share its time equally; none for a bare length mark.

    Args:
        mnemonic: as in an event, such as "i:" or "A@".
        language: "en" or "es".
        rhotic: whether the accent says the "r" of "arm".

    Raises:
        KeyError: not in the tables.
    """
    if mnemonic in _UNHEARD:
        return ()
    if mnemonic[0] in "_|":
        return (SILENCE,)
    if language == "es":
        return _ESPEAK_SPANISH[mnemonic]
    if mnemonic in _R_COLOURED:
        vowel = _R_COLOURED[mnemonic]
        if rhotic:
            return vowel, "r"
        return (vowel,) if mnemonic in _LONG_WITHOUT_R else (vowel, "ax")
    return _ESPEAK_ENGLISH[mnemonic]
