"""Calls of a script in the engine, in this process: what comes back, and what cannot be done."""

import json
import subprocess
import sys

import psutil
import pytest

from tests.unit.server.running_server import eventually

pytest.importorskip("quickjs_rs")

from tm_cli.server.sandbox import script as sandbox
from tm_cli.server.sandbox.script import Script, ScriptError

COUNTING = """
let calls = 0;
function process(status, mime, body) {
  calls += 1;
  switch (body) {
    case "value": return [{url: "/next/" + status, mime}];
    case "nothing": return;
    case "throw": throw new Error("no");
    case "circle": { const o = {}; o.o = o; return o; }
    case "function": return () => 1;
    case "promise": return Promise.resolve(1);
    case "long": return "x".repeat(70000);
    case "loop": while (true) try { while (true); } catch (error) {}
    case "regex": return /(a+)+$/.test("a".repeat(40) + "b");
    case "deep": return (function again() { return again() + 1; })();
    case "memory": { const all = []; while (true) all.push(new Array(1000).fill(0)); }
    case "nested": { let all = []; for (let i = 0; i < 900; i += 1) all = [all]; return all; }
    case "surrogate": return "\\ud800";
    case "calls": return calls;
    case "log": console.log("a", {b: 1}, new Error("c"), undefined); return;
  }
}
"""


@pytest.fixture(scope="module")
def script():
    return Script(COUNTING, "process", seconds=0.3)


def called(script, *bodies):
    calls = [({}, (200, "text/plain", body)) for body in bodies]
    results = []
    while len(results) < len(calls):
        results += script.run(calls[len(results) :])
    return results


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("value", (True, [{"url": "/next/200", "mime": "text/plain"}])),
        ("nothing", (True, None)),
        ("throw", (False, "Error: no")),
        ("circle", (False, "TypeError: circular reference")),
        ("function", (False, "TypeError: it returned a value that JSON does not have")),
        ("promise", (False, "TypeError: it must not be async")),
        ("long", (False, "RangeError: it returned more than 16 KiB")),
        ("nested", (False, "it returned more than 64 lists and objects in one another")),
        ("loop", (False, "it took longer than 0.3 s")),
        ("regex", (False, "it took longer than 0.3 s")),
        ("surrogate", (True, "\ud800")),
    ],
)
def test_a_call_has_a_value_or_a_reason(script, body, result):
    assert called(script, body) == [result]


def test_calls_share_the_variables_of_the_script_and_one_that_fails_ends_no_other(script):
    before, _, _, after = called(script, "calls", "throw", "loop", "calls")
    assert before[0]
    assert after == (True, before[1] + 3)


@pytest.mark.parametrize("body", ["deep", "memory"])
def test_a_call_that_breaks_the_engine_fails_alone(script, body):
    results = called(script, "value", body, "value")
    assert [is_value for is_value, _ in results] == [True, False, True]


def test_the_console_is_kept_in_lines_of_a_limited_number(script):
    called(script, *["log"] * 30)
    lines = script.take_console()
    assert lines == ['a {"b":1} Error: c undefined'] * len(lines)
    assert len(lines) <= 20
    assert script.take_console() == []


def test_slow_calls_leave_the_rest_of_a_series_for_later(script, monkeypatch):
    monkeypatch.setattr(sandbox, "SERIES", 0.0)
    assert script.run([({}, (200, "", "value"))] * 3) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("function process( {", "SyntaxError"),
        ("const other = 1", "it has no function process"),
        ("const process = 1", "it has no function process"),
        ("throw new Error('at once')", "at once"),
        ("while (true);", "it took longer than 0.1 s"),
    ],
)
def test_a_script_that_cannot_be_called_is_refused_with_the_reason(source, reason):
    with pytest.raises(ScriptError, match=reason):
        Script(source, "process", seconds=0.1)


