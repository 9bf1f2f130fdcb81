"""Resources: what tools that only read return, under addresses that a client can attach."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tm_cli.mcp.schema import LARGEST_ID

RECENT = 20
MEDIA_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Resource:
    """The result of a tool; a `uri` with a name in braces is a template with one number."""

    uri: str
    name: str
    title: str
    description: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    def read(self, uri: str) -> dict[str, Any] | None:
        """Return the arguments of the tool for an address of this resource, None for any other."""
        if not self.is_template:
            return dict(self.arguments) if uri == self.uri else None
        before, name = self.uri.rstrip("}").split("{")
        found = re.fullmatch(re.escape(before) + r"([1-9][0-9]{0,18})", uri)
        if found is None or int(found[1]) > LARGEST_ID:
            return None
        return {name: int(found[1])}


RESOURCES = (
    Resource(
        "tm://profiles",
        "profiles",
        "All profiles",
        "All stored profiles with id, name and creation time, as tm_list_profiles returns them.",
        "tm_list_profiles",
    ),
    Resource(
        "tm://profiles/{profile_id}",
        "profile_detail",
        "One profile",
        "All of one profile, as tm_get_profile returns it.",
        "tm_get_profile",
    ),
    Resource(
        "tm://history/recent",
        "history_recent",
        f"The last {RECENT} runs",
        f"The {RECENT} newest runs of all profiles, as tm_list_history returns them.",
        "tm_list_history",
        {"size": RECENT},
    ),
    Resource(
        "tm://history/{run_id}",
        "history_run_detail",
        "One ended run",
        "All of one ended run, by its history id, as tm_get_run returns it.",
        "tm_get_run",
    ),
    Resource(
        "tm://domains",
        "domains",
        "All domains",
        "All registered domains, whether they are verified, and their tokens.",
        "tm_list_domains",
    ),
)
