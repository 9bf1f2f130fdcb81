"""The file with the capture sources of a server, which alone has, or names, their credentials."""

from __future__ import annotations

import os
import re
import shlex
import stat
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.files import expand_home
from tm_cli.runtime.trusted_files import is_trusted_owner
from tm_cli.server.capture_sources.remote import SourceDefinition, reason_of
from tm_cli.server.capture_sources.s3 import S3Source
from tm_cli.server.capture_sources.sftp import (
    SftpSource,
    parse_host_keys,
    read_known_hosts,
    read_private_key,
)
from tm_cli.server.validation import problems
from tm_cli.values.text import did_you_mean, sanitize

_SECRETS = ("access_key_id", "secret_access_key", "session_token", "password", "passphrase")
"""Keys that may be written `KEY_env` as well, with the name of a variable."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_LONGEST_FILE = 1024 * 1024
_LONGEST_NAME = 120


class _Table(BaseModel):
    """What all kinds have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    root: str | None = None


class _S3(_Table):
    kind: Literal["S3"]
    bucket: str = Field(min_length=1)
    region: str = Field("us-east-1", min_length=1)
    endpoint: str | None = None
    virtual_host: bool = False
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    anonymous: bool = False
    ca_file: str | None = None

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, text: str | None) -> str | None:
        if text is not None and not text.startswith(("http://", "https://")):
            raise ValueError("must begin with https:// or http://")
        return text and text.rstrip("/")

    @model_validator(mode="after")
    def _has_keys(self) -> _S3:
        given = [self.access_key_id, self.secret_access_key]
        if self.anonymous and any(given):
            raise ValueError("anonymous sources have no keys")
        if not self.anonymous and not all(given):
            raise ValueError(
                "access_key_id and secret_access_key are missing (or anonymous = true)"
            )
        return self

    def source(self, name: str, directory: Path) -> SourceDefinition:
        try:
            ca = _path(self.ca_file, directory).read_bytes() if self.ca_file else None
        except OSError as error:
            raise ValueError(f"ca_file: cannot read {self.ca_file}: {error.strerror}") from None
        return S3Source(
            name=name,
            bucket=self.bucket,
            root_path=self.root,
            endpoint=self.endpoint or f"https://s3.{self.region}.amazonaws.com",
            region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            session_token=self.session_token,
            virtual_host=self.virtual_host,
            ca=ca,
        )


class _Sftp(_Table):
    kind: Literal["SFTP"]
    host: str = Field(min_length=1)
    port: int = Field(22, ge=1, le=65535)
    user: str = Field(min_length=1)
    password: str | None = None
    private_key_file: str | None = None
    passphrase: str | None = None
    host_key: str | list[str] | None = None
    known_hosts_file: str | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> _Sftp:
        if (self.password is None) == (self.private_key_file is None):
            raise ValueError("it needs either password or private_key_file")
        if (self.host_key is None) == (self.known_hosts_file is None):
            raise ValueError(
                "it needs either host_key or known_hosts_file: without them another server could "
                f"pose as this one; `ssh-keyscan {self.host}` prints the keys to compare"
            )
        return self

    def source(self, name: str, directory: Path) -> SourceDefinition:
        return SftpSource(
            name=name,
            host=self.host,
            port=self.port,
            user=self.user,
            root_path=self.root,
            host_keys=self._host_keys(directory),
            password=self.password,
            private_key=self.private_key_file
            and read_private_key(_path(self.private_key_file, directory), self.passphrase),
        )

    def _host_keys(self, directory: Path) -> Any:
        if self.known_hosts_file is not None:
            return read_known_hosts(_path(self.known_hosts_file, directory))
        return parse_host_keys([self.host_key] if isinstance(self.host_key, str) else self.host_key)


_KINDS: dict[str, type[_S3 | _Sftp]] = {"S3": _S3, "SFTP": _Sftp}
_LIBRARIES = {"S3": "obstore", "SFTP": "asyncssh"}


