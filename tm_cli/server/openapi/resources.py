"""Answers about profiles, the account, domains, variables sets and captures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from tm_cli.server.openapi.fields import (
    Answer,
    Double,
    Int32,
    Int64,
    JsonText,
    RunStatus,
    Sampling,
    Time,
)


class ErrorEnvelope(Answer):
    """Why a request was refused."""

    error: str
    code: Literal["PLAN_UPGRADE_REQUIRED", "USAGE_LIMIT_REACHED", "AUTH_REQUIRED"] | None = None


class UsageLimitError(Answer):
    """The monthly quota of requests is used up."""

    error: str
    code: Literal["USAGE_LIMIT_REACHED"]
    used_requests: Int64
    included_requests: Int64
    usage_percent: Double
    upgrade_url: str


class ProfileSummary(Answer):
    id: Int64
    name: str
    created_at: Time


class ProfilePoint(Answer):
    """Requests per second at second `x`."""

    x: Double
    y: Double


class ScheduleSlot(Answer):
    id: Int64
    day_of_week: Int32
    time: str
    enabled: bool
    last_fired_at: Time | None = None


class ProfileSchedule(Answer):
    profile_id: Int64
    profile_name: str
    mode: Literal["ONCE", "PERIODIC"]
    timezone: str
    notify_emails: list[str]
    slots: list[ScheduleSlot]


class PortableSlot(Answer):
    day_of_week: Int32
    time: str


class PortableSchedule(Answer):
    mode: Literal["ONCE", "PERIODIC"]
    timezone: str
    notify_emails: list[str]
    slots: list[PortableSlot]


class _ProfileFields(Answer):
    """What a profile and its document share; the fields from `gate` on are this server's own."""

    name: str
    duration: Int32
    points: list[ProfilePoint]
    loop: bool
    http_method: str
    request_headers: JsonText | None
    response_script: str | None
    callback_url: str | None
    readiness_url: str | None
    auto_alert_enabled: bool
    auto_alert_min_severity: Literal["FAIL", "WARN"] | None  # typing keeps the first order it sees
    auto_alert_cooldown_minutes: Int32 | None
    auto_alert_recipients: list[str]
    interpolation_mode: Literal["SPLINE", "LINEAR"]
    gate: dict[str, Any] | None
    wait_for_target: Double | None = None
    warmup: Double | None = None
    stop_early: bool | None = None
    steps: list[dict[str, Any]] | None = None
    checks: dict[str, Any] | None = None
    cookies: bool | None = None
    follow_redirects: Int32 | None = None
    data: list[dict[str, Any]] | None = None
    client_certificate: dict[str, Any] | None = None
    http_version: Literal["1.1", "2"] | None = None
    locustfile: dict[str, Any] | None = None


class ProfileDetail(_ProfileFields):
    id: Int64
    target_url: str
    request_body: str | None
    init_script: str | None
    cleanup_script: str | None
    callback_secret: str | None
    variables_set_ids: list[Int64]
    region: str | None
    created_at: Time
    schedule: ProfileSchedule | None = None
    status: RunStatus


class PortableProfile(_ProfileFields):
    format: Annotated[Literal["trafficmorph-profile-v1"], Field(alias="_format")]
    endpoint_url: str
    request_payload: str | None
    schedule: PortableSchedule | SkipJsonSchema[None] = None


class ImportedProfile(Answer):
    id: Int64
    name: str
    callback_secret: str | None
    warnings: list[str]


class Region(Answer):
    region_code: str
    display_name: str
    is_local: bool
    agent_count: Int32
    connected_count: Int32


class AccountLimits(Answer):
    max_rps: Int32
    max_profile_rps: Int32 | None
    max_concurrent_runs: Int32
    max_profiles: Int32
    max_scheduled_runs: Int32
    max_notify_emails: Int32
    max_variables_sets: Int32
    history_retention_days: Int32 | None
    max_request_bytes: Int32
    max_request_headers_bytes: Int32
    max_request_header_count: Int32
    max_request_header_bytes: Int32
    api_requests_per_minute: Int32


class AccountUsage(Answer):
    used_requests: Int64
    included_requests: Int64
    active_run_count: Int32
    profile_count: Int64
    scheduled_run_count: Int64
    variables_set_count: Int64


class AccountFeatures(Answer):
    """What the server can do; it names further features that only this server has."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool]

    remote_regions: bool
    lifecycle_scripts: bool
    domain_verification_required: bool


class AccountState(Answer):
    deployment_mode: Literal["CLOUD", "SELF_HOSTED"]
    subscription_type: Literal["SOLO", "TEAM", "BUSINESS"]
    subscription_status: Literal["NONE", "ACTIVE", "PAST_DUE", "CANCELED"]
    trial_ends_at: Time | None
    trial_expired: bool
    grace_ends_at: Time | None
    limits: AccountLimits
    usage: AccountUsage
    features: AccountFeatures


class DomainState(Answer):
    id: Int64
    domain: str
    verification_token: str
    verification_method: Literal["DNS", "HTTP", "ADMIN"] | None
    verified: bool
    verified_at: Time | None = None
    created_at: Time
    dns_instruction: str
    http_instruction: str


class VariablesSet(Answer):
    id: Int64
    name: str
    mode: Sampling
    macro_columns: list[str]
    weight_column: str | None
    row_count: Int32
    byte_size: Int32
    created_at: Time
    updated_at: Time


class CaptureStats(Answer):
    total_requests: Int32
    parse_error_count: Int32
    first_parse_error_line: Int32 | None
    first_parse_error_message: str | None
    duration_seconds: Double
    group_count: Int32


class CapturePoint(Answer):
    """Requests per second at second `t` of the capture."""

    t: Double
    qps: Double


class CaptureVariable(Answer):
    name: str
    source: str
    json_path: str | None
    cardinality: str
    distinct_count: Int32
    sample_values: list[str]


class CaptureGroup(Answer):
    method: str
    url_skeleton: str
    row_count: Int32
    duration_seconds: Double
    peak_qps: Double
    avg_qps: Double
    curve: list[CapturePoint]
    variables: list[CaptureVariable]
    sample_urls: list[str]
    warnings: list[str]
    problem: str | None


class CaptureAnalysis(Answer):
    stats: CaptureStats
    groups: list[CaptureGroup]


class CreatedProfile(Answer):
    profile_id: Int64
    name: str


class SkippedSelection(Answer):
    method: str
    url_skeleton: str
    reason: str


class CaptureImport(Answer):
    created_profiles: list[CreatedProfile]
    created_variables_set_count: Int32
    skipped_selections: list[SkippedSelection]
    warnings: list[str]


class CaptureSource(Answer):
    id: Int64
    name: str
    kind: Literal["SFTP", "S3"]
    root_path: str | None
    last_listed_at: Time | None = None
    last_error: str | None
    created_at: Time
    updated_at: Time


class CaptureSourceFile(Answer):
    path: str
    size: Int64
    modified_at: Time
