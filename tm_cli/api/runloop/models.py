"""The payloads of Runloop's benchmark API that tm reads (sections 4 to 6 of its contract).

Ids are read strictly, everything else leniently: scores and states are checked where they are
judged, and a mistyped duration must not cost a verdict. Unknown fields are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, StrictStr

from tm_cli.api.client import Payload

SECRET_FIELDS = frozenset(
    {
        "agent_environment",
        "auth_token",
        "environment_variables",
        "envVars",
        "inline_yaml",
        "secrets",
        "secrets_provided",
        "token",
    }
)
"""Fields that hold or name credentials, at any depth; they never reach an output."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _word(value: Any) -> str:
    """A state in one spelling; the API itself spells `canceled` in two ways and two cases."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return "canceled" if word == "cancelled" else word


def _texts(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): item for key, item in value.items() if isinstance(item, str)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


Id = Annotated[StrictStr, Field(min_length=1)]
Text = Annotated[str | None, BeforeValidator(_text)]
Integer = Annotated[int | None, BeforeValidator(_integer)]
State = Annotated[str, BeforeValidator(_word)]
Texts = Annotated[Mapping[str, str], BeforeValidator(_texts)]
List = Annotated[list[Any], BeforeValidator(_list)]
Object = Annotated[Mapping[str, Any] | None, BeforeValidator(_object)]


class RunloopPayload(Payload):
    """A JSON object of this API."""

    def document(self) -> dict[str, Any]:
        """Return the payload for JSON output: unknown fields included, secrets left out."""
        found: dict[str, Any] = _shown(super().document())
        return found


def _shown(value: Any) -> Any:
    match value:
        case list():
            return [_shown(item) for item in value]
        case dict():
            return {key: _shown(item) for key, item in value.items() if key not in SECRET_FIELDS}
    return value


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
    metadata: Texts = Field(default_factory=dict)
    purpose: Text = None


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


class Job(RunloopPayload):
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


class RunPage(ListingPage):
    items: Annotated[list[BenchmarkRun], Field(alias="runs")]


class ScenarioRunPage(ListingPage):
    items: Annotated[list[ScenarioRun], Field(alias="runs")]


class ScenarioPage(ListingPage):
    items: Annotated[list[Scenario], Field(alias="scenarios")]


class JobPage(ListingPage):
    items: Annotated[list[Job], Field(alias="jobs")]
