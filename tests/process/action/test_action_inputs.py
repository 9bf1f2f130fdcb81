"""Each input of the action is an option of tm, and reaches it as it was written."""

from __future__ import annotations

import os
import re

import pytest

from tests.process.action.composite_runner import ACTION, action
from tests.process.action.programs import make_recorder
from tm_cli.cli.root import root_command
from tm_cli.settings import DEFINITIONS
from tm_cli.setup.branches import Branches
from tm_cli.setup.check.pipelines import github_jobs

pytestmark = pytest.mark.process

OPTIONS = {
    "fail-on": "--fail-on",
    "warn-on": "--warn-on",
    "assert": "--assert",
    "confirm": "--confirm",
    "baseline": "--baseline",
    "against": "--against",
    "serve": "--serve",
    "serve-log": "--serve-log",
    "wait-for-target": "--wait-for-target",
    "warmup": "--warmup",
    "region": "--region",
    "tags": "--tag",
    "wait-timeout": "--wait-timeout",
    "abort-if": "--abort-if",
    "verdict-timeout": "--verdict-timeout",
    "poll-interval": "--poll-interval",
    "timeout": "--timeout",
    "on-interrupt": "--on-interrupt",
    "fail-fast": "--fail-fast",
    "stop-early": "--stop-early",
    "report-json": "--report",
    "report-junit": "--report",
    "report-markdown": "--report",
    "report-html": "--report",
    "report-csv": "--report",
}
ARGUMENTS = {"profile", "benchmark", "job"}
SUBJECTS = {"runs": "profile", "benchmarks": "benchmark", "jobs": "job"}
VARIABLES = {"base-url": "base_url", "api-key": "api_key"}
OWN = {
    "system", "args", "working-directory", "summary", "annotations", "comment", "comment-name",
    "comment-token", "artifact", "cache", "history", "version", "extras", "python-version",
}  # fmt: skip
NOT_FOR_THE_ACTION = {
    "wait": "always given",
    "parallel": "`args` takes it",
    "metric": "`args` takes it",
    "access_log": "a file of one machine; `args` takes it",
    "prometheus": "`args` takes it",
    "target_pid": "a number of one machine; `args` takes it",
    "rate": "a job plays a locustfile by its document; `args` takes it",
    "duration": "likewise",
    "host": "likewise",
    "json": "report-json is its form for a job",
    "quiet": "a log is for reading",
    "verbose": "for looking into a problem by hand",
    "api_key_file": "a file of the runner, by TM_API_KEY_FILE",
    "context": "a user's list of servers; a job names its server",
    "github": "found out by tm; summary and annotations switch its parts off",
    "gitlab": "another platform",
}
HOSTILE = (
    "$(touch pwned)", "`touch pwned`", "; rm -rf .", "a b  c", 'say "no"', "it's", "*", "~",
    "two\nlines", "${HOME}", "${{ github.token }}", "--help", "-", "\\", "a\\nb", "&& true",
    "é 日本 ✓", "%0A::error::x", "-e", "!!", "<(id)", "> out",
)  # fmt: skip


def start_options():
    return {
        option.name: option for option in root_command().commands["runs"].commands["start"].params
    }


def test_every_input_is_an_option_an_argument_a_setting_or_the_actions_own():
    assert set(action()["inputs"]) == {*OPTIONS, *ARGUMENTS, *VARIABLES, *OWN}
    flags = {flag for option in start_options().values() for flag in option.opts}
    assert set(OPTIONS.values()) <= flags
    assert set(VARIABLES.values()) <= set(DEFINITIONS)


def test_every_option_of_a_start_is_an_input_or_has_a_reason_not_to_be():
    reached = {"profile", *VARIABLES.values(), *NOT_FOR_THE_ACTION}
    missing = [
        name
        for name, option in start_options().items()
        if name not in reached and not set(option.opts) & set(OPTIONS.values())
    ]
    assert missing == []


def test_every_input_is_described_and_has_a_default():
    inputs = action()["inputs"]
    assert all(entry["description"].strip() for entry in inputs.values())
    assert not [name for name, entry in inputs.items() if entry.get("required")]
    assert all("default" in entry for entry in inputs.values())


