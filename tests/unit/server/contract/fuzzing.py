"""Requests of every kind, made from the OpenAPI document of a server, and what its answers break.

`python tests/unit/server/contract/fuzzing.py [EXAMPLES] [SEED]` plays many; the load generator of
its server only pretends to send traffic.
"""

import itertools
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[4]))

import httpx2
import schemathesis
from hypothesis import strategies as st
from schemathesis import engine
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from tests.unit.server.running_server import RunningServer

LONGEST = 1000
REFUSED = ["400", "401", "404", "405", "413"]
PHASES = ("coverage", "fuzzing", "stateful")
URLS = [f"http://127.0.0.1:9/?mode={mode}" for mode in ("quick", "hold", "crash")]
HEADERS = ["[]", '[{"name": "X-Trace", "value": "$$id$$"}]', '[{"name": "a b", "value": ""}]', "{"]
ZONES = ["UTC", "Europe/Berlin", "Mars/Olympus"]
CAPTURE = b"".join(
    b'{"t":%d,"method":"GET","url":"http://127.0.0.1:9/users/%d"}\n' % (n, n) for n in range(3)
)
FORMATS = {
    "uri": URLS,
    "header-list": HEADERS,
    "iana-timezone": ZONES,
    "csv": ["id,weight\n1,2\n", "id\n", '"'],
    "domain": ["127.0.0.1", "127.0.0.2", "a..b"],
    "binary": [CAPTURE, b"{}\n", b""],
}
NOWHERE = {"dns_server": ("127.0.0.1", 9), "web_ports": (("http", 9),)}
"""Options of a server that looks for the tokens of domains on this machine only."""


@dataclass
class Findings:
    """How many requests were sent in each phase, by operation and status, and what was wrong."""

    sent: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, dict[int, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, scenario):
        phase = scenario.phase.value
        self.sent[phase] = self.sent.get(phase, 0) + len(scenario.recorder.interactions)
        for key, interaction in scenario.recorder.interactions.items():
            operation = scenario.recorder.cases[key].value.operation
            found = self.statuses.setdefault(operation.label, {})
            status = interaction.response.status_code if interaction.response else 0
            found[status] = found.get(status, 0) + 1
        for key, checks in scenario.recorder.checks.items():
            answer = scenario.recorder.interactions[key].response
            self.problems += [
                f"{check.name}: {check.failure_info.failure.message}\n"
                f"{check.failure_info.code_sample[:LONGEST]}\n{answer and answer.content[:500]!r}"
                for check in checks
                if check.failure_info
            ]


def fuzz(server, *, examples, seed, phases=PHASES, operations=None, seconds=None):
    """Play phases against a running server, of all operations or of those with these ids.

    After so many seconds it leaves out the rest.
    """
    document = httpx2.get(server.info.base_url + "/v3/api-docs/v1").json()
    for name, values in FORMATS.items():
        schemathesis.openapi.format(name, st.sampled_from(values))
    schema = schemathesis.openapi.from_dict(
        document, config=configuration(server, examples, seed, phases, seconds)
    )
    schema.hook(map_body)
    schema.hook(filter_failure)
    if operations is not None:
        schema = schema.include(operation_id=list(operations))
    findings = Findings()
    for event in engine.from_schema(schema).execute():
        if isinstance(event, ScenarioFinished):
            findings.add(event)
        elif isinstance(event, FatalError):
            raise event.exception
        elif isinstance(event, NonFatalError):
            findings.problems.append(f"{event.label}: {event.value!r}")
    return findings


def configuration(server, examples, seed, phases, seconds):
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            **({"max-time": seconds} if seconds else {}),
            "base-url": server.info.base_url,
            "headers": {"X-Api-Key": server.key},
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "phases": {name: {"enabled": name in phases} for name in ("examples", *PHASES)},
            # what a schema cannot say is refused with 400
            "checks": {
                "positive_data_acceptance": {"enabled": False},
                "negative_data_rejection": {"expected-statuses": REFUSED},
            },
        }
    )


def map_body(context, body):
    """Bring the points of a curve into its bounds, or hardly any profile could be saved and run."""
    if isinstance(body, dict) and isinstance(body.get("points"), list):
        points = [point for point in body["points"] if isinstance(point, dict)]
        for point, (key, most) in itertools.product(
            points, [("x", body.get("duration")), ("y", 50)]
        ):
            if isinstance(point.get(key), float) and type(most) is int and point[key] > most:
                point[key] = float(most)
    return body


def filter_failure(context, failure, case, response):
    """Leave out what is meant to be accepted.

    A parameter of the query without a value is like none, and a document is imported without a
    schedule that cannot be kept.
    """
    if "should have been rejected" not in failure.message:
        return True
    if "" in (case.query or {}).values():
        return False
    return not (case.path.endswith("/profiles/import") and "schedule" in failure.message)


def main(examples, seed):
    with tempfile.TemporaryDirectory() as directory:
        server = RunningServer(Path(directory) / "data", **NOWHERE).start()
        findings = fuzz(server, examples=examples, seed=seed)
        server.stop()
    for label, statuses in sorted(findings.statuses.items()):
        sys.stdout.write(f"{label}: {dict(sorted(statuses.items()))}\n")
    sys.stdout.write("\n\n".join(["", *dict.fromkeys(findings.problems)]) + "\n")
    sys.stdout.write(f"seed {seed}: {findings.sent}, {len(findings.problems)} problems\n")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:3]]
    sys.exit(main(*(given + [100, random.randrange(2**32)][len(given) :])))
