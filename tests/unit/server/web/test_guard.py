import json
import socket

import pytest

from tests.unit.server.running_server import Api, body


@pytest.fixture(scope="module")
def server_under_guard(shared_api):
    """Base URL parts of a running server, for requests that no decent client sends."""
    url = shared_api.client.base_url
    return url.host, url.port, shared_api.client.headers["X-Api-Key"]


def send_raw(server, lines, payload=b""):
    """Send a request as written; return the status and the body."""
    host, port, _ = server
    request = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + payload
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


HOSTS = [
    ("127.0.0.1:{port}", 200),
    ("localhost:{port}", 200),
    ("LocalHost:{port}", 200),
    ("[::1]:{port}", 200),
    ("127.0.0.1", 421),
    ("localhost", 421),
    ("127.0.0.1:1", 421),
    ("localhost.:{port}", 421),
    ("localhost.evil.test:{port}", 421),
    ("evil.test:{port}", 421),
    ("127.0.0.1.nip.io:{port}", 421),
    ("127.0.0.2:{port}", 421),
    ("127.1:{port}", 421),
    ("2130706433:{port}", 421),
    ("0x7f.1:{port}", 421),
    ("0.0.0.0:{port}", 421),
    ("[::ffff:127.0.0.1]:{port}", 421),
    ("::1:{port}", 421),
    ("127.0.0.1:{port}:{port}", 421),
    ("user@127.0.0.1:{port}", 421),
    ("127.0.0.1:{port}/", 421),
    ("127.0.0.1:0{port}", 421),
    ("", 421),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_only_our_own_names_and_port_are_hosts(server_under_guard, host, status):
    _, port, key = server_under_guard
    lines = [
        "GET /api/v1/profiles HTTP/1.1",
        f"Host: {host.format(port=port)}",
        f"X-Api-Key: {key}",
    ]
    assert send_raw(server_under_guard, lines)[0] == status


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1:{port}", "evil.test"]])
def test_no_host_and_two_hosts_are_refused(server_under_guard, hosts):
    _, port, key = server_under_guard
    lines = ["GET /api/v1/profiles HTTP/1.1", f"X-Api-Key: {key}"]
    lines += [f"Host: {host.format(port=port)}" for host in hosts]
    assert send_raw(server_under_guard, lines)[0] == 400


def test_the_host_is_checked_before_the_key_and_the_route(shared_api):
    answer = shared_api.client.get("/nowhere", headers={"Host": "evil.test", "X-Api-Key": "no"})
    assert answer.status_code == 421
    answer = shared_api.client.get("/nowhere", headers={"X-Api-Key": "no"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://localhost:{port}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_others_are_refused(shared_api, headers, status):
    port = shared_api.client.base_url.port
    headers = {name: value.format(port=port) for name, value in headers.items()}
    answer = shared_api.get("/profiles", headers=headers)
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("sites", ["none cross-site", "cross-site none", "same-origin same-site"])
def test_a_second_fetch_site_does_not_outvote_the_first(server_under_guard, sites):
    _, port, key = server_under_guard
    lines = ["GET /api/v1/profiles HTTP/1.1", f"Host: 127.0.0.1:{port}", f"X-Api-Key: {key}"]
    lines += [f"Sec-Fetch-Site: {site}" for site in sites.split()]
    assert send_raw(server_under_guard, lines)[0] == 403


@pytest.mark.parametrize(
    ("version", "status"), [("1.0", 200), ("1.1", 200), ("9.9", 505), ("2.0", 505)]
)
def test_other_versions_of_http_are_refused(server_under_guard, version, status):
    _, port, key = server_under_guard
    lines = [f"GET /api/v1/profiles HTTP/{version}", f"Host: 127.0.0.1:{port}", f"X-Api-Key: {key}"]
    assert send_raw(server_under_guard, lines)[0] == status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/profiles", "GET, HEAD, POST"),
        ("/profiles/1", "DELETE, GET, HEAD, PUT"),
        ("/account", "GET, HEAD"),
    ],
)
def test_all_methods_of_a_path_are_named(shared_api, path, allowed):
    answer = shared_api.client.request("PATCH", f"/api/v1{path}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_a_preflight_gets_no_permission(shared_api):
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    answer = shared_api.options("/profiles", headers=headers)
    assert answer.status_code == 403
    assert shared_api.options("/profiles").status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Api-Key": "{key}"}, 200),
        ({"Authorization": "Bearer {key}"}, 200),
        ({"Authorization": "bearer {key}"}, 200),
        ({"X-Api-Key": "{key}", "Authorization": "Bearer wrong"}, 200),
        ({"X-Api-Key": "wrong", "Authorization": "Bearer {key}"}, 401),
        ({"X-Api-Key": "", "Authorization": "Bearer {key}"}, 401),
        ({"X-Api-Key": "{key}x"}, 401),
        ({"X-Api-Key": b"\xff\xfe"}, 401),
        ({"Authorization": "Basic {key}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({}, 401),
    ],
)
def test_only_the_key_opens(shared_api, headers, status):
    key = shared_api.client.headers["X-Api-Key"]
    sent = {
        name: value if isinstance(value, bytes) else value.format(key=key)
        for name, value in headers.items()
    }
    request = shared_api.client.build_request("GET", "/api/v1/profiles")
    del request.headers["X-Api-Key"]
    request.headers.update(sent)
    answer = shared_api.client.send(request)
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == {"error": "Authentication required", "code": "AUTH_REQUIRED"}


@pytest.mark.parametrize("path", ["/api/v1/profiles", "/api/v1/account", "/tm/lease", "/", "/x"])
def test_every_path_needs_the_key(shared_api, path):
    answer = shared_api.client.get(path, headers={"X-Api-Key": "tm_wrong"})
    assert answer.status_code == 401


def test_answers_are_neither_stored_nor_sniffed(shared_api):
    for path in ("/profiles", "/nowhere", "/history/abc"):
        answer = shared_api.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"


def test_the_budget_is_shared_and_says_when_to_come_back(start_server):
    server = start_server(requests_per_minute=3)
    with server.client() as client:
        api = Api(client)
        refused = client.get("/api/v1/profiles", headers={"X-Api-Key": "wrong"})
        assert refused.status_code == 401
        assert [api.get("/profiles").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        answer = api.get("/account")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json() == {"error": "Rate limit exceeded"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/profiles/", 404),
        ("GET", "/profiles/1/nowhere", 404),
        ("GET", "/../../etc/passwd", 404),
        ("PATCH", "/profiles", 405),
        ("POST", "/profiles/1", 405),
        ("GET", "/profiles/1/start", 405),
        ("DELETE", "/account", 405),
    ],
)
def test_unknown_routes_and_methods_have_an_envelope(shared_api, method, path, status):
    answer = shared_api.client.request(method, "/api/v1" + path)
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)


GOOD = json.dumps(body()).encode()


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (GOOD, "text/plain"),
        (GOOD, ""),
        (GOOD, "application/x-www-form-urlencoded"),
        (b"", "application/json"),
        (b"null", "application/json"),
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (GOOD + b"x", "application/json"),
        (GOOD.replace(b'"duration": 20', b'"duration": 20, "duration": 30'), "application/json"),
        (GOOD.replace(b"20}", b"NaN}"), "application/json"),
        (GOOD.replace(b"20}", b"1e999}"), "application/json"),
        (GOOD.replace(b"checkout", b"\\ud800"), "application/json"),
        (GOOD.replace(b"checkout", b"\xff"), "application/json"),
        (GOOD.decode().encode("utf-16"), "application/json"),
        (b"[" * 65 + b"]" * 65, "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"1" * 5000, "application/json"),
    ],
)
def test_a_body_must_be_plain_json_with_one_meaning(shared_api, content, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = shared_api.post("/profiles", content=content, headers=headers)
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)
    assert shared_api.get("/profiles").json() == []


def test_a_charset_and_a_large_body_are_fine(api):
    large = json.dumps(body(requestBody="x" * 1_000_000)).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert api.post("/profiles", content=large, headers=headers).status_code == 201


@pytest.mark.parametrize(("path", "mebibytes"), [("/profiles", 17), ("/profiles/{id}/runs", 2)])
def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(shared_api, path, mebibytes):
    def endless():
        for _ in range(16 * mebibytes):
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    path = path.format(id=shared_api.save("large"))
    answer = shared_api.post(path, content=endless(), headers=headers)
    assert answer.status_code == 413
    assert isinstance(answer.json()["error"], str)
