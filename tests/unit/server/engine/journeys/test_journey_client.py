import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.server.engine.journeys.site import Asked, Says, WebSite
from tm_cli.server.engine.clients import client_for
from tm_cli.server.engine.http1.client import TargetClient
from tm_cli.server.engine.job import EngineJob, Origin
from tm_cli.server.engine.played import Played

Answer = Callable[[Asked], Says | str]


def job(site: WebSite | str, steps: list[dict[str, Any]] | None = None, **fields: Any) -> EngineJob:
    url = site if isinstance(site, str) else site.url
    return EngineJob(
        run_id="r", target_url=url, points=[(0, 1)], duration=10, steps=steps, **fields
    )


def visit(asked: EngineJob, times: int = 1) -> list[Played | int | str]:
    client = client_for(asked, asked.targets[0])
    try:
        return [client.send() for _ in range(times)]
    finally:
        client.close()


def play(asked: EngineJob) -> Played:
    (played,) = visit(asked)
    assert isinstance(played, Played)
    return played


def results(played: Played) -> list[tuple[str, int | str]]:
    return [(step.name, step.result) for step in played.steps]


def test_steps_are_played_in_order() -> None:
    with WebSite(lambda _: "ok") as site:
        played = play(
            job(
                site,
                [
                    {"name": "login", "request": "POST /login", "body": {"user": "ada"}},
                    {"request": "/products"},
                ],
            )
        )
    assert site.requests == ["POST /login", "GET /products"]
    assert site.asked[0].body == '{"user": "ada"}'
    assert site.asked[0].headers["content-type"] == "application/json"
    assert site.asked[1].headers["accept-encoding"] == "identity"
    assert results(played) == [("login", 200), ("GET /products", 200)]
    assert played.result == 200
    assert all(0 < step.seconds < 5 for step in played.steps)


def test_path_of_the_target_comes_before_those_of_steps() -> None:
    with WebSite(lambda _: "ok") as site:
        play(job(f"{site.url}api/", [{"request": "/login"}, {"request": "/x?y=ü"}]))
    assert site.requests == ["GET /api/login", "GET /api/x?y=%C3%BC"]


def test_headers_of_the_profile_hold_for_steps_without_their_own() -> None:
    with WebSite(lambda _: "ok") as site:
        play(
            job(
                site,
                [{"request": "/a"}, {"request": "/b", "headers": {"authorization": "own"}}],
                headers=[("Authorization", "all"), ("X-A", "1")],
            )
        )
    assert [asked.headers["authorization"] for asked in site.asked] == ["all", "own"]
    assert [asked.headers["x-a"] for asked in site.asked] == ["1", "1"]


def test_time_to_think_is_told_apart_and_not_waited_for_at_the_end() -> None:
    with WebSite(lambda _: "ok") as site:
        played = play(
            job(
                site, [{"request": "/a"}, {"think": [0.02, 0.03]}, {"request": "/b"}, {"think": 60}]
            )
        )
    assert 0.02 <= played.thinking < 1
    assert len(played.steps) == 2


def test_one_of_the_steps_with_weights_is_drawn() -> None:
    steps = [
        {"request": "/first"},
        {"request": "/often", "weight": 9},
        {"request": "/seldom", "weight": 1},
        {"request": "/last"},
    ]
    random.seed(1)
    with WebSite(lambda _: "ok") as site:
        visit(job(site, steps), times=200)
    counts = Counter(site.requests)
    assert counts["GET /first"] == counts["GET /last"] == 200
    assert counts["GET /often"] + counts["GET /seldom"] == 200
    assert 5 <= counts["GET /seldom"] <= 40


def shop(asked: Asked) -> Says | str:
    if asked.path == "/login":
        return Says('{"token": "a b/ü"}', headers=(("X-Csrf", "c1"),))
    return "id=17;"


SHOP = [
    {
        "name": "login",
        "request": "POST /login",
        "extract": {"token": {"json": "$.token"}, "csrf": {"header": "X-Csrf"}},
    },
    {
        "name": "product",
        "request": "GET /p/$$token$$?c=$$csrf$$",
        "headers": {"X-Csrf": "$$csrf$$"},
        "extract": {"id": {"regex": r"id=(\d+)"}},
    },
    {"name": "buy", "request": "POST /buy", "body": "$$id$$ $$token$$ $$unknown"},
]


