"""One mutant: a small text patch of one module, with the harm that it would do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faults.system import NAMES

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which must stand in `file` exactly once, becomes `new`; `why` names the harm.

    `first` is the check of the subset that finds it soonest; the others follow if it does not.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    first: str = "corners"

    @property
    def module(self) -> str:
        return "tm_cli." + self.file.removesuffix(".py").replace("/", ".")

    @property
    def system(self) -> str:
        """The system whose schedules meet it first."""
        named = set(self.file.split("/")) & set(NAMES)
        return named.pop() if named else "trafficmorph"

    @property
    def path(self) -> Path:
        return ROOT / "tm_cli" / self.file

    def source(self) -> str:
        """The patched text of the module; raises ValueError when the patch no longer fits."""
        text = self.path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its old text is {count} times in {self.file}")
        return text.replace(self.old, self.new)
