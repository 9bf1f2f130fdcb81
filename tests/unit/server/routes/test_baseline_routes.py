"""Which run the server compares with: pinned, asked for, or chosen."""

import json
import sqlite3

import pytest

pytestmark = pytest.mark.process

FLAT = [{"x": 0, "y": 20}, {"x": 20, "y": 20}]


@pytest.fixture
def profile(api):
    return api.save(script="ms=20")


def judged(api, profile_id, **asked):
    detail = api.judged(api.start(profile_id, **asked))
    return detail, json.loads(detail["autoCompareSnapshot"])


def pin(api, profile_id, history_id):
    return api.put(f"/profiles/{profile_id}/baseline", json={"historyId": history_id})


def test_a_profile_without_a_pin_reports_it(api, profile):
    assert api.get(f"/profiles/{profile}/baseline").json() == {
        "profileId": profile,
        "region": "local",
        "historyId": None,
        "pinnedAt": None,
        "exists": False,
        "runId": None,
        "startedAt": None,
        "autoVerdict": None,
    }


def test_the_pinned_run_is_the_baseline_until_it_is_unpinned(api, profile):
    first, _ = judged(api, profile)
    second, _ = judged(api, profile)
    third, chosen = judged(api, profile)
    assert third["autoCompareBaselineRunId"] == second["id"]
    assert chosen["baselineChoice"] == "newest passing"

    pinned = pin(api, profile, first["id"])
    assert pinned.status_code == 200
    assert pinned.json() == api.get(f"/profiles/{profile}/baseline").json()
    assert (pinned.json()["historyId"], pinned.json()["exists"]) == (first["id"], True)
    fourth, chosen = judged(api, profile)
    assert fourth["autoCompareBaselineRunId"] == first["id"]
    assert chosen["baselineChoice"] == "pinned"
    assert chosen["baselineAgeSeconds"] >= 0

    assert api.delete(f"/profiles/{profile}/baseline").status_code == 204
    assert api.delete(f"/profiles/{profile}/baseline").status_code == 204
    _, chosen = judged(api, profile)
    assert chosen["baselineChoice"] == "newest passing"


def test_a_run_that_could_not_exclude_a_failure_is_no_baseline(api, server, profile):
    judged(api, profile)
    second, known = judged(api, profile)
    assert (known["excludesFail"], known["improved"]) == (True, [])
    third, _ = judged(api, profile)
    with sqlite3.connect(server.options.data_dir / "tm.db") as database:
        database.execute(
            "UPDATE history SET auto_compare_snapshot = ? WHERE id = ?",
            [json.dumps({"excludesFail": False}), third["id"]],
        )
    fourth, _ = judged(api, profile)
    assert fourth["autoCompareBaselineRunId"] == second["id"]


def test_a_pinned_run_that_was_deleted_is_missed(api, profile):
    first, _ = judged(api, profile)
    judged(api, profile)
    pin(api, profile, first["id"])
    api.delete(f"/history/{first['id']}")
    view = api.get(f"/profiles/{profile}/baseline").json()
    assert (view["historyId"], view["exists"]) == (first["id"], False)
    detail, _ = judged(api, profile)
    assert detail["autoVerdict"] == "NO_BASELINE"
    assert f"pinned, run {first['id']}, is not in the history" in detail["autoVerdictReasons"]


def test_a_pinned_run_of_another_curve_is_not_replaced_by_another(api, profile):
    first, _ = judged(api, profile)
    pin(api, profile, first["id"])
    points = [{"x": 0, "y": 10}, {"x": 20, "y": 10}]
    assert api.save(script="ms=20", points=points) == profile
    detail, _ = judged(api, profile)
    assert detail["autoVerdict"] == "NO_BASELINE"
    assert "has another curve" in detail["autoVerdictReasons"]


def test_a_run_can_be_compared_with_one_of_the_users_choice(api, profile):
    first, _ = judged(api, profile)
    second, _ = judged(api, profile)
    pin(api, profile, second["id"])
    third, chosen = judged(api, profile, baselineRunId=first["id"])
    assert third["autoCompareBaselineRunId"] == first["id"]
    assert chosen["baselineChoice"] == "asked"


