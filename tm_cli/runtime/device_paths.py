"""Paths that are, or lead to, a device, a pipe or an open descriptor.

They are opened and written to. Replacing one, as a file is replaced, would put a file in the place
of `/dev/stdout` for the whole machine, and the reader of a pipe would get nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tm_cli.runtime.standard_streams import wait_until_writable

PATIENCE = 10.0
"""Seconds until a pipe must have a reader, and until that reader must take something."""

_PAUSE = 0.05
_PIPE_CHUNK = 512  # bytes that fit at once into every pipe that has room
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Device:
    """What is opened and written to; `descriptor` is the one of ours that the path leads to."""

    path: Path
    descriptor: int | None = None

    def check(self) -> None:
        """Raise OSError when it cannot be written to; a pipe need not have a reader yet."""
        if self.descriptor is not None:
            os.fstat(self.descriptor)
            if not _is_open_for_writing(self.descriptor):
                raise OSError(errno.EBADF, "it is not open for writing")
            return
        if stat.S_ISSOCK(self.path.stat().st_mode):
            raise OSError(errno.ENXIO, "it is a socket")
        if not os.access(self.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def write(self, content: bytes) -> None:
        """Write behind what is there; raises OSError, also when no reader takes it in time."""
        if os.name != "posix":
            self.path.write_bytes(content)
            return
        # A duplicate shares its position with the original: neither overwrites the other.
        opened = _open(self.path) if self.descriptor is None else os.dup(self.descriptor)
        try:
            _write_all(opened, content)
        finally:
            os.close(opened)


def find_device(path: Path) -> Device | None:
    """Return the device, pipe, socket or descriptor that a path leads to; None for anything else.

    Raises OSError for a loop of links, and for a link or pipe that another user has put into a
    directory where everyone may write.
    """
    if os.name != "posix":
        is_other = path.exists() and not path.is_file() and not path.is_dir()
        return Device(path) if is_other else None
    is_in_dev = False
    mode = 0
    for place in _followed(path.absolute()):
        if place.parent.name == "fd" and place.name.isdigit() and place.parts[1] in ("dev", "proc"):
            return Device(path, int(place.name) if _is_ours(place.parent) else None)
        is_in_dev = is_in_dev or _is_in_dev(place)
        mode = _mode(place)
        if _is_kernel_link(place, mode):
            mode = _mode(path, follow=True)
            break
    if stat.S_ISDIR(mode) or (not is_in_dev and (mode == 0 or stat.S_ISREG(mode))):
        return None
    return Device(path)


def _followed(path: Path) -> Iterator[Path]:
    """Yield each place on the way to what a path names; links are followed, the last one, too."""
    place, rest, links = Path(path.anchor), list(reversed(path.parts[1:])), 0
    while rest:
        name = rest.pop()
        if name == "..":
            place = place.parent
            continue
        step = place / name
        yield step
        mode = _mode(step)
        if mode and not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            _refuse_foreign(step)
        if not stat.S_ISLNK(mode):
            place = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = step.readlink()
        place = Path(target.anchor) if target.is_absolute() else place
        rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _refuse_foreign(place: Path) -> None:
    """Raise OSError for what another user has put into `/tmp` and the like, as kernels do."""
    directory = place.parent.stat()
    is_shared = directory.st_mode & stat.S_ISVTX and directory.st_mode & stat.S_IWOTH
    if is_shared and place.lstat().st_uid not in (os.geteuid(), directory.st_uid):
        what = "a link" if place.is_symlink() else "a pipe"
        raise PermissionError(
            errno.EACCES, f"{place} is {what} of another user where everyone may write"
        )


def _mode(place: Path, *, follow: bool = False) -> int:
    """What kind of file is there; 0 for none."""
    try:
        return (place.stat() if follow else place.lstat()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_in_dev(place: Path) -> bool:
    return place.parts[1:2] == ("dev",) and len(place.parts) > 2 and place.parts[2] != "shm"


def _is_kernel_link(place: Path, mode: int) -> bool:
    """Whether it is a link of another process like `/proc/1/root`: its text may mislead."""
    is_in_process = place.parts[1] == "proc" and len(place.parts) > 3
    return stat.S_ISLNK(mode) and is_in_process and not _is_ours(place.parent)


def _is_ours(directory: Path) -> bool:
    """Whether it belongs to this process: `/dev/fd`, `/proc/self`, `/proc/self/fd`."""
    if directory == Path("/dev/fd"):
        return True
    try:
        return directory.parts[2] in (str(os.getpid()), str(Path("/proc/self").readlink()))
    except OSError:
        return False


def _is_open_for_writing(descriptor: int) -> bool:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def _open(path: Path) -> int:
    """Open for writing; what is there already is kept, and a pipe is given time for a reader."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return os.open(path, flags)
        except OSError as problem:
            if problem.errno != errno.ENXIO or not stat.S_ISFIFO(path.stat().st_mode):
                raise
        if time.monotonic() >= deadline:
            raise OSError(errno.ENXIO, f"no process has read from it for {PATIENCE:g} seconds")
        time.sleep(_PAUSE)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        if not wait_until_writable(descriptor, PATIENCE):
            raise OSError(errno.ETIMEDOUT, f"its reader has taken nothing for {PATIENCE:g} seconds")
        try:
            written = os.write(descriptor, rest[:_PIPE_CHUNK])
        except BlockingIOError:
            time.sleep(_PAUSE)
        else:
            rest = rest[written:]
