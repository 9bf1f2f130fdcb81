from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.server.running_server import body
from tm_cli.server.routes.profiles import imported, read_document
from tm_cli.server.schedules import after_firing

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
SCHEDULE = {
    "mode": "PERIODIC",
    "timezone": "Europe/Berlin",
    "slots": [{"dayOfWeek": 1, "time": "06:30"}],
}


def test_a_new_profile_comes_back_with_defaults(api):
    answer = api.post("/profiles", json=body("checkout"))
    assert answer.status_code == 201
    profile = answer.json()
    assert profile["id"] == 1
    assert profile["httpMethod"] == "POST"
    assert profile["interpolationMode"] == "SPLINE"
    assert profile["status"] == "IDLE"
    assert "schedule" not in profile
    assert profile["createdAt"].endswith("Z")
    assert api.get("/profiles/1").json() == profile


def test_the_list_starts_with_the_most_recently_updated(api):
    first, second = api.save("first"), api.save("second")
    assert [row["id"] for row in api.get("/profiles").json()] == [second, first]
    api.put(f"/profiles/{first}", json=body("first"))
    rows = api.get("/profiles").json()
    assert [row["id"] for row in rows] == [first, second]
    assert set(rows[0]) == {"id", "name", "createdAt"}


@pytest.mark.parametrize("name", ["Checkout", "  checkout \t", "CHECKOUT"])
def test_creating_a_taken_name_replaces_that_profile(api, name):
    first = api.save("checkout")
    answer = api.post("/profiles", json=body(name, duration=30))
    assert answer.status_code == 201
    assert answer.json()["id"] == first
    assert answer.json()["name"] == name.strip()
    assert answer.json()["duration"] == 30


@pytest.mark.parametrize("name", ["check out", "checkout\u00a0", "checkouts"])
def test_other_names_make_other_profiles(api, name):
    assert api.save("checkout") != api.save(name)


def test_an_update_may_make_twins_and_the_younger_one_is_upserted(api):
    first, second = api.save("first"), api.save("second")
    assert api.put(f"/profiles/{first}", json=body("second")).status_code == 200
    assert api.save("second", duration=40) == second


def saved_set(api):
    csv = {"name": "users", "mode": "SEQUENTIAL", "csvContent": "user\nann\n"}
    return api.post("/variables-sets", json=csv).json()["id"]


def test_a_write_resets_what_it_does_not_name_and_keeps_five_fields(api):
    profile_id = api.save(
        httpMethod="get",
        requestBody="hello",
        callbackUrl="http://127.0.0.1/done",
        region="eu-west",
        readinessUrl="http://127.0.0.1/ready",
        interpolationMode="linear",
        variablesSetIds=[saved_set(api)],
        schedule=SCHEDULE,
    )
    before = api.get(f"/profiles/{profile_id}").json()
    assert (before["httpMethod"], before["interpolationMode"]) == ("GET", "LINEAR")
    after = api.put(f"/profiles/{profile_id}", json=body(loop=None)).json()
    assert (after["httpMethod"], after["requestBody"], after["callbackUrl"]) == ("POST", None, None)
    for kept in ("region", "readinessUrl", "interpolationMode", "variablesSetIds", "schedule"):
        assert after[kept] == before[kept]


