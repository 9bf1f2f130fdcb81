"""Real agents behind NAT whose cable is pulled out, and agents that are frozen."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import trustme

from tests.unit.server.agent.network import IS_POSSIBLE, PrivateNetwork
from tests.unit.server.agent.test_agent import regions
from tests.unit.server.agent.test_real_agents import ended
from tests.unit.server.counting_target import CountingTarget
from tests.unit.server.running_server import Api, eventually

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not IS_POSSIBLE, reason="needs Linux, root, ip and iptables"),
]

RATE = 60


@pytest.fixture
def network():
    with PrivateNetwork() as network:
        yield network


@pytest.fixture
def target(network):
    with CountingTarget(network.server) as target:
        yield target


@pytest.fixture
def server(network, start_server, tmp_path):
    """Reached with TLS at the address that the private network sees, by the name load.test."""
    ca = trustme.CA()
    certificate = ca.issue_cert(network.server)
    paths = {name: tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")}
    ca.cert_pem.write_to_path(paths["ca.pem"])
    certificate.cert_chain_pems[0].write_to_path(paths["cert.pem"])
    certificate.private_key_pem.write_to_path(paths["key.pem"])
    server = start_server(
        engine_command=None,
        host=network.server,
        tls_cert=paths["cert.pem"],
        tls_key=paths["key.pem"],
        hostnames=[network.server],
    )
    server.ca_file = paths["ca.pem"]
    return server


@pytest.fixture
def start(server, tmp_path):
    """Start `tm agent` here, or behind a prefix; its process."""
    with contextlib.ExitStack() as started:

        def begin(name, *prefix):
            words = ["agent", "--server", server.info.public_url, "--region", "eu", "--name", name]
            agent = subprocess.Popen(
                [*prefix, sys.executable, "-m", "tm_cli", *words],
                cwd=tmp_path,
                env={**os.environ, "TM_API_KEY": server.key, "TM_CA_FILE": str(server.ca_file)},
                stderr=subprocess.DEVNULL,
            )
            started.callback(agent.wait, 10)
            started.callback(agent.terminate)
            return agent

        yield begin


@contextlib.contextmanager
def running(server, target, workers, seconds):
    """A run with so many workers, from its first request on; the API, its id and its beginning."""
    with server.client() as client:
        api = Api(client)
        eventually(lambda: regions(api).get("eu", {}).get("connectedCount") == workers, patience=30)
        profile_id = api.save(
            httpMethod="GET",
            targetUrl=target.url("/"),
            points=[{"x": 0, "y": RATE}, {"x": seconds, "y": RATE}],
            duration=seconds,
        )
        run_id = api.start(profile_id, region="eu")
        eventually(lambda: target.times, patience=30)
        yield api, run_id, target.times[0]


def until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


def result(api, run_id):
    return api.get(f"/history/{ended(api, run_id)['id']}").json()


def test_a_short_interruption_of_the_network_costs_no_request(server, network, target, start):
    start("near")
    start("far", *network.prefix)
    with running(server, target, 2, 10) as (api, run_id, began):
        until(began + 3)
        network.unplug()
        until(began + 4.2)
        network.plug_in()
        detail = result(api, run_id)
    assert (detail["outcome"], detail["notes"]) == ("COMPLETED", [])
    assert detail["totalRequests"] == len(target.times) == 10 * RATE


def freeze(agent, how):
    for process in (*psutil.Process(agent.pid).children(recursive=True), agent):
        os.kill(process.pid, how)


def test_a_frozen_agent_and_one_whose_cable_is_cut_are_replaced_and_send_nothing_twice(
    server, network, target, start
):
    start("near")
    frozen = start("frozen")
    start("far", *network.prefix)
    with running(server, target, 3, 16) as (api, run_id, began):
        until(began + 2)
        freeze(frozen, signal.SIGSTOP)
        until(began + 8)
        freeze(frozen, signal.SIGCONT)  # its share is others' by now
        network.unplug()
        detail = result(api, run_id)
    assert detail["outcome"] == "COMPLETED"
    check_moved(detail["notes"], {"eu/frozen": 2, "eu/far": 8})
    check_rates(target.times, began, 16)


def check_moved(notes, lost_at):
    """Noticed within 4 s, moved within 6 s."""
    for note, (worker, moment) in zip(notes, lost_at.items(), strict=True):
        assert note.startswith(f"worker {worker} was lost at second ")
        noticed = float(note.split(" at second ")[1].split()[0])
        moved = float(note.rpartition(" ")[2])
        assert moment <= noticed <= moment + 4
        assert noticed <= moved <= moment + 6


def check_rates(times, began, seconds):
    """Never more than planned, and all of it while nobody is missing."""
    counts = [0] * (seconds + 12)
    for moment in times:
        counts[int(moment - began)] += 1
    assert max(counts) < RATE * 1.25
    assert sum(counts[seconds + 1 :]) == 0
    assert counts[14] > RATE * 0.8
