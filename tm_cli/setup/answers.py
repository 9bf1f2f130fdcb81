"""The answers that a set-up is written from, and the names of its files.

Each reader takes the text of an option or of an answer; it raises ValueError with the reason.
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from tm_cli.setup import pins
from tm_cli.values.documents import parse_yaml
from tm_cli.values.durations import format_duration, parse_duration
from tm_cli.values.urls import LOCAL, is_loopback, is_plain_http, not_yet, parse_base_url

USUAL = "load-test"

_RESERVED = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9]")
"""Windows gives these to devices, whatever their suffix."""
_AT_HOME = (".local", ".internal", ".lan", ".home.arpa", ".localhost", ".test")


def stem(name: str) -> str:
    """Return `name` as the beginning of a file name: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")
    if not words:
        return USUAL
    return f"load-{words}" if _RESERVED.fullmatch(words) else words


def document_path(name: str) -> str:
    """Return the file of the profile called `name`."""
    return f"{stem(name)}.yaml"


def name_from(url: str) -> str:
    """Return a name for a load test of `url`: the last word of its path."""
    words = [word for word in urlsplit(url).path.split("/") if word]
    return stem(words[-1].partition(".")[0]) if words else USUAL


def is_here(url: str) -> bool:
    """Whether the target is on the machine that sends the load."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_public(url: str) -> bool:
    """Whether the target may have a public address, judged by its spelling alone."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_AT_HOME)


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
SHORTEST, LONGEST = 10, 48 * 3600
"""Seconds of a run."""
MOST_LOCAL = 10_000
"""Requests per second of the embedded server; it cuts off what is above."""

_URL = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]{1,2048}")
_PLAIN_URL = re.compile(r"[A-Za-z0-9\-._~:/\[\]%]{1,500}")
"""What a server's address may hold: nothing that YAML, a shell, make or a CI platform expands."""
_RATE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)(?:\s*/\s*s)?")
_LOAD = re.compile(r"(\S+(?:\s*/\s*s)?)(?:\s+for)?\s+(\S+)", re.IGNORECASE)


class System(StrEnum):
    """What the pipeline starts, by the name of its command."""

    RUNS = "runs"
    BENCHMARKS = "benchmarks"
    JOBS = "jobs"

    @property
    def prefix(self) -> str:
        """What the variables of its server and key begin with."""
        return {"runs": "TM", "benchmarks": "RUNLOOP", "jobs": "STRAIT"}[self]

    @property
    def job(self) -> str:
        """The name of its job in a pipeline, and of its files."""
        return {"runs": "load-test", "benchmarks": "benchmark", "jobs": "job"}[self]


class Platform(StrEnum):
    """Where the pipeline runs."""

    GITHUB = "github"
    GITLAB = "gitlab"
    MAKE = "make"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Answers:
    """A load test, a benchmark or a job, and its pipeline.

    `rate` in requests per second, `seconds` is the duration of a run, `fail_on` a list of verdicts
    with commas between, `server` an address or `local`; `public` lets the embedded server load a
    public address. `subject` is the benchmark or job, and `min_score` the rule of a benchmark.
    `branch` is the default branch of the repository, and `action` where the GitHub action is.
    """

    platform: Platform
    name: str
    url: str = ""
    rate: float = 0.0
    seconds: int = 0
    method: str = "GET"
    fail_on: str = "FAIL,WARN"
    server: str = LOCAL
    public: bool = False
    system: System = System.RUNS
    subject: str = ""
    min_score: str = ""
    branch: str | None = None
    action: str = field(default_factory=pins.action)

    @property
    def is_load(self) -> bool:
        """Whether it is a load test."""
        return self.system is System.RUNS

    @property
    def is_local(self) -> bool:
        """Whether the embedded server generates the load."""
        return self.is_load and self.server == LOCAL

    @property
    def own_server(self) -> str | None:
        """The server to name; None for the embedded one, and for the vendor's of a system."""
        return None if self.server == LOCAL else self.server

    @property
    def requests(self) -> float:
        """Requests of a run."""
        return self.rate * self.seconds


_WITH_PORT = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]+(?:[/?].*)?")


def is_address(text: str) -> bool:
    """Whether `text` is meant as a URL, if only as a host with a port: `localhost:8080`."""
    return "://" in text or _WITH_PORT.fullmatch(text.strip()) is not None


def read_target(text: str) -> str:
    """Return the address that the load goes to; a port of this machine needs no scheme."""
    url = text.strip()
    if _WITH_PORT.fullmatch(url) and is_here(f"http://{url}"):
        url = f"http://{url}"
    if "://" not in url:
        raise ValueError(f"it has no scheme; write for instance http://{url or 'localhost:8080'}")
    if "#" in url:
        raise ValueError("it has a fragment, which is never sent")
    if not _URL.fullmatch(url):
        raise ValueError("it holds characters that a URL must write as %XX, or it is too long")
    parts = urlsplit(url)
    if parts.scheme.lower() not in {"http", "https"}:
        raise ValueError(not_yet(url) or "its scheme is neither http nor https")
    _check_host(url)
    return url