def test_empty_values_clear_what_would_be_kept(api):
    attached = [saved_set(api)]
    profile_id = api.save(
        region="eu-west", readinessUrl="http://127.0.0.1/", variablesSetIds=attached
    )
    cleared = body(region="", readinessUrl="", variablesSetIds=[])
    after = api.put(f"/profiles/{profile_id}", json=cleared).json()
    assert (after["region"], after["readinessUrl"], after["variablesSetIds"]) == (None, None, [])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": None}, "name"),
        ({"name": " \t "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"duration": 9}, "duration"),
        ({"duration": 172_801}, "duration"),
        ({"duration": 20.5}, "duration"),
        ({"duration": "20"}, "duration"),
        ({"duration": True}, "duration"),
        ({"targetUrl": "ftp://127.0.0.1/"}, "targetUrl"),
        ({"targetUrl": "127.0.0.1:80"}, "targetUrl"),
        ({"targetUrl": "http://"}, "targetUrl"),
        ({"targetUrl": "http://127.0.0.1:99999/"}, "targetUrl"),
        ({"targetUrl": "http://127.0.0.1/a b"}, "targetUrl"),
        ({"targetUrl": "http://169.254.169.254/latest"}, "targetUrl"),
        ({"targetUrl": "http://metadata.google.internal/"}, "targetUrl"),
        ({"targetUrl": "http://127.0.0.1/" + "x" * 2048}, "targetUrl"),
        ({"points": [{"x": 0, "y": 1}]}, "points"),
        ({"points": [{"x": 0, "y": 1}, {"x": 21, "y": 1}]}, "points"),
        ({"points": [{"x": 0, "y": 1}, {"x": 1, "y": -1}]}, "points.1.y"),
        ({"points": [{"x": 0, "y": 1}, {"x": -1, "y": 1}]}, "points.1.x"),
        ({"points": [{"x": 0, "y": 1}] * 5001}, "points"),
        ({"points": [{"x": 0, "y": 1}, {"x": 1, "y": 10**400}]}, "points.1.y"),
        ({"httpMethod": "BREW"}, "httpMethod"),
        ({"interpolationMode": "CUBIC"}, "interpolationMode"),
        ({"requestHeaders": "nonsense"}, "requestHeaders"),
        ({"requestHeaders": '{"a": "b"}'}, "requestHeaders"),
        ({"requestHeaders": '[{"name": "a b", "value": ""}]'}, "requestHeaders"),
        ({"requestHeaders": '[{"name": "a", "value": "x\\r\\ny"}]'}, "requestHeaders"),
        ({"requestHeaders": str([{"name": "a", "value": ""}] * 65).replace("'", '"')}, "headers"),
        ({"autoAlertMinSeverity": "PASS"}, "autoAlertMinSeverity"),
        ({"autoAlertCooldownMinutes": 10_081}, "autoAlertCooldownMinutes"),
        ({"autoAlertRecipients": ["a@b"] * 11}, "autoAlertRecipients"),
        ({"variablesSetIds": [1] * 51}, "variablesSetIds"),
        ({"variablesSetIds": [2**63]}, "variablesSetIds"),
        ({"region": "x" * 31}, "region"),
        ({"schedule": {**SCHEDULE, "mode": "DAILY"}}, "schedule.mode"),
        ({"schedule": {**SCHEDULE, "timezone": "Mars/Olympus"}}, "schedule.timezone"),
        ({"schedule": {**SCHEDULE, "slots": []}}, "schedule.slots"),
        ({"schedule": {**SCHEDULE, "slots": [{"dayOfWeek": 8, "time": "06:30"}]}}, "dayOfWeek"),
        ({"schedule": {**SCHEDULE, "slots": [{"dayOfWeek": 1, "time": "24:00"}]}}, "time"),
        ({"schedule": {**SCHEDULE, "slots": SCHEDULE["slots"] * 101}}, "schedule.slots"),
        ({"schedule": SCHEDULE, "loop": True}, "schedule"),
    ],
)
def test_unusable_fields_are_refused_by_name(shared_api, change, place):
    answer = shared_api.post("/profiles", json={**body(), **change})
    assert answer.status_code == 400
    assert place in answer.json()["error"]
    assert shared_api.get("/profiles").json() == []


def test_macros_and_unknown_fields_may_be_saved(api):
    profile_id = api.save(targetUrl="http://127.0.0.1/$$id$$", favouriteColour="blue")
    assert "favouriteColour" not in api.get(f"/profiles/{profile_id}").json()


@pytest.mark.process
def test_deleting_ends_the_run_and_keeps_the_history(api):
    profile_id = api.save(script="mode=hold")
    run_id = api.start(profile_id)
    assert api.delete(f"/profiles/{profile_id}").status_code == 204
    row = api.row_of(run_id)
    assert (row["outcome"], row["profileId"]) == ("STOPPED", profile_id)
    assert api.delete(f"/profiles/{profile_id}").json() == {"error": "Profile not found"}
    assert api.save() != profile_id


def test_a_schedule_is_shown_and_deleted_twice(api):
    profile_id = api.save(schedule=SCHEDULE)
    shown = api.get(f"/profiles/{profile_id}").json()["schedule"]
    assert shown["profileId"] == profile_id
    assert shown["slots"] == [{"id": 1, "dayOfWeek": 1, "time": "06:30", "enabled": True}]
    for _ in range(2):
        assert api.delete(f"/profiles/{profile_id}/schedule").status_code == 204
    assert api.get(f"/profiles/{profile_id}").json().get("schedule") is None
    assert api.delete("/profiles/99/schedule").status_code == 400


