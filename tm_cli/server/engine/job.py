"""The first line on standard input: what to send where, and how fast."""

import re
from typing import Annotated, Self
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tm_cli.curve import Curve, Interpolation

MOST_SLOTS = 900
"""geventhttpclient probes idle connections with select(), which fails from descriptor 1024 on."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_KEPT_IN_TARGET = "/?%:@!$&'()*+,;=-._~[]|^`{}\"<>\\"
_FRAMING = {"content-length", "transfer-encoding", "expect"}


class JobError(Exception):
    """The job cannot be run; the message names the field and the reason."""


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not an HTTP method")
    return text.upper()


def _header(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name")
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} is set by the engine itself")
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError(f"the value of {name} has characters that a header cannot carry")
    return name, value


def _finite_points(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if any(x < 0 or y < 0 for x, y in points):
        raise ValueError("x and y must not be negative")
    return points


Positive = Annotated[float, Field(gt=0), AllowInfNan(False)]
Finite = Annotated[float, AllowInfNan(False)]


class Job(BaseModel):
    """A validated job. Durations are seconds, rates are requests per second."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    target_url: str
    method: Annotated[str, AfterValidator(_method)] = "GET"
    headers: list[Annotated[tuple[str, str], AfterValidator(_header)]] = []
    body: str | None = None
    points: Annotated[
        list[tuple[Finite, Finite]], Field(min_length=1), AfterValidator(_finite_points)
    ]
    duration: Positive
    interpolation: Interpolation = "SPLINE"
    loop: bool = False
    slots: Annotated[int, Field(ge=1, le=MOST_SLOTS)] = 256
    timeout: Positive = 10.0
    max_rps: Positive | None = None

    @classmethod
    def parse(cls, document: object) -> Self:
        """Read the value of `job`; JobError says what is wrong with it."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise JobError(f"the job is invalid: {_reasons(error)}") from error

    @property
    def target(self) -> "Target":
        """Where the requests go."""
        return Target.parse(self.target_url)

    @property
    def curve(self) -> Curve:
        """How fast they go."""
        return Curve(
            self.points,
            self.duration,
            self.interpolation,
            loop=self.loop,
            max_rate=self.max_rps,
        )

    @model_validator(mode="after")
    def _has_a_usable_target(self) -> Self:
        Target.parse(self.target_url)
        return self


class Target(BaseModel):
    """The parts of the target URL that a connection and a request line need."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    is_tls: bool
    request_target: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Split an http or https URL; ValueError when no request could be made of it."""
        if _CONTROL.search(url):
            raise ValueError("target_url contains blanks or control characters")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"target_url {url!r} is not an http or https URL")
        if "@" in parts.netloc:
            raise ValueError("target_url carries credentials; send them in a header")
        if parts.path.startswith("//"):
            raise ValueError("the path of target_url begins with two slashes")
        is_tls = parts.scheme == "https"
        query = f"?{parts.query}" if parts.query else ""
        return cls(
            host=parts.hostname.encode("idna").decode(),
            port=parts.port or (443 if is_tls else 80),
            is_tls=is_tls,
            request_target=quote((parts.path or "/") + query, safe=_KEPT_IN_TARGET),
        )


def _reasons(error: ValidationError) -> str:
    reasons = []
    for detail in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in detail["loc"])
        reason = detail["msg"].removeprefix("Value error, ")
        reasons.append(f"{field}: {reason}" if field else reason)
    return "; ".join(reasons)
