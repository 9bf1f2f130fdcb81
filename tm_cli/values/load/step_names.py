"""The names of steps, which users and services choose: bounded in number and length."""

from __future__ import annotations

MOST_STEPS = 200
"""So many names are counted apart in a run; all others count as `OTHER_STEPS`."""
OTHER_STEPS = "(other steps)"
_LONGEST = 200


def step_name(name: object) -> str:
    """A name that can be written down, in one line and with a moderate length."""
    text = " ".join(str(name).encode(errors="replace").decode().split()) or "(no name)"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
