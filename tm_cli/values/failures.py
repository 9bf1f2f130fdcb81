"""What the names of failed requests mean; the names are those of Python's and tm's exceptions."""

from __future__ import annotations

UNEXPECTED_STATUS = "UnexpectedStatus"
"""The name of a failure, with the status behind it: there was a response."""
CHECK_FAILED = "CheckFailed"
"""The name of a failure, with the check behind it: there was a response."""
LOCUSTFILE_ERROR = "LocustfileError"
"""The name of a failure, with the exception behind it: one of the user's own code."""
TARGET_REFUSED = "TargetRefused"
"""The name of a failure: a locustfile wanted to connect to an address that is not allowed."""
EXTRACTION_FAILED = "ExtractionFailed"
"""The name of a failure, with the variable behind it: there was a response."""
MISSING_VALUE = "MissingValue"
"""The name of a failure, with the macro behind it: no request was sent."""
NOT_LOST = (
    *(UNEXPECTED_STATUS, CHECK_FAILED, EXTRACTION_FAILED, MISSING_VALUE, "BadValue"),
    *("RedirectRefused", "TooManyRedirects", LOCUSTFILE_ERROR, TARGET_REFUSED),
)
"""The beginnings of the names of failures that say nothing about connections and answers lost."""

_MEANINGS = {
    "ConnectionRefusedError": "nothing listens at the target's address and port",
    "TimeoutError": "no connection or no complete response within the time of a request",
    "gaierror": "the name of the target does not resolve",
    "OSError": "there is no way to the target's address, or this machine has no free connection",
    "ConnectionResetError": "the target broke the connection off",
    "BrokenPipeError": "the target closed the connection while it was sent a request",
    "HTTPConnectionClosed": "the target closed the connection without a response",
    "HTTPParseError": "the response is not HTTP/1.1 (HTTP/2? TLS?), or ends in the middle",
    "SpeaksHTTP2": "the target answers in HTTP/2; `httpVersion: 2` in the document sends it that",
    "NoHTTP2": "the target did not agree to HTTP/2 during the TLS handshake",
    "HTTP2ProtocolError": "what the target sends is not HTTP/2, or breaks its rules",
    "StreamReset": "the target broke the answer off with this error code of HTTP/2",
    "GoAway": "the target ended the connection with this error code of HTTP/2",
    "Unprocessed": "the target refused to look at the request, several times",
    "SSLCertVerificationError": (
        "the certificate is of an unknown authority (TM_CA_FILE names one to trust), has expired, "
        "or is for another name"
    ),
    "SSLError": (
        "the TLS handshake failed; does the target use plain http, or want a client certificate?"
    ),
    "SSLEOFError": "the target closed the connection during the TLS handshake",
    UNEXPECTED_STATUS: "the status is none of gate.expectStatus",
    CHECK_FAILED: "the answer did not pass a check",
    LOCUSTFILE_ERROR: (
        "the code of the locustfile has raised an exception; the server's log has the line "
        "(`tm serve` shows it)"
    ),
    TARGET_REFUSED: (
        "the locustfile wanted to connect to an address that it may not load; "
        "TM_ALLOW_PUBLIC_TARGETS=true permits public ones"
    ),
    "JourneyTimeout": "the visitor took longer than the locustfile's `timeout`",
    EXTRACTION_FAILED: "the answer lacks a value that a later step needs",
    MISSING_VALUE: "not sent: a value that an earlier step extracts is missing",
    "BadValue": "not sent: a value cannot stand where its macro is, as a line break in a header",
    "RedirectRefused": "a redirect to another host, port or scheme, where no load may be sent",
    "TooManyRedirects": "more redirects than followRedirects allows",
}


_BY_NAME = {
    "status": (UNEXPECTED_STATUS, "RedirectRefused", "TooManyRedirects"),
    "check": (CHECK_FAILED, EXTRACTION_FAILED, MISSING_VALUE, "BadValue", LOCUSTFILE_ERROR),
}


def error_class(code: str) -> str | None:
    """Return the class of an error: 4xx, 5xx, status, check, timeout or connection.

    `code` is a status, the name of a failure, or either of them behind the name of a step, as in
    `checkout: 503`. None for a status that is no error.
    """
    for name, beginnings in _BY_NAME.items():
        if any(code.startswith(each) or f": {each}" in code for each in beginnings):
            return name
    error = code.rpartition(": ")[2]
    if not (error.isascii() and error.isdigit()):
        return "timeout" if "timeout" in error.lower() else "connection"
    return None if int(error) < 400 else "4xx" if int(error) < 500 else "5xx"


def failure_meaning(name: str) -> str | None:
    """Return the sentence for the name of a failure, None for one that is rare."""
    found = (_MEANINGS.get(each.partition(" ")[0]) for each in name.split(": "))
    return next((sentence for sentence in found if sentence), None)
