"""Reads curl command lines, as browsers copy them and as people keep them in scripts."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tm_cli.sources.privacy import clean_body, clean_headers, clean_text, clean_url
from tm_cli.sources.traffic import (
    SourceRequest,
    Traffic,
    UnusableSource,
    is_http_url,
    usual_origin,
)

_WITH_VALUE = {
    "X": "request", "H": "header", "d": "data", "u": "user", "b": "cookie", "A": "user-agent",
    "e": "referer", "o": "output", "m": "max-time", "x": "proxy", "E": "cert", "F": "form",
    "T": "upload-file", "w": "write-out", "c": "cookie-jar", "D": "dump-header", "r": "range",
    "K": "config", "C": "continue-at", "y": "speed-time", "Y": "speed-limit", "z": "time-cond",
    "U": "proxy-user", "Q": "quote", "t": "telnet-option", "P": "ftp-port",
}  # fmt: skip
_LONG_WITH_VALUE = {
    *_WITH_VALUE.values(), "url", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json",
    "key", "cacert", "capath", "pass", "retry", "retry-delay", "retry-max-time", "connect-timeout",
    "resolve", "interface", "limit-rate", "max-redirs", "noproxy", "oauth2-bearer",
    "request-target",
    "ciphers", "tls-max", "cert-type", "key-type", "proto", "unix-socket", "form-string",
    "connect-to", "dns-servers", "happy-eyeballs-timeout-ms", "local-port", "stderr", "trace",
    "trace-ascii", "aws-sigv4", "url-query", "rate", "output-dir", "max-filesize", "proto-default",
}  # fmt: skip
_REFUSED = {
    "form": "a multipart form (-F) cannot be sent by a profile",
    "form-string": "a multipart form cannot be sent by a profile",
    "upload-file": "the upload of a file (-T) cannot be sent by a profile",
    "config": "a file of options (-K) is not read",
    "aws-sigv4": "a signature of the moment (--aws-sigv4) cannot be sent again",
}
_START = re.compile(r"(?:^|\n|;|&&|\|\|?)[ \t]*(?:\$ )?(curl(?:\.exe)?)(?=\s)")
_PART = re.compile(
    r"(?P<continued>\\\r?\n|`\r?\n)|\$'(?P<ansi>(?:[^'\\]|\\.)*)'|'(?P<single>[^']*)'"
    r'|\$?"(?P<double>(?:[^"\\]|\\.)*)"|(?P<unclosed>[\'"])|\\(?P<escaped>.)|(?P<space>[ \t\r]+)'
    r"|(?P<end>\n|;|\||&(?=[\s&>]|$)|(?<!\S)(?:#|\d?[<>])|[<>])|(?P<plain>[^\s'\"\\|;<>&$`]+|.)",
    re.DOTALL,
)
"""A part of a shell's words; a command ends at a line's end, `|`, `;`, `&`, `>` or a comment."""
_WINDOWS = re.compile(r'\s*\^"|(?:[^\n"]|"[^"\n]*")*\^\r?\n')
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}


@dataclass
class _Command:
    """What the options of one command ask for."""

    urls: list[str] = field(default_factory=list)
    method: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    usual: dict[str, str] = field(default_factory=dict)
    """Headers that curl sends itself where the command has none of that name."""
    data: list[str] = field(default_factory=list)
    is_query: bool = False
    has_cookies: bool = False
    ignored: set[str] = field(default_factory=set)


def read_curl(text: str) -> Traffic:
    """Read one or several commands; each is a step. Raises UnusableSource."""
    requests: list[SourceRequest] = []
    notes: dict[str, None] = {}
    has_cookies, end = False, 0
    while start := _START.search(text, end):
        line = text.count("\n", 0, start.start(1)) + 1
        words, end = _words(text, start.end(1), line)
        for own in _between(words, ("--next", "-:")):
            command = _command(own, line)
            has_cookies |= command.has_cookies
            requests += _requests(command, line)
            notes |= {f"curl's {option} was left out": None for option in sorted(command.ignored)}
    if not requests:
        raise UnusableSource("there is no curl command in it")
    return Traffic(requests, usual_origin(requests), has_cookies=has_cookies, notes=tuple(notes))


def _between(words: Sequence[str], separators: Collection[str]) -> Iterator[list[str]]:
    for is_separator, group in groupby(words, lambda word: word in separators):
        if not is_separator:
            yield list(group)
    if not words:
        yield []


def _command(words: Sequence[str], line: int) -> _Command:
    command = _Command()
    for option, value in _options(words, line):
        _apply(command, option, value, line)
    if not command.urls:
        raise UnusableSource("the command has no URL", line)
    return command


def _words(text: str, begin: int, line: int) -> tuple[list[str], int]:
    """The words of the command that begins there, as a shell has them, and where it ends."""
    if _WINDOWS.match(text, begin):
        raise UnusableSource(
            "the command is quoted for the Windows command prompt; copy it as cURL (bash)", line
        )
    words: list[str] = []
    is_in_word, at = False, begin
    while (found := _PART.match(text, at)) and found.lastgroup != "end":
        kind, at = found.lastgroup, found.end()
        if kind == "unclosed":
            raise UnusableSource("the command cannot be read: a quotation has no end", line)
        if kind in ("space", "continued"):
            is_in_word = False
            continue
        if not is_in_word:
            words.append("")
        is_in_word = True
        words[-1] += _meant(found)
    return words, at


def _meant(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    if kind == "ansi":
        return _unescaped(found[kind])
    if kind == "double":
        return re.sub(r"\\\r?\n", "", re.sub(r'\\(["\\$`])', r"\1", found[kind]))
    return found[kind]


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "ux" and len(code) > 1:
            return chr(int(code[1:], 16)).encode("utf-8", "replace").decode()
        if code[0] in "01234567":
            return chr(int(code, 8) & 0xFF)
        return _NAMED.get(code, code)

    return _ESCAPE.sub(one, text)


def _options(words: Sequence[str], line: int) -> Iterator[tuple[str, str]]:
    """Each option with its value; a word that is none belongs to `url`."""
    rest = iter(words)

    def value_of(option: str) -> str:
        value = next(rest, None)
        if value is None:
            raise UnusableSource(f"{option} has no value", line)
        return value

    for word in rest:
        if word.startswith("--") and len(word) > 2:
            name, has_value, value = word[2:].partition("=")
            if name in _LONG_WITH_VALUE:
                yield name, value if has_value else value_of(word)
            else:
                yield name, ""
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word[1:], value_of)
        else:
            yield "url", word


def _short(letters: str, value_of: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Options of one letter, several of which may be one word: `-sXPOST`."""
    for at, letter in enumerate(letters):
        if letter in _WITH_VALUE:
            value = letters[at + 1 :] or value_of(f"-{letter}")
            yield _WITH_VALUE[letter], value
            return
        yield {"G": "get", "I": "head", "k": "insecure", "L": "location"}.get(letter, letter), ""


