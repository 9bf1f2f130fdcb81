"""The query of a history list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import QueryParams

from tm_cli.server.instants import read_time
from tm_cli.server.refusal import Refusal
from tm_cli.server.services import whole_number
from tm_cli.server.store.history_filter import HistoryFilter

DEFAULT_SIZE = 20
MAX_SIZE = 100
_MAX_PAGE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Listing:
    """Which rows, and which page of them."""

    wanted: HistoryFilter
    page: int
    size: int


def read_listing(query: QueryParams) -> Listing:
    """Read the query; unknown parameters are ignored, unusable values refused."""
    wanted = HistoryFilter(
        profile_id=_number(query, "profileId"),
        triggered_by=query.get("triggeredBy") or None,
        region=query.get("region") or None,
        verdict=query.get("autoVerdict") or None,
        tag=query.get("tag") or None,
        created_from=_instant(query, "from"),
        created_to=_instant(query, "to"),
    )
    page = _number(query, "page") or 0
    if not 0 <= page <= _MAX_PAGE:
        raise Refusal("page must not be negative, nor above 2147483647")
    size = _number(query, "size")
    clamped = DEFAULT_SIZE if size is None else min(max(size, 1), MAX_SIZE)
    return Listing(wanted, page, clamped)


def _number(query: QueryParams, name: str) -> int | None:
    text = query.get(name)
    return whole_number(text, name) if text else None


def _instant(query: QueryParams, name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return read_time(text)
    except (ValueError, OverflowError) as error:
        raise Refusal(f"{name} must be a time with offset: {error}") from error
