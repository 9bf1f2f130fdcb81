"""`tm help`: topics, with tables generated from the program, and the help of commands."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.shared.report_sinks import Format
from tm_cli.completion.candidates import Words, command_names, find_position
from tm_cli.errors import UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.settings import DEFINITIONS, Definition, Source
from tm_cli.values.durations import format_duration
from tm_cli.values.verdict import GATED, Verdict

_GATE = """\
A gate starts a run, waits for it, finds the verdict of exactly that run and turns it
into an exit code:

  tm runs start checkout --wait --fail-on FAIL,WARN

Exit code 0 requires all of this: the run that this command started has finished, its
own history entry was found, its verdict is known and not in --fail-on, every --assert
was measured and holds, and no --abort-if was broken. Everything else has its own exit
code; see `tm help exit-codes`.

Which verdicts fail the gate
  --fail-on FAIL,WARN,NO_BASELINE    without it, the verdict is informative only
  --assert "p95<400ms"               an additional condition
  --assert "p99<+10%"                a condition relative to the baseline
  --abort-if "p95>2s for 30s"        stop a broken run at once, and fail
  --confirm 2                        repeat a failing run; fail only if all of them fail

What the run is compared with
  (nothing)                          the server selects an earlier run
  --baseline 42                      this run of the history; `tm baseline pin 42` for later runs
  --against URL                      a second target in the same run: needs no history

How long it waits
  --wait-timeout 30m                 for the run to finish; then exit code 6, and the run continues
  --verdict-timeout 60s              for the verdict after the run; then exit code 5

A start is sent once. If its response is lost, the command exits with 7 and says how to
check. An interrupted wait prints the command that continues it; if CI is set, or with
--on-interrupt stop, it stops the run.

  tm runs wait --last

`tm doctor` checks that all this can work on this machine."""

_BEFORE_VERDICTS = """\
The server determines the verdict of a run after it has finished:
"""

_AFTER_VERDICTS = """\
An increase counts if it exceeds its limit and the noise of both runs. The limits are in
the profile document or in the table [gate] of tm.toml.

The first run of a profile is a NO_BASELINE, and so is a run whose curve, target or
duration has changed. Once there is a history, use --fail-on FAIL,WARN,NO_BASELINE, so
that a changed curve cannot disable the gate.

`tm history show ID` prints what a verdict is based on, `tm history compare A B` compares
two runs, `tm baseline pin ID` sets the baseline."""

_BEFORE_EXIT_CODES = """\
Every command ends with one of these codes. Only a verdict or a check leads to 2, 3 and 4,
so a script can distinguish "the load test failed" from "there is no result".
"""

_AFTER_EXIT_CODES = """\
With several runs in one call, the worst outcome decides, in this order:
{order}.

  tm runs start checkout --wait --fail-on FAIL,WARN
  case $? in
    0) echo accepted ;;
    2|3|4) echo "the load test failed"; exit 1 ;;
    5|6|7) echo "not decided; check before you start another run"; exit 1 ;;
    *) echo "the load test could not be run"; exit 1 ;;
  esac

A pipe ends with the exit code of its last program: write tm ... > log instead of
tm ... | tee log, or use set -o pipefail."""

_BEFORE_REPORTS = """\
A gate writes its outcome to files with --report FORMAT=FILE, which can be repeated:

  tm runs start checkout --wait --fail-on FAIL --report json=gate.json --report junit=gate.xml
"""

_AFTER_REPORTS = """\
Each file says undecided until there is an outcome, and is then replaced atomically: a
crash or a canceled job never leaves an old pass behind. A file that cannot be written is
an error before anything is started (64); if writing fails at the end, 0 becomes 73.

--json prints one document to standard output, also when a command fails. Results go to
standard output, everything else to standard error."""

_BEFORE_CONFIGURATION = """\
A setting is taken from the first of these sources that has it:
  {sources}.
A context selected with --context also overrides variables.

The project file is tm.toml, or the table [tool.tm] of pyproject.toml, in this directory
or a parent of it. The user file is config.toml in your settings directory, or in the one
that TM_CONFIG_DIR names. Both use these names:
"""

_AFTER_CONFIGURATION = """\
  # tm.toml
  base_url = "local"
  fail_on = ["FAIL", "WARN"]
  wait_timeout = "45m"

  [gate]
  p95 = {warn = "10%", fail = "25%"}

