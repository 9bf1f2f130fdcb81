"""How a run shall be judged: a certain baseline, another target, limits; and who can do that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import ApiError
from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.trafficmorph.models import Profile
from tm_cli.api.transport import Transport
from tm_cli.backends.trafficmorph.runs import TrafficMorphRuns
from tm_cli.cli.options import MOST_TAGS, read_checks
from tm_cli.cli.session import Session
from tm_cli.commands.runs.profile_argument import (
    Subject,
    check_subject,
    find_profile,
    find_subject,
    upload_subject,
)
from tm_cli.commands.shared.follow import Case, Line, Manners, follow, start_each
from tm_cli.commands.shared.last_start import (
    StartedRun,
    as_started,
    gate_document,
    server_flags,
    unusable,
)
from tm_cli.errors import ConfigurationError, Refused, UsageError
from tm_cli.gate.checks import Check
from tm_cli.gate.model import Run
from tm_cli.gate.policy import Gate
from tm_cli.values.durations import format_duration
from tm_cli.values.text import clean
from tm_cli.values.urls import LOCAL, check_url, require_another

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph.models import AccountFeatures

PINS = ("baseline_pins", "compare with a baseline of your choice")
LIMITS = ("run_limits", "use limits of your own (`gate`)")
DUET = ("duet", "play a run against two targets (--against)")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user asked for beside profile, region and tags; `limits` are those of the files."""

    baseline: int | None = None
    against: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The part of the start's body that says it."""
        wishes = {
            "baselineRunId": self.baseline,
            "againstUrl": self.against,
            "gate": self.limits or None,
        }
        return {name: value for name, value in wishes.items() if value is not None}

    def comparison(self) -> dict[str, Any]:
        """What the run is compared with, as it is remembered."""
        return {"baseline": self.baseline, "against": self.against}

    @classmethod
    def from_comparison(cls, document: Mapping[str, Any]) -> Terms:
        """Read it again; raises ValueError for what tm did not write."""
        baseline, against = document.get("baseline"), document.get("against")
        if type(baseline) not in (int, NoneType) or not isinstance(against, str | None):
            raise ValueError("what it was compared with is not named")
        return cls(baseline, against)

    def flags(self) -> list[str]:
        """The flags of `tm runs wait` that say what the run is compared with."""
        found = {"--baseline": self.baseline, "--against": self.against}
        return [
            word
            for flag, value in found.items()
            if value is not None
            for word in (flag, str(value))
        ]


def read_terms(
    session: Session, *, baseline: int | None, against: str | None, profiles: Sequence[str]
) -> Terms:
    """Return the terms that flags and files set; sends nothing.

    Raises UsageError, and ConfigurationError when a settings file is ignored.
    """
    if baseline is not None and against is not None:
        raise UsageError(
            "--baseline and --against contradict each other",
            hint="with --against the run is compared with the other target, not with a run",
        )
    for flag, value in (("--baseline", baseline), ("--against", against)):
        if value is not None and len(profiles) != 1:
            raise UsageError(f"{flag} needs exactly one PROFILE")
    session.settings.require_all_files()
    limits = {name: value for name, (value, _) in session.settings.limits.items()}
    return Terms(baseline, None if against is None else check_url(against), limits)


def require(session: Session, terms: Terms, *, profiles: Sequence[str] = ()) -> None:
    """Refuse before anything is sent what the server would leave out in silence.

    `profiles` are arguments as the user wrote them; documents among them may have limits. Raises
    Refused when the server lacks what the terms or a document ask for, and UsageError when a
    document's own target is the one to compare it with.
    """
    documents = [found for text in profiles if (found := _document(session, text))]
    for document in documents:
        require_another(terms.against, str(document["endpointUrl"]))
    needs = []
    if terms.baseline is not None:
        needs.append(PINS)
    if terms.against is not None:
        needs.append(DUET)
    if terms.limits or any(document.get("gate") for document in documents):
        needs.append(LIMITS)
    require_features(session, needs, ending="; nothing was started")


def require_features(
    session: Session, needs: Sequence[tuple[str, str]], *, ending: str = ""
) -> None:
    """Raise Refused unless the server says that it can do all of `needs`."""
    if not needs:
        return
    features = _features(session)
    for name, words in needs:
        if getattr(features, name, None) is not True:
            raise Refused(
                f"this server cannot {words}{ending}",
                hint="the embedded server can: TM_BASE_URL=local",
                code="not_supported",
            )


def _features(session: Session) -> AccountFeatures | None:
    from tm_cli.api.errors import HttpError

    try:
        return session.account.features
    except HttpError as error:
        if error.status == 404:  # an early server, which can do none of it
            return None
        raise


def _document(session: Session, text: str) -> dict[str, Any] | None:
    from tm_cli.backends.trafficmorph.profile_documents import names_document, read_document

    return read_document(session.context.cwd / text) if names_document(text) else None


