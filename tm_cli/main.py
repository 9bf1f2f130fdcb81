"""The error boundary and the only exit of tm."""

from __future__ import annotations

import sys

from tm_cli import __version__
from tm_cli.children import clean_import_path

TYPE_CHECKING = False  # importing typing would take a third of the time of `tm --version`
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tm_cli.context import AppContext

VERSION_LINE = f"tm {__version__} (spec v1)"


def run() -> None:
    """Run the console script."""
    clean_import_path()
    sys.exit(main())


def main(argv: Sequence[str] | None = None, context: AppContext | None = None) -> int:
    """Run tm once and return its exit code, which `exit_codes.ExitCode` lists."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"] and context is None:  # nothing else is imported for this
        return _print_version()
    from tm_cli.boundary import run_guarded

    return run_guarded(arguments, context)


def _print_version() -> int:
    try:
        print(VERSION_LINE, flush=True)  # noqa: T201
    except OSError:
        return 73
    return 0
