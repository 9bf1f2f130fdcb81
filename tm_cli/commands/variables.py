"""`tm variables`: CSV data on the server that profiles fill into their requests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.shared.lists import ListOptions, ListView, show_list
from tm_cli.commands.shared.refusals import refused
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import VariablesSet

app = App()

_LARGEST_ID = 2**63 - 1
_LONGEST_NAME = 120

SetName = Annotated[
    str, typer.Argument(metavar="SET", help="Id or name of a variables set.", show_default=False)
]
Mode = Literal["ROW", "COLUMN", "SEQUENTIAL"]


@app.callback()
@group
def variables() -> None:
    """List, show, create, change and delete variables sets: CSV data for requests."""


@app.command("list")
@with_session
def list_sets(session: CommandContext, listing: ListOptions) -> int:
    """List the variables sets of the server.

    tm variables list
    """
    from tm_cli.api.trafficmorph import VariablesSet
    from tm_cli.render.tables import instant

    view = ListView[VariablesSet](
        noun="variables sets",
        columns={
            "ID": lambda each: each.id,
            "NAME": lambda each: each.name,
            "MODE": lambda each: each.mode,
            "ROWS": lambda each: _count(each.row_count),
            "BYTES": lambda each: _count(each.byte_size),
            "MACROS": lambda each: _macros(each),
            "UPDATED": lambda each: instant(each.updated_at),
        },
        fields=VariablesSet.field_names(),
        least=("UPDATED", "BYTES"),
    )
    return show_list(session, listing, view, session.client.list_variables_sets)


@app.command("show")
@with_session
def show(session: CommandContext, name: SetName) -> int:
    """Show a variables set; the server does not return its text.

    tm variables show users
    """
    return _emit(session, _find(session, name))


@app.command("create")
@with_session
def create(
    session: CommandContext,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV file to read; - is standard input.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the set. [name of the file]")
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            metavar="MODE",
            case_sensitive=False,
            help="How rows are sampled. [ROW with a column `weight`, else SEQUENTIAL]",
        ),
    ] = None,
) -> int:
    """Create a variables set from a CSV file, which is checked before anything is sent.

    The first line has the names of the columns, which are macros of the profiles that have the set:
    $$user$$ is a value of the column `user`. Attach it with `variablesSetIds` of a profile.

    tm variables create users.csv

    tm variables create - --name orders --mode SEQUENTIAL < orders.csv
    """
    from tm_cli.values.load.data_sets import read_data_set

    with _explained(file):
        text = _read(session, file)
        data = read_data_set(file, text, mode)
    chosen = _set_name(name if name is not None else _stem(file))
    with refused(f"create the variables set {chosen!r}"):
        made = session.client.create_variables_set(chosen, data.mode, text)
    kind = f"{sanitize(made.mode or data.mode)}, {_count(made.row_count)} rows"
    return session.emit(
        made.document(),
        lambda: f"created variables set {made.id}: {_shown(made)} ({kind}, {_macros(made)})",
    )


@app.command("rename")
@with_session
def rename(
    session: CommandContext,
    name: SetName,
    new_name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
) -> int:
    """Rename a variables set; profiles keep it.

    tm variables rename users customers
    """
    chosen = _set_name(new_name)
    found = _find(session, name)
    with refused(f"rename the variables set {_shown(found)!r}"):
        renamed = session.client.rename_variables_set(found.id, chosen)
    return session.emit(
        renamed.document(), lambda: f"renamed variables set {found.id} to {sanitize(renamed.name)}"
    )


@app.command("mode")
@with_session
def change_mode(
    session: CommandContext,
    name: SetName,
    mode: Annotated[
        Mode,
        typer.Argument(
            metavar="MODE",
            case_sensitive=False,
            help="How rows are sampled.",
        ),
    ],
) -> int:
    """Change how a variables set is sampled; ROW needs a column `weight`.

    tm variables mode users SEQUENTIAL
    """
    found = _find(session, name)
    with refused(f"change the mode of the variables set {_shown(found)!r}"):
        changed = session.client.change_variables_set_mode(found.id, mode)
    return session.emit(
        changed.document(),
        lambda: f"{sanitize(changed.name)} is sampled by {sanitize(changed.mode or mode)} now",
    )


@app.command("delete")
@with_session
def delete(session: CommandContext, name: SetName, yes: options.Yes = False) -> int:
    """Delete a variables set that no profile has.

    tm variables delete users --yes
    """
    found = _find(session, name)
    shown = _shown(found)
    options.confirm_deletion(session, f"variables set {found.id} ({shown})", yes=yes)
    detaching = "`tm profiles update PROFILE --variables-set ...` replaces the sets of a profile"
    with refused(f"delete the variables set {shown!r}", detaching):
        session.client.delete_variables_set(found.id)
    return session.emit(
        {"variables_set_id": found.id}, lambda: f"deleted variables set {found.id}: {shown}"
    )


def _read(session: CommandContext, file: str) -> str:
    """Read a file or standard input; raises OSError and InvalidData."""
    from tm_cli.values.load.data_sets import LONGEST_CSV, decode_csv

    if file == "-":
        return decode_csv(sys.stdin.buffer.read(LONGEST_CSV + 1))
    with (session.context.cwd / file).open("rb") as opened:
        return decode_csv(opened.read(LONGEST_CSV + 1))


@contextmanager
def _explained(file: str) -> Iterator[None]:
    """Turn what is wrong with a CSV file into an error that names it."""
    from tm_cli.values.load.data_sets import InvalidData

    name = "standard input" if file == "-" else sanitize(file)
    try:
        yield
    except InvalidData as problem:
        raise ConfigurationError(f"{name}: {problem}; nothing was sent") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "it is no file name"
        raise ConfigurationError(f"cannot read {name}: {reason}") from None


def _stem(file: str) -> str:
    if file == "-":
        raise UsageError("--name is missing: standard input has no name")
    return Path(file).stem


def _set_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME:
        raise UsageError(f"the name of a set has 1 to {_LONGEST_NAME} characters")
    return name


def _find(session: CommandContext, text: str) -> VariablesSet:
    """Return the set with this id or name; raises Refused without one."""
    from tm_cli.api.errors import HttpError
    from tm_cli.commands.shared.variables_set_argument import set_named, unknown_set

    if not text.strip():
        raise UsageError("SET is empty")
    if text.isascii() and text.isdigit():
        if not 0 < int(text[:20]) <= _LARGEST_ID:
            raise UsageError(f"invalid id {text[:40]}")
        try:
            return session.client.get_variables_set(int(text))
        except HttpError as error:
            if error.status not in {400, 404}:
                raise
            raise unknown_set(int(text)) from None
    return set_named(session.client.list_variables_sets(), text)


def _emit(session: CommandContext, found: VariablesSet) -> int:
    from tm_cli.render.tables import instant

    rows = {
        "id": found.id,
        "mode": found.mode,
        "macros": ", ".join(f"$${name}$$" for name in found.macro_columns),
        "weights": found.weight_column,
        "rows": _count(found.row_count),
        "bytes": _count(found.byte_size),
        "created": instant(found.created_at),
        "updated": instant(found.updated_at),
    }
    lines = [f"  {name:<10}{sanitize(value)}" for name, value in rows.items() if value]
    return session.emit(found.document(), lambda: "\n".join([_shown(found), *lines]))


def _shown(found: VariablesSet) -> str:
    return sanitize(found.name)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _macros(found: VariablesSet) -> str:
    return sanitize(", ".join(found.macro_columns))
