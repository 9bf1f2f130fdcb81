"""What the account may do, what it has used, and where its runs can be generated."""

from __future__ import annotations

from pydantic import StrictBool, StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload


class AccountLimits(CamelCasePayload):
    """What the account may do; the meaning of 0 and of null differs by limit (section 12)."""

    max_rps: Lenient[StrictInt] = None
    max_profile_rps: Lenient[StrictInt] = None
    max_concurrent_runs: Lenient[StrictInt] = None
    max_profiles: Lenient[StrictInt] = None
    max_scheduled_runs: Lenient[StrictInt] = None
    max_notify_emails: Lenient[StrictInt] = None
    max_variables_sets: Lenient[StrictInt] = None
    history_retention_days: Lenient[StrictInt] = None
    max_request_bytes: Lenient[StrictInt] = None
    max_request_headers_bytes: Lenient[StrictInt] = None
    max_request_header_count: Lenient[StrictInt] = None
    max_request_header_bytes: Lenient[StrictInt] = None
    api_requests_per_minute: Lenient[StrictInt] = None


class AccountUsage(CamelCasePayload):
    """What has been used; requests in this calendar month (UTC), 0 included requests: no quota."""

    used_requests: Lenient[StrictInt] = None
    included_requests: Lenient[StrictInt] = None
    active_run_count: Lenient[StrictInt] = None
    profile_count: Lenient[StrictInt] = None
    scheduled_run_count: Lenient[StrictInt] = None
    variables_set_count: Lenient[StrictInt] = None


class AccountFeatures(CamelCasePayload):
    """What the server can do; a feature that it does not name is one that it lacks."""

    remote_regions: Lenient[StrictBool] = None
    lifecycle_scripts: Lenient[StrictBool] = None
    domain_verification_required: Lenient[StrictBool] = None
    baseline_pins: Lenient[StrictBool] = None
    run_limits: Lenient[StrictBool] = None
    duet: Lenient[StrictBool] = None
    wait_for_target: Lenient[StrictBool] = None
    warmup: Lenient[StrictBool] = None
    stop_early: Lenient[StrictBool] = None
    plans: Lenient[StrictBool] = None
    calibration: Lenient[StrictBool] = None
    journeys: Lenient[StrictBool] = None
    checks: Lenient[StrictBool] = None
    steps: Lenient[StrictBool] = None
    data: Lenient[StrictBool] = None
    start_values: Lenient[StrictBool] = None
    client_certificates: Lenient[StrictBool] = None
    http_versions: Lenient[StrictBool] = None
    locustfiles: Lenient[StrictBool] = None
    scripts: Lenient[StrictBool] = None


class Account(CamelCasePayload):
    """The plan and state of the account; times are null when they do not apply."""

    deployment_mode: Lenient[StrictStr] = None
    subscription_type: Lenient[StrictStr] = None
    subscription_status: Lenient[StrictStr] = None
    trial_ends_at: Instant = None
    trial_expired: Lenient[StrictBool] = None
    grace_ends_at: Instant = None
    limits: Lenient[AccountLimits] = None
    usage: Lenient[AccountUsage] = None
    features: Lenient[AccountFeatures] = None


class Region(CamelCasePayload):
    """Where load can be generated; `local` is the server itself."""

    region_code: StrictStr
    display_name: Lenient[StrictStr] = None
    is_local: Lenient[StrictBool] = None
    agent_count: Lenient[StrictInt] = None
    connected_count: Lenient[StrictInt] = None
