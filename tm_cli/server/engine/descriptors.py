"""The process's file descriptors."""

import os
import sys

_SPARE = 64  # descriptors in addition to the connections


def claim_stdout() -> int:
    """A descriptor for events alone; other output goes to standard error from now on."""
    events = os.dup(sys.stdout.fileno())
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def allow(connections: int) -> None:
    """Raise this process's limit of open files if so many connections need it.

    OSError if the system's hard limit is lower.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"{connections} slots need {wanted} open files, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
