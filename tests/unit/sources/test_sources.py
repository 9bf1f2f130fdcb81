"""Profiles from HAR files, curl commands, OpenAPI documents and access logs."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.backends.trafficmorph.profile_documents import portable
from tm_cli.sources import access_log
from tm_cli.sources.access_log import lines_of, pattern_of, read_mix, traffic_of
from tm_cli.sources.curl import read_curl
from tm_cli.sources.document_text import document_of, document_text, left_out
from tm_cli.sources.drift import UnknownMix, drift_between
from tm_cli.sources.har import read_har
from tm_cli.sources.openapi import read_openapi
from tm_cli.sources.privacy import clean_body, clean_headers, clean_url, template_of
from tm_cli.sources.traffic import UnusableSource
from tm_cli.values.documents import parse_yaml
from tm_cli.values.load.journeys.steps import unfilled_macro
from tm_cli.values.load.placeholders import placeholders

SECRETS = ("hunter2", "s3cr3t", "ada@lovelace.org", "4242", "sid=abc", "10.1.2.3")


def entry(url, at, method="GET", headers=(), body=None, kind="fetch", status=200):
    request = {
        "method": method,
        "url": url,
        "headers": [dict(zip(("name", "value"), h, strict=True)) for h in headers],
    }
    if body is not None:
        request["postData"] = {"text": body}
    return {
        "startedDateTime": f"2026-01-31T12:00:{at:06.3f}Z",
        "time": 100,
        "_resourceType": kind,
        "request": request,
        "response": {"status": status},
    }


def har(*entries):
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


VISIT = har(
    entry("https://shop.example/", 0, headers=[("Cookie", "sid=abc"), ("Accept", "text/html")]),
    entry("https://shop.example/logo.png", 0.2, kind="image"),
    entry("https://ads.example/t", 0.3),
    entry("https://shop.example/blocked", 0.4, status=0),
    entry(
        "https://shop.example/login?next=%2Fcart&token=s3cr3t",
        3,
        "POST",
        [("Authorization", "Bearer s3cr3t"), ("Content-Type", "application/json")],
        '{"email": "ada@lovelace.org", "password": "hunter2", "n": 3}',
    ),
)


def made(traffic, **options):
    options = {"name": "p", "origin": None, "rate": 2.0, "duration": None} | options
    return document_of(traffic, **options)


def test_a_har_file_is_a_journey_of_the_requests_to_one_host_with_its_pauses():
    document = made(read_har(VISIT))
    assert document["endpointUrl"] == "https://shop.example/"
    assert document["cookies"] is True
    assert [step.get("request") or step for step in document["steps"]] == [
        "GET /",
        {"think": "2.9s"},
        "POST /login?next=%2Fcart&token=${TOKEN}",
    ]
    assert document["steps"][2]["headers"]["Authorization"] == "Bearer ${TOKEN}"


def test_what_a_har_file_leaves_out_is_said():
    traffic = read_har(VISIT)
    assert "left out: 1 to other hosts" in traffic.notes
    assert any("images" in note for note in traffic.notes)
    assert len(read_har(VISIT, include_assets=True).requests) == 3
    assert [r.target for r in read_har(VISIT, host="ads.example").requests] == ["/t"]


CURL = r"""
# the two calls of checkout
curl 'https://api.example/orders?limit=5' \
  -H 'accept: application/json' -H $'x-note: it\'s' \
  -H 'authorization: Bearer s3cr3t' -b 'sid=abc' --compressed
