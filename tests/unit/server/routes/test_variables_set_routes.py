"""Variables sets: what is stored of CSV data, what is refused, and what a run gets of them."""

import sqlite3

import pytest

from tests.unit.server.routes.test_run_routes import job_of
from tm_cli.values.load.data_sets import LONGEST_CSV

USERS = "user,city,Weight\nann,Rome,5\nbob,Oslo,1\n"


def created(api, name="users", mode="ROW", csv=USERS):
    answer = api.post("/variables-sets", json={"name": name, "mode": mode, "csvContent": csv})
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer, *words):
    assert answer.status_code == 400
    assert all(word in answer.json()["error"] for word in words), answer.text


def test_a_set_is_described_and_its_text_is_not_returned(shared_api):
    made = created(shared_api, "described")
    assert {name: made[name] for name in made if not name.endswith("At")} == {
        "id": made["id"],
        "name": "described",
        "mode": "ROW",
        "macroColumns": ["user", "city"],
        "weightColumn": "Weight",
        "rowCount": 2,
        "byteSize": len(USERS),
    }
    assert shared_api.get(f"/variables-sets/{made['id']}").json() == made
    assert made in shared_api.get("/variables-sets").json()


@pytest.mark.parametrize(
    ("mode", "csv", "columns", "weight"),
    [
        ("SEQUENTIAL", "user\nann\n", ["user"], None),
        ("SEQUENTIAL", "user,weight\nann,x\n", ["user"], "weight"),
        ("SEQUENTIAL", "weight\nheavy\n", ["weight"], None),
        ("COLUMN", "user,city,city_weight\nann,Rome,2\n", ["user", "city"], None),
        ("COLUMN", "user,WEIGHT\nann,2\n", ["user"], "WEIGHT"),
    ],
)
def test_columns_of_weights_are_no_macros(shared_api, mode, csv, columns, weight):
    made = created(shared_api, f"{mode} {csv}", mode, csv)
    assert (made["macroColumns"], made["weightColumn"]) == (columns, weight)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, ["name", "blank"]),
        ({"name": "n" * 121}, ["name", "120"]),
        ({"name": None}, ["name"]),
        ({"mode": "row"}, ["mode"]),
        ({"mode": None}, ["mode"]),
        ({"csvContent": None}, ["csvContent"]),
        ({"csvContent": ""}, ["csvContent", "empty"]),
        ({"csvContent": "user,weight\n"}, ["csvContent", "no row"]),
        ({"csvContent": "user\nann\n"}, ["csvContent", "needs a column `weight`"]),
        ({"csvContent": "user,weight\nann,1\nbob,0\n"}, ["line 3, column weight", "positive"]),
        ({"csvContent": 'user,weight\n"ann,1\n'}, ["line 2", "never closed"]),
        ({"csvContent": "user,weight\nann,1\n" * 240_000}, [f"longer than {LONGEST_CSV:,}"]),
        ({"csvContent": "x" * 17_000_000}, [f"longer than {LONGEST_CSV:,}"]),
    ],
)
def test_what_cannot_be_sampled_is_not_stored(shared_api, change, words):
    before = shared_api.get("/variables-sets").json()
    whole = {"name": "bad", "mode": "ROW", "csvContent": USERS, **change}
    refused(shared_api.post("/variables-sets", json=whole), *words)
    assert shared_api.get("/variables-sets").json() == before


def test_a_name_belongs_to_one_set_and_may_be_given_again_to_it(shared_api):
    made, other = created(shared_api, "mine"), created(shared_api, "yours")
    again = {"name": " MINE ", "mode": "ROW", "csvContent": USERS}
    refused(shared_api.post("/variables-sets", json=again), '"MINE"', "exists")
    path = f"/variables-sets/{other['id']}"
    refused(shared_api.patch(path, json={"name": "Mine"}), '"Mine"', "exists")
    refused(shared_api.patch(path, json={"name": ""}), "name")
    assert shared_api.patch(path, json={"name": "Yours"}).json()["name"] == "Yours"
    assert shared_api.get(f"/variables-sets/{made['id']}").json() == made


