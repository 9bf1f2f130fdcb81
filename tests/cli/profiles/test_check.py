"""`tm profiles check`, `plot`, `new` without a source and `tm schema`: no server is needed."""

import json
import os

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.values.documents import parse_yaml

GOOD = "name: a\nduration: 1m\nendpointUrl: http://localhost/\npoints: [[0, 5], [60, 5]]\n"
BAD = """\
name: a
name: b
duration: 5
endpointUrl: ftp://x
points:
- [0, -1]
- [1, .nan]
- {x: a, y: b}
gate: {p95: {warn: -1}, p97: 3}
httpMethd: GET
steps:
- {think: 5, wait: 1}
- request: GET /
  checks: {status: 99, foo: 1}
schedule:
  mode: WEEKLY
  slots: [{dayOfWeek: 9, time: "26:30"}]
"""
PLACES = [
    (2, 1, "name", "duplicate key 'name'"),
    (3, 1, "duration", "duration is 5"),
    (4, 1, "endpointUrl", "endpointUrl is 'ftp://x'"),
    (6, 7, "points[0][1]", "points[0][1] is -1"),
    (7, 7, "points[1][1]", "points[1][1] is .nan"),
    (8, 4, "points[2].x", "points[2].x is 'a'"),
    (9, 14, "gate.p95.warn", "gate.p95.warn is -1"),
    (9, 25, "gate.p97", "unknown key 'gate.p97'"),
    (10, 1, "httpMethd", "unknown key 'httpMethd'; did you mean httpMethod?"),
    (12, 14, "steps[0].wait", "steps[0].wait is not known"),
    (14, 12, "steps[1].checks.status", "steps[1].checks.status must be"),
    (14, 24, "steps[1].checks.foo", "steps[1].checks.foo is not known"),
    (16, 3, "schedule.mode", "schedule.mode is 'WEEKLY'; expected one of ONCE, PERIODIC"),
    (17, 12, "schedule.slots[0].dayOfWeek", "schedule.slots[0].dayOfWeek is 9"),
    (17, 26, "schedule.slots[0].time", "schedule.slots[0].time is '26:30'"),
]


def test_all_problems_are_told_at_once_with_their_places(tm):
    (tm.cwd / "a.yaml").write_text(BAD)
    result = tm("profiles", "check", "a.yaml", "--json")
    assert result.exit_code == ExitCode.CONFIGURATION
    found = result.json["data"]["files"][0]["problems"]
    assert [(each["line"], each["column"], each["key"]) for each in found] == [
        place[:3] for place in PLACES
    ]
    assert all(
        each["message"].startswith(place[3]) for each, place in zip(found, PLACES, strict=True)
    )


