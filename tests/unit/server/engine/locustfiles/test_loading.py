"""Which locustfiles can be played, and what is said of the others."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

SHOP = """
from locust import HttpUser, task
class Shopper(HttpUser):
    @task
    def look(self): pass
"""
FILES = {
    "shop": (SHOP, {}, ["Shopper"]),
    "helped": ("from helper_of_shop import *", {}, ["Helped"]),
    "given": (f"import os\nassert os.environ['GIVEN'] == 'yes'\n{SHOP}", {}, ["Shopper"]),
    "named like a module of the standard library": (SHOP, {}, ["Shopper"]),
    "empty": ("", {}, "has no User class"),
    "abstract": (SHOP.replace("@task", "abstract = True\n    @task"), {}, "has no User class"),
    "other class": (SHOP, {"classes": ["Shoper"]}, "no User class Shoper; it has Shopper"),
    "no tags": (SHOP, {"tags": ["buy"]}, "Shopper has no tasks with the tags buy"),
    "no tasks": (SHOP.replace("@task", ""), {}, "Shopper has no tasks"),
    "syntax": ("x = 1\nclass", {}, "line 2: invalid syntax"),
    "module": ("import not_a_module", {}, "line 1: ModuleNotFoundError: No module named"),
    "variable": ("import os\n\nos.environ['SHOP_TOKEN']", {}, "line 3: the environment variable"),
    "raises": ("def f():\n    1 / 0\nf()", {}, "line 2: ZeroDivisionError: division by zero"),
    "exits": ("raise SystemExit('no token')", {}, "line 1: SystemExit: no token"),
    "long": ("raise ValueError('x' * 10_000)", {}, "ValueError: xxx"),
    "secret": ("raise ValueError('yes-yes ' * 100)", {}, "line 1: ValueError: ${SECRET} ${SECRET}"),
    "another file": (SHOP, {"sha256": "0" * 64}, "that of the profile " + "0" * 64),
    "unknown": (SHOP, {"place": None}, "tm agent --locustfile FILE"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("files")
    (directory / "helper_of_shop.py").write_text(SHOP.replace("Shopper", "Helped"))
    asked = []
    for number, (source, changes, _) in enumerate(FILES.values()):
        name = "queue" if "standard" in list(FILES)[number] else f"file_{number}"
        (directory / f"{name}.py").write_text(source)
        asked.append([str(directory / f"{name}.py"), changes])
    command = [sys.executable, "-P", "-m", f"{__package__}.load_files", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return dict(zip(FILES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", FILES)
def test_a_locustfile_is_loaded_or_the_reason_is_a_sentence(results, name):
    expected, found = FILES[name][2], results[name]
    if isinstance(expected, list):
        assert found == expected
    else:
        assert expected in found
        assert len(found) < 500
        assert "Traceback" not in found


def test_what_is_missing_is_said_with_the_way_to_have_it(results):
    assert "-m pip install not_a_module" in results["module"]
    assert "env: [SHOP_TOKEN]" in results["variable"]


CONTRACT = """
from inspect import getsource, signature
from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, User, clients
from locust.contrib import fasthttp
from locust.runners import Runner
assert "_preloaded_ssl_context" in getsource(clients.LocustHttpAdapter)
assert clients._preloaded_ssl_context.load_verify_locations
assert "self.wait()" in getsource(TaskSet.run)
assert "self.on_stop()" in getsource(User.run)
assert "Exception" not in getsource(User.run).partition("except (GreenletExit")[2]
assert list(signature(TaskSet.get_next_task).parameters) == ["self"]
assert "self.get_next_task()" in getsource(TaskSet.run)
assert HttpUser.pool_manager is None and FastHttpUser.client_pool is None
assert fasthttp.LocustUserAgent.close
assert {"stop", "quit"} <= set(dir(Runner))
"""


def test_what_is_used_of_locust_is_there():
    subprocess.run([sys.executable, "-c", CONTRACT], check=True, timeout=60)
