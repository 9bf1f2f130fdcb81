"""What a capture is taken apart into: kinds of requests, their values, and when they came."""

import json

import pytest

from tm_cli.server.captures.analysis import analysis_of
from tm_cli.server.captures.groups import MOST_GROUPS, read_capture
from tm_cli.server.captures.imports import NotImported, imported
from tm_cli.server.captures.pattern import pattern_of
from tm_cli.values.load.captures import UnusableCapture
from tm_cli.values.load.curve import linear

HOST = "https://shop.test"
NAMES = [a + b for a in "abcdef" for b in "abcdefghijklmnopqrstuvwxyz"]


def event(url, method="GET", t=0.0, **more):
    return {"t": t, "method": method, "url": url if "://" in url else HOST + url, **more}


def capture_of(*events):
    return read_capture([b"\n".join(json.dumps(each).encode() for each in events)])


def analysed(*events):
    return analysis_of(capture_of(*events))


def skeletons(*urls):
    found = analysed(*(event(url) for url in urls))["groups"]
    return sorted(group["urlSkeleton"].removeprefix(HOST) for group in found)


def variables(*bodies):
    [group] = analysed(*(event("/x", "POST", body=body) for body in bodies))["groups"]
    return {each["name"]: each for each in group["variables"]}


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["/users/1", "/users/2"], ["/users/$$id$$"]),
        (["/users/1", "/users/1"], ["/users/1"]),
        (["/users/1", "/users/2", "/users/me"], ["/users/$$id$$", "/users/me"]),
        (["/v1/users", "/v2/users"], ["/v1/users", "/v2/users"]),
        (
            ["/users/1/orders/7", "/users/2/orders/8"],
            ["/users/$$user_id$$/orders/$$order_id$$"],
        ),
        (["/users/1/orders/7", "/users/1/orders/8"], ["/users/1/orders/$$id$$"]),
        (
            [f"/a/{n}3f2b1c5e-8d1a-4c7e-9b7a-2f6d0e4a1b9c"[:39] for n in "ab"]
            + ["/a/3f2b1c5e-8d1a-4c7e-9b7a-2f6d0e4a1b9c"],
            ["/a/$$id$$"],
        ),
        (["/day/2026-01-31", "/day/2026-02-01"], ["/day/$$date$$"]),
        (["/at/52.5,13.4", "/at/48.1,11.6"], ["/at/$$id$$"]),
        (["/i/user-12", "/i/user-13"], ["/i/$$id$$"]),
        (["/f/1.png", "/f/2.png"], ["/f/$$id$$"]),
        (["/m/ada@shop.test", "/m/bob@shop.test"], ["/m/$$id$$"]),
        ([f"/products/{word}-hat" for word in "abcde"], ["/products/$$product$$"]),
        ([f"/products/{word}-hat" for word in "abcd"], [f"/products/{w}-hat" for w in "abcd"]),
        (
            [f"/products/{word}-hat/reviews" for word in "abcde"] + ["/products/a-hat"],
            ["/products/$$product$$/reviews", "/products/a-hat"],
        ),
        ([f"/tags/{word}" for word in "abcdefghij"], ["/tags/$$tag$$"]),
        (["/s?q=a&n=1", "/s?q=b&n=1"], ["/s?q=$$q$$&n=1"]),
        (["/s?q=a", "/s?q=a&n=1"], ["/s?q=a", "/s?q=a&n=1"]),
        (["/s?1700000001", "/s?1700000002"], ["/s?$$value$$"]),
        (["/s?a[b]=1", "/s?a[b]=2"], ["/s?a[b]=$$a_b$$"]),
        (["/s?weight=1", "/s?weight=2"], ["/s?weight=$$weight_value$$"]),
        (["/s?TIME=1", "/s?TIME=2"], ["/s?TIME=$$TIME_value$$"]),
        (["/i/1?id=3", "/i/2?id=4"], ["/i/$$id$$?id=$$query_id$$"]),
        (["/s?a=1&a=2", "/s?a=3&a=4"], ["/s?a=$$a$$&a=$$query_a$$"]),
        (["/$$x$$/${Y}?a=$$z$$"], ["/%24$x%24$/%24%7BY%7D?a=%24$z%24$"]),
        (["/a b/ü?x=%zz#f"], ["/a%20b/%C3%BC?x=%25zz"]),
        (["", "/", "?"], ["/"]),
        (["http://b.test/1", "http://B.test/2"], ["http://b.test/$$id$$"]),
        (["http://a.test/x", "http://a.test:8080/x"], ["http://a.test/x", "http://a.test:8080/x"]),
    ],
)
def test_parts_of_urls_that_vary_are_variables(urls, expected):
    assert skeletons(*urls) == expected


