"""A small Runloop benchmark server, built from the contract alone and without any socket.

Nothing here is imported from `tm_cli`. A run goes on only when somebody drives it; a job takes one
step with each look at it. What the contract does not say is not played.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote

KEY = "rl-test-key"
ZIP = b"PK\x05\x06" + bytes(18)

PAGE_ANSWER = {
    "id": "<string>",
    "benchmark_id": "<string>",
    "start_time_ms": 123,
    "state": "running",
    "metadata": {},
    "name": "<string>",
    "duration_ms": 123,
    "score": 123,
    "purpose": "<string>",
    "environment_variables": {},
    "secrets_provided": {},
}
"""The answer to a start as the reference page prints it."""

START = "/v1/benchmarks/start_run"

Document = dict[str, Any]
Step = Callable[[Document], object]


@dataclass(frozen=True)
class Request:
    """One request as it arrived; header names are lower-case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: bytes
    kind: str = "application/json"


class Refusal(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _json(document: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode())


@dataclass
class RunloopWorld:
    """Everything that the server holds, and every request that it has seen.

    With `only_start` it serves nothing but the endpoint for a start, and answers as the reference
    page does but for the ids. Without `echoes` no answer has the metadata of a run.
    """

    served: bool = True
    only_start: bool = False
    echoes: bool = True
    now_ms: int = 1_772_366_400_000
    page_size: int = 20
    benchmarks: dict[str, Document] = field(default_factory=dict)
    public: set[str] = field(default_factory=set)
    runs: dict[str, Document] = field(default_factory=dict)
    scenario_runs: dict[str, Document] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    looks: dict[str, list[Step]] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(1))

    # what a test arranges -------------------------------------------------------------------

    def benchmark(self, benchmark_id: str = "bmd_1", scenarios: int = 3, **more: Any) -> Document:
        ids = [f"scn_{n}" for n in range(1, scenarios + 1)]
        found = {"id": benchmark_id, "name": "agents", "scenarioIds": ids, "metadata": {}, **more}
        self.benchmarks[benchmark_id] = {"status": "active", **found}
        return self.benchmarks[benchmark_id]

    def finished_run(
        self, scores: Sequence[float], benchmark_id: str = "bmd_1", **more: Any
    ) -> Document:
        """An earlier run, an hour apart from the next one."""
        run = self._new_run({"benchmark_id": benchmark_id, "metadata": {}})
        for n, score in enumerate(scores, start=1):
            self.attempt(run["id"], f"scn_{n}", score)
        self._complete(run)
        run.update(more)
        self.now_ms += 3_600_000
        return run

    def attempt(
        self, run_id: str, scenario_id: str, score: float | None = 1.0, state: str = "completed"
    ) -> Document:
        """A scenario run that is as far as this."""
        found = self._new_scenario_run({"scenario_id": scenario_id, "benchmark_run_id": run_id})
        found["state"] = state
        if score is not None:
            self._put_score(found, score)
        return found

    def on_look(self, run_id: str, *steps: Step) -> None:
        """Let one more of `steps` happen before each answer about this run or job."""
        self.looks.setdefault(run_id, []).extend(steps)

    def drive(self, run_id: str, scores: Sequence[float]) -> None:
        """What a driver does: every scenario of the run, and then the run itself."""
        for n, score in enumerate(scores, start=1):
            self.attempt(run_id, f"scn_{n}", score)
        self._complete(self.runs[run_id])

    def requests(self, method: str, path: str = "") -> list[Request]:
        return [item for item in self.seen if item.method == method and path in item.path]

    # answering ------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        self.seen.append(request)
        try:
            self._check(request)
            return self._route(request)
        except Refusal as refusal:
            return _json({"message": str(refusal)}, refusal.status)

    def _check(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(401, "invalid API key")
        is_served = self.served and (not self.only_start or request.path == START)
        if not is_served or not request.path.startswith("/v1/"):
            raise Refusal(404, "not found")

    def _route(self, request: Request) -> Reply:
        _, noun, *words = [unquote(word) for word in request.path.strip("/").split("/")]
        query = {key: values[-1] for key, values in parse_qs(request.query).items()}
        routes = {
            "benchmarks": self._route_benchmark,
            "benchmark_runs": self._route_run,
            "scenarios": self._route_scenario,
            "benchmark_jobs": self._route_job,
        }
        if noun not in routes:
            raise Refusal(404, "not found")
        return routes[noun](request.method, words, request, query)

    def _route_benchmark(
        self, method: str, words: list[str], request: Request, query: Mapping[str, str]
    ) -> Reply:
        match method, words:
            case "POST", ["start_run"]:
                return _json(self._start_run(request.document))
            case "GET", []:
                own = [item for key, item in self.benchmarks.items() if key not in self.public]
                return self._page("benchmarks", own, query, ("name",))
            case "GET", ["list_public"]:
                shown = [self.benchmarks[key] for key in sorted(self.public)]
                return self._page("benchmarks", shown, query, ("name",))
            case "GET", [benchmark_id]:
                return _json(_find(self.benchmarks, benchmark_id))
            case "GET", [benchmark_id, "definitions"]:
                ids = _find(self.benchmarks, benchmark_id)["scenarioIds"]
                named = [{"id": n, "name": f"name of {n}"} for n in ids]
                return self._page("scenarios", named, query)
        raise Refusal(404, "not found")

    def _route_run(
        self, method: str, words: list[str], request: Request, query: Mapping[str, str]
    ) -> Reply:
        match method, words:
            case "GET", []:
                fields = ("benchmark_id", "state", "name")
                return self._page("runs", list(self.runs.values())[::-1], query, fields)
            case "GET", [run_id]:
                return _json(self._look_at(self.runs, run_id))
            case "GET", [run_id, "scenario_runs"]:
                _find(self.runs, run_id)
                return self._page("runs", self._of_run(run_id), query, ("state",))
            case "POST", [run_id, "cancel"]:
                return _json(self._cancel(_find(self.runs, run_id)))
            case "POST", [run_id, "complete"]:
                return _json(self._complete(_find(self.runs, run_id)))
            case "POST", [run_id, "download_logs"]:
                _find(self.runs, run_id)
                return Reply(200, ZIP, "application/zip")
        raise Refusal(404, "not found")

    def _route_scenario(
        self, method: str, words: list[str], request: Request, query: Mapping[str, str]
    ) -> Reply:
        match method, words:
            case "POST", ["start_run"]:
                return _json(self._new_scenario_run(request.document))
            case "GET", ["runs"]:
                fields = ("benchmark_run_id", "scenario_id", "state", "name")
                return self._page("runs", list(self.scenario_runs.values()), query, fields)
            case "GET", ["runs", run_id]:
                return _json(self._look_at(self.scenario_runs, run_id))
            case "POST", ["runs", run_id, "score"]:
                found = _find(self.scenario_runs, run_id)
                found["state"] = "scoring"
                self.on_look(
                    run_id, lambda it: it.update(state="scored") or self._put_score(it, 1.0)
                )
                return _json(found)
            case "POST", ["runs", run_id, "complete"]:
                return _json(_ended(_find(self.scenario_runs, run_id), "completed"))
            case "POST", ["runs", run_id, "cancel"]:
                return _json(_ended(_find(self.scenario_runs, run_id), "canceled"))
            case "POST", ["runs", run_id, "download_logs"]:
                _find(self.scenario_runs, run_id)
                return Reply(200, ZIP, "application/zip")
        raise Refusal(404, "not found")

    def _route_job(
        self, method: str, words: list[str], request: Request, query: Mapping[str, str]
    ) -> Reply:
        match method, words:
            case "POST", []:
                return _json(self._create_job(request.document))
            case "GET", []:
                return self._page("jobs", list(self.jobs.values())[::-1], query, ("name",))
            case "GET", [job_id]:
                return _json(self._look_at(self.jobs, job_id))
        raise Refusal(404, "not found")

    def _page(
        self,
        key: str,
        items: Sequence[Document],
        query: Mapping[str, str],
        fields: Sequence[str] = (),
    ) -> Reply:
        """One page; `starting_after` is the id of the last item of the page before."""
        for name in fields:
            if name in query:
                items = [item for item in items if item.get(name) == query[name]]
        if text := query.get("search"):
            items = [item for item in items if text in f"{item['id']} {item.get('name')}"]
        ids = [item["id"] for item in items]
        after = query.get("starting_after")
        first = ids.index(after) + 1 if after in ids else 0
        last = first + min(int(query.get("limit", self.page_size)), self.page_size)
        page = {key: items[first:last], "has_more": last < len(items)}
        if query.get("include_total_count", "true") == "true":
            page["total_count"] = len(items)
        return _json(page)

    # what happens ---------------------------------------------------------------------------

    def _start_run(self, body: Document) -> Document:
        if self.only_start:
            ids = {"id": f"bmr_{next(self._ids)}", "benchmark_id": body["benchmark_id"]}
            return {**PAGE_ANSWER, **ids}
        benchmark = _find(self.benchmarks, body["benchmark_id"])
        if benchmark["status"] == "archived":
            raise Refusal(400, "benchmark is archived")
        return self._new_run(body)

    def _new_run(self, body: Document) -> Document:
        profile = body.get("runProfile") or {}
        run = {
            "id": f"bmr_{next(self._ids)}",
            "benchmark_id": body["benchmark_id"],
            "name": body.get("run_name"),
            "state": "running",
            "start_time_ms": self.now_ms,
            "duration_ms": None,
            "metadata": (body.get("metadata") or {}) if self.echoes else {},
            "score": None,
            "purpose": profile.get("purpose"),
            "environment_variables": profile.get("envVars") or {},
            "secrets_provided": profile.get("secrets") or {},
        }
        self.runs[run["id"]] = run
        return run

    def _new_scenario_run(self, body: Document) -> Document:
        run_id = body.get("benchmark_run_id")
        if run_id is not None and _find(self.runs, run_id)["state"] != "running":
            raise Refusal(400, "the benchmark run is not running")
        found = {
            "id": f"scr_{next(self._ids)}",
            "scenario_id": body["scenario_id"],
            "benchmark_run_id": run_id,
            "name": body.get("run_name"),
            "devbox_id": "dbx_1",
            "state": "running",
            "start_time_ms": self.now_ms,
            "duration_ms": None,
            "metadata": body.get("metadata") or {},
            "scoring_contract_result": None,
        }
        self.scenario_runs[found["id"]] = found
        return found

    def _put_score(self, run: Document, score: float) -> None:
        result = {
            "scoring_function_name": "tests",
            "score": score,
            "state": "complete",
            "output": "ok",
        }
        run["scoring_contract_result"] = {"score": score, "scoring_function_results": [result]}

    def _of_run(self, run_id: str) -> list[Document]:
        items = self.scenario_runs.values()
        return [item for item in items if item["benchmark_run_id"] == run_id]

    def _look_at(self, items: Mapping[str, Document], item_id: str) -> Document:
        found = _find(items, item_id)
        if steps := self.looks.get(item_id):
            steps.pop(0)(found)
        return found

    def _complete(self, run: Document) -> Document:
        if run["state"] == "running":
            _ended(run, "completed")
            run["score"] = self._mean(run["id"])
        return run

    def _cancel(self, run: Document) -> Document:
        """Nothing happens to a run that has been completed; else its score is of what was done."""
        if run["state"] == "running":
            _ended(run, "canceled")
            run["score"] = self._mean(run["id"])
            for item in self._of_run(run["id"]):
                if item["state"] in {"running", "scoring"}:
                    _ended(item, "canceled")
        return run

    def _mean(self, run_id: str) -> float | None:
        scores = [
            (item["scoring_contract_result"] or {"score": 0.0})["score"]
            for item in self._of_run(run_id)
        ]
        return sum(scores) / len(scores) if scores else None

    def _create_job(self, body: Document) -> Document:
        spec = body["spec"]
        ids = spec.get("scenario_ids")
        if ids is None:
            ids = _find(self.benchmarks, spec["benchmark_id"])["scenarioIds"]
        source = {key: spec[key] for key in ("type", "benchmark_id", "scenario_ids") if key in spec}
        job = {
            "id": f"bmj_{next(self._ids)}",
            "name": body.get("name") or "job",
            "state": "queued",
            "create_time_ms": self.now_ms,
            "job_source": source,
            "job_spec": {"agent_configs": spec["agent_configs"], "scenario_ids": ids},
        }
        self.jobs[job["id"]] = job
        return job


def outcome(scores: Mapping[str, float | None], agent: str = "a", **more: Any) -> Document:
    """What a job says of one agent; a score of None is a scenario that failed."""
    done = [score for score in scores.values() if score is not None]
    return {
        "benchmark_run_id": "bmr_of_job",
        "agent_name": agent,
        "n_completed": len(done),
        "n_failed": len(scores) - len(done),
        "n_timeout": 0,
        "average_score": sum(done) / len(done) if done else None,
        "scenario_outcomes": [
            {
                "scenario_definition_id": name,
                "scenario_name": f"name of {name}",
                "state": "FAILED" if score is None else "COMPLETED",
                **({} if score is None else {"score": score}),
            }
            for name, score in scores.items()
        ],
        **more,
    }


def _find(items: Mapping[str, Document], item_id: str) -> Document:
    if item_id not in items:
        raise Refusal(404, f"{item_id} not found")
    return items[item_id]


def _ended(item: Document, state: str) -> Document:
    item["state"], item["duration_ms"] = state, 1000
    return item
