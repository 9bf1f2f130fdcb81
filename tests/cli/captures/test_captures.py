"""`tm captures`: what is checked here, what is sent, and which groups become profiles."""

from __future__ import annotations

import gzip
import json
import os

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.values.load.captures import read_request

LINE = '{"t": 1, "method": "GET", "url": "https://shop.test/users/1"}\n'


def group(method="GET", url="https://shop.test/users/$$id$$", **more):
    variables = [{"name": "id", "source": "path", "distinctCount": 2, "sampleValues": ["1"]}]
    numbers = {"rowCount": 1200, "durationSeconds": 60.0, "peakQps": 31.0, "avgQps": 20.0}
    return {"method": method, "urlSkeleton": url, "variables": variables, **numbers, **more}


GROUPS = [
    group(),
    group("POST", "https://shop.test/bid", warnings=["the body is left out"]),
    group("GET", "https://a.test/health", warnings=["the body is left out"]),
    group("PROPFIND", "https://a.test/x", problem="httpMethod: no such method"),
    group("GET", "https://shop.test/health"),
]


def analysis(*groups):
    stats = {"totalRequests": 3000, "parseErrorCount": 0, "durationSeconds": 60.0}
    return {"stats": {**stats, "groupCount": len(groups)}, "groups": list(groups)}


def made(*names, **more):
    created = [{"profileId": n, "name": name} for n, name in enumerate(names, 7)]
    return {"createdProfiles": created, "createdVariablesSetCount": 1, "warnings": [], **more}


@pytest.fixture
def traffic(tm):
    path = tm.cwd / "traffic.jsonl"
    path.write_text(LINE)
    return path


def test_an_analysis_is_a_table_with_numbers_and_remarks(gate, server, traffic):
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    result = gate("captures", "analyse", "traffic.jsonl")
    assert result.exit_code == ExitCode.OK
    lines = result.stdout.splitlines()
    assert lines[0] == "traffic.jsonl: 3,000 requests in 1m, of 5 kinds"
    assert lines[1].split() == ["#", "METHOD", "URL", "REQUESTS", "PEAK/S", "VARIABLES"]
    assert lines[2].split() == ["1", "GET", GROUPS[0]["urlSkeleton"], "1,200", "31", "id"]
    assert lines[-2:] == [
        "2-3: the body is left out",
        "4: cannot be imported: httpMethod: no such method",
    ]


def test_a_narrow_terminal_gets_two_lines_for_each_group(gate, server, traffic):
    long = group(url="https://shop.test/" + "segment/" * 9 + "$$id$$")
    server.answer("POST", "/captures/analyse", analysis(long))
    lines = gate("captures", "analyse", "traffic.jsonl", at_terminal=True).stdout.splitlines()
    assert lines[1:] == [f"1  GET {long['urlSkeleton']}", "    1,200 requests, peak 31/s: id"]


def test_an_analysis_is_json_as_the_server_sends_it(gate, server, traffic):
    server.answer("POST", "/captures/analyse", analysis(GROUPS[0]))
    assert gate("captures", "analyse", "traffic.jsonl", "--json").json["data"] == analysis(
        GROUPS[0]
    )


def test_the_file_is_sent_once_as_a_form_with_the_key(gate, server, traffic):
    server.error("POST", "/captures/analyse", 503, "The server is stopping")
    assert gate("captures", "analyse", "traffic.jsonl").exit_code == ExitCode.ERROR
    [(request, _)] = server.requests
    assert request.files["file"].filename == "traffic.jsonl"
    assert request.files["file"].read().decode() == LINE
    assert request.content_length == int(request.headers["Content-Length"])
    request.close()


@pytest.mark.skipif(os.name != "posix", reason="/dev/fd is POSIX")
def test_a_pipe_is_sent_as_a_file_is(gate, server):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        file.write(LINE)
    server.answer("POST", "/captures/analyse", analysis(GROUPS[0]))
    try:
        result = gate("captures", "analyse", f"/dev/fd/{reader}")
    finally:
        os.close(reader)
    assert result.exit_code == ExitCode.OK, result.stderr
    [(request, _)] = server.requests
    assert request.files["file"].read().decode() == LINE
    request.close()