def test_a_change_of_mode_reads_the_text_again(shared_api):
    made = created(shared_api, "changing", "SEQUENTIAL", "user\nann\n")
    path = f"/variables-sets/{made['id']}"
    refused(shared_api.patch(f"{path}/mode", json={"mode": "ROW"}), "needs a column `weight`")
    assert shared_api.get(path).json() == made
    changed = shared_api.patch(f"{path}/mode", json={"mode": "COLUMN"}).json()
    assert changed == shared_api.get(path).json()
    assert (changed["mode"], changed["id"]) == ("COLUMN", made["id"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("PATCH", "", {"name": "x"}),
        ("PATCH", "/mode", {"mode": "ROW"}),
    ],
)
def test_a_set_that_is_not_there_is_named_so(shared_api, method, path, body):
    answer = shared_api.client.request(method, f"/api/v1/variables-sets/99{path}", json=body)
    refused(answer)
    assert answer.json() == {"error": "Variables set not found"}


def test_an_attached_set_is_not_deleted(shared_api):
    path = f"/variables-sets/{(made := created(shared_api, 'attached'))['id']}"
    for name in ("one", "two"):
        shared_api.save(name, variablesSetIds=[made["id"]] * 2)
    refused(shared_api.delete(path), 'Can\'t delete "attached"', "one", "two")
    for name in ("one", "two"):
        shared_api.save(name, variablesSetIds=[])
    assert shared_api.delete(path).status_code == 204
    refused(shared_api.delete(path), "Variables set not found")


def test_a_profile_takes_no_unknown_set(shared_api):
    fields = {"name": "unknown", "variablesSetIds": [98]}
    whole = {**fields, "duration": 20, "targetUrl": "http://127.0.0.1/", "points": []}
    whole["points"] = [{"x": 0, "y": 1}, {"x": 20, "y": 1}]
    refused(shared_api.post("/profiles", json=whole), "variablesSetIds", "not found", "98")


@pytest.mark.process
def test_a_run_gets_the_data_of_its_sets_after_its_own(api, tmp_path):
    log = tmp_path / "log"
    first = created(api, "first", "SEQUENTIAL", "user,a\nx,1\n")["id"]
    second = created(api, "second", "COLUMN", "user,b\ny,2\n")["id"]
    url = f"http://127.0.0.1:9/$$own$$/$$user$$?log={log}&q=$$a$$$$b$$"
    own = [{"name": "own", "csv": "own\nz\n"}]
    profile_id = api.save(targetUrl=url, variablesSetIds=[second, first], data=own)
    row = api.row_of(api.start(profile_id))
    assert [(each["name"], each["mode"]) for each in job_of(log)["data"]] == [
        ("own", None),
        ("second", "COLUMN"),
        ("first", "SEQUENTIAL"),
    ]
    assert api.get(f"/profiles/{profile_id}").json()["variablesSetIds"] == [second, first]
    api.patch(f"/variables-sets/{first}/mode", json={"mode": "COLUMN"})
    other = api.row_of(api.start(profile_id))
    assert other["loadFingerprint"] != row["loadFingerprint"]
    assert "another data" in api.judged(other["runId"])["autoVerdictReasons"]


def test_more_data_than_a_run_can_have_is_refused(shared_api):
    csv = "user\n" + "x" * 99_999 + "\n"
    large = [
        created(shared_api, f"large {n}", "SEQUENTIAL", csv + csv[5:] * 20)["id"] for n in range(2)
    ]
    fields = {"duration": 20, "targetUrl": "http://127.0.0.1/", "name": "large"}
    points = [{"x": 0, "y": 1}, {"x": 20, "y": 1}]
    whole = {**fields, "points": points, "variablesSetIds": large}
    refused(shared_api.post("/profiles", json=whole), "variablesSetIds", f"{LONGEST_CSV:,}")


def test_a_damaged_set_is_left_out_and_refuses_the_start(server, api):
    made, other = created(api, "broken"), created(api, "whole")
    profile_id = api.save(variablesSetIds=[made["id"]])
    with sqlite3.connect(server.options.data_dir / "tm.db") as connection:
        connection.execute("UPDATE variables_sets SET csv = x'00' WHERE id = ?", [made["id"]])
        connection.execute("UPDATE variables_sets SET mode = 'ANY' WHERE id = ?", [made["id"]])
    connection.close()
    assert api.get("/variables-sets").json() == [other]
    path = f"/variables-sets/{made['id']}"
    refused(api.get(path), f"set {made['id']} is damaged", "delete it")
    refused(api.post(f"/profiles/{profile_id}/start"), f"set {made['id']} is damaged")
    api.save(variablesSetIds=[])
    assert api.delete(path).status_code == 204
