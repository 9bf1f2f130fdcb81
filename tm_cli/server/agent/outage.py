"""Messages about an agent's lost or refused connection."""

from __future__ import annotations

import os
import re
import socket
import ssl

from websockets.exceptions import ConnectionClosed, InvalidMessage

from tm_cli.text import clean

_STOPS = frozenset({1001, 1012})
"""Codes with which a server that stops or restarts closes its connections."""

_NORMAL = 1000
_INTERNAL_ERROR = 1011
_NUMBER = re.compile(r"\[Errno ([0-9]{1,5})\]")


def why_closed(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "connection lost"
    code, reason = error.rcvd.code, clean(error.rcvd.reason)
    if code in _STOPS:
        return "the server is stopping or restarting"
    detail = f": {reason}" if reason else ""
    if code == _NORMAL:
        return f"the server closed it{detail}"
    if code == _INTERNAL_ERROR:
        return f"the server ran into an error{detail}"
    return f"the server closed it (code {code}{detail})"


def why_not_opened(error: Exception, *, is_encrypted: bool) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"{clean(error.verify_message)} (TM_CA_FILE names certificates to trust)"
        case ssl.SSLError():
            reason = clean(getattr(error, "reason", None) or error)
            return f"the TLS handshake failed ({reason}); does the server use plain http?"
        case InvalidMessage() if not is_encrypted:
            return "the response was not HTTP; if the server has a certificate, use https"
        case TimeoutError() if error.errno is None:
            return "timed out"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"unknown host name ({clean(error.strerror)})"
    return _without_numbers(error) or clean(error) or type(error).__name__


def _without_numbers(error: Exception) -> str:
    """The system's message for each error number; a host with two addresses has two."""
    numbers = dict.fromkeys(_NUMBER.findall(str(error)))
    return " and ".join(os.strerror(int(number)).lower() for number in numbers)
