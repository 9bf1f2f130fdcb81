"""`tm run`: one command from an address or a document to a verdict."""

from __future__ import annotations

import pytest

from tests.services.trafficmorph import KEY, row
from tm_cli.backends.trafficmorph.profile_documents import constant_load
from tm_cli.exit_codes import ExitCode

URL = "http://10.0.0.4/checkout"
IMPORTED = {"id": 42, "name": "10.0.0.4-checkout", "warnings": []}
PATHS = ("", "/a", "/a/", "/a/b", "/a-b", "/a_b", "/a?b=1", "/a?b=2", "/A", "//", "/a.json")
DOCUMENT = """
name: checkout
endpointUrl: http://10.0.0.4/checkout
duration: 60s
points: [[0, 10], [60, 10]]
"""


@pytest.fixture
def run(tm, server):
    def call(*words, **environ):
        return tm("run", *words, environ={"TM_BASE_URL": server.url, "TM_API_KEY": KEY, **environ})

    return call


def imports(server, document=None, **verdict):
    server.answer("POST", "/profiles/import", IMPORTED, code=201, body=document)
    server.until_ended().scan(row(**verdict))


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("PASS", ExitCode.OK),
        ("WARN", ExitCode.OK),
        ("NO_BASELINE", ExitCode.OK),
        ("FAIL", ExitCode.FAIL),
        ("UNHEARD_OF", ExitCode.UNDECIDED),
        (None, ExitCode.UNDECIDED),
    ],
)
def test_address_is_tested_and_fails_on_fail(verdict, code, run, server):
    imports(server, autoVerdict=verdict, autoCompareBaselineRunId=None)
    server.detail(autoVerdict=verdict, autoCompareBaselineRunId=None)
    assert run(URL, "--verdict-timeout", "0").exit_code == code


def test_address_becomes_get_requests_at_a_constant_rate(run, server):
    wanted = {
        "_format": "trafficmorph-profile-v1",
        "name": "10.0.0.4-checkout",
        "endpointUrl": URL,
        "httpMethod": "GET",
        "duration": 90,
        "interpolationMode": "LINEAR",
        "points": [{"x": 0, "y": 7.5}, {"x": 90, "y": 7.5}],
    }
    imports(server, wanted, autoVerdict="PASS")
    server.detail(autoVerdict="PASS").detail(5)
    result = run(URL, "--rate", "7.5", "--duration", "90s", "--report", "html=gate.html")
    assert result.exit_code == ExitCode.OK
    assert "the gate fails on FAIL" in result.stderr


@pytest.mark.parametrize(
    "spelled",
    [
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://localhost:8080/a", "http://localhost:8080/a"),
    ],
)
def test_same_address_has_the_same_name_as_before(spelled):
    one, other = (constant_load(url, rate, 30) for url, rate in zip(spelled, (5, 50), strict=True))
    assert one["name"] == other["name"]


def test_two_addresses_never_share_a_name():
    urls = [
        f"{scheme}://{host}{path}"
        for scheme in ("http", "https")
        for host in ("localhost", "localhost:8080", "a-b.example", "[::1]:80", "A.example")
        for path in PATHS
    ]
    names = [constant_load(url, 5, 30)["name"] for url in urls]
    assert len(set(names)) == len(urls)
    for name in names:  # a PROFILE argument with a slash or a suffix is a path
        assert "/" not in name
        assert "::" not in name  # a log of GitHub takes that for a command
        assert not name.endswith((".json", ".yaml", ".yml"))


def test_document_is_started_as_by_runs_start(run, server, tm):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    imports(server, autoVerdict="FAIL", autoCompareBaselineRunId=None)
    server.detail(autoVerdict="FAIL", autoCompareBaselineRunId=None)
    result = run("checkout.yaml", "--json")
    assert result.exit_code == ExitCode.FAIL
    assert result.json["data"]["verdict"] == "FAIL"


@pytest.mark.parametrize("setting", ["NO_BASELINE", "FAIL,NO_BASELINE"])
def test_verdicts_of_the_project_come_before_the_default(setting, run, server):
    imports(server, autoVerdict="NO_BASELINE", autoCompareBaselineRunId=None)
    server.detail(autoVerdict="NO_BASELINE", autoCompareBaselineRunId=None)
    assert run(URL, TM_FAIL_ON=setting).exit_code == ExitCode.NO_BASELINE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((URL, "--rate", "0"), "--rate"),
        ((URL, "--rate", "much"), "--rate"),
        ((URL, "--duration", "5s"), "--duration"),
        ((URL, "--warn-on", "FAIL"), "fails by default"),
        ((URL, "--against", URL), "against"),
        (("shop.example:8080/x",), "write for instance http://"),
        (("ftp://10.0.0.4/",), "neither http nor https"),
        (("http://u:p@10.0.0.4/",), "credentials"),
        (("checkout.yaml", "--rate", "5"), "goes with a URL"),
        (("checkout", "--duration", "30s"), "goes with a URL"),
        (("",), "empty"),
        ((), "FILE|URL"),
        ((URL, "x.yaml"), "unexpected"),
    ],
)
def test_mistake_starts_nothing(words, said, run):
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr


@pytest.mark.parametrize(
    ("command", "text", "url"),
    [
        (("runs", "start"), "http://localhost:8080/x", "http://localhost:8080/x"),
        (("runs", "start"), "localhost:8080/x", "http://localhost:8080/x"),
        (("run",), "http:/localhost:8080", "http://localhost:8080"),
        (("run",), "localhost/x", "http://localhost/x"),
        (("run",), "shop.example/x", "http://shop.example/x"),
        (("runs", "start"), "HTTPS://shop.example/x?a=1&b=2", "'HTTPS://shop.example/x?a=1&b=2'"),
        (("runs", "start"), "http://a/?u=http://b/", "'http://a/?u=http://b/'"),
        (("run",), "loads.d/x.yaml", None),
        (("run",), "./checkout", None),
        (("run",), "ftp:/x", None),
    ],
)
def test_address_where_a_profile_belongs_is_told_apart(command, text, url, tm, server):
    result = tm(*command, text, environ={"TM_BASE_URL": server.url, "TM_API_KEY": KEY})
    assert result.exit_code == ExitCode.CONFIGURATION
    assert ("an address is tested with" in result.stderr) == (url is not None)
    assert f"`tm run {url}`" in result.stderr or url is None


def test_host_that_is_no_name_of_a_profile_is_told_apart(run, server):
    server.answer("GET", "/profiles", [])
    result = run("localhost")
    assert result.exit_code == ExitCode.REFUSED
    assert "`tm profiles list` shows what is there" in result.stderr
    assert "an address is tested with `tm run http://localhost`" in result.stderr


def test_server_elsewhere_cannot_test_this_machine(tm):
    environ = {"TM_BASE_URL": "https://load.example", "TM_API_KEY": KEY}
    result = tm("run", "localhost:8080", environ=environ)
    assert result.exit_code == ExitCode.USAGE
    assert "would load its own" in result.stderr
