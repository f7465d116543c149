"""Whole numbers in words, in both languages."""

from duplex_model.training.grammar.pair import Language

LARGEST = 999_999
_SMALL = {
    "en": (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty"
    ),
    "es": (
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
        "dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro "
        "veinticinco veintiséis veintisiete veintiocho veintinueve"
    ),
}
_TENS = {
    "en": "- ten twenty thirty forty fifty sixty seventy eighty ninety",
    "es": "- diez veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
}
_HUNDREDS = (
    "- ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)


def spelled(number: int, language: Language) -> str:
    """A whole number in words: English without "and", Spanish masculine as when counting.

    Beyond `LARGEST` the digits are read one by one.
    """
    if number < 0:
        raise ValueError(f"expected a number of 0 or more, got {number}")
    if number > LARGEST:
        return " ".join(spelled(int(digit), language) for digit in str(number))
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _below_thousand(rest, language)
    head = _thousands(thousands, language)
    return f"{head} {_below_thousand(rest, language)}" if rest else head


def _thousands(count: int, language: Language) -> str:
    if language == "en":
        return f"{_below_thousand(count, 'en')} thousand"
    if count == 1:
        return "mil"
    words = _below_thousand(count, "es")
    if words.endswith("veintiuno"):
        words = words.removesuffix("veintiuno") + "veintiún"
    elif words.endswith("uno"):
        words = words.removesuffix("o")
    return f"{words} mil"


def _below_thousand(number: int, language: Language) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest, language)
    head = f"{_SMALL['en'].split()[hundreds]} hundred" if language == "en" else _HUNDREDS.split()[hundreds]
    if number == 100 and language == "es":
        head = "cien"
    return f"{head} {_below_hundred(rest, language)}" if rest else head


def _below_hundred(number: int, language: Language) -> str:
    small, all_tens = _SMALL[language].split(), _TENS[language].split()
    if number < len(small):
        return small[number]
    tens, units = divmod(number, 10)
    if not units:
        return all_tens[tens]
    joint = "-" if language == "en" else " y "
    return f"{all_tens[tens]}{joint}{small[units]}"
