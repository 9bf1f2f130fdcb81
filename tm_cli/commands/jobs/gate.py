"""`tm jobs start` and `tm jobs wait`: the gate over job runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.backends.strait.conditions import split_conditions
from tm_cli.backends.strait.runs import StartPlan, StraitRuns, TriggeredRuns, describe_old
from tm_cli.backends.strait.trigger import (
    Snapshot,
    TriggerRequest,
    TriggerResult,
    find_by_key,
    is_limited,
    is_refusal,
    refusal,
)
from tm_cli.cli.session import CommandContext
from tm_cli.commands.jobs.client import (
    PER_MINUTE,
    JobRef,
    JobServer,
    find_job,
    not_found_as_error,
    open_server,
)
from tm_cli.commands.jobs.options import JobWaitOptions, read_conditions
from tm_cli.commands.shared.follow import FollowedRun, ServerLimits
from tm_cli.commands.shared.gate import GateCommand, StartOutcome
from tm_cli.commands.shared.last_start import (
    KEY,
    LastStart,
    RememberedRun,
    server_flags,
    unknown_start,
)
from tm_cli.errors import Refused, StartUnknown, TmError, UsageError
from tm_cli.gate.checks import Condition
from tm_cli.gate.policy import Gate
from tm_cli.settings import STRAIT
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict, format_fail_on

if TYPE_CHECKING:
    from tm_cli.api.strait import JobRun


@dataclass(frozen=True, slots=True)
class JobStart:
    """What the user asked to start; `body` is that of the trigger."""

    jobs: tuple[str, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    reuses: bool = False


class JobGate(GateCommand[StraitRuns]):
    """Triggers jobs, and waits for their runs; a job that failed is never a success."""

    system = STRAIT
    url_variable = "STRAIT_BASE_URL"
    subject_key = "job_id"
    default_fail_on = frozenset({Verdict.FAIL, Verdict.WARN})

    def __init__(self, session: CommandContext, options: JobWaitOptions | None = None) -> None:
        super().__init__(session)
        self._options = options or JobWaitOptions()

    @cached_property
    def _server(self) -> JobServer:
        return open_server(self.session)

    @property
    def server(self) -> str:
        return self._server.address

    def limits(self) -> ServerLimits:
        """Return the requests that we allow ourselves."""
        return ServerLimits(self.server, PER_MINUTE)

    def plan(self, request: JobStart, gate: Gate | None = None) -> list[FollowedRun[StraitRuns]]:
        """Find all jobs before any is triggered; without a gate the runs are only started.

        A start that is not waited for may be answered with a run that was there before.
        """
        refs = self._find_jobs(request, waits=gate is not None)
        planned = []
        for ref in refs:
            reuses = request.reuses or gate is None
            runs = self._planned(ref, request, reuses=reuses, waits=gate is not None)
            if gate is not None:
                self._equip(runs, self._canceled_as, gate, several=len(refs))
            planned.append(self._followed(ref, runs, gate, reuses=request.reuses))
        return planned

    def attach(self, run_ids: Sequence[str], gate: Gate) -> list[FollowedRun[StraitRuns]]:
        name_of, found = self._job_names(), []
        for run_id in run_ids:
            with not_found_as_error(run_id):
                run = self._server.client.get_run(run_id)
            ref = JobRef(run.job_id or "-", name_of(run))
            found.append(self._attached(ref, run.id, self._canceled_as, gate, len(run_ids)))
        return found

    def attach_remembered(
        self, entries: Sequence[RememberedRun], gate: Gate
    ) -> list[FollowedRun[StraitRuns]]:
        """Return the runs of the last start; a later wait must not be milder than it was."""
        found = []
        for entry in entries:
            ref = JobRef(str(entry.subject_id), sanitize(entry.subject))
            remembered = entry.details.get("canceled_as") == Verdict.FAIL
            before = Verdict.FAIL if remembered else Verdict.WARN
            canceled_as = self._options.canceled_as or before
            run_id = entry.run_id or self._find_run(entry, entries)
            run = self._attached(ref, run_id, canceled_as, gate, len(entries))
            run.runs.made_by = None if entry.details.get("reuses") is True else _made_by(entry)
            found.append(run)
        return found

    def _find_run(self, entry: RememberedRun, entries: Sequence[RememberedRun]) -> str:
        """Return the run of a start whose answer never came, by its key; raises StartUnknown."""
        trigger = _made_by(entry)
        if trigger is None:
            raise unknown_start([entry], entries)
        run = find_by_key(self._server.client, trigger.job_id, trigger.key)
        if run is None:
            key = f"--idempotency-key {sanitize(trigger.key)}"
            again = f"it is safe to send it again with {key} --reuse"
            raise unknown_start([entry], entries, again)
        if _is_of_start(run, entry, self.session.context.clock.now()):
            return run.id
        raise StartUnknown(
            f"run {sanitize(run.id)}, which has the key of the last start of "
            f"{sanitize(entry.subject)}, was there before",
            hint=f"wait for that run with `tm jobs wait {sanitize(run.id)}`",
        )

    def remember(self, runs: Sequence[FollowedRun[StraitRuns]]) -> LastStart:
        """Write down the key of each trigger before it is sent: it finds the run afterwards."""
        memory = super().remember(runs)
        for position, run in enumerate(runs):
            if isinstance(run.runs, TriggeredRuns):
                run.runs.on_send = partial(_note_trigger, memory, position)
        return memory

    def remembered_checks(self, details: Mapping[str, Any]) -> tuple[Condition, ...]:
        return read_conditions(details.get("checks") or [], details.get("max_duration"))

    def start(self, run: FollowedRun[StraitRuns]) -> StartOutcome:
        """Trigger the job; a run that was there before is named as such."""
        if not isinstance(run.runs, TriggeredRuns):
            raise AssertionError("a run that was started elsewhere is not started")
        run.runs.prepare()
        result = run.runs.trigger()
        is_known = result.run_id is not None and result.is_old is not None
        is_new = not result.is_old if is_known else None
        return StartOutcome(
            _describe(run.name, result),
            result.run_id,
            result.status,
            counts=is_new is True or run.details.get("reuses") is True,
            extra={"is_new": is_new},
        )

    def rehearse(self, request: JobStart) -> int:
        """Have the server check a trigger, and start nothing."""
        (ref,) = self._find_jobs(request)
        try:
            answer = self._server.client.rehearse(ref.job_id, request.body)
        except HttpError as error:
            is_no = is_refusal(error) or is_limited(error)
            raise (refusal(error) if is_no else error) from None
        if run_id := answer.get("id"):
            name = sanitize(run_id)
            raise TmError(
                f"the server does not know dry runs: it has started run {name} of {ref.name}",
                hint=f"cancel it with `tm jobs cancel {name}`",
                code="not_supported",
            )
        warnings = answer.get("validation_warnings")
        notes = [sanitize(text) for text in warnings] if isinstance(warnings, list) else []
        lines = [f"{ref.name} would be triggered; nothing was started", *notes]
        return self.session.emit(answer, lambda: "\n  ".join(lines))

    @property
    def _canceled_as(self) -> Verdict:
        return self._options.canceled_as or Verdict.WARN

    def _attached(
        self, ref: JobRef, run_id: str, canceled_as: Verdict, gate: Gate, several: int
    ) -> FollowedRun[StraitRuns]:
        runs = StraitRuns(self._server.client, self.session.context.clock, ref.name)
        self._equip(runs, canceled_as, gate, several=several)
        return FollowedRun(ref.name, runs, ref.job_id, attach_to=runs.attach(run_id))

    def _planned(
        self, ref: JobRef, request: JobStart, *, reuses: bool, waits: bool
    ) -> TriggeredRuns:
        context, terminal = self.session.context, self.session.terminal

        def new_key() -> str:
            return f"tm-{context.make_token()}"

        def make_request() -> TriggerRequest:
            return TriggerRequest(
                ref.job_id,
                request.body,
                request.key or new_key(),
                None if request.key else new_key,
                may_merge=ref.may_merge,
            )

        return TriggeredRuns(
            self._server.client,
            context.clock,
            ref.name,
            plan=StartPlan(make_request, reuses, self._server.triggers, waits),
            notify=lambda text: terminal.write_line(f"tm: {ref.name}: {text}"),
        )

    def _equip(self, runs: StraitRuns, canceled_as: Verdict, gate: Gate, *, several: int) -> None:
        """Add what only a wait needs; `several` runs are followed at once."""
        runs.canceled_as = canceled_as
        runs.stop_client = self._server.stop_client()
        runs.listen = self._server.listen(runs=several) if self._options.streams else None
        runs.resume_flags = self._resume_flags(gate, canceled_as)

    def _followed(
        self, ref: JobRef, runs: StraitRuns, gate: Gate | None, *, reuses: bool
    ) -> FollowedRun[StraitRuns]:
        details: dict[str, Any] = {"canceled_as": runs.canceled_as.value, "reuses": reuses}
        if gate is not None:
            checks, longest = split_conditions(gate.checks)
            fail_on = format_fail_on(gate.fail_on)
            details |= {"fail_on": fail_on, "checks": checks, "max_duration": longest}
        return FollowedRun(ref.name, runs, ref.job_id, details)

    def _resume_flags(self, gate: Gate, canceled_as: Verdict) -> list[str]:
        """Return the flags that `tm jobs wait` needs: the gate, and the server of this call."""
        flags = ["--fail-on", format_fail_on(gate.fail_on)]
        checks, longest = split_conditions(gate.checks)
        flags += [] if longest is None else ["--max-duration", longest]
        flags += [word for text in checks for word in ("--assert", text)]
        if canceled_as is Verdict.FAIL:
            flags += ["--canceled-as", Verdict.FAIL.value]
        return [*flags, *server_flags(self.session, self.system)]

    def _find_jobs(self, request: JobStart, *, waits: bool = False) -> list[JobRef]:
        refs = [find_job(self._server.client, text) for text in request.jobs]
        for position, ref in enumerate(refs):
            is_again = ref.job_id in [other.job_id for other in refs[:position]]
            if is_again and request.key is not None:
                raise UsageError(
                    f"{ref.name} is named twice under one --idempotency-key",
                    hint="the second would be answered with the run of the first",
                )
            if waits and ref.window is not None:
                raise Refused(
                    f"{ref.name} has a {ref.window} window: the server does not tell which run "
                    "a trigger belongs to; nothing was started",
                    hint="start it without --wait, and look with `tm jobs list`",
                    code="not_supported",
                )
        return refs

    def _job_names(self) -> Callable[[JobRun], str]:
        """Return how to call the job of a run: by its id where the key may not read jobs."""
        known: dict[str | None, str] = {}

        def name(run: JobRun) -> str:
            if run.job_id not in known:
                known[run.job_id] = sanitize(run.job_id or "job")
                if run.job_id:
                    with suppress(ApiError):
                        job = self._server.client.without_retries().get_job(run.job_id)
                        known[run.job_id] = sanitize(job.slug or job.name or job.id)
            return known[run.job_id]

        return name


def _note_trigger(
    memory: LastStart, position: int, request: TriggerRequest | None, snapshot: Snapshot
) -> None:
    details: dict[str, Any] = {KEY: None}
    if request is not None:
        details = {KEY: request.key, "is_unique": request.is_unique}
        details |= {name: at and at.isoformat() for name, at in asdict(snapshot).items()}
    memory.begin(position, details)


def _made_by(entry: RememberedRun) -> TriggerRequest | None:
    """The trigger that has made a remembered run; None where its key is not known."""
    key = entry.details.get(KEY)
    return TriggerRequest(str(entry.subject_id), {}, key) if isinstance(key, str) else None


def _is_of_start(run: JobRun, entry: RememberedRun, now: datetime) -> bool:
    """Whether a run with the key of a start was made by it, or counts all the same."""
    if entry.details.get("is_unique") is True or entry.details.get("reuses") is True:
        return True
    newest = entry.details.get("newest")
    try:
        asked_at = datetime.fromisoformat(entry.details["asked_at"])
        snapshot = Snapshot(asked_at, newest if newest is None else datetime.fromisoformat(newest))
        return not snapshot.is_older(run, now)
    except (KeyError, TypeError, ValueError):
        return False


def _describe(name: str, result: TriggerResult) -> str:
    if result.run_id is None:
        return f"{name}: {result.kept}"
    if result.is_old:
        return f"{name}: {describe_old(result)}; nothing new was started"
    if result.is_old is None:
        run = f"run {sanitize(result.run_id)}: {sanitize(result.status)}"
        return f"{name}: {run}; the key may not read whether it is new"
    return f"started run {sanitize(result.run_id)} of {name}: {sanitize(result.status)}"
