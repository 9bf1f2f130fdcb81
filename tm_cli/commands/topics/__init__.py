"""What `tm help TOPIC` prints; its tables come from the program and cannot go stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tm_cli.commands.topics.configuration import configuration
from tm_cli.commands.topics.environment import environment
from tm_cli.commands.topics.exit_codes import exit_codes
from tm_cli.commands.topics.gate import gate
from tm_cli.commands.topics.reports import reports
from tm_cli.commands.topics.verdicts import verdicts
from tm_cli.runtime.terminal import Terminal

__all__ = ["TOPICS", "Topic"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A page of help: a line for the list of topics, and the text for a terminal."""

    summary: str
    text: Callable[[Terminal], str]


TOPICS = {
    "gate": Topic("How a gate decides, and how to write one.", gate),
    "verdicts": Topic("What PASS, WARN, FAIL and NO_BASELINE mean.", verdicts),
    "exit-codes": Topic("What each exit code means, and what to do about it.", exit_codes),
    "reports": Topic("Files and documents that a gate writes.", reports),
    "configuration": Topic("Settings, their files, and which source wins.", configuration),
    "environment": Topic("The variables that tm reads.", environment),
}
