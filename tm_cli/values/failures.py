"""What the names of failed requests mean; the names are those of Python's and tm's exceptions."""

from __future__ import annotations

UNEXPECTED_STATUS = "UnexpectedStatus"
"""The name of a failure, with the status behind it: there was a response."""
CHECK_FAILED = "CheckFailed"
"""The name of a failure, with the check behind it: there was a response."""

_MEANINGS = {
    "ConnectionRefusedError": "nothing listens at the target's address and port",
    "TimeoutError": "no connection or no complete response within the time of a request",
    "gaierror": "the name of the target does not resolve",
    "OSError": "there is no way to the target's address, or this machine has no free connection",
    "ConnectionResetError": "the target broke the connection off",
    "BrokenPipeError": "the target closed the connection while it was sent a request",
    "HTTPConnectionClosed": "the target closed the connection without a response",
    "HTTPParseError": "the response is not HTTP/1.1 (HTTP/2? TLS?), or ends in the middle",
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
}


def failure_meaning(name: str) -> str | None:
    """Return the sentence for the name of a failure, None for one that is rare."""
    return _MEANINGS.get(name.partition(" ")[0])
