"""The error boundary and the only exit of tm."""

from __future__ import annotations

import os
import sys

from tm_cli import VERSION_LINE
from tm_cli.runtime.child_environment import clean_import_path
from tm_cli.runtime.standard_streams import guard_standard_streams

TYPE_CHECKING = False  # importing typing would take a third of the time of `tm --version`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from tm_cli.runtime.environment import Environment


def run() -> None:
    """Run the console script; it ends with an exit code of tm, whatever happens."""
    clean_import_path()
    output = guard_standard_streams()
    try:
        code = main()
    except KeyboardInterrupt:  # before there was a handler
        code = 130
    except Exception as error:  # before errors become messages: a broken installation
        # Of another error the text is not known, and may hold a key.
        detail = f": {error}" if isinstance(error, (ImportError, OSError)) else ""
        sys.stderr.write(f"tm: internal error: {type(error).__name__}{detail}\n")
        sys.stderr.write("hint: install tm again; if that does not help, please report this\n")
        code = 70
    if output is not None and output.is_lost():  # success requires that the result was written
        sys.stderr.write("tm: the result could not be written to standard output\n")
        code = code or 73
    sys.exit(code)


def main(argv: Sequence[str] | None = None, context: Environment | None = None) -> int:
    """Run tm once and return its exit code, which `exit_codes.ExitCode` lists."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"] and context is None:  # nothing else is imported for this
        print(VERSION_LINE, flush=True)  # noqa: T201
        return 0
    if context is None:
        _exit_on_signals()
    from tm_cli.cli.error_handler import run_guarded

    return run_guarded(arguments, context)


def _exit_on_signals() -> None:
    """Let a signal end tm with its exit code while its modules are still being imported."""
    import signal

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            try:
                signal.signal(number, _exit)
            except ValueError:  # not the main thread
                return


def _exit(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
