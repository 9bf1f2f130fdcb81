"""A worker of another machine plays files that its own user has named, whatever it is asked."""

import asyncio
import json
from dataclasses import replace

import pytest

from tm_cli.runtime.locustfile import hash_of
from tm_cli.server.agent.options import AgentOptions
from tm_cli.server.agent.worker import _first_line
from tm_cli.server.engine.distributed.host_rule import allowed
from tm_cli.server.engine.distributed.roles import WorkerKeys, WorkerRole
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import TunnelTicket
from tm_cli.values.api_key import ApiKey

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
        changes = asyncio.run(allowed(EngineJob.parse(job), WorkerRole.model_validate(role)))
        return changes["locustfile"]["place"]

    ask.path, ask.sha256 = path, sha256
    return ask


def test_an_agent_hands_its_files_to_its_workers_and_no_variable_of_tm(tmp_path, monkeypatch):
    monkeypatch.setenv("TM_API_KEY", "secret")
    monkeypatch.setenv("STRAIT_API_KEY", "secret")
    monkeypatch.setenv("SHOP_TOKEN", "token")
    options = AgentOptions(
        server="http://127.0.0.1:8092/",
        key=ApiKey("secret"),
        region="eu",
        name="one",
        locustfiles=[tmp_path / "shop.py"],
    )
    ticket = TunnelTicket(run="run", worker="eu/one", secret="s" * 20, keys=WorkerKeys(**KEYS))
    role = json.loads(_first_line(ticket, options, 1))["worker"]
    assert role["locustfiles"] == [str(tmp_path / "shop.py")]
    assert role["variables"]["SHOP_TOKEN"] == "token"
    assert not [name for name in role["variables"] if name.startswith(("TM_", "STRAIT_"))]
    without = json.loads(_first_line(ticket, replace(options, locustfiles=()), 1))["worker"]
    assert without["variables"] == {}


def test_a_path_that_the_master_names_is_never_played(ask):
    with pytest.raises(Refusal, match="`tm agent --locustfile FILE`") as caught:
        ask([], {"path": str(ask.path)})
    assert ask.sha256 in str(caught.value)


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
