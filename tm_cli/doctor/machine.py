"""What this machine has: extras, disk, files, CPUs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode
from tm_cli.values.check_result import CheckResult, ok, problem, skipped, warning

DISTRIBUTION = "tm-cli"

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([A-Za-z0-9._-]+)['\"]")


class Machine(Protocol):
    """What the diagnosis asks this machine."""

    def extras(self) -> Mapping[str, list[str]]:
        """The optional extras of tm, each with the packages that it lacks here."""
        ...

    def problem_of(self, directory: Path) -> str | None:
        """Why nothing can be written to a directory that may not exist yet; None if it can."""
        ...

    def free_disk(self, directory: Path) -> int | None:
        """Bytes that are free where the directory is or would be."""
        ...

    def most_files(self) -> int | None:
        """How many files a process may open; None where there is no such limit."""
        ...

    def cpus(self) -> int:
        """How many CPUs this process may use."""
        ...

    def software(self) -> str:
        """Python and the system, in a few words."""
        ...


class SystemMachine:
    """The real one."""

    def extras(self) -> Mapping[str, list[str]]:
        """Read the requirements that tm was installed with; empty when it was not installed."""
        found: dict[str, list[str]] = {}
        try:
            wanted = importlib.metadata.requires(DISTRIBUTION) or []
        except importlib.metadata.PackageNotFoundError:
            return found
        for requirement in wanted:
            extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
            if extra and name:
                lacking = found.setdefault(extra[1], [])
                lacking += [] if _is_installed(name[0]) else [name[0]]
        return found

    def problem_of(self, directory: Path) -> str | None:
        """Write a file that is gone at once; ask about the parent of what is not there."""
        there = _existing(directory)
        if there != directory:
            return None if os.access(there, os.W_OK | os.X_OK) else f"{there} is not writable"
        if not there.is_dir():
            return "it is not a directory"
        try:
            with tempfile.TemporaryFile(dir=directory):
                return None
        except OSError as problem:
            return problem.strerror or str(problem)

    def free_disk(self, directory: Path) -> int | None:
        """Ask the file system."""
        try:
            return shutil.disk_usage(_existing(directory)).free
        except OSError:
            return None

    def most_files(self) -> int | None:
        """The hard limit: the load generator raises the soft one itself."""
        if sys.platform == "win32":
            return None
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return None if hard == resource.RLIM_INFINITY else hard

    def cpus(self) -> int:
        """Those of this process, which a container may have fewer of than the machine."""
        affinity = getattr(os, "sched_getaffinity", None)  # Linux
        return (os.cpu_count() or 1) if affinity is None else len(affinity(0))

    def software(self) -> str:
        """Return what Python reports."""
        system = f"{platform.system()} {platform.release()} {platform.machine()}"
        return f"{platform.python_implementation()} {platform.python_version()} on {system}"


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _existing(path: Path) -> Path:
    return next((there for there in (path, *path.parents) if there.exists()), path)


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


def check_software(machine: Machine, version: str) -> Iterator[CheckResult]:
    """Name the versions and the extras."""
    yield ok("tm", f"{version}, {machine.software()}")
    extras = machine.extras()
    if not extras:
        yield skipped("extras", "tm was not installed as a package: nothing is known of them")
        return
    words = [f"{name} {_presence(lacking)}" for name, lacking in sorted(extras.items())]
    yield ok("extras", ", ".join(words), **{name: not lacking for name, lacking in extras.items()})


def check_local_server(machine: Machine, server: LocalServer) -> Iterator[CheckResult]:
    """Check whether the embedded server could run; it is not started."""
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
        return skipped("disk", "the file system does not report its free space")
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
