"""The parts of a pipeline that call `tm`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tm_cli.scaffold.calls import Call
from tm_cli.scaffold.findings import Remark


@dataclass(frozen=True, slots=True)
class Step:
    """Calls of `tm` that share an environment; `place` names the job.

    `directory` is where they run, relative to the repository.
    `remarks` say what the platform does with a gate here, `doubts` where one may hide; `runs` is
    False where the platform never comes here. `inputs` are those of the GitHub action, where a
    step uses it. `installs` are the lines that may install tm.
    """

    place: str
    calls: tuple[Call, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    doubts: tuple[Remark, ...] = ()
    inputs: Mapping[str, str] | None = None
    directory: str = "."
    runs: bool = True
    installs: tuple[str, ...] = ()

    @property
    def gates(self) -> int:
        """How many gates it has."""
        return sum(call.is_gate for call in self.calls) + (self.inputs is not None)

    @property
    def is_of_tm(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.calls or self.doubts) or self.inputs is not None
