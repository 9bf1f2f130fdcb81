"""`tm init --check`: what it sees in a set-up."""

import sys
from pathlib import Path

import pytest

from tm_cli.cli.root import root_command
from tm_cli.setup.check.gate_commands import find_calls
from tm_cli.setup.check.model import Script

EARLIER = Path(__file__).with_name("earlier_workflow.yml")
FLAGS = ("--url", "http://10.0.0.4/checkout", "--rate", "20", "--duration", "1m")
GITHUB = ".github/workflows/load.yml"


def checks(result):
    return result.json["data"]["checks"]


def problems(result):
    return {item["check"]: item["text"] for item in checks(result) if item["status"] == "problem"}


@pytest.mark.parametrize("platform", ["github", "gitlab", "make"])
@pytest.mark.parametrize("system", ["benchmarks", "jobs"])
@pytest.mark.parametrize("server", [(), ("--server", "https://load.example")])
def test_what_init_writes_for_another_system_has_no_problem(tm, platform, system, server):
    flags = ("--system", system, "--subject", "one", "--yes", "--ci", platform)
    assert tm("init", *flags, *server).exit_code == 0
    result = tm("init", "--check", "--json")
    assert result.exit_code == 0, result.stdout
    assert problems(result) == {}


@pytest.mark.parametrize("platform", ["github", "gitlab", "make"])
@pytest.mark.parametrize("server", ["local", "https://load.example"])
def test_what_init_writes_has_no_problem(tm, platform, server):
    tm("init", *FLAGS, "--ci", platform, "--server", server)
    result = tm("init", "--check", "--json")
    assert result.exit_code == 0, result.stdout
    assert problems(result) == {}


def test_empty_directory_lacks_everything(tm):
    result = tm("init", "--check", "--json")
    assert result.exit_code == 78
    assert set(problems(result)) == {"tm.toml", "profiles", "pipeline", ".gitignore"}
    assert result.json["error"]["code"] == "configuration"


def test_people_get_a_line_each(tm):
    tm("init", *FLAGS, "--ci", "github")
    (tm.cwd / ".gitignore").unlink()
    result = tm("init", "--check")
    assert result.exit_code == 78
    assert "problem  .gitignore" in result.stdout
    assert result.stderr == "tm: the set-up has 1 problem\n"


def test_pipelines_are_not_said_to_be_fine_without_the_parser(tm, monkeypatch):
    tm("init", *FLAGS, "--ci", "github")
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    result = tm("init", "--check", "--json")
    assert result.exit_code == 78
    [skipped] = [item for item in checks(result) if item["status"] == "skipped"]
    assert (skipped["check"], "not checked" in skipped["text"]) == ("pipelines", True)
    assert skipped["fix"] == "pip install 'tm-cli[check]'"
    assert GITHUB in skipped["text"]


def test_key_in_plain_text_is_seen_without_the_parser(tm, monkeypatch):
    tm("init", *FLAGS, "--ci", "github")
    path = tm.cwd / GITHUB
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("base-url: local", "api-key: tm_live_012"), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    assert "plain text" in problems(tm("init", "--check", "--json"))["TM_API_KEY"]


def test_check_takes_no_other_option(tm):
    assert tm("init", "--check", "--force").exit_code == 64


def test_check_writes_nothing(tm):
    tm("init", "--check")
    assert list(tm.cwd.iterdir()) == []


def test_secret_of_the_platform_is_named(tm):
    tm("init", *FLAGS, "--ci", "github", "--server", "https://load.example")
    todo = [
        item["check"]
        for item in checks(tm("init", "--check", "--json"))
        if item["status"] == "warning"
    ]
    assert todo == [f"{GITHUB}: load-test", "TM_API_KEY"]


def test_published_action_leaves_nothing_to_replace(tm):
    tm("init", *FLAGS, "--ci", "github", "--action", "acme/tm@v1")
    found = [item["status"] for item in checks(tm("init", "--check", "--json"))]
    assert set(found) == {"ok"}


@pytest.mark.parametrize(
    ("old", "new", "what", "said"),
    [
        ("runs start", "runs begin", f"{GITHUB}: load-test", "begin"),
        ("--wait", "--wiat", f"{GITHUB}: load-test", "--wiat"),
        ("checkout.yaml --", "search.yaml --", "search.yaml", "cannot read"),
        ("NO_BASELINE &", "NO_BASELINE || true", f"{GITHUB}: load-test", "drops its exit code"),
        ("run: |", "continue-on-error: true\n        run: |", f"{GITHUB}: load-test", "success"),
        ("TM_BASE_URL: local", "OTHER: local", "TM_BASE_URL", "names no server"),
        (
            "TM_BASE_URL: local",
            "TM_BASE_URL: local\n      TM_FAILON: FAIL",
            f"{GITHUB}: load-test",
            "TM_FAILON means nothing to tm",
        ),
        (
            "TM_BASE_URL: local",
            "TM_BASE_URL: local\n      TM_ASSERT: p95<<1",
            f"{GITHUB}: load-test",
            "TM_ASSERT: invalid check",
        ),
        (
            "TM_BASE_URL: local",
            "TM_BASE_URL: local\n      TM_WARN_ON: WARN",
            f"{GITHUB}: load-test",
            "--warn-on and --fail-on both name WARN",
        ),
        ("TM_BASE_URL: local", "TM_BASE_URL: https://load.example", "TM_API_KEY", "passes no key"),
        (
            "TM_BASE_URL: local",
            "TM_API_KEY: tm_live_0123456789",
            "TM_API_KEY",
            "in plain text",
        ),
        ("jobs:", "jobs: [", GITHUB, "cannot be read"),
    ],
)
def test_pipeline_that_cannot_work_is_seen(tm, old, new, what, said):
    tm("init", *FLAGS, "--ci", "github")
    path = tm.cwd / GITHUB
    text = EARLIER.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    result = tm("init", "--check", "--json")
    assert result.exit_code == 78
    assert said in problems(result)[what]
    assert "tm_live_0123456789" not in result.stdout + result.stderr


