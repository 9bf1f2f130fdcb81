"""The outcome as JUnit XML, which every CI platform reads: verdict and checks are its cases."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC
from xml.etree import ElementTree as ET

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.model import Result
from tm_cli.gate.outcome import GateOutcome
from tm_cli.gate.policy import Decision
from tm_cli.render.steps import described
from tm_cli.values.text import as_number, sanitize

_LONGEST = 1e9
"""Seconds; what is longer was no run."""


def junit_report(outcome: GateOutcome) -> str:
    """Return the XML document. What is not known to be good is an error or a failure.

    Platforms hide all but one case of the same class and name, so a class names the system and the
    subject.
    """
    root = ET.Element("testsuites", name="tm")
    made_at = outcome.made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    subjects = _distinct([sanitize(record.subject) for record in outcome.reported])
    for subject, record in zip(subjects, outcome.reported, strict=True):
        element = ET.SubElement(root, "testsuite", name=subject, timestamp=made_at)
        _add_properties(element, record.end)
        _add_cases(element, f"{sanitize(record.system)}.{subject}", record.end)
        if text := _comparisons(record.end):
            ET.SubElement(element, "system-out").text = text
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the names that occurred before."""
    found: list[str] = []
    for name in names:
        candidates = (f"{name} ({number})" for number in itertools.count(2))
        found.append(next(new for new in itertools.chain([name], candidates) if new not in found))
    return found


def _add_cases(element: ET.Element, class_name: str, end: Decided) -> None:
    """Add the cases, of which the verdict takes the time of the run, and count them."""
    cases, seconds = _cases(end), _seconds(end.result)
    names = _distinct([sanitize(name) for name, _, _ in cases])
    for position, (name, (_, kind, message)) in enumerate(zip(names, cases, strict=True)):
        took = seconds if position == 0 else 0.0
        attributes = {"classname": class_name, "name": name, "time": f"{took:.3f}"}
        case = ET.SubElement(element, "testcase", attributes)
        if kind:
            what = end.decision.exit_code.name if position == 0 else "CHECK"
            problem = ET.SubElement(case, kind, message=sanitize(message), type=what)
            problem.text = sanitize(message)
    element.set("tests", str(len(cases)))
    for attribute, kind in (("failures", "failure"), ("errors", "error")):
        element.set(attribute, str(len(element.findall(f"testcase/{kind}"))))
    element.set("time", f"{seconds:.3f}")


def _seconds(result: Result | None) -> float:
    """How long the run took, 0 where that is not known."""
    if result is None:
        return 0.0
    found = (as_number(table.get("durationSeconds")) for table in (result.metrics, result.facts))
    return next((took for took in found if took is not None and 0 <= took <= _LONGEST), 0.0)


def _add_properties(element: ET.Element, end: Decided) -> None:
    """Add what the verdict is based on, as far as it is known."""
    result = end.result
    if result is None:
        return
    basis = result.basis
    facts = {
        "run_id": end.run.run_id if end.run else None,
        "history_id": result.facts.get("id"),
        "baseline_run_id": basis.baseline,
        "baseline_choice": basis.choice,
        "baseline_age_seconds": basis.age,
        "reference_run_id": basis.reference,
        "against": basis.against,
    }
    known = [(name, str(value)) for name, value in facts.items() if value is not None]
    properties = ET.SubElement(element, "properties") if known else element
    for name, value in known:
        ET.SubElement(properties, "property", name=name, value=sanitize(value))


def _comparisons(end: Decided) -> str:
    """Return a line for each note and each comparison; they inform, the cases decide."""
    if end.result is None:
        return ""
    lines = [f"note: {note}" for note in end.result.notes]
    lines += [
        f"{item.verdict or '-'} {item.reason or item.metric}" for item in end.result.comparisons
    ]
    for step in end.result.steps:
        wrong = [item.reason for item in step.comparisons if item.reason]
        lines += [f"{step.verdict or '-'} {', '.join(described(step))}", *wrong]
    return "\n".join(map(sanitize, lines))


def _cases(end: Decided) -> list[tuple[str, str, str]]:
    """Return name, kind (empty for a pass) and message of each case."""
    decision = end.decision
    checks = [
        (item.check.text, {True: "", False: "failure", None: "error"}[item.passed], item.reason)
        for item in decision.checks
    ]
    reasons = "; ".join(end.result.reasons) if end.result else ""
    message = f"{decision.message}: {reasons}" if reasons else decision.message
    return [("verdict", _verdict_kind(decision), message), *checks]


def _verdict_kind(decision: Decision) -> str:
    """Return the kind of the verdict's case; with checks, the verdict may be good on its own."""
    if decision.breach is not None:
        return "failure"
    if decision.exit_code is ExitCode.OK or (decision.checks and not decision.verdict_gated):
        return ""
    return "failure" if decision.is_gated else "error"
