"""`tm init`: what it asks, writes, keeps and says."""

import os
import re
import subprocess

import pytest
import yaml

from tm_cli.backends.trafficmorph.profile_documents import read_document
from tm_cli.runtime.ci_platform import VARIABLES
from tm_cli.server.judge import Thresholds
from tm_cli.server.routes.profiles import read_document as accept
from tm_cli.settings import load_settings
from tm_cli.values.thresholds import read_thresholds

URL = "http://localhost:8080/checkout"
FLAGS = ("--url", URL, "--rate", "20", "--duration", "1m")
SCHEMAS = (".tm-profile.schema.json", ".tm-settings.schema.json")
GITHUB = ".github/workflows/load.yml"


def files(tm):
    return {
        path.relative_to(tm.cwd).as_posix(): path.read_text(encoding="utf-8")
        for path in tm.cwd.rglob("*")
        if path.is_file()
    }


def actions(result):
    return {item["path"]: item["action"] for item in result.json["data"]["files"]}


def test_three_answers_make_a_set_up(tm):
    result = tm("init", typed=f"{URL}\n25 for 2m\ngithub\n")
    assert result.exit_code == 0
    assert set(files(tm)) == {"checkout.yaml", "tm.toml", ".gitignore", GITHUB, *SCHEMAS}
    profile = yaml.safe_load(files(tm)["checkout.yaml"])
    assert profile["endpointUrl"] == URL
    assert (profile["duration"], profile["points"]) == ("2m", [[0, 25], [120, 25]])
    assert result.stderr.count("?") + result.stderr.count(":") >= 3


def test_enter_takes_the_defaults(tm):
    tm("init", typed=f"{URL}\n\n\n")
    assert set(files(tm)) == {"checkout.yaml", "tm.toml", ".gitignore", *SCHEMAS}


def test_answer_that_cannot_be_used_is_asked_for_again(tm):
    result = tm("init", typed=f"shop.example:8080\n{URL}\nmuch\n20 for 1m\njenkins\nnone\n")
    assert result.exit_code == 0
    assert "write for instance http://shop.example:8080" in result.stderr
    assert "invalid load 'much'" in result.stderr
    assert "choose github" in result.stderr


def test_person_who_leaves_gets_nothing(tm):
    result = tm("init", typed=f"{URL}\n")
    assert result.exit_code == 64
    assert files(tm) == {}


def test_flags_leave_only_the_rest_to_ask(tm):
    result = tm("init", "--rate", "5", "--ci", "none", typed=f"{URL}\n30s\n")
    assert result.exit_code == 0
    assert yaml.safe_load(files(tm)["checkout.yaml"])["points"] == [[0, 5], [30, 5]]


def test_nobody_is_asked_where_nobody_can_answer(tm):
    result = tm("init", "--rate", "5")
    assert result.exit_code == 64
    assert "--url, --duration, --ci" in result.stderr
    assert files(tm) == {}


def test_yes_needs_the_target_and_nothing_else(tm):
    assert tm("init", "--yes").exit_code == 64
    assert tm("init", "--yes", "--url", URL).exit_code == 0


def test_public_target_needs_somebody_who_says_it_is_theirs(tm):
    asked = tm("init", typed="https://shop.example.com/\n20 for 1m\ngithub\nno\n")
    assert "TM_ALLOW_PUBLIC_TARGETS" not in files(tm)[GITHUB]
    assert "refuses public addresses" in asked.stdout
    tm("init", "--force", typed="https://shop.example.com/\n20 for 1m\ngithub\nyes\n")
    assert yaml.safe_load(files(tm)[GITHUB])["jobs"]["load-test"]["env"]["TM_ALLOW_PUBLIC_TARGETS"]


def gate_step(tm, path=GITHUB):
    """The step of a written workflow that uses the action; no other one sees the key."""
    workflow = yaml.safe_load(files(tm)[path])
    [job] = workflow["jobs"].values()
    assert not any("KEY" in str(level.get("env")) for level in (workflow, job, *job["steps"]))
    [step] = [step for step in job["steps"] if "tm@" in step["uses"]]
    return step


