"""What can be a domain, which hosts it stands for, and whether a run needs one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tm_cli.server.targets import literal_refusal, plain
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.urls import ascii_host, comparable_host, is_loopback

_LONGEST = 253 - len("_trafficmorph-verify.")
"""The longest name that a name of its own can be put in front of."""
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_URL = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_EXPECTED = "expected a bare host name such as api.example.com, without scheme, port or path"


def read_domain(text: str) -> str:
    """Return a domain as it is stored: ASCII, lower case, without the final dot.

    Raises ValueError for what is no bare host name or address.
    """
    text = text.strip()
    if not text:
        raise ValueError("must not be blank")
    if (address := _address(text)) is not None:
        return _allowed(address)
    if _is_more_than_a_host(text):
        raise ValueError(f"{_EXPECTED}{_did_you_mean(text)}")
    if text.startswith("*."):
        raise ValueError(f"{text[2:]!r} alone covers all its subdomains; leave out the asterisk")
    try:
        name = ascii_host(text).removesuffix(".")
    except ValueError as problem:
        raise ValueError(str(problem)) from None
    labels = name.split(".")
    if not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise ValueError(f"{text!r} is not a host name; {_EXPECTED}")
    if len(name) > _LONGEST:
        raise ValueError(f"must have at most {_LONGEST} characters")
    return _allowed(name)


def _is_more_than_a_host(text: str) -> bool:
    return _URL.match(text) is not None or any(mark in text for mark in "/:?#@[]%\\")


def is_address(domain: str) -> bool:
    return _address(domain) is not None


def covers(domain: str, host: str) -> bool:
    """A name covers itself and all names below it, an address itself alone."""
    return host == domain or (
        host.endswith(f".{domain}") and not is_address(domain) and not is_address(host)
    )


@dataclass(frozen=True, slots=True)
class DomainRule:
    """Whether load may be sent to a host; `verified` tells the domains that are."""

    verified: Callable[[], Iterable[str]]
    required: bool = False

    def check(self, url: str, addresses: Collection[str] | None) -> None:
        """Raise `Refusal` for a host that no verified domain covers, where one is required.

        This machine itself needs none: a host whose addresses are all loopback, or, where an agent
        resolves it, one that is written so.
        """
        if not self.required or _is_this_machine(url, addresses):
            return
        host = comparable_host(urlsplit(url).hostname or "")
        host = _address(host) or host
        if not any(covers(domain, host) for domain in self.verified()):
            raise Refusal(
                f"targetUrl cannot be used: no verified domain covers {host}; "
                f"`tm domains add {host}` begins its verification"
            )


def _is_this_machine(url: str, addresses: Collection[str] | None) -> bool:
    if addresses is None:
        return is_loopback(url)
    found = [plain(ipaddress.ip_address(text.partition("%")[0])) for text in addresses]
    return bool(found) and all(address.is_loopback for address in found)


def _address(text: str) -> str | None:
    """The one spelling of an address; None for a name."""
    with suppress(ValueError):
        if "%" not in text:  # a zone is meaningful on one machine only
            return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    return None


def _allowed(domain: str) -> str:
    if refusal := literal_refusal(domain):
        raise ValueError(refusal)
    return domain


def _did_you_mean(text: str) -> str:
    with suppress(ValueError):
        host = urlsplit(text if "//" in text else f"//{text}").hostname
        if host and not _is_more_than_a_host(host):
            return f"; did you mean {read_domain(host)}?"
    return ""
