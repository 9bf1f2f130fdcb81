"""Captures: their analysis, and the profiles that are made of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, BinaryIO, TypeVar

from pydantic import Field, StringConstraints
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.captures.analysis import analysis_of
from tm_cli.server.captures.groups import MOST_GROUPS, Capture, read_capture
from tm_cli.server.captures.imports import Imported, NotImported, imported, numbered
from tm_cli.server.captures.pattern import pattern_of
from tm_cli.server.profiles import DataSource, Wire
from tm_cli.server.routes.profiles import check_lists
from tm_cli.server.web.bodies import Refusal, read_model, strict_json, validated
from tm_cli.server.web.schemas import Id, Name
from tm_cli.server.web.services import Services
from tm_cli.values.load.captures import LARGEST_CAPTURE, UnusableCapture

_MEGABYTE = 1024 * 1024
_MOST_FORM_BYTES = LARGEST_CAPTURE + 2 * _MEGABYTE
"""The file, and around it the selections and what separates the parts."""
_PIECE = 256 * 1024
_ONE_AT_A_TIME = threading.Lock()
"""The memory of several analyses is not needed at once."""

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of clients' mistakes

_NotBlank = Field(json_schema_extra={"minLength": 1})
Method = Annotated[str, StringConstraints(max_length=100), _NotBlank]
Skeleton = Annotated[str, StringConstraints(max_length=10_000), _NotBlank]
T = TypeVar("T")


class Selection(Wire):
    """A group to import; without a name, or with a blank one, its profile gets a usual one."""

    method: Method
    url_skeleton: Skeleton
    profile_name: str | None = None

    @property
    def wanted_name(self) -> str | None:
        """The name asked for; raises `Refusal` for one that no profile can have."""
        if not (self.profile_name or "").strip():
            return None
        return validated(_NameBody, {"profileName": self.profile_name}).profile_name


class _NameBody(Wire):
    profile_name: Name


class Selections(Wire):
    groups: Annotated[list[Selection], Field(max_length=MOST_GROUPS)]


class RemoteBody(Wire):
    """The body of `POST /captures/analyse-remote`."""

    source_id: Id
    path: Annotated[str, StringConstraints(max_length=4096), _NotBlank]


class RemoteImportBody(RemoteBody):
    """The body of `POST /captures/import-remote`."""

    selections: Selections


async def analyse(request: Request) -> Response:
    async with _form(request) as form:
        return JSONResponse(await _in_turn(request, _analysis, _file(form)))


async def import_capture(request: Request) -> Response:
    """Make profiles of the selected groups, all or none."""
    async with _form(request) as form:
        file, selections = _file(form), _selections(request, form)
        return await _imported_response(request, file, selections)


async def analyse_remote(request: Request) -> Response:
    body = await read_model(request, RemoteBody)
    sources = Services.of(request).capture_sources
    async with sources.open_capture(body.source_id, body.path, "analyse stream") as file:
        return JSONResponse(await _in_turn(request, _analysis, file))


async def import_remote(request: Request) -> Response:
    body = await read_model(request, RemoteImportBody)
    sources = Services.of(request).capture_sources
    async with sources.open_capture(body.source_id, body.path, "import stream") as file:
        return await _imported_response(request, file, body.selections)


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    """The parts of a multipart body; a file is a temporary one, which is deleted in the end."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Refusal("The body must be sent as multipart/form-data, with the capture as file")
    parser = MultiPartParser(
        request.headers, _limited(request), max_files=1, max_fields=10, max_part_size=_MEGABYTE
    )
    try:
        yield await _parsed(parser)
    finally:
        for file in parser._files_to_close_on_error:  # noqa: SLF001 - also of parts without end
            file.close()


async def _parsed(parser: MultiPartParser) -> FormData:
    try:
        return await parser.parse()
    except MultiPartException as problem:
        raise Refusal(f"The body is not valid multipart/form-data: {problem.message}") from None
    except ClientDisconnect:
        raise Refusal("The body is incomplete: its client has gone") from None


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MOST_FORM_BYTES:
            raise _too_large()
        yield chunk


def _too_large() -> Refusal:
    most = LARGEST_CAPTURE // _MEGABYTE
    return Refusal(f"The capture is larger than {most} MB; split it", status=413)


def _file(form: FormData) -> BinaryIO:
    upload = form.get("file")
    if upload is None:
        raise Refusal("file is missing: send the capture as the multipart field file")
    if not isinstance(upload, UploadFile):
        raise Refusal("file must be a file: its part needs a filename")
    if not upload.size:
        raise Refusal("The capture is empty")
    if upload.size > LARGEST_CAPTURE:
        raise _too_large()
    return upload.file


def _selections(request: Request, form: FormData) -> Selections:
    """The groups to import: JSON text in the query, or in a field of the form."""
    text = request.query_params.get("selections") or form.get("selections")
    if not isinstance(text, str) or not text.strip():
        raise Refusal('selections is missing: {"groups": [{"method": ..., "urlSkeleton": ...}]}')
    try:
        return validated(Selections, strict_json(text.encode("utf-8", "surrogatepass")))
    except Refusal as refusal:
        reason = refusal.message.replace("The body", "it")
        raise Refusal(f"selections: {reason}") from None


