"""The outcome as JUnit XML, which every CI platform reads: verdict and checks are its cases."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.outcome import Evidence, Record
from tm_cli.gate.policy import Decision
from tm_cli.values.text import clean


def junit_report(outcome: Evidence) -> str:
    """Return the XML document of a whole call."""
    return junit(outcome.reported)


def junit(records: Sequence[Record]) -> str:
    """Return the XML document. What is not known to be good is an error or a failure."""
    root = ET.Element("testsuites", name="tm")
    for record in records:
        element = ET.SubElement(root, "testsuite", name=clean(record.subject))
        _add_properties(element, record.ending)
        for name, kind, message in _cases(record.ending):
            case = ET.SubElement(element, "testcase", classname="tm", name=clean(name))
            if kind:
                ET.SubElement(case, kind, message=clean(message)).text = clean(message)
        for attribute, kind in (("failures", "failure"), ("errors", "error")):
            element.set(attribute, str(len(element.findall(f"testcase/{kind}"))))
        if said := _comparisons(record.ending):
            ET.SubElement(element, "system-out").text = said
        element.set("tests", str(len(element.findall("testcase"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_properties(element: ET.Element, ending: Decided | None) -> None:
    """Tell what the verdict rests on; what is not known is left out."""
    result = ending.result if ending else None
    if result is None:
        return
    basis = result.basis
    facts = {
        "run_id": ending.run.run_id if ending and ending.run else None,
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
        ET.SubElement(properties, "property", name=name, value=clean(value))


def _comparisons(ending: Decided | None) -> str:
    """A line for each note and each comparison; they inform, the cases decide."""
    if ending is None or ending.result is None:
        return ""
    notes = [f"note: {note}" for note in ending.result.notes]
    compared = [
        f"{item.verdict or '-'} {item.reason or item.metric}" for item in ending.result.comparisons
    ]
    lines = [*notes, *compared]
    return "\n".join(clean(line) for line in lines)


def _cases(ending: Decided | None) -> list[tuple[str, str, str]]:
    """Name, kind (empty for a pass) and message of each case."""
    if ending is None:
        return [("verdict", "error", "undecided: tm was terminated before it finished")]
    decision = ending.decision
    checks = [
        (item.check.text, {True: "", False: "failure", None: "error"}[item.passed], item.reason)
        for item in decision.checks
    ]
    reasons = "; ".join(ending.result.reasons) if ending.result else ""
    message = f"{decision.message}: {reasons}" if reasons else decision.message
    return [("verdict", _verdict_kind(decision), message), *checks]


def _verdict_kind(decision: Decision) -> str:
    """With checks the verdict is known, and it may be good while they are not."""
    if decision.exit_code is ExitCode.OK or (decision.checks and not decision.verdict_gated):
        return ""
    return "failure" if decision.is_gated else "error"
