"""The capture sources of a server, and their files."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tm_cli.commands.shared.lists import ListOptions, ListView, show_list
from tm_cli.errors import Refused, UsageError
from tm_cli.values.text import did_you_mean, sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import CaptureSource
    from tm_cli.cli.session import CommandContext

MOST_FILES = 1000
_USUAL_FILES = 100


def list_sources(session: CommandContext, listing: ListOptions) -> int:
    from tm_cli.api.trafficmorph import CaptureSource
    from tm_cli.render.tables import instant

    view = ListView[CaptureSource](
        noun="capture sources",
        columns={
            "ID": lambda each: each.id,
            "NAME": lambda each: each.name,
            "KIND": lambda each: each.kind,
            "ROOT": lambda each: each.root_path,
            "LAST LISTED": lambda each: instant(each.last_listed_at),
            "LAST ERROR": lambda each: each.last_error,
        },
        fields=CaptureSource.field_names(),
        least=("LAST LISTED", "ROOT"),
        optional=("LAST ERROR",),
    )
    return show_list(session, listing, view, session.client.list_capture_sources)


def list_files(session: CommandContext, source: str, listing: ListOptions) -> int:
    from tm_cli.api.trafficmorph import CaptureSourceFile

    view = ListView[CaptureSourceFile](
        noun="files",
        columns={
            "PATH": lambda each: each.path,
            "BYTES": lambda each: f"{each.size:,}" if each.size and each.size > 0 else None,
            "MODIFIED": lambda each: _known(each.modified_at),
        },
        fields=CaptureSourceFile.field_names(),
        least=("BYTES",),
    )
    most = listing.most(_USUAL_FILES) or MOST_FILES
    if most > MOST_FILES:
        raise UsageError(f"--limit: a server lists at most {MOST_FILES} files")

    return show_list(
        session,
        listing,
        view,
        lambda: session.client.list_capture_source_files(find_source(session, source).id, most),
        default=_USUAL_FILES,
        total=lambda: None,
    )


def find_source(session: CommandContext, text: str) -> CaptureSource:
    """Return the source with this id or name; raises Refused without one."""
    wanted = text.strip()
    if not wanted:
        raise UsageError("SOURCE is empty")
    found = session.client.list_capture_sources()
    for source in found:
        if wanted in (source.name, str(source.id)):
            return source
    names = [source.name or str(source.id) for source in found]
    known = f"the server has: {', '.join(names)}" if names else "the server has none"
    near = did_you_mean(wanted, names, known)
    raise Refused(f"there is no capture source {sanitize(wanted)!r}", hint=sanitize(near))


def _known(moment: datetime | None) -> str | None:
    """The start of the epoch stands for an unknown time."""
    from tm_cli.render.tables import instant

    return instant(moment) if moment and moment.timestamp() else None