@pytest.fixture
def service(api, tmp_path):
    """A profile whose target can be changed from run to run: play(ms=60, codes=..., flags=...)."""

    usual = {"ms": "100", "codes": "200:100", "flags": ""}

    class Service:
        profile = api.save(script="&".join(f"{name}=@{tmp_path / name}" for name in usual))

        def play(self, **changes):
            for name, text in (usual | changes).items():
                (tmp_path / name).write_text(str(text), encoding="utf-8")
            return api.judged(api.start(self.profile))

    return Service()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"codes": "200:84,503:16"}, id="errors"),
        pytest.param({"codes": "200:51,503:49"}, id="almost-half-of-them-errors"),
        pytest.param({"flags": "generator_saturated"}, id="a-saturated-generator"),
    ],
)
def test_a_bad_first_run_is_the_measure_only_until_there_is_a_good_one(service, bad):
    first, second, third = service.play(**bad), service.play(), service.play()
    assert second["autoCompareBaselineRunId"] == first["id"]
    assert second["autoVerdict"] == "WARN"
    assert f"tm baseline pin {second['id']}" in second["autoVerdictReasons"]
    assert third["autoCompareBaselineRunId"] == second["id"]
    assert third["autoVerdict"] == "PASS"


def test_a_good_baseline_stays_when_errors_come(service):
    first = service.play()
    for _ in range(2):
        worse = service.play(codes="200:94,503:6")
        assert worse["autoCompareBaselineRunId"] == first["id"]
        assert worse["autoVerdict"] == "FAIL"


def test_a_slow_run_of_a_saturated_generator_is_a_warning_that_reports_it_first(service):
    service.play()
    slow = service.play(ms=205, flags="generator_saturated")
    assert slow["autoVerdict"] == "WARN"
    assert json.loads(slow["autoVerdictReasons"])[0].startswith("the load generator's machine")
    assert service.play(ms=205)["autoVerdict"] == "FAIL"


def test_what_was_gained_in_one_run_is_the_measure_of_the_next(api, service):
    verdicts = [service.play(ms=ms)["autoVerdict"] for ms in (100, 100, 100, 60)]
    assert verdicts == ["NO_BASELINE", "PASS", "PASS", "PASS"]
    lost = service.play(ms=100)
    assert lost["autoVerdict"] == "FAIL"
    assert "+66." in lost["autoVerdictReasons"]
    pin(api, service.profile, lost["id"])
    assert service.play(ms=100)["autoVerdict"] == "PASS"
    api.delete(f"/profiles/{service.profile}/baseline")
    assert service.play(ms=100)["autoVerdict"] == "PASS", "accepted by the pin"
    assert service.play(ms=130)["autoVerdict"] == "FAIL"


class TestAreRefused:
    def test_runs_that_are_not_there(self, api, profile):
        for answer in (pin(api, profile, 999), self.start(api, profile, 999)):
            assert answer.status_code == 400
            assert "has no run 999 in the history" in answer.json()["error"]
        assert api.rows(profileId=profile) == []

    def test_runs_of_another_profile(self, api, profile):
        other, _ = judged(api, api.save("other", script="ms=20"))
        for answer in (pin(api, profile, other["id"]), self.start(api, profile, other["id"])):
            assert answer.status_code == 400
            assert "This profile has no run" in answer.json()["error"]

    def test_runs_that_did_not_end_by_themselves(self, api):
        profile = api.save(script="mode=hold")
        run_id = api.start(profile)
        api.post(f"/profiles/{profile}/stop")
        stopped = api.row_of(run_id)["id"]
        for answer in (pin(api, profile, stopped), self.start(api, profile, stopped)):
            assert answer.status_code == 400
            assert "it was stopped, not completed" in answer.json()["error"]

    def test_runs_of_another_load_as_the_baseline_of_one_run(self, api, profile):
        first, _ = judged(api, profile)
        api.save(script="ms=20", duration=25, points=FLAT)
        answer = self.start(api, profile, first["id"])
        assert answer.status_code == 400
        assert "cannot be the baseline: it has another duration" in answer.json()["error"]

    def test_runs_that_mostly_failed(self, api):
        profile = api.save(script="codes=500:100")
        failed, _ = judged(api, profile)
        for answer in (pin(api, profile, failed["id"]), self.start(api, profile, failed["id"])):
            assert answer.status_code == 400
            assert "it mostly failed" in answer.json()["error"]

    def test_baselines_of_an_ab_run(self, api, profile):
        first, _ = judged(api, profile)
        answer = api.post(
            f"/profiles/{profile}/runs",
            json={"baselineRunId": first["id"], "againstUrl": "http://127.0.0.1:9/?ms=20"},
        )
        assert answer.status_code == 400

    @pytest.mark.parametrize("body", [{}, {"historyId": "1"}, {"historyId": 0}, []])
    def test_bodies_without_sense(self, api, profile, body):
        assert api.put(f"/profiles/{profile}/baseline", json=body).status_code == 400

    def test_pins_of_unknown_profiles(self, api):
        answers = (api.get("/profiles/99/baseline"), pin(api, 99, 1))
        assert [answer.status_code for answer in answers] == [400, 400]

    @staticmethod
    def start(api, profile, history_id):
        return api.post(f"/profiles/{profile}/runs", json={"baselineRunId": history_id})


