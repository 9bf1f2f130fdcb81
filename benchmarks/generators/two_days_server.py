"""The memory of the server during a long run: reads a job and its events from standard input."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.runs.live_run import LiveRun
from tm_cli.server.runs.progress import ServerRun
from tm_cli.server.store.database import Database
from tm_cli.server.store.runs import RunStore
from tm_cli.server.workers.engine_events import EngineEvent, parse_event

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a run of two days would wait for the disk for hours


class Lines:
    """An engine whose events are lines of standard input."""

    last_error = None

    async def events(self, *, patience: float) -> AsyncIterator[EngineEvent]:
        """All of them."""
        for line in sys.stdin:
            if event := parse_event(line.encode()):
                yield event

    def send(self, command: str, **details: object) -> None:
        """There is nothing to command."""

    def hang_up(self) -> None:
        """There is nothing to end."""

    def kill(self) -> None:
        """There is nothing to end."""

    async def close(self) -> int:
        """It has ended."""
        return 0


async def main() -> None:
    """Follow the run."""
    job = EngineJob.from_line(sys.stdin.readline())
    run = ServerRun(
        run_id=job.run_id,
        profile_id=1,
        profile_name="two days",
        target_url=job.target_url,
        region="local",
        tags=(),
        triggered_by="API",
        fingerprint="",
        duration=job.duration,
        loop=False,
        started_at=datetime.now(UTC),
    )

    async def launch(region: str, job: EngineJob) -> Lines:
        return Lines()

    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as directory:
        database = Database.open(Path(directory, "tm.db"))
        store = RunStore(database)
        store.add(run)
        live = LiveRun(run, job, store)
        outcome = await live.run_engine(launch)
        steps = len(store.steps(run.run_id))
        database.close()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"outcome": outcome, "complaint": live.complaint, "steps": steps}
    print(json.dumps({"megabytes": megabytes, **told}))


if __name__ == "__main__":
    asyncio.run(main())
