"""What this machine has: extras, disk, files, CPUs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

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
            return "it is no directory"
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
        ours = getattr(os, "sched_getaffinity", None)  # Linux
        return (os.cpu_count() or 1) if ours is None else len(ours(0))

    def software(self) -> str:
        """As Python tells it."""
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