def test_a_problem_is_written_as_editors_find_it(tm):
    (tm.cwd / "a.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("1m", "1x").encode())
    result = tm("profiles", "check", ".")
    assert result.stdout == ("a.yaml:2:1: invalid duration '1x': expected e.g. 90s, 5m or 1h30m\n")
    assert "1 problem in the document" in result.stderr


ODD = {
    "tabs.yaml": (b"name: x\n\tduration: 3\n", 2, "invalid YAML"),
    "syntax.json": (b'{"a": 1,\r\n "b": }', 2, "invalid JSON: expecting value"),
    "twice.json": (b'{"name": "a",\r\n "name": "b"}', 2, "duplicate key 'name'"),
    "nan.json": (b'{"duration":\r\n NaN}', 2, "NaN is not a JSON number"),
    "latin.yaml": (b"name: \xe9\n", None, "not UTF-8 text, line 1"),
    "empty.yaml": (b"", None, "it is not a mapping"),
    "list.yaml": (b"[1, 2]", None, "it is not a mapping"),
    "evil.yaml": (GOOD.encode() + b'"\\e[31mkey": 1\n', 5, "unknown key"),
    "huge.yaml": (GOOD.replace("60, 5", "60, 1e999").encode(), 4, "too large"),
    "long.yaml": (b"a" * (8 * 1024 * 1024 + 1), None, "longer than 8 MiB"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_get_an_error_that_names_file_and_line(tm, name):
    content, line, words = ODD[name]
    (tm.cwd / name).write_bytes(content)
    result = tm("profiles", "check", name, "--json")
    assert result.exit_code == ExitCode.CONFIGURATION
    problems = result.json["data"]["files"][0]["problems"]
    assert any((each["line"], words in each["message"]) == (line, True) for each in problems)
    assert "\x1b" not in tm("profiles", "check", name).stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_and_holds_nothing_up(tm):
    os.mkfifo(tm.cwd / "pipe.yaml")
    for argv in (("check", "pipe.yaml"), ("import", "pipe.yaml"), ("plot", "pipe.yaml")):
        result = tm("profiles", *argv, environ={"TM_BASE_URL": "local"})
        assert result.exit_code == ExitCode.CONFIGURATION


def test_a_curve_is_drawn_and_summed_up(tm):
    curve = "[[0, 5], [30, 80], [31, 2], [60, 900]]\ninterpolationMode: SPLINE"
    (tm.cwd / "a.yaml").write_text(GOOD.replace("[[0, 5], [60, 5]]", curve))
    result = tm("profiles", "plot", "a.yaml", "--max-rate", "500")
    assert "The highest rate is 900/s: above 500/s nothing is sent." in result.stdout
    data = tm("profiles", "plot", "a.yaml", "--max-rate", "500", "--json").json["data"]
    assert (data["peak"], data["is_cut_off"], len(data["curve"])) == (900, True, 200)
    assert max(rate for _, rate in data["curve"]) == 500
    assert min(rate for _, rate in data["curve"]) >= 0  # a spline that dips is held at zero
    whole = tm("profiles", "plot", "a.yaml", "--json").json["data"]
    assert data["requests"] < whole["requests"]
    (tm.cwd / "a.yaml").write_text(GOOD.replace("60, 5]", "60, 1e300]"))
    assert tm("profiles", "plot", "a.yaml").exit_code == ExitCode.CONFIGURATION


def test_a_stored_curve_is_cut_off_at_the_limit_of_its_server(gate, server):
    server.profile(points=[{"x": 0, "y": 10}, {"x": 60, "y": 90}], loop=True)
    server.answer("GET", "/account", {"limits": {"maxProfileRps": 50, "maxRps": 0}})
    result = gate("profiles", "plot", "42")
    assert "above 50/s nothing is sent" in result.stdout
    assert "repeats until the run is stopped" in result.stdout


def test_a_starter_document_is_accepted_and_refers_to_a_schema_that_is_there(tm):
    written = tm("profiles", "new", "-o", "shop.yaml", "--rate", "5", "--duration", "2m")
    assert written.exit_code == ExitCode.OK
    first = (tm.cwd / "shop.yaml").read_text().splitlines()[0]
    schema = tm.cwd / first.partition("$schema=")[2]
    assert schema.read_text() == tm("schema", "profile").stdout
    assert tm("profiles", "check", ".").stdout == "shop.yaml: ok\n"  # and no schema is a profile
    again = tm("profiles", "new", "-o", "shop.yaml")
    assert again.exit_code == ExitCode.OUTPUT
    assert tm("profiles", "new").stdout.startswith("# yaml-language-server: $schema=")


def test_every_comment_of_the_starter_is_right_when_it_is_taken_in(tm):
    """Each commented key by itself; those of a journey exclude others."""
    lines = tm("profiles", "new").stdout.splitlines()
    blocks, block = [], []
    for line in [*lines, ""]:
        taken = line.removeprefix("# ")
        is_key = line.startswith("# ") and (taken[:1] == " " or taken.partition(":")[0].isalpha())
        if (is_key and ": " in taken + " ") or (block and line.startswith("#   ")):
            block.append(taken)
        elif block:
            blocks.append(block)
            block = []
    keys = {key for block in blocks for key in parse_yaml("\n".join(block))}
    assert {"gate", "warmup", "requestHeaders", "steps", "checks"} <= keys


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("shop.har",), "--from says it"),
        (("--from", "har"), "needs a FILE"),
        (("--host", "a"), "--host needs --from"),
        (("-o", "shop.json"), "does not end in .yaml"),
        (("--target", "nowhere"), "no scheme"),
    ],
)
def test_what_a_starter_cannot_have_is_a_usage_error(tm, argv, words):
    result = tm("profiles", "new", *argv)
    assert (result.exit_code, words in result.stderr) == (ExitCode.USAGE, True)


def test_schemas_are_printed_and_written(tm):
    for kind in ("profile", "settings", "report"):
        assert json.loads(tm("schema", kind).stdout)["title"]
    assert tm("schema", "settings", "-o", "s.json").exit_code == ExitCode.OK
    assert (tm.cwd / "s.json").read_text() == tm("schema", "settings").stdout


def test_all_profiles_are_exported_to_files_that_can_be_applied(gate, server, tm):
    names = {1: "load-test-3", 2: "Load test", 3: "load-test"}
    for _ in range(2):
        server.answer("GET", "/profiles", [{"id": n, "name": name} for n, name in names.items()])
        for number, name in names.items():
            document = {"_format": "trafficmorph-profile-v1", **parse_yaml(GOOD), "name": name}
            server.answer("GET", f"/profiles/{number}/export", document)
    result = gate("profiles", "export", "--all", "-o", "p", "--json")
    assert result.json["data"]["files"] == [
        "p/load-test-3.yaml",
        "p/load-test.yaml",
        "p/load-test-3-3.yaml",
    ]
    assert tm("profiles", "check", "p").exit_code == ExitCode.OK
    (tm.cwd / "p" / "load-test.yaml").write_text("mine")
    assert gate("profiles", "export", "--all", "-o", "p").exit_code == ExitCode.OUTPUT
    assert (tm.cwd / "p" / "load-test.yaml").read_text() == "mine"
