"""Which scripts keep the exit code of their gate: what the check says, held against real shells."""

import os
import re
import shutil
import subprocess

import pytest

from tm_cli.setup.check.exit_code_flow import Shell
from tm_cli.setup.check.gate_commands import find_calls
from tm_cli.setup.pipelines import waiting_block

pytestmark = pytest.mark.process

GATE = "tm runs start a --wait --fail-on FAIL"

DEFAULT = Shell(stops=True)
"""`bash -e`, the default of GitHub."""
BASH = Shell(stops=True, pipefail=True)
"""`shell: bash` of GitHub, and GitLab."""
MAKE = Shell()

KEPT = [
    (DEFAULT, "G"),
    (DEFAULT, "echo one\nG\necho two"),
    (DEFAULT, "G # all is well || true"),
    (DEFAULT, "cd .; G; echo done"),
    (DEFAULT, "exec G"),
    (DEFAULT, "A=1 B='2 3' G"),
    (DEFAULT, "time G"),
    (DEFAULT, "timeout 60 G"),
    (DEFAULT, "timeout -k 5 60 G\necho done"),
    (DEFAULT, "nohup G"),
    (DEFAULT, "env A=1 G"),
    (DEFAULT, "G || exit 1"),
    (DEFAULT, "G || exit $?\necho done"),
    (DEFAULT, "G || exit"),
    (DEFAULT, "code=0; G || code=$?; echo $code; exit $code"),
    (DEFAULT, 'code=0\nG || code=$?\necho "$code"\nexit "${code}"'),
    (DEFAULT, "cd . && G"),
    (DEFAULT, "G && echo fine"),
    (DEFAULT, "G \\\n  --assert 'p95<400ms'"),
    (DEFAULT, "sleep 0 &\nG"),
    (DEFAULT, "sleep 0 & G"),
    (DEFAULT, "if true; then echo yes; fi\nG"),
    (DEFAULT, "case x in\n  x) echo x ;;\nesac\nG"),
    (DEFAULT, "cat <<EOF\ntm it is\nEOF\nG"),
    (DEFAULT, 'echo "it\'s"; G'),
    (DEFAULT, "set +e\nset -e\nG\necho done"),
    (DEFAULT, "set +e; G"),
    (DEFAULT, "set -o pipefail; G | cat"),
    (DEFAULT, "trap 'echo bye' EXIT\nG"),
    (DEFAULT, "G > log 2>&1"),
    (DEFAULT, "[ -d . ] || exit 1\nG"),
    (BASH, "G | tee log"),
    (BASH, "G 2>&1 | tee log | cat\necho done"),
    (BASH, waiting_block(GATE, [3, 4])),
    (BASH, waiting_block(GATE, [])),
    (MAKE, "G"),
    (MAKE, "echo one; G"),
    (MAKE, "G; exit $?"),
    (MAKE, "set -eu; G; echo done"),
    (MAKE, "G; code=$?; echo $code; exit $code"),
]

