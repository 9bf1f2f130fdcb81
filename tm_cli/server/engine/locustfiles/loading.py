"""Imports a locustfile into this process: the bytes with the SHA-256 of the job, nothing else."""

import logging
import os
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from locust import User
from locust.user.task import filter_tasks_by_tags
from locust.util.load_locustfile import is_user_class

from tm_cli.runtime.locustfile import UnusableLocustfile, read_locustfile
from tm_cli.server.engine.job import JobError
from tm_cli.server.engine.locustfiles.reference import JobLocustfile, LocustfilePlace
from tm_cli.values.load.placeholders import hide_values

_LOG = logging.getLogger(__name__)
_LONGEST_REASON = 300
_OF_ENVIRON = {os.__file__, "<frozen os>"}


def load_users(job: JobLocustfile) -> list[type[User]]:
    """Run the file, and return the User classes of the job in the order of the file.

    Raises JobError when it cannot be run or has no such class.
    """
    place = job.place
    if place is None:
        raise JobError(
            f"this machine does not know the locustfile {job.file} with the SHA-256 {job.sha256}; "
            "name it where the load is sent from: `tm agent --locustfile FILE`"
        )
    try:
        source = read_locustfile(Path(place.path), job.sha256)
    except UnusableLocustfile as error:
        raise JobError(str(error)) from None
    _enter(place)
    module = _run(source, place, job)
    found = {name: value for name, value in vars(module).items() if is_user_class(value)}
    chosen = _chosen(job, found)
    if job.tags:
        for user in chosen:
            filter_tasks_by_tags(user, set(job.tags))
    for user in chosen:
        if not user.tasks:
            of_tags = f" with the tags {', '.join(job.tags)}" if job.tags else ""
            raise JobError(f"{job.file}: {user.__name__} has no tasks{of_tags}")
    return chosen


def _enter(place: LocustfilePlace) -> None:
    """Have the file find what it finds when Locust runs it: modules, files, variables."""
    os.environ.update(place.variables)
    here = [str(Path(place.path).parent)]
    if place.directory is not None:
        try:
            os.chdir(place.directory)
        except OSError as error:
            raise JobError(f"cannot work in {place.directory}: {error.strerror}") from None
        here.append(place.directory)
    sys.path[:0] = here


def _run(source: bytes, place: LocustfilePlace, job: JobLocustfile) -> ModuleType:
    """Execute exactly these bytes: no compiled file next to them, and no newer ones."""
    name = Path(job.file).stem
    module = ModuleType("locustfile" if name in sys.modules else name)
    module.__file__ = place.path
    module.__spec__ = ModuleSpec(module.__name__, None, origin=place.path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, place.path, "exec"), vars(module))  # noqa: S102 - the purpose of it
    except BaseException as error:  # a file may well call sys.exit
        told = hide_values(traceback.format_exc(), place.variables)
        _LOG.error("the locustfile %s cannot be run\n%s", place.path, told)
        raise JobError(f"the locustfile {job.file} cannot be run: {reason(error, place)}") from None
    return module


def reason(error: BaseException, place: LocustfilePlace) -> str:
    """What went wrong in the file, and in which line; never more than a sentence or two.

    The values of its variables are hidden.
    """
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == place.path]
    where = f"line {lines[-1]}: " if lines else ""
    said = hide_values(str(error), place.variables)  # before it is cut
    text = f"{where}{type(error).__name__}: {' '.join(said.split())}"[:_LONGEST_REASON]
    if isinstance(error, ModuleNotFoundError):
        return f"{text}; install it where tm is: {sys.executable} -m pip install {error.name}"
    if isinstance(error, KeyError) and frames and frames[-1].filename in _OF_ENVIRON:
        variable = error.args[0]
        return (
            f"{where}the environment variable {variable} is missing; name it in the profile: "
            f"locustfile: {{file: {Path(place.path).name}, env: [{variable}]}}"
        )
    return text


def _chosen(job: JobLocustfile, found: dict[str, Any]) -> list[type[User]]:
    if not found:
        raise JobError(f"{job.file} has no User class")
    if unknown := [name for name in job.classes if name not in found]:
        raise JobError(
            f"{job.file} has no User class {', '.join(unknown)}; it has {', '.join(found)}"
        )
    chosen = {found[name]: None for name in job.classes or found}
    return [user for user in chosen if user.weight > 0] or list(chosen)
