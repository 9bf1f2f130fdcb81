"""`tm help configuration`."""

from __future__ import annotations

from typing import Any

from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.settings import DEFINITIONS, Definition, Source
from tm_cli.values.durations import format_duration

_BEFORE = """\
A setting comes from the first of these that has it:
  {sources}.
A context that --context chooses beats variables, too.

The project file is tm.toml, or the table [tool.tm] of pyproject.toml, in this
directory or one above it. The user file is config.toml in the user's own directory
for settings, or in the one that TM_CONFIG_DIR names. Both use these names:
"""

_AFTER = """\
  # tm.toml
  base_url = "local"
  fail_on = ["FAIL", "WARN"]
  wait_timeout = "45m"

  [gate]
  p95 = {warn = "10%", fail = "25%"}

A project file holds no key, and no key is sent to a server on another machine that
only a project file names. An unknown name in a file is an error (78).

`tm config show` prints every setting, its value and where it comes from."""


def configuration(terminal: Terminal) -> str:
    """Return the page, with a row per setting."""
    rows = [(item.name, _default(item), item.help) for item in DEFINITIONS.values()]
    sources = ", ".join(source.value for source in Source)
    table = columns(terminal, ("NAME", "DEFAULT", "MEANING"), rows)
    return f"{_BEFORE.format(sources=sources)}\n{table}\n\n{_AFTER}"


def _default(item: Definition) -> str:
    value: Any = item.default
    if value is None:
        return "auto" if item.name == "poll_interval" else "-"
    if isinstance(value, bool):
        return str(value).lower()
    return format_duration(value) if isinstance(value, float) else str(value)