def test_an_export_can_be_imported_again(api):
    profile_id = api.save(requestBody="hi", initScript="function init() {}", schedule=SCHEDULE)
    document = api.get(f"/profiles/{profile_id}/export").json()
    assert document["_format"] == "trafficmorph-profile-v1"
    assert document["requestPayload"] == "hi"
    assert document["endpointUrl"] == "http://127.0.0.1:9/?"
    assert not document.keys() & {"id", "initScript", "region", "callbackSecret", "targetUrl"}
    answer = api.post("/profiles/import", json={**document, "name": "copy"})
    assert answer.status_code == 201
    assert answer.json()["warnings"] == []
    copy_id = answer.json()["id"]
    assert api.get(f"/profiles/{copy_id}/export").json() == {**document, "name": "copy"}


@pytest.mark.parametrize(("time", "is_enabled"), [("06:30", False), ("06:31", True)])
def test_an_import_sets_a_schedule_again_only_if_it_is_another_one(api, time, is_enabled):
    """A gate may import the document of a profile for each run."""
    profile_id = api.save(schedule={**SCHEDULE, "mode": "ONCE"})
    document = api.get(f"/profiles/{profile_id}/export").json()
    first, _ = read_document(document)
    once = after_firing(first.stored(None).schedule, MONDAY, MONDAY + timedelta(days=1))
    current = first.stored(None).model_copy(update={"schedule": once})
    document["schedule"]["slots"][0]["time"] = time
    again, _ = read_document(document)
    [slot] = imported(again, current).schedule.slots
    assert (slot.time, slot.enabled) == (time, is_enabled)


def test_an_import_keeps_what_never_travels(api):
    profile_id = api.save(initScript="function init() {}", region="eu-west", schedule=SCHEDULE)
    document = {
        "_format": "trafficmorph-profile-v1",
        "name": "CHECKOUT",
        "duration": 15,
        "endpointUrl": "http://127.0.0.1/",
        "points": [{"x": 0, "y": 1}, {"x": 15, "y": 2}],
        "initScript": "ignored",
    }
    answer = api.post("/profiles/import", json=document)
    assert answer.json()["id"] == profile_id
    profile = api.get(f"/profiles/{profile_id}").json()
    assert profile["initScript"] == "function init() {}"
    assert profile["region"] == "eu-west"
    assert profile["schedule"] is not None


@pytest.mark.parametrize(
    "change", [{"loop": True}, {"schedule": {**SCHEDULE, "timezone": "x"}}, {"schedule": "soon"}]
)
def test_a_schedule_that_cannot_be_kept_only_warns(api, change):
    document = api.get(f"/profiles/{api.save(schedule=SCHEDULE)}/export").json()
    answer = api.post("/profiles/import", json={**document, "name": "copy", **change})
    assert answer.status_code == 201
    assert len(answer.json()["warnings"]) == 1
    assert api.get(f"/profiles/{answer.json()['id']}").json().get("schedule") is None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"_format": "trafficmorph-profile-v2"}, "_format"),
        ({"_format": None}, "_format"),
        ({"endpointUrl": None}, "endpointUrl"),
        ({"endpointUrl": "http://[fe80::1]/"}, "endpointUrl"),
        ({"duration": "20"}, "duration"),
        ({"points": [{"x": 0, "y": 1}, {"x": 99, "y": 1}]}, "points"),
    ],
)
def test_a_bad_document_saves_nothing(api, change, place):
    document = api.get(f"/profiles/{api.save()}/export").json()
    answer = api.post("/profiles/import", json={**document, "name": "copy", **change})
    assert answer.status_code == 400
    assert place in answer.json()["error"]
    assert len(api.get("/profiles").json()) == 1


@pytest.mark.parametrize("path", ["", "/export", "/status"])
@pytest.mark.parametrize("identity", ["99", "abc", "1.0", "9223372036854775808", "1e3", "%D9%A1"])
def test_a_path_without_profile_is_a_400(shared_api, identity, path):
    answer = shared_api.get(f"/profiles/{identity}{path}")
    assert answer.status_code == 400
    assert "error" in answer.json()
