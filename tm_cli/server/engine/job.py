"""The job of an engine, which the server makes and the engine reads: what to send where, how fast.

It is the first line on the engine's standard input.
"""

import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Self
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tm_cli.server.engine.locustfiles.reference import JobLocustfile
from tm_cli.server.engine.schedule import WHOLE, RequestPlan, Share, Sides
from tm_cli.server.engine.templates import MACRO
from tm_cli.server.engine.variables import VisitorVariables
from tm_cli.server.profiles import ClientCertificate, DataSource, HttpVersion
from tm_cli.server.validation import problems
from tm_cli.values.load.curve import Curve, Interpolation
from tm_cli.values.load.journeys.checks import REQUEST_TIMEOUT, read_checks
from tm_cli.values.load.journeys.steps import (
    MOST_REDIRECTS,
    longest_thinking,
    read_steps,
    requests_in_a_visit,
)
from tm_cli.values.load.placeholders import hide_values
from tm_cli.values.urls import ascii_host, port_of

MAX_SLOTS = 900
"""So that a process gets by with 1024 open files, the usual limit."""
DEFAULT_SLOTS = 256
LONGEST_SCRIPT = 50_000
MOST_FOLLOW_UPS = 32
"""Requests that a response script has asked for and that are under way, per target."""
LARGEST_FOR_SCRIPT = 256 * 1024
"""Bytes of a body that a response script is called for."""
MOST_SENDERS = 4 * MAX_SLOTS
"""Of a run on one machine, unless more are asked for."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_KEPT_IN_TARGET = "/?%:@!$&'()*+,;=-._~[]|^`{}\"<>\\"
_FRAMING = {"content-length", "transfer-encoding", "expect"}


OriginKey = tuple[bool, str, int]
"""Whether there is TLS, the host, the port."""


class JobError(ValueError):
    """The job cannot be run; the message names the field and the reason."""


class RunFailed(JobError):
    """The whole run is a failure, also where only one of several workers has found it."""


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not an HTTP method")
    return text.upper()


def _header(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name")
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} is set by the load generator itself")
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError(f"{name} has characters that a header cannot carry")
    return name, value


def _finite_points(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if any(x < 0 or y < 0 for x, y in points):
        raise ValueError("x and y must not be negative")
    return points


def _usable(url: str) -> str:
    RequestTarget.parse(url)
    return url


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


Url = Annotated[str, AfterValidator(_usable)]
Addresses = Annotated[list[Annotated[str, AfterValidator(_address)]], Field(min_length=1)] | None
Positive = Annotated[float, Field(gt=0), AllowInfNan(False)]
Finite = Annotated[float, AllowInfNan(False)]


class Against(BaseModel):
    """The second target of an A/B run; `seed` draws the order within each pair of requests."""

    model_config = ConfigDict(frozen=True)

    target_url: Url
    addresses: Addresses = None
    seed: int = 0


class Probe(BaseModel):
    """What is asked before the load: whether the targets can be reached, and first, if `url` says
    so, that it answers with a status below 400. For `wait` seconds it is asked again.
    """

    model_config = ConfigDict(frozen=True)

    url: Url | None = None
    addresses: Addresses = None
    wait: Annotated[float, Field(ge=0), AllowInfNan(False)] = 0.0


class Origin(BaseModel):
    """Where requests of a journey may go besides the target: the beginning of a URL."""

    model_config = ConfigDict(frozen=True)

    url: Url
    addresses: Addresses = None


class EngineJob(BaseModel):
    """A validated job. Durations are seconds, rates are requests per second.

    This worker sends a `share` of all requests. With `hold` it waits for `go` once everything is
    ready. `against` makes it an A/B run: half of the requests go there, in pairs of random order.
    With `addresses` nothing else is connected to, whatever the name in the URL resolves to. With
    `expect_status` every other status is a failure. `timeout` is that of a request;
    `visit_timeout` that of an arrival which is several requests, think time included. `ca_file` has
    certificates to trust in addition to the system's. `data` has the values of the macros in target
    URL, headers and body, `init_values` those that the init script has returned, `tokens` those
    that all requests share and that may be renewed. `values` are what placeholders were filled in
    with; they stay in the server, which hides them in texts.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    target_url: Url
    addresses: Addresses = None
    against: Against | None = None
    method: Annotated[str, AfterValidator(_method)] = "GET"
    headers: list[Annotated[tuple[str, str], AfterValidator(_header)]] = []
    body: str | None = None
    points: Annotated[
        list[tuple[Finite, Finite]], Field(min_length=1), AfterValidator(_finite_points)
    ]
    duration: Positive
    interpolation: Interpolation = "SPLINE"
    loop: bool = False
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)] = DEFAULT_SLOTS
    timeout: Positive = REQUEST_TIMEOUT
    visit_timeout: Positive | None = None
    max_rps: Positive | None = None
    share: Share = WHOLE
    hold: bool = False
    probe: Probe | None = None
    expect_status: frozenset[int] | None = None
    steps: Annotated[list[dict[str, Any]], BeforeValidator(read_steps)] | None = None
    checks: Annotated[dict[str, Any], BeforeValidator(read_checks)] | None = None
    cookies: bool = False
    follow_redirects: Annotated[int, Field(ge=0, le=MOST_REDIRECTS)] = 0
    origins: list[Origin] = []
    ca_file: str | None = None
    data: tuple[DataSource, ...] = ()
    client_certificate: ClientCertificate | None = None
    http_version: HttpVersion | None = None
    tokens: dict[str, str] = Field(default_factory=dict, repr=False)
    values: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)
    locustfile: JobLocustfile | None = None
    response_script: Annotated[str, Field(max_length=LONGEST_SCRIPT)] | None = None
    init_values: dict[str, Any] = Field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, document: object) -> Self:
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise JobError(f"the job is invalid: {reasons(error)}") from error

    @classmethod
    def from_line(cls, line: str | bytes) -> Self:
        """Read the first line; JobError if there is no valid job in it."""
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or "job" not in document:
            raise JobError("the first line is not a JSON object with a job")
        return cls.parse(document["job"])

    def to_line(self) -> str:
        return json.dumps({"job": self.model_dump(mode="json")})

    @model_validator(mode="after")
    def _has_slots_for_every_side(self) -> Self:
        if self.against and self.slots < len(self.targets):
            raise ValueError("slots: an A/B run needs two")
        return self

    @property
    def is_journey(self) -> bool:
        """Whether an arrival may be more than one request, or its answer is looked into."""
        looked_into = self.checks or self.response_script
        return bool(self.steps or looked_into or self.follow_redirects or self.cookies)

    def senders(self, usual: int) -> int:
        """How many senders play the job: the `usual` number, or as many as its visitors occupy.

        By Little's law those are the visitors per second times the length of a visit, for which a
        second is allowed for each answer. How long those of a locustfile take is not known; they
        get as many as one process has, and no more: each of these costs more than senders.
        """
        if self.locustfile:
            longest = math.ceil(self.curve.highest_rate * self.arrival_timeout)
            return max(usual, min(longest, MAX_SLOTS))
        if not self.steps:
            return usual
        length = longest_thinking(self.steps) + self.requests_per_arrival
        return max(usual, min(math.ceil(self.curve.highest_rate * length), MOST_SENDERS))

    @property
    def requests_per_arrival(self) -> int:
        return max(requests_in_a_visit(self.steps), 1) if self.steps else 1

    @property
    def arrival_timeout(self) -> float:
        """Seconds after which what one arrival plays is over in any case."""
        return max(self.timeout, self.visit_timeout or 0.0)

    @property
    def targets(self) -> list["RequestTarget"]:
        sides: list[EngineJob | Against] = [self, self.against] if self.against else [self]
        return [RequestTarget.parse(side.target_url, side.addresses) for side in sides]

    @property
    def connections(self) -> int:
        """How many may be open at the same time; a visitor may have several."""
        further = len(self.targets) * MOST_FOLLOW_UPS if self.response_script else 0
        return self.slots * (2 if self.locustfile else 1 + len(self.origins)) + further

    def hide(self, text: str) -> str:
        """Return a text for people without the values."""
        return hide_values(text, self.values)

    @cached_property
    def variables(self) -> VisitorVariables:
        """What each arrival takes from the data; another draw in each run, alike on all workers."""
        seed = int.from_bytes(hashlib.sha256(self.run_id.encode()).digest()[:4])
        data = [source.data_set for source in self.data]
        sides = 2 if self.against else 1
        known = {name: as_text(value) for name, value in self.init_values.items()}
        return VisitorVariables(data, seed=seed, sides=sides, shared=known | self.tokens)

    @property
    def columns(self) -> frozenset[str]:
        """The macros whose value differs from arrival to arrival, or may be renewed."""
        of_data = (column for source in self.data for column in source.data_set.columns)
        return frozenset(of_data).union(self.tokens)

    @property
    def plan(self) -> RequestPlan:
        """The share of the requests that this worker sends, and their sides."""
        sides = Sides(self.against.seed) if self.against else None
        return RequestPlan(self.curve, self.share, sides)

    @property
    def curve(self) -> Curve:
        return Curve(
            self.points,
            self.duration,
            self.interpolation,
            loop=self.loop,
            max_rate=self.max_rps,
        )


