"""Starts the workers of a run: engines on this machine, or the agents of a region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from tm_cli.clock import Clock
from tm_cli.server.crew.agents import Agents
from tm_cli.server.crew.crew import WorkerGroup, WorkerSpec
from tm_cli.server.engine.job import MAX_SLOTS, EngineJob
from tm_cli.server.engine_process import EngineProcess
from tm_cli.server.regions import LOCAL
from tm_cli.server.running_engine import Launch, RunningEngine


def launch_with(agents: Agents, command: Sequence[str], *, slots: int, clock: Clock) -> Launch:
    """How runs are launched; `slots` requests of a local run may be under way at the same time.

    In other regions each worker has so many, at most `MAX_SLOTS`.
    """

    async def launch(region: str, job: EngineJob) -> RunningEngine:
        if region != LOCAL:
            workers = agents.workers_in(region)
            if not workers:
                raise OSError(f"no agent is connected in region {region}")
            return await WorkerGroup.start(workers, _with_slots(job, min(slots, MAX_SLOTS)), clock)
        shares = split(slots)
        if len(shares) == 1:
            return await EngineProcess.start(command, _with_slots(job, slots))
        return await WorkerGroup.start(_local_workers(command, shares), job, clock)

    return launch


def _with_slots(job: EngineJob, slots: int) -> EngineJob:
    return job.model_copy(update={"slots": slots})


def split(slots: int) -> list[int]:
    count = math.ceil(slots / MAX_SLOTS)
    return [slots // count + (index < slots % count) for index in range(count)]


def _local_workers(command: Sequence[str], shares: Sequence[int]) -> list[WorkerSpec]:
    async def start(slots: int, job: EngineJob) -> RunningEngine:
        return await EngineProcess.start(command, _with_slots(job, slots))

    return [
        WorkerSpec(f"{LOCAL}/{number}", partial(start, slots))
        for number, slots in enumerate(shares, 1)
    ]
