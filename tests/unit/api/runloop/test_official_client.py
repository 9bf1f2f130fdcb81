"""The last official client with benchmarks works against the server of these tests."""

from __future__ import annotations

import httpx
import pytest
from runloop_api_client import NotFoundError, Runloop

from tests.services.runloop import KEY, outcome


@pytest.fixture
def official(url, world):
    world.benchmark(scenarios=2)
    with Runloop(bearer_token=KEY, base_url=url, max_retries=0) as made:
        yield made


def test_run_is_driven_to_its_score(official, world):
    run = official.benchmarks.start_run(benchmark_id="bmd_1", run_name="ci", metadata={"a": "b"})
    assert (run.state, run.name, run.metadata) == ("running", "ci", {"a": "b"})
    for scenario_id in official.benchmarks.retrieve("bmd_1").scenario_ids:
        made = official.scenarios.start_run(scenario_id=scenario_id, benchmark_run_id=run.id)
        assert official.scenarios.runs.score(made.id).state == "scoring"
        scored = official.scenarios.runs.await_scored(made.id)
        assert scored.scoring_contract_result.score == 1.0
        assert official.scenarios.runs.complete(made.id).state == "completed"
    assert official.benchmark_runs.complete(run.id).state == "completed"
    assert official.benchmark_runs.retrieve(run.id).score == 1.0
    listed = list(official.benchmark_runs.list_scenario_runs(run.id))
    assert [item.state for item in listed] == ["completed", "completed"]


def test_pages_are_followed(official, world):
    world.page_size = 2
    for _ in range(5):
        world.finished_run((1.0, 1.0))
    found = list(official.benchmark_runs.list(benchmark_id="bmd_1", state="completed"))
    assert len({run.id for run in found}) == 5
    assert len(list(official.benchmarks.definitions("bmd_1").scenarios)) == 2
    assert [item.id for item in official.benchmarks.list(name="agents")] == ["bmd_1"]


def test_canceled_run_has_a_score(official):
    run = official.benchmarks.start_run(benchmark_id="bmd_1")
    made = official.scenarios.start_run(scenario_id="scn_1", benchmark_run_id=run.id)
    official.scenarios.runs.score(made.id)
    official.scenarios.runs.await_scored(made.id)
    canceled = official.benchmark_runs.cancel(run.id)
    assert (canceled.state, canceled.score) == ("canceled", 1.0)


def test_job_and_logs_are_read(official, world):
    agent = {"type": "job_agent", "name": "a", "model_name": "m"}
    spec = {"type": "benchmark", "benchmark_id": "bmd_1", "agent_configs": [agent]}
    job = official.benchmark_jobs.create(name="j", spec=spec)
    assert (job.state, job.job_spec.scenario_ids) == ("queued", ["scn_1", "scn_2"])
    done = outcome({"scn_1": 1.0, "scn_2": None})
    world.on_look(job.id, lambda it: it.update(state="completed", benchmark_outcomes=[done]))
    found = official.benchmark_jobs.retrieve(job.id)
    assert found.benchmark_outcomes[0].average_score == 1.0
    assert found.benchmark_outcomes[0].n_failed == 1
    run = world.finished_run((1.0, 1.0))
    scenario_run = next(iter(official.benchmark_runs.list_scenario_runs(run["id"])))
    assert official.scenarios.runs.download_logs(scenario_run.id).read().startswith(b"PK")


def test_what_is_not_there_is_404(official, world):
    with pytest.raises(NotFoundError):
        official.benchmark_runs.retrieve("bmr_99")
    world.served = False
    with pytest.raises(NotFoundError):
        official.benchmarks.list()


def test_wrong_key_is_refused(url):
    answer = httpx.get(f"{url}/v1/benchmarks", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401
