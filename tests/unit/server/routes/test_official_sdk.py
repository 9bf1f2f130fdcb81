"""The vendor's own Python client gets along with this server."""

import json

import pytest
from trafficmorph import Client
from trafficmorph.api.account import get_account
from trafficmorph.api.history import get_history_item, list_history, list_history_filters
from trafficmorph.api.profiles import (
    create_profile,
    export_profile,
    get_profile,
    import_profile,
    list_profiles,
)
from trafficmorph.api.regions import list_regions
from trafficmorph.api.runs import get_run_status, pause, resume, start, start_run, stop
from trafficmorph.models.api_account_response import ApiAccountResponse
from trafficmorph.models.api_history_filters_response import ApiHistoryFiltersResponse
from trafficmorph.models.api_profile_request import ApiProfileRequest
from trafficmorph.models.api_profile_response import ApiProfileResponse
from trafficmorph.models.api_run_start_request import ApiRunStartRequest
from trafficmorph.models.api_run_status_response import ApiRunStatusResponse
from trafficmorph.models.import_profile_body import ImportProfileBody
from trafficmorph.models.import_traffic_profile_response import ImportTrafficProfileResponse
from trafficmorph.models.traffic_profile_summary_response import TrafficProfileSummaryResponse
from trafficmorph.models.traffic_run_control_response import TrafficRunControlResponse
from trafficmorph.models.user_region_response import UserRegionResponse

from tests.unit.server.running_server import eventually

pytestmark = pytest.mark.process

DOCUMENT = {
    "_format": "trafficmorph-profile-v1",
    "name": "imported",
    "duration": 20,
    "endpointUrl": "http://127.0.0.1:9/?mode=hold",
    "points": [{"x": 0, "y": 20}, {"x": 20, "y": 20}],
}


@pytest.fixture
def call(server):
    """Call an operation of the SDK; return the decoded answer, which must be a success."""
    sdk = Client(server.key, base_url=server.info.base_url)
    with sdk.api as client:

        def call(operation, *arguments, **named):
            answer = operation.sync_detailed(*arguments, client=client, **named)
            assert 200 <= answer.status_code < 300, answer.content
            return json.loads(answer.content)

        yield call


def imported(call, **change):
    body = ImportProfileBody.from_dict(DOCUMENT | change)
    return ImportTrafficProfileResponse.from_dict(call(import_profile, body=body)).id


def test_profiles_are_imported_listed_and_read(call):
    profile_id = imported(call)
    summaries = map(TrafficProfileSummaryResponse.from_dict, call(list_profiles))
    assert [summary.name for summary in summaries] == ["imported"]
    profile = ApiProfileResponse.from_dict(call(get_profile, profile_id))
    assert (profile.duration, profile.target_url) == (20, DOCUMENT["endpointUrl"])
    exported = call(export_profile, profile_id)
    assert DOCUMENT.items() <= exported.items()
    request = ApiProfileRequest.from_dict({**call(get_profile, profile_id), "name": "second"})
    assert ApiProfileResponse.from_dict(call(create_profile, body=request)).id != profile_id


def test_a_run_is_started_watched_paused_and_stopped(call):
    profile_id = imported(call)
    body = ApiRunStartRequest(tags=["nightly"])
    started = TrafficRunControlResponse.from_dict(call(start_run, profile_id, body=body))
    assert started.status == "RUNNING"

    def status():
        return ApiRunStatusResponse.from_dict(call(get_run_status, profile_id))

    eventually(lambda: status().requests_sent == 100)
    assert status().run_id == started.run_id
    assert status().recent_buckets[0].rps == 20.0
    for operation, expected in [(pause, "PAUSED"), (resume, "RUNNING"), (stop, "IDLE")]:
        answer = TrafficRunControlResponse.from_dict(call(operation, profile_id))
        assert answer.status == expected


def test_the_history_of_a_run_is_found_by_its_id(call):
    profile_id = imported(call, endpointUrl="http://127.0.0.1:9/")
    run_ids = [call(start_run, profile_id)["runId"]]
    eventually(lambda: call(get_run_status, profile_id)["status"] == "COMPLETED")
    run_ids.append(call(start, profile_id)["runId"])

    def judged():
        rows = call(list_history, profile_id=profile_id, triggered_by="api")["content"]
        return rows if len(rows) == 2 and all(row["autoVerdict"] for row in rows) else None

    rows = eventually(judged)
    assert [row["runId"] for row in rows] == run_ids[::-1]
    detail = call(get_history_item, rows[0]["id"])
    assert detail["autoVerdict"] == "PASS"
    assert json.loads(detail["latencyQuantiles"])["p50"] == pytest.approx(20, rel=0.002)
    filters = ApiHistoryFiltersResponse.from_dict(call(list_history_filters))
    assert [profile.name for profile in filters.profiles] == ["imported"]


def test_account_and_regions_are_understood(call):
    account = ApiAccountResponse.from_dict(call(get_account))
    assert (account.limits.max_profile_rps, account.limits.api_requests_per_minute) == (10_000, 0)
    assert account.features.domain_verification_required is False
    regions = [UserRegionResponse.from_dict(region) for region in call(list_regions)]
    assert [region.region_code for region in regions] == ["local"]
