"""What every `list` command does: how many items, which fields, as a table, JSON or JSON Lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import typer

from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.cli.session import CommandContext

T = TypeVar("T")

BATCH = 100
"""Items that are written at a time; the table of an unlimited list repeats its head after them."""

LONGEST_VALUE = 200
"""Characters of a JSON value in a table."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    """A bundle: how much of a list is shown, and in which form."""

    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="Maximum number of results."),
    ] = None
    all_items: Annotated[
        bool, typer.Option("--all", help="Show all results, however many pages they take.")
    ] = False
    fields: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Fields to show, separated by commas."),
    ] = None
    json_lines: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object per line, as they arrive.")
    ] = False

    def most(self, default: int | None) -> int | None:
        """Return how many items are wanted, None for all; raises UsageError."""
        if self.all_items and self.limit is not None:
            raise UsageError("--all and --limit exclude each other")
        return None if self.all_items else self.limit or default


def _document(item: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = item if isinstance(item, Mapping) else item.document()
    return found


@dataclass(frozen=True)
class ListView(Generic[T]):
    """How items are shown.

    `columns` has the cells of a table by their head. A table leaves out those in `optional` that
    are empty, and on a narrow terminal those in `least`, the first one first. `fields` are the keys
    of `document`, what JSON has of an item; `computed` are further ones that are there if they are
    asked for.
    """

    noun: str
    columns: Mapping[str, Callable[[T], object]]
    fields: Sequence[str]
    least: Sequence[str] = ()
    optional: Sequence[str] = ()
    computed: Mapping[str, Callable[[T], Any]] = field(default_factory=dict)
    document: Callable[[T], Mapping[str, Any]] = _document

    def value(self, item: T, name: str) -> Any:
        """Return a field; `a.b` is the member `b` of the field `a`."""
        if name in self.computed:
            return self.computed[name](item)
        found: Any = self.document(item)
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found


def show_list(
    session: CommandContext,
    options: ListOptions,
    view: ListView[T],
    fetch: Callable[[], Iterable[T]],
    *,
    default: int | None = None,
    total: Callable[[], int | None] | None = None,
    wrap: Callable[[list[Any]], Any] | None = None,
) -> int:
    """Print a list; `fetch` is called when the options are known to be right.

    It may return a generator, from which no more is taken than is shown. `default` is the limit
    without --limit, and `total` how many items there are, as far as that is known afterwards.
    `wrap` makes the data of a JSON document from the shown items.
    """
    if options.json_lines and session.wants_json:
        raise UsageError("--json and --jsonl exclude each other")
    names, most = read_fields(options.fields, view), options.most(default)
    items = fetch()
    if total is None and isinstance(items, Sequence):
        total = items.__len__
    taken = islice(items, most)
    if options.json_lines:
        shown = _write_lines(session, view, names, taken)
    elif session.wants_json or most is not None:
        found = list(taken)
        shown = len(found)
        data = [_chosen(view, item, names) for item in found] if session.wants_json else []
        session.emit(wrap(data) if wrap else data, lambda: _table(session, view, names, found))
    else:
        shown = _write_tables(session, view, names, taken)
    if not (session.wants_json or options.json_lines):
        _note_rest(session, view.noun, shown, most, total)
    return 0


def read_fields(text: str | None, view: ListView[Any]) -> list[str] | None:
    """Return the names in --fields as the view has them; raises UsageError for another one."""
    if text is None:
        return None
    known = {_folded(name): name for name in (*view.fields, *view.computed)}
    return list(dict.fromkeys(_read_field(name.strip(), known) for name in text.split(",")))


def _read_field(name: str, known: Mapping[str, str]) -> str:
    """Case, hyphens and underscores do not count: `auto_verdict` is `autoVerdict`."""
    head, dot, member = name.partition(".")
    if _folded(name) in known:
        return known[_folded(name)]
    if _folded(head) not in known:
        import difflib

        near = difflib.get_close_matches(_folded(head), known, n=1)
        asked = f"; did you mean {known[near[0]]}?" if near else ""
        raise UsageError(
            f"--fields: there is no field {name!r}{asked}",
            hint=f"the fields are: {', '.join(known.values())}",
        )
    return known[_folded(head)] + dot + member


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _chosen(view: ListView[T], item: T, names: Sequence[str] | None) -> Mapping[str, Any]:
    if names is None:
        return view.document(item)
    return {name: view.value(item, name) for name in names}


def _write_lines(
    session: CommandContext, view: ListView[T], names: Sequence[str] | None, items: Iterator[T]
) -> int:
    from tm_cli.render.formats.json_document import to_json_line

    return _write(
        session, items, lambda batch: "".join(to_json_line(_chosen(view, i, names)) for i in batch)
    )


def _write_tables(
    session: CommandContext, view: ListView[T], names: Sequence[str] | None, items: Iterator[T]
) -> int:
    return _write(session, items, lambda batch: _table(session, view, names, batch) + "\n")


def _write(session: CommandContext, items: Iterator[T], draw: Callable[[Sequence[T]], str]) -> int:
    """Write batch after batch until the end, or until their reader has left."""
    count = 0
    while (batch := list(islice(items, BATCH))) or not count:
        session.terminal.write_part(draw(batch))
        count += len(batch)
        if len(batch) < BATCH or session.terminal.is_unread:
            break
    return count


def _table(
    session: CommandContext, view: ListView[T], names: Sequence[str] | None, items: Sequence[T]
) -> str:
    from tm_cli.render.tables import columns

    if names is not None:
        chosen = [[value_text(view.value(item, name)) for name in names] for item in items]
        return columns(session.terminal, [_head(name) for name in names], chosen)
    cells = {title: [cell(item) for item in items] for title, cell in view.columns.items()}
    head = [title for title in cells if title not in view.optional or any(cells[title])]
    rows = list(zip(*(cells[title] for title in head), strict=True))
    least = [title for title in view.least if title in head]
    return columns(session.terminal, head, rows, least=least)


def _head(name: str) -> str:
    """Return `AUTO VERDICT` for `autoVerdict`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name).upper()


def value_text(value: Any) -> str | None:
    """Return a JSON value in one harmless line; texts without their quotes."""
    from tm_cli.values.text import sanitize

    if value is None:
        return None
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return sanitize(shown, longest=LONGEST_VALUE)


def _note_rest(
    session: CommandContext,
    noun: str,
    shown: int,
    most: int | None,
    total: Callable[[], int | None] | None,
) -> None:
    """Say what the list does not show."""
    known = total() if total else None
    if not shown:
        session.note(f"tm: no {noun}")
    elif known is not None and known > shown and most is not None:
        session.note(f"tm: {shown} of {known} {noun}; --limit and --all show more")
    elif known is None and shown == most:
        session.note(f"tm: there may be more {noun}; --limit and --all show them")
