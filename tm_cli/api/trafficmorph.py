"""The TrafficMorph API, version 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
)
from pydantic.alias_generators import to_camel

from tm_cli.api import strict_json
from tm_cli.api.client import Instant, JsonClient, Lenient, Payload, as_object, given
from tm_cli.values.text import as_number


def _json_text(value: Any) -> Any:
    """Decode a field that holds JSON as text; what does not decode to a document stays text."""
    if not isinstance(value, str):
        return value
    try:
        document = strict_json.parse_answer(value)
    except ValueError:
        return value
    return document if isinstance(document, dict | list) else value


LARGEST_INTEGER = 2**53


def _text_list(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _row_run_id(value: Any) -> str | None:
    """Keep a runId of a wrong type: only rows without any may be matched by time."""
    if value is None or isinstance(value, str):
        return value or None
    return "(a runId that is no text)"


def _counts(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict):
        return {}
    return {str(key): count for key, count in value.items() if type(count) is int}


def _number(value: Any) -> int | float | None:
    """Keep an integer as one, as scripts expect it; what a float cannot count is a float."""
    return value if type(value) is int and abs(value) <= LARGEST_INTEGER else as_number(value)


Number = Annotated[int | float | None, BeforeValidator(_number)]
JsonText = Annotated[Any, BeforeValidator(_json_text)]
TextList = Annotated[tuple[str, ...], BeforeValidator(_text_list)]
RowRunId = Annotated[str | None, BeforeValidator(_row_run_id)]
Counts = Annotated[Mapping[str, int], BeforeValidator(_counts)]


class CamelCasePayload(Payload):
    """A JSON object of this API: camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel)


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
    points: Lenient[list[Point]] = None
    interpolation_mode: Lenient[StrictStr] = None
    region: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    stop_early: Lenient[StrictBool] = None
    warmup: Number = None
    gate: JsonText = None
    locustfile: JsonText = None
    steps: JsonText = None
    data: JsonText = None
    http_version: Lenient[StrictStr] = None
    client_certificate: JsonText = None
    created_at: Instant = None


class ImportedProfile(CamelCasePayload):
    """The answer to an import; `callback_secret` is never shown."""

    id: StrictInt
    name: StrictStr
    callback_secret: Any = None
    warnings: TextList = ()


class RunControl(CamelCasePayload):
    """The answer to start, stop, pause and resume."""

    run_id: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    profile_id: Lenient[StrictInt] = None


class Bucket(CamelCasePayload):
    """Five seconds of a run; `t` is their middle in seconds, latencies are in milliseconds."""

    t: Number = None
    rps: Number = None
    planned_rps: Number = None
    ok_ratio: Number = None
    bad_ratio: Number = None
    p50_ms: Number = None
    p95_ms: Number = None
    p99_ms: Number = None


class LiveStatus(CamelCasePayload):
    """A run in flight; curve times in seconds, pauses excluded.

    The embedded server's own: `waiting_for`, why it sends no load yet; `warmup_seconds`;
    `stops_early`, whether it ends the run as soon as its verdict is known; and `steps`, the counts
    by step where an arrival is several requests.
    """

    profile_id: Lenient[StrictInt] = None
    run_id: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    region: Lenient[StrictStr] = None
    elapsed_seconds: Number = None
    duration_seconds: Number = None
    requests_sent: Lenient[StrictInt] = None
    response_code_counts: Counts = Field(default_factory=dict)
    current_rps: Number = None
    planned_rps: Number = None
    recent_buckets: Lenient[list[Bucket]] = None
    generator_saturated: Lenient[StrictBool] = None
    downstream_saturated: Lenient[StrictBool] = None
    flaky_dispatch: Lenient[StrictBool] = None
    waiting_for: Lenient[StrictStr] = None
    stops_early: Lenient[StrictBool] = None
    warmup_seconds: Number = None
    steps: JsonText = None
    tags: TextList = ()


class HistoryRow(CamelCasePayload):
    """A run that has ended, as a list row or in detail.

    `outcome`, `against` (the second target of an A/B run), `against_url`, `load_fingerprint` (equal
    for runs that may be compared), `notes` and `addresses` (requests by address of the target) are
    the embedded server's, as are `stopped_after_seconds`, of a run that was stopped early,
    `curve_seconds`, which it would have taken, and `steps`, the results by step.
    """

    id: Lenient[StrictInt] = None
    run_id: RowRunId = None
    profile_id: Lenient[StrictInt] = None
    profile_name: Lenient[StrictStr] = None
    started_at: Instant = None
    finished_at: Instant = None
    created_at: Instant = None
    duration_seconds: Number = None
    total_requests: Lenient[StrictInt] = None
    total_errors: Lenient[StrictInt] = None
    avg_rps: Number = None
    peak_rps: Number = None
    success_rate: Number = None
    auto_verdict: Lenient[StrictStr] = None
    auto_verdict_reasons: JsonText = None
    triggered_by: Lenient[StrictStr] = None
    region: Lenient[StrictStr] = None
    tags: TextList = ()
    target_url: Lenient[StrictStr] = None
    response_codes: JsonText = None
    latency_quantiles: JsonText = None
    rps_series: JsonText = None
    latency_series: JsonText = None
    secondary_stats: JsonText = None
    script_stats: JsonText = None
    auto_compare_snapshot: JsonText = None
    auto_compare_baseline_run_id: Lenient[StrictInt] = None
    outcome: Lenient[StrictStr] = None
    against: JsonText = None
    against_url: Lenient[StrictStr] = None
    load_fingerprint: Lenient[StrictStr] = None
    notes: TextList = ()
    addresses: JsonText = None
    protocol: Lenient[StrictStr] = None
    bodies: JsonText = None
    repeated: Lenient[StrictInt] = None
    warmup_seconds: Number = None
    judged: JsonText = None
    cpu_pressure: Number = None
    steps: JsonText = None
    stopped_after_seconds: Number = None
    curve_seconds: Number = None


