"""Stored descriptions of load tests."""

from __future__ import annotations

from typing import Any

from pydantic import Field, StrictBool, StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload, JsonText, Number, TextList


class ProfileSummary(CamelCasePayload):
    id: StrictInt
    name: StrictStr
    created_at: Instant = None


class Point(CamelCasePayload):
    x: int | float
    y: int | float


class Profile(CamelCasePayload):
    """A stored description of a load test; `duration` in seconds."""

    id: StrictInt
    name: StrictStr
    duration: Number = None
    loop: Lenient[StrictBool] = None
    target_url: Lenient[StrictStr] = None
    http_method: Lenient[StrictStr] = None
    request_body: Lenient[StrictStr] = None
    request_headers: Lenient[StrictStr] = None
    points: Lenient[list[Point]] = None
    response_script: Lenient[StrictStr] = None
    init_script: Lenient[StrictStr] = None
    cleanup_script: Lenient[StrictStr] = None
    callback_url: Lenient[StrictStr] = None
    callback_secret: Lenient[StrictStr] = Field(default=None, repr=False)
    auto_alert_enabled: Lenient[StrictBool] = None
    auto_alert_min_severity: Lenient[StrictStr] = None
    auto_alert_cooldown_minutes: Number = None
    auto_alert_recipients: TextList = ()
    readiness_url: Lenient[StrictStr] = None
    schedule: JsonText = None
    interpolation_mode: Lenient[StrictStr] = None
    region: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    stop_early: Lenient[StrictBool] = None
    warmup: Number = None
    gate: JsonText = None
    locustfile: JsonText = None
    steps: JsonText = None
    data: JsonText = None
    variables_set_ids: Lenient[list[StrictInt]] = None
    http_version: Lenient[StrictStr] = None
    client_certificate: JsonText = None
    created_at: Instant = None


class ImportedProfile(CamelCasePayload):
    """The answer to an import; `callback_secret` is never shown."""

    id: StrictInt
    name: StrictStr
    callback_secret: Any = None
    warnings: TextList = ()