def test_methods_and_hosts_are_groups_of_their_own_the_most_frequent_first():
    found = analysed(
        event("/x"), event("/x", "post"), event("/x", "POST"), event("http://other.test/x", t=2)
    )
    assert [(each["method"], each["urlSkeleton"]) for each in found["groups"]] == [
        ("POST", f"{HOST}/x"),
        ("GET", f"{HOST}/x"),
        ("GET", "http://other.test/x"),
    ]


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        (['{"a": 1}', '{"a": 1}'], {}),
        (['{"a": 1}', '{"a": 2}'], {"a": "$.a"}),
        (['{"a": {"b": [1, "x"]}}', '{"a": {"b": [2, "x"]}}'], {"b": "$.a.b[0]"}),
        (
            ['{"a b": 1, "c": {"a b": 2}}', '{"a b": 3, "c": {"a b": 4}}'],
            {"a_b": '$["a b"]', "body_a_b": '$.c["a b"]'},
        ),
        (["[1, 2]", "[1, 3]"], {"value": "$[1]"}),
        (['{"a": 1}', '{"b": 1}'], {"body": "$"}),
        (['{"a": 1}', ""], {"body": "$"}),
        (["plain", "text"], {"body": "$"}),
        (["{broken", "{json"], {"body": "$"}),
        (["a=1&b=2", "a=3&b=2"], {"a": None}),
        (["$$x$$"], {"body": "$"}),
        ([json.dumps(list(range(n, n + 60))) for n in (0, 1)], {"body": "$"}),
    ],
)
def test_parts_of_bodies_that_vary_are_variables_with_their_path(bodies, expected):
    found = variables(*bodies)
    assert {name: each["jsonPath"] for name, each in found.items()} == expected
    assert {each["source"] for each in found.values()} <= {"body"}


@pytest.mark.parametrize("depth", [900, 40_000])
def test_a_deep_body_is_no_trouble(depth):
    [found] = variables(*("[" * depth + f"{n}" + "]" * depth for n in (0, 1))).values()
    assert found["jsonPath"].startswith("$")
    assert found["distinctCount"] == 2


def test_a_variable_has_its_values_as_they_are_meant():
    found = variables(*(json.dumps({"n": f'"{n}\n', "m": n % 2}) for n in range(12)))
    assert found["n"]["sampleValues"] == [f'"{n}\n' for n in range(5)]
    assert (found["n"]["cardinality"], found["n"]["distinctCount"]) == ("MEDIUM", 12)
    assert (found["m"]["cardinality"], found["m"]["distinctCount"]) == ("LOW", 2)


def test_times_are_counted_from_the_earliest_whatever_the_order():
    found = analysed(
        event("/b", t=1003.0), event("/a", t=1000.0), event("/a", t=1004.0), event("/a", t=1000.5)
    )
    assert found["stats"]["durationSeconds"] == 4
    a, b = found["groups"]
    assert (a["durationSeconds"], a["peakQps"], a["avgQps"]) == (4, 2, 0.75)
    assert [point["t"] for point in a["curve"]] == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert [point["qps"] for point in a["curve"]] == [2, 0, 0, 0, 1]
    assert b["curve"] == [{"t": 3.5, "qps": 1.0}]


def test_lines_that_are_no_requests_are_counted_with_the_first_one():
    good = json.dumps(event("/x")).encode()
    found = analysis_of(read_capture([b"\n" + good + b"\n{}\n\n[]\n"]))["stats"]
    assert (found["totalRequests"], found["parseErrorCount"]) == (1, 2)
    assert (found["firstParseErrorLine"], found["firstParseErrorMessage"]) == (3, "t is missing")
    assert analysed(event("/x"))["stats"]["firstParseErrorLine"] is None