SYSTEM = "trafficmorph"

STOP_PATIENCE = 1.5
"""Seconds for the request that stops a run when a signal has come."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What the user asked to start."""

    profiles: tuple[str, ...]
    region: str | None = None
    tags: tuple[str, ...] = ()
    terms: Terms = field(default_factory=Terms)


def start_only(session: Session, request: StartRequest) -> int:
    """Start the runs and return at once."""
    for text in request.profiles:
        check_subject(text, session.context.cwd)
    require(session, request.terms, profiles=request.profiles)
    subjects = _upload(session, request.profiles)
    if request.terms.against is not None:
        for subject in subjects:
            target = find_profile(session.client, subject).target_url
            require_another(request.terms.against, target)
    all_runs = [_runs(session, subject, request) for subject in subjects]
    cases = [
        _case(session, subject, runs, request)
        for subject, runs in zip(subjects, all_runs, strict=True)
    ]
    started = start_each(
        session,
        cases,
        lambda position: all_runs[position].start(),
        run_id_of=lambda run: run.run_id,
        told=lambda case, run: _told(case.name, run),
    )
    data = [
        {
            "run_id": run.run_id,
            "started_run_id": run.run_id,
            "profile_id": subject.profile_id,
            "status": run.status or None,
            "waited": False,
        }
        for subject, run in zip(subjects, started, strict=True)
    ]
    lines = [_told(case.name, run) for case, run in zip(cases, started, strict=True)]
    code = session.emit(data[0] if len(data) == 1 else {"runs": data}, lambda: "\n".join(lines))
    for run in started:
        if run.resume:
            session.note(f"tm: wait for it with: {run.resume}")
    return code


def _told(name: str, run: Run) -> str:
    return f"started run {clean(run.run_id or 'without id')} of {name}: {clean(run.status)}"


def start_and_wait(session: Session, request: StartRequest, gate: Gate, manners: Manners) -> int:
    """Start the runs, wait for their verdicts and exit by the worst."""
    with manners.reports.begun():
        for text in request.profiles:  # a typo starts no server
            check_subject(text, session.context.cwd)
        require(session, request.terms, profiles=request.profiles)
        _widen_budget(session, runs=len(request.profiles))
        return _follow(session, _cases(session, request, gate, manners), gate, manners)


def _cases(session: Session, request: StartRequest, gate: Gate, manners: Manners) -> list[Case]:
    cases = []
    for subject in _upload(session, request.profiles):
        profile = find_profile(session.client, subject)
        if profile.loop:
            raise UsageError(
                f"{clean(profile.name)} loops until it is stopped, so it never has a verdict",
                hint="start it without --wait, or turn `loop` off",
            )
        require_another(request.terms.against, profile.target_url)
        _warn(session, profile, gate)
        named = Subject(subject.profile_id, clean(profile.name))
        runs = _runs(session, named, request, gate=gate, profile=profile)
        cases.append(_case(session, named, runs, request, gate=gate))
    does = "stops the run" if manners.stop_on_interrupt else "leaves the run going"
    session.note(f"tm: Ctrl-C {does} (--on-interrupt)")
    return cases


def _warn(session: Session, profile: Profile, gate: Gate) -> None:
    """Tell before the start what the user may not have meant."""
    name = clean(profile.name)
    if profile.status in {"RUNNING", "PAUSED"}:
        session.terminal.note(f"tm: {name} is {profile.status}; this start replaces that run")
    if profile.duration is not None and profile.duration > gate.wait_timeout:
        takes, limit = format_duration(profile.duration), format_duration(gate.wait_timeout)
        session.terminal.note(f"tm: {name} takes {takes}, longer than --wait-timeout {limit}")


def wait_for(
    session: Session, text: str, run_id: str, terms: Terms, gate: Gate, manners: Manners
) -> int:
    """Wait for the run of an earlier start; `terms` are what that start has asked for."""
    request = StartRequest((text,), terms=terms)
    with manners.reports.begun():
        subject = find_subject(session.client, text, session.context.cwd)
        runs = _runs(session, subject, request, gate=gate)
        case = _case(session, subject, runs, request, attach_to=runs.attach(run_id))
        return _follow(session, [case], gate, manners)


def wait_for_last(
    session: Session, started: Sequence[StartedRun], gate: Gate, manners: Manners
) -> int:
    """Wait for what was started last in this project; what is not given now is as it was then."""
    details = started[0].details
    gate = as_started(session, gate, details, _checks)
    server = _server(session)
    request = StartRequest((), terms=_terms(details))
    cases = []
    for entry in started:
        if entry.server != server:
            raise ConfigurationError(
                f"the last run was started on {clean(entry.server)}, not on {server}",
                hint="name that server with TM_BASE_URL",
            )
        subject = Subject(_profile_id(entry), clean(entry.subject))
        runs = _runs(session, subject, request, gate=gate)
        cases.append(_case(session, subject, runs, request, attach_to=runs.attach(entry.run_id)))
    with manners.reports.begun():
        _widen_budget(session, runs=len(cases))
        return _follow(session, cases, gate, manners)


