"""Tools for stored profiles."""

from __future__ import annotations

from typing import Any

from tm_cli.mcp import gate_arguments as shared
from tm_cli.mcp.call_session import CallSession
from tm_cli.mcp.tool import Effect, Tool

HIDDEN = ("callbackSecret", "requestHeaders")
"""A secret, and headers that log in to the target: nothing for an assistant."""


def list_profiles(session: CallSession, arguments: dict[str, Any]) -> int:
    """List the profiles of the server."""
    found = session.client.list_profiles()
    return session.emit([profile.document() for profile in found], str)


def show_profile(session: CallSession, arguments: dict[str, Any]) -> int:
    """Show one profile without its secrets."""
    from tm_cli.commands.subject import ProfileRef, find_profile

    number = arguments["profile_id"]
    found = find_profile(session.client, ProfileRef(number, f"profile {number}")).document()
    shown = {name: value for name, value in found.items() if name not in HIDDEN}
    return session.emit({**shown, "hidden": [name for name in HIDDEN if found.get(name)]}, str)


PROFILE_TOOLS = (
    Tool(
        "tm_list_profiles",
        "List profiles",
        "List the stored profiles (descriptions of load tests) with their ids and names.",
        Effect.READS,
        list_profiles,
        {},
    ),
    Tool(
        "tm_show_profile",
        "Show a profile",
        "Show one stored profile: target, method, duration, curve, status. Request headers and "
        "secrets are left out; `hidden` names what was.",
        Effect.READS,
        show_profile,
        {"profile_id": shared.PROFILE_ID},
        ("profile_id",),
    ),
)
