"""Loads locustfiles one after the other and writes why each of them cannot be played."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from tm_cli.runtime.locustfile import hash_of  # noqa: E402
from tm_cli.server.engine.job import JobError  # noqa: E402
from tm_cli.server.engine.locustfiles.loading import load_users  # noqa: E402
from tm_cli.server.engine.locustfiles.reference import JobLocustfile  # noqa: E402


def loaded(path, changes):
    place = {"path": str(path), "variables": {"GIVEN": "yes", "SECRET": "yes-yes"}}
    reference = {"file": path.name, "sha256": hash_of(path.read_bytes()), "place": place}
    try:
        users = load_users(JobLocustfile(**{**reference, **changes}))
    except JobError as error:
        return str(error)
    return [user.__name__ for user in users]


asked = json.loads(sys.argv[1])
sys.stdout.write(json.dumps([loaded(Path(path), changes) for path, changes in asked]))