@pytest.mark.parametrize(
    ("system", "fail_on", "red", "warned", "said"),
    [
        ("runs", "FAIL,WARN", "FAIL", "WARN", "red; WARN is a warning, NO_BASELINE is a notice."),
        ("runs", "FAIL", "FAIL", "WARN", "red; WARN is a warning, NO_BASELINE is a notice."),
        ("runs", "FAIL,NO_BASELINE", "FAIL,NO_BASELINE", "WARN", "so does NO_BASELINE, WARN is"),
        ("runs", "WARN", "WARN", None, "red; so does WARN, NO_BASELINE is a notice."),
        ("benchmarks", "FAIL,WARN", "FAIL", "WARN", "WARN is a warning"),
        ("jobs", "FAIL,WARN", "FAIL,WARN", None, "red; so does WARN (canceled, expired)."),
        ("jobs", "FAIL", "FAIL", "WARN", "red; WARN (canceled, expired) is a warning."),
    ],
)
def test_workflow_says_which_verdicts_are_red(tm, system, fail_on, red, warned, said):
    subject = ("--url", "http://10.0.0.4/") if system == "runs" else ("--subject", "one")
    flags = ("--system", system, *subject, "--fail-on", fail_on, "--yes", "--ci", "github")
    assert tm("init", *flags).exit_code == 0
    [path] = [name for name in files(tm) if name.startswith(".github")]
    given = gate_step(tm, path)["with"]
    assert (given["fail-on"], given.get("warn-on")) == (red, warned)
    assert said in files(tm)[path]


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:80/x?y=1", "http://127.0.0.1:80/x?y=1"),
        ("[::1]:8080/a", "http://[::1]:8080/a"),
    ],
)
def test_port_of_this_machine_needs_no_scheme(tm, typed, url):
    assert tm("init", "--url", typed, "--yes").exit_code == 0
    [document] = [text for path, text in files(tm).items() if path.endswith(".yaml")]
    assert yaml.safe_load(document)["endpointUrl"] == url


@pytest.mark.parametrize(
    ("typed", "path", "inputs"),
    [
        (
            "benchmarks\nbmd_1\n90%\ngithub\n",
            ".github/workflows/benchmark.yml",
            {
                "system": "benchmarks",
                "benchmark": "bmd_1",
                "args": "--min-score=90%",
                "fail-on": "FAIL",
                "warn-on": "WARN",
                "api-key": "${{ secrets.RUNLOOP_API_KEY }}",
            },
        ),
        (
            "jobs\nbad id\nnightly-export\ngithub\n",
            ".github/workflows/job.yml",
            {
                "system": "jobs",
                "job": "nightly-export",
                "fail-on": "FAIL,WARN",
                "api-key": "${{ secrets.STRAIT_API_KEY }}",
            },
        ),
    ],
)
def test_other_systems_are_set_up_by_their_own_questions(tm, typed, path, inputs):
    result = tm("init", typed=typed)
    assert result.exit_code == 0, result.stderr
    assert set(files(tm)) == {"tm.toml", ".gitignore", path, SCHEMAS[1]}
    given = gate_step(tm, path)["with"]
    reports = {name: given.pop(name) for name in ("artifact", "comment", "comment-name")}
    assert given == inputs
    assert "pull_request" in reports["comment"]


@pytest.mark.parametrize("platform", ["gitlab", "make"])
def test_gates_of_several_systems_stand_side_by_side(tm, platform):
    tm("init", *FLAGS, "--ci", platform)
    before = files(tm)
    for system in ("benchmarks", "jobs"):
        flags = ("--system", system, "--subject", "one", "--yes", "--ci", platform)
        assert tm("init", *flags).exit_code == 0
        again = tm("init", *flags, "--json")
        assert set(actions(again).values()) == {"same"}
    assert before.items() <= files(tm).items()
    assert len(files(tm)) == len(before) + 2


@pytest.mark.parametrize(
    "flags",
    [
        ("--system", "jobs"),
        ("--system", "benchmarks", "--subject", "$(id)"),
        ("--system", "jobs", "--subject", "a b"),
        ("--system", "jobs", "--subject", "x", "--url", URL),
        ("--system", "jobs", "--subject", "x", "--min-score", "85%"),
        ("--system", "jobs", "--subject", "x", "--duration", "1m"),
        ("--system", "jobs", "--subject", "x", "--server", "local"),
        ("--system", "benchmarks", "--subject", "x", "--min-score", "185%"),
        ("--system", "benchmarks", "--subject", "x", "--allow-public-targets"),
        ("--system", "jobs", "--subject", "x", "--fail-on", "FAIL,NO_BASELINE"),
        ("--url", URL, "--subject", "x"),
        ("--url", URL, "--action", "acme/tm"),
        ("--url", URL, "--action", "acme/tm@v1 # x"),
    ],
)
def test_option_of_another_system_writes_nothing(tm, flags):
    result = tm("init", *flags, "--yes", "--ci", "github")
    assert result.exit_code == 64
    assert files(tm) == {}