def test_macros_have_the_values_of_the_call_or_of_the_run_and_are_never_code():
    source = "function process() { return ['$$user$$', $$n$$ + 1, $$list$$.length, `$$user$$`] }"
    constants = {"user": "of the run", "n": 1, "list": [1, 2]}
    script = Script(source, "process", macros=["user"], constants=constants, seconds=1)
    hostile = "'] + throw(1) // ${1} `"
    results = script.run([({}, ()), ({"user": hostile, "n": "41"}, ())])
    assert results == [
        (True, ["of the run", 2, 2, "of the run"]),
        (True, [hostile, 42, 2, hostile]),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "Array.prototype.push = () => 0",
        "globalThis.__tm = () => '{}'",
        "globalThis.__tm = () => '[1]'",
        "globalThis.__tm = () => ({})",
        """globalThis.__tm = () => '{"results": [], "console": []}'""",
        """globalThis.__tm = () => '{"results": [[true, 1], [true, 2]], "console": []}'""",
        """globalThis.__tm = () => '{"results": [[true, 1e999]], "console": []}'""",
        """globalThis.__tm = () => `{"results": [[true, "${"x".repeat(9e5)}"]], "console": []}`""",
    ],
)
def test_a_script_that_changes_what_calls_it_fails(change):
    script = Script(f"{change}; function process() {{}}", "process", seconds=1)
    assert script.run([({}, ())]) == [(False, sandbox._CHANGED)]


def test_no_message_and_no_line_of_the_console_is_long_whatever_the_script_changes():
    source = """
    String.prototype.slice = function () { return this };
    function process(last) {
      for (let i = 0; i < 30; i += 1) console.log("x".repeat(600));
      if (last) globalThis.__tm = () => { throw new Error("x".repeat(9e5)) };
      throw new Error("x".repeat(9e3));
    }"""
    script = Script(source, "process", seconds=1)
    results = script.run([({}, (0,))]) + script.run([({}, (1,))]) + script.run([({}, (2,))])
    assert [len(message) for _, message in results] == [1000, 1000, 1000]
    assert [len(line) for line in script.take_console()] == [500] * 20


def test_macros_may_have_the_names_of_what_objects_have():
    names = {"toString": "a", "constructor": 1}
    source = "function process() { return ['$$toString$$', $$constructor$$] }"
    script = Script(source, "process", constants=names, seconds=1)
    assert script.run([({}, ())]) == [(True, ["a", 1])]


def test_a_script_reaches_nothing_of_this_machine():
    source = "function process() { return Object.getOwnPropertyNames(globalThis) }"
    [(_, names)] = Script(source, "process", seconds=1).run([({}, ())])
    machine = {"require", "std", "os", "fetch", "XMLHttpRequest", "WebSocket", "WebAssembly"}
    assert not machine & set(names)
    imported = "function process() { return eval('import(\"fs\")').constructor.name }"
    assert Script(imported, "process", seconds=1).run([({}, ())]) == [(True, "Promise")]


def test_fetch_gives_answers_and_throws_errors():
    def fetch(request):
        assert request == ('{"url":"http://a/b","method":"POST","headers":{"A":"b"},"body":"{}"}')
        return '{"status": 201, "headers": {"x-a": "1"}, "body": "{\\"token\\": \\"abc\\"}"}'

    source = """
    async function init() {
      const answer = await fetch("http://a/b", {method: "POST", headers: {A: "b"}, body: "{}"});
      const {token} = await answer.json();
      return [answer.status, answer.ok, answer.headers.get("X-A"), token, typeof __tm_fetch];
    }"""
    script = Script(source, "init", seconds=1, fetch=fetch)
    assert script.run([({}, ())]) == [(True, [201, True, "1", "abc", "undefined"])]
    failing = Script(
        "function init() { fetch('x') }", "init", seconds=1, fetch=lambda _: '{"error": "no"}'
    )
    assert failing.run([({}, ())]) == [(False, "Error: no")]


_PARENT = """
import json, os, signal, subprocess, sys
sandbox = [sys.executable, "-m", "tm_cli.server.sandbox"]
process = subprocess.Popen(sandbox, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for line in json.loads(sys.argv[1]):
    process.stdin.write(json.dumps(line).encode() + b"\\n")
    process.stdin.flush()
process.stdout.readline()
os.write(1, b"%d" % process.pid)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="a job of Windows ends its processes")
def test_a_call_that_does_not_end_ends_with_the_process_that_has_asked_for_it():
    source = "function process() { Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1) }"
    scripts = [["responseScript", "process", source]]
    opening = {"scripts": scripts, "macros": [], "constants": {}, "seconds": 1, "fetch": False}
    lines = json.dumps([opening, {"calls": [[{}, []]]}])
    parent = [sys.executable, "-c", _PARENT, lines]
    with subprocess.Popen(parent, stdout=subprocess.PIPE) as process:
        sandbox_id = int(process.stdout.read())
    eventually(lambda: has_ended(sandbox_id))


def has_ended(process_id):
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
