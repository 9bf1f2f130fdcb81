"""Locustfiles on the command line: what is uploaded, what a start says, and what is refused."""

from __future__ import annotations

import hashlib

import pytest

from tests.services.trafficmorph import KEY, RUN, row
from tm_cli.exit_codes import ExitCode

SHOP = """
from locust import HttpUser, LoadTestShape, task
class Shopper(HttpUser):
    host = "http://10.0.0.4/shop"
    fixed_count = 3
    @task
    def look(self): ...
class Shape(LoadTestShape): ...
"""
HASH = hashlib.sha256(SHOP.encode()).hexdigest()
DOCUMENT = """
name: shop
duration: 60s
points: [[0, 5], [60, 5]]
locustfile: {file: shop.py, class: Shopper, env: [SHOP_TOKEN], timeout: 2m}
"""


@pytest.fixture
def start(tm, server):
    (tm.cwd / "shop.py").write_text(SHOP, encoding="utf-8")

    def call(*words, **environ):
        own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
        return tm("runs", "start", *words, environ={**own, **environ})

    return call


def started(server, document, body):
    server.features(locustfiles=True)
    server.answer("POST", "/profiles/import", {"id": 42, "name": "shop"}, code=201, body=document)
    server.profile()
    server.answer("POST", "/profiles/42/runs", {"runId": RUN, "profileId": 42}, body=body)


def test_rate_and_duration_make_a_profile_of_a_locustfile(start, server, tm):
    wanted = {
        "_format": "trafficmorph-profile-v1",
        "name": "shop.py",
        "endpointUrl": "http://10.0.0.4/shop",
        "httpMethod": "GET",
        "duration": 60,
        "interpolationMode": "LINEAR",
        "points": [{"x": 0, "y": 5.0}, {"x": 60, "y": 5.0}],
        "locustfile": {"file": "shop.py", "sha256": HASH},
    }
    place = {"path": str(tm.cwd / "shop.py"), "directory": str(tm.cwd), "variables": {}}
    started(server, wanted, {"locustfile": place})
    result = start("shop.py", "--rate", "5", "--duration", "60s")
    assert result.exit_code == ExitCode.OK, result.stderr
    assert "the LoadTestShape Shape is ignored; the curve is the load" in result.stderr
    assert "fixed_count of Shopper is ignored" in result.stderr


