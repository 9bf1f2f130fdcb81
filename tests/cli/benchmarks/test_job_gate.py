"""`tm benchmarks job start --wait`: each agent is judged, and the worst one counts."""

from __future__ import annotations

import json

import pytest

from tests.services.runloop import outcome
from tm_cli.exit_codes import ExitCode

START = ("job", "start", "bmd_1", "--agent", "a", "--wait", "--min-score", "80%")
GOOD = {"scn_1": 1.0, "scn_2": 0.8}


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=2)


@pytest.fixture
def ends(world):
    """Every job that is created from now on ends like this at its second look."""

    def arrange(*outcomes, state="completed", **changes):
        def created(body):
            job = type(world)._create_job(world, body)
            run = world._new_run({"benchmark_id": "bmd_1"})
            world.attempt(run["id"], "scn_1", None, "running")
            under_way = [{"benchmark_run_id": run["id"], "state": "running", "start_time_ms": 1}]
            world.on_look(
                job["id"],
                lambda it: it.update(state="running", in_progress_runs=under_way),
                lambda it: it.update(
                    state=state, in_progress_runs=[], benchmark_outcomes=list(outcomes), **changes
                ),
            )
            return job

        world._create_job = created

    return arrange


@pytest.mark.parametrize(
    ("scores", "flags", "code"),
    [
        (GOOD, (), ExitCode.OK),
        ({"scn_1": 1.0, "scn_2": 0.2}, (), ExitCode.FAIL),
        ({"scn_1": 1.0, "scn_2": None}, (), ExitCode.FAIL),
        ({"scn_1": 1.0, "scn_2": None}, ("--max-failed-scenarios", "1"), ExitCode.OK),
        ({"scn_1": 1.0}, (), ExitCode.FAIL),
        (GOOD, ("--max-drop", "1%"), ExitCode.NO_BASELINE),
    ],
)
def test_outcome_becomes_the_exit_code(bench, world, ends, scores, flags, code):
    ends(outcome(scores))
    assert bench(*START, *flags).exit_code == code
    assert len(world.requests("POST", "benchmark_jobs")) == 1


def test_worst_agent_counts_and_every_one_is_told(bench, ends):
    ends(outcome(GOOD), outcome({"scn_1": 0.0, "scn_2": 0.0}, "b", model_name="m"))
    result = bench(*START, "--agent", "b:m", "--json")
    assert result.exit_code == ExitCode.FAIL
    data = result.json["data"]
    assert data["verdict_reasons"][0] == "score 0 % of agent b (m) is below 80 %"
    assert {"score, agent a", "score, agent b (m)"} <= {
        item["metric"] for item in data["comparisons"]
    }


def test_agent_without_an_outcome_fails(bench, ends):
    ends(outcome(GOOD))
    result = bench(*START, "--agent", "b")
    assert result.exit_code == ExitCode.FAIL
    assert "only 1 of 2 agents have an outcome" in result.stdout


def test_agent_that_is_told_twice_does_not_stand_for_another(bench, ends):
    ends(outcome(GOOD), outcome(GOOD))
    result = bench(*START, "--agent", "b")
    assert result.exit_code == ExitCode.FAIL
    assert "only 1 of 2 agents have an outcome" in result.stdout


@pytest.mark.parametrize("state", ["failed", "cancelled", "timeout"])
def test_job_that_did_not_complete_fails_even_with_good_outcomes(bench, ends, state):
    ends(outcome(GOOD), state=state)
    assert bench(*START).exit_code == ExitCode.FAIL


def test_failed_job_says_why(bench, ends):
    ends(state="failed", failure_reason="no machine")
    result = bench(*START)
    assert result.exit_code == ExitCode.FAIL
    assert "is failed: no machine" in result.stdout


def test_completed_job_without_an_outcome_is_undecided(bench, ends):
    ends()
    result = bench(*START)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "the job has no outcome" in result.stdout + result.stderr


@pytest.mark.parametrize("average", [None, "0.9", 1.7])
def test_average_that_is_no_score_is_undecided(bench, ends, average):
    ends(outcome(GOOD, average_score=average))
    assert bench(*START).exit_code == ExitCode.UNDECIDED