def test_values_are_passed_on_to_later_requests() -> None:
    with WebSite(shop) as site:
        assert play(job(site, SHOP)).result == 200
    assert site.requests[1] == "GET /p/a%20b%2F%C3%BC?c=c1"
    assert site.asked[1].headers["x-csrf"] == "c1"
    assert site.asked[2].body == "17 a b/ü $$unknown"


def test_failed_extraction_ends_the_visit() -> None:
    with WebSite(lambda _: "{}") as site:
        played = play(job(site, SHOP))
    assert results(played) == [("login", "ExtractionFailed token")]
    assert played.result == "login: ExtractionFailed token"
    assert site.requests == ["POST /login"]


def test_visit_goes_on_after_an_error_if_it_is_asked_to() -> None:
    steps = [{**SHOP[0], "continueOnError": True}, *SHOP[1:]]
    with WebSite(lambda _: "{}") as site:
        played = play(job(site, steps))
    assert results(played) == [
        ("login", "ExtractionFailed token"),
        ("product", "MissingValue csrf"),
    ]
    assert played.result == "login: ExtractionFailed token"
    assert site.requests == ["POST /login"]


def test_value_that_a_header_cannot_carry_is_not_sent() -> None:
    steps = [
        {"request": "/", "extract": {"x": {"json": "$.x"}}},
        {"request": "/b", "headers": {"X": "$$x$$"}},
    ]
    with WebSite(lambda _: r'{"x": "a\r\nEvil: 1"}') as site:
        played = play(job(site, steps))
    assert results(played)[1] == ("GET /b", "BadValue")
    assert site.requests == ["GET /"]


@pytest.mark.parametrize(
    "use",
    [
        {"request": "POST /b", "body": "$$x$$"},
        {"request": "GET /b?$$x$$"},
        {"request": "/b", "headers": {"X": "$$x$$"}},
    ],
    ids=["body", "url", "header"],
)
def test_value_that_no_request_can_carry_is_not_sent(use: dict[str, Any]) -> None:
    steps = [{"request": "/", "extract": {"x": {"json": "$.x"}}}, {"name": "use", **use}]
    with WebSite(lambda _: r'{"x": "\ud800"}') as site:
        played = play(job(site, steps))
    assert results(played)[1] == ("use", "BadValue")
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "body",
    ["[" * 900 + "]" * 900, '{"x": 1e999}', '{"x": [NaN]}', "\x00", '"x'],
    ids=["deep", "infinite", "no-number", "zero", "half"],
)
def test_hostile_answer_is_a_result_whatever_it_holds(body: str) -> None:
    extract = {"x": {"json": "$"}, "y": {"regex": "(.)"}}
    steps = [
        {"request": "/", "extract": extract, "checks": {"json": {"$": 1}}, "continueOnError": True},
        {"request": "/", "extract": extract},
    ]
    with WebSite(lambda _: body) as site:
        played = play(job(site, steps))
    assert len(played.steps) == 2


@pytest.mark.parametrize("status", [404, 503])
def test_status_of_an_error_is_its_name_whatever_is_checked(status: int) -> None:
    steps = [
        {"name": "a", "request": "/", "checks": {"status": 200, "body": "x"}},
        {"request": "/"},
    ]
    with WebSite(lambda _: Says(status=status)) as site:
        played = play(job(site, steps))
    assert results(played) == [("a", status)]
    assert played.result == f"a: {status}"


def test_failed_check_is_an_error_of_its_step() -> None:
    checks = {"body": "ready", "maxTime": 5}
    with WebSite(lambda _: "not yet") as site:
        played = play(job(site, [{"name": "a", "request": "/"}], checks=checks))
    assert played.result == "a: CheckFailed body"


def test_own_check_of_a_step_replaces_that_of_the_profile() -> None:
    steps = [{"request": "/", "checks": {"body": "yet"}}, {"request": "/"}]
    with WebSite(lambda _: "not yet") as site:
        played = play(job(site, steps, checks={"body": "ready"}))
    assert [result for _, result in results(played)] == [200, "CheckFailed body"]


def test_expected_statuses_of_the_gate_hold_for_steps_without_their_own() -> None:
    steps = [{"request": "/", "checks": {"status": 204}}, {"request": "/"}]
    with WebSite(lambda _: Says(status=204)) as site:
        played = play(job(site, steps, expect_status={200}))
    assert [result for _, result in results(played)] == [204, "UnexpectedStatus 204"]


