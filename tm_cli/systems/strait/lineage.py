"""Job runs that continue one another: which ones belong to a run, and which one decides.

Job code may call `continue`: its run ends as `completed`, and a new run goes on with the work. So
the end of a run is the end of the work only when no later run continues it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tm_cli.api.strait.models import JobRun
from tm_cli.gate.verdict import Verdict
from tm_cli.systems.strait.states import TERMINAL, verdict_of


@dataclass(frozen=True, slots=True)
class Lineage:
    """A run, and the runs that continue it, in the order in which they were made."""

    run: JobRun
    later: tuple[JobRun, ...] = ()

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The run and all that continue it."""
        return (self.run, *self.later)

    @property
    def unfinished(self) -> tuple[JobRun, ...]:
        """The runs that go on."""
        return tuple(run for run in self.runs if run.status not in TERMINAL)

    @property
    def current(self) -> JobRun:
        """The first run that goes on, or the last one."""
        return (*self.unfinished, self.runs[-1])[0]

    def deciding(self, canceled_as: Verdict) -> JobRun:
        """The run whose end is the end of the work: the first that failed, else the last.

        A run that was stopped comes before one that completed.
        """
        verdicts = [verdict_of(run.status, canceled_as) for run in self.runs]
        for bad in (Verdict.FAIL, Verdict.WARN):
            if bad in verdicts:
                return self.runs[verdicts.index(bad)]
        return self.runs[-1]


def later_runs(run: JobRun, lineage: Sequence[JobRun]) -> tuple[JobRun, ...]:
    """Return those of `lineage` that continue `run`, directly or through others.

    `lineage` holds the whole tree, root first. A run behind `run` counts as well when it does not
    say what it continues, or continues one that is not there, as when a run in between has been
    deleted: leaving out a run that goes on would be a false pass.
    """
    names = [item.id for item in lineage]
    behind = lineage[names.index(run.id) + 1 :] if run.id in names else lineage
    known = {run.id, *(item.id for item in behind if item.continuation_of not in names)}
    while new := {item.id for item in lineage if item.continuation_of in known} - known:
        known |= new
    return tuple(item for item in lineage if item.id in known and item.id != run.id)