def test_gate_that_fails_on_nothing_is_seen(tm):
    tm("init", *FLAGS, "--ci", "github")
    path = tm.cwd / GITHUB
    ungated = EARLIER.read_text(encoding="utf-8").replace(" --fail-on FAIL,WARN,NO_BASELINE", "")
    path.write_text(ungated, encoding="utf-8")
    assert tm("init", "--check").exit_code == 0, "tm.toml has fail_on"
    (tm.cwd / "tm.toml").write_text("wait_timeout = '5m'\n", encoding="utf-8")
    [said] = problems(tm("init", "--check", "--json")).values()
    assert "whatever the verdict" in said
    with_check = "TM_BASE_URL: local\n      TM_ASSERT: p95<1s"
    path.write_text(ungated.replace("TM_BASE_URL: local", with_check), encoding="utf-8")
    assert tm("init", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("platform", "path", "old", "new"),
    [
        ("gitlab", ".gitlab-ci.yml", "exit_codes: [3, 4] # 3 is WARN, 4 is NO_BASELINE", ""),
        ("make", "Makefile", "\t$(TM)", "\t-$(TM)"),
    ],
)
def test_failure_that_is_forgiven_is_seen(tm, platform, path, old, new):
    tm("init", *FLAGS, "--ci", platform)
    text = (tm.cwd / path).read_text(encoding="utf-8")
    changed = text.replace(old, new).replace("allow_failure:\n", "allow_failure: true\n")
    (tm.cwd / path).write_text(changed, encoding="utf-8")
    assert "success" in " ".join(problems(tm("init", "--check", "--json")).values())


@pytest.mark.parametrize(
    ("platform", "present", "join"),
    [
        ("gitlab", ".gitlab-ci.yml", "include: [{local: .gitlab/load-test.yml}]\n"),
        ("make", "Makefile", "include load-test.mk\n"),
    ],
)
def test_file_that_nobody_includes_is_seen(tm, platform, present, join):
    (tm.cwd / present).write_text("stages: [test]\n", encoding="utf-8")
    tm("init", *FLAGS, "--ci", platform)
    assert "does not include" in problems(tm("init", "--check", "--json"))[present]
    (tm.cwd / present).write_text("stages: [test]\n" + join, encoding="utf-8")
    assert tm("init", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tm.toml", "fail_on = ["),
        ("tm.toml", 'fail_no = "FAIL"'),
        ("tm.toml", 'fail_on = "PASS"'),
        ("tm.toml", 'abort_if = "p90>2s"'),
        ("tm.toml", 'api_key = "tm_live_0123456789"'),
        ("checkout.yaml", "endpointUrl: x\npoints: []\nnaem: y\n"),
        ("checkout.yaml", "endpointUrl: [\npoints: 1\n"),
    ],
)
def test_document_that_cannot_be_used_is_seen(tm, path, text):
    tm("init", *FLAGS, "--ci", "github")
    (tm.cwd / path).write_text(text, encoding="utf-8")
    result = tm("init", "--check", "--json")
    assert result.exit_code == 78
    assert path in problems(result)
    assert "tm_live_0123456789" not in result.stdout + result.stderr


def test_action_counts_as_a_gate(tm):
    tm("init", *FLAGS, "--ci", "none")
    workflow = tm.cwd / GITHUB
    workflow.parent.mkdir(parents=True)
    workflow.write_text(
        "on: push\njobs:\n  gate:\n    steps:\n      - uses: OWNER/tm@v1\n"
        "        with: {profile: checkout.yaml, base-url: local}\n",
        encoding="utf-8",
    )
    assert tm("init", "--check").exit_code == 0


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "jobs: 7",
        "jobs: {a: 7}",
        "jobs: {a: {steps: [7, {run: [1]}]}}",
        "[" * 500,
        "\x00",
    ],
)
@pytest.mark.parametrize("path", [GITHUB, ".gitlab-ci.yml"])
def test_nonsense_in_a_pipeline_is_no_crash(tm, path, text):
    (tm.cwd / path).parent.mkdir(parents=True, exist_ok=True)
    (tm.cwd / path).write_text(text, encoding="utf-8")
    assert tm("init", "--check").exit_code == 78


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tm runs start a.yaml --wait", ["runs start a.yaml --wait"]),
        ("A=1 exec ./bin/tm version # tm demo", ["version"]),
        ("if tm version; then tm demo; fi", ["version", "demo"]),
        ("tm runs start a --wait \\\n  --fail-on FAIL", ["runs start a --wait --fail-on FAIL"]),
        ("python3 -m tm_cli version > log 2>&1", ["version"]),
        ("echo tm version; atm version; tmux ls", []),
        ("echo 'tm version", []),
        ("python -m pip install tm-cli", []),
    ],
)
def test_calls_are_found_in_shell(line, words):
    assert [
        call.line.removeprefix("tm ") for call in find_calls(Script(line), root_command())
    ] == words
