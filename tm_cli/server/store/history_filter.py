"""Which history rows are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tm_cli.server.instants import wire_time

EACH_TAG = "json_each(CASE WHEN typeof(tags) = 'text' AND json_valid(tags) THEN tags ELSE '[]' END)"
"""The tags of a row as a table; tags that are damaged are none, and no error."""


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Conditions that all hold; None asks for nothing. Both bounds are inclusive."""

    profile_id: int | None = None
    triggered_by: str | None = None
    region: str | None = None
    verdict: str | None = None
    tag: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def where(self) -> tuple[str, list[object]]:
        terms: list[tuple[str, object | None]] = [
            ("profile_id = ?", self.profile_id),
            ("triggered_by = ?", self.triggered_by),
            ("region = ?", self.region),
            ("auto_verdict = ?", self.verdict),
            (f"EXISTS (SELECT 1 FROM {EACH_TAG} WHERE value = ?)", self.tag),  # noqa: S608
            ("created_at >= ?", wire_time(self.created_from) if self.created_from else None),
            ("created_at <= ?", wire_time(self.created_to) if self.created_to else None),
        ]
        asked = [(sql, value) for sql, value in terms if value is not None]
        condition = " AND ".join(sql for sql, _ in asked) or "TRUE"
        return condition, [value for _, value in asked]
