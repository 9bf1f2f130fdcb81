"""What a worker refuses or replaces, whatever its master says."""

import asyncio
import hashlib

import pytest

from tests.unit.server.engine.distributed.scripted_workers import job_of
from tm_cli.server.engine.distributed.host_rule import allowed
from tm_cli.server.engine.distributed.roles import WorkerRole, run_keys
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.web.bodies import Refusal

KEYS = run_keys()[1]
PUBLIC = {"target_url": "http://8.8.8.8/", "addresses": ["127.0.0.1"]}
LOCAL = {"target_url": "http://127.0.0.1:8080/", "addresses": ["8.8.8.8"]}


def changes(job, **role):
    job = EngineJob.parse(job_of().model_dump() | job)
    return asyncio.run(allowed(job, WorkerRole(port=1, name="a", keys=KEYS, **role)))


@pytest.mark.parametrize(
    ("job", "role", "reason"),
    [
        (PUBLIC, {}, "targetUrl cannot be used: 8.8.8.8 is public"),
        ({"against": PUBLIC}, {}, "8.8.8.8 is public"),
        ({"probe": {"url": "http://8.8.8.8/"}}, {}, "8.8.8.8 is public"),
        ({"origins": [{"url": "http://8.8.8.8/"}]}, {}, "8.8.8.8 is public"),
        ({"target_url": "http://169.254.169.254/"}, {"allow_public": True}, "link-local"),
        (LOCAL, {"server": "http://localhost:8080/"}, "it is the server of this agent"),
        ({"points": [(0, 20_000)]}, {}, "the highest rate of the curve is 20,000 requests"),
        ({"points": [(0, 20_000)]}, {"trusts_addresses": True}, "the highest rate of the curve"),
    ],
)
def test_what_this_machine_does_not_permit_is_refused(job, role, reason):
    with pytest.raises(Refusal, match=reason):
        changes(job, **role)


def test_the_load_goes_to_the_addresses_that_were_judged_here():
    asked = {"url": "http://127.0.0.1/", "addresses": ["8.8.8.8"]}
    job = {**LOCAL, "against": LOCAL, "probe": {**asked, "wait": 3.0}, "origins": [asked]}
    found = changes(job)
    assert found["addresses"] == ["127.0.0.1"]
    assert found["against"]["addresses"] == found["probe"]["addresses"] == ["127.0.0.1"]
    assert found["probe"]["wait"] == 3.0
    assert found["origins"] == [{"url": "http://127.0.0.1/", "addresses": ["127.0.0.1"]}]


def test_the_master_names_no_certificates_to_trust():
    assert changes({"ca_file": "/etc/theirs"})["ca_file"] is None
    assert changes({"ca_file": "/etc/theirs"}, ca_file="/etc/ours")["ca_file"] == "/etc/ours"


def test_a_worker_of_this_machine_keeps_what_the_server_has_judged():
    assert changes(PUBLIC, trusts_addresses=True) == {"ca_file": None}


def test_only_a_locustfile_that_the_owner_has_named_is_played(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text("import os")
    theirs = {"path": str(path), "directory": "/", "allow_public": True, "variables": {"A": "1"}}
    file = {"file": "x.py", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "env": ["B"]}
    job = {"locustfile": {**file, "place": theirs}}
    with pytest.raises(Refusal, match=r"x\.py with the SHA-256 .* is not on the machine"):
        changes(job)
    found = changes(job, locustfiles=[str(path)], variables={"A": "2", "B": "3"})["locustfile"][
        "place"
    ]
    assert found["path"] == str(path)
    assert (found["directory"], found["allow_public"]) == (None, False)
    assert found["variables"] == {"B": "3"}
