"""Variables for later jobs of GitLab CI, and sections of its job log."""

from __future__ import annotations

import re
from datetime import datetime

from tm_cli.gate.outcome import Evidence
from tm_cli.render.summary import leading

_UNSAFE = re.compile(r"[^A-Za-z0-9._:/,-]+")
LONGEST = 200


def dotenv(outcome: Evidence) -> str:
    """Return variables that are safe to source; of several runs, those of the deciding one."""
    record = leading(outcome)
    end = record.end
    facts = end.result.facts if end.result else {}
    baseline = end.result.basis.baseline if end.result else None
    values = {
        "TM_EXIT_CODE": int(outcome.exit_code),
        "TM_OUTCOME": outcome.exit_code.name,
        "TM_VERDICT": (end.result.verdict_text if end.result else None) or "",
        "TM_SUBJECT": record.subject,
        "TM_RUN_ID": (end.run.run_id if end.run else None) or "",
        "TM_HISTORY_ID": _known(facts.get("id")),
        "TM_BASELINE_RUN_ID": _known(baseline),
    }
    return "".join(f"{name}={_safe(str(value))}\n" for name, value in values.items())


def section_start(name: str, title: str, now: datetime) -> str:
    """Return the marker that begins a collapsed section of the log; `title` is our own text."""
    return f"\x1b[0Ksection_start:{int(now.timestamp())}:{name}[collapsed=true]\r\x1b[0K{title}"


def section_end(name: str, now: datetime) -> str:
    return f"\x1b[0Ksection_end:{int(now.timestamp())}:{name}\r\x1b[0K"


def _known(value: object) -> str:
    return "" if value is None else str(value)


def _safe(text: str) -> str:
    """Keep only characters without a meaning to shells and parsers of such files."""
    return _UNSAFE.sub("_", text)[:LONGEST]
