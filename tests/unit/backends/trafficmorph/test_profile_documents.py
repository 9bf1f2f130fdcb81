"""Profile documents: what a repository may hold."""

from __future__ import annotations

import json

import pytest

from tm_cli.backends.trafficmorph.profile_documents import (
    names_document,
    portable,
    read_document,
)
from tm_cli.backends.trafficmorph.profile_values import FORMAT
from tm_cli.errors import ConfigurationError

MINIMAL = {
    "name": "checkout",
    "duration": 60,
    "endpointUrl": "https://shop.example/",
    "points": [{"x": 0, "y": 5}, {"x": 60, "y": 10}],
}


def test_minimal_document_gets_its_format_and_means_a_plain_get():
    usual = {"httpMethod": "GET", "interpolationMode": "LINEAR"}
    assert portable(MINIMAL) == {"_format": FORMAT, **usual, **MINIMAL}


def test_a_body_without_a_method_is_posted():
    assert portable({**MINIMAL, "requestPayload": "a"})["httpMethod"] == "POST"
    assert portable({**MINIMAL, "requestBody": {"a": 1}})["httpMethod"] == "POST"
    assert portable({**MINIMAL, "requestPayload": ""})["httpMethod"] == "GET"
    assert portable({**MINIMAL, "requestPayload": {}})["httpMethod"] == "GET"
    assert portable({**MINIMAL, "httpMethod": None})["httpMethod"] == "GET"


def test_exported_document_keeps_the_defaults_of_the_api():
    exported = {"_format": FORMAT, **MINIMAL, "httpMethod": None}
    assert portable(exported) == exported
    assert portable({**MINIMAL, "_format": None}) == portable(MINIMAL)


def test_no_message_shows_what_may_be_a_secret():
    for written in (
        {"endpointUrl": "ftp://ada:s3cret@shop.example/"},
        {"requestHeaders": '[{"name": "A", "value": 53}]'},
        {"requestHeaders": '[{"name": "A", "value": "s3cret", "value": "b"}]'},
        {"requestPayload": "s3cret" * 200_000},
    ):
        with pytest.raises(ValueError) as refused:
            portable({**MINIMAL, **written})
        assert "s3cret" not in str(refused.value)
        assert "53" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"duration": "1m30s"}, {"duration": 90}),
        ({"duration": 90.0}, {"duration": 90}),
        ({"waitForTarget": "1m"}, {"waitForTarget": 60}),
        ({"waitForTarget": 2.5}, {"waitForTarget": 2.5}),
        ({"warmup": "10s"}, {"warmup": 10}),
        ({"warmup": 0}, {"warmup": 0}),
        ({"gate": {"p95[10s..1m]": {"fail": "1s"}}}, {"gate": {"p95[10s..60s]": {"failMs": 1000}}}),
        ({"gate": {"expectStatus": 200}}, {"gate": {"expectStatus": [200]}}),
        ({"gate": {"statuses": False}}, {"gate": {"statuses": False}}),
        (
            {"endpointUrl": "https://fa\u00df.example/\u00e4"},
            {"endpointUrl": "https://xn--fa-hia.example/\u00e4"},
        ),
        ({"points": [[0, 5], [60, 10]]}, {"points": MINIMAL["points"]}),
        (
            {"requestHeaders": {"X-N": "1"}},
            {"requestHeaders": '[{"name": "X-N", "value": "1"}]'},
        ),
        ({"requestHeaders": "[]"}, {"requestHeaders": "[]"}),
        ({"requestPayload": {"sku": "A"}}, {"requestPayload": '{"sku": "A"}'}),
        ({"requestBody": "text"}, {"requestPayload": "text"}),
        (
            {"gate": {"p95": {"warn": "5%"}, "floor": "3ms"}},
            {"gate": {"p95": {"warn": 5}, "floorMs": 3}},
        ),
        ({"gate": None}, {"gate": None}),
    ],
)
def test_conveniences_become_the_portable_form(written, sent):
    document = portable({**MINIMAL, **written})
    assert document.items() >= sent.items()


def test_api_name_of_the_target_is_accepted():
    target = MINIMAL["endpointUrl"]
    written = {key: value for key, value in MINIMAL.items() if key != "endpointUrl"}
    assert portable({**written, "targetUrl": target}) == portable(MINIMAL)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "not a mapping"),
        ("text", "not a mapping"),
        ({**MINIMAL, "duraton": 3}, "did you mean duration"),
        ({**MINIMAL, "initScript": "x"}, "unknown key 'initScript'"),
        ({**MINIMAL, "targetUrl": "https://other.example"}, "two names"),
        ({"name": "x"}, "duration and endpointUrl and points missing"),
        ({**MINIMAL, "name": None}, "name missing"),
        ({**MINIMAL, "duration": "soon"}, "invalid duration"),
        ({**MINIMAL, "duration": 10.5}, "whole number"),
        ({**MINIMAL, "duration": True}, "whole number"),
        ({**MINIMAL, "duration": float("inf")}, "whole number"),
        ({**MINIMAL, "duration": float("nan")}, "whole number"),
        ({**MINIMAL, "points": "0 5"}, "points is not a list"),
        ({**MINIMAL, "gate": []}, "gate must be a table"),
        ({**MINIMAL, "gate": {"p95": 10}}, "gate.p95 must be false or a pair"),
        ({**MINIMAL, "gate": {"p95": {"warn": float("nan")}}}, "gate.p95.warn is nan"),
        ({**MINIMAL, "gate": {"p9": {"warn": 1}}}, "unknown key 'gate.p9'"),
    ],
)
def test_what_is_no_profile_is_refused_with_the_reason(document, words):
    with pytest.raises(ValueError, match=words):
        portable(document)


