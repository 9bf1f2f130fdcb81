"""Which scripts keep the exit code of their gate: what the check says, held against real shells."""

import os
import re
import shutil
import subprocess
from random import Random

import pytest

from tm_cli.cli.root import root_command
from tm_cli.setup.check.gate_commands import find_calls
from tm_cli.setup.check.model import Script, ShellOptions
from tm_cli.setup.pipelines import waiting_block
from tm_cli.values.check_result import Status

pytestmark = pytest.mark.process

GATE = "tm runs start a --wait --fail-on FAIL"

DEFAULT = ShellOptions(stops=True)
"""`bash -e`, the default of GitHub."""
BASH = ShellOptions(stops=True, pipefail=True)
"""`shell: bash` of GitHub, and GitLab."""
MAKE = ShellOptions()

TREE = root_command()

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
    (MAKE, "echo 1 | G"),
    (DEFAULT, "G || { echo bad; exit 1; }"),
    (DEFAULT, "set -o pipefail\nG |& tee log"),
    (DEFAULT, "cat <<-EOF\n\tx\n\tEOF\nG\necho done"),
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
    (DEFAULT, "tm benchmarks job wait b || true"),
    (DEFAULT, "tm benchmarks start b --exec x || true"),
    (DEFAULT, "G || { echo bad; exit 0; }"),
    (DEFAULT, "G || { echo bad; exit 1 & }"),
    (DEFAULT, "G <<EOF || true\nx\nEOF"),
    (DEFAULT, "G <<EOF &\nx\nEOF"),
    (BASH, "G |& cat && true\ntrue"),
    (MAKE, "true | exec G\ntrue"),
    (BASH, "! true | G"),
    (DEFAULT, "time { set +e; }\nG\ntrue"),
    (DEFAULT, "command set +e\nG\ntrue"),
    (DEFAULT, "shopt -uo errexit\nG\ntrue"),
    (DEFAULT, "off() { set +e; }\noff\nG\ntrue"),
    (DEFAULT, "leave() { exit 0; }\nleave\nG"),
    (DEFAULT, "tm() { true; }\nG"),
    (DEFAULT, ". ./settings.sh\nG\ntrue"),
    (DEFAULT, "eval 'set +e'\nG\ntrue"),
    (DEFAULT, "trap -- 'exit 0' EXIT\nG"),
    (DEFAULT, "trap 'exit 0' ERR\nG"),
    (DEFAULT, "command -v G"),
    (DEFAULT, "code=0; G || code=$?; ((code=0)); exit $code"),
    (DEFAULT, "code=0; G || code=$?; read code < /dev/null; exit $code"),
    (DEFAULT, "reset() { code=0; }\ncode=0; G || code=$?; reset; exit $code"),
    (DEFAULT, "set -n\nG"),
    (DEFAULT, "false || exec true\nG"),
    (MAKE, ": || exec 3>&1 | G"),
    (MAKE, "G &> log"),
    (MAKE, "G || exit 1 &> log"),
    (MAKE, "G || code=$? && true && exit 0\nexit $code"),
    (DEFAULT, "A=1 B=2\nset +e\nG\ntrue"),
]


def whole(script):
    return re.sub(r"\bG\b", GATE, script)


def calls_in(script, shell):
    return find_calls(Script(whole(script), shell), TREE)


@pytest.mark.parametrize(("shell", "script"), KEPT)
def test_gate_that_counts_has_no_remark(shell, script):
    [call] = calls_in(script, shell)
    assert (call.is_gate, call.remarks) == (True, ())


@pytest.mark.parametrize(("shell", "script"), DOUBTFUL)
def test_gate_that_may_not_count_has_a_remark(shell, script):
    gates = [call for call in calls_in(script, shell) if call.is_gate or call.is_mention]
    assert gates
    assert all(call.remarks for call in gates)


@pytest.mark.skipif(os.name == "nt" or shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("shell", "script"), KEPT)
def test_real_shell_ends_with_the_code_of_a_gate_that_counts(tmp_path, shell, script):
    code = code_of(script, shell, tmp_path)
    assert code in ({1} if "exit 1" in script and "G ||" in script else {5})


