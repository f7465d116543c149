"""What a command's arguments may be: kinds that read text and JSON alike, and describe themselves. Pure.

kind          in chat                     in JSON
Choice        consecutive                 "consecutive"
Switch        on                          true or "on"
Number        -15 or -15dB or 40%         -15
Language      es-MX or español            "es-MX"
Languages     es>en                       "es>en"
Name          medical-consecutive         "medical-consecutive"
Text          the rest of the line        "..."
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from interpreter.languages import TAG_PATTERN, canonical_tag, find_language

_NUMBER = re.compile(r"([+-]?\d{1,9}(?:[.,]\d{1,9})?)\s*(\D*)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SWITCHES: Mapping[object, bool] = {"on": True, "off": False, True: True, False: False}


@dataclass(frozen=True, order=True)
class LanguagePair:
    """From one language into another, whoever speaks."""

    language_in: str
    language_out: str

    def __str__(self) -> str:
        """Such as `es>en`."""
        return f"{self.language_in}>{self.language_out}"


Value = str | float | bool | LanguagePair
"""What an argument becomes."""


class ArgumentKind(Protocol):
    """One type of arguments."""

    @property
    def private(self) -> bool:
        """Whether a value may be what somebody said, or a secret: it is then neither logged nor audited."""
        ...

    def read(self, value: object) -> Value:
        """The value that `value` spells.

        Raises:
            ValueError: with `expected` and what it expected.
        """
        ...

    def schema(self) -> Mapping[str, object]:
        """JSON Schema (draft 2020-12) of the values it takes."""
        ...

    def words(self) -> str:
        """What it takes, for people."""
        ...


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    choices: tuple[str, ...]
    private: bool = False

    def read(self, value: object) -> str:
        """See `ArgumentKind`."""
        word = value.strip().lower().replace("-", "_") if isinstance(value, str) else ""
        for choice in self.choices:
            if choice.replace("-", "_") == word:
                return choice
        raise ValueError(f"expected {self.words()}")

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"enum": list(self.choices)}

    def words(self) -> str:
        """See `ArgumentKind`."""
        return _either(self.choices)


@dataclass(frozen=True)
class Switch:
    """On or off."""

    private: bool = False

    def read(self, value: object) -> bool:
        """See `ArgumentKind`."""
        word = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(word, str | bool) or word not in _SWITCHES:
            raise ValueError(f"expected {self.words()}")
        return _SWITCHES[word]

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"enum": [True, False, "on", "off"]}

    def words(self) -> str:
        """See `ArgumentKind`."""
        return "on or off"


@dataclass(frozen=True)
class Number:
    """A number in a range."""

    low: float
    high: float
    unit: str = ""
    """As it may be written behind the number; a share between 0 and 1 may also be written in %."""

    private: bool = False

    def read(self, value: object) -> float:
        """See `ArgumentKind`."""
        number = self._of_text(value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"expected {self.words()}")
        if not self.low <= number <= self.high:  # also refuses nan
            raise ValueError(f"expected {self.words()}")
        return float(number)

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def words(self) -> str:
        """See `ArgumentKind`."""
        unit = f" {self.unit}" if self.unit else ""
        percent = " or 0 to 100%" if self._is_share() else ""
        return f"a number from {self.low:g} to {self.high:g}{unit}{percent}"

    def _of_text(self, text: str) -> float | None:
        match = _NUMBER.fullmatch(text.strip().replace("−", "-"))
        if match is None:
            return None
        number, unit = float(match[1].replace(",", ".")), match[2].strip().lower()
        if unit == "%" and self._is_share():
            return number / 100.0
        return number if unit in {"", self.unit.lower()} else None

    def _is_share(self) -> bool:
        return (self.low, self.high, self.unit) == (0.0, 1.0, "")


@dataclass(frozen=True)
class Language:
    """A language, by its tag or by its name in a language we have words of."""

    private: bool = False

    def read(self, value: object) -> str:
        """See `ArgumentKind`."""
        tag = find_language(value) if isinstance(value, str) else None
        if tag is None:
            raise ValueError(f"expected {self.words()}")
        return tag

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"type": "string", "pattern": f"^{TAG_PATTERN}$"}

    def words(self) -> str:
        """See `ArgumentKind`."""
        return "a language, such as es, es-MX or Spanish"


@dataclass(frozen=True)
class Languages:
    """A direction without its speaker: `es>en`."""

    private: bool = False

    def read(self, value: object) -> LanguagePair:
        """See `ArgumentKind`."""
        parts = value.replace("->", ">").replace("→", ">").split(">") if isinstance(value, str) else []
        tags = [canonical_tag(part) for part in parts]
        if len(tags) != 2 or tags[0] is None or tags[1] is None or tags[0] == tags[1]:
            raise ValueError(f"expected {self.words()}")
        return LanguagePair(tags[0], tags[1])

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"type": "string", "pattern": f"^{TAG_PATTERN}>{TAG_PATTERN}$"}

    def words(self) -> str:
        """See `ArgumentKind`."""
        return "a direction such as es>en"


@dataclass(frozen=True)
class Name:
    """The name of a role, a voice or a scenario; whether there is such a thing, its library knows."""

    of: str
    private: bool = False

    def read(self, value: object) -> str:
        """See `ArgumentKind`."""
        if not isinstance(value, str) or not _NAME.fullmatch(value.strip()):
            raise ValueError(f"expected {self.words()}")
        return value.strip()

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"type": "string", "pattern": f"^{_NAME.pattern}$"}

    def words(self) -> str:
        """See `ArgumentKind`."""
        return f"the name of a {self.of}"


@dataclass(frozen=True)
class Text:
    """Free text, cleaned of what cannot be shown; what somebody said, or a secret, and so private."""

    max_characters: int
    private: bool = True

    def read(self, value: object) -> str:
        """See `ArgumentKind`."""
        words = value.split() if isinstance(value, str) else []
        text = "".join(character for character in " ".join(words) if character.isprintable())
        if not 0 < len(text) <= self.max_characters:
            raise ValueError(f"expected {self.words()}")
        return text

    def schema(self) -> Mapping[str, object]:
        """See `ArgumentKind`."""
        return {"type": "string", "minLength": 1, "maxLength": self.max_characters}

    def words(self) -> str:
        """See `ArgumentKind`."""
        return f"text of 1 to {self.max_characters} characters"


def _either(words: tuple[str, ...]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