A project file cannot contain a key, and no key is sent to a server on another machine
that only a project file names. An unknown name in a file is an error (78).

`tm config show` prints every setting with its value and origin."""

_BEFORE_ENVIRONMENT = """\
An option overrides a variable, a variable overrides a file. An empty variable is an error
and not the same as an unset one, so that a secret that a pipeline did not pass on is
noticed.
"""

_AFTER_ENVIRONMENT = "`tm config show` prints which of them are in effect; `tm doctor` tests them."

VERDICTS = {
    Verdict.PASS: "The run is no worse than its baseline.",
    Verdict.WARN: "Something is worse, or too little was measured to be sure.",
    Verdict.FAIL: "Something is worse by more than its limit and by more than noise.",
    Verdict.NO_BASELINE: "There is no earlier run to compare with.",
    Verdict.UNKNOWN: "A verdict that this version does not know; never a pass (5).",
}

FORMATS = {
    "json": "The document of --json: outcome, verdict, reasons, metrics, comparisons.",
    "junit": "A test case for the verdict and one for each check; all CI platforms read it.",
    "markdown": "The outcome as a table, for a comment or a page.",
    "html": "A single file for the browser: charts, reasons and measurements.",
    "csv": "The measured time series.",
    "dotenv": "Variables for later jobs, such as TM_VERDICT; GitLab reads them.",
    "metrics": "Metrics in the text format that GitLab and Prometheus read.",
}

NOT_SETTINGS = {
    "TM_CONFIG_DIR": "Directory of your settings, instead of the system's default.",
    "TM_STATE_DIR": "Directory for state: the last start, profile names.",
    "TM_MCP_CAPTURE_ROOT": "Directory with the captures that tm mcp may send to the server.",
    "TM_RUNNER_CLASS": "Name of this class of machines for `tm calibrate`, instead of the label of "
    "the CI runner.",
    "TM_TRUSTED_OWNERS": "Ids of other users whose settings files and data directories are trusted "
    "like yours, separated by commas.",
    "SUDO_UID": "Set by sudo: as root, files of that user are trusted like yours.",
    "CI": "Not empty: no redrawn progress, no embedded server unless requested, "
    "and an interrupted gate stops its run. The variables of platforms that do not set it "
    "(TEAMCITY_VERSION, TF_BUILD, CODEBUILD_BUILD_ID, bamboo_buildKey and others) mean the same.",
    "GITHUB_ACTIONS": "true: a gate writes step outputs, summary and annotations (--no-github); "
    "the other GITHUB_ variables say where, and where a run comes from.",
    "GITLAB_CI": "true: a gate is a section of the job log (--no-gitlab); "
    "CI_COMMIT_SHA and similar variables say where a run comes from.",
    "HTTPS_PROXY": "Proxy for https; also in lower case.",
    "HTTP_PROXY": "Proxy for http; also in lower case.",
    "ALL_PROXY": "Proxy if neither of the other two is set; also in lower case.",
    "NO_PROXY": "Servers to reach without a proxy; also in lower case.",
    "NO_COLOR": "Not empty: no color.",
    "FORCE_COLOR": "Not empty: color, even if standard error is not a terminal.",
    "TERM": "dumb: no color, no redrawn progress.",
    "COLUMNS": "Width of help, tables and progress, instead of the terminal's.",
}
"""Variables that are not settings."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A page of help: a line for the list of topics, and the text for a terminal."""

    summary: str
    text: Callable[[Terminal], str]


def _verdicts(terminal: Terminal) -> str:
    rows = [
        (verdict.value, f"--fail-on {verdict.value}" if verdict in GATED else "-", meaning)
        for verdict, meaning in VERDICTS.items()
    ]
    table = columns(terminal, ("VERDICT", "FAILS WITH", "MEANING"), rows)
    return f"{_BEFORE_VERDICTS}\n{table}\n\n{_AFTER_VERDICTS}"


def _exit_codes(terminal: Terminal) -> str:
    from tm_cli.gate.policy import WORST_FIRST

    rows = [(int(code), code.name, code.meaning, code.advice) for code in ExitCode]
    table = columns(terminal, ("CODE", "NAME", "WHEN", "WHAT TO DO"), rows)
    order = ", ".join(str(int(code)) for code in WORST_FIRST)
    return f"{_BEFORE_EXIT_CODES}\n{table}\n\n{_AFTER_EXIT_CODES.format(order=order)}"


