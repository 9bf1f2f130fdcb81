"""Profiles as the server keeps them, and the rules for replacing one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tm_cli.server.engine.locustfiles.reference import LocustfileReference
from tm_cli.values.load.curve import Interpolation
from tm_cli.values.load.data_sets import DataSet, InvalidData, Mode, read_data_set
from tm_cli.values.load.placeholders import fill, fill_all
from tm_cli.values.text import sanitize


class Wire(BaseModel):
    """Base of everything that crosses the wire: camelCase there, unknown keys ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        strict=True,
        frozen=True,
        allow_inf_nan=False,  # an integer of 400 digits would become infinite
    )

    def to_wire(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True)


class CurvePoint(Wire):
    """The curve passes through `y` requests per second at second `x`."""

    x: Annotated[float, Field(ge=0)]
    y: Annotated[float, Field(ge=0)]


class Slot(Wire):
    """A weekly moment; `day_of_week` 1 is Monday, `time` is `HH:mm`."""

    day_of_week: Annotated[int, Field(ge=1, le=7)]
    time: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class StoredSlot(Slot):
    """A slot, when it last started a run, and whether it still does."""

    enabled: bool = True
    last_fired_at: str | None = None


class Schedule(Wire):
    """When the server starts runs of a profile: every week, or (`ONCE`) at the next slot alone."""

    mode: str
    timezone: str
    notify_emails: tuple[str, ...] = ()
    slots: tuple[StoredSlot, ...] = ()

    @property
    def as_set(self) -> Schedule:
        """The same before any slot had fired."""
        known = set(Slot.model_fields)
        slots = (StoredSlot(**slot.model_dump(include=known)) for slot in self.slots)
        return self.model_copy(update={"slots": tuple(slots)})


class DataSource(Wire):
    """CSV text with values for macros; see `values/load/data_sets.py`."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    mode: Mode | None = None
    csv: str

    @cached_property
    def data_set(self) -> DataSet:
        """What the text holds; raises ValueError, which names the data set, line and column."""
        try:
            return read_data_set(self.name, self.csv, self.mode)
        except InvalidData as problem:
            raise ValueError(f"{sanitize(self.name)}: {problem}") from None


Path = Annotated[str, Field(min_length=1, max_length=4096)]


HttpVersion = Literal["1.1", "2"]


class ClientCertificate(Wire):
    """Files in PEM on the machine that plays the load; without a key, `cert` has both.

    The password of the key is a placeholder in what is stored.
    """

    cert: Path
    key: Path | None = None
    password: Annotated[str, Field(max_length=1000)] | None = None


_WITH_MACROS = ("target_url", "request_body")
_WITHOUT_MACROS = ("readiness_url", "checks")
"""Fields with placeholders; headers, which are JSON text, and steps are filled in part by part."""
_OF_ANSWERS = {"checks", "extract"}
"""The keys of a step that have no macros."""


class ProfileFields(Wire):
    """All that a client can set; the defaults are what a missing field is reset to."""

    name: str
    duration: int
    target_url: str
    points: tuple[CurvePoint, ...]
    loop: bool = False
    http_method: str = "POST"
    request_body: str | None = None
    request_headers: str | None = None
    response_script: str | None = None
    init_script: str | None = None
    cleanup_script: str | None = None
    callback_url: str | None = None
    auto_alert_enabled: bool = False
    auto_alert_min_severity: str | None = None
    auto_alert_cooldown_minutes: int | None = None
    auto_alert_recipients: tuple[str, ...] = ()
    variables_set_ids: tuple[int, ...] = ()
    region: str | None = None
    readiness_url: str | None = None
    wait_for_target: float | None = None
    warmup: float | None = None
    stop_early: bool | None = None
    interpolation_mode: Interpolation = "SPLINE"
    schedule: Schedule | None = None
    gate: dict[str, Any] | None = None
    steps: list[dict[str, Any]] | None = None
    checks: dict[str, Any] | None = None
    cookies: bool | None = None
    follow_redirects: int | None = None
    data: tuple[DataSource, ...] = ()
    client_certificate: ClientCertificate | None = None
    http_version: HttpVersion | None = None
    locustfile: LocustfileReference | None = None

    @property
    def headers(self) -> list[tuple[str, str]]:
        items = json.loads(self.request_headers) if self.request_headers else []
        return [(item["name"], item["value"]) for item in items]

    def filled(
        self, values: Mapping[str, str], macros: Mapping[str, str] | None = None
    ) -> ProfileFields:
        """The same with the values of its placeholders; raises MissingValue.

        Those that are renewed during the run are `macros` where these are replaced.
        """
        of_requests = {**values, **(macros or {})}
        found = {name: fill_all(getattr(self, name), of_requests) for name in _WITH_MACROS}
        found |= {name: fill_all(getattr(self, name), values) for name in _WITHOUT_MACROS}
        headers = [{"name": name, "value": fill(text, of_requests)} for name, text in self.headers]
        found["request_headers"] = json.dumps(headers) if headers else None
        found["steps"] = [
            {
                key: fill_all(item, values if key in _OF_ANSWERS else of_requests)
                for key, item in step.items()
            }
            for step in self.steps or ()
        ]
        if certificate := self.client_certificate:
            texts = fill_all(certificate.model_dump(), values)
            found["client_certificate"] = ClientCertificate(**texts)
        return self.model_copy(update={name: each for name, each in found.items() if each})


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A stored profile."""

    id: int
    fields: ProfileFields
    callback_secret: str
    created_at: datetime


LOCAL = "local"


def display_name(region: str) -> str:
    return "Local" if region == LOCAL else region