def test_a_file_without_requests_is_refused_with_its_first_line():
    with pytest.raises(UnusableCapture, match="line 2: the line is not a JSON object"):
        read_capture([b"\n[]\n{}\n"])
    with pytest.raises(UnusableCapture, match="empty"):
        read_capture([b"\n \n"])


def test_names_that_differ_without_end_are_refused():
    urls = [event(f"/s?{'abcdefghij'[n % 10]}{n // 10:b}x=1") for n in range(MOST_GROUPS + 1)]
    with pytest.raises(UnusableCapture, match="kinds of requests"):
        capture_of(*urls)


def test_a_path_with_many_parts_takes_no_longer_than_others():
    """With a step for each pair of parts, this would take minutes."""
    assert skeletons("/a" * 200_000 + "/1", "/a" * 200_000 + "/2") == ["/a" * 200_000 + "/$$id$$"]


def headers_of(*headers):
    [(kind, group)] = capture_of(*(event("/x", headers=each) for each in headers)).groups.items()
    found = imported(kind, group, pattern_of(kind, group))
    return json.loads(found.profile.request_headers or "[]"), " ".join(found.warnings)


@pytest.mark.parametrize(
    ("headers", "kept", "warning"),
    [
        ([{"A": "1"}] * 2, [("A", "1")], ""),
        ([{"A": "1"}, {"a": "1"}], [("A", "1")], ""),
        ([{"A": "1"}, {}], [], "A is left out: most requests have none"),
        ([{"A": "1"}, {"A": "2"}], [], "A is left out: its value differs"),
        ([{"Accept": "1"}, {"Accept": "2"}], [("Accept", "1")], "Accept differs"),
        ([{"Authorization": "[REDACTED]"}], [], "Authorization is left out: its value was masked"),
        ([{"Cookie": "a=[REDACTED]"}], [], "masked"),
        ([{"Host": "x", "Content-Length": "3", "Connection": "close", ":path": "/"}], [], ""),
        ([{"A b": "1"}], [], "no profile can send it"),
        ([{"A": "b\r\nC: d"}], [], "no profile can send it"),
        ([{"A": "$$x$$"}], [], "no profile can send it"),
        ([{"A": "${X}"}], [], "no profile can send it"),
    ],
)
def test_headers_are_sent_that_all_requests_have(headers, kept, warning):
    found, warnings = headers_of(*headers)
    assert [(each["name"], each["value"]) for each in found] == kept
    assert warning in warnings


def one_import(*events):
    [(kind, group)] = capture_of(*events).groups.items()
    return imported(kind, group, pattern_of(kind, group))


def test_a_group_becomes_a_profile_with_its_curve_and_weighted_rows():
    events = [event(f"/users/{1 + (n % 3 == 0)}", t=n / 2) for n in range(30)]
    found = one_import(*events)
    assert found.profile.name == "[capture] GET /users/{id}"
    assert found.profile.duration == 15
    assert [(p.x, p.y) for p in found.profile.points][:3] == [(0, 2), (0.5, 2), (1.5, 2)]
    assert found.csv == "id,weight\n2,10\n1,20\n"
    assert found.warnings == []


def test_a_short_group_is_followed_by_nothing_and_says_so():
    found = one_import(*(event("/x", t=n / 10) for n in range(20)))
    assert found.profile.duration == 10
    assert [(p.x, p.y) for p in found.profile.points] == [
        (0, 10), (0.5, 10), (1.5, 10), (2, 10), (2.001, 0), (10, 0)
    ]  # fmt: skip
    assert found.csv is None
    assert "it lasts 2 s in the capture" in found.warnings[0]


def points_of(*times):
    return [(p.x, p.y) for p in one_import(*(event("/x", t=t) for t in times)).profile.points]


