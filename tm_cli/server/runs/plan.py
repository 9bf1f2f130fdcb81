"""Turns a start request into a run and an engine job, or refuses it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from tm_cli.server.engine.http1.client_certificate import UnusableCertificate, load_certificate
from tm_cli.server.engine.job import (
    Against,
    EngineJob,
    Origin,
    Probe,
)
from tm_cli.server.engine.locustfiles.reference import JobLocustfile
from tm_cli.server.engine.templates import MACRO
from tm_cli.server.judge import Thresholds
from tm_cli.server.judge.baseline import differences
from tm_cli.server.outgoing import OutgoingRequests
from tm_cli.server.profiles import LOCAL, ProfileFields, StoredProfile
from tm_cli.server.runs.attached_data import with_attached_data
from tm_cli.server.runs.lifecycle import EndActions, initialize, require_scripts
from tm_cli.server.runs.progress import NO_TRAITS, ServerRun
from tm_cli.server.runs.stretches import stopped_after
from tm_cli.server.runs.verdicts import facts
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.validation import problems
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.schemas import StartBody, check_url
from tm_cli.server.web.services import Services
from tm_cli.values.documents import InvalidDocument, format_path
from tm_cli.values.load.curve import Curve
from tm_cli.values.load.journeys.checks import REQUEST_TIMEOUT
from tm_cli.values.load.journeys.steps import (
    absolute_urls,
    longest_thinking,
    read_steps,
    requests_in_a_visit,
    step_name,
    unfilled_macro,
)
from tm_cli.values.load.placeholders import MissingValue
from tm_cli.values.thresholds import stretch_problem

_ORIGIN = re.compile(r"[^/?#]*//[^/?#]*")
_PROFILE_NAMES = {"target_url": "targetUrl", "headers": "requestHeaders", "body": "requestBody"}
_MOST_ORIGINS = 20


def require_runnable(fields: ProfileFields) -> None:
    """Raise `Refusal`, naming the field, for features that this server does not have."""
    require_scripts(fields)
    _require_one_way_of_playing(fields)
    _require_fixed_parts(fields)
    if not fields.init_script:  # which may return values for further macros
        _require_values(fields)


def _require_one_way_of_playing(fields: ProfileFields) -> None:
    """Refuse what a locustfile, or HTTP/2, would leave out in silence."""
    of_visits: dict[str, object] = {
        "steps": fields.steps,
        "checks": fields.checks,
        "cookies": fields.cookies,
        "followRedirects": fields.follow_redirects,
    }
    of_requests: dict[str, object] = {
        "variablesSetIds": fields.variables_set_ids,
        "data": fields.data,
        "clientCertificate": fields.client_certificate,
        "httpVersion": fields.http_version,
    }
    for name, value in of_requests.items():
        if value and fields.locustfile:
            raise Refusal(f"{name} is about the requests of a profile; a locustfile has its own")
    for name, value in of_visits.items():
        if value and fields.http_version == "2":
            raise Refusal(f"{name} is not possible with httpVersion 2")


def _require_values(fields: ProfileFields, keys: Iterable[str] = ()) -> None:
    """Refuse macros that nothing fills in: they would be sent as they are written.

    `keys` are those that the init script has returned.
    """
    names = {column for source in fields.data for column in source.data_set.columns}.union(keys)
    texts = {
        "targetUrl": fields.target_url,
        "requestBody": fields.request_body or "",
        "requestHeaders": "\n".join(value for _, value in fields.headers),
    }
    for place, text in texts.items():
        if unknown := [name for name in MACRO.findall(text) if name not in names]:
            missing = "no data set has that column" if names else "the profile has no data"
            if fields.init_script:
                missing = "no data set has that column, and init() has not returned it"
            raise Refusal(f"{place} uses $${unknown[0]}$$: {missing}")
    if unfilled := unfilled_macro(fields.steps or (), names):
        path, macro = unfilled
        raise Refusal(
            f"{format_path(path)} uses {macro}, which no step before it extracts, and no data has"
        )


def _require_fixed_parts(fields: ProfileFields) -> None:
    """Refuse macros in what is resolved and checked before the load."""
    origin = _ORIGIN.match(fields.target_url)
    fixed = {
        "targetUrl": origin[0] if origin else "",
        "readinessUrl": fields.readiness_url or "",
    }
    for place, text in fixed.items():
        if found := MACRO.search(text):
            where = "before its path" if place == "targetUrl" else "which has no macros"
            raise Refusal(f"{place} uses {found[0]} {where}")


def choose_region(asked: str | None, fields: ProfileFields, remote: Mapping[str, int]) -> str:
    """The region of a run: as asked, else the profile's, else the local one.

    `remote` has the other regions with the number of their workers; one without is refused.
    """
    region = (asked or "").strip() or (fields.region or "").strip() or LOCAL
    if region == LOCAL or remote.get(region):
        return region
    reason = "no agent is connected there" if region in remote else "there is no such region"
    ready = ", ".join([LOCAL, *(name for name in sorted(remote) if remote[name])])
    raise Refusal(f"Region {region!r} is not available: {reason}; available now: {ready}")


@dataclass(frozen=True, slots=True)
class CheckedTarget:
    """A target, and the addresses that were checked; None where an agent checks for itself."""

    url: str
    addresses: list[str] | None = None


def engine_job(
    run_id: str,
    fields: ProfileFields,
    target: CheckedTarget,
    second_target: CheckedTarget | None = None,
    **further: Any,
) -> EngineJob:
    """The job of a run; raises `Refusal` for what the load generator cannot send.

    `further` are fields of the job that need no translation.
    """
    try:
        return EngineJob(
            run_id=run_id,
            target_url=target.url,
            addresses=target.addresses,
            against=_against(run_id, second_target),
            method="GET" if fields.steps else fields.http_method,
            headers=fields.headers,
            body=fields.request_body,
            points=[(point.x, point.y) for point in fields.points],
            duration=fields.duration,
            interpolation=fields.interpolation_mode,
            loop=fields.loop,
            steps=fields.steps,
            checks=fields.checks,
            cookies=bool(fields.cookies),
            follow_redirects=fields.follow_redirects or 0,
            data=fields.data,
            client_certificate=fields.client_certificate,
            http_version=fields.http_version,
            **further,
        )
    except ValidationError as error:
        raise _refusal(error, _PROFILE_NAMES) from None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Up to which rate a curve is played, and, if that cuts something off, a note that says so.

    The rates are those of the curve: of visitors, where an arrival is several requests.
    """

    rate: float
    note: str | None = None

    @property
    def trait(self) -> str:
        """What makes the load differ from that of the whole curve."""
        return f"{self.rate:g}" if self.note else ""