curl -sXPOST https://api.example/orders --json '{"sku": 7, "card": "4242 4242 4242 4242"}' | jq .
"""


def test_curl_commands_are_steps():
    first, second = read_curl(CURL).requests
    assert (first.method, first.target) == ("GET", "/orders?limit=5")
    assert dict(first.headers) == {
        "accept": "application/json",
        "x-note": "it's",
        "authorization": "Bearer ${TOKEN}",
    }
    assert (second.method, second.body) == ("POST", '{"sku": 7, "card": "4111111111111111"}')


@pytest.mark.parametrize(
    ("command", "method", "url", "body"),
    [
        ("curl localhost:8080", "GET", "http://localhost:8080", None),
        ("curl -I http://a/x", "HEAD", "http://a/x", None),
        ("curl -d a=1 -d b=2 http://a/", "POST", "http://a/", "a=1&b=2"),
        ("curl -G -d a=1 'http://a/?z=0'", "GET", "http://a/?z=0&a=1", None),
        ("curl --request=PUT --url http://a/ --data-raw '@x'", "PUT", "http://a/", "@x"),
        ("curl -u ada:hunter2 http://u:p@a/", "GET", "http://a/", None),
        ("$ curl http://a/ > out.json", "GET", "http://a/", None),
        ("curl http://a/ 2>/dev/null", "GET", "http://a/", None),
        ("curl http://a/?x=1&y=2 && echo ok", "GET", "http://a/?x=1&y=2", None),
        ("curl http://a/ # an example, don't copy\necho done", "GET", "http://a/", None),
        ("curl 'http://a/' -d 'x$' -H 'x: y'", "POST", "http://a/", "x$"),
        ("curl 'http://a/' -d 'x\ncurl http://b/\n'", "POST", "http://a/", "x\ncurl http://b/\n"),
        ("""curl http://a/ -d '{"r":"^"}'""", "POST", "http://a/", '{"r":"^"}'),
    ],
)
def test_a_curl_command_is_read_as_curl_does(command, method, url, body):
    [request] = read_curl(command).requests
    assert (request.method, request.url, request.body) == (method, url, body)
    assert "hunter2" not in str(request)


def test_each_command_of_a_script_has_its_own_options():
    requests = read_curl(
        "curl -d a=1 http://a/1 --next http://a/2\nsleep 1\ncurl http://a/3"
    ).requests
    assert [(r.method, r.target, r.body) for r in requests] == [
        ("POST", "/1", "a=1"),
        ("GET", "/2", None),
        ("GET", "/3", None),
    ]


def test_a_header_of_a_command_replaces_that_of_curl_whatever_its_case():
    [request] = read_curl("curl http://a/ -d a=1 -H 'content-type: text/plain'").requests
    assert dict(request.headers) == {"content-type": "text/plain"}


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("wget http://a/", "no curl command", None),
        ("\ncurl -F a=@b http://a/", "multipart", 2),
        ("curl -d @body.json http://a/", "body.json", 1),
        ('curl ^"http://a/^"', "Windows command prompt", 1),
        ("curl 'http://a/", "cannot be read", 1),
        ("curl -H", "-H has no value", 1),
        ("curl -s", "has no URL", 1),
        ("curl ftp://u:hunter2@a/", "'ftp://a/' is not an http or https URL", 1),
    ],
)
def test_a_curl_command_that_cannot_be_sent_is_named(text, reason, line):
    with pytest.raises(UnusableSource, match=reason) as caught:
        read_curl(text)
    assert caught.value.line == line


API = """
openapi: 3.1.0
servers: [{url: "https://{env}.example/v1", variables: {env: {default: test}}}]
security: [{key: []}]
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Api-Key}}
  schemas:
    Order:
      type: object
      required: [sku, when]
      properties:
        sku: {type: integer, minimum: 3}
        when: {type: string, format: date-time}
        note: {type: string}
paths:
  /orders/{id}:
    parameters: [{in: path, name: id, required: true, schema: {type: string}}]
    get:
      operationId: getOrder
      parameters: [{in: query, name: q, required: true, schema: {type: string, example: a b}}]
  /orders:
    post:
      operationId: addOrder
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Order'}}}}
"""


def test_operations_are_steps_with_examples_and_placeholders():
    document = made(read_openapi(API, include_unsafe=True))
    read, added = document["steps"]
    assert document["endpointUrl"] == "https://test.example/"
    assert read["request"] == "GET /v1/orders/$$id$$?q=a%20b"
    assert read["headers"] == {"X-Api-Key": "${X_API_KEY}"}
    assert json.loads(added["body"]) == {"sku": 3, "when": "2026-01-31T12:00:00Z"}
    assert document["data"][0]["csv"] == "id\n1\n"


def test_operations_that_could_change_something_are_left_out_unless_they_are_named():
    traffic = read_openapi(API)
    assert [r.method for r in traffic.requests] == ["GET"]
    assert "left out: 1 that could change something (--include-unsafe)" in traffic.notes
    assert [r.method for r in read_openapi(API, operations=["addOrder"]).requests] == ["POST"]
    with pytest.raises(UnusableSource, match="no operation 'gone'"):
        read_openapi(API, operations=["gone"])


