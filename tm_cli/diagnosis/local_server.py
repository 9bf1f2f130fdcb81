"""Whether the embedded server could run on this machine, and what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tm_cli.diagnosis.finding import CheckResult, ok, problem, skipped, warning
from tm_cli.diagnosis.machine import DISTRIBUTION, Machine
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode

LITTLE_DISK = 500 * 1024**2
NO_DISK = 20 * 1024**2
"""Bytes: a long run with its log and series needs a few megabytes."""

FILES = 320
"""Open files of a load generator with its usual 256 slots, one per connection and some to spare."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The embedded server's directory, its address if it runs, and whether a gate would use it.

    `distrust` says why a server would not use the directory.
    """

    directory: Path
    running_at: str | None
    is_wanted: bool
    distrust: ConfigurationError | None = None


def examine_software(machine: Machine, version: str) -> Iterator[CheckResult]:
    """Name the versions and the extras."""
    yield ok("tm", f"{version}, {machine.software()}")
    extras = machine.extras()
    if not extras:
        yield skipped("extras", "tm was not installed as a package: nothing is known of them")
        return
    words = [f"{name} {_presence(lacking)}" for name, lacking in sorted(extras.items())]
    yield ok("extras", ", ".join(words), **{name: not lacking for name, lacking in extras.items()})


def examine_local_server(machine: Machine, server: LocalServer) -> Iterator[CheckResult]:
    """Look whether the embedded server could run; it is not started."""
    lacking = machine.extras().get("local", [])
    if lacking and not server.is_wanted:
        yield skipped("embedded server", "not installed, and not needed for this server")
        return
    if lacking:
        text = f"it is not installed ({', '.join(lacking)} missing)"
        fix = f"pip install '{DISTRIBUTION}[local]', or set TM_BASE_URL and TM_API_KEY"
        yield problem("embedded server", text, fix, ExitCode.CONFIGURATION)
    else:
        where = f"running at {server.running_at}" if server.running_at else "started when needed"
        yield ok("embedded server", f"installed, {where}", running_at=server.running_at)
    yield _data(machine, server)
    yield _disk(machine, server)
    yield _files(machine, server)
    yield _cpus(machine)


def _data(machine: Machine, server: LocalServer) -> CheckResult:
    if server.distrust is not None:
        return _stopper("data", server.distrust.message, server.distrust.hint or "", server)
    reason = machine.problem_of(server.directory)
    if reason is None:
        return ok("data", f"{server.directory} is writable", directory=str(server.directory))
    text = f"cannot write to {server.directory}: {reason}"
    return _stopper("data", text, "choose another directory with TM_DATA_DIR", server)


def _disk(machine: Machine, server: LocalServer) -> CheckResult:
    free = machine.free_disk(server.directory)
    if free is None:
        return skipped("disk", "the file system does not tell how much is free")
    text, fix = f"{free / 1024**3:.1f} GiB free", "make room, or choose another TM_DATA_DIR"
    if free < NO_DISK:
        return _stopper("disk", text, fix, server)
    return (
        ok("disk", text, free=free)
        if free >= LITTLE_DISK
        else warning("disk", text, fix, free=free)
    )


def _files(machine: Machine, server: LocalServer) -> CheckResult:
    most = machine.most_files()
    if most is None or most >= FILES:
        return ok("open files", "no limit" if most is None else f"up to {most}", most=most)
    text = f"up to {most}; 256 requests at the same time need {FILES}"
    return _stopper("open files", text, "raise it: ulimit -Hn 4096, or in the container", server)


def _cpus(machine: Machine) -> CheckResult:
    count = machine.cpus()
    if count > 1:
        return ok("CPU", f"{count} CPUs", count=count)
    return warning(
        "CPU",
        "one CPU: the load generator shares it with whatever else runs here",
        "keep the rate low, or test a service on another machine",
        count=count,
    )


def _stopper(check: str, text: str, fix: str, server: LocalServer) -> CheckResult:
    """A failure where the embedded server is wanted, else a warning."""
    if server.is_wanted:
        return problem(check, text, fix, ExitCode.CONFIGURATION)
    return warning(check, text, fix)


def _presence(lacking: list[str]) -> str:
    return "not installed" if lacking else "installed"
