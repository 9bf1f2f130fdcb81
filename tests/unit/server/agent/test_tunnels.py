"""What a run learns of its workers behind agents, and who may open a tunnel."""

import asyncio
import json
import os
import signal
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.unit.server.agent.relay import Relay
from tests.unit.server.agent.test_agent import handshake, introduction, logged, regions
from tests.unit.server.running_server import Api, eventually
from tm_cli.server.engine.distributed.roles import WorkerKeys
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.distributed_run import WorkerTicket
from tm_cli.server.workers.remote_workers import Agents

pytestmark = pytest.mark.process


@pytest.fixture
def begin(api, tmp_path):
    """Start a run in the region that goes on until it is stopped; its id, and its notes."""

    def start(script="", name="checkout"):
        path = f"mode=hold&log={tmp_path / name}&pids={tmp_path / 'pids'}&{script}"
        profile_id = api.save(name, script=path)
        run_id = api.start(profile_id, region="eu-west")
        eventually(lambda: api.status(profile_id)["requestsSent"])
        return profile_id, run_id

    return start


def notes(api, profile_id, run_id):
    api.post(f"/profiles/{profile_id}/stop")
    return api.get(f"/history/{api.row_of(run_id)['id']}").json()["notes"]


def told(path):
    """What the master was told of workers that are gone, once it was."""

    def probe():
        return [line["reason"] for line in logged(path) if "gone" in line]

    return eventually(probe, patience=3)


def workers_of(path):
    return [line["worker"] for line in logged(path) if "worker" in line]


def test_a_run_learns_why_a_worker_ended(api, start_agent, begin, tmp_path):
    agent = start_agent().connected()
    run = begin("worker=crash")
    told(tmp_path / "checkout")
    assert notes(api, *run) == ["worker eu-west/agent-1 is gone: out of file descriptors"]
    assert any(line.endswith("ended: out of file descriptors") for line in agent.said)


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_run_learns_at_once_that_a_worker_was_killed(api, start_agent, begin, tmp_path):
    start_agent().connected()
    run = begin()
    eventually((tmp_path / "pids").exists)
    os.kill(int((tmp_path / "pids").read_text()), signal.SIGKILL)
    began = time.monotonic()
    assert told(tmp_path / "checkout") == ["its load generator was killed by signal 9"]
    assert time.monotonic() - began < 2
    assert notes(api, *run) == [
        "worker eu-west/agent-1 is gone: its load generator was killed by signal 9"
    ]


def test_a_run_learns_that_an_agent_stops(api, start_agent, begin, tmp_path):
    agent = start_agent().connected()
    run = begin()
    agent.stop()
    (reason,) = told(tmp_path / "checkout")
    assert reason in ("its agent was stopped", "its agent is gone: it was stopped")
    assert any(line.startswith(f"run {run[1]}: ended") for line in agent.said)


def test_a_run_goes_on_without_a_worker_that_cannot_be_started(api, start_agent, begin):
    start_agent().connected()
    start_agent(name="agent-2", engine_command=["/nowhere/tm"]).connected()
    (note,) = notes(api, *begin())
    assert note.startswith(
        "worker eu-west/agent-2 is gone: its load generator could not be started: "
    )


def test_a_worker_whose_run_is_over_ends(api, start_agent, begin):
    agent = start_agent().connected()
    run = begin()
    notes(api, *run)
    eventually(lambda: f"run {run[1]}: ended" in agent.said)


@pytest.mark.skipif(os.name != "posix", reason="a process group")
def test_workers_of_a_killed_server_end(start_agent, api, begin, server, tmp_path):
    agent = start_agent().connected()
    begin()
    server.stop()
    eventually(lambda: any("ended" in line for line in agent.said))
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_tunnels_use_the_proxy_that_the_environment_names(
    start_server, start_agent, tmp_path, monkeypatch
):
    with Relay(is_proxy=True) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        named = start_server(tmp_path / "named", hostnames=["load.test"])
        proxy.target_port = int(named.info.base_url.rpartition(":")[2])
        here = f"load.test:{proxy.target_port}"
        agent = start_agent(named, url=f"http://{here}/").connected()
        with named.client() as client:
            behind = Api(client)
            behind.judged(behind.start(behind.save(), region="eu-west"))
        agent.stop()
    assert proxy.asked == [f"CONNECT {here} HTTP/1.1"] * 2


