"""Whether the target can be loaded at all, asked before the load is sent."""

import ssl
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass

from gevent.event import Event

from tm_cli.server.engine.http1.client import TargetClient
from tm_cli.server.engine.job import EngineJob, JobError, RequestTarget
from tm_cli.server.engine.protocol import Events
from tm_cli.values.failures import failure_meaning

_PAUSE = 1.0  # seconds between two attempts
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_BY_A_PROXY = {502, 503, 504}  # its answers while the service behind it starts


class TargetNotReady(JobError):
    """No load was sent, because the target cannot be tested."""


def wait_until_ready(job: EngineJob, events: Events, stopped: Event) -> None:
    """Return once everything that the job asks about is ready, or the run is stopped.

    Raises TargetNotReady when that takes longer than the job allows.
    """
    deadline = time.monotonic() + (job.probe.wait if job.probe else 0.0)
    for check in _checks(job):
        while not stopped.is_set() and (problem := check.problem()):
            if time.monotonic() + _PAUSE > deadline:
                if check.is_there and check.is_optional:
                    break
                hint = _hint(job, check)
                raise TargetNotReady(f"{problem}; no load was sent{hint}")
            events.write("waiting", reason=problem)
            stopped.wait(_PAUSE)
        check.client.close()


@dataclass(slots=True)
class _Check:
    """One thing to ask about, and the statuses that mean that it is not ready.

    Without `sends` a connection is enough: how the target answers is what the run measures. After
    a `problem`, `is_there` says whether it answered at all, which is enough for what is optional.
    """

    name: str
    client: TargetClient
    not_ready: Container[int]
    sends: bool = True
    is_optional: bool = True
    verifies: bool = True
    is_there: bool = False

    def problem(self) -> str | None:
        result = self.client.send() if self.sends else self.client.connect()
        self.is_there = isinstance(result, int)
        if not self.verifies and isinstance(self.client.error, ssl.SSLCertVerificationError):
            return None
        if isinstance(result, str):
            return f"{self.name} cannot be reached: {_explained(self.client.error, result)}"
        if result in self.not_ready:
            return f"{self.name} is not ready: it answers with status {result}"
        return None


def _checks(job: EngineJob) -> Iterator[_Check]:
    probe = job.probe
    if probe is None:
        return
    if probe.url is not None:
        target = RequestTarget.parse(probe.url, probe.addresses)
        client = _client(job, target, method="GET", headers=[])
        name = f"the readiness URL at {target.authority}"
        yield _Check(name, client, range(400, 1000), is_optional=False)
    is_safe = job.method in _SAFE_METHODS
    for target in job.targets:
        name = f"the target {target.authority}"
        client = _client(job, target, method=job.method if is_safe else "HEAD")
        # not every service answers HEAD; the readiness URL has said enough
        sends = probe.wait > 0 and (is_safe or probe.url is None)
        # a locustfile decides itself which certificates are good enough
        verifies = job.locustfile is None
        yield _Check(name, client, _BY_A_PROXY, sends=sends, verifies=verifies)


def _client(job: EngineJob, target: RequestTarget, **changes: object) -> TargetClient:
    alone = {"body": None, "slots": 1, "against": None, "expect_status": None}
    return TargetClient(job.model_copy(update={**alone, **changes}), target)


def _hint(job: EngineJob, check: _Check) -> str:
    if wait := job.probe.wait if job.probe else 0.0:
        is_asked_otherwise = check.sends and check.is_optional and job.method not in _SAFE_METHODS
        way_out = " (it was asked with HEAD; a readinessUrl would be asked instead)"
        return f" in {wait:g} s{way_out if is_asked_otherwise else ''}"
    is_tls = isinstance(check.client.error, ssl.SSLError)
    return "" if is_tls else " (--wait-for-target 60s would wait for it)"


def _explained(error: Exception | None, name: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message} (TM_CA_FILE names certificates to trust)"
    return failure_meaning(name) or name
