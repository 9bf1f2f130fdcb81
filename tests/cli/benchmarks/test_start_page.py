"""The reference page of the start, taken literally: one endpoint, an answer without metadata."""

from __future__ import annotations

import json
import random

import pytest

from tests.services.runloop import PAGE_ANSWER, START, Refusal, Reply
from tests.simulation.github_runner import commands, other_systems, steering
from tests.simulation.hostile import text
from tests.unit.settings.test_runloop_endpoints import rows
from tm_cli.exit_codes import ExitCode

GATE = ("start", "bmd_1", "--wait", "--min-score", "80%")
TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=1)


@pytest.fixture
def answered(world):
    """Let a start make a run that passes, and be answered with these fields changed."""

    def arrange(*, makes=True, **changes):
        route = world._route

        def reply(request):
            found = route(request)
            if request.path != START:
                return found
            document = json.loads(found.body)
            run = world.runs[document["id"]]
            if makes:
                world.on_look(run["id"], lambda it: world.drive(it["id"], [1.0]))
            else:
                del world.runs[run["id"]]
            return Reply(found.status, json.dumps({**document, **changes}).encode())

        world._route = reply

    return arrange


@pytest.fixture
def unlisted(world):
    """No listing of runs can be read."""
    route = world._route_run

    def refuse(method, words, request, query):
        if (method, words) == ("GET", []):
            raise Refusal(404, "no listing")
        return route(method, words, request, query)

    world._route_run = refuse


def test_start_needs_the_one_endpoint_alone(bench, world):
    world.only_start = True
    result = bench("start", "bmd_1")
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines()[0] == "started run bmr_1 of bmd_1: running, score 123"
    assert "the answer to the start names run bmr_1 without the metadata" in result.stderr
    assert len(world.requests("POST")) == 1
    assert world.requests("POST")[0].document["benchmark_id"] == "bmd_1"


def test_gate_is_refused_before_the_start_where_it_could_not_judge(bench, world):
    world.only_start = True
    result = bench(*GATE)
    assert result.exit_code == ExitCode.REFUSED
    assert "the benchmark API is not available" in result.stderr
    assert world.requests("POST") == []


def test_baseline_that_is_chosen_for_a_start_is_read_before_it(bench, world):
    world.only_start = True
    for flags in (("--baseline", "bmr_9"), ("--match", "branch=main")):
        result = bench("start", "bmd_1", "--max-drop", "3%", *flags)
        assert result.exit_code == ExitCode.REFUSED
    assert world.requests("POST") == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 500])
def test_benchmark_that_cannot_be_read_is_no_obstacle(bench, world, status):
    route = world._route_benchmark

    def refuse(method, words, request, query):
        if method == "GET":
            raise Refusal(status, "not for you")
        return route(method, words, request, query)

    world._route_benchmark = refuse
    result = bench("start", "bmd_1", "--min-score", "80%")
    assert result.exit_code == ExitCode.OK
    assert "what the run is judged by is read by the wait" in result.stderr
    assert len(world.requests("POST")) == 1


def test_unknown_benchmark_is_told_as_such(bench, world):
    result = bench("start", "bmd_9")
    assert result.exit_code == ExitCode.REFUSED
    assert "unknown benchmark bmd_9" in result.stderr


@pytest.mark.parametrize("ids", [[], None])
def test_benchmark_without_scenarios_is_started_and_not_judged(bench, world, benchmark, ids):
    benchmark["scenarioIds"] = ids
    assert bench("start", "bmd_1", "--min-score", "80%").exit_code == ExitCode.OK
    world.drive("bmr_1", [1.0])
    result = bench("wait", "--last")
    assert result.exit_code == ExitCode.REFUSED
    assert "--expect N" in result.stderr