HERE = "ref: refs/heads/feature"


@pytest.mark.parametrize(
    ("refs", "branches"),
    [
        ({}, ["main", "master"]),
        ({"HEAD": "ref: refs/heads/trunk"}, ["trunk"]),
        ({"HEAD": HERE, "refs/remotes/origin/HEAD": "ref: refs/remotes/origin/dev"}, ["dev"]),
        ({"HEAD": HERE, "refs/remotes/up/HEAD": "ref: refs/remotes/up/v/1.0"}, ["v/1.0"]),
        ({"HEAD": HERE, "refs/heads/master": "0" * 40}, ["master"]),
        ({"HEAD": "0" * 40, "packed-refs": f"{'0' * 40} refs/heads/main"}, ["main"]),
        ({"HEAD": HERE, "refs/remotes/origin/develop": "0" * 40}, ["develop"]),
        ({"HEAD": HERE, "refs/remotes/origin/next": "0" * 40}, ["main", "master"]),
        ({"HEAD": HERE, "shallow": "0" * 40}, ["main", "master"]),
        ({"HEAD": "ref: refs/heads/$(id)"}, ["main", "master"]),
        ({"HEAD": "ref: refs/heads/true"}, ["true"]),
    ],
)  # fmt: skip
def test_pushes_to_the_default_branch_are_what_starts_the_workflow(tm, refs, branches):
    for name, text in refs.items():
        (tm.cwd / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tm.cwd / ".git" / name).write_text(text, encoding="utf-8")
    tm("init", *FLAGS, "--ci", "github")
    workflow = yaml.safe_load((tm.cwd / GITHUB).read_text(encoding="utf-8"))
    assert workflow[True]["push"]["branches"] == branches


@pytest.mark.process
def test_worktree_and_clone_know_the_default_branch(tm):
    from tm_cli.setup.branches import read_branches

    def git(*words, cwd):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *words],
                       cwd=cwd, check=True, capture_output=True)  # fmt: skip

    top = tm.cwd / "origin"
    top.mkdir()
    git("init", "-b", "develop", cwd=top)
    git("commit", "--allow-empty", "-m", "one", cwd=top)
    git("clone", str(top), str(tm.cwd / "clone"), cwd=tm.cwd)
    git("switch", "-c", "feature", cwd=tm.cwd / "clone")
    git("worktree", "add", "-b", "other", str(tm.cwd / "tree"), cwd=tm.cwd / "clone")
    for place in ("clone", "tree"):
        found = read_branches(tm.cwd / place)
        assert found.default == "develop"
        assert {"develop", "feature", "other"} <= found.names


@pytest.mark.parametrize(
    "wrong",
    [
        ("--rate", "0"),
        ("--duration", "5s"),
        ("--duration", "72h"),
        ("--ci", "jenkins"),
        ("--fail-on", "PASS"),
        ("--server", "http://load.example"),
        ("--method", "FETCH"),
        ("--name", "a\nb"),
        ("--rate", "20000"),
        ("--server", "https://load.example", "--allow-public-targets"),
        ("--server", "https://load.example"),  # it would load its own localhost
    ],
)
def test_value_that_cannot_be_used_writes_nothing(tm, wrong):
    result = tm("init", *FLAGS, "--ci", "github", *wrong)
    assert result.exit_code == 64
    assert files(tm) == {}


@pytest.mark.parametrize("platform", ["github", "gitlab", "make", "none"])
def test_second_time_finds_everything_there(tm, platform):
    tm("init", *FLAGS, "--ci", platform)
    before = files(tm)
    again = tm("init", *FLAGS, "--ci", platform, "--json")
    assert again.exit_code == 0
    assert set(actions(again).values()) == {"same"}
    assert "Everything was there already." in again.json["data"]["notes"]
    assert files(tm) == before


def test_file_that_differs_is_kept_unless_forced(tm):
    tm("init", *FLAGS, "--ci", "github")
    edited = files(tm)["checkout.yaml"].replace("httpMethod: GET", "httpMethod: POST")
    (tm.cwd / "checkout.yaml").write_text(edited, encoding="utf-8")
    kept = tm("init", *FLAGS, "--ci", "github", "--json")
    assert actions(kept)["checkout.yaml"] == "kept"
    assert "--force" in " ".join(kept.json["data"]["notes"])
    assert files(tm)["checkout.yaml"] == edited
    forced = tm("init", *FLAGS, "--ci", "github", "--force", "--json")
    assert actions(forced)["checkout.yaml"] == "replaced"
    assert "httpMethod: GET" in files(tm)["checkout.yaml"]


