"""Languages as people write and say them: tags, and names in the languages we have sentences in. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TAG_PATTERN = "[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}"
"""The shape of a BCP 47 tag (RFC 5646 section 2.1) without extensions, private use and grandfathered tags."""

_TAG = re.compile(TAG_PATTERN)

_SUBTAG_CASES = {2: str.upper, 4: str.title}
"""Length of a subtag -> its case: regions are AA, scripts Aaaa."""

_ENGLISH = (
    "ar Arabic, bn Bengali, ca Catalan, cs Czech, da Danish, de German, el Greek, en English, es Spanish, eu Basque, "
    "fa Persian, fi Finnish, fr French, gl Galician, he Hebrew, hi Hindi, ht Haitian Creole, hu Hungarian, "
    "id Indonesian, it Italian, ja Japanese, ko Korean, nb Norwegian, nl Dutch, no Norwegian, pl Polish, "
    "pt Portuguese, ro Romanian, ru Russian, so Somali, sv Swedish, sw Swahili, tl Tagalog, tr Turkish, "
    "uk Ukrainian, ur Urdu, vi Vietnamese, yue Cantonese, zh Chinese"
)
_SPANISH = (
    "ar árabe, bn bengalí, ca catalán, cs checo, da danés, de alemán, el griego, en inglés, es español, eu euskera, "
    "fa persa, fi finés, fr francés, gl gallego, he hebreo, hi hindi, ht criollo haitiano, hu húngaro, "
    "id indonesio, it italiano, ja japonés, ko coreano, nb noruego, nl neerlandés, no noruego, pl polaco, "
    "pt portugués, ro rumano, ru ruso, so somalí, sv sueco, sw suajili, tl tagalo, tr turco, "
    "uk ucraniano, ur urdu, vi vietnamita, yue cantonés, zh chino"
)


_OWN = (
    "ar العربية, bn বাংলা, ca Català, cs Čeština, da Dansk, de Deutsch, el Ελληνικά, en English, "
    "es Español, eu Euskara, fa فارسی, fi Suomi, fr Français, gl Galego, he עברית, hi हिन्दी, "
    "ht Kreyòl ayisyen, hu Magyar, id Bahasa Indonesia, it Italiano, ja 日本語, ko 한국어, "
    "nb Norsk bokmål, nl Nederlands, no Norsk, pl Polski, pt Português, ro Română, ru Русский, "
    "so Soomaali, sv Svenska, sw Kiswahili, tl Tagalog, tr Türkçe, uk Українська, ur اردو, "
    "vi Tiếng Việt, yue 廣東話, zh 中文"
)


@dataclass(frozen=True)
class LanguageWords:
    """How one language speaks of languages."""

    names: Mapping[str, str]
    """Primary subtag -> name."""

    conjunction: str
    """Between the last two of a list."""

    conjunction_before_i: str
    """The same before the sound i: in Spanish `español e inglés`."""

    def list(self, tags: Iterable[str]) -> str:
        """The names of `tags` in their order, such as `English and Spanish`; a tag without a name stands for itself."""
        names = [self.names.get(tag.split("-")[0].lower(), tag) for tag in tags]
        if len(names) < 2:
            return "".join(names)
        begins_with_i = folded(names[-1]).startswith(("i", "hi"))
        conjunction = self.conjunction_before_i if begins_with_i else self.conjunction
        return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def _names(table: str) -> Mapping[str, str]:
    return dict(tuple(entry.split(" ", 1)) for entry in table.split(", "))  # type: ignore[misc]


LANGUAGE_WORDS: Mapping[str, LanguageWords] = {
    "en": LanguageWords(_names(_ENGLISH), "and", "and"),
    "es": LanguageWords(_names(_SPANISH), "y", "e"),
}
"""Primary subtag of the language spoken -> its words."""


OWN_NAMES: Mapping[str, str] = _names(_OWN)
"""Primary subtag -> what a language calls itself, for a list of languages to choose from."""


def canonical_tag(tag: str) -> str | None:
    """`tag` as RFC 5646 section 2.1.1 writes it, such as `es-MX`; None where it is no tag."""
    tag = tag.strip().replace("_", "-")
    if not _TAG.fullmatch(tag):
        return None
    primary, *others = tag.lower().split("-")
    return "-".join([primary, *(_SUBTAG_CASES.get(len(other), str.lower)(other) for other in others)])


def find_language(text: str) -> str | None:
    """The tag that `text` is, or whose name it is in any language we have words of; None for neither."""
    wanted = folded(text.strip())
    for words in LANGUAGE_WORDS.values():
        for tag, name in words.names.items():
            if folded(name) == wanted:
                return tag
    return canonical_tag(text)


def folded(text: str) -> str:
    """Without case and accents, which people leave out when they type."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
