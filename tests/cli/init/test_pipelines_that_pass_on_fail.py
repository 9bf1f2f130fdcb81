"""`tm init --check` on pipelines that are green on FAIL, and on some that only look like it."""

from pathlib import Path

import pytest

FLAGS = ("--url", "http://10.0.0.4/checkout", "--rate", "20", "--duration", "1m")
GITHUB, GITLAB = ".github/workflows/load.yml", ".gitlab-ci.yml"
GATE = "tm runs start checkout.yaml --wait --fail-on FAIL"


@pytest.fixture
def check(tm):
    """Write one pipeline into a set-up and return exit code and findings as text."""
    tm("init", *FLAGS, "--ci", "none")

    def run(path, text):
        (tm.cwd / path).parent.mkdir(parents=True, exist_ok=True)
        (tm.cwd / path).write_text(text.replace("GATE", GATE), encoding="utf-8")
        result = tm("init", "--check", "--json")
        found = [item for item in result.json["data"]["checks"] if item["status"] != "ok"]
        lines = [f"{item['status']}: {item['check']}: {item['text']}" for item in found]
        broken = any(line.startswith(("problem", "skipped")) for line in lines)
        assert result.exit_code == (78 if broken else 0)
        return "\n".join(lines)

    return run


EARLIER = Path(__file__).with_name("earlier_workflow.yml")
"""What `tm init` 0.1.0 wrote for GitHub: a script of its own, which users still have."""


@pytest.fixture
def edited(tm):
    """Edit what `tm init` writes, or wrote; return the findings."""

    def run(platform, path, *edits, earlier=False):
        tm("init", *FLAGS, "--ci", platform)
        place = EARLIER if earlier else tm.cwd / path
        text = place.read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (tm.cwd / path).write_text(text, encoding="utf-8")
        found = tm("init", "--check", "--json").json["data"]["checks"]
        return "\n".join(f"{item['status']}: {item['text']}" for item in found)

    return run


def workflow(script, *, before="", on="on: push\n", job="", step=""):
    return (
        f"{on}env: {{TM_BASE_URL: local}}\njobs:\n  gate:\n    runs-on: ubuntu-latest\n{job}"
        f"    steps:\n{before}      - run: |\n          {script}\n{step}"
    )


