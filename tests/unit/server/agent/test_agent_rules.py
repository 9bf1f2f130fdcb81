"""What a server may ask of an agent's worker, whatever its master says."""

import asyncio
import os

import pytest

from tm_cli.server.engine.distributed.host_rule import allowed
from tm_cli.server.engine.distributed.roles import WorkerRole
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.web.bodies import Refusal

SERVER = "http://localhost:8092/"
ALLOWED = {"addresses": ["127.0.0.1"]}


def job(**changes):
    plain = {
        "run_id": "r",
        "target_url": "http://127.0.0.1:9/",
        "points": [[0, 20]],
        "duration": 20,
    }
    return plain | changes


REFUSED = [
    ({"points": [[0, 3e8]]}, "the highest rate of the curve is 300,000,000"),
    ({"points": [[0, 3e8]], "max_rps": 2e8}, "the highest rate of the curve is 200,000,000"),
    ({"target_url": "http://8.8.8.8/"}, "is public"),
    ({"target_url": "http://8.8.8.8/", **ALLOWED}, "is public"),
    ({"target_url": "http://[fd00:ec2::23]/"}, "is a metadata service"),
    ({"target_url": SERVER}, "the server of this agent"),
    ({"target_url": "http://127.0.0.2:8092/"}, "the server of this agent"),
    ({"probe": {"url": "http://169.254.169.254/", "wait": 1, **ALLOWED}}, "is link-local"),
    ({"against": {"target_url": "http://8.8.4.4/", **ALLOWED}}, "is public"),
    ({"origins": [{"url": "http://8.8.4.4/", **ALLOWED}]}, "is public"),
    ({"origins": [{"url": "http://127.0.0.1/"}, {"url": SERVER}]}, "the server of this agent"),
]
PERMITTED = job(
    ca_file="/etc/shadow",
    addresses=["10.0.0.1"],
    probe={"url": "http://127.0.0.1:9/", "addresses": ["10.0.0.2"], "wait": 3},
    against={"target_url": "http://127.0.0.1:9/", "addresses": ["10.0.0.3"]},
    origins=[{"url": "http://127.0.0.1:9/", "addresses": ["10.0.0.4"]}],
)


ROLE = {
    "port": 9,
    "name": "eu/a",
    "keys": dict.fromkeys(("public", "secret", "master"), "k" * 40),
    "server": SERVER,
    "ca_file": "/etc/agent.pem",
}


def changes_in(document, **role):
    return asyncio.run(allowed(EngineJob.parse(document), WorkerRole(**{**ROLE, **role})))


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
def test_what_a_server_may_not_ask_for_is_refused(changes, reason):
    with pytest.raises(Refusal, match=reason):
        changes_in(job(**changes))


def test_addresses_and_certificates_are_those_of_the_agents_machine():
    changes = changes_in(PERMITTED)
    assert changes["ca_file"] == "/etc/agent.pem"
    assert changes["addresses"] == ["127.0.0.1"]
    assert changes["probe"]["wait"] == PERMITTED["probe"]["wait"]
    for found in (changes["probe"], changes["against"], *changes["origins"]):
        assert found["addresses"] == ["127.0.0.1"]


def test_a_worker_of_the_servers_machine_keeps_what_the_server_has_judged():
    assert changes_in(PERMITTED, trusts_addresses=True) == {"ca_file": "/etc/agent.pem"}


OWN = {"cert": "/etc/own.pem", "key": "/etc/own-key.pem"}


@pytest.mark.parametrize("named", [(), ("/etc/own.pem",), ("/etc/own-key.pem",)])
def test_a_client_certificate_that_the_owner_has_not_named_is_not_read(named):
    with pytest.raises(Refusal, match="this agent does not permit /etc/own"):
        changes_in(job(client_certificate=OWN), certificates=named)


def test_a_client_certificate_that_the_owner_has_named_is_used():
    changes = changes_in(
        job(client_certificate=OWN), certificates=("/etc/own-key.pem", "/etc/own.pem")
    )
    assert changes["client_certificate"] == {**OWN, "password": None}


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_client_certificate_may_be_named_in_another_way_and_is_read_where_the_owner_has_it(
    tmp_path,
):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "own.pem").touch()
    (tmp_path / "link").symlink_to(tmp_path / "profiles")
    (own,) = certificates = (str(tmp_path / "own.pem"),)
    for written in ("profiles/../own.pem", "link/../own.pem", "./own.pem"):
        certificate = {"cert": f"{tmp_path}/{written}"}
        changes = changes_in(job(client_certificate=certificate), certificates=certificates)
        assert changes["client_certificate"]["cert"] == own
    for written in ("profiles/own.pem", "own.pem\0"):
        certificate = {"cert": f"{tmp_path}/{written}"}
        with pytest.raises(Refusal, match="does not permit"):
            changes_in(job(client_certificate=certificate), certificates=certificates)
