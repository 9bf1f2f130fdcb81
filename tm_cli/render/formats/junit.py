"""The outcome as JUnit XML, which every CI platform reads: verdict and checks are its cases."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.outcome import GateOutcome
from tm_cli.gate.policy import Decision
from tm_cli.values.text import sanitize


def junit_report(outcome: GateOutcome) -> str:
    """Return the XML document. What is not known to be good is an error or a failure."""
    root = ET.Element("testsuites", name="tm")
    for record in outcome.reported:
        element = ET.SubElement(root, "testsuite", name=sanitize(record.subject))
        _add_properties(element, record.end)
        for name, kind, message in _cases(record.end):
            case = ET.SubElement(element, "testcase", classname="tm", name=sanitize(name))
            if kind:
                ET.SubElement(case, kind, message=sanitize(message)).text = sanitize(message)
        for attribute, kind in (("failures", "failure"), ("errors", "error")):
            element.set(attribute, str(len(element.findall(f"testcase/{kind}"))))
        if text := _comparisons(record.end):
            ET.SubElement(element, "system-out").text = text
        element.set("tests", str(len(element.findall("testcase"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


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
    if decision.exit_code is ExitCode.OK or (decision.checks and not decision.verdict_gated):
        return ""
    return "failure" if decision.is_gated else "error"
