"""The page on scripts: its scripts can be called, its callback can be verified, its limits hold."""

import json
import time
from collections import defaultdict

import pytest

from checks.pages import ROOT, blocks
from tm_cli.server.engine.job import LARGEST_FOR_SCRIPT, MOST_FOLLOW_UPS
from tm_cli.server.engine.scripts import follow_ups, response_script
from tm_cli.server.engine.scripts.response_script import OF_RUN
from tm_cli.server.runs import lifecycle, script_process
from tm_cli.server.runs.lifecycle import ATTEMPTS, SIGNATURE, TIMESTAMP, signature

PAGE = " ".join((ROOT / "docs/scripts.md").read_text(encoding="utf-8").split())
SCRIPTS = [block.text for block in blocks("js") if "scripts.md" in block.name]
CALLS = {
    "init": ((), {"token": "abc"}),
    "process": ((201, "application/json", '{"id": 7}'), None),
    "cleanup": (({"total": 3, "err": 1},), None),
}


def test_every_limit_on_the_page_is_that_of_the_program():
    limits = {
        "at most ten seconds": script_process.SECONDS == 10,
        "50 requests of five seconds": (
            script_process.MOST_FETCHES == 50 and script_process.FETCH_SECONDS == 5
        ),
        "an answer 256 KiB": script_process.LARGEST_ANSWER == 256 * 1024,
        "a body of more than 256 KiB": LARGEST_FOR_SCRIPT == 256 * 1024,
        "5 for each response; a delay of at most 60 s": (
            follow_ups.MOST_PER_RESPONSE == 5 and follow_ups.LONGEST_DELAY == 60_000
        ),
        "32 under way": MOST_FOLLOW_UPS == 32,
        "A call that takes a second is ended": response_script.CALL == 1,
        "after 0, 1 and 5 seconds": ATTEMPTS == (0, 1, 5),
    }
    assert [text for text, holds in limits.items() if not holds or text not in PAGE] == []
    assert all(f"$${name}$$" in PAGE for name in OF_RUN)


@pytest.mark.parametrize("source", SCRIPTS, ids=["init", "process", "cleanup"])
def test_scripts_of_the_page_can_be_called(source):
    pytest.importorskip("quickjs_rs")
    from tm_cli.server.sandbox.script import Script

    function = source.partition("(")[0].removeprefix("function ")
    arguments, value = CALLS[function]
    answer = json.dumps({"status": 200, "headers": {}, "body": '{"token": "abc"}'})
    script = Script(
        source, function, constants={"token": "abc"}, seconds=5, fetch=lambda request: answer
    )
    [(is_value, found)] = script.run([({}, arguments)])
    assert is_value
    if function == "process":
        assert found == [{"url": "/orders/7", "method": "GET", "delayMs": 250}]
    else:
        assert found == value


def test_the_callback_is_verified_as_the_page_says():
    [example] = [block.text for block in blocks("python") if "scripts.md" in block.name]
    names = {}
    exec(example, names)
    now, body = str(int(time.time())), b'{"event": "run.ended"}'
    headers = {TIMESTAMP: now, SIGNATURE: signature("secret", now, body)}
    assert names["is_genuine"]("secret", headers, body)
    assert not names["is_genuine"]("other", headers, body)
    assert not names["is_genuine"]("secret", headers, body + b" ")
    old = str(int(time.time()) - 600)
    replayed = {TIMESTAMP: old, SIGNATURE: signature("secret", old, body)}
    assert not names["is_genuine"]("secret", replayed, body)


def test_the_message_of_the_page_has_the_keys_of_a_callback():
    [text] = [block.text for block in blocks("json") if '"run.ended"' in block.text]
    row = defaultdict(str, auto_verdict_reasons=None, tags="[]")
    found = lifecycle.callback_document(row)
    assert list(json.loads(text)) == list(found)
