"""Kept-alive connections to the addresses of one target, which take turns."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import certifi
import gevent
from gevent import socket
from gevent.ssl import SSLContext, SSLSocket, create_default_context

from tm_cli.server.engine.http1.client_certificate import UnusableCertificate, load_certificate
from tm_cli.server.engine.job import EngineJob, JobError, RequestTarget
from tm_cli.server.profiles import ClientCertificate
from tm_cli.values.urls import certificate_name

PATIENCE = 0.25
"""Seconds that a request waits for a connection while another address is left to try, at most.

An address that is known to take longer gets three times as long as it took.
"""

ATTEMPT = 2.0
"""Seconds until an attempt to connect that no request is waiting for is given up."""

MAX_IDLE = 4.0
"""Seconds after which an idle connection is not used again: many targets close it after five."""

_READ = 1  # the event of a watcher

PAUSE = 5.0
"""Seconds for which an address that refuses or is silent is left out; then it is tried again."""


@dataclass(slots=True, eq=False)
class Address:
    """One address of the target, and its `idle` connections, the most recently used one last."""

    family: int
    kind: int
    protocol: int
    where: Any
    requests: int = 0
    took: float = 0.0  # seconds to connect, the last time
    left_out_until: float = 0.0
    idle: "list[Connection]" = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.where[0])


class Connection:
    """An open connection, on loan or idle since an instant.

    `idle_for` is how many seconds it was idle before this loan, None for a new one.
    """

    __slots__ = ("_hub", "_is_drained", "_readable", "address", "idle_for", "since", "sock")

    def __init__(self, address: Address, sock: Any, since: float, *, is_tls: bool) -> None:
        self.address = address
        self.sock = sock
        self.since = since
        self.idle_for: float | None = None
        self._hub = gevent.get_hub()
        # what TLS has already decrypted does not make the socket readable
        self._readable = None if is_tls else self._hub.loop.io(sock.fileno(), _READ)
        self._is_drained = True

    def send(self, data: bytes) -> None:
        sent = self.sock.send(data)  # all of it, as a rule; sendall asks for the buffer's size
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def recv(self, size: int, /) -> bytes:
        """Wait for bytes; empty ones are the end.

        Where nothing was left the last time, this waits first: an attempt would be in vain.
        """
        if self._is_drained and self._readable:
            self._hub.wait(self._readable)
        data: bytes = self.sock.recv(size)
        self._is_drained = len(data) < size
        return data

    @property
    def is_usable(self) -> bool:
        """Whether it is open and quiet, so that the next bytes answer the next request."""
        sock = self.sock
        sock.settimeout(0.0)
        try:
            sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            sock.settimeout(None)
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        if self._readable:
            self._readable.close()
        self.sock.close()


REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose requests may be sent again."""
_IDLE = 0.5  # seconds after which a connection counts as idle
_REPEATED_SHARE = 0.05  # of all requests; more is not explained by connections that were idle


def was_closed_idle(idle_for: float, repeated: int, sent: int) -> bool:
    """Whether a connection that was closed without an answer was closed because it was idle.

    RFC 9112, section 9.3.1, then lets a client send a safe request again.
    """
    return idle_for >= _IDLE and repeated <= _REPEATED_SHARE * sent