@pytest.mark.parametrize(
    ("platform", "present", "written", "join"),
    [
        ("gitlab", ".gitlab-ci.yml", ".gitlab/load-test.yml", "include: [{local:"),
        ("make", "Makefile", "load-test.mk", "include load-test.mk"),
        ("make", "GNUmakefile", "load-test.mk", "include load-test.mk"),
    ],
)
def test_pipeline_of_somebody_else_is_joined_and_never_replaced(
    tm, platform, present, written, join
):
    theirs = "stages: [build, deploy]\nbuild:\n  script: [make]\n"
    (tm.cwd / present).write_text(theirs, encoding="utf-8")
    result = tm("init", *FLAGS, "--ci", platform, "--force")
    assert files(tm)[present] == theirs
    assert written in files(tm)
    assert join in result.stdout


def test_makefiles_of_several_gates_have_one_target_that_installs_tm(tm):
    tm("init", *FLAGS, "--ci", "make")
    for system in ("jobs", "benchmarks"):
        tm("init", "--system", system, "--subject", "one", "--yes", "--ci", "make")
    texts = {name: text for name, text in files(tm).items() if name.endswith((".mk", "file"))}
    assert set(texts) == {"Makefile", "job.mk", "benchmark.mk"}
    assert [name for name, text in texts.items() if "install-tm:" in text] == ["Makefile"]
    again = tm("init", *FLAGS, "--ci", "make", "--json")
    assert set(actions(again).values()) == {"same"}


def test_job_takes_a_stage_that_is_there(tm):
    (tm.cwd / ".gitlab-ci.yml").write_text("stages: [build, deploy]\n", encoding="utf-8")
    tm("init", *FLAGS, "--ci", "gitlab")
    job = yaml.safe_load(files(tm)[".gitlab/load-test.yml"])["load-test"]
    assert job["stage"] == "deploy"


def test_file_that_is_no_profile_is_not_taken_for_one(tm):
    (tm.cwd / "docker-compose.yaml").write_text("services: {}\n", encoding="utf-8")
    result = tm("init", *FLAGS, "--ci", "github", "--name", "docker-compose", "--force")
    assert result.exit_code == 78
    assert "--name" in result.stderr
    assert set(files(tm)) == {"docker-compose.yaml"}


def test_settings_in_pyproject_are_not_hidden(tm):
    (tm.cwd / "pyproject.toml").write_text('[tool.tm]\nfail_on = "FAIL"\n', encoding="utf-8")
    tm("init", *FLAGS, "--ci", "none")
    assert "tm.toml" not in files(tm)


def test_ignored_files_gain_a_line_and_lose_none(tm):
    (tm.cwd / ".gitignore").write_bytes(b"build/\r\n*.log")
    tm("init", *FLAGS, "--ci", "none")
    assert (tm.cwd / ".gitignore").read_bytes() == b"build/\r\n*.log\n.tm/\n"


def test_pipeline_goes_to_the_top_of_the_repository_or_nowhere(tm):
    (tm.cwd.parent / ".git").mkdir()
    result = tm("init", *FLAGS, "--ci", "github")
    assert result.exit_code == 64
    assert str(tm.cwd.parent) in result.stderr
    assert tm("init", *FLAGS, "--ci", "make").exit_code == 0


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_link_that_leads_nowhere_is_not_followed(tm):
    outside = tm.cwd.parent / "outside.toml"
    (tm.cwd / "tm.toml").symlink_to(outside)
    result = tm("init", *FLAGS, "--ci", "none")
    assert result.exit_code == 78
    assert not outside.exists()


def test_written_documents_are_usable(tm):
    tm("init", *FLAGS, "--ci", "none", "--fail-on", "warn,fail", "--name", "yes")
    _, warnings = accept(read_document(tm.cwd / "yes.yaml"))
    assert not warnings
    settings = load_settings({}, {}, cwd=tm.cwd, user_dir=tm.home)
    assert settings.value("fail_on") == "FAIL,WARN"


def test_limits_in_the_comments_are_those_of_the_judge(tm):
    import tomllib

    tm("init", *FLAGS, "--ci", "none")
    table = re.search(r"^# \[gate\]\n(?:# .*\n)+", files(tm)["tm.toml"], re.MULTILINE)[0]
    limits = read_thresholds(tomllib.loads(table.replace("# ", ""))["gate"])
    assert limits == Thresholds().document()


