"""Why an agent has no connection, in words for whoever watches it."""

from __future__ import annotations

import os
import re
import socket
import ssl

from websockets.exceptions import ConnectionClosed, InvalidMessage

from tm_cli.text import clean

_STOPS = frozenset({1001, 1012})
"""Codes with which a server that stops or restarts closes its connections."""

_CALM = 1000
_BROKEN = 1011
_NUMBER = re.compile(r"\[Errno ([0-9]{1,5})\]")


def why_closed(error: ConnectionClosed) -> str:
    """Say how an open connection came to its end."""
    if error.rcvd is None:
        return "it broke off"
    code, reason = error.rcvd.code, clean(error.rcvd.reason)
    if code in _STOPS:
        return "the server stops or restarts"
    said = f": {reason}" if reason else ""
    if code == _CALM:
        return f"the server closed it{said}"
    if code == _BROKEN:
        return f"the server ran into an error{said}"
    return f"the server closed it (code {code}{said})"


def why_not_opened(error: Exception, *, is_encrypted: bool) -> str:
    """Say why a connection could not be opened; `is_encrypted` is how it was tried."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"{clean(error.verify_message)} (TM_CA_FILE names certificates to trust)"
        case ssl.SSLError():
            reason = clean(getattr(error, "reason", None) or error)
            return f"no TLS came about ({reason}); does the server answer by http?"
        case InvalidMessage() if not is_encrypted:
            return "the answer was no HTTP; if the server has a certificate, try https"
        case TimeoutError() if error.errno is None:
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"the name of the host is not known ({clean(error.strerror)})"
    return _without_numbers(error) or clean(error) or type(error).__name__


def _without_numbers(error: Exception) -> str:
    """What the system says of each error number; a host with two addresses has two."""
    numbers = dict.fromkeys(_NUMBER.findall(str(error)))
    return " and ".join(os.strerror(int(number)).lower() for number in numbers)
