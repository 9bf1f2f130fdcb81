"""Agents and the real server in one process; the engines only pretend to send traffic."""

import json
import os
import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.unit.server.running_server import Api, eventually
from tm_cli import __version__
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode
from tm_cli.values.api_key import ApiKey

pytestmark = pytest.mark.process

HALF = "codes=200:50"  # of the 100 requests that a bucket of the profile plans


def regions(api):
    return {region["regionCode"]: region for region in api.get("/regions").json()}


def logged(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def port_of(server):
    return int(server.info.base_url.rpartition(":")[2])


def handshake(server, path, **headers):
    """The status with which a WebSocket is refused, 101 if it is not."""
    url = server.info.base_url.replace("http", "ws", 1) + path
    try:
        with connect(url, additional_headers=headers, proxy=None, close_timeout=0.1):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def introduction(region="eu-west", name="agent-1", version=__version__):
    return f"/tm/agent?region={region}&name={name}&version={version}"


def test_regions_show_agents_and_connections(api, start_agent):
    assert list(regions(api)) == ["local"]
    agents = [start_agent(), start_agent(name="agent-2", workers=2)]
    eventually(lambda: regions(api).get("eu-west", {}).get("connectedCount") == 3)
    assert regions(api)["eu-west"] == {
        "regionCode": "eu-west",
        "displayName": "eu-west",
        "isLocal": False,
        "agentCount": 2,
        "connectedCount": 3,
    }
    agents[1].stop()
    eventually(lambda: regions(api)["eu-west"]["connectedCount"] == 1)
    assert regions(api)["eu-west"]["agentCount"] == 2
    agents[0].stop()
    eventually(lambda: list(regions(api)) == ["local"])


def test_a_run_in_a_region_has_a_worker_behind_each_connection(api, start_agent, server, tmp_path):
    start_agent().connected()
    start_agent(name="agent-2", workers=2, ca_file="/etc/agent.pem")
    eventually(lambda: regions(api)["eu-west"]["connectedCount"] == 3)
    log = tmp_path / "log"
    profile_id = api.save(script=f"log={log}&addresses=10.0.0.1:202,10.0.0.2:198")
    run_id = api.start(profile_id, region="eu-west")
    assert api.status(profile_id)["region"] == "eu-west"
    detail = api.judged(run_id)
    assert (detail["region"], detail["regionDisplayName"]) == ("eu-west", "eu-west")
    assert (detail["outcome"], detail["totalRequests"]) == ("COMPLETED", 1200)
    assert detail["addresses"] == {"10.0.0.1": 202, "10.0.0.2": 198}
    jobs = [line["job"] for line in logged(log) if "job" in line]
    assert sorted(job["share"]["index"] for job in jobs) == [0, 1, 2]
    assert {job["addresses"] for job in jobs} == {None}  # each agent looks the name up
    workers = {line["worker"]["name"]: line["worker"] for line in logged(log) if "worker" in line}
    assert set(workers) == {"eu-west/agent-1", "eu-west/agent-2", "eu-west/agent-2#2"}
    first, second = workers["eu-west/agent-1"], workers["eu-west/agent-2"]
    assert (first["server"], first["allow_public"]) == (f"{server.info.base_url}/", False)
    assert (first["ca_file"], second["ca_file"]) == (None, "/etc/agent.pem")
    assert not first["trusts_addresses"]


def test_pause_resume_and_stop_reach_the_master(api, start_agent, tmp_path):
    start_agent().connected()
    log = tmp_path / "log"
    profile_id = api.save(script=f"mode=hold&log={log}")
    run_id = api.start(profile_id, region="eu-west")
    eventually(lambda: api.status(profile_id)["requestsSent"])
    for verb in ("pause", "resume", "stop"):
        api.post(f"/profiles/{profile_id}/{verb}")
    assert api.row_of(run_id)["outcome"] == "STOPPED"
    commands = [line["command"] for line in logged(log) if "command" in line]
    assert commands[:3] == ["pause", "resume", "stop"]


def test_two_runs_in_a_region_have_workers_of_their_own(api, start_agent, tmp_path):
    start_agent().connected()
    logs = [tmp_path / "first", tmp_path / "second"]
    profiles = [api.save(path.name, script=f"mode=hold&log={path}") for path in logs]
    for profile_id in profiles:
        api.start(profile_id, region="eu-west")
    for profile_id in profiles:
        eventually(lambda number=profile_id: api.status(number)["requestsSent"])
        api.post(f"/profiles/{profile_id}/stop")
    first, second = (
        next(line["worker"] for line in logged(path) if "worker" in line) for path in logs
    )
    assert first["keys"] != second["keys"]
    assert first["port"] != second["port"]


def test_a_run_in_a_region_without_agents_is_refused(api, start_agent):
    profile_id = api.save()
    answer = api.post(f"/profiles/{profile_id}/runs", json={"region": "eu-west"})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "Region 'eu-west' is not available: there is no such region; available now: local"
    )
    start_agent(region="us-east").connected()
    start_agent().connected().stop()
    eventually(lambda: "eu-west" not in regions(api))
    answer = api.post(f"/profiles/{profile_id}/runs", json={"region": "eu-west"})
    assert answer.json()["error"] == (
        "Region 'eu-west' is not available: no agent is connected there; "
        "available now: local, us-east"
    )


