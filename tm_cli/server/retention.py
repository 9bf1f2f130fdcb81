"""Deletes the rows of the history that are older than the account keeps them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import timedelta

from tm_cli.server.runs.supervisor import month_of
from tm_cli.server.store.history import Expiry
from tm_cli.server.web.services import Services

INTERVAL = 3600.0
_MOST_DAYS = 36_500  # no run is older, and times before the year 1 cannot be computed
_AT_ONCE = 200
"""Rows in a transaction, so that requests need not wait long."""

logger = logging.getLogger(__name__)


async def expire_history(services: Services) -> None:
    """Delete what is too old, now and every hour."""
    while services.quota.history_days is not None:
        try:
            expiry = await asyncio.to_thread(find_expired, services)
            while await asyncio.to_thread(expire_some, services, expiry):
                pass
        except sqlite3.Error:  # a full disk, perhaps
            logger.exception("older rows of the history could not be deleted")
        await asyncio.sleep(INTERVAL)


def find_expired(services: Services) -> Expiry:
    """Where the requests of a month are limited, this month's rows stay: they are counted."""
    now = services.clock.now()
    before = now - timedelta(days=min(services.quota.history_days or 0, _MOST_DAYS))
    if services.quota.monthly_requests:
        before = min(before, month_of(now))
    return services.history.expiry(before)


def expire_some(services: Services, expiry: Expiry, most: int = _AT_ONCE) -> int:
    """Delete the oldest rows, a limited number of them; return how many.

    A pinned baseline stays until it is unpinned, and so do the rows of a profile whose run is
    active or being judged: one of them may be its baseline.
    """
    busy = services.supervisor.busy_profiles
    return services.history.expire(expiry, busy_profiles=busy, most=most)