def test_progress_is_shown_on_a_terminal_alone(gate, server, traffic):
    for live, quiet in ((True, ()), (True, ("--quiet",)), (False, ())):
        server.answer("POST", "/captures/analyse", analysis(GROUPS[0]))
        result = gate("captures", "analyse", "traffic.jsonl", *quiet, live=live)
        assert ("analysing" in result.stderr) == (live and not quiet)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", ExitCode.CONFIGURATION, "traffic.jsonl is empty"),
        (b"\n{}\n", ExitCode.CONFIGURATION, "traffic.jsonl:2: t is missing"),
        (b'{"t": 1, "method": "GET", "url": "/"}', ExitCode.CONFIGURATION, "jsonl:1: url must be"),
        (
            gzip.compress(LINE.encode(), mtime=0),
            ExitCode.CONFIGURATION,
            "compressed (gzip); unpack it",
        ),
        (None, ExitCode.CONFIGURATION, "cannot read traffic.jsonl"),
    ],
)
def test_a_file_that_is_no_capture_is_not_sent(gate, server, traffic, content, code, message):
    traffic.unlink()
    if content is not None:
        traffic.write_bytes(content)
    for argv in (("analyse",), ("import", "--select", "all")):
        result = gate("captures", *argv, "traffic.jsonl")
        assert result.exit_code == code
        assert message in result.stderr
    assert server.requests == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such device")
def test_an_endless_device_is_read_no_further_than_the_largest_capture(gate, server):
    result = gate("captures", "analyse", "/dev/zero")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "/dev/zero is larger than 120 MB" in result.stderr
    assert server.requests == []


def test_lines_that_are_left_out_are_named(gate, server, traffic):
    traffic.write_text(LINE + "{\n" + LINE + "[]\n")
    server.answer("POST", "/captures/analyse", analysis(GROUPS[0]))
    stderr = gate("captures", "analyse", "traffic.jsonl").stderr
    assert "traffic.jsonl:2: the line is not JSON" in stderr
    assert "lines left out: 2 of 4" in stderr


def sent(server):
    request, _ = server.requests[-1]
    text = request.args.get("selections") or request.form.get("selections")
    request.close()
    return [tuple(each.values()) for each in json.loads(text)["groups"]]


KEYS = [(each["method"], each["urlSkeleton"]) for each in GROUPS]


