"""The texts of a profile document, `tm.toml` and `.gitignore`."""

from __future__ import annotations

import json
import re
from typing import Any

from tm_cli.setup.answers import Answers, document_path
from tm_cli.values.durations import format_duration, parse_duration

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*|https?://[A-Za-z0-9._~:/?&=%+-]*[A-Za-z0-9/]")
_WORDS_OF_YAML = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

WAIT = 30 * 60
"""Seconds that `tm` waits for a run by default."""


def profile_text(answers: Answers) -> str:
    """Return the profile document: a constant rate."""
    rate, span = number(answers.rate), duration(answers.seconds)
    return f"""\
# A load test: {rate} requests per second for {span}.
#
#   tm runs start {document_path(answers.name)} --wait
#
name: {scalar(answers.name)}
endpointUrl: {scalar(answers.url)}
httpMethod: {answers.method}
# requestHeaders:
#   Content-Type: application/json
# requestPayload:
#   cart: [{{sku: A-100, quantity: 2}}]
duration: {span}
interpolationMode: LINEAR
points: # requests per second at a second of the run; more points make a curve
  - [0, {rate}]
  - [{answers.seconds}, {rate}]
"""


def settings_text(answers: Answers) -> str:
    """Return `tm.toml`; its limits are comments that show the embedded server's own."""
    verdicts = ", ".join(f'"{verdict}"' for verdict in answers.fail_on.split(","))
    server = "" if answers.is_local else f'base_url = "{answers.server}"\n'
    wait = f'wait_timeout = "{wait_timeout(answers)}"\n' if wait_timeout(answers) else ""
    return f"""\
# Settings of this project's load tests; `tm config show` prints what is in effect.

# The verdicts that fail a gate. With a history, add "NO_BASELINE": a changed curve has none.
fail_on = [{verdicts}]
{server}{wait}
# How much worse than its baseline a run may be, in percent (errors: in points). Each line shows
# the default of the embedded server; take the # off this table and off what you change.
# [gate]
# p50 = {{warn = 5, fail = 15}}
# p95 = {{warn = 5, fail = 15}}
# p99 = {{warn = 10, fail = 30}}
# "p99.9" = {{warn = 20, fail = 60}}
# errors = {{warn = 0.2, fail = 0.5}}
# allErrors = {{warn = 5, fail = 50}}
# shortfall = {{warn = 1, fail = 5}}
# throughput = {{warn = 2, fail = 10}}
# floor = "2ms"
# minRequests = 200
"""


def is_ignored(text: str) -> bool:
    """Whether the lines of a `.gitignore` leave out the data of the embedded server."""
    return not {line.strip() for line in text.splitlines()}.isdisjoint(
        {".tm", ".tm/", "/.tm", "/.tm/"}
    )


def with_ignored(text: str) -> str:
    """Return the `.gitignore` with a line for the data of the embedded server."""
    return text + ("" if text.endswith("\n") or not text else "\n") + ".tm/\n"


def wait_timeout(answers: Answers) -> str | None:
    """Return how long to wait for the end of a run, None where the default is enough."""
    needed = answers.seconds + 10 * 60
    return None if needed <= WAIT else f"{-(-needed // 60)}m"


def scalar(text: str) -> str:
    """Return `text` as one YAML value, in quotes unless it is plainly harmless."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return json.dumps(text, ensure_ascii=False)


def number(rate: float) -> str:
    """Return a rate without an exponent and without `.0`."""
    return f"{rate:.3f}".rstrip("0").rstrip(".")


def duration(seconds: int) -> str:
    """Return a duration that reads as exactly `seconds`."""
    text = format_duration(seconds)
    return text if parse_duration(text) == seconds else f"{seconds}s"


def read_yaml(text: str) -> Any:
    """Return the data in `text`, None for what a tag such as `!reference` stands for.

    Raises ValueError when it is not YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads the tags of every platform as None."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    try:
        return yaml.load(text, Loader)  # noqa: S506  # a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from None
