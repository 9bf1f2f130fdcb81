"""The API key: validated on entry, shown nowhere."""

from __future__ import annotations

from typing import Any, final

KEY_VARIABLES = (
    "TM_API_KEY", "RUNLOOP_API_KEY", "STRAIT_API_KEY", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN",
)  # fmt: skip
"""Environment variables whose values are shown nowhere."""

SHORTEST_HIDDEN = 4
"""Characters; a shorter text is not a key and occurs in many words."""

SHORTEST_IN_ANSWERS = 8
"""Characters of a key that is looked for in what is read: a `test` may be an id or a name there."""


def hide(text: str, secret: str) -> str:
    """Return a message with stars wherever it holds the secret."""
    return text if len(secret) < SHORTEST_HIDDEN else text.replace(secret, "***")


def hide_in_answer(value: Any, secret: str) -> Any:
    """Return the same for what a server has sent, a text or a JSON document, before it is read."""
    if len(secret) < SHORTEST_IN_ANSWERS:
        return value
    match value:
        case str():
            return value.replace(secret, "***")
        case list():
            return [hide_in_answer(item, secret) for item in value]
        case dict():
            return {
                hide_in_answer(key, secret): hide_in_answer(item, secret)
                for key, item in value.items()
            }
    return value


@final
class ApiKey:
    """A key that prints as stars; only the transport reveals it."""

    __slots__ = ("_bytes",)

    def __init__(self, text: str) -> None:
        """Validate `text` by the rules of the API (section 2 of its contract).

        Raises ValueError when the key is empty, begins or ends with a blank, or holds a byte that
        cannot stand in a header; that one is named with its position. The message never holds the
        key.
        """
        raw = text.encode("utf-8", "surrogateescape")
        if not raw.strip():
            raise ValueError("the API key is empty")
        for position, byte in enumerate(raw):
            if (byte < 0x20 and byte != 0x09) or byte == 0x7F:
                raise ValueError(
                    f"the API key has byte 0x{byte:02X} at position {position}, "
                    "which cannot stand in a header"
                    + (" (a line break after the key?)" if byte in b"\r\n" else "")
                )
        if text != text.strip():
            raise ValueError("the API key begins or ends with a blank")
        self._bytes = raw

    def reveal(self) -> bytes:
        """The key as it goes into the header."""
        return self._bytes

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("an API key is not pickled")
