"""The report file as types: the writer builds them, the reader validates them, and the published
JSON Schema is generated from them.

`docs/reports.md` and `docs/json-output.md` describe the keys. Keys may be added within version 1;
readers ignore what they do not know.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    TypeAdapter,
    WithJsonSchema,
    with_config,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.policy import GATED_CODES
from tm_cli.values.text import as_number, sanitize
from tm_cli.values.verdict import GATED

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:
    from typing_extensions import TypedDict  # pydantic needs and installs it there

SCHEMA_VERSION = 1


def _number(value: object) -> float:
    """An integer stays one, so that a report is written again as it was read."""
    if as_number(value) is None:
        raise ValueError("expected a finite number")
    return cast(float, value)


def _identifier(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a number or a text")
    return sanitize(value) if isinstance(value, str) else value


def _exit_code(value: int) -> int:
    if value not in set(ExitCode):
        raise ValueError("unknown exit code")
    return value


def _gated(value: str) -> str:
    if value not in GATED:
        raise ValueError(f"{value} cannot fail a gate")
    return value


def _version(value: int) -> int:
    if value != SCHEMA_VERSION:
        raise ValueError(f"{value} is not supported, this tm reads {SCHEMA_VERSION}")
    return value


Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Identifier = Annotated[
    int | str, PlainValidator(_identifier), WithJsonSchema({"type": ["integer", "string"]})
]
"""What a server calls a run or a subject."""

ShownText = Annotated[str, AfterValidator(sanitize)]
RequestId = Annotated[
    ShownText | None, Field(description="The server's id of the request that failed.")
]
Code = Annotated[
    int, AfterValidator(_exit_code), WithJsonSchema({"enum": [int(code) for code in ExitCode]})
]
CodeName = Annotated[str, WithJsonSchema({"enum": [code.name for code in ExitCode]})]
GatedVerdict = Annotated[
    str, AfterValidator(_gated), WithJsonSchema({"enum": [verdict.value for verdict in GATED]})
]


class ErrorData(TypedDict):
    """What went wrong; a verdict that fails the gate is a result, not an error."""

    code: str
    message: ShownText
    hint: ShownText | None
    request_id: NotRequired[RequestId]


class DecisionData(TypedDict):
    """What was decided about one run."""

    exit_code: Code
    exit_name: CodeName
    message: ShownText
    hint: ShownText | None
    code: str | None
    request_id: NotRequired[RequestId]
    judged: Annotated[
        bool, Field(description="The rule of the gate decided, not an error on the way.")
    ]
    verdict_gated: Annotated[bool, Field(description="The verdict alone fails the gate.")]


class CheckData(TypedDict):
    """One --assert, or `never` and one --abort-if; `passed` is null when it was not measured."""

    check: ShownText
    passed: bool | None
    reason: ShownText


class ComparisonData(TypedDict):
    """One metric of the run and of its baseline; see docs/json-output.md."""

    metric: ShownText
    unit: ShownText
    value: Number | None
    baseline: Number | None
    change: Number | None
    ciLow: Number | None
    ciHigh: Number | None
    pValue: Number | None
    noise: Number | None
    warn: Number | None
    fail: Number | None
    verdict: ShownText | None
    significant: bool
    than: ShownText | None
    reason: ShownText | None


@with_config(ConfigDict(extra="allow"))
class Metrics(TypedDict, total=False):
    """Numbers of a run; response times in milliseconds, rates per second, success in percent."""

    totalRequests: Number | None
    totalErrors: Number | None
    avgRps: Number | None
    peakRps: Number | None
    successRate: Number | None
    latencyQuantiles: dict[str, Number | None] | None


class StepData(TypedDict):
    """One step of a run whose arrivals are several requests; see docs/json-output.md."""

    name: ShownText
    metrics: Metrics
    responseCodes: dict[str, Number]
    verdict: ShownText | None
    hasThresholds: bool
    comparisons: list[ComparisonData]


class BaselineData(TypedDict):
    """The run, or the other target, that ours was compared with."""

    metrics: Metrics
    facts: dict[str, Any]


class SeriesData(TypedDict):
    """A run over time: lists of one length. `t` is the second of the run, rates are per second,
    times in milliseconds, `bad` is the share of failed requests from 0 to 1.
    """

    t: list[Number]
    rps: list[Number | None]
    planned: list[Number | None]
    bad: list[Number | None]
    p50: list[Number | None]
    p95: list[Number | None]
    p99: list[Number | None]


class TargetMetricData(TypedDict):
    """A quantity of the target during a run: `%` of one core, `B` (bytes), or a plain number.

    `gap_seconds` is the longest time without a sample. `course` has lists of one length: seconds of
    the run, and values.
    """

    unit: ShownText
    mean: Number
    p95: Number
    min: Number
    max: Number
    last: Number
    seconds: Number
    gap_seconds: Number
    course: NotRequired[dict[Literal["t", "value"], list[Number]]]


class Judged(TypedDict):
    """What a decision is based on, apart from verdict and metrics."""

    final: Annotated[
        bool,
        Field(description="The run was stopped or cut off, so that it never has a verdict."),
    ]
    note: ShownText | None
    also: Annotated[
        list[GatedVerdict],
        Field(description="Verdicts of other rules; one that the gate fails on fails it."),
    ]
    facts: Annotated[
        dict[str, Any] | None,
        Field(description="More of the server's own record, by the server's names."),
    ]
    baseline: BaselineData | None
    target_metrics: NotRequired[
        Annotated[
            dict[ShownText, TargetMetricData],
            Field(description="What was recorded of the target on this machine."),
        ]
    ]


class EarlierRun(Judged):
    """A run that failed the gate before --confirm repeated it."""

    run_id: Identifier | None
    started_run_id: str | None
    verdict: str | None
    verdict_reasons: list[ShownText]
    exit_name: CodeName
    checks: list[CheckData]
    metrics: Metrics | None
    fail_on_match: bool | None
    decision: DecisionData


class BreachData(TypedDict):
    """The live limit (--abort-if) that a run broke: milliseconds, percent or requests per second,
    at a second of the run; `stopped` says that the run was ended because of it.
    """

    limit: ShownText
    metric: str
    value: Number
    at_seconds: Number
    reason: ShownText
    stopped: bool


class Aborted(TypedDict, total=False):
    """Of a run that broke a live limit."""

    aborted: BreachData


class ReportedSteps(TypedDict, total=False):
    """Of a run whose arrivals are several requests: the worst step first."""

    steps: list[StepData]


class OwnExit(TypedDict, total=False):
    """Of several subjects each has its own."""

    exit_code: Code
    exit_name: CodeName
    error: ErrorData | None


class ReportedRun(OwnExit, Aborted, ReportedSteps, Judged):
    """One subject and how its gate ended."""

    run_id: Annotated[Identifier | None, Field(description="The run in the server's history.")]
    started_run_id: Annotated[str | None, Field(description="The id that the start returned.")]
    profile_id: Identifier | None
    status: str | None
    verdict: str | None
    verdict_reasons: list[ShownText]
    fail_on_match: bool | None
    metrics: Metrics | None
    verdict_pending: bool
    waited: bool
    baseline_run_id: Identifier | None
    baseline_choice: ShownText | None
    baseline_age_seconds: Number | None
    reference_run_id: int | None
    against: dict[str, Any] | None
    comparisons: list[ComparisonData]
    notes: list[ShownText]
    checks: list[CheckData]
    earlier_runs: list[EarlierRun]
    system: Annotated[str, Field(description="The API behind which the run lives.")]
    subject: ShownText
    subject_id: Identifier | None
    decision: DecisionData
    started: Annotated[bool, Field(description="A run was started or attached to.")]
    abandoned: Annotated[
        bool, Field(description="Canceled because another run failed; it does not count.")
    ]
    course: SeriesData | None
    baseline_course: SeriesData | None


class SeveralRuns(TypedDict):
    """The subjects of a call that had more than one."""

    runs: Annotated[list[ReportedRun], Field(min_length=1)]


class GateData(TypedDict):
    """What was accepted."""

    fail_on: list[GatedVerdict]
    warn_on: NotRequired[list[GatedVerdict]]
    checks: list[ShownText]
    confirm: Annotated[int, Field(ge=0)]
    wait_timeout_seconds: Number | None
    verdict_timeout_seconds: Number | None


class ReportInfo(TypedDict):
    """Which `tm` wrote the report, when, and what its gate accepted; null while undecided."""

    tm_version: str
    made_at: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
    gate: GateData | None


def _shape(data: Any) -> str:
    return "several" if isinstance(data, dict) and "runs" in data else "one"


Data = Annotated[
    Annotated[ReportedRun, Tag("one")] | Annotated[SeveralRuns, Tag("several")],
    Discriminator(_shape),
]


class ReportDocument(TypedDict):
    """Written by `--report json=FILE` and embedded in HTML reports. Keys may be added within one
    version; readers ignore what they do not know.
    """

    schema_version: Annotated[
        int, AfterValidator(_version), WithJsonSchema({"const": SCHEMA_VERSION})
    ]
    exit_code: Code
    exit_name: CodeName
    data: Data | None
    error: ErrorData | None
    report: ReportInfo


_EXIT = {
    "description": "Each exit code has one name.",
    "oneOf": [
        {"properties": {"exit_code": {"const": int(code)}, "exit_name": {"const": code.name}}}
        for code in ExitCode
    ],
}
_WITHOUT_ERROR = sorted(map(int, {ExitCode.OK, *GATED_CODES}))
_ERRORS = [
    {
        "if": {"properties": {"data": {"type": "null"}}},
        "then": {"properties": {"error": {"type": "object"}, "exit_code": {"not": {"const": 0}}}},
    },
    {
        "if": {"properties": {"exit_code": {"enum": _WITHOUT_ERROR}}},
        "then": {"properties": {"error": {"type": "null"}}},
        "else": {"properties": {"error": {"type": "object"}}},
    },
]


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title would repeat its key."""
        return False

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        """Write `"type": [..., "null"]` where that is enough."""
        found = super().nullable_schema(schema)
        options: list[JsonSchemaValue] = found.get("anyOf", [])
        if len(options) != 2 or "type" not in options[0]:
            return found
        kinds = options[0]["type"]
        return options[0] | {"type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Add what the types do not say: which codes, names and errors go together."""
        found = super().generate(schema, mode)
        one_of_several = found["$defs"]["SeveralRuns"]["properties"]["runs"]["items"]
        one_of_several["required"] = ["exit_code", "exit_name", "error"]
        for definition in (found, one_of_several, *found["$defs"].values()):
            definition.pop("title", None)
            if {"exit_code", "exit_name"} <= set(definition.get("required", ())):
                definition["allOf"] = [{"$ref": "#/$defs/Exit"}]
        found["$defs"]["Exit"] = _EXIT
        found["allOf"] += _ERRORS
        return {
            "$schema": self.schema_dialect,
            "title": "Report of a tm gate, version 1",
            **found,
        }


def schema_text() -> str:
    """Return the schema as `docs/schemas/report-1.json` has it."""
    schema = TypeAdapter(ReportDocument).json_schema(schema_generator=_Generator)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
