"""First lines of masters and workers, and the keys of a run."""

import json

import pytest
import zmq

from tm_cli.server.engine.distributed.roles import MasterRole, WorkerRole, read_role, run_keys
from tm_cli.server.engine.job import EngineJob, JobError

JOB = EngineJob(run_id="r", target_url="http://127.0.0.1:1/", points=[(0, 1)], duration=1)
MASTER_KEYS, WORKER_KEYS = run_keys()
MASTER = MasterRole(job=JOB, workers=["a", "b"], senders=512, keys=MASTER_KEYS)
WORKER = WorkerRole(port=4000, name="a", keys=WORKER_KEYS)


@pytest.mark.parametrize("role", [MASTER, WORKER, JOB])
def test_a_role_is_read_as_it_was_written(role):
    assert read_role(iter([role.to_line().encode()])) == role


@pytest.mark.parametrize(
    ("role", "change", "named"),
    [
        (MASTER, {"workers": []}, "workers"),
        (MASTER, {"workers": ["a", "a"]}, "two have the same label"),
        (MASTER, {"workers": [str(number) for number in range(65)]}, "workers"),
        (MASTER, {"senders": 0}, "senders"),
        (WORKER, {"port": 0}, "port"),
        (WORKER, {"keys": {"public": "short"}}, "keys"),
        (WORKER, {"hosts": "x"}, "hosts"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is_shown(role, change, named):
    (name, document) = next(iter(json.loads(role.to_line()).items()))
    line = json.dumps({name: {**document, **change}})
    with pytest.raises(JobError, match=named) as caught:
        read_role(iter([line.encode()]))
    for key in (MASTER_KEYS.secret, WORKER_KEYS.secret):
        assert key not in str(caught.value)


def test_secrets_are_not_printed():
    for role in (MASTER, WORKER):
        assert MASTER_KEYS.secret not in repr(role)
        assert WORKER_KEYS.secret not in repr(role)


def test_each_run_has_keys_of_its_own_that_fit_together():
    master, worker = run_keys()
    assert zmq.curve_public(master.secret.encode()).decode() == worker.master
    assert zmq.curve_public(worker.secret.encode()).decode() == worker.public == master.worker
    assert master.secret != MASTER_KEYS.secret


def test_without_encryption_the_reason_and_the_way_out_are_said(monkeypatch):
    monkeypatch.setattr(zmq, "has", lambda capability: False)
    with pytest.raises(OSError, match=r"none \(CURVE\); reinstall it from a wheel: pip install"):
        run_keys()