DOUBTFUL = [
    (DEFAULT, "G || true"),
    (DEFAULT, "G || :"),
    (DEFAULT, "G || echo failed"),
    (DEFAULT, "G || exit 0"),
    (DEFAULT, "G || exit 256"),
    (DEFAULT, "G && echo fine || echo bad"),
    (DEFAULT, "G && echo fine\necho done"),
    (DEFAULT, "false && G\necho done"),
    (DEFAULT, "true || G"),
    (DEFAULT, "set +e; G; echo done"),
    (DEFAULT, "set +e\nG\necho done"),
    (DEFAULT, "set +o errexit\nG\necho done"),
    (DEFAULT, "if G; then echo fine; fi"),
    (DEFAULT, "if ! G; then echo bad; fi"),
    (DEFAULT, "while G; do break; done"),
    (DEFAULT, "! G"),
    (DEFAULT, "G &"),
    (DEFAULT, "G & wait"),
    (DEFAULT, "G &\nwait"),
    (DEFAULT, "export R=$(G)"),
    (DEFAULT, 'export R="$(G)"'),
    (DEFAULT, "echo `G`"),
    (DEFAULT, 'echo "$(G)"'),
    (DEFAULT, "(G) || true"),
    (DEFAULT, "{ G; } || true"),
    (DEFAULT, "G || exit 1 &"),
    (DEFAULT, "G && !"),
    (DEFAULT, "eval exit 0\nG"),
    (DEFAULT, "cat <<EOF\nG"),
    (DEFAULT, "cat <<EOF\n EOF\nG\nEOF"),
    (DEFAULT, "cat <<A <<B\nA\nG\nB"),
    (DEFAULT, "set +e; false && set -e\nG\necho done"),
    (MAKE, "G; exit $? &"),
    (MAKE, "G; > log"),
    (DEFAULT, "gate() { G; }; gate || true"),
    (DEFAULT, "code=0; G || code=$?; echo $code"),
    (DEFAULT, "code=0; G || code=$?; code=0; exit $code"),
    (DEFAULT, "code=0; G || code=$?; [ $code = 2 ] || exit $code"),
    (DEFAULT, "code=0; G || code=$?; if false; then exit $code; fi"),
    (DEFAULT, "code=0; G || code=$?; exit 0"),
    (DEFAULT, "code=0; G || other=$?; exit $code"),
    (DEFAULT, "exit 0\nG"),
    (DEFAULT, "exec true; G"),
    (DEFAULT, "true && exit 0\nG"),
    (DEFAULT, "G | tee log"),
    (DEFAULT, "set -o pipefail; set +o pipefail; G | tee log"),
    (DEFAULT, "# set -o pipefail\nG | tee log"),
    (DEFAULT, "trap 'exit 0' EXIT\nG"),
    (DEFAULT, "leave() { exit 0; }\ntrap leave EXIT\nG"),
    (DEFAULT, "cat <<EOF\nG\nEOF"),
    (DEFAULT, "bash -c 'G || true'"),
    (DEFAULT, "bash <<'EOF'\nG || true\nEOF"),
    (DEFAULT, "eval 'G' || true"),
    (DEFAULT, "xargs -r G < /dev/null"),
    (DEFAULT, "echo 'G"),
    (BASH, waiting_block(GATE, [3, 4]).replace("|| code=$?", "|| true")),
    (BASH, waiting_block(GATE, [3, 4]).replace('exit "$code"', "echo bad")),
    (BASH, waiting_block(GATE, [3, 4]).replace('exit "$code"', "exit 0")),
    (BASH, waiting_block(GATE, [3, 4]).replace("3)", "2|3)")),
    (BASH, waiting_block(GATE, [3, 4]).replace('wait "$!" || code=$?\n', "")),
    (BASH, waiting_block(f"{GATE} || true", [3, 4])),
    (BASH, waiting_block(GATE, [3, 4]) + "exit 0\n"),
    (BASH, waiting_block(GATE, []).replace('exit "$code"', "")),
    (MAKE, "G; echo done"),
    (MAKE, "G | tee log"),
    (MAKE, "G; code=$?; echo $code"),
]


def whole(script):
    return re.sub(r"\bG\b", GATE, script)


@pytest.mark.parametrize(("shell", "script"), KEPT)
def test_gate_that_counts_has_no_remark(shell, script):
    calls, doubts = find_calls(whole(script), shell)
    assert [call.is_gate for call in calls] == [True]
    assert (calls[0].lost, doubts) == (None, [])


@pytest.mark.parametrize(("shell", "script"), DOUBTFUL)
def test_gate_that_may_not_count_has_a_remark(shell, script):
    calls, doubts = find_calls(whole(script), shell)
    remarks = [*doubts, *(call.lost for call in calls if call.is_gate)]
    assert remarks
    assert None not in remarks


@pytest.mark.skipif(os.name == "nt" or shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("shell", "script"), KEPT)
def test_real_shell_ends_with_the_code_of_a_gate_that_counts(tmp_path, shell, script):
    tm = tmp_path / "tm"
    tm.write_text("#!/bin/sh\nexit 5\n", encoding="utf-8")
    tm.chmod(0o755)
    options = ["-e"] * shell.stops + ["-o", "pipefail"] * shell.pipefail
    ended = subprocess.run(
        ["bash", *options, "-c", whole(script)], cwd=tmp_path, check=False, timeout=20,
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}, capture_output=True,
    )  # fmt: skip
    assert ended.returncode in ({1} if "exit 1" in script and "G ||" in script else {5})


@pytest.mark.parametrize(
    "script",
    [
        "echo 'then: G'",
        "tm runs start a --wait --help || true",
        "tm version || true",
        "python -m pip install tm-cli || exit 1",
    ],
)
def test_what_is_no_gate_has_no_remark(script):
    calls, doubts = find_calls(whole(script), DEFAULT)
    assert doubts == []
    assert not any(call.is_gate for call in calls)


def test_words_of_a_warning_may_be_others():
    block = waiting_block(GATE, [3, 4]).replace("accepted with a warning", "told")
    [call], doubts = find_calls(block, BASH)
    assert (call.lost, doubts) == (None, [])


@pytest.mark.parametrize("script", ["G\nWrite-Output done", "G || exit 1"])
def test_other_shells_are_not_judged(script):
    [call], _doubts = find_calls(whole(script), Shell(is_posix=False))
    assert "cannot tell" in call.lost.message


def test_code_that_a_later_step_reads_is_to_be_looked_at():
    script = whole('code=0\nG || code=$?\necho "code=$code" >> "$GITHUB_OUTPUT"')
    [call], _doubts = find_calls(script, BASH)
    assert (call.lost.status, "later step" in call.lost.message) == ("to do", True)
