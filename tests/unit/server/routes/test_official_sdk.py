"""The vendor's own Python client gets along with this server."""

import io
import json
import pkgutil
import types

import pytest
from trafficmorph import Client
from trafficmorph.api.account import get_account
from trafficmorph.api.capture_sources import list_capture_source_files, list_capture_sources
from trafficmorph.api.captures import (
    analyse,
    analyse_remote_capture,
    import_capture,
    import_remote_capture,
)
from trafficmorph.api.domains import add, list_domains, remove, verify_dns, verify_http
from trafficmorph.api.history import (
    compare_runs,
    delete_run,
    get_history_item,
    list_history,
    list_history_filters,
)
from trafficmorph.api.profiles import (
    create_profile,
    delete_profile,
    delete_schedule,
    export_profile,
    get_profile,
    import_profile,
    list_profiles,
    update_profile,
)
from trafficmorph.api.regions import list_regions
from trafficmorph.api.runs import get_run_status, pause, resume, start, start_run, stop
from trafficmorph.api.variables_sets import (
    change_mode,
    create,
    delete,
    get,
    list_variables_sets,
    rename,
)
from trafficmorph.models.add_domain_request import AddDomainRequest
from trafficmorph.models.analyse_body import AnalyseBody
from trafficmorph.models.api_account_response import ApiAccountResponse
from trafficmorph.models.api_history_filters_response import ApiHistoryFiltersResponse
from trafficmorph.models.api_profile_request import ApiProfileRequest
from trafficmorph.models.api_profile_response import ApiProfileResponse
from trafficmorph.models.api_run_start_request import ApiRunStartRequest
from trafficmorph.models.api_run_status_response import ApiRunStatusResponse
from trafficmorph.models.capture_analyse_remote_request import CaptureAnalyseRemoteRequest
from trafficmorph.models.capture_analysis_response import CaptureAnalysisResponse
from trafficmorph.models.capture_import_remote_request import CaptureImportRemoteRequest
from trafficmorph.models.capture_import_result import CaptureImportResult
from trafficmorph.models.capture_source_file import CaptureSourceFile
from trafficmorph.models.capture_source_response import CaptureSourceResponse
from trafficmorph.models.change_variables_set_mode_request import ChangeVariablesSetModeRequest
from trafficmorph.models.create_variables_set_request import CreateVariablesSetRequest
from trafficmorph.models.import_capture_body import ImportCaptureBody
from trafficmorph.models.import_profile_body import ImportProfileBody
from trafficmorph.models.import_traffic_profile_response import ImportTrafficProfileResponse
from trafficmorph.models.rename_variables_set_request import RenameVariablesSetRequest
from trafficmorph.models.run_comparison_response import RunComparisonResponse
from trafficmorph.models.traffic_profile_summary_response import TrafficProfileSummaryResponse
from trafficmorph.models.traffic_run_control_response import TrafficRunControlResponse
from trafficmorph.models.user_region_response import UserRegionResponse
from trafficmorph.models.variables_set_response import VariablesSetResponse
from trafficmorph.models.verified_domain_response import VerifiedDomainResponse
from trafficmorph.types import File

from tests.unit.server.capture_sources.memory_source import MemorySource
from tests.unit.server.running_server import eventually

pytestmark = pytest.mark.process

DOCUMENT = {
    "_format": "trafficmorph-profile-v1",
    "name": "imported",
    "duration": 20,
    "endpointUrl": "http://127.0.0.1:9/?mode=hold",
    "points": [{"x": 0, "y": 20}, {"x": 20, "y": 20}],
}


CAPTURE = b"".join(
    b'{"t":%d,"method":"GET","url":"http://127.0.0.1:9/users/%d"}\n' % (n, n) for n in range(12)
)


@pytest.fixture
def server(start_server):
    """A server with a source of captures, which looks for the files of domains at a local port."""
    source = MemorySource("bucket", files={"traffic.jsonl": [CAPTURE]})
    return start_server(capture_sources=[source], web_ports=(("http", 9),), dns_server=NO_SERVER)


NO_SERVER = ("127.0.0.1", 9)


@pytest.fixture
def ask(server):
    """Call an operation of the SDK; return its answer as it is."""
    sdk = Client(server.key, base_url=server.info.base_url)
    with sdk.api as client:

        def ask(operation, *arguments, **named):
            return operation.sync_detailed(*arguments, client=client, **named)

        yield ask


@pytest.fixture
def call(ask):
    """Call an operation of the SDK; return the decoded answer, which must be a success."""

    def call(operation, *arguments, **named):
        answer = ask(operation, *arguments, **named)
        assert 200 <= answer.status_code < 300, answer.content
        return json.loads(answer.content) if answer.content else None

    return call


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
    newer, older = (row["id"] for row in rows)
    found = RunComparisonResponse.from_dict(call(compare_runs, run_a=older, run_b=newer))
    assert (found.run_a.id, found.run_b.id) == (newer, older)
    assert found.latency["p95"].delta == 0.0
    assert found.success_comparison.value_a == 100.0
    detail = call(get_history_item, rows[0]["id"])
    assert detail["autoVerdict"] == "PASS"
    assert json.loads(detail["latencyQuantiles"])["p50"] == pytest.approx(20, rel=0.002)
    filters = ApiHistoryFiltersResponse.from_dict(call(list_history_filters))
    assert [profile.name for profile in filters.profiles] == ["imported"]
    assert call(delete_run, newer) is None
    assert [row["id"] for row in call(list_history)["content"]] == [older]


