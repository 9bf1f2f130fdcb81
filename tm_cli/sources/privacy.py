"""Replaces secrets and personal data in requests that were recorded.

A secret becomes a placeholder such as `${AUTHORIZATION}`, whose value comes with the start of a
run. What is personal becomes an example value. Both are recognised by names and by form; what looks
like neither stays, so a document should be read before it is shared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|^pwd$|secret|token|api.?key|^key$|auth|session|^sid$|csrf|xsrf|jwt"
    r"|credential|signature|^sig$|^otp$|^pin$|^code$|cvc|cvv",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_PERSONAL = {
    "email": "user@example.com",
    "mail": "user@example.com",
    "phone": "+15550100",
    "mobile": "+15550100",
    "tel": "+15550100",
    "firstname": "Ada",
    "lastname": "Example",
    "fullname": "Ada Example",
    "surname": "Example",
    "street": "1 Example Street",
    "address": "1 Example Street",
    "birthday": "1990-01-01",
    "birthdate": "1990-01-01",
    "dateofbirth": "1990-01-01",
    "iban": "GB33BUKB20201555555555",
    "cardnumber": "4111111111111111",
    "ssn": "000-00-0000",
}
_LEFT_OUT = {
    "host", "connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te",
    "trailer", "expect", "proxy-connection", "accept-encoding", "cookie", "user-agent", "origin",
    "referer", "dnt", "pragma", "cache-control", "if-none-match", "if-modified-since", "priority",
    "upgrade-insecure-requests", "x-forwarded-for", "x-real-ip", "forwarded",
}  # fmt: skip
_TEMPLATES = (
    re.compile(r"\d+"),
    re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE),
    re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE),
    re.compile(r"(?=.*\d)[\w-]{16,}"),
    _EMAIL,
)


def placeholder(name: str) -> str:
    """The placeholder for a secret of this name: `x-api-key` is `${X_API_KEY}`."""
    word = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "SECRET"
    return "${" + (word if word[0].isalpha() else f"_{word}")[:60] + "}"


def clean_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that a load test should send, without secrets."""
    found = {}
    for name, value in headers.items():
        lowered = name.lower()
        if lowered in _LEFT_OUT or lowered.startswith((":", "sec-")):
            continue
        found[name] = _header_value(lowered, value)
    return found


def _header_value(name: str, value: str) -> str:
    if name == "authorization":
        scheme, _, rest = value.partition(" ")
        return f"{scheme} {placeholder('TOKEN')}" if rest else placeholder("AUTHORIZATION")
    return placeholder(name) if _SECRET_NAME.search(name) else clean_text(value)


def clean_text(text: str) -> str:
    """A text with example values in the place of addresses, card numbers and tokens."""
    text = _JWT.sub(placeholder("TOKEN"), text)
    text = _EMAIL.sub("user@example.com", text)
    text = _CARD.sub(_clean_card, text)
    return _IP.sub("192.0.2.1", text).replace("$${", "$ {")


def _clean_card(found: re.Match[str]) -> str:
    digits = [int(char) for char in found[0] if char.isdigit()]
    doubled = [d if at % 2 else sum(divmod(2 * d, 10)) for at, d in enumerate(digits[::-1], 1)]
    return "4111111111111111" if sum(doubled) % 10 == 0 else found[0]


def clean_url(url: str) -> str:
    """A URL without credentials and fragment, whose query has no secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(name, _clean_value(name, value)) for name, value in pairs], quote_via=quote)
    query = query.replace("%24%7B", "${").replace("%7D", "}")
    return urlunsplit((parts.scheme, host, clean_text(parts.path), query, ""))


def clean_body(body: str) -> str:
    """A body without secrets: JSON and form data by their names, other text by its form."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict | list):
        return json.dumps(_clean_document(document), ensure_ascii=False)
    if re.fullmatch(r"[^\s=&]+=[^\s&]*(&[^\s=&]+=[^\s&]*)*", body):
        pairs = [(name, _clean_value(name, value)) for name, value in parse_qsl(body, True)]
        return urlencode(pairs, quote_via=quote).replace("%24%7B", "${").replace("%7D", "}")
    return clean_text(body)


def _clean_document(value: Any, name: str = "") -> Any:
    match value:
        case dict():
            return {key: _clean_document(item, str(key)) for key, item in value.items()}
        case list():
            return [_clean_document(item, name) for item in value]
        case str() | int() | float() if not isinstance(value, bool):
            cleaned = _clean_value(name, str(value))
            return value if cleaned == str(value) else cleaned
    return value


def _clean_value(name: str, value: str) -> str:
    if not value:
        return value
    if _SECRET_NAME.search(name):
        return placeholder(name)
    plain = re.sub(r"[^a-z]", "", name.lower())
    return _PERSONAL.get(plain) or clean_text(value)


def template_of(path: str) -> str:
    """The path with `$$id$$` in the place of each part that looks like the id of something."""
    parts = path.split("/")
    return "/".join(
        "$$id$$" if part and any(each.fullmatch(part) for each in _TEMPLATES) else part
        for part in parts
    )


ASSET = re.compile(
    r"\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp4|webm|mp3|wasm)$",
    re.IGNORECASE,
)
"""How the path of a static file ends."""