@pytest.mark.parametrize(
    ("select", "places"),
    [
        (["1"], [0]),
        (["3,1"], [0, 2]),
        (["1-3"], [0, 1, 2]),
        (["1 - 2, 5"], [0, 1, 4]),
        (["all"], [0, 1, 2, 4]),
        (["POST https://shop.test/bid"], [1]),
        (["post /bid", "1", "1"], [0, 1]),
    ],
)
def test_selections_are_numbers_ranges_or_urls(gate, server, traffic, select, places):
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    server.answer("POST", "/captures/import", made("a", "b"))
    argv = [word for text in select for word in ("--select", text)]
    result = gate("captures", "import", "traffic.jsonl", *argv)
    assert result.exit_code == ExitCode.OK
    assert sent(server) == [KEYS[place] for place in places]
    assert result.stdout.splitlines() == [
        "ID  PROFILE",
        "7   a",
        "8   b",
        "made 2 profiles and 1 variables set; start one with `tm runs start 7 --wait`",
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--select", "0"], "0 is not within 1-5"),
        (["--select", "2-9"], "2-9 is not within 1-5"),
        (["--select", "3-2"], "3-2 is not within 1-5"),
        (["--select", "first"], "'first' is neither all, a number, a range, nor METHOD URL"),
        (["--select", ""], "nothing is selected"),
        (["--select", "PUT /bid"], "the capture has no PUT /bid"),
        (["--select", "GET /health"], "on several hosts"),
        (["--select", "4"], "4 cannot be imported: httpMethod"),
        (["--select", "1,2", "--name", "x"], "--name goes with one kind of requests"),
    ],
)
def test_a_selection_of_nothing_imports_nothing(gate, server, traffic, argv, message):
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    result = gate("captures", "import", "traffic.jsonl", *argv)
    assert result.exit_code == ExitCode.USAGE
    assert message in result.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["traffic.jsonl"], "not a terminal; pass --select"),
        ([], "give either a FILE, or --source and --path"),
        (["traffic.jsonl", "--source", "s", "--path", "p"], "give either a FILE"),
        (["--source", "s"], "--source and --path belong together"),
        (["traffic.jsonl", "--name", " "], "--name: a name has 1 to 120 characters"),
        (["traffic.jsonl", "--name", "n" * 121], "--name: a name has 1 to 120 characters"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(gate, server, traffic, argv, message):
    select = [] if argv == ["traffic.jsonl"] else ["--select", "all"]
    result = gate("captures", "import", *argv, *select)
    assert result.exit_code == ExitCode.USAGE
    assert message in result.stderr


def test_a_terminal_is_asked_until_the_answer_is_valid(gate, server, traffic):
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    server.answer("POST", "/captures/import", made("a"))
    result = gate("captures", "import", "traffic.jsonl", "--name", "bids", typed="9\n2\n")
    assert result.exit_code == ExitCode.OK
    assert "5 kinds" in result.stderr
    assert "9 is not within 1-5" in result.stderr
    assert sent(server) == [(*KEYS[1], "bids")]


@pytest.mark.parametrize(("typed", "code"), [("\n", ExitCode.OK), ("", ExitCode.USAGE)])
def test_enter_takes_all_and_the_end_of_input_nothing(gate, server, traffic, typed, code):
    server.answer("POST", "/captures/analyse", analysis(GROUPS[0]))
    if typed:
        server.answer("POST", "/captures/import", made("a"))
    assert gate("captures", "import", "traffic.jsonl", typed=typed).exit_code == code


def test_many_selections_are_sent_in_the_form(gate, server, traffic):
    groups = [group(url=f"https://shop.test/{n:060}") for n in range(60)]
    server.answer("POST", "/captures/analyse", analysis(*groups))
    server.answer("POST", "/captures/import", made("a"), query={})
    assert gate("captures", "import", "traffic.jsonl", "--select", "all").exit_code == ExitCode.OK
    assert len(sent(server)) == 60


def test_a_skipped_selection_is_a_failure_and_warnings_are_shown(gate, server, traffic):
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    skipped = [{"method": "GET", "urlSkeleton": "https://x/", "reason": "gone"}]
    answer = made("a", skippedSelections=skipped, warnings=["a: it lasts 2 s"])
    server.answer("POST", "/captures/import", answer)
    result = gate("captures", "import", "traffic.jsonl", "--select", "1,2", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["data"] == answer
    assert "a: it lasts 2 s" in result.stderr
    assert "not imported: GET https://x/: gone" in result.stderr


def test_one_request_is_not_many(gate, server, traffic):
    document = analysis(group(rowCount=1))
    document["stats"]["totalRequests"] = 1
    server.answer("POST", "/captures/analyse", document)
    assert (
        "traffic.jsonl: 1 request in 1m, of 1 kind\n"
        in gate("captures", "analyse", "traffic.jsonl").stdout
    )


def test_an_import_without_success_is_not_repeated_and_says_what_may_have_happened(
    gate, server, traffic
):
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    server.error("POST", "/captures/import", 400, "Profile limit reached (1)")
    result = gate("captures", "import", "traffic.jsonl", "--select", "1")
    assert result.exit_code != ExitCode.OK
    assert "Profile limit reached (1)" in result.stderr
    assert "may have been made" not in result.stderr
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    server.answer("POST", "/captures/import", code=502, text="bad gateway")
    result = gate("captures", "import", "traffic.jsonl", "--select", "1")
    assert result.exit_code != ExitCode.OK
    assert "profiles may have been made: look at `tm profiles list`" in result.stderr


def test_another_target_is_put_into_the_urls(gate, server, traffic):
    traffic.write_text("\n" + LINE + "{\n" + LINE.replace("/users/1", "?q=%2F#f"))
    server.answer("POST", "/captures/analyse", analysis(*GROUPS))
    argv = ("captures", "analyse", "traffic.jsonl", "--target", "http://127.0.0.1:8080/")
    assert gate(*argv).exit_code == ExitCode.OK
    request, _ = server.requests[-1]
    lines = request.files["file"].read().split(b"\n")
    request.close()
    assert (lines[0], lines[2]) == (b"", b"{")
    assert read_request(lines[1]).url == "http://127.0.0.1:8080/users/1"
    assert read_request(lines[3]).url == "http://127.0.0.1:8080/?q=%2F"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["traffic.jsonl", "--target", "shop"], "--target"),
        (["traffic.jsonl", "--target", "http://shop.test/a"], "scheme and host alone"),
        (["--source", "s", "--path", "p", "--target", "http://shop.test"], "goes with a FILE"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused(gate, server, traffic, argv, message):
    result = gate("captures", "analyse", *argv)
    assert result.exit_code == ExitCode.USAGE
    assert message in result.stderr


@pytest.mark.parametrize("source", ["logs", "3"])
def test_a_remote_capture_is_named_by_its_source_and_path(gate, server, source):
    server.answer("GET", "/capture-sources", [{"id": 3, "name": "logs", "kind": "S3"}])
    where = {"sourceId": 3, "path": "a.jsonl"}
    server.answer("POST", "/captures/analyse-remote", analysis(*GROUPS), body=where)
    selections = {"groups": [{"method": "POST", "urlSkeleton": "https://shop.test/bid"}]}
    body = {**where, "selections": selections}
    server.answer("POST", "/captures/import-remote", made("a"), body=body)
    argv = ("--source", source, "--path", "a.jsonl", "--select", "2")
    assert gate("captures", "import", *argv).exit_code == ExitCode.OK


def test_an_unknown_source_is_named_with_those_there_are(gate, server):
    server.answer("GET", "/capture-sources", [{"id": 3, "name": "logs", "kind": "S3"}])
    result = gate("captures", "analyse", "--source", "log", "--path", "a")
    assert result.exit_code == ExitCode.REFUSED
    assert "did you mean logs?" in result.stderr


HAR = {
    "log": {
        "entries": [
            {
                "startedDateTime": f"2026-01-31T12:00:0{second}.000Z",
                "time": 20,
                "request": {
                    "method": method,
                    "url": "https://shop.test/a?token=s3cret&page=1",
                    "headers": [{"name": "Authorization", "value": "Bearer s3cret"}],
                    "postData": {"text": '{"password": "s3cret", "n": "${X}"}'},
                },
                "response": {"status": 200, "content": {"mimeType": "application/json"}},
            }
            for second, method in ((3, "POST"), (1, "GET"))
        ]
    }
}


def converted(tm, name, text, *argv):
    (tm.cwd / name).write_text(text)
    result = tm("captures", "convert", name, *argv)
    assert result.exit_code == ExitCode.OK, result.stderr
    return [read_request(line.encode()) for line in result.stdout.splitlines()], result.stderr


def test_a_har_file_becomes_a_capture_with_its_times_and_without_secrets(tm):
    found, notes = converted(tm, "a.har", json.dumps(HAR), "--from", "har")
    assert [(each.at, each.method) for each in found] == [(0, "GET"), (2, "POST")]
    assert found[0].url == "https://shop.test/a?token=[REDACTED]&page=1"
    assert found[0].headers == {"Authorization": "[REDACTED]"}
    assert json.loads(found[0].body) == {"password": "[REDACTED]", "n": "${X}"}
    assert "secrets are masked" in notes


def test_curl_commands_become_a_capture_with_one_request_a_second(tm):
    text = "curl https://shop.test/a\ncurl -d x=1 https://shop.test/b -b id=3\n"
    found, notes = converted(tm, "a.sh", text, "--from", "curl")
    assert [(each.at, each.method, each.body) for each in found] == [
        (0, "GET", None),
        (1, "POST", "x=1"),
    ]
    assert "cookies are left out" in notes


OPENAPI = """
openapi: 3.0.0
paths:
  /users/{id}:
    get: {parameters: [{in: path, name: id, required: true}]}
"""


def test_an_openapi_file_becomes_a_capture_of_the_target(tm):
    found, notes = converted(
        tm, "a.yaml", OPENAPI, "--from", "openapi", "--target", "https://shop.test"
    )
    assert [each.url for each in found] == ["https://shop.test/users/1"]
    assert "parameters of paths without an example are 1" in notes
    result = tm("captures", "convert", "a.yaml", "--from", "openapi")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "a.yaml: it names no server; --target does" in result.stderr


def test_a_capture_is_written_to_a_file_that_is_not_there_yet(tm):
    (tm.cwd / "a.sh").write_text("curl https://shop.test/a\n")
    argv = ("captures", "convert", "a.sh", "--from", "curl", "-o", "out.jsonl")
    assert tm(*argv, "--json").json["data"] == {"file": "out.jsonl", "requests": 1, "notes": []}
    assert (tm.cwd / "out.jsonl").read_text().count("\n") == 1
    assert tm(*argv).exit_code == ExitCode.OUTPUT
    assert "with 1 request" in tm(*argv, "--force").stdout


def test_a_target_that_is_no_url_is_refused(tm):
    result = tm("captures", "convert", "a.yaml", "--from", "openapi", "--target", "shop")
    assert result.exit_code == ExitCode.USAGE
    assert "--target" in result.stderr