def _rate_limit(services: Services, profile_id: int, fields: ProfileFields) -> RateLimit:
    """What the account leaves for a run, whose profile's active run is replaced."""
    others = services.supervisor.rate_of_others(profile_id) if services.quota.max_rps else 0.0
    most, name = services.quota.highest_rate(others)
    rate = most / (max(requests_in_a_visit(fields.steps), 1) if fields.steps else 1)
    points = [(point.x, point.y) for point in fields.points]
    highest = Curve(points, fields.duration, fields.interpolation_mode).highest_rate
    if highest <= rate * (1 + 1e-9):
        return RateLimit(rate)
    what = "visitors" if fields.steps else "requests"
    return RateLimit(
        rate,
        f"the curve was cut off at {rate:,.6g} {what} per second ({name} of the account); "
        f"its highest rate is {highest:,.6g}",
    )


def _visit_timeout(steps: Sequence[Mapping[str, Any]] | None) -> float | None:
    """Seconds that a visit takes at most; None where an arrival is one request."""
    if not steps:
        return None
    return longest_thinking(steps) + requests_in_a_visit(steps) * REQUEST_TIMEOUT


def _require_bases(fields: ProfileFields, target: str, against: str | None) -> None:
    """Refuse what the paths of steps cannot be added to."""
    for name, url in (("targetUrl", target), ("againstUrl", against)):
        if fields.steps and urlsplit(url or "").query:
            raise Refusal(f"{name}: with steps it cannot have a query")


async def _origins(services: Services, fields: ProfileFields, region: str) -> list[Origin]:
    """Where the requests of steps go besides the target, with the addresses that were checked."""
    if not fields.steps:
        return []
    try:
        urls = absolute_urls(read_steps(fields.steps))
    except InvalidDocument as problem:  # a value that has been filled in does not fit
        raise Refusal(f"steps{format_path(problem.path)}: {problem}") from None
    if len(urls) > _MOST_ORIGINS:
        raise Refusal(f"steps: more than {_MOST_ORIGINS} hosts")
    return [
        Origin(url=url, addresses=await _checked(services, url, region, f"steps: {url}"))
        for url in urls
    ]


async def _checked(services: Services, url: str, region: str, field: str) -> list[str] | None:
    """The addresses of what a field other than targetUrl names; its refusals name that field."""
    try:
        return await services.check_target(url, region)
    except Refusal as refusal:
        raise Refusal(refusal.message.replace("targetUrl", field, 1)) from None


