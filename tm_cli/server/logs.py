"""What a server says on standard error: agents that come and go, and what went wrong."""

import logging

_USUAL = (
    # uvicorn says so of every handshake that was answered with a refusal
    "ASGI callable returned without completing handshake.",
    # ... and so at every end while somebody is connected
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
)


def log_to_stderr() -> None:
    """Have warnings and the coming and going of agents written, unless somebody does so already."""
    logging.basicConfig(level=logging.WARNING, format="tm: %(message)s")
    logging.getLogger("tm_cli.server.crew").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg not in _USUAL