def test_long_run_is_waited_for(tm):
    tm("init", "--url", URL, "--rate", "5", "--duration", "2h", "--ci", "gitlab")
    assert load_settings({}, {}, cwd=tm.cwd, user_dir=tm.home).value("wait_timeout") == 130 * 60
    assert "--wait-timeout 130m" in files(tm)[".gitlab-ci.yml"]


def test_too_few_requests_are_pointed_out(tm):
    result = tm("init", "--url", URL, "--rate", "2", "--duration", "1m", "--ci", "none")
    assert "120 requests are too few" in result.stdout


def test_key_is_a_secret_and_nowhere_in_a_file(tm):
    key = "tm_live_0123456789abcdef"
    for platform in ("github", "gitlab", "make"):
        tm(
            "init", *FLAGS, "--url", "http://10.0.0.4/", "--ci", platform,
            "--server", "https://load.example", environ={"TM_API_KEY": key},
        )  # fmt: skip
    assert key not in "".join(files(tm).values())
    assert gate_step(tm)["with"]["api-key"] == "${{ secrets.TM_API_KEY }}"


@pytest.mark.parametrize(
    ("remote", "platform"),
    [
        ("git@github.com:ada/shop.git", "github"),
        ("https://github.com/ada/gitlab.git", "github"),
        ("ssh://git@gitlab.example.com:22/shop.git", "gitlab"),
        ("https://token@gitlab.com/shop", "gitlab"),
        ("/srv/github.com.d", "none"),
    ],
)
def test_remote_of_the_repository_suggests_a_platform(tm, remote, platform):
    (tm.cwd / ".git").mkdir()
    config = f'[remote "origin"]\n\turl = {remote}\n'
    (tm.cwd / ".git" / "config").write_text(config, encoding="utf-8")
    result = tm("init", typed="http://localhost:8080/\n\n\n")
    assert f"[{platform}]" in result.stderr
    assert "token" not in result.stderr


HOSTILE = [
    'it\'s "quoted"',
    "$(touch /tmp/x) `id`",
    "${{ secrets.TM_API_KEY }}",
    "a: b # c",
    "- item\\nnext",
    "; rm -rf / && true | cat",
    "%{x} $$ $X ${X}",
    "!!python/object:os.system",
    "* & [ ] { } > | @ ?",
    "null",
    "1e5",
]


@pytest.mark.parametrize("platform", ["github", "gitlab", "make"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_stays_a_name(tm, platform, name):
    url = "http://10.0.0.4/?q=$(id)&x=';touch+/tmp/x;'&y=$HOME"
    result = tm(
        "init", "--url", url, "--rate", "5", "--duration", "1m", "--ci", platform, "--name", name
    )
    assert result.exit_code == 0
    written = files(tm)
    [document] = (path for path in written if path.endswith(".yaml"))
    profile = read_document(tm.cwd / document)
    assert (profile["name"], profile["endpointUrl"]) == (name, url)
    assert re.fullmatch(r"[a-z0-9-]+\.yaml", document)
    del written[document]
    plain = tm_texts(tm, platform, document.removesuffix(".yaml"))
    assert written == plain, "nothing but the file's name may reach the other files"


def tm_texts(tm, platform, name):
    """What a harmless answer writes, for comparison."""
    for path in tm.cwd.rglob("*"):
        if path.is_file():
            path.unlink()
    tm(
        "init",
        "--url",
        "http://10.0.0.4/",
        "--rate",
        "5",
        "--duration",
        "1m",
        "--ci",
        platform,
        "--name",
        name,
    )
    return {path: text for path, text in files(tm).items() if path != f"{name}.yaml"}


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="a terminal of POSIX")
def test_question_is_asked_at_a_real_terminal(tmp_path):
    import pty
    import sys
    import threading

    master, slave = pty.openpty()
    environ = {name: text for name, text in os.environ.items() if name not in VARIABLES}
    environ |= {"TM_CONFIG_DIR": str(tmp_path / "config"), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tm_cli", "init"],
        cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, env=environ,
    )  # fmt: skip
    os.close(slave)
    seen = bytearray()

    def read():
        while True:
            try:
                seen.extend(os.read(master, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    os.write(master, f"{URL}\n20 for 1m\nmake\n".encode())
    assert process.wait(timeout=30) == 0
    reader.join(timeout=10)
    os.close(master)
    assert b"URL to test" in seen
    assert (tmp_path / "Makefile").exists()