_DATA = {"data", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json"}
_WITHOUT_EFFECT = {"insecure", "location", "cert", "key", "proxy", "http2", "cacert"}


def _apply(command: _Command, option: str, value: str, line: int) -> None:
    if option in _REFUSED:
        raise UnusableSource(_REFUSED[option], line)
    if option in _DATA:
        _add_data(command, option, value, line)
    elif option in _WITHOUT_EFFECT:
        command.ignored.add(f"--{option}")
    elif option in _EFFECTS:
        _EFFECTS[option](command, value)


def _add_header(command: _Command, value: str) -> None:
    name, colon, text = value.partition(":")
    command.has_cookies |= name.strip().lower() == "cookie"
    if colon and name.strip():
        command.headers[name.strip()] = text.strip()


def _set_user(command: _Command, value: str) -> None:
    encoded = base64.b64encode(value.encode()).decode()
    command.headers["Authorization"] = f"Basic {encoded}"


def _set_bearer(command: _Command, value: str) -> None:
    command.headers["Authorization"] = f"Bearer {value}"


def _set_method(command: _Command, value: str) -> None:
    command.method = value.upper()


def _set_head(command: _Command, value: str) -> None:
    command.method = "HEAD"


def _set_query(command: _Command, value: str) -> None:
    command.is_query = True


def _set_cookies(command: _Command, value: str) -> None:
    command.has_cookies = True


def _add_url(command: _Command, value: str) -> None:
    command.urls.append(value if "://" in value else f"http://{value}")


_EFFECTS: dict[str, Callable[[_Command, str], None]] = {
    "url": _add_url,
    "request": _set_method,
    "header": _add_header,
    "user": _set_user,
    "oauth2-bearer": _set_bearer,
    "cookie": _set_cookies,
    "get": _set_query,
    "head": _set_head,
}


def _add_data(command: _Command, option: str, value: str, line: int) -> None:
    if value.startswith("@") and option != "data-raw":
        raise UnusableSource(
            f"the body is in the file {value[1:]}, which is not read; put it into the command", line
        )
    if option == "json":
        command.usual |= {"Content-Type": "application/json", "Accept": "application/json"}
    elif option != "data-binary" and not value.lstrip().startswith(("{", "[")):
        command.usual["Content-Type"] = "application/x-www-form-urlencoded"
    command.data.append(value)


def _requests(command: _Command, line: int) -> Iterator[SourceRequest]:
    body = "&".join(command.data) if command.data else None
    own = {name.lower() for name in command.headers}
    usual = {name: value for name, value in command.usual.items() if name.lower() not in own}
    headers = clean_headers({**command.headers, **({} if command.is_query else usual)})
    for url in command.urls:
        if not is_http_url(url):
            shown = re.sub(r"//[^/]*@", "//", url)
            raise UnusableSource(f"{clean_text(shown)!r} is not an http or https URL", line)
        if command.is_query and body:
            url += ("&" if "?" in url else "?") + body
        has_body = body is not None and not command.is_query
        yield SourceRequest(
            command.method or ("POST" if has_body else "GET"),
            clean_url(url),
            headers,
            clean_body(body) if has_body and body is not None else None,
        )
