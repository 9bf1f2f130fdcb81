"""Odd profile documents: the check, an import and a start say the same, before any server."""

from __future__ import annotations

import json

import pytest

from tm_cli.exit_codes import ExitCode

HEAD = "name: shop\nduration: 60s\nendpointUrl: https://shop.example/\n"
PLAIN = HEAD + "points: [[0, 5], [60, 5]]\n"
LOCAL = {"TM_BASE_URL": "local"}

REFUSED = {
    "name is a number": (PLAIN.replace("shop\n", "42\n"), "line 1: name is 42"),
    "name is a list": (PLAIN.replace("shop\n", "[a]\n"), "line 1: name is a list"),
    "name is blank": (PLAIN.replace("shop\n", "' '\n"), "line 1: name is blank"),
    "no number in points": (HEAD + "points:\n- [0, 1]\n- [60, .nan]\n", "line 6: points[1][1]"),
    "text in points": (HEAD + "points:\n- [0, 1]\n- {x: 60, y: a}\n", "line 6: points[1].y is 'a'"),
    "infinite rate": (HEAD + "points: [[0, 1], [60, .inf]]\n", "line 4: points[1][1] is .inf"),
    "negative rate": (HEAD + "points: [[0, 1], [60, -1]]\n", "line 4: points[1][1] is -1"),
    "true in points": (HEAD + "points: [[0, 1], [60, true]]\n", "line 4: points[1][1] is true"),
    "one point": (HEAD + "points: [[0, 1]]\n", "line 4: points has 1 points"),
    "point too late": (HEAD + "points: [[0, 1], [61, 1]]\n", "beyond the duration"),
    "binary": (PLAIN + "requestPayload: {a: !!binary aGk=}\n", "line 5: requestPayload.a has the"),
    "set": (PLAIN + "requestPayload: !!set {a}\n", "tag !!set"),
    "cycle": (PLAIN + "requestPayload: &a\n  x: *a\n", "line 6: requestPayload.x contains itself"),
    "nan in the body": (PLAIN + "requestPayload:\n  ratio: .nan\n", "line 6: requestPayload.ratio"),
    "number as key": (PLAIN + "requestPayload: {1: a}\n", "line 5: the key 1 in requestPayload"),
    "list as header": (PLAIN + "requestHeaders:\n  A: [b]\n", "line 6: requestHeaders.A is a list"),
    "mapping as header": (PLAIN + "requestHeaders: {A: {b: c}}\n", "requestHeaders.A is a mapping"),
    "header name": (PLAIN + "requestHeaders: {'a b': c}\n", "cannot be the name of a header"),
    "header with a line break": (PLAIN + 'requestHeaders: {A: "b\\nc"}\n', "holds a line break"),
    "headers are a number": (PLAIN + "requestHeaders: 5\n", "line 5: requestHeaders is 5"),
    "deep": (PLAIN + f"requestPayload: {'[' * 300}{']' * 300}\n", "nested too deeply"),
    "very deep": (PLAIN + f"requestPayload: {'[' * 5000}\n", "nested too deeply"),
    "long number": (PLAIN + f"requestPayload: [{'9' * 5000}]\n", "line 5: requestPayload[0] is a"),
    "large duration": (PLAIN.replace("60s", "9" * 400), "too large"),
    "repeated key": (PLAIN + "name: b\n", "line 5: duplicate key 'name'"),
    "clock as duration": (PLAIN.replace("60s", "1:00"), "line 2: invalid duration '1:00'"),
    "short": (PLAIN.replace("60s", "5"), "line 2: duration is 5"),
    "hexadecimal words": (PLAIN.replace("60s", "0b11"), "line 2: invalid duration '0b11'"),
    "date as duration": (PLAIN.replace("60s", "2026-01-01"), "line 2: invalid duration"),
    "loop": (PLAIN + "loop: yes\n", "line 5: loop is 'yes'; expected true or false"),
    "method": (PLAIN + "httpMethod: TRACE\n", "line 5: httpMethod is 'TRACE'"),
    "no scheme": (PLAIN.replace("https://", ""), "line 3: endpointUrl is 'shop.example/'"),
    "rate": (HEAD + "rate: 50\npoints: [[0, 1], [60, 1]]", "unknown key 'rate'; the load is a"),
    "merged text": (PLAIN + "<<: shop\n", "<< in the document takes a mapping"),
    "merged number": (PLAIN + "<<: .inf\n", "<< in the document takes a mapping"),
    "merged key": (PLAIN + "<<: {rate: 5}\n", "line 5: unknown key 'rate'"),
    "merged value": (PLAIN + "<<: {loop: .nan}\n", "line 5: loop is .nan"),
    "two names": (PLAIN + "targetUrl: http://x/\n", "line 5: targetUrl and endpointUrl are two"),
    "mapping as key": (PLAIN + "x-a: {a: [{{x}: y}, .nan]}\n", "line 5: a key in x-a.a[0] is not"),
    "value behind a mapping as key": (PLAIN + "x-a: [.nan, {{x}: y}]\n", "line 5: x-a[0] is .nan"),
    "two documents": (PLAIN + "---\n" + PLAIN, "line 5: invalid YAML"),
    "control character": (PLAIN + "# \x01\n", "line 5: invalid YAML: a control character"),
    "laughs": (
        PLAIN
        + "requestPayload:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n"
            for n in range(1, 9)
        ),
        "more than 100000 values",
    ),
    "no text": (PLAIN.encode().replace(b"shop", b"\xe9"), "is not UTF-8 text, line 1"),
    "format": (PLAIN + "_format: other\n", "line 5: _format is 'other'; expected trafficmorph"),
    "recipients": (PLAIN + "autoAlertRecipients: a@b\n", "autoAlertRecipients is 'a@b'"),
    "limit": (PLAIN + "gate: {p95: {warn: .nan}}\n", "line 5: gate.p95.warn is .nan"),
}  # fmt: skip

