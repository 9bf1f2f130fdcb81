"""What each operation takes and answers, by method and path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from tm_cli.server.openapi import resources, runs
from tm_cli.server.openapi.fields import Int32, Int64, JsonText, Time
from tm_cli.server.routes.captures import RemoteBody, RemoteImportBody
from tm_cli.server.routes.domains import AddDomain
from tm_cli.server.routes.profiles import NEVER_INSIDE, PortableBody
from tm_cli.server.routes.variables_sets import CreateBody, ModeBody, RenameBody
from tm_cli.server.web.schemas import (
    CalibrationBody,
    PinBody,
    PlanBody,
    ProfileBody,
    StartBody,
    ValuesBody,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query; `kind` is the type of its value."""

    name: str
    kind: Any
    summary: str
    is_required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `answer` is the type of the body of a success, None where there is none.

    `is_form`: the body is multipart/form-data, not JSON.
    `creates` is the path of the collection to which it adds the object that it answers with.
    """

    id: str
    tag: str
    summary: str
    answer: Any = None
    status: int = 200
    body: type[BaseModel] | None = None
    is_body_optional: bool = False
    is_form: bool = False
    query: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = (400,)
    creates: str | None = None


def _without_fields_of_no_document(schema: dict[str, Any]) -> None:
    for name in NEVER_INSIDE:
        del schema["properties"][name]


class PortableDocument(PortableBody):
    """A profile as `trafficmorph-profile-v1`; a schedule that cannot be kept is a warning."""

    model_config = ConfigDict(json_schema_extra=_without_fields_of_no_document)

    format: Annotated[Literal["trafficmorph-profile-v1"], Field(alias="_format")]


class CaptureForm(BaseModel):
    """A capture to analyse."""

    file: Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})]


class CaptureImportForm(CaptureForm):
    """A capture to import; the selections may be given here or in the query."""

    selections: JsonText | None = None


_REGION = Parameter("region", str, "the region; `local` if it is missing")
_STARTS = (400, 409)
_LISTING = (
    Parameter("page", Annotated[Int32, Field(ge=0, le=2**31 - 1)], "counted from 0", default=0),
    Parameter("size", Int32, "rows of a page; clamped to 1 to 100", default=20),
    Parameter("profileId", Int64, "runs of this profile, which may have been deleted"),
    Parameter("triggeredBy", str, "exact; what matches nothing gives an empty page"),
    Parameter("region", str, "exact"),
    Parameter("autoVerdict", str, "exact; what matches nothing gives an empty page"),
    Parameter("tag", str, "one of the tags, exact"),
    Parameter("runId", str, "the beginning of `runId`; this server's own"),
    Parameter("from", Time, "`createdAt` is not before; with offset"),
    Parameter("to", Time, "`createdAt` is not after; with offset"),
)
_SELECTIONS = (
    Parameter("selections", JsonText, 'groups to import: {"groups": [{"method", "urlSkeleton"}]}'),
)
_COMPARED = (
    Parameter("runA", Int64, "a history id", is_required=True),
    Parameter("runB", Int64, "another history id of the same profile", is_required=True),
)
_OF_A_PROFILE: dict[tuple[str, str], Operation] = {
    ("GET", "/profiles"): Operation(
        "listProfiles",
        "Profiles",
        "List the profiles, the most recently updated first",
        list[resources.ProfileSummary],
        refusals=(),
    ),
    ("POST", "/profiles"): Operation(
        "createProfile",
        "Profiles",
        "Create a profile, or replace the one of the same name",
        resources.ProfileDetail,
        status=201,
        body=ProfileBody,
        creates="/profiles",
    ),
    ("POST", "/profiles/import"): Operation(
        "importProfile",
        "Profiles",
        "Create or replace a profile from a portable document",
        resources.ImportedProfile,
        status=201,
        body=PortableDocument,
        creates="/profiles",
    ),
    ("GET", "/profiles/{id}"): Operation(
        "getProfile", "Profiles", "Read a profile", resources.ProfileDetail
    ),
    ("PUT", "/profiles/{id}"): Operation(
        "updateProfile",
        "Profiles",
        "Replace a profile; schedule, variables sets, region, readiness URL and interpolation "
        "stay when they are missing, every other field is reset",
        resources.ProfileDetail,
        body=ProfileBody,
    ),
    ("DELETE", "/profiles/{id}"): Operation(
        "deleteProfile", "Profiles", "Delete a profile; its history stays", status=204
    ),
    ("DELETE", "/profiles/{id}/schedule"): Operation(
        "deleteSchedule", "Profiles", "Remove the schedule, if there is one", status=204
    ),
    ("GET", "/profiles/{id}/export"): Operation(
        "exportProfile",
        "Profiles",
        "Read a profile as a portable document",
        resources.PortableProfile,
    ),
    ("GET", "/profiles/{id}/baseline"): Operation(
        "getBaseline",
        "Baselines",
        "Read which run is pinned as the baseline",
        runs.BaselinePin,
        query=(_REGION,),
    ),
    ("PUT", "/profiles/{id}/baseline"): Operation(
        "pinBaseline",
        "Baselines",
        "Pin a completed run as the baseline of its region",
        runs.BaselinePin,
        body=PinBody,
    ),
    ("DELETE", "/profiles/{id}/baseline"): Operation(
        "unpinBaseline", "Baselines", "Forget the pinned baseline", status=204, query=(_REGION,)
    ),
    ("POST", "/profiles/{id}/plan"): Operation(
        "planProfile",
        "Baselines",
        "Compute which regressions the runs of a profile would show",
        runs.DetectionPlan,
        body=PlanBody,
    ),
}
_OF_RUNS: dict[tuple[str, str], Operation] = {
    ("POST", "/profiles/{id}/start"): Operation(
        "start",
        "Runs",
        "Start a run, which replaces the active one",
        runs.RunControl,
        refusals=_STARTS,
    ),
    ("POST", "/profiles/{id}/runs"): Operation(
        "startRun",
        "Runs",
        "Start a run with region and tags, which replaces the active one",
        runs.RunControl,
        body=StartBody,
        is_body_optional=True,
        refusals=_STARTS,
    ),
    ("POST", "/profiles/{id}/stop"): Operation(
        "stop", "Runs", "Stop the active run, if there is one", runs.RunControl
    ),
    ("POST", "/profiles/{id}/pause"): Operation(
        "pause", "Runs", "Pause the active run, if there is one", runs.RunControl
    ),
    ("POST", "/profiles/{id}/resume"): Operation(
        "resume", "Runs", "Resume a paused run", runs.RunControl
    ),
    ("PUT", "/profiles/{id}/runs/{run_id}/values"): Operation(
        "renewValues",
        "Runs",
        "Replace renewable values of the active run",
        status=204,
        body=ValuesBody,
    ),
    ("GET", "/profiles/{id}/status"): Operation(
        "getRunStatus", "Runs", "Read the live status", runs.LiveStatus
    ),
    ("GET", "/history"): Operation(
        "listHistory",
        "History",
        "List the runs that have ended, newest first; filters are combined",
        runs.HistoryPage,
        query=_LISTING,
    ),
    ("GET", "/history/filters"): Operation(
        "listHistoryFilters",
        "History",
        "List the values that filters match",
        runs.HistoryFilters,
        refusals=(),
    ),
    ("GET", "/history/compare"): Operation(
        "compareRuns",
        "History",
        "Compare two runs of one profile",
        runs.RunComparison,
        query=_COMPARED,
        refusals=(400, 404),
    ),
    ("GET", "/history/{id}"): Operation(
        "getHistoryItem", "History", "Read a run in detail", runs.HistoryDetail
    ),
    ("DELETE", "/history/{id}"): Operation(
        "deleteRun", "History", "Delete a run from the history", status=204
    ),
    ("GET", "/calibration"): Operation(
        "getCalibrations",
        "Calibration",
        "Read the measured spread between runs by class of machine",
        runs.Calibrations,
        refusals=(),
    ),
    ("PUT", "/calibration"): Operation(
        "putCalibration",
        "Calibration",
        "Measure the spread of this machine's class from runs",
        runs.Calibrations,
        body=CalibrationBody,
    ),
    ("DELETE", "/calibration"): Operation(
        "forgetCalibration",
        "Calibration",
        "Forget the spread of this machine's class",
        runs.Calibrations,
        refusals=(),
    ),
}
_OF_THE_ACCOUNT: dict[tuple[str, str], Operation] = {
    ("GET", "/account"): Operation(
        "getAccount",
        "Account",
        "Read limits, usage and features",
        resources.AccountState,
        refusals=(),
    ),
    ("GET", "/regions"): Operation(
        "listRegions",
        "Regions",
        "List where load can come from",
        list[resources.Region],
        refusals=(),
    ),
    ("GET", "/domains"): Operation(
        "listDomains", "Domains", "List the domains", list[resources.DomainState], refusals=()
    ),
    ("POST", "/domains"): Operation(
        "add",
        "Domains",
        "Add a domain; a known one is answered as it is",
        resources.DomainState,
        status=201,
        body=AddDomain,
        creates="/domains",
    ),
    ("DELETE", "/domains/{id}"): Operation("remove", "Domains", "Delete a domain", status=204),
    ("POST", "/domains/{id}/verify/dns"): Operation(
        "verifyDns", "Domains", "Look for the token in a TXT record", resources.DomainState
    ),
    ("POST", "/domains/{id}/verify/http"): Operation(
        "verifyHttp", "Domains", "Look for the token in a file", resources.DomainState
    ),
    ("GET", "/variables-sets"): Operation(
        "listVariablesSets",
        "Variables sets",
        "List the variables sets",
        list[resources.VariablesSet],
        refusals=(),
    ),
    ("POST", "/variables-sets"): Operation(
        "create",
        "Variables sets",
        "Create a variables set from CSV",
        resources.VariablesSet,
        status=201,
        body=CreateBody,
        creates="/variables-sets",
    ),
    ("GET", "/variables-sets/{id}"): Operation(
        "get", "Variables sets", "Read a variables set, without its CSV", resources.VariablesSet
    ),
    ("PATCH", "/variables-sets/{id}"): Operation(
        "rename",
        "Variables sets",
        "Rename a variables set",
        resources.VariablesSet,
        body=RenameBody,
    ),
    ("PATCH", "/variables-sets/{id}/mode"): Operation(
        "changeMode",
        "Variables sets",
        "Change how rows are drawn",
        resources.VariablesSet,
        body=ModeBody,
    ),
    ("DELETE", "/variables-sets/{id}"): Operation(
        "delete", "Variables sets", "Delete a set that no profile uses", status=204
    ),
    ("POST", "/captures/analyse"): Operation(
        "analyse",
        "Captures",
        "Analyse a capture; nothing is stored",
        resources.CaptureAnalysis,
        body=CaptureForm,
        is_form=True,
        refusals=(400, 413),
    ),
    ("POST", "/captures/import"): Operation(
        "importCapture",
        "Captures",
        "Make profiles of groups of a capture, all or none",
        resources.CaptureImport,
        body=CaptureImportForm,
        is_form=True,
        query=_SELECTIONS,
        refusals=(400, 413),
    ),
    ("POST", "/captures/analyse-remote"): Operation(
        "analyseRemoteCapture",
        "Captures",
        "Analyse a capture of a source",
        resources.CaptureAnalysis,
        body=RemoteBody,
    ),
    ("POST", "/captures/import-remote"): Operation(
        "importRemoteCapture",
        "Captures",
        "Make profiles of groups of a capture of a source",
        resources.CaptureImport,
        body=RemoteImportBody,
    ),
    ("GET", "/capture-sources"): Operation(
        "listCaptureSources",
        "Capture sources",
        "List the sources of captures by name",
        list[resources.CaptureSource],
        refusals=(),
    ),
    ("GET", "/capture-sources/{id}/files"): Operation(
        "listCaptureSourceFiles",
        "Capture sources",
        "List the captures of a source, newest first",
        list[resources.CaptureSourceFile],
        query=(Parameter("limit", Int32, "files at most; clamped to 1 to 1000", default=100),),
    ),
}
OPERATIONS = _OF_A_PROFILE | _OF_RUNS | _OF_THE_ACCOUNT
