"""An assistant in a directory of somebody else: the embedded server of that one is not believed."""

import subprocess

import pytest

from tests.services.trafficmorph import KEY
from tests.unit.runtime.announced import Stranger, announce
from tm_cli.runtime.local_server import launch

pytestmark = pytest.mark.process

LOCAL = {"TM_BASE_URL": "local"}


@pytest.fixture
def assistant(in_memory):
    return in_memory(LOCAL, launch=launch)


def test_a_committed_server_is_refused_and_hears_nothing(assistant, tmp_path):
    work = tmp_path / "work"
    with Stranger() as stranger:
        announce(work / ".tm", stranger.url)
        for words in (["init", "--quiet"], ["add", "--force", ".tm"]):
            subprocess.run(["git", *words], cwd=work, check=True)
        answer = assistant.call("tm_list_profiles")
    assert answer.is_error
    assert answer.found["exit_code"] == 78
    assert "a history from a repository is not believed" in answer.told
    assert stranger.heard == []


def test_a_stranger_at_the_port_of_a_dead_server_hears_no_key(assistant, tmp_path):
    with Stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") as stranger:
        announce(tmp_path / "work" / ".tm", stranger.url)
        answer = assistant.call("tm_list_profiles")
    assert answer.is_error, "there is a key and no database: no server starts"
    assert stranger.heard
    assert KEY.encode() not in stranger.all_heard