def test_job_is_compared_with_the_job_before_agent_by_agent(bench, world, ends):
    ends(outcome({"scn_1": 1.0, "scn_2": 1.0}), outcome(GOOD, "b"))
    flags = (*START, "--agent", "b", "--max-drop", "5%")
    assert bench(*flags).exit_code == ExitCode.NO_BASELINE
    world.now_ms += 1000
    ends(outcome(GOOD), outcome(GOOD, "b"))
    result = bench(*flags, "--json")
    assert result.exit_code == ExitCode.FAIL
    assert "is 10 points below agent a" in result.json["data"]["verdict_reasons"][0]


def test_start_sends_the_specification_of_the_recorded_request(bench, world, ends):
    ends(outcome(GOOD, model_name="m"))
    flags = ("--name", "j", "--agent-timeout", "1m", "--agent-secret", "K=S")
    bench(
        *("job", "start", "bmd_1", "--agent", "a:m", *flags),
        *("--attempts", "1", "--concurrency", "10"),
    )
    assert world.requests("POST", "benchmark_jobs")[0].document == {
        "name": "j",
        "spec": {
            "type": "benchmark",
            "benchmark_id": "bmd_1",
            "agent_configs": [
                {
                    "type": "job_agent",
                    "name": "a",
                    "model_name": "m",
                    "timeout_seconds": 60,
                    "agent_environment": {"secrets": {"K": "S"}},
                }
            ],
            "orchestrator_config": {"n_attempts": 1, "n_concurrent_trials": 10},
        },
    }


def test_specification_may_come_from_a_file(bench, tm, world, ends):
    spec = {"type": "scenarios", "scenario_ids": ["scn_1"], "agent_configs": [{"name": "a"}]}
    (tm.cwd / "job.json").write_text(json.dumps(spec))
    ends(outcome({"scn_1": 1.0}))
    argv = ("job", "start", "--spec", "job.json", "--wait", "--min-score", "0.5")
    assert bench(*argv).exit_code == ExitCode.OK
    assert world.requests("POST", "benchmark_jobs")[0].document["spec"] == spec


def test_variables_of_an_agent_are_the_characters_of_the_file(bench, tm, world, ends):
    (tm.cwd / "job.yaml").write_text(
        "type: scenarios\nscenario_ids: [scn_1]\nagent_configs:\n- name: a\n"
        "  agent_environment: {environment_variables: {PIN: 0123, FLAG: no}}\n"
    )
    ends(outcome({"scn_1": 1.0}))
    bench("job", "start", "--spec", "job.yaml", "--wait", "--min-score", "0.5")
    [agent] = world.requests("POST", "benchmark_jobs")[0].document["spec"]["agent_configs"]
    variables = {"PIN": "0123", "FLAG": "no"}
    assert agent["agent_environment"] == {"environment_variables": variables}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type: scenarios\n", "agent_configs is missing"),
        ("type: other\n", "line 1: type must be one of"),
        (
            "type: scenarios\nagent_configs:\n- agent_environment:\n    secrets: {A: [b]}\n",
            "line 4: agent_configs[0].agent_environment.secrets.A must be text",
        ),
        ("type: scenarios\nagent_configs: [{timeout_seconds: .inf}]\n", "line 2: agent_configs[0]"),
    ],
)
def test_odd_specification_is_refused_with_its_place_and_sends_nothing(
    bench, tm, world, text, words
):
    (tm.cwd / "job.yaml").write_text(text)
    result = bench("job", "start", "--spec", "job.yaml", "--wait", "--min-score", "0.5")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert words in result.stderr
    assert world.seen == []


@pytest.mark.parametrize(
    "argv",
    [
        ("bmd_1", "--wait", "--agent", "a"),
        ("bmd_1", "--wait", "--min-score", "0.8"),
        ("--wait", "--min-score", "0.8", "--agent", "a"),
        ("bmd_1", "--scenario", "scn_1", "--agent", "a"),
        ("bmd_1", "--agent", ":m"),
        ("bmd_1", "--agent", "a", "--agent-timeout", "soon"),
        ("bmd_1", "--agent", "a", "--agent-secret", "K"),
        ("bmd_1", "--agent", "a", "--confirm", "2"),
    ],
)
def test_wrong_flags_send_nothing(bench, world, argv):
    assert bench("job", "start", *argv).exit_code == ExitCode.USAGE
    assert world.seen == []


