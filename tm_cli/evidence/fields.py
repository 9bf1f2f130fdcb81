"""Strict access to a JSON object: what is missing or of another type is an error, never a guess."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.text import clean


class NotEvidence(ValueError):
    """A document that lacks, contradicts or mistypes what a decision rests on."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of the document; `where` names it in errors. Every method raises NotEvidence."""

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, value: Any, where: str) -> Fields:
        """Return the fields of what must be an object."""
        if not isinstance(value, Mapping):
            raise NotEvidence(f"{where} is no object")
        return cls(value, where)

    def value(self, name: str) -> Any:
        """Return whatever stands there."""
        if name not in self.values:
            raise NotEvidence(f"{self.where} has no {name}")
        return self.values[name]

    def text(self, name: str) -> str:
        """Return a text as it was written."""
        return str(self._as(str, name, self.value(name), "text"))

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None for null."""
        return None if self.value(name) is None else self.text(name)

    def clean(self, name: str) -> str | None:
        """Return a text that is fit to be shown, or None for null."""
        text = self.text_or_none(name)
        return None if text is None else clean(text)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts that are fit to be shown."""
        items = self._as(list, name, self.value(name), "list")
        return tuple(clean(self._as(str, name, item, "list of texts")) for item in items)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._as(bool, name, self.value(name), "true or false"))

    def flag_or_none(self, name: str) -> bool | None:
        """Return true, false, or None for null."""
        return None if self.value(name) is None else self.flag(name)

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return int(self._as(int, name, self.value(name), "whole number"))

    def number_or_none(self, name: str) -> float | None:
        """Return a finite number, or None for null."""
        return as_number(self.value(name), f"{self.where}: {name}")

    def name_or_none(self, name: str) -> int | str | None:
        """Return what a server calls something: a number, a text, or None for null."""
        value = self.value(name)
        if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
            return clean(value) if isinstance(value, str) else value
        raise NotEvidence(f"{self.where}: {name} is neither a number nor a text")

    def object(self, name: str) -> Fields:
        """Return an object within this one."""
        return Fields.of(self.value(name), f"{self.where}: {name}")

    def object_or_none(self, name: str) -> Fields | None:
        """Return an object within this one, or None for null."""
        return None if self.value(name) is None else self.object(name)

    def objects(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        items = self._as(list, name, self.value(name), "list")
        return [Fields.of(item, f"{self.where}: {name}") for item in items]

    def _as(self, kind: type[Any], name: str, value: Any, what: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise NotEvidence(f"{self.where}: {name} is no {what}")
        return value


def as_number(value: Any, where: str) -> float | None:
    """Return a finite number, or None for null; raises NotEvidence for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotEvidence(f"{where} is no number")
    try:
        if math.isfinite(value):
            return value
    except OverflowError:
        pass
    raise NotEvidence(f"{where} is too large a number")
