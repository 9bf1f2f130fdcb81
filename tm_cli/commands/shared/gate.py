"""One gate over all backends: start runs, start and wait, wait, and wait for the last start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

from tm_cli.api.retry import LONGEST_PAUSE
from tm_cli.cli.options import read_fail_on
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.follow import FollowedRun, ServerLimits, WaitBehavior, follow
from tm_cli.commands.shared.last_start import LastStart, RememberedRun, complete_gate
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.gate.backend import Backend
from tm_cli.gate.checks import Condition
from tm_cli.gate.policy import Gate
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict, format_fail_on

Runs = TypeVar("Runs", bound=Backend)

Preparation = Callable[
    [Gate, Sequence[FollowedRun[Backend]]],
    AbstractContextManager[Sequence[FollowedRun[Backend]]],
]
"""What must hold while runs are followed, such as a service that is running."""


@dataclass(frozen=True, slots=True)
class StartOutcome:
    """A start without a wait, as it is printed: `text` for people, the rest as JSON.

    A run that does not count was there before, or may have been: `--last` does not take it.
    """

    text: str
    run_id: str | None
    status: str
    resume: str | None = None
    counts: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)


class GateCommand(ABC, Generic[Runs]):
    """What differs between the backends whose runs a gate starts and waits for.

    `system` names the backend in reports and for `--last`, and `url_variable` sets its server.
    `at_once` is how many of the runs of a start may be under way at a time, None for all.
    `default_fail_on` holds where neither flag nor setting chooses; without it a verdict informs.
    """

    system: ClassVar[str]
    url_variable: ClassVar[str]
    subject_key: ClassVar[str] = "profile_id"
    default_fail_on: ClassVar[frozenset[Verdict]] = frozenset()
    stopping: ClassVar[str] = "cancels the run"
    detaching: ClassVar[str] = "leaves the run going"

    def __init__(self, session: CommandContext) -> None:
        self.session = session
        self.at_once: int | None = None

    @property
    @abstractmethod
    def server(self) -> str:
        """The server by a name that lasts."""

    @abstractmethod
    def limits(self) -> ServerLimits:
        """Return what the server lets all runs of this call send."""

    @abstractmethod
    def attach_remembered(
        self, entries: Sequence[RememberedRun], gate: Gate
    ) -> list[FollowedRun[Runs]]:
        """Return the runs of the last start, to be judged as they would have been then."""

    def remembered_checks(self, details: Mapping[str, Any]) -> Sequence[Condition]:
        """Return the checks that were remembered; raises ValueError or UsageError."""
        return ()

    def checks_set_now(self) -> Sequence[Condition]:
        """Return the checks that settings name, to be added to those of the start."""
        return ()

    def with_live_limits(self, gate: Gate, details: Mapping[str, Any]) -> Gate:
        """Return the gate with the live limits of the start, where none are named now."""
        return gate

    def start(self, run: FollowedRun[Runs]) -> StartOutcome:
        """Start a run that is not waited for."""
        found = run.runs.start()
        name = sanitize(found.run_id or "without id")
        status = f": {sanitize(found.status)}" if found.status else ""
        text = f"started run {name} of {run.name}{status}"
        return StartOutcome(text, found.run_id, found.status, found.resume)

    def as_on_the_wire(self, started: dict[str, Any]) -> dict[str, Any]:
        """Return what is printed of a start without an envelope."""
        return started

    def note_next_steps(self, outcomes: Sequence[StartOutcome], gate: Gate) -> None:
        """Say what to do about runs that are not waited for."""
        for outcome in outcomes:
            if outcome.resume:
                self.session.note(f"tm: wait for it with: {outcome.resume}")

    def limit_pauses(self, gate: Gate) -> None:
        """Let a server that asks for a pause have it as long as the gate waits."""
        self.session.limit_pauses(min(gate.wait_timeout, LONGEST_PAUSE))

    def remember(self, runs: Sequence[FollowedRun[Runs]]) -> LastStart:
        """Begin to write down for `--last` what is started."""
        return LastStart(
            self.session,
            [
                RememberedRun(
                    self.system,
                    self.server,
                    run.subject_id or run.name,
                    "",
                    run.name,
                    dict(run.details),
                )
                for run in runs
            ],
        )

    def with_default_fail_on(self, gate: Gate) -> Gate:
        """Return a gate that fails on something, where this backend has a default.

        Raises UsageError when `--warn-on` would take FAIL out of that default.
        """
        if gate.fail_on or not self.default_fail_on:
            return gate
        if Verdict.FAIL in gate.warn_on:
            raise UsageError(
                "--warn-on names FAIL, on which this gate fails by default",
                hint="name another verdict, or say with --fail-on what fails the gate",
            )
        fail_on = self.default_fail_on - gate.warn_on
        self.session.note(f"tm: the gate fails on {format_fail_on(fail_on)} (--fail-on)")
        return replace(gate, fail_on=fail_on)


def start_only(
    command: GateCommand[Runs], gate: Gate, plan: Callable[[], Sequence[FollowedRun[Runs]]]
) -> int:
    """Start the runs that `plan` returns, and return at once.

    `gate` is what a later wait may use. Whatever is raised on the way comes out, after what has
    been started by then was printed.
    """
    command.limit_pauses(gate)
    runs, session = plan(), command.session
    memory = command.remember(runs)
    started: list[StartOutcome] = []
    try:
        for position, run in enumerate(runs):
            started.append(command.start(run))
            memory.note(position, started[-1].run_id if started[-1].counts else None)
    except BaseException:
        for outcome in started:
            session.terminal.write_line(f"tm: {outcome.text}")
        raise
    data = [
        {
            "run_id": outcome.run_id,
            "started_run_id": outcome.run_id,
            command.subject_key: run.subject_id,
            "status": outcome.status or None,
            **outcome.extra,
            "waited": False,
        }
        for run, outcome in zip(runs, started, strict=True)
    ]
    bare = [command.as_on_the_wire(item) for item in data]
    code = session.emit(
        data[0] if len(data) == 1 else {"runs": data},
        lambda: "\n".join(outcome.text for outcome in started),
        bare=bare[0] if len(bare) == 1 else bare,
    )
    command.note_next_steps(started, gate)
    return code


def start_and_wait(
    command: GateCommand[Runs],
    gate: Gate,
    wait: WaitBehavior,
    plan: Callable[[Gate], Sequence[FollowedRun[Runs]]],
    *,
    prepare: Preparation | None = None,
) -> int:
    """Start the runs that `plan` returns, wait for their verdicts and exit by the worst.

    What `prepare` enters holds while they are followed.
    """
    wait.reports.begin()
    command.limit_pauses(gate)
    gate = command.with_default_fail_on(gate)
    runs = plan(gate)
    effect = command.stopping if wait.stop_on_interrupt else command.detaching
    command.session.note(f"tm: Ctrl-C {effect} (--on-interrupt)")
    with nullcontext(runs) if prepare is None else prepare(gate, runs) as prepared:
        return _follow(command, prepared, gate, wait, command.remember(runs))


def wait_for(
    command: GateCommand[Runs],
    gate: Gate,
    wait: WaitBehavior,
    attach: Callable[[Gate], Sequence[FollowedRun[Runs]]],
) -> int:
    """Wait for the runs of an earlier start, which `attach` returns, and exit by the worst."""
    wait.reports.begin()
    command.limit_pauses(gate)
    gate = command.with_default_fail_on(gate)
    return _follow(command, attach(gate), gate, wait)


def wait_for_last(
    command: GateCommand[Runs], entries: Sequence[RememberedRun], gate: Gate, wait: WaitBehavior
) -> int:
    """Wait for the runs of the last start, judged as then where flags say nothing now."""
    wait.reports.begin()
    command.limit_pauses(gate)
    for entry in entries:
        if entry.server != command.server:
            raise ConfigurationError(
                f"the last run was started on {sanitize(entry.server)}, not on {command.server}",
                hint=f"name that server with {command.url_variable}",
            )
    details = entries[0].details
    set_now = command.checks_set_now()
    gate = complete_gate(command.session, gate, details, command.remembered_checks, set_now)
    gate = command.with_live_limits(gate, details)
    if not gate.fail_on:  # neither a flag nor the start has chosen
        gate = replace(gate, fail_on=read_fail_on(command.session, None))
    gate = command.with_default_fail_on(gate)
    return _follow(command, command.attach_remembered(entries, gate), gate, wait)


def _follow(
    command: GateCommand[Runs],
    runs: Sequence[FollowedRun[Backend]],
    gate: Gate,
    wait: WaitBehavior,
    memory: LastStart | None = None,
) -> int:
    return follow(
        command.session,
        runs,
        gate,
        wait,
        system=command.system,
        limits=command.limits(),
        at_once=command.at_once,
        memory=memory,
    )
