"""The part of GitHub's expression language that the action uses.

Everything is text, as in the inputs of a composite action. What is unknown in a context is empty
text, as on the runner; what is unknown in the language is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Contexts = Mapping[str, Any]

PLACEHOLDER = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|!|\(|\)|[A-Za-z_][\w.*-]*)")
STATUS = {"always", "success", "failure", "cancelled"}


def fill_in(text: str, contexts: Contexts) -> str:
    """Replace every placeholder of a template by its value."""
    return PLACEHOLDER.sub(lambda found: evaluate(found[1], contexts), text)


def holds(condition: str | None, contexts: Contexts, *, failed: bool) -> bool:
    """Whether a step runs; a condition that asks for no status means `success() &&` itself."""
    if condition is None:
        return not failed
    inner = PLACEHOLDER.fullmatch(condition.strip())
    text = inner[1] if inner else condition
    asks = any(re.search(rf"\b{name}\(", text) for name in STATUS)
    status = {"always": True, "success": not failed, "failure": failed, "cancelled": False}
    value = bool(evaluate(text, {**contexts, "status": status}))
    return value and (asks or not failed)


def evaluate(text: str, contexts: Contexts) -> str:
    """Return the value of one expression; false is empty text."""
    parser = _Parser(_tokens(text), contexts)
    value = parser.either()
    if parser.rest:
        raise ValueError(f"not understood: {text}")
    return value


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while text[position:].strip():
        found = TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"not understood: {text}")
        tokens.append(found[1])
        position = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str], contexts: Contexts) -> None:
        self.rest = tokens
        self._contexts = contexts

    def either(self) -> str:
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = value or other
        return value

    def _both(self) -> str:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            value = value and other
        return value

    def _comparison(self) -> str:
        value = self._single()
        for sign, wanted in (("==", True), ("!=", False)):
            if self._take(sign):
                same = value.lower() == self._single().lower()  # the runner ignores case, too
                return "true" if same is wanted else ""
        return value

    def _single(self) -> str:
        if self._take("!"):
            return "" if self._single() else "true"
        if self._take("("):
            value = self.either()
            self._need(")")
            return value
        token = self.rest.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._take("("):
            if token == "toJSON":
                value = self._contexts[self.rest.pop(0)]
                self._need(")")
                return json.dumps(value, indent=2)
            self._need(")")
            return "true" if self._contexts["status"][token] else ""
        return self._value(token)

    def _value(self, path: str) -> str:
        value: Any = self._contexts
        first, *names = path.split(".")
        if first not in value:
            raise ValueError(f"no such context: {first}")
        value = value[first]
        for name in names:
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return "" if value in (None, False) else str(value)

    def _take(self, token: str) -> bool:
        if self.rest and self.rest[0] == token:
            self.rest.pop(0)
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"{token} is missing")
