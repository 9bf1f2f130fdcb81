"""What the terminal can show."""

from __future__ import annotations

from tm_cli.diagnosis.finding import CheckResult, ok, warning
from tm_cli.terminal import Terminal


def examine_terminal(terminal: Terminal) -> CheckResult:
    """Say what the streams are; whoever reads `tm doctor > file` has no terminal there."""
    encoding = getattr(terminal.out, "encoding", None) or "unknown"
    words = [
        "results on a terminal" if terminal.out_is_terminal else "results into a pipe or file",
        "progress is redrawn" if terminal.live else "progress line by line",
        f"{terminal.width} columns",
        "colour" if terminal.out_color or terminal.err_color else "no colour",
        encoding,
    ]
    facts = {"encoding": encoding, "width": terminal.width, "live": terminal.live}
    if _speaks_utf8(encoding):
        return ok("terminal", ", ".join(words), **facts)
    fix = "set PYTHONUTF8=1, or a UTF-8 locale: charts and bars come out as escapes"
    return warning("terminal", ", ".join(words), fix, **facts)


def _speaks_utf8(encoding: str) -> bool:
    return encoding == "unknown" or encoding.lower().replace("-", "").startswith("utf")
