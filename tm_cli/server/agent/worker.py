"""A worker of one run: a load generator on this machine, and the tunnel to the run's master."""

from __future__ import annotations

import asyncio
import socket

import psutil

from tm_cli.server.agent.options import AgentOptions
from tm_cli.server.agent.server_connection import ServerConnection
from tm_cli.server.engine.distributed.roles import WorkerRole
from tm_cli.server.workers.agent_protocol import TunnelTicket, first_to_end
from tm_cli.server.workers.engine_events import EngineFailed
from tm_cli.server.workers.local_worker import EngineProcess
from tm_cli.server.workers.tunnel import CHUNK, carry
from tm_cli.values.text import sanitize

_LOOPBACK = "127.0.0.1"
_EXIT_GRACE = 0.5
"""Seconds for a load generator without a connection, of which the run learns afterwards."""


async def work(
    ticket: TunnelTicket,
    options: AgentOptions,
    tunnel: ServerConnection,
    starting: asyncio.Lock,
) -> str:
    """Take part in a run to its end; returns what went wrong, if anything.

    Only the one that holds `starting` starts a process: many at once would hold up the heartbeats.
    """
    fault = "its agent was stopped"
    try:
        fault = await _play(ticket, options, tunnel, starting)
    except OSError as error:
        fault = f"its load generator could not be started: {sanitize(error)}"
    finally:
        await tunnel.close(fault or "its load generator ended")
    return fault


async def _play(
    ticket: TunnelTicket,
    options: AgentOptions,
    tunnel: ServerConnection,
    starting: asyncio.Lock,
) -> str:
    """Start the load generator and connect it; it has ended when this returns."""
    with socket.create_server((_LOOPBACK, 0)) as listener:
        listener.setblocking(False)
        first_line = _first_line(ticket, options, listener.getsockname()[1])
        async with starting:
            engine = await EngineProcess.start(options.engine_command, first_line)
        output = asyncio.create_task(_failure(engine))
        try:
            ended_by_server = await first_to_end(
                _connect(tunnel, listener, engine.pid), _wait(output), _wait_closed(tunnel)
            )
            engine.hang_up()
            await asyncio.wait([output], timeout=_EXIT_GRACE)
        finally:
            if not output.done():
                engine.kill()
            code = await engine.close()
            output.cancel()
    return "" if ended_by_server or code == 0 else _fault(output) or _complaint(engine, code)


def _first_line(ticket: TunnelTicket, options: AgentOptions, port: int) -> str:
    role = WorkerRole(
        host=_LOOPBACK,
        port=port,
        name=ticket.worker,
        keys=ticket.keys,
        allow_public=options.allow_public_targets,
        server=options.server,
        ca_file=options.ca_file,
        locustfiles=tuple(str(path.resolve()) for path in options.locustfiles),
        certificates=tuple(str(path.absolute()) for path in options.certificates),
        variables=options.variables,
    )
    return role.to_line()


async def _connect(tunnel: ServerConnection, listener: socket.socket, pid: int) -> bool:
    connection = await _accept(listener, pid)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = await asyncio.open_connection(sock=connection, limit=CHUNK)
    return bool(await carry(tunnel, reader, writer))


async def _accept(listener: socket.socket, pid: int) -> socket.socket:
    """The connection of the process. Those of other users of this machine are closed."""
    while True:
        try:
            connection, peer = await asyncio.get_running_loop().sock_accept(listener)
        except ConnectionError:  # it is gone already
            continue
        try:
            if await asyncio.to_thread(_is_owned, peer, pid):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()


def _is_owned(peer: tuple[str, int], pid: int) -> bool:
    """Whether a connection with this address is the process's, or that of one it has started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return any(peer == link.laddr for each in family for link in each.net_connections("tcp4"))
    except psutil.Error:
        return False


async def _wait(output: asyncio.Task[str]) -> bool:
    await asyncio.wait([output])
    return False


async def _wait_closed(tunnel: ServerConnection) -> bool:
    await tunnel.wait_closed()
    return True


async def _failure(engine: EngineProcess) -> str:
    """Why the load generator gave up, if it says so before its output ends."""
    message = ""
    async for event in engine.events(patience=None):
        if isinstance(event, EngineFailed):
            message = event.message
    return message


def _fault(output: asyncio.Task[str]) -> str:
    if not output.done() or output.cancelled():
        return ""
    return sanitize(output.exception() or output.result())


def _complaint(engine: EngineProcess, code: int) -> str:
    if code < 0:
        return f"its load generator was killed by signal {-code}"
    return sanitize(engine.last_error or f"its load generator ended with code {code}")
