"""A target that says exact bytes at exact times, on one or more addresses of loopback."""

import contextlib
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self


class Line:
    """One connection, as the script of a target sees it."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        self._sock = sock
        self._closing = closing
        self._received = b""
        self.address = str(sock.getsockname()[0])

    def request(self) -> bytes:
        """The head of the next request; empty when there is none any more."""
        while b"\r\n\r\n" not in self._received:
            data = self._sock.recv(65536)
            if not data:
                return b""
            self._received += data
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return head

    @property
    def has_more(self) -> bool:
        """Whether something has come that was not asked for yet."""
        return bool(self._received or select.select([self._sock], [], [], 0)[0])

    def say(self, *parts: bytes | float) -> None:
        """Send bytes, and wait for seconds."""
        for part in parts:
            if isinstance(part, bytes):
                self._sock.sendall(part)
            else:
                self._closing.wait(part)

    def flood(self, data: bytes) -> None:
        """Send the same without end, as fast as possible."""
        while not self._closing.is_set():
            self._sock.sendall(data)

    def silence(self) -> None:
        """Say nothing until the target closes."""
        self._closing.wait()


class RawTarget:
    """Plays `script` on every connection, once for each request; counts them by address.

    A script that returns False closes the connection. `connections` has, for each connection, the
    number of its requests; `most_open` of them were open at once.
    """

    def __init__(
        self, script: Callable[[Line], bool | None], *addresses: str, port: int = 0
    ) -> None:
        self._script = script
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self.requests: Counter[str] = Counter()
        self.connections: list[int] = []
        self.most_open = 0
        self._open = 0
        self._accepted: list[socket.socket] = []
        self._listeners = []
        for address in addresses or ("127.0.0.1",):
            self._listeners.append(listening(address, port))
            port = self._listeners[-1].getsockname()[1]
        self.port = port

    def __enter__(self) -> Self:
        for listener in self._listeners:
            self._start(self._accept, listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self._closing.set()
        for listener in self._listeners:  # closing it would not end a wait for connections
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), 1).close()
        for sock in self._accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for listener in self._listeners:
            listener.close()

    def url(self, name: str = "127.0.0.1") -> str:
        return f"http://{name}:{self.port}/"

    def _start(self, work: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(sock,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if self._closing.is_set():
                sock.close()
                return
            self._accepted.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        number = len(self.connections)
        self.connections.append(0)
        line = Line(sock, self._closing)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            while line.request():
                self.requests[line.address] += 1
                self.connections[number] += 1
                if self._script(line) is False:
                    break
        self._open -= 1


def listening(address: str, port: int = 0) -> socket.socket:
    """A listener that closes quickly when the test does."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1024)
    return listener


@contextlib.contextmanager
def silent(address: str, port: int) -> Iterator[Callable[[], None]]:
    """An address where attempts to connect get no answer at all: its queue is full.

    What it yields empties the queue.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        fillers = [stack.enter_context(socket.socket()) for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((address, port))

        def empty_the_queue() -> None:
            for filler in fillers:  # those in vain so far would try again, and fill it once more
                filler.close()
            listener.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stack.enter_context(listener.accept()[0])

        yield empty_the_queue
