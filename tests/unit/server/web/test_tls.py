"""The server for other machines: by https, with names, and by plain http for its own machine."""

import contextlib
import json
import socket
import ssl
import time

import httpx2
import pytest
import trustme

from tests.unit.server.running_agent import RunningAgent
from tests.unit.server.running_server import Api, RunningServer, eventually
from tm_cli.errors import ConfigurationError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a certificate for 127.0.0.1 and load.example, and of the authority behind it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "load.example")
    files = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(files["ca"])
    issued.private_key_pem.write_to_path(files["key"])
    for blob in issued.cert_chain_pems:
        blob.write_to_path(files["cert"], append=True)
    return files


@pytest.fixture
def server(start_server, certificate):
    return start_server(
        tls_cert=certificate["cert"], tls_key=certificate["key"], hostnames=("load.example",)
    )


def public_port(server):
    return int(server.info.public_url.rpartition(":")[2])


def ask(server, certificate, **headers):
    context = ssl.create_default_context(cafile=certificate["ca"])
    url = f"https://127.0.0.1:{public_port(server)}/api/v1/profiles"
    headers = {"X-Api-Key": server.key, **headers}
    with httpx2.Client(verify=context, trust_env=False) as client:
        return client.get(url, headers=headers)


def test_other_machines_are_answered_by_https_alone(server, certificate):
    assert server.info.public_url == f"https://load.example:{public_port(server)}"
    assert ask(server, certificate).json() == []
    assert ask(server, certificate, **{"X-Api-Key": "wrong"}).status_code == 401
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"http://127.0.0.1:{public_port(server)}/", trust_env=False)


def test_commands_of_this_machine_go_on_by_http(server):
    info = json.loads((server.options.data_dir / "server.json").read_text())
    assert info["base_url"] == server.info.base_url
    assert info["base_url"].startswith("http://127.0.0.1:")
    with server.client() as client:
        assert Api(client).get("/profiles").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("load.example", 200),
        ("LOAD.example:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("127.0.0.1", 421),
        ("load.example:1", 421),
        ("evil.test", 421),
        ("evil.test:{port}", 421),
        ("10.0.0.1:{port}", 421),
    ],
)
def test_only_the_given_names_and_its_address_are_hosts(server, certificate, host, status):
    answer = ask(server, certificate, Host=host.format(port=public_port(server)))
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://load.example", 200),
        ("http://load.example", 403),
        ("https://evil.test", 403),
    ],
)
def test_origins_are_those_of_the_door(server, certificate, origin, status):
    assert ask(server, certificate, Origin=origin).status_code == status


def test_a_name_can_belong_to_a_proxy_in_front(start_server):
    server = start_server(hostnames=("load.example",))
    with server.client() as client:
        url = "/api/v1/profiles"
        assert client.get(url, headers={"Host": "load.example"}).status_code == 200
        assert client.get(url, headers={"Host": "other.example"}).status_code == 421
    assert server.info.public_url is None


@pytest.mark.process
def test_agents_join_by_https(server, certificate):
    trusted = ssl.create_default_context(cafile=certificate["ca"])
    url = f"https://127.0.0.1:{public_port(server)}/"
    agent = RunningAgent(server, url=url, tls=trusted).start().connected()
    try:
        with server.client() as client:
            api = Api(client)
            detail = api.judged(api.start(api.save(script="codes=200:100"), region="eu-west"))
        assert detail["totalRequests"] == 400
    finally:
        agent.stop()


def test_an_agent_sends_no_key_to_a_server_it_cannot_trust(server):
    url = f"https://127.0.0.1:{public_port(server)}/"
    agent = RunningAgent(server, url=url, tls=ssl.create_default_context()).start()
    eventually(lambda: any("TM_CA_FILE" in line for line in agent.said))
    agent.stop()
    assert agent.error is None


def test_an_agent_that_connects_by_http_is_pointed_to_https(server):
    agent = RunningAgent(server, url=f"http://127.0.0.1:{public_port(server)}/").start()
    eventually(lambda: any("use https" in line for line in agent.said))
    agent.stop()


def test_a_handshake_and_a_head_together_have_one_deadline(start_server, certificate):
    server = start_server(
        tls_cert=certificate["cert"], tls_key=certificate["key"], head_timeout=0.3
    )
    address = ("127.0.0.1", public_port(server))
    context = ssl.create_default_context(cafile=certificate["ca"])
    began = time.monotonic()
    with socket.create_connection(address, timeout=5) as silent:
        with (
            socket.create_connection(address, timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as shaken,
        ):
            shaken.sendall(b"GET /api/v1/profiles HTTP/1.1\r\n")
            assert is_closed(shaken)
        assert is_closed(silent)
    assert time.monotonic() - began < 2


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True


def test_connections_without_a_handshake_keep_no_client_out(server, certificate):
    address = ("127.0.0.1", public_port(server))
    with contextlib.ExitStack() as unauthenticated:
        for _ in range(300):
            unauthenticated.enter_context(socket.create_connection(address, timeout=5))
        assert ask(server, certificate).status_code == 200
        with server.client() as inside:
            assert Api(inside).get("/profiles").status_code == 200


@pytest.mark.parametrize("given", [{"tls_cert": "cert"}, {"tls_key": "key"}])
def test_certificate_and_key_belong_together(tmp_path, certificate, given):
    options = {name: certificate[file] for name, file in given.items()}
    with pytest.raises(ConfigurationError, match="belong together"):
        RunningServer(tmp_path / "data", **options).start()


def test_files_that_are_no_certificate_are_refused(tmp_path, certificate):
    for cert, key in (("key", "cert"), ("ca", "key"), ("missing", "key")):
        files = {**certificate, "missing": tmp_path / "missing"}
        with pytest.raises(ConfigurationError, match="cannot use the certificate"):
            RunningServer(tmp_path / "data", tls_cert=files[cert], tls_key=files[key]).start()


def test_every_address_of_the_machine_can_be_served(start_server, certificate):
    server = start_server(host="0.0.0.0", tls_cert=certificate["cert"], tls_key=certificate["key"])
    assert ask(server, certificate).status_code == 200
    assert ask(server, certificate, Host="load.example").status_code == 421


def test_only_this_machine_is_given_a_proof_of_identity(server, certificate):
    path = f"/tm/identity?challenge={'0' * 64}"
    context = ssl.create_default_context(cafile=certificate["ca"])
    with httpx2.Client(verify=context, trust_env=False) as client:
        assert client.get(f"{server.info.base_url}{path}").status_code == 200
        outside = f"https://127.0.0.1:{public_port(server)}{path}"
        assert client.get(outside).status_code == 401