@pytest.mark.parametrize("name", ["p.yaml", "p.yml", "p.json"])
def test_json_and_yaml_say_the_same(tmp_path, name):
    path = tmp_path / name
    path.write_text(json.dumps(MINIMAL), encoding="utf-8")
    assert read_document(path) == portable(MINIMAL)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.json", '{"name": "a", "name": "b"}', "duplicate key"),
        ("p.yaml", "name: a\nname: b\n", "duplicate key"),
        ("p.yaml", "a: [", "invalid profile document"),
        ("p.yaml", "!!python/object/apply:os.system ['true']", "invalid profile document"),
        ("p.yaml", "", "not a mapping"),
        ("p.yaml", "[" * 5000, "invalid profile document"),
        ("p.yaml", "{a: " * 3000, "invalid profile document"),
        ("p.json", "{", "invalid profile document"),
        ("p.json", '{"duration": %s}' % ("9" * 400), "a number is too large"),
        ("p.json", '{"duration": %s}' % ("9" * 5000), "a number is too long"),
        ("p.yaml", f"{'k' * 900}: 1\n{'k' * 900}: 2\n", "duplicate key"),
        ("p.yaml", "? [a]\n: 1\n", "invalid profile document"),
        ("p.json", "\udcff", "not UTF-8"),
    ],
)
def test_unreadable_file_is_a_configuration_error(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=words):
        read_document(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read .*none\.yaml"):
        read_document(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "is_document"),
    [
        ("checkout.yaml", True),
        ("load/checkout.JSON", True),
        ("load/checkout", True),
        ("load\\checkout", True),
        ("checkout", False),
        ("42", False),
        ("v1.2", False),
    ],
)
def test_argument_is_a_document_by_suffix_or_separator(text, is_document):
    assert names_document(text) is is_document


@pytest.mark.parametrize(
    "text",
    [
        '"requestHeaders": {"X-Pin": 1.10, "B": true, "C": null, "D": 1E5, "E": ""}',
        """"requestHeaders": [{"name": "X-Pin", "value": 1.10}, {"name": "B", "value": true},
        {"name": "C", "value": null}, {"name": "D", "value": 1E5}, {"name": "E", "value": ""}]""",
    ],
)
@pytest.mark.parametrize("name", ["p.yaml", "p.json"])
def test_headers_are_the_characters_of_the_file_in_json_and_yaml(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(json.dumps(MINIMAL)[:-1] + f",\n\t{text}}}", encoding="utf-8")
    sent = json.loads(read_document(path)["requestHeaders"])
    assert [item["value"] for item in sent] == ["1.10", "true", "null", "1E5", ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "a",\n"name": "b"}', r"p\.json, line 2: duplicate key"),
        ('{"name": "a",\n"x": NaN}', r"p\.json, line 2: NaN is not a JSON number"),
        ('{\n\t"name": "a",\n\t"x": 1}', r"p\.json, line 3: unknown key 'x'"),
        ('{"name": "a",\n}', r"p\.json, line 2: invalid JSON: expecting property name"),
        ('{"name": "a",\n"duration": 1e999}', r"p\.json, line 2: a number is too large"),
        ("[" * 100 + "]" * 100, "it is nested too deeply"),
        ("[" + "1," * 100_001 + "1]", "more than 100000 values"),
    ],
)
def test_problem_of_a_json_document_has_its_line(tmp_path, text, words):
    path = tmp_path / "p.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words):
        read_document(path)


def test_file_of_enormous_size_is_not_read(tmp_path):
    path = tmp_path / "p.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ConfigurationError, match="longer than 8 MiB"):
        read_document(path)


@pytest.mark.parametrize("value", ["soon", "2h", -1, True, [60], {"s": 60}, float("inf"), 1e9])
def test_time_to_wait_for_the_target_is_a_duration_of_at_most_an_hour(value):
    with pytest.raises(ValueError, match=r"waitForTarget|duration"):
        portable({**MINIMAL, "waitForTarget": value})