class TestLimits:
    def slower_by_six_percent(self, api, **gate):
        profile = api.save(script="ms=100", **gate)
        first, _ = judged(api, profile)
        pin(api, profile, first["id"])
        return profile, first

    def test_of_the_profile_are_kept_and_shown(self, api):
        gate = {"p95": {"warn": 1, "fail": 2}}
        profile = api.save(gate=gate)
        assert api.get(f"/profiles/{profile}").json()["gate"] == gate
        exported = api.get(f"/profiles/{profile}/export").json()
        assert exported["gate"] == gate
        again = api.post("/profiles/import", json={**exported, "gate": None})
        assert again.status_code == 201
        assert api.get(f"/profiles/{profile}").json()["gate"] is None

    def test_of_the_profile_come_before_those_of_the_start(self, api):
        profile = api.save(script="ms=20", gate={"p95": {"warn": 1, "fail": 2}})
        gate = {"p95": {"warn": 30, "fail": 40}, "p99": False, "minRequests": 1000}
        detail, snapshot = judged(api, profile, gate=gate)
        limits = snapshot["limits"]
        assert limits["p95"] == {"warn": 1, "fail": 2}
        assert limits["p99"] is False
        assert limits["minRequests"] == 1000
        detail, _ = judged(api, profile, gate=gate)
        assert detail["autoVerdict"] == "WARN"
        assert "fewer than 1000 say little" in detail["autoVerdictReasons"]

    def test_that_contradict_each_other_are_refused(self, api):
        profile = api.save(gate={"p95": {"warn": 14}})
        refused = api.post(f"/profiles/{profile}/runs", json={"gate": {"p95": {"fail": 10}}})
        assert refused.status_code == 400
        assert refused.json()["error"] == "gate: p95: warn 14 is above fail 10"

    @pytest.mark.parametrize(
        "gate", [{"p96": {"warn": 1}}, {"p95": {"warn": 3, "fail": 2}}, {"floorMs": -1}, 7]
    )
    def test_without_sense_are_refused(self, api, profile, gate):
        refused = api.post(f"/profiles/{profile}/runs", json={"gate": gate})
        assert (refused.status_code, "gate" in refused.json()["error"]) == (400, True)
        saved = api.post("/profiles", json={"name": "x", "gate": gate})
        assert saved.status_code == 400


def test_an_instance_that_no_longer_answers_does_not_pass(api, tmp_path):
    requests = tmp_path / "requests"
    profile = api.save(script=f"ms=20&addresses=@{requests}")
    requests.write_text("10.0.0.1:200,10.0.0.2:200", encoding="utf-8")
    assert judged(api, profile)[0]["autoVerdict"] == "NO_BASELINE"
    assert judged(api, profile)[0]["autoVerdict"] == "PASS"
    requests.write_text("10.0.0.1:400,10.0.0.2:0", encoding="utf-8")
    for _ in range(2):  # the run without it is no measure for the next one
        detail, _ = judged(api, profile)
        assert detail["autoVerdict"] == "WARN"
        assert "hardly tested: 10.0.0.2 with 0 of 400 requests" in detail["autoVerdictReasons"]
