"""Whether a file belongs to the user: a file of somebody else is not obeyed."""

from __future__ import annotations

import os
from collections.abc import Mapping

TRUSTED_OWNERS = "TM_TRUSTED_OWNERS"
"""Variable with the ids of other users whose files count as the user's, with commas between."""

_ROOT = 0


def is_trusted_owner(uid: int, environ: Mapping[str, str]) -> bool:
    """Whether files of the user `uid` count as the user's own.

    They do for the user that tm runs as, for root, for the user who called `sudo`, and for those
    named in TM_TRUSTED_OWNERS. Platforms without user ids have no other owners.
    """
    if not hasattr(os, "geteuid"):
        return True
    me = os.geteuid()
    if uid in (me, _ROOT):
        return True
    named = environ.get(TRUSTED_OWNERS, "").split(",")
    if me == _ROOT:  # for anybody else the variable says nothing about who is at the keyboard
        named.append(environ.get("SUDO_UID", ""))
    return uid in {int(text) for item in named if _is_id(text := item.strip())}


def _is_id(text: str) -> bool:
    """Decimal digits alone: `int` takes more, and refuses texts that are too long."""
    return text.isascii() and text.isdecimal() and len(text) <= 20
