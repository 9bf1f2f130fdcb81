"""YAML as plain JSON data: text, finite numbers, true, false, null, lists, mappings with text keys.

Plain values are read as YAML 1.2 reads them (its core schema): `no`, `12:30` and dates are text,
`1e3` is a number, `020` is twenty. `<<` merges mappings. Whatever JSON cannot hold is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    import yaml

DEEPEST = 60
"""Levels of lists and mappings."""
_TOO_DEEP = f"it is nested too deeply: more than {DEEPEST} levels"
MOST_VALUES = 100_000
"""Values of a document, aliases counted at each use: a few lines of them can mean gigabytes."""
LONGEST_NUMBER = 400
"""Characters of one number; more is an attack, not a measurement."""

KeyPath = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""

EACH = "*"
"""In a pattern of paths: any key or index."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
"""The tag of a value without quotes and without a tag of its own."""
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {word: word[0] in "tT" for word in ["true", "True", "TRUE", "false", "False", "FALSE"]}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_WITH_BASE = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "null": type(None),
}


class InvalidDocument(ValueError):
    """A document that cannot be used: the problem, and the path or the place (from 1) of it."""

    def __init__(
        self,
        problem: str,
        path: KeyPath = (),
        *,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(problem)
        self.path = path
        self.line = line
        self.column = column


def expected(value: Any, wanted: str, *path: str | int) -> InvalidDocument:
    """Return the error for a value that is something else than `wanted`."""
    return InvalidDocument(f"is {shown(value)}; expected {wanted}", path)


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    match value:
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
        case str():
            return repr(sanitize(value, longest=60))
    return "empty" if value is None else json.dumps(value)[:60]


def parse_yaml(
    text: str,
    *,
    as_text: Collection[tuple[str, ...]] = (),
    foreign: bool = False,
    problems: list[InvalidDocument] | None = None,
) -> Any:
    """Return the data in `text`; None when it is empty.

    `as_text` are patterns of paths where a value is the characters of the file whatever they look
    like. In a `foreign` document, which another program reads, a value with an unknown tag is
    None, and a key or a number that JSON lacks is its characters. Raises InvalidDocument; with
    `problems`, that collects each repeated key and each value that JSON lacks.
    """
    node = _compose(text)
    return None if node is None else _Reader(as_text, problems, foreign=foreign).read(node, ())


class Positions:
    """Where the values of a text are."""

    def __init__(self, text: str) -> None:
        try:
            self._root = _compose(text)
        except InvalidDocument:
            self._root = None

    def find(self, path: KeyPath) -> tuple[int, int] | None:
        """Return line and column, from 1, of the key or item at `path`, or of what is above it."""
        node, place = self._root, None
        for step in path if node is not None else ():
            pairs = [pair for pair in _children(node) if pair[0] in (step, "<<")]
            found = next((pair for pair in pairs if pair[0] == step), pairs[0] if pairs else None)
            if found is None:
                break
            key, at, node = found
            place = at.start_mark.line + 1, at.start_mark.column + 1
            if key != step:  # `<<`, which merges the value from somewhere
                break
        return place


def format_path(path: KeyPath) -> str:
    """Return a path as people write it: `points[1].y`."""
    words = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return sanitize("".join(words).removeprefix("."), longest=120)


def matches(path: KeyPath, patterns: Iterable[tuple[str, ...]]) -> bool:
    """Whether one of the patterns is for exactly this path."""
    return any(
        len(pattern) == len(path)
        and all(wanted in (EACH, step) for wanted, step in zip(pattern, path, strict=True))
        for pattern in patterns
    )


def to_yaml(document: Any) -> str:
    """Return YAML that readers of version 1.1 and of 1.2 understand in the same way."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes text that looks like a number to either version."""

    for expression in (_FLOAT, _WITH_BASE):
        pattern = re.compile(f"(?:{expression.pattern})$", re.ASCII)
        Dumper.add_implicit_resolver(_TAG + "float", pattern, list("-+0123456789."))
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _compose(text: str) -> Any:
    """Return the tree of nodes, in which every plain value has the tag `_PLAIN`."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Leaves what plain values mean to the reader of the tree."""

        depth = 0

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is yaml.ScalarNode and implicit[0]:
                return _PLAIN
            return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

        def compose_node(self, parent: Any, index: Any) -> Any:
            """Allow an anchor to be defined again, as YAML does, and limit the depth."""
            event = self.peek_event()  # type: ignore[no-untyped-call]
            if not isinstance(event, yaml.AliasEvent):
                self.anchors.pop(event.anchor, None)
            self.depth += 1
            if self.depth > DEEPEST + 1:  # a level for the innermost value
                raise InvalidDocument(_TOO_DEEP, line=event.start_mark.line + 1)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    try:
        return yaml.compose(text, Loader)
    except InvalidDocument:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise _invalid_yaml(error, text) from None


def _invalid_yaml(error: Exception, text: str) -> InvalidDocument:
    """Name the line and the problem, without the text around it, which may hold a secret."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    if (position := getattr(error, "position", None)) is not None:
        line, problem = text.count("\n", 0, position) + 1, "a control character"
        column = position - text.rfind("\n", 0, position)
    said = "invalid YAML" + (f": {sanitize(problem)}" if problem else "")
    return InvalidDocument(said, line=line, column=column)


def _children(node: Any) -> Iterator[tuple[str | int, yaml.Node, yaml.Node]]:
    """The steps below a node, each with the node that shows its place and the one of its value."""
    if isinstance(node.value, str):
        return
    for index, item in enumerate(node.value):
        if isinstance(item, tuple):
            yield item[0].value, *item
        else:
            yield index, item, item


class _Reader:
    """Turns nodes into plain data."""

    def __init__(
        self,
        as_text: Collection[tuple[str, ...]],
        problems: list[InvalidDocument] | None,
        *,
        foreign: bool,
    ) -> None:
        self._as_text = as_text
        self._problems = problems
        self._foreign = foreign
        self._count = 0
        self._open: set[int] = set()

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return the value of a node."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise InvalidDocument(f"it has more than {MOST_VALUES} values")
        if isinstance(node.value, str):
            return self._scalar(node, path)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            return self._unknown(node, path)
        if id(node) in self._open:
            raise InvalidDocument(f"{_name(path)} contains itself", path)
        if len(self._open) >= DEEPEST:
            raise InvalidDocument(_TOO_DEEP, path)
        self._open.add(id(node))
        value = self._mapping(node, path) if node.tag == _TAG + "map" else self._list(node, path)
        self._open.remove(id(node))
        return value

    def _report(self, problem: InvalidDocument) -> None:
        """Raise a problem, or collect it."""
        if self._problems is None:
            raise problem from None
        self._problems.append(problem)

    def _list(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] | None = None
        for key_node, value_node in node.value:
            is_merge = key_node.tag == _PLAIN and key_node.value == "<<"
            key = "<<" if is_merge else self._key(key_node, path)
            if key in own or (is_merge and merged is not None):
                mark = key_node.start_mark
                said = f"duplicate key {sanitize(key, longest=40)!r}"
                place = mark.line + 1, mark.column + 1
                self._report(InvalidDocument(said, (*path, key), line=place[0], column=place[1]))
            elif is_merge:
                merged = self._merged(value_node, path)
            else:
                own[key] = self.read(value_node, (*path, key))
        return {**(merged or {}), **own}

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """What `<<` takes in: a mapping, or a list of them, of which the first one wins."""
        found = None if isinstance(node.value, str) else self.read(node, path)
        tables = found if isinstance(found, list) else [found]
        if not all(isinstance(table, dict) for table in tables):
            raise InvalidDocument(f"<< in {_name(path)} takes a mapping or a list of them", path)
        return {key: value for table in reversed(tables) for key, value in table.items()}

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        """A key; what is below `as_text` and foreign keys are their characters."""
        if not isinstance(node.value, str):
            line = node.start_mark.line + 1
            raise InvalidDocument(f"a key in {_name(path)} is not text", line=line)
        key = _joined(node.value)
        if self._foreign or matches((*path, key), self._as_text):
            return key
        if not isinstance(self._scalar(node, (*path, key)), str):
            raise InvalidDocument(
                f"the key {sanitize(key, longest=40) or '(empty)'} in {_name(path)} is not text; "
                "write it in quotes",
                line=node.start_mark.line + 1,
            )
        return key

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text = _joined(node.value)
        kind = node.tag.removeprefix(_TAG)
        if kind not in {_PLAIN, "str", *_TYPES}:
            return self._unknown(node, path)
        is_null = kind == _PLAIN and text in _NULL
        if matches(path, self._as_text) and not (is_null and len(path) == 1):
            return text
        if kind == "str":
            return text
        try:
            value = _plain(text)
        except ValueError as problem:
            if self._foreign:
                return text
            return self._report(InvalidDocument(f"{_name(path)} {problem}", path))
        if kind in _TYPES and not isinstance(value, _TYPES[kind]):
            raise InvalidDocument(f"{_name(path)} is no !!{kind}", path)
        return value

    def _unknown(self, node: yaml.Node, path: KeyPath) -> None:
        """A tag of another program is None to a foreign document; JSON has no place for it."""
        if not (self._foreign and node.tag.startswith("!")):
            tag = sanitize(node.tag.replace(_TAG, "!!"), longest=40)
            raise InvalidDocument(f"{_name(path)} has the tag {tag}, which JSON cannot hold", path)


def _plain(text: str) -> Any:
    """Return what a value without quotes means; raises ValueError for a number JSON lacks."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"is {text}; JSON has no such number")
    if _INTEGER.fullmatch(text):
        return int(_finite(text))
    if _WITH_BASE.fullmatch(text):
        return int(_finite(text), 0)
    return float(_finite(text)) if _FLOAT.fullmatch(text) else text


def _finite(text: str) -> str:
    """Return the text of a number that fits a float; it may be calculated with later."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError("is a number that is too long")
    is_large = len(text) > 250 if text[1:2] in ("o", "x") else math.isinf(float(text))
    if is_large:
        raise ValueError("is a number that is too large")
    return text


def _joined(text: str) -> str:
    """Join the halves of characters that JSON escapes in two; what is left over is replaced."""
    if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _name(path: KeyPath) -> str:
    return format_path(path) or "the document"
