"""`tm history filters`: the values by which the history can be filtered."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.api.errors import HttpError
from tm_cli.cli.session import CommandContext
from tm_cli.errors import TmError
from tm_cli.values.text import sanitize


def show_filters(session: CommandContext) -> int:
    """Print them; raises TmError on a server that does not list them."""
    try:
        found = session.client.list_history_filters()
    except HttpError as error:
        if error.status not in {400, 404}:  # 400: it reads `filters` as the id of a run
            raise
        raise TmError(
            "this server does not list the filters of its history",
            hint="`tm history list` takes any value",
            code="not_supported",
        ) from None
    rows = [
        ("--profile", _texts([f"{item.name} ({item.id})" for item in found.profiles])),
        ("--region", _texts(found.regions)),
        ("--tag", _texts(found.tags)),
        ("--triggered-by", _texts(found.triggered_by)),
        ("--verdict", _texts(found.auto_verdicts)),
    ]
    lines = [f"{option:<14}  {values or '-'}" for option, values in rows]
    return session.emit(found.document(), lambda: "\n".join(lines))


_MOST = 30
"""Values of a filter that are shown: every commit may have a tag of its own."""


def _texts(values: Sequence[str]) -> str:
    shown = ", ".join(sanitize(value) for value in values[:_MOST])
    more = len(values) - _MOST
    return f"{shown} and {more} more (--json has all)" if more > 0 else shown
