"""Request bodies: what the server accepts, independent of what `tm` itself sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from tm_cli.server.engine.locustfiles.reference import LocustfileReference
from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge import Thresholds
from tm_cli.server.profiles import (
    ClientCertificate,
    CurvePoint,
    DataSource,
    HttpVersion,
    ProfileFields,
    Schedule,
    Slot,
    StoredSlot,
    Wire,
)
from tm_cli.server.targets import literal_refusal
from tm_cli.values.documents import InvalidDocument, format_path
from tm_cli.values.load.data_sets import LONGEST_CSV, MOST_DATA_SETS, repeated_column, size_of
from tm_cli.values.load.journeys.checks import read_checks
from tm_cli.values.load.journeys.steps import read_redirects, read_steps
from tm_cli.values.load.placeholders import has_any
from tm_cli.values.text import trimmed_name
from tm_cli.values.urls import not_yet, with_ascii_host


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def is_timezone(name: str) -> bool:
    return name in _names()


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"^([^/?#]*(?://[^/?#]*)?).*$", re.DOTALL)
_TAG = re.compile(r"[a-z0-9._-]{1,60}")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _check_name(name: str) -> str:
    name = trimmed_name(name)
    if not name:
        raise ValueError("must not be blank")
    if len(name) > 120:
        raise ValueError("must have at most 120 characters")
    return name


def check_url(url: str) -> str:
    """Accept an absolute http(s) URL.

    Macros and placeholders are fine here, and looked at when a run starts.
    """
    if has_any(_ORIGIN.sub(r"\1", url)):
        return _check_characters(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(not_yet(url) or "must be an absolute http or https URL")
    _check_characters(url)
    url = url if "$$" in parts.netloc else with_ascii_host(url)
    if refusal := literal_refusal(urlsplit(url).hostname or ""):
        raise ValueError(refusal)
    return url


def _check_characters(url: str) -> str:
    if any(char <= " " or char == "\x7f" for char in url):
        raise ValueError("must not contain blanks or control characters")
    return url


def _check_headers(text: str) -> str:
    """Accept the JSON text of a list of name and value pairs that can stand in a request."""
    if not text.strip():
        return ""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("must be JSON text") from error
    if not isinstance(items, list):
        raise ValueError("must be a JSON list of objects with name and value")
    for item in items:
        _check_header(item)
    return text


def _check_header(item: object) -> None:
    pair = (item.get("name"), item.get("value")) if isinstance(item, dict) else (None, None)
    name, value = pair
    if not isinstance(name, str) or not isinstance(value, str):
        raise ValueError("must be a JSON list of objects with name and value")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a header name")
    if any(char in "\r\n\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(f"the value of {name} cannot stand in a header")


def _check_timezone(name: str) -> str:
    if not is_timezone(name):
        raise ValueError("must be an IANA name such as Europe/Berlin")
    return name


def _check_gate(document: dict[str, Any]) -> dict[str, Any]:
    Thresholds().changed(document)  # raises ValueError
    return document


def _read_with(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A validator of what `read` reads; its errors name the place below the field."""

    def check(value: Any) -> Any:
        try:
            return read(value)
        except InvalidDocument as problem:
            where = format_path(problem.path)
            raise ValueError(f"{where} {problem}" if where else str(problem)) from None

    return check


Steps = Annotated[list[dict[str, Any]], BeforeValidator(_read_with(read_steps))]
Checks = Annotated[dict[str, Any], BeforeValidator(_read_with(read_checks))]
Redirects = Annotated[
    int,
    BeforeValidator(_read_with(read_redirects)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "boolean"}]}),
]


def _check_data(sources: list[DataSource]) -> list[DataSource]:
    if size_of(source.csv for source in sources) > LONGEST_CSV:
        raise ValueError(f"must have at most {LONGEST_CSV:,} bytes")
    if column := repeated_column([source.data_set for source in sources]):
        raise ValueError(f"has the column {column} twice; a macro has one value")
    return sources


