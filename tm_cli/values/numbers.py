"""Numbers in documents that others have written."""

from __future__ import annotations

import math
from typing import Any


def as_number(value: Any) -> float | None:
    """Return a finite number, None for anything else; true and false are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer that no float holds
        return None
