"""Locust's sockets with CURVE: encrypted, and open only to those who have the keys of the run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import zmq.green as zmq
from locust.exception import RPCError, RPCReceiveError, RPCSendError
from locust.rpc import Message, rpc
from zmq.error import ZMQError
from zmq.utils.z85 import encode

from tm_cli.server.engine.distributed.roles import MasterKeys, WorkerKeys

MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes; a job may carry a mebibyte of request body, and a report two full histograms a bucket."""
_HANDSHAKE = 10_000  # milliseconds that a stranger can keep a connection open
_DOMAIN = b"tm"
_ZAP = "inproc://zeromq.zap.01"


class CurveServer(rpc.Server):  # type: ignore[misc]  # locust is untyped here
    """Locust's ROUTER socket, on a free port; only the holder of the workers' key may connect.

    What cannot be delivered is told to `on_unreachable`: the socket alone would drop it silently.
    """

    def __init__(
        self, keys: MasterKeys, on_unreachable: Callable[[str], None], host: str, _port: int
    ) -> None:
        rpc.BaseSocket.__init__(self, zmq.ROUTER, ":" not in host)
        self._on_unreachable = on_unreachable
        try:
            door = self.socket.context.socket(zmq.REP)
            door.bind(_ZAP)
        except ZMQError as error:
            raise RPCError(f"nothing would ask connections for their key: {error}") from error
        gevent.spawn(_admit, door, keys.worker.encode())
        self.socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
        self.socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without an answer there is no entry
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.curve_server = True
        self.socket.curve_secretkey = keys.secret.encode()
        self.port = self.socket.bind_to_random_port(f"tcp://{host}")

    def send_to_client(self, msg: Message) -> None:
        try:
            self.socket.send_multipart([msg.node_id.encode(), msg.serialize()], zmq.NOBLOCK)
        except ZMQError:
            self._on_unreachable(msg.node_id)

    def recv_from_client(self) -> Any:
        try:
            return super().recv_from_client()
        except RPCError:
            raise
        except Exception as error:  # whatever it is, the others must still be heard
            raise RPCReceiveError(f"a message cannot be read: {type(error).__name__}") from error


class CurveClient(rpc.Client):  # type: ignore[misc]  # locust is untyped here
    """Locust's DEALER socket, which talks to the one master whose public key it has."""

    def __init__(self, keys: WorkerKeys, name: str, host: str, port: int, _identity: str) -> None:
        rpc.BaseSocket.__init__(self, zmq.DEALER, ":" not in host)
        self.socket.setsockopt(zmq.IDENTITY, name.encode())
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        self.socket.curve_serverkey = keys.master.encode()
        self.socket.curve_publickey = keys.public.encode()
        self.socket.curve_secretkey = keys.secret.encode()
        self.socket.connect(f"tcp://{host}:{port}")

    def send(self, msg: Message) -> None:
        try:
            self.socket.send(msg.serialize(), zmq.NOBLOCK)
        except ZMQError as error:
            raise RPCSendError("ZMQ sent failure") from error


def _admit(door: Any, allowed: bytes) -> None:
    """Answer who may connect: ZAP, RFC 27."""
    while True:
        version, request, _domain, _address, _identity, mechanism, *keys = door.recv_multipart()
        is_known = mechanism == b"CURVE" and encode(keys[0]) == allowed
        code, text = (b"200", b"OK") if is_known else (b"400", b"unknown key")
        door.send_multipart([version, request, code, text, b"worker", b""])


@contextmanager
def in_place_of(name: str, make: Callable[..., Any]) -> Iterator[None]:
    """Have Locust's runners make these sockets instead of `rpc.Server` or `rpc.Client`.

    A runner opens its socket in its constructor, so that any other would be unencrypted at first.
    """
    stock = getattr(rpc, name)
    setattr(rpc, name, make)
    try:
        yield
    finally:
        setattr(rpc, name, stock)