@pytest.mark.skipif(os.name != "posix", reason="process ids")
def test_without_a_server_an_agent_sends_no_load(server, start_agent, tmp_path):
    pids = tmp_path / "pids"
    agent = start_agent().connected()
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(script=f"mode=deaf&pids={pids}")
        api.start(profile_id, region="eu-west")
        eventually(lambda: api.status(profile_id)["requestsSent"])
    server.stop()
    eventually(lambda: any("no connection to" in line for line in agent.said))
    eventually(lambda: any("ended" in line for line in agent.said))
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_an_agent_comes_back_to_a_server_that_comes_back(server, start_server, start_agent):
    agent = start_agent().connected()
    server.stop()
    eventually(lambda: any("retrying in" in line for line in agent.said))
    assert "Errno" not in "".join(agent.said)
    assert "1012" not in "".join(agent.said)
    again = start_server(port=port_of(server))
    with again.client() as client:
        eventually(lambda: "eu-west" in regions(Api(client)))


def test_a_wrong_key_ends_the_agent_at_once(start_agent):
    agent = start_agent(key="tm_wrong")
    agent.join()
    assert agent.error.exit_code is ExitCode.AUTHENTICATION
    assert "tm_wrong" not in str(agent.error)


def test_a_replaced_key_is_read_again(server, start_agent):
    agent = start_agent(key="tm_old-key", read_key_again=lambda: ApiKey(server.key)).connected()
    assert any("trying once more" in line for line in agent.said)
    assert server.key not in "".join(agent.said)


@pytest.mark.parametrize("region", ["local", "EU", "x" * 31])
def test_a_region_that_cannot_be_ends_the_agent(start_agent, region):
    agent = start_agent(region=region)
    agent.join()
    assert isinstance(agent.error, ConfigurationError)


def test_an_agent_of_another_version_is_refused(server):
    key = {"X-Api-Key": server.key}
    assert handshake(server, introduction(), **key) == 101
    assert handshake(server, introduction(version="0.0.1"), **key) == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-Api-Key": "wrong"}, 401),
        ({"X-Api-Key": "{key}", "Origin": "https://evil.test"}, 403),
        ({"X-Api-Key": "{key}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "Bearer {key}"}, 101),
    ],
)
def test_a_handshake_is_checked_like_a_request(server, headers, status):
    headers = {name: value.format(key=server.key) for name, value in headers.items()}
    assert handshake(server, introduction(), **headers) == status


def test_a_handshake_for_another_host_is_refused(server):
    port = port_of(server)
    lines = [
        f"GET {introduction()} HTTP/1.1",
        f"Host: evil.test:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"X-Api-Key: {server.key}",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"nosniff" in answer


def test_nothing_else_is_a_websocket(server):
    key = {"X-Api-Key": server.key}
    assert handshake(server, "/api/v1/profiles", **key) == 403
    assert handshake(server, "/tm/lease", **key) == 403


def test_handshakes_do_not_use_up_the_budget_of_requests(start_server):
    server = start_server(requests_per_minute=2)
    key = {"X-Api-Key": server.key}
    assert [handshake(server, introduction(), **key) for _ in range(4)] == [101] * 4


def test_a_peer_that_sends_an_invalid_message_is_disconnected(server, api):
    url = server.info.base_url.replace("http", "ws", 1) + introduction()
    with connect(url, additional_headers={"X-Api-Key": server.key}, proxy=None) as peer:
        eventually(lambda: "eu-west" in regions(api))
        peer.send("hello")
        eventually(lambda: "eu-west" not in regions(api))
