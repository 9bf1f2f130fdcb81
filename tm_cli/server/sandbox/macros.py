"""Macros in JavaScript: `$$name$$` becomes an expression for the value of that call."""

import json
import re
from collections.abc import Collection, Iterator

VALUE, TEXT = "__tm_value", "__tm_text"
"""The functions that an expression calls: for a value in code, and for its text within a text."""

_MACRO = re.compile(r"\$\$([^\s${}\"'`]+?)\$\$")
_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<word>[\w$]+)"
    r"|(?P<mark>.)",
    re.DOTALL,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/\w*")
_OPERATORS = set("(,=:[!&|?{};+-*%~^<>")
_BEFORE_REGEX = {"", "return", "typeof", "case", "in", "of", "do", "else", "void", "delete"}
_COLON = re.compile(r"\s*:")


def macros_of(source: str) -> frozenset[str]:
    """The names of all that looks like a macro."""
    return frozenset(_MACRO.findall(source))


def with_values(source: str, names: Collection[str]) -> str:
    """The source with an expression in place of each macro with one of the names.

    Nothing is pasted into the source, so no value can become code. Comments and regular
    expressions stay as they are.
    """
    return "".join(_parts(source, names)) if macros_of(source) & set(names) else source


def _parts(source: str, names: Collection[str]) -> Iterator[str]:
    place, before = 0, ""
    braces: list[int] = []  # open ones within each `${` of a template
    while place < len(source):
        found = _MACRO.match(source, place)
        if found and found[1] in names:
            call = _call(VALUE, found[1])
            yield f"[{call}]" if _is_key(source, found.end(), before) else call
            place, before = found.end(), ")"
            continue
        if source[place] == "`" or (source[place] == "}" and braces and not braces[-1]):
            if source[place] == "}":
                braces.pop()
            end, opens = _end_of_template(source, place + 1)
            yield _MACRO.sub(lambda macro: _in_template(macro, names), source[place:end])
            place, before = end, "{" if opens else "`"
            if opens:
                braces.append(0)
            continue
        token = _REGEX.match(source, place) if _may_be_regex(source, place, before) else None
        token = token or _TOKEN.match(source, place)
        assert token is not None  # noqa: S101 - a mark is any character
        text, place = token[0], token.end()
        kind = token.lastgroup
        if kind == "string":
            yield _string(text, names, is_key=_is_key(source, place, before))
        else:
            yield text
        if kind == "mark" and braces:
            braces[-1] += (text == "{") - (text == "}")
        if kind != "blank":
            before = text


def _may_be_regex(source: str, place: int, before: str) -> bool:
    is_comment = source.startswith(("//", "/*"), place)
    return (
        source[place] == "/"
        and not is_comment
        and (before in _BEFORE_REGEX or before in _OPERATORS)
    )


def _is_key(source: str, place: int, before: str) -> bool:
    """Whether a text is the key of an object: it stands between `{` or `,` and a colon."""
    return before in {"{", ","} and _COLON.match(source, place) is not None


def _end_of_template(source: str, place: int) -> tuple[int, bool]:
    """Where the text of a template ends, and whether an expression begins there."""
    while place < len(source):
        if source[place] == "\\":
            place += 2
        elif source[place] == "`":
            return place + 1, False
        elif source.startswith("${", place):
            return place + 2, True
        else:
            place += 1
    return len(source), False


def _in_template(macro: re.Match[str], names: Collection[str]) -> str:
    return f"${{{_call(TEXT, macro[1])}}}" if macro[1] in names else macro[0]


def _string(text: str, names: Collection[str], *, is_key: bool) -> str:
    """A literal with macros as a sum of literals and values."""
    mark = text[0]
    filled = _MACRO.sub(
        lambda macro: f"{mark}+{_call(TEXT, macro[1])}+{mark}" if macro[1] in names else macro[0],
        text,
    )
    if filled == text:
        return text
    return f"[{filled}]" if is_key else f"({filled})"


def _call(function: str, name: str) -> str:
    return f"{function}({json.dumps(name)})"
