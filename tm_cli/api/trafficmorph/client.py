"""A method per endpoint of the TrafficMorph API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter

from tm_cli.api.client import JsonClient, as_object, given
from tm_cli.api.trafficmorph.models import (
    Account,
    BaselinePin,
    HistoryPage,
    HistoryRow,
    ImportedProfile,
    LiveStatus,
    Profile,
    ProfileSummary,
    RunComparison,
    RunControl,
)

T = TypeVar("T")


class Client(JsonClient):
    root = "api/v1"

    def list_profiles(self) -> list[ProfileSummary]:
        return self._get(TypeAdapter(list[ProfileSummary]).validate_python, "profiles")

    def get_profile(self, profile_id: int) -> Profile:
        return self._get(Profile.model_validate, f"profiles/{profile_id}")

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

    def get_account(self) -> Account:
        return self._get(Account.model_validate, "account")

    def _post(self, read: Callable[[Any], T], path: str, body: Any = None) -> T:
        return self._send(read, "POST", path, body)