async def _in_turn(request: Request, work: Callable[[Iterator[bytes]], T], file: BinaryIO) -> T:
    """Do in a thread what takes long, with the pieces of a file.

    Raises `Refusal` for a file that is no capture, and as soon as the client has gone or the server
    is stopping; then the thread ends soon, or with the process.
    """
    is_over = threading.Event()
    loop = asyncio.get_running_loop()
    working: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        with _ONE_AT_A_TIME:
            try:
                finish = partial(working.set_result, work(_pieces(file, is_over)))
            except BaseException as problem:  # is raised where it is waited for
                finish = partial(working.set_exception, problem)
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(finish)

    threading.Thread(target=run, name="capture", daemon=True).start()
    ends: list[asyncio.Future[None]] = [
        asyncio.create_task(_left(request)),
        asyncio.create_task(Services.of(request).leases.until_closed()),
    ]
    try:
        waited: list[asyncio.Future[Any]] = [working, *ends]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refusal("The server is stopping, or its client has gone", status=503)
        return working.result()
    except UnusableCapture as problem:
        raise Refusal(f"The capture cannot be read: {problem}") from None
    finally:
        is_over.set()
        working.add_done_callback(lambda ended: ended.exception())  # which was asked for then
        for end in ends:
            end.cancel()


async def _left(request: Request) -> None:
    """Wait until the client has gone; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Abandoned(Exception):
    """Nothing waits for the result."""


def _pieces(file: BinaryIO, is_over: threading.Event) -> Iterator[bytes]:
    while not is_over.is_set() and (piece := file.read(_PIECE)):
        yield piece
    if is_over.is_set():
        raise _Abandoned


def _analysis(pieces: Iterator[bytes]) -> dict[str, Any]:
    return analysis_of(read_capture(pieces))


@dataclass(frozen=True, slots=True)
class _Found:
    """What selected groups become, under the names asked for, and selections without a group."""

    profiles: Sequence[tuple[str | None, Imported, DataSource | None]]
    missing: Sequence[Selection]


async def _imported_response(request: Request, file: BinaryIO, selections: Selections) -> Response:
    names = [each.wanted_name for each in selections.groups]
    if not selections.groups:
        found = _Found([], [])
    else:
        found = await _in_turn(request, partial(_found, selections.groups, names), file)
    created, warnings = _stored(Services.of(request), found)
    return JSONResponse(
        {
            "createdProfiles": [{"profileId": each, "name": name} for each, name in created],
            "createdVariablesSetCount": sum(source is not None for *_, source in found.profiles),
            "skippedSelections": [
                {
                    "method": each.method,
                    "urlSkeleton": each.url_skeleton,
                    "reason": "The capture has no such group",
                }
                for each in found.missing
            ],
            "warnings": warnings,
        }
    )


def _found(
    groups: Sequence[Selection], names: Sequence[str | None], pieces: Iterator[bytes]
) -> _Found:
    made = _made(read_capture(pieces), {(each.method, each.url_skeleton) for each in groups})
    profiles, missing = [], []
    for selection, name in zip(groups, names, strict=True):
        if (key := (selection.method, selection.url_skeleton)) in made:
            profiles.append((name, *made[key]))
        else:
            missing.append(selection)
    return _Found(profiles, missing)


def _made(
    capture: Capture, wanted: set[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Imported, DataSource | None]]:
    made: dict[tuple[str, str], tuple[Imported, DataSource | None]] = {}
    methods = {method for method, _ in wanted}
    for kind, group in capture.groups.items():
        if kind.method not in methods:
            continue
        pattern = pattern_of(kind, group)
        if (key := (kind.method, pattern.url)) not in wanted:
            continue
        try:
            found = imported(kind, group, pattern)
        except NotImported as problem:
            raise Refusal(f"{kind.method} {pattern.url} cannot be imported: {problem}") from None
        made[key] = found, _source(found)
    return made


def _source(found: Imported) -> DataSource | None:
    if found.csv is None:
        return None
    source = DataSource(name=found.usual_name, mode="ROW", csv=found.csv)
    _ = source.data_set  # which is read here, because it takes long
    return source


def _stored(services: Services, found: _Found) -> tuple[list[tuple[int, str]], list[str]]:
    """Store profiles and their sets in one transaction; return ids with names, and warnings."""
    created: list[tuple[int, str]] = []
    warnings: list[str] = []
    with services.profiles.transaction():
        _check_room(services, found)
        for wanted, group, source in found.profiles:
            name = _free(wanted or group.usual_name, services.profiles.named)
            fields = group.profile.model_copy(update={"name": name}).stored(None)
            if source is not None:
                own = _free(name, services.variables_sets.id_of)
                stored = services.variables_sets.add(source.model_copy(update={"name": own}))
                fields = fields.model_copy(update={"variables_set_ids": (stored.id,)})
            check_lists(services, fields, None)
            created.append((services.profiles.add(fields).id, name))
            warnings += [f"{name}: {warning}" for warning in group.warnings]
    return created, warnings


def _check_room(services: Services, found: _Found) -> None:
    services.quota.check_profiles(len(services.profiles.all()) + len(found.profiles))
    sets = sum(source is not None for *_, source in found.profiles)
    services.quota.check_variables_sets(services.variables_sets.count() + sets)


def _free(name: str, find: Callable[[str], object]) -> str:
    """The name, or the first one with a number, that is not taken."""
    number = 1
    while find(numbered(name, number)) is not None:
        number += 1
    return numbered(name, number)


ROUTES = [
    Route("/captures/analyse", analyse, methods=["POST"]),
    Route("/captures/import", import_capture, methods=["POST"]),
    Route("/captures/analyse-remote", analyse_remote, methods=["POST"]),
    Route("/captures/import-remote", import_remote, methods=["POST"]),
]