def _check_host(url: str) -> None:
    parts = urlsplit(url)
    try:
        host, _port = parts.hostname, parts.port
    except ValueError as problem:
        raise ValueError(f"its port is malformed ({problem})") from None
    if "@" in parts.netloc:
        raise ValueError("it holds credentials; send them in a request header of the profile")
    if not host:
        raise ValueError("it has no host")


def read_server(text: str) -> str:
    """Return `local` or the address of a server."""
    url = parse_base_url(text)
    if url == LOCAL:
        return url
    if not _PLAIN_URL.fullmatch(url):
        raise ValueError("it holds characters that have a meaning in pipelines")
    if is_plain_http(url) and not is_loopback(url):
        raise ValueError("plain http would send the API key unencrypted; write https")
    return url


def read_rate(text: str) -> float:
    """Return requests per second from `20`, `2.5` or `20/s`."""
    found = _RATE.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise ValueError(f"invalid rate {text.strip()!r}: expected requests per second, e.g. 20")
    return float(found[1])


def read_seconds(text: str) -> int:
    """Return the whole seconds of a run."""
    seconds = parse_duration(text)
    if seconds % 1:
        raise ValueError("it is not a whole number of seconds")
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError(f"a run takes from {SHORTEST}s to {format_duration(LONGEST)}")
    return int(seconds)


def read_load(text: str) -> tuple[float, int]:
    """Return rate and seconds from `20 for 1m` or `20 1m`."""
    found = _LOAD.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"invalid load {text.strip()!r}: expected a rate and a duration, e.g. 20 for 1m"
        )
    return read_rate(found[1]), read_seconds(found[2])


def read_name(text: str) -> str:
    """Return the name of a profile."""
    name = text.strip()
    if not name:
        raise ValueError("it is empty")
    if len(name) > 120 or not name.isprintable():
        raise ValueError("a name has at most 120 printable characters")
    return name


_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_SCORE = re.compile(r"0(?:\.[0-9]{1,6})?|1(?:\.0)?|[0-9]{1,2}(?:\.[0-9]{1,4})?%|100%")
_ACTION = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(?:/[\w./-]+)?@[\w./-]+", re.ASCII)


def read_subject(text: str) -> str:
    """Return the id of a benchmark, or the id or slug of a job."""
    if not _SUBJECT.fullmatch(text.strip()):
        raise ValueError("an id has letters, digits, dots, underscores and hyphens")
    return text.strip()


def read_min_score(text: str) -> str:
    """Return a score as it was written: 0.85 or 85%."""
    if not _SCORE.fullmatch(text.strip()):
        raise ValueError("a score is written as 0.85 or 85%")
    return text.strip()


def read_action(text: str) -> str:
    """Return where a GitHub action is: OWNER/REPOSITORY@REF."""
    if not _ACTION.fullmatch(text.strip()):
        raise ValueError("write OWNER/REPOSITORY@REF")
    return text.strip()


def read_method(text: str) -> str:
    """Return an HTTP method."""
    method = text.strip().upper()
    if method not in METHODS:
        raise ValueError(f"{text.strip()!r} is not one of {', '.join(METHODS)}")
    return method


def is_out_of_reach(url: str, server: str) -> bool:
    """Whether the target is on this machine and the load comes from another one."""
    return server != LOCAL and is_here(url) and not is_loopback(server)


def check_whole(answers: Answers) -> Answers:
    """Return the answers; raise ValueError when they do not go together."""
    if not answers.is_load:
        return answers
    if answers.is_local and answers.rate > MOST_LOCAL:
        raise ValueError(
            f"the embedded server sends at most {MOST_LOCAL} requests per second; "
            "name a server for more"
        )
    if is_out_of_reach(answers.url, answers.server):
        raise ValueError(
            f"{answers.url} is the machine of the caller, and the server at "
            f"{answers.server} would load its own; name an address that it reaches, or take "
            "--server local"
        )
    if answers.public and not answers.is_local:
        raise ValueError("only the embedded server asks for permission to load public addresses")
    return answers


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
    key = {"TM": "base_url"}.get(answers.system.prefix, f"{answers.system.prefix.lower()}_base_url")
    server = f'{key} = "{answers.own_server}"\n' if answers.own_server else ""
    if not answers.is_load:
        return f"""\
# Settings of this project's gates; `tm config show` prints what is in effect.

# The verdicts that fail a gate.
fail_on = [{verdicts}]
{server}"""
    wait = f'wait_timeout = "{wait_timeout(answers)}"\n' if wait_timeout(answers) else ""
    return f"""\
# Settings of this project's load tests; `tm config show` prints what is in effect.

# The verdicts that fail a gate. With a history, add "NO_BASELINE", here and in the pipeline, which
# has a list of its own: a changed curve has no baseline.
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
# statuses = {{warn = 1, fail = false}}
# bodySize = {{warn = 50, fail = false}}
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
    return parse_yaml(text, foreign=True)