def _checks(details: Mapping[str, Any]) -> tuple[Check, ...]:
    return read_checks(details.get("checks") or [])


def _terms(details: Mapping[str, Any]) -> Terms:
    try:
        return Terms.from_comparison(details.get("terms") or {})
    except (AttributeError, ValueError) as problem:
        raise unusable(problem) from None


def _profile_id(entry: StartedRun) -> int:
    try:
        return int(entry.subject_id)
    except ValueError:
        raise ConfigurationError(
            "what was remembered of the last run cannot be used: it names no profile",
            hint="name the profile: `tm runs wait PROFILE --run-id ID`",
        ) from None


def _case(
    session: Session,
    subject: Subject,
    runs: TrafficMorphRuns,
    request: StartRequest,
    *,
    attach_to: Run | None = None,
    gate: Gate | None = None,
) -> Case:
    """Return what is followed, and how `--last` finds it and what it is judged by again."""
    details = {**(gate_document(gate) if gate else {}), "terms": request.terms.comparison()}

    def record(run_id: str) -> StartedRun:
        return StartedRun(
            SYSTEM, _server(session), subject.profile_id, run_id, subject.name, details
        )

    return Case(subject.name, runs, record, attach_to, subject.profile_id, SYSTEM)


def _upload(session: Session, texts: Sequence[str]) -> list[Subject]:
    """Find all profiles before anything is started."""
    subjects = [upload_subject(session.client, text, session.context.cwd) for text in texts]
    for position, subject in enumerate(subjects):
        for warning in subject.warnings:
            session.note(f"tm: the server warns about {subject.name}: {clean(warning)}")
        if subject.profile_id in [other.profile_id for other in subjects[:position]]:
            raise UsageError(
                f"{subject.name} is named twice",
                hint="a profile has one run at a time: the second would replace the first",
            )
    return subjects


def _runs(
    session: Session,
    subject: Subject,
    request: StartRequest,
    *,
    gate: Gate | None = None,
    profile: Profile | None = None,
) -> TrafficMorphRuns:
    return TrafficMorphRuns(
        session.client,
        session.context.clock,
        subject.profile_id,
        subject=subject.name,
        region=request.region,
        tags=request.tags,
        own_tag=_own_tag(session, request),
        terms=request.terms.document(),
        profile=profile,
        hasty=_hasty_client(session),
        resume_flags=_resume_flags(session, gate, request.terms),
        needs_baseline=gate is not None and gate.needs_baseline,
    )


def _own_tag(session: Session, request: StartRequest) -> str | None:
    """A tag beside the user's, which others may share; without any, older servers must do."""
    if not request.tags or len(request.tags) >= MOST_TAGS:
        return None
    return f"tm-{session.context.make_token()}"


def _resume_flags(session: Session, gate: Gate | None, terms: Terms) -> list[str]:
    """What `tm runs wait` must be told again: gate, comparison, a server that flags have named."""
    flags = terms.flags()
    if gate is not None and gate.fail_on:
        flags += ["--fail-on", ",".join(sorted(gate.fail_on))]
    for check in gate.checks if gate is not None else ():
        flags += ["--assert", check.text]
    return [*flags, *server_flags(session, SYSTEM)]


def _hasty_client(session: Session) -> Client:
    connection = session.connection
    hasty = replace(
        connection, timeout=min(connection.timeout, STOP_PATIENCE), budget=None, revive=None
    )
    transport = Transport(hasty)
    session.keep_open(transport.close)
    return Client(transport, session.context.clock)


def _follow(session: Session, cases: Sequence[Case], gate: Gate, manners: Manners) -> int:
    connection = session.connection
    per_minute = connection.budget.per_minute if connection.budget else None
    return follow(session, cases, gate, manners, Line(connection.base_url, per_minute))


def _widen_budget(session: Session, *, runs: int) -> None:
    """Ask the account what it may send, where several runs share that."""
    budget = session.connection.budget
    if runs > 1 and budget is not None:
        budget.per_minute = _allowed_per_minute(session) or budget.per_minute


def _allowed_per_minute(session: Session) -> int | None:
    """What the account may send; None when the server does not tell."""
    try:
        limits = session.account.limits
    except ApiError:
        return None
    return limits.api_requests_per_minute if limits else None


def _server(session: Session) -> str:
    """The server by a name that lasts: the embedded one changes its port."""
    return session.settings.server or LOCAL