Data = Annotated[list[DataSource], Field(max_length=MOST_DATA_SETS), AfterValidator(_check_data)]


def _check_certificate(certificate: ClientCertificate) -> ClientCertificate:
    if certificate.password and not has_any(certificate.password):
        raise ValueError("password must be a placeholder such as ${NAME}, which is not stored")
    return certificate


Certificate = Annotated[ClientCertificate, AfterValidator(_check_certificate)]
Gate = Annotated[dict[str, Any], AfterValidator(_check_gate)]
Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 120}),
]
Url = Annotated[
    str,
    StringConstraints(max_length=2048),
    AfterValidator(check_url),
    Field(json_schema_extra={"format": "uri"}),
]
Script = Annotated[str, StringConstraints(max_length=50_000)]
Headers = Annotated[
    str,
    StringConstraints(max_length=50_000),
    AfterValidator(_check_headers),
    Field(json_schema_extra={"contentMediaType": "application/json", "format": "header-list"}),
]
Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"], BeforeValidator(_upper)
]
Interpolation = Annotated[Literal["SPLINE", "LINEAR"], BeforeValidator(_upper)]
Region = Annotated[str, StringConstraints(max_length=30)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
WaitTime = Annotated[float, Field(ge=0, le=3600)]
Warmup = Annotated[float, Field(ge=0, le=3600, multiple_of=BUCKET_SECONDS)]
Email = Annotated[str, StringConstraints(max_length=320)]


class ScheduleBody(Wire):
    """A schedule to keep with the profile."""

    mode: Literal["ONCE", "PERIODIC"]
    timezone: Annotated[
        str,
        AfterValidator(_check_timezone),
        Field(json_schema_extra={"format": "iana-timezone"}),
    ]
    notify_emails: list[Email] | None = None
    slots: Annotated[list[Slot], Field(min_length=1)]

    def stored(self) -> Schedule:
        return Schedule(
            mode=self.mode,
            timezone=self.timezone,
            notify_emails=tuple(self.notify_emails or ()),
            slots=tuple(StoredSlot(**slot.model_dump()) for slot in self.slots),
        )


class ProfileBody(Wire):
    """The body of create and update. A null means the same as a missing key."""

    name: Name
    duration: Annotated[int, Field(ge=10, le=172_800)]
    target_url: Url
    points: Annotated[list[CurvePoint], Field(min_length=2, max_length=5000)]
    loop: bool | None = None
    http_method: Method | None = None
    request_body: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    request_headers: Headers | None = None
    response_script: Script | None = None
    init_script: Script | None = None
    cleanup_script: Script | None = None
    callback_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    auto_alert_enabled: bool | None = None
    auto_alert_min_severity: Literal["FAIL", "WARN"] | None = None
    auto_alert_cooldown_minutes: Annotated[int, Field(ge=0, le=10_080)] | None = None
    auto_alert_recipients: list[Email] | None = None
    variables_set_ids: Annotated[list[Id], Field(max_length=50)] | None = None
    region: Region | None = None
    readiness_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    wait_for_target: WaitTime | None = None
    warmup: Warmup | None = None
    stop_early: bool | None = None
    interpolation_mode: Interpolation | None = None
    schedule: ScheduleBody | None = None
    gate: Gate | None = None
    steps: Steps | None = None
    checks: Checks | None = None
    cookies: bool | None = None
    follow_redirects: Redirects | None = None
    data: Data | None = None
    client_certificate: Certificate | None = None
    http_version: HttpVersion | None = None
    locustfile: LocustfileReference | None = None

    @model_validator(mode="after")
    def _check_curve(self) -> ProfileBody:
        for index, point in enumerate(self.points):
            if point.x > self.duration:
                raise ValueError(f"points: x of point {index} lies beyond the duration")
        if self.warmup and self.warmup >= self.duration:
            raise ValueError("warmup: nothing is left to judge of the duration")
        if self.loop and self.schedule:
            raise ValueError("schedule: a looping profile cannot be scheduled")
        if self.steps and urlsplit(self.target_url).query:
            raise ValueError("targetUrl: with steps it cannot have a query")
        if self.locustfile and (self.steps or self.checks or self.cookies or self.follow_redirects):
            raise ValueError(
                "locustfile: steps, checks, cookies and redirects have no effect on it"
            )
        return self

    def stored(self, current: ProfileFields | None) -> ProfileFields:
        """The profile after this write: everything replaced, save what a missing key keeps."""
        given = {
            name: value
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None and value != ""
        }
        given["points"] = tuple(self.points)
        for name in ("auto_alert_recipients", "variables_set_ids", "data"):
            if name in given:
                given[name] = tuple(given[name])
        if self.variables_set_ids:
            given["variables_set_ids"] = tuple(dict.fromkeys(self.variables_set_ids))
        if self.schedule:
            given["schedule"] = self.schedule.stored()
        return ProfileFields(**self._kept(current), **given)

    def _kept(self, current: ProfileFields | None) -> dict[str, Any]:
        keeping = ("schedule", "variables_set_ids", "region", "readiness_url", "interpolation_mode")
        if current is None:
            return {}
        return {name: getattr(current, name) for name in keeping if getattr(self, name) is None}


def _check_tag(tag: str) -> str:
    tag = tag.strip().lower()
    if not _TAG.fullmatch(tag):
        raise ValueError("a tag has 1 to 60 characters out of a-z, 0-9, dot, underscore, hyphen")
    return tag


Values = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")],
        Annotated[str, Field(max_length=50_000)],
    ],
    Field(max_length=200),
]
Tag = Annotated[
    str,
    AfterValidator(_check_tag),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 60}),
]