def as_text(value: Any) -> str:
    """A value as JavaScript writes it, objects as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


class RequestTarget(BaseModel):
    """The parts of a target URL that a connection and a request line need.

    `addresses` are the only ones to connect to; without any, those that `host` resolves to.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    is_tls: bool
    request_target: str
    addresses: tuple[str, ...] = ()

    @property
    def origin(self) -> OriginKey:
        return self.is_tls, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port for the Host header; the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str, addresses: Iterable[str] | None = None) -> Self:
        """Split an http or https URL; ValueError when no request could be made of it."""
        if _CONTROL.search(url):
            raise ValueError("it contains blanks or control characters")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http or https URL")
        if "@" in parts.netloc:
            raise ValueError("it carries credentials; send them in a header")
        if parts.path.startswith("//"):
            raise ValueError("the path begins with two slashes")
        is_tls = parts.scheme == "https"
        query = f"?{parts.query}" if parts.query else ""
        return cls(
            host=ascii_host(parts.hostname),
            port=port_of(parts),
            is_tls=is_tls,
            request_target=quoted((parts.path or "/") + query),
            addresses=tuple(addresses or ()),
        )


def quoted(text: str) -> str:
    """Encode what a request line cannot carry; the names of macros stay as they are."""
    parts = MACRO.split(text)
    parts[::2] = [quote(part, safe=_KEPT_IN_TARGET) for part in parts[::2]]
    return "$$".join(parts)


def reasons(error: ValidationError) -> str:
    return "; ".join(f"{field}: {text}" if field else text for field, text in problems(error))