@pytest.mark.parametrize("value", [404, [200, 500], [], "ok", [True], {"a": 1}])
def test_expected_statuses_are_those_below_400(value):
    with pytest.raises(ValueError, match="expectStatus"):
        portable({**MINIMAL, "gate": {"expectStatus": value}})


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"warmup": "3s"}, "warmup is '3s'; expected a multiple of 5s"),
        ({"warmup": "soon"}, "warmup|duration"),
        ({"warmup": 60}, "warmup leaves nothing to judge"),
        ({"gate": {"p95[30s..90s]": {"fail": 1}}}, "the stretch ends after the curve, which takes"),
        ({"warmup": 5, "gate": {"p95[..30s]": {"fail": 1}}}, "begins in the warm-up of 5s"),
    ],
)
def test_something_that_can_be_judged_is_left(written, words):
    with pytest.raises(ValueError, match=words):
        portable({**MINIMAL, **written})


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"requestPayload": "x"}, "requestPayload has no effect on steps"),
        ({"httpMethod": "GET"}, "httpMethod has no effect on steps"),
        ({"endpointUrl": "http://a.test/?b=c"}, "endpointUrl has a query"),
        ({"steps": [{"request": "GET /"}, {"name": 5}]}, r"steps\[1\].name is 5; expected a name"),
        ({"checks": {"statsu": 200}}, r"checks.statsu is not known; did you mean status\?"),
        ({"cookies": "yes"}, "cookies is 'yes'; expected true or false"),
        ({"steps": []}, "steps is an empty list; expected a list of 1 to 100 steps"),
        ({"followRedirects": -1}, "followRedirects is -1; expected true, false, or a number"),
        ({"steps": None, "locustfile": "shop.py", "checks": {"status": 200}}, "locustfile"),
        ({"gate": {"steps": {"GET /x": {"p95": 9}}}}, "steps names 'GET /x', which is not one of"),
        ({"gate": {"steps": {"GTE /": False}}}, r"did you mean GET /\?"),
    ],
)
def test_journey_that_cannot_be_played_is_refused(written, words):
    with pytest.raises(ValueError, match=words):
        portable({**MINIMAL, "steps": [{"request": "GET /"}], **written})


@pytest.mark.parametrize("steps", [False, {"GET /": {"p95": 9}}, {"GET /": False}])
def test_journey_may_have_thresholds_of_its_steps(steps):
    journey = {**MINIMAL, "steps": [{"request": "/"}, {"think": 1}], "gate": {"steps": steps}}
    assert portable(journey)["steps"][0] == {"request": "GET /"}


def test_export_of_a_journey_can_be_used_again():
    journey = portable({**MINIMAL, "steps": [{"request": "GET /"}, {"think": "1s"}]})
    assert journey["steps"] == [{"request": "GET /"}, {"think": [1, 1]}]
    assert portable({**journey, "httpMethod": "POST", "checks": None, "cookies": None}) == {
        **journey,
        "httpMethod": "POST",
        "checks": None,
        "cookies": None,
    }


STEPS = """name: a
endpointUrl: http://a.test/
duration: 60
points: [[0, 5], [60, 5]]
steps:
  - request: GET /
    headers: {X-Number: 0123}
    body: 010
    checks: {body: 007, header: {A: 1e3}}
  - request: GET /
    extract: {a: {jsno: $.a}}
"""


def test_problem_of_a_step_has_its_line(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(STEPS, encoding="utf-8")
    with pytest.raises(
        ConfigurationError,
        match=r"line 11: steps\[1\].extract.a.jsno is not known; did you mean json",
    ):
        read_document(path)


def test_texts_of_steps_are_what_the_file_has(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(STEPS.replace("jsno", "json"), encoding="utf-8")
    step = read_document(path)["steps"][0]
    assert (step["headers"], step["body"]) == ({"X-Number": "0123"}, "010")
    assert step["checks"] == {"body": {"contains": "007"}, "header": {"A": "1e3"}}


@pytest.mark.parametrize(
    "step",
    [
        {"request": "GET ftp://ada:s3cret@shop.example/"},
        {"request": "GET http://ada:s3cret@shop.example/"},
        {"request": "POST /login s3cret x"},
        {"request": "GET /", "headers": {"A": "s3cret\n"}},
        {"request": "GET /", "headers": {"A": 53}},
        {"request": "GET /", "body": "s3cret" * 200_000},
    ],
)
def test_message_about_a_step_shows_no_secret(step):
    with pytest.raises(ValueError) as refused:
        portable({**MINIMAL, "steps": [step]})
    assert not {"s3cret", "53"} & set(str(refused.value).replace("'", " ").split())
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("gate", "line", "words"),
    [
        ("  p95: {fail: 1}\n  p99: {fial: 400ms}\n", 7, "unknown key 'gate.p99.fial'"),
        ("  p95[10s..20s]:\n    fail: 1\n    warn: soon\n", 8, "must be a number"),
        ("  p95[10s..20]:\n    fail: 1\n  p95[10s..1m10s]:\n    fail: 1\n", 8, "ends after"),
    ],
)
def test_problem_of_a_limit_has_its_line(tmp_path, gate, line, words):
    path = tmp_path / "p.yaml"
    head = "name: a\nendpointUrl: http://a.test/\nduration: 60\npoints: [[0, 5], [60, 5]]\ngate:\n"
    path.write_text(head + gate, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"p\.yaml, line {line}: .*{words}"):
        read_document(path)
