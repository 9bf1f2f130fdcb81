"""Which parts of captured URLs vary: ids in paths, words under a collection, values of a query."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, unquote_plus, urlsplit

_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?([T ][\d:.]+(Z|[+-]\d{2}:?\d{2})?)?")
_IDS = (
    re.compile(r"-?\d+(\.\d+)?(,-?\d+(\.\d+)?)*"),  # numbers, coordinates
    _DATE,
    re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE),
    re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE),
    re.compile(r"(?=.*\d)[\w.~-]{16,}"),  # tokens
    re.compile(r"(?!v\d)[A-Za-z]{1,12}([-_]\d+)+"),  # user-123
    re.compile(r"[A-Za-z]{1,12}\d{3,}"),  # SKU991
    re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"),
)
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9/._~=&,+-]*")
_SLUG = re.compile(r"[^A-Za-z]")
_DEEPEST = 50
"""So many parts of a path can have words that are values."""
_LEAST_WORDS = {True: (5, 10), False: (20, 100)}
"""So many names with a hyphen, a digit or the like, and so many words altogether, are values of one
variable: below the name of a collection, which has an s at its end, and elsewhere."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests that differ in values alone.

    A segment of `path` is None where it varies; `query` has the names as they are written, with `=`
    where a value follows, and an empty one for a value without a name.
    """

    method: str
    origin: str
    path: tuple[str | None, ...]
    query: tuple[str, ...]


def kind_of(method: str, url: str) -> tuple[Kind, str]:
    """The kind of a request, and its path and query as they can be sent."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    path = _sendable(parts.path) or "/"
    query = "&".join(pair for pair in _sendable(parts.query).split("&") if pair)
    segments = tuple(None if is_id(each) else each for each in path.split("/")[1:])
    kind = Kind(method, f"{parts.scheme}://{host}", segments, tuple(map(_name_of, _pairs(query))))
    return kind, f"{path}?{query}" if query else path


def _sendable(text: str) -> str:
    """Part of a URL without what has to be percent-encoded, or would begin a macro."""
    if _PLAIN.fullmatch(text):  # as most are
        return text
    text = re.sub(r"\$(?=[${])", "%24", re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text))
    return quote(text, safe="/?%:@!$&'()*+,;=~[]")


def _pairs(query: str) -> list[str]:
    return query.split("&") if query else []


def _name_of(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if not equals:
        return "" if is_id(pair) else pair
    return f"{name}="


def is_id(segment: str) -> bool:
    """Whether it looks like the id of something, a date or a token."""
    if not segment or (segment.isascii() and segment.isalpha()):
        return False
    text = unquote(segment)
    return any(each.fullmatch(text) or each.fullmatch(_EXTENSION.sub("", text)) for each in _IDS)


def is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None


def widened(kinds: Iterable[Kind]) -> dict[Kind, Kind]:
    """The kinds in which many words at one place of a path have become a variable."""
    found = {kind: kind for kind in kinds}
    deepest = max((len(kind.path) for kind in found), default=0)
    for place in range(min(deepest, _DEEPEST)):
        words: dict[tuple[str, tuple[str | None, ...]], set[str]] = defaultdict(set)
        for kind in found.values():
            if place < len(kind.path) and (word := kind.path[place]):
                words[kind.origin, kind.path[:place]].add(word)
        values = {prefix: _values(prefix[1], each) for prefix, each in words.items()}
        for before, kind in found.items():
            if place < len(kind.path) and kind.path[place] in values.get(
                (kind.origin, kind.path[:place]), ()
            ):
                path = (*kind.path[:place], None, *kind.path[place + 1 :])
                found[before] = replace(kind, path=path)
    return found


def _values(prefix: Sequence[str | None], words: set[str]) -> set[str]:
    """Which of the words below a path are values rather than names."""
    above = prefix[-1] if prefix else None
    most_slugs, most_words = _LEAST_WORDS[bool(above and above.lower().endswith("s"))]
    slugs = {word for word in words if _SLUG.search(word) and not re.fullmatch(r"v\d+", word)}
    if len(words) >= most_words:
        return words
    if len(slugs) < most_slugs:
        return set()
    return words if 2 * len(words - slugs) <= len(slugs) else slugs


def values_of(kind: Kind, target: str) -> list[str]:
    """The values of a request of this kind, as they are written: of its path, then its query."""
    path, _, query = target.partition("?")
    return [*_path_values(kind, path), *_query_values(kind, query)]


def _path_values(kind: Kind, path: str) -> Iterator[str]:
    for segment, value in zip(kind.path, path.split("/")[1:], strict=True):
        if segment is None:
            yield value


def _query_values(kind: Kind, query: str) -> Iterator[str]:
    for name, pair in zip(kind.query, _pairs(query), strict=True):
        if not name or name.endswith("="):
            yield pair.removeprefix(name)


def is_in_path(kind: Kind, place: int) -> bool:
    """Whether the value at this place of `values_of` is one of the path."""
    return place < sum(segment is None for segment in kind.path)


def decoded(kind: Kind, place: int, value: str) -> str:
    """The value without percent-encoding; raises ValueError where it is not UTF-8."""
    decode = unquote if is_in_path(kind, place) else unquote_plus
    return decode(value, errors="strict")


def filled(kind: Kind, values: Sequence[str]) -> str:
    """The URL with values or macros in the places of those of `values_of`."""
    rest = iter(values)
    path = "/".join(next(rest) if segment is None else segment for segment in kind.path)
    pairs = [
        f"{name}{next(rest)}" if not name or name.endswith("=") else name for name in kind.query
    ]
    return f"{kind.origin}/{path}" + (f"?{'&'.join(pairs)}" if pairs else "")


def hints(kind: Kind) -> list[str]:
    """What the values of `values_of` could be called: below `users` it is `user`."""
    found, above = [], ""
    for segment in kind.path:
        if segment is None:
            found.append(above)
        above = _singular(segment) if segment else above
    names = [name for name in kind.query if not name or name.endswith("=")]
    return [*found, *(unquote(name.removesuffix("=")) for name in names)]


def _singular(word: str) -> str:
    word = unquote(word)
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if word.lower().endswith(ending) and not word.lower().endswith("ss"):
            return word[: -len(ending)] + singular
    return word
