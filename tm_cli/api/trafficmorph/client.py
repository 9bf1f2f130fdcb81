"""The operations of the TrafficMorph API, version 1, and those of the embedded server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from tm_cli.api.client import JsonClient, as_object, given, parse_payload
from tm_cli.api.trafficmorph.account import Account, Region
from tm_cli.api.trafficmorph.captures import (
    CaptureAnalysis,
    CaptureImport,
    CaptureSource,
    CaptureSourceFile,
)
from tm_cli.api.trafficmorph.domains import Domain
from tm_cli.api.trafficmorph.extensions import BaselinePin, Calibrations, Plan
from tm_cli.api.trafficmorph.history import (
    HistoryFilters,
    HistoryPage,
    HistoryRow,
    RunComparison,
)
from tm_cli.api.trafficmorph.profiles import ImportedProfile, Profile, ProfileSummary
from tm_cli.api.trafficmorph.runs import LiveStatus, RunControl
from tm_cli.api.trafficmorph.variables_sets import VariablesSet
from tm_cli.values.load.captures import LARGEST_CAPTURE

if TYPE_CHECKING:
    from tm_cli.api.transport import Params, Upload

T = TypeVar("T")

LONGEST_ANALYSIS = 600.0
"""Seconds in which a server reads the largest capture, or fetches it from a source."""
_SLOWEST_UPLOAD = 64 * 1024
"""Bytes a second."""
_LONGEST_QUERY = 4000
"""Characters that every server and proxy accepts."""


class TrafficMorphClient(JsonClient):
    root = "api/v1"

    def list_profiles(self) -> list[ProfileSummary]:
        return self._get(TypeAdapter(list[ProfileSummary]).validate_python, "profiles")

    def get_profile(self, profile_id: int) -> Profile:
        return self._get(Profile.model_validate, f"profiles/{profile_id}")

    def get_profile_fields(self, profile_id: int) -> dict[str, Any]:
        """Return a profile exactly as the server sends it, for a write of all its fields."""
        return self._get(as_object, f"profiles/{profile_id}")

    def create_profile(self, profile: Mapping[str, Any]) -> Profile:
        """Create a profile, or replace the one of the same name; a missing field is reset."""
        return self._post(Profile.model_validate, "profiles", profile)

    def update_profile(self, profile_id: int, profile: Mapping[str, Any]) -> Profile:
        """Replace a profile; a missing field is reset, so that a partial one is merged before."""
        return self._send(Profile.model_validate, "PUT", f"profiles/{profile_id}", profile)

    def delete_schedule(self, profile_id: int) -> None:
        """Remove the schedule of a profile; succeeds without one, too."""
        self._send_once("DELETE", f"profiles/{profile_id}/schedule")

    def export_profile(self, profile_id: int) -> dict[str, Any]:
        return self._get(as_object, f"profiles/{profile_id}/export")

    def import_profile(self, document: Mapping[str, Any]) -> ImportedProfile:
        """Create a profile, or overwrite the one of the same name."""
        return self._post(ImportedProfile.model_validate, "profiles/import", document)

    def delete_profile(self, profile_id: int) -> None:
        """Delete a profile and cancel its active run; its history stays."""
        self._send_once("DELETE", f"profiles/{profile_id}")

    def start_run(
        self,
        profile_id: int,
        *,
        region: str | None = None,
        tags: Sequence[str] = (),
        terms: Mapping[str, Any] | None = None,
    ) -> RunControl:
        """Start a run once; older servers know a start without any of these only.

        `terms` is how the run is to be judged: `baselineRunId`, `againstUrl`, `gate`.
        """
        path = f"profiles/{profile_id}"
        body: dict[str, Any] = {"region": region} if region is not None else {}
        body |= {"tags": list(tags)} if tags else {}
        body |= terms or {}
        if not body:
            return self._post(RunControl.model_validate, f"{path}/start")
        return self._post(RunControl.model_validate, f"{path}/runs", body)

    def renew_values(self, profile_id: int, run_id: str, values: Mapping[str, str]) -> None:
        """Give the later requests of a run other values for placeholders."""
        path = f"profiles/{profile_id}/runs/{quote(run_id, safe='')}/values"
        self._send_once("PUT", path, {"values": dict(values)})

    def stop_run(self, profile_id: int) -> RunControl:
        """Stop whatever runs on this profile; succeeds when nothing does."""
        return self._post(RunControl.model_validate, f"profiles/{profile_id}/stop")

    def pause_run(self, profile_id: int) -> RunControl:
        return self._post(RunControl.model_validate, f"profiles/{profile_id}/pause")

    def resume_run(self, profile_id: int) -> RunControl:
        return self._post(RunControl.model_validate, f"profiles/{profile_id}/resume")

    def get_run_status(self, profile_id: int) -> LiveStatus:
        """Return the live status; servers before this operation answer 404."""
        return self._get(LiveStatus.model_validate, f"profiles/{profile_id}/status")

    def list_history(
        self, *, page: int = 0, size: int = 20, **filters: str | int | None
    ) -> HistoryPage:
        """Return one page of ended runs; filters as in section 10.1, None leaves one out."""
        query = {**given(filters), "size": size, "page": page}
        return self._get(HistoryPage.model_validate, "history", query)

    def get_history_item(self, history_id: int) -> HistoryRow:
        return self._get(HistoryRow.model_validate, f"history/{history_id}")

    def delete_history_item(self, history_id: int) -> None:
        self._send_once("DELETE", f"history/{history_id}")

    def list_history_filters(self) -> HistoryFilters:
        return self._get(HistoryFilters.model_validate, "history/filters")

    def compare_runs(self, run_a: int, run_b: int) -> RunComparison:
        return self._get(
            RunComparison.model_validate, "history/compare", {"runA": run_a, "runB": run_b}
        )

    def get_baseline(self, profile_id: int, region: str | None = None) -> BaselinePin:
        """Return what is pinned as the baseline of a profile in a region."""
        path = f"profiles/{profile_id}/baseline"
        return self._get(BaselinePin.model_validate, path, given({"region": region}))

    def pin_baseline(self, profile_id: int, history_id: int) -> BaselinePin:
        """Make an ended run the baseline of its profile in its region."""
        path, body = f"profiles/{profile_id}/baseline", {"historyId": history_id}
        return self._send(BaselinePin.model_validate, "PUT", path, body)

    def unpin_baseline(self, profile_id: int, region: str | None = None) -> None:
        path = f"profiles/{profile_id}/baseline"
        self._send_once("DELETE", path, params=given({"region": region}))

    def plan(self, profile_id: int, question: Mapping[str, Any]) -> Plan:
        """Ask what a profile can detect; sends no load."""
        return self._post(Plan.model_validate, f"profiles/{profile_id}/plan", question)

    def get_calibrations(self) -> Calibrations:
        return self._get(Calibrations.model_validate, "calibration")

    def put_calibration(self, run_ids: Sequence[int]) -> Calibrations:
        """Measure the spread of the server's class of machines from these ended runs."""
        body = {"runIds": list(run_ids)}
        return self._send(Calibrations.model_validate, "PUT", "calibration", body)

    def forget_calibration(self) -> Calibrations:
        return self._send(Calibrations.model_validate, "DELETE", "calibration")

    def get_account(self) -> Account:
        return self._get(Account.model_validate, "account")

    def list_regions(self) -> list[Region]:
        return self._get(TypeAdapter(list[Region]).validate_python, "regions")

    def list_domains(self) -> list[Domain]:
        return self._get(TypeAdapter(list[Domain]).validate_python, "domains")

    def add_domain(self, domain: str) -> Domain:
        """Register a domain; a known one is returned as it is, with the same token."""
        return self._post(Domain.model_validate, "domains", {"domain": domain})

    def verify_domain(self, domain_id: int, method: Literal["dns", "http"]) -> Domain:
        """Let the server look for the token; raises HttpError 400 when it is not found."""
        return self._post(Domain.model_validate, f"domains/{domain_id}/verify/{method}")

    def delete_domain(self, domain_id: int) -> None:
        self._send_once("DELETE", f"domains/{domain_id}")

    def list_variables_sets(self) -> list[VariablesSet]:
        return self._get(TypeAdapter(list[VariablesSet]).validate_python, "variables-sets")

    def get_variables_set(self, set_id: int) -> VariablesSet:
        return self._get(VariablesSet.model_validate, f"variables-sets/{set_id}")

    def create_variables_set(self, name: str, mode: str, csv: str) -> VariablesSet:
        body = {"name": name, "mode": mode, "csvContent": csv}
        return self._post(VariablesSet.model_validate, "variables-sets", body)

    def rename_variables_set(self, set_id: int, name: str) -> VariablesSet:
        return self._patch(f"variables-sets/{set_id}", {"name": name})

    def change_variables_set_mode(self, set_id: int, mode: str) -> VariablesSet:
        return self._patch(f"variables-sets/{set_id}/mode", {"mode": mode})

    def delete_variables_set(self, set_id: int) -> None:
        """Delete a set; raises HttpError 400 while a profile uses it."""
        self._send_once("DELETE", f"variables-sets/{set_id}")

    def list_capture_sources(self) -> list[CaptureSource]:
        return self._get(TypeAdapter(list[CaptureSource]).validate_python, "capture-sources")

    def list_capture_source_files(
        self, source_id: int, limit: int = 100
    ) -> list[CaptureSourceFile]:
        read = TypeAdapter(list[CaptureSourceFile]).validate_python
        return self._get(read, f"capture-sources/{source_id}/files", {"limit": limit})

    def analyse_capture(self, capture: Upload) -> CaptureAnalysis:
        """Analyse a file, which is sent once; nothing is stored."""
        return self._upload(CaptureAnalysis.model_validate, "captures/analyse", capture)

    def import_capture(self, capture: Upload, groups: Sequence[Mapping[str, str]]) -> CaptureImport:
        """Make profiles of the selected groups: `method`, `urlSkeleton`, perhaps `profileName`.

        The selections are in the query, as other clients send them, or in a field of the form
        where they are too long for a URL.
        """
        selections, params = {"selections": json.dumps({"groups": list(groups)})}, None
        if len(quote(selections["selections"])) <= _LONGEST_QUERY:
            selections, params = {}, selections
        sent = replace(capture, fields={**capture.fields, **selections})
        return self._upload(CaptureImport.model_validate, "captures/import", sent, params)

    def analyse_remote_capture(self, source_id: int, path: str) -> CaptureAnalysis:
        body = {"sourceId": source_id, "path": path}
        return self._work(CaptureAnalysis.model_validate, "captures/analyse-remote", body)

    def import_remote_capture(
        self, source_id: int, path: str, groups: Sequence[Mapping[str, str]]
    ) -> CaptureImport:
        """Make profiles of the selected groups of a source's file; see `import_capture`."""
        body = {"sourceId": source_id, "path": path, "selections": {"groups": list(groups)}}
        return self._work(CaptureImport.model_validate, "captures/import-remote", body)

    def _upload(
        self, read: Callable[[Any], T], path: str, upload: Upload, params: Params = None
    ) -> T:
        seconds = LONGEST_ANALYSIS + LARGEST_CAPTURE / _SLOWEST_UPLOAD
        found = self._transport.upload(self._path(path), upload, params=params, seconds=seconds)
        return parse_payload(read, path, found)

    def _work(self, read: Callable[[Any], T], path: str, body: Any) -> T:
        """Send once what may keep the server busy for long."""
        sent = self._transport.send_once("POST", self._path(path), body, seconds=LONGEST_ANALYSIS)
        return parse_payload(read, path, sent.document)

    def _patch(self, path: str, body: Any) -> VariablesSet:
        return self._send(VariablesSet.model_validate, "PATCH", path, body)

    def _post(self, read: Callable[[Any], T], path: str, body: Any = None) -> T:
        return self._send(read, "POST", path, body)