def test_plain_profile_with_checks_has_no_steps() -> None:
    with WebSite(lambda _: "ready") as site:
        assert visit(job(site, checks={"body": "ready"})) == [200]
        assert visit(job(site, checks={"body": "other"})) == ["CheckFailed body"]
        asked = job(site, method="POST", body="x", headers=[("A", "b")], checks={"status": 201})
        assert visit(asked) == ["CheckFailed status 200"]
    assert (site.asked[2].method, site.asked[2].body) == ("POST", "x")
    assert site.asked[2].headers["a"] == "b"


def test_plain_profile_without_checks_is_played_as_before() -> None:
    asked = job("http://127.0.0.1:1/")
    assert isinstance(client_for(asked, asked.targets[0]), TargetClient)


def redirecting(status: int, location: str) -> Answer:
    def answer(asked: Asked) -> Says | str:
        if asked.path.startswith("/start"):
            return Says(status=status, headers=(("Location", location),))
        return "there"

    return answer


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("HEAD", 303, "HEAD"),
    ],
)
def test_redirect_is_followed_with_the_method_of_rfc_9110(
    method: str, status: int, then: str
) -> None:
    steps = [{"request": f"{method} /start", "body": "x", "headers": {"Content-Type": "a/b"}}]
    with WebSite(redirecting(status, "there?x=1")) as site:
        assert play(job(site, steps, follow_redirects=1)).result == 200
    assert site.requests == [f"{method} /start", f"{then} /there?x=1"]
    assert (site.asked[1].body, "content-type" in site.asked[1].headers) == (
        ("x", True) if then == method != "HEAD" or method == "HEAD" else ("", False)
    )


def test_redirect_is_an_answer_unless_it_is_to_be_followed() -> None:
    with WebSite(redirecting(302, "/there")) as site:
        steps = [{"request": "/start"}, {"request": "/start", "followRedirects": 1}]
        assert [result for _, result in results(play(job(site, steps)))] == [302, 200]


def test_redirect_without_a_location_is_an_answer() -> None:
    with WebSite(lambda _: Says(status=302)) as site:
        assert visit(job(site, follow_redirects=3)) == [302]


def test_number_of_redirects_is_bounded() -> None:
    with WebSite(redirecting(302, "/start")) as site:
        assert visit(job(site, [{"name": "a", "request": "/start"}], follow_redirects=3))[
            0
        ].result == ("a: TooManyRedirects")
    assert len(site.asked) == 4


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/there",
        "http://localhost:{port}/there",
        "https://127.0.0.1:{port}/there",
        "//127.0.0.2:{port}/there",
        "http://169.254.169.254/latest/meta-data",
        "ftp://127.0.0.1/there",
        "http://127.0.0.1:1/there",
        "http://user@127.0.0.1:{port}/",
        "http://[::1/",
        "file:///etc/passwd",
        "/a b",
        "javascript:alert(1)",
    ],
)
def test_redirect_elsewhere_is_refused(location: str) -> None:
    where: list[str] = []
    with WebSite(lambda _: Says(status=302, headers=(("Location", where[0]),))) as site:
        where.append(location.format(port=site.port))
        assert visit(job(site, follow_redirects=3)) == ["RedirectRefused"]
    assert len(site.asked) == 1


def test_redirect_to_a_checked_origin_leaves_secrets_behind() -> None:
    with WebSite(lambda _: "there") as other:
        answer = redirecting(307, f"{other.url}there")
        with WebSite(answer) as site:
            steps = [{"request": "POST /start", "body": "x", "headers": {"X-Key": "k"}}]
            asked = job(
                site,
                steps,
                headers=[("Authorization", "secret"), ("Accept", "a/b")],
                follow_redirects=1,
                cookies=True,
                origins=[Origin(url=other.url, addresses=["127.0.0.1"])],
            )
            assert play(asked).result == 200
    (there,) = other.asked
    assert there.method == "POST"
    assert there.body == "x"
    assert there.headers["accept"] == "a/b"
    assert there.headers["host"] == f"127.0.0.1:{other.port}"
    assert not {"authorization", "x-key", "cookie"} & there.headers.keys()


