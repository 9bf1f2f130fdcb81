"""Tools for variables sets: CSV data for the macros of requests."""

from __future__ import annotations

from typing import Any

from tm_cli.mcp.schema import Effect, Tool, choice, published, text, whole
from tm_cli.mcp.session import CallSession
from tm_cli.values.load.data_sets import MODES

LONGEST_CSV = 20_000_000


def list_sets(session: CallSession, arguments: dict[str, Any]) -> Any:
    return [found.document() for found in session.client.list_variables_sets()]


def get_set(session: CallSession, arguments: dict[str, Any]) -> Any:
    return session.client.get_variables_set(arguments["variables_set_id"]).document()


def create_set(session: CallSession, arguments: dict[str, Any]) -> Any:
    name, mode = arguments["name"].strip(), arguments.get("mode", MODES[0])
    return session.client.create_variables_set(name, mode, arguments["csv_content"]).document()


def rename_set(session: CallSession, arguments: dict[str, Any]) -> Any:
    number, name = arguments["variables_set_id"], arguments["name"].strip()
    return session.client.rename_variables_set(number, name).document()


def change_mode(session: CallSession, arguments: dict[str, Any]) -> Any:
    number, mode = arguments["variables_set_id"], arguments["mode"]
    return session.client.change_variables_set_mode(number, mode).document()


def delete_set(session: CallSession, arguments: dict[str, Any]) -> Any:
    session.client.delete_variables_set(arguments["variables_set_id"])
    return {"variables_set_id": arguments["variables_set_id"], "deleted": True}


ONE_SET = {"variables_set_id": whole("Id of the set, from tm_list_variables_sets.")}
NAME = text("Name of the set; no other one may have it.", longest=120, pattern=r"\S")
MODE = choice(
    "How a request gets its values. ROW: one row, by the column weight, which must be there. "
    "COLUMN: each column for itself; weight and NAME_weight may be there. SEQUENTIAL: row after "
    "row, without weights.",
    MODES,
)

VARIABLES_SET_TOOLS: tuple[Tool, ...] = (
    published(
        "tm_list_variables_sets",
        "List variables sets",
        "List the variables sets, CSV data whose columns fill the macros $$column$$ of profiles: "
        "id, name, mode, columns, rows and size, never the data.",
        Effect.READS,
        list_sets,
    ),
    published(
        "tm_get_variables_set",
        "Get a variables set",
        "Get what tm_list_variables_sets lists of one set.",
        Effect.READS,
        get_set,
        ONE_SET,
        ("variables_set_id",),
    ),
    published(
        "tm_create_variables_set",
        "Create a variables set",
        "Create a variables set from CSV text. A taken name is refused. tm_update_profile attaches "
        "it: its variables_set_ids must name the sets that are attached already, too.",
        Effect.CHANGES,
        create_set,
        {
            "name": NAME,
            "csv_content": text(
                "The CSV text: names of the columns, then at least one row.",
                longest=LONGEST_CSV,
                pattern=r"\S",
            ),
            "mode": {**MODE, "default": MODES[0]},
        },
        ("name", "csv_content"),
    ),
    published(
        "tm_rename_variables_set",
        "Rename a variables set",
        "Give a variables set another name; everything else stays.",
        Effect.SETS,
        rename_set,
        {**ONE_SET, "name": NAME},
        ("variables_set_id", "name"),
    ),
    published(
        "tm_change_variables_set_mode",
        "Change the mode of a variables set",
        "Change how requests get values from a set. Refused when its data do not fit the mode.",
        Effect.SETS,
        change_mode,
        {**ONE_SET, "mode": MODE},
        ("variables_set_id", "mode"),
    ),
    published(
        "tm_delete_variables_set",
        "Delete a variables set",
        "Delete a variables set. Refused while a profile uses it; the error names the profiles.",
        Effect.CHANGES,
        delete_set,
        ONE_SET,
        ("variables_set_id",),
    ),
)
