"""Addresses of servers and of targets: what a URL may hold, and what two spellings share."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from tm_cli.errors import UsageError
from tm_cli.values.text import sanitize, without_text

LOCAL = "local"
"""The base URL that asks for the embedded server."""

LONGEST_URL = 2048

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_USERINFO = re.compile(r"//.*@", re.DOTALL)
_HOST = re.compile(
    r"(?:[a-z]{1,15}|(?:[a-z0-9-]{1,63}\.)+[a-z]{2,10}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?::[0-9]{1,5})?/?"
)
"""What a person writes for a server without a scheme, and what no key looks like."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_base_url(text: str) -> str:
    """Return `text` trimmed and ending in `/`, or `local` unchanged.

    A path prefix and its percent-encoding are kept; parsing a parsed URL changes nothing. Raises
    ValueError as `check_http_url`, and for a query (section 2 of the API contract).
    """
    url = text.strip()
    if url == LOCAL:
        return url
    check_http_url(url, credentials="the key goes into TM_API_KEY")
    if "?" in url:
        raise ValueError("it has a query string")
    url = with_ascii_host(url)
    return url if url.endswith("/") else url + "/"


def check_http_url(url: str, *, credentials: str) -> None:
    """Raise ValueError for what is not an absolute http or https URL without a fragment.

    It may hold neither credentials, for which `credentials` names the right place, nor characters
    that no URL holds.
    """
    if not url:
        raise ValueError("must not be empty")
    if len(url) > LONGEST_URL:
        raise ValueError(f"it is longer than {LONGEST_URL} characters")
    if _UNSAFE.search(url):
        raise ValueError("it holds a space, a backslash or a control character")
    scheme, separator, _rest = url.partition("://")
    if not separator:
        raise ValueError("it has no scheme; write https://HOST or http://localhost:PORT")
    if scheme.lower() not in DEFAULT_PORTS:
        raise ValueError(not_yet(url) or "the scheme must be http or https")
    if "#" in url:
        raise ValueError("it has a fragment")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"its host or port is malformed ({error})") from None
    if "@" in parts.netloc:
        raise ValueError(f"it holds credentials; {credentials}")
    if not host or port == 0:
        raise ValueError("it has no host" if not host else "its port is 0")
    ascii_host(host)


def ascii_host(host: str) -> str:
    """The host as DNS, certificates and the Host header have it: UTS 46, non-transitional.

    What is ASCII already is only lower-cased, so that names with underscores stay valid. Raises
    ValueError for what cannot be a host name.
    """
    if host.isascii():
        if any(not label or len(label) > 63 for label in certificate_name(host).split(".")):
            raise ValueError(f"{host!r} is not a host name (a label is empty or too long)")
        return host.lower()
    import idna  # slow to import, and rarely needed

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"{host!r} is not a host name ({error})") from None


def with_ascii_host(url: str) -> str:
    """`url` with the host that is connected to; unchanged when that is ASCII already."""
    parts = urlsplit(url)
    if parts.netloc.isascii() or "@" in parts.netloc:
        return url
    port = parts.netloc.partition(":")[2]
    netloc = ascii_host(parts.hostname or "") + (f":{port}" if port else "")
    return url.replace(parts.netloc, netloc, 1)


def certificate_name(host: str) -> str:
    """The name that a certificate is for: without the final dot, which means the DNS root."""
    return host.removesuffix(".")


def is_same_target(one: str, other: str) -> bool:
    """Whether two URLs are spellings of one address."""
    return _canonical(one) == _canonical(other)


def _canonical(url: str) -> object:
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    port = DEFAULT_PORTS.get(parts.scheme) if port is None else port
    host = comparable_host(parts.hostname or "")
    return parts.scheme, host, port, parts.path or "/", parts.query


def comparable_host(host: str) -> str:
    """One spelling of a host, whichever way it is written; what is no host name stays as it is."""
    host = certificate_name(host.lower())
    with suppress(ValueError):
        return ascii_host(host)
    return host


def port_of(parts: SplitResult) -> int:
    """The port of an http or https URL, or that of its scheme."""
    return parts.port or DEFAULT_PORTS.get(parts.scheme, DEFAULT_PORTS["http"])


def quote_base_url(text: str) -> str:
    """Return what the user wrote, for an error message, as far as it cannot be a key.

    Keys are written in place of the address, in front of its host, or in its query.
    """
    if "://" not in text and not _HOST.fullmatch(text.strip()):
        return without_text(text) if text.strip() else repr(text)
    shown = _USERINFO.sub("//***@", text)
    return repr(re.sub(r"[?#].*", "?***", shown, flags=re.DOTALL))


def is_loopback(url: str) -> bool:
    """Whether the host is this machine by its very spelling: 127/8, ::1 or `localhost`."""
    host = certificate_name(urlsplit(url).hostname or "")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain_http(url: str) -> bool:
    """Whether the key would travel unencrypted."""
    return url.lower().startswith("http://")


_NOT_YET = {"ws": "WebSocket", "wss": "WebSocket", "grpc": "gRPC", "grpcs": "gRPC"}


def not_yet(url: str) -> str | None:
    """Return the reason for a target whose protocol is well known and not supported."""
    scheme = url.partition("://")[0].strip().lower()
    if scheme not in _NOT_YET:
        return None
    return f"{_NOT_YET[scheme]} ({scheme}://) is not supported yet, only http and https are"


def check_url(text: str) -> str:
    """Return the address of a target; raises UsageError for what can be none."""
    url = text.strip()
    try:
        check_http_url(url, credentials="put them into the profile's headers")
    except ValueError as problem:
        raise UsageError(
            f"--against: {sanitize(problem)}",
            hint="e.g. http://localhost:8081/",
        ) from None
    return url


def require_another(against: str | None, target: str | None) -> None:
    """Raise UsageError when the `target` of the profile is what `--against` names."""
    if against is not None and target and is_same_target(against, target):
        raise UsageError(
            "both targets are the same: nothing would be compared",
            hint="--against names the other version; to compare a target with itself, "
            "give one of the two another query",
        )
