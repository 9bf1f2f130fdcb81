"""The scripts in the shells themselves: real programs, real keys; skipped where one is missing."""

import os
import select
import shutil
import subprocess
import sys
import time

import pytest

from tests.services.trafficmorph import KEY

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name == "nt", reason="shells on a pseudo-terminal are for POSIX"),
]

PATIENCE = 30.0
HOSTILE = "evil $(touch pwned) `touch pwned` ';touch pwned;'"


def installed(shell):
    path = shutil.which(shell)
    return pytest.param(
        path, id=shell, marks=pytest.mark.skipif(path is None, reason=f"{shell} is not installed")
    )


@pytest.fixture
def surroundings(tmp_path, httpserver):
    """An environment with a `tm` and a server whose profiles have difficult names."""
    profiles = [{"id": 1, "name": "check out"}, {"id": 2, "name": HOSTILE}]
    httpserver.expect_request("/api/v1/profiles").respond_with_json(profiles)
    program = tmp_path / "bin" / "tm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tm_cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "TM_BASE_URL": httpserver.url_for("/"),
        "TM_API_KEY": KEY,
        "TM_STATE_DIR": str(tmp_path / "state"),
        "TM_CONFIG_DIR": str(tmp_path / "config"),
    }


class Keyboard:
    """A shell on a pseudo-terminal: what is typed, and what the screen has shown since."""

    def __init__(self, argv, environ, cwd):
        import pty

        self.child, self._screen = pty.fork()
        if self.child == 0:
            os.chdir(cwd)
            os.execve(argv[0], argv, environ)

    def type(self, keys, *, until):
        os.write(self._screen, keys.encode())
        seen, deadline = "", time.monotonic() + PATIENCE
        while until not in seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{until!r} never appeared: {seen!r}"
            if select.select([self._screen], [], [], left)[0]:
                seen += os.read(self._screen, 65536).decode(errors="replace")
        return seen

    def close(self):
        os.kill(self.child, 9)
        os.waitpid(self.child, 0)
        os.close(self._screen)


@pytest.fixture
def keyboard(surroundings, tmp_path):
    opened = []

    def start(*argv):
        opened.append(Keyboard(list(argv), surroundings, tmp_path))
        return opened[0]

    yield start
    for shell in opened:
        shell.close()


@pytest.mark.parametrize("bash", [installed("bash")])
def test_bash_completes_and_expands_nothing(keyboard, bash, tmp_path):
    version = subprocess.check_output([bash, "-c", "echo ${BASH_VERSINFO[0]}"], text=True)
    if int(version) < 4:
        pytest.skip("the bash of macOS knows no `compopt`")
    shell = keyboard(bash, "--norc", "--noprofile", "-i")
    shell.type('eval "$(tm completion bash)"; echo rea""dy\r', until="ready")
    shell.type("tm runs sto\t", until="stop ")
    shell.type("\x15tm runs start ch\t", until="check\\ out ")
    shell.type('\x15tm runs start "ch\t', until='"check out" ')
    shell.type("\x15tm runs start evi\t", until="\\;touch\\ pwned")
    shell.type("\x15tm runs start x --report jun\t", until="junit=")
    shell.type("\x15tm runs start x --fail-on=FAIL,W\t", until="WARN ")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("zsh", [installed("zsh")])
def test_zsh_completes_and_expands_nothing(keyboard, zsh, tmp_path):
    shell = keyboard(zsh, "-f", "-i")
    shell.type("autoload -Uz compinit; compinit -u -D; PROMPT=rea''dy:\r", until="ready:")
    shell.type('eval "$(tm completion zsh)"; PROMPT=se""t:\r', until="set:")
    shell.type("echo $+functions[_tm] $_comps[tm]\r", until="\n1 _tm")
    shell.type("tm runs sto\t", until="tm runs stop")
    shell.type("\x15tm runs start ch\t", until="eck\\ out")
    shell.type("\x15tm runs start evi\t", until="touch\\ pwned")
    shell.type("\x15tm runs start \t", until="profile 1")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("fish", [installed("fish")])
def test_fish_completes_with_notes(surroundings, fish, tmp_path):
    script = "tm completion fish | source; complete -C 'tm runs sto'; complete -C 'tm runs start '"
    result = subprocess.run(
        [fish, "--no-config", "-c", script],
        env=surroundings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert "stop\tStop the current run" in result.stdout
    assert "check out\tprofile 1" in result.stdout
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("pwsh", [installed("pwsh")])
def test_powershell_completes(surroundings, pwsh, tmp_path):
    script = (
        "tm completion powershell | Out-String | Invoke-Expression; "
        "(TabExpansion2 'tm runs sto' 11).CompletionMatches.CompletionText; "
        "(TabExpansion2 'tm runs start ' 14).CompletionMatches.CompletionText"
    )
    result = subprocess.run(
        [pwsh, "-NoProfile", "-Command", script],
        env=surroundings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert "stop" in result.stdout.split()
    assert "'check out'" in result.stdout
    assert not (tmp_path / "pwned").exists()