def test_a_curve_has_as_many_points_as_there_are_requests_and_seconds_and_no_more_than_allowed():
    assert len(points_of(*range(100))) == 102
    assert len(points_of(*(n / 100 for n in range(3000)))) == 32
    assert len(points_of(0, 172_790)) == 22
    assert len(points_of(*(n * 34.5 for n in range(5000)))) <= 5000
    with pytest.raises(NotImported, match="longer than 48 hours"):
        one_import(event("/x", t=0), event("/x", t=172_801))


@pytest.mark.parametrize("times", [range(100), [0, 500, 501, 502], [n**1.5 for n in range(90)]])
def test_a_curve_has_the_number_of_requests_that_came(times):
    points = points_of(*times)
    area = sum(piece.area(piece.end) for piece in linear(points))
    assert area == pytest.approx(len(times))


def test_headers_without_end_are_not_all_kept():
    traffic = [event("/x", headers={f"{n}-{more}": "" for more in range(1000)}) for n in range(3)]
    assert len(one_import(*traffic).warnings) < 250


def test_cut_bodies_are_not_sent():
    whole, cut = '{"a": 1}', '{"a": "xx...[truncated 9 chars]'
    found = one_import(*(event("/x", "POST", body=body) for body in (whole, cut, whole)))
    assert found.profile.request_body == whole
    assert any("only the beginning" in each for each in found.warnings)
    found = one_import(event("/x", "POST", body=cut))
    assert found.profile.request_body is None
    assert any("the body is left out" in each for each in found.warnings)


def test_values_that_cannot_be_sent_are_left_out_and_counted():
    found = one_import(event("/x?a=%FF"), event("/x?a=1"), event("/x?a=2"))
    assert found.csv == "a,weight\n1,1\n2,1\n"
    assert any("1 requests with values that are not UTF-8" in each for each in found.warnings)
    long = [json.dumps([letter * 99_000] * 10) for letter in "ab"]
    found = one_import(*(event("/x", "POST", body=body) for body in (*long, "[1]", "[2]")))
    assert found.csv == "body,weight\n[1],1\n[2],1\n"


def test_credentials_of_a_url_are_not_stored():
    found = one_import(event("http://ada:secret@shop.test/x"))
    assert found.profile.target_url == "http://shop.test/x"
    assert any("user and password" in each for each in found.warnings)


def test_masked_values_of_urls_and_bodies_are_mentioned():
    for masked in (event("/x?k=%5BREDACTED%5D"), event("/x", body="[REDACTED]")):
        assert any("masked values" in each for each in one_import(masked).warnings)


@pytest.mark.parametrize(
    ("url", "method", "reason"),
    [
        ("http://169.254.169.254/x", "GET", "targetUrl: .*link-local"),
        ("/" + "a/" * 1100, "GET", "targetUrl"),
        ("/x", "PROPFIND", "httpMethod"),
    ],
)
def test_what_cannot_be_a_profile_is_a_problem_of_the_analysis(url, method, reason):
    with pytest.raises(NotImported, match=reason):
        one_import(event(url, method))
    assert analysed(event(url, method))["groups"][0]["problem"]


def test_more_values_than_a_variables_set_has_room_for_are_a_problem_of_the_analysis():
    many = [f"/?{'&'.join(f'{name}={n}' for name in NAMES)}" for n in range(2)]
    large = [json.dumps([letter * 99_000] * 10) for letter in "ab"]
    for events, reason in (
        ([event(url, "POST", body=json.dumps([n] * 50)) for n, url in enumerate(many)], "199"),
        ([event("/x", "POST", body=body) for body in large], "none of its requests"),
    ):
        with pytest.raises(NotImported, match=reason):
            one_import(*events)
        assert reason in analysed(*events)["groups"][0]["problem"]


def test_rows_that_do_not_fit_are_the_rarest():
    bodies = [f'"{n:03}{"x" * 90_000}"' for n in range(60)]
    found = one_import(*(event("/x", "POST", body=body) for body in [*bodies, bodies[-1]]))
    rows = found.csv.splitlines()
    assert rows[1].startswith('"""000')
    assert rows[-1].startswith('"""059')
    assert 40 < len(rows) < 60
    assert any("rows of values" in each for each in found.warnings)
