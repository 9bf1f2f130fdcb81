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
    "BadValue": "a value cannot stand where its macro is, such as a line break in a header",
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
}


def failure_meaning(name: str) -> str | None:
    """Return the sentence for the name of a failure, None for one that is rare."""
    return _MEANINGS.get(name.partition(" ")[0])