class ConnectionPool:
    """Lends a connection for each request, to the addresses in turn from number `first` on.

    A turn is a request's and not a connection's, or at low rates the first address would get them
    all. There are at most `most` connections, idle ones included; not more may be on loan.
    """

    def __init__(
        self,
        target: RequestTarget,
        *,
        most: int,
        timeout: float,
        first: int = 0,
        ca_file: str | None = None,
        certificate: ClientCertificate | None = None,
        protocol: str = "http/1.1",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._most = most
        self._next = first
        self._monotonic = monotonic
        self._lent = 0
        self._tls = _tls_context(ca_file, certificate, protocol) if target.is_tls else None
        unique = dict.fromkeys(target.addresses)
        self._addresses = [each for text in unique for each in _look_up(text, target)]
        # half of a request's time is left for the last address
        self._patience = min(PATIENCE, timeout / 2 / max(1, len(unique)))

    @classmethod
    def for_job(
        cls,
        job: EngineJob,
        target: RequestTarget,
        *,
        certificate: ClientCertificate | None = None,
        protocol: str = "http/1.1",
    ) -> Self:
        """The pool for one of the job's targets, or another origin of its steps."""
        return cls(
            target,
            most=job.slots // len(job.targets),
            timeout=job.timeout,
            # workers that all begin with the same address would favour it
            first=job.share.index,
            ca_file=job.ca_file,
            certificate=certificate,
            protocol=protocol,
        )

    @property
    def requests(self) -> dict[str, int]:
        return {address.name: address.requests for address in self._addresses}

    def take(self, *, new: bool = False) -> Connection:
        """A connection for one request, if asked a `new` one; to be given back or dropped."""
        self._lent += 1
        try:
            if new:
                self.close()
            connection = self._connected()
        except BaseException:
            self._lent -= 1
            raise
        connection.address.requests += 1
        if self._tls:
            self._secure(connection, self._tls)
        return connection

    def give_back(self, connection: Connection) -> None:
        self._lent -= 1
        connection.since = self._monotonic()
        connection.address.idle.append(connection)

    def resume(self, connection: Connection) -> Connection:
        """A connection that was kept on loan, for its next request; else a new one."""
        connection.idle_for = self._monotonic() - connection.since
        if connection.idle_for > MAX_IDLE or not connection.is_usable:
            self.drop(connection)
            return self.take(new=True)
        connection.address.requests += 1
        return connection

    def drop(self, connection: Connection) -> None:
        self._lent -= 1
        connection.close()

    def close(self) -> None:
        for address in self._addresses:
            while address.idle:
                address.idle.pop().close()

    def _connected(self) -> Connection:
        in_turn = self._in_turn()
        if connection := self._idle(in_turn[0]):
            return connection
        failures: list[OSError] = []
        usable = [each for each in in_turn if each.idle or not self._is_left_out(each)]
        left_out = [each for each in in_turn if each not in usable]
        for address in usable + left_out:
            if connection := self._idle(address):
                return connection
            may_wait = address is usable[-1] if usable else len(in_turn) == 1
            found = self._open(address) if may_wait else self._open_soon(address)
            if not isinstance(found, OSError):
                return self._connection(address, found)
            failures.append(found)
        raise min(failures, key=_vagueness)

    def _in_turn(self) -> list[Address]:
        """The addresses in the order in which the next request should try them."""
        if not self._addresses:
            found = _look_up(self._target.host, self._target)
            self._addresses = self._addresses or found  # another request may have been quicker
        turn = self._next % len(self._addresses)
        self._next += 1
        in_turn = self._addresses[turn:] + self._addresses[:turn]
        if len(in_turn) > 1:
            for address in in_turn:
                self._try_again_if_due(address)
        return in_turn

    def _is_left_out(self, address: Address) -> bool:
        return address.left_out_until > self._monotonic()

    def _try_again_if_due(self, address: Address) -> None:
        """Retry an address that did not answer last time, without a request waiting for it."""
        if address.left_out_until and not self._is_left_out(address):
            self._leave_out(address)
            self._keep_when_open(address, gevent.spawn(self._open, address, ATTEMPT))

    def _leave_out(self, address: Address) -> None:
        address.left_out_until = self._monotonic() + PAUSE

    def _idle(self, address: Address) -> Connection | None:
        while address.idle:
            connection = address.idle.pop()
            connection.idle_for = self._monotonic() - connection.since
            if connection.idle_for <= MAX_IDLE and connection.is_usable:
                return connection
            connection.close()
        return None

    def _open_soon(self, address: Address) -> Any:
        """A connection or an error, after a short time; a late connection is kept for others."""
        attempt = gevent.spawn(self._open, address, ATTEMPT)
        try:
            attempt.join(min(max(self._patience, 3 * address.took), ATTEMPT))
        except BaseException:  # the request's time is up
            self._keep_when_open(address, attempt)
            raise
        if attempt.ready():
            return attempt.value
        self._leave_out(address)
        self._keep_when_open(address, attempt)
        return TimeoutError()

    def _keep_when_open(self, address: Address, attempt: Any) -> None:
        def keep(done: Any) -> None:
            if isinstance(done.value, socket.socket):
                address.idle.append(self._connection(address, done.value))

        attempt.link_value(keep)

    def _connection(self, address: Address, sock: Any) -> Connection:
        return Connection(address, sock, self._monotonic(), is_tls=self._tls is not None)

    def _open(self, address: Address, limit: float | None = None) -> Any:
        """A new connection, or the error: as a value, because greenlets print exceptions."""
        self._make_room()
        try:
            sock = socket.socket(address.family, address.kind, address.protocol)
        except OSError as error:  # no fault of the address
            return error
        begun = self._monotonic()
        try:
            sock.settimeout(limit)
            sock.connect(address.where)
            sock.settimeout(None)  # the request as a whole has a limit
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            self._leave_out(address)
            return error
        except BaseException:
            sock.close()
            raise
        address.took = self._monotonic() - begun
        address.left_out_until = 0.0
        return sock

    def _make_room(self) -> None:
        idle = sum(len(address.idle) for address in self._addresses)
        if idle and self._lent + idle > self._most:
            max(self._addresses, key=lambda address: len(address.idle)).idle.pop(0).close()

    def _secure(self, connection: Connection, tls: SSLContext) -> None:
        """Put the connection under TLS, checked for the name in the URL."""
        if isinstance(connection.sock, SSLSocket):
            return
        try:
            name = certificate_name(self._target.host)
            connection.sock = tls.wrap_socket(connection.sock, server_hostname=name)
        except BaseException:
            self.drop(connection)
            raise


def _look_up(host: str, target: RequestTarget) -> list[Address]:
    flags = socket.AI_NUMERICHOST if host in target.addresses else 0
    found = socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM, flags=flags)
    return [
        Address(family, kind, protocol, where)
        for family, kind, protocol, _, where in dict.fromkeys(found)
    ]


def _vagueness(error: OSError) -> tuple[bool, str]:
    """Sorts errors so that the most precise one comes first."""
    return type(error) is OSError, type(error).__name__


def _tls_context(
    ca_file: str | None, certificate: ClientCertificate | None, protocol: str
) -> SSLContext:
    """Trusts what the system's file of certificates does, or Mozilla's list where there is none.

    `ca_file` has further certificates, `certificate` is what the target is shown; JobError when
    one cannot be used.
    """
    usual = ssl.get_default_verify_paths().cafile or certifi.where()
    context = create_default_context(cafile=usual)
    context.set_alpn_protocols([protocol])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise JobError(f"cannot use the certificates in {ca_file}: {error}") from error
    if certificate is not None:
        try:
            load_certificate(context, certificate)
        except UnusableCertificate as error:
            raise JobError(f"clientCertificate: {error}") from error
    return context