ON = """\
on:
  push:
    branches: [main, master] # these runs are what pull requests are compared with
  pull_request:
  workflow_dispatch:
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('wait "$!" || code=$?', 'wait "$!" || true', "may be lost"),
        ('*) exit "$code"', "*) echo bad", "may be lost"),
        ('*) exit "$code"', "*) exit 0", "may be lost"),
        ("3) echo", "2|3) echo", "may be lost"),
        ('          wait "$!" || code=$?\n', "", "may be lost"),
        ("- name: Load test\n", "- name: Load test\n        if: false\n", "never runs"),
        ("  load-test:\n", "  load-test:\n    if: ${{ false }}\n", "never runs"),
        ("  load-test:\n", "  load-test:\n    if: github.actor == 'x'\n", "warning: it runs only"),
        (ON, "", "no `on:`"),
        (ON, "on: workflow_dispatch\n", "warning: it runs only on workflow_dispatch"),
        ("shell: bash\n        run: |", "shell: pwsh\n        run: |", "not checked"),
        ("FAIL,WARN,NO_BASELINE", "FAIL,WRAN", "invalid verdict 'WRAN'"),
        ("FAIL,WARN,NO_BASELINE", "WARN", "lets FAIL pass"),
        ("FAIL,WARN,NO_BASELINE", '""', "names no verdict"),
        ("NO_BASELINE &", 'NO_BASELINE --assert "p95<<4" &', "invalid check"),
        ("NO_BASELINE &", 'NO_BASELINE --abort-if "p90>2s" &', "live data of a run have no p90"),
        ("NO_BASELINE &", "NO_BASELINE --wait-timeout 5x &", "invalid duration"),
        ("NO_BASELINE &", "NO_BASELINE --poll-interval 0 &", "longer than zero"),
        ("NO_BASELINE &", "NO_BASELINE --on-interrupt leave &", "'leave' is not one of"),
        ("NO_BASELINE &", "NO_BASELINE --report foo=x &", "FORMAT=FILE"),
        ("TM_BASE_URL: local", "TM_BASE_URL: local\n      TM_FAIL_ON: NONE", "TM_FAIL_ON"),
        ("path: .tm/tm.db", "path: .tm", "with the key in it"),
        ("path: .tm/tm.db", "path: ./.tm/**", "with the key in it"),
    ],
)
def test_edit_of_an_earlier_workflow_is_seen(edited, old, new, said):
    assert said in edited("github", GITHUB, (old, new), earlier=True)


def test_earlier_workflow_is_fine(edited):
    assert "problem" not in edited("github", GITHUB, earlier=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- name: Gate\n", "- name: Gate\n        if: false\n", "never runs"),
        ("- name: Gate\n", "- name: Gate\n        continue-on-error: true\n", "continue-on-error"),
        ("  load-test:\n", "  load-test:\n    if: ${{ false }}\n", "never runs"),
        ("fail-on: FAIL", "fail-on: WRAN", "invalid verdict 'WRAN'"),
        ("fail-on: FAIL", "fail-on: NO_BASELINE", "lets FAIL pass"),
        ("warn-on: WARN", "warn-on: PASS", "PASS needs no warning"),
        ("warn-on: WARN", "args: --min-score=85%", "No such option"),
        ("warn-on: WARN", "warn-on: FAIL,WARN", "--warn-on and --fail-on both name FAIL"),
        ("warn-on: WARN", "args: --fail-on=NO_BASELINE", "lets FAIL pass"),
        ("warn-on: WARN", "args: --fail-on=FAIL,WARN", "refuses `--fail-on=FAIL,WARN` in args"),
        ("fail-on: FAIL", "fail_on: FAIL", "no input `fail_on`, and runs without it; did you mean"),
        ("fail-on: FAIL", "FAIL-ON: WRAN", "invalid verdict 'WRAN'"),
        ("warn-on: WARN", "args: -q", "refuses `-q` in args"),
        ("warn-on: WARN", "fail-fast: 'yes'", "fail-fast must be true or false"),
        ("warn-on: WARN", "tags: [a, b]", "the input `tags` is no text"),
        ("warn-on: WARN", "confirm: many", "Invalid value"),
        ("profile: checkout.yaml", "profile: search.yaml", "cannot read"),
        ("base-url: local", "cache: true", "names no server"),
        ("base-url: local", "base-url: https://load.example", "passes no key on"),
        ("base-url: local", "api-key: tm_live_0123456789", "in plain text"),
        ("          profile: checkout.yaml\n", "", "nothing here runs a gate"),
        ("OWNER/tm@", "OWNER/other@", "nothing here runs a gate"),
    ],
)
def test_edit_of_the_written_workflow_is_seen(edited, old, new, said):
    assert said in edited("github", GITHUB, (old, new))


@pytest.mark.parametrize("platform", ["github", "make"])
def test_pipeline_whose_list_is_shorter_than_that_of_the_settings_is_seen(edited, tm, platform):
    def found():
        return edited(platform, {"github": GITHUB, "make": "Makefile"}[platform])

    assert "leaves out" not in found()
    settings = tm.cwd / "tm.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('"WARN"]', '"WARN", "NO_BASELINE"]'), encoding="utf-8")
    assert "leaves out NO_BASELINE, on which the settings fail" in found()


@pytest.mark.parametrize("system", ["benchmarks", "jobs"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        with:\n", "        with:\n          region: eu\n", "No such option: --region"),
        ("        with:\n", "        with:\n          no-such: eu\n", "no input `no-such`"),
        ("artifact:", "timeout: 5x\n          artifact:", "invalid duration"),
        ("fail-on: FAIL", "fail-on: WRAN #", "invalid verdict 'WRAN'"),
        ("fail-on: FAIL", "fail-on: WARN #", "lets FAIL pass"),
        ("artifact:", "args: --no-such\n          artifact:", "No such option"),
        ("${{ secrets.", "tm_live_0123456789 # ${{ s.", "in plain text"),
        ("api-key:", "region:", "passes no key on"),
    ],
)
def test_edit_of_another_systems_workflow_is_seen(tm, system, old, new, said):
    tm("init", "--system", system, "--subject", "one", "--yes", "--ci", "github")
    path = tm.cwd / ".github" / "workflows" / f"{system.removesuffix('s')}.yml"
    text = path.read_text(encoding="utf-8").replace("          args: --min-score=85%\n", "")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert said in tm("init", "--check").stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FAIL,WARN,NO_BASELINE", "${{ vars.VERDICTS }}"),
        ("FAIL,WARN,NO_BASELINE", '"$VERDICTS"'),
        ("NO_BASELINE &", "NO_BASELINE --report junit=gate.xml --assert 'p95<400ms' &"),
        ("NO_BASELINE &", "NO_BASELINE --assert 'p99<+10%' --wait-timeout 90m &"),
        ("NO_BASELINE &", "NO_BASELINE --abort-if 'p95>2s for 30s' &"),
        ("accepted with a warning", "look at it"),
        ("tm-cli[local]", "tm-cli[keyring,local]"),
        ("tm-cli[local]", "./wheels/tm_cli-1-py3-none-any.whl[local]"),
    ],
)
def test_edit_that_changes_nothing_of_the_gate_is_no_problem(edited, old, new):
    assert "problem" not in edited("github", GITHUB, (old, new), earlier=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("exit_codes: [3, 4]", "exit_codes: [2, 3, 4]", "exit code 2 pass"),
        ("exit_codes: [3, 4]", "exit_codes: 5", "exit code 5 pass"),
        ("exit_codes: [3, 4]", "exit_codes: [[2], {}]", "pass"),
        ("load-test:\n", ".load-test:\n", "begins with a dot"),
        ("  stage:", "  when: manual\n  stage:", "warning: it runs only by hand"),
        ('merge_request_event"\n', 'x"\n      when: manual\n', "warning: it runs only by hand"),
        ('merge_request_event"\n', 'x"\n      allow_failure: true\n', "every exit code"),
        ('paths: [".tm/tm.db"]', "paths: [.tm/]", "with the key in it"),
        ("  script:", "  after_script:", "duplicate key 'after_script'"),
        ("--fail-on", "|| true; tm runs start checkout.yaml --wait --fail-on", "drops"),
    ],
)
def test_edit_of_the_written_gitlab_job_is_seen(edited, old, new, said):
    assert said in edited("gitlab", GITLAB, (old, new))


def test_gate_of_the_gitlab_job_in_its_after_script_is_seen(edited):
    moved = [("  after_script:", "  x_script:"), ("  script:", "  after_script:")]
    assert "after_script drops" in edited("gitlab", GITLAB, *moved)


@pytest.mark.parametrize("word", ["no", "Off", "false"])
def test_allow_failure_of_gitlab_knows_the_words_of_yaml_1_1(edited, word):
    off = ('merge_request_event"\n', f'merge_request_event"\n      allow_failure: {word}\n')
    assert "problem" not in edited("gitlab", GITLAB, off)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\t$(TM)", "\t-$(TM)", "`-` before"),
        ("\t$(TM)", "\t@-$(TM)", "`-` before"),
        ("\t$(TM)", "\t-test -f x && exit 0; $(TM)", "`-` before"),
        ("FAIL,WARN", "FAIL,WARN; echo done", "may be lost"),
        ("FAIL,WARN", "FAIL,WARN || true", "drops"),
        ("FAIL,WARN", "FAIL,WARN | tee log", "a pipe drops"),
        (".PHONY:", ".IGNORE:\n.PHONY:", ".IGNORE"),
        (".PHONY:", ".IGNORE: load-test\n.PHONY:", ".IGNORE"),
        (".PHONY:", "MAKEFLAGS += -i\n.PHONY:", "MAKEFLAGS"),
        (".PHONY:", "MAKEFLAGS += -sn\n.PHONY:", "MAKEFLAGS"),
        (".PHONY:", "MAKEFLAGS += --dry-run\n.PHONY:", "MAKEFLAGS"),
        (".PHONY:", "MAKEFLAGS += -Otarget -Iinclude -sr --no-print-directory\n.PHONY:", "1 gate"),
        ("TM ?= tm", "TM ?= true", "nothing here runs a gate"),
    ],
)
def test_edit_of_the_written_makefile_is_seen(edited, old, new, said):
    assert said in edited("make", "Makefile", (old, new))


@pytest.mark.parametrize("old", ["TM ?= tm\n"])
@pytest.mark.parametrize("new", ["TM := .venv/bin/tm\n", "TM = python3 -m tm_cli # ours\n"])
def test_tm_of_a_makefile_may_be_elsewhere(edited, old, new):
    assert "problem" not in edited("make", "Makefile", (old, new))


@pytest.mark.parametrize(
    "text",
    [
        workflow("GATE"),
        workflow("timeout 60 GATE"),
        workflow("nohup GATE"),
        workflow("uv run GATE"),
        workflow("cd . && GATE"),
        workflow("echo go\n          GATE\n          echo done"),
        workflow("GATE | tee log", step="        shell: bash\n"),
        workflow("GATE", on="on: [push, pull_request]\n"),
        workflow("GATE", step="        if: ${{ !cancelled() }}\n"),
    ],
)
def test_workflow_by_hand_that_fails_with_its_gate_is_fine(check, text):
    assert check(GITHUB, text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (workflow("GATE || echo failed"), "drops"),
        (workflow("GATE | tee log"), "a pipe drops"),
        (workflow("GATE\n          echo done", step="        shell: bash {0}\n"), "may be lost"),
        (workflow("GATE\n          echo x", step="        shell: pwsh\n"), "not checked"),
        (workflow("docker run image GATE"), "not checked"),
        (workflow("GATE", job="    continue-on-error: true\n"), "continue-on-error"),
        (
            workflow(
                "GATE", before="      - {uses: actions/upload-artifact@v4, with: {path: .tm}}\n"
            ),
            "with the key in it",
        ),
    ],
)
def test_workflow_by_hand_that_passes_on_fail_is_seen(check, text, said):
    assert said in check(GITHUB, text)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("", ""),
        (", fail-on: none", ""),
        (", fail-on: '${{ vars.X }}'", ""),
        (", assert: 'p95<400ms'", ""),
        (", fail-on: 'FAIL,WRAN'", "invalid verdict 'WRAN'"),
        (", fail-on: WARN", "lets FAIL pass"),
        (", assert: 'p95<<4'", "invalid check"),
        (", wait-timeout: 5x", "invalid duration"),
        (", fail-on: , warn-on: ", ""),
        (", fail-fast: true, cache: false, comment: '${{ x }}'", ""),
        (", args: '--confirm=2'", ""),
    ],
)
def test_inputs_of_the_action_are_read_as_tm_does(check, inputs, said):
    uses = "on: push\njobs: {gate: {steps: [{uses: OWNER/tm@v1, with: {profile: checkout.yaml"
    found = check(GITHUB, f"{uses}, base-url: local{inputs}}}}}]}}}}\n")
    unpublished = "replace OWNER in `uses: OWNER/tm` by the account that publishes the action"
    found = found.replace(f"warning: {GITHUB}: gate: {unpublished}", "").strip()
    assert (said in found) if said else (found == "")


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("[main, master]", "problem: no push starts it: branches [main, master] name none"),
        ("[develop]", ""),
        ("['*']", ""),
        ("['**']", ""),
        ("['dev*']", ""),
        ("['feature/**']", "warning: no push to the default branch develop"),
        ("['feature/*']", "warning: no push to the default branch develop"),
        ("['feature/?']", "problem: no push starts it"),
        ("['**', '!develop']", "warning: no push to the default branch develop"),
        ("['!develop', 'de[v]elop']", ""),
        ("['?x', '[z-a]']", ""),
        ("develop", ""),
        ("main", "problem: no push starts it"),
        ("[1.0]", ""),
    ],
)
def test_filter_that_matches_no_branch_is_seen(tm, edited, filters, said):
    make_repository(tm.cwd)
    found = edited("github", GITHUB, ("[develop]", filters))
    assert (said in found) if said else ("push" not in found)


@pytest.mark.parametrize(
    "checkout",
    [
        {"HEAD": "0" * 40, "refs/remotes/pull/7/merge": "0" * 40},
        {"HEAD": "ref: refs/heads/feature", "refs/remotes/origin/feature": "0" * 40},
        {"HEAD": "ref: refs/heads/main", "refs/heads/main": "0" * 40, "shallow": "0" * 40},
    ],
)
def test_checkout_of_a_ci_job_says_nothing_about_other_branches(tm, edited, checkout):
    for name, text in checkout.items():
        (tm.cwd / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tm.cwd / ".git" / name).write_text(text, encoding="utf-8")
    assert "push" not in edited("github", GITHUB, ("[main, master]", "[release]"))


def make_repository(place):
    """As after `git clone` of a repository whose default branch is develop, on a branch."""
    files = {
        "HEAD": "ref: refs/heads/feature/one\n",
        "refs/heads/feature/one": f"{'0' * 40}\n",
        "refs/remotes/origin/HEAD": "ref: refs/remotes/origin/develop\n",
        "packed-refs": f"# pack-refs with: peeled\n{'1' * 40} refs/remotes/origin/develop\n",
    }
    for name, text in files.items():
        (place / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / ".git" / name).write_text(text, encoding="utf-8")


MAKEFILE = "release: load-test\nload-test:\n\tGATE\nclean:\n\trm -f x\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("make load-test", ""),
        ("make -s release", ""),
        ("make load-test || true", "drops"),
        ("make -i load-test", "drops"),
        ("make -n load-test", "drops"),
        ("make load-test; echo done", ""),
        ("make load-test &", "background"),
    ],
)
def test_target_of_make_with_a_gate_is_one(tm, check, script, said):
    (tm.cwd / "Makefile").write_text(MAKEFILE.replace("GATE", GATE), encoding="utf-8")
    found = check(GITHUB, workflow(script))
    assert (said in found) if said else (found == "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate: {script: [GATE]}\n", ""),
        (".g: {script: [GATE]}\ngate: {extends: .g}\n", ""),
        (".g: {script: [GATE || true]}\ngate: {extends: [.g]}\n", "drops"),
        (".g: {allow_failure: true}\ngate: {extends: .g, script: [GATE]}\n", "allow_failure"),
        ("default: {before_script: [set +e]}\ngate: {script: [GATE, echo done]}\n", "may be lost"),
        ("gate: {script: [GATE, echo done]}\n", ""),
        ("gate: {script: ['GATE || exit 0']}\n", "drops"),
        ("gate: {script: [GATE], rules: [{when: never}]}\n", "never runs"),
        ("gate: {script: [GATE], rules: [{when: never}, {if: $X}]}\n", "never runs"),
        ("gate: {script: [GATE], rules: [{if: $X}, {when: never}]}\n", ""),
        ("gate: {script: [GATE], rules: [{if: $X, when: never}, {when: always}]}\n", ""),
        ("gate: {script: [GATE], rules: [{when: always}, {when: never}]}\n", ""),
        ("gate: {script: [GATE], retry: 2}\n", "one PASS is enough"),
        ("gate: {script: [GATE], retry: {max: 1, when: script_failure}}\n", "one PASS is enough"),
        ("gate: {script: [GATE], retry: {max: 2, when: runner_system_failure}}\n", ""),
        ("gate: {script: [GATE], retry: 0}\n", ""),
        ("gate: {script: &a [*a, GATE]}\n", "cannot be read"),
    ],
)
def test_gitlab_job_by_hand_is_judged_as_gitlab_runs_it(check, text, said):
    found = check(GITLAB, "variables: {TM_BASE_URL: local}\n" + text)
    assert (said in found) if said else (found == "")


@pytest.mark.parametrize(
    ("include", "fine"),
    [
        ("include: [{local: .gitlab/load-test.yml}]", True),
        ("include: /.gitlab/load-test.yml", True),
        ("include: [{local: '/.gitlab/*.yml'}]", True),
        ("include: [{local: .gitlab/load-tests.yml}]", False),
        ("include: [{file: .gitlab/load-test.yml, project: a/b}]", False),
        ("# include: [{local: .gitlab/load-test.yml}]", False),
    ],
)
def test_include_that_is_wrong_is_answered_with_the_right_one(tm, include, fine):
    (tm.cwd / GITLAB).write_text(f"stages: [test]\n{include}\n", encoding="utf-8")
    tm("init", *FLAGS, "--ci", "gitlab")
    said = tm("init", "--check").stdout
    assert ("add: include: [{local: .gitlab/load-test.yml}]" in said) != fine


def test_server_elsewhere_cannot_load_this_machine(tm):
    url = ("--url", "http://127.0.0.1:8080/checkout", "--rate", "20", "--duration", "1m")
    refused = tm("init", *url, "--ci", "github", "--server", "https://tm.example")
    assert refused.exit_code == 64
    assert "would load its own" in refused.stderr
    assert not list(tm.cwd.iterdir())
    assert tm("init", *url, "--ci", "none", "--server", "http://127.0.0.1:8090").exit_code == 0
    assert tm("init", *url, "--ci", "github", "--force").exit_code == 0
    path = tm.cwd / GITHUB
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("base-url: local", "base-url: https://tm.example"), encoding="utf-8"
    )
    assert "would load its own" in tm("init", "--check").stdout