def test_start_says_that_it_does_not_gate(bench):
    result = bench("job", "start", "bmd_1", "--agent", "a", "--min-score", "80%", "--quiet")
    assert result.exit_code == ExitCode.OK
    assert "this start does not gate" in result.stderr


def test_wait_judges_a_job_that_somebody_started(bench, world, ends):
    ends(outcome(GOOD))
    bench("job", "start", "bmd_1", "--agent", "a")
    job_id = next(iter(world.jobs))
    assert bench("job", "wait", job_id, "--min-score", "0.8").exit_code == ExitCode.OK
    assert bench("job", "wait", job_id, "--min-score", "0.95").exit_code == ExitCode.FAIL
    result = bench("job", "wait", "bmj_99", "--min-score", "0.8", "--json")
    assert result.json["error"]["code"] == "unknown_job"


def test_lost_answer_is_looked_up_by_a_name_of_our_own_only(bench, world, ends):
    ends(outcome(GOOD))
    route, lost = world._route, []

    def losing(request):
        reply = route(request)
        if request.method == "POST":
            lost.append(reply)
            raise RuntimeError
        return reply

    world._route = losing
    assert bench(*START).exit_code == ExitCode.OK
    assert bench(*START, "--name", "mine").exit_code == ExitCode.START_UNKNOWN
    assert len(lost) == 2


def test_interrupted_job_has_its_runs_canceled(bench, world, ends, clock):
    ends(outcome(GOOD))
    clock.sleep = _interrupt
    result = bench(*START, "--on-interrupt", "stop")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert len(world.requests("POST", "/cancel")) == 1


def test_run_that_cannot_be_canceled_keeps_no_other_from_it(bench, world, clock):
    def created(body):
        job = type(world)._create_job(world, body)
        ids = [world._new_run({"benchmark_id": "bmd_1"})["id"] for _ in range(2)]
        job.update(
            state="running",
            in_progress_runs=[{"benchmark_run_id": item, "state": "running"} for item in ids],
        )
        del world.runs[ids[0]]
        return job

    world._create_job = created
    clock.sleep = _interrupt
    result = bench(*START, "--on-interrupt", "stop")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert [run["state"] for run in world.runs.values()] == ["canceled"]
    assert "was stopped" in result.stderr


def _interrupt(_seconds):
    import signal

    signal.raise_signal(signal.SIGINT)


def test_failures_that_only_the_counters_tell_count(bench, ends):
    ends(outcome(GOOD, n_timeout=1))
    result = bench(*START)
    assert result.exit_code == ExitCode.FAIL
    assert "1 of 2 scenario runs failed, 0 may" in result.stdout


def test_job_without_the_name_of_this_start_decides_nothing(bench, world, ends):
    ends(outcome(GOOD))
    create = world._create_job
    world._create_job = lambda body: create({**body, "name": "of-another-start"})
    result = bench(*START)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "does not have the name of this start" in result.stderr


def test_job_that_was_there_before_is_never_taken_for_ours(bench, world, ends):
    ends(outcome({"scn_1": 1.0, "scn_2": 1.0}))
    start = ("job", "start", "bmd_1", "--agent", "a", "--name", "nightly")
    assert bench(*start, "--wait", "--min-score", "80%").exit_code == ExitCode.OK
    old = dict(world.jobs["bmj_1"])
    for state, flags in (("running", ()), ("completed", ("--baseline", "bmj_1"))):
        world._create_job = lambda _body, state=state: {**old, "state": state}
        for waits in ((), ("--wait",)):
            result = bench(*start, *waits, "--max-drop", "3%", *flags)
            assert result.exit_code == ExitCode.START_UNKNOWN
            assert "the answer to the start names job bmj_1" in result.stderr
    world._create_job = lambda _body: {**old, "id": "bmj_9"}
    result = bench(*start, "--wait", "--min-score", "80%")
    assert "names job bmj_9, which is completed already" in result.stderr


def test_job_is_not_compared_with_itself(bench, world, ends):
    ends(outcome({"scn_1": 0.1, "scn_2": 0.1}))
    bench("job", "start", "bmd_1", "--agent", "a")
    bench("job", "show", "bmj_1")
    result = bench("job", "wait", "bmj_1", "--max-drop", "3%", "--baseline", "bmj_1")
    assert result.exit_code == ExitCode.REFUSED
    assert "cannot be the baseline of itself" in result.stderr