def posting(kind, example):
    return f"{{/a: {{post: {{requestBody: {{content: {{{kind}: {{example: {example}}}}}}}}}}}}}"


@pytest.mark.parametrize(
    ("paths", "request_line", "headers", "body"),
    [
        ("{'/a b/ü': {get: {}}}", "GET /a%20b/%C3%BC", {}, None),
        ("{'//[a': {get: {}}}", "GET //%5Ba", {}, None),
        ("{/a: {get: {parameters: [{in: [], name: {}}]}}}", "GET /a", {}, None),
        (
            posting("application/json", "{at: 2024-01-31, password: hunter2}"),
            "POST /a",
            {"Content-Type": "application/json"},
            '{"at": "2024-01-31", "password": "${PASSWORD}"}',
        ),
        (
            posting("application/x-www-form-urlencoded", "{b: c d}"),
            "POST /a",
            {"Content-Type": "application/x-www-form-urlencoded"},
            "b=c%20d",
        ),
        ("{/a: {get: {security: [{k: []}]}}}", "GET /a?key=${KEY}", {}, None),
        ("{/a: {get: {parameters: [{$ref: '#/x/0'}]}}}", "GET /a?q=1", {}, None),
    ],
)
def test_an_operation_is_sent_as_its_document_says(paths, request_line, headers, body):
    api = (
        "openapi: 3.0.0\nservers: [{url: /api}]\n"
        "x: [{in: query, name: q, required: true, example: 1}]\n"
        "components: {securitySchemes: {k: {type: apiKey, in: query, name: key}}}\npaths: "
    )
    [request] = read_openapi(api + paths, include_unsafe=True).requests
    assert f"{request.method} {request.target}" == request_line.replace(" /", " /api/")
    assert (dict(request.headers), request.body) == (headers, body)


def test_schemas_that_use_others_several_times_are_filled_in_to_a_limit():
    tree = ", ".join(f"{name}: {{$ref: '#/s'}}" for name in "abcdefgh")
    api = (
        f"openapi: 3.0.0\ns: {{properties: {{{tree}}}}}\npaths: {{/a: {{post: {{requestBody: "
        "{content: {application/json: {schema: {$ref: '#/s'}}}}}}}"
    )
    [request] = read_openapi(api, include_unsafe=True).requests
    assert len(request.body or "") < 50_000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("swagger: '2.0'", "Swagger 2.0"),
        ("a: [", "neither JSON nor YAML"),
        (
            "openapi: 3.0.0\npaths: {/a: {get: {parameters: [{$ref: other.yaml#/x}]}}}",
            "another file",
        ),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}}", "leads to itself"),
        ("openapi: 3.0.0", "no operations"),
    ],
)
def test_an_api_that_cannot_be_used_is_refused(text, reason):
    with pytest.raises(UnusableSource, match=reason):
        read_openapi(text)


def combined(second, request="GET / HTTP/1.1", client="10.1.2.3"):
    at = f"31/Jan/2026:12:{second // 60:02d}:{second % 60:02d} +0100"
    return f'{client} - ada [{at}] "{request}" 200 512 "-" "Mozilla/5.0"'


LOG = [
    *(
        combined(second, f"GET /products/{second}?mail=ada@lovelace.org HTTP/2.0")
        for second in range(0, 100, 4)
    ),
    *(combined(second) for second in range(100)),
    combined(50, "GET /style.css HTTP/1.1"),
    "garbage",
]


def test_a_log_is_a_mix_with_the_curve_of_its_arrivals():
    traffic = traffic_of(read_mix(LOG))
    assert [(r.method, r.url, r.weight) for r in traffic.requests] == [
        ("GET", "/", 100),
        ("GET", "/products/$$id$$", 25),
    ]
    assert traffic.points[0] == (0, 1.3)
    assert traffic.points[-1][0] == 100
    assert "lines that could not be read: 1, the first is line 127" in traffic.notes
    assert traffic_of(read_mix(LOG), scale=0.5).points[0] == (0, 0.65)