@pytest.mark.parametrize(
    ("scores", "code"),
    [((1.0,), ExitCode.OK), ((0.5,), ExitCode.FAIL), ((), ExitCode.FAIL)],
)
def test_wait_reads_what_the_start_could_not(bench, world, scores, code):
    before = world.finished_run([1.0])
    world.only_start = True
    assert bench("start", "bmd_1", "--max-drop", "10%").exit_code == ExitCode.OK
    world.only_start = False
    world.runs["bmr_3"] = {**before, "id": "bmr_3", "state": "running", "score": None}
    world.runs["bmr_3"]["start_time_ms"] = world.now_ms
    world.drive("bmr_3", scores)
    newer = world.finished_run([0.1])
    newer["start_time_ms"] = world.now_ms
    result = bench("wait", "--last", "--json")
    assert result.exit_code == code
    assert result.json["data"]["baseline_run_id"] == before["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {}},
        {"metadata": None},
        {"metadata": {}, "name": None, "benchmark_id": None, "start_time_ms": None},
        {"metadata": "none", "score": "123", "duration_ms": "1", "purpose": 5, "state": "running"},
    ],
)
def test_answer_without_metadata_is_ours_where_its_run_is_new(bench, answered, changes):
    answered(**changes)
    result = bench(*GATE, "--name", "nightly", "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["started_run_id"] == "bmr_1"


def test_run_without_metadata_is_judged_with_a_warning(bench, world, answered):
    world.echoes = False
    answered()
    result = bench(*GATE, "--name", "nightly")
    assert result.exit_code == ExitCode.OK
    assert "note: the answer to the start names run bmr_1 without the metadata" in result.stdout


def test_generated_name_is_a_mark_as_well(bench, world, answered):
    world.echoes = False
    answered()
    result = bench(*GATE)
    assert result.exit_code == ExitCode.OK
    assert "without the metadata" not in result.stdout + result.stderr


def test_lost_answer_is_found_by_the_generated_name(bench, world, answered):
    world.echoes = False
    answered(id=None)
    result = bench(*GATE, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["started_run_id"] == "bmr_1"
    assert len(world.requests("POST")) == 1


def test_count_stands_for_no_benchmark_that_was_not_read(bench, world, benchmark):
    benchmark["scenarioIds"] = ["scn_1", "scn_2"]
    world.only_start = True
    assert bench("start", "bmd_1", "--min-score", "80%", "--expect", "1").exit_code == ExitCode.OK
    world.only_start = False
    world._new_run({"benchmark_id": "bmd_1"})
    world.drive("bmr_2", [1.0])
    world.runs["bmr_1"] = {**world.runs["bmr_2"], "id": "bmr_1"}
    for item in world.scenario_runs.values():
        item["benchmark_run_id"] = "bmr_1"
    assert bench("wait", "--last").exit_code == ExitCode.FAIL


UNMARKED = {"metadata": {}, "name": None}
OTHERS = [
    pytest.param({"id": "bmr_1"}, "which was there before", id="a run from before"),
    pytest.param({"benchmark_id": "bmd_9"}, "of another benchmark (bmd_9)", id="benchmark"),
    pytest.param({"metadata": {"tm_start": "f" * 16}}, "of another start", id="mark"),
    pytest.param({"metadata": {"tm_start": None}}, "of another start", id="null as mark"),
    pytest.param({"state": "completed"}, "which is completed already", id="ended"),
    pytest.param({"state": "Cancelled"}, "which is canceled already", id="canceled"),
]


@pytest.mark.parametrize(("changes", "said"), OTHERS)
@pytest.mark.parametrize("flags", [("--wait",), ()], ids=["gate", "start"])
def test_answer_that_is_not_ours_is_never_taken(bench, world, answered, flags, changes, said):
    world.finished_run([1.0])
    answered(makes=False, **{**UNMARKED, **changes})
    result = bench("start", "bmd_1", "--min-score", "80%", "--max-drop", "3%", *flags)
    assert result.exit_code == ExitCode.START_UNKNOWN
    named = changes.get("id", "bmr_3")
    assert f"the answer to the start names run {named}" in result.stderr
    assert said in result.stderr
    assert f"hint: look at it with `tm benchmarks show {named}`, or look for it" in result.stderr
    assert len(world.requests("POST")) == 1
    assert bench("wait", "--last").exit_code == ExitCode.START_UNKNOWN


@pytest.mark.parametrize("flags", [("--wait",), ()], ids=["gate", "start"])
def test_baseline_is_never_taken_for_the_run(bench, world, answered, unlisted, flags):
    world.finished_run([1.0])
    answered(makes=False, **UNMARKED, id="bmr_1")
    result = bench("start", "bmd_1", "--max-drop", "3%", "--baseline", "bmr_1", *flags)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "names run bmr_1, which was there before" in result.stderr


def test_gate_without_listing_cannot_know_that_a_run_is_new(bench, world, answered, unlisted):
    answered(**UNMARKED)
    result = bench(*GATE, "--name", "nightly")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "names run bmr_1, and it could not be read which runs" in result.stderr
    assert bench("start", "bmd_1", "--name", "nightly").exit_code == ExitCode.OK


def test_gate_does_not_take_a_run_of_another_name(bench, world, answered):
    world.echoes = False
    answered(name="of another pipeline")
    result = bench(*GATE, "--name", "nightly")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "names run bmr_1 with another name (of another pipeline)" in result.stderr


def test_run_that_turns_out_to_carry_another_mark_decides_nothing(bench, world, answered):
    answered(**UNMARKED)
    new_run = world._new_run
    world._new_run = lambda body: new_run({**body, "metadata": {"tm_start": "f" * 16}})
    result = bench(*GATE, "--name", "nightly")
    assert result.exit_code == ExitCode.UNDECIDED
    assert "does not carry the mark of this start" in result.stderr


def test_all_fields_of_the_answer_are_shown_and_no_value_of_a_variable(bench, tm, world):
    profile = {"purpose": "ci", "envVars": {"TOKEN": "s3cret"}, "secrets": {"DB": "DB_PASSWORD"}}
    (tm.cwd / "profile.json").write_text(json.dumps(profile))
    flags = ("--profile", "profile.json", "--metadata", '{"pr": 12, "by": ["a", null]}')
    result = bench("start", "bmd_1", *flags)
    assert result.stdout.splitlines()[1:] == [
        "  benchmark bmd_1",
        f"  name tm-{TOKEN}",
        "  started 2026-03-01 12:00:00Z",
        "  purpose ci",
        f'  metadata pr=12, by=["a", null], tm_start={TOKEN}',
        "  variables TOKEN",
        "  secrets DB=DB_PASSWORD",
    ]
    shown = bench("start", "bmd_1", *flags, "--json")
    data = shown.json["data"]
    assert set(PAGE_ANSWER) <= set(data)
    assert data["metadata"]["by"] == ["a", None]
    assert data["environment_variables"] == {"TOKEN": "***"}
    assert data["secrets_provided"] == {"DB": "DB_PASSWORD"}
    assert data["waited"] is False
    assert "s3cret" not in result.stdout + shown.stdout + bench("show", "bmr_1").stdout


@pytest.mark.parametrize("what", ["s3cret", ["s3cret"], {"A": ["s3cret"]}, {"A": {"B": "s3cret"}}])
def test_variables_in_another_form_show_no_value(bench, world, what):
    world.finished_run([1.0], environment_variables=what, secrets_provided=what)
    for flags in ((), ("--json",)):
        assert "s3cret" not in bench("show", "bmr_1", *flags).stdout


def test_metadata_takes_any_json(bench, world):
    flags = ("--metadata", "team=shop", "--metadata", ' {"pr": 12, "a": {"b": [1.5, null, true]}}')
    assert bench("start", "bmd_1", *flags).exit_code == ExitCode.OK
    sent = world.requests("POST")[0].document["metadata"]
    assert sent == {"team": "shop", "pr": 12, "a": {"b": [1.5, None, True]}, "tm_start": TOKEN}
    assert "pr=12" in bench("show", "bmr_1").stdout


@pytest.mark.parametrize(
    "values",
    [('{"a": 1',), ("{}x",), ('{"a": NaN}',), ('{"a": 1, "a": 2}',), ("a=1", '{"a": 1}'), ("[1]",)],
)
def test_metadata_that_is_neither_sends_nothing(bench, world, values):
    flags = [word for value in values for word in ("--metadata", value)]
    result = bench("start", "bmd_1", *flags)
    assert result.exit_code == ExitCode.USAGE
    assert "--metadata" in result.stderr
    assert world.seen == []


def test_baseline_is_matched_by_metadata_of_any_type(bench, world, answered):
    for pr, score in ((12, 1.0), (13, 0.5)):
        world.finished_run([score], metadata={"pr": pr, "draft": False})
    answered()
    result = bench(*GATE, "--baseline", "last", "--match", "pr=12", "--match", "draft=false")
    assert "compared with run bmr_1" in result.stdout


def test_nothing_that_the_answer_says_is_obeyed(bench, world):
    world.only_start = True
    for seed in range(20):
        chance = random.Random(seed)
        words = {key: text(chance) for key in ("name", "purpose", "state")}
        hostile = {text(chance): text(chance)}
        maps = dict.fromkeys(("metadata", "environment_variables", "secrets_provided"), hostile)
        answer = {**PAGE_ANSWER, **words, **maps, "id": text(chance) or "x", "benchmark_id": None}
        world._start_run = lambda _body, answer=answer: answer
        for flags in ((), ("--json",)):
            result = bench("start", "bmd_1", *flags)
            shown = result.stdout + result.stderr
            assert [*commands(shown), *other_systems(shown), *steering(shown)] == [], seed
            assert "Traceback" not in shown, seed


@pytest.mark.parametrize("command", sorted({command for _, _, command in rows()}))
def test_other_commands_say_that_the_endpoint_is_not_there(bench, world, command):
    world.only_start = True
    words = command.split()[1:]
    result = bench(*words)
    if words[0] == "start":
        assert result.exit_code == ExitCode.OK
        return
    assert result.exit_code in {ExitCode.ERROR, ExitCode.REFUSED}
    lines = [line for line in result.stderr.splitlines() if not line.startswith("tm: the gate")]
    assert lines[0].startswith("tm: ")
    assert "not found" in result.stderr or "the server knows no" in result.stderr
