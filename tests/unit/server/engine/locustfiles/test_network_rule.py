"""Where a locustfile may connect to, by whatever library it does so."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

ALWAYS = [
    ("gevent", "127.0.0.1", 9, False),
    ("gevent", "localhost", 9, False),
    ("udp", "127.0.0.1", 9, False),
    ("connect_ex", "::1", 9, False),
    ("requests", "127.0.0.1", 9, False),
    ("geventhttpclient", "127.0.0.1", 9, False),
    ("gevent", "169.254.169.254", 80, True),
    ("udp", "169.254.169.254", 80, True),
    ("thread", "169.254.169.254", 80, True),
    ("connect_ex", "fd00:ec2::254", 80, True),
    ("connect_ex", "::ffff:169.254.169.254", 80, True),
    ("gevent", "127.0.0.1", 4711, True),
    ("geventhttpclient", "localhost", 4711, True),
    ("gevent", "10.1.2.3", 443, True),
    ("gevent", "0.0.0.0", 9, True),
    ("udp", "224.0.0.1", 9, True),
]
PUBLIC = [
    (way, "192.88.98.1" if way != "connect_ex" else "2600::1", 9)
    for way in ("gevent", "connect_ex", "thread", "udp", "requests", "geventhttpclient")
]


@pytest.fixture(scope="module")
def refusals():
    always = [each[:3] for each in ALWAYS]
    asked = {"public": always, "private": [*always, *PUBLIC]}  # with "public" these would be opened
    command = [sys.executable, "-m", f"{__package__}.connect_to", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["public", "private"])
def test_the_rule_holds_for_every_way_to_connect(refusals, kind):
    found = refusals[kind]
    expected = [each[3] for each in ALWAYS] + [True] * (len(found) - len(ALWAYS))
    assert [name == "TargetRefused" for name in found] == expected


def test_a_failure_has_the_name_that_the_system_gives_it_whatever_library_wraps_it(refusals):
    asked = [each[0] for each in ALWAYS if not each[3]]
    named = dict(zip(asked, refusals["private"], strict=False))
    assert {named[way] for way in ("gevent", "requests", "geventhttpclient")} == {
        "ConnectionRefusedError"
    }