@pytest.mark.parametrize(
    "line",
    [
        '{"time": "2026-01-31T12:00:00Z", "method": "POST", "uri": "/a?x=1"}',
        '{"ts": 1769860800.25, "request": {"method": "POST", "uri": "/a"}}',
        '{"timestamp": 1769860800123, "request": "POST /a HTTP/1.1"}',
        '{"time_local": "31/Jan/2026:12:00:00 +0000", "request_method": "POST", "path": "/a"}',
        '{"timestamp": 1769860800, "httpRequest": {"requestMethod": "POST", "requestUrl": "/a?b"}}',
    ],
)
def test_logs_in_json_are_read_by_their_usual_keys(line):
    mix = read_mix([line])
    assert dict(mix.kinds) == {("POST", "/a"): 1}
    assert list(mix.seconds) == [1769860800]


def test_a_log_of_another_format_is_read_by_it():
    pattern = pattern_of('$remote_addr [$time_local] "$request" $status ${request_time}')
    mix = read_mix(
        ['1.2.3.4 [31/Jan/2026:12:00:00 +0000] "GET /a HTTP/1.1" 200 0.01'], pattern=pattern
    )
    assert dict(mix.kinds) == {("GET", "/a"): 1}
    with pytest.raises(UnusableSource, match="the format needs"):
        pattern_of("$remote_addr")


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        '{"time": 1e999, "method": "GET", "path": "/"}',
        '{"time": 1769860800, "path": "/of-no-known-method"}',
        "a b " + "[" * 60_000,
    ],
)
def test_a_file_without_requests_is_refused(line):
    with pytest.raises(UnusableSource, match="line 1 is none"):
        read_mix([line])


def test_a_line_that_a_format_does_not_fit_is_refused_quickly():
    pattern = pattern_of("$a - $b - $c - $d - $e [$time_local] $request_uri")
    with pytest.raises(UnusableSource, match="line 1 is none"):
        read_mix(["1 - " * 16_000], pattern=pattern)


def test_frequent_requests_are_found_behind_many_rare_ones(monkeypatch):
    monkeypatch.setattr(access_log, "_MOST_KINDS", 10)
    monkeypatch.setattr(access_log, "_MOST_MOMENTS", 20)
    rare = [
        combined(n, f"GET /{chr(97 + n % 26)}/{chr(97 + n // 26)} HTTP/1.1") for n in range(200)
    ]
    mix = read_mix([*rare, *[combined(300)] * 50])
    assert (mix.kinds["GET", "/"], mix.total) == (50, 250)
    assert len(mix.kinds) <= 40
    assert len(mix.seconds) <= 20
    assert mix.seconds.total() == 250
    traffic = traffic_of(mix)
    assert sum(r.weight or 0 for r in traffic.requests) < 250
    assert drift_between({"endpointUrl": "http://a/"}, mix).distance == pytest.approx(0.8)


def test_nothing_in_a_source_is_filled_in_from_the_environment():
    hostile = "${HOME}"
    url = f"https://a.example/{hostile}?q={hostile}&%24%7BHOME%7D=%24%7BHOME%7D&$$file$$"
    posted = json.dumps({hostile: hostile, "nested": [hostile, {"a": f"b=${hostile}"}]})
    jwt = "eyJhbGciOiJI.eyJzdWIiOiIx.abc;npm_token=1"
    api = {
        "openapi": "3.0.0",
        "servers": [{"url": f"https://{hostile}.evil.example/"}],
        "paths": {f"/{hostile}": {"get": {"parameters": [
            {"in": "header", "name": "X-A", "required": True, "example": hostile},
            {"in": "query", "name": "q", "required": True, "example": hostile},
        ]}}},
    }  # fmt: skip
    for traffic in (
        read_har(har(entry(url, 0, "POST", [("X-A", hostile)], posted))),
        read_har(har(entry(f"https://{hostile}.evil.example/", 0), entry("https://a.example/", 1))),
        read_curl(
            f"curl '{url}' -H 'x-a: {hostile}' -d '{posted}' --next -d 'a={hostile}' http://a/"
        ),
        read_openapi(json.dumps(api)),
        traffic_of(
            read_mix([combined(0, f"GET /{hostile}/$$file$$/%24%7BHOME%7D/{jwt} HTTP/1.1")])
        ),
    ):
        document = made(traffic)
        assert not list(placeholders(document))
        assert unfilled_macro(portable(document).get("steps", []), traffic.columns) is None


