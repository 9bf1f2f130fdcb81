"""The measured spread between runs, by runner class, in the settings of the database."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.server.store.profiles import SettingStore
from tm_cli.values.text import as_number

logger = logging.getLogger(__name__)

_NAME = "calibrations"
_MOST = 100  # classes; the oldest is dropped
_LARGEST_SPREAD = 1.0


@dataclass(frozen=True, slots=True)
class Calibrations:
    """Records by runner class; `own_class` is that of this machine."""

    settings: SettingStore
    own_class: str

    def all(self) -> dict[str, dict[str, Any]]:
        """Every record that can be used, the oldest first; one that is damaged is left out."""
        try:
            stored = json.loads(self.settings.get(_NAME) or "{}")
        except (ValueError, RecursionError):
            stored = None
        if not isinstance(stored, dict):
            logger.warning("the calibrations in the database are damaged; run `tm calibrate`")
            return {}
        return {name: record for name, record in stored.items() if _spread(record) is not None}

    def spread(self, runner_class: str | None) -> float | None:
        """The standard deviation between runs that was measured on a class, None without one."""
        return _spread(self.all().get(runner_class or ""))

    def put(self, record: Mapping[str, Any]) -> None:
        """Replace the record of this machine's class."""
        others = {name: old for name, old in self.all().items() if name != self.own_class}
        kept = [*others.items(), (self.own_class, dict(record))][-_MOST:]
        self.settings.put(_NAME, json.dumps(dict(kept)))

    def forget(self) -> bool:
        """Drop the record of this machine's class; False without one."""
        found = self.all()
        record = found.pop(self.own_class, None)
        self.settings.put(_NAME, json.dumps(found))
        return record is not None


def _spread(record: object) -> float | None:
    value = as_number(record.get("spread")) if isinstance(record, Mapping) else None
    return value if value is not None and 0 < value <= _LARGEST_SPREAD else None