def test_no_script_holds_an_expression():
    for step in action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        allowed = {"env", "with", "if", "name", "id", "uses", "run", "shell", "continue-on-error"}
        assert set(step) <= allowed


def test_every_used_action_is_pinned_by_commit_and_says_its_version():
    uses = re.findall(r"uses: (.*)", ACTION.read_text(encoding="utf-8"))
    assert len(uses) == 4
    for line in uses:
        assert re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_the_gate_hands_itself_over_to_tm():
    (gate,) = [step for step in action()["runs"]["steps"] if step.get("id") == "gate"]
    assert gate["run"].splitlines()[-1] == 'exec "$TM" "${arguments[@]}"'


def test_all_inputs_arrive_as_options(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    result = make_runner(tm.path).run(
        profile="checkout.yaml\n\n  \nsearch\r\n",
        fail_on="FAIL",
        warn_on="WARN,NO_BASELINE",
        **{"assert": "p95<400ms\nerrors<1%\n"},
        confirm="2",
        baseline="41",
        against="http://localhost:1/",
        serve="./start.sh --port '80 80'",
        serve_log="serve.log",
        wait_for_target="60s",
        warmup="10s",
        stop_early="true",
        region="eu",
        tags="nightly\nci,main",
        wait_timeout="5m",
        verdict_timeout="10s",
        poll_interval="auto",
        timeout="20s",
        on_interrupt="detach",
        fail_fast="true",
        base_url="https://load.example",
        api_key="tm_0123456789",
        report_json="gate.json",
        report_junit="out/gate.xml",
        report_markdown="gate.md",
        report_html="gate.html",
        report_csv="gate.csv",
        args="--report=dotenv=gate.env\r\n\n--verbose",
    )
    assert result.conclusion == "success", result.log
    call = tm.call("runs")
    assert call["words"] == [
        *("runs", "start", "--wait", "--fail-on=FAIL", "--warn-on=WARN,NO_BASELINE"),
        *("--assert=p95<400ms", "--assert=errors<1%"),
        *("--confirm=2", "--baseline=41", "--against=http://localhost:1/"),
        *("--serve=./start.sh --port '80 80'", "--serve-log=serve.log"),
        *("--wait-for-target=60s", "--warmup=10s", "--stop-early=true", "--region=eu"),
        *("--tag=nightly", "--tag=ci,main", "--wait-timeout=5m", "--verdict-timeout=10s"),
        *("--poll-interval=auto", "--timeout=20s", "--on-interrupt=detach", "--fail-fast"),
        *("--report=json=gate.json", "--report=junit=out/gate.xml", "--report=markdown=gate.md"),
        *("--report=html=gate.html", "--report=csv=gate.csv", "--report=dotenv=gate.env"),
        "--verbose",
        *("--", "checkout.yaml", "search"),
    ]
    assert call["env"]["TM_BASE_URL"] == "https://load.example"
    assert call["env"]["TM_API_KEY"] == "tm_0123456789"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_arrives_as_one_argument_and_is_not_carried_out(text, make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    single = {"region": "--region", "against": "--against", "fail_on": "--fail-on"}
    files = {"report_json": "gate.json", "working_directory": "."}
    result = make_runner(tm.path).run(
        profile=text, **{"assert": text}, tags=text, **dict.fromkeys(single, text), **files
    )
    assert result.conclusion == "success", result.log
    lines = text.split("\n")
    assert tm.call("runs")["words"] == [
        *("runs", "start", "--wait", f"--fail-on={text}"),
        *(f"--assert={line}" for line in lines),
        f"--against={text}",
        f"--region={text}",
        *(f"--tag={line}" for line in lines),
        *("--report=json=gate.json", "--", *lines),
    ]
    assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["gate.json"]


@pytest.mark.parametrize("text", ["$(id); `id`", "a b  'c' \"d\"", "x=y<<z", "%0Averdict=PASS"])
def test_hostile_names_forge_no_output_of_a_step(text, make_runner, tmp_path):
    runner = make_runner(make_recorder(tmp_path).path, env={"GITHUB_REF": f"refs/heads/{text}"})
    result = runner.run(profile="p", report_junit=text, report_csv="a=b<<c", artifact="gate")
    outputs = result.steps["Read the inputs"].outputs
    assert set(outputs) == {
        *("variables", "subjects", "home", "json", "html", "files", "local", "keep", "fetch"),
        *("data", "key", "older", "owners"),
    }
    assert outputs["files"] == f"./{text}\n./a=b<<c\n"


@pytest.mark.parametrize("text", ["End\nverdict=PASS", "x\nend-1\njson=/etc/passwd"])
def test_a_name_of_several_lines_forges_no_output_of_a_step(text, make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p", report_csv=text)
    outputs = result.steps["Read the inputs"].outputs
    assert outputs["files"] == f"./{text}\n"
    assert outputs["json"] == ""


@pytest.mark.parametrize(
    ("system", "subject", "variables", "args"),
    [
        ("benchmarks", "bmd_1\nfirst run", "RUNLOOP", "--min-score=85%\n--exec=python drive.py"),
        ("jobs", "nightly-export", "STRAIT", '--payload={"rows": 100}\n--max-duration=10m'),
    ],
)
def test_other_systems_are_started_with_their_own_options_and_keys(
    system, subject, variables, args, make_runner, tmp_path
):
    tm = make_recorder(tmp_path)
    given = {
        SUBJECTS[system]: subject,
        "api_key": "key-0123456789",
        "base_url": "https://x.example",
    }
    result = make_runner(tm.path).run(
        system=system, args=args, warn_on="WARN", artifact="reports", comment="true", **given
    )
    assert result.conclusion == "success", result.log
    call = tm.call(system)
    json, html = result.steps["Keep the reports"].given["path"].splitlines()
    assert call["words"] == [
        *(system, "start", "--wait", "--warn-on=WARN"),
        *(f"--report=json={json}", f"--report=html={html}"),
        *(*args.splitlines(), "--", *subject.splitlines()),
    ]
    assert call["env"][f"{variables}_API_KEY"] == "key-0123456789"
    assert call["env"][f"{variables}_BASE_URL"] == "https://x.example"
    assert not {"TM_API_KEY", "TM_BASE_URL", "INPUT_API_KEY"} & set(call["env"])
    assert tm.call("report")["words"][-1] == json


@pytest.mark.parametrize("system", SUBJECTS)
def test_every_option_of_a_start_can_be_given(system):
    """By an input, or by a line of `args`, which takes every long option with its value."""
    options = root_command().commands[system].commands["start"].params
    flags = [option.opts for option in options if option.param_type_name == "option"]
    assert all(any(flag.startswith("--") for flag in names) for names in flags)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"system": "tests", "profile": "p"}, "system must be runs, benchmarks or jobs"),
        ({"system": "", "profile": "p"}, "system must be runs, benchmarks or jobs"),
        ({"system": "jobs", "profile": "p"}, "profile does not go with the system jobs"),
        ({"system": "runs", "profile": "p", "job": "j"}, "job does not go with the system runs"),
        ({"system": "benchmarks"}, "benchmark is missing"),
        ({"profile": " \n \t"}, "profile is missing"),
        ({}, "profile is missing"),
        ({"profile": "p", "args": "--help"}, "args cannot hold --help"),
        ({"profile": "p", "args": "--json\n--version"}, "args cannot hold --version"),
        ({"profile": "p", "args": "--wait=false"}, "args cannot hold --wait=false"),
        ({"profile": "p", "args": "--fail-on=FAIL,WARN"}, "--fail-on: it is the input fail-on"),
        (
            {"profile": "p", "fail_on": "FAIL", "args": "--json\n--fail-on=WARN"},
            "--fail-on: it is the input fail-on",
        ),
        ({"system": "jobs", "job": "j", "args": "--warn-on=FAIL"}, "it is the input warn-on"),
        ({"profile": "p", "args": "-h"}, "one option per line"),
        ({"profile": "p", "args": "--min-score\n85%"}, "one option per line"),
        ({"profile": "p", "args": "--"}, "one option per line"),
        ({"profile": "p", "args": "other"}, "one option per line"),
        ({"profile": "p", "args": " --help"}, "one option per line"),
    ],
)
def test_input_that_would_end_without_a_gate_is_refused(given, said, make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    result = make_runner(tm.path).run(**given)
    assert result.conclusion == "failure"
    assert result.steps["Read the inputs"].code == 64
    assert said in result.log
    assert not tm.record.exists()
    if "args" in given:
        step = {
            "uses": "OWNER/tm@v1",
            "with": {name.replace("_", "-"): value for name, value in given.items()},
        }
        workflow = {"jobs": {"gate": {"steps": [step]}}}
        [job] = github_jobs(workflow, Branches())
        assert any("the action refuses" in remark.text for remark in job.remarks)


@pytest.mark.parametrize("system", ["benchmarks", "jobs"])
def test_other_systems_have_a_default_of_their_own(system, make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(system=system, **{SUBJECTS[system]: "x"})
    assert [call["words"] for call in tm.calls()] == [[system, "start", "--wait", "--", "x"]]


def test_other_systems_keep_no_history(make_runner, tmp_path):
    env = {"TM_BASE_URL": "local"}
    result = make_runner(make_recorder(tmp_path).path, env=env).run(system="jobs", job="j")
    assert "Keep the history" not in result.ran()


def test_without_fail_on_the_gate_fails_on_fail(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(profile="p")
    assert "--fail-on=FAIL" in tm.call("runs")["words"]


def test_without_fail_on_the_settings_of_the_project_stay_in_force(make_runner, tmp_path):
    tm = make_recorder(tmp_path, fail_on="FAIL,WARN")
    make_runner(tm.path).run(profile="p")
    assert tm.call("runs")["words"] == ["runs", "start", "--wait", "--", "p"]


def test_none_adds_nothing_to_the_settings(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(profile="p", fail_on="none")
    assert tm.call("runs")["words"] == ["runs", "start", "--wait", "--", "p"]


@pytest.mark.parametrize("name", ["fail_fast", "summary", "annotations", "comment", "cache"])
def test_a_mistyped_switch_stops_the_step_before_anything(name, make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    result = make_runner(tm.path).run(profile="p", **{name: "ture"})
    assert result.conclusion == "failure"
    assert result.steps["Read the inputs"].code == 64
    assert f"input {name.replace('_', '-')} must be true or false" in result.log
    assert not tm.record.exists()
    assert result.ran() == ["Mask the keys", "Read the inputs"]


def test_the_variables_of_the_job_count_where_an_input_is_empty(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    env = {"TM_BASE_URL": "https://load.example", "TM_API_KEY": "tm_of-the-job"}
    make_runner(tm.path, env=env).run(profile="p")
    assert tm.call("runs")["env"].items() >= env.items()


def test_a_variable_that_nobody_has_set_stays_unset(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(profile="p")
    assert not {"TM_BASE_URL", "TM_API_KEY", "TM_DATA_DIR"} & set(tm.call("runs")["env"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("owner", "env", "trusted"),
    [
        (0, {}, ""),
        (0, {"TM_TRUSTED_OWNERS": "7"}, "7"),
        (1001, {}, "1001"),
        (1001, {"TM_TRUSTED_OWNERS": "7"}, "7,1001"),
    ],
)
def test_owner_of_the_workspace_is_trusted(owner, env, trusted, make_runner, tmp_path):
    """In a container the job is root, and the checkout belongs to the user of the runner."""
    os.chown(tmp_path / "workspace", owner, owner)
    tm = make_recorder(tmp_path)
    make_runner(tm.path, env=env).run(profile="p", comment="true", comment_token="ghs_0123456789")
    calls = tm.calls()
    assert [call["words"][0] for call in calls] == ["config", "runs", "report"]
    assert [call["env"]["TM_TRUSTED_OWNERS"] for call in calls] == [trusted] * 3


def test_switches_of_the_summary_reach_tm(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(profile="p", summary="false")
    env = tm.call("runs")["env"]
    assert (env["TM_GITHUB_SUMMARY"], env["TM_GITHUB_ANNOTATIONS"]) == ("false", "true")


def test_tm_runs_in_the_working_directory(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    runner = make_runner(tm.path)
    (runner.workspace / "a b").mkdir()
    runner.run(profile="p", working_directory="a b")
    assert tm.call("runs")["cwd"] == str(runner.workspace / "a b")


def test_a_working_directory_that_is_missing_starts_nothing(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    result = make_runner(tm.path).run(profile="p", working_directory="missing")
    assert result.conclusion == "failure"
    assert not tm.record.exists()