class HistoryPage(CamelCasePayload):
    """One page of ended runs, newest first."""

    content: list[HistoryRow]
    page: Lenient[StrictInt] = None
    size: Lenient[StrictInt] = None
    total_elements: Lenient[StrictInt] = None
    total_pages: Lenient[StrictInt] = None


class AccountLimits(CamelCasePayload):
    """What the account may do; 0 means no cap for most."""

    api_requests_per_minute: Lenient[StrictInt] = None
    max_concurrent_runs: Lenient[StrictInt] = None
    max_rps: Lenient[StrictInt] = None
    max_profile_rps: Lenient[StrictInt] = None


class AccountFeatures(CamelCasePayload):
    """What the server can do; a feature that it does not name is one that it lacks."""

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


class Account(CamelCasePayload):
    limits: Lenient[AccountLimits] = None
    features: Lenient[AccountFeatures] = None


class BaselinePin(CamelCasePayload):
    """The run that is pinned as a profile's baseline in a region; no `history_id`: none is."""

    profile_id: Lenient[StrictInt] = None
    region: Lenient[StrictStr] = None
    history_id: Lenient[StrictInt] = None
    run_id: Lenient[StrictStr] = None
    started_at: Instant = None
    auto_verdict: Lenient[StrictStr] = None
    pinned_at: Instant = None
    exists: Lenient[StrictBool] = None


class RunComparison(CamelCasePayload):
    """Two runs compared by the server (section 11 of its contract); `run_a` is the newer one."""

    run_a: Lenient[HistoryRow] = None
    run_b: Lenient[HistoryRow] = None
    latency: JsonText = None
    success_comparison: JsonText = None
    error_comparison: JsonText = None
    response_code_comparisons: JsonText = None
    comparisons: JsonText = None
    steps: JsonText = None
    not_comparable: Lenient[StrictStr] = None


class Detects(CamelCasePayload):
    """The smallest rises in percent that are shown as WARN or FAIL, and as FAIL."""

    warn: Number = None
    fail: Number = None


class Spread(CamelCasePayload):
    """The standard deviation of one run in percent, and of how many steps it was learnt."""

    percent: Number = None
    assumed_percent: Number = None
    runs: Lenient[StrictInt] = None


class PlanOption(CamelCasePayload):
    """One way to run, and what it detects."""

    name: Lenient[StrictStr] = None
    rate: Number = None
    seconds: Number = None
    ab_run: Lenient[StrictBool] = None
    requests: Lenient[StrictInt] = None
    minutes: Number = None
    detects: Lenient[Detects] = None
    is_enough: Lenient[StrictBool] = None
    is_blind: Lenient[StrictBool] = None
    is_too_small: Lenient[StrictBool] = None
    is_cheapest: Lenient[StrictBool] = None


class Plan(CamelCasePayload):
    """What a profile can detect, and how to run to detect more; no options: nothing is known.

    `lower_limits`: the thresholds (`gate`) to change, because today's hide the rise themselves;
    all options but the first have them.
    """

    profile_id: Lenient[StrictInt] = None
    region: Lenient[StrictStr] = None
    metric: Lenient[StrictStr] = None
    detect: Number = None
    power: Number = None
    runs: Lenient[list[StrictInt]] = None
    limits: JsonText = None
    lower_limits: JsonText = None
    value: Number = None
    spread: Lenient[Spread] = None
    two_runs: Lenient[Detects] = None
    options: Lenient[list[PlanOption]] = None


class Calibration(CamelCasePayload):
    """A measured spread: the standard deviation of one run, as a share."""

    spread: Number = None
    measured: JsonText = None
    runs: Lenient[list[StrictInt]] = None
    target: Lenient[StrictStr] = None
    measured_at: Instant = None


class Calibrations(CamelCasePayload):
    """The calibrations by runner class, and the class of the server's machine."""

    runner_class: Lenient[StrictStr] = None
    assumed_spread: Number = None
    calibrations: Lenient[dict[str, Calibration]] = None


T = TypeVar("T")


