"""The benchmark part of the Runloop API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import BeforeValidator, Field, StrictBool, StrictStr

from tm_cli.api.client import JsonClient, Payload, follow_cursors, given
from tm_cli.api.errors import ApiError, HttpError, InvalidResponse
from tm_cli.api.responses import ErrorBody
from tm_cli.api.retry import is_transient
from tm_cli.errors import UsageError
from tm_cli.runtime.clock import Clock

if TYPE_CHECKING:
    from tm_cli.api.transport import Transport

SECRET_FIELDS = frozenset({"auth_token", "inline_yaml", "token"})
"""Fields that may hold credentials, at any depth; they never reach an output."""

VARIABLE_FIELDS = frozenset({"environment_variables", "envVars"})
"""Fields with values of variables; outputs show the names alone."""

SECRET_NAME_FIELDS = frozenset({"secrets", "secrets_provided"})
"""Fields that map variables to names of secrets, which the service knows; outputs show both."""

HIDDEN = "***"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _word(value: Any) -> str:
    """A state in one spelling; the API itself spells `canceled` in two ways and two cases."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return "canceled" if word == "cancelled" else word


def _metadata(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


Id = Annotated[StrictStr, Field(min_length=1)]
Text = Annotated[str | None, BeforeValidator(_text)]
Integer = Annotated[int | None, BeforeValidator(_integer)]
State = Annotated[str, BeforeValidator(_word)]
Metadata = Annotated[Mapping[str, Any], BeforeValidator(_metadata)]
List = Annotated[list[Any], BeforeValidator(_list)]
Object = Annotated[Mapping[str, Any] | None, BeforeValidator(_object)]


class RunloopPayload(Payload):
    """A JSON object of this API."""

    def document(self) -> dict[str, Any]:
        """Return the payload for JSON output: unknown fields included, secret values left out."""
        found: dict[str, Any] = _shown(super().document())
        return found


def _shown(value: Any, name: str = "") -> Any:
    """Return what may be shown of the value of a field."""
    match value:
        case list():
            return [_shown(item) for item in value]
        case dict() if name in VARIABLE_FIELDS:
            return dict.fromkeys(value, HIDDEN)
        case dict() if name in SECRET_NAME_FIELDS:
            return {key: item if isinstance(item, str) else HIDDEN for key, item in value.items()}
        case dict():
            return {
                key: _shown(item, key) for key, item in value.items() if not _is_secret(key, item)
            }
    return value


def _is_secret(name: str, value: Any) -> bool:
    """Whether a field is left out; variables in an unknown form are, too."""
    if name in VARIABLE_FIELDS | SECRET_NAME_FIELDS:
        return not (value is None or isinstance(value, dict))
    return name in SECRET_FIELDS


class Benchmark(RunloopPayload):
    id: Id
    name: Text = None
    scenario_ids: Annotated[list[Id] | None, Field(alias="scenarioIds")] = None
    status: State = ""
    description: Text = None


class BenchmarkRun(RunloopPayload):
    """A container of scenario runs; `score` is whatever the server sent, for a judge to read."""

    id: Id
    state: State = ""
    benchmark_id: Text = None
    name: Text = None
    start_time_ms: Integer = None
    duration_ms: Integer = None
    score: Any = None
    metadata: Metadata = Field(default_factory=dict)
    purpose: Text = None

    @property
    def labels(self) -> dict[str, str]:
        """The metadata as texts; values of other types are written as JSON."""
        return {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in self.metadata.items()
        }


RUN_FIELDS = (
    "id", "benchmark_id", "name", "state", "start_time_ms", "duration_ms", "score", "purpose",
    "metadata", "environment_variables", "secrets_provided",
)  # fmt: skip
"""The fields of a benchmark run on the wire."""


class ScenarioRun(RunloopPayload):
    id: Id
    scenario_id: Id
    state: State = ""
    benchmark_run_id: Text = None
    name: Text = None
    start_time_ms: Integer = None
    duration_ms: Integer = None
    scoring_contract_result: Object = None

    @property
    def score(self) -> Any:
        """The score as the server sent it; None before there is one."""
        return (self.scoring_contract_result or {}).get("score")

    @property
    def broken_scorers(self) -> tuple[str, ...]:
        """The names of the scoring functions that failed."""
        results = _list((self.scoring_contract_result or {}).get("scoring_function_results"))
        return tuple(
            str(item.get("scoring_function_name") or "a scorer")
            for item in results
            if isinstance(item, Mapping) and _word(item.get("state")) == "error"
        )


class Scenario(RunloopPayload):
    id: Id
    name: Text = None


class ScenarioOutcome(RunloopPayload):
    """How one scenario went within a job; `score` as the server sent it."""

    scenario_definition_id: Id
    scenario_name: Text = None
    state: State = ""
    scenario_run_id: Text = None
    score: Any = None
    duration_ms: Integer = None
    failure_reason: Object = None


class JobOutcome(RunloopPayload):
    """How one agent did in a job; `average_score` is over completed scenarios only."""

    benchmark_run_id: Text = None
    agent_name: Text = None
    model_name: Text = None
    n_completed: Integer = None
    n_failed: Integer = None
    n_timeout: Integer = None
    average_score: Any = None
    duration_ms: Integer = None
    scenario_outcomes: list[ScenarioOutcome] = Field(default_factory=list)


class RunOfJob(RunloopPayload):
    benchmark_run_id: Id
    state: State = ""


class BenchmarkJob(RunloopPayload):
    """A benchmark job, which the service runs itself."""

    id: Id
    name: Text = None
    state: State = ""
    create_time_ms: Integer = None
    failure_reason: Text = None
    job_source: Object = None
    job_spec: Object = None
    in_progress_runs: list[RunOfJob] | None = None
    benchmark_outcomes: list[JobOutcome] | None = None

    @property
    def benchmark_id(self) -> str | None:
        """The benchmark it was made from, where the server says that."""
        return _text((self.job_source or {}).get("benchmark_id"))

    @property
    def scenario_ids(self) -> frozenset[str] | None:
        """The scenarios that each of its agents is to run; None when the server does not say."""
        for place in (self.job_spec, self.job_source):
            found = _list((place or {}).get("scenario_ids"))
            if found and all(isinstance(item, str) and item for item in found):
                return frozenset(found)
        return None


class ListingPage(RunloopPayload):
    """A page of a listing; each kind has its items under a name of its own."""

    has_more: StrictBool
    items: list[Any]


class BenchmarkPage(ListingPage):
    items: Annotated[list[Benchmark], Field(alias="benchmarks")]


class BenchmarkRunPage(ListingPage):
    items: Annotated[list[BenchmarkRun], Field(alias="runs")]


class ScenarioRunPage(ListingPage):
    items: Annotated[list[ScenarioRun], Field(alias="runs")]


class ScenarioPage(ListingPage):
    items: Annotated[list[Scenario], Field(alias="scenarios")]


class JobPage(ListingPage):
    items: Annotated[list[BenchmarkJob], Field(alias="jobs")]


PAGE_SIZE = 500
LONGEST_ID = 200
BUSY = 409
"""Sent for a moment of contention; a read may be repeated after it, as after any 5xx."""


Listed = TypeVar("Listed", Benchmark, BenchmarkRun, ScenarioRun, Scenario, BenchmarkJob)


class RunloopClient(JsonClient):
    """The operations of one Runloop server; see JsonClient.

    `make_token` names each write for `x-request-id`. Every method also raises UsageError for an id
    that cannot stand in a path.
    """

    root = "v1"

    def __init__(self, transport: Transport, clock: Clock, make_token: Callable[[], str]) -> None:
        super().__init__(transport, clock)
        self._make_token = make_token

    @staticmethod
    def may_read_again(error: ApiError) -> bool:
        if isinstance(error, HttpError) and (error.status == BUSY or error.status >= 500):
            return True
        return is_transient(error)

    def get_benchmark(self, benchmark_id: str) -> Benchmark:
        return self._get_object(Benchmark, "benchmarks", benchmark_id)

    def list_benchmarks(self, *, public: bool = False, **filters: str | None) -> list[Benchmark]:
        """Return the account's benchmarks, or the public ones; `name` and `search` filter."""
        path = "benchmarks/list_public" if public else "benchmarks"
        return self._list(BenchmarkPage, path, filters)

    def list_scenarios(self, benchmark_id: str) -> list[Scenario]:
        return self._list(ScenarioPage, f"benchmarks/{_segment(benchmark_id)}/definitions", {})

    def start_run(
        self,
        benchmark_id: str,
        *,
        run_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_profile: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> BenchmarkRun:
        """Create a run once; it starts no scenario."""
        options = {"metadata": metadata, "run_name": run_name, "runProfile": run_profile}
        body = {"benchmark_id": benchmark_id, **given(options)}
        return self._post(BenchmarkRun, "benchmarks/start_run", body, request_id)

    def get_run(self, run_id: str) -> BenchmarkRun:
        return self._get_object(BenchmarkRun, "benchmark_runs", run_id)

    def list_runs(self, **filters: str | None) -> list[BenchmarkRun]:
        """Return all runs; `benchmark_id`, `state`, `name` and `search` filter, but loosely."""
        return self._list(BenchmarkRunPage, "benchmark_runs", filters)

    def list_scenario_runs(self, run_id: str, *, state: str | None = None) -> list[ScenarioRun]:
        path = f"benchmark_runs/{_segment(run_id)}/scenario_runs"
        return self._list(ScenarioRunPage, path, {"state": state})

    def cancel_run(self, run_id: str) -> BenchmarkRun:
        """Cancel a run once; the answer may say `completed`, when that came first."""
        return self._act(BenchmarkRun, "benchmark_runs", run_id, "cancel")

    def complete_run(self, run_id: str) -> BenchmarkRun:
        return self._act(BenchmarkRun, "benchmark_runs", run_id, "complete")

    def download_run_logs(self, run_id: str) -> bytes:
        """Return the logs of a run as a zip archive; its names and contents are hostile."""
        return self._download(f"benchmark_runs/{_segment(run_id)}/download_logs")

    def start_scenario_run(
        self,
        scenario_id: str,
        *,
        benchmark_run_id: str | None = None,
        run_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_profile: Mapping[str, Any] | None = None,
    ) -> ScenarioRun:
        """Start one scenario once, on a machine of its own."""
        options = {
            "benchmark_run_id": benchmark_run_id,
            "run_name": run_name,
            "metadata": metadata,
            "runProfile": run_profile,
        }
        body = {"scenario_id": scenario_id, **given(options)}
        return self._post(ScenarioRun, "scenarios/start_run", body)

    def get_scenario_run(self, run_id: str) -> ScenarioRun:
        return self._get_object(ScenarioRun, "scenarios/runs", run_id)

    def list_all_scenario_runs(self, **filters: str | None) -> list[ScenarioRun]:
        """Return scenario runs; `benchmark_run_id`, `scenario_id`, `state` and `name` filter."""
        return self._list(ScenarioRunPage, "scenarios/runs", filters)

    def score_scenario_run(self, run_id: str) -> ScenarioRun:
        return self._act(ScenarioRun, "scenarios/runs", run_id, "score")

    def complete_scenario_run(self, run_id: str) -> ScenarioRun:
        """Complete a scenario run once; its machine goes away."""
        return self._act(ScenarioRun, "scenarios/runs", run_id, "complete")

    def cancel_scenario_run(self, run_id: str) -> ScenarioRun:
        """Cancel a scenario run once; its machine goes away."""
        return self._act(ScenarioRun, "scenarios/runs", run_id, "cancel")

    def download_scenario_logs(self, run_id: str) -> bytes:
        return self._download(f"scenarios/runs/{_segment(run_id)}/download_logs")

    def create_job(
        self, spec: Mapping[str, Any], *, name: str | None = None, request_id: str | None = None
    ) -> BenchmarkJob:
        """Create a job once; the service runs it."""
        return self._post(
            BenchmarkJob, "benchmark_jobs", {**given({"name": name}), "spec": spec}, request_id
        )

    def get_job(self, job_id: str) -> BenchmarkJob:
        return self._get_object(BenchmarkJob, "benchmark_jobs", job_id)

    def list_jobs(self, **filters: str | None) -> list[BenchmarkJob]:
        """Return all jobs; `name` and `search` filter."""
        return self._list(JobPage, "benchmark_jobs", filters)

    def _get_object(self, model: type[Listed], path: str, object_id: str) -> Listed:
        found = self._get(model.model_validate, f"{path}/{_segment(object_id)}")
        return _same(found, object_id)

    def _list(
        self, page: type[ListingPage], path: str, filters: Mapping[str, str | None]
    ) -> list[Any]:
        chosen = given(filters)

        def read(cursor: str | None) -> ListingPage:
            after = {} if cursor is None else {"starting_after": cursor}
            return self._get(page.model_validate, path, {**chosen, "limit": PAGE_SIZE, **after})

        return read_all(read, path)

    def _act(self, model: type[Listed], path: str, object_id: str, verb: str) -> Listed:
        return _same(self._post(model, f"{path}/{_segment(object_id)}/{verb}"), object_id)

    def _post(
        self, model: type[Listed], path: str, body: Any = None, request_id: str | None = None
    ) -> Listed:
        headers = self._request_id(request_id)
        return self._send(model.model_validate, "POST", path, body, headers=headers)

    def _download(self, path: str) -> bytes:
        headers = self._request_id(None)
        return self._transport.download(
            "POST", self._path(path), accept="application/zip", headers=headers
        )

    def _request_id(self, request_id: str | None) -> dict[str, str]:
        return {"x-request-id": request_id or f"tm-{self._make_token()}"}


def read_runloop_error(document: Any) -> ErrorBody:
    """Read the body of an error. Its shape is not published: any object may be one."""
    if not isinstance(document, dict):
        return ErrorBody()
    inner = document.get("error")
    error = inner if isinstance(inner, dict) else document
    texts = [error.get("message"), inner, error.get("detail")]
    text = next((item for item in texts if isinstance(item, str) and item), None)
    code = error.get("code")
    return ErrorBody(text, code if isinstance(code, str) and code else None, from_api=True)


def can_be_asked_for(object_id: str) -> bool:
    """Whether an id can stand in a path and after a command."""
    is_whole = object_id not in {"", ".", ".."} and not object_id.startswith("-")
    return is_whole and len(object_id) <= LONGEST_ID and object_id.isprintable()


def _segment(object_id: str) -> str:
    """Return an id as one segment of a path; raises UsageError when it would be another path."""
    if not can_be_asked_for(object_id):
        raise UsageError(f"invalid id {object_id[:LONGEST_ID]!r}")
    return quote(object_id, safe="")


def _same(found: Listed, object_id: str) -> Listed:
    if found.id != object_id:
        raise InvalidResponse(
            f"the server was asked for {object_id} and answered with another object"
        )
    return found


def read_all(fetch: Callable[[str | None], ListingPage], what: str) -> list[Any]:
    """Return every item once, in the order in which they came; `fetch` takes a cursor.

    Items may shift from page to page while others are added: the last copy of one counts. Raises
    InvalidResponse for a listing that promises more and does not bring it.
    """
    found: dict[str, Any] = {}
    for page, following in follow_cursors(fetch, _next_cursor):
        found.update((item.id, item) for item in page.items)
        if page.has_more and following is None:
            why = "its cursor leads nowhere" if page.items else "an empty page promises more"
            raise InvalidResponse(f"the listing of {what} is incomplete: {why}")
    return list(found.values())


def _next_cursor(page: ListingPage) -> str | None:
    if not page.has_more or not page.items:
        return None
    cursor: str = page.items[-1].id
    return cursor
