"""What each exit code of `tm` means; `docs/exit-codes.md` is tied to this list by a test."""

from enum import IntEnum, unique


@unique
class ExitCode(IntEnum):
    """The exit codes of every command; 2 to 4 come from nothing but a verdict."""

    OK = 0
    ERROR = 1
    FAIL = 2
    WARN = 3
    NO_BASELINE = 4
    UNDECIDED = 5
    WAIT_TIMEOUT = 6
    START_UNKNOWN = 7
    REFUSED = 8
    USAGE = 64
    UNAVAILABLE = 69
    INTERNAL = 70
    OUTPUT = 73
    AUTHENTICATION = 77
    CONFIGURATION = 78
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]

    @property
    def advice(self) -> str:
        """What to do about it, in one line."""
        return _ADVICE[self]


_MEANINGS = {
    ExitCode.OK: "done; for a gate: the verdict of this run is known and not in --fail-on",
    ExitCode.ERROR: "an error without a code of its own",
    ExitCode.FAIL: "the verdict is FAIL, and FAIL is in --fail-on; or a check or limit failed",
    ExitCode.WARN: "the verdict is WARN, and WARN is in --fail-on",
    ExitCode.NO_BASELINE: "the verdict is NO_BASELINE, and NO_BASELINE is in --fail-on",
    ExitCode.UNDECIDED: "the run ended, but no verdict could be tied to it in time",
    ExitCode.WAIT_TIMEOUT: "the run was still running at --wait-timeout",
    ExitCode.START_UNKNOWN: "the start may or may not have happened; it was not repeated",
    ExitCode.REFUSED: "the server answered and did not start the run",
    ExitCode.USAGE: "wrong flags or values; nothing was sent",
    ExitCode.UNAVAILABLE: "the server could not be reached; nothing was started",
    ExitCode.INTERNAL: "a bug in tm",
    ExitCode.OUTPUT: "the gate passed, but its result could not be written",
    ExitCode.AUTHENTICATION: "the server refused the API key (401, 403)",
    ExitCode.CONFIGURATION: "a bad setting or file",
    ExitCode.HANGUP: "ended by SIGHUP before a decision",
    ExitCode.INTERRUPTED: "ended by Ctrl-C (SIGINT) before a decision",
    ExitCode.TERMINATED: "ended by SIGTERM before a decision",
}

_ADVICE = {
    ExitCode.OK: "none",
    ExitCode.ERROR: "read the message",
    ExitCode.FAIL: "read the reasons; `tm history show` has the details",
    ExitCode.WARN: "read the reasons; `tm history show` has the details",
    ExitCode.NO_BASELINE: "run it once where it should pass",
    ExitCode.UNDECIDED: "check the history; start again if the run was stopped or replaced",
    ExitCode.WAIT_TIMEOUT: "raise the limit, or wait again with the printed `tm runs wait`",
    ExitCode.START_UNKNOWN: "check with `tm runs status` before starting another run",
    ExitCode.REFUSED: "read the server's reason: a limit, a target, an unknown profile",
    ExitCode.USAGE: "correct the command line",
    ExitCode.UNAVAILABLE: "`tm doctor` finds the cause; try again later",
    ExitCode.INTERNAL: "report it with the printed lines",
    ExitCode.OUTPUT: "free the disk, check the path",
    ExitCode.AUTHENTICATION: "check the key",
    ExitCode.CONFIGURATION: "`tm config show` shows where each value comes from",
    ExitCode.HANGUP: "wait again, unless the message reports that the run was stopped",
    ExitCode.INTERRUPTED: "wait again, unless the message reports that the run was stopped",
    ExitCode.TERMINATED: "wait again, unless the message reports that the run was stopped",
}
