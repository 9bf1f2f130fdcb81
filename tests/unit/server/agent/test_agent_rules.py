"""What a server may ask of an agent's worker, whatever its master says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

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
    ({"points": [[0, 3e8]], "max_rps": 10}, "the highest rate of the curve is 300,000,000"),
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
    probe={"url": "http://127.0.0.1:9/", "addresses": ["10.0.0.2"]},
    against={"target_url": "http://127.0.0.1:9/", "addresses": ["10.0.0.3"]},
    origins=[{"url": "http://127.0.0.1:9/", "addresses": ["10.0.0.4"]}],
)


@pytest.fixture(scope="module")
def answers():
    keys = dict.fromkeys(("public", "secret", "master"), "k" * 40)
    role = {"port": 9, "name": "eu/a", "keys": keys, "server": SERVER, "ca_file": "/etc/agent.pem"}
    jobs = [*(job(**changes) for changes, _ in REFUSED), PERMITTED]
    script = Path(__file__).with_name("judge_jobs.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(role), json.dumps(jobs)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_a_server_may_not_ask_for_is_refused(answers, number):
    assert isinstance(answers[number], str), answers[number]
    assert REFUSED[number][1] in answers[number]


def test_addresses_and_certificates_are_those_of_the_agents_machine(answers):
    changes = answers[-1]
    assert changes["ca_file"] == "/etc/agent.pem"
    assert changes["addresses"] == ["127.0.0.1"]
    for found in (changes["probe"], changes["against"], *changes["origins"]):
        assert found["addresses"] == ["127.0.0.1"]
