"""Agents with real load generators, in one process with the server; nobody is lost here."""

from functools import partial

import pytest

from tests.unit.server.agent.relay import Relay
from tests.unit.server.agent.test_agent import regions
from tests.unit.server.running_server import Api, eventually
from tm_cli.server.workers.local_worker import DEFAULT_COMMAND

pytestmark = pytest.mark.process


@pytest.fixture
def relay():
    with Relay() as relay:
        yield relay


@pytest.fixture
def real_server(start_server, tmp_path):
    return partial(start_server, tmp_path / "real", engine_command=None)


@pytest.fixture
def real(start_agent):
    """Start an agent with the real load generator."""
    return lambda server, **options: start_agent(
        server, engine_command=DEFAULT_COMMAND, **options
    ).connected()


def ended(api, run_id):
    """The row of a run, once it is there."""
    return eventually(
        lambda: next((row for row in api.rows() if row["runId"] == run_id), None), patience=40
    )


def test_two_runs_of_two_workers_share_their_curves_and_are_unreadable_on_the_wire(
    real_server, real, relay, target
):
    here = f"127.0.0.1:{relay.port}"
    server = real_server(hostnames=[here])
    relay.target_port = int(server.info.base_url.rpartition(":")[2])
    real(server, url=f"http://{here}/", workers=2)
    with server.client() as client:
        api = Api(client)
        eventually(lambda: regions(api).get("eu-west", {}).get("connectedCount") == 2)
        runs = [
            api.start(
                api.save(
                    path,
                    targetUrl=target.url(f"/{path}"),
                    httpMethod="GET",
                    headers=[{"name": "Authorization", "value": f"Bearer of-{path}"}],
                    points=[{"x": 0, "y": 40}, {"x": 10, "y": 40}],
                    duration=10,
                ),
                region="eu-west",
            )
            for path in ("first-path", "second-path")
        ]
        rows = [ended(api, run_id) for run_id in runs]
    assert [(row["outcome"], row["totalRequests"]) for row in rows] == [("COMPLETED", 400)] * 2
    assert target.served == {"/first-path": 400, "/second-path": 400}
    assert relay.connections == 6  # two of presence, four tunnels
    assert b"X-Tm-Ticket" in relay.heard
    for word in (b"-path", b"Bearer", b"target_url", b"bucket"):
        assert word not in relay.heard


def test_an_agent_judges_the_target_as_seen_from_its_host(real_server, real):
    server = real_server()
    real(server)
    refused = {
        "http://8.8.8.8/": "8.8.8.8 is public",
        f"{server.info.base_url}/api/v1/profiles": "it is the server of this agent",
    }
    with server.client() as client:
        api = Api(client)
        runs = [
            api.start(api.save(name, targetUrl=url), region="eu-west")
            for name, url in zip(("a", "b"), refused, strict=True)
        ]
        rows = [ended(api, run_id) for run_id in runs]
        found = [api.get(f"/history/{row['id']}").json()["autoVerdictReasons"] for row in rows]
    assert [row["outcome"] for row in rows] == ["ABORTED", "ABORTED"]
    for reasons, reason in zip(found, refused.values(), strict=True):
        assert f"no worker took part: targetUrl cannot be used: {reason}" in reasons
