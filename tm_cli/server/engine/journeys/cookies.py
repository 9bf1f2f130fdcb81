"""The cookies of one visitor, by RFC 6265 as far as a visit of a few minutes needs it."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

MOST_COOKIES = 50
LONGEST_COOKIE = 4096
"""Characters of name and value."""
_DIGITS = re.compile(r"-?[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie; `is_host_only` ones are not sent to subdomains. `expires` is a Unix time."""

    name: str
    value: str
    domain: str
    path: str
    is_host_only: bool
    is_secure: bool
    expires: float | None

    def is_for(self, host: str, path: str, *, is_tls: bool) -> bool:
        return (
            (host == self.domain or (not self.is_host_only and _is_below(host, self.domain)))
            and _is_under(path, self.path)
            and (is_tls or not self.is_secure)
        )


class CookieJar:
    """Keeps what the target sets, and says what is sent with a request."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def take(self, values: Iterable[str], host: str, path: str, *, is_tls: bool) -> None:
        """Keep the cookies of `Set-Cookie` fields in an answer to a request of this path."""
        for value in values:
            cookie = _parsed(value, host, path.partition("?")[0], self._now())
            if cookie is None or (cookie.is_secure and not is_tls):
                continue
            key = cookie.name, cookie.domain, cookie.path
            older = self._cookies.pop(key, None)
            if cookie.expires is not None and cookie.expires <= self._now():
                continue
            if len(self._cookies) < MOST_COOKIES or older:
                self._cookies[key] = cookie

    def header(self, host: str, path: str, *, is_tls: bool) -> str:
        """The value of `Cookie` for a request; empty without cookies."""
        if not self._cookies:
            return ""
        now, path = self._now(), path.partition("?")[0]
        found = [
            cookie
            for cookie in self._cookies.values()
            if cookie.is_for(host, path, is_tls=is_tls)
            and (cookie.expires is None or cookie.expires > now)
        ]
        found.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in found)


def _parsed(text: str, host: str, path: str, now: float) -> Cookie | None:
    """The cookie of one `Set-Cookie` field; None for one that a browser would ignore."""
    pair, *rest = text.split(";")
    name, separator, value = (part.strip() for part in pair.partition("="))
    if not separator or not name or len(pair) > LONGEST_COOKIE:
        return None
    given: dict[str, str] = {}
    for attribute in rest:
        key, _, setting = attribute.partition("=")
        given[key.strip().lower()] = setting.strip()
    domain = given.get("domain", "").lstrip(".").lower()
    if domain and domain != host and not ("." in domain and _is_below(host, domain)):
        return None
    own_path = given.get("path", "")
    return Cookie(
        name=name,
        value=value,
        domain=domain or host,
        path=own_path if own_path.startswith("/") else _default_path(path),
        is_host_only=not domain,
        is_secure="secure" in given,
        expires=_expiry(given, now),
    )


def _expiry(given: dict[str, str], now: float) -> float | None:
    """When a cookie ends; `Max-Age` counts before `Expires`, and what is invalid does not."""
    if _DIGITS.fullmatch(given.get("max-age", "")):
        return now + int(given["max-age"])
    try:
        return parsedate_to_datetime(given["expires"].replace("-", " ")).timestamp()
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return None


def _default_path(path: str) -> str:
    """The directory of a request's path."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def _is_below(host: str, domain: str) -> bool:
    if not host.endswith(f".{domain}"):
        return False
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


def _is_under(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent if parent.endswith("/") else parent + "/")
