"""A worker of another machine plays files that its own user has named, whatever it is asked."""

import json
import subprocess
import sys

import pytest

from tm_cli.runtime.locustfile import hash_of

pytestmark = pytest.mark.process
KEYS = dict.fromkeys(("public", "secret", "master"), "k" * 40)


@pytest.fixture
def ask(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text("x = 1\n", encoding="utf-8")
    sha256 = hash_of(path.read_bytes())

    def ask(named, place):
        role = {
            "port": 1,
            "name": "eu/one",
            "keys": KEYS,
            "server": "http://127.0.0.1:8092/",
            "locustfiles": [str(each) for each in named],
            "variables": {"TOKEN": "own", "OTHER": "own"},
        }
        file = {"file": "shop.py", "sha256": sha256, "env": ["TOKEN"], "place": place}
        job = {"run_id": "run", "target_url": "http://127.0.0.1:9/", "duration": 1}
        job |= {"points": [[0, 1], [1, 1]], "locustfile": file}
        command = [sys.executable, "-m", f"{__package__}.ask_worker", json.dumps([[role, job]])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)[0]

    ask.path, ask.sha256 = path, sha256
    return ask


def test_a_path_that_the_master_names_is_never_played(ask):
    refusal = ask([], {"path": str(ask.path)})
    assert ask.sha256 in refusal
    assert "`tm agent --locustfile FILE`" in refusal


def test_a_file_of_its_own_is_found_by_its_hash_with_rule_and_variables_of_its_own(ask):
    place = ask(
        [ask.path],
        {"path": "/etc/passwd.py", "variables": {"TOKEN": "foreign"}, "allow_public": True},
    )
    assert place == {
        "path": str(ask.path),
        "directory": None,
        "variables": {"TOKEN": "own"},
        "allow_public": False,
        "own_ports": [],
        "servers": [["127.0.0.1", 8092]],
    }