def test_step_on_another_host_gets_its_own_headers_alone() -> None:
    with WebSite(lambda _: "there") as other, WebSite(lambda _: "here") as site:
        steps = [
            {"request": f"GET {other.url}token", "headers": {"X-Own": "1"}},
            {"request": f"GET {site.url}here"},
        ]
        asked = job(
            f"{site.url}base/",
            steps,
            headers=[("Authorization", "secret"), ("Accept", "a/b")],
            origins=[Origin(url=other.url, addresses=["127.0.0.1"])],
        )
        assert play(asked).result == 200
    assert other.requests == ["GET /token"]
    assert other.asked[0].headers["x-own"] == "1"
    assert other.asked[0].headers["accept"] == "a/b"
    assert "authorization" not in other.asked[0].headers
    assert site.requests == ["GET /here"]
    assert site.asked[0].headers["authorization"] == "secret"


def test_each_side_of_an_ab_run_is_played_at_its_own_target() -> None:
    with WebSite(lambda _: "a") as site, WebSite(lambda _: "b") as second:
        steps = [{"request": "/x"}, {"request": f"GET {site.url}y"}]
        asked = job(site, steps, against={"target_url": f"{second.url}v2/"})
        client = client_for(asked, asked.targets[1])
        played = client.send()
        client.close()
    assert isinstance(played, Played)
    assert played.result == 200
    assert second.requests == ["GET /v2/x", "GET /y"]
    assert not site.asked


def with_cookie(asked: Asked) -> Says | str:
    if asked.path == "/login":
        return Says(
            "ok", headers=(("Set-Cookie", f"sid={asked.connection}"), ("Set-Cookie", "a=b"))
        )
    return asked.headers.get("cookie", "")


def test_visitors_have_cookies_and_connections_of_their_own() -> None:
    steps = [
        {"request": "/login"},
        {"request": "/cart", "headers": {"Cookie": "mine=1"}, "checks": {"body": "a=b"}},
    ]
    with WebSite(with_cookie) as site:
        played = visit(job(site, steps, cookies=True), times=3)
    assert [each.result for each in played] == [200, 200, 200]
    login, cart = site.asked[::2], site.asked[1::2]
    assert len({asked.connection for asked in login}) == 3
    for before, after in zip(login, cart, strict=True):
        assert "cookie" not in before.headers
        assert after.connection == before.connection
        assert after.headers["cookie"] == f"mine=1; sid={before.connection}; a=b"


def test_cookies_of_a_redirect_are_sent_on_the_way() -> None:
    def answer(asked: Asked) -> Says | str:
        if asked.path == "/login":
            return Says(status=302, headers=(("Set-Cookie", "sid=1"), ("Location", "/home")))
        return asked.headers.get("cookie", "")

    with WebSite(answer) as site:
        asked = job(site, cookies=True, follow_redirects=1, checks={"body": "sid=1"})
        assert visit(asked.model_copy(update={"target_url": f"{site.url}login"})) == [200]


def test_without_cookies_connections_are_shared_and_nothing_is_kept() -> None:
    steps = [{"request": "/login"}, {"request": "/cart"}]
    with WebSite(with_cookie) as site:
        visit(job(site, steps), times=3)
    assert len({asked.connection for asked in site.asked}) == 1
    assert not any("cookie" in asked.headers for asked in site.asked)


def test_target_that_cannot_be_reached_is_the_error_of_the_step() -> None:
    played = play(job("http://127.0.0.1:1/", [{"name": "a", "request": "/"}, {"request": "/"}]))
    assert results(played) == [("a", "ConnectionRefusedError")]


def test_step_that_takes_too_long_ends_at_the_timeout() -> None:
    import threading

    over = threading.Event()

    def answer(_: Asked) -> str:
        over.wait(5)
        return "late"

    with WebSite(answer) as site:
        played = play(job(site, [{"name": "a", "request": "/"}], timeout=0.1))
        over.set()
    assert results(played) == [("a", "TimeoutError")]
    assert played.steps[0].seconds >= 0.1


def test_body_over_two_mebibytes_fails_the_check_and_is_not_kept() -> None:
    with WebSite(lambda _: Says(b"x" * (2 * 1024 * 1024 + 1))) as site:
        assert visit(job(site, checks={"body": "x"})) == ["CheckFailed body (over 2 MiB)"]
        assert visit(job(site, checks={"size": {"min": "2MiB"}})) == [200]


def test_bytes_of_all_steps_are_counted_by_the_result_of_the_visit() -> None:
    with WebSite(lambda _: "12345") as site:
        asked = job(site, [{"request": "/a"}, {"request": "/b"}])
        client = client_for(asked, asked.targets[0])
        client.send()
        client.send()
        client.close()
    assert dict(client.bodies) == {"200": 20}
    assert dict(client.requests) == {"127.0.0.1": 4}