def _reports(terminal: Terminal) -> str:
    rows = [(item.value, FORMATS.get(item.value, "-")) for item in Format]
    table = columns(terminal, ("FORMAT", "CONTENT"), rows)
    return f"{_BEFORE_REPORTS}\n{table}\n\n{_AFTER_REPORTS}"


def _configuration(terminal: Terminal) -> str:
    rows = [(item.name, _default(item), item.help) for item in DEFINITIONS.values()]
    before = _BEFORE_CONFIGURATION.format(sources=", ".join(source.value for source in Source))
    table = columns(terminal, ("NAME", "DEFAULT", "MEANING"), rows)
    return f"{before}\n{table}\n\n{_AFTER_CONFIGURATION}"


def _default(item: Definition) -> str:
    value: Any = item.default
    if value is None:
        return "auto" if item.name == "poll_interval" else "-"
    if isinstance(value, bool):
        return str(value).lower()
    return format_duration(value) if isinstance(value, float) else str(value)


def _environment(terminal: Terminal) -> str:
    head = ("VARIABLE", "MEANING")
    settings = [(item.variable, item.help) for item in DEFINITIONS.values()]
    return "\n".join(
        [
            _BEFORE_ENVIRONMENT,
            columns(terminal, head, settings),
            "\nOther variables:\n",
            columns(terminal, head, list(NOT_SETTINGS.items())),
            f"\n{_AFTER_ENVIRONMENT}",
        ]
    )


TOPICS = {
    "gate": Topic("How a gate decides, and how to write one.", lambda _terminal: _GATE),
    "verdicts": Topic("What PASS, WARN, FAIL and NO_BASELINE mean.", _verdicts),
    "exit-codes": Topic("What each exit code means, and what to do about it.", _exit_codes),
    "reports": Topic("Files and documents that a gate writes.", _reports),
    "configuration": Topic("Settings, their files and their precedence.", _configuration),
    "environment": Topic("The environment variables that tm reads.", _environment),
}

app = App()


def complete_words(ctx: typer.Context) -> Words:
    """Complete a topic, or the words of a command after the ones before."""
    before = ctx.params.get("words") or []
    position = find_position(ctx.find_root().command, ctx.obj, before)
    if position is None:
        return []
    commands = command_names(position.ctx) if position.commands else []
    topics = [] if before else [(name, topic.summary) for name, topic in TOPICS.items()]
    return [*topics, *((item.value, item.note) for item in commands)]


@app.command("help")
@with_session
def help_(
    session: CommandContext,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC|COMMAND]...",
            autocompletion=complete_words,
            help="A topic, or the words of a command.",
        ),
    ] = None,
) -> int:
    """Show help on a topic or a command; without arguments, list the topics.

    tm help exit-codes

    tm help runs start
    """
    if not words:
        return session.emit(_listed(), lambda: _list(session))
    if len(words) == 1 and (topic := TOPICS.get(words[0])) is not None:
        text = topic.text(session.terminal)
        return session.emit({"topic": words[0], "text": text}, lambda: text)
    return _show_command(session, words)


def _listed() -> dict[str, str]:
    return {name: topic.summary for name, topic in TOPICS.items()}


def _list(session: CommandContext) -> str:
    table = columns(session.terminal, ("TOPIC", "WHAT IT EXPLAINS"), list(_listed().items()))
    return f"{table}\n\n`tm help TOPIC` prints one; `tm help runs start` is the help of a command."


def _show_command(session: CommandContext, words: list[str]) -> int:
    """Print a command's own help; raises UsageError when the words name none."""
    node = session.tree
    for number, word in enumerate(words):
        inner = getattr(node, "commands", {})
        if word not in inner:
            raise _unknown(words[: number + 1], [*inner, *(TOPICS if number == 0 else ())])
        node = inner[word]
    if session.wants_json:
        return session.emit({"topic": " ".join(words), "text": node.help}, str)
    session.tree(
        args=[*words, "--help"], prog_name="tm", obj=session.context, standalone_mode=False
    )
    return int(ExitCode.OK)


def _unknown(words: list[str], known: list[str]) -> UsageError:
    near = difflib.get_close_matches(words[-1], known, n=1)
    guess = " ".join([*words[:-1], *near])
    return UsageError(
        f"unknown topic or command {' '.join(words)!r}",
        hint=f"did you mean `tm help {guess}`?" if near else "`tm help` lists the topics",
    )