def test_the_document_of_the_same_name_has_the_load_of_a_locustfile(start, server, tm):
    (tm.cwd / "shop.yaml").write_text(DOCUMENT, encoding="utf-8")
    place = {
        "path": str(tm.cwd / "shop.py"),
        "directory": str(tm.cwd),
        "variables": {"SHOP_TOKEN": "secret-1"},
    }
    started(server, None, {"locustfile": place})
    result = start("shop.py", SHOP_TOKEN="secret-1")
    assert result.exit_code == ExitCode.OK, result.stderr
    [uploaded] = [sent.get_json() for sent, _ in server.requests if "import" in sent.path]
    assert uploaded["locustfile"] == {
        "file": "shop.py",
        "sha256": HASH,
        "class": ["Shopper"],
        "env": ["SHOP_TOKEN"],
        "timeout": 120.0,
    }
    assert uploaded["endpointUrl"] == "http://10.0.0.4/shop"
    assert "secret-1" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["shop.py"], "--rate and --duration do", ExitCode.USAGE),
        (["shop.py", "--rate", "5"], "--rate and --duration do", ExitCode.USAGE),
        (["shop.py", "other.py", "--rate", "5"], "needs exactly one PROFILE", ExitCode.USAGE),
        (["checkout", "--rate", "5"], "goes with a URL or a locustfile", ExitCode.USAGE),
        (["checkout", "--host", "http://a"], "--host goes with", ExitCode.USAGE),
        (["shop.py", "--rate", "x", "--duration", "60s"], "invalid --rate", ExitCode.USAGE),
        (["shop.py", "--rate", "5", "--duration", "1s"], "invalid --duration", ExitCode.USAGE),
        (["shp.py", "--rate", "5", "--duration", "60s"], "did you mean shop.py?", 78),
        (["broken.py", "--rate", "5", "--duration", "60s"], "broken.py, line 1 is not Python", 78),
        (["hostless.py", "--rate", "5", "--duration", "60s"], "--host URL names it", 64),
    ],
)
def test_what_is_missing_is_said_before_anything_is_sent(words, message, code, start, tm):
    (tm.cwd / "broken.py").write_text("class", encoding="utf-8")
    (tm.cwd / "hostless.py").write_text(SHOP.replace("host", "ghost"), encoding="utf-8")
    result = start(*words)
    assert result.exit_code == code
    assert message in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("locustfile: missing.py", "line 5: cannot read the locustfile"),
        ("locustfile: shop.txt", "locustfile is not the path of a Python file"),
        ("locustfile: {fil: shop.py}", "locustfile.fil unknown key 'fil'; did you mean file?"),
        ("locustfile: {file: shop.py, class: [1]}", "locustfile.class is not a name"),
        ("locustfile: {file: shop.py, env: [A-B]}", "locustfile.env[0] 'A-B' cannot be the name"),
        ("locustfile: {file: shop.py, env: TM_API_KEY}", "TM_API_KEY is a setting of tm"),
        ("locustfile: {file: shop.py, timeout: 2h}", "locustfile.timeout is not a duration"),
        (f"locustfile: {{file: shop.py, sha256: {'0' * 64}}}", f"its SHA-256 is {HASH}"),
        ("locustfile: shop.py\nrequestPayload: x", "requestPayload has no effect"),
        ("locustfile: broken.py", "broken.py, line 1 is not Python"),
    ],
)
def test_mistakes_in_a_document_are_named_with_their_place(text, message, start, tm):
    (tm.cwd / "broken.py").write_text("class", encoding="utf-8")
    document = DOCUMENT.partition("locustfile")[0] + text
    (tm.cwd / "other.yaml").write_text(f"{document}\nendpointUrl: http://a", encoding="utf-8")
    result = start("other.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert message in result.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("locustfile: {fil: shop.py}", "line 5: locustfile.fil unknown key 'fil'"),
        ("locustfile: {file: shop.py, clas: A}", "line 5: locustfile.clas unknown key 'clas'"),
        ("locustfile: hostless.py", "line 5: endpointUrl missing, and hostless.py names no host"),
        ("locustfile: two.py", "two.py names several hosts (http://a, http://b)"),
    ],
)
def test_a_mistake_is_named_where_the_target_is_that_of_the_file(text, message, start, tm):
    (tm.cwd / "hostless.py").write_text(SHOP.replace("host", "ghost"), encoding="utf-8")
    users = (f"class {name}(User):\n    host = 'http://{name}'\n" for name in "ab")
    (tm.cwd / "two.py").write_text("from locust import User\n" + "".join(users), encoding="utf-8")
    (tm.cwd / "other.yaml").write_text(DOCUMENT.partition("locustfile")[0] + text, encoding="utf-8")
    result = start("other.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert message in result.stderr.replace("\n", " ")


def test_a_variable_that_is_not_set_starts_nothing(start, server, tm):
    (tm.cwd / "shop.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.features(locustfiles=True)
    server.answer("POST", "/profiles/import", {"id": 42, "name": "shop"}, code=201)
    server.profile()
    result = start("shop.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "SHOP_TOKEN is not set, and shop.py reads it; nothing was started" in result.stderr


def test_another_server_plays_no_locustfile(start, server, tm):
    server.features(duet=True)
    result = start("shop.py", "--rate", "5", "--duration", "60s")
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot play a locustfile; nothing was started" in result.stderr


def test_agents_are_told_no_path_and_no_variable(start, server, tm):
    (tm.cwd / "shop.yaml").write_text(DOCUMENT, encoding="utf-8")
    started(server, None, {"region": "eu"})
    result = start("shop.yaml", "--region", "eu", SHOP_TOKEN="secret-1")
    assert result.exit_code == ExitCode.OK, result.stderr


def test_a_run_of_a_locustfile_is_waited_for_by_its_path(start, server, tm):
    server.answer("GET", "/profiles", [{"id": 42, "name": "shop.py"}]).status("COMPLETED")
    server.scan(row(autoVerdict="PASS")).detail(autoVerdict="PASS")
    own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    result = tm("runs", "wait", "./shop.py", "--run-id", RUN, environ=own)
    assert result.exit_code == ExitCode.OK, result.stderr
