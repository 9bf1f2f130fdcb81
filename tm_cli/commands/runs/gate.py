"""The gate over traffic runs: starts, waits, `--last`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.trafficmorph import Profile, TrafficMorphClient
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph.profile_documents import names_document
from tm_cli.backends.trafficmorph.runs import TrafficMorphRuns
from tm_cli.cli.connections import for_a_stop, open_transport
from tm_cli.cli.options import (
    MOST_TAGS,
    read_abort_if,
    read_checks,
    with_assert_setting,
)
from tm_cli.cli.session import CommandContext
from tm_cli.commands.runs.account_limits import (
    USUAL_RATE,
    highest_rate,
    require_whole_curve,
    warnings,
)
from tm_cli.commands.runs.controls import run_control
from tm_cli.commands.runs.features import WAITING, features_of, require_support
from tm_cli.commands.runs.request import ComparisonOptions, StartRequest
from tm_cli.commands.runs.start_values import StartValues, read_values
from tm_cli.commands.shared.ci_platforms import COMMIT_TAG, commit_tag
from tm_cli.commands.shared.follow import FollowedRun, ServerLimits
from tm_cli.commands.shared.gate import GateCommand, StartOutcome
from tm_cli.commands.shared.last_start import RememberedRun, gate_document, server_flags, unusable
from tm_cli.commands.shared.profile_argument import (
    ProfileRef,
    check_profile_argument,
    find_profile,
    import_document,
    require_load,
    resolve_profile,
    upload_profile,
)
from tm_cli.errors import Refused, UsageError
from tm_cli.gate.checks import Condition
from tm_cli.gate.live_limits import parse_live_limit
from tm_cli.gate.policy import Gate
from tm_cli.settings import TRAFFICMORPH
from tm_cli.setup.answers import is_out_of_reach
from tm_cli.target.service import READY_WAIT, Place
from tm_cli.values.durations import format_duration
from tm_cli.values.load.placeholders import MissingValue, fill, needs_filling
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL, is_loopback, require_another
from tm_cli.values.verdict import Verdict, format_fail_on

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Account, AccountLimits
    from tm_cli.sources.access_log import LoggedMix

_WARNING = "warning"
"""In the details of a run: what its start has found."""


def _document(session: CommandContext, text: str) -> dict[str, Any] | None:
    from tm_cli.backends.trafficmorph.profile_documents import read_document

    return read_document(session.context.cwd / text) if names_document(text) else None


class RunGate(GateCommand[TrafficMorphRuns]):
    system = TRAFFICMORPH
    url_variable = "TM_BASE_URL"
    stopping = "stops the run"

    @property
    def server(self) -> str:
        """An address, or `local`: the embedded server changes its port."""
        return self.session.settings.server or LOCAL

    def limits(self) -> ServerLimits:
        """Return the request budget of the connection."""
        connection = self.session.connection
        per_minute = connection.budget.per_minute if connection.budget else None
        return ServerLimits(connection.base_url, per_minute)

    def plan(
        self, request: StartRequest, gate: Gate | None = None
    ) -> list[FollowedRun[TrafficMorphRuns]]:
        """Find all profiles before anything is started; without a gate nothing is waited for."""
        session = self.session
        request = self._with_wait(request)
        if request.document is not None:
            require_support(session, request.comparison, request.load, documents=[request.document])
            own = read_values(session, request.profiles[0], request.document)
            ref = import_document(session.client, request.document, request.profiles[0])
            self._require_live_data(ref, gate)
            return [self._planned(ref, request.profiles[0], request, gate, own)]
        for text in request.profiles:  # a typo starts no server
            check_profile_argument(text, session.context.cwd)
            require_load(text)
        found = [_document(session, text) for text in request.profiles]
        documents = [document for document in found if document]
        require_support(session, request.comparison, request.load, documents=documents)
        values = [
            read_values(session, text, document) if document else None
            for text, document in zip(request.profiles, found, strict=True)
        ]
        if gate is not None:
            self._widen_budget(runs=len(request.profiles))
            self._limit_runs(request)
        refs = self._upload(request.profiles)
        runs = [
            self._planned(ref, text, request, gate, each)
            for ref, text, each in zip(refs, request.profiles, values, strict=True)
        ]
        for ref in refs:
            self._require_live_data(ref, gate)
        return runs

    def attach(
        self, text: str, run_id: str, comparison: ComparisonOptions, gate: Gate
    ) -> list[FollowedRun[TrafficMorphRuns]]:
        """Return the run of an earlier start; `comparison` is what that start has asked for."""
        ref = resolve_profile(self.session.client, text, self.session.context.cwd)
        attached = self._attached(ref, run_id, comparison, gate)
        run = attached.runs.attach(run_id, is_named=True)
        return [replace(attached, attach_to=run)]

    def attach_remembered(
        self, entries: Sequence[RememberedRun], gate: Gate
    ) -> list[FollowedRun[TrafficMorphRuns]]:
        comparison = _read_comparison(entries[0].details)
        refs = [ProfileRef(_profile_id(entry), sanitize(entry.subject)) for entry in entries]
        self._widen_budget(runs=len(entries))
        return [
            self._attached(ref, entry.run_id, comparison, gate, entry.details.get(_WARNING))
            for ref, entry in zip(refs, entries, strict=True)
        ]

    def remembered_checks(self, details: Mapping[str, Any]) -> tuple[Condition, ...]:
        return read_checks(details.get("checks") or [])

    def checks_set_now(self) -> tuple[Condition, ...]:
        return read_checks(with_assert_setting(self.session, None))

    def with_live_limits(self, gate: Gate, details: Mapping[str, Any]) -> Gate:
        if gate.abort_if:
            return gate
        try:
            then = [parse_live_limit(text) for text in details.get("abort_if") or ()]
        except (AttributeError, TypeError, ValueError) as problem:
            raise unusable(problem) from None
        limits = dict.fromkeys([*then, *read_abort_if(self.session, None)])
        for limit in limits:
            source = "as at the start" if limit in then else "by the settings"
            self.session.note(f"tm: {source}, this ends the run: {sanitize(limit.written)}")
        return replace(gate, abort_if=tuple(limits))

    def note_next_steps(self, outcomes: Sequence[StartOutcome], gate: Gate) -> None:
        """Warn `--quiet` pipelines as well: they may take this start for their gate."""
        super().note_next_steps(outcomes, gate)
        for name, does in (("fail_on", "gate"), ("abort_if", "end a broken run")):
            if getattr(gate, name):
                origin = self.session.settings[name].origin
                self.session.terminal.write_line(
                    f"tm: this start does not {does}: {name} ({origin}) counts only with --wait, "
                    "or later in `tm runs wait --last`"
                )

    def as_on_the_wire(self, started: dict[str, Any]) -> dict[str, Any]:
        return run_control(started["run_id"], started["status"], started["profile_id"])

    def _planned(
        self,
        ref: ProfileRef,
        text: str,
        request: StartRequest,
        gate: Gate | None,
        values: StartValues | None,
    ) -> FollowedRun[TrafficMorphRuns]:
        """`values` are those of a document; None where the profile is stored on the server."""
        is_needed = gate is not None or request.comparison.against is not None
        profile = self._read_profile(ref, is_needed=is_needed or request.access_log is not None)
        if profile is not None:
            require_another(request.comparison.against, profile.target_url)
            if gate is not None:
                self._check_waitable(profile, gate, request.wait_for_target or 0.0)
                ref = ProfileRef(ref.profile_id, sanitize(profile.name))
            self._check_limits(profile, gate)
            self._note_start(profile)
        if values is None and profile is not None and self._fills_in(profile):
            found = profile.document()
            values = read_values(self.session, profile.name, found, is_stored=True)
        request = replace(request, locustfile=self._locustfile(text, request, profile))
        runs = self._runs(ref, request, gate, profile, values)
        target = None if profile is None else self._target(profile, request, values)
        return replace(self._followed(ref, request, gate, runs), target=target)

    def _target(
        self, profile: Profile, request: StartRequest, values: StartValues | None
    ) -> str | None:
        """Return what is loaded; raises UsageError for what --serve cannot serve."""
        target = profile.target_url
        if target is not None:
            with suppress(MissingValue):
                target = fill(target, values.values if values else {})
        if request.serves:
            self._require_within_reach(profile, target or "", request.region)
        return target

    def _require_within_reach(self, profile: Profile, target: str, region: str | None) -> None:
        """Raise UsageError when the load comes from a machine that has not the service."""
        Place.of(target)
        is_elsewhere = region not in (None, LOCAL) and is_loopback(target)
        if is_elsewhere or is_out_of_reach(target, self.server):
            other = f"the agents of {region}" if is_elsewhere else f"the server at {self.server}"
            raise UsageError(
                f"--serve starts {sanitize(profile.name)} on this machine, and {sanitize(other)} "
                f"would load its own {sanitize(profile.target_url)}",
                hint="use the embedded server (--base-url local), or a target that is reached "
                "from there",
            )

    def _with_wait(self, request: StartRequest) -> StartRequest:
        """Have the server wait for a service that tm starts, where it can."""
        if not request.serves or request.wait_for_target is not None:
            return request
        can_wait = getattr(features_of(self.session), WAITING[0], None) is True
        return replace(request, wait_for_target=READY_WAIT) if can_wait else request

    def _fills_in(self, profile: Profile) -> bool:
        """Whether the server waits for values of a profile; another one means them as text.

        Raises Refused for a server elsewhere: it must not choose which variables it is sent.
        """
        if not needs_filling(profile.document()):
            return False
        features = features_of(self.session)
        if features is None or features.start_values is not True:
            return False
        if self.server != LOCAL and not is_loopback(self.server):
            raise Refused(
                f"{sanitize(profile.name)} needs values (${{NAME}}), which are sent to a server "
                "on another machine for a document of yours only",
                hint="start the document itself: tm runs start FILE",
                code="not_supported",
            )
        return True

    def _locustfile(
        self, text: str, request: StartRequest, profile: Profile | None
    ) -> Mapping[str, Any] | None:
        """Return where the locustfile of the profile is, for a server on this machine alone."""
        session, cwd = self.session, self.session.context.cwd
        document = request.document or _document(session, text)
        reference = (document or {}).get(locustfiles.KEY) or (profile and profile.locustfile)
        is_here = self.server == LOCAL or is_loopback(self.server)
        if not (isinstance(reference, Mapping) and is_here and request.region in (None, LOCAL)):
            return None
        directory = (cwd / text).parent if names_document(text) else cwd
        path = (directory / str(reference.get("file"))).resolve()
        if not path.is_file():
            return None
        for what in locustfiles.replaced_by_curve(path):
            session.note(f"tm: {path.name}: {sanitize(what)} is ignored; the curve is the load")
        return locustfiles.start_terms(reference, path, cwd, session.context.environ)

    def _read_profile(self, ref: ProfileRef, *, is_needed: bool) -> Profile | None:
        """Return the stored profile; None where it cannot be read and is only for messages."""
        if is_needed:
            return find_profile(self.session.client, ref)
        if self.session.quiet and self.session.wants_json:  # a program reads; one request
            return None
        try:
            return self.session.client.without_retries().get_profile(ref.profile_id)
        except ApiError:
            return None

    def _note_start(self, profile: Profile) -> None:
        """Say what is sent, and which run ends because of it."""
        name = sanitize(profile.name)
        if profile.target_url:
            place = " (embedded server)" if self.server == LOCAL else ""
            self.session.note(f"tm: {name} sends {describe_load(profile)}{place}")
        if profile.status in {"RUNNING", "PAUSED"}:
            self.session.terminal.write_line(
                f"tm: {name} is {profile.status}{self._name_active(profile)}; this start replaces "
                "that run"
            )

    def _name_active(self, profile: Profile) -> str:
        try:
            status = self.session.client.without_retries().get_run_status(profile.id)
        except ApiError:
            return ""
        return f" (run {sanitize(status.run_id)})" if status.run_id else ""

    def _attached(
        self,
        ref: ProfileRef,
        run_id: str,
        comparison: ComparisonOptions,
        gate: Gate,
        warning: str | None = None,
    ) -> FollowedRun[TrafficMorphRuns]:
        request = StartRequest((), comparison=comparison)
        self._require_live_data(ref, gate)
        needs_plan = any(limit.condition.metric == "rps" for limit in gate.abort_if)
        profile = find_profile(self.session.client, ref) if needs_plan else None
        runs = self._runs(ref, request, gate, profile, warning=warning)
        return replace(self._followed(ref, request, gate, runs), attach_to=runs.attach(run_id))

    def _require_live_data(self, ref: ProfileRef, gate: Gate | None) -> None:
        """Raise Refused when there are live limits, and no live data.

        Whatever else goes wrong is left to the gate: without readings it is undecided.
        """
        if gate is None or not gate.abort_if:
            return
        try:
            self.session.client.without_retries().get_run_status(ref.profile_id)
        except ApiError as error:
            if isinstance(error, HttpError) and error.status == 404 and error.from_api:
                raise Refused(
                    "this server has no live data of a run, which --abort-if needs",
                    hint="leave --abort-if out; `--assert` is checked when the run has ended",
                    code="not_supported",
                ) from None

    def _followed(
        self, ref: ProfileRef, request: StartRequest, gate: Gate | None, runs: TrafficMorphRuns
    ) -> FollowedRun[TrafficMorphRuns]:
        details = {
            **(gate_document(gate) if gate else {}),
            "terms": request.comparison.remembered(),
            **({_WARNING: runs.warning} if runs.warning else {}),
        }
        return FollowedRun(ref.name, runs, ref.profile_id, details)

    def _runs(
        self,
        ref: ProfileRef,
        request: StartRequest,
        gate: Gate | None,
        profile: Profile | None = None,
        values: StartValues | None = None,
        warning: str | None = None,
    ) -> TrafficMorphRuns:
        session, values = self.session, values or StartValues()
        if values.renewal and gate is None:
            session.note(f"tm: the token of {ref.name} is not renewed without --wait")
        return TrafficMorphRuns(
            session.client,
            session.context.clock,
            ref.profile_id,
            subject=ref.name,
            region=request.region,
            tags=self._tags(request),
            own_tag=self._own_tag(request.tags),
            terms=request.terms | values.terms,
            profile=profile,
            stop_client=self._stop_client(),
            resume_flags=self._resume_flags(gate, request.comparison),
            server_flags=server_flags(session, self.system),
            needs_baseline=gate is not None and gate.needs_baseline,
            renewal=values.renewal,
            warning=warning or self._drift(request.access_log, profile),
        )

    def _drift(self, log: LoggedMix | None, profile: Profile | None) -> str | None:
        """Say how the requests of a profile differ from an access log, if they differ much."""
        if log is None or profile is None:
            return None
        from tm_cli.sources.drift import UnknownMix, drift_between

        document = {**profile.document(), "endpointUrl": profile.target_url or ""}
        try:
            found = drift_between(document, log)
        except UnknownMix as problem:
            raise UsageError(f"--access-log: {problem}") from None
        if not found.is_large:
            return None
        self.session.note(f"tm: {sanitize(found.text)}")
        return sanitize(found.text)

    def _stop_client(self) -> TrafficMorphClient:
        transport = open_transport(self.session, for_a_stop(self.session.connection))
        return TrafficMorphClient(transport, self.session.context.clock)

    def _tags(self, request: StartRequest) -> tuple[str, ...]:
        """Add the commit under test, where the server is known to take tags."""
        tags, context = request.tags, self.session.context
        is_named = any(tag.startswith(COMMIT_TAG) for tag in tags)
        if is_named or len(tags) >= MOST_TAGS - 1 or not (tags or self.server == LOCAL):
            return tags
        tag = commit_tag(request.commit, context.environ, context.cwd)
        return (*tags, tag) if tag else tags

    def _own_tag(self, tags: Sequence[str]) -> str | None:
        """Return one more tag than the user's, which others may share; older servers take none."""
        if not tags or len(tags) >= MOST_TAGS:
            return None
        return f"tm-{self.session.context.make_token()}"

    def _resume_flags(self, gate: Gate | None, comparison: ComparisonOptions) -> list[str]:
        """Return the flags that `tm runs wait` needs: gate and comparison."""
        flags = comparison.flags()
        if gate is not None and gate.fail_on:
            flags += ["--fail-on", format_fail_on(gate.fail_on)]
        for check in gate.checks if gate is not None else ():
            flags += ["--assert", check.text]
        for live in gate.abort_if if gate is not None else ():
            flags += ["--abort-if", live.written]
        return flags

    def _upload(self, texts: Sequence[str]) -> list[ProfileRef]:
        session = self.session
        refs = [upload_profile(session.client, text, session.context.cwd) for text in texts]
        for position, ref in enumerate(refs):
            for warning in ref.warnings:
                session.note(f"tm: the server warns about {ref.name}: {sanitize(warning)}")
            if ref.profile_id in [other.profile_id for other in refs[:position]]:
                raise UsageError(
                    f"{ref.name} is named twice",
                    hint="a profile has one run at a time: the second would replace the first",
                )
        return refs

    def _check_waitable(self, profile: Profile, gate: Gate, for_target: float) -> None:
        """Refuse a run without an end; warn of what the user may not have meant."""
        name, note = sanitize(profile.name), self.session.terminal.write_line
        if profile.loop:
            raise UsageError(
                f"{name} loops until it is stopped, so it never has a verdict",
                hint="start it without --wait, or turn `loop` off",
            )
        for live in gate.abort_if:
            if profile.duration is not None and live.seconds > profile.duration:
                takes = format_duration(profile.duration)
                note(f"tm: {name} takes {takes}, too short for --abort-if '{live.written}'")
        if profile.duration is not None and profile.duration + for_target > gate.wait_timeout:
            takes, limit = format_duration(profile.duration), format_duration(gate.wait_timeout)
            first = f"may wait {format_duration(for_target)} for its target and " * bool(for_target)
            note(f"tm: {name} {first}takes {takes}, longer than --wait-timeout {limit}")

    def _widen_budget(self, *, runs: int) -> None:
        """Ask the account for its quota where several runs share it."""
        budget = self.session.connection.budget
        if runs > 1 and budget is not None:
            budget.per_minute = self._allowed_per_minute() or budget.per_minute

    def _limit_runs(self, request: StartRequest) -> None:
        """Decide how many of several runs are under way at a time.

        The load of runs on one machine would disturb each other's measurements.
        """
        if len(request.profiles) < 2:
            return
        account = self._account()
        most = account.limits.max_concurrent_runs if account and account.limits else None
        is_embedded = account is not None and account.features is not None and account.features.duet
        chosen = request.parallel
        if chosen is None and is_embedded and request.region in (None, "local"):
            chosen = 1
            self.session.note(
                "tm: the runs follow one another, because they share the machine that generates "
                "the load (--parallel)"
            )
        self.at_once = min((n for n in (chosen, most) if n is not None and n > 0), default=None)

    def _account(self, *, is_needed: bool = True) -> Account | None:
        """Return the account, None where it cannot be read; no retries if it is for a message."""
        session = self.session
        try:
            if is_needed or "account" in vars(session):
                return session.account
            return session.client.without_retries().get_account()
        except ApiError:
            return None

    def _limits(self) -> AccountLimits | None:
        account = self._account()
        return account.limits if account else None

    def _allowed_per_minute(self) -> int | None:
        limits = self._limits()
        return limits.api_requests_per_minute if limits else None

    def _check_limits(self, profile: Profile, gate: Gate | None) -> None:
        """Say what the account's limits cut off or refuse; a gate needs the whole curve.

        The account is read for this where the load is high, or the server is on this machine.
        """
        is_read = "account" in vars(self.session) or self.server == LOCAL
        if not is_read and highest_rate(profile) <= USUAL_RATE:
            return
        if (account := self._account(is_needed=gate is not None)) is None:
            return
        if gate is not None:
            require_whole_curve(profile, account)
        for warning in warnings(profile, account):
            self.session.terminal.write_line(f"tm: {warning}")


