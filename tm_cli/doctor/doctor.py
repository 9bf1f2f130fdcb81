"""All checks in their order; a check that needs a lost one is skipped, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.api.transport import Connection, Transport, verification
from tm_cli.doctor.configuration import (
    Target,
    check_endpoint,
    check_platform,
    check_settings,
    check_terminal,
)
from tm_cli.doctor.machine import LocalServer, Machine, check_local_server, check_software
from tm_cli.doctor.network import Network
from tm_cli.doctor.server import Place, check_account, check_reading, check_server
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.runtime.announcement import ServerAnnouncement, find_running_in_checked
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.trusted_files import check_data_dir
from tm_cli.settings import TRAFFICMORPH, Settings
from tm_cli.values.check_result import CheckResult, Status, problem_from, skipped, without_key
from tm_cli.values.urls import LOCAL

REQUEST_TIMEOUT = 10.0
"""Seconds for one request, where the user allows as many."""

PROOF_TIMEOUT = 3.0
"""Seconds in which an embedded server must have proved that it is the one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doctor:
    """What is examined: the seams, the settings of one invocation, and systems.

    `load_settings` raises ConfigurationError where a file is broken; `find_data_dir` raises it too.
    """

    context: Environment
    systems: Sequence[str]
    version: str
    network: Network
    machine: Machine
    load_settings: Callable[[], Settings]
    find_data_dir: Callable[[], Path]

    def results(self) -> Iterator[CheckResult]:
        """Yield the results of all checks."""
        yield from check_software(self.machine, self.version)
        yield from self._about_servers()
        yield check_platform(self.context.environ)
        yield check_terminal(self.context.terminal)

    def _about_servers(self) -> Iterator[CheckResult]:
        try:
            settings = self.load_settings()
        except TmError as error:
            yield problem_from("settings", error)
            yield skipped("server", "the settings cannot be read")
            yield from self._about_local(Target(None))
            return
        own = list(check_settings(settings))
        yield from own
        known = {item.text for item in own}
        for system in self.systems:
            for result in self._about_server(settings, system, known):
                yield replace(result, system=system)

    def _about_server(
        self, settings: Settings, system: str, known: Collection[str]
    ) -> Iterator[CheckResult]:
        """Check one server; the `known` problems of the settings are not repeated."""
        found, target = check_endpoint(settings.endpoint(system), self.context.environ)
        for result in found:
            yield skipped(result.check, "see the settings") if result.text in known else result
        if target.base_url not in (None, LOCAL):
            yield from self._about_remote(settings, system, target)
        if system == TRAFFICMORPH:
            yield from self._about_local(target)

    def _about_remote(
        self, settings: Settings, system: str, target: Target
    ) -> Iterator[CheckResult]:
        url = target.base_url or ""
        try:
            trust = verification(url, settings.value("ca_file"))
        except TmError as error:
            yield problem_from("TLS", error)
            return
        place = Place(url, trust or None, self.context.environ)  # type: ignore[arg-type]
        is_there = True
        for result in check_server(place, self.network, self.context.clock):
            is_there = is_there and result.status is not Status.PROBLEM
            yield result
        if not (is_there and target.is_usable):
            reason = "there is no key to try" if is_there else "the server cannot be reached"
            yield skipped("access", reason)
            return
        yield from self._about_access(system, lambda: self._connection(settings, system))

    def _connection(self, settings: Settings, system: str) -> Connection:
        endpoint = settings.endpoint(system)
        return Connection(
            base_url=endpoint.base_url or "",
            key=endpoint.key,
            bearer=system != TRAFFICMORPH,
            clock=self.context.clock,
            timeout=min(REQUEST_TIMEOUT, settings.value("timeout")),
            environ=self.context.environ,
            ca_file=settings.value("ca_file"),
        )

    def _about_access(
        self, system: str, connect: Callable[[], Connection]
    ) -> Iterator[CheckResult]:
        try:
            connection = connect()
            transport = Transport(connection)
        except TmError as error:
            yield problem_from("access", error)
            return
        with closing(transport):
            for result in self._asked(system, transport):
                yield without_key(result, connection.key)

    def _asked(self, system: str, transport: Transport) -> Iterator[CheckResult]:
        if system == TRAFFICMORPH:
            return check_account(
                TrafficMorphClient(transport, self.context.clock).without_retries()
            )
        return check_reading(transport, self.load_settings(), system)

    def _about_local(self, target: Target) -> Iterator[CheckResult]:
        try:
            directory = self.find_data_dir()
        except TmError as error:
            yield problem_from("data", error)
            return
        distrust, running = self._distrust(directory), None
        if distrust is None:
            running = find_running_in_checked(directory, self.context.environ, PROOF_TIMEOUT)
        where = running.base_url if running else None
        yield from check_local_server(
            self.machine, LocalServer(directory, where, target.base_url == LOCAL, distrust)
        )
        if running and target.base_url == LOCAL:
            yield from self._about_access(TRAFFICMORPH, lambda: self._local_connection(running))

    def _distrust(self, directory: Path) -> ConfigurationError | None:
        try:
            check_data_dir(directory, self.context.environ)
        except ConfigurationError as error:
            return error
        return None

    def _local_connection(self, running: ServerAnnouncement) -> Connection:
        return Connection(
            base_url=running.base_url,
            key=running.key,
            clock=self.context.clock,
            timeout=REQUEST_TIMEOUT,
            environ=self.context.environ,
        )
