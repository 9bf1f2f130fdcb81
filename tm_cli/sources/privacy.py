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
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

_SECRET_NAME = re.compile(
    r"passw(or)?d|pass(phrase|code)?$|^pwd?$|secret|token|api.?key|^key$|auth(?!ors?([^a-z]|$))"
    r"|(access|private|subscription|functions|account|master|encryption|license).?key"
    r"|session|^sid$|csrf|xsrf|jwt|bearer|cookie|saml|assertion"
    r"|credential|signature|^sig$|^otp|^pin$|pin.?code|^code$|(verification|mfa|sms).?code|cvc|cvv",
    re.IGNORECASE,
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_KEY = re.compile(  # keys that services mark by how they begin
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)_(?:live|test)_\w{8,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,})"
)
_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_IPV6 = re.compile(
    r"(?<![\w:])(?=[0-9a-fA-F:]*\d)(?:(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
    r"|(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6})(?![\w:])"
)
_NAMED_IN_TEXT = (
    re.compile(
        r"""(?<![\w$.-])(?P<name>[\w.-]{1,100})\\?["']?\s*[:=]\s*\\?["'](?P<value>[^"'\\$]+)"""
    ),
    re.compile(r"(?<![\w$.-])(?P<name>[\w.-]{1,100})=(?P<value>[^\s\"'&;,<>$]+)"),
    re.compile(r"<(?P<name>[\w:.-]{1,100})(?:\s[^<>]{0,500})?>(?P<value>[^<$]+)</"),
    re.compile(
        r'[;\s]name="(?P<name>[^"\r\n]{1,100})"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n){0,5}\r?\n'
        r"(?P<value>[^\r\n]+)"
    ),
)
"""A name and its value in code, in text, in XML, and in a part of a form."""
_PERSONAL = {
    "email": "user@example.com",
    "mail": "user@example.com",
    "emailaddress": "user@example.com",
    "phone": "+15550100",
    "phonenumber": "+15550100",
    "telephone": "+15550100",
    "mobile": "+15550100",
    "mobilenumber": "+15550100",
    "tel": "+15550100",
    "firstname": "Ada",
    "givenname": "Ada",
    "lastname": "Example",
    "familyname": "Example",
    "fullname": "Ada Example",
    "surname": "Example",
    "username": "user",
    "street": "1 Example Street",
    "address": "1 Example Street",
    "addressline": "1 Example Street",
    "postcode": "12345",
    "postalcode": "12345",
    "zipcode": "12345",
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
_HEADER_NAME = re.compile(r"[!#%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TEMPLATES = (
    re.compile(r"\d+"),
    re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE),
    re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE),
    re.compile(r"(?=.*\d)[\w-]{16,}"),
    _EMAIL,
)


def is_secret(name: str) -> bool:
    """Whether a value of this name is likely to be a secret."""
    return _SECRET_NAME.search(name) is not None


HIDDEN = "***"


def mask_secrets(value: Any, name: str = "") -> Any:
    """A JSON value for people and logs: what is likely to be a secret is `***`.

    A name holds for all that is in its value.
    """
    match value:
        case dict():
            pair = value.get("name") if "value" in value else None  # of a list of headers
            return {
                key: mask_secrets(
                    item, name if is_secret(name) else str(pair if key == "value" else key)
                )
                for key, item in value.items()
            }
        case list() | tuple():
            return [mask_secrets(item, name) for item in value]
        case str() | int() | float() if is_secret(name):
            return HIDDEN
        case str():
            return _masked(value)
    return value


_USER = re.compile(r"(?<=://)[^/?#@\s]+(?=@)")


def _masked(text: str) -> str:
    for pattern in (_USER, _JWT, _KEY):
        text = pattern.sub(HIDDEN, text)
    for pattern in _NAMED_IN_TEXT:
        text = pattern.sub(_masked_name, text)
    return text


def _masked_name(found: re.Match[str]) -> str:
    if not is_secret(found["name"]):
        return found[0]
    begin, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found[0][:begin] + HIDDEN + found[0][end:]


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
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            continue  # no client can send it
        found[name] = _header_value(lowered, value)
    return found


def _header_value(name: str, value: str) -> str:
    if name == "authorization":
        scheme, _, rest = value.partition(" ")
        return f"{scheme} {placeholder('TOKEN')}" if rest else placeholder("AUTHORIZATION")
    return placeholder(name) if _SECRET_NAME.search(name) else clean_text(value)