async def _probe(
    services: Services, fields: ProfileFields, region: str, wait: float | None
) -> Probe:
    """What is asked before the load."""
    url = fields.readiness_url or None
    try:
        probe = Probe(url=url, wait=(fields.wait_for_target or 0.0) if wait is None else wait)
    except ValidationError as error:
        raise _refusal(error, {"url": "readinessUrl"}) from None
    if url is None:
        return probe
    addresses = await _checked(services, url, region, "readinessUrl")
    return probe.model_copy(update={"addresses": addresses})


def _against(run_id: str, target: CheckedTarget | None) -> Against | None:
    if target is None:
        return None
    try:
        return Against(target_url=target.url, addresses=target.addresses, seed=_seed(run_id))
    except ValidationError as error:
        raise _refusal(error, {"target_url": "againstUrl"}) from None


def _refusal(error: ValidationError, names: Mapping[str, str]) -> Refusal:
    field, text = problems(error)[0]
    field = field.partition(".")[0]
    return Refusal(f"{names.get(field, field)}: {text}")


@dataclass(frozen=True, slots=True)
class LoadFingerprint:
    """What makes two runs comparable; `traits` are what the fingerprint is made of, by name."""

    fingerprint: str
    traits: Mapping[str, str]


def load_of(
    fields: ProfileFields,
    region: str,
    against_url: str | None,
    warmup: float = 0.0,
    rate_limit: str = "",
) -> LoadFingerprint:
    """Equal for runs that may be compared: same target, method, curve, duration and region.

    An A/B run is comparable only with those against the same second target, a run with a warm-up
    only with those that have the same, and one of a locustfile only with those of the same text.
    `fields` have the data of the variables sets; `rate_limit` is set where it cuts the curve off.
    """
    further = _further_traits(fields) | {"rate limit": rate_limit}
    facts: Sequence[object] = (
        fields.target_url,
        fields.http_method,
        _curve(fields),
        fields.duration,
        fields.interpolation_mode,
        region,
        *([against_url] if against_url else []),
        *([["warm-up", warmup]] if warmup else []),  # older runs, which had none, stay comparable
        *([name, value] for name, value in further.items() if value),
    )
    traits = {
        "target": fields.target_url,
        "method": fields.http_method,
        "curve": _digest([_curve(fields), fields.interpolation_mode]),
        "duration": str(fields.duration),
        "region": region,
        "second target": against_url or "",
        "warm-up": f"{warmup:g}",
        **further,
    }
    return LoadFingerprint(_digest(facts), traits)


def _further_traits(fields: ProfileFields) -> dict[str, str]:
    """What only some loads have; an empty text stands for those that have it not.

    Modules that a locustfile imports are not known.
    """
    data = [[source.data_set.mode, source.csv] for source in fields.data]
    file = fields.locustfile
    played = [file.sha256, sorted(file.classes), sorted(file.tags)] if file else []
    journey = {
        "steps": fields.steps,
        "checks": fields.checks,
        "cookies": fields.cookies,
        "followRedirects": fields.follow_redirects,
    }
    used = {name: value for name, value in journey.items() if value}
    scripts = [fields.response_script, fields.init_script]  # what comes later changes no load
    return NO_TRAITS | {
        "journey": _digest([used]) if used else "",
        "data": _digest(data) if data else "",
        "version of HTTP": fields.http_version or "",
        "locustfile": _digest(played) if played else "",
        "scripts": _digest(scripts) if any(scripts) else "",
    }


