"""Side actions that run during a scenario (stop the run, replace it, signal tm)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping

from tm_cli.selftest.scenario import ScenarioContext, SideAction

_POLL_INTERVAL = 0.05


async def stop_run(context: ScenarioContext) -> int:
    await _polled(context)
    await asyncio.to_thread(context.client.stop_run, context.profile_id)
    return 0


async def replace_run(context: ScenarioContext) -> int:
    await _polled(context)
    await asyncio.to_thread(context.client.start_run, context.profile_id)
    return 1


def send(name: str) -> SideAction:
    async def interrupt(context: ScenarioContext) -> int:
        await _polled(context)
        context.child.send_signal(getattr(signal, name))
        return 0

    return interrupt


def unless_ignored(name: str) -> Callable[[Mapping[str, str]], str | None]:
    """Skip the scenario where child processes ignore this signal."""

    def skip_reason(_environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return "signals are for POSIX systems"
        if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
            return f"{name} is ignored here, and so it is by what is started here"
        return None

    return skip_reason


async def _polled(context: ScenarioContext) -> None:
    """Wait until tm has started its run and polled it."""
    while not context.proxy.has_been_polled:
        await asyncio.sleep(_POLL_INTERVAL)
