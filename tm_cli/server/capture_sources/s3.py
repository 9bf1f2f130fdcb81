"""Captures in a bucket of an S3-compatible store."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tm_cli.server.capture_sources.remote import RemoteError, RemoteFile

if TYPE_CHECKING:
    from obstore.store import S3Store

_CHUNK = 1024 * 1024
_STATUS = re.compile(r"status code: (\d{3})(?: ([\w' -]{1,40}))?")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_CAUSE = re.compile(r'message: "([\w .()-]{1,80})"')


@dataclass(frozen=True, slots=True)
class S3Source:
    """A folder of a bucket; without keys it is read without a signature.

    No setting comes from the environment: it may hold the keys of somebody else's bucket.
    """

    name: str
    bucket: str
    root_path: str | None
    endpoint: str
    region: str
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    virtual_host: bool = False
    ca: bytes | None = field(default=None, repr=False)
    kind: str = "S3"

    async def files(self) -> list[RemoteFile]:
        store = self._store()
        with _explained():
            found = await store.list_with_delimiter_async()
        return [
            RemoteFile(entry["path"], entry["size"], entry["last_modified"].astimezone(UTC))
            for entry in found["objects"]
        ]

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        store = self._store()
        with _explained():
            answer = await store.get_async(name)
            async for chunk in answer.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    def _store(self) -> S3Store:
        from obstore.store import S3Store

        with _explained():  # the library reads variables for whatever is not given
            return S3Store(
                self.bucket,
                prefix=self.root_path or None,
                endpoint=self.endpoint,
                region=self.region,
                skip_signature=self.access_key_id is None,
                virtual_hosted_style_request=self.virtual_host,
                request_payer=False,
                client_options=self._client_options(),
                retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=10)},
                credential_provider=self._credentials,
            )

    def _client_options(self) -> Any:
        trusted = {} if self.ca is None else {"root_certificate": self.ca}
        seconds = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "300s"}
        return {"allow_http": self.endpoint.startswith("http://"), **seconds, **trusted}

    def _credentials(self) -> Any:
        keys: Mapping[str, str | None] = {
            "access_key_id": self.access_key_id or "",
            "secret_access_key": self.secret_access_key or "",
            "token": self.session_token,
        }
        never = datetime.now(UTC) + timedelta(days=1)
        return {**keys, "expires_at": never}


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the library's errors into RemoteError: they hold answers of the server, with key ids."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise RemoteError(_reason(str(error))) from None


def _reason(text: str) -> str:
    status, code, cause = _STATUS.search(text), _CODE.search(text), _CAUSE.search(text)
    if status:
        meaning = code[1] if code else (status[2] or "").strip()
        return f"the store answers {status[1]} {meaning}".strip()
    return f"the store cannot be reached: {cause[1] if cause else 'no usable answer'}"
