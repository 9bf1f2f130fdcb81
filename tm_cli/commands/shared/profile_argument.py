"""PROFILE: an id, a name, or a path to a profile document."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tm_cli.api.errors import HttpError
from tm_cli.api.trafficmorph import Profile, TrafficMorphClient
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph.document_files import uploaded
from tm_cli.backends.trafficmorph.profile_documents import (
    SUFFIXES,
    names_document,
    read_document,
)
from tm_cli.commands.shared.names import only_one_named
from tm_cli.commands.shared.refusals import not_accepted
from tm_cli.errors import ConfigurationError, Refused, UsageError
from tm_cli.values.text import did_you_mean, sanitize

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ProfileRef:
    """The profile that an argument names; `warnings` came with its import."""

    profile_id: int
    name: str
    warnings: tuple[str, ...] = ()


def check_profile_argument(text: str, cwd: Path) -> None:
    """Raise what can be known to be wrong before any request."""
    if not text.strip():
        raise UsageError("PROFILE is empty")
    if text.isascii() and text.isdigit() and not 0 < int(text[:20]) <= LARGEST_ID:
        raise UsageError(f"invalid profile id {text}")
    if locustfiles.names_locustfile(text) and not (cwd / text).is_file():
        raise ConfigurationError(
            f"locustfile {text} does not exist", hint=near_document(cwd / text)
        )
    if names_document(text) and not (cwd / text).is_file():
        hint = _address_hint(text) or near_document(cwd / text)
        raise ConfigurationError(f"profile document {text} does not exist", hint=hint)


_ADDRESS = re.compile(r"(?:(https?):/+)?(.*)", re.IGNORECASE)
_HOST = re.compile(r"(?:localhost|[\w-]+(?:\.[\w-]+)+)(?:[:/?].*)?")


def _address_hint(text: str) -> str | None:
    """A hint for an address where a profile belongs, or for one without its scheme."""
    found = _ADDRESS.fullmatch(text)
    scheme, address = found.groups() if found else ("", "")
    is_host = _HOST.fullmatch(address) and Path(address).suffix.lower() not in SUFFIXES
    if not (scheme or is_host):
        return None
    url = shlex.quote(f"{scheme or 'http'}://{address}")
    return f"an address is tested with `tm run {url}`"


def near_document(path: Path) -> str:
    """A hint for a document that does not exist: one with almost the same name, or what else fits.

    `checkout.yml` is a frequent mistake for `checkout.yaml`.
    """
    try:
        names = [item.name for item in path.parent.iterdir() if _is_usable(item.name)]
    except OSError:
        names = []
    otherwise = "a profile's name or id is accepted as well"
    return did_you_mean(path.name, sorted(names), otherwise, alike=0.8)


def _is_usable(name: str) -> bool:
    return names_document(name) or locustfiles.names_locustfile(name)


def document_with_load(text: str, cwd: Path) -> str:
    """Return the document of the same name that plays a locustfile, else `text` itself."""
    if not locustfiles.names_locustfile(text):
        return text
    file = (cwd / text).resolve()
    for path in (Path(text).with_suffix(suffix) for suffix in sorted(SUFFIXES)):
        if (cwd / path).is_file():
            reference = read_document(cwd / path).get(locustfiles.KEY)
            if reference and (cwd / path.parent / reference["file"]).resolve() == file:
                return str(path)
    return text


def require_load(text: str) -> None:
    """Raise UsageError for a locustfile alone: it says how visitors behave, not how many come."""
    if locustfiles.names_locustfile(text):
        raise UsageError(
            f"{text} says what a visitor does, not how many come: --rate and --duration do",
            hint=f"`tm runs start {shlex.quote(text)} --rate 5 --duration 60s --wait`, or a "
            f"profile document with `locustfile: {text}`",
        )


def upload_profile(client: TrafficMorphClient, text: str, cwd: Path) -> ProfileRef:
    """Return the profile that `text` means, creating or overwriting it when it is a document.

    Raises Refused when the server does not accept the document, has no such profile, or has
    several of that name.
    """
    check_profile_argument(text, cwd)
    require_load(text)
    if not names_document(text):
        return resolve_profile(client, text, cwd)
    return import_document(client, read_document(cwd / text), text)


def import_document(
    client: TrafficMorphClient, document: Mapping[str, Any], source: str
) -> ProfileRef:
    """Create or overwrite the profile that a document describes; `source` is what to call it.

    Raises Refused when the server does not accept it.
    """
    with not_accepted(sanitize(source)):
        imported = client.import_profile(uploaded(document))
    return ProfileRef(imported.id, sanitize(imported.name), imported.warnings)


def resolve_profile(client: TrafficMorphClient, text: str, cwd: Path) -> ProfileRef:
    """Return the stored profile that `text` means, a document by the name in it; changes nothing.

    Raises Refused when the server has no such profile or several of that name.
    """
    check_profile_argument(text, cwd)
    if text.isascii() and text.isdigit():
        return ProfileRef(int(text), f"profile {int(text)}")
    name = read_document(cwd / text)["name"] if names_document(text) else text
    if locustfiles.names_locustfile(text):
        name = locustfiles.profile_name(text)
    otherwise = "`tm profiles list` shows what is there; " + (
        _address_hint(str(name)) or "a path to a document works as well"
    )
    found = only_one_named(client.list_profiles(), str(name), "profile", otherwise)
    return ProfileRef(found.id, sanitize(found.name))


def find_profile(client: TrafficMorphClient, subject: ProfileRef) -> Profile:
    """Return the stored profile; raises Refused when it is not there."""
    with _known(subject.profile_id):
        return client.get_profile(subject.profile_id)


def find_profile_fields(client: TrafficMorphClient, profile_id: int) -> dict[str, Any]:
    """Return a profile exactly as the server sends it; raises Refused when it is not there."""
    with _known(profile_id):
        return client.get_profile_fields(profile_id)


@contextmanager
def _known(profile_id: int) -> Iterator[None]:
    try:
        yield
    except HttpError as error:
        if error.status in {400, 404}:
            raise Refused(
                f"the server has no profile {profile_id}: {error.message}",
                hint="`tm profiles list` shows what is there",
                code=error.code,
            ) from None
        raise
