"""`tm help environment`."""

from __future__ import annotations

from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.settings import DEFINITIONS

OTHERS = {
    "TM_CONFIG_DIR": "Directory of the user's settings, instead of the system's place for it.",
    "TM_STATE_DIR": "Directory of what tm remembers: the last start, profile names.",
    "TM_TRUSTED_OWNERS": "Ids of other users whose settings files and data directories count as "
    "yours, with commas between.",
    "SUDO_UID": "Set by sudo: as root, files of that user count as yours.",
    "CI": "Not empty: no redrawn progress, no embedded server unless asked for, "
    "and an interrupted gate stops its run.",
    "GITHUB_ACTIONS": "true: a gate writes outputs, summary and annotations of the step "
    "(--no-github); the other GITHUB_ variables say where, and where a run comes from.",
    "GITLAB_CI": "true: a gate is a section of the job log (--no-gitlab); "
    "CI_COMMIT_SHA and its like say where a run comes from.",
    "HTTPS_PROXY": "Proxy for servers with https; also in lower case.",
    "HTTP_PROXY": "Proxy for servers with http; also in lower case.",
    "ALL_PROXY": "Proxy where the other two name none; also in lower case.",
    "NO_PROXY": "Servers that are reached without a proxy; also in lower case.",
    "NO_COLOR": "Not empty: no colour.",
    "FORCE_COLOR": "Not empty: colour, even where standard error is no terminal.",
    "TERM": "dumb: no colour, no redrawn progress.",
    "COLUMNS": "Width of tables and progress, instead of the terminal's.",
}
"""Variables that are no settings."""

_BEFORE = """\
A flag beats a variable, a variable beats a file. An empty variable is a mistake and
not the same as an absent one, so that a secret that a pipeline did not pass on is
noticed.
"""

_AFTER = "`tm config show` prints which of them are in effect; `tm doctor` tries them."


def environment(terminal: Terminal) -> str:
    """Return the page, with a row per setting and per other variable."""
    settings = [(item.variable, item.help) for item in DEFINITIONS.values()]
    head = ("VARIABLE", "MEANING")
    return "\n".join(
        [
            _BEFORE,
            columns(terminal, head, settings),
            "\nNot settings, but heeded:\n",
            columns(terminal, head, list(OTHERS.items())),
            f"\n{_AFTER}",
        ]
    )
