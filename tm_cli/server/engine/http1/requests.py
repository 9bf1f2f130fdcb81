"""The bytes of a request over HTTP/1.1, filled in for each arrival where it has macros."""

from collections.abc import Mapping, Sequence

from tm_cli import __version__
from tm_cli.server.engine.job import RequestTarget
from tm_cli.server.engine.templates import BadValue, Template, in_header, in_url

_WITH_CONTENT = {"POST", "PUT", "PATCH"}
_NO_VALUES: Mapping[str, str] = {}


class RequestTemplate:
    """A request whose macros are filled in; `names` are those of all its macros."""

    def __init__(
        self,
        method: str,
        target: RequestTarget,
        headers: Sequence[tuple[str, str]],
        body: str | None,
    ) -> None:
        self._line = Template.compile(f"{method} {target.request_target} HTTP/1.1")
        self._fields = Template.compile(
            "".join(f"\r\n{name}: {value}" for name, value in _fields(target, headers))
        )
        self._body = Template.compile(body or "")
        self._has_content = bool(body) or method in _WITH_CONTENT
        self.names = self._line.names | self._fields.names | self._body.names

    def render(self, values: Mapping[str, str] = _NO_VALUES) -> bytes:
        """The request with these values; raises BadValue."""
        try:
            body = self._body.render(values).encode()
        except UnicodeEncodeError as error:  # a lone surrogate
            raise BadValue from error
        length = f"\r\nContent-Length: {len(body)}" if self._has_content else ""
        head = self._line.render(values, in_url) + self._fields.render(values, in_header)
        return f"{head}{length}\r\n\r\n".encode("latin-1") + body


def _fields(target: RequestTarget, headers: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """The headers, with those of our own that are not among them."""
    own = [("Host", target.authority), ("User-Agent", f"tm/{__version__}")]
    given = {name.lower() for name, _ in headers}
    return [*(pair for pair in own if pair[0].lower() not in given), *headers]