def read_capture_sources(path: Path, environ: Mapping[str, str]) -> list[SourceDefinition]:
    """Read the tables `[sources.NAME]`; raises ConfigurationError, which names file and table."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_LONGEST_FILE + 1)
        document = tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot read the capture sources in {path}: {reason_of(error)}"
        ) from None
    if len(content) > _LONGEST_FILE:
        raise ConfigurationError(f"{path} is larger than {_LONGEST_FILE:,} bytes")
    tables = document.pop("sources", {})
    are_tables = isinstance(tables, dict) and all(isinstance(t, dict) for t in tables.values())
    if document or not are_tables:
        unknown = next(iter(document), "sources")
        raise ConfigurationError(
            f"{path}: {sanitize(unknown)!r} is not a table of capture sources",
            hint="each source is a table [sources.NAME]",
        )
    _check_private(path, status, tables, environ)
    return [_source(path, name, table, environ) for name, table in tables.items()]


def _source(
    path: Path, name: str, table: dict[str, Any], environ: Mapping[str, str]
) -> SourceDefinition:
    try:
        return _definition(name, table, path.parent, environ)
    except ValueError as problem:
        raise ConfigurationError(f"{path}: [sources.{sanitize(name)}]: {problem}") from None


def _definition(
    name: str, table: dict[str, Any], directory: Path, environ: Mapping[str, str]
) -> SourceDefinition:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a name has 1 to {_LONGEST_NAME} printable characters")
    kind = str(table.get("kind", "")).upper()
    if kind not in _KINDS:
        raise ValueError(f"kind must be {' or '.join(_KINDS)}")
    model = _KINDS[kind]
    if unknown := [key for key in table if key.removesuffix("_env") not in model.model_fields]:
        near = did_you_mean(unknown[0], model.model_fields)
        raise ValueError(f"there is no key {sanitize(unknown[0])!r}{near and f'; {near}'}")
    if find_spec(library := _LIBRARIES[kind]) is None:
        raise ConfigurationError(
            f"the capture source {name!r} needs {library}, which is not installed",
            hint="pip install 'tm-cli[local,sources]'",
        )
    try:
        found = model.model_validate(_with_variables({**table, "kind": kind}, environ))
    except ValidationError as error:
        field, text = problems(error)[0]
        raise ValueError(f"{field}: {text}" if field else text) from None
    return found.source(name, directory)


def _with_variables(table: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The table with the values of the variables that its keys `..._env` name."""
    found = dict(table)
    for key in _SECRETS:
        variable = found.pop(f"{key}_env", None)
        if variable is None:
            continue
        if key in found:
            raise ValueError(f"{key} and {key}_env exclude each other")
        if not (isinstance(variable, str) and _VARIABLE.fullmatch(variable)):
            raise ValueError(f"{key}_env: it must be the name of a variable, such as SFTP_PASSWORD")
        if not environ.get(variable):
            raise ValueError(
                f"{key}_env: the variable {variable} is not set "
                "(a server that a command starts gets none; start it with `tm serve`)"
            )
        found[key] = environ[variable]
    return found


def _path(text: str, directory: Path) -> Path:
    return directory / expand_home(text, "the file of capture sources")


def _check_private(
    path: Path, status: os.stat_result, tables: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    """The file decides to whom credentials are sent, and may hold them."""
    if os.name != "posix":
        return
    if not is_trusted_owner(status.st_uid, environ):
        raise ConfigurationError(f"{path} belongs to another user (id {status.st_uid})")
    has_secrets = any(key in _SECRETS for table in tables.values() for key in table)
    if status.st_mode & (stat.S_IRWXO if has_secrets else stat.S_IWOTH):
        what = (
            "holds credentials, and every user of this machine may read"
            if has_secrets
            else "names servers and credentials, and every user of this machine may write"
        )
        is_file = stat.S_ISREG(status.st_mode)  # a device stays as it is
        hint = f"chmod o= {shlex.quote(str(path))}" if is_file else "name a file of your own"
        raise ConfigurationError(f"{path} {what} it", hint=hint)
