"""What a Jitsi server's `config.js` says, read without executing it.

The file is JavaScript, but a plain kind of it: assignments of literals, of objects of literals, and of strings put
together from literals and two variables for the tenant. That much is understood; whatever else a statement does, its
value counts as unknown and reading goes on behind it. What a condition guards is passed over, since whether it holds
is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from webrtc.errors import SignallingError

MAX_SCRIPT_CHARACTERS = 500_000
"""Servers' own have less than 100,000."""

MAX_STRING_CHARACTERS = 4_000
"""Of one value; longer ones count as unknown, or doubling a string in each line would fill the memory."""

MAX_NESTING = 16
"""Of objects in one another."""

Value = str | bool | float | dict[str, "Value"] | None
"""None is what could not be understood, or `null`."""

_TOKENS = re.compile(
    r"""
      (?P<space>\s+ | //[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" | `(?:[^`\\]|\\.)*`)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_$][\w$]*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{\s*([A-Za-z_$][\w$]*)\s*\}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_CONDITIONS = {"if", "for", "while", "with", "switch", "catch"}
_GUARDS = {"else", "do", "try", "finally"}
_ENDS = {",", ";", "}", ")", "]", ""}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_END = _Token("end", "")


def read_script(script: str, variables: Mapping[str, str]) -> dict[str, Value]:
    """The members of the variable `config` when the script has run, as far as they can be told.

    Args:
        script: the text of `config.js`.
        variables: what these variables hold, unless the script sets them to nothing: a server that has tenants puts
            theirs in, more or less finished.

    Raises:
        SignallingError: it is too long to be one, or assigns no `config`.
    """
    if len(script) > MAX_SCRIPT_CHARACTERS:
        got = len(script)
        raise SignallingError(
            f"expected a config.js of at most {MAX_SCRIPT_CHARACTERS} characters, got {got}"
        )
    config = _Reader(script, variables).run().get("config")
    if not isinstance(config, dict):
        raise SignallingError("expected a config.js that assigns `config`, got none in it")
    return config


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, script: str, variables: Mapping[str, str]) -> None:
        self._tokens = [
            _Token(match.lastgroup or "", match.group())
            for match in _TOKENS.finditer(script)
            if match.lastgroup != "space"
        ]
        self._at = 0
        self._given = variables
        self._scope: dict[str, Value] = dict(variables)

    def run(self) -> dict[str, Value]:
        while self._peek() is not _END:
            self._statement(effective=True)
        return self._scope

    def _peek(self, ahead: int = 0) -> _Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _statement(self, *, effective: bool) -> None:
        """One statement, or what there is up to where one may begin."""
        token = self._take()
        if token.text in _CLOSING:
            self._pass_over(_CLOSING[token.text])
        elif token.text in _CONDITIONS:
            self._guarded()
        elif token.text in _GUARDS:
            self._guarded_body()
        elif token.text == "function":
            self._function()
        elif token.text in ("var", "let", "const"):
            return  # what follows reads like any assignment
        elif token.kind == "name":
            self._assignment(token.text, effective=effective)

    def _guarded(self) -> None:
        if self._peek().text == "(":
            self._take()
            self._pass_over(")")
        self._guarded_body()

    def _guarded_body(self) -> None:
        """Passes over what may or may not run: a block, or one statement and the condition in it."""
        while self._peek().text in _CONDITIONS | _GUARDS:
            self._take()
            if self._peek().text == "(":
                self._take()
                self._pass_over(")")
        if self._peek().text == "{":
            self._take()
            self._pass_over("}")
        elif self._peek().text != ";":
            self._statement(effective=False)

    def _function(self) -> None:
        while self._peek().kind == "name":
            self._take()
        for opening in ("(", "{"):
            if self._peek().text == opening:
                self._take()
                self._pass_over(_CLOSING[opening])

    def _pass_over(self, closing: str) -> None:
        """Up to and with the mark that closes what is open, without recursion."""
        awaited = [closing]
        while awaited and self._peek() is not _END:
            text = self._take().text
            if text in _CLOSING:
                awaited.append(_CLOSING[text])
            elif text == awaited[-1]:
                awaited.pop()

    def _assignment(self, first: str, *, effective: bool) -> None:
        path = [first]
        while True:
            if self._peek().text == "." and self._peek(1).kind == "name":
                path.append(self._peek(1).text)
                self._at += 2
            elif self._peek().text == "[" and self._peek(1).kind == "string" and self._peek(2).text == "]":
                path.append(_unquoted(self._peek(1).text))
                self._at += 3
            else:
                break
        if self._peek().text != "=" or self._peek(1).text in ("=", ">"):
            return
        self._take()
        value = self._expression(0)
        if effective and not (len(path) == 1 and first in self._given and value != ""):
            _store(self._scope, path, value)

    def _expression(self, depth: int) -> Value:
        """A term or a sum of strings; None where it is anything else, which is passed over."""
        value = self._term(depth)
        while self._peek().text == "+":
            self._take()
            value = _joined(value, self._term(depth))
        following = self._peek()
        if following.text not in _ENDS and following.kind == "mark":
            value = None
            self._pass_to_end()
        return value

    def _pass_to_end(self) -> None:
        while self._peek().text not in _ENDS:
            text = self._take().text
            if text in _CLOSING:
                self._pass_over(_CLOSING[text])

    def _term(self, depth: int) -> Value:
        token = self._take()
        if token.kind == "string":
            return self._string(token.text)
        if token.kind == "number":
            return float(token.text) if len(token.text) < 20 else None
        if token.text == "{" and depth < MAX_NESTING:
            return self._object(depth + 1)
        if token.text in _CLOSING:
            self._pass_over(_CLOSING[token.text])
            return None
        if token.text in ("true", "false"):
            return token.text == "true"
        if token.text == "function":
            self._function()
            return None
        if token.kind == "name":
            return self._variable(token.text)
        if token.text in _ENDS:
            self._at -= 1  # an expression that is missing leaves its end to whoever waits for it
        return None

    def _string(self, quoted: str) -> Value:
        text = _unquoted(quoted)
        if quoted.startswith("`"):
            for name in _PLACEHOLDER.findall(text):
                known = self._scope.get(name)
                if not isinstance(known, str) or len(text) + len(known) > MAX_STRING_CHARACTERS:
                    return None
                text = text.replace(f"${{{name}}}", known)
            if "${" in text:
                return None
        return text if len(text) <= MAX_STRING_CHARACTERS else None

    def _variable(self, name: str) -> Value:
        value: Value = self._scope.get(name)
        while self._peek().text == "." and self._peek(1).kind == "name":
            member = self._peek(1).text
            value = value.get(member) if isinstance(value, dict) else None
            self._at += 2
        # An object held under two names would change under both, and could hold itself: only plain values are taken.
        return None if isinstance(value, dict) else value

    def _object(self, depth: int) -> Value:
        members: dict[str, Value] = {}
        while self._peek() is not _END:
            token = self._take()
            if token.text == "}":
                break
            if token.kind in ("name", "string", "number") and self._peek().text == ":":
                self._take()
                key = _unquoted(token.text) if token.kind == "string" else token.text
                members[key] = self._expression(depth)
            elif token.text != ",":
                self._at -= 1
                self._pass_member()
        return members

    def _pass_member(self) -> None:
        """A method, a spread, a shorthand: up to the comma or the brace behind it."""
        self._pass_to_end()
        if self._peek().text in (";", ")", "]"):
            self._take()


def _unquoted(quoted: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escape = match.group(1)
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        return _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(plain, quoted[1:-1])


def _joined(first: Value, second: Value) -> Value:
    if not isinstance(first, str) or not isinstance(second, str):
        return None
    return first + second if len(first) + len(second) <= MAX_STRING_CHARACTERS else None


def _store(scope: dict[str, Value], path: list[str], value: Value) -> None:
    for name in path[:-1]:
        inner = scope.get(name)
        if not isinstance(inner, dict):
            return  # JavaScript would fail here
        scope = inner
    scope[path[-1]] = value
