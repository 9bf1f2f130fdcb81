"""`--last`: what was started last in this project, on whichever system."""

from __future__ import annotations

from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks import actions, last_start
from tm_cli.commands.jobs import client
from tm_cli.commands.jobs import gate as job_last
from tm_cli.commands.runs import gate as gating
from tm_cli.commands.shared.follow import Manners
from tm_cli.commands.shared.last_start import recall
from tm_cli.errors import ConfigurationError
from tm_cli.gate.policy import Gate

WAITS = {
    gating.SYSTEM: gating.wait_for_last,
    actions.SYSTEM: last_start.wait_for_started,
    client.SYSTEM: job_last.wait_for_last,
}
"""How each system waits for its remembered runs."""


def wait_for_last(session: Session, gate: Gate, manners: Manners) -> int:
    """Wait for the runs of the last start; a start has runs of one system only."""
    started = recall(session)
    wait = WAITS.get(started[0].system)
    if wait is None:
        raise ConfigurationError("what was started last cannot be waited for by this version of tm")
    return wait(session, started, gate, manners)