READ = {
    "merged": (
        PLAIN + "requestPayload: {a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}}\n",
        {"requestPayload": '{"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}'},
    ),
    "merged from a key of the user's own": (
        "x-usual: &usual {duration: 5m, httpMethod: PUT}\n<<: *usual\n" + PLAIN,
        {"duration": 60, "httpMethod": "PUT"},
    ),
    "dates and words": (
        PLAIN + "requestPayload: {d: 2026-01-01, n: NO, t: 12:30, e: =, x: 1e3, f: 1.10}\n",
        {
            "requestPayload": '{"d": "2026-01-01", "n": "NO", "t": "12:30", "e": "=", '
            '"x": 1000.0, "f": 1.1}'
        },
    ),
    "name is a date": (PLAIN.replace("shop\n", "2026-01-01\n"), {"name": "2026-01-01"}),
    "numbers of YAML 1.2": (
        HEAD + "points: [[0, 2e1], [60, 020]]\n",
        {"points": [{"x": 0, "y": 20.0}, {"x": 60, "y": 20}]},
    ),
    "headers": (
        PLAIN + "requestHeaders: {X-Pin: 0123, A: NO, B: 12:30, C: 1.10, D: , E: 1e3, F: 'x'}\n",
        {
            "requestHeaders": '[{"name": "X-Pin", "value": "0123"}, {"name": "A", "value": "NO"}, '
            '{"name": "B", "value": "12:30"}, {"name": "C", "value": "1.10"}, '
            '{"name": "D", "value": ""}, {"name": "E", "value": "1e3"}, '
            '{"name": "F", "value": "x"}]'
        },
    ),
    "body that looks like a number": (PLAIN + "requestPayload: 0123\n", {"requestPayload": "0123"}),
    "byte order mark": ("\ufeff" + PLAIN, {"name": "shop"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_check_import_and_start_refuse_the_same(tm, name):
    content, words = REFUSED[name]
    data = content if isinstance(content, bytes) else content.encode()
    (tm.cwd / "shop.yaml").write_bytes(data)
    checked = tm("init", "--check", "--json").json["data"]["checks"]
    [of_document] = [item for item in checked if item["check"] == "shop.yaml"]
    assert (of_document["status"], words in of_document["text"]) == ("problem", True)
    said = set()
    for argv in (("profiles", "import"), ("runs", "start"), ("runs", "start", "--wait")):
        result = tm(*argv, "shop.yaml", environ=LOCAL)  # the fixture fails when a server starts
        assert result.exit_code == ExitCode.CONFIGURATION
        said.add(result.stderr)
    assert len(said) == 1
    assert words in said.pop()


@pytest.mark.parametrize("name", READ)
def test_check_accepts_and_an_import_sends_what_the_file_says(tm, gate, server, name):
    text, sent = READ[name]
    (tm.cwd / "shop.yaml").write_text(text, encoding="utf-8")
    checked = tm("init", "--check", "--json").json["data"]["checks"]
    assert [item["status"] for item in checked if item["check"] == "shop.yaml"] == ["ok"]
    server.answer("POST", "/profiles/import", {"id": 1, "name": "shop", "warnings": []}, code=201)
    assert gate("profiles", "import", "shop.yaml").exit_code == ExitCode.OK
    body = json.loads(server.requests[-1][0].get_data())
    assert {key: body[key] for key in sent} == sent


SETTINGS = {
    "unknown name": (b"fail_onn = 'FAIL'\n", "line 1 has an unknown setting 'fail_onn'"),
    "unknown verdict": (b"\nfail_on = 'FIAL'\n", "line 2: invalid verdict 'FIAL'"),
    "time of a wait": (b"wait_timeout = '5x'\n", "line 1: invalid duration '5x'"),
    "context": (b"context = 'nope'\n", "unknown context 'nope'"),
    "unknown condition": (b"assert = ['p95<<1']\n", "invalid check 'p95<<1'"),
    "infinite time": (b"timeout = inf\n", "line 1: invalid duration 'inf'"),
    "date": (b"timeout = 2026-01-01\n", "must be a text, a number or a list of texts"),
    "table": (b"[timeout]\nx = 1\n", "line 1: timeout must be a text"),
    "number as text": (b"region = 1.10\n", "line 1: region must be text"),
    "NUL in a path": (b'data_dir = "a\\u0000b"\n', "line 1: must not have control characters"),
    "limit": (b"[gate]\np95 = {warn = nan}\n", "line 2 is invalid: gate.p95.warn is nan"),
    "repeated key": (b"timeout = 1\ntimeout = 2\n", "line 2, is not valid TOML"),
    "no TOML": (b"timeout: 1\n", "line 1, is not valid TOML"),
    "deep": (b"timeout = " + b"[" * 5000, "nested too deeply"),
    "long number": (b"timeout = " + b"9" * 5000, "a number is too long"),
    "no text": (b"# \xe9\n", "line 1, is not valid TOML: it is not UTF-8"),
    "UTF-16": ("timeout = 1\n".encode("utf-16"), "line 1, is not valid TOML: it is not UTF-8"),
    "a key": (b"api_key = 'tm_canary'\n", "line 1 holds an API key"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_check_and_start_refuse_the_same_settings(tm, name):
    data, words = SETTINGS[name]
    (tm.cwd / "tm.toml").write_bytes(data)
    checked = tm("init", "--check", "--json").json["data"]["checks"]
    assert any(item["status"] == "problem" and words in item["text"] for item in checked)
    for argv in (("runs", "start", "1"), ("runs", "start", "1", "--wait")):
        result = tm(*argv, environ=LOCAL)  # the fixture fails when a server starts
        assert (result.exit_code, words in result.stderr) == (ExitCode.CONFIGURATION, True)
        assert "canary" not in result.stderr


def test_check_and_start_refuse_a_verdict_that_fails_and_warns(tm):
    (tm.cwd / "tm.toml").write_text("fail_on = 'FAIL'\nwarn_on = 'WARN,FAIL'\n")
    checked = tm("init", "--check", "--json").json["data"]["checks"]
    [of_settings] = [item for item in checked if item["check"] == "tm.toml"]
    assert (of_settings["status"], "both name FAIL" in of_settings["text"]) == ("problem", True)
    started = tm("runs", "start", "1", "--wait", environ=LOCAL)
    assert (started.exit_code, "both name FAIL" in started.stderr) == (ExitCode.USAGE, True)


PIPELINES = {
    "cycle": "a: &a\n  b: *a\n",
    "laughs": "a0: &a0 [x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
    "deep": "a: " + "[" * 5000,
    "repeated job": "jobs:\n  a: {}\n  a: {}\n",
    "no YAML": "jobs: [",
    "control character": "jobs: \x01\n",
    "merge of a number": "jobs: {<<: 1}\n",
}


@pytest.mark.parametrize("path", [".github/workflows/load.yml", ".gitlab-ci.yml"])
@pytest.mark.parametrize("name", PIPELINES)
def test_pipeline_that_cannot_be_read_is_a_problem(tm, path, name):
    (tm.cwd / path).parent.mkdir(parents=True, exist_ok=True)
    (tm.cwd / path).write_text(PIPELINES[name], encoding="utf-8")
    result = tm("init", "--check", "--json")
    assert result.exit_code == ExitCode.CONFIGURATION
    [found] = [item for item in result.json["data"]["checks"] if item["check"] == path]
    assert found["text"].startswith("cannot be read")
