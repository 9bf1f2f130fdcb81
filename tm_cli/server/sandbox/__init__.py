"""JavaScript of profiles, run in a process of its own: `python -m tm_cli.server.sandbox`."""

from importlib.util import find_spec


def is_installed() -> bool:
    """Whether the engine is there, which is in an extra of its own."""
    return find_spec("quickjs_rs") is not None
