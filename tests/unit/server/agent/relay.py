"""Between an agent and its server: what passes on the wire, and a proxy."""

import contextlib
import socket
import socketserver
import threading


class Relay(socketserver.ThreadingTCPServer):
    """Passes connections on to a port, and keeps what was sent.

    As a proxy it answers CONNECT first; `asked` has the lines.
    """

    daemon_threads = True  # agents hold their connections until they are stopped

    def __init__(self, *, is_proxy=False):
        super().__init__(("127.0.0.1", 0), Carrier)
        self.port = self.server_address[1]
        self.target_port = 0
        self.is_proxy = is_proxy
        self.asked = []
        self.heard = bytearray()
        self.connections = 0

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()
        return super().__enter__()

    def __exit__(self, *problem):
        self.shutdown()
        self._thread.join()
        super().__exit__(*problem)


class Carrier(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.connections += 1
        if self.server.is_proxy:
            self.answer_connect()
        with socket.create_connection(("127.0.0.1", self.server.target_port)) as there:
            back = threading.Thread(target=self.carry, args=(there, self.request))
            back.start()
            self.carry(self.request, there)
            back.join()

    def answer_connect(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.request.recv(1)
        self.server.asked.append(head.decode().split("\r\n")[0])
        self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.server.heard += data
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
