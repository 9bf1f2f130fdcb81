"""The kind of machine that tm runs on: response times measured on two of a kind spread alike."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from tm_cli.runtime.child_environment import RUNNER

_CPUINFO = Path("/proc/cpuinfo")
_MOST = 80  # characters of each part


def runner_class(environ: Mapping[str, str]) -> str:
    """Return system, processor, its number of CPUs and, in CI, the label of the runner."""
    label = next((value for name in RUNNER if (value := environ.get(name))), "")
    count = os.cpu_count() or 1
    parts = (
        f"{platform.system()} {platform.machine()}",
        _cpu_model(environ),
        f"{count} CPU{'s' * (count > 1)}",
        label,
    )
    shown = ("".join(filter(str.isprintable, " ".join(part.split()))) for part in parts)
    return ", ".join(part[:_MOST] for part in shown if part)


def _cpu_model(environ: Mapping[str, str]) -> str:
    """The name of the processor, where it can be read without starting a program."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(models, environ.get("PROCESSOR_IDENTIFIER", ""))  # of Windows