@pytest.fixture
def presence(server):
    """A connection such as an agent holds."""
    url = server.info.base_url.replace("http", "ws", 1) + introduction()
    with connect(url, additional_headers={"X-Api-Key": server.key}, proxy=None) as connection:
        yield connection


def ticket_of(connection):
    """The first ticket that comes over a connection."""
    while not (message := json.loads(connection.recv(10))):
        connection.send("{}")
    return message


def tunnel(server, run_id, secret, **headers):
    return handshake(server, f"/tm/worker/{run_id}", **headers, **{"X-Tm-Ticket": secret})


def test_a_ticket_opens_one_tunnel_once(api, server, presence):
    api.start(api.save(script="mode=hold"), region="eu-west")
    ticket = ticket_of(presence)
    run_id, secret = ticket["run"], ticket["secret"]
    assert ticket["worker"] == "eu-west/agent-1"
    key = {"X-Api-Key": server.key}
    assert tunnel(server, run_id, secret) == 401
    assert tunnel(server, run_id, secret, **{"X-Api-Key": "wrong"}) == 401
    assert tunnel(server, run_id, secret, **key, Origin="https://evil.test") == 403
    assert tunnel(server, run_id, "", **key) == 404
    assert tunnel(server, run_id, secret[:-1] + "\xe9", **key) == 404
    assert tunnel(server, "another", secret, **key) == 404
    assert tunnel(server, run_id, secret, **key) == 101
    assert tunnel(server, run_id, secret, **key) == 404


def test_a_ticket_opens_one_tunnel_where_two_come_at_the_same_time():
    keys = dict.fromkeys(("public", "secret", "master"), "k" * 40)
    worker = WorkerTicket("run", "eu/a", 9, WorkerKeys(**keys), lambda reason: None)
    agents = Agents()
    agent = agents.join("eu", "a")
    secret = asyncio.run(agent.start(worker)).message["secret"]
    agents.worker_for("run", secret)
    with pytest.raises(Refusal):
        agents.worker_for("run", secret)


def test_a_ticket_ends_with_its_run(api, server, presence):
    profile_id = api.save(script="mode=hold")
    run_id = api.start(profile_id, region="eu-west")
    secret = ticket_of(presence)["secret"]
    api.post(f"/profiles/{profile_id}/stop")
    assert api.row_of(run_id)["outcome"] == "STOPPED"
    assert tunnel(server, run_id, secret, **{"X-Api-Key": server.key}) == 404


def test_a_ticket_ends_with_the_presence_of_its_agent(api, server, presence):
    run_id = api.start(api.save(script="mode=hold"), region="eu-west")
    secret = ticket_of(presence)["secret"]
    presence.close()
    eventually(lambda: "eu-west" not in regions(api))
    assert tunnel(server, run_id, secret, **{"X-Api-Key": server.key}) == 404


@pytest.fixture
def open_tunnel(server, presence):
    """Open the tunnel of the next ticket."""

    def opened():
        ticket = ticket_of(presence)
        url = server.info.base_url.replace("http", "ws", 1) + f"/tm/worker/{ticket['run']}"
        headers = {"X-Api-Key": server.key, "X-Tm-Ticket": ticket["secret"]}
        return connect(url, additional_headers=headers, proxy=None, close_timeout=0.1)

    return opened


def test_a_tunnel_reaches_the_master_of_its_run_and_ends_with_the_presence(
    api, presence, open_tunnel
):
    run_id = api.start(api.save(script="mode=hold"), region="eu-west")
    with open_tunnel() as worker:
        worker.send(b"eu-west/agent-1\n")
        assert json.loads(worker.recv(10))["run_id"] == run_id
        presence.close()
        with pytest.raises(ConnectionClosed):
            worker.recv(5)


@pytest.mark.parametrize("message", ["text", b"x" * 65537])
def test_a_tunnel_that_is_not_used_as_agreed_is_closed(api, open_tunnel, message):
    api.start(api.save(script="mode=hold"), region="eu-west")
    with open_tunnel() as worker:
        worker.send(message)
        with pytest.raises(ConnectionClosed):
            worker.recv(5)