def test_requests_and_pauses_beyond_what_a_profile_can_have_are_said_or_shortened():
    traffic = read_har(har(*(entry("https://a.example/", at % 60) for at in range(150))))
    document = made(traffic)
    kept = sum("request" in step for step in document["steps"])
    [note] = left_out(traffic, document)
    assert note == f"left out: the last {150 - kept} requests; 100 steps are possible"
    slow = [entry("https://a.example/", 0) for _ in range(40)]
    for number, each in enumerate(slow):
        each["startedDateTime"] = f"2026-01-31T{number // 30:02d}:{number % 30 * 2:02d}:00Z"
    assert portable(made(read_har(har(*slow))))["steps"]


@pytest.mark.parametrize(
    "change",
    [
        {"_fromCache": "disk"},
        {"_fetchType": "Memory Cache"},
        {"_resourceType": "eventsource"},
        {"_resourceType": None, "response": {"status": 200, "content": {"mimeType": "image/webp"}}},
        {"request": {"method": "PROPFIND", "url": "https://a.example/"}},
        {"request": {"url": "https://a.example/", "postData": {"mimeType": "multipart/form-data"}}},
    ],
)
def test_what_cannot_be_played_again_is_left_out_and_said(change):
    traffic = read_har(har(entry("https://a.example/", 0), entry("https://a.example/", 1) | change))
    assert len(traffic.requests) == 1
    assert traffic.notes


def test_half_a_character_and_slashes_at_the_beginning_of_a_path_can_be_sent():
    text = har(entry("https://a.example//x/y", 0, "POST", body="\ud800"))
    [request] = read_har(text).requests
    assert (request.target, request.body) == ("/x/y", "?")
    assert read_curl("curl $'http://a//x?\\ud800'").requests[0].target == "/x??"


def test_a_form_that_a_har_file_has_as_parameters_is_sent():
    posted = {"params": [{"name": "password", "value": "hunter2"}, {"name": "a", "value": "b c"}]}
    each = entry("https://a.example/", 0, "POST")
    each["request"]["postData"] = posted
    assert read_har(har(each)).requests[0].body == "password=${PASSWORD}&a=b+c"


def test_a_line_without_an_end_is_cut_and_the_next_one_is_read():
    long = b"x" * 200_000
    lines = list(lines_of(iter([long[:100_000], long[100_000:] + b"\nsecond\n", b"last"])))
    assert [len(line) for line in lines] == [65536, 6, 4]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/a/17/b", "/a/$$id$$/b"),
        ("/u/3f2b1c5e-8d1a-4c7e-9b7a-2f6d0e4a1b9c", "/u/$$id$$"),
        ("/u/ada@lovelace.org", "/u/$$id$$"),
        ("/c/9f86d081884c7d65", "/c/$$id$$"),
        ("/products/shoes", "/products/shoes"),
        ("/v2/items", "/v2/items"),
    ],
)
def test_ids_in_paths_become_a_macro(path, template):
    assert template_of(path) == template


