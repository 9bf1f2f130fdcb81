"""Why an agent has no connection, in plain words."""

import errno
import os
import socket
import ssl

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidMessage
from websockets.frames import Close

from tm_cli.server.agent.server_connection import why_closed, why_not_opened

NO_ROUTE = os.strerror(errno.EHOSTUNREACH).lower()


@pytest.mark.parametrize(
    ("close", "said"),
    [
        (None, "connection lost"),
        (Close(1012, ""), "the server is stopping or restarting"),
        (Close(1001, "bye"), "the server is stopping or restarting"),
        (Close(1000, ""), "the server closed it"),
        (Close(1011, "a\x1b[31m bug"), "the server ran into an error: a [31m bug"),
        (Close(1008, "no"), "the server closed it (code 1008: no)"),
    ],
)
def test_end_of_a_connection_is_explained(close, said):
    kind = ConnectionClosedOK if close and close.code == 1000 else ConnectionClosedError
    assert why_closed(kind(close, close, True if close else None)) == said


@pytest.mark.parametrize(
    ("error", "is_encrypted", "said"),
    [
        (TimeoutError("timed out during opening handshake"), False, "timed out"),
        (InvalidMessage("did not receive a valid HTTP response"), False, "use https"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), True, "use plain http?"),
        (socket.gaierror(-2, "Name or service not known"), True, "Name or service not known"),
        (OSError(errno.ECONNREFUSED, "Connect call failed"), True, "connection refused"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed"), True, NO_ROUTE),
        (OSError(f"Multiple exceptions: [Errno {errno.EHOSTUNREACH}] a, b"), True, NO_ROUTE),
        (EOFError(), False, "EOFError"),
    ],
)
def test_connection_that_did_not_open_says_what_to_try(error, is_encrypted, said):
    told = why_not_opened(error, is_encrypted=is_encrypted)
    assert said in told
    assert "Errno" not in told
