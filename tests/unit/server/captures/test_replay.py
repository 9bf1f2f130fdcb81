"""What an imported profile sends is what was captured, whatever the values are."""

import json
import random
from collections import Counter
from urllib.parse import unquote, unquote_plus, urlsplit

import pytest

from tests.unit.server.captures.test_groups import capture_of, event
from tm_cli.server.captures.imports import imported
from tm_cli.server.captures.pattern import pattern_of
from tm_cli.server.engine.templates import Template, in_url
from tm_cli.server.engine.variables import VisitorVariables
from tm_cli.values.load.data_sets import read_data_set

TEXTS = [
    "",
    "a",
    "7",
    "a b",
    'say "x"',
    "ü€😀",
    "$$id$$",
    "${X}",
    "$",
    "\\",
    "a,b\nc",
    "<&>'",
    "%41",
]
ARRIVALS = 300


def any_url(chance):
    part = chance.choice(["1", "2", "x%20y", "%C3%A9", "a+b", "ada@shop.test", "$$n$$", "user-5"])
    value = chance.choice(["1", "a+b", "a%26b", "%2B", "$$n$$", "${X}", "", "ü"])
    return chance.choice([f"/u/{part}?q={value}", f"/u/{part}/items/{chance.randint(1, 3)}", "/c"])


def any_body(chance):
    def text():
        return chance.choice(TEXTS)

    document = {"a": text(), "$$k$$": chance.choice([1, 2.5, None, True, text()]), "l": [text()]}
    return chance.choice(
        [
            json.dumps(document, ensure_ascii=chance.random() < 0.5),
            json.dumps({"other": text()}, indent=2),
            f"user={chance.randint(1, 3)}&x=$$y$$",
            text(),
            None,
        ]
    )


def meant(method, url, body):
    """What a server reads of a request."""
    parts = urlsplit(url)
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    query = tuple((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
    try:
        body = json.dumps(json.loads(body or ""), sort_keys=True)
    except ValueError:
        body = (body or "").replace("%24", "$")
    return method, unquote(parts.path), query, body


def sent(found):
    """The requests that the load generator makes of a profile and its variables set."""
    data = [] if found.csv is None else [read_data_set("set", found.csv, "ROW")]
    variables = VisitorVariables(data, seed=1)
    url, body = Template(found.profile.target_url), Template(found.profile.request_body or "")
    assert (url.names | body.names) == variables.names
    for number in range(ARRIVALS):
        values = variables.of(number)
        yield meant(found.profile.http_method, url.render(values, in_url), body.render(values))


@pytest.mark.parametrize("seed", range(8))
def test_every_request_of_a_replay_was_captured(seed):
    chance = random.Random(seed)
    kept = [any_body(chance) for _ in range(chance.randint(1, 8))]
    methods = chance.sample(["GET", "POST", "PUT"], 2)
    events = [
        event(any_url(chance), chance.choice(methods), n / 10, body=chance.choice(kept))
        for n in range(120)
    ]
    captured = {meant(each["method"], each["url"], each["body"]) for each in events}
    for kind, group in capture_of(*events).groups.items():
        found = imported(kind, group, pattern_of(kind, group))
        assert "${" not in found.profile.target_url
        assert "${" not in (found.profile.request_body or "")
        assert set(sent(found)) <= captured


def test_frequent_requests_are_sent_more_often():
    events = [event(f"/u/{1 if n % 4 else 2}", t=n) for n in range(40)]
    [(kind, group)] = capture_of(*events).groups.items()
    counts = Counter(path for _, path, *_ in sent(imported(kind, group, pattern_of(kind, group))))
    assert 0.65 < counts["/u/1"] / ARRIVALS < 0.85