@pytest.mark.parametrize(
    ("cleaned", "wanted"),
    [
        (clean_url("http://u:hunter2@a/?api_key=s3cr3t&q=x#f"), "http://a/?api_key=${API_KEY}&q=x"),
        (clean_url("http://a/u/ada@lovelace.org"), "http://a/u/user@example.com"),
        (clean_body("mail=a%40l.org&pin=1234"), "mail=user%40example.com&pin=${PIN}"),
        (clean_body("call ada@lovelace.org from 10.1.2.3"), "call user@example.com from 192.0.2.1"),
        (clean_body('{"a": {"token": "s3cr3t", "n": 2}}'), '{"a": {"token": "${TOKEN}", "n": 2}}'),
        (clean_body('{"password_confirmation": "x", "author": "Ada"}'),
         '{"password_confirmation": "${PASSWORD_CONFIRMATION}", "author": "Ada"}'),
        (clean_body('{"auth": {"user": "a", "value": "b"}}'),
         '{"auth": {"user": "${AUTH}", "value": "${AUTH}"}}'),
        (clean_body("<l><user>a</user><password>hunter2</password></l>"),
         "<l><user>a</user><password>${PASSWORD}</password></l>"),
        (clean_body('--W\r\nContent-Disposition: form-data; name="pin"\r\n\r\n1234\r\n--W--'),
         '--W\r\nContent-Disposition: form-data; name="pin"\r\n\r\n${PIN}\r\n--W--'),
        (clean_body('{"query": "mutation($pin: Int!){login(pin: $pin, token: \\"s3\\")}"}'),
         '{"query": "mutation($pin: Int!){login(pin: $pin, token: \\"${TOKEN}\\")}"}'),
        (clean_body('{"billingPhone": "0151", "ip": "2001:db8::5:1"}'),
         '{"billingPhone": "+15550100", "ip": "2001:db8::1"}'),
        (clean_body("key ghp_" + "a1" * 18), "key ${API_KEY}"),
        (clean_body('{ "n": 1 }'), '{ "n": 1 }'),
        (clean_body("[" * 100_000), "[" * 100_000),
        (clean_headers({"Ocp-Apim-Subscription-Key": "s3"}),
         {"Ocp-Apim-Subscription-Key": "${OCP_APIM_SUBSCRIPTION_KEY}"}),
        (clean_headers({"X-Session": "s3cr3t", ":path": "/"}), {"X-Session": "${X_SESSION}"}),
        (clean_headers({"authorization": "s3cr3t"}), {"authorization": "${AUTHORIZATION}"}),
    ],
)  # fmt: skip
def test_secrets_become_placeholders_and_people_examples(cleaned, wanted):
    assert cleaned == wanted


ALL = {
    "har": lambda: read_har(VISIT),
    "curl": lambda: read_curl(CURL),
    "openapi": lambda: read_openapi(API, include_unsafe=True),
    "access log": lambda: traffic_of(read_mix(LOG)),
}


@pytest.mark.parametrize("source", ALL)
def test_every_document_is_accepted_and_free_of_secrets(source):
    traffic = ALL[source]()
    text = document_text(made(traffic), traffic.notes, source="a\x1b[31m")
    assert portable(parse_yaml(text))["name"] == "p"
    assert not [secret for secret in SECRETS if secret in text]
    assert "\x1b" not in text


@given(st.text(max_size=300))
def test_no_text_breaks_a_reader(text):
    for read in (read_har, read_curl, read_openapi, lambda t: traffic_of(read_mix(t.splitlines()))):
        for prefix in ("", "curl ", '{"log": {"entries": [', "openapi: 3.0.0\n"):
            with contextlib.suppress(UnusableSource):
                read(prefix + text)


MIX = read_mix(LOG)


def mix_of(weights):
    return {"steps": [{"request": request, "weight": n} for request, n in weights.items()]}


@pytest.mark.parametrize(
    ("profile", "distance"),
    [
        (mix_of({"GET /": 4, "GET /products/7": 1}), 0.0),
        (mix_of({"GET /": 1, "GET /products/$$p$$": 1}), 0.3),
        ({"steps": [{"request": "GET /"}, {"think": "1s"}, {"request": "POST /cart"}]}, 0.5),
        ({"httpMethod": "GET"}, 0.2),
        (mix_of({"GET /": 4, "GET /products/7": 1, "GET /a.css": 5}), 0.0),
        ({"httpMethod": "POST"}, 1.0),
    ],
)
def test_drift_is_the_share_of_requests_that_are_others_than_the_logs(profile, distance):
    found = drift_between({"endpointUrl": "http://a:8080/", **profile}, MIX)
    assert found.distance == pytest.approx(distance, abs=0.01)
    assert found.is_large == (distance > 0.1)


def test_paths_are_compared_as_they_are_meant():
    mix = read_mix([combined(n, "GET /caf%c3%a9/%31%32?x HTTP/1.1") for n in range(5)])
    for path in ("/café/7", "/caf%C3%A9/$$id$$"):
        profile = {"endpointUrl": "http://a/", "steps": [{"request": f"GET {path}"}]}
        assert drift_between(profile, mix).distance == 0


def test_a_profile_whose_mix_is_not_known_is_not_compared():
    for profile in ({"locustfile": {"file": "a.py"}}, {"steps": ["?"]}):
        with pytest.raises(UnknownMix):
            drift_between({"endpointUrl": "http://a/", **profile}, MIX)
