"""Names of files, out of whatever a profile or an address is called. Pure."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

USUAL = "load-test"

_RESERVED = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9]")
"""Windows gives these to devices, whatever their suffix."""
_AT_HOME = (".local", ".internal", ".lan", ".home.arpa", ".localhost", ".test")


def stem(name: str) -> str:
    """Return `name` as the beginning of a file name: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")
    if not words:
        return USUAL
    return f"load-{words}" if _RESERVED.fullmatch(words) else words


def document_path(name: str) -> str:
    """Return the file of the profile called `name`."""
    return f"{stem(name)}.yaml"


def name_from(url: str) -> str:
    """Return a name for a load test of `url`: the last word of its path."""
    words = [word for word in urlsplit(url).path.split("/") if word]
    return stem(words[-1].partition(".")[0]) if words else USUAL


def is_here(url: str) -> bool:
    """Whether the target is on the machine that sends the load."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_public(url: str) -> bool:
    """Whether the target may have a public address, judged by its spelling alone."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_AT_HOME)
