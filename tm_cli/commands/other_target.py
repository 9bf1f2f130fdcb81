"""The address that `--against` names, and whether it is another one than the profile's."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tm_cli.errors import UsageError
from tm_cli.text import clean

LONGEST_URL = 2048
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_url(text: str) -> str:
    """Return the address of a target; raises UsageError for what can be none."""
    url = text.strip()
    if problem := _problem(url):
        raise UsageError(f"--against: {problem}", hint="e.g. http://localhost:8081/")
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
    if _UNSAFE.search(url):
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
