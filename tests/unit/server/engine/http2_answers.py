"""Asks hostile and lawful targets over HTTP/2, in a process of its own as gevent needs.

Each target is a function that plays one connection after the greetings.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextlib import suppress  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from h2.config import H2Configuration  # noqa: E402
from h2.connection import H2Connection  # noqa: E402
from h2.events import RequestReceived, StreamEnded  # noqa: E402
from h2.settings import SettingCodes, Settings  # noqa: E402
from hyperframe.frame import GoAwayFrame, RstStreamFrame  # noqa: E402

from tm_cli.server.engine.http1.client import TargetClient  # noqa: E402
from tm_cli.server.engine.http2.client import Http2Client  # noqa: E402
from tm_cli.server.engine.job import EngineJob  # noqa: E402

SENT: list[str] = []


class Peer:
    """One connection of a target, which speaks HTTP/2 lawfully until it is told not to."""

    def __init__(self, sock: Any, streams: int = 100) -> None:
        self.sock = sock
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        limits = {SettingCodes.MAX_CONCURRENT_STREAMS: streams}
        self.h2.local_settings = Settings(client=False, initial_values=limits)
        self.h2.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def requests(self) -> Any:
        """The number and the path of each request, once it is complete."""
        paths: dict[int, str] = {}
        while data := self.sock.recv(65536):
            for event in self.h2.receive_data(data):
                number = getattr(event, "stream_id", 0)
                if isinstance(event, RequestReceived):
                    paths[number] = dict(event.headers)[":path"]
                elif isinstance(event, StreamEnded):
                    yield number, paths.pop(number)
                elif size := getattr(event, "flow_controlled_length", 0):
                    self.bodies[number] = self.bodies.get(number, b"") + event.data
                    self.h2.acknowledge_received_data(size, number)
            self.flush()

    def answer(self, number: int, status: int = 200, body: bytes = b"hello") -> None:
        self.h2.send_headers(number, [(":status", str(status))])
        self.h2.send_data(number, body, end_stream=True)
        self.flush()


def lawful(peer: Peer) -> None:
    for number, path in peer.requests():
        SENT.append(path)
        peer.answer(number, body=b"%d bytes" % len(peer.bodies.get(number, b"")))


def leaving_after_two(peer: Peer) -> None:
    """Answers two requests of each connection, and says that it has not looked at later ones."""
    waiting = []
    for number, path in peer.requests():
        waiting.append((number, path))
        if len(waiting) < 2:
            continue
        last = waiting[1][0]
        peer.sock.sendall(GoAwayFrame(0, last_stream_id=last).serialize())
        gevent.sleep(0.02)  # the answers come after it
        for known, name in waiting[:2]:
            SENT.append(name)
            peer.answer(known)
        return


def refusing(peer: Peer) -> None:
    for number, _ in peer.requests():
        peer.sock.sendall(RstStreamFrame(number, error_code=7).serialize())


def failing(peer: Peer) -> None:
    for number, _ in peer.requests():
        peer.sock.sendall(RstStreamFrame(number, error_code=2).serialize())


def calming(peer: Peer) -> None:
    for number, _ in peer.requests():
        peer.sock.sendall(GoAwayFrame(0, last_stream_id=number, error_code=11).serialize())
        return


def cutting(peer: Peer) -> None:
    for number, _ in peer.requests():
        peer.h2.send_headers(number, [(":status", "200")])
        peer.flush()
        return


def closing(peer: Peer) -> None:
    for _ in peer.requests():
        return


def silent(peer: Peer) -> None:
    for _ in peer.requests():
        pass


def early(peer: Peer) -> None:
    """Answers before it has the body of a request, and gives no room for the rest of it."""
    while data := peer.sock.recv(65536):
        for event in peer.h2.receive_data(data):
            if isinstance(event, RequestReceived):
                SENT.append(dict(event.headers)[":path"])
                peer.answer(event.stream_id)
        peer.flush()


def status(text: str) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        peer.h2.config.validate_outbound_headers = False
        for number, _ in peer.requests():
            peer.h2.send_headers(number, [(":status", text)], end_stream=True)
            peer.flush()

    return play


def says(data: bytes) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        for _ in peer.requests():
            while True:
                peer.sock.sendall(data)
                gevent.sleep(0)  # the client is in the same process

    return play


def interim(peer: Peer) -> None:
    for number, _ in peer.requests():
        while True:
            peer.h2.send_headers(number, [(":status", "103")])
            peer.flush()
            gevent.sleep(0)


def large_head(peer: Peer) -> None:
    for number, _ in peer.requests():
        fields = [(f"x-{n}", "a" * 1000) for n in range(200)]
        peer.h2.send_headers(number, [(":status", "200"), *fields], end_stream=True)
        peer.flush()


SETTINGS = bytes.fromhex("000000040000000000")
PING = bytes.fromhex("000008060000000000") + b"12345678"
TARGETS = {
    "lawful": lawful,
    "leaving": leaving_after_two,
    "refusing": refusing,
    "failing": failing,
    "calming": calming,
    "cutting": cutting,
    "closing": closing,
    "silent": silent,
    "text": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "long-frame": says(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
    "settings": says(SETTINGS * 1000),
    "pings": says(PING * 1000),
    "interim": interim,
    "large-head": large_head,
    "early": early,
    "status-099": status("099"),
    "status-2_0": status("2_0"),
    "status-long": status("20000"),
    "status-text": status("ok"),
}


def serve(play: Callable[[Peer], None], streams: int) -> str:
    listener = socket.create_server(("127.0.0.1", 0))

    def connection(sock: Any) -> None:
        with sock:
            with suppress(Exception):
                play(Peer(sock, streams))
            with suppress(OSError):  # closed at once, what was said last could be lost
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass

    def accept() -> None:
        while True:
            gevent.spawn(connection, listener.accept()[0])

    gevent.spawn(accept)
    return f"http://127.0.0.1:{listener.getsockname()[1]}/?id=$$id$$"


def ask(
    name: str, *, streams: int = 100, count: int = 1, rounds: int = 1, **changes: Any
) -> dict[str, Any]:
    """What `count` requests at once bring, so many times, and what the target has counted."""
    SENT.clear()
    data = [{"name": "ids", "csv": "id\n" + "".join(f"{n}\n" for n in range(count))}]
    job = EngineJob(
        run_id="r",
        target_url=serve(TARGETS[name], streams),
        points=[(0, 1)],
        duration=1,
        **{"timeout": 5.0, "data": data, "http_version": "2", **changes},
    )
    [target] = job.targets
    client = (Http2Client if job.http_version else TargetClient)(job, target)
    results: list[Any] = []
    for _ in range(rounds):
        results += [gevent.spawn(client.send, number) for number in range(count)]
        gevent.joinall(results)
    return {
        "results": sorted({str(result.value) for result in results}),
        "sent": sorted(SENT),
        "repeated": client.repeated,
        "addresses": client.requests,
        "bodies": dict(client.bodies),
    }


if __name__ == "__main__":
    json.dump([ask(**each) for each in json.load(sys.stdin)], sys.stdout)
