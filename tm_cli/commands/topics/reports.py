"""`tm help reports`."""

from __future__ import annotations

from tm_cli.commands.shared.report_sinks import Format
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal

MEANINGS = {
    "json": "The document of --json: outcome, verdict, reasons, metrics, comparisons.",
    "junit": "A test case for the verdict and one for each check; every CI platform reads it.",
    "markdown": "The outcome as a table, for a comment or a page.",
    "html": "One file to open in a browser: charts, reasons, and the evidence.",
    "csv": "The measured series, a row per moment.",
    "dotenv": "Variables for later jobs, such as TM_VERDICT; GitLab reads them.",
    "metrics": "Metrics in the text format that GitLab and Prometheus read.",
}

_BEFORE = """\
A gate writes its outcome to files with --report FORMAT=FILE, which may be repeated:

  tm runs start checkout --wait --fail-on FAIL --report json=gate.json --report junit=gate.xml
"""

_AFTER = """\
Each file says undecided until there is an outcome, and is then replaced in one step:
a crash or a cancelled job never leaves an old pass behind. A file that cannot be
written is noticed before anything is started (64); one that is lost at the end turns
0 into 73.

--json prints one document on standard output, also when a command fails. Results go
to standard output, everything else to standard error."""


def reports(terminal: Terminal) -> str:
    """Return the page, with a row per format."""
    rows = [(item.value, MEANINGS.get(item.value, "-")) for item in Format]
    return f"{_BEFORE}\n{columns(terminal, ('FORMAT', 'WHAT IT HOLDS'), rows)}\n\n{_AFTER}"
