"""How many connections this process has file descriptors for."""

from __future__ import annotations

import sys
from contextlib import suppress

MAX_CONNECTIONS = 512
_WANTED = 4096
_OWN = 32  # standard streams, database, event loop, listeners, libraries
_MIN = 8


def connections_allowed() -> int:
    """Raise the soft limit of open files where allowed; return how many connections that permits.

    Connections get at most half: the database must be able to open its journal, and the load
    generators need pipes, however many clients there are.
    """
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems have a lower limit of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(_MIN, (soft - _OWN) // 2))