class LocustfileSource(Wire):
    """Where the locustfile of a run is on this machine, and the variables that it reads.

    `directory` is where it runs. Nothing of this is stored.
    """

    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    directory: Annotated[str, StringConstraints(max_length=4096)] | None = None
    variables: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=32_768)]], Field(max_length=50)
    ] = Field(default_factory=dict, repr=False)


class StartBody(Wire):
    """The optional body of `POST /profiles/{id}/runs`.

    `baseline_run_id` names the run to compare with, `against_url` makes it an A/B run
    against a second target, `gate` holds thresholds that differ from the defaults,
    `wait_for_target` and `warmup` are in seconds and replace those of the profile, as `stop_early`
    does: whether the run ends as soon as its verdict is known, which an A/B run does unless it is
    told not to. `values` are those of the placeholders; they are not stored. Those of `renewable`
    may be replaced during the run.
    """

    region: Region | None = None
    tags: Annotated[list[Tag], Field(max_length=20)] | None = None
    baseline_run_id: Id | None = None
    against_url: Url | None = None
    gate: Gate | None = None
    wait_for_target: WaitTime | None = None
    warmup: Warmup | None = None
    stop_early: bool | None = None
    values: Values | None = None
    renewable: Annotated[list[str], Field(max_length=200)] | None = None
    locustfile: LocustfileSource | None = None


class ValuesBody(Wire):
    """The body of `PUT /profiles/{id}/runs/{runId}/values`."""

    values: Values


class PlanBody(Wire):
    """The body of `POST /profiles/{id}/plan`: a rise of `detect` % seen in `power` % of the runs.

    `gate` and `warmup` as in a start.
    """

    metric: Literal["p50", "p95", "p99"] = "p95"
    detect: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
    power: Annotated[float, Field(ge=50, le=99.9, allow_inf_nan=False)] = 95.0
    region: Region | None = None
    gate: Gate | None = None
    warmup: Warmup | None = None


class CalibrationBody(Wire):
    """The body of `PUT /calibration`: history ids of runs of one load."""

    run_ids: Annotated[list[Id], Field(min_length=1, max_length=100)]


class PinBody(Wire):
    """The body of `PUT /profiles/{id}/baseline`."""

    history_id: Id