class TrafficMorphClient(JsonClient):
    root = "api/v1"

    def list_profiles(self) -> list[ProfileSummary]:
        return self._get(TypeAdapter(list[ProfileSummary]).validate_python, "profiles")

    def get_profile(self, profile_id: int) -> Profile:
        return self._get(Profile.model_validate, f"profiles/{profile_id}")

    def export_profile(self, profile_id: int) -> dict[str, Any]:
        return self._get(as_object, f"profiles/{profile_id}/export")

    def import_profile(self, document: Mapping[str, Any]) -> ImportedProfile:
        """Create a profile, or overwrite the one of the same name."""
        return self._post(ImportedProfile.model_validate, "profiles/import", document)

    def delete_profile(self, profile_id: int) -> None:
        """Delete a profile and cancel its active run; its history stays."""
        self._send_once("DELETE", f"profiles/{profile_id}")

    def start_run(
        self,
        profile_id: int,
        *,
        region: str | None = None,
        tags: Sequence[str] = (),
        terms: Mapping[str, Any] | None = None,
    ) -> RunControl:
        """Start a run once; older servers know a start without any of these only.

        `terms` is how the run is to be judged: `baselineRunId`, `againstUrl`, `gate`.
        """
        path = f"profiles/{profile_id}"
        body: dict[str, Any] = {"region": region} if region is not None else {}
        body |= {"tags": list(tags)} if tags else {}
        body |= terms or {}
        if not body:
            return self._post(RunControl.model_validate, f"{path}/start")
        return self._post(RunControl.model_validate, f"{path}/runs", body)

    def renew_values(self, profile_id: int, run_id: str, values: Mapping[str, str]) -> None:
        """Give the later requests of a run other values for placeholders."""
        path = f"profiles/{profile_id}/runs/{quote(run_id, safe='')}/values"
        self._send_once("PUT", path, {"values": dict(values)})

    def stop_run(self, profile_id: int) -> RunControl:
        """Stop whatever runs on this profile; succeeds when nothing does."""
        return self._post(RunControl.model_validate, f"profiles/{profile_id}/stop")

    def pause_run(self, profile_id: int) -> RunControl:
        return self._post(RunControl.model_validate, f"profiles/{profile_id}/pause")

    def resume_run(self, profile_id: int) -> RunControl:
        return self._post(RunControl.model_validate, f"profiles/{profile_id}/resume")

    def get_run_status(self, profile_id: int) -> LiveStatus:
        """Return the live status; servers before this operation answer 404."""
        return self._get(LiveStatus.model_validate, f"profiles/{profile_id}/status")

    def list_history(
        self, *, page: int = 0, size: int = 20, **filters: str | int | None
    ) -> HistoryPage:
        """Return one page of ended runs; filters as in section 10.1, None leaves one out."""
        query = {**given(filters), "size": size, "page": page}
        return self._get(HistoryPage.model_validate, "history", query)

    def get_history_item(self, history_id: int) -> HistoryRow:
        return self._get(HistoryRow.model_validate, f"history/{history_id}")

    def delete_history_item(self, history_id: int) -> None:
        self._send_once("DELETE", f"history/{history_id}")

    def compare_runs(self, run_a: int, run_b: int) -> RunComparison:
        return self._get(
            RunComparison.model_validate, "history/compare", {"runA": run_a, "runB": run_b}
        )

    def get_baseline(self, profile_id: int, region: str | None = None) -> BaselinePin:
        """Return what is pinned as the baseline of a profile in a region."""
        path = f"profiles/{profile_id}/baseline"
        return self._get(BaselinePin.model_validate, path, given({"region": region}))

    def pin_baseline(self, profile_id: int, history_id: int) -> BaselinePin:
        """Make an ended run the baseline of its profile in its region."""
        path, body = f"profiles/{profile_id}/baseline", {"historyId": history_id}
        return self._send(BaselinePin.model_validate, "PUT", path, body)

    def unpin_baseline(self, profile_id: int, region: str | None = None) -> None:
        path = f"profiles/{profile_id}/baseline"
        self._send_once("DELETE", path, params=given({"region": region}))

    def plan(self, profile_id: int, question: Mapping[str, Any]) -> Plan:
        """Ask what a profile can detect; sends no load."""
        return self._post(Plan.model_validate, f"profiles/{profile_id}/plan", question)

    def get_calibrations(self) -> Calibrations:
        return self._get(Calibrations.model_validate, "calibration")

    def put_calibration(self, run_ids: Sequence[int]) -> Calibrations:
        """Measure the spread of the server's class of machines from these ended runs."""
        body = {"runIds": list(run_ids)}
        return self._send(Calibrations.model_validate, "PUT", "calibration", body)

    def forget_calibration(self) -> Calibrations:
        return self._send(Calibrations.model_validate, "DELETE", "calibration")

    def get_account(self) -> Account:
        return self._get(Account.model_validate, "account")

    def _post(self, read: Callable[[Any], T], path: str, body: Any = None) -> T:
        return self._send(read, "POST", path, body)