def code_of(script, shell, directory):
    """What the shell ends with where the gate ends with 5."""
    tm = directory / "tm"
    tm.write_text("#!/bin/sh\nexit 5\n", encoding="utf-8")
    tm.chmod(0o755)
    options = ["-e"] * shell.stops + ["-o", "pipefail"] * shell.pipefail
    program = "sh" if shell == MAKE else "bash"
    return subprocess.run(
        [program, *options, "-c", whole(script)], cwd=directory, check=False, timeout=20,
        env={"PATH": f"{directory}{os.pathsep}{os.environ['PATH']}", "X": "true"},
        stdin=subprocess.DEVNULL, capture_output=True,
    ).returncode  # fmt: skip


AROUND = [
    "true", "false", "set +e", "set -e", "set -o pipefail", "set +o pipefail", "exit 0", "exit 1",
    "exit", "exit $?", "code=0", "code=$?", "exit $code", "wait", "A=1 B=2", "export code=0",
    "cat <<EOF\nx\nEOF", "cat <<EOF | cat\nx\nEOF", "trap 'exit 0' EXIT", "trap 'echo x' EXIT",
    "f", "f() { exit 0; }", "f() { set +e; }", "f() { code=0; }", "unset code", "(( code=0 ))",
    "read code < /dev/null", "let code=0+0", "echo x > /dev/null", "> /dev/null", "exec 3>&1",
    "exec true", "eval 'set +e'", "printf -v code 0", "$X", "for code in 0; do :; done",
    "case x in x) exit 0;; esac", "if true; then set +e; fi", "set -eu -o pipefail", "return 0",
    "builtin set +e", "! true", "{ true; }", "( exit 0 )", "sleep 0 &", "echo ${code:=0}",
    "set -- a b", "time { set +e; }", "time exit 0", "# note", "[ 1 = 1 ]",
]  # fmt: skip
GATES = [
    "G", "G", "G", "G", "exec G", "time G", "! G", "(G)", "{ G; }", "A=1 G", "G > log", "nohup G",
    "$(G)", "code=$(G)", "if G; then :; fi", "G <<EOF\nx\nEOF", "G <<EOF || true\nx\nEOF",
    "G <<EOF | cat\nx\nEOF", "time ! G", "coproc G", "for i in 1; do G; done", "f() { G; }",
    "G || { echo bad; exit 1; }", "G || { exit 0; }", "G || (exit 1)", "G || code=$?",
    "G || exit 3", "G || exit $?", "G || exit 3 | cat", "G || f", "G |& cat",
    "G &> log", "G || exit 1 &> log",    "G | cat || exit 1", "true && G",
]  # fmt: skip
JOINTS = ["\n", "\n", "\n", "; ", " && ", " || ", " | ", " & "]


def made_up(random):
    """A script of one gate and some lines around it."""
    parts = [random.choice(AROUND) for _ in range(random.randint(0, 4))]
    parts.insert(random.randint(0, len(parts)), random.choice(GATES))
    text = parts[0]
    for part in parts[1:]:
        ends_line = text.endswith(("EOF", "# note"))
        text += ("\n" if ends_line else random.choice(JOINTS)) + part
    return text


@pytest.mark.skipif(os.name == "nt" or shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("seed", range(4))
def test_no_script_that_loses_the_code_is_said_to_keep_it(tmp_path, seed):
    random = Random(seed)
    counting = 0
    for _ in range(400):
        script, shell = made_up(random), random.choice([DEFAULT, BASH, MAKE])
        calls = calls_in(script, shell)
        assert any(call.is_gate or call.is_mention for call in calls), script
        if not any(call.remarks for call in calls):
            counting += 1
            assert code_of(script, shell, tmp_path) != 0, (shell, script)
    assert counting > 40


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
    assert not any(call.is_gate or call.remarks for call in calls_in(script, DEFAULT))


def test_words_of_a_warning_may_be_others():
    block = waiting_block(GATE, [3, 4]).replace("accepted with a warning", "let pass")
    [call] = calls_in(block, BASH)
    assert call.remarks == ()


@pytest.mark.parametrize("script", ["G\nWrite-Output done", "G || exit 1"])
def test_other_shells_are_not_judged(script):
    [call] = calls_in(script, ShellOptions(is_posix=False))
    [remark] = call.remarks
    assert (remark.status, "not checked" in remark.text) == (Status.SKIPPED, True)


def test_code_that_a_later_step_reads_is_not_checked():
    script = 'code=0\nG || code=$?\necho "code=$code" >> "$GITHUB_OUTPUT"'
    [remark] = calls_in(script, BASH)[0].remarks
    assert (remark.status, "later step" in remark.text) == (Status.SKIPPED, True)