def test_account_and_regions_are_understood(call):
    account = ApiAccountResponse.from_dict(call(get_account))
    assert (account.limits.max_profile_rps, account.limits.api_requests_per_minute) == (10_000, 0)
    assert account.features.domain_verification_required is False
    regions = [UserRegionResponse.from_dict(region) for region in call(list_regions)]
    assert [region.region_code for region in regions] == ["local"]


SCHEDULE = {
    "mode": "PERIODIC",
    "timezone": "Europe/Berlin",
    "slots": [{"dayOfWeek": 1, "time": "06:30"}],
}


def test_profiles_are_changed_scheduled_and_deleted(call):
    profile_id = imported(call, schedule=SCHEDULE)
    found = call(get_profile, profile_id)
    schedule = ApiProfileResponse.from_dict(found).schedule
    assert (schedule.profile_name, schedule.slots[0].time) == ("imported", "06:30")
    request = ApiProfileRequest.from_dict({**found, "name": "renamed", "duration": 30})
    changed = ApiProfileResponse.from_dict(call(update_profile, profile_id, body=request))
    assert (changed.id, changed.name, changed.duration) == (profile_id, "renamed", 30)
    assert call(delete_schedule, profile_id) is None
    assert not ApiProfileResponse.from_dict(call(get_profile, profile_id)).schedule
    assert call(delete_profile, profile_id) is None
    assert call(list_profiles) == []


def test_variables_sets_are_made_changed_attached_and_deleted(ask, call):
    body = CreateVariablesSetRequest.from_dict(
        {"name": "users", "mode": "ROW", "csvContent": "id,weight\na,5\nb,1\n"}
    )
    made = VariablesSetResponse.from_dict(call(create, body=body))
    assert (made.macro_columns, made.weight_column, made.row_count) == (["id"], "weight", 2)
    assert ask(create, body=body).status_code == 400
    renamed = call(rename, made.id, body=RenameVariablesSetRequest(name="people"))
    assert VariablesSetResponse.from_dict(renamed).name == "people"
    mode = ChangeVariablesSetModeRequest.from_dict({"mode": "SEQUENTIAL"})
    assert (
        VariablesSetResponse.from_dict(call(change_mode, made.id, body=mode)).mode == "SEQUENTIAL"
    )
    profile_id = imported(call, endpointUrl="http://127.0.0.1:9/?user=$$id$$")
    request = ApiProfileRequest.from_dict(
        {**call(get_profile, profile_id), "variablesSetIds": [made.id]}
    )
    attached = ApiProfileResponse.from_dict(call(update_profile, profile_id, body=request))
    assert attached.variables_set_ids == [made.id]
    refused = ask(delete, made.id)
    assert refused.status_code == 400
    assert json.loads(refused.content)["error"].startswith("Can't delete")
    call(delete_profile, profile_id)
    assert VariablesSetResponse.from_dict(call(get, made.id)).id == made.id
    assert call(delete, made.id) is None
    assert call(list_variables_sets) == []


def test_domains_are_added_looked_for_and_removed(ask, call):
    domain = VerifiedDomainResponse.from_dict(call(add, body=AddDomainRequest("127.0.0.1")))
    assert (domain.domain, domain.verified) == ("127.0.0.1", False)
    for verify in (verify_dns, verify_http):
        refused = ask(verify, domain.id)
        assert refused.status_code == 400
        assert domain.verification_token in json.loads(refused.content)["error"]
    [listed] = map(VerifiedDomainResponse.from_dict, call(list_domains))
    assert listed == domain
    assert call(remove, domain.id) is None
    assert ask(remove, domain.id).status_code == 400


def test_captures_are_analysed_and_imported(call):
    def body(kind):
        return kind(file=File(io.BytesIO(CAPTURE), "traffic.jsonl", "application/x-ndjson"))

    analysis = CaptureAnalysisResponse.from_dict(call(analyse, body=body(AnalyseBody)))
    [group] = analysis.groups
    assert (analysis.stats.total_requests, group.row_count) == (12, 12)
    assert group.url_skeleton.startswith("http://127.0.0.1:9/users/$$")
    chosen = {"method": group.method, "urlSkeleton": group.url_skeleton, "profileName": "users"}
    selections = json.dumps({"groups": [chosen]})
    answer = call(import_capture, body=body(ImportCaptureBody), selections=selections)
    result = CaptureImportResult.from_dict(answer)
    assert [created.name for created in result.created_profiles] == ["users"]
    assert result.created_variables_set_count == 1


def test_captures_of_a_source_are_listed_analysed_and_imported(call):
    [source] = map(CaptureSourceResponse.from_dict, call(list_capture_sources))
    [file] = map(CaptureSourceFile.from_dict, call(list_capture_source_files, source.id))
    assert (source.kind, file.path, file.size) == ("S3", "traffic.jsonl", len(CAPTURE))
    place = {"sourceId": source.id, "path": file.path}
    body = CaptureAnalyseRemoteRequest.from_dict(place)
    analysis = CaptureAnalysisResponse.from_dict(call(analyse_remote_capture, body=body))
    [group] = analysis.groups
    chosen = {"groups": [{"method": group.method, "urlSkeleton": group.url_skeleton}]}
    request = CaptureImportRemoteRequest.from_dict({**place, "selections": chosen})
    result = CaptureImportResult.from_dict(call(import_remote_capture, body=request))
    assert len(result.created_profiles) == 1


def test_every_operation_of_the_sdk_is_driven_here():
    import trafficmorph.api as api

    known = {
        module.name
        for group in pkgutil.iter_modules(api.__path__)
        for module in pkgutil.iter_modules([f"{api.__path__[0]}/{group.name}"])
    }
    driven = {name for name in known if isinstance(globals().get(name), types.ModuleType)}
    assert (len(known), driven) == (38, known)
