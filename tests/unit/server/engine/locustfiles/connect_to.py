"""Opens connections under the rule of a locustfile, and writes which of them were refused."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
import requests  # noqa: E402
from geventhttpclient import HTTPClient  # noqa: E402
from locust import FastHttpUser  # noqa: E402, F401 - as in a locustfile

from tm_cli.server.engine.locustfiles.network_rule import enforce  # noqa: E402
from tm_cli.server.engine.locustfiles.reference import LocustfilePlace  # noqa: E402
from tm_cli.server.engine.locustfiles.visitors import result_of  # noqa: E402

OWN_PORT = 4711
WAYS = {
    "gevent": lambda host, port: socket.create_connection((host, port), timeout=0.3),
    "connect_ex": lambda host, port: _socket(host).connect_ex((host, port)),
    "thread": lambda host, port: gevent.get_hub().threadpool.apply(
        monkey.get_original("socket", "create_connection"), ((host, port), 0.3)
    ),
    "udp": lambda host, port: _socket(host, socket.SOCK_DGRAM).sendto(b"x", (host, port)),
    "requests": lambda host, port: requests.get(_url(host, port), timeout=0.3),
    "geventhttpclient": lambda host, port: HTTPClient(host, port, connection_timeout=0.3).get("/"),
}


def _socket(host, kind=socket.SOCK_STREAM):
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    made.settimeout(0.3)
    return made


def _url(host, port):
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def outcome(way, host, port):
    """The name of the failure."""
    try:
        WAYS[way](host, port)
    except Exception as error:
        return str(result_of(error, None, {})).partition(" ")[0]
    return "none"


found, servers = {}, [("10.1.2.3", 443)]
for kind, asked in json.loads(sys.argv[1]).items():  # the strict rule last: it is never lifted
    place = {"path": "x", "allow_public": kind == "public", "servers": servers}
    enforce(LocustfilePlace(**place, own_ports={OWN_PORT}))
    found[kind] = [outcome(*each) for each in asked]
sys.stdout.write(json.dumps(found))
