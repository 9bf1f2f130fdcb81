"""Validation of the server's address, by the rules of section 2 of the API contract."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from tm_cli.errors import UsageError
from tm_cli.values.text import clean

LOCAL = "local"
"""The base URL that asks for the embedded server."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_USERINFO = re.compile(r"//[^/@]*@")


def parse_base_url(text: str) -> str:
    """Return `text` trimmed and ending in `/`, or `local` unchanged.

    A path prefix and its percent-encoding are kept; parsing a parsed URL changes nothing. Raises
    ValueError when it has no http or https scheme, no host, a query, a fragment, credentials, or
    characters that no URL may hold.
    """
    url = text.strip()
    if url == LOCAL:
        return url
    if not url:
        raise ValueError("it is empty")
    if _UNSAFE.search(url):
        raise ValueError("it holds a space, a backslash or a control character")
    scheme, separator, _rest = url.partition("://")
    if not separator:
        raise ValueError("it has no scheme; write https://HOST or http://localhost:PORT")
    if scheme.lower() not in {"http", "https"}:
        raise ValueError("its scheme is neither http nor https")
    if "?" in url:
        raise ValueError("it has a query string")
    if "#" in url:
        raise ValueError("it has a fragment")
    _check_host(url)
    return url if url.endswith("/") else url + "/"


def _check_host(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"its host or port is malformed ({error})") from None
    if "@" in parts.netloc:
        raise ValueError("it holds credentials; the key goes into TM_API_KEY")
    if not host or port == 0:
        raise ValueError("it has no host" if not host else "its port is 0")


def quote_base_url(text: str) -> str:
    """Return what the user wrote, for an error message, without credentials in it."""
    return repr(_USERINFO.sub("//***@", text))


def is_loopback(url: str) -> bool:
    """Whether the host is this machine by its very spelling: 127/8, ::1 or `localhost`."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain_http(url: str) -> bool:
    """Whether the key would travel unencrypted."""
    return url.lower().startswith("http://")


LONGEST_URL = 2048
_UNSAFE_IN_TARGET = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_url(text: str) -> str:
    """Return the address of a target; raises UsageError for what can be none."""
    url = text.strip()
    if problem := _problem(url):
        raise UsageError(
            f"--against is not usable: {problem}", hint="write for instance http://localhost:8081/"
        )
    return url


def require_another(against: str | None, target: str | None) -> None:
    """Raise UsageError when the `target` of the profile is what `--against` names."""
    if against is not None and target and _plain(against) == _plain(target):
        raise UsageError(
            "both targets are the same: nothing would be compared",
            hint="--against names the other version; to compare a target with itself, "
            "give one of the two another query",
        )


def _plain(url: str) -> object:
    """What is the same for all spellings of an address."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    scheme = parts.scheme.lower()
    port = _DEFAULT_PORTS.get(scheme) if port is None else port
    return scheme, (parts.hostname or "").lower(), port, parts.path or "/", parts.query


def _problem(url: str) -> str | None:
    if not url:
        return "it is empty"
    if len(url) > LONGEST_URL:
        return f"it is longer than {LONGEST_URL} characters"
    if _UNSAFE_IN_TARGET.search(url):
        return "it holds a space, a backslash or a control character"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"its host or port is malformed ({clean(error)})"
    if parts.scheme not in _DEFAULT_PORTS:
        return "it begins with neither http:// nor https://"
    if "@" in parts.netloc:
        return "it holds credentials; put them into the profile's headers"
    if not host or port == 0:
        return "it has no host" if not host else "its port is 0"
    return "it has a fragment" if "#" in url else None
