"""One request to the target: exactly one, whatever happens to it."""

from gevent import Timeout

from tm_cli import __version__
from tm_cli.server.engine.connections import ConnectionPool, PooledConnection
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.response import Response

_WITH_CONTENT = {"POST", "PUT", "PATCH"}


class TargetClient:
    """Sends the job's request over kept-alive connections, the most recently used one first.

    TLS certificates are verified, redirects are not followed, bodies are read and dropped without
    being decoded. Proxy variables of the environment are ignored: load belongs on the target.
    """

    def __init__(self, job: EngineJob, target: RequestTarget) -> None:
        self._request = _request(job, target)
        self._has_body = job.method != "HEAD"
        self._timeout = job.timeout
        # workers that all begin with the same address would favour it
        self._pool = ConnectionPool(
            target,
            most=job.slots // len(job.targets),
            timeout=job.timeout,
            first=job.share.index,
        )

    @property
    def requests(self) -> dict[str, int]:
        return self._pool.requests

    def send(self) -> int | str:
        """Send the request; return the status code, or the name of the error."""
        try:
            with Timeout(self._timeout):
                return self._send()
        except Timeout:
            return TimeoutError.__name__
        except Exception as error:  # whatever it is, it is a result
            return type(error).__name__

    def close(self) -> None:
        self._pool.close()

    def _send(self) -> int:
        connection = self._pool.take()
        try:
            response = self._exchange(connection)
        except BaseException:
            self._pool.drop(connection)
            raise
        if response.is_reusable:
            self._pool.give_back(connection)
        else:
            self._pool.drop(connection)
        return response.status

    def _exchange(self, connection: PooledConnection) -> Response:
        response = Response(connection.sock, has_body=self._has_body)
        try:
            connection.sock.sendall(self._request)
        except (BrokenPipeError, ConnectionResetError):
            # a target that does not want the body may have answered before it closed
            response.read()
            response.is_reusable = False
        else:
            response.read()
        return response


def _request(job: EngineJob, target: RequestTarget) -> bytes:
    """The request as it is sent; all requests of a run are identical."""
    body = (job.body or "").encode()
    own = [("Host", target.authority), ("User-Agent", f"tm/{__version__}")]
    if body or job.method in _WITH_CONTENT:
        own.append(("Content-Length", str(len(body))))
    given = {name.lower() for name, _ in job.headers}
    headers = [(name, value) for name, value in own if name.lower() not in given]
    lines = [f"{job.method} {target.request_target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*headers, *job.headers]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