def clean_text(text: str) -> str:
    """A text with example values in the place of addresses, card numbers and tokens.

    What has the form of a placeholder in the source is text: it must not be filled in.
    """
    text = text.replace("${", "$${")
    for pattern in _NAMED_IN_TEXT:
        text = pattern.sub(_clean_named, text)
    text = _KEY.sub("${API_KEY}", _JWT.sub("${TOKEN}", text))
    text = _EMAIL.sub("user@example.com", text)
    text = _CARD.sub(_clean_card, text)
    return _IPV6.sub("2001:db8::1", _IP.sub("192.0.2.1", text))


def _clean_named(found: re.Match[str]) -> str:
    value = _by_name(found["name"])
    if value is None:
        return found[0]
    begin, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found[0][:begin] + value + found[0][end:]


def _clean_card(found: re.Match[str]) -> str:
    digits = [int(char) for char in found[0] if char.isdigit()]
    doubled = [d if at % 2 else sum(divmod(2 * d, 10)) for at, d in enumerate(digits[::-1], 1)]
    return "4111111111111111" if sum(doubled) % 10 == 0 else found[0]


def clean_url(url: str) -> str:
    """A URL without credentials and fragment, whose query has no secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = _sendable(clean_text(without_markers(parts.path)))
    return urlunsplit((parts.scheme, host, path, clean_pairs(parts.query), ""))


def without_markers(text: str) -> str:
    """Part of a URL in which nothing begins a placeholder or a macro."""
    return re.sub(r"\$(?=[${])", "%24", text)


def _sendable(text: str) -> str:
    """Part of a URL or form as it is written, but for what has to be percent-encoded."""
    return quote(text, safe="/?%{}:@!$&'()*+,;=~")


def quoted(text: str) -> str:
    """A cleaned text, percent-encoded except for slashes and the placeholders of `clean_text`."""
    parts = re.split(r"(?<!\$)(\$\{[A-Z_][A-Z0-9_]*\})", text)
    return "".join(
        part if at % 2 else quote(part.replace("$${", "${")) for at, part in enumerate(parts)
    )


def clean_pairs(text: str) -> str:
    """A query, or a form: pairs without secrets stay as they are written."""
    return "&".join(_clean_pair(without_markers(pair)) for pair in text.split("&"))


def _clean_pair(pair: str) -> str:
    name, separator, encoded = pair.partition("=")
    value = unquote_plus(encoded)
    cleaned = _clean_value(unquote_plus(name), value)
    return f"{_sendable(name)}{separator}" + (
        _sendable(encoded) if cleaned == value else quoted(cleaned)
    )


def clean_body(body: str) -> str:
    """A body without secrets: JSON and form data by their names, other text by its form."""
    try:
        document = json.loads(body)
        if isinstance(document, dict | list):
            cleaned = _clean_document(document)
            return body if cleaned == document else json.dumps(cleaned, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    if re.fullmatch(r"[^\s=&]+=[^\s&]*(&[^\s=&]+=[^\s&]*)*", body):
        return clean_pairs(body)
    return clean_text(body)


def _clean_document(value: Any, name: str = "") -> Any:
    """Names hold for what is in a list or, of a secret, in an object as well."""
    match value:
        case dict():
            is_secret = _SECRET_NAME.search(name)
            return {
                key.replace("${", "$${"): _clean_document(item, name if is_secret else key)
                for key, item in value.items()
            }
        case list():
            return [_clean_document(item, name) for item in value]
        case str() | int() | float() if not isinstance(value, bool):
            cleaned = _clean_value(name, str(value))
            return value if cleaned == str(value) else cleaned
    return value


def _clean_value(name: str, value: str) -> str:
    return (_by_name(name) or clean_text(value)) if value else value


def _by_name(name: str) -> str | None:
    """What stands for a value of this name; None where the name says nothing."""
    if _SECRET_NAME.search(name):
        return placeholder(name)
    plain = re.sub(r"[^a-z]", "", name.lower())
    return _PERSONAL.get(plain) or next(
        (example for word, example in _PERSONAL.items() if len(word) > 4 and plain.endswith(word)),
        None,
    )


def template_of(path: str) -> str:
    """The path with `$$id$$` in the place of each part that looks like the id of something."""
    parts = path.split("/")
    return "/".join(
        "$$id$$"
        if part and not part.isalpha() and any(each.fullmatch(part) for each in _TEMPLATES)
        else part
        for part in parts
    )


ASSET = re.compile(
    r"\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp4|webm|mp3|wasm)$",
    re.IGNORECASE,
)
"""How the path of a static file ends."""