def describe_load(profile: Profile) -> str:
    """Return what a profile sends where, how often and for how long; without the query."""
    url, _, query = sanitize(profile.target_url).partition("?")
    rates = sorted({point.y for point in profile.points or []})
    what = sanitize(profile.http_method or "requests")
    if isinstance(profile.locustfile, Mapping):
        what = f"visitors of {sanitize(profile.locustfile.get('file'))} to"
    elif isinstance(profile.steps, list) and profile.steps:
        count = sum(isinstance(step, Mapping) and "request" in step for step in profile.steps)
        what = f"visitors with {count} step{'s' * (count != 1)} to"
    parts = [what, url + "?..." * bool(query)]
    if rates:
        lowest = f"{rates[0]:g} to " if len(rates) > 1 else ""
        parts.append(f"at {lowest}{rates[-1]:g}/s")
    if profile.duration:
        parts.append(f"for {format_duration(profile.duration)}")
    return " ".join(parts)


class ShortGate(RunGate):
    """A gate that fails on FAIL where nothing else is chosen."""

    default_fail_on = frozenset({Verdict.FAIL})


def _read_comparison(details: Mapping[str, Any]) -> ComparisonOptions:
    try:
        return ComparisonOptions.from_remembered(details.get("terms") or {})
    except (AttributeError, ValueError) as problem:
        raise unusable(problem) from None


def _profile_id(entry: RememberedRun) -> int:
    try:
        return int(entry.subject_id)
    except ValueError:
        raise unusable(
            "it names no profile", hint="name the profile: `tm runs wait PROFILE --run-id ID`"
        ) from None
