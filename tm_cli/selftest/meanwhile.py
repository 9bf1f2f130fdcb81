"""What others do while tm waits."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping

from tm_cli.selftest.scenario import Meanwhile, Scene

_LOOK = 0.05


async def stop_run(scene: Scene) -> int:
    """Stop tm's run."""
    await _watched(scene)
    await asyncio.to_thread(scene.client.stop_run, scene.profile_id)
    return 0


async def replace_run(scene: Scene) -> int:
    """Start another run in the place of tm's."""
    await _watched(scene)
    await asyncio.to_thread(scene.client.start_run, scene.profile_id)
    return 1


def send(name: str) -> Meanwhile:
    """Send tm a signal."""

    async def interrupt(scene: Scene) -> int:
        await _watched(scene)
        scene.child.send_signal(getattr(signal, name))
        return 0

    return interrupt


def can_receive(name: str) -> Callable[[Mapping[str, str]], str | None]:
    """Why a program that is started here cannot be told to end by this signal."""

    def why_not(_environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return "signals are for POSIX systems"
        if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
            return f"{name} is ignored here, and so it is by what is started here"
        return None

    return why_not


async def _watched(scene: Scene) -> None:
    """Wait until tm has started its run and looked at it."""
    while not scene.relay.has_been_watched:
        await asyncio.sleep(_LOOK)