def _digest(facts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _seed(run_id: str) -> int:
    """The order within pairs of requests is random, but the same on every worker."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4])


def _curve(fields: ProfileFields) -> list[list[float]]:
    return [[float(point.x), float(point.y)] for point in fields.points]


async def prepare_run(
    services: Services, profile: StoredProfile, asked: StartBody, *, triggered_by: str = "api"
) -> tuple[ServerRun, EngineJob]:
    """Check everything that can be checked before the start; raises `Refusal`."""
    services.check_monthly_requests()
    fields = await asyncio.to_thread(with_attached_data, services.variables_sets, profile.fields)
    require_runnable(fields)
    values = asked.values or {}
    tokens = {f"={name}": values[name] for name in asked.renewable or () if name in values}
    macros = {name[1:]: f"$${name}$$" for name in tokens}
    _require_constant(values.keys() - macros.keys(), values)
    filled = _with_values(fields, values, macros)
    services.quota.check_request(filled)
    region = choose_region(asked.region, fields, services.agents.workers)
    addresses = await services.check_target(filled.target_url, region)
    target = CheckedTarget(filled.target_url, addresses)
    second = await _second_target(services, asked, target, region)
    _require_bases(fields, target.url, second.url if second else None)
    probe = await _probe(services, filled, region, asked.wait_for_target)
    await _check_certificate(filled, region)
    locustfile = _locustfile(services, fields, asked, region)
    warmup = warmup_of_run(asked.warmup, fields)
    thresholds = thresholds_of_run(asked.gate, fields.gate)
    _check_stretches(thresholds, fields, warmup)
    if locustfile and thresholds.get("expectStatus"):
        raise Refusal(
            "gate: expectStatus is about the requests of a profile; in a locustfile, "
            "catch_response says which answers are failures"
        )
    limit = _rate_limit(services, profile.id, filled)
    load = load_of(fields, region, second.url if second else None, warmup, limit.trait)
    run = ServerRun(
        run_id=str(uuid.uuid4()),
        profile_id=profile.id,
        profile_name=fields.name,
        target_url=fields.target_url,
        region=region,
        tags=tuple(dict.fromkeys(asked.tags or ())),
        triggered_by=triggered_by,
        fingerprint=load.fingerprint,
        duration=float(fields.duration),
        loop=fields.loop,
        started_at=services.clock.now(),
        traits=load.traits,
        warmup=warmup,
        against_url=second.url if second else None,
        gate=thresholds,
        stops_early=_stops_early(fields, asked, is_ab_run=second is not None),
        selected_baseline=None
        if second
        else _selection(services, profile.id, region, asked.baseline_run_id, load),
        notes=(limit.note,) if limit.note else (),
    )
    job = engine_job(
        run.run_id,
        filled,
        target,
        second,
        max_rps=limit.rate,
        probe=probe,
        origins=await _origins(services, filled, region),
        expect_status=thresholds.get("expectStatus"),
        tokens=tokens,
        values=values | _variables(locustfile),
        locustfile=locustfile,
        visit_timeout=locustfile.timeout if locustfile else _visit_timeout(fields.steps),
    )
    services.supervisor.require_room(profile.id)
    return await _initialized(services, profile, run, job)


async def _initialized(
    services: Services, profile: StoredProfile, run: ServerRun, job: EngineJob
) -> tuple[ServerRun, EngineJob]:
    """The run with what its init script has returned, which is the last thing before the load."""
    fields = profile.fields
    targets = OutgoingRequests(services.check_here, services.ca_file)
    async with services.init_scripts:
        init = await initialize(fields, targets)
    if services.profiles.find(profile.id) is None:  # it has been deleted since the start was asked
        raise Refusal("Profile not found")
    if fields.init_script:
        _require_values(fields.model_copy(update={"data": job.data}), init.values)
    changes = {
        "init_values": init.values,
        "response_script": fields.response_script,
        "values": job.values | init.secrets(taken=job.values),
    }
    job = job.model_copy(update=changes)
    at_end = EndActions(
        run.run_id,
        profile,
        init,
        hide=job.hide,
        history=services.history,
        targets=targets,
        callbacks=OutgoingRequests(services.targets.check, services.ca_file),
        now=services.clock.now,
    )
    return replace(run, at_end=at_end if at_end.has_any else None), job


def _variables(locustfile: JobLocustfile | None) -> dict[str, str]:
    """What a locustfile is given is as secret as what fills in a profile."""
    return locustfile.place.variables if locustfile and locustfile.place else {}


def _locustfile(
    services: Services, fields: ProfileFields, asked: StartBody, region: str
) -> JobLocustfile | None:
    """The locustfile of a run; agents find theirs themselves. Raises `Refusal` without it."""
    if fields.locustfile is None:
        return None
    if region != LOCAL:
        return JobLocustfile(**fields.locustfile.model_dump())
    return services.locustfiles.job(fields.locustfile, asked.locustfile)


def _require_constant(names: Iterable[str], values: Mapping[str, str]) -> None:
    """Refuse a value that would be changed, and of which an error would name a part."""
    for name in names:
        if MACRO.search(values[name]):
            raise Refusal(f"${{{name}}}: its value has a text between $$ and $$, as a macro has")


def _with_values(
    fields: ProfileFields, values: Mapping[str, str], macros: Mapping[str, str]
) -> ProfileFields:
    """The profile as it is sent; what is stored and compared keeps the placeholders."""
    try:
        filled = fields.filled(values, macros)
    except MissingValue as missing:
        raise Refusal(f"The profile uses {missing}; the start has to bring it (`values`)") from None
    filled = filled.model_copy(update={"steps": _named(filled.steps, fields.steps)})
    if filled.target_url == fields.target_url:
        return filled
    try:
        return filled.model_copy(update={"target_url": check_url(filled.target_url)})
    except ValueError as problem:
        raise Refusal(f"targetUrl: {problem}") from None


def _named(
    filled: Sequence[Mapping[str, Any]] | None, written: Sequence[Mapping[str, Any]] | None
) -> Sequence[Mapping[str, Any]] | None:
    """The steps with their names as they are written: reports have them, so they hold no values."""
    if not filled or not written or filled == written:
        return filled
    return [
        {**step, "name": step_name(own)} if "request" in own else step
        for step, own in zip(filled, written, strict=True)
    ]


async def _check_certificate(fields: ProfileFields, region: str) -> None:
    """Refuse a client certificate that cannot be used; an agent has files of its own."""
    certificate = fields.client_certificate
    if certificate is None:
        return
    if not fields.target_url.startswith("https:"):
        raise Refusal("clientCertificate: only an https target asks for a certificate")
    if region == LOCAL:
        context = ssl.create_default_context()
        try:
            await asyncio.to_thread(load_certificate, context, certificate)
        except UnusableCertificate as error:
            raise Refusal(f"clientCertificate: {error}") from None


def warmup_of_run(asked: float | None, fields: ProfileFields) -> float:
    warmup = (fields.warmup or 0.0) if asked is None else asked
    if warmup and warmup >= fields.duration:
        raise Refusal(
            f"warmup: {warmup:g} s leave nothing to judge of the {fields.duration} s of the run"
        )
    return warmup


def _check_stretches(thresholds: Mapping[str, Any], fields: ProfileFields, warmup: float) -> None:
    for key in thresholds:
        if problem := stretch_problem(key, duration=fields.duration, warmup=warmup):
            raise Refusal(f"gate: {key}: {problem}")


def _stops_early(fields: ProfileFields, asked: StartBody, *, is_ab_run: bool) -> bool:
    """A run that has no end cannot end early."""
    wishes = (asked.stop_early, fields.stop_early, is_ab_run)
    return not fields.loop and next(wish for wish in wishes if wish is not None)


async def _second_target(
    services: Services, asked: StartBody, target: CheckedTarget, region: str
) -> CheckedTarget | None:
    url = asked.against_url
    if url is None:
        return None
    if asked.baseline_run_id is not None:
        raise Refusal("A run against another target has no baseline: leave baselineRunId out")
    if url == target.url:
        raise Refusal("againstUrl is the profile's own target: nothing would be compared")
    return CheckedTarget(url, await _checked(services, url, region, "againstUrl"))


def thresholds_of_run(*documents: Mapping[str, Any] | None) -> dict[str, Any]:
    """The thresholds of the run; later documents override earlier ones."""
    if not any(documents):
        return {}
    thresholds = Thresholds()
    try:
        for document in documents:
            thresholds = thresholds.changed(document)
    except ValueError as error:  # each by itself was checked, but they do not go together
        raise Refusal(str(error)) from None
    return thresholds.document()


def _selection(
    services: Services, profile_id: int, region: str, asked: int | None, load: LoadFingerprint
) -> tuple[str, int] | None:
    """The selected baseline; one for this run alone must be usable now.

    A pinned one that is not leads to NO_BASELINE, so that the run itself is not lost.
    """
    if asked is None:
        pin = services.pins.find(profile_id, region)
        return ("pinned", pin.history_id) if pin else None
    row = usable_baseline(services, profile_id, asked)
    if difference := differences(load, facts(row, services.clock.now())):
        raise Refusal(f"Run {asked} cannot be the baseline: it has {difference}")
    return "asked", asked


def usable_baseline(services: Services, profile_id: int, history_id: int) -> StoredRow:
    """The row of a run that can be a baseline of the profile; raises `Refusal`."""
    row = services.history.find(history_id)
    if row is None or row["profile_id"] != profile_id:
        raise Refusal(f"This profile has no run {history_id} in the history")
    if row["damaged"]:
        raise Refusal(f"Run {history_id} cannot be the baseline: {damage(row)}")
    if row["outcome"] != "COMPLETED":
        outcome = row["outcome"].lower()
        raise Refusal(f"Run {history_id} cannot be the baseline: it was {outcome}, not completed")
    if not facts(row, services.clock.now()).can_be_baseline:
        raise Refusal(f"Run {history_id} cannot be the baseline: it mostly failed")
    if after := stopped_after(row):
        raise Refusal(
            f"Run {history_id} cannot be the baseline: it was stopped early, after {after} s of "
            f"{row['duration']:g} s; start a whole run (--no-stop-early)"
        )
    return row
